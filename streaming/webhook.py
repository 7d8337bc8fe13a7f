"""Alarms sent to an address of the user's: one JSON object by POST for each.

Whoever raises an alarm hands it over and goes on: the queue is bounded, the newest alarms are kept,
what had to go is counted, and nothing here can hold up or end the feed. What is worth an alarm is
decided elsewhere, and what else than a webhook is told stands in its own module, by the same
``Sender``. Neither the address nor anything like a token appears in a message or a log.
"""

from __future__ import annotations

import asyncio
import logging
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from itertools import islice

import requests
import structlog

from brokers.interface import Secret
from streaming.retries import backoff

QUEUE_LENGTH = 100
# A JWT, or a header that carries one.
_TOKENS = re.compile(r"eyJ[\w-]{4,}(?:\.[\w-]*){0,2}|(?i:bearer)\s+\S+")

log = structlog.get_logger(__name__)

_is_posting = ContextVar("is_posting", default=False)


def _is_fit_to_log(_: logging.LogRecord) -> bool:
    return not _is_posting.get()


# The library's own lines hold the address of a call.
for _name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_is_fit_to_log)


@dataclass(frozen=True, slots=True)
class Notice:
    """One alarm, or the end of one.

    Attributes:
        kind: what it is about, for machines, e.g. ``token_alarm``.
        text: for people; cleaned of tokens before it is sent.
        at: when it was raised (aware UTC).
    """

    kind: str
    text: str
    at: datetime

    def as_json(self) -> Mapping[str, str]:
        """What is posted."""
        return {"kind": self.kind, "text": redacted(self.text), "at": self.at.isoformat()}


class Outcome(Enum):
    """What became of one attempt; only ``AGAIN`` is tried again."""

    SENT = auto()
    AGAIN = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt; with ``wait_seconds`` the receiver said when to try again."""

    outcome: Outcome
    wait_seconds: float | None = None


def patient_backoff() -> Iterator[float]:
    """Between attempts: 1 s to 60 s, a few minutes in all."""
    return backoff(1.0, 60.0)


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """How long to insist.

    Attributes:
        timeout_seconds: for connecting, and for each wait for the answer.
        attempts: calls for one notice in all.
        delays: seconds between them.
    """

    timeout_seconds: float = 5.0
    attempts: int = 8
    delays: Callable[[], Iterator[float]] = patient_backoff


def redacted(text: str) -> str:
    """``text`` without anything that looks like a token."""
    return _TOKENS.sub("***", text)


def outcome_of(status: int) -> Outcome:
    """What an HTTP status says about trying again."""
    if 200 <= status < 300:
        return Outcome.SENT
    return Outcome.AGAIN if status in {408, 425, 429} or status >= 500 else Outcome.REFUSED


class Sender(ABC):
    """Sends notices in order, one at a time; how one is sent is the heirs'.

    Args:
        channel: its name in logs.
        is_used: if not, every notice is let go at once.

    Attributes:
        sent, failed, dropped: notices that arrived, that were given up, and that had no room.
    """

    def __init__(self, channel: str, is_used: bool, config: WebhookConfig | None = None) -> None:
        self.sent = self.failed = self.dropped = 0
        self._channel, self._is_used = channel, is_used
        self._config = config or WebhookConfig()
        self._waiting: deque[Notice] = deque()
        self._has_notice = asyncio.Event()

    def offer(self, notice: Notice) -> None:
        """Hand over a notice; never waits. The oldest goes if there is no room."""
        if not self._is_used:
            return
        if len(self._waiting) >= QUEUE_LENGTH:
            self._drop(self._waiting.popleft())
        self._waiting.append(notice)
        self._has_notice.set()

    async def run(self) -> None:
        """Send what is handed over, for ever."""
        while True:
            await self._has_notice.wait()
            self._has_notice.clear()
            while self._waiting:
                await self._deliver(self._waiting.popleft())

    @abstractmethod
    def _request(self, notice: Notice) -> tuple[str, Mapping[str, object]]:
        """The address to post to, which is a secret, and the JSON body."""

    def _judged(self, answer: requests.Response) -> Attempt:
        return Attempt(outcome_of(answer.status_code))

    def _drop(self, notice: Notice) -> None:
        self.dropped += 1
        # A receiver that is away for long must not fill the log too.
        if self.dropped % QUEUE_LENGTH == 1:
            log.warning(
                f"{self._channel} notice dropped, the queue is full",
                kind=notice.kind,
                dropped=self.dropped,
            )

    async def _deliver(self, notice: Notice) -> None:
        delays = islice(self._config.delays(), self._config.attempts - 1)
        attempt = await asyncio.to_thread(self._post, notice)
        while attempt.outcome is Outcome.AGAIN and (delay := next(delays, None)) is not None:
            await asyncio.sleep(delay if attempt.wait_seconds is None else attempt.wait_seconds)
            attempt = await asyncio.to_thread(self._post, notice)
        if attempt.outcome is Outcome.SENT:
            self.sent += 1
        else:
            self.failed += 1
            outcome = attempt.outcome.name.lower()
            log.error(f"{self._channel} notice given up", kind=notice.kind, outcome=outcome)

    def _post(self, notice: Notice) -> Attempt:
        # In a thread, whose context is a copy: nobody else's calls fall silent.
        _is_posting.set(True)
        url, body = self._request(notice)
        patience = self._config.timeout_seconds
        try:
            answer = requests.post(url, json=body, timeout=patience, allow_redirects=False)
        except (requests.ConnectionError, requests.Timeout) as error:
            # Only the type: the text holds the address, which is a secret.
            self._warn("not reached", notice, error=type(error).__name__)
            return Attempt(Outcome.AGAIN)
        except (requests.RequestException, ValueError) as error:
            self._warn("not usable", notice, error=type(error).__name__)
            return Attempt(Outcome.REFUSED)
        attempt = self._judged(answer)
        if attempt.outcome is not Outcome.SENT:
            self._warn("refused", notice, status=answer.status_code)
        return attempt

    def _warn(self, what: str, notice: Notice, **facts: object) -> None:
        log.warning(f"{self._channel} {what}", kind=notice.kind, **facts)


class Webhook(Sender):
    """Posts notices as they are.

    Args:
        url: where to; with None every notice is let go at once.
    """

    def __init__(self, url: Secret | None, config: WebhookConfig | None = None) -> None:
        super().__init__("webhook", url is not None, config)
        self._url = url or Secret("")

    def _request(self, notice: Notice) -> tuple[str, Mapping[str, object]]:
        return self._url.reveal(), notice.as_json()


def to_all(senders: Sequence[Sender]) -> Callable[[Notice], None]:
    """Offers a notice to each of them."""

    def offer(notice: Notice) -> None:
        for sender in senders:
            sender.offer(notice)

    return offer
