"""The binary frame of the local live feed, shared by programs that do not import each other.

Layout, little-endian: ``u32`` header length, UTF-8 JSON header padded with spaces so that what
follows starts on an 8-byte border, then for each table its ids and its columns, all float64::

    {"v": 1, "sequence": 7, "since": 40, "version": 43, "sent_at_ms": …,
     "tables": [{"name": …, "rows": n, "columns": […]}]}

NaN stands for null, instants are epoch milliseconds. What the columns mean is told in
``docs/live-feed.md``; who sends what when does not belong here.
"""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from market.errors import FrameError

VERSION = 1

# The columns of each table, in order; a new one goes to the end and leaves the version as it is.
UNDERLYING_COLUMNS = (
    "spot",
    "spot_at_ms",
    "spot_received_at_ms",
    "change_percent",
    "forward",
    "net_gex_crore_per_percent",
    "pcr_open_interest",
    "pcr_volume",
    "atm_implied_volatility",
    "chain_at_ms",
    "marked_at_ms",
)
EXPIRY_COLUMNS = (
    "forward",
    "forward_status",
    "forward_mad_bp",
    "atm_implied_volatility",
    "net_gex_crore_per_percent",
    "pcr_open_interest",
    "pcr_volume",
    "call_open_interest_units",
    "put_open_interest_units",
    "years_to_expiry",
    "chain_at_ms",
    "marked_at_ms",
)
STRIKE_COLUMNS = (
    "call_gex_crore_per_percent",
    "put_gex_crore_per_percent",
    "net_gex_crore_per_percent",
    "chain_at_ms",
    "marked_at_ms",
)
CONTRACT_COLUMNS = (
    "last_price",
    "last_price_at_ms",
    "last_price_is_live",
    "bid_price",
    "ask_price",
    "quote_at_ms",
    "volume_units",
    "volume_at_ms",
    "open_interest_units",
    "open_interest_change_units",
    "open_interest_at_ms",
    "implied_volatility",
    "iv_status",
    "iv_at_ms",
    "delta_forward",
    "gamma_forward",
    "theta_per_day",
    "vega_per_vol_point",
    "greeks_at_ms",
)
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class LiveTable:
    """Changed rows of one table: ``ids`` and each column have one float64 per row."""

    name: str
    ids: array[float]
    columns: Mapping[str, array[float]]


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """Rows that changed since the frame before, of every table that changed.

    Attributes:
        since, version: the rows are those above ``since``, and bring a reader that has these to
            ``version``; a reader that is below ``since`` has missed something.
    """

    sequence: int
    sent_at_ms: float
    tables: Sequence[LiveTable]
    since: int = 0
    version: int = 0


def encode(frame: LiveFrame) -> bytes:
    """The frame as bytes."""
    tables = [
        {"name": t.name, "rows": len(t.ids), "columns": list(t.columns)} for t in frame.tables
    ]
    header = json.dumps(
        {
            "v": VERSION,
            "sequence": frame.sequence,
            "since": frame.since,
            "version": frame.version,
            "sent_at_ms": frame.sent_at_ms,
            "tables": tables,
        },
        separators=(",", ":"),
    ).encode()
    header += b" " * (-(_LENGTH.size + len(header)) % 8)
    sections = [s for t in frame.tables for s in (t.ids, *t.columns.values())]
    return b"".join((_LENGTH.pack(len(header)), header, *(_little_endian(s) for s in sections)))


def decode(message: bytes) -> LiveFrame:
    """Read a frame back.

    Raises:
        FrameError: if the bytes are not a frame of this version.
    """
    try:
        (length,) = _LENGTH.unpack_from(message)
        header = json.loads(message[_LENGTH.size : _LENGTH.size + length])
        if header["v"] != VERSION:
            raise FrameError(f"live frame version {header['v']}, expected {VERSION}")
        tables, offset = [], _LENGTH.size + length
        for described in header["tables"]:
            table, offset = _read_table(message, offset, described)
            tables.append(table)
        since, version = header["since"], header["version"]
        if not isinstance(since, int) or not isinstance(version, int):
            raise FrameError(f"frame from {since!r} to {version!r}, expected integers")
        return LiveFrame(header["sequence"], header["sent_at_ms"], tables, since, version)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FrameError(f"not a live frame: {error}") from error


def _read_table(
    message: bytes, offset: int, described: Mapping[str, object]
) -> tuple[LiveTable, int]:
    rows, names = described["rows"], described["columns"]
    if not isinstance(rows, int) or rows < 0 or not isinstance(names, list):
        raise ValueError(f"table {described.get('name')} has no usable shape")
    sections: list[array[float]] = []
    for _ in range(len(names) + 1):
        chunk = message[offset : offset + 8 * rows]
        if len(chunk) != 8 * rows:
            raise ValueError(f"table {described['name']} is cut short")
        sections.append(_from_little_endian(chunk))
        offset += 8 * rows
    columns = dict(zip(map(str, names), sections[1:], strict=True))
    return LiveTable(str(described["name"]), sections[0], columns), offset


def _little_endian(section: array[float]) -> bytes:
    if sys.byteorder == "big":
        section = section[:]
        section.byteswap()
    return section.tobytes()


def _from_little_endian(chunk: bytes) -> array[float]:
    section = array("d", chunk)
    if sys.byteorder == "big":
        section.byteswap()
    return section
