"""The switches, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

import pytest

from market.errors import ConfigurationError
from simulator.faults.control import CHAIN_PATH, Control
from simulator.faults.fault import fault
from simulator.faults.injection import Injection, LineView

_NOW = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
_NIFTY = "NSE_INDEX|Nifty 50"


class _Line:
    def __init__(self) -> None:
        self.view = LineView(1, "U", _NOW)
        self.seen: list[object] = []

    async def close(self, code: int) -> None:
        self.seen.append(code)

    def abort(self) -> None:
        self.seen.append("abort")

    async def send(self, frame: bytes) -> None:
        self.seen.append(frame)


def _control(loop: asyncio.AbstractEventLoop) -> Control:
    symbols = {_NIFTY: "NIFTY"}
    return Control(loop, Injection(7, (), _NOW, symbols.get), lambda: _NOW)


def _still() -> Control:
    """Switches whose loop never runs."""
    with closing(asyncio.new_event_loop()) as loop:
        return _control(loop)


def _run(action: Callable[[Control], None]) -> list[object]:
    """What one open line sees of an action that is taken on another thread."""

    async def scene() -> list[object]:
        control, line = _control(asyncio.get_running_loop()), _Line()
        control.lines.add(line)
        await asyncio.to_thread(action, control)
        for _ in range(5):
            await asyncio.sleep(0)
        return line.seen

    return asyncio.run(scene())


def test_sockets_are_reached_from_any_thread() -> None:
    """Close with a code, reset, send as it is."""
    assert _run(lambda control: control.close_sockets(1001)) == [1001]
    assert _run(Control.abort_sockets) == ["abort"]
    assert _run(lambda control: control.send_frame(b"x")) == [b"x"]
    assert len(_run(Control.send_garbage)) == 1
    assert len(_run(Control.send_unknown)) == 1


def _statuses(control: Control, count: int, key: str = _NIFTY) -> list[int | None]:
    answers = [control.injection.on_call(CHAIN_PATH, (key,), _NOW) for _ in range(count)]
    return [None if answer is None else answer.status for answer in answers]


def test_chains_are_refused_so_many_times() -> None:
    """Or for good until allowed; other symbols and other calls are served."""
    control = _still()
    control.refuse_chain("NIFTY", 429, times=2)
    assert _statuses(control, 3) == [429, 429, None]
    control.refuse_chain("NIFTY")
    control.refuse_chain("NIFTY", 503)
    assert _statuses(control, 3) == [503, 503, 503]
    assert _statuses(control, 1, "BSE_INDEX|SENSEX") == [None]
    assert control.injection.on_call("/v3/market-quote/ltp", (_NIFTY,), _NOW) is None
    control.allow_chain("NIFTY")
    control.allow_chain("NIFTY")
    assert _statuses(control, 1) == [None]


def test_a_refusal_has_a_status_of_its_own() -> None:
    """Any other is an error at once."""
    with pytest.raises(ConfigurationError, match="status 404"):
        _still().refuse_chain("NIFTY", 404)


def test_mute_is_a_fault_like_any_other() -> None:
    """On once, however often it is switched on; ended by what ends every fault too."""
    control = _still()
    control.mute()
    control.mute()
    assert control.is_muted
    assert control.injection.on_line(LineView(1, "U", _NOW), _NOW).is_mute
    control.unmute()
    control.unmute()
    assert not control.is_muted
    assert control.injection.states(_NOW) == []
    control.mute()
    control.clear()
    assert not control.is_muted
    control.mute()
    assert control.is_muted


def test_faults_come_and_go_by_number() -> None:
    """The one that was added is the one that is removed."""
    control = _still()
    first, second = control.add(fault("mute")), control.add(fault("quiet"))
    assert control.remove(first)
    assert not control.remove(first)
    assert [state.number for state in control.injection.states(_NOW)] == [second]


def test_pause_holds_everyone_until_resume() -> None:
    """Who waits while paused goes on after."""

    async def scene() -> None:
        control = _control(asyncio.get_running_loop())
        control.pause()
        await asyncio.sleep(0)
        assert control.is_paused
        waiting = asyncio.create_task(control.until_running())
        await asyncio.sleep(0)
        assert not waiting.done()
        control.resume()
        async with asyncio.timeout(5):
            await waiting

    asyncio.run(scene())
