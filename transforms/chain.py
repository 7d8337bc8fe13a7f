"""``analyse``: the one composition of all steps, which live, batch, backfill and page call.

Quotes of any symbols and expiries in, conforming frames out. Each step's formula stands in its own
module; nothing is computed twice and nothing is computed here but sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import polars as pl

from market.rules import Rules
from transforms import (
    build_up,
    exposure,
    flips,
    forward,
    greeks,
    held,
    itm,
    max_pain,
    moneyness,
    profile,
    sentiment,
    settlement,
    smile,
    tenor,
    term,
    volatility,
    walls,
)
from transforms.bells import bells, symbol_starts, symbols
from transforms.context import Context
from transforms.layout import Book, beside, lay_out, spread, starts
from transforms.schemas import (
    CONTRACTS,
    EXPIRIES,
    ITM,
    MONEYNESS,
    PROFILES,
    QUOTES,
    STRIKES,
    UNDERLYINGS,
)

# Changes whenever a published number would come out differently from the same quotes.
FORMULA_VERSION = "2"

_OF_EXPIRY = ("forward", "spot", "as_of", "years_to_expiry", "rate", "is_expiry_day", "spot_share")
_REPRICED = (
    "hedge_flow_up_crore",
    "hedge_flow_down_crore",
    "gamma_flip",
    "gamma_flips",
    "gamma_flip_status",
)
_OF_STRIKE = (
    "implied_volatility",
    "iv_status",
    "implied_volatility_bid",
    "implied_volatility_ask",
)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a snapshot says; each frame conforms to the schema of its name and is sorted by key.

    Attributes:
        contracts: ``schemas.CONTRACTS``.
        strikes: ``schemas.STRIKES``.
        expiries: ``schemas.EXPIRIES``.
        underlyings: ``schemas.UNDERLYINGS``.
        itm: ``schemas.ITM``.
        moneyness: ``schemas.MONEYNESS``.
        profiles: ``schemas.PROFILES``; empty unless they were asked for.
    """

    contracts: pl.DataFrame
    strikes: pl.DataFrame
    expiries: pl.DataFrame
    underlyings: pl.DataFrame
    itm: pl.DataFrame
    moneyness: pl.DataFrame
    profiles: pl.DataFrame


def analyse(
    quotes: pl.DataFrame,
    as_of: datetime | None,
    rules: Rules,
    context: Context | None = None,
    *,
    has_profiles: bool = False,
) -> Analysis:
    """Analyse a snapshot.

    Args:
        quotes: ``schemas.QUOTES``, any symbols and expiries, any row order; of two rows for one
            contract the later ``quoted_at`` counts. Spot is the newest one told in each expiry.
        as_of: the instant that is described (aware UTC): time to settlement counts from it. None:
            each symbol is described at its newest quote.
        rules: dated rules for settlement, rate and tick.
        context: what else was known by then.
        has_profiles: whether chains are repriced over a range of spots, for profiles, flips and
            hedging flows; it takes as long as all else, and those are null without it.

    Raises:
        SchemaMismatch: if the quotes, or a frame of the context, do not conform.
        LookAhead: if the context holds a row from after ``as_of``.
    """
    tick = rules.tick_rupees()
    book = lay_out(QUOTES.conform(quotes))
    described = _described(book.expiries) if as_of is None else book.expiries
    expiries = tenor.with_tenor(described, as_of, rules)
    now = _newest_instant(expiries)
    known = (context or Context()).known_at(now)
    expiries = forward.with_forward(book.strikes, expiries, known, tick)
    strikes = spread(book.strikes, expiries, "expiry_id", _OF_EXPIRY)
    strikes = smile.with_volatility(strikes, tick)
    contracts = _contracts(book, expiries, strikes)
    contracts = build_up.with_build_up(contracts, known.previous, now, tick)
    contracts = exposure.with_exposure(contracts)
    strikes = exposure.with_strike_exposure(strikes, contracts)
    expiries = volatility.with_volatility_of_expiries(strikes, contracts, expiries)
    strikes = sentiment.with_sentiment_terms(strikes, expiries)
    expiries = held.with_held(contracts, strikes, expiries)
    expiries = max_pain.with_max_pain(strikes, expiries)
    expiries = _concluded(_summed(strikes, expiries), known, ("symbol", "expiry"))
    expiries = walls.with_walls(expiries, strikes, "expiry_id")
    underlyings = _underlyings(strikes, expiries, known, now)
    profiles = PROFILES.empty()
    if has_profiles:
        expiries, underlyings, profiles = _repriced(strikes, expiries, underlyings)
    else:
        expiries, underlyings = map(_without_repricing, (expiries, underlyings))
    return Analysis(
        CONTRACTS.conform(_versioned(contracts)),
        STRIKES.conform(_versioned(_keyed(strikes, expiries))),
        EXPIRIES.conform(_versioned(expiries)),
        UNDERLYINGS.conform(_versioned(underlyings)),
        ITM.conform(_versioned(itm.next_to_the_money(contracts, strikes, expiries))),
        MONEYNESS.conform(_versioned(moneyness.buckets(contracts, strikes, expiries))),
        PROFILES.conform(_versioned(profiles)),
    )


