"""What all clients are told, computed once: quotes per instant, bytes per row and mode.

The hub steps from instant to instant. In a step it quotes every row that anyone follows, finds the
ones with news and encodes these once for each mode in use; a client's frame is then a join of
entries, and clients with equal subscriptions are handed the very same bytes. Who follows what and
was told what is kept by each client's feed (``session``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from market.contract import Kind
from simulator.exchange.market import Market
from simulator.exchange.noise import Floats, Ints, Mask
from simulator.exchange.quotes import Quotes, ladder
from simulator.exchange.timetable import epoch_ms
from simulator.exchange.universe import Listing
from simulator.socket import entries, wire
from simulator.socket.closing_auction import ClosingAuction
from simulator.socket.feed_options import FeedOptions
from simulator.socket.running_bars import RunningBars, widen
from simulator.socket.wire import Entries, Keys

_LIVE_FEED = 1
_WITH_BARS = (wire.FULL, wire.DEEP)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Plane:
    """One mode: how many follow each key in it, which rows these are, each row's newest entry."""

    followers: dict[str, int] = field(default_factory=dict)
    told: dict[int, bytes] = field(default_factory=dict)
    is_followed: Mask = field(default_factory=lambda: np.empty(0, np.bool_))


class Board:
    """What stands about each row of one listing; rows that nobody follows stay blank.

    Attributes:
        step: of each row's latest news.
    """

    def __init__(self, market: Market, listing: Listing) -> None:
        count = len(listing.rows)
        self.listing = listing
        self.keys = Keys.of([row.key for row in listing.rows])
        kinds = [row.contract.kind for row in listing.rows]
        self.is_share = np.array([kind is Kind.EQUITY for kind in kinds], np.bool_)
        self.is_followed = np.zeros(count, np.bool_)
        self.has_bars = np.zeros(count, np.bool_)
        self.entries: Entries = np.zeros(count, wire.ENTRY)
        self.news: Floats = np.zeros((count, entries.NEWS_COLUMNS))
        self.step: Ints = np.zeros(count, np.int64)
        self.bars = RunningBars(market, self.entries)

    def rows(self, keys: Iterable[str]) -> Ints:
        """Rows of those ``keys`` that are listed, ascending."""
        row_of_key = self.listing.row_of_key
        return np.array(sorted(row_of_key[key] for key in keys if key in row_of_key), np.int64)

    def follow(self, is_followed: Mask, has_bars: Mask) -> None:
        """From now on keep these rows, and bars of some of them; who is new begins blank."""
        new = is_followed & ~self.is_followed
        self.entries[new] = np.zeros((), wire.ENTRY)
        self.news[new] = 0.0
        self.bars.start(np.flatnonzero(has_bars & (new | ~self.has_bars)))
        self.is_followed, self.has_bars = is_followed, has_bars

    def renew(self, news: Quotes) -> None:
        """Write what is told of these rows from now on, all but the closing auction."""
        renewed = entries.take(self.entries, news.rows)
        earlier_units, is_known = renewed["volume_units"].copy(), renewed["last_price"] != 0
        entries.fill(renewed, news, self.listing.is_index[news.rows])
        widen(renewed, earlier_units, is_known)
        entries.put(self.entries, news.rows, renewed)

    def inherit(self, other: Board, keys: Collection[str]) -> dict[int, int]:
        """Take over what ``other`` holds about ``keys``; returns its rows with ours."""
        old, new = other.listing.row_of_key, self.listing.row_of_key
        moved = {old[key]: new[key] for key in keys if key in old and key in new}
        theirs, ours = (np.array(list(rows), np.int64) for rows in (moved.keys(), moved.values()))
        for name in ("is_followed", "has_bars", "entries", "news", "step"):
            getattr(self, name)[ours] = getattr(other, name)[theirs]
        self.bars.inherit(other.bars, theirs, ours)
        return moved


