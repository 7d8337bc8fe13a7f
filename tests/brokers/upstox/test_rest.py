"""The REST shell against a real server that answers what each test scripted."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from brokers.budget import Budget, Limit
from brokers.interface import Instrument, Secret
from brokers.upstox.auth import StaticToken
from brokers.upstox.rest import RetryPolicy, Upstox
from market.contract import Contract, Kind, Underlying
from market.errors import (
    AuthenticationError,
    BrokerError,
    BrokerUnavailable,
    BrokerUnreachable,
    MalformedResponse,
    RateLimited,
    RequestRejected,
)

DATA = Path(__file__).parents[2] / "data" / "upstox"
ERRORS: Mapping[str, Any] = json.loads((DATA / "errors.json").read_text())
NOW = datetime(2026, 6, 10, 9, 0, tzinfo=UTC)
TOKEN = "token-that-must-not-show"
NIFTY = Instrument(
    Contract("NIFTY", Kind.INDEX), Underlying("NIFTY", Kind.INDEX, "NSE"), "NSE_INDEX|Nifty 50"
)
QUICK = RetryPolicy(attempts=3, first_delay_seconds=0.01, longest_delay_seconds=0.02)
HTML_403 = (403, b"<html>error code: 1010</html>")


@dataclass
class Exchange:
    """Answers in order, the last one again and again; remembers what was asked."""

    url: str = ""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        with self.lock:
            self.asked.append((path, headers))
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def _error(status: int, code: str) -> tuple[int, bytes]:
    return status, json.dumps(ERRORS[code]).encode()


def _success(data: object) -> tuple[int, bytes]:
    return 200, json.dumps({"status": "success", "data": data}).encode()


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """A server on loopback for one test."""
    scripted = Exchange()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = scripted.answer(self.path, dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Set-Cookie", "edge=1")
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield scripted
    server.shutdown()
    thread.join()
    server.server_close()


def _broker(
    exchange: Exchange,
    tmp_path: Path,
    token: str | None = TOKEN,
    symbols: tuple[str, ...] = ("NIFTY",),
) -> Upstox:
    tokens = StaticToken(Secret(token) if token else None, lambda: NOW)
    budget = Budget(tmp_path / "calls", [Limit(1000, 60)])
    return Upstox(exchange.url, exchange.url, tokens, budget, symbols, retries=QUICK)


def _used(tmp_path: Path) -> int:
    return Budget(tmp_path / "calls", [Limit(1000, 60)]).usage()[0].used


def test_chain_is_asked_for_as_documented(exchange: Exchange, tmp_path: Path) -> None:
    """One call, pipe and blank percent-encoded, token and own User-Agent; the body unchanged."""
    body = b'{"status": "success",  "data": [ ]}'
    exchange.answers = [(200, body)]
    payload = _broker(exchange, tmp_path).chain(NIFTY, date(2026, 12, 1))
    ((path, headers),) = exchange.asked
    assert path == ("/v2/option/chain?instrument_key=NSE_INDEX%7CNifty%2050&expiry_date=2026-12-01")
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["User-Agent"].startswith("optionlake/")
    assert (payload.symbol, payload.expiry, payload.body) == ("NIFTY", date(2026, 12, 1), body)
    assert timedelta(0) <= payload.responded_at - payload.requested_at < timedelta(minutes=1)
    assert _used(tmp_path) == 1


@pytest.mark.parametrize("casing", ["authorized_redirect_uri", "authorizedRedirectUri"])
def test_authorize_feed_takes_either_casing(
    exchange: Exchange, tmp_path: Path, casing: str
) -> None:
    """Documentation and SDK disagree on the name of the address."""
    exchange.answers = [_success({casing: "wss://feeder/feeds?code=1"})]
    assert _broker(exchange, tmp_path).authorize_feed() == "wss://feeder/feeds?code=1"


@pytest.mark.parametrize(
    "answer",
    [_success({}), _success(None), _success({"authorizedRedirectUri": "https://x"}), (200, b"<p>")],
)
def test_authorization_without_address_is_malformed(
    exchange: Exchange, tmp_path: Path, answer: tuple[int, bytes]
) -> None:
    """An answer of 200 is not yet an answer."""
    exchange.answers = [answer]
    with pytest.raises(MalformedResponse):
        _broker(exchange, tmp_path).authorize_feed()


def test_instruments_come_from_the_files_of_their_exchanges(
    exchange: Exchange, tmp_path: Path
) -> None:
    """Only the exchanges that are needed, without token and without spending the budget."""
    exchange.answers = [(200, gzip.compress((DATA / "master.json").read_bytes()))]
    with capture_logs() as logs:
        found = _broker(exchange, tmp_path, None, ("NIFTY", "NIFTI")).instruments()
    assert {i.contract.symbol for i in found} == {"NIFTY"}
    ((path, headers),) = exchange.asked
    assert path == "/market-quote/instruments/exchange/NSE.json.gz"
    assert "Authorization" not in headers
    assert _used(tmp_path) == 0
    assert logs[0]["unlisted"] == ("NIFTI",)


def test_master_without_any_symbol_is_malformed(exchange: Exchange, tmp_path: Path) -> None:
    """Nothing to follow is an error with a remedy, not an empty day."""
    exchange.answers = [(200, b"[]")]
    with pytest.raises(MalformedResponse, match="OPTIONLAKE_SYMBOLS"):
        _broker(exchange, tmp_path).instruments()


def test_last_prices_are_joined_by_instrument_key(exchange: Exchange, tmp_path: Path) -> None:
    """The answer's own keys are trading symbols; never traded is left out; 500 keys a call."""
    exchange.answers = [
        _success(
            {
                "NSE_INDEX:Nifty 50": {
                    "last_price": 24000.5,
                    "instrument_token": "NSE_INDEX|Nifty 50",
                },
                "NSE_FO:X": {"last_price": 0, "instrument_token": "NSE_FO|1"},
            }
        )
    ]
    keys = ["NSE_INDEX|Nifty 50", *(f"NSE_FO|{n}" for n in range(500))]
    assert _broker(exchange, tmp_path).last_prices(keys) == {"NSE_INDEX|Nifty 50": 24000.5}
    assert len(exchange.asked) == 2
    exchange.answers = [_success({"NSE_FO:X": {"last_price": "none"}})]
    with pytest.raises(MalformedResponse):
        _broker(exchange, tmp_path).last_prices(["NSE_FO|1"])


