"""Telegram: what is sent, what its answers mean, and what never leaves."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.interface import Secret
from streaming.telegram import LONGEST_TEXT, Telegram, TelegramConfig, judged, message
from streaming.webhook import QUEUE_LENGTH, Notice, Outcome, Webhook, WebhookConfig, to_all
from tests.fix_timescale import free_port
from tests.streaming.waiting import run
from tests.streaming.webhook_receiver import sent_by, serving

AT = datetime(2026, 11, 25, 4, 0, 7, tzinfo=UTC)
TOKEN = "123456:AAbbCC-dd_EE"
QUICK = WebhookConfig(timeout_seconds=2.0, attempts=4, delays=lambda: repeat(0.01))
TAKEN: dict[str, Any] = {"ok": True, "result": {"message_id": 1}}


def refusal(code: int, words: str, **parameters: int) -> tuple[int, bytes]:
    """An answer of the API that is a no."""
    told: dict[str, Any] = {"ok": False, "error_code": code, "description": words}
    if parameters:
        told["parameters"] = parameters
    return code, json.dumps(told).encode()


class Api(ThreadingHTTPServer):
    """The Bot API: answers as told, then takes everything; keeps what came."""

    daemon_threads = True

    def __init__(self, answers: list[tuple[int, bytes]]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers = iter(answers)
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        """Keep the call, answer as told."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((self.path, json.loads(body)))
        status, answer = next(self.server.answers, (200, json.dumps(TAKEN).encode()))
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def api(*answers: tuple[int, bytes]) -> Iterator[Api]:
    """A running Bot API."""
    with serving(Api(list(answers))) as server:
        yield server


def sending(
    port: int, notices: list[Notice], is_done: Callable[[Telegram], bool], chat: str = "-100"
) -> Telegram:
    """Hand the notices over, and send until it is done."""
    config = TelegramConfig(Secret(TOKEN), chat, f"http://127.0.0.1:{port}/")
    return sent_by(lambda: Telegram(config, QUICK), notices, is_done)


def test_a_notice_is_a_message_in_the_chat() -> None:
    """By the token's address, in words, with the time in India; in order."""
    with api() as server:
        notices = [Notice("token_alarm", "the token is dead", AT), Notice("alert", "b", AT)]
        sending(server.server_port, notices, lambda t: t.sent == 2)
    (path, body), (_, second) = server.calls
    assert path == f"/bot{TOKEN}/sendMessage"
    assert body == {"chat_id": "-100", "text": "token alarm · 09:30:07 IST\nthe token is dead"}
    assert second["text"].endswith("b")


def test_it_waits_as_long_as_it_is_told_to() -> None:
    """A flood is over when the API says so, and not by our own delays."""
    with api(refusal(429, "Too Many Requests: retry after 1", retry_after=1)) as server:
        started = asyncio.new_event_loop()
        before = started.time()
        sending(server.server_port, [Notice("k", "t", AT)], lambda t: t.sent == 1)
        assert started.time() - before >= 1.0
        started.close()
    assert len(server.calls) == 2


def test_troubles_of_the_api_are_tried_again() -> None:
    """With whatever body a gateway sends."""
    with api(refusal(500, "Internal"), (502, b"<html>"), (503, b"")) as server:
        telegram = sending(server.server_port, [Notice("k", "t", AT)], lambda t: t.sent == 1)
    assert (len(server.calls), telegram.failed) == (4, 0)


def test_what_is_wrong_is_not_insisted_on() -> None:
    """A chat that does not exist, a token that is none: the next notice has its own chance."""
    with api(refusal(400, "Bad Request: chat not found"), refusal(401, "Unauthorized")) as server:
        notices = [Notice(name, "t", AT) for name in "abc"]
        telegram = sending(server.server_port, notices, lambda t: t.sent == 1)
    assert (len(server.calls), telegram.failed) == (3, 2)


