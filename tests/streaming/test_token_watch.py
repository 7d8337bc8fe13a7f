"""The watch over the token: every change of level is told once, and only changes are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from brokers.interface import Secret
from brokers.token_state import TokenLevel, token_state
from market.errors import AuthenticationError
from market.rules import AlwaysOpen
from streaming.token_watch import TokenWatch
from streaming.webhook import Notice

START = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)


class Tokens:
    """A source whose token changes under the watch."""

    def __init__(self) -> None:
        self.dies_at: datetime | None = START + timedelta(days=1)
        self.is_missing = False
        self.text = "one"

    def token(self) -> Secret:
        """Any secret, or none."""
        if self.is_missing:
            raise AuthenticationError("no access token: hidden")
        return Secret(self.text)

    def expires_at(self) -> datetime | None:
        """As the test has it."""
        return None if self.is_missing else self.dies_at


@dataclass
class Broker:
    """What the feed's connection knows of the broker's mind."""

    refusal: str | None = None
    is_accepted: bool = False


def _watch(tokens: Tokens, told: list[Notice], broker: Broker | None = None) -> TokenWatch:
    mind = broker or Broker()
    return TokenWatch(
        tokens, AlwaysOpen(), lambda: mind.refusal, lambda: mind.is_accepted, told.append
    )


@given(st.lists(st.integers(-120, 600), max_size=30))
def test_a_notice_for_each_change_and_for_nothing_else(lives_minutes: list[int]) -> None:
    """The levels told are the levels seen, without repeats, from a quiet beginning."""
    tokens, told = Tokens(), list[Notice]()
    watch = _watch(tokens, told)
    expected: list[str] = []
    level = TokenLevel.OK
    for n, minutes in enumerate(lives_minutes):
        now = START + timedelta(seconds=n)
        tokens.dies_at = now + timedelta(minutes=minutes)
        seen = token_state(tokens.dies_at, AlwaysOpen(), now).level
        assert watch.look(now).level is seen
        if seen is not level:
            expected.append(f"token_{seen}")
            level = seen
    assert [notice.kind for notice in told] == expected


def test_missing_and_refused_tokens_are_alarms_until_one_works() -> None:
    """With the source's or the broker's own words, and the end of it is told too."""
    tokens, told, broker = Tokens(), list[Notice](), Broker("the broker says no")
    watch = _watch(tokens, told, broker)
    assert watch.look(START).text == "the broker says no"
    broker.refusal, broker.is_accepted = None, True
    watch.look(START)
    tokens.is_missing = True
    assert watch.look(START).text.startswith("no access token")
    tokens.is_missing = False
    assert watch.look(START).level is TokenLevel.OK
    kinds = [notice.kind for notice in told]
    assert kinds == ["token_alarm", "token_ok", "token_alarm", "token_ok"]


def test_trying_a_refused_token_again_is_no_recovery() -> None:
    """Only being let in, or another token, ends the alarm: it does not flap with each attempt."""
    tokens, told, broker = Tokens(), list[Notice](), Broker("no")
    watch = _watch(tokens, told, broker)
    watch.look(START)
    broker.refusal = None
    assert watch.look(START).is_alarm
    tokens.text = "another"
    assert not watch.look(START).is_alarm
    assert [notice.kind for notice in told] == ["token_alarm", "token_ok"]


def test_asking_for_the_state_tells_nobody() -> None:
    """Health is read many times a minute; a notice is for the watch's own look."""
    tokens, told = Tokens(), list[Notice]()
    tokens.is_missing = True
    assert _watch(tokens, told).state(START).is_alarm
    assert told == []
