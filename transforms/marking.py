"""Re-mark a priced chain to a new spot and instant, between snapshots and without frames.

Sticky strike: each strike keeps the volatility of the snapshot; each forward keeps its ratio to
spot until the settlement's averaging begins; time runs on (``clocks``). Open interest stays the
snapshot's unless a newer one is handed in. A snapshot itself is analysed in ``chain``, and at its
own spot and instant both give the same numbers. Exposures alone are read faster from a
``level_grid``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.rules import Rules
from transforms.black76 import greeks_of_rows
from transforms.clocks import Clocks
from transforms.exposure import ONE_PERCENT, RUPEES_PER_CRORE
from transforms.layout import floats

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Marked:
    """The chain at one spot and instant; NaN where a number is not known.

    Attributes:
        delta_forward, gamma_forward, theta_per_day, vega_per_vol_point: per contract, in the order
            of ``ChainMark.contract_ids``; units of ``schemas.PRICING``.
        call_gex, put_gex, net_gex: ₹ crore per 1 %, in the order of ``ChainMark.strikes``.
        forward: ₹, in the order of ``ChainMark.expiries``.
        years_to_expiry: in the order of ``ChainMark.expiries``.
        expiry_net_gex: ₹ crore per 1 %, in the order of ``ChainMark.expiries``.
        total_net_gex: ₹ crore per 1 %, all expiries together.
    """

    delta_forward: Floats
    gamma_forward: Floats
    theta_per_day: Floats
    vega_per_vol_point: Floats
    call_gex: Floats
    put_gex: Floats
    net_gex: Floats
    forward: Floats
    years_to_expiry: Floats
    expiry_net_gex: Floats
    total_net_gex: float


class ChainMark:
    """One symbol's chain, ready to be re-marked many times; not changed by it.

    Attributes:
        contract_ids: canonical ids, the order of per-contract arrays.
        strikes: (expiry, strike ₹), the order of per-strike arrays.
        expiries: the order of per-expiry arrays.
    """

    def __init__(self, contracts: pl.DataFrame, rules: Rules) -> None:
        """Take a ``schemas.CONTRACTS`` frame of one symbol and the rules that it settles by."""
        rows = contracts.sort("expiry", "strike", "is_call")
        groups = rows.group_by("expiry", maintain_order=True).first()
        strikes = rows.select("expiry", "strike").unique(maintain_order=True)
        self.contract_ids: tuple[str, ...] = tuple(rows["contract_id"])
        self.strikes: tuple[tuple[date, float], ...] = tuple(strikes.iter_rows())
        self.expiries: tuple[date, ...] = tuple(groups["expiry"])
        self._clocks = Clocks(groups, rules)
        self._forward, self._spot = floats(groups, "forward"), floats(groups, "spot")
        self._expiry_of = _positions(rows, groups.select("expiry"))
        self._strike_of = _positions(rows, strikes)
        self._strike, self._rate = floats(rows, "strike"), floats(rows, "rate")
        self._volatility = floats(rows, "implied_volatility")
        self._open_interest = floats(rows, "open_interest_units")
        self._is_call = rows["is_call"].to_numpy(writable=True)

    def at(self, spot: float, as_of: datetime, open_interest: Floats | None = None) -> Marked:
        """The chain at a spot (₹) and an instant (aware UTC).

        Args:
            open_interest: units, in the order of ``contract_ids``; the snapshot's if not given.
        """
        now = self._clocks.at(as_of)
        forward = self._clocks.forwards(self._forward, self._spot, spot, now)
        greeks = self._greeks(forward, now.years, now.volatility_ratio)
        held = self._open_interest if open_interest is None else open_interest
        sign = np.where(self._is_call, 1.0, -1.0)
        gex = sign * (greeks[1] * held * spot**2 * ONE_PERCENT) / RUPEES_PER_CRORE
        by_strike, strike_count = self._strike_of, len(self.strikes)
        return Marked(
            delta_forward=greeks[0],
            gamma_forward=greeks[1],
            theta_per_day=greeks[2],
            vega_per_vol_point=greeks[3],
            call_gex=_known_sums(np.where(self._is_call, gex, np.nan), by_strike, strike_count),
            put_gex=_known_sums(np.where(self._is_call, np.nan, gex), by_strike, strike_count),
            net_gex=_known_sums(gex, by_strike, strike_count),
            forward=forward,
            years_to_expiry=now.years,
            expiry_net_gex=_known_sums(gex, self._expiry_of, len(self.expiries)),
            total_net_gex=float(_known_sums(gex, np.zeros_like(self._expiry_of), 1)[0]),
        )

    def _greeks(self, forward: Floats, years: Floats, volatility_ratio: Floats) -> Floats:
        return greeks_of_rows(
            forward[self._expiry_of],
            self._strike,
            years[self._expiry_of],
            self._rate,
            self._volatility * volatility_ratio[self._expiry_of],
            self._is_call,
        )


def _positions(rows: pl.DataFrame, among: pl.DataFrame) -> Positions:
    """Where each row's key stands among the distinct keys."""
    index = among.with_columns(position=pl.int_range(pl.len(), dtype=pl.Int64))
    keyed = rows.select(among.columns).join(index, on=among.columns, maintain_order="left")
    return keyed["position"].to_numpy()


def _known_sums(values: Floats, group: Positions, count: int) -> Floats:
    """Sum by group over what is known; NaN for a group of which nothing is."""
    known = np.isfinite(values)
    sums = np.bincount(group, weights=np.where(known, values, 0.0), minlength=count)
    return np.where(np.bincount(group, weights=known, minlength=count) > 0, sums, np.nan)
