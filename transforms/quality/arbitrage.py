"""Rules of no arbitrage that need no model: Q07–Q12.

All compare executable sides (what one sells at, the bid, against what one buys at, the ask), since
mids of wide quotes give false alarms, and forgive one tick. A crossed quote is Q03's finding and
takes no part in the others. Sources: R. Merton, "Theory of Rational Option Pricing" (1973), for
the bounds and shapes of European options; J. Gatheral and A. Jacquier, "Arbitrage-free SVI
volatility surfaces" (2014), for calendar spreads at equal moneyness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms.layout import floats
from transforms.quality import ladders
from transforms.quality.findings import (
    ERROR,
    EXPIRY,
    WARNING,
    cents,
    findings,
    is_price,
    leg,
    words,
)

_PARITY_ERROR_SHARE = 0.2
# Of the variance: implied volatilities are exact to far less.
_CALENDAR_TOLERANCE = 1e-6
_STRIKE = (*EXPIRY, "strike")
_TERMS = (
    "forward",
    "spot",
    "years_to_expiry",
    "rate",
    "implied_volatility_bid",
    "implied_volatility_ask",
)


Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Side:
    """All calls or all puts in the order in which they get cheaper, as ``ladders`` wants them.

    Attributes:
        name: ``call`` or ``put``.
        rows: of each option its row in ``Ladder.strikes``.
        x, bid, ask, discount: see ``ladders``.
        starts: where each expiry's options begin.
    """

    name: str
    rows: Rows
    x: Floats
    bid: Floats
    ask: Floats
    discount: Floats
    starts: Rows


@dataclass(frozen=True, slots=True)
class Ladder:
    """A chain by strike.

    Attributes:
        strikes: one row per strike, sorted by symbol, expiry, strike: ``call_bid``, ``call_ask``,
            ``put_bid``, ``put_ask`` (₹, null if unfit), ``has_call``, ``has_put`` (listed), the
            expiry's ``forward``, ``spot``, ``years_to_expiry``, ``discount`` (null once settled),
            the strike's ``implied_volatility_bid`` and ``…_ask``, ``expiry_id``.
        starts: where each expiry's strikes begin, shape (expiries + 1,).
        sides: the calls and the puts.
    """

    strikes: pl.DataFrame
    starts: Rows
    sides: tuple[Side, Side]

    @property
    def firsts(self) -> pl.DataFrame:
        """The first strike of each expiry, for what is the same in all of them."""
        return self.strikes[self.starts[:-1]]


def ladder(contracts: pl.DataFrame) -> Ladder:
    """The strikes of ``schemas.CONTRACTS`` rows, in any order."""
    fit = is_price("bid_price") & is_price("ask_price")
    is_crossed = fit & (pl.col("bid_price") > pl.col("ask_price"))
    sides = {
        short: pl.when(is_price(name) & ~is_crossed).then(name)
        for short, name in (("bid", "bid_price"), ("ask", "ask_price"))
    }
    rows = contracts.select(*_STRIKE, "is_call", *_TERMS, **sides).sort(*_STRIKE, "is_call")
    rows = rows.with_columns(
        pl.struct(EXPIRY).rle_id().alias("expiry_id"), pl.struct(_STRIKE).rle_id().alias("id")
    )
    strikes = _first_of_each(rows).drop("bid", "ask", "is_call")
    for side, is_call in (("call", True), ("put", False)):
        own = _first_of_each(rows.filter(pl.col("is_call") == is_call)).select(
            "id",
            pl.lit(True).alias(f"has_{side}"),
            pl.col("bid").alias(f"{side}_bid"),
            pl.col("ask").alias(f"{side}_ask"),
        )
        strikes = strikes.join(own, on="id", how="left", maintain_order="left")
    growth = pl.col("rate") * pl.col("years_to_expiry")
    discounted = strikes.with_columns(
        pl.col("has_call", "has_put").fill_null(False),
        discount=pl.when(pl.col("years_to_expiry") > 0).then((-growth).exp()),
    )
    starts = _starts(discounted)
    return Ladder(discounted, starts, _sides(discounted, starts))


def price_bounds(contracts: pl.DataFrame, tick_rupees: float) -> pl.DataFrame:
    """Q07: an ask below discounted intrinsic value, or a bid above what the option can be worth.

    Bounds of a European option: D·max(±(F − K), 0) ≤ V ≤ D·F (call) or D·K (put).
    """
    is_call, forward, strike = pl.col("is_call"), pl.col("forward"), pl.col("strike")
    discount = (-pl.col("rate") * pl.col("years_to_expiry")).exp()
    gap = pl.when(is_call).then(forward - strike).otherwise(strike - forward)
    lower = discount * gap.clip(lower_bound=0.0)
    upper = discount * pl.when(is_call).then(forward).otherwise(strike)
    is_low = is_price("ask_price") & (pl.col("ask_price") < lower - tick_rupees)
    is_high = is_price("bid_price") & (pl.col("bid_price") > upper + tick_rupees)
    detail = words(
        "{} quoted {} / {} outside [{}, {}]: wrong forward or stale leg?",
        leg(),
        "bid_price",
        "ask_price",
        cents(lower),
        cents(upper),
    )
    return findings(contracts.filter(is_low | is_high), "Q07", ERROR, detail)


def monotone_strikes(chain: Ladder, tick_rupees: float) -> pl.DataFrame:
    """Q08: a call bid above the ask of a call with a lower strike; puts the other way round."""

    def conflicts(side: Side) -> ladders.Conflicts:
        return ladders.monotone_conflicts(side.bid, side.ask, side.starts, _tolerance(tick_rupees))

    return _shape(chain, "Q08", conflicts, "is dearer than a better option")


def vertical_spreads(chain: Ladder, tick_rupees: float) -> pl.DataFrame:
    """Q09: a vertical spread sells for more than the discounted distance of its strikes."""

    def conflicts(side: Side) -> ladders.Conflicts:
        terms = (side.x, side.bid, side.ask, side.discount, side.starts)
        return ladders.vertical_conflicts(*terms, _tolerance(tick_rupees))

    return _shape(chain, "Q09", conflicts, "is worth more than its width")


def butterflies(chain: Ladder, tick_rupees: float) -> pl.DataFrame:
    """Q10: a bid above its two wings' asks, weighted by distance: the butterfly costs less than 0.

    Of all pairs of wings the cheapest counts; strikes need not be even.
    """

    def conflicts(side: Side) -> ladders.Conflicts:
        terms = (side.x, side.bid, side.ask, side.starts)
        return ladders.butterfly_conflicts(*terms, _tolerance(tick_rupees))

    return _shape(chain, "Q10", conflicts, "costs more than its wings together")


def put_call_parity(chain: Ladder, tick_rupees: float) -> pl.DataFrame:
    """Q11: what call and put together sell and buy for does not hold the forward.

    Each strike's [C_bid − P_ask, C_ask − P_bid] must hold D·(F − K) within a tick; an error if over
    20 % of an expiry's strikes do not. If all do, the intervals K + […]/D must still have a point
    in common (within a tick, D·ΔF), or the expiry is told.
    """
    low = pl.col("call_bid") - pl.col("put_ask")
    high = pl.col("call_ask") - pl.col("put_bid")
    strike, discount = pl.col("strike"), pl.col("discount")
    quoted = chain.strikes.with_columns(low=low, high=high).filter(
        pl.col("low").is_not_null() & pl.col("high").is_not_null() & discount.is_not_null()
    )
    fair = discount * (pl.col("forward") - strike)
    tolerance = _tolerance(tick_rupees)
    misses = (fair < pl.col("low") - tolerance) | (fair > pl.col("high") + tolerance)
    bounded = quoted.with_columns(
        fair=fair,
        is_missed=misses.fill_null(False),
        forward_low=strike + pl.col("low") / discount,
        forward_high=strike + pl.col("high") / discount,
    )
    expiries = bounded.group_by("expiry_id", maintain_order=True).agg(
        pl.col(*EXPIRY, "discount").first(),
        share=pl.col("is_missed").mean(),
        forward_low=pl.col("forward_low").max(),
        forward_high=pl.col("forward_high").min(),
    )
    return pl.concat([_missed(bounded, expiries), _apart(expiries, tolerance)])


def calendar_variance(chain: Ladder) -> pl.DataFrame:
    """Q12: total variance σ²T that a nearer expiry is bid at exceeds a later one's ask at ln(K/F).

    Compares each expiry with the symbol's next one; tells the worst strike of each.
    """
    years = pl.col("years_to_expiry")
    points = chain.strikes.select(
        x=(pl.col("strike") / pl.col("forward")).log(),
        low=pl.col("implied_volatility_bid") ** 2 * years,
        high=pl.col("implied_volatility_ask") ** 2 * years,
    )
    x, low, high = (floats(points, name) for name in points.columns)
    symbols = chain.firsts["symbol"]
    has_later = (symbols == symbols.shift(-1)).fill_null(False).to_numpy()
    later = np.where(has_later, np.arange(1, len(has_later) + 1), -1)
    excess, left, right = ladders.calendar_conflicts(
        x, low, high, chain.starts, later, _CALENDAR_TOLERANCE
    )
    rows = np.flatnonzero(excess)
    if not len(rows):
        return findings(chain.strikes.clear(), "Q12", WARNING, pl.lit(""))
    names = ("strike", "expiry")
    conflicts = chain.strikes[rows].with_columns(
        pl.Series("variance", low[rows]),
        pl.Series("excess", excess[rows]),
        *(chain.strikes[n][left[rows]].alias(f"left_{n}") for n in names),
        chain.strikes["strike"][right[rows]].alias("right_strike"),
        pl.len().over("expiry_id").alias("count"),
    )
    worst = conflicts.sort("excess", descending=True, maintain_order=True).unique(
        "expiry_id", keep="first", maintain_order=True
    )
    detail = words(
        "total variance {} bid, {} above that asked for {} between {} and {} ({} such strikes): "
        "stale leg, or a forward of the wrong expiry?",
        pl.col("variance").round(6),
        pl.col("excess").round(6),
        "left_expiry",
        "left_strike",
        "right_strike",
        "count",
    )
    return findings(worst, "Q12", WARNING, detail)


def _tolerance(tick_rupees: float) -> float:
    """A tick; and an allowance for a distance of exactly one, off by rounding."""
    return tick_rupees + 1e-9


def _shape(
    chain: Ladder, rule: str, conflicts: Callable[[Side], ladders.Conflicts], what: str
) -> pl.DataFrame:
    return pl.concat(_blamed(chain, side, rule, conflicts(side), what) for side in chain.sides)


def _blamed(
    chain: Ladder, side: Side, rule: str, conflicts: ladders.Conflicts, what: str
) -> pl.DataFrame:
    row, is_ask, other, count, worst = ladders.blame(*conflicts)
    places = chain.strikes[side.rows[row]]
    if places.is_empty():
        return findings(places, rule, WARNING, pl.lit(""))
    told = places.with_columns(
        pl.Series("which", np.where(is_ask, "ask", "bid")),
        pl.Series("price", np.where(is_ask, side.ask[row], side.bid[row])),
        pl.Series("other", chain.strikes["strike"][side.rows[other]]),
        pl.Series("count", count),
        pl.Series("worst", worst),
    )
    detail = words(
        f"{side.name} {{}} {{}} contradicts {{}} other quotes, worst by ₹{{}} against strike {{}} "
        f"(what is sold {what}): stale leg?",
        "which",
        "price",
        "count",
        cents(pl.col("worst")),
        "other",
    )
    return findings(told, rule, WARNING, detail)


def _sides(strikes: pl.DataFrame, starts: Rows) -> tuple[Side, Side]:
    """Calls by rising strike; puts get cheaper towards lower ones: the same ladder, walked down."""
    rows = np.arange(len(strikes))
    down = np.ascontiguousarray(rows[::-1])
    calls = _side(strikes, "call", rows, starts)
    return calls, _side(strikes, "put", down, np.ascontiguousarray(len(rows) - starts[::-1]))


def _side(strikes: pl.DataFrame, name: str, rows: Rows, starts: Rows) -> Side:
    return Side(
        name=name,
        rows=rows,
        x=floats(strikes, "strike")[rows] * (1.0 if name == "call" else -1.0),
        bid=floats(strikes, f"{name}_bid")[rows],
        ask=floats(strikes, f"{name}_ask")[rows],
        discount=floats(strikes, "discount")[rows],
        starts=starts,
    )


def _missed(bounded: pl.DataFrame, expiries: pl.DataFrame) -> pl.DataFrame:
    missed = bounded.filter("is_missed").join(
        expiries.select("expiry_id", "share"), on="expiry_id", maintain_order="left"
    )
    is_many = pl.col("share") > _PARITY_ERROR_SHARE
    reason = (
        pl.when(is_many)
        .then(pl.lit("wrong spot, unpriced dividend or wrong expiry?"))
        .otherwise(pl.lit("stale leg?"))
    )
    detail = words(
        "call less put trades at [{}, {}] but D(F − K) is {}, as for {} % of the strikes: {}",
        cents(pl.col("low")),
        cents(pl.col("high")),
        cents(pl.col("fair")),
        (100 * pl.col("share")).round(0),
        reason,
    )
    severity = pl.when(is_many).then(pl.lit(ERROR)).otherwise(pl.lit(WARNING))
    return findings(missed, "Q11", severity, detail)


def _apart(expiries: pl.DataFrame, tolerance: float) -> pl.DataFrame:
    """Expiries whose strikes agree with the forward, if there is one, but not with each other."""
    gap = pl.col("discount") * (pl.col("forward_low") - pl.col("forward_high"))
    apart = expiries.filter((pl.col("share") == 0.0) & (gap > tolerance))
    detail = words(
        "strikes bid a forward of {} and ask one of {}: stale leg?",
        cents(pl.col("forward_low")),
        cents(pl.col("forward_high")),
    )
    return findings(apart, "Q11", WARNING, detail, has_strike=False)


def _first_of_each(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter((pl.col("id") != pl.col("id").shift()).fill_null(True))


def _starts(strikes: pl.DataFrame) -> Rows:
    owners = strikes["expiry_id"].to_numpy()
    count = int(owners[-1]) + 1 if len(owners) else 0
    return np.searchsorted(owners, np.arange(count + 1)).astype(np.int64)
