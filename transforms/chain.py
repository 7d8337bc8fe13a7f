"""``analyse``: the one composition of all steps, which live, batch, backfill and page call.

Quotes of any symbols and expiries in, four conforming frames out. Each step's formula stands in its
own module; nothing is computed twice and nothing is computed here but sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from market.rules import Rules
from transforms import exposure, forward, sentiment, smile, tenor, volatility
from transforms.schemas import CONTRACTS, EXPIRIES, QUOTES, STRIKES, UNDERLYINGS

# Changes whenever a published number would come out differently from the same quotes.
FORMULA_VERSION = "1"

_EXPIRY = ("symbol", "expiry")
_STRIKE = ("symbol", "expiry", "strike")
_CONTRACT = ("symbol", "expiry", "strike", "is_call")


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a snapshot says; each frame conforms to the schema of its name and is sorted by key.

    Attributes:
        contracts: ``schemas.CONTRACTS``.
        strikes: ``schemas.STRIKES``.
        expiries: ``schemas.EXPIRIES``.
        underlyings: ``schemas.UNDERLYINGS``.
    """

    contracts: pl.DataFrame
    strikes: pl.DataFrame
    expiries: pl.DataFrame
    underlyings: pl.DataFrame


def analyse(quotes: pl.DataFrame, as_of: datetime, rules: Rules) -> Analysis:
    """Analyse a snapshot.

    Args:
        quotes: ``schemas.QUOTES``, any symbols and expiries, any row order; of two rows for one
            contract the later ``quoted_at`` counts. Spot is the newest one told in each expiry.
        as_of: the instant that is described (aware UTC): time to settlement counts from it.
        rules: dated rules for settlement, rate and tick.

    Raises:
        SchemaMismatch: if the quotes do not conform.
    """
    tick = rules.tick_rupees()
    quoted = tenor.with_tenor(_newest(QUOTES.conform(quotes)), as_of, rules)
    forwards = forward.with_forward(quoted, tick)
    contracts = _contracts(quoted, forwards, tick)
    expiries = _expiries(contracts, forwards)
    return Analysis(contracts, _strikes(contracts), expiries, _underlyings(contracts, expiries))


def _newest(quotes: pl.DataFrame) -> pl.DataFrame:
    """One row per contract, the latest; each expiry's spot is the latest known one."""
    ordered = quotes.sort(*_CONTRACT, "quoted_at", "spot", "last_price", nulls_last=False)
    spots = ordered.sort("quoted_at", "spot", nulls_last=False).group_by(_EXPIRY)
    latest = spots.agg(pl.col("spot").drop_nulls().last())
    kept = ordered.unique(subset=list(_CONTRACT), keep="last", maintain_order=True)
    return kept.drop("spot").join(latest, on=_EXPIRY, how="left", maintain_order="left")


def _contracts(quoted: pl.DataFrame, forwards: pl.DataFrame, tick_rupees: float) -> pl.DataFrame:
    prices = forwards.select(*_EXPIRY, "forward")
    joined = quoted.join(prices, on=_EXPIRY, how="left", maintain_order="left")
    priced = smile.with_volatility(smile.with_premium(joined), tick_rupees)
    return CONTRACTS.conform(priced.with_columns(exposure.gex_crore_per_percent(), _version()))


def _strikes(contracts: pl.DataFrame) -> pl.DataFrame:
    strikes = contracts.group_by(_STRIKE, maintain_order=True).agg(
        pl.col("as_of", "spot", "formula_version").first(),
        *sentiment.open_interest_sums(),
        *exposure.side_sums(),
    )
    return STRIKES.conform(strikes)


def _expiries(contracts: pl.DataFrame, forwards: pl.DataFrame) -> pl.DataFrame:
    firsts = ("as_of", "settlement_at", "years_to_expiry", "spot", "formula_version")
    sums = contracts.group_by(_EXPIRY, maintain_order=True).agg(pl.col(firsts).first(), *_sums())
    expiries = (
        sums.with_columns(sentiment.put_call_ratios())
        .join(forwards, on=_EXPIRY, how="left", maintain_order="left")
        .join(volatility.at_the_money(contracts), on=_EXPIRY, how="left", maintain_order="left")
    )
    return EXPIRIES.conform(expiries)


def _underlyings(contracts: pl.DataFrame, expiries: pl.DataFrame) -> pl.DataFrame:
    sums = contracts.group_by("symbol", maintain_order=True).agg(*_sums())
    ratios = sums.with_columns(sentiment.put_call_ratios())
    return UNDERLYINGS.conform(ratios.join(_nearest(contracts, expiries), on="symbol", how="left"))


def _nearest(contracts: pl.DataFrame, expiries: pl.DataFrame) -> pl.DataFrame:
    """What an underlying takes from its nearest expiry, and the newest spot of all of them."""
    spots = contracts.sort("quoted_at", "expiry").group_by("symbol", maintain_order=True)
    ahead = expiries.with_columns(has_settled=pl.col("settlement_at") <= pl.col("as_of"))
    nearest = ahead.sort("symbol", "has_settled", "expiry").unique("symbol", keep="first")
    return nearest.select(
        "symbol",
        "as_of",
        "forward",
        "atm_implied_volatility",
        "formula_version",
        nearest_expiry="expiry",
    ).join(spots.agg(pl.col("spot").drop_nulls().last()), on="symbol", how="left")


def _sums() -> list[pl.Expr]:
    return [
        *sentiment.open_interest_sums(),
        *sentiment.volume_sums(),
        *exposure.total_sums(),
        pl.len().alias("contract_count"),
        pl.col("implied_volatility").count().alias("priced_count"),
    ]


def _version() -> pl.Expr:
    return pl.lit(FORMULA_VERSION).alias("formula_version")
