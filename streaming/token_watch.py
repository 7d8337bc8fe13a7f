"""Watching the access token while the feed runs: its state for health, and each change told once.

How urgent a state is, is judged in ``brokers.token_state``; how notices are sent stands in
``webhook``. Waiting for a better token is the connection's affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from brokers.interface import TokenSource
from brokers.token_state import TokenLevel, TokenState, token_state
from market.errors import AuthenticationError
from market.rules import Rules
from streaming.webhook import Notice

log = structlog.get_logger(__name__)


class TokenWatch:
    """Looks at the token when told to, and tells of a level that changed.

    Args:
        refusal: why the broker refuses the present token; None as far as is known.
        is_accepted: whether the broker lets us in just now.
        notify: takes each change of level but the first quiet one; must not block.
    """

    def __init__(
        self,
        tokens: TokenSource,
        rules: Rules,
        refusal: Callable[[], str | None],
        is_accepted: Callable[[], bool],
        notify: Callable[[Notice], None],
    ) -> None:
        self._tokens = tokens
        self._rules = rules
        self._refusal = refusal
        self._is_accepted = is_accepted
        self._notify = notify
        self._level = TokenLevel.OK
        self._refused: tuple[str, str] | None = None

    async def run(self, clock: Callable[[], datetime], seconds: float = 5.0) -> None:
        """Look every so many seconds, for ever."""
        while True:
            self.look(clock())
            await asyncio.sleep(seconds)

    def state(self, now: datetime) -> TokenState:
        """The token at ``now``."""
        return token_state(self._tokens.expires_at(), self._rules, now, self._problem())

    def look(self, now: datetime) -> TokenState:
        """The same, logged and told if its level is not the one of the last look."""
        state = self.state(now)
        if state.level is not self._level:
            self._level = state.level
            tell = {TokenLevel.OK: log.info, TokenLevel.WARNING: log.warning}
            tell.get(state.level, log.error)(
                "token state changed", level=str(state.level), detail=state.text
            )
            self._notify(Notice(f"token_{state.level}", state.text, now))
        return state

    def _problem(self) -> str | None:
        try:
            token = self._tokens.token().reveal()
        except AuthenticationError as error:
            return str(error)
        if (reason := self._refusal()) is not None:
            self._refused = (token, reason)
        elif self._refused and (self._refused[0] != token or self._is_accepted()):
            self._refused = None
        # While a refused token is being tried again, it is not taken for a good one.
        return self._refused[1] if self._refused else None
