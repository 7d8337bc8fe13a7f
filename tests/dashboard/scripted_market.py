"""A small made-up market for tests of the dashboard: plausible rows of every table, no truth in it.

Run as a program (``python -m tests.dashboard.fake_upstream``) it also lets one look at the page
without any other part of optionlake.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date, timedelta
from math import erf, exp, isnan, log, nan, pi, sqrt

INDICES = {
    "NIFTY": (24_141.06, 50, 75, "NSE"),
    "BANKNIFTY": (52_388.45, 100, 35, "NSE"),
    "FINNIFTY": (24_260.7, 50, 65, "NSE"),
    "MIDCPNIFTY": (12_486.1, 25, 140, "NSE"),
    "SENSEX": (79_709.55, 100, 20, "BSE"),
}
STOCKS = {
    "RELIANCE": (1_484.9, 10, 500, "NSE"),
    "HDFCBANK": (1_853.6, 20, 550, "NSE"),
    "ICICIBANK": (1_342.9, 10, 700, "NSE"),
    "INFY": (1_772.05, 20, 400, "NSE"),
    "TCS": (3_418.0, 20, 175, "NSE"),
    "SBIN": (868.2, 10, 750, "NSE"),
    "AXISBANK": (1_149.9, 10, 625, "NSE"),
    "KOTAKBANK": (1_968.5, 20, 400, "NSE"),
    "LT": (3_889.4, 20, 175, "NSE"),
    "ITC": (446.05, 5, 1600, "NSE"),
}
IV_STATUSES = ["ok", "no_quote", "below_intrinsic", "no_time_value"]
FORWARD_STATUSES = ["parity", "future", "spot_carry"]
RATE = 0.065
STRIKES_EACH_SIDE = 22
TICKED_EACH_SIDE = 5

Row = dict[str, float]


class ScriptedMarket:
    """Rows by table and id; ``step`` moves some and tells which changed."""

    def __init__(self, now_ms: float, today: date, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.rows: dict[str, dict[int, Row]] = {
            name: {} for name in ("underlying", "expiry", "strike", "contract")
        }
        self.listed = {**INDICES, **STOCKS}
        self.opened = {symbol: listed[0] for symbol, listed in self.listed.items()}
        self.ids: dict[tuple[object, ...], int] = {}
        self.chain_at_ms = now_ms - 140_000
        self.catalogue = self._list(today)
        for symbol in self.listed:
            self.ids[(symbol,)] = number = self._number("underlying", (symbol,))
            self.rows["underlying"][number] = self._underlying(symbol, now_ms)
        self.mark(self.listed, now_ms)

    def step(self, now_ms: float, symbols: int = 5) -> dict[str, set[int]]:
        """Move some spots by a tick."""
        moved = self.random.sample(list(self.listed), symbols)
        for symbol in moved:
            row = self.rows["underlying"][self.ids[(symbol,)]]
            step = row["spot"] * self.random.gauss(0, 0.00004)
            self.move(symbol, round((row["spot"] + step) * 20) / 20, now_ms)
        return self.mark(moved, now_ms)

    def move(self, symbol: str, spot: float, now_ms: float) -> None:
        """Set a spot."""
        row = self.rows["underlying"][self.ids[(symbol,)]]
        change = 100 * (spot / self.opened[symbol] - 1)
        row.update(spot=spot, spot_at_ms=now_ms - 12, spot_received_at_ms=now_ms)
        row.update(change_percent=change + 0.37)

    def mark(self, symbols: Iterable[str], now_ms: float) -> dict[str, set[int]]:
        """Price the chains of these symbols again; ids of changed rows by table."""
        changed: dict[str, set[int]] = {name: set() for name in self.rows}
        for symbol in symbols:
            underlying = self.ids[(symbol,)]
            changed["underlying"].add(underlying)
            totals = [self._chain(symbol, e, now_ms, changed) for e in self.expiries]
            row = self.rows["underlying"][underlying]
            row["net_gex_crore_per_percent"] = sum(t["net"] for t in totals)
            row["atm_implied_volatility"] = totals[0]["iv"]
            row["forward"] = totals[0]["forward"]
            row["marked_at_ms"] = now_ms
        return changed

    def _list(self, today: date) -> dict[str, object]:
        ahead = (1 - today.weekday()) % 7 or 7
        self.expiries = [(today + timedelta(days=ahead + w)).isoformat() for w in (0, 7, 28)]
        self.today = today
        catalogue: dict[str, list[dict[str, object]]] = {
            "underlyings": [], "expiries": [], "strikes": [], "contracts": [],
        }  # fmt: skip
        for symbol, (spot, step, lot, exchange) in self.listed.items():
            kind = "INDEX" if symbol in INDICES else "EQUITY"
            number = self._number("underlying", (symbol,))
            catalogue["underlyings"].append(
                {"id": number, "symbol": symbol, "kind": kind, "exchange": exchange}
            )
            middle = round(spot / step)
            for expiry in self.expiries:
                who = {"symbol": symbol, "expiry": expiry}
                number = self._number("expiry", (symbol, expiry))
                catalogue["expiries"].append({"id": number, **who})
                for i in range(-STRIKES_EACH_SIDE, STRIKES_EACH_SIDE + 1):
                    strike = float((middle + i) * step)
                    number = self._number("strike", (symbol, expiry, strike))
                    catalogue["strikes"].append({"id": number, **who, "strike": strike})
                    for right in ("CE", "PE"):
                        number = self._number("contract", (symbol, expiry, strike, right))
                        catalogue["contracts"].append(
                            {"id": number, **who, "strike": strike, "right": right,
                             "lot_size_units": lot}
                        )  # fmt: skip
        statuses = {"iv_statuses": IV_STATUSES, "forward_statuses": FORWARD_STATUSES}
        return {"version": 1, **catalogue, **statuses}

    def _number(self, table: str, key: tuple[object, ...]) -> int:
        return self.ids.setdefault(key, len(self.ids) + 1)

    def _underlying(self, symbol: str, now_ms: float) -> Row:
        pcr = self.random.uniform(0.6, 1.4)
        return {
            "spot": self.opened[symbol],
            "spot_at_ms": now_ms - 12,
            "spot_received_at_ms": now_ms,
            "change_percent": self.random.uniform(-1.4, 1.6),
            "forward": nan,
            "net_gex_crore_per_percent": nan,
            "pcr_open_interest": pcr,
            "pcr_volume": pcr * self.random.uniform(0.8, 1.2),
            "atm_implied_volatility": nan,
            "chain_at_ms": self.chain_at_ms,
            "marked_at_ms": now_ms,
        }

    def _chain(
        self, symbol: str, expiry: str, now_ms: float, changed: dict[str, set[int]]
    ) -> dict[str, float]:
        spot = self.rows["underlying"][self.ids[(symbol,)]]["spot"]
        step, lot = self.listed[symbol][1], self.listed[symbol][2]
        days = (date.fromisoformat(expiry) - self.today).days
        years = days / 365
        forward = spot * exp(RATE * years)
        base = (0.115 if symbol in INDICES else 0.21) + 0.004 * sqrt(days)
        open_interest = {"CE": 0.0, "PE": 0.0}
        net = 0.0
        middle = round(self.opened[symbol] / step)
        for i in range(-STRIKES_EACH_SIDE, STRIKES_EACH_SIDE + 1):
            strike = float((middle + i) * step)
            money = log(strike / forward)
            iv = base + 1.1 * money * money / sqrt(years) - 0.25 * money
            gex = {}
            for right in ("CE", "PE"):
                number = self.ids[(symbol, expiry, strike, right)]
                row = self.rows["contract"].setdefault(number, {})
                if not row:
                    self._open(row, i, lot, right, days)
                self._price(row, right, (forward, strike, iv, years), abs(i), now_ms)
                sign = 1 if right == "CE" else -1
                gamma, oi = row["gamma_forward"], row["open_interest_units"]
                gex[right] = sign * (0.0 if isnan(gamma) else gamma) * oi * spot**2 * 0.01 / 1e7
                open_interest[right] += oi
                changed["contract"].add(number)
            number = self.ids[(symbol, expiry, strike)]
            changed["strike"].add(number)
            self.rows["strike"][number] = {
                "call_gex_crore_per_percent": gex["CE"],
                "put_gex_crore_per_percent": gex["PE"],
                "net_gex_crore_per_percent": gex["CE"] + gex["PE"],
                "chain_at_ms": self.chain_at_ms,
                "marked_at_ms": now_ms,
            }
            net += gex["CE"] + gex["PE"]
        number = self.ids[(symbol, expiry)]
        changed["expiry"].add(number)
        pcr = open_interest["PE"] / open_interest["CE"]
        self.rows["expiry"][number] = {
            "forward": forward,
            "forward_status": 0.0,
            "forward_mad_bp": 0.8,
            "atm_implied_volatility": base,
            "net_gex_crore_per_percent": net,
            "pcr_open_interest": pcr,
            "pcr_volume": pcr * 0.93,
            "call_open_interest_units": open_interest["CE"],
            "put_open_interest_units": open_interest["PE"],
            "years_to_expiry": years,
            "chain_at_ms": self.chain_at_ms,
            "marked_at_ms": now_ms,
        }
        return {"net": net, "iv": base, "forward": forward}

    def _open(self, row: Row, i: int, lot: int, right: str, days: int) -> None:
        side = 1 if right == "CE" else -1
        hump = exp(-(((i - side * 5) / 7) ** 2)) * (3 if i % 10 == 0 else 1.4 if i % 2 == 0 else 1)
        lots = (300 + 42_000 * hump * self.random.uniform(0.6, 1.3)) / (1 + days / 12)
        row["open_interest_units"] = round(lots) * float(lot)
        change = round(lots * self.random.gauss(0.02, 0.08))
        row["open_interest_change_units"] = change * float(lot)
        row["volume_units"] = round(lots * self.random.uniform(0.4, 9)) * float(lot)
        row["noise"] = self.random.uniform(-0.03, 0.03)

    def _price(
        self,
        row: Row,
        right: str,
        option: tuple[float, float, float, float],
        distance: int,
        now_ms: float,
    ) -> None:
        forward, strike, iv, years = option
        deviation = iv * sqrt(years)
        d1 = log(forward / strike) / deviation + deviation / 2
        is_call = right == "CE"
        sign, discount = (1 if is_call else -1), exp(-RATE * years)
        premium = discount * sign * (
            forward * _normal(sign * d1) - strike * _normal(sign * (d1 - deviation))
        )  # fmt: skip
        is_live = distance <= TICKED_EACH_SIDE
        tick = max(0.05, round(premium * 20) / 20)
        density = exp(-d1 * d1 / 2) / sqrt(2 * pi)
        is_dead = premium < 0.04
        at = now_ms if is_live else self.chain_at_ms
        half = max(0.05, round(premium * 0.002 * 20) / 20)
        row.update(
            last_price=tick if is_live or "last_price" not in row else row["last_price"],
            last_price_at_ms=at - 20,
            last_price_is_live=float(is_live),
            bid_price=nan if is_dead else max(0.05, round((tick - half) * 20) / 20),
            ask_price=nan if is_dead else round((tick + half) * 20) / 20,
            quote_at_ms=at - 20,
            volume_at_ms=at - 20,
            open_interest_at_ms=self.chain_at_ms,
            implied_volatility=nan if is_dead else iv,
            iv_status=1.0 if is_dead else 0.0,
            iv_at_ms=at if is_live else self.chain_at_ms,
            delta_forward=nan if is_dead else discount * sign * _normal(sign * d1),
            gamma_forward=nan if is_dead else discount * density / (forward * deviation),
            theta_per_day=nan if is_dead else -forward * density * iv / (2 * sqrt(years)) / 365,
            vega_per_vol_point=nan if is_dead else forward * density * sqrt(years) / 100,
            greeks_at_ms=now_ms,
        )


def _normal(x: float) -> float:
    return (1 + erf(x / sqrt(2))) / 2
