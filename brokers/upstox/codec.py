"""The socket's language: protobuf frames in, JSON requests out.

Pure: no socket, no clock. Which keys to ask for is decided in ``brokers.planner``; liveness, gaps
and resubscription belong to ``streaming``. Nothing else of optionlake knows the wire's names.

A frame of ticks is read by ``walker``; what that leaves alone, by the protobuf library, six times
slower and with the last word on what is a frame.

proto3 does not send a zero scalar, so zero and "not told" are the same bytes: both become NaN.
Prices are ₹ and quantities units on the wire already, implied volatility is a fraction. Theta,
vega and rho are the vendor's own figures (₹ per calendar day, per volatility point, per 1 % of
rate by its convention); they are kept for comparison and never enter our analytics.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS, FeedFrame, FrameKind, Mode
from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from brokers.upstox.key_book import KeyBook
from brokers.upstox.quotes import FIRST_BYTE, read_quotes
from brokers.upstox.walker import EARLIEST_MS, LATEST_MS, walk
from market.errors import FrameError

_MODE_NAMES = {Mode.LTP: "ltpc", Mode.GREEKS: "option_greeks", Mode.FULL: "full"}
_STATUS_NAMES: Mapping[int, str] = {number: name for name, number in wire.MarketStatus.items()}
_Row = tuple[float, ...]
_NO_QUOTE = wire.Quote()
_NO_GREEKS = wire.OptionGreeks()
_NO_DAY = wire.OHLC()
_TRADED_AT = FEED_COLUMN_INDEX["traded_at_ms"]


class UpstoxCodec:
    """The module's functions as a ``FeedCodec``, and the keys that its frames have named.

    Any number of threads.
    """

    def __init__(self) -> None:
        self._book = KeyBook()

    def subscribe(self, keys: Sequence[str], mode: Mode) -> bytes:
        """See the module's ``subscribe``."""
        return subscribe(keys, mode)

    def unsubscribe(self, keys: Sequence[str]) -> bytes:
        """See the module's ``unsubscribe``."""
        return unsubscribe(keys)

    def decode(self, frame: bytes) -> FeedFrame:
        """See the module's ``decode``."""
        book = self._book
        told = decode(frame, book)
        if book.is_spent:
            # Made-up keys, or those of many days: the ones that are told now come in again.
            self._book = KeyBook()
        return told


def subscribe(keys: Sequence[str], mode: Mode) -> bytes:
    """A request for ``keys`` in ``mode``; must go out as a binary message (text is ignored)."""
    return _request("sub", {"mode": _MODE_NAMES[mode], "instrumentKeys": list(keys)})


def unsubscribe(keys: Sequence[str]) -> bytes:
    """The opposite request; it needs no mode."""
    return _request("unsub", {"instrumentKeys": list(keys)})


def decode(frame: bytes, book: KeyBook | None = None) -> FeedFrame:
    """Read one binary frame into columns.

    With a ``book`` the keys are told by their places in it, where they have one.

    A frame without a type is a snapshot, because that type is 0. A type added later is taken for
    an update as long as it carries feeds. Entries whose content is of no known kind are left out.

    What begins with ``{``, as no ``FeedResponse`` can, is an answer of the quotes call: prices that
    came over REST lie in the same journal.

    Raises:
        FrameError: if the bytes are no ``FeedResponse``, or carry nothing that is known.
    """
    if frame[:1] == FIRST_BYTE:
        return read_quotes(frame)
    walked = walk(frame, book)
    if walked is None:
        return decode_by_library(frame)
    return FeedFrame(
        kind=FrameKind.UPDATE if walked.type_number else FrameKind.SNAPSHOT,
        published_at_ms=walked.published_at_ms or None,
        keys=walked.keys,
        values=walked.values,
    )


def decode_by_library(frame: bytes) -> FeedFrame:
    """As ``decode``, by the protobuf library alone.

    Raises:
        FrameError: as ``decode``.
    """
    response = _parse(frame)
    feeds = response.feeds
    keys, rows = _rows(feeds.items()) if feeds else ([], [])
    if not keys and not response.HasField("marketInfo"):
        raise FrameError(
            f"a frame of {len(frame)} bytes carries no feed and no market status; "
            "expected a FeedResponse of feed version 3"
        )
    return FeedFrame(
        kind=_kind(response, bool(keys)),
        published_at_ms=_published_at_ms(response),
        keys=tuple(keys),
        values=_values(rows),
        market_status=_market_status(response),
    )


