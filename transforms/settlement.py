"""Options that settle at an average: their value and Greeks on the underlying's own price.

Two ways to the same numbers. The closed form takes spot, volatility and the average so far, none
of which the market tells exactly; the implied form takes what a chain does tell, the forward and
the implied volatility, and needs no average. Chains use the second. How much of the average is
still to come is answered in ``tenor``; Black-76 itself stands in ``black76``.

Closed form, in the normal approximation (the average of normal prices is normal; over half an hour
the error is of the order of σ√T, some 0.1 %). With u of the window w elapsed, τ = w − u left and
the average so far Ā, the settlement is normal with::

    m = (u·Ā + τ·S)/w,   sd = S·σ·√(variance time),   d = (m − K)/sd
    C = D[(m − K)·N(d) + sd·n(d)],   Δ = D·s·N(d),   Γ = D·s²·n(d)/sd,   s = ∂m/∂S = τ/w

Source: L. Bachelier's formula (1900) on the average; the mean and variance as in E. Levy, J. Int.
Money and Finance 11 (1992). sd is held while S moves, as in any normal model.
"""

# ruff: noqa: PLR0917 - compiled kernels take their scalars by position.
from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.errors import SchemaMismatch
from transforms.black76 import moneyness, normal_cdf, normal_density, tail_slope, time_value
from transforms.kernel import compiled
from transforms.layout import beside
from transforms.tenor import MINUTES_PER_YEAR, spot_share_at, variance_time

Floats = NDArray[np.float64]

_HOLDING_THE_AVERAGE = ("parity", "crossed_parity", "future")
_TERMS = ("forward", "strike", "years_to_expiry", "rate", "implied_volatility")


@compiled
def settlement_mean(
    spot: float, minutes_left: float, window_minutes: float, average_so_far: float
) -> float:
    """E[settlement], ₹: what is averaged already, and the spot for the rest.

    Args:
        spot: ₹; before the window its forward to settlement is the better number.
        minutes_left: to settlement.
        window_minutes: length of the averaging; 0 if the settlement is one price.
        average_so_far: ₹, over the elapsed part of the window; not read before it.
    """
    if minutes_left >= window_minutes:
        return spot
    share = spot_share_at(minutes_left, window_minutes)
    return average_so_far + share * (spot - average_so_far) if share > 0.0 else average_so_far


@compiled
def settlement_deviation(
    spot: float, volatility: float, minutes_left: float, window_minutes: float
) -> float:
    """Standard deviation of the settlement, ₹; volatility a fraction per √year."""
    years = variance_time(minutes_left, window_minutes) / MINUTES_PER_YEAR
    return spot * volatility * math.sqrt(years)


@compiled
def _normal_terms(mean: float, strike: float, deviation: float, sign: float) -> tuple[float, float]:
    """Undiscounted value and ∂value/∂mean of an option on a normal settlement; sign +1 for a call.

    Intrinsic value plus sd·n(d)·(1 − |d|·N(−|d|)/n(d)), which keeps its digits in the tails.
    Without deviation: the payoff, and its slope (half of it at the very strike).
    """
    gap = sign * (mean - strike)
    if deviation <= 0.0:
        return max(gap, 0.0), sign * 0.5 * (1.0 + np.sign(gap))
    d = gap / deviation
    beyond = deviation * normal_density(d) * tail_slope(abs(d))
    return max(gap, 0.0) + beyond, sign * normal_cdf(d)


@compiled
def average_price_option(
    spot: float,
    strike: float,
    volatility: float,
    minutes_left: float,
    window_minutes: float,
    average_so_far: float,
    rate: float,
    is_call: bool,
) -> tuple[float, float, float]:
    """Value (₹), delta and gamma (per ₹1 of spot), all discounted, of the module's closed form.

    Args:
        spot, strike: ₹.
        volatility: fraction per √year of 525 600 minutes.
        minutes_left, window_minutes, average_so_far: as for ``settlement_mean``.
        rate: continuous, per year.

    Once settled, the payoff of the average without delta or gamma.
    """
    mean = settlement_mean(spot, minutes_left, window_minutes, average_so_far)
    deviation = settlement_deviation(spot, volatility, minutes_left, window_minutes)
    share = spot_share_at(minutes_left, window_minutes)
    value, slope = _normal_terms(mean, strike, deviation, 1.0 if is_call else -1.0)
    discount = math.exp(-rate * max(minutes_left, 0.0) / MINUTES_PER_YEAR)
    if deviation <= 0.0:
        return discount * value, discount * share * slope, 0.0
    density = normal_density((mean - strike) / deviation) / deviation
    return discount * value, discount * share * slope, discount * share * share * density


