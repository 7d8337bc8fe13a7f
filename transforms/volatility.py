"""Volatility of an expiry as a whole: at the money, straddle, skew and model-free, in one call.

The volatility of a single strike comes from ``smile``. The skew's formulas stand in ``skew``, the
model-free ones in ``variance_index``; what joins several expiries belongs in ``term``.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arguments by position.
from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms import skew, variance_index
from transforms.kernel import compiled
from transforms.layout import Positions, beside, columns_of, floats, starts
from transforms.tenor import SETTLING_YEARS

ATM_STATUSES = ("atm_ok", "settling", "no_forward", "no_bracket")
OK, SETTLING, NO_FORWARD, NO_BRACKET = range(4)

# The squared straddle V² of a normal price exceeds its value at the forward by 2/π·(F − K)², to
# the fourth order of the distance: V(0)·V''(0) = √(2/π)·s·√(2/π)/s.
_CONVEXITY = 2.0 / math.pi

_ATM_NAMES = pl.Series("atm_status", ATM_STATUSES)
_SKEW_NAMES = pl.Series("skew_status", skew.SKEW_STATUSES)
_STRIP_NAMES = pl.Series("model_free_status", variance_index.STRIP_STATUSES)

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]


def with_volatility_of_expiries(
    strikes: pl.DataFrame, contracts: pl.DataFrame, expiries: pl.DataFrame
) -> pl.DataFrame:
    """Add ``columns.VOLATILITY`` to the expiries of a ``layout.Book``.

    Args:
        strikes: with ``implied_volatility``, both legs' bid and ask, ``call_row``, ``put_row``.
        contracts: with ``premium``.
        expiries: with ``forward``, ``years_to_expiry`` and ``rate``.

    Returns:
        The expiries with these columns added or replaced:

        * ``atm_implied_volatility``, ``atm_status``: see ``at_the_forward``;
        * ``expected_move``: F·σ√T at the money, one standard deviation to settlement, ₹;
        * ``straddle_price``: see ``straddle_prices``;
        * ``risk_reversal_25_delta``: volatility of the 25Δ call less that of the 25Δ put;
        * ``butterfly_25_delta``: the mean of the two less the one at the money;
        * ``skew_status``: one of ``skew.SKEW_STATUSES``;
        * ``model_free_volatility``, ``model_free_status``: see ``variance_index``.
    """
    offsets = starts(strikes, "expiry_id", len(expiries))
    strike, volatility = floats(strikes, "strike"), floats(strikes, "implied_volatility")
    forward, years, rate = (floats(expiries, n) for n in ("forward", "years_to_expiry", "rate"))
    middle, status = at_the_forward(offsets, strike, volatility, forward, years)
    legs = [_premiums(contracts, strikes[f"{side}_row"]) for side in ("call", "put")]
    straddle = straddle_prices(offsets, strike, legs[0], legs[1], forward, years, rate)
    wings = skew.wing_volatilities(
        offsets, strike, volatility, forward, years, skew.quantile_of(skew.DELTA)
    )
    variance, strip_status = variance_index.variances_of_expiries(
        offsets,
        strike,
        floats(strikes, "call_bid_price"),
        floats(strikes, "call_ask_price"),
        floats(strikes, "put_bid_price"),
        floats(strikes, "put_ask_price"),
        forward,
        years,
        rate,
        variance_index.PUBLISHED.settings,
    )
    with np.errstate(invalid="ignore", over="ignore"):
        move = forward * middle * np.sqrt(np.maximum(years, 0.0))
    columns = {
        "atm_implied_volatility": middle,
        "expected_move": move,
        "straddle_price": straddle,
        "model_free_volatility": np.sqrt(variance),
    }
    names = (_ATM_NAMES[status], _STRIP_NAMES[strip_status])
    shape = _skew_columns(middle, status, wings)
    return beside(expiries, [*columns_of(columns), *names, *shape])


@compiled
def at_the_forward(
    starts: Positions, strike: Floats, volatility: Floats, forward: Floats, years: Floats
) -> tuple[Floats, Codes]:
    """Volatility at the forward of each expiry and its status, an index into ``ATM_STATUSES``.

    σ²T is interpolated linearly in ln(K/F) between the nearest strikes that have a volatility, one
    on each side of the forward or both on it; NaN without.

    Args:
        starts: expiry i has the strikes [starts[i], starts[i + 1]), strictly increasing.
        volatility: of each strike, NaN if there is none.
    """
    found = np.full(len(forward), np.nan)
    status = np.full(len(forward), NO_BRACKET, dtype=np.int8)
    for e in range(len(forward)):
        if years[e] < SETTLING_YEARS:
            status[e] = SETTLING
        elif not 0.0 < forward[e] < math.inf:
            status[e] = NO_FORWARD
        else:
            a, b = starts[e], starts[e + 1]
            value = _interpolated(strike[a:b], volatility[a:b], forward[e])
            if 0.0 < value < math.inf:
                found[e], status[e] = value, OK
    return found, status


@compiled
def straddle_prices(
    starts: Positions,
    strike: Floats,
    call: Floats,
    put: Floats,
    forward: Floats,
    years: Floats,
    rate: Floats,
) -> Floats:
    """Market price of call and put at the forward of each expiry, ₹, discounted; NaN if unknown.

    The legs' own premiums at the two listed strikes around the forward, interpolated. A straddle is
    bowed there, on expiry day by a good part of its price: so what is interpolated linearly is
    √(V² − 2/π·(D(F − K))²), which is straight near the forward where prices are normal. Where
    the smile is flat the result is √(2/π) ≈ 0.798 standard deviations.

    Args:
        call, put: premium of each strike's legs, NaN if there is none. All four must be known: the
            next strikes are not asked, as they are further off than a straddle can be carried.
    """
    found = np.full(len(forward), np.nan)
    for e in range(len(forward)):
        a, b = starts[e], starts[e + 1]
        high = a + np.searchsorted(strike[a:b], forward[e])
        if not years[e] >= SETTLING_YEARS or high >= b or not forward[e] > 0.0:
            continue
        low = high if strike[high] == forward[e] else high - 1
        if low < a:
            continue
        discount = math.exp(-rate[e] * years[e])
        near = _unbowed(call[low] + put[low], discount * (forward[e] - strike[low]))
        far = _unbowed(call[high] + put[high], discount * (strike[high] - forward[e]))
        share = (forward[e] - strike[low]) / (strike[high] - strike[low]) if low < high else 0.0
        found[e] = near + share * (far - near)
    return found


def warm() -> None:
    """Compile every kernel of an expiry's volatility once, for the cache."""
    one, offsets = np.ones(1), np.arange(2, dtype=np.int64)
    at_the_forward(offsets, one, one, one, one)
    straddle_prices(offsets, one, one, one, one, one, one)
    skew.warm()
    variance_index.warm()