def _request(method: str, data: Mapping[str, object]) -> bytes:
    body = json.dumps({"method": method, "data": data})
    # The broker never echoes the guid; a name of the content keeps this function pure.
    guid = str(uuid5(NAMESPACE_URL, body))
    return json.dumps({"guid": guid, "method": method, "data": data}).encode()


def _parse(frame: bytes) -> wire.FeedResponse:
    try:
        return wire.FeedResponse.FromString(frame)
    except (DecodeError, TypeError) as error:
        raise FrameError(
            f"a message of {len(frame)} bytes is not a FeedResponse of feed version 3: {error}"
        ) from error


def _kind(response: wire.FeedResponse, has_feeds: bool) -> FrameKind:
    if not has_feeds:
        return FrameKind.STATUS
    return FrameKind.SNAPSHOT if response.type == wire.initial_feed else FrameKind.UPDATE


def _published_at_ms(response: wire.FeedResponse) -> int | None:
    published = response.currentTs
    if published == 0:
        return None
    if not EARLIEST_MS <= published < LATEST_MS:
        raise FrameError(f"frame time {published} is not epoch milliseconds of this century")
    return published


def _market_status(response: wire.FeedResponse) -> dict[str, str]:
    segments = response.marketInfo.segmentStatus
    # Enums are open in proto3: a status added later arrives as its number.
    return {name: _STATUS_NAMES.get(status, str(int(status))) for name, status in segments.items()}


def _values(rows: Sequence[_Row]) -> NDArray[np.float64]:
    flat = [value for row in rows for value in row]
    values = np.array(flat, dtype=np.float64).reshape(len(rows), len(FEED_COLUMNS))
    values[(values == 0) | ~np.isfinite(values)] = np.nan
    traded_at = values[:, _TRADED_AT]
    traded_at[(traded_at < EARLIEST_MS) | (traded_at >= LATEST_MS)] = np.nan
    return values


def _rows(feeds: Iterable[tuple[str, wire.Feed]]) -> tuple[list[str], list[_Row]]:
    keys: list[str] = []
    rows: list[_Row] = []
    for key, feed in feeds:
        member = feed.WhichOneof("FeedUnion")
        reader = _READERS.get(member) if member else None
        if reader and (row := reader(feed)):
            keys.append(key)
            rows.append(row)
    return keys, rows


def _read_ltpc(feed: wire.Feed) -> _Row:
    return _row(feed.ltpc)


def _read_first_level(feed: wire.Feed) -> _Row:
    first = feed.firstLevelWithGreeks
    return _row(
        first.ltpc,
        first.firstDepth,
        first.optionGreeks,
        counters=(first.vtt, first.oi, 0.0, first.iv, 0.0, 0.0),
    )


def _read_full(feed: wire.Feed) -> _Row | None:
    member = feed.fullFeed.WhichOneof("FullFeedUnion")
    if member == "marketFF":
        return _read_market(feed.fullFeed.marketFF)
    if member == "indexFF":
        index = feed.fullFeed.indexFF
        return _row(index.ltpc, day=_day(index.marketOHLC))
    return None


def _read_market(market: wire.MarketFullFeed) -> _Row:
    levels = market.marketLevel.bidAskQuote
    return _row(
        market.ltpc,
        levels[0] if levels else _NO_QUOTE,
        market.optionGreeks,
        _day(market.marketOHLC),
        (market.vtt, market.oi, market.atp, market.iv, market.tbq, market.tsq),
    )


def _day(bars: wire.MarketOHLC) -> wire.OHLC:
    return next((bar for bar in bars.ohlc if bar.interval == "1d"), _NO_DAY)


def _row(
    last: wire.LTPC,
    quote: wire.Quote = _NO_QUOTE,
    greeks: wire.OptionGreeks = _NO_GREEKS,
    day: wire.OHLC = _NO_DAY,
    counters: _Row = (0.0,) * 6,
) -> _Row:
    """One row in the order of ``FEED_COLUMNS``; absent messages read as zeros."""
    volume, open_interest, average, implied_volatility, total_bid, total_ask = counters
    return (
        last.ltp,
        last.ltt,
        last.ltq,
        last.cp,
        quote.bidP,
        quote.bidQ,
        quote.askP,
        quote.askQ,
        volume,
        open_interest,
        average,
        implied_volatility,
        greeks.delta,
        greeks.gamma,
        greeks.theta,
        greeks.vega,
        greeks.rho,
        total_bid,
        total_ask,
        day.open,
        day.high,
        day.low,
    )


_READERS: Mapping[str, Callable[[wire.Feed], _Row | None]] = {
    "ltpc": _read_ltpc,
    "firstLevelWithGreeks": _read_first_level,
    "fullFeed": _read_full,
}
