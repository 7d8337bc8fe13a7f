"""The budget: no window ever holds more calls than its limit, across threads and processes."""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time as clock
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.budget import (
    UPSTOX_LIMITS,
    Budget,
    Limit,
    Usage,
    recent_calls,
    seconds_to_wait,
)
from market.errors import ConfigurationError, RateLimited

ROOT = Path(__file__).resolve().parents[2]
EPOCH = 1.8e9

limits = st.lists(
    st.builds(Limit, st.integers(1, 5), st.sampled_from([1, 3, 10, 60])), min_size=1, max_size=3
)
pauses = st.lists(st.floats(0, 5) | st.just(0.0), max_size=40)


@dataclass
class FakeTime:
    """A clock that only sleeping and idling move."""

    now: float = EPOCH
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


def _holds(calls: Sequence[float], limit: Limit, tolerance: float = 1e-6) -> bool:
    """Any ``limit.calls`` + 1 calls in a row span at least the window."""
    spans = zip(calls, calls[limit.calls :], strict=False)
    return all(later - earlier >= limit.seconds - tolerance for earlier, later in spans)


@given(limits, pauses)
def test_rule_never_allows_more_than_n_in_any_window(
    limits: list[Limit], pauses: list[float]
) -> None:
    """However calls are spread, waiting as told keeps every limit, and no more than that."""
    now = EPOCH
    calls: list[float] = []
    for pause in pauses:
        now += pause
        wait = seconds_to_wait(now, calls, limits)
        # A thousandth of a shorter wait lies within the tolerance.
        if wait > 0.01:
            early = now + wait * 0.999
            assert not all(_holds([*calls, early], limit) for limit in limits)
        now += wait
        calls.append(now)
    assert all(_holds(calls, limit) for limit in limits)


@given(st.lists(st.floats(EPOCH - 1e4, EPOCH + 1e4), max_size=30), limits)
def test_wrong_clock_delays_by_one_window_at_most(calls: list[float], limits: list[Limit]) -> None:
    """Call times in the future (the clock was set back) cannot stop a program for hours."""
    counted = recent_calls(EPOCH, calls, limits)
    longest = max(limit.seconds for limit in limits)
    assert counted == sorted(counted)
    assert all(EPOCH - longest < call <= EPOCH for call in counted)
    assert seconds_to_wait(EPOCH, counted, limits) <= longest + 1e-6


@given(limits, st.lists(st.floats(0, 5), min_size=1, max_size=25))
def test_budget_waits_as_the_rule_says(
    tmp_path_factory: pytest.TempPathFactory, limits: list[Limit], pauses: list[float]
) -> None:
    """Through the file, too, every window holds."""
    time = FakeTime()
    path = tmp_path_factory.mktemp("budget") / "calls"
    made: list[float] = []
    for pause in pauses:
        time.now += pause
        Budget(path, limits, spread_seconds=0, clock=time.clock, sleep=time.sleep).acquire()
        made.append(time.now)
    assert all(_holds(made, limit) for limit in limits)


def test_usage_counts_each_window(tmp_path: Path) -> None:
    """Each limit tells what is spent of it; time frees it again."""
    time = FakeTime()
    budget = Budget(
        tmp_path / "new" / "calls", spread_seconds=0, clock=time.clock, sleep=time.sleep
    )
    for _ in range(3):
        budget.acquire()
    time.now += 2
    budget.acquire()
    assert budget.usage() == (Usage(1, 1, 50), Usage(60, 4, 500), Usage(1800, 4, 2000))
    time.now += 1800
    assert [usage.used for usage in budget.usage()] == [0, 0, 0]


def test_the_half_hour_binds(tmp_path: Path) -> None:
    """Called without pause, the broker's limits give 2000 calls, then a wait for the half hour."""
    time = FakeTime()
    budget = Budget(
        tmp_path / "calls", UPSTOX_LIMITS, spread_seconds=0, clock=time.clock, sleep=time.sleep
    )
    for _ in range(2000):
        budget.acquire()
    assert time.now - EPOCH == pytest.approx(3 * 60 + 9, abs=1)
    budget.acquire()
    assert time.now - EPOCH == pytest.approx(1800, abs=1e-3)


def test_impatience_is_an_error_at_once(tmp_path: Path) -> None:
    """A caller with a deadline learns in time what is spent and until when."""
    time = FakeTime()
    budget = Budget(
        tmp_path / "calls", [Limit(1, 100)], spread_seconds=0, clock=time.clock, sleep=time.sleep
    )
    budget.acquire(patience_seconds=0)
    with pytest.raises(RateLimited, match=r"1 of 1 in 100 s.*100 s"):
        budget.acquire(patience_seconds=99)
    assert time.slept == []
    budget.acquire(patience_seconds=100)


