"""Liveness: a dead line and a mute one are found in time, and no quiet market makes it loop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.rules import AlwaysOpen, Rules
from streaming.feed import Patience
from streaming.liveness import Liveness, Pulse

NOON = datetime(2026, 12, 1, 6, 30, tzinfo=UTC)
TICK_SECONDS = 0.5


def _at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def _made(rules: Rules | None = None) -> Liveness:
    made = Liveness(rules or AlwaysOpen(), Patience())
    made.opened(NOON)
    made.statuses({"NSE_INDEX": "NORMAL_OPEN"})
    return made


def _run(
    made: Liveness,
    seconds: tuple[float, float],
    is_telling: Callable[[float], bool],
    is_answering: Callable[[float], bool] = lambda _: True,
) -> tuple[float, str] | None:
    """Let time pass in looks of half a second; when and why the line was given up."""
    now_s, until_s = seconds
    while now_s < until_s:
        now_s += TICK_SECONDS
        if is_answering(now_s):
            made.heard(_at(now_s))
        if is_telling(now_s):
            made.heard(_at(now_s))
            made.told(_at(now_s), is_update=True)
        if reason := made.verdict(_at(now_s), is_anything_wanted=True):
            return now_s, reason
    return None


def test_a_stall_is_found_within_five_seconds() -> None:
    """Nothing at all any more, not even the answer to a ping."""
    found = _run(_made(), (0, 60), lambda s: s <= 20, lambda s: s <= 20)
    assert found is not None
    assert found[0] <= 25 and found[1].startswith("silent")


def test_indices_that_stop_are_found_within_three_seconds() -> None:
    """The line answers pings, and nothing that ticked each second does."""
    found = _run(_made(), (0, 60), lambda s: s <= 20)
    assert found is not None
    assert found[0] <= 23 and found[1].startswith("mute")


def test_what_never_ticked_each_second_has_no_pulse() -> None:
    """Illiquid keys are given the longer patience, and a first burst proves nothing."""
    slow = _run(_made(), (0, 60), lambda s: s <= 30 and s % 4 == 0)
    assert slow is not None and 28 + 10 <= slow[0] <= 28 + 15
    burst = _run(_made(), (0, 60), lambda s: s <= 3)
    assert burst is not None and 13 <= burst[0] <= 18


def test_a_far_end_that_does_not_answer_either_is_not_called_mute() -> None:
    """Whoever is starved is silent altogether: that has its own, longer patience."""
    found = _run(_made(), (0, 23.5), lambda s: s <= 20, lambda s: s <= 20)
    assert found is None


@pytest.mark.parametrize("word", ["PRE_OPEN_START", "CLOSING_START", "HALTED"])
def test_the_exchanges_word_ends_the_watch(word: str) -> None:
    """In an auction or a halt indices stand still."""
    made = _made()
    assert _run(made, (0, 20), lambda _: True) is None
    made.statuses({"NSE_INDEX": word})
    assert _run(made, (20, 100), lambda _: False) is None


def test_the_end_of_a_session_ends_the_watch() -> None:
    """The last tick of the day is followed by none, with or without a status."""
    made = Liveness(Rules(), Patience())
    # 15:39:50 IST: ten seconds of ticks, then an evening of silence on a line that answers.
    begins_s = (datetime(2026, 12, 1, 10, 9, 50, tzinfo=UTC) - NOON).total_seconds()
    made.opened(_at(begins_s))
    found = _run(made, (begins_s, begins_s + 900), lambda s: s < begins_s + 10)
    assert found is None


def _connects(ticking_seconds: float, hours: float = 1.0) -> int:
    """How often a session reconnects if each connection ticks for a while and then only answers."""
    made, now_s, connects = Liveness(AlwaysOpen(), Patience()), 0.0, 0
    while now_s < hours * 3600:
        connects += 1
        begins_s = now_s
        made.opened(_at(now_s))
        made.told(_at(now_s), is_update=False)
        end_s = begins_s + ticking_seconds
        found = _run(made, (now_s, 2 * hours * 3600), lambda s, e=end_s: s < e)
        assert found is not None
        now_s = found[0]
        made.lost()
    return connects


@given(st.sampled_from([0.0, 2.0, 6.0, 10.0, 30.0, 90.0]))
def test_a_halt_that_nobody_tells_of_makes_no_loop(ticking_seconds: float) -> None:
    """Reconnects thin out: a snapshot is no flow, and each vain verdict doubles the patience."""
    allowed = 20 if ticking_seconds < 5 else 45
    assert _connects(ticking_seconds) < allowed


def test_long_good_times_forgive() -> None:
    """After five steady minutes the next fault is found as quickly as the first."""
    pulse = Pulse()
    pulse.bear_longer()
    pulse.bear_longer()
    for second in range(302):
        pulse.beat(_at(second))
    assert pulse.missed_seconds(_at(304), _at(303)) == 3.0


def test_nothing_is_missed_where_nothing_is_wanted() -> None:
    """A socket without keys has nothing to tell."""
    made = _made()
    assert _run(made, (0, 20), lambda _: True) is None
    made.heard(_at(30))
    assert made.verdict(_at(30), is_anything_wanted=False) is None
