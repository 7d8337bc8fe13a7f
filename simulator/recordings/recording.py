"""A recorded feed on disk: its folder, its frames in order of receipt, what they say of a key.

A recording is a folder that ``recorder`` writes::

    about.json       who recorded what, from where, when
    master.json.gz   the instrument master of that day, as the broker gave it
    journal/         every frame as it came, with the time of its receipt (``storage.segments``)

The journal alone, as optionlake's streaming process keeps one, is a recording too: its master is
then unknown. Serving one to clients stands in ``playback``.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError, Message

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from market.errors import ConfigurationError
from simulator.exchange.noise import Ints
from simulator.recordings.slices import Sliced, cut
from storage.segments import Segment, SegmentBytes, SegmentReader, segments

ABOUT, MASTER, JOURNAL = "about.json", "master.json.gz", "journal"
FORMAT = 1
# A block that was not told in so many of a key's entries is not looked for further back.
_LOOK_BACK = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class About:
    """What a recording says of itself.

    Attributes:
        source: the address that it was recorded from.
        started_at: when recording began; aware UTC.
        first_at, last_at: receipt of the first and the last frame; None while there is none.
        is_complete: whether it was ended in order.
    """

    source: str
    keys: tuple[str, ...]
    mode: str
    started_at: datetime
    first_at: datetime | None = None
    last_at: datetime | None = None
    frames: int = 0
    is_complete: bool = False

    def to_json(self) -> str:
        """As it stands in the folder."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, default=datetime.isoformat)


class _Place(NamedTuple):
    """Where a frame lies, and when it came."""

    epoch: int
    received_at_ns: int
    segment: Segment
    offset: int
    length: int


class Recording:
    """A recording that is read from disk frame by frame; its order and times are kept in memory.

    Any instant may be asked for in any order. ``position`` is how many frames have come by then.

    Attributes:
        about: None for a bare journal.
        master: the instrument master, gzipped; None for a bare journal.

    Raises:
        ConfigurationError: the folder is no recording, or an empty one.
        JournalError: a journal file is damaged before its end; a torn end is passed over.
    """

    def __init__(self, folder: Path) -> None:
        own, self.about = _located(folder)
        master = folder / MASTER
        self.master = master.read_bytes() if self.about and master.is_file() else None
        self._places, self._times = _in_order(list(_indexed(own)))
        if not self._places:
            raise ConfigurationError(f"recording {folder} holds no frame; record another one")
        self._cut = lru_cache(maxsize=512)(self._read_cut)
        self._parsed = lru_cache(maxsize=128)(self._read_parsed)
        self._bytes = lru_cache(maxsize=16)(SegmentBytes)
        self._seen: dict[str, array[int]] = {}
        self._states = array("q")
        for number in range(len(self._places)):
            self._note(number)

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self._places)

    @property
    def keys(self) -> list[str]:
        """Every key that occurs, in order."""
        return sorted(self._seen)

    def has(self, key: str) -> bool:
        """Whether any frame tells of a key."""
        return key in self._seen

    @property
    def first_at(self) -> datetime:
        """When the first frame was received, rounded up to a microsecond."""
        return _instant(int(self._times[0]))

    @property
    def last_at(self) -> datetime:
        """When the last frame was received, rounded up to a microsecond."""
        return _instant(int(self._times[-1]))

    def position(self, now: datetime) -> int:
        """How many frames were received up to ``now``."""
        now_ns = (now - _EPOCH) // timedelta(microseconds=1) * 1000
        return int(np.searchsorted(self._times, now_ns, side="right"))

    def frame(self, number: int) -> Sliced:
        """The frame with that number, from 0."""
        return self._cut(number)

    def size_bytes(self, number: int) -> int:
        """The size of that frame."""
        return self._places[number].length

    def market_state(self, position: int) -> tuple[int, bytes] | None:
        """Number and bytes of the newest ``market_info`` among the first ``position`` frames."""
        found = bisect_left(self._states, position)
        return (number := self._states[found - 1], self._read(number)) if found else None

    def is_market_state(self, number: int) -> bool:
        """Whether that frame is a ``market_info``."""
        found = bisect_left(self._states, number)
        return found < len(self._states) and self._states[found] == number

    def entry(self, key: str, position: int) -> wire.Feed | None:
        """What the first ``position`` frames told of a key, merged; None if it was not told of.

        A block that a newer entry left out is that of an older one; so is a number that is not on
        the wire, since there 0 and "unchanged" look alike.
        """
        newest_first = list(self._entries_back(key, position))
        if not newest_first:
            return None
        merged = wire.Feed()
        merged.CopyFrom(newest_first.pop())
        for newer in reversed(newest_first):
            _lay_over(merged, newer)
        return merged

    def current_ms(self, position: int) -> int:
        """The newest frame's own time, epoch ms; 0 if none of the last few carries one."""
        for number in range(position - 1, max(position - 100, 0) - 1, -1):
            with suppress(DecodeError):
                if found := self.frame(number).header.currentTs:
                    return found
        return 0

    def _entries_back(self, key: str, position: int) -> Iterator[wire.Feed]:
        """Entries of a key, newest first, until every block was told or a snapshot is reached."""
        seen = self._seen.get(key, array("q"))
        last = bisect_left(seen, position)
        missing: set[str] | None = None
        union: tuple[str, ...] = ()
        for number in reversed(seen[max(last - _LOOK_BACK, 0) : last]):
            response = self._parsed(number)
            entry = response.feeds[key]
            if missing is None:
                union, missing = _union(entry), _blocks(entry)
            elif _union(entry) != union:
                return
            yield entry
            missing -= {block.name for block, _ in _inner(entry).ListFields()}
            if not missing or response.type == wire.initial_feed:
                return

    def _note(self, number: int) -> None:
        with suppress(DecodeError):
            response = wire.FeedResponse.FromString(self._read(number))
            for key in response.feeds:
                self._seen.setdefault(key, array("q")).append(number)
            if response.type == wire.market_info:
                self._states.append(number)

    def _read_cut(self, number: int) -> Sliced:
        return cut(self._read(number))

    def _read_parsed(self, number: int) -> wire.FeedResponse:
        return wire.FeedResponse.FromString(self._read(number))

    def _read(self, number: int) -> bytes:
        place = self._places[number]
        return self._bytes(place.segment).read(place.offset, place.length)


