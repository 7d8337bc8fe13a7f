"""The exchange's clocks go forward, at the speed that was asked for, and answer over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigurationError
from simulator.clocks import CLOCK_PATH, MAX_SPEED, FastClock, SteppedClock
from simulator.server import SimulatorConfig
from tests.fix_simulator import DEADLINE_SECONDS, running_simulator

START = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
SPEEDS = st.floats(0, MAX_SPEED)
# Steps of the machine's time and of what is done to the clock in between.
MOVES = st.lists(
    st.tuples(
        st.floats(0, 3600),
        st.one_of(
            st.tuples(st.just("speed"), SPEEDS),
            st.tuples(st.just("advance"), st.floats(0, 86_400)),
            st.tuples(st.just("read"), st.just(0.0)),
        ),
    ),
    max_size=20,
)


class _Machine:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@given(MOVES)
def test_what_is_done_adds_up_and_never_goes_back(moves: list[tuple[float, Any]]) -> None:
    """Each machine second counts ``speed``, each step counts itself, and no reading is earlier."""
    machine = _Machine()
    clock = FastClock(START, 1.0, machine)
    speed, wanted, before = 1.0, START, START
    for passed, (what, value) in moves:
        machine.seconds += passed
        wanted += timedelta(seconds=passed * speed)
        assert before <= clock()
        if what == "speed":
            clock.set_speed(value)
            speed = value
        elif what == "advance":
            clock.advance(timedelta(seconds=value))
            wanted += timedelta(seconds=value)
        before = clock()
        assert before.utcoffset() == timedelta(0)
        assert abs(before - wanted) <= timedelta(seconds=1e-6 * (len(moves) + 1) * 10)


@given(SPEEDS, st.floats(0, 30_000))
def test_speed_is_exact(speed: float, seconds: float) -> None:
    """Whatever the speed, the time shown is the product, not a sum of errors."""
    machine = _Machine()
    clock = FastClock(START, speed, machine)
    machine.seconds = seconds
    assert abs(clock() - START - timedelta(seconds=seconds * speed)) <= timedelta(microseconds=1)


def test_stepped_clock_stands_still() -> None:
    """Two readings are equal until somebody moves it."""
    clock = SteppedClock(START)
    assert clock() == clock() == START
    clock.advance(timedelta(seconds=1.5))
    clock.set(START + timedelta(hours=1))
    assert clock() == START + timedelta(hours=1)


def test_no_way_back() -> None:
    """A step back names both times and the remedy, and leaves the clock where it was."""
    clock = SteppedClock(START)
    with pytest.raises(ConfigurationError, match=r"cannot go back.*--start"):
        clock.set(START - timedelta(seconds=1))
    with pytest.raises(ConfigurationError, match="cannot go back"):
        clock.advance(timedelta(seconds=-1))
    assert clock() == START


@pytest.mark.parametrize("speed", [-1.0, float("nan"), float("inf"), MAX_SPEED * 1.01])
def test_impossible_speeds_are_refused(speed: float) -> None:
    """At the start and later, with the range that is possible."""
    with pytest.raises(ConfigurationError, match=r"expected 0 \(paused\) to 100000"):
        FastClock(START, speed)
    clock = SteppedClock(START)
    with pytest.raises(ConfigurationError, match="expected 0"):
        clock.set_speed(speed)


def test_instants_need_a_zone() -> None:
    """A naive time would mean another instant on every machine."""
    with pytest.raises(ConfigurationError, match="has no zone"):
        FastClock(START.replace(tzinfo=None))


def test_the_clock_over_http_moves_the_whole_exchange() -> None:
    """A step is seen by REST and console at once; pause, step and speed are told back."""
    config = SimulatorConfig(symbols=("NIFTY",))
    with running_simulator(config, SteppedClock(START)) as exchange:
        url = exchange.url + CLOCK_PATH

        def sent(**body: object) -> dict[str, Any]:
            answer = requests.post(url, json=body, timeout=DEADLINE_SECONDS)
            assert answer.status_code == 200, answer.text
            told: dict[str, Any] = answer.json()
            return told

        assert requests.get(url, timeout=DEADLINE_SECONDS).json() == {
            "at": "2026-11-25T03:45:00+00:00",
            "ist": "2026-11-25T09:15:00+05:30",
            "speed": 0.0,
            "is_movable": True,
        }
        assert sent(advance_seconds=90)["ist"] == "2026-11-25T09:16:30+05:30"
        assert sent(at="2026-11-26T10:00:00+05:30")["at"] == "2026-11-26T04:30:00+00:00"
        state = requests.get(exchange.url + "/simulator/state", timeout=DEADLINE_SECONDS).json()
        assert state["now"] == "2026-11-26T04:30:00+00:00"
        assert sent(speed=0.5)["speed"] == 0.5
        assert sent(speed=0)["speed"] == 0


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{}", "send one of"),
        (b"[1]", "send one of"),
        (b"not json", "send one of"),
        (b'{"at": "noon"}', "send one of"),
        (b'{"at": 5}', "send one of"),
        (b'{"advance_seconds": "x"}', "send one of"),
        (b'{"advance_seconds": 1e300}', "send one of"),
        (b'{"advance_seconds": -5}', "cannot go back"),
        (b'{"at": "2020-01-01T00:00:00+00:00"}', "cannot go back"),
        (b'{"at": "2026-12-01T00:00:00"}', "has no zone"),
        (b'{"at": "9999-12-01T00:00:00+00:00"}', "choose an earlier one"),
        (b'{"speed": -1}', "expected 0"),
        (b'{"speed": 1, "advance_seconds": 1}', "send one of"),
    ],
)
def test_a_wrong_wish_is_answered_with_the_remedy(still: str, body: bytes, problem: str) -> None:
    """Nothing that can be sent makes the server fail, and the clock stays."""
    answer = requests.post(still + CLOCK_PATH, data=body, timeout=DEADLINE_SECONDS)
    assert answer.status_code == 400
    assert problem in answer.json()["error"]
    assert requests.get(still + CLOCK_PATH, timeout=DEADLINE_SECONDS).json()["at"] == (
        START.isoformat()
    )


@pytest.fixture(scope="module")
def still() -> Any:
    """Address of an exchange whose clock stands still."""
    with running_simulator(SimulatorConfig(symbols=("NIFTY",)), SteppedClock(START)) as exchange:
        yield exchange.url


def test_real_time_cannot_be_moved() -> None:
    """An exchange in real time says how to get one whose clock obeys."""
    with running_simulator(SimulatorConfig(symbols=("NIFTY",))) as exchange:
        url = exchange.url + CLOCK_PATH
        assert requests.get(url, timeout=DEADLINE_SECONDS).json()["is_movable"] is False
        answer = requests.post(url, json={"speed": 2}, timeout=DEADLINE_SECONDS)
        assert answer.status_code == 400
        assert "--speed" in answer.json()["error"]
