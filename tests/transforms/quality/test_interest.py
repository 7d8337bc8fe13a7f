"""Rules of open interest and volume: what two snapshots may say of each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.transforms.quality.sound import LOT, TRUTH, chain_of, previous_of, put_in, told
from transforms.context import PREVIOUS
from transforms.quality import interest

SOUND = chain_of(TRUTH).contracts
MONEY = 24_100.0
DAY = timedelta(days=1)


def paired(
    now: dict[str, object], then: dict[str, object], age: timedelta = timedelta(minutes=5)
) -> pl.DataFrame:
    """The sound chain with one call changed now and, otherwise, in the snapshot before."""
    return interest.with_earlier(
        put_in(SOUND, MONEY, True, **now), previous_of(put_in(SOUND, MONEY, True, **then), age)
    )


def test_earlier_rows_are_found_in_any_order() -> None:
    """By position if they can be, by id if not; of two the newer counts; strangers are ignored."""
    previous = previous_of(SOUND)
    expected = interest.with_earlier(SOUND, previous)
    assert expected["has_earlier"].all() and expected["is_same_day"].all()
    older = previous_of(SOUND.with_columns(volume_units=pl.lit(1)), timedelta(hours=1))
    stranger = previous.head(1).with_columns(contract_id=pl.lit("X-20261229-1-CE"))
    mixed = pl.concat([older, previous, stranger]).sample(fraction=1.0, shuffle=True, seed=2)
    assert_frame_equal(interest.with_earlier(SOUND, mixed), expected)


@pytest.mark.parametrize(("minutes", "is_same"), [(29, True), (30, False)])
def test_days_are_the_exchanges(minutes: int, is_same: bool) -> None:
    """18:30 UTC is midnight in India: what was before it was another day."""
    late = SOUND.with_columns(as_of=pl.lit(datetime(2026, 11, 24, 18, 59, tzinfo=UTC)))
    found = interest.with_earlier(late, previous_of(late, timedelta(minutes=minutes)))
    assert set(found["is_same_day"]) == {is_same}


def test_nothing_before() -> None:
    """Without a snapshot before no contract has an earlier one, and none is of the day."""
    alone = interest.with_earlier(SOUND, PREVIOUS.empty())
    assert not alone["has_earlier"].any() and not alone["is_same_day"].any()


@pytest.mark.parametrize(
    ("now", "then", "is_told"),
    [
        ({"open_interest_units": 0.0}, {}, True),
        ({"open_interest_units": None}, {}, False),
        ({"open_interest_units": 0.0}, {"open_interest_units": 0.0}, False),
        ({"open_interest_units": 0.0}, {"open_interest_units": None}, False),
        ({"open_interest_units": 0.0, "volume_units": 65_130}, {}, False),
        ({"open_interest_units": 0.0, "volume_units": 65_129}, {}, True),
        ({"volume_units": 0}, {}, True),
        ({"volume_units": None}, {}, False),
        ({"volume_units": 0}, {"volume_units": 0}, False),
    ],
)
def test_zero_over_known(now: dict[str, object], then: dict[str, object], is_told: bool) -> None:
    """Q05: a zero is told unless nothing was known, or trading closed all of it out."""
    found = interest.zero_over_known(paired(now, then))
    assert told(found) == ([("Q05", "E", MONEY)] if is_told else [])


def test_a_new_day_begins_without_volume() -> None:
    """Q05, Q17: at 09:15 volume starts again; open interest does not."""
    overnight = paired({"volume_units": 0}, {}, DAY)
    assert interest.zero_over_known(overnight).is_empty()
    assert interest.volume_resets(paired({"volume_units": 65}, {}, DAY)).is_empty()
    lost = paired({"open_interest_units": 0.0}, {}, DAY)
    assert told(interest.zero_over_known(lost)) == [("Q05", "E", MONEY)]


@pytest.mark.parametrize(
    ("units", "severity"), [(-65.0, "E"), (66.0, "W"), (65.0, None), (0.0, None), (None, None)]
)
def test_open_interest(units: float | None, severity: str | None) -> None:
    """Q15: negative, or no multiple of the lot."""
    found = interest.open_interest(put_in(SOUND, MONEY, True, open_interest_units=units))
    assert told(found) == ([("Q15", severity, MONEY)] if severity else [])


def test_open_interest_without_a_lot() -> None:
    """Q15: an unknown lot cannot be broken, a negative count still is."""
    unknown = put_in(SOUND, MONEY, True, open_interest_units=-1.0)
    found = interest.open_interest(unknown.with_columns(lot_size_units=pl.lit(None, pl.Int64)))
    assert told(found) == [("Q15", "E", MONEY)]


@pytest.mark.parametrize(
    ("then", "traded", "is_told"),
    [
        (45_500.0, 65, True),
        (52_000.0, 65, False),
        (45_500.0, 19_499, True),
        (45_500.0, 19_500, False),
        (130_000.0, 65, True),
        (0.0, 65, True),
        (None, 65, False),
    ],
)
def test_impossible_changes(then: float | None, traded: int, is_told: bool) -> None:
    """Q16: from 65 000 units, over 30 % and more than was traded."""
    pair = paired(
        {"volume_units": 1_000 + traded}, {"open_interest_units": then, "volume_units": 1_000}
    )
    found = interest.impossible_changes(pair)
    assert told(found) == ([("Q16", "E", MONEY)] if is_told else [])


@pytest.mark.parametrize(("mads", "is_told"), [(9.5, False), (10.5, True)])
def test_a_change_like_the_others_is_possible(mads: float, is_told: bool) -> None:
    """Q16: where every contract changes by much, ten median absolute deviations are allowed."""
    wave = SOUND.with_columns(
        open_interest_units=65_000.0 + 650.0 * (pl.int_range(pl.len()) % 3 - 1)
    )
    then = put_in(SOUND, MONEY, True, open_interest_units=6_500.0)
    now = put_in(wave, MONEY, True, open_interest_units=6_500.0 + mads * 650.0)
    pair = interest.with_earlier(now, previous_of(then))
    assert told(interest.impossible_changes(pair)) == ([("Q16", "E", MONEY)] if is_told else [])


def test_a_short_interval_says_nothing_of_open_interest() -> None:
    """Q16: brokers renew it every three minutes, so a shorter interval's volume is no measure."""
    then = {"open_interest_units": 6_500.0}
    for seconds, count in ((179, 0), (180, 1)):
        pair = paired({}, then, timedelta(seconds=seconds))
        assert interest.impossible_changes(pair).height == count


