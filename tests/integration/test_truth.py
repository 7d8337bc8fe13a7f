"""The exchange's truth against what optionlake makes of its answers, at a frozen instant."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from brokers.budget import UPSTOX_LIMITS, Budget
from brokers.interface import Instrument, Secret
from brokers.planner import chain_plan
from brokers.upstox.auth import StaticToken
from brokers.upstox.rest import Upstox
from market.rules import rules_for
from simulator.exchange import Market
from simulator.server import SimulatorConfig
from tests.fix_simulator import running_simulator
from transforms.chain import Analysis, analyse

# A Wednesday afternoon: weekly and monthly expiries lie six days to six weeks away.
AT = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
SYMBOLS = ("NIFTY", "SENSEX", "RELIANCE")
RULES = rules_for("nse")


class Taken:
    """Chains taken from the exchange at one instant, as bytes and as analysis."""

    def __init__(self, broker: Upstox, market: Market) -> None:
        self.market = market
        self.listed: tuple[Instrument, ...] = tuple(broker.instruments())
        plan = chain_plan(self.listed, SYMBOLS, 2, AT.date())
        self.payloads = [broker.chain(request.underlying, request.expiry) for request in plan]
        quotes = pl.concat([broker.parse_chain(p, self.listed) for p in self.payloads])
        self.analysis: Analysis = analyse(quotes, AT, RULES)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    """An exchange whose clock stands still, asked through the real adapter."""
    config = SimulatorConfig(seed=11, session="nse", symbols=SYMBOLS)
    with running_simulator(config, lambda: AT) as exchange:
        tokens = StaticToken(Secret(exchange.token), lambda: AT)
        budget = Budget(tmp_path_factory.mktemp("run") / "budget", UPSTOX_LIMITS)
        broker = Upstox(exchange.url, exchange.url, tokens, budget, SYMBOLS, clock=lambda: AT)
        yield Taken(broker, exchange.market)


def test_every_chain_has_a_forward_near_the_true_one(taken: Taken) -> None:
    """Parity over many strikes beats the spread of each of them."""
    truth = taken.market.truth(AT)
    for row in taken.analysis.expiries.iter_rows(named=True):
        true = truth.forward[row["symbol"], row["expiry"]]
        assert row["forward_status"] == "parity"
        assert abs(row["forward"] / true - 1) < 2e-4


def test_volatilities_are_the_true_smile_within_the_quote(taken: Taken) -> None:
    """A volatility is off by no more than what half a spread and the forward's error explain.

    The spread is a whole number of ticks around the true price, so this is the tick's own bound.
    """
    truth = taken.market.truth(AT)
    true_volatility = _by_contract(taken.market, truth.implied_volatility)
    forwards = truth.forward
    rows = taken.analysis.contracts.filter(
        (pl.col("iv_status") == "ok") & (pl.col("premium_source") == "mid")
    )
    # One volatility per strike comes from the side that is out of the money.
    otm = rows.filter(pl.col("is_call") == (pl.col("strike") >= pl.col("forward")))
    assert otm.height > 150
    for row in otm.iter_rows(named=True):
        forward_error = abs(row["forward"] - forwards[row["symbol"], row["expiry"]])
        price_error = (row["ask_price"] - row["bid_price"]) / 2
        price_error += abs(row["delta_forward"]) * forward_error
        bound = 1.1 * price_error / (100 * row["vega_per_vol_point"]) + 1e-4
        error = abs(row["implied_volatility"] - true_volatility[row["contract_id"]])
        assert error <= bound, row["contract_id"]


def test_put_call_ratios_equal_sums_over_the_raw_bytes(taken: Taken) -> None:
    """Open interest and volume added up by hand from the broker's own JSON."""
    for payload in taken.payloads:
        row = _expiry_row(taken.analysis, payload.symbol, payload.expiry)
        strikes = json.loads(payload.body)["data"]
        for metric, field in (("pcr_open_interest", "oi"), ("pcr_volume", "volume")):
            puts = sum(s["put_options"]["market_data"][field] for s in strikes)
            calls = sum(s["call_options"]["market_data"][field] for s in strikes)
            assert row[metric] == pytest.approx(puts / calls, rel=1e-12)


def test_gamma_exposure_equals_a_hand_computation(taken: Taken) -> None:
    """Γ·OI·S²·0.01/10⁷ with open interest and spot from the raw bytes, calls plus, puts minus."""
    for payload in taken.payloads:
        net = sum(
            _hand_gex(strike, taken.analysis, payload.symbol, payload.expiry)
            for strike in json.loads(payload.body)["data"]
        )
        row = _expiry_row(taken.analysis, payload.symbol, payload.expiry)
        assert row["net_gex_crore_per_percent"] == pytest.approx(net, rel=1e-9)


def _hand_gex(strike: dict[str, object], analysis: Analysis, symbol: str, expiry: date) -> float:
    row = analysis.contracts.filter(
        (pl.col("symbol") == symbol)
        & (pl.col("expiry") == expiry)
        & (pl.col("strike") == strike["strike_price"])
        & pl.col("is_call")
    ).row(0, named=True)
    if row["iv_status"] != "ok":
        return 0.0
    deviation = row["implied_volatility"] * math.sqrt(row["years_to_expiry"])
    d1 = math.log(row["forward"] / row["strike"]) / deviation + deviation / 2
    density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    discount = math.exp(-row["rate"] * row["years_to_expiry"])
    gamma = discount * density / (row["forward"] * deviation)
    spot = strike["underlying_spot_price"]
    open_interest = (
        strike["call_options"]["market_data"]["oi"] - strike["put_options"]["market_data"]["oi"]
    )
    return gamma * open_interest * spot**2 * 0.01 / 1e7


def _expiry_row(analysis: Analysis, symbol: str, expiry: date) -> dict[str, object]:
    return analysis.expiries.filter(
        (pl.col("symbol") == symbol) & (pl.col("expiry") == expiry)
    ).row(0, named=True)


def _by_contract(market: Market, values: np.ndarray) -> dict[str, float]:
    rows = market.listing(AT).rows
    return {str(row.contract): float(v) for row, v in zip(rows, values, strict=True)}
