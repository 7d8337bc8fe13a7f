"""The REST calls that a recording can answer: master, last prices, status, a socket's address.

Everything else is answered as a path that the gateway does not know (404 UDAPI100060), since a
feed's recording says nothing of it: no chains, no candles. Socket frames stand in ``playback``.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from aiohttp import web

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from market.rules import IST
from simulator.access.calls import required, success, worked_out
from simulator.access.guard import Guard, account_of
from simulator.access.refusals import refuse
from simulator.exchange.hours import EXCHANGE_OF_SEGMENT
from simulator.recordings.recording import Recording
from simulator.socket.handshake import SocketServer

Json = dict[str, Any]

RECORDING_PATH = "/simulator/recording"
TRUTH_PATH = "/simulator/truth"
_MOST_KEYS = 500
# Which segment's state is an exchange's; where there are two, both have the same.
_SEGMENT_OF = {exchange: segment for segment, exchange in reversed([*EXCHANGE_OF_SEGMENT.items()])}


class PlaybackCalls:
    """Handlers over a recording and the clock that plays it."""

    def __init__(
        self,
        recording: Recording,
        clock: Callable[[], datetime],
        guard: Guard,
        sockets: SocketServer,
    ) -> None:
        self._recording = recording
        self._clock = clock
        self._guard = guard
        self._sockets = sockets
        self._master_of = cache(self._make_master)

    def routes(self) -> list[web.RouteDef]:
        """The broker's paths that can be answered, and how far playback is."""
        return [
            web.get("/market-quote/instruments/exchange/{file}.json.gz", self._master),
            web.get("/v3/market-quote/ltp", self._guard.bearer(self._last_prices)),
            web.get("/v2/market/status/{exchange}", self._guard.bearer(self._status)),
            web.get("/v3/feed/market-data-feed/authorize", self._guard.bearer(self._authorize)),
            web.get(RECORDING_PATH, self._progress),
            web.get(TRUTH_PATH, _no_truth),
        ]

    async def _master(self, request: web.Request) -> web.StreamResponse:
        file = request.match_info["file"]
        if self._recording.master is None or file not in ("complete", "NSE", "BSE", "MCX"):
            raise web.HTTPNotFound
        body = await asyncio.to_thread(self._master_of, file)
        return web.Response(body=body, content_type="application/gzip")

    def _make_master(self, file: str) -> bytes:
        whole = self._recording.master or b""
        if file == "complete":
            return whole
        rows = [row for row in json.loads(gzip.decompress(whole)) if row.get("exchange") == file]
        return gzip.compress(json.dumps(rows).encode(), compresslevel=6, mtime=0)

    async def _last_prices(self, request: web.Request) -> web.StreamResponse:
        """Keys that were recorded but not told of yet are left out of the answer."""
        keys = list(dict.fromkeys(required(request, "instrument_key").split(",")))
        if len(keys) > _MOST_KEYS:
            raise refuse("UDAPI100043")
        if bad := next((key for key in keys if not self._recording.has(key)), None):
            raise refuse("UDAPI1087", value=bad)
        return await worked_out(lambda: self._quotes(keys))

    def _quotes(self, keys: Sequence[str]) -> Json:
        position = self._recording.position(self._clock())
        told = {key: self._recording.entry(key, position) for key in keys}
        # The broker's names are not on the feed, so the key itself stands for one.
        return {key.replace("|", ":", 1): _quote(key, e) for key, e in told.items() if e}

    async def _status(self, request: web.Request) -> web.StreamResponse:
        exchange = request.match_info["exchange"]
        if exchange not in _SEGMENT_OF:
            raise refuse("UDAPI1089", value=exchange)
        found = self._recording.market_state(self._recording.position(self._clock()))
        frame = wire.FeedResponse.FromString(found[1] if found else b"")
        told = frame.marketInfo.segmentStatus.get(_SEGMENT_OF[exchange])
        if told is None:
            raise refuse("UDAPI100060", value=request.path)
        name = wire.MarketStatus.Name(told) if told in wire.MarketStatus.values() else str(told)
        return success({"exchange": exchange, "status": name, "last_updated": frame.currentTs})

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        address = self._sockets.one_time_address(request, account_of(request))
        # The documentation has one casing, the official client reads the other.
        return success({"authorized_redirect_uri": address, "authorizedRedirectUri": address})

    async def _progress(self, _request: web.Request) -> web.StreamResponse:
        """Where playback is; not part of the broker's protocol."""
        recording, now = self._recording, self._clock()
        return web.json_response(
            {
                "now": now.isoformat(),
                "ist": now.astimezone(IST).isoformat(),
                "first_at": recording.first_at.isoformat(),
                "last_at": recording.last_at.isoformat(),
                "frames": recording.frames,
                "frames_played": recording.position(now),
                "keys": recording.keys,
                "has_master": recording.master is not None,
            }
        )


async def _no_truth(_request: web.Request) -> web.StreamResponse:
    problem = "a recording has no truth beside it; start the exchange without --replay to see one"
    return web.json_response({"error": problem}, status=404)


def _quote(key: str, entry: wire.Feed) -> Json:
    inner = _figures(entry)
    last = inner if isinstance(inner, wire.LTPC) else inner.ltpc
    return {
        "last_price": last.ltp,
        "instrument_token": key,
        "ltq": last.ltq,
        "volume": getattr(inner, "vtt", 0),
        "cp": last.cp,
    }


def _figures(
    entry: wire.Feed,
) -> wire.LTPC | wire.MarketFullFeed | wire.IndexFullFeed | wire.FirstLevelWithGreeks:
    if entry.WhichOneof("FeedUnion") == "firstLevelWithGreeks":
        return entry.firstLevelWithGreeks
    if entry.WhichOneof("FeedUnion") == "fullFeed":
        is_index = entry.fullFeed.WhichOneof("FullFeedUnion") == "indexFF"
        return entry.fullFeed.indexFF if is_index else entry.fullFeed.marketFF
    return entry.ltpc
