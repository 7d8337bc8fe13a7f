"""A small market's feed for tests: sources, requests, frames as the official schema reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache

from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official

from market.rules import rules_for
from simulator.access.tokens import Account, TokenKind
from simulator.exchange.market import Market
from simulator.socket.feed_options import DEFAULT_FEED_OPTIONS, FeedOptions
from simulator.socket.session import MarketFeed, MarketSource

NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
STEP = timedelta(milliseconds=200)
INDEX, SHARE = "NSE_INDEX|Nifty 50", "NSE_EQ|INE002A01018"


@cache
def market() -> Market:
    """An index and a share with their derivatives, in the exchange's hours."""
    return Market(7, rules_for("nse"), ["NIFTY", "RELIANCE"])


@cache
def option_keys() -> list[str]:
    """Options of the index about the money."""
    listing = market().listing(NOON)
    rows = listing.chain("NIFTY", date(2026, 12, 1))
    middle = len(rows) // 2
    return [listing.rows[row].key for row in rows[middle - 10 : middle + 10]]


def account(user: str = "SIM001", *, is_plus: bool = True) -> Account:
    """A client's account."""
    return Account(user, is_plus, TokenKind.LOGIN, NOON + timedelta(days=365))


def feed(options: FeedOptions = DEFAULT_FEED_OPTIONS, *, is_plus: bool = True) -> MarketFeed:
    """A client's feed of its own source."""
    return MarketSource(market(), options).open(account(is_plus=is_plus))


def request(method: str, keys: Sequence[str], mode: str | None = None) -> bytes:
    """A request as the official SDK writes it."""
    data = {"instrumentKeys": list(keys)} | ({"mode": mode} if mode else {})
    return json.dumps({"guid": "g", "method": method, "data": data}).encode()


def read(frames: Sequence[bytes]) -> official.FeedResponse:
    """The only frame."""
    (frame,) = frames
    return official.FeedResponse.FromString(frame)


def updates(client: MarketFeed, start: datetime, count: int) -> list[official.FeedResponse]:
    """The frames of so many steps."""
    frames = [frame for i in range(1, count + 1) for frame in client.update(start + i * STEP)]
    return [official.FeedResponse.FromString(frame) for frame in frames]
