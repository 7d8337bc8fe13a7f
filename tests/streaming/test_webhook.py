"""The webhook: what arrives, what is tried again, what is given up, and what never leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.interface import Secret
from simulator.access.tokens import mint
from streaming.webhook import (
    QUEUE_LENGTH,
    Notice,
    Outcome,
    Webhook,
    WebhookConfig,
    outcome_of,
    redacted,
)
from tests.fix_timescale import free_port
from tests.streaming.waiting import run, until
from tests.streaming.webhook_receiver import receiving, sent_by

AT = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
QUICK = WebhookConfig(timeout_seconds=2.0, attempts=4, delays=lambda: repeat(0.01))


def sending(port: int, notices: list[Notice], is_done: Callable[[Webhook], bool]) -> Webhook:
    """Hand the notices over, and send until it is done."""
    address = Secret(f"http://127.0.0.1:{port}/secret-path")
    return sent_by(lambda: Webhook(address, QUICK), notices, is_done)


def test_notices_arrive_in_order() -> None:
    """Kind, text and an instant with its zone, as JSON."""
    notices = [Notice(f"k{n}", "text", AT) for n in range(3)]
    with receiving() as server:
        webhook = sending(server.server_port, notices, lambda w: w.sent == 3)
    assert [body["kind"] for body in server.bodies] == ["k0", "k1", "k2"]
    assert server.bodies[0] == {"kind": "k0", "text": "text", "at": AT.isoformat()}
    assert (webhook.failed, webhook.dropped) == (0, 0)


def test_what_may_pass_is_tried_again() -> None:
    """A busy receiver gets the same notice again, once it can take it exactly once."""
    with receiving(503, 429) as server:
        sending(server.server_port, [Notice("k", "t", AT)], lambda w: w.sent == 1)
    assert len(server.bodies) == 3


def test_what_is_refused_is_not_insisted_on() -> None:
    """Nor does it stand in the way of the next notice."""
    with receiving(404) as server:
        webhook = sending(
            server.server_port,
            [Notice("bad", "t", AT), Notice("good", "t", AT)],
            lambda w: w.sent == 1,
        )
    assert [body["kind"] for body in server.bodies] == ["bad", "good"]
    assert webhook.failed == 1


def test_nobody_there_is_given_up_and_logs_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    """After its attempts; the address may hold a secret."""
    webhook = sending(free_port(), [Notice("k", "t", AT)], lambda w: w.failed == 1)
    assert webhook.sent == 0
    told = capsys.readouterr()
    assert "secret-path" not in told.out + told.err
    assert "webhook notice given up" in told.out + told.err


def test_an_address_that_is_none_ends_nothing() -> None:
    """A wrong setting costs the notices, not the feed."""

    async def send() -> None:
        webhook = Webhook(Secret("no address"), QUICK)
        task = asyncio.create_task(webhook.run())
        webhook.offer(Notice("k", "t", AT))
        await until(lambda: webhook.failed == 1)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(send())


def test_the_queue_is_bounded_and_keeps_the_newest() -> None:
    """With nobody sending, memory stays flat and the loss is counted."""

    async def fill() -> Webhook:
        webhook = Webhook(Secret("http://127.0.0.1:1/"), QUICK)
        for n in range(QUEUE_LENGTH + 7):
            webhook.offer(Notice(str(n), "t", AT))
        return webhook

    webhook = asyncio.run(fill())
    assert webhook.dropped == 7
    assert next(notice.kind for notice in webhook._waiting) == "7"
    assert len(webhook._waiting) == QUEUE_LENGTH


def test_without_an_address_nothing_is_kept() -> None:
    """Whoever raises alarms need not know whether anybody listens."""

    async def offer() -> None:
        webhook = Webhook(None)
        webhook.offer(Notice("k", "t", AT))
        assert not webhook._waiting
        assert webhook.dropped == 0

    run(offer())


@given(st.integers(100, 599))
def test_only_passing_troubles_are_tried_again(status: int) -> None:
    """By the status, never by the text."""
    outcome = outcome_of(status)
    assert (outcome is Outcome.SENT) == (200 <= status < 300)
    assert (outcome is Outcome.AGAIN) == (status >= 500 or status in {408, 425, 429})


@given(st.text(), st.text())
def test_tokens_never_leave(before: str, after: str) -> None:
    """Wherever one stands in a text, it is taken out of what is posted."""
    token = mint(AT)
    for text in (f"{before} {token} {after}", f"Bearer {token}{after}"):
        posted = Notice("k", text, AT).as_json()["text"]
        assert token not in posted
        assert token.split(".")[2] not in posted


def test_plain_words_are_left_alone() -> None:
    """What people should read arrives."""
    text = "the token died at 25 Nov 2026 03:30 IST: run optionlake login"
    assert redacted(text) == text
