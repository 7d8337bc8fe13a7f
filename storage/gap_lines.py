"""The entries of the gap book, and how each looks as a line.

A line is the checksum of its text, a space and the text, a JSON list. Lines that are torn or
damaged are passed over: any bytes can be read. The file, and what its entries amount to, belongs in
``gap_book``.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_UNIX_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class OpenGap:
    """A slot that gives nothing since ``from_at`` (aware UTC).

    Attributes:
        slot: which of the feed's sockets, from 0.
        keys: broker keys that are missed; empty: not known.
    """

    slot: int
    from_at: datetime
    reason: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LiveSlot:
    """A slot without a gap, and the epoch whose records tell how far it came.

    Attributes:
        since: where to begin if no record of the epoch is left.
    """

    slot: int
    epoch: int
    keys: tuple[str, ...]
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class IdleSlot:
    """A slot that has nothing to deliver: its silence is no gap."""

    slot: int


@dataclass(frozen=True, slots=True)
class ClosedGap:
    """A gap that is over and not in the database; attributes as in ``OpenGap``."""

    slot: int
    from_at: datetime
    to_at: datetime
    reason: str
    epoch: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The database has the gap as it was up to ``to_at``."""

    slot: int
    from_at: datetime
    to_at: datetime
    reason: str
    epoch: int


Entry = OpenGap | LiveSlot | IdleSlot | ClosedGap | Recorded


class LineWriter:
    """Writes entries into one file: hundreds of keys once, and from then on by their number."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}

    def lines(self, entries: Iterable[Entry]) -> bytes:
        """The lines that add ``entries`` to what was written before."""
        return b"".join(line for entry in entries for line in self._lines(entry))

    def _lines(self, entry: Entry) -> Iterable[bytes]:
        keys = () if isinstance(entry, IdleSlot | Recorded) else entry.keys
        if keys not in self._numbers:
            self._numbers[keys] = len(self._numbers)
            yield _line(["keys", self._numbers[keys], *keys])
        yield _line(_fields(entry, self._numbers[keys]))


def read_entries(content: bytes) -> tuple[list[Entry], int]:
    """The entries of a file, and how many whole lines are damaged; any bytes will do."""
    keys_by_number: dict[int, tuple[str, ...]] = {}
    found: list[Entry] = []
    damaged = 0
    # What follows the last end of a line was being written when the process died.
    for line in content.split(b"\n")[:-1]:
        try:
            kind, *fields = _checked(line)
            if kind == "keys":
                keys_by_number[_int(fields[0])] = tuple(map(str, fields[1:]))
            else:
                found.append(_entry(kind, fields, keys_by_number))
        except (ValueError, TypeError, LookupError, OverflowError):
            damaged += 1
    return found, damaged


def _checked(line: bytes) -> list[object]:
    checksum, _, text = line.partition(b" ")
    if int(checksum, 16) != zlib.crc32(text):
        raise ValueError("checksum")
    fields = json.loads(text)
    if not isinstance(fields, list):
        raise TypeError("no list")
    return fields


def _line(fields: list[object]) -> bytes:
    text = json.dumps(fields, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _fields(entry: Entry, keys_number: int) -> list[object]:
    match entry:
        case OpenGap(slot, from_at, reason, _):
            return ["open", slot, keys_number, _us(from_at), reason]
        case LiveSlot(slot, epoch, _, since):
            return ["live", slot, keys_number, epoch, since and _us(since)]
        case IdleSlot(slot):
            return ["idle", slot, keys_number]
        case ClosedGap(slot, from_at, to_at, reason, epoch, _):
            return ["closed", slot, keys_number, _us(from_at), _us(to_at), reason, epoch]
        case Recorded(slot, from_at, to_at, reason, epoch):
            return ["recorded", slot, keys_number, _us(from_at), _us(to_at), reason, epoch]


def _entry(kind: object, fields: list[object], keys_by_number: dict[int, tuple[str, ...]]) -> Entry:
    slot, keys = _int(fields[0]), keys_by_number.get(_int(fields[1]), ())
    match kind, fields[2:]:
        case "open", [from_us, reason]:
            return OpenGap(slot, _instant(from_us), str(reason), keys)
        case "live", [epoch, since_us]:
            since = None if since_us is None else _instant(since_us)
            return LiveSlot(slot, _int(epoch), keys, since)
        case "idle", []:
            return IdleSlot(slot)
        case "closed", [from_us, to_us, reason, epoch]:
            times = _instant(from_us), _instant(to_us)
            return ClosedGap(slot, *times, str(reason), _int(epoch), keys)
        case "recorded", [from_us, to_us, reason, epoch]:
            return Recorded(slot, _instant(from_us), _instant(to_us), str(reason), _int(epoch))
    raise ValueError(f"unknown entry {kind!r}")


def _int(field: object) -> int:
    if not isinstance(field, int):
        raise TypeError("no whole number")
    return field


def _us(instant: datetime) -> int:
    return (instant - _UNIX_START) // _MICROSECOND


def _instant(epoch_us: object) -> datetime:
    return _UNIX_START + _int(epoch_us) * _MICROSECOND
