"""Going on after a restart as if there had been none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.interface import FEED_COLUMN_INDEX, FeedFrame, FrameKind
from market.rules import AlwaysOpen, Rules
from storage.instruments import register
from storage.rollups import StoredMinute, minutes, refresh
from storage.ticks import TickStore
from streaming.alerts import AlertDesk
from streaming.arrivals import Arrival, batch_of
from streaming.minute_bars import MINUTE_MS, MinuteBars
from streaming.priming import EARLIER_DAYS, primed, primed_from
from tests.streaming.test_alerts import ALL, FUTURE, SPOT, STOCK, desk, frame
from transforms.signals.record import Kind, Signal

DAYS = (date(2026, 11, 20), date(2026, 11, 23), date(2026, 11, 25))
MINUTES = 50
STEP_MS = 20_000
# The frame of the third day with which a process begins.
RESTART = 2 * MINUTES * 3 + 60
IDS = {i.broker_key: str(i.contract) for i in (SPOT, FUTURE, STOCK)}


def opens_ms(day: date) -> int:
    """Epoch ms of a day's open."""
    return int(Rules().sessions(day)[0].opens_at.timestamp() * 1000)


def market(seed: int, again_at: int) -> list[FeedFrame]:
    """Three days, a frame each 20 s, with bursts, jumps, and more volume late on the third.

    Its frame ``again_at`` comes as a snapshot, as after a new connection.
    """
    draw, made = np.random.default_rng(seed), []
    for day in DAYS:
        price, units = 24_000.0, 0.0
        for step in range(MINUTES * MINUTE_MS // STEP_MS):
            is_busy = day == DAYS[-1] and step > 90
            units += float(draw.integers(300, 500) * (40 if draw.random() < 0.03 else 1)) * (
                1 + 3 * is_busy
            )
            price += float(draw.normal(0, 8) + (draw.random() < 0.02) * draw.choice([-150, 150]))
            is_again = day == DAYS[-1] and step == again_at
            told = frame(
                opens_ms(day) + step * STEP_MS,
                {
                    "spot": (round(price, 2), nan, nan),
                    "future": (round(price + 50, 2), units, nan),
                    "stock": (round(price / 30, 2), 3 * units, nan),
                },
            )
            made.append(replace(told, kind=FrameKind.SNAPSHOT) if is_again else told)
    return made


def stored(frames: Sequence[FeedFrame]) -> list[StoredMinute]:
    """What the database has of them."""
    bars, made = MinuteBars(), []
    bars.follow(IDS)
    for told in [*frames, None]:
        at_ms = float((told or frames[-1]).published_at_ms or 0) + (0 if told else MINUTE_MS)
        made += bars.close_before(at_ms)
        if told is not None:
            for key, (price, units) in zip(told.keys, _told(told), strict=True):
                bars.take(key, at_ms, price, units, told.kind is FrameKind.SNAPSHOT)
    return [
        StoredMinute(IDS[m.key], at(m.starts_ms), m.open, m.high, m.low, m.close, m.volume_units)
        for m in made
    ]


def _told(told: FeedFrame) -> list[tuple[float, float]]:
    columns = [FEED_COLUMN_INDEX[name] for name in ("last_price", "volume_units")]
    return [tuple(row) for row in told.values[:, columns].tolist()]


def at(ms: float) -> datetime:
    """An aware instant."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def heard(made: AlertDesk, frames: Sequence[FeedFrame], is_end: bool = True) -> list[Signal]:
    """What a desk says of these frames."""
    for told in frames:
        made.take_frame(told, told.published_at_ms or 0)
        made.work(at(told.published_at_ms or 0))
    if is_end:
        made.work(at((frames[-1].published_at_ms or 0) + 2 * MINUTE_MS))
    return made.take_outbox()


@given(
    st.integers(0, 10**6),
    st.integers(1, MINUTES * 3 - 20),
    st.integers(0, 15),
)
@settings(max_examples=25, deadline=None)
def test_alerts_after_a_restart_are_those_without(seed: int, step: int, wait: int) -> None:
    """The same signals with the same numbers, and none of what was before.

    Whenever the process begins, and however long it waits for the stored minutes.
    """
    frames = market(seed, step)
    restart = 2 * MINUTES * 3 + step
    whole = heard(desk(), frames)
    began_ms = (frames[restart].published_at_ms or 0) // MINUTE_MS * MINUTE_MS
    made = desk()
    made.hold(at(began_ms) + timedelta(hours=1))
    # Until the first minute is over, and then some.
    primed_at = restart + 4 + wait
    told = heard(made, frames[restart:primed_at], is_end=False)
    assert told == []
    now = at((frames[primed_at - 1].published_at_ms or 0) + 1)
    over = [m for m in stored(frames[:primed_at]) if m.starts_at + timedelta(minutes=1) <= now]
    made.prime(over, now)
    told = heard(made, frames[primed_at:])
    assert made.errors == 0
    assert told == [s for s in whole if s.at > at(began_ms)]


def test_there_is_something_to_tell() -> None:
    """The markets of the test above make alerts of every kind but those of chains and options.

    And priming matters: without it a process that begins at noon tells something else.
    """
    kinds, unlike = set(), 0
    for seed in range(6):
        frames = market(seed, 60)
        began = at(frames[RESTART].published_at_ms or 0)
        whole = [s for s in heard(desk(), frames) if s.at > began]
        kinds |= {s.kind for s in whole}
        unlike += heard(desk(), frames[RESTART:]) != whole
    chains = {Kind.CALL_WALL, Kind.PUT_WALL, Kind.GAMMA_FLIP, Kind.OPEN_INTEREST}
    assert kinds == set(Kind) - chains
    assert unlike == 6


def test_a_desk_that_waited_in_vain_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without stored minutes it judges what it heard; primed late, it tells nothing twice."""
    frames = market(3, 60)
    made = desk()
    made.hold(at(frames[RESTART].published_at_ms or 0))
    told = heard(made, frames[RESTART:-9], is_end=False)
    assert told
    made.prime(stored(frames[:-9])[:-3], at(frames[-10].published_at_ms or 0))
    assert made.take_outbox() == []
    later = heard(made, frames[-9:])
    assert not {s.key for s in told} & {s.key for s in later}
    assert made.errors == 0


def test_levels_of_the_chain_outlast_the_priming() -> None:
    """What the chain said before is known to the primed watches too."""
    frames = market(3, 60)
    kinds = []
    for is_late in (False, True):
        made = desk()
        if is_late:
            made.take_levels("NIFTY", {"gamma_flip": 24_000.0})
            made.work(at(opens_ms(DAYS[-1])))
        made.prime(stored(frames[:RESTART]), at(frames[RESTART].published_at_ms or 0))
        if not is_late:
            made.take_levels("NIFTY", {"gamma_flip": 24_000.0})
        kinds.append(heard(made, frames[RESTART:]))
    assert kinds[0] == kinds[1]


def test_another_future_since_then_is_not_overwritten() -> None:
    """Watches that were made for what is no longer followed are left out."""
    frames, made = market(3, 60), desk()
    now = at(frames[-1].published_at_ms or 0)
    old = made.followed()
    made.follow([SPOT, ALL[0]])
    assert old != made.followed()
    made.take_over(primed(old, stored(frames), Rules(), now), now)
    assert made.errors == 0


def test_as_many_days_as_the_baselines_know() -> None:
    """Trading days only; where every day is one, so many days."""
    now = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
    midnight = datetime(2026, 11, 24, 18, 30, tzinfo=UTC)
    assert primed_from(AlwaysOpen(), now) == midnight - timedelta(days=EARLIER_DAYS)
    begun = primed_from(Rules(), now)
    days = [(begun + timedelta(hours=12, days=n)).date() for n in range(40)]
    earlier = [d for d in days if d < now.date() and Rules().is_trading_day(d)]
    assert len(earlier) == EARLIER_DAYS
    assert days[0] == earlier[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_database_has_the_minutes_that_were_heard(database: str, seed: int) -> None:
    """Landed, refreshed and read back, they are those that the desk made while it ran."""
    frames = market(seed, 70)
    contracts = [i for i in ALL if i.broker_key in IDS]
    ids = register(database, contracts)
    by_key = {i.broker_key: ids[str(i.contract)] for i in contracts}
    arrivals = [
        Arrival(1, n + 1, (f.published_at_ms or 0) * 1_000_000, f) for n, f in enumerate(frames)
    ]

    async def run() -> None:
        async with TickStore(database) as store:
            await store.land(batch_of(arrivals, by_key)[0])

    asyncio.run(run())
    now = at((frames[-1].published_at_ms or 0) + MINUTE_MS)
    refresh(database, now)
    found = minutes(database, ["NIFTY", "SBIN"], primed_from(Rules(), now), now)
    expected = sorted(stored(frames), key=lambda m: (m.starts_at, m.contract_id))
    assert [_comparable(m) for m in found] == [_comparable(m) for m in expected]


def _comparable(minute: StoredMinute) -> StoredMinute:
    return replace(minute, volume_units=-1.0) if isnan(minute.volume_units) else minute