def _located(folder: Path) -> tuple[list[Segment], About | None]:
    """The journal's files, and what the recording says of itself."""
    about = folder / ABOUT
    if about.is_file():
        return segments(folder / JOURNAL), _about(about)
    if found := segments(folder) or segments(folder / JOURNAL):
        return found, None
    raise ConfigurationError(
        f"no recording in {folder}: expected {ABOUT} and {JOURNAL}/ as `optionlake record` writes "
        f"them, or a folder with *.journal files"
    )


def _about(path: Path) -> About:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        version = told.pop("format")
        if version != FORMAT:
            raise ValueError(f"format {version}, this version reads {FORMAT}")
        times = {n: told[n] and datetime.fromisoformat(told[n]) for n in _ABOUT_TIMES}
        return About(**{**told, **times, "keys": tuple(told["keys"])})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error!r}); move it away to serve the journal alone"
        ) from error


_ABOUT_TIMES = ("started_at", "first_at", "last_at")


def _indexed(own: Sequence[Segment]) -> Iterator[_Place]:
    for segment in own:
        reader = SegmentReader(segment)
        for record in reader.read():
            length = len(record.frame)
            begin = reader.offset - length
            yield _Place(segment.epoch, record.received_at_ns, segment, begin, length)
        tear = reader.tear()
        # A killed recorder leaves half a record; records behind damage are another matter.
        if tear is not None and tear.is_middle:
            raise reader.damage()


def _in_order(places: Sequence[_Place]) -> tuple[list[_Place], Ints]:
    """The frames by receipt, and their times, which never go back.

    Within a connection frames keep their order even if the machine's clock was set back.
    """
    received = np.array([place.received_at_ns for place in places], np.int64)
    epochs = np.array([place.epoch for place in places], np.uint64)
    for epoch in np.unique(epochs):
        own = epochs == epoch
        received[own] = np.maximum.accumulate(received[own])
    order = np.argsort(received, kind="stable")
    return [places[i] for i in order.tolist()], received[order]


def _instant(at_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=-(-at_ns // 1000))


def _lay_over(older: wire.Feed, newer: wire.Feed) -> None:
    """Put what ``newer`` tells over ``older``, block by block."""
    target, source = _inner(older), _inner(newer)
    for block, _ in source.ListFields():
        if block.message_type is not None:
            target.ClearField(block.name)
    target.MergeFrom(source)
    older.requestMode = newer.requestMode


def _union(entry: wire.Feed) -> tuple[str, ...]:
    """Which members of its unions an entry has."""
    outer = entry.WhichOneof("FeedUnion") or ""
    inner = entry.fullFeed.WhichOneof("FullFeedUnion") if outer == "fullFeed" else None
    return (outer, inner) if inner else (outer,)


def _inner(entry: wire.Feed) -> Message:
    """The message with an entry's figures; the entry itself if it has none."""
    found: Message = entry
    for name in _union(entry):
        found = getattr(found, name) if name else found
    return found


def _blocks(entry: wire.Feed) -> set[str]:
    """The blocks that an entry of this kind may leave out; none for the last price alone."""
    inner = _inner(entry)
    is_small = isinstance(inner, wire.LTPC | wire.Feed)
    fields = () if is_small else inner.DESCRIPTOR.fields
    return {field.name for field in fields if field.message_type is not None}
