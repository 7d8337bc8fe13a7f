"""The exchange's socket under load: entries encoded beforehand, sent when they are due.

A ``Source`` of the simulated exchange. Snapshots come from its market, and so do updates while
there is no load. Under load each frame is a join of entries that the market made earlier; only its
time is new, and that is the time when it was due: a frame that leaves late is not younger for it.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from brokers.interface import Mode
from brokers.upstox.codec import subscribe
from simulator.access.tokens import Account, TokenKind
from simulator.exchange.market import Market
from simulator.exchange.timetable import epoch_ms
from simulator.recordings.slices import cut
from simulator.socket import wire
from simulator.socket.feed_options import FeedOptions
from simulator.socket.session import MarketFeed, MarketSource
from tools.endurance.schedule import Schedule

# Between two of the market's instants that are played: in it nearly every contract has news.
_STEP = timedelta(seconds=2)
_INSTANTS = 20
_IDLE_SECONDS = 0.2
_LIVE_FEED = 1

Tape = Sequence[Sequence[bytes]]


@dataclass(slots=True)
class Load:
    """A load that is being served.

    Attributes:
        tape: for each of the market's instants the entry of each of the schedule's keys.
        told: ticks of each frame that were handed to any socket.
        end: the number of frames; None while it is open.
    """

    schedule: Schedule
    tape: Tape
    told: array[int] = field(default_factory=lambda: array("q"))
    end: int | None = None
    _joined: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def position(self, now: datetime) -> int:
        """How many frames are due."""
        due = self.schedule.position(epoch_ms(now))
        return due if self.end is None else min(due, self.end)

    def whole(self, number: int) -> bytes:
        """A frame for those who follow every key."""
        return self._framed(number, [self._whole(*self._place(number))])

    def part(self, number: int, kept: Sequence[int]) -> bytes:
        """A frame with some of its entries, by their places in the group."""
        instant, group = self._place(number)
        first = group * self.schedule.frame_ticks
        return self._framed(number, [self.tape[instant][first + place] for place in kept])

    def note(self, number: int, ticks: int) -> None:
        """Remember that so many ticks of a frame were handed to a socket."""
        if number >= len(self.told):
            self.told.extend([0] * (number + 1 - len(self.told)))
        self.told[number] += ticks

    def _place(self, number: int) -> tuple[int, int]:
        return number // self.schedule.groups % len(self.tape), self.schedule.group(number)

    def _whole(self, instant: int, group: int) -> bytes:
        found = self._joined.get((instant, group))
        if found is None:
            first = group * self.schedule.frame_ticks
            found = b"".join(self.tape[instant][first : first + self.schedule.frame_ticks])
            self._joined[instant, group] = found
        return found

    def _framed(self, number: int, entries: Sequence[bytes]) -> bytes:
        return wire.frame(_LIVE_FEED, self.schedule.due_ms(number), entries)


class PacedSource:
    """Opens feeds; a ``Source``. ``load`` is None while there is none."""

    def __init__(self, market: Market) -> None:
        self.load: Load | None = None
        self._market = MarketSource(market)
        self._open: list[PacedFeed] = []

    def state(self, now: datetime) -> tuple[Hashable, bytes]:
        """The market's."""
        return self._market.state(now)

    def open(self, account: Account) -> PacedFeed:
        """A feed for a new connection."""
        feed = PacedFeed(self, self._market.open(account))
        self._open.append(feed)
        return feed

    def closed(self, feed: PacedFeed) -> None:
        """A feed is gone."""
        self._open.remove(feed)

    def is_behind(self) -> bool:
        """Whether a connection has not been handed everything of a load that was ended."""
        return any(feed.is_behind() for feed in self._open)

    def followed(self) -> tuple[str, ...]:
        """What all clients follow, each key once, a client's keys together."""
        return tuple(dict.fromkeys(key for feed in self._open for key in feed.followed()))


class PacedFeed:
    """One connection; a ``Feed``. No frame is left out for a client that reads slowly."""

    def __init__(self, source: PacedSource, market: MarketFeed) -> None:
        self._source = source
        self._market = market
        self._load: Load | None = None
        self._next = 0
        self._kept: list[list[int]] | None = None
        self._idle_until: datetime | None = None

    def request(self, message: bytes, now: datetime) -> Sequence[bytes]:
        """Take a request; the market's answer."""
        self._kept = None
        return self._market.request(message, now)

    def update(self, now: datetime) -> Sequence[bytes]:
        """Every frame that is due since the last call."""
        load = self._source.load
        if load is None or (load.end is not None and load.position(now) == load.end == self._next):
            return self._idle(now)
        if load is not self._load:
            # Who comes while a load is on has missed what was due before.
            is_new = self._load is None and self._idle_until is None
            self._load, self._next = load, load.position(now) if is_new else 0
        return self._due(load, load.position(now))

    def is_behind(self) -> bool:
        """Whether frames of a load that was ended are still to come."""
        load = self._load
        return load is not None and load.end is not None and self._next < load.end

    def followed(self) -> Sequence[str]:
        """The keys that the client follows now."""
        return self._market.followed()

    def drop(self, keys: Sequence[str]) -> None:
        """Forget keys without a word."""
        self._kept = None
        self._market.drop(keys)

    def close(self) -> None:
        """The connection is gone."""
        self._source.closed(self)
        self._market.close()

    def _idle(self, now: datetime) -> Sequence[bytes]:
        if self._idle_until is not None and now < self._idle_until:
            return ()
        self._idle_until = now + timedelta(seconds=_IDLE_SECONDS)
        return self._market.update(now)

    def _due(self, load: Load, until: int) -> list[bytes]:
        kept = self._kept_of(load)
        begin, self._next = self._next, until
        frames = []
        for number in range(begin, until):
            places = kept[load.schedule.group(number)]
            if places:
                is_whole = len(places) == load.schedule.frame_ticks
                frames.append(load.whole(number) if is_whole else load.part(number, places))
                load.note(number, len(places))
        return frames

    def _kept_of(self, load: Load) -> list[list[int]]:
        """For each group the places of the keys that this client follows."""
        if self._kept is None:
            followed, plan = frozenset(self.followed()), load.schedule
            self._kept = [
                [place for place, key in enumerate(plan.keys_of(group)) if key in followed]
                for group in range(plan.groups)
            ]
        return self._kept


def tape(market: Market, keys: Sequence[str], until: datetime) -> Tape:
    """What the market tells of each key at instants up to ``until``.

    Args:
        market: one that nobody else uses meanwhile.
    """
    account = Account("TAPE", True, TokenKind.ANALYTICS, until + timedelta(days=1))
    feed = MarketSource(market, FeedOptions(has_limits=False)).open(account)
    start = until - (_INSTANTS + 1) * _STEP
    told: dict[str, bytes] = {}
    _take(told, feed.request(subscribe(keys, Mode.FULL), start))
    made = []
    for number in range(_INSTANTS):
        _take(told, feed.update(start + (number + 1) * _STEP))
        made.append([told[key] for key in keys])
    return made


def _take(told: dict[str, bytes], frames: Sequence[bytes]) -> None:
    for frame in frames:
        told.update((key, piece) for key, piece in cut(frame).pieces if key is not None)
