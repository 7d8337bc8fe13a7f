"""Exposure at other levels of the spot: published profiles and hedging flows.

Everything is repriced at the level (sticky strike, the forward moving with the spot), not
extrapolated from the Greeks at the spot. Where the net exposure changes sign belongs in ``flips``,
the bells that are summed in ``bells``; quick re-marking between snapshots in ``marking``.

Hedgers who hold Δ of the underlying's forward against each option trade, when the spot goes from S
to S·m, −Σ ±OI·(Δ(S·m) − Δ(S))·S·m/10⁷ ₹ crore (naive convention): long gamma sells into a rise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from transforms.bells import (
    CALL_HELD,
    CENTRE,
    PUT_HELD,
    RATE,
    VOLATILITY,
    YEARS,
    Bells,
    Flags,
    Floats,
    add_two,
    shape_of,
    symbol_starts,
    symbols,
)
from transforms.black76 import delta
from transforms.exposure import GROSS_GEX, NET_GEX
from transforms.kernel import compiled
from transforms.layout import Positions

RATIOS = tuple(0.94 + 0.00125 * step for step in range(97))
"""Published levels over the spot: an eighth of a percent apart, 6 % to each side."""


HEDGE_FLOWS = {"hedge_flow_up_crore": 1.01, "hedge_flow_down_crore": 0.99}


@compiled
def gex_of_books(
    terms: Floats, is_known: Flags, book_starts: Positions, moves: Floats
) -> tuple[Floats, Floats]:
    """Net and gross GEX of each book at each move ln(s/S), ₹ crore per 1 %; shape (books, moves).

    NaN for a book of which nothing is known.
    """
    books = len(book_starts) - 1
    net, gross = np.full((books, len(moves)), np.nan), np.full((books, len(moves)), np.nan)
    for i in range(books):
        first, last = book_starts[i], book_starts[i + 1]
        if not np.any(is_known[first:last]):
            continue
        net[i], gross[i] = 0.0, 0.0
        for k in range(first, last):
            _add_strike(net[i], gross[i], moves, terms, k)
        net[i] *= np.exp(moves)
        gross[i] *= np.exp(moves)
    return net, gross


@compiled
def _add_strike(net: Floats, gross: Floats, moves: Floats, terms: Floats, strike: int) -> None:
    call, put = terms[CALL_HELD, strike], terms[PUT_HELD, strike]
    if call + put == 0.0:
        return
    volatility, years = terms[VOLATILITY, strike], terms[YEARS, strike]
    height, inverse, offset = shape_of(terms, strike, volatility, years)
    add_two(net, gross, moves, (height * (call - put), height * (call + put)), (inverse, offset))


@compiled
def flows_of_books(terms: Floats, is_known: Flags, book_starts: Positions, moves: Floats) -> Floats:
    """What hedgers of each book trade on each move ln(s/S), ₹ crore, − sells; (books, moves)."""
    books = len(book_starts) - 1
    flows = np.full((books, len(moves)), np.nan)
    for i in range(books):
        first, last = book_starts[i], book_starts[i + 1]
        if not np.any(is_known[first:last]):
            continue
        flows[i] = 0.0
        for k in range(first, last):
            held, years = terms[CALL_HELD, k] - terms[PUT_HELD, k], terms[YEARS, k]
            if held == 0.0:
                continue
            before = call_delta(terms, k, 0.0, years)
            for j in range(len(moves)):
                change = call_delta(terms, k, moves[j], years) - before
                flows[i, j] -= held * change * math.exp(moves[j])
    return flows


@compiled
def call_delta(terms: Floats, strike: int, move: float, years: float) -> float:
    """Delta after the move, per ₹1 of forward; a put's is this less D. In units of the forward."""
    moved, level = math.exp(move), math.exp(terms[CENTRE, strike])
    return delta(moved, level, years, terms[RATE, strike], terms[VOLATILITY, strike], True)


