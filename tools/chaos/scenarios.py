"""Every kind of trouble by name: what is done to the streaming process and what surrounds it.

Each strikes once in a world in which all is well and takes its cause away again. Whether the
process then recovers, and whether the books balance, is asked in ``trial``.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tools.chaos.trial import Clocks, Scenario, Skipped
from tools.chaos.world import World
from tools.processes import until

# How long a fault that only spoils frames lasts.
_SPOILED_SECONDS = 3.0
# Until a frame that is held back has followed the next one.
_LAST_FRAME_SECONDS = 1.0
_LOCKED_SECONDS = 6.0
_AWAY_SECONDS = 15.0
_CUT_SECONDS = 20.0
_LOST_SECONDS = 3.0
_SKEW_MS = -5_000
# What is promised: live again after the network's return, a dead line found, a mute one found.
_BACK_SECONDS = 2.0
_STALL_SECONDS = 5.0
_MUTE_SECONDS = 3.0
_DISK_BYTES = 16 * 1024 * 1024
# What the journal may still write on the full disk.
_ROOM_BYTES = 100_000


def _kill_stream(world: World, clocks: Clocks) -> None:
    clocks.strike()
    world.stream.kill()
    clocks.heal()
    world.stream.start()


def _kill_with_unrecorded_gap(world: World, clocks: Clocks) -> None:
    """The feed is lost and back while the database is away, so only the process knows."""
    clocks.strike()
    world.database.stop()
    _note_database_down(world, clocks)
    before = world.stream.health()["gaps"]
    world.network.refuse()
    _note_feed_lost(world, clocks)
    time.sleep(_LOST_SECONDS)
    world.network.heal()
    until(lambda: world.stream.health().get("gaps", before) > before, "the feed's gap is over")
    world.stream.kill()
    world.start_database()
    clocks.heal()
    world.stream.start()


def _kill_after_reconnect(world: World, clocks: Clocks) -> None:
    """In the moment in which the line is back and hardly anything came on it."""
    clocks.strike()
    world.network.refuse()
    _note_feed_lost(world, clocks)
    epoch = world.stream.health()["epoch"]
    time.sleep(_LOST_SECONDS)
    world.network.heal()
    until(lambda: world.stream.health().get("epoch", epoch) != epoch, "there is a new connection")
    world.stream.kill()
    clocks.heal()
    world.stream.start()


def _kill_database(world: World, clocks: Clocks) -> None:
    clocks.strike()
    world.kill_database()
    _note_database_down(world, clocks)
    world.start_database()
    clocks.heal()


def _restart_database(world: World, clocks: Clocks) -> None:
    clocks.strike()
    world.database.stop()
    _note_database_down(world, clocks)
    world.start_database()
    clocks.heal()


def _database_away(seconds: float, world: World, clocks: Clocks) -> None:
    clocks.strike()
    world.database.stop()
    _note_database_down(world, clocks)
    time.sleep(seconds)
    world.start_database()
    clocks.heal()


def _note_database_down(world: World, clocks: Clocks) -> None:
    until(lambda: world.stream.health().get("database") == "down", "the database's loss is noticed")
    clocks.notice()


def _slow_database(world: World, clocks: Clocks) -> None:
    """Somebody holds the table: every landing waits, none fails."""
    with world.connect() as connection:
        connection.execute("LOCK TABLE tick IN ACCESS EXCLUSIVE MODE")
        clocks.strike()
        time.sleep(_LOCKED_SECONDS)
    clocks.heal()


def _cut_network(world: World, clocks: Clocks) -> None:
    clocks.strike()
    world.network.cut()
    _note_feed_lost(world, clocks)
    time.sleep(max(0.0, _CUT_SECONDS - (time.monotonic() - clocks.struck_at)))
    world.network.heal()
    clocks.heal()


def _refuse_network(world: World, clocks: Clocks) -> None:
    clocks.strike()
    world.network.refuse()
    _note_feed_lost(world, clocks)
    time.sleep(max(0.0, _CUT_SECONDS - (time.monotonic() - clocks.struck_at)))
    world.network.heal()
    clocks.heal()


def _dead_line(name: str, world: World, clocks: Clocks) -> None:
    """The socket stays open and says nothing until the process gives it up by itself."""
    clocks.strike()
    # Once: the connection that follows is a healthy one.
    world.fault(name, times=1)
    _note_feed_lost(world, clocks)
    clocks.heal()
    world.heal()


def _closed(code: int, world: World, clocks: Clocks) -> None:
    _ended(partial(world.fault, "close", code=code, times=1), world, clocks)


def _reset(world: World, clocks: Clocks) -> None:
    _ended(partial(world.fault, "reset", times=1), world, clocks)


def _ended(strike: Callable[[], int], world: World, clocks: Clocks) -> None:
    """The exchange ends the connection; a new one is let in at once."""
    epoch = world.stream.health()["epoch"]
    clocks.strike()
    strike()
    clocks.heal()
    until(lambda: world.stream.health().get("epoch", epoch) != epoch, "there is a new connection")
    world.heal()


def _forbidden(world: World, clocks: Clocks) -> None:
    clocks.strike()
    world.fault("feed_forbidden", times=1)
    world.fault("reset", times=1)
    _note_feed_lost(world, clocks)
    clocks.heal()
    until(world.stream.is_live, "the feed is let in again")
    world.heal()


def _token_death(world: World, clocks: Clocks) -> None:
    """The token dies, the line with it; the process waits, and is started with another one."""
    clocks.strike()
    world.fault("token_death", is_for_all=True)
    world.fault("reset", times=1)
    until(lambda: world.stream.health().get("state") == "waiting_for_token", "the token is missed")
    clocks.notice()
    world.renew_token()
    world.stream.stop()
    clocks.heal()
    world.stream.start()
    until(world.stream.is_live, "the new token is let in")
    world.heal()


def _spoiled(name: str, share: float, world: World, clocks: Clocks) -> None:
    """Frames arrive otherwise than they were sent."""
    clocks.strike()
    # It ends by itself: one that is taken away takes the frame along that it holds back.
    world.fault(name, share=share, lasts=f"{_SPOILED_SECONDS:g}s")
    time.sleep(_SPOILED_SECONDS + _LAST_FRAME_SECONDS)
    world.heal()
    clocks.heal()


def _big_snapshot(world: World, clocks: Clocks) -> None:
    world.fault("big_snapshot")
    _reset(world, clocks)


@contextlib.contextmanager
def _small_disk(world: World) -> Iterator[None]:
    """The streaming process keeps its journal on a small file system that nobody else sees."""
    home = world.folder()
    ordinary = world.stream
    with _mounted(home / "journal") as holder:
        inside = Path(f"/proc/{holder}/root{home / 'journal'}")
        ordinary.stop()
        world.stream = world.another_stream(_entering(holder), home, inside)
        world.stream.start()
        until(world.stream.is_well, "the process on the small disk is well")
        try:
            yield
        finally:
            world.stream.stop()
            world.stream = ordinary
            ordinary.start()
            until(ordinary.is_well, "the ordinary process is well again")


@contextlib.contextmanager
def _mounted(folder: Path) -> Iterator[int]:
    """The process that holds a private mount namespace with a small disk at ``folder`` open."""
    folder.mkdir()
    mount = f"mount -t tmpfs -o size={_DISK_BYTES} tmpfs {folder} && echo done && exec sleep 3600"
    with subprocess.Popen(
        ("unshare", "--mount", "sh", "-c", mount),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        try:
            if holder.stdout is None or holder.stdout.readline().strip() != "done":
                raise Skipped("a small file system needs root, which this host does not give")
            yield holder.pid
        finally:
            holder.kill()


def _entering(holder: int) -> tuple[str, ...]:
    return ("nsenter", "--target", str(holder), "--mount")


def _full_disk(world: World, clocks: Clocks) -> None:
    """Somebody fills the disk; the process ends, and is started again once there is room."""
    filler = world.stream.journal / "filler"
    clocks.strike()
    with filler.open("wb") as file:
        room = os.statvfs(filler)
        file.write(bytes(max(0, room.f_bavail * room.f_frsize - _ROOM_BYTES)))
    until(world.stream.has_ended, "the process cannot write and says so by ending")
    clocks.notice()
    filler.unlink()
    clocks.heal()
    world.stream.start()


def _note_feed_lost(world: World, clocks: Clocks) -> None:
    until(lambda: world.stream.health().get("state") != "live", "the feed's loss is noticed")
    clocks.notice()


_CLOSE_CODES = (1000, 1001, 1006, 1011)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("kill_stream", "`kill -9` of the streaming process", _kill_stream),
    Scenario(
        "kill_unrecorded",
        "link lost and back while PostgreSQL is away, then `kill -9`",
        _kill_with_unrecorded_gap,
    ),
    Scenario("kill_reconnected", "`kill -9` right after a reconnect", _kill_after_reconnect),
    Scenario("kill_database", "`kill -9` of PostgreSQL, then a start", _kill_database),
    Scenario("restart_database", "orderly restart of PostgreSQL", _restart_database),
    Scenario(
        "database_away",
        f"PostgreSQL stopped for {_AWAY_SECONDS:g} s",
        partial(_database_away, _AWAY_SECONDS),
    ),
    Scenario("slow_database", f"the hypertable locked for {_LOCKED_SECONDS:g} s", _slow_database),
    Scenario("full_disk", "the journal's disk full", _full_disk, around=_small_disk),
    Scenario(
        "network_cut",
        f"network silent for {_CUT_SECONDS:g} s, no attempt answered",
        _cut_network,
        recovered_within_s=_BACK_SECONDS,
    ),
    Scenario(
        "network_refused",
        f"connections reset, then refused for {_CUT_SECONDS:g} s",
        _refuse_network,
        recovered_within_s=_BACK_SECONDS,
    ),
    Scenario(
        "half_open",
        "half-open socket",
        partial(_dead_line, "half_open"),
        noticed_within_s=_STALL_SECONDS,
    ),
    Scenario(
        "mute",
        "socket with pings and no data",
        partial(_dead_line, "mute"),
        noticed_within_s=_MUTE_SECONDS,
    ),
    *(
        Scenario(f"close_{code}", f"closed by the exchange, code {code}", partial(_closed, code))
        for code in _CLOSE_CODES
    ),
    Scenario("reset", "TCP reset", _reset),
    Scenario("feed_forbidden", "403 after a good authorize", _forbidden),
    Scenario("token_death", "dead token, then a new one", _token_death),
    Scenario("garbage", "frames replaced by garbage", partial(_spoiled, "garbage", 0.3)),
    Scenario("truncated", "truncated frames", partial(_spoiled, "truncated", 0.3)),
    Scenario("unknown_type", "frames of an unknown type", partial(_spoiled, "unknown_type", 0.3)),
    Scenario("big_snapshot", "a snapshot past 1 MiB after a reset", _big_snapshot),
    Scenario(
        "clock_skew",
        "frame times 5 s behind",
        partial(_spoiled, "clock_skew", 1.0),
        shifts_ms=(0, _SKEW_MS),
    ),
    Scenario("duplicate", "frames sent twice", partial(_spoiled, "duplicate", 0.5)),
    Scenario("out_of_order", "frames in the wrong order", partial(_spoiled, "out_of_order", 0.5)),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}

# The most telling ones, for the ordinary test suite.
SHORT = ("kill_stream", "kill_database", "half_open", "mute", "close_1011", "garbage")
