"""Recording a feed: a client that follows keys and keeps every frame as it came.

Works on the broker and on the simulated exchange alike. Nothing is decoded; a connection that is
lost is opened again and begins a new epoch of the journal. How a recording lies on disk and is
read stands in ``recording``.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from market.errors import AuthenticationError, BrokerUnavailable, ConfigurationError
from simulator.recordings.recording import ABOUT, JOURNAL, MASTER, About
from simulator.socket.wire import MODES
from storage.journal import JournalWriter

_AUTHORIZE_PATH = "/v3/feed/market-data-feed/authorize"
_MASTER_PATH = "/market-quote/instruments/exchange/complete.json.gz"
# Plain answers, as the master is kept as it comes; an agent of its own, as the edge refuses none.
_HEADERS = {"User-Agent": "optionlake/0.1 (recorder)", "Accept-Encoding": "identity"}
_MOST_FRAME_BYTES = 64 * 1024 * 1024
_CALL_SECONDS = 60.0
_PING_SECONDS = 10.0
_LONGEST_DELAY_SECONDS = 30.0
_SYNC_SECONDS = 1.0
_GZIP_MAGIC = b"\x1f\x8b"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to record: the broker's addresses, or a simulated exchange's, and a token for them."""

    api_url: str
    assets_url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to record.

    Attributes:
        keys: the broker's instrument keys.
        mode: one of ``wire.MODES``.
        seconds: for how long; None until told to stop.
    """

    keys: tuple[str, ...]
    mode: str = "full"
    seconds: float | None = None


@dataclass(slots=True)
class Progress:
    """What was recorded so far."""

    frames: int = 0
    size_bytes: int = 0
    connections: int = 0


class Recorder:
    """Records one feed into one folder.

    Args:
        clock: the time of receipt, aware UTC.
        tell: is given the progress after each frame.

    Raises:
        ConfigurationError: for a wish that cannot be, or a folder that holds something.
    """

    def __init__(
        self,
        target: Target,
        wish: Wish,
        folder: Path,
        clock: Callable[[], datetime],
        tell: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        _check(wish, folder)
        self._target = target
        self._wish = wish
        self._folder = folder
        self._clock = clock
        self._tell = tell
        self._progress = Progress()
        self._epoch = 0
        self._about = About(target.api_url, wish.keys, wish.mode, clock())

    async def run(self, stop: asyncio.Event) -> About:
        """Record until the time is over or ``stop`` is set; what the recording says of itself.

        Raises:
            AuthenticationError: the token is refused, at once or later.
            BrokerUnavailable: the first connection cannot be made; later ones are tried for ever.
            JournalError: the disk does not take it.
        """
        timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
        async with aiohttp.ClientSession(
            headers=_HEADERS, timeout=timeout, auto_decompress=False
        ) as http:
            master = await _fetch(http, self._target.assets_url + _MASTER_PATH, {})
            address = await self._authorize(http)
            self._begin(master)
            is_complete = False
            try:
                await self._follow_until(http, address, stop)
                is_complete = True
            finally:
                self._about = replace(self._about, is_complete=is_complete)
                self._write_about()
        return self._about

    async def _follow_until(
        self, http: aiohttp.ClientSession, address: str, stop: asyncio.Event
    ) -> None:
        following = asyncio.create_task(self._follow(http, address))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait(
                (following, stopped),
                timeout=self._wish.seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if following.done():
                await following
        finally:
            await _end(following)
            await _end(stopped)

    def _begin(self, master: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        packed = master if master.startswith(_GZIP_MAGIC) else gzip.compress(master, mtime=0)
        (self._folder / MASTER).write_bytes(packed)
        self._write_about()

    async def _authorize(self, http: aiohttp.ClientSession) -> str:
        """A fresh address; each works once."""
        bearer = {"Authorization": f"Bearer {self._target.token}", "Accept": "application/json"}
        content = await _fetch(http, self._target.api_url + _AUTHORIZE_PATH, bearer)
        try:
            data = json.loads(content)["data"]
            return str(data.get("authorizedRedirectUri") or data["authorized_redirect_uri"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BrokerUnavailable(f"{_AUTHORIZE_PATH} gave no address: {error!r}") from error

    async def _follow(self, http: aiohttp.ClientSession, address: str) -> None:
        """Connect, and connect again; what was recorded stays when a later attempt is refused."""
        failures = 0
        while True:
            before = self._progress.frames
            try:
                await self._converse(http, address or await self._authorize(http))
            except (aiohttp.ClientError, OSError, TimeoutError, BrokerUnavailable) as error:
                if not self._progress.frames:
                    raise BrokerUnavailable(
                        f"the feed cannot be opened: {_reason(error)}"
                    ) from None
                _LOG.warning("recording_interrupted", reason=_reason(error))
            failures = 0 if self._progress.frames > before else failures + 1
            address = ""
            await asyncio.sleep(min(2.0**failures, _LONGEST_DELAY_SECONDS))

    async def _converse(self, http: aiohttp.ClientSession, address: str) -> None:
        async with http.ws_connect(
            address, max_msg_size=_MOST_FRAME_BYTES, heartbeat=_PING_SECONDS
        ) as socket:
            self._epoch = max(_epoch_ns(self._clock()) // 10**6, self._epoch + 1)
            self._progress.connections += 1
            journal = JournalWriter(self._folder / JOURNAL, self._epoch, _SYNC_SECONDS)
            try:
                await socket.send_bytes(_subscription(self._wish))
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        self._keep(journal, message.data)
            finally:
                journal.close()

    def _keep(self, journal: JournalWriter, frame: bytes) -> None:
        now = self._clock()
        journal.append(_epoch_ns(now), frame)
        progress = self._progress
        progress.frames += 1
        progress.size_bytes += len(frame)
        first = self._about.first_at or now
        self._about = replace(self._about, first_at=first, last_at=now, frames=progress.frames)
        self._tell(progress)

    def _write_about(self) -> None:
        """Whole or not at all, so that a killed recorder leaves a readable folder."""
        unfinished = self._folder / f".{ABOUT}"
        unfinished.write_text(self._about.to_json(), encoding="utf-8")
        unfinished.replace(self._folder / ABOUT)


def _check(wish: Wish, folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is not an empty folder; record into a new one")
    if wish.mode not in MODES:
        raise ConfigurationError(f"mode {wish.mode!r}, expected one of {', '.join(MODES)}")
    wrong = [key for key in wish.keys if "|" not in key]
    if wrong or not wish.keys:
        raise ConfigurationError(
            f"keys {', '.join(wrong) or '(none)'}: expected instrument keys such as "
            "'NSE_INDEX|Nifty 50', as the instrument master has them"
        )


def _subscription(wish: Wish) -> bytes:
    data = {"mode": wish.mode, "instrumentKeys": list(wish.keys)}
    return json.dumps({"guid": str(uuid.uuid4()), "method": "sub", "data": data}).encode()


async def _fetch(http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> bytes:
    try:
        async with http.get(url, headers=headers) as answer:
            content = await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"{url} cannot be reached: {_reason(error)}") from error
    if answer.status == 401:
        raise AuthenticationError(
            f"{url} refuses the token: set UPSTOX_ACCESS_TOKEN to one that is alive", status=401
        )
    if answer.status != 200:
        raise BrokerUnavailable(f"{url} answers {answer.status}: try again", status=answer.status)
    return content


async def _end(task: asyncio.Task[Any]) -> None:
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _reason(error: Exception) -> str:
    """In a few words, and without the address: it holds the code that opens the feed."""
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"handshake answered {error.status}"
    return str(error) if isinstance(error, BrokerUnavailable) else type(error).__name__


def _epoch_ns(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000
