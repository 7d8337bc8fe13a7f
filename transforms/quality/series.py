"""Rules of what is listed and under which terms: Q19–Q22, Q30.

Listed strikes, expiries, lots, adjusted contracts and the state of a settlement, held against the
dated tables and the snapshot before. Quotes and open interest belong in the other modules.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.rules import Rules
from transforms.columns import WHO, Schema
from transforms.layout import floats
from transforms.quality import ladders
from transforms.quality.arbitrage import Ladder
from transforms.quality.findings import ERROR, EXPIRY, WARNING, findings, words

REQUESTED = Schema("requested", "one row per chain that was asked for", WHO)

_NEAR_STRIKES = 10
# The finest step that an exchange lists is ₹0.25; a finer strike was adjusted.
_FINEST_HUNDREDTHS = 25
# Price after over price before: splits and bonuses from 1:5 to 10:1, and consolidations.
_RATIOS = (1 / 10, 1 / 5, 1 / 4, 1 / 3, 2 / 5, 1 / 2, 3 / 5, 2 / 3, 3 / 4, 4 / 5, 2.0, 5.0, 10.0)
_RATIO_BAND = 0.01
# The canonical id of an option, see ``market.contract``.
_OPTION_ID = r"^(?<symbol>.+)-(?<expiry>\d{8})-(?<strike>[0-9.]+)-(?:CE|PE)$"


def series_of(paired: pl.DataFrame) -> pl.DataFrame:
    """One row per expiry: what is the same, or should be, in all of its contracts.

    Args:
        paired: ``interest.with_earlier``.

    Returns:
        ``symbol``, ``expiry``; ``as_of``, ``rate``, ``years_to_expiry`` (the first); ``spot``,
        ``forward``, ``earlier_spot`` (the first known); ``quoted_at`` (the newest);
        ``least_lot_units``, ``most_lot_units``.
    """
    lot = pl.col("lot_size_units")
    return paired.group_by(EXPIRY, maintain_order=True).agg(
        pl.col("as_of", "rate", "years_to_expiry").first(),
        pl.col("spot", "forward", "earlier_spot").drop_nulls().first(),
        pl.col("quoted_at").max(),
        least_lot_units=lot.min(),
        most_lot_units=lot.max(),
    )


def missing_strikes(chain: Ladder) -> pl.DataFrame:
    """Q19: strikes missing inside a chain, or fewer than ten whole ones on a side of the money.

    A gap is a hole if a finer step is listed farther out. At the money: the strike nearest to the
    forward, else to the spot; a chain without either is not judged.
    """
    nearest = _at_the_money(chain)
    steps = ladders.holes(floats(chain.strikes, "strike"), nearest, chain.starts)
    gaps = chain.strikes.with_columns(
        step=pl.Series(steps), following=pl.col("strike").shift(-1)
    ).filter(pl.col("step") > 0)
    lost = ((pl.col("following") - pl.col("strike")) / pl.col("step")).round() - 1
    placed = gaps.with_columns(strike=pl.col("strike") + pl.col("step"), lost=lost.cast(pl.Int64))
    detail = words(
        "{} strikes missing below {}, where the step is {}: rows lost or not asked for?",
        "lost",
        "following",
        "step",
    )
    found = [findings(placed, "Q19", WARNING, detail), _short_sides(chain, nearest)]
    return pl.concat([*found, _lone_legs(chain, nearest)])


def new_strikes(paired: pl.DataFrame) -> pl.DataFrame:
    """Q19: strikes that the day's earlier snapshot of the expiry did not have."""
    known = pl.col("has_earlier").any().over(EXPIRY)
    if paired["has_earlier"].all():
        return findings(paired.clear(), "Q19", WARNING, pl.lit(""))
    day = pl.col("is_same_day").any().over(EXPIRY)
    new = paired.filter(known & day & ~pl.col("has_earlier"))
    strikes = new.unique([*EXPIRY, "strike"], keep="first", maintain_order=True)
    detail = words("not in the snapshot before: listed during the day, or lost there?")
    return findings(strikes, "Q19", WARNING, detail)


