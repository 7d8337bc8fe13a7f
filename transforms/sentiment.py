"""Put-call ratios and the sums behind them.

PCR = Σ put / Σ call, by open interest, by its change since the previous day and by volume; null,
not 0, if the calls do not sum to more than nothing. Scopes: an expiry, its strikes near the money,
and all expiries of an underlying. (A broker's own "pcr" may be of each strike, as Upstox's is: it
is not comparable with any of these.) How a ratio is to be read is the page's choice and does not
belong here.

One pass over the strikes gives an expiry's sums (``strike_sums``), one over the expiries an
underlying's (``expiry_sums``). The sums over contracts say the same by another way, for checks.
"""

from __future__ import annotations

from functools import cache

import polars as pl

from transforms.aggregates import known_sum, ratio
from transforms.build_up import open_interest_change
from transforms.moneyness import steps_from_the_money

NEAR_STEPS = 5
"""Listed strikes on each side of the one at the money that count as near."""

_SIDES = ("call", "put")
_SUMMED = ("open_interest_units", "open_interest_change_units", "volume_units")
_NEAR = "near_open_interest_units"


def open_interest_sums() -> list[pl.Expr]:
    """Per group of contracts: open interest of calls and puts, units."""
    return _sides("open_interest_units")


def volume_sums() -> list[pl.Expr]:
    """Per group of contracts: day's volume of calls and puts, units."""
    return _sides("volume_units")


def with_sentiment_terms(
    strikes: pl.DataFrame, expiries: pl.DataFrame, near_steps: int = NEAR_STEPS
) -> pl.DataFrame:
    """Add to each strike what ``strike_sums`` needs beside the legs' own columns.

    Args:
        strikes: ``layout.Book.strikes``.
        expiries: with ``forward`` and ``spot``.
        near_steps: listed strikes on each side of the one at the money that are near.

    Returns:
        The strikes with ``call_`` and ``put_open_interest_change_units`` (since the previous day)
        and ``is_near``, null where no money is known.
    """
    steps = steps_from_the_money(strikes, expiries)
    return strikes.with_columns(
        *(open_interest_change(f"{side}_") for side in _SIDES),
        (steps.abs() <= near_steps).alias("is_near"),
    )


@cache
def strike_sums() -> tuple[pl.Expr, ...]:
    """Per group of strikes with ``with_sentiment_terms``: sums, also near the money, and counts.

    Needs ``implied_volatility`` of the strike: it is that of both legs.
    """
    call, put = (pl.col(f"{side}_row").is_not_null().cast(pl.Int64) for side in _SIDES)
    legs = call + put
    is_priced = pl.col("implied_volatility").is_not_null()
    near = (
        known_sum(pl.when("is_near").then(pl.col(f"{side}_open_interest_units"))).alias(
            f"{side}_{_NEAR}"
        )
        for side in _SIDES
    )
    return (
        *(known_sum(pl.col(name)).alias(name) for name in _summed()),
        *near,
        legs.sum().alias("contract_count"),
        (legs * is_priced).sum().alias("priced_count"),
    )


@cache
def expiry_sums() -> tuple[pl.Expr, ...]:
    """Per group of expiries with ``strike_sums``: the same of a whole underlying."""
    near = (f"{side}_{_NEAR}" for side in _SIDES)
    return (
        *(known_sum(pl.col(name)).alias(name) for name in (*_summed(), *near)),
        pl.col("contract_count", "priced_count").sum(),
    )


@cache
def put_call_ratios() -> tuple[pl.Expr, ...]:
    """Per row of sums: ``pcr_open_interest`` and ``pcr_volume``."""
    return _ratio("open_interest"), _ratio("volume")


@cache
def more_put_call_ratios() -> tuple[pl.Expr, ...]:
    """Per row of sums: ``pcr_open_interest_change`` and ``pcr_near_open_interest``.

    That of the changes is null unless calls were added on balance, and negative if puts were
    closed; the difference of both sums says it where the ratio cannot.
    """
    near = ratio(pl.col(f"put_{_NEAR}"), pl.col(f"call_{_NEAR}"))
    return _ratio("open_interest_change"), near.alias("pcr_near_open_interest")


def _summed() -> list[str]:
    return [f"{side}_{name}" for name in _SUMMED for side in _SIDES]


def _sides(column: str) -> list[pl.Expr]:
    values, is_call = pl.col(column), pl.col("is_call")
    return [
        known_sum(values.filter(is_call)).alias(f"call_{column}"),
        known_sum(values.filter(~is_call)).alias(f"put_{column}"),
    ]


def _ratio(what: str) -> pl.Expr:
    return ratio(pl.col(f"put_{what}_units"), pl.col(f"call_{what}_units")).alias(f"pcr_{what}")
