"""Alarms sent to an address of the user's: one JSON object by POST for each.

Whoever raises an alarm hands it over and goes on: the queue is bounded, the newest alarms are kept,
what had to go is counted, and nothing here can hold up or end the feed. What is worth an alarm is
decided elsewhere. Neither the address nor anything like a token appears in a message or a log.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
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


class Webhook:
    """Sends notices in order, one at a time.

    Args:
        url: where to; with None every notice is let go at once.

    Attributes:
        sent, failed, dropped: notices that arrived, that were given up, and that had no room.
    """

    def __init__(self, url: Secret | None, config: WebhookConfig | None = None) -> None:
        self.sent = self.failed = self.dropped = 0
        self._url = url
        self._config = config or WebhookConfig()
        self._waiting: deque[Notice] = deque()
        self._has_notice = asyncio.Event()

    def offer(self, notice: Notice) -> None:
        """Hand over a notice; never waits. The oldest goes if there is no room."""
        if self._url is None:
            return
        if len(self._waiting) >= QUEUE_LENGTH:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(notice)
        self._has_notice.set()

    async def run(self) -> None:
        """Send what is handed over, for ever."""
        while True:
            await self._has_notice.wait()
            self._has_notice.clear()
            while self._url and self._waiting:
                await self._deliver(self._url, self._waiting.popleft())

    async def _deliver(self, url: Secret, notice: Notice) -> None:
        delays = islice(self._config.delays(), self._config.attempts - 1)
        outcome = await asyncio.to_thread(self._post, url, notice)
        while outcome is Outcome.AGAIN and (delay := next(delays, None)) is not None:
            await asyncio.sleep(delay)
            outcome = await asyncio.to_thread(self._post, url, notice)
        if outcome is Outcome.SENT:
            self.sent += 1
        else:
            self.failed += 1
            log.error("webhook notice given up", kind=notice.kind, outcome=outcome.name.lower())

    def _post(self, url: Secret, notice: Notice) -> Outcome:
        try:
            answer = requests.post(
                url.reveal(),
                json=notice.as_json(),
                timeout=self._config.timeout_seconds,
                allow_redirects=False,
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            # Only the type: the text holds the address, which is a secret.
            log.warning("webhook not reached", kind=notice.kind, error=type(error).__name__)
            return Outcome.AGAIN
        except (requests.RequestException, ValueError) as error:
            log.warning("webhook not usable", kind=notice.kind, error=type(error).__name__)
            return Outcome.REFUSED
        outcome = outcome_of(answer.status_code)
        if outcome is not Outcome.SENT:
            log.warning("webhook refused", kind=notice.kind, status=answer.status_code)
        return outcome
