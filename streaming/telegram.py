"""Alarms and alerts to a chat, by Telegram's Bot API: one ``sendMessage`` for each notice.

What the API says and wants stands here; queue, order and insistence are the webhook's ``Sender``.
The bot's token is part of the address of every call, so no address is ever shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests

from brokers.interface import Secret
from market.rules import IST
from streaming.webhook import Attempt, Notice, Outcome, Sender, WebhookConfig, outcome_of, redacted

LONGEST_TEXT = 4096
"""Of a message, in UTF-16 code units, as the API counts."""

# A longer ban is no pause: the notice would be old news after it.
_LONGEST_WAIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class TelegramConfig:
    """Where messages go.

    Attributes:
        token: the bot's, as its maker was told it.
        chat: number of the chat, or ``@name`` of a channel.
        url: root of the Bot API.
    """

    token: Secret
    chat: str
    url: str = "https://api.telegram.org"


class Telegram(Sender):
    """Sends notices as messages; with no configuration every notice is let go at once."""

    def __init__(self, config: TelegramConfig | None, insists: WebhookConfig | None = None) -> None:
        super().__init__("telegram", config is not None, insists)
        self._bot = config or TelegramConfig(Secret(""), "")

    def _request(self, notice: Notice) -> tuple[str, Mapping[str, object]]:
        address = f"{self._bot.url.rstrip('/')}/bot{self._bot.token.reveal()}/sendMessage"
        text = self._without_token(message(notice))
        return address, {"chat_id": self._bot.chat, "text": text}

    def _judged(self, answer: requests.Response) -> Attempt:
        return judged(answer.status_code, _json(answer))

    def _without_token(self, text: str) -> str:
        return text.replace(self._bot.token.reveal(), "***")


def message(notice: Notice) -> str:
    """A notice as people read it: what, when in India, and the words, cut to what the API takes."""
    title = notice.kind.replace("_", " ")
    return _cut(f"{title} · {notice.at.astimezone(IST):%H:%M:%S} IST\n{redacted(notice.text)}")


def judged(status: int, body: Mapping[str, Any]) -> Attempt:
    """What an answer of the API says about trying again, and when."""
    outcome = outcome_of(status)
    if outcome is Outcome.SENT and body.get("ok") is not True:
        # Not the API: whatever it is, it may have taken the message.
        return Attempt(Outcome.REFUSED)
    if status != HTTPStatus.TOO_MANY_REQUESTS:
        return Attempt(outcome)
    wait = _retry_after(body)
    if wait is not None and wait > _LONGEST_WAIT_SECONDS:
        return Attempt(Outcome.REFUSED)
    return Attempt(outcome, wait)


def _retry_after(body: Mapping[str, Any]) -> float | None:
    parameters = body.get("parameters")
    seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
    is_number = isinstance(seconds, int) and not isinstance(seconds, bool) and seconds >= 0
    return float(min(seconds, 1_000_000_000)) if is_number and seconds is not None else None


def _json(answer: requests.Response) -> Mapping[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _cut(text: str) -> str:
    # Half a pair of surrogates is no text, so such an end goes too.
    units = text.encode("utf-16-le", "replace")
    if len(units) <= 2 * LONGEST_TEXT:
        return text
    return units[: 2 * (LONGEST_TEXT - 1)].decode("utf-16-le", "ignore") + "…"
