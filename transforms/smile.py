"""Which price a volatility is implied from, and one volatility for each strike.

The out-of-the-money leg speaks for its strike (call for K ≥ F, put below): its time value is all of
its price. Both legs then carry that volatility, so that call and put have the same gamma. If that
leg has no fit price the strike has no volatility, however well the other leg is quoted: parity
would turn the other one's price into the same figure, but with its wider spread, and with any
error of the forward on top. Each contract's own price is chosen by the same rule. Fits over strikes
do not belong here.

The rule: the mid if two-sided and tight (spread at most ₹0.5 or 20 % of the mid); else the last
price, if it traded at most 60 s before the quote was taken and is not more than one spread outside
a two-sided quote; where the trade's instant is not told, only if there is such a quote.
"""

# ruff: noqa: PLR0917 - compiled kernels take their arrays by position.
from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from transforms import black76
from transforms.implied_vol import (
    BELOW_INTRINSIC,
    IV_STATUSES,
    NO_PRICE,
    NO_VEGA,
    OK,
    STALE,
    UNKNOWN_RIGHT,
    implied_volatility_of_rows,
)
from transforms.kernel import compiled
from transforms.layout import beside, columns_of, floats

PREMIUM_SOURCES = ("mid", "last")

WIDEST_SPREAD_RUPEES = 0.5
WIDEST_SPREAD_SHARE = 0.2
# The allowance is for a spread of exactly the widest, off by rounding.
_ROUNDING_RUPEES = 1e-9
OLDEST_TRADE = timedelta(seconds=60)
# A volatility is not identified if ten points of it move the price by less than half a tick.
_TEN_POINTS = 0.1

_LEG = ("bid_price", "ask_price", "last_price", "last_traded_at", "quoted_at")
_STATUS_NAMES = pl.Series("iv_status", IV_STATUSES)

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]


class _Terms(NamedTuple):
    """What a kernel needs beside the premium, each shape (n,)."""

    forward: Floats
    strike: Floats
    years: Floats
    rate: Floats
    right: Codes


def with_premium(contracts: pl.DataFrame) -> pl.DataFrame:
    """Add ``premium`` (₹) and ``premium_source`` (``PREMIUM_SOURCES``), null if none is fit.

    Args:
        contracts: with ``bid_price``, ``ask_price``, ``last_price`` (₹), ``last_traded_at`` and
            ``quoted_at``, null for what is not known; any row order.
    """
    source, premium = _chosen()
    return contracts.with_columns(source).with_columns(premium)


@cache
def _chosen() -> tuple[pl.Expr, pl.Expr]:
    """``premium_source``, and after it ``premium``."""
    bid, ask, last = (pl.col(name) for name in _LEG[:3])
    spread, mid = ask - bid, 0.5 * (bid + ask)
    widest = pl.max_horizontal(pl.lit(WIDEST_SPREAD_RUPEES), WIDEST_SPREAD_SHARE * mid)
    is_tight = _is_two_sided() & (spread <= widest + _ROUNDING_RUPEES)
    slack = spread + _ROUNDING_RUPEES
    is_inside = (last >= bid - slack) & (last <= ask + slack)
    is_recent = pl.col("quoted_at") - pl.col("last_traded_at") <= OLDEST_TRADE
    is_fit = (
        pl.when(_is_two_sided()).then(is_inside & is_recent.fill_null(True)).otherwise(is_recent)
    )
    source = pl.when(is_tight).then(pl.lit("mid")).when(_has_last() & is_fit).then(pl.lit("last"))
    premium = pl.when(premium_source="mid").then(mid).when(premium_source="last").then(last)
    return source.alias("premium_source"), premium.alias("premium")