def _described(expiries: pl.DataFrame) -> pl.DataFrame:
    """Each symbol at its newest quote."""
    return expiries.with_columns(as_of=pl.col("quoted_at").max().over("symbol"))


def _newest_instant(expiries: pl.DataFrame) -> datetime:
    """What was known up to here may be used; of an empty snapshot nothing is."""
    newest = cast("datetime | None", expiries["as_of"].max())
    return newest or datetime.fromtimestamp(0, UTC)


def _contracts(book: Book, expiries: pl.DataFrame, strikes: pl.DataFrame) -> pl.DataFrame:
    owners = expiries.with_columns(settlement.usable_share())
    named = spread(book.contracts, owners, "expiry_id", (*_OF_EXPIRY, "settlement_at"))
    quoted = spread(smile.with_premium(named), strikes, "strike_id", _OF_STRIKE)
    return settlement.with_settlement(greeks.cross_greeks_at(greeks.greeks_at(quoted)))


def _summed(strikes: pl.DataFrame, expiries: pl.DataFrame) -> pl.DataFrame:
    """The expiries with all sums over their strikes."""
    sums = [*sentiment.strike_sums(), *exposure.sums()]
    found = strikes.group_by("expiry_id", maintain_order=True).agg(sums)
    return beside(expiries, found.get_columns()[1:])


def _concluded(sums: pl.DataFrame, known: Context, keys: tuple[str, ...]) -> pl.DataFrame:
    """What follows from sums, of an expiry or of a symbol."""
    ratios = [*sentiment.put_call_ratios(), *sentiment.more_put_call_ratios()]
    with_ratios = sums.with_columns(*ratios, *exposure.conclusions())
    return exposure.with_futures(with_ratios, known.futures, keys)


def _underlyings(
    strikes: pl.DataFrame, expiries: pl.DataFrame, known: Context, now: datetime
) -> pl.DataFrame:
    sums = [*sentiment.expiry_sums(), *exposure.sums(), *held.held_totals()]
    totals = expiries.group_by("symbol", maintain_order=True).agg(sums)
    named = symbols(expiries).join(_nearest(expiries), on="symbol", maintain_order="left")
    joined = beside(named, _concluded(totals, known, ("symbol",)).get_columns()[1:])
    terms = term.with_term(joined, expiries, known, now)
    figures = beside(terms, exposure.expiry_day_figures(expiries).get_columns()[1:])
    ids = expiries.select(symbol_id=pl.col("symbol").rle_id())
    together = walls.by_level(spread(strikes, ids, "expiry_id", ("symbol_id",)), "symbol_id")
    return walls.with_walls(figures, together, "symbol_id")


def _nearest(expiries: pl.DataFrame) -> pl.DataFrame:
    """What an underlying takes from its nearest expiry that has not settled."""
    ahead = expiries.with_columns(has_settled=pl.col("settlement_at") <= pl.col("as_of"))
    nearest = ahead.sort("symbol", "has_settled", "expiry").unique("symbol", keep="first")
    return nearest.select("symbol", "forward", "atm_implied_volatility", nearest_expiry="expiry")


def _repriced(
    strikes: pl.DataFrame, expiries: pl.DataFrame, underlyings: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Expiries and underlyings with flips and hedging flows, and the profiles."""
    shapes = bells(strikes)
    owned = starts(strikes, "expiry_id", len(expiries))
    of_symbols = symbol_starts(expiries, owned)
    profiles = profile.profiles(expiries, shapes, owned)
    priced, together = (
        profile.with_hedge_flows(flips.with_flips(owners, shapes, books), shapes, books)
        for owners, books in ((expiries, owned), (underlyings, of_symbols))
    )
    return priced, together, profiles


def _without_repricing(owners: pl.DataFrame) -> pl.DataFrame:
    dtypes = EXPIRIES.polars
    nothing = (pl.Series(name, [None], dtypes[name]) for name in _REPRICED)
    return beside(owners, [one.new_from_index(0, len(owners)) for one in nothing])


def _keyed(strikes: pl.DataFrame, expiries: pl.DataFrame) -> pl.DataFrame:
    return spread(strikes, expiries, "expiry_id", ("symbol", "expiry"))


def _versioned(frame: pl.DataFrame) -> pl.DataFrame:
    version = pl.Series("formula_version", [FORMULA_VERSION], pl.String)
    return beside(frame, [version.new_from_index(0, len(frame))])
