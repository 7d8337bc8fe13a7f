"""Minutes from ticks: whole, by the exchange's clock, alike however they are fed."""

from __future__ import annotations

from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.minute_bars import MINUTE_MS, MinuteBars, RawMinute

START_MS = 1_795_572_900_000
Tick = tuple[int, str, float, float]


def made(ticks: list[Tick]) -> list[RawMinute]:
    """The whole minutes of these ticks: (ms after the start, key, ₹, units of the day)."""
    bars = MinuteBars()
    bars.follow(["a", "b"])
    found = [
        m for at, key, price, units in ticks for m in bars.take(key, START_MS + at, price, units)
    ]
    last = ticks[-1][0] if ticks else 0
    return found + bars.close_before(START_MS + last + MINUTE_MS)


def test_by_hand() -> None:
    """Open, high, low, close; volume from the day's count, known from the second minute on."""
    ticks: list[Tick] = [
        (0, "a", 100.0, 50.0),
        (59_999, "a", 99.0, 60.0),
        (60_000, "a", 101.0, 75.0),
        (61_000, "a", 103.0, nan),
        (62_000, "b", 7.0, nan),
        (90_000, "a", 102.0, 100.0),
        (200_000, "a", 104.0, 100.0),
    ]
    first, second = START_MS, START_MS + MINUTE_MS
    found = made(ticks)
    assert isnan(found[0].volume_units)
    assert found[0].starts_ms == first
    assert found[1] == RawMinute("a", second, 101.0, 103.0, 101.0, 102.0, 40.0)
    assert found[2].key == "b"
    assert found[3] == RawMinute("a", START_MS + 180_000, 104.0, 104.0, 104.0, 104.0, 0.0)


def test_what_was_traded_in_a_gap_is_in_no_minute() -> None:
    """A snapshot after a lost connection tells more units: that minute's volume is not known."""
    bars = MinuteBars()
    bars.follow(["a"])
    bars.take("a", START_MS, 100.0, 10.0)
    bars.take("a", START_MS + 60_000, 100.0, 20.0)
    bars.take("a", START_MS + 70_000, nan, 900.0, is_snapshot=True)
    (minute,) = bars.take("a", START_MS + 120_000, 100.0, 905.0)
    assert isnan(minute.volume_units)
    (minute,) = bars.close_before(START_MS + 180_000)
    assert minute.volume_units == 5.0


@pytest.mark.parametrize(
    ("traded_ms", "high"), [(nan, 200.0), (START_MS, 200.0), (START_MS - 1, 100.0)]
)
def test_a_snapshots_price_may_be_old(traded_ms: float, high: float) -> None:
    """It counts unless it is known to be from before the minute, as in the stored minutes."""
    bars = MinuteBars()
    bars.follow(["a"])
    bars.take("a", START_MS, 100.0, nan)
    bars.take("a", START_MS + 1, 200.0, nan, True, traded_ms)
    (minute,) = bars.close_before(START_MS + MINUTE_MS)
    assert minute.high == high


def test_a_count_that_falls_is_a_new_day() -> None:
    """Volume is never negative."""
    ticks: list[Tick] = [(0, "a", 1.0, 9e6), (60_000, "a", 1.0, 5.0), (120_000, "a", 1.0, 8.0)]
    volumes = [m.volume_units for m in made(ticks)]
    assert isnan(volumes[1])
    assert volumes[2] == 3.0


def test_late_and_foreign_ticks_are_left_out() -> None:
    """A minute that is over stays what it was."""
    bars = MinuteBars()
    assert bars.starts_ms is None
    bars.follow(["a"])
    bars.take("a", START_MS + 60_000, 100.0, 1.0)
    assert bars.take("a", START_MS, 500.0, 1.0) == []
    assert bars.take("c", START_MS + 61_000, 500.0, 1.0) == []
    assert bars.late_ticks == 1
    assert [m.high for m in bars.close_before(START_MS + 120_000)] == [100.0]
    assert bars.starts_ms == START_MS + 120_000


TICKS = st.lists(
    st.tuples(
        st.integers(0, 600_000),
        st.sampled_from("ab"),
        st.floats(1, 1000),
        st.integers(0, 10**6).map(float),
    ),
    max_size=60,
).map(sorted)


@given(TICKS)
def test_minutes_hold_what_was_told(ticks: list[Tick]) -> None:
    """Each minute is the ticks of its minute, in order and without a repetition."""
    found = made(ticks)
    assert [(m.starts_ms, m.key) for m in found] == sorted({(m.starts_ms, m.key) for m in found})
    for minute in found:
        own = [p for at, k, p, _ in ticks if k == minute.key and _start(at) == minute.starts_ms]
        assert (minute.open, minute.close) == (own[0], own[-1])
        assert (minute.low, minute.high) == (min(own), max(own))
        assert not minute.volume_units < 0
    assert {(_start(at), key) for at, key, *_ in ticks} == {(m.starts_ms, m.key) for m in found}


@pytest.mark.parametrize("silence_ms", [1, 59_999])
def test_a_minute_is_not_over_before_its_end(silence_ms: int) -> None:
    """By whatever clock."""
    bars = MinuteBars()
    bars.follow(["a"])
    bars.take("a", START_MS, 100.0, 1.0)
    assert bars.close_before(START_MS + silence_ms) == []


def _start(at: int) -> int:
    return START_MS + at // MINUTE_MS * MINUTE_MS