class Hub:
    """The shared side of all feeds of one market.

    Attributes:
        step: counts the instants that were computed.
        at_ms: the instant of that step, epoch ms.
    """

    def __init__(self, market: Market, options: FeedOptions) -> None:
        self._market = market
        self._options = options
        self._auction = ClosingAuction(market)
        self._planes = {mode: _Plane() for mode in wire.MODES}
        self._board: Board | None = None
        self._is_placed = False
        self._frames: dict[tuple[bytes, bytes], bytes] = {}
        self.step = 0
        self.at_ms = 0

    def follow(self, mode: str, keys: Iterable[str]) -> None:
        """One more follower of ``keys``, listed or not, in ``mode``."""
        followers = self._planes[mode].followers
        for key in keys:
            followers[key] = followers.get(key, 0) + 1
        self._is_placed = False

    def unfollow(self, mode: str, keys: Iterable[str]) -> None:
        """The opposite of ``follow``."""
        followers = self._planes[mode].followers
        for key in keys:
            followers[key] -= 1
            if not followers[key]:
                del followers[key]
        self._is_placed = False

    def advance(self, now: datetime, seen: int) -> Board:
        """Compute ``now``, unless a state that is young enough is news to this client.

        Args:
            seen: the step that the client was told last.
        """
        at_ms, listing = epoch_ms(now), self._market.listing(now)
        board = self._board
        if board is None or board.listing is not listing:
            board = self._turn_to(listing)
        elif at_ms == self.at_ms or (seen < self.step and self._is_young(at_ms)):
            return board
        self.at_ms, self.step = at_ms, self.step + 1
        self._frames.clear()
        self._place(board)
        self._tell_news(board)
        return board

    def snapshot(self, board: Board, mode: str, keys: Iterable[str]) -> list[bytes]:
        """Whole entries of those ``keys`` that are listed, as of the present step."""
        self._place(board)
        rows = board.rows(keys)
        if not rows.size:
            return []
        quotes = self._market.quotes(self._instant, rows)
        self._take(board, quotes)
        return _encoded(board, mode, quotes, entries.take(board.entries, rows))

    def live(self, rows: Ints, modes: Ints) -> bytes:
        """The frame of an update with the newest entry of each row.

        Args:
            rows: of the present board, each with its latest news after it was followed.
            modes: each row's place in ``wire.MODES``.
        """
        asked = (rows.tobytes(), modes.tobytes())
        if (frame := self._frames.get(asked)) is None:
            told = [self._planes[mode].told for mode in wire.MODES]
            pairs = zip(rows.tolist(), modes.tolist(), strict=True)
            frame = wire.frame(_LIVE_FEED, self.at_ms, [told[mode][row] for row, mode in pairs])
            self._frames[asked] = frame
        return frame

    @property
    def _instant(self) -> datetime:
        return _EPOCH + timedelta(milliseconds=self.at_ms)

    def _is_young(self, at_ms: int) -> bool:
        return 0 <= at_ms - self.at_ms <= self._options.shared_ms

    def _turn_to(self, listing: Listing) -> Board:
        """A new day's listing, whose rows are others: move over what is known."""
        board = Board(self._market, listing)
        if self._board is not None:
            keys = {key for plane in self._planes.values() for key in plane.followers}
            moved = board.inherit(self._board, keys)
            for plane in self._planes.values():
                kept = {moved[row]: told for row, told in plane.told.items() if row in moved}
                plane.told = kept
        self._board = board
        self._is_placed = False
        return board

    def _place(self, board: Board) -> None:
        """Find the rows of all that is followed."""
        if self._is_placed:
            return
        for plane in self._planes.values():
            plane.is_followed = np.zeros_like(board.is_followed)
            plane.is_followed[board.rows(plane.followers)] = True
        board.follow(
            np.logical_or.reduce([plane.is_followed for plane in self._planes.values()]),
            np.logical_or.reduce([self._planes[mode].is_followed for mode in _WITH_BARS]),
        )
        self._is_placed = True

    def _tell_news(self, board: Board) -> None:
        """Quote all rows that are followed and encode those with news."""
        rows = np.flatnonzero(board.is_followed)
        if not rows.size:
            return
        news = self._take(board, self._market.quotes(self._instant, rows))
        for mode, plane in self._planes.items():
            due = np.flatnonzero(plane.is_followed[news.rows])
            if due.size:
                self._tell(board, mode, entries.chosen(news, due))

    def _take(self, board: Board, quotes: Quotes) -> Quotes:
        """Put on the board what the quotes tell; those of them that are news."""
        rows = quotes.rows
        board.bars.follow(rows[board.has_bars[rows]], self._instant)
        told = entries.news(quotes)
        is_share = board.is_share[rows]
        indications = None
        if is_share.any() and self._auction.is_on(self._instant):
            shares = entries.chosen(quotes, np.flatnonzero(is_share))
            indications = self._auction.told(shares, board.listing, self._instant)
            told[is_share, -2:] = indications.news()
        is_news = (told != board.news[rows]).any(axis=1)
        board.news[rows] = told
        news = entries.chosen(quotes, np.flatnonzero(is_news))
        board.renew(news)
        if indications is not None:
            indications.fill(board.entries, rows[is_share])
        board.step[news.rows] = self.step
        return news

    def _tell(self, board: Board, mode: str, quotes: Quotes) -> None:
        """Encode the updates of one mode."""
        rows, told = quotes.rows, entries.take(board.entries, quotes.rows)
        if mode in _WITH_BARS:
            told["content"] = entries.without_some_blocks(
                told["content"],
                board.listing.streams[rows],
                quotes.quoted_ms,
                self._options.left_out_share,
            )
        encoded = _encoded(board, mode, quotes, told)
        self._planes[mode].told.update(zip(rows.tolist(), encoded, strict=True))


def _encoded(board: Board, mode: str, quotes: Quotes, told: Entries) -> list[bytes]:
    levels = wire.LEVELS[mode]
    depth = ladder(quotes, levels) if levels else None
    return wire.encode(mode, told, depth, board.keys, quotes.rows)
