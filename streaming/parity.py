"""Do both sources of prices agree? The socket's words against the answers of quotes, key by key.

Pure: frames in, a report out; who asks for quotes to compare is ``fallback``'s matter.

What is compared: the price of a quotes answer with the last price that the socket had told **up to
the answer's own time**. Both times are the exchange's, so neither our clock nor the way of the
answer counts; a socket price that is newer than the answer is left out, since in a moving market it
would differ even if both sources were perfect. Ages are compared by their last trades at that
instant: a positive difference means that REST told an older trade than the socket had.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from brokers.interface import FEED_COLUMN_INDEX, FeedFrame, FrameKind

_PRICE_AND_TRADE = [FEED_COLUMN_INDEX["last_price"], FEED_COLUMN_INDEX["traded_at_ms"]]


@dataclass(frozen=True, slots=True)
class ParityConfig:
    """How the sources are held against each other.

    Attributes:
        tolerance_bp: difference of prices, in basis points of the socket's, that counts as equal.
        memory_seconds: how far back the socket's words are known one by one; an answer older than
            that is not compared.
        kept_seconds: how long a key's newest comparison stays in the report.
    """

    tolerance_bp: float = 5.0
    memory_seconds: float = 30.0
    kept_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class ParityReport:
    """The newest comparison of each key; numbers are None, with a reason, if there is none.

    Attributes:
        compared: keys whose price both sources told.
        uncompared: keys that REST told a price of and the socket none up to that instant.
        within_share: share of ``compared`` whose prices differ by no more than ``tolerance_bp``.
        median_difference_bp, worst_difference_bp: absolute; ``worst_key`` has the latter.
        median_age_difference_ms: how much older REST's last trade is than the socket's.
        at_ms: the newest answer's own time, epoch ms.
    """

    tolerance_bp: float
    compared: int = 0
    uncompared: int = 0
    within_share: float | None = None
    median_difference_bp: float | None = None
    worst_difference_bp: float | None = None
    worst_key: str | None = None
    median_age_difference_ms: float | None = None
    at_ms: int | None = None
    reason: str | None = None

    def as_json(self) -> Mapping[str, object]:
        """As it stands in a health message or a log."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Words:
    """A frame's prices and times of trades, shape (keys, 2): all that is kept of it."""

    at_ms: int
    keys: Sequence[str]
    told: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Said:
    """One price and the time of its trade, NaN if not told; ``at_ms``: when it was published."""

    at_ms: int
    price: float
    traded_at_ms: float


@dataclass(frozen=True, slots=True)
class _Compared:
    at_ms: int
    difference_bp: float
    age_difference_ms: float


class Parity:
    """Remembers what the socket said and compares each answer with it; one thread only."""

    def __init__(self, config: ParityConfig | None = None) -> None:
        self._config = config or ParityConfig()
        # Frames are only laid by, which costs the read loop little; answers look into them.
        self._recent: deque[_Words] = deque()
        self._before: dict[str, _Said] = {}
        self._newest_ms = -math.inf
        self._compared: dict[str, _Compared] = {}
        self._uncompared: set[str] = set()
        self._at_ms: int | None = None
        self._without_time = 0

    def take_socket(self, frame: FeedFrame) -> None:
        """Take a frame of any socket; those that tell no time cannot be compared."""
        if frame.kind is FrameKind.STATUS or frame.published_at_ms is None:
            return
        self._recent.append(_words(frame, frame.published_at_ms))
        self._newest_ms = max(self._newest_ms, frame.published_at_ms)
        horizon_ms = self._newest_ms - 1000 * self._config.memory_seconds
        while self._recent[0].at_ms < horizon_ms:
            self._remember(self._recent.popleft())

    def take_quotes(self, answer: FeedFrame) -> None:
        """Compare an answer of the quotes call."""
        at_ms = answer.published_at_ms
        if at_ms is None:
            self._without_time += 1
            return
        self._at_ms = at_ms if self._at_ms is None else max(self._at_ms, at_ms)
        on_socket = self._said_until(at_ms, set(answer.keys))
        for key, over_rest in _said(_words(answer, at_ms)):
            self._compare(key, on_socket.get(key), over_rest, at_ms)
        self._forget(at_ms)

    def report(self) -> ParityReport:
        """Where things stand."""
        config, compared = self._config, self._compared
        if not compared:
            return ParityReport(
                config.tolerance_bp,
                uncompared=len(self._uncompared),
                at_ms=self._at_ms,
                reason=self._why_nothing(),
            )
        differences = np.array([c.difference_bp for c in compared.values()])
        ages = np.array([c.age_difference_ms for c in compared.values()])
        worst = int(differences.argmax())
        return ParityReport(
            config.tolerance_bp,
            compared=len(compared),
            uncompared=len(self._uncompared),
            within_share=float((differences <= config.tolerance_bp).mean()),
            median_difference_bp=float(np.median(differences)),
            worst_difference_bp=float(differences[worst]),
            worst_key=list(compared)[worst],
            median_age_difference_ms=_median_of_known(ages),
            at_ms=self._at_ms,
        )

    def _remember(self, words: _Words) -> None:
        for key, said in _said(words):
            known = self._before.get(key)
            if known is None or known.at_ms <= said.at_ms:
                self._before[key] = said

    def _said_until(self, at_ms: int, keys: set[str]) -> dict[str, _Said]:
        """The last word on each key up to an instant, as far as memory reaches."""
        found = {k: s for k in keys if (s := self._before.get(k)) is not None and s.at_ms <= at_ms}
        for words in self._recent:
            if words.at_ms > at_ms or keys.isdisjoint(words.keys):
                continue
            for key, said in _said(words):
                known = found.get(key)
                if known is None or known.at_ms <= said.at_ms:
                    found[key] = said
        return found

    def _compare(self, key: str, on_socket: _Said | None, over_rest: _Said, at_ms: int) -> None:
        if on_socket is None:
            self._compared.pop(key, None)
            self._uncompared.add(key)
            return
        self._uncompared.discard(key)
        difference_bp = 1e4 * abs(over_rest.price / on_socket.price - 1)
        age_difference_ms = on_socket.traded_at_ms - over_rest.traded_at_ms
        self._compared[key] = _Compared(at_ms, difference_bp, age_difference_ms)

    def _forget(self, at_ms: int) -> None:
        oldest_ms = at_ms - 1000 * self._config.kept_seconds
        self._compared = {k: c for k, c in self._compared.items() if c.at_ms >= oldest_ms}

    def _why_nothing(self) -> str:
        if self._at_ms is None:
            return "answers tell no time" if self._without_time else "no answer to compare yet"
        return "the socket had told no price of these keys up to the answers' times"


def _words(frame: FeedFrame, at_ms: int) -> _Words:
    return _Words(at_ms, frame.keys, frame.values[:, _PRICE_AND_TRADE])


def _said(words: _Words) -> Iterator[tuple[str, _Said]]:
    """The prices that a frame tells, by key."""
    for key, (price, traded_at_ms) in zip(words.keys, words.told.tolist(), strict=True):
        if price > 0:
            yield key, _Said(words.at_ms, price, traded_at_ms)


def _median_of_known(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else None
