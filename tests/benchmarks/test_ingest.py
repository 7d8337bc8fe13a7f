"""Both sides of the comparison end in the same state; the timing itself is not tested."""

from __future__ import annotations

import math

import pytest

from benchmarks.ingest import (
    Plain,
    chains,
    following,
    into_live_state,
    into_objects,
    into_the_loop,
    recorded,
    watching,
)
from brokers.upstox.generated import MarketDataFeedV3_pb2 as schema
from market.contract import Kind
from streaming.live import LiveState


@pytest.fixture(scope="module")
def played() -> tuple[LiveState, dict[str, Plain], dict[str, str], int]:
    """The states of both, symbols of the spots by key, the number of entries played."""
    listing, frames = recorded(count=40, steps=6)
    entries = sum(len(schema.FeedResponse.FromString(frame).feeds) for frame in frames)
    kinds = {row.key: row.contract for row in listing.rows}
    spots = {key: c.symbol for key, c in kinds.items() if c.kind is Kind.INDEX}
    return into_live_state(following(listing), frames), into_objects(frames), spots, entries


def test_both_hold_the_same_spots(
    played: tuple[LiveState, dict[str, Plain], dict[str, str], int],
) -> None:
    """Each index's last price after the last frame."""
    ours, plain, spots, _ = played
    told = {symbol: plain[key].last_price for key, symbol in spots.items() if key in plain}
    assert told == ours.spots()
    assert len(told) == 3


def test_every_contract_is_told_and_updated(
    played: tuple[LiveState, dict[str, Plain], dict[str, str], int],
) -> None:
    """All keys of the subscription, with prices, and most of them more than once."""
    _, plain, _, entries = played
    assert len(plain) == 40
    assert entries > 80
    assert all(told.last_price and not math.isnan(told.last_price) for told in plain.values())
    assert sum(told.version > 0 for told in plain.values()) > 20


def test_the_loop_marks_and_makes_minutes_of_the_same_ticks() -> None:
    """What is timed as the whole loop is one: the state as without it, exposure moved with spot."""
    listing, frames = recorded(count=40, steps=6)
    views = chains()
    state, desk = watching(listing, views)
    before = state.changed(0, None)
    assert [view.symbol for view in views] == ["NIFTY", "BANKNIFTY", "SENSEX"]
    assert into_the_loop(state, desk, frames) >= len(views)
    assert state.spots() == into_live_state(following(listing), frames).spots()
    exposure = [
        table.columns["net_gex_crore_per_percent"]
        for tables in (before, state.changed(0, None))
        for table in tables
        if table.name == "underlying"
    ]
    assert len(exposure) == 2 and exposure[0] != exposure[1]
    assert desk._bars.starts_ms is not None and desk.errors == 0