def test_market_status_is_the_exchanges_own_word(exchange: Exchange, tmp_path: Path) -> None:
    """A path segment is encoded too."""
    exchange.answers = [_success({"exchange": "NSE", "status": "NORMAL_OPEN"})]
    assert _broker(exchange, tmp_path).market_status("N|E") == "NORMAL_OPEN"
    assert exchange.asked[0][0] == "/v2/market/status/N%7CE"


@pytest.mark.parametrize(
    ("answer", "kind", "calls"),
    [
        (_error(401, "UDAPI100050"), AuthenticationError, 1),
        (_error(403, "UDAPI100067"), AuthenticationError, 1),
        (_error(400, "UDAPI1088"), RequestRejected, 1),
        (_error(429, "UDAPI10005"), RateLimited, 3),
        ((429, b"error code: 1015"), RateLimited, 3),
        (_error(500, "UDAPI100500"), BrokerUnavailable, 3),
        ((502, b"<html>"), BrokerUnavailable, 3),
        (HTML_403, BrokerUnavailable, 3),
        ((302, b""), MalformedResponse, 1),
    ],
)
def test_errors_by_type_and_retry_by_type(
    exchange: Exchange,
    tmp_path: Path,
    answer: tuple[int, bytes],
    kind: type[BrokerError],
    calls: int,
) -> None:
    """Each answer is its error; only what may pass is tried again, and each try is budgeted."""
    exchange.answers = [answer]
    with pytest.raises(kind) as caught:
        _broker(exchange, tmp_path).chain(NIFTY, date(2026, 12, 1))
    assert type(caught.value) is kind
    assert caught.value.status == answer[0]
    assert len(exchange.asked) == calls
    assert _used(tmp_path) == calls


def test_failure_that_passes_is_survived(exchange: Exchange, tmp_path: Path) -> None:
    """A refusal for rate and a server error, then the answer."""
    fails = [_error(429, "UDAPI10005"), _error(500, "UDAPI100500")]
    exchange.answers = [*fails, _success({"status": "CLOSING_END"})]
    with capture_logs() as logs:
        assert _broker(exchange, tmp_path).market_status("NSE") == "CLOSING_END"
    assert [log["attempt"] for log in logs] == [1, 2]


def test_no_connection_is_unavailable(tmp_path: Path) -> None:
    """Nobody listens: named with the address, tried again, without the request riding along."""
    broker = _broker(Exchange("http://127.0.0.1:9"), tmp_path)
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:9/v2/market/status") as caught:
        broker.market_status("NSE")
    assert caught.value.__suppress_context__
    assert _used(tmp_path) == 0


def test_missing_token_is_told_before_any_request(exchange: Exchange, tmp_path: Path) -> None:
    """Without a token nothing is sent."""
    with pytest.raises(AuthenticationError, match="UPSTOX_ACCESS_TOKEN"):
        _broker(exchange, tmp_path, None).authorize_feed()
    assert exchange.asked == []


def test_token_is_in_no_error_and_no_log(exchange: Exchange, tmp_path: Path) -> None:
    """Even a broker that repeats the token in its complaint does not get it written down."""
    envelope = {"errors": [{"errorCode": "UDAPI100500", "message": f"bad {TOKEN}"}]}
    exchange.answers = [(500, json.dumps(envelope).encode())]
    with capture_logs() as logs, pytest.raises(BrokerUnavailable) as caught:
        _broker(exchange, tmp_path).authorize_feed()
    assert "bad ***" in str(caught.value)
    assert TOKEN not in str(caught.value) + repr(caught.value.__dict__) + str(logs)