def test_somebody_else_who_answers_is_no_success() -> None:
    """A captive portal says 200 to everything."""
    with api((200, b"<html>welcome</html>"), (200, b'{"ok":false}')) as server:
        notices = [Notice("a", "t", AT), Notice("b", "t", AT)]
        telegram = sending(server.server_port, notices, lambda t: t.failed == 2)
    assert telegram.sent == 0


def test_the_token_is_in_no_log(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Whether nobody is there, the API says no, or all is well; not in the library's lines."""
    caplog.set_level(logging.DEBUG)
    notice = Notice("k", f"look: {TOKEN}", AT)
    sending(free_port(), [notice], lambda t: t.failed == 1)
    with api(refusal(404, "Not Found"), (500, b"")) as server:
        sending(server.server_port, [notice, notice], lambda t: t.sent == 1)
    told = capsys.readouterr()
    everything = told.out + told.err + caplog.text
    assert "telegram notice given up" in everything
    assert TOKEN not in everything
    assert TOKEN.split(":")[1] not in everything
    assert all(TOKEN not in body["text"] for _, body in server.calls)
    assert TOKEN not in repr(TelegramConfig(Secret(TOKEN), "1"))


def test_what_has_no_room_is_counted_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    """The newest are kept; a line for each hundred."""

    async def fill() -> Telegram:
        telegram = Telegram(TelegramConfig(Secret(TOKEN), "1", "http://127.0.0.1:1"), QUICK)
        for number in range(2 * QUEUE_LENGTH + 5):
            telegram.offer(Notice(str(number), "t", AT))
        return telegram

    telegram = asyncio.run(fill())
    assert telegram.dropped == QUEUE_LENGTH + 5
    told = capsys.readouterr()
    assert (told.out + told.err).count("telegram notice dropped") == 2


def test_alarms_go_to_every_channel() -> None:
    """Whoever raises one tells all by one call."""

    async def offer() -> None:
        telegram = Telegram(TelegramConfig(Secret(TOKEN), "1"))
        webhook = Webhook(Secret("http://127.0.0.1:1/"))
        to_all((webhook, telegram))(Notice("k", "t", AT))
        assert (len(webhook._waiting), len(telegram._waiting)) == (1, 1)

    run(offer())


def test_without_a_bot_nothing_is_kept() -> None:
    """Whoever raises alarms need not know whether anybody listens."""

    async def offer() -> None:
        telegram = Telegram(None)
        telegram.offer(Notice("k", "t", AT))
        assert not telegram._waiting

    run(offer())


@given(st.text())
def test_a_message_is_never_too_long(text: str) -> None:
    """Counted as the API counts, whatever characters it has; short ones are left alone."""
    long = message(Notice("k", text * 50 + "😀" * LONGEST_TEXT, AT))
    assert len(long.encode("utf-16-le")) <= 2 * LONGEST_TEXT
    assert long.endswith("…")
    assert message(Notice("k", "😀 up", AT)).endswith("😀 up")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.sampled_from(["ok", "parameters", "retry_after"]), inner),
)


@given(st.integers(100, 599), JSON)
def test_any_answer_is_understood(status: int, told: object) -> None:
    """Fuzz: a wait is short and never negative, and success is only what says so."""
    attempt = judged(status, told if isinstance(told, dict) else {})
    assert attempt.wait_seconds is None or 0 <= attempt.wait_seconds <= 600
    is_taken = isinstance(told, dict) and told.get("ok") is True
    assert (attempt.outcome is Outcome.SENT) == (200 <= status < 300 and is_taken)


def test_a_long_ban_costs_the_notice() -> None:
    """What it says would be old news afterwards, and others wait behind it."""
    banned = {"ok": False, "parameters": {"retry_after": 7200}}
    assert judged(429, banned).outcome is Outcome.REFUSED
    assert judged(429, {"parameters": {"retry_after": 7}}).wait_seconds == 7