@compiled
def average_price_of_rows(
    spot: Floats,
    strike: Floats,
    volatility: Floats,
    minutes_left: Floats,
    window_minutes: Floats,
    average_so_far: Floats,
    rate: Floats,
    is_call: NDArray[np.bool_],
) -> Floats:
    """``average_price_option`` of each row, shape (3, n): value, delta, gamma; NaN if unusable.

    The average so far may be NaN before its window and must not inside it.
    """
    out = np.full((3, len(spot)), np.nan)
    for i in range(len(spot)):
        s, k, v, r = spot[i], strike[i], volatility[i], rate[i]
        left, window = minutes_left[i], window_minutes[i]
        usable = 0.0 < s < math.inf and 0.0 < k < math.inf and 0.0 <= v < math.inf
        if not (usable and math.isfinite(r) and math.isfinite(left) and 0.0 <= window < math.inf):
            continue
        if left < window and not 0.0 < average_so_far[i] < math.inf:
            continue
        terms = average_price_option(s, k, v, left, window, average_so_far[i], r, is_call[i])
        out[0, i], out[1, i], out[2, i] = terms
    return out


@compiled
def time_value_of_rows(
    forward: Floats, strike: Floats, years: Floats, rate: Floats, volatility: Floats
) -> Floats:
    """Discounted Black-76 value less discounted intrinsic value at the forward, ₹.

    The same for call and put; NaN where an input is missing or unusable.
    """
    out = np.full(len(forward), np.nan)
    for i in range(len(forward)):
        f, k, t, r, v = forward[i], strike[i], years[i], rate[i], volatility[i]
        if not (0.0 < f < math.inf and 0.0 < k < math.inf and t > 0.0 and v > 0.0):
            continue
        if not (math.isfinite(r) and math.isfinite(t) and math.isfinite(v)):
            continue
        scale = math.exp(-r * t) * math.sqrt(f) * math.sqrt(k)
        out[i] = scale * time_value(abs(moneyness(f, k)), v * math.sqrt(t))
    return out


def settlement_greeks(
    delta_forward: str = "delta_forward",
    gamma_forward: str = "gamma_forward",
    spot_share: str = "spot_share",
) -> list[pl.Expr]:
    """``delta_settlement`` and ``gamma_settlement``, per ₹1 of spot, from a chain's own columns.

    Put-call parity holds for any settlement price X: C − P = D·(E[X] − K). So the parity forward F
    is E[X] = m, with the average so far already inside, and Black-76 on F with the total variance
    W = σ²T implied from the premium prices X itself, whatever share of it is known by now. Of the
    terms of V(F, W) only F moves with the spot, and linearly: ∂F/∂S = s, ∂²F/∂S² = 0. Hence::

        Δ_settlement = ∂V/∂F·∂F/∂S = s·Δ_F,   Γ_settlement = ∂²V/∂F²·(∂F/∂S)² = s²·Γ_F

    To the order of the normal approximation this is the module's closed form with F = m and
    W = sd²/F². It does not hold for a forward made from the spot (S·carry) inside the window: see
    ``usable_share``.

    Null where ``is_expiry_day`` is not true, or an input is null.
    """
    share = pl.when("is_expiry_day").then(spot_share)
    return [
        (share * pl.col(delta_forward)).alias("delta_settlement"),
        (share**2 * pl.col(gamma_forward)).alias("gamma_settlement"),
    ]


def usable_share() -> pl.Expr:
    """``spot_share`` of an expiry, null where its forward does not hold the average so far.

    Before the averaging any forward will do. Inside it one made from the spot, or carried over from
    earlier, knows nothing of what is averaged already (``forward_status``).
    """
    share = pl.col("spot_share")
    is_told = pl.col("forward_status").is_in(_HOLDING_THE_AVERAGE)
    return pl.when((share >= 1.0) | is_told).then(share).alias("spot_share")


