"""A market as the source of sockets' frames: each client's subscriptions and what it was told.

Requests in, frames out, time handed in; no I/O. What everyone shares is computed in ``hub``, what
the bytes look like stands in ``wire``, and sending, pinging and closing are the shell's
(``connection``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from simulator.access.tokens import Account
from simulator.exchange import phases
from simulator.exchange.market import Market
from simulator.exchange.noise import Ints
from simulator.exchange.phases import Phase
from simulator.exchange.timetable import epoch_ms
from simulator.socket import feed_requests, frames, wire
from simulator.socket.feed_options import DEFAULT_FEED_OPTIONS, FeedOptions
from simulator.socket.frames import Statuses
from simulator.socket.hub import Board, Hub

_SNAPSHOT_TYPES = {"initial_feed": 0, "live_feed": 1}
_MODE_PLACES = {mode: place for place, mode in enumerate(wire.MODES)}


class MarketSource:
    """Opens feeds of a market; a ``source.Source``."""

    def __init__(self, market: Market, options: FeedOptions = DEFAULT_FEED_OPTIONS) -> None:
        self._market = market
        self._options = options
        self._hub = Hub(market, self._options)
        self._feeds: dict[str, list[MarketFeed]] = {}

    def state(self, now: datetime) -> tuple[Hashable, bytes]:
        """Every segment's status, and the steps of pre-open and closing auction while they last."""
        rules = self._market.rules
        auction = phases.closing_auction_status(rules, now)
        pre_open = phases.pre_open_status(rules, now)
        statuses = Statuses(
            segments=tuple(
                (segment, phases.segment_status(rules, segment, now).status)
                for segment in frames.SEGMENTS
            ),
            auction=_for_each(phases.AUCTION_SEGMENTS, auction),
            pre_open=_for_each(phases.PRE_OPEN_SEGMENTS, pre_open),
        )
        return statuses, frames.market_info(epoch_ms(now), statuses)

    def open(self, account: Account) -> MarketFeed:
        """A feed for a new connection of ``account``."""
        feeds = self._feeds.setdefault(account.user, [])
        feed = MarketFeed(self._hub, self._options, account, feeds)
        feeds.append(feed)
        return feed


@dataclass(frozen=True, slots=True)
class _View:
    """A feed's listed keys on a board, by row: mode (place in ``wire.MODES``), step told last."""

    board: Board
    keys: Sequence[str]
    rows: Ints
    modes: Ints
    told: Ints


class MarketFeed:
    """One connection's feed; a ``source.Feed``.

    Nothing is ever acknowledged: wrong requests, unknown keys and keys above the limit are passed
    over in silence, as the broker does.

    Args:
        siblings: all open feeds of the same user, this one among them.
    """

    def __init__(
        self, hub: Hub, options: FeedOptions, account: Account, siblings: list[MarketFeed]
    ) -> None:
        self._hub = hub
        self._options = options
        self._account = account
        self._siblings = siblings
        self._modes: dict[str, str] = {}
        self._told: dict[str, int] = {}  # steps that the view does not know
        self._view: _View | None = None
        self._seen = 0

    def request(self, message: bytes, now: datetime) -> Sequence[bytes]:
        """Take a client's binary message; the snapshot that answers it, none for a wrong one."""
        request = feed_requests.parse(message)
        if request.method == "unsub":
            self.drop(request.keys)
        if request.method not in ("sub", "change_mode") or not self._may_use(request.mode):
            return ()
        board = self._hub.advance(now, seen=-1)
        answered = self._take(request.keys, request.mode)
        self._forget_view()
        self._told.update(dict.fromkeys(answered, self._hub.step))
        return self._framed(self._hub.snapshot(board, request.mode, answered))

    def update(self, now: datetime) -> Sequence[bytes]:
        """One frame of everything that changed since the last call; none if nothing did."""
        if not self._modes:
            return ()
        view = self._placed(self._hub.advance(now, self._seen))
        self._seen = self._hub.step
        due = np.flatnonzero(view.board.step[view.rows] > view.told)
        if not due.size:
            return ()
        view.told[due] = self._hub.step
        return (self._hub.live(view.rows[due], view.modes[due]),)

    def followed(self) -> Sequence[str]:
        """The keys that the client follows now, in any mode, listed or not."""
        return tuple(self._modes)

    def drop(self, keys: Sequence[str]) -> None:
        """Forget keys without a word, as if the client had never asked for them."""
        self._forget_view()
        for key in keys:
            if (mode := self._modes.pop(key, None)) is not None:
                self._hub.unfollow(mode, (key,))

    def close(self) -> None:
        """The connection is gone: give back what counts for its user."""
        self.drop(self.followed())
        if self in self._siblings:
            self._siblings.remove(self)

    def _may_use(self, mode: str) -> bool:
        """Thirty levels are for the Plus plan; ``full_d5`` is only ever an answer's mode."""
        return mode in _MODE_PLACES and (mode != wire.DEEP or self._account.is_plus)

    def _take(self, keys: Sequence[str], mode: str) -> Sequence[str]:
        """Follow as many of ``keys`` as the limit lets in; those that a snapshot answers."""
        known = [key for key in keys if self._modes.get(key) == mode]
        others = [key for key in keys if self._modes.get(key) != mode]
        new = others[: self._room(keys, mode)]
        for key in new:
            if (earlier := self._modes.get(key)) is not None:
                self._hub.unfollow(earlier, (key,))
        self._hub.follow(mode, new)
        self._modes.update(dict.fromkeys(new, mode))
        return [*known, *new] if self._options.is_repetition_answered else new

    def _room(self, keys: Sequence[str], mode: str) -> int | None:
        """How many keys more ``mode`` may have once ``keys`` are in it; None for any number."""
        feeds = self._siblings if self._options.limit_scope == "user" else (self,)
        used = Counter(taken for feed in feeds for taken in feed._modes.values())
        staying = used - Counter(self._modes[key] for key in keys if key in self._modes)
        most = self._options.most_keys(mode, staying)
        return None if most is None else max(most - used[mode], 0)

    def _framed(self, entries: Sequence[bytes]) -> Sequence[bytes]:
        kind, at_ms = _SNAPSHOT_TYPES[self._options.snapshot_type], self._hub.at_ms
        most = self._options.snapshot_keys_per_frame or max(len(entries), 1)
        return [
            wire.frame(kind, at_ms, entries[begin : begin + most])
            for begin in range(0, len(entries), most)
        ]

    def _forget_view(self) -> None:
        """What is followed changes: remember by key what each was told."""
        if self._view is not None:
            self._told = dict(zip(self._view.keys, self._view.told.tolist(), strict=True))
            self._view = None

    def _placed(self, board: Board) -> _View:
        """The view of what is followed on ``board``."""
        if self._view is not None and self._view.board is board:
            return self._view
        self._forget_view()
        row_of_key = board.listing.row_of_key
        keys = sorted((key for key in self._modes if key in row_of_key), key=row_of_key.__getitem__)
        self._view = _View(
            board=board,
            keys=keys,
            rows=np.array([row_of_key[key] for key in keys], np.int64),
            modes=np.array([_MODE_PLACES[self._modes[key]] for key in keys], np.int64),
            told=np.array([self._told.get(key, 0) for key in keys], np.int64),
        )
        self._told = {}
        return self._view


def _for_each(segments: Sequence[str], phase: Phase | None) -> tuple[tuple[str, Phase], ...]:
    return () if phase is None else tuple((segment, phase) for segment in segments)