@compiled
def _interpolated(strike: Floats, volatility: Floats, forward: float) -> float:
    """√ of the variance at the forward; T is the same everywhere and drops out."""
    low = high = -1
    for i in range(len(strike)):
        is_known = 0.0 < volatility[i] < math.inf
        if is_known and strike[i] <= forward:
            low = i
        if is_known and strike[i] >= forward:
            high = i
            break
    if low < 0 or high < 0:
        return math.nan
    below, above = math.log(strike[low] / forward), math.log(strike[high] / forward)
    share = -below / (above - below) if low < high else 0.0
    return math.sqrt((1.0 - share) * volatility[low] ** 2 + share * volatility[high] ** 2)


@compiled
def _unbowed(straddle: float, distance: float) -> float:
    """A straddle without what the distance of its strike adds; NaN for a price below parity's."""
    square = straddle * straddle - _CONVEXITY * distance * distance
    return math.sqrt(square) if straddle > 0.0 and 0.0 < square < math.inf else math.nan


def _premiums(contracts: pl.DataFrame, rows: pl.Series) -> Floats:
    return floats(contracts[["premium"]][rows], "premium")


def _skew_columns(middle: Floats, status: Codes, wings: Floats) -> list[pl.Series]:
    reversal, butterfly, codes = skew.shapes(middle, status, wings)
    columns = {"risk_reversal_25_delta": reversal, "butterfly_25_delta": butterfly}
    return [*columns_of(columns), _SKEW_NAMES[codes]]
