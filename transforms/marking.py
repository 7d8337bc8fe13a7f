"""Re-mark a priced chain to a new spot and instant, between snapshots and without frames.

Sticky strike: each strike keeps the volatility of the snapshot; each forward keeps its ratio to
spot until the settlement's averaging begins; time runs on (``clocks``). Open interest stays the
snapshot's unless a newer one is handed in. A snapshot itself is analysed in ``chain``, and at its
own spot and instant both give the same numbers. Exposures alone are read faster from a
``level_grid``.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.rules import Rules
from transforms import clocks
from transforms.black76 import greeks_of_rows
from transforms.clocks import Clocks
from transforms.exposure import ONE_PERCENT, RUPEES_PER_CRORE
from transforms.kernel import compiled
from transforms.layout import floats

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]


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
        held = self._open_interest if open_interest is None else np.array(open_interest, float)
        greeks, by_strike, by_expiry = remarked(
            forward,
            now.years,
            now.volatility_ratio,
            float(spot),
            self._strike,
            self._rate,
            self._volatility,
            held,
            self._is_call,
            self._expiry_of,
            self._strike_of,
            len(self.strikes),
        )
        delta, gamma, theta, vega, _ = greeks
        call_gex, put_gex, net_gex = by_strike
        return Marked(
            delta_forward=delta,
            gamma_forward=gamma,
            theta_per_day=theta,
            vega_per_vol_point=vega,
            call_gex=call_gex,
            put_gex=put_gex,
            net_gex=net_gex,
            forward=forward,
            years_to_expiry=now.years,
            expiry_net_gex=by_expiry[:-1],
            total_net_gex=float(by_expiry[-1]),
        )


@compiled
def remarked(
    forward: Floats,
    years: Floats,
    volatility_ratio: Floats,
    spot: float,
    strike: Floats,
    rate: Floats,
    volatility: Floats,
    held: Floats,
    is_call: Flags,
    expiry_of: Positions,
    strike_of: Positions,
    strikes: int,
) -> tuple[Floats, Floats, Floats]:
    """Greeks of each contract; exposures (₹ crore per 1 %) of what is known, NaN where nothing is.

    Args:
        forward, years, volatility_ratio: of each expiry.
        spot: ₹.
        strike, rate, volatility, held, is_call, expiry_of, strike_of: of each contract.
        strikes: how many there are.

    Returns:
        ``black76.GREEKS``, shape (5, contracts); exposure of calls, puts and both, shape (3,
        strikes); that of both by expiry and, last, in all, shape (expiries + 1).
    """
    priced = forward[expiry_of], strike, years[expiry_of], rate
    greeks = greeks_of_rows(*priced, volatility * volatility_ratio[expiry_of], is_call)
    sums = np.full((3, strikes), np.nan), np.full(len(forward) + 1, np.nan)
    for i in range(len(held)):
        gex = greeks[1, i] * held[i] * spot**2 * ONE_PERCENT / RUPEES_PER_CRORE
        if math.isfinite(gex):
            _add_row(*sums, gex, is_call[i], strike_of[i], expiry_of[i])
    return greeks, *sums


def _positions(rows: pl.DataFrame, among: pl.DataFrame) -> Positions:
    """Where each row's key stands among the distinct keys."""
    index = among.with_columns(position=pl.int_range(pl.len(), dtype=pl.Int64))
    keyed = rows.select(among.columns).join(index, on=among.columns, maintain_order="left")
    return keyed["position"].to_numpy(writable=True)


@compiled
def _add_row(
    by_strike: Floats, by_expiry: Floats, gex: float, is_call: bool, strike: int, expiry: int
) -> None:
    side, signed = (0, gex) if is_call else (1, -gex)
    _add(by_strike[side], strike, signed)
    _add(by_strike[2], strike, signed)
    _add(by_expiry, expiry, signed)
    _add(by_expiry, len(by_expiry) - 1, signed)


@compiled
def _add(sums: Floats, place: int, value: float) -> None:
    """Sums of nothing are NaN, not 0."""
    sums[place] = value if math.isnan(sums[place]) else sums[place] + value


def warm() -> None:
    """Compile what a re-mark runs, so that no live path compiles."""
    clocks.warm()
    one, yes, first = np.ones(1), np.ones(1, np.bool_), np.zeros(1, np.int64)
    remarked(one, one, one, 1.0, one, one, one, one, yes, first, first, 1)
