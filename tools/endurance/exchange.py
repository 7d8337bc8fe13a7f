"""The simulated exchange in a process of its own, told over its standard input when to load whom.

Run as a module it serves; ``Exchange`` is the other end. Questions and answers are lines of JSON.
What it sends is decided in ``paced``.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from market.rules import rules_for
from optionlake.supervisor import inherited
from simulator.exchange.market import Market
from simulator.server import SimulatorConfig, serve
from tools.endurance.paced import Load, PacedSource, tape
from tools.endurance.schedule import Schedule, steady
from tools.processes import DEADLINE_SECONDS, Process, now_ms

# Frames leave in small bursts, as a broker's do.
_BEAT_SECONDS = 0.01
# For those who read slowly to be handed the end of a load.
_PATIENCE_SECONDS = 60.0
# Until the process that asked knows of the load, too.
_LEAD_MS = 500


class Exchange:
    """A running exchange.

    Attributes:
        url: its REST and assets address.
    """

    def __init__(self, symbols: Sequence[str], log: Path) -> None:
        """Start it.

        Raises:
            RuntimeError: it does not come up.
        """
        with log.open("ab") as output:
            self.process: Process = subprocess.Popen(
                [sys.executable, "-m", "tools.endurance.exchange", ",".join(symbols)],
                env=inherited({}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        self.url = str(self._answer()["url"])

    def begin(self, ticks_per_second: int) -> Schedule:
        """Load everyone who is connected, and who connects later, until ``end``."""
        told = self._ask({"begin": ticks_per_second})
        return Schedule(**{**told, "keys": tuple(told["keys"])})

    def end(self) -> Sequence[int]:
        """End the load: for each of its frames how many ticks were handed to a socket."""
        told: Sequence[int] = self._ask({"end": True})["told"]
        return told

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.communicate(timeout=DEADLINE_SECONDS)

    def _ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        if self.process.stdin is None:
            raise RuntimeError("the exchange has no ear")
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        limit = threading.Timer(DEADLINE_SECONDS, self.process.kill)
        limit.start()
        line = self.process.stdout.readline() if self.process.stdout else b""
        limit.cancel()
        answer: dict[str, Any] = json.loads(line or b'{"error": "it died, or took too long"}')
        if "error" in answer:
            raise RuntimeError(f"the exchange: {answer['error']}")
        return answer


async def _serve(symbols: tuple[str, ...], say: Callable[[object], None]) -> None:
    config = SimulatorConfig(limits=(), symbols=symbols, frame_seconds=_BEAT_SECONDS)
    made: list[PacedSource] = []

    def source_of(market: Market) -> PacedSource:
        made.append(PacedSource(market))
        return made[0]

    async with serve(config, lambda: datetime.now(UTC), source_of) as running:
        say({"url": running.url})
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                say(await _obeyed(json.loads(line), made[0], config))
            except ValueError as error:
                say({"error": str(error)})


async def _obeyed(
    question: Mapping[str, Any], source: PacedSource, config: SimulatorConfig
) -> Mapping[str, object]:
    if "begin" in question:
        plan = steady(source.followed(), question["begin"], 0)
        # A market of its own: this one is asked by the sockets meanwhile.
        market = Market(config.seed, rules_for(config.session), config.symbols)
        entries = await asyncio.to_thread(tape, market, plan.keys, datetime.now(UTC))
        plan = steady(plan.keys, question["begin"], now_ms() + _LEAD_MS)
        source.load = Load(plan, entries)
        return asdict(plan)
    if source.load is None:
        raise ValueError("no load was begun")
    source.load.end = end = source.load.position(datetime.now(UTC))
    await _all_sent(source)
    told = source.load.told[:end].tolist()
    return {"told": told + [0] * (end - len(told))}


async def _all_sent(source: PacedSource) -> None:
    """Wait for clients that read slowly."""
    for _ in range(round(_PATIENCE_SECONDS / _BEAT_SECONDS)):
        if not source.is_behind():
            return
        await asyncio.sleep(_BEAT_SECONDS)


def _say_to(mouth: TextIO) -> Callable[[object], None]:
    def say(answer: object) -> None:
        mouth.write(json.dumps(answer) + "\n")
        mouth.flush()

    return say


if __name__ == "__main__":
    # Whatever else writes to the standard output must not be taken for an answer.
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asyncio.run(_serve(tuple(sys.argv[1].split(",")), _say_to(own)))
