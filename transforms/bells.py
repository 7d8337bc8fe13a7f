"""Gamma exposure as the spot moves: the kernels that reprice a chain on many levels.

With the move u = ln(s/S), the forward moving with the spot and each strike keeping its volatility
(sticky strike), a strike's exposure is a bell over u::

    G(u) = e^u · A · n((u − x)/w + w/2),   x = ln(K/F),  w = σ√T,
    A = OI·S/10⁷ · D·(S/F)·0.01/w          ₹ crore per 1 %

which is Γ·OI·s²·0.01/10⁷ at F = F(S)·e^u, with Γ of ``black76.gamma_bell``. Which levels are of
interest, and what is told about them, belongs in ``profile`` and ``flips``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.black76 import gamma_bell
from transforms.elementary import fast_exp
from transforms.exposure import ONE_PERCENT, RUPEES_PER_CRORE
from transforms.kernel import compiled, tiled
from transforms.layout import Positions, floats

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Rows of ``Bells.terms``.
CENTRE, VOLATILITY, YEARS, RATE, CARRY, CALL_HELD, PUT_HELD = range(7)

_NO_BELL = np.array((0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0))[:, None]
# Of one second at 0.01 %: below that, distances in widths no longer fit a float.
_NARROWEST = 1e-8
# No number of a market is as large; products of several such still fit a float.
_HUGE = 1e15


@dataclass(frozen=True, slots=True)
class Bells:
    """The strikes of a snapshot as the kernels take them; one column per strike, in their order.

    Attributes:
        terms: shape (7, n): ln(K/F), volatility, years, rate, F/S, and what is held of calls and of
            puts, OI·S/10⁷ in ₹ crore; both 0 where the exposure is not known.
        is_known: whether volatility, forward, spot and any open interest are known.
        open_interest_units: of both legs; 0 if neither is known, or if the expiry has settled.
        log_strike_over_spot: ln(K/S), NaN if not known.
    """

    terms: Floats
    is_known: Flags
    open_interest_units: Floats
    log_strike_over_spot: Floats


def bells(strikes: pl.DataFrame) -> Bells:
    """Take ``layout`` strikes with a volatility.

    Needs ``strike``, ``forward``, ``spot``, ``years_to_expiry``, ``rate``, ``implied_volatility``,
    ``call_open_interest_units`` and ``put_open_interest_units``; null, NaN or senseless values make
    the strike unknown.
    """
    names = ("strike", "forward", "spot", "implied_volatility", "years_to_expiry", "rate")
    strike, forward, spot, volatility, years, rate = (floats(strikes, name) for name in names)
    call, put = (floats(strikes, f"{side}_open_interest_units") for side in ("call", "put"))
    call_units, put_units = (np.where(_positive(units), units, 0.0) for units in (call, put))
    with np.errstate(all="ignore"):
        rows = np.stack(
            (
                np.log(strike / forward),
                volatility,
                years,
                rate,
                forward / spot,
                call_units * spot / RUPEES_PER_CRORE,
                put_units * spot / RUPEES_PER_CRORE,
            )
        )
        log_strike_over_spot = np.where(_all_positive(strike, spot), np.log(strike / spot), np.nan)
        has_bell = (volatility * np.sqrt(years) > _NARROWEST) & (np.abs(rows) < _HUGE).all(axis=0)
        has_bell &= (np.exp(-rate * years) < _HUGE) & (spot / forward < _HUGE)
    is_known = _all_positive(strike, forward, spot, volatility, years) & has_bell
    is_known &= np.isfinite(call) | np.isfinite(put)
    terms = np.where(is_known, rows, _NO_BELL)
    # What has settled is no longer held, though it is still quoted.
    held = np.where(years <= 0.0, 0.0, call_units + put_units)
    return Bells(terms, is_known, held, log_strike_over_spot)


def _positive(values: Floats) -> Flags:
    return np.isfinite(values) & (values > 0.0)


def _all_positive(*columns: Floats) -> Flags:
    return _positive(np.minimum.reduce(columns)) & _positive(np.maximum.reduce(columns))


@compiled
def shape_of(
    terms: Floats, strike: int, volatility: float, years: float
) -> tuple[float, float, float]:
    """Height, 1/w and offset: G(u) = held·height·e^u·exp(−½(u/w + offset)²), at any σ and T."""
    discount = math.exp(-terms[RATE, strike] * years)
    width = volatility * math.sqrt(years)
    height, inverse, offset = gamma_bell(terms[CENTRE, strike], width, discount)
    return height * ONE_PERCENT / terms[CARRY, strike], inverse, offset


@compiled
def lines(terms: Floats, shift: float) -> Floats:
    """Each strike's net held·height (₹ crore per 1 %), 1/w and offset: shape (3, n).

    ``shift`` is added to every volatility, but a falling one keeps at least half.
    """
    out = np.empty((3, terms.shape[1]))
    for k in range(terms.shape[1]):
        volatility = max(terms[VOLATILITY, k] + shift, 0.5 * terms[VOLATILITY, k])
        height, out[1, k], out[2, k] = shape_of(terms, k, volatility, terms[YEARS, k])
        out[0, k] = (terms[CALL_HELD, k] - terms[PUT_HELD, k]) * height
    return out


@tiled
def add_bell(out: Floats, moves: Floats, high: float, inverse: float, offset: float) -> None:
    """Add one line of ``lines`` at each move."""
    for j in range(len(out)):
        distance = moves[j] * inverse + offset
        out[j] += high * fast_exp(-0.5 * distance * distance)


@tiled
def add_two(
    net: Floats, gross: Floats, moves: Floats, highs: tuple[float, float], line: tuple[float, float]
) -> None:
    """``add_bell`` to two sums at once, of one line (1/w, offset) and two heights."""
    inverse, offset = line
    for j in range(len(net)):
        distance = moves[j] * inverse + offset
        bell = fast_exp(-0.5 * distance * distance)
        net[j] += highs[0] * bell
        gross[j] += highs[1] * bell


@compiled
def net_over(moves: Floats, shapes: Floats, first: int, last: int) -> Floats:
    """Σ of the ``lines`` [first, last) at each move: net exposure over e^u."""
    total = np.zeros(len(moves))
    for k in range(first, last):
        if shapes[0, k] != 0.0:
            add_bell(total, moves, shapes[0, k], shapes[1, k], shapes[2, k])
    return total


@tiled
def net_at(move: float, shapes: Floats, first: int, last: int) -> float:
    """``net_over`` at one move."""
    total = 0.0
    for k in range(first, last):
        distance = move * shapes[1, k] + shapes[2, k]
        total += shapes[0, k] * fast_exp(-0.5 * distance * distance)
    return total


def symbols(expiries: pl.DataFrame) -> pl.DataFrame:
    """One row per symbol, in the order of the sorted expiries.

    ``symbol``, ``as_of``, ``spot`` (the newest that is known) and ``quoted_at`` (the oldest of what
    has not settled: a sum over expiries is no newer than its oldest part). The expiries need
    ``years_to_expiry`` too.
    """
    newest = pl.col("spot").sort_by("quoted_at", "expiry").drop_nulls().last()
    quoted = pl.col("quoted_at")
    oldest = pl.coalesce(quoted.filter(pl.col("years_to_expiry") > 0).min(), quoted.min())
    return expiries.group_by("symbol", maintain_order=True).agg(
        pl.col("as_of").first(), newest, oldest
    )


def symbol_starts(expiries: pl.DataFrame, owned: Positions) -> Positions:
    """Where each symbol's rows begin, given where those of its expiries do (``layout.starts``)."""
    first = expiries.with_row_index("row").unique("symbol", keep="first", maintain_order=True)[
        "row"
    ]
    return np.append(owned[first.to_numpy()], owned[-1]).astype(np.int64)
