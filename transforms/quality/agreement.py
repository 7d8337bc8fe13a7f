"""Rules that hold one account of the same thing against another: Q26, Q31."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from transforms.aggregates import finite, known_sum, ratio
from transforms.quality.findings import ERROR, EXPIRY, findings, words

_SUMS = ("call_open_interest_units", "put_open_interest_units", "pcr_open_interest", "pcr_volume")
_SUMMED = ("open_interest", "volume")
_PLACES = {"expiry": pl.Date, "strike": pl.Float64}

CONTRACT = (*EXPIRY, "strike", "is_call")
"""What names a contract's row."""


def sums_agree(contracts: pl.DataFrame, expiries: pl.DataFrame) -> pl.DataFrame:
    """Q26: published sums and ratios differ from those of the contracts, summed again."""
    again = _summed_again(contracts)
    both = expiries.join(again, on=EXPIRY, how="left", suffix="_again", maintain_order="left")
    differs = pl.any_horizontal(_differs(pl.col(name), pl.col(f"{name}_again")) for name in _SUMS)
    detail = pl.lit("sums or put-call ratios differ from the contracts': rows lost or doubled")
    return findings(both.filter(differs), "Q26", ERROR, detail, has_strike=False)


def replay_agrees(
    live: pl.DataFrame, replayed: pl.DataFrame, keys: Sequence[str] = CONTRACT
) -> pl.DataFrame:
    """Q31: a live row that its replay does not give, or gives with another number.

    Args:
        live, replayed: the same columns, of one window; equal means equal in every bit.
        keys: what names a row, ``symbol`` first; ``expiry`` and ``strike`` place a violation.
    """
    shared = [name for name in live.columns if name in replayed.columns and name not in keys]
    pairs = live.with_columns(is_live=True).join(
        replayed.with_columns(is_replayed=True),
        on=list(keys),
        how="full",
        suffix="_replayed",
        coalesce=True,
        nulls_equal=True,
        maintain_order="left_right",
    )
    is_lone = pl.col("is_live").is_null() | pl.col("is_replayed").is_null()
    different = [
        pl.when(pl.col(name).ne_missing(pl.col(f"{name}_replayed"))).then(pl.lit(name))
        for name in shared
    ]
    names = pl.concat_str(different, separator=", ", ignore_nulls=True) if shared else pl.lit("")
    place = [pl.lit(None, t).alias(n) for n, t in _PLACES.items() if n not in keys]
    judged = pairs.with_columns(*place, is_lone=is_lone, names=names)
    detail = (
        pl.when(pl.col("is_live").is_null())
        .then(pl.lit("only in the replay: row lost live?"))
        .when(pl.col("is_replayed").is_null())
        .then(pl.lit("only live: message not in the journal?"))
        .otherwise(words("replay differs in {}: other inputs, or a formula changed?", "names"))
    )
    broken = judged.filter(pl.col("is_lone") | (pl.col("names") != ""))
    return findings(broken, "Q31", ERROR, detail)


def _summed_again(contracts: pl.DataFrame) -> pl.DataFrame:
    # A column for each side first: sums of columns are far quicker than sums of filtered groups.
    is_call = pl.col("is_call")
    sides = [
        pl.when(is_side).then(finite(pl.col(f"{what}_units"))).alias(f"{side}_{what}_units")
        for what in _SUMMED
        for side, is_side in (("call", is_call), ("put", ~is_call))
    ]
    sums = contracts.select(*EXPIRY, *sides).group_by(EXPIRY).agg(known_sum(pl.exclude(EXPIRY)))
    ratios = [
        ratio(pl.col(f"put_{what}_units"), pl.col(f"call_{what}_units")).alias(f"pcr_{what}")
        for what in _SUMMED
    ]
    return sums.with_columns(ratios).select(*EXPIRY, *_SUMS)


def _differs(published: pl.Expr, again: pl.Expr) -> pl.Expr:
    """Whether two figures differ by more than summing in another order can explain."""
    is_far = (published - again).abs() > 1e-9 * again.abs().clip(lower_bound=1.0)
    return (published.is_null() != again.is_null()) | is_far.fill_null(False)