def test_spent_budget_is_told_at_once(exchange: Exchange, tmp_path: Path) -> None:
    """A call that would wait for the half hour fails instead, and is not sent."""
    budget = Budget(tmp_path / "calls", [Limit(1, 1800)])
    budget.acquire()
    tokens = StaticToken(Secret(TOKEN), lambda: NOW)
    broker = Upstox(exchange.url, exchange.url, tokens, budget, ("NIFTY",), retries=QUICK)
    with pytest.raises(RateLimited, match="budget of calls is spent"):
        broker.authorize_feed()
    assert exchange.asked == []


def test_threads_share_one_broker(exchange: Exchange, tmp_path: Path) -> None:
    """A small pool gets each its own answer, and no cookie is kept."""
    exchange.answers = [_success({"status": "NORMAL_OPEN"})]
    broker = _broker(exchange, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(broker.market_status, ["NSE"] * 64))
    assert statuses == ["NORMAL_OPEN"] * 64
    assert not any("Cookie" in headers for _, headers in exchange.asked)
    broker.close()


def test_feed_authorization_is_asked_once_over_a_new_connection(
    exchange: Exchange, tmp_path: Path
) -> None:
    """Who connects the feed tries again by itself, with its own delays."""
    exchange.answers = [(502, b"<html>")]
    with pytest.raises(BrokerUnavailable):
        _broker(exchange, tmp_path).authorize_feed()
    assert len(exchange.asked) == _used(tmp_path) == 1


def test_calls_that_reached_nobody_are_not_counted(exchange: Exchange, tmp_path: Path) -> None:
    """Neither without a connection nor without a token; calls that were made stay counted."""
    exchange.answers = [_success({"status": "NORMAL_OPEN"})]
    _broker(exchange, tmp_path).market_status("NSE")
    with pytest.raises(BrokerUnreachable):
        _broker(Exchange("http://127.0.0.1:9"), tmp_path).authorize_feed()
    with pytest.raises(AuthenticationError):
        _broker(exchange, tmp_path, None).authorize_feed()
    assert _used(tmp_path) == 1


def test_what_reached_nobody_is_tried_again_soon(tmp_path: Path) -> None:
    """However often it failed, the delay is bounded by a second, not by the doubling."""
    policy = RetryPolicy(attempts=9, first_delay_seconds=0.01, longest_unreached_seconds=0.02)
    tokens = StaticToken(Secret(TOKEN), lambda: NOW)
    budget = Budget(tmp_path / "calls", [Limit(1000, 60)])
    url = "http://127.0.0.1:9"
    with capture_logs() as logs, pytest.raises(BrokerUnreachable):
        Upstox(url, url, tokens, budget, ("NIFTY",), retries=policy).market_status("NSE")
    assert len(logs) == 8
    assert all(log["delay_seconds"] <= 0.02 for log in logs)
    assert RetryPolicy().longest_unreached_seconds <= 1


def test_quotes_are_asked_for_as_documented(exchange: Exchange, tmp_path: Path) -> None:
    """One call for all keys, counted once; the body unchanged, whatever it holds."""
    exchange.answers = [(200, b'{"data": {}}')]
    broker = _broker(exchange, tmp_path)
    assert broker.quotes(["NSE_INDEX|Nifty 50", "NSE_FO|43001"]) == b'{"data": {}}'
    ((path, _),) = exchange.asked
    keys = "NSE_INDEX%7CNifty%2050,NSE_FO%7C43001"
    assert path == f"/v2/market-quote/quotes?instrument_key={keys}"
    assert _used(tmp_path) == 1


@pytest.mark.parametrize("count", [0, 501])
def test_quotes_of_a_wrong_number_of_keys_cost_nothing(
    exchange: Exchange, tmp_path: Path, count: int
) -> None:
    """The broker would refuse them, and count the call."""
    with pytest.raises(RequestRejected, match=f"{count} keys"):
        _broker(exchange, tmp_path).quotes(["NSE_FO|1"] * count)
    assert (exchange.asked, _used(tmp_path)) == ([], 0)


def test_quotes_are_asked_for_once(exchange: Exchange, tmp_path: Path) -> None:
    """Who polls asks again with fresher keys; a retry here would answer for an older moment."""
    exchange.answers = [(500, b""), (200, b"{}")]
    with pytest.raises(BrokerUnavailable):
        _broker(exchange, tmp_path).quotes(["NSE_FO|1"])
    assert len(exchange.asked) == 1


def test_quotes_do_not_wait_for_a_spent_budget(exchange: Exchange, tmp_path: Path) -> None:
    """Other calls wait a minute for their turn; prices of a minute ago are worth nothing."""
    tokens = StaticToken(Secret(TOKEN), lambda: NOW)
    budget = Budget(tmp_path / "calls", [Limit(1, 30)], sleep=lambda _: pytest.fail("it waited"))
    broker = Upstox(exchange.url, exchange.url, tokens, budget, ("NIFTY",), retries=QUICK)
    exchange.answers = [(200, b"{}")]
    assert broker.quotes(["NSE_FO|1"]) == b"{}"
    with pytest.raises(RateLimited):
        broker.quotes(["NSE_FO|1"])
