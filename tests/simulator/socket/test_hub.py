"""The shared side of all feeds: one computation for everyone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official

from simulator.exchange.market import Market
from simulator.exchange.noise import Ints
from simulator.exchange.quotes import Quotes
from simulator.socket import wire
from simulator.socket.feed_options import FeedOptions
from simulator.socket.hub import Hub
from tests.simulator.feeds import NOON, STEP, market, option_keys


class _Counting(Market):
    """A market that counts how often it is asked."""

    def __init__(self) -> None:
        known = market()
        self.__dict__.update(known.__dict__)
        self.asked = 0

    def quotes(self, instant: datetime, rows: Ints | None = None) -> Quotes:
        self.asked += 1
        return super().quotes(instant, rows)


def test_an_instant_is_computed_once() -> None:
    """The same instant for any number of clients, and a young one for those it is new to."""
    counting = _Counting()
    hub = Hub(counting, FeedOptions(shared_ms=25))
    hub.follow(wire.LTPC, option_keys())
    for _ in range(3):
        hub.advance(NOON, seen=hub.step)
    assert (counting.asked, hub.step) == (1, 1)
    hub.advance(NOON + timedelta(milliseconds=25), seen=0)
    assert counting.asked == 1
    hub.advance(NOON + timedelta(milliseconds=26), seen=0)
    assert (counting.asked, hub.step) == (2, 2)
    hub.advance(NOON + timedelta(milliseconds=27), seen=2)
    assert counting.asked == 3


def test_a_clock_may_be_put_back() -> None:
    """An earlier instant is a step as any other."""
    hub = Hub(market(), FeedOptions())
    for now in (NOON, NOON - STEP):
        hub.advance(now, seen=0)
        assert hub.at_ms == now.timestamp() * 1000


def test_nobody_is_quoted_for_nobody() -> None:
    """Rows are quoted while someone follows them, in whatever mode."""
    counting = _Counting()
    hub = Hub(counting, FeedOptions())
    hub.advance(NOON, seen=0)
    hub.follow(wire.LTPC, option_keys())
    hub.follow(wire.FULL, option_keys()[:3])
    hub.unfollow(wire.LTPC, option_keys())
    board = hub.advance(NOON + STEP, seen=0)
    assert np.count_nonzero(board.is_followed) == np.count_nonzero(board.has_bars) == 3
    hub.unfollow(wire.FULL, option_keys()[:3])
    asked = counting.asked
    hub.advance(NOON + 2 * STEP, seen=0)
    assert counting.asked == asked


def test_who_comes_back_begins_anew() -> None:
    """What happened while nobody listened is in the new snapshot, range of the day included."""
    hub = Hub(market(), FeedOptions())
    keys = option_keys()
    hub.follow(wire.FULL, keys)
    hub.snapshot(hub.advance(NOON, seen=0), wire.FULL, keys)
    hub.unfollow(wire.FULL, keys)
    later = NOON + timedelta(minutes=30)
    hub.advance(later, seen=0)
    hub.follow(wire.FULL, keys)
    again = hub.snapshot(hub.advance(later, seen=0), wire.FULL, keys)
    fresh = Hub(market(), FeedOptions())
    fresh.follow(wire.FULL, keys)
    assert again == fresh.snapshot(fresh.advance(later, seen=0), wire.FULL, keys)


def test_a_new_listing_is_no_news() -> None:
    """Rows move at midnight, when the market is shut: what was told stays told."""
    hub = Hub(market(), FeedOptions())
    hub.follow(wire.FULL, option_keys())
    evening = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)
    board = hub.advance(evening, seen=0)
    step = hub.step
    morning = hub.advance(evening + timedelta(hours=1), seen=0)
    assert morning is not board
    assert hub.step == step + 1
    rows = morning.rows(option_keys())
    assert rows.size == len(option_keys())
    assert (morning.step[rows] == step).all()
    modes = np.full(rows.size, wire.MODES.index(wire.FULL))
    frame = official.FeedResponse.FromString(hub.live(rows, modes))
    assert set(frame.feeds) == set(option_keys())


@pytest.mark.parametrize("mode", wire.MODES)
def test_unlisted_keys_have_no_entry(mode: str) -> None:
    """Followed all the same: they may be listed one day."""
    hub = Hub(market(), FeedOptions())
    hub.follow(mode, ["NSE_FO|0"])
    assert hub.snapshot(hub.advance(NOON, seen=0), mode, ["NSE_FO|0"]) == []
    hub.unfollow(mode, ["NSE_FO|0"])
