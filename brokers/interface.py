"""What optionlake asks of any broker: records at the border and the protocols that carry them.

No broker's name appears here. ``NaN`` in a feed column and ``None`` in a record mean "not told",
never zero: the wire cannot always tell a zero from an absent field, so absence is the safe reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.contract import Contract, Underlying


class Secret:
    """A string that never shows itself; ``reveal()`` is the one way out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself: only for the header or form that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)


class Mode(StrEnum):
    """How much the feed tells about an instrument."""

    LTP = "ltp"
    GREEKS = "greeks"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the account lets us hold open and subscribed.

    Attributes:
        sockets: connections at a time.
        keys_alone: keys in a mode while no other mode is in use.
        keys_combined: keys in a mode while others are in use too.
        is_per_socket: whether the numbers of keys hold for each connection or for all together.
        is_plus: whether the account has the paid plan; None if the token does not tell.
    """

    sockets: int
    keys_alone: Mapping[Mode, int]
    keys_combined: Mapping[Mode, int]
    is_per_socket: bool = False
    is_plus: bool | None = None

    def within(self, sockets: int, *, is_per_socket: bool) -> Capabilities:
        """The same with at most ``sockets`` connections, and the limits read as told.

        Args:
            sockets: 0 for all that the account allows.
        """
        most = min(sockets, self.sockets) if sockets else self.sockets
        return replace(self, sockets=most, is_per_socket=is_per_socket)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A contract as a broker lists it.

    Attributes:
        broker_key: the broker's key; re-used after expiry, so unique only with ``contract.expiry``.
        lot_size_units: units in a lot; None for an index.
        tick_size_rupees: smallest price step, ₹; None for an index.
    """

    contract: Contract
    underlying: Underlying
    broker_key: str
    lot_size_units: int | None = None
    tick_size_rupees: float | None = None


FEED_COLUMNS = (
    "last_price",
    "traded_at_ms",
    "last_quantity_units",
    "previous_close_price",
    "bid_price",
    "bid_quantity_units",
    "ask_price",
    "ask_quantity_units",
    "volume_units",
    "open_interest_units",
    "average_price",
    "vendor_implied_volatility",
    "vendor_delta",
    "vendor_gamma",
    "vendor_theta_per_day",
    "vendor_vega_per_vol_point",
    "vendor_rho_per_percent",
    "total_bid_quantity_units",
    "total_ask_quantity_units",
    "day_open_price",
    "day_high_price",
    "day_low_price",
)
FEED_COLUMN_INDEX: Mapping[str, int] = {name: i for i, name in enumerate(FEED_COLUMNS)}


class FrameKind(StrEnum):
    """What a feed frame is about."""

    STATUS = "status"
    SNAPSHOT = "snapshot"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class FeedFrame:
    """One decoded socket frame.

    Attributes:
        published_at_ms: the exchange's time of the frame, epoch ms; None if not told.
        keys: broker keys, one for each row of ``values``; ``brokers.keys`` finds numbers for them.
        values: float64, shape (len(keys), len(FEED_COLUMNS)); NaN where the frame is silent.
        market_status: segment → status, on a status frame.
    """

    kind: FrameKind
    published_at_ms: int | None
    keys: Sequence[str]
    values: NDArray[np.float64]
    market_status: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> NDArray[np.float64]:
        """One feed column, shape (len(keys),)."""
        picked: NDArray[np.float64] = self.values[:, FEED_COLUMN_INDEX[name]]
        return picked


@dataclass(frozen=True, slots=True)
class ChainPayload:
    """An option chain as it came, before anyone interprets it.

    Attributes:
        body: the answer's bytes, unchanged.
        requested_at, responded_at: our clock around the call (aware UTC); the body has no time.
    """

    symbol: str
    expiry: date
    body: bytes
    requested_at: datetime
    responded_at: datetime


class TokenSource(Protocol):
    """Where the access token comes from and how long it lives."""

    def token(self) -> Secret:
        """The current token; raises AuthenticationError if missing or expired."""

    def expires_at(self) -> datetime | None:
        """When it dies (aware UTC); None if the token does not tell."""


class FeedCodec(Protocol):
    """The socket's language: requests out, frames in. Pure."""

    def subscribe(self, keys: Sequence[str], mode: Mode) -> bytes:
        """A subscription request, to be sent as a binary message."""

    def unsubscribe(self, keys: Sequence[str]) -> bytes:
        """The opposite request."""

    def decode(self, frame: bytes) -> FeedFrame:
        """Read one frame; raises FrameError if it is not one."""


class Broker(Protocol):
    """The calls that optionlake makes; every method may raise any ``BrokerError``."""

    def capabilities(self) -> Capabilities:
        """What the account of the current token allows; no call, and the least if unknown."""

    def instruments(self) -> Sequence[Instrument]:
        """Every index, stock, future and option listed now for the known underlyings."""

    def authorize_feed(self) -> str:
        """A one-time socket address; each connection needs a new one."""

    def chain(self, underlying: Instrument, expiry: date) -> ChainPayload:
        """The option chain as it stands, one call."""

    def parse_chain(self, payload: ChainPayload, listed: Sequence[Instrument]) -> pl.DataFrame:
        """The payload as a ``transforms.schemas.QUOTES`` frame; pure, so old payloads re-parse."""

    def last_prices(self, keys: Sequence[str]) -> Mapping[str, float]:
        """Last price in ₹ by broker key."""

    def quotes(self, keys: Sequence[str]) -> bytes:
        """What is on show of these keys, one call; ``FeedCodec.decode`` reads the answer.

        As many keys as one call takes (500). One unknown key voids it: ``RequestRejected``. Waits
        only seconds for the budget and is not tried again: ``RateLimited``, ``BrokerUnavailable``.
        """

    def market_status(self, exchange: str) -> str:
        """The exchange's own word for its state, e.g. ``NORMAL_OPEN``."""
