"""The two runs: a long load, and a load through an outage of the database.

What is done, when, and which figures come of it. The processes are ``rig``'s, the books ``books``'.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from tools.endurance.books import Account, Frames, Ints, Ledger, landed_ms
from tools.endurance.figures import Floats, percentile
from tools.endurance.rig import Rig
from tools.endurance.schedule import Schedule
from tools.processes import now_ms

# Memory grows while caches fill: that much of a run is left out of its slope, at most two minutes.
_WARM_SHARE, _MOST_WARM_SECONDS = 0.25, 120.0
_CALM_SECONDS = 10.0
# Before the outage, so that memory is what it is in ordinary running.
_BEFORE_SECONDS = 30.0
_LIVE_LAG_MS = 1_000.0
# For what was received to be landed, on a machine that is busy with other things.
_LANDING_SECONDS = 600.0
_TICKS_LOST_MS = 100.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds that a tick took, over all ticks: median, 99th percentile, longest.

    Attributes:
        longest_at_s: when the longest began, seconds of the run.
    """

    p50: float
    p99: float
    longest: float
    longest_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What came of a load.

    Attributes:
        received: from when the exchange had a tick due until its frame was received.
        durable: from then until its ledger row was written.
        whole: from when the exchange had it due until then.
        commit: of a row of somebody else's in the same database, as its client saw it.
        memory_mb: after the warm-up and at the end.
        slope_mb_per_minute: of the memory between, by least squares.
        cpu_shares: of one core, by process, over the whole load.
    """

    minutes: float
    ticks_per_second: int
    keys: int
    account: Account
    received: Latency
    durable: Latency
    whole: Latency
    commit: Latency
    memory_mb: tuple[float, float]
    slope_mb_per_minute: float
    cpu_shares: dict[str, float]

    @property
    def is_well(self) -> bool:
        """Whether every tick is accounted for."""
        return self.account.is_exact and not self.account.unaccounted


@dataclass(frozen=True, slots=True)
class OutageResult:
    """What came of an outage.

    Attributes:
        backlog: ticks that were due while the database was down.
        first_landing_s: from the database's return until the first landing.
        drained_s: from the first landing until what was landed had just come.
        drain_factor: rows landed a second meanwhile, as a multiple of the live rate.
        memory_mb: before the outage, and the most until it was drained.
        cpu_shares: of one core, by process, while draining.
    """

    minutes: float
    ticks_per_second: int
    keys: int
    is_killed: bool
    account: Account
    backlog: int
    first_landing_s: float
    drained_s: float
    drain_factor: float
    memory_mb: tuple[float, float]
    cpu_shares: dict[str, float]

    @property
    def memory_growth_mb(self) -> float:
        """What the outage cost."""
        return self.memory_mb[1] - self.memory_mb[0]

    @property
    def is_well(self) -> bool:
        """Whether every tick is accounted for; a kill may cost what was on its way."""
        most_ms = _TICKS_LOST_MS if self.is_killed else 0.0
        return self.account.is_exact and self.account.unaccounted_ms <= most_ms


def load(rig: Rig, minutes: float, ticks_per_second: int) -> LoadResult:
    """Load it for so long and draw the balance."""
    seconds = minutes * 60
    schedule = rig.exchange.begin(ticks_per_second)
    begun = time.monotonic()
    rig.wait(seconds, commits=True)
    told, ended = list(rig.exchange.end()), time.monotonic()
    _await_landing(rig)
    rig.say("reading the hypertable")
    sums, frames, book = rig.books(schedule, told)
    durable_at = landed_ms(frames, book)
    warm = begun + min(_MOST_WARM_SECONDS, seconds * _WARM_SHARE)
    read = rig.samples
    since_s = (frames.event_ms - schedule.begin_ms) / 1000
    commit = np.array(rig.commit_ms)
    return LoadResult(
        minutes=minutes,
        ticks_per_second=schedule.ticks_per_second,
        keys=len(schedule.keys),
        account=sums,
        received=_latency(frames.received_ms - frames.event_ms, frames.ticks, since_s),
        durable=_latency(durable_at - frames.received_ms, frames.ticks, since_s),
        whole=_latency(durable_at - frames.event_ms, frames.ticks, since_s),
        commit=_latency(
            commit, np.ones(len(commit), np.int64), np.arange(len(commit), dtype=np.float64)
        ),
        memory_mb=(read.mean_memory(warm, warm + 5), read.mean_memory(ended - 5, ended)),
        slope_mb_per_minute=read.memory_slope(warm, ended),
        cpu_shares=dict(read.cpu_shares(begun, ended)),
    )


def outage(rig: Rig, minutes: float, ticks_per_second: int, *, is_killed: bool) -> OutageResult:
    """Take the database away for so long, give it back, and draw the balance once it is drained."""
    seconds = minutes * 60
    schedule = rig.exchange.begin(ticks_per_second)
    rig.wait(min(_BEFORE_SECONDS, max(_CALM_SECONDS, seconds / 4)))
    down, down_ms = time.monotonic(), now_ms()
    rig.database.stop()
    rig.say("the database is down")
    _live_through(rig, seconds, is_killed=is_killed)
    rig.database.start(lambda _: None)
    back, back_ms = time.monotonic(), now_ms()
    rig.say("the database is back")
    rig.wait(2 * seconds + _LANDING_SECONDS, rig.stream.is_well)
    drained = time.monotonic()
    rig.wait(_CALM_SECONDS)
    told = list(rig.exchange.end())
    _await_landing(rig)
    rig.say("reading the hypertable")
    sums, frames, book = rig.books(schedule, told)
    read = rig.samples
    return OutageResult(
        minutes=minutes,
        ticks_per_second=schedule.ticks_per_second,
        keys=len(schedule.keys),
        is_killed=is_killed,
        account=sums,
        backlog=_due_between(schedule, down_ms, back_ms),
        **_drain(frames, book, back_ms, schedule.ticks_per_second),
        memory_mb=(
            read.mean_memory(down - _CALM_SECONDS / 2, down),
            read.most_memory(down, drained),
        ),
        cpu_shares=dict(read.cpu_shares(back, drained)),
    )


def _live_through(rig: Rig, seconds: float, *, is_killed: bool) -> None:
    if is_killed:
        rig.wait(seconds / 2)
        rig.restart_stream()
        rig.say("the streaming process was killed and started again")
        rig.wait(seconds / 2)
    else:
        rig.wait(seconds)


def _await_landing(rig: Rig) -> None:
    """Everything received by now is landed once something younger is."""
    closed_ms = now_ms() + 500
    rig.wait(_LANDING_SECONDS, lambda: rig.stream.is_well() and rig.newest_ms() > closed_ms)


def _latency(values: Floats, ticks: Ints, at_s: Floats) -> Latency:
    if not len(values):
        return Latency(float("nan"), float("nan"), float("nan"))
    p50, p99 = (percentile(values, ticks.astype(np.float64), share) for share in (0.5, 0.99))
    longest = int(values.argmax())
    return Latency(p50, p99, float(values[longest]), float(at_s[longest]))


def _due_between(schedule: Schedule, begin_ms: int, end_ms: int) -> int:
    return (schedule.position(end_ms) - schedule.position(begin_ms)) * schedule.frame_ticks


def _drain(frames: Frames, book: Ledger, back_ms: int, live_per_second: int) -> dict[str, float]:
    """How fast the database was brought up to date again, from its own ledger."""
    at = landed_ms(frames, book)
    lag = at - frames.received_ms
    is_late = (at > back_ms) & (lag > _LIVE_LAG_MS)
    if not is_late.any():
        return {"first_landing_s": float("nan"), "drained_s": 0.0, "drain_factor": float("nan")}
    first, last = float(at[at > back_ms].min()), float(at[is_late].max())
    # The first batch was under way before its ledger row was written: it is not counted.
    rows = int(frames.ticks[(at > first) & (at <= last)].sum())
    seconds = (last - first) / 1000
    return {
        "first_landing_s": (first - back_ms) / 1000,
        "drained_s": seconds,
        "drain_factor": rows / seconds / live_per_second if seconds else float("nan"),
    }
