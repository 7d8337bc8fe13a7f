"""The fault switches, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing

from simulator.control import Control


class _Line:
    def __init__(self) -> None:
        self.seen: list[object] = []

    async def close(self, code: int) -> None:
        self.seen.append(code)

    def abort(self) -> None:
        self.seen.append("abort")

    async def send(self, frame: bytes) -> None:
        self.seen.append(frame)


def _run(action: Callable[[Control], None]) -> list[object]:
    """What one open line sees of an action that is taken on another thread."""

    async def scene() -> list[object]:
        control, line = Control(asyncio.get_running_loop()), _Line()
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


def test_refusals_count_down() -> None:
    """A number of times, or for good until allowed; other symbols are served."""
    with closing(asyncio.new_event_loop()) as loop:
        control = Control(loop)
    control.refuse_chain("NIFTY", 429, times=2)
    assert [control.refusal_of("NIFTY") for _ in range(3)] == [429, 429, None]
    control.refuse_chain("NIFTY")
    assert [control.refusal_of("NIFTY") for _ in range(3)] == [500, 500, 500]
    assert control.refusal_of("SENSEX") is None
    control.allow_chain("NIFTY")
    assert control.refusal_of("NIFTY") is None


def test_pause_holds_everyone_until_resume() -> None:
    """Who waits while paused goes on after."""

    async def scene() -> None:
        control = Control(asyncio.get_running_loop())
        control.pause()
        await asyncio.sleep(0)
        assert control.is_paused
        waiting = asyncio.create_task(control.until_running())
        await asyncio.sleep(0)
        assert not waiting.done()
        control.resume()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(scene())
