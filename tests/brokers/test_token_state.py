"""The judgement of a token's life: loud exactly when a session is or will be lost to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.token_state import TokenLevel, token_state
from market.rules import IST, AlwaysOpen, Rules

RULES = Rules()
INSTANTS = st.datetimes(datetime(2026, 1, 2), datetime(2026, 12, 30), timezones=st.just(UTC))
# Around the instant asked for, where the borders lie.
LIVES = st.timedeltas(timedelta(days=-3), timedelta(days=3))


def _ist(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=IST).astimezone(UTC)


TUESDAY = date(2026, 11, 24)  # a holiday
WEDNESDAY = date(2026, 11, 25)


@given(INSTANTS, LIVES, st.sampled_from([RULES, AlwaysOpen()]), st.booleans())
def test_level_is_what_the_sessions_make_of_it(
    now: datetime, life: timedelta, rules: Rules, is_refused: bool
) -> None:
    """Against a second statement of the rule, written from the sessions of the day."""
    expires_at = now + life
    state = token_state(expires_at, rules, now, "refused" if is_refused else None)
    today = rules.sessions(now.astimezone(IST).date())
    is_trading = any(s.opens_at <= now < s.closes_at for s in today)
    is_dead = is_refused or life <= timedelta(0)
    loses = any(s.closes_at > max(now, now if is_dead else expires_at) for s in today)
    is_soon = is_trading and life <= timedelta(hours=1)
    if is_dead and is_trading:
        assert state.level is TokenLevel.ALARM
    elif loses or is_soon:
        assert state.level is TokenLevel.WARNING
    else:
        assert state.level is TokenLevel.OK
    assert state.is_alarm == (state.level is TokenLevel.ALARM)


@given(INSTANTS, LIVES)
def test_minutes_are_never_rounded_up(now: datetime, life: timedelta) -> None:
    """What is told to be left is left, and a dead token has nothing left."""
    state = token_state(now + life, RULES, now)
    assert state.minutes_left is not None
    assert timedelta(minutes=state.minutes_left) <= max(life, timedelta(0))
    assert timedelta(minutes=state.minutes_left + 1) > life
    assert state.text


@given(INSTANTS, st.timedeltas(timedelta(0), timedelta(days=2)), LIVES)
def test_a_longer_life_is_never_louder(now: datetime, more: timedelta, life: timedelta) -> None:
    """Renewing cannot make it worse."""
    order = list(TokenLevel)
    shorter, longer = (token_state(now + t, RULES, now).level for t in (life, life + more))
    assert order.index(longer) <= order.index(shorter)


@given(INSTANTS)
def test_token_without_an_end_is_fine(now: datetime) -> None:
    """What does not tell cannot be warned of; only a refusal makes it loud."""
    state = token_state(None, RULES, now)
    assert (state.level, state.minutes_left) == (TokenLevel.OK, None)


@pytest.mark.parametrize(
    ("now", "expires_at", "level"),
    [
        (_ist(WEDNESDAY, 8), _ist(WEDNESDAY, 3, 30), TokenLevel.WARNING),
        (_ist(WEDNESDAY, 9, 15), _ist(WEDNESDAY, 3, 30), TokenLevel.ALARM),
        (_ist(WEDNESDAY, 15, 45), _ist(WEDNESDAY, 3, 30), TokenLevel.OK),
        (_ist(WEDNESDAY, 10), _ist(WEDNESDAY, 15), TokenLevel.WARNING),
        (_ist(WEDNESDAY, 10), _ist(date(2026, 11, 26), 3, 30), TokenLevel.OK),
        (_ist(TUESDAY, 10), _ist(TUESDAY, 3, 30), TokenLevel.OK),
        (_ist(TUESDAY, 23, 59), _ist(WEDNESDAY, 3, 30), TokenLevel.OK),
        (_ist(WEDNESDAY, 0, 1), _ist(WEDNESDAY, 3, 30), TokenLevel.WARNING),
    ],
)
def test_a_login_tokens_day(now: datetime, expires_at: datetime, level: TokenLevel) -> None:
    """Quiet on holidays and evenings, a warning in the morning, an alarm from the open on."""
    assert token_state(expires_at, RULES, now).level is level


def test_words_are_indias_and_name_the_remedy() -> None:
    """Wall time that the user lives by, hours left, and what to type."""
    now = _ist(WEDNESDAY, 14, 30)
    enough = token_state(_ist(WEDNESDAY, 15, 41), RULES, now)
    assert enough.level is TokenLevel.OK
    near = token_state(_ist(WEDNESDAY, 15), RULES, now)
    assert "25 Nov 2026 15:00 IST, 0 h 30 min" in near.text
    assert "optionlake login" in near.text
    assert "03:30 IST: run optionlake login" in token_state(_ist(WEDNESDAY, 3, 30), RULES, now).text
    assert token_state(None, RULES, now, "refused: 401").text == "refused: 401"