def profiles(
    expiries: pl.DataFrame, strikes: Bells, book_starts: Positions, ratios: Sequence[float] = RATIOS
) -> pl.DataFrame:
    """``schemas.PROFILES`` but for the version, sorted by key; a symbol's total after its expiries.

    Args:
        expiries: sorted, with ``symbol``, ``expiry``, ``spot`` (₹), ``as_of`` and ``quoted_at``.
        strikes: of the whole snapshot.
        book_starts: which of them each expiry has, as from ``layout.starts``.
        ratios: levels over the spot.

    An expiry without a spot, or of which nothing is known, has no rows. All expiries together are
    moved by the same ratio, each from its own spot, and their levels are of the newest one.
    """
    levels = np.array(ratios, dtype=np.float64)
    values = gex_of_books(strikes.terms, strikes.is_known, book_starts, np.log(levels))
    owners = _owners(expiries)
    rows = owners["row"].to_numpy()
    net, gross = (np.concatenate((v, by_symbol(expiries, v)))[rows].ravel() for v in values)
    each = np.repeat(np.arange(len(owners)), len(levels))
    frame = owners.drop("row")[each].with_columns(
        (pl.col("spot") * pl.Series("ratio", np.tile(levels, len(owners)))).alias("level"),
        pl.Series(NET_GEX, net, nan_to_null=True),
        pl.Series(GROSS_GEX, gross, nan_to_null=True),
    )
    return frame.filter(pl.col("level").is_not_null() & pl.col(GROSS_GEX).is_not_null()).select(
        "symbol", "expiry", "level", "as_of", NET_GEX, GROSS_GEX
    )


def hedge_flows(strikes: Bells, book_starts: Positions, ratios: Sequence[float]) -> Floats:
    """What hedgers trade if the spot goes to spot × ratio, ₹ crore, − sells.

    Shape (books, ratios), naive convention; NaN for a book of which nothing is known.
    """
    moves = np.log(np.array(ratios, dtype=np.float64))
    return flows_of_books(strikes.terms, strikes.is_known, book_starts, moves)


def with_hedge_flows(owners: pl.DataFrame, strikes: Bells, book_starts: Positions) -> pl.DataFrame:
    """Add ``hedge_flow_up_crore`` and ``hedge_flow_down_crore``, a move of 1 % each way.

    ``owners`` are expiries or symbols, ``book_starts`` which strikes each has.
    """
    values = hedge_flows(strikes, book_starts, tuple(HEDGE_FLOWS.values()))
    return owners.with_columns(
        pl.Series(name, values[:, i], nan_to_null=True) for i, name in enumerate(HEDGE_FLOWS)
    )


def _owners(expiries: pl.DataFrame) -> pl.DataFrame:
    """Expiries and, after each symbol's, the symbol; ``row`` counts all expiries, then symbols."""
    names = ("symbol", "expiry", "spot", "as_of")
    together = symbols(expiries).with_columns(expiry=pl.lit(None, pl.Date)).select(names)
    rows = pl.concat([expiries.select(names), together]).with_row_index("row")
    return rows.sort("symbol", "expiry", nulls_last=True)


def by_symbol(expiries: pl.DataFrame, values: Floats) -> Floats:
    """Sums over each symbol's expiries (axis 0) of what is known; NaN where nothing is."""
    first = symbol_starts(expiries, np.arange(len(expiries) + 1))[:-1]
    if not len(first):
        return values
    is_known = np.isfinite(values)
    sums = np.add.reduceat(np.where(is_known, values, 0.0), first, axis=0)
    counts = np.add.reduceat(is_known.astype(np.int64), first, axis=0)
    return np.where(counts > 0, sums, np.nan)


def warm() -> None:
    """Compile the kernels once and leave them in the cache."""
    terms, known = np.ones((7, 1)), np.ones(1, dtype=np.bool_)
    book, moves = np.array((0, 1), dtype=np.int64), np.zeros(1)
    gex_of_books(terms, known, book, moves)
    flows_of_books(terms, known, book, moves)
