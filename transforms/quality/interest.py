"""Rules of open interest and volume, now and since the snapshot before: Q05, Q15–Q18.

Open interest and volume are in units. Strikes that come and go belong in ``series``.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from transforms.quality.findings import ERROR, EXPIRY, WARNING, findings, leg, words

# India's clock is UTC+05:30 all year: days counted in µs are far quicker than dates.
_IST_OFFSET_US = int(timedelta(hours=5, minutes=30) / timedelta(microseconds=1))
_DAY_US = int(timedelta(days=1) / timedelta(microseconds=1))
_IMPOSSIBLE_SHARE = 0.3
_IMPOSSIBLE_MADS = 10
# Brokers renew open interest every three minutes, volume at once: over less the two do not belong
# to the same trades.
_INTEREST_INTERVAL_SECONDS = 180
# A market's own growth never comes near the factor of the smallest lots.
_FLIP_BAND = 1.25
_SMALLEST_FLIP = 5

_EARLIER = (
    "as_of",
    "open_interest_units",
    "volume_units",
    "spot",
    "forward",
    "implied_volatility",
)


def with_earlier(contracts: pl.DataFrame, previous: pl.DataFrame) -> pl.DataFrame:
    """The contracts with ``earlier_…`` from ``context.PREVIOUS``, null for those not in it.

    Adds ``has_earlier`` and ``is_same_day`` (both snapshots on one exchange day).
    """
    known = previous.select(
        "contract_id", *(pl.col(name).alias(f"earlier_{name}") for name in _EARLIER)
    )
    joined = _matched(contracts, known)
    days = [
        (pl.col(name).to_physical() + _IST_OFFSET_US) // _DAY_US
        for name in ("as_of", "earlier_as_of")
    ]
    return joined.with_columns(
        has_earlier=pl.col("earlier_as_of").is_not_null(),
        is_same_day=(days[0] == days[1]).fill_null(False),
    )


def _matched(contracts: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    ids = known["contract_id"]
    # Snapshots of one universe have the same rows in the same order; a search takes far longer.
    if len(ids) == len(contracts) and (ids == contracts["contract_id"]).all():
        return contracts.hstack(known.drop("contract_id"))
    if ids.n_unique() < len(ids):
        known = known.sort("earlier_as_of").unique("contract_id", keep="last")
    return contracts.join(known, on="contract_id", how="left", maintain_order="left")


def zero_over_known(paired: pl.DataFrame) -> pl.DataFrame:
    """Q05: a zero took the place of a known open interest or, within a day, of a known volume.

    Protocols write zero for "not told". Open interest that was really closed out shows in volume.
    """
    units, earlier = pl.col("open_interest_units"), pl.col("earlier_open_interest_units")
    is_closed_out = (_traded() >= earlier).fill_null(False)
    is_lost_interest = (units == 0) & (earlier > 0) & ~is_closed_out
    volume, earlier_volume = pl.col("volume_units"), pl.col("earlier_volume_units")
    is_lost_volume = pl.col("is_same_day") & (volume == 0) & (earlier_volume > 0)
    detail = words(
        "{} open interest {} after {}, volume {} after {}: zero that means not told?",
        leg(),
        units,
        earlier,
        volume,
        earlier_volume,
    )
    return findings(paired.filter(is_lost_interest | is_lost_volume), "Q05", ERROR, detail)


def open_interest(quotes: pl.DataFrame) -> pl.DataFrame:
    """Q15: negative open interest is an error; one that is no multiple of the lot, a warning."""
    units, lot = pl.col("open_interest_units"), pl.col("lot_size_units")
    is_odd = (lot > 0) & (units % lot != 0)
    severity = pl.when(units < 0).then(pl.lit(ERROR)).otherwise(pl.lit(WARNING))
    detail = words(
        "{} open interest {} against lot {}: lots for units, or a lot change?", leg(), units, lot
    )
    return findings(quotes.filter((units < 0) | is_odd), "Q15", severity, detail)


def impossible_changes(paired: pl.DataFrame) -> pl.DataFrame:
    """Q16: open interest changed by more than was traded, and by much.

    Much: over 30 % of what it was and over ten median absolute deviations of its expiry's changes.
    Within a day and over three minutes at least; a zero is Q05's, a flipped unit Q18's finding.
    """
    units, earlier = pl.col("open_interest_units"), pl.col("earlier_open_interest_units")
    moved = paired.with_columns(change=units - earlier, traded=_traded())
    elapsed = (pl.col("as_of") - pl.col("earlier_as_of")).dt.total_seconds()
    is_timely = pl.col("is_same_day") & (elapsed >= _INTEREST_INTERVAL_SECONDS) & (units != 0)
    size = pl.col("change").abs()
    is_untraded = (pl.col("traded") >= 0) & (pl.col("traded") < size)
    suspects = moved.filter(is_timely & is_untraded & (size > _IMPOSSIBLE_SHARE * earlier))
    if suspects.is_empty():
        return findings(suspects, "Q16", ERROR, pl.lit(""))
    change = pl.col("change")
    usual = moved.group_by(EXPIRY).agg(mad=(change - change.median()).abs().median())
    judged = suspects.join(usual, on=EXPIRY, maintain_order="left").join(
        _flipped(paired), on=EXPIRY, how="anti", maintain_order="left"
    )
    detail = words(
        "{} open interest {} after {}, but only {} traded: row of another contract, or a late leg?",
        leg(),
        units,
        earlier,
        "traded",
    )
    is_far = size > _IMPOSSIBLE_MADS * pl.col("mad")
    return findings(judged.filter(is_far), "Q16", ERROR, detail)


def volume_resets(paired: pl.DataFrame) -> pl.DataFrame:
    """Q17: a day's volume decreased, so that no spike can be told; zero is Q05's finding."""
    volume, earlier = pl.col("volume_units"), pl.col("earlier_volume_units")
    is_less = pl.col("is_same_day") & (volume < earlier) & (volume != 0)
    detail = words("{} volume {} after {}: reset, or a late answer?", leg(), volume, earlier)
    return findings(paired.filter(is_less), "Q17", ERROR, detail)


def unit_flips(paired: pl.DataFrame) -> pl.DataFrame:
    """Q18: an expiry's open interest jumped by a factor near the lot size, up or down.

    Both sums are over the contracts that are known in both snapshots.
    """
    detail = words(
        "open interest {} after {} with lots of {}: lots for units?", "now", "then", "lot"
    )
    return findings(_flipped(paired), "Q18", ERROR, detail, has_strike=False)


def _flipped(paired: pl.DataFrame) -> pl.DataFrame:
    units, earlier = pl.col("open_interest_units"), pl.col("earlier_open_interest_units")
    sums = (
        paired.filter(units.is_not_null() & earlier.is_not_null())
        .group_by(EXPIRY, maintain_order=True)
        .agg(now=units.sum(), then=earlier.sum(), lot=pl.col("lot_size_units").max())
    )
    factor = pl.max_horizontal(
        pl.col("now") / pl.col("then"), pl.col("then") / pl.col("now")
    ) / pl.col("lot")
    is_near = factor.is_between(1 / _FLIP_BAND, _FLIP_BAND)
    is_positive = (pl.col("now") > 0) & (pl.col("then") > 0)
    return sums.filter(is_positive & (pl.col("lot") >= _SMALLEST_FLIP) & is_near)


def _traded() -> pl.Expr:
    """Units traded since the earlier snapshot; null across days or if volume is not known."""
    traded = pl.col("volume_units") - pl.col("earlier_volume_units")
    return pl.when("is_same_day").then(traded)
