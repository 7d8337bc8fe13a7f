"""Rules that one contract's own quote can break: Q03, Q04, Q06, Q13, Q14.

They take ``schemas.QUOTES`` columns only. What several quotes say together belongs in
``arbitrage``.
"""

from __future__ import annotations

import polars as pl

from transforms.quality.findings import (
    ERROR,
    EXPIRY,
    WARNING,
    findings,
    is_price,
    leg,
    words,
)
from transforms.smile import OLDEST_TRADE, WIDEST_SPREAD_RUPEES, WIDEST_SPREAD_SHARE

# In ticks: decimal prices as floats are off by far less, a false step by far more.
_ROUNDING = 1e-6
_NO_DEPTH_SOURCE = "candles"


def crossed_quotes(quotes: pl.DataFrame) -> pl.DataFrame:
    """Q03: bid above ask is an error, bid equal to ask a warning."""
    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    severity = pl.when(bid > ask).then(pl.lit(ERROR)).otherwise(pl.lit(WARNING))
    detail = words("{} bid {} against ask {}: stale side?", leg(), bid, ask)
    return findings(quotes.filter(_is_two_sided() & (bid >= ask)), "Q03", severity, detail)


def one_sided_quotes(quotes: pl.DataFrame) -> pl.DataFrame:
    """Q04: a bid or an ask is missing, or both; once for an expiry that nobody quotes at all.

    A zero counts as missing. Candles have no depth, so they cannot lack any.
    """
    has_none = ~is_price("bid_price") & ~is_price("ask_price")
    lacking = quotes.filter(~_is_two_sided() & (pl.col("source") != _NO_DEPTH_SOURCE))
    if lacking.is_empty():
        return findings(lacking, "Q04", WARNING, pl.lit(""))
    dark = quotes.group_by(EXPIRY, maintain_order=True).agg(is_dark=has_none.all())
    dark = dark.filter("is_dark")
    detail = words(
        "{} quoted {} / {}: {}", leg(), "bid_price", "ask_price", _reason_of_one_side(has_none)
    )
    single = lacking.join(dark, on=EXPIRY, how="anti", maintain_order="left")
    whole = pl.lit("no contract has a bid or an ask: market not open, or depth not asked for?")
    return pl.concat(
        [
            findings(dark, "Q04", WARNING, whole, has_strike=False),
            findings(single, "Q04", WARNING, detail),
        ]
    )


def off_tick_prices(quotes: pl.DataFrame, tick_rupees: float) -> pl.DataFrame:
    """Q06: a bid, ask or last price that is no multiple of the tick."""
    names = ("bid_price", "ask_price", "last_price")
    is_off = [(_ticks_off(name, tick_rupees) > _ROUNDING).fill_null(False) for name in names]
    detail = words(
        "{} bid {}, ask {}, last {}: not all multiples of {}: mean price or foreign unit?",
        leg(),
        *names,
        pl.lit(tick_rupees),
    )
    return findings(quotes.filter(pl.any_horizontal(is_off)), "Q06", WARNING, detail)


def wide_spreads(quotes: pl.DataFrame) -> pl.DataFrame:
    """Q13: spread above ₹0.5 and 20 % of the mid: too wide to imply anything from its mid."""
    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    detail = words("{} bid {} against ask {}: hardly anybody quotes it", leg(), bid, ask)
    return findings(quotes.filter(_is_two_sided() & _is_wide()), "Q13", WARNING, detail)


def unusable_last_prices(quotes: pl.DataFrame, tick_rupees: float) -> pl.DataFrame:
    """Q14: a last price that must not be used.

    Either it lies outside bid and ask by more than their spread (a tick at least), or the trade is
    over 60 s old and no fit quote could speak instead: with one, an old trade harms nobody.
    """
    bid, ask, last = pl.col("bid_price"), pl.col("ask_price"), pl.col("last_price")
    # The allowance is for a distance of exactly one spread, off by rounding.
    allowed = (ask - bid).clip(lower_bound=tick_rupees) + 1e-9
    beyond = pl.max_horizontal(bid - last, last - ask) > allowed
    is_outside = _is_two_sided() & (ask >= bid) & beyond
    age = pl.col("quoted_at") - pl.col("last_traded_at")
    seconds = age.dt.total_milliseconds() / 1000
    is_needed = ~_is_two_sided() | _is_wide()
    is_old = (is_needed & (age > OLDEST_TRADE)).fill_null(False)
    reason = pl.when(is_outside).then(pl.lit("stale trade?")).otherwise(pl.lit("no trade since"))
    detail = words(
        "{} last {} against {} / {}, traded {} s before: {}", leg(), last, bid, ask, seconds, reason
    )
    return findings(
        quotes.filter(is_price("last_price") & (is_outside | is_old)), "Q14", WARNING, detail
    )


def _is_two_sided() -> pl.Expr:
    return is_price("bid_price") & is_price("ask_price")


def _is_wide() -> pl.Expr:
    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    widest = pl.max_horizontal(WIDEST_SPREAD_RUPEES, WIDEST_SPREAD_SHARE * 0.5 * (bid + ask))
    # The allowance is for a spread of exactly the widest, off by rounding.
    return (ask - bid > widest + 1e-9).fill_null(False)


def _ticks_off(name: str, tick_rupees: float) -> pl.Expr:
    ticks = pl.col(name) / tick_rupees
    return (ticks - ticks.round()).abs()


def _reason_of_one_side(has_none: pl.Expr) -> pl.Expr:
    return (
        pl.when(has_none)
        .then(pl.lit("no market in it, or zero-padded depth?"))
        .when(is_price("ask_price"))
        .then(pl.lit("worth less than a tick, or zero-padded depth?"))
        .otherwise(pl.lit("nobody sells, or zero-padded depth?"))
    )
