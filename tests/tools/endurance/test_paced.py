"""The paced feed sends what is due, once, and writes down what it handed out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from brokers.interface import FrameKind, Mode
from brokers.upstox.codec import decode, subscribe
from market.rules import rules_for
from simulator.access.tokens import Account, TokenKind
from simulator.exchange.market import Market
from simulator.exchange.timetable import epoch_ms
from tools.endurance.paced import Load, PacedFeed, PacedSource, tape
from tools.endurance.schedule import Schedule, steady

NOW = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
ACCOUNT = Account("ONE", True, TokenKind.ANALYTICS, NOW + timedelta(days=1))
_LATER = NOW + timedelta(seconds=2)


def _market() -> Market:
    return Market(7, rules_for("always"), ("NIFTY",))


def _keys() -> tuple[str, ...]:
    return tuple(row.key for row in _market().listing(NOW).rows[:120])


@pytest.fixture(name="source")
def made_source() -> PacedSource:
    """A source over a small market."""
    return PacedSource(_market())


def _following(source: PacedSource, keys: tuple[str, ...]) -> PacedFeed:
    feed = source.open(ACCOUNT)
    feed.request(subscribe(keys, Mode.FULL), NOW)
    feed.update(NOW)
    return feed


def _loaded(source: PacedSource) -> Schedule:
    plan = steady(source.followed(), 5_000, epoch_ms(NOW))
    source.load = Load(plan, tape(_market(), plan.keys, NOW))
    return plan


def test_every_due_frame_goes_out_once_with_its_own_time(source: PacedSource) -> None:
    """However far apart the calls are; each decodes to exactly the keys of its group."""
    feed = _following(source, _keys())
    plan = _loaded(source)
    frames = []
    for ms in (0, 3, 3, 700, 2_000):
        frames += feed.update(NOW + timedelta(milliseconds=ms))
    assert len(frames) == plan.position(epoch_ms(_LATER))
    for number, sent in enumerate(frames):
        told = decode(sent)
        assert told.kind is FrameKind.UPDATE
        assert told.published_at_ms == plan.due_ms(number)
        assert told.keys == plan.keys_of(plan.group(number))
    assert source.load is not None
    assert source.load.told.tolist() == [plan.frame_ticks] * len(frames)


def test_a_client_is_told_of_its_own_keys_alone(source: PacedSource) -> None:
    """Two clients with half of the keys each get every tick between them."""
    keys = _keys()
    halves = [_following(source, keys[:60]), _following(source, keys[60:])]
    plan = _loaded(source)
    told = [[decode(frame) for frame in half.update(_LATER)] for half in halves]
    assert {k for frame in told[0] for k in frame.keys} <= set(keys[:60])
    assert {k for frame in told[1] for k in frame.keys} <= set(keys[60:])
    assert source.load is not None
    assert source.load.told.tolist() == [plan.frame_ticks] * plan.position(epoch_ms(_LATER))


def test_who_comes_late_has_missed_what_was_due(source: PacedSource) -> None:
    """It is not sent again, and the books say that nobody was handed it."""
    feed = _following(source, _keys())
    plan = _loaded(source)
    feed.close()
    late = source.open(ACCOUNT)
    late.request(subscribe(plan.keys, Mode.FULL), _LATER)
    assert late.update(_LATER) == []
    first = late.update(_LATER + timedelta(seconds=1))
    missed = plan.position(epoch_ms(_LATER))
    assert decode(first[0]).published_at_ms == plan.due_ms(missed)
    assert source.load is not None
    assert not any(source.load.told[:missed])
    assert all(source.load.told[missed:])


def test_after_the_end_the_market_goes_on(source: PacedSource) -> None:
    """Nothing of the load is due any more, and what was due is handed out first."""
    feed = _following(source, _keys())
    plan = _loaded(source)
    feed.update(NOW)
    assert source.load is not None
    source.load.end = 10
    assert source.is_behind()
    assert len(feed.update(_LATER)) == 9
    assert not source.is_behind()
    after = feed.update(_LATER + timedelta(minutes=1))
    assert [decode(frame).published_at_ms for frame in after] == [
        epoch_ms(_LATER + timedelta(minutes=1))
    ]
    assert len(source.load.told) == 10
    assert plan.position(epoch_ms(_LATER)) > 10
