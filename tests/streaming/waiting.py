"""Waiting for something to become true, under a deadline; and running a test in a loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

DEADLINE_SECONDS = 30.0


def run(test: Coroutine[Any, Any, None], seconds: float = 3 * DEADLINE_SECONDS) -> None:
    """Run a test in a loop of its own."""
    asyncio.run(asyncio.wait_for(test, seconds))


async def until(is_true: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    """Poll until it is true; fails at the deadline."""
    async with asyncio.timeout(seconds):
        while not is_true():  # noqa: ASYNC110 - what is watched has no event to wait for
            await asyncio.sleep(0.02)