def theta_to_settlement(time_value: str = "time_value") -> pl.Expr:
    """₹ per unit from now to settlement if the settlement turns out as expected now.

    Discounted intrinsic value at the forward less the value now: minus the time value, the same
    for call and put. Null where ``is_expiry_day`` is not true, or the time value is null.
    """
    return pl.when("is_expiry_day").then(-pl.col(time_value)).alias("theta_to_settlement")


def with_settlement(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``delta_settlement``, ``gamma_settlement`` and ``theta_to_settlement`` to contracts.

    Args:
        frame: needs ``forward``, ``strike`` (₹), ``years_to_expiry``, ``rate``,
            ``implied_volatility``, ``delta_forward``, ``gamma_forward``, ``spot_share`` and
            ``is_expiry_day``; other columns and the row order are kept.

    Raises:
        SchemaMismatch: naming each column that is missing or not numeric.
    """
    terms = _terms(frame)
    value = pl.Series("time_value", _time_values(terms), nan_to_null=True)
    added = [found.fill_nan(None) for found in (*settlement_greeks(), theta_to_settlement())]
    return beside(frame, beside(terms, [value]).select(added).get_columns())


def _terms(frame: pl.DataFrame) -> pl.DataFrame:
    numbers = (*_TERMS, "delta_forward", "gamma_forward", "spot_share")
    needed = (*numbers, "is_expiry_day")
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise SchemaMismatch(f"settlement needs columns {missing}; the frame has {frame.columns}")
    try:
        return frame.select(
            pl.col(numbers).cast(pl.Float64), pl.col("is_expiry_day").cast(pl.Boolean)
        )
    except pl.exceptions.PolarsError as error:
        raise SchemaMismatch(
            f"columns {list(numbers)} must be numeric, is_expiry_day boolean: {error}"
        ) from error


def _time_values(terms: pl.DataFrame) -> Floats:
    """The time value on expiry days only: for the other rows, nearly all, it is not needed."""
    today = terms["is_expiry_day"].fill_null(value=False)
    values = np.full(len(terms), np.nan)
    if today.any():
        rows = terms.filter(today)
        arrays = [rows[name].to_numpy(writable=True) for name in _TERMS]
        values[today.to_numpy()] = time_value_of_rows(*arrays)
    return values


@compiled
def remaining_variance(
    total_variance: float,
    variance_years_then: float,
    variance_years_now: float,
    auction_jump_variance: float = 0.0,
) -> float:
    """Total variance left of what was implied at a snapshot, for re-marking after it.

    The variance per variance-year is that of the snapshot, so it shrinks with ``variance_years``:
    W(t) = W·(variance_years now)/(variance_years then). The auction's own jump, if there is one,
    stays whole until the end.

    Args:
        total_variance: W = σ²T implied at the snapshot.
        variance_years_then, variance_years_now: ``tenor.with_tenor``'s at the snapshot and now.
        auction_jump_variance: of ``market.rules.Settlement``.

    Returns:
        W now; 0 once nothing is left, NaN where the snapshot had no time left or an input is NaN.
    """
    if not variance_years_then > 0.0:
        return math.nan
    jump = min(total_variance, auction_jump_variance)
    left = 0.0 if variance_years_now < 0.0 else variance_years_now
    kept = jump if left > 0.0 else 0.0
    return kept + (total_variance - jump) * left / variance_years_then


@compiled
def remarked_forward(
    forward_then: float,
    spot_then: float,
    spot_now: float,
    spot_share_then: float,
    spot_share_now: float,
) -> float:
    """E[settlement] now, ₹, from the forward of a snapshot and the spot's move since.

    Before the averaging the usual F·(S/S_then). Inside it, ground that is averaged already stays:
    with the move spread evenly over the time between, it counts by the mean of the two shares.
    """
    share = 0.5 * (spot_share_then + spot_share_now)
    return forward_then * (1.0 + share * (spot_now / spot_then - 1.0))


def warm() -> None:
    """Compile the kernels once and leave them in the cache; ``implied_vol.warm`` says when."""
    one, yes = np.ones(1), np.ones(1, dtype=np.bool_)
    average_price_of_rows(one, one, one, one, one, one, 0.0 * one, yes)
    time_value_of_rows(one, one, one, 0.0 * one, one)
    variance_time(1.0, 1.0)
    spot_share_at(1.0, 1.0)