def expired_series(contracts: pl.DataFrame) -> pl.DataFrame:
    """Q20: a series whose settlement has passed is still in the chain."""
    expired = contracts.filter(pl.col("settlement_at") <= pl.col("as_of"))
    series = expired.unique(subset=list(EXPIRY), maintain_order=True)
    detail = words("settled at {}: drop it from the plan", pl.col("settlement_at"))
    return findings(series, "Q20", ERROR, detail, has_strike=False)


def unrequested_series(series: pl.DataFrame, requested: pl.DataFrame) -> pl.DataFrame:
    """Q20: a chain's expiry is not one that was asked for.

    Args:
        series: ``series_of``.
        requested: ``REQUESTED``; symbols that are not in it are not judged.
    """
    asked = requested.group_by("symbol").agg(asked=pl.col("expiry").unique().sort())
    wrong = series.join(requested, on=EXPIRY, how="anti", maintain_order="left").join(
        asked, on="symbol", maintain_order="left"
    )
    dates = pl.col("asked").list.eval(pl.element().dt.to_string("%Y-%m-%d")).list.join(", ")
    detail = words("asked for {}: wrong expiry answered, or dates in another zone?", dates)
    return findings(wrong, "Q20", ERROR, detail, has_strike=False)


def lot_sizes(series: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Q21: a series' lot differs from the dated table's, or within the series.

    Args:
        series: ``series_of``.
    """
    tabled = [rules.lot_units(symbol, expiry) for symbol, expiry in series.select(EXPIRY).rows()]
    told = series.with_columns(pl.Series("tabled", tabled, dtype=pl.Int64))
    least, most = pl.col("least_lot_units"), pl.col("most_lot_units")
    is_other = (least != most) | (least != pl.col("tabled")) | (most != pl.col("tabled"))
    detail = words(
        "lots from {} to {} against {} in the dated table: a circular that is no row of it yet?",
        least,
        most,
        "tabled",
    )
    return findings(told.filter(is_other), "Q21", WARNING, detail, has_strike=False)


def strike_steps(paired: pl.DataFrame, previous: pl.DataFrame) -> pl.DataFrame:
    """Q21: an expiry's finest strike step differs from that of the snapshot before.

    Args:
        previous: ``context.PREVIOUS``, the same that ``paired`` was made with.
    """
    is_matched = paired["has_earlier"]
    if is_matched.all() and len(paired) == len(previous):
        return findings(paired.clear(), "Q21", WARNING, pl.lit(""))
    gone = previous.select("contract_id").join(
        paired.select("contract_id"), on="contract_id", how="anti"
    )
    place = (*EXPIRY, "strike")
    kept = paired.filter("has_earlier").select(place)
    then = _finest(pl.concat([kept, _options_named(gone["contract_id"])]))
    changed = (
        _finest(paired.select(place))
        .join(then, on=EXPIRY, suffix="_then", maintain_order="left")
        .filter((pl.col("step") - pl.col("step_then")).abs() > 1e-9)
    )
    detail = words("finest strike step {} after {}: a new scheme?", "step", "step_then")
    return findings(changed, "Q21", WARNING, detail, has_strike=False)


def adjusted_strikes(contracts: pl.DataFrame, mapped_symbols: Collection[str]) -> pl.DataFrame:
    """Q22: strikes that no exchange lists by itself: they were adjusted for a corporate action.

    Args:
        mapped_symbols: symbols whose corporate action is accounted for in their history.
    """
    hundredths = pl.col("strike") * 100
    is_adjusted = (hundredths.round() % _FINEST_HUNDREDTHS != 0).fill_null(False)
    odd = contracts.filter(is_adjusted & ~pl.col("symbol").is_in(list(mapped_symbols)))
    series = odd.group_by(EXPIRY, maintain_order=True).agg(
        pl.col("strike").min(), count=pl.col("strike").n_unique()
    )
    detail = words("{} adjusted strikes from here: corporate action not mapped yet?", "count")
    return findings(series, "Q22", ERROR, detail)


def split_gaps(series: pl.DataFrame, mapped_symbols: Collection[str]) -> pl.DataFrame:
    """Q22: the spot moved by the ratio of a split, bonus or consolidation since the last snapshot.

    Volatility ranks and changes of open interest break there until it is mapped.

    Args:
        series: ``series_of``.
        mapped_symbols: as for ``adjusted_strikes``.
    """
    ratio = pl.col("spot") / pl.col("earlier_spot")
    is_split = pl.any_horizontal(
        ratio.is_between(r * (1 - _RATIO_BAND), r * (1 + _RATIO_BAND)) for r in _RATIOS
    )
    is_open = ~pl.col("symbol").is_in(list(mapped_symbols)) & (pl.col("earlier_spot") > 0)
    detail = words(
        "spot {} after {}, {} of it: split or bonus not mapped yet, or spot of another symbol?",
        "spot",
        "earlier_spot",
        ratio.round(4),
    )
    return findings(series.filter(is_open & is_split), "Q22", ERROR, detail, has_strike=False)


def settlement_states(expiries: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Q30: the settlement phase told for an expiry is not the dated tables' one.

    A missing phase is wrong only where the settlement has begun.
    """
    keys = expiries.select("expiry", "as_of", "settlement_phase").unique(maintain_order=True)
    dated = [_phase(rules, expiry, as_of) for expiry, as_of, _ in keys.rows()]
    expected = keys.with_columns(pl.Series("expected", dated, dtype=pl.String))
    both = expiries.join(
        expected,
        on=["expiry", "as_of", "settlement_phase"],
        nulls_equal=True,
        maintain_order="left",
    )
    told = pl.col("settlement_phase").fill_null("before")
    wrong = both.filter(told != pl.col("expected"))
    detail = words(
        "settlement is {} but {} by the dated tables: hours of another date?",
        "settlement_phase",
        "expected",
    )
    return findings(wrong, "Q30", ERROR, detail, has_strike=False)


def _phase(rules: Rules, expiry: date, as_of: datetime) -> str | None:
    try:
        return rules.settlement_phase(expiry, as_of)
    except ValueError:
        # Older than the tables: nothing to hold it against.
        return None


def _at_the_money(chain: Ladder) -> NDArray[np.int64]:
    """Row of each expiry's strike nearest to the forward, else to the spot; −1 without either."""
    centres = chain.firsts.select(centre=pl.coalesce("forward", "spot"))
    strikes = floats(chain.strikes, "strike")
    return ladders.nearest_rows(strikes, floats(centres, "centre"), chain.starts)


def _short_sides(chain: Ladder, nearest: NDArray[np.int64]) -> pl.DataFrame:
    sides = chain.firsts.with_columns(
        pl.Series("is_known", nearest >= 0),
        pl.Series("below", nearest - chain.starts[:-1]),
        pl.Series("above", chain.starts[1:] - 1 - nearest),
    )
    is_short = pl.min_horizontal("below", "above") < _NEAR_STRIKES
    detail = words(
        "{} strikes below and {} above the money, not ten: chain cut off, or a wrong spot?",
        "below",
        "above",
    )
    short = sides.filter(pl.col("is_known") & is_short)
    return findings(short, "Q19", WARNING, detail, has_strike=False)


def _lone_legs(chain: Ladder, nearest: NDArray[np.int64]) -> pl.DataFrame:
    owners = chain.strikes["expiry_id"].to_numpy()
    away = np.abs(np.arange(len(owners)) - nearest[owners])
    is_near = pl.Series((away <= _NEAR_STRIKES) & (nearest[owners] >= 0))
    lone = chain.strikes.filter(is_near & (chain.strikes["has_call"] != chain.strikes["has_put"]))
    side = pl.when("has_call").then(pl.lit("put")).otherwise(pl.lit("call"))
    detail = words("near the money without its {}: row lost or not asked for?", side)
    return findings(lone, "Q19", WARNING, detail)


def _finest(places: pl.DataFrame) -> pl.DataFrame:
    """Each expiry's smallest step between strikes, ₹; expiries with one strike are left out."""
    strikes = places.unique().sort(*EXPIRY, "strike")
    steps = strikes.with_columns(step=pl.col("strike").diff().over(EXPIRY))
    finest = steps.group_by(EXPIRY, maintain_order=True).agg(pl.col("step").min())
    return finest.filter(pl.col("step").is_not_null())


def _options_named(ids: pl.Series) -> pl.DataFrame:
    """Symbol, expiry and strike of canonical ids; what is no option is left out."""
    parts = ids.str.extract_groups(_OPTION_ID).struct.unnest()
    return parts.select(
        "symbol",
        pl.col("expiry").str.to_date("%Y%m%d", strict=False),
        pl.col("strike").cast(pl.Float64, strict=False),
    ).drop_nulls()
