"""Alerts: minutes of the feed through the detectors, and the newest of what they say.

Sans-I/O, and never in the way of a tick: a frame only updates the running minute, the detectors run
in small portions between frames, and what fails in them is counted and logged. What is unusual is
decided in ``transforms.signals``; storing and telling belong in ``alert_post``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from math import isnan
from typing import Any

import numpy as np
import structlog

from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS, FeedFrame, FrameKind, Instrument
from brokers.keys import KeyNumbers
from market.contract import Kind
from market.rules import Rules, Session
from storage.rollups import StoredMinute
from streaming.minute_bars import MINUTE_MS, MinuteBars, RawMinute
from streaming.priming import Followed, Primed, primed, session_at
from streaming.table import plain
from transforms.kernel import compiled
from transforms.signals.interest import InterestWatch, interest_signal
from transforms.signals.record import MinuteBar, Signal
from transforms.signals.watch import SymbolWatch

RECENT = 500
OUTBOX = 5000
# Symbols judged between two pauses: some milliseconds of work.
PORTION = 20
# A minute in which the exchange fell silent is over so much later by our clock.
SILENCE = timedelta(seconds=5)
# A frame from further ahead than this would end minutes that are not over.
_LONGEST_LEAD_MS = 10 * MINUTE_MS
_WIDTH, _INTEREST = len(FEED_COLUMNS), FEED_COLUMN_INDEX["open_interest_units"]
_TOLD = [FEED_COLUMN_INDEX[name] for name in ("last_price", "volume_units", "traded_at_ms")]
_ABSENT, _WATCHED = -1, -2

log = structlog.get_logger(__name__)


class AlertDesk:
    """Watches everything that is followed; one thread only.

    Attributes:
        version: rises with every alert.
        errors: failures of detectors; each cost the minute of one symbol, or one frame.
        dropped: alerts that nobody took in time to store and tell them.
    """

    def __init__(self, rules: Rules) -> None:
        self.version = self.errors = self.dropped = 0
        self._rules = rules
        self._bars = MinuteBars()
        self._watches: dict[str, SymbolWatch] = {}
        self._spot_keys: dict[str, str] = {}
        self._volume_keys: dict[str, str] = {}
        # Row of an option, or ``_WATCHED`` for what minutes are made of.
        self._rows = KeyNumbers(_ABSENT)
        self._options: list[Instrument] = []
        self._interest = np.empty(0)
        self._interest_watch = InterestWatch()
        self._day: date | None = None
        self._due: deque[tuple[str, MinuteBar | Mapping[str, float]]] = deque()
        self._followed: dict[str, Followed] = {}
        self._levels: dict[str, Mapping[str, float]] = {}
        self._judged_to: dict[str, datetime] = {}
        self._heard_from: datetime | None = None
        self._held_until: datetime | None = None
        self._recent: deque[Signal] = deque(maxlen=RECENT)
        self._outbox: deque[Signal] = deque()

    def follow(self, instruments: Iterable[Instrument]) -> None:
        """Watch these as well; of an index's futures the one that expires first is its volume."""
        futures: dict[str, Instrument] = {}
        spots: list[Instrument] = []
        options: list[Instrument] = []
        for instrument in instruments:
            kind, symbol = instrument.contract.kind, instrument.contract.symbol
            if kind is Kind.FUTURE:
                known = futures.get(symbol)
                if known is None or _expiry(instrument) < _expiry(known):
                    futures[symbol] = instrument
            elif kind is Kind.OPTION:
                options.append(instrument)
            else:
                spots.append(instrument)
        self._add_options(options)
        for spot in spots:
            self._add_spot(spot, futures.get(spot.contract.symbol))

    def take_levels(self, symbol: str, levels: Mapping[str, float]) -> None:
        """What the newest chain of a symbol says, as ``SymbolWatch.take_levels``."""
        if symbol in self._watches:
            # In line behind the minutes that were over before: they are judged by the old levels.
            self._due.append((symbol, levels))

    def take_frame(self, frame: FeedFrame, received_at_ms: float) -> None:
        """Bring the running minute up to a frame; never raises."""
        with self._guarded("a frame"):
            at_ms = frame.published_at_ms
            if frame.kind is FrameKind.STATUS or at_ms is None:
                return
            if at_ms - received_at_ms <= _LONGEST_LEAD_MS:
                self._take(frame, float(at_ms))

    def work(self, now: datetime) -> None:
        """A portion of the detectors' work; never raises.

        Args:
            now: our clock, to end a minute in which the exchange fell silent.
        """
        with self._guarded("the end of a minute"):
            self._end(self._bars.close_before((now - SILENCE).timestamp() * 1000))
        if self._held_until is not None and now < self._held_until:
            return
        for _ in range(min(PORTION, len(self._due))):
            symbol, news = self._due.popleft()
            with self._guarded(symbol):
                self._judge(symbol, news)

    @property
    def has_work(self) -> bool:
        """Whether minutes or levels wait for ``work``."""
        return bool(self._due)

    def hold(self, until: datetime) -> None:
        """Let minutes wait for ``prime``, but no longer than ``until`` by the clock of ``work``."""
        self._held_until = until

    def followed(self) -> list[Followed]:
        """What ``primed`` has to make watches of."""
        return list(self._followed.values())

    def heard_from(self, now: datetime) -> datetime:
        """Since when this desk hears the exchange: the start of its first minute; ``now`` if never.

        That minute may have been heard in part only: as it is stored it is fuller.
        """
        return now if self._heard_from is None else self._heard_from

    def prime(self, minutes: Iterable[StoredMinute], now: datetime) -> None:
        """Go on where an earlier process left off; nothing of its minutes is told again.

        All at once and therefore slow: ``primed`` makes the same in a thread, for ``take_over``.

        Args:
            minutes: from ``primed_from(rules, now)`` on, oldest first.
            now: our clock.
        """
        heard_from = self.heard_from(now)
        self.take_over(primed(self.followed(), minutes, self._rules, heard_from), heard_from)

    def take_over(self, watches: Iterable[Primed], heard_from: datetime) -> None:
        """Take primed watches into use; what waits is judged by them, and told.

        Args:
            heard_from: the same that the watches were made with.
        """
        for one in watches:
            # What is followed may have changed meanwhile.
            if self._followed.get(one.followed.symbol) == one.followed:
                with self._guarded(one.followed.symbol):
                    self._take_over(one, heard_from + timedelta(minutes=1))
        self._held_until = None

    def restore(self, signals: Sequence[Signal]) -> None:
        """Show alerts that an earlier process stored, oldest first."""
        self._recent.extendleft(reversed(signals))
        self.version += bool(signals)

    def take_outbox(self) -> list[Signal]:
        """Alerts since the last call, to be stored and told."""
        taken = list(self._outbox)
        self._outbox.clear()
        return taken

    def as_json(self, limit: int = RECENT) -> Mapping[str, object]:
        """The ``alerts`` message: the newest alerts, newest first."""
        alerts = [as_json(signal) for signal in islice(reversed(self._recent), limit)]
        counts = {"errors": self.errors, "dropped": self.dropped}
        return {"type": "alerts", "v": 1, "version": self.version, **counts, "alerts": alerts}

    def _add_spot(self, spot: Instrument, future: Instrument | None) -> None:
        symbol, of = spot.contract.symbol, future or spot
        if self._volume_keys.get(symbol) != of.broker_key:
            # Another future trades another volume: what was usual begins anew with it.
            self._watches[symbol] = SymbolWatch(symbol, str(of.contract))
            self._followed[symbol] = Followed(symbol, str(spot.contract), str(of.contract))
        self._spot_keys[symbol], self._volume_keys[symbol] = spot.broker_key, of.broker_key
        keys = spot.broker_key, of.broker_key
        self._bars.follow(keys)
        self._rows.add(dict.fromkeys(keys, _WATCHED))

    def _add_options(self, options: Iterable[Instrument]) -> None:
        new = {o.broker_key: o for o in options if o.broker_key not in self._rows}
        self._rows.add({key: len(self._options) + i for i, key in enumerate(new)})
        self._options.extend(new.values())
        self._interest = np.append(self._interest, np.full(len(new), np.nan))

    def _take(self, frame: FeedFrame, at_ms: float) -> None:
        # First the end of the minute before, so that what is judged is what was known by then.
        self._end(self._bars.close_before(at_ms))
        if self._heard_from is None and self._bars.starts_ms is not None:
            self._heard_from = datetime.fromtimestamp(self._bars.starts_ms / 1000, UTC)
        is_snapshot = frame.kind is FrameKind.SNAPSHOT
        rows = self._rows.of(frame.keys)
        if _note_interest(self._interest, rows, plain(frame.values, (len(rows), _WIDTH))):
            for i in np.flatnonzero(rows == _WATCHED).tolist():
                price, units, traded_at_ms = frame.values[i, _TOLD].tolist()
                self._bars.take(frame.keys[i], at_ms, price, units, is_snapshot, traded_at_ms)

    def _end(self, minutes: Sequence[RawMinute]) -> None:
        if not minutes:
            return
        starts_at = datetime.fromtimestamp(minutes[0].starts_ms / 1000, UTC)
        session = session_at(self._rules, starts_at)
        if session is None:
            return
        by_key = {minute.key: minute for minute in minutes}
        for symbol, spot_key in self._spot_keys.items():
            if (spot := by_key.get(spot_key)) is not None:
                volume = by_key.get(self._volume_keys[symbol])
                self._due.append((symbol, _bar(spot, volume, starts_at, session)))
        self._sample_interest(starts_at + timedelta(minutes=1), session.day)

    def _judge(self, symbol: str, news: MinuteBar | Mapping[str, float]) -> None:
        watch = self._watches[symbol]
        if isinstance(news, MinuteBar):
            self._judged_to[symbol] = news.ends_at
            self._tell(watch.take(news))
        else:
            self._levels[symbol] = news
            watch.take_levels(news)

    def _take_over(self, one: Primed, first_ends_at: datetime) -> None:
        symbol, watch = one.followed.symbol, one.watch
        judged_to = self._judged_to.get(symbol)
        for bar in one.since:
            if judged_to is not None and bar.ends_at <= judged_to:
                watch.take(bar)
            elif bar.ends_at == first_ends_at:
                self._replace_first(symbol, bar)
        if symbol in self._levels:
            watch.take_levels(self._levels[symbol])
        self._watches[symbol] = watch

    def _replace_first(self, symbol: str, stored: MinuteBar) -> None:
        """A minute that was heard in part and waits is judged as it is stored."""
        for place, (whose, news) in enumerate(self._due):
            if whose == symbol and isinstance(news, MinuteBar) and news.ends_at == stored.ends_at:
                self._due[place] = symbol, stored
                return
        if self._heard_from is not None:
            # Its price was heard by the earlier process only.
            self._due.appendleft((symbol, stored))

    def _sample_interest(self, at: datetime, day: date) -> None:
        if day != self._day:
            self._day = day
            self._interest_watch.begin_day()
        for change in self._interest_watch.take(at, self._interest):
            contract = self._options[change.row].contract
            self._tell([interest_signal(change, at, contract.symbol, str(contract))])

    def _tell(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            self.version += 1
            self._recent.append(signal)
            if len(self._outbox) >= OUTBOX:
                self._outbox.popleft()
                self.dropped += 1
            self._outbox.append(signal)

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        """A mistake in a detector must not cost a tick: it is counted, logged, and survived."""
        try:
            yield
        except Exception:
            self.errors += 1
            log.exception("alerts failed", of=what, errors=self.errors)


def warm() -> None:
    """Compile what a frame runs through, or read it from the cache."""
    _note_interest(np.empty(0), np.empty(0, np.int64), np.empty((0, _WIDTH)))


@compiled
def _note_interest(interest: Any, rows: Any, values: Any) -> bool:
    """Take the open interest that a frame tells of options; whether it tells of others."""
    has_watched = False
    for i in range(len(rows)):
        told = values[i, _INTEREST]
        if rows[i] >= 0 and not np.isnan(told):
            interest[rows[i]] = told
        has_watched |= rows[i] == _WATCHED
    return has_watched


def as_json(signal: Signal) -> Mapping[str, object]:
    """An alert with the live feed's names; instants are epoch ms, what is not known is null."""
    return {
        "key": signal.key,
        "kind": signal.kind.value,
        "symbol": signal.symbol,
        "contract_id": signal.contract_id,
        "at_ms": round(signal.at.timestamp() * 1000),
        "direction": signal.direction.value,
        "level": signal.level,
        "value": signal.value,
        "score": signal.score,
        "inputs": {name: value for name, value in signal.inputs if not isnan(value)},
        "reason": signal.reason,
    }


def _bar(
    spot: RawMinute, volume: RawMinute | None, starts_at: datetime, session: Session
) -> MinuteBar:
    return MinuteBar(
        starts_at + timedelta(minutes=1),
        session.day,
        int((starts_at - session.opens_at) / timedelta(minutes=1)),
        spot.open,
        spot.high,
        spot.low,
        spot.close,
        volume.volume_units if volume else float("nan"),
    )


def _expiry(instrument: Instrument) -> date:
    return instrument.contract.expiry or date.max