def with_volatility(strikes: pl.DataFrame, tick_rupees: float) -> pl.DataFrame:
    """Add each strike's volatility, its status and the volatilities of its bid and ask.

    Args:
        strikes: of ``layout.lay_out``, with ``forward`` (₹), ``years_to_expiry`` (525 600 min) and
            ``rate`` (continuous).
        tick_rupees: smallest price step, ₹; a premium within half a tick of intrinsic value, or
            one that hardly moves with volatility, identifies none.

    Returns:
        The strikes with ``implied_volatility`` (fraction per √year), ``iv_status``
        (``IV_STATUSES``; null unless ok; ``stale`` if only an unfit last price is known), and
        ``implied_volatility_bid`` and ``_ask`` of the speaking leg, null unless it is quoted on
        both sides and each by itself identifies one.
    """
    legs = with_premium(_speaking_legs(strikes))
    terms = _terms(legs)
    volatility, codes = _implied(floats(legs, "premium"), terms, tick_rupees)
    has_last = legs.select(_has_last().fill_null(False)).to_series().to_numpy()
    codes[(codes == NO_PRICE) & has_last] = STALE
    quoted = legs.select(pl.when(_is_two_sided()).then(pl.col("bid_price", "ask_price")))
    bid, _ = _implied(floats(quoted, "bid_price"), terms, tick_rupees)
    ask, _ = _implied(floats(quoted, "ask_price"), terms, tick_rupees)
    columns = {
        "implied_volatility": volatility,
        "implied_volatility_bid": bid,
        "implied_volatility_ask": ask,
    }
    return beside(strikes, [*columns_of(columns), _STATUS_NAMES[codes]])


def warm() -> None:
    """Compile this module's kernel and leave it in the cache."""
    one = np.ones(1)
    drop_unidentified(one, np.zeros(1, dtype=np.int8), one, one, one, one, one, 0.05)


def _is_two_sided() -> pl.Expr:
    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    return ((bid > 0) & (ask >= bid) & ask.is_finite()).fill_null(False)


def _has_last() -> pl.Expr:
    last = pl.col("last_price")
    return (last > 0) & last.is_finite()


def _speaking_legs(strikes: pl.DataFrame) -> pl.DataFrame:
    """The out-of-the-money leg of each strike, nulls where it is unlisted."""
    is_call = pl.col("strike") >= pl.col("forward")
    return strikes.select(
        "forward",
        "strike",
        "years_to_expiry",
        "rate",
        is_call.alias("is_call"),
        *(
            pl.when(is_call).then(f"call_{name}").otherwise(f"put_{name}").alias(name)
            for name in _LEG
        ),
    )


def _terms(legs: pl.DataFrame) -> _Terms:
    right = legs["is_call"].cast(pl.Int8).fill_null(UNKNOWN_RIGHT).to_numpy(writable=True)
    names = ("forward", "strike", "years_to_expiry", "rate")
    forward, strike, years, rate = (floats(legs, name) for name in names)
    return _Terms(forward, strike, years, rate, right)


def _implied(premium: Floats, terms: _Terms, tick_rupees: float) -> tuple[Floats, Codes]:
    """Volatility and status code of each out-of-the-money leg at a premium, NaN unless ``OK``."""
    volatility, codes = implied_volatility_of_rows(premium, *terms)
    drop_unidentified(volatility, codes, premium, *terms[:4], 0.5 * tick_rupees)
    return volatility, codes


@compiled
def drop_unidentified(
    volatility: Floats,
    codes: Codes,
    premium: Floats,
    forward: Floats,
    strike: Floats,
    years: Floats,
    rate: Floats,
    half_tick: float,
) -> None:
    """Take back, in place, what a price of an out-of-the-money option does not tell; ₹, years."""
    for i in range(len(codes)):
        if codes[i] != OK:
            continue
        if premium[i] <= half_tick:
            codes[i] = BELOW_INTRINSIC
        else:
            vega = black76.vega(forward[i], strike[i], years[i], rate[i], volatility[i])
            codes[i] = NO_VEGA if vega * _TEN_POINTS < half_tick else OK
        if codes[i] != OK:
            volatility[i] = np.nan
