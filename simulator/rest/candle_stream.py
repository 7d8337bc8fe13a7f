"""Candles as the broker writes them, and answers of any length that are never held whole.

Shapes and streaming only; which candles are asked for is ``candle_calls``' and
``expired_calls``' part.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from functools import lru_cache

from aiohttp import web

from market.rules import IST
from simulator.exchange.bulk import Candles

Candle = tuple[str, float, float, float, float, int, int]
Work = Callable[[], Candles]
_HEAD, _TAIL = b'{"status":"success","data":{"candles":[', b"]}}"


def shape(candles: Candles) -> list[Candle]:
    """Candles oldest first, each as start (ISO, IST), open, high, low, close, volume, OI."""
    return [
        (_stamp(start), round(o, 2), round(h, 2), round(low, 2), round(c, 2), volume, interest)
        for start, o, h, low, c, volume, interest in zip(
            candles.starts_ms.tolist(),
            candles.open.tolist(),
            candles.high.tolist(),
            candles.low.tolist(),
            candles.close.tolist(),
            candles.volume_units.tolist(),
            candles.open_interest_units.tolist(),
            strict=True,
        )
    ]


async def newest_first(request: web.Request, work: Iterator[Work]) -> web.StreamResponse:
    """Answer with candles in the broker's envelope, the newest first.

    Args:
        work: makes the candles piece by piece, the newest piece first; each is done in a thread
            and sent before the next one is begun, so that a client who leaves ends the work.
    """
    return await streamed(request, "application/json", _enveloped(work))


async def streamed(
    request: web.Request, content_type: str, chunks: AsyncIterator[bytes]
) -> web.StreamResponse:
    """Send chunks as they come, no faster than the client reads.

    The first chunk is made before the head is sent, so that a failure until then is a proper
    error answer.
    """
    first = await anext(chunks, b"")
    response = web.StreamResponse()
    response.content_type = content_type
    await response.prepare(request)
    await response.write(first)
    async for chunk in chunks:
        await response.write(chunk)
    await response.write_eof()
    return response


async def _enveloped(work: Iterator[Work]) -> AsyncIterator[bytes]:
    # The head goes with the first piece: what fails in it fails before anything was sent.
    lead = _HEAD
    for piece in work:
        text = await asyncio.to_thread(_text, piece)
        if text:
            yield lead + text
            lead = b","
    yield _TAIL if lead == b"," else _HEAD + _TAIL


def _text(work: Work) -> bytes:
    candles = shape(work())[::-1]
    return json.dumps(candles, separators=(",", ":")).encode()[1:-1]


@lru_cache(maxsize=4_096)
def _stamp(start_ms: int) -> str:
    return datetime.fromtimestamp(start_ms / 1000, IST).isoformat()
