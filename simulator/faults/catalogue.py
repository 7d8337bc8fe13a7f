"""Every fault by name: where it strikes, what a share of it is a share of, its arguments.

Words and bounds alone. When a fault strikes is decided in ``injection``; what it then does stands
in ``answers`` (REST), ``tampering`` (frames) and ``socket`` (connections).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from market.errors import ConfigurationError

Value = bool | int | float | str | tuple[str, ...]


class Place(StrEnum):
    """What a fault strikes."""

    CALL = "call"
    HANDSHAKE = "handshake"
    TOKEN = "token"  # noqa: S105
    LINE = "connection"
    FRAME = "frame"


@dataclass(frozen=True, slots=True)
class Arguments:
    """A fault's arguments, all of them, each of its own type."""

    values: tuple[tuple[str, Value], ...] = ()

    def whole(self, name: str) -> int:
        """A whole number."""
        return int(self._of(name, int))

    def number(self, name: str) -> float:
        """A number."""
        return float(self._of(name, float))

    def text(self, name: str) -> str:
        """A text."""
        return str(self._of(name, str))

    def words(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        found: tuple[str, ...] = self._of(name, tuple)
        return found

    def is_set(self, name: str) -> bool:
        """A switch."""
        return bool(self._of(name, bool))

    def _of(self, name: str, kind: type[Any]) -> Any:
        value = dict(self.values)[name]
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {value!r}, no {kind.__name__}")
        return value


@dataclass(frozen=True, slots=True)
class Argument:
    """One setting of a fault; its type is its default's.

    Attributes:
        least, most: bounds of a number, both allowed.
        choices: the words allowed, of a text or of each text in a list.
    """

    name: str
    default: Value
    meaning: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()

    def checked(self, value: object) -> Value:
        """``value`` as this argument's type.

        Raises:
            ConfigurationError: for another type, a value out of bounds or an unknown word.
        """
        typed = self._typed(value)
        if isinstance(typed, int | float) and not isinstance(typed, bool):
            self._check_bounds(typed)
        words = typed if isinstance(typed, tuple) else (typed,)
        for word in words if self.choices else ():
            if word not in self.choices:
                raise ConfigurationError(
                    f"{self.name} is {str(word)!r}, expected {_listed(self.choices)}"
                    + nearest(str(word), self.choices)
                )
        return typed

    @property
    def expected(self) -> str:
        """The type in words, with its bounds."""
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        kind = words.get(type(self.default), "a list of texts")
        least = "" if self.least is None else f", at least {self.least:g}"
        return kind + least + ("" if self.most is None else f", at most {self.most:g}")

    def _typed(self, value: object) -> Value:
        default = self.default
        if isinstance(default, tuple):
            if isinstance(value, str):
                return (value,)
            if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
                return tuple(value)
        elif isinstance(default, float) and isinstance(value, int | float):
            if not isinstance(value, bool):
                return float(value)
        elif type(value) is type(default):
            return value  # type: ignore[return-value]
        raise ConfigurationError(f"{self.name} is {value!r}, expected {self.expected}")

    def _check_bounds(self, value: float) -> None:
        is_low = self.least is not None and not value >= self.least
        is_high = self.most is not None and not value <= self.most
        if is_low or is_high:
            raise ConfigurationError(f"{self.name} is {value:g}, expected {self.expected}")


@dataclass(frozen=True, slots=True)
class Kind:
    """One name of the catalogue.

    Attributes:
        shares: what ``share`` and ``times`` count: calls, handshakes, connections, frames, keys.
        paths: parts of a path, one of which a call must contain for the fault to make sense.
        is_event: happens to a connection once, rather than lasting.
    """

    name: str
    place: Place
    shares: str
    meaning: str
    arguments: tuple[Argument, ...] = ()
    paths: tuple[str, ...] = ()
    is_event: bool = False

    def checked(self, given: Mapping[str, object]) -> Arguments:
        """Every argument of this fault: those given, the others by default.

        Raises:
            ConfigurationError: for an argument that the fault does not have or a wrong value.
        """
        known = {argument.name: argument for argument in self.arguments}
        for name in given:
            if name not in known:
                takes = f"expected {_listed(known)}" if known else "it takes none"
                raise ConfigurationError(
                    f"{self.name} has no argument {name!r}, {takes}" + nearest(name, known)
                )
        return Arguments(
            tuple((n, a.checked(given[n]) if n in given else a.default) for n, a in known.items())
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that is most like ``name``; empty if none is."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def kind_of(name: str) -> Kind:
    """The catalogue's entry of that name.

    Raises:
        ConfigurationError: if there is none; names the nearest one.
    """
    if name not in CATALOGUE:
        raise ConfigurationError(
            f"there is no fault {name!r}, expected one of {', '.join(CATALOGUE)}"
            + nearest(name, CATALOGUE)
        )
    return CATALOGUE[name]


def _listed(words: Iterable[str]) -> str:
    return "one of " + ", ".join(words)


def _call(name: str, meaning: str, *arguments: Argument, paths: tuple[str, ...] = ()) -> Kind:
    return Kind(name, Place.CALL, "calls", meaning, arguments, paths)


def _handshake(name: str, meaning: str, *arguments: Argument) -> Kind:
    return Kind(name, Place.HANDSHAKE, "handshakes", meaning, arguments)


def _line(name: str, meaning: str, *arguments: Argument) -> Kind:
    return Kind(name, Place.LINE, "connections", meaning, arguments)


def _event(name: str, shares: str, meaning: str, *arguments: Argument) -> Kind:
    age = Argument("age_seconds", 0.0, "how long the connection has been open", 0, _DAY)
    return Kind(name, Place.LINE, shares, meaning, (*arguments, age), is_event=True)


def _frame(name: str, meaning: str, *arguments: Argument, shares: str = "frames") -> Kind:
    return Kind(name, Place.FRAME, shares, meaning, arguments)


_DAY = 86_400.0  # seconds
_FAR_MS = 10**12
CANDLES = ("/historical-candle",)
QUOTES = ("/v2/market-quote/", "/v3/market-quote/")
BLOCKS = ("ltpc", "depth", "greeks", "ohlc")
_STATUS = Argument("status", 403, "HTTP status", least=400, most=599)

_KINDS = (
    _handshake("feed_forbidden", "403 at the one-time address after a good authorize"),
    _handshake("code_reused", "403 at the one-time address, as if its code had been used"),
    _handshake("unauthorized", "401 at the direct or the one-time address: the feed stays shut"),
    _handshake("too_many_sockets", "refused as if every socket of the user were taken", _STATUS),
    _handshake("handshake_rate_limited", "429 at the direct or the one-time address"),
    Kind(
        "token_death",
        Place.TOKEN,
        "calls",
        "every token made before the fault began is refused with 401, as at 03:30 IST",
        (Argument("cuts_sockets", False, "whether open sockets are reset too"),),
    ),
    _line("half_open", "no byte in or out any more, no FIN, no ping: TCP alone stays up"),
    _event("reset", "connections", "TCP reset, no close frame"),
    _event(
        "close",
        "connections",
        "closed with a close frame; 1006 ends TCP without one",
        Argument("code", 1011, "close code", least=1000, most=4999),
    ),
    _event("silent_unsubscribe", "keys", "keys of a connection are forgotten without a word"),
    _line("mute", "pings only: neither state, nor answers, nor updates"),
    _line("quiet", "requests are answered, but nothing ever changes, as in quiet hours"),
    _line(
        "slow_reader",
        "back-pressure: frames leave as slowly as to a client that reads slowly",
        Argument("bytes_per_second", 10_000.0, "wall-clock rate of one connection", 1, 1e12),
    ),
    _line("no_pings", "frames only, no ping"),
    _frame(
        "partial",
        "live frames leave blocks out; absent is not empty",
        Argument("blocks", ("depth", "greeks"), "which blocks to leave out", choices=BLOCKS),
    ),
    _frame(
        "text_frame",
        "a text frame before the real frame",
        Argument("text", '{"status":"error"}', "what it says"),
    ),
    _frame(
        "truncated",
        "a frame's end is missing",
        Argument("keeps", 0.5, "share of its bytes that arrive", least=0, most=1),
    ),
    _frame(
        "garbage",
        "bytes that no decoder reads, instead of the frame",
        Argument("size_bytes", 64, "how many", least=1, most=1 << 24),
    ),
    _frame("unknown_enum", "requestMode and segment states newer than the schema (99)"),
    _frame("unknown_field", "fields newer than the schema (no. 99) in the frame and its entries"),
    _frame("unknown_type", "a frame type newer than the schema (7), before the real frame"),
    _frame("duplicate", "the same frame twice"),
    _frame("out_of_order", "a frame is held back and comes after the next one"),
    _frame(
        "clock_skew",
        "currentTs is off",
        Argument("shift_ms", -5_000, "milliseconds added", -_FAR_MS, _FAR_MS),
    ),
    _frame(
        "big_snapshot",
        "snapshots are padded with an unknown field, past 1 MiB",
        Argument("size_bytes", 1_310_720, "at least this long", least=1, most=1 << 26),
    ),
    _frame("never_seen", "keys that never get an entry, on any connection", shares="keys"),
    _frame(
        "stale_ltt",
        "last trade times are old",
        Argument("shift_ms", -3_600_000, "milliseconds added", -_FAR_MS, 0),
    ),
    _call("rate_limited", "429 UDAPI10005"),
    _call(
        "server_error",
        "500 UDAPI100500",
        Argument("status", 500, "HTTP status", least=500, most=599),
    ),
    _call(
        "forbidden_page",
        "403 with an HTML page of the edge, not the broker's JSON",
        Argument("code", "1010", "Cloudflare's error", choices=("1010", "1015")),
    ),
    _call("empty_candles", "200 without a single candle", paths=CANDLES),
    _call("null_data", "200 with data: null"),
    _call("bad_key", "400 UDAPI1087: one bad key voids the whole batch", paths=QUOTES),
    _call("prev_ohlc_null", "prev_ohlc is null", paths=("/market-quote/ohlc",)),
    _call("slow", "late answers", Argument("seconds", 5.0, "wall-clock delay", 0, _DAY)),
    _call(
        "torn",
        "the connection is cut in the middle of the answer's body",
        Argument("keeps", 0.5, "share of the body that arrives", least=0, most=1),
    ),
    _call(
        "throttled_empty",
        "200 with empty candles instead of 429 for calls above a rate",
        Argument("calls", 5, "that are served", 0, 1_000_000),
        Argument("seconds", 1.0, "in any so many seconds of the exchange's clock", 0.001, _DAY),
        paths=CANDLES,
    ),
)
CATALOGUE: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
