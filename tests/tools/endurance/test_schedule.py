"""A load is known from its schedule alone: times are distinct, and every frame is due once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.endurance.schedule import FRAME_TICKS, MOST_FRAMES_PER_SECOND, Schedule, steady

_KEYS = tuple(f"K{number}" for number in range(4_000))
_SCHEDULES = st.builds(
    lambda rate, begin_ms: steady(_KEYS, rate, begin_ms),
    st.integers(1, 200_000),
    st.integers(0, 2_000_000_000_000),
)


@given(_SCHEDULES, st.integers(0, 10_000_000))
def test_no_two_frames_are_due_in_one_millisecond(schedule: Schedule, number: int) -> None:
    """A frame is known by its time."""
    assert schedule.due_ms(number) < schedule.due_ms(number + 1)


@given(_SCHEDULES, st.integers(0, 1_000_000))
def test_position_counts_what_is_due(schedule: Schedule, number: int) -> None:
    """At its time a frame is due, and a millisecond before it is not."""
    at_ms = schedule.due_ms(number)
    assert schedule.position(at_ms) == number + 1
    assert schedule.position(at_ms - 1) == number


@given(_SCHEDULES)
def test_groups_tell_of_every_key_once(schedule: Schedule) -> None:
    """Whole frames only, and none is younger than a millisecond."""
    told = [key for group in range(schedule.groups) for key in schedule.keys_of(group)]
    assert tuple(told) == schedule.keys
    assert len(told) % schedule.frame_ticks == 0
    assert schedule.frame_ticks >= FRAME_TICKS
    assert schedule.frames_per_second <= MOST_FRAMES_PER_SECOND


def test_rate_is_what_was_asked_for() -> None:
    """The two loads of the manual are exact."""
    assert steady(_KEYS, 50_000, 0).ticks_per_second == 50_000
    assert steady(_KEYS, 10_000, 0).ticks_per_second == 10_000


def test_too_few_keys_are_refused() -> None:
    """A frame cannot tell of one key twice."""
    with pytest.raises(ValueError, match="expected at least 50"):
        steady(_KEYS[:49], 1_000, 0)