@given(
    st.lists(st.tuples(st.floats(0, 3) | st.just(0.0), st.booleans()), max_size=30),
    limits,
)
def test_giving_back_uncounts_exactly_that_call(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[float, bool]],
    limits: list[Limit],
) -> None:
    """What is left is what was really made, and it keeps every window."""
    time = FakeTime()
    budget = Budget(
        tmp_path_factory.mktemp("budget") / "calls",
        limits,
        spread_seconds=0,
        clock=time.clock,
        sleep=time.sleep,
    )
    made: list[float] = []
    for pause, is_made in steps:
        time.now += pause
        permit = budget.acquire()
        if is_made:
            made.append(permit.at)
        else:
            budget.give_back(permit)
    assert all(_holds(made, limit) for limit in limits)
    for usage in budget.usage():
        assert usage.used == sum(at > time.now - usage.seconds for at in made)


def test_a_moved_or_forgotten_call_is_not_given_back(tmp_path: Path) -> None:
    """After the clock was set back nobody knows whose a count is, so all of them stay."""
    time = FakeTime()
    budget = Budget(
        tmp_path / "calls", [Limit(5, 100)], spread_seconds=0, clock=time.clock, sleep=time.sleep
    )
    permit = budget.acquire()
    time.now -= 3600
    budget.acquire()
    budget.give_back(permit)
    assert budget.usage()[0].used == 2
    time.now += 200
    old = budget.acquire()
    time.now += 200
    budget.acquire()
    budget.give_back(old)
    assert budget.usage()[0].used == 1


def test_torn_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """A process killed while writing costs at most its own call."""
    time = FakeTime()
    path = tmp_path / "calls"
    budget = Budget(path, [Limit(5, 100)], spread_seconds=0, clock=time.clock, sleep=time.sleep)
    budget.acquire()
    with path.open("ab") as file:
        file.write(b"\x01\x02\x03")
    assert budget.usage()[0].used == 1
    budget.acquire()
    assert budget.usage()[0].used == 2


def test_unusable_file_names_the_remedy(tmp_path: Path) -> None:
    """A home folder that is a file is the user's to repair."""
    (tmp_path / "home").write_text("")
    with pytest.raises(ConfigurationError, match="home folder"):
        Budget(tmp_path / "home" / "calls").acquire()


SHARED_LIMIT = Limit(5, 0.25)
# The wide limit makes the file remember every call of the test, so that all can be judged.
SHARED = (SHARED_LIMIT, Limit(10_000, 3600))
CALLER = """
import sys
from pathlib import Path
from brokers.budget import Budget, Limit
budget = Budget(Path(sys.argv[1]), [Limit(5, 0.25), Limit(10_000, 3600)], spread_seconds=0)
for _ in range(12):
    budget.acquire()
"""


def test_processes_and_threads_share_one_budget(tmp_path: Path) -> None:
    """Two processes and two threads together keep the limit that one would have to keep."""
    path = tmp_path / "calls"
    processes = [
        subprocess.Popen([sys.executable, "-c", CALLER, str(path)], cwd=ROOT) for _ in range(2)
    ]
    ours = Budget(path, SHARED, spread_seconds=0)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(24):
            pool.submit(ours.acquire)
    assert [process.wait(60) for process in processes] == [0, 0]
    calls = array("d", path.read_bytes()).tolist()
    assert len(calls) == 48
    assert _holds(calls, SHARED_LIMIT)


BURST = Limit(10, 1.0)
BURSTING = """
import socket
import sys
from pathlib import Path
from brokers.budget import Budget, Limit
budget = Budget(Path(sys.argv[1]), [Limit(10, 1.0)], spread_seconds=0.5)
with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as judge:
    for _ in range(12):
        budget.acquire()
        judge.sendall(b"x")
"""


def _arrivals(listener: socket.socket, count: int) -> list[float]:
    """When each byte came, as one who sees nothing but the calls; until everyone has hung up."""
    arrived: list[float] = []
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            selector.register(listener.accept()[0], selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                peer = cast(socket.socket, key.fileobj)
                if told := peer.recv(1):
                    arrived.append(clock.monotonic())
                if not told:
                    selector.unregister(peer)
                    peer.close()
    return arrived


def test_who_is_called_sees_no_window_exceeded(tmp_path: Path) -> None:
    """Three processes burst; a judge outside counts what arrives, whatever our file says.

    Each window is longer than the limit's by what arrivals may be apart, so the judge's holds.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", BURSTING, str(tmp_path / "calls"), port], cwd=ROOT
            )
            for _ in range(3)
        ]
        arrived = _arrivals(listener, len(processes))
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(arrived) == 36
    assert _holds(sorted(arrived), BURST)


def test_windows_are_longer_by_what_arrivals_may_be_apart(tmp_path: Path) -> None:
    """The broker counts when a call arrives; usage still tells of the broker's own windows."""
    time = FakeTime()
    budget = Budget(tmp_path / "calls", [Limit(1, 1)], clock=time.clock, sleep=time.sleep)
    budget.acquire()
    budget.acquire()
    assert time.slept == [pytest.approx(1.1, abs=1e-6)]
    assert budget.usage() == (Usage(1, 1, 1),)
