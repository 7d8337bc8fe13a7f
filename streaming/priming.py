"""Watches that begin where an earlier process left off: stored minutes, taken without telling.

Pure: what was followed and the stored minutes in, watches out. Whose alerts are told from when on
is the desk's business (``alerts``); what a watch makes of a minute, that of ``transforms.signals``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import groupby

from market.rules import IST, Rules, Session, at_ist
from storage.rollups import StoredMinute
from transforms.signals.record import MinuteBar
from transforms.signals.volume import VolumeRule
from transforms.signals.watch import SymbolWatch

EARLIER_DAYS = VolumeRule().days
# Of so many newest days every minute is taken; of the others only what later ones are held against.
_WHOLE_DAYS = 2
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Followed:
    """One underlying: canonical ids of its spot, and of whose volume counts."""

    symbol: str
    spot_id: str
    volume_id: str


@dataclass(frozen=True, slots=True)
class Primed:
    """A watch that has taken the minutes before ``heard_from``, and the stored ones since then."""

    followed: Followed
    watch: SymbolWatch
    since: tuple[MinuteBar, ...]


def primed_from(rules: Rules, now: datetime) -> datetime:
    """The start of the oldest trading day whose minutes a watch needs now, aware UTC."""
    day = now.astimezone(IST).date()
    left = EARLIER_DAYS
    # A year without so many trading days does not exist.
    for _ in range(366):
        if not left:
            break
        day -= timedelta(days=1)
        left -= rules.is_trading_day(day)
    return at_ist(day, time(0))


def primed(
    followed: Iterable[Followed],
    minutes: Iterable[StoredMinute],
    rules: Rules,
    heard_from: datetime,
) -> list[Primed]:
    """Watches of everything followed; about a tenth of a second each, so best made in a thread.

    Args:
        minutes: oldest first.
        heard_from: minutes that began before it are taken, later ones only handed back.
    """
    by_id: dict[str, dict[datetime, StoredMinute]] = defaultdict(dict)
    for minute in minutes:
        by_id[minute.contract_id][minute.starts_at] = minute
    sessions: dict[datetime, Session | None] = {}
    return [_primed(each, by_id, rules, sessions, heard_from) for each in followed]


def session_at(rules: Rules, at: datetime) -> Session | None:
    """The session that an instant lies in."""
    sessions = rules.sessions(at.astimezone(IST).date())
    return next((s for s in sessions if s.opens_at <= at < s.closes_at), None)


def _primed(
    followed: Followed,
    by_id: Mapping[str, Mapping[datetime, StoredMinute]],
    rules: Rules,
    sessions: dict[datetime, Session | None],
    heard_from: datetime,
) -> Primed:
    bars: list[MinuteBar] = []
    volumes = by_id.get(followed.volume_id, {})
    for at, spot in by_id.get(followed.spot_id, {}).items():
        if at not in sessions:
            sessions[at] = session_at(rules, at)
        if (session := sessions[at]) is not None:
            bars.append(_bar(spot, volumes.get(at), session))
    before = [bar for bar in bars if bar.ends_at - _MINUTE < heard_from]
    since = tuple(bar for bar in bars if bar.ends_at - _MINUTE >= heard_from)
    watch = SymbolWatch(followed.symbol, followed.volume_id)
    _take(watch, before)
    return Primed(followed, watch, since)


def _take(watch: SymbolWatch, bars: Sequence[MinuteBar]) -> None:
    days = [list(day) for _, day in groupby(bars, lambda bar: bar.day)]
    for day in days[:-_WHOLE_DAYS]:
        watch.learn(day)
    for day in days[-_WHOLE_DAYS:]:
        for bar in day:
            watch.take(bar)


def _bar(spot: StoredMinute, volume: StoredMinute | None, session: Session) -> MinuteBar:
    return MinuteBar(
        spot.starts_at + _MINUTE,
        session.day,
        int((spot.starts_at - session.opens_at) / _MINUTE),
        spot.open,
        spot.high,
        spot.low,
        spot.close,
        volume.volume_units if volume else float("nan"),
    )
