"""Every reader of REST answers, with real answers of the simulated broker to it.

What a reader's value must be like to be sound is said here; the damage and the verdict stand in
``tools.damaged_json`` and ``tools.fuzz_bodies``. The answers are cut to a few entries, so that a
reading takes a millisecond.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import numpy as np
import polars as pl
import requests

from brokers.budget import Budget, Limit
from brokers.interface import ChainPayload, FeedFrame, Instrument, Mode, Secret
from brokers.upstox.answers import (
    error_of,
    read_feed_address,
    read_last_prices,
    read_market_status,
)
from brokers.upstox.auth import StaticToken, TokenClaims, read_claims
from brokers.upstox.chain import read_chain
from brokers.upstox.codec import UpstoxCodec
from brokers.upstox.instruments import Master, read_master
from brokers.upstox.login import Grant, read_grant, refusal_of
from brokers.upstox.quotes import read_quotes
from brokers.upstox.rest import RetryPolicy, Upstox
from market.errors import BrokerError, FrameError
from market.rules import AlwaysOpen
from simulator.access.tokens import mint
from simulator.server import SimulatorConfig, serve
from streaming.feed import FeedSession
from transforms.schemas import QUOTES

SYMBOLS = ("NIFTY", "RELIANCE")
_NIFTY = "NSE_INDEX|Nifty 50"
_NOW = datetime(2026, 6, 10, 6, 30, tzinfo=UTC)
_STATUSES = (200, 200, 200, 302, 400, 401, 403, 429, 500, 503)
_START_SECONDS = 60.0
_CALL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Reader:
    """A function that reads one kind of answer.

    Attributes:
        bodies: undamaged answers, each of which it reads.
        unsound: what is wrong with a value that was read; None if nothing is.
        fingerprint: the value as something that can be compared.
        is_zipped: whether the bodies are gzipped JSON.
    """

    name: str
    read: Callable[[bytes], Any]
    bodies: tuple[bytes, ...]
    unsound: Callable[[Any], str | None]
    fingerprint: Callable[[Any], object] = repr
    is_zipped: bool = False


@dataclass(frozen=True, slots=True)
class Answers:
    """Undamaged answers, in the order in which a morning asks for them."""

    master: bytes
    chain: bytes
    expiry: date
    quotes: bytes
    prices: bytes
    status: bytes
    address: bytes
    errors: tuple[bytes, ...]


@contextmanager
def readers() -> Iterator[Sequence[Reader]]:
    """All readers; the one of whole calls has a server behind it until the block ends."""
    told = _asked()
    listed = read_master([told.master], SYMBOLS).instruments
    grant = json.dumps({"access_token": _token(), "user_id": "AB1234", "user_name": "A B"}).encode()
    claims = json.dumps({"sub": "AB1234", "iat": 1, "exp": 4_000_000_000, "isPlusPlan": True})
    with ExitStack() as opened:
        call = _calls(opened, told.status)
        yield (
            Reader("chain", partial(_chain, told.expiry, listed), (told.chain,), _of_chain, _rows),
            Reader("quotes", read_quotes, (told.quotes,), _of_quotes, _columns),
            Reader("last prices", read_last_prices, (told.prices,), _of_prices),
            Reader("market status", _market_status, (told.status,), _of_word),
            Reader("feed address", read_feed_address, (told.address,), _of_word),
            Reader("instruments", _master, (told.master,), _of_master, is_zipped=True),
            Reader("login", read_grant, (grant,), _of_grant, _grant),
            Reader("token", _claims, (claims.encode(),), _of_claims),
            Reader("error", _error, told.errors, _of_errors, str),
            Reader("feed session", _session_reader(), (told.quotes,), _of_quotes, _columns),
            Reader("whole call", call, (told.status,), _of_word),
        )


def _asked() -> Answers:
    """The simulated broker's answers, each cut to a few entries."""
    with _exchange() as url:
        headers = {"Authorization": f"Bearer {mint(datetime.now(UTC))}"}

        def get(path: str, **query: str) -> Any:
            answer = requests.get(
                f"{url}{path}", params=query, headers=headers, timeout=_CALL_SECONDS
            )
            return answer.json()

        master = _few(_zipped(url))
        keys = ",".join(record["instrument_key"] for record in master[:6])
        expiry = _nearest_expiry(master)
        chain = get("/v2/option/chain", instrument_key=_NIFTY, expiry_date=expiry.isoformat())
        middle = len(chain["data"]) // 2
        chain["data"] = chain["data"][middle - 3 : middle + 3]
        refused = get("/v2/option/chain", instrument_key="NSE_INDEX|None")
        return Answers(
            gzip.compress(json.dumps(master).encode(), mtime=0),
            _body(chain),
            expiry,
            _body(get("/v2/market-quote/quotes", instrument_key=keys)),
            _body(get("/v3/market-quote/ltp", instrument_key=keys)),
            _body(get("/v2/market/status/NSE")),
            _body(get("/v3/feed/market-data-feed/authorize")),
            (_body(refused), _coded("UDAPI10005"), _coded("UDAPI100050")),
        )


