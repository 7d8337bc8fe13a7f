"""Alerts as pages are told them: each once, in order, and none lost unseen."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.alerts import AFRESH, KEPT, NEW, SHOWN, AlertLog
from market.errors import FrameError


def alert(number: int) -> dict[str, Any]:
    """One of a minute."""
    return {"key": f"k{number}", "at_ms": 60_000 * number}


def newest(log_of: int, count: int) -> list[dict[str, Any]]:
    """The feed's message when there are so many."""
    return [alert(n) for n in range(log_of, max(0, log_of - count), -1)]


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=30))
def test_a_page_that_comes_and_goes_gets_each_alert_once(steps: list[tuple[int, bool]]) -> None:
    """Of what it does not get it is told how many they were."""
    log, count, got, missed = AlertLog(kept=10), 0, [], 0
    place = log.place(None, None)
    for more, is_connected in steps:
        count += more
        log.take(newest(count, 20))
        if is_connected:
            told = json.loads(json.dumps(log.since(place)))
            missed += told["missed"]
            got += [a["key"] for a in reversed(told["alerts"])]
            place = log.place(told["run"], told["newest"])
    told = log.since(place)
    got += [a["key"] for a in reversed(told["alerts"])]
    is_first = place == NEW
    assert len(got) == len(set(got))
    assert got == [f"k{n}" for n in range(1, count + 1) if f"k{n}" in set(got)]
    if not is_first and missed == 0 and told["missed"] == 0 and got[:1] == ["k1"]:
        assert len(got) == count


def test_what_no_longer_is_there_is_counted() -> None:
    """A page that slept through more than are kept."""
    log = AlertLog(kept=10)
    log.take(newest(3, 20))
    place = log.place(log.run, log.newest)
    for count in range(4, 30):
        log.take(newest(count, 20))
    told = log.since(place)
    assert (told["missed"], len(told["alerts"]), told["is_resumed"]) == (16, 10, True)


def test_a_new_page_gets_some_and_one_of_another_run_gets_all() -> None:
    """The latter knows best which of them it has."""
    log = AlertLog()
    log.take(newest(700, 700))
    fresh, other = log.since(log.place(None, None)), log.since(log.place("other", 3))
    assert (len(fresh["alerts"]), fresh["missed"]) == (SHOWN, 0)
    assert (len(other["alerts"]), other["is_resumed"]) == (KEPT, False)
    assert log.place(log.run, log.newest + 1) == AFRESH


def test_what_made_room_does_not_come_back() -> None:
    """The feed tells all that it keeps to whoever connects again."""
    log = AlertLog(kept=10)
    log.take(newest(30, 30))
    assert log.newest == 30
    log.take(newest(30, 30))
    assert log.newest == 30
    assert [a["key"] for a in log.newest_first()] == [f"k{n}" for n in range(30, 20, -1)]


@pytest.mark.parametrize("told", [[1], ["x"], [{}], [{"key": 1, "at_ms": 2}], [{"key": "a"}]])
def test_what_is_no_alert_is_refused_whole(told: list[Any]) -> None:
    """Nothing of the message is taken."""
    log = AlertLog()
    with pytest.raises(FrameError, match="a key and an instant"):
        log.take([alert(1), *told])
    assert log.newest == 0


ANYTHING = st.none() | st.integers() | st.text() | st.booleans() | st.floats()


@given(ANYTHING, ANYTHING)
def test_a_strange_place_is_a_frame_error(run: object, after: object) -> None:
    """Fuzz: nothing that a page says raises anything else."""
    with suppress(FrameError):
        AlertLog().since(AlertLog().place(run, after))