@pytest.mark.parametrize(("volume", "is_told"), [(129, True), (130, False), (0, False)])
def test_volume_resets(volume: int, is_told: bool) -> None:
    """Q17: less than the 130 before; zero is told as Q05."""
    found = interest.volume_resets(paired({"volume_units": volume}, {}))
    assert told(found) == ([("Q17", "E", MONEY)] if is_told else [])


@pytest.mark.parametrize("is_up", [True, False])
@pytest.mark.parametrize(
    ("factor", "is_told"), [(LOT, True), (LOT * 1.2, True), (LOT / 1.3, False)]
)
def test_unit_flips(factor: float, is_told: bool, is_up: bool) -> None:
    """Q18: the sum jumps by about the lot, either way; then no single contract is blamed."""
    scaled = SOUND.with_columns(pl.col("open_interest_units") / factor)
    now, then = (SOUND, scaled) if is_up else (scaled, SOUND)
    pair = interest.with_earlier(now, previous_of(then))
    assert told(interest.unit_flips(pair)) == ([("Q18", "E", None)] if is_told else [])
    if is_told:
        assert interest.impossible_changes(pair).is_empty()


def test_no_flip_without_sums() -> None:
    """Q18: nothing, zero and a lot of one unit are no factor."""
    for now, lot in ((None, LOT), (0.0, LOT), (65_000.0, 1), (65_000.0, None)):
        changed = SOUND.with_columns(
            open_interest_units=pl.lit(now, pl.Float64), lot_size_units=pl.lit(lot, pl.Int64)
        )
        assert interest.unit_flips(interest.with_earlier(changed, previous_of(SOUND))).is_empty()