def _zipped(url: str) -> list[dict[str, Any]]:
    path = f"{url}/market-quote/instruments/exchange/NSE.json.gz"
    body = requests.get(path, timeout=_CALL_SECONDS).content
    records: list[dict[str, Any]] = json.loads(
        gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    )
    return records


def _few(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The spots, and the first derivatives of each."""
    spots = [r for r in records if r["instrument_key"] == _NIFTY or _is_stock(r)]
    keys = {spot["instrument_key"] for spot in spots}
    derived = sorted(
        (r for r in records if r.get("underlying_key") in keys), key=lambda r: float(r["expiry"])
    )
    of_nifty = [r for r in derived if r["underlying_key"] == _NIFTY]
    return spots + of_nifty[:20] + [r for r in derived if r["underlying_key"] != _NIFTY][:20]


def _is_stock(record: Mapping[str, Any]) -> bool:
    return record.get("segment") == "NSE_EQ" and record.get("trading_symbol") in SYMBOLS


def _nearest_expiry(master: list[dict[str, Any]]) -> date:
    listed = read_master([json.dumps(master).encode()], SYMBOLS).instruments
    return min(
        i.contract.expiry
        for i in listed
        if i.contract.symbol == "NIFTY" and i.contract.strike and i.contract.expiry
    )


def _body(answer: object) -> bytes:
    return json.dumps(answer).encode()


def _coded(code: str) -> bytes:
    error = {"errorCode": code, "message": "told by the broker", "propertyPath": None}
    return _body({"status": "error", "errors": [error]})


def _token() -> str:
    return mint(_NOW, timedelta(days=1))


@contextmanager
def _exchange() -> Iterator[str]:
    """The simulated broker in a thread of its own; its address."""
    started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        stop = asyncio.Event()
        config = SimulatorConfig(symbols=SYMBOLS, limits=())
        async with serve(config, lambda: datetime.now(UTC)) as running:
            started.set_result((running.url, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    url, loop, stop = started.result(_START_SECONDS)
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _calls(opened: ExitStack, healthy: bytes) -> Callable[[bytes], str]:
    """The whole way of a call, over HTTP; the answer's status depends on its bytes."""
    scripted: dict[str, bytes] = {"body": b""}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = scripted["body"]
            self.send_response(200 if body == healthy else _status_of(body))
            # Sometimes what the header says is not what the body is.
            if zlib.crc32(body) % 7 == 0 and body != healthy:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up is one of the things to be expected."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    opened.callback(server.server_close)
    opened.callback(thread.join)
    opened.callback(server.shutdown)
    folder = opened.enter_context(tempfile.TemporaryDirectory())
    url = f"http://127.0.0.1:{server.server_address[1]}"
    budget = Budget(Path(folder) / "budget", [Limit(1_000_000, 1)])
    tokens = StaticToken(Secret(_token()), lambda: _NOW)
    broker = Upstox(url, url, tokens, budget, SYMBOLS, retries=RetryPolicy(attempts=1))
    opened.callback(broker.close)

    def call(body: bytes) -> str:
        scripted["body"] = body
        return broker.market_status("NSE")

    return call


def _status_of(body: bytes) -> int:
    return _STATUSES[zlib.crc32(body) % len(_STATUSES)]


def _chain(expiry: date, listed: Sequence[Instrument], body: bytes) -> pl.DataFrame:
    return read_chain(ChainPayload("NIFTY", expiry, body, _NOW, _NOW), listed)


def _market_status(body: bytes) -> str:
    return read_market_status(body, "NSE")


def _master(body: bytes) -> Master:
    return read_master([body], SYMBOLS)


def _claims(body: bytes) -> TokenClaims:
    """The claims of a token whose payload is ``body``; also of one that is no token."""
    middle = jwt.utils.base64url_encode(body).decode()
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT"}').decode()
    return read_claims(Secret(f"{header}.{middle}.c2lnbmF0dXJl"))


def _error(body: bytes) -> list[BrokerError]:
    statuses = (302, 400, 401, 403, 404, 429, 500, 503)
    return [read(s, body) for s in statuses for read in (_error_of, refusal_of)]


def _error_of(status: int, body: bytes) -> BrokerError:
    return error_of(status, body, "https://api.example/v2")


def _session_reader() -> Callable[[bytes], FeedFrame]:
    """A feed's session that is handed each body as a frame, as the fallback does.

    A refused one may be counted and nothing else; it is told as the error that the session caught.
    """
    session = FeedSession(UpstoxCodec(), AlwaysOpen())
    session.want({_NIFTY: Mode.FULL})
    session.connecting()
    session.opened(1, _NOW)

    def read(body: bytes) -> FeedFrame:
        before = _state(session)
        frame = session.received(body, _NOW)
        session.events()
        if frame is not None:
            return frame
        if _state(session) != before:
            raise AssertionError("a refused body changed the session")
        raise FrameError("refused by the session")

    return read


def _state(session: FeedSession) -> object:
    return session.state, session.epoch, dict(session.wanted), frozenset(session.never_seen)


def _rows(frame: pl.DataFrame) -> object:
    return repr(frame.rows())


def _columns(frame: FeedFrame) -> object:
    return frame.kind, frame.published_at_ms, frame.keys, frame.values.tobytes()


def _grant(grant: Grant) -> object:
    return grant.token.reveal(), grant.user, grant.user_name


def _of_chain(frame: pl.DataFrame) -> str | None:
    if frame.schema != QUOTES.polars:
        return f"schema {frame.schema}"
    numbers = frame.select(pl.selectors.float())
    if not all(column.drop_nulls().is_finite().all() for column in numbers):
        return "a figure that is not finite"
    signed = {"vendor_delta"}
    positive = numbers.drop(*signed)
    if not all((column.drop_nulls() > 0).all() for column in positive):
        return "a figure that is not above zero"
    return None if frame["contract_id"].is_unique().all() else "a contract twice"


def _of_quotes(frame: FeedFrame) -> str | None:
    if not frame.keys or not all(_is_text(key) for key in frame.keys):
        return f"keys {frame.keys!a:.200}"
    if np.isinf(frame.values).any():
        return "an infinite figure"
    prices = frame.column("last_price")
    return "a negative price" if (prices[~np.isnan(prices)] <= 0).any() else None


def _of_prices(prices: Mapping[str, float]) -> str | None:
    if not all(_is_text(key) for key in prices):
        return f"keys {list(prices)!a:.200}"
    return None if all(0 < p < math.inf for p in prices.values()) else f"prices {prices!a:.200}"


def _of_word(word: str) -> str | None:
    return None if _is_text(word) and " " not in word.strip() else f"text {word!a:.200}"


def _of_master(master: Master) -> str | None:
    for instrument in master.instruments:
        lot, tick = instrument.lot_size_units, instrument.tick_size_rupees
        if not _is_text(instrument.broker_key) or not _is_text(str(instrument.contract)):
            return f"text {instrument!a:.300}"
        if (lot is not None and lot < 1) or (tick is not None and not 0 < tick < math.inf):
            return f"lot or tick of {instrument!a:.300}"
    if len({i.contract for i in master.instruments}) != len(master.instruments):
        return "a contract twice"
    told = next((text for text in master.rejected if not _is_text(text) or len(text) > 500), None)
    return None if told is None else f"complaint {told!a:.300}"


def _of_grant(grant: Grant) -> str | None:
    token = grant.token.reveal()
    is_sound = token.isascii() and _is_text(token)
    return None if is_sound and (grant.user + grant.user_name).isprintable() else "text"


def _of_claims(claims: TokenClaims) -> str | None:
    if claims.user is not None and not claims.user.isprintable():
        return f"user {claims.user!a:.100}"
    is_aware = claims.expires_at is None or claims.expires_at.tzinfo is not None
    return None if is_aware else "a time without a zone"


def _of_errors(errors: Sequence[BrokerError]) -> str | None:
    wrong = next((e for e in errors if not _is_text(str(e)) or len(str(e)) > 1_000), None)
    return None if wrong is None else f"complaint {str(wrong)!a:.300}"


def _is_text(text: str) -> bool:
    """Whether a person, a log and a database can take it."""
    return bool(text) and text.isprintable()
