"""A window's rollup: chains and ticks merged, the newest published."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import numpy as np
import polars as pl

from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS
from storage.chains import latest
from storage.instruments import register
from storage.ticks import TickBatch, TickStore
from tests.fix_orchestration import AT, KEY, Location


async def land(dsn: str, instrument_id: int, prices: list[float]) -> None:
    """Land ticks of one spot, a second apart, the last one a second before the window's end."""
    count = len(prices)
    end_ms = int((AT - timedelta(seconds=2)).timestamp() * 1000)
    event_at_ms = np.array([end_ms - 1000 * (count - n) for n in range(count)], dtype=np.int64)
    values = np.full((count, len(FEED_COLUMNS)), np.nan)
    values[:, FEED_COLUMN_INDEX["last_price"]] = prices
    batch = TickBatch(
        epoch=1,
        first_sequence=1,
        last_sequence=count,
        sequence=np.arange(1, count + 1, dtype=np.int64),
        received_at_ns=event_at_ms * 1_000_000,
        event_at_ms=event_at_ms,
        instrument_id=np.full(count, instrument_id, dtype=np.int32),
        is_snapshot=np.zeros(count, dtype=bool),
        values=values,
    )
    async with TickStore(dsn) as store:
        await store.land(batch)


def test_ticks_of_the_window_are_merged(location: Location) -> None:
    """The bar is that of the landed ticks; a symbol without ticks has its chain's spot alone."""
    numbers = register(location.config.dsn(), location.broker.instruments())
    asyncio.run(land(location.config.dsn(), numbers["NIFTY"], [25400.0, 25410.5, 25405.0]))
    assert location.run().success
    rows = {row["symbol"]: row for row in location.rows("underlying_rollup").iter_rows(named=True)}
    nifty = rows["NIFTY"]
    bar = [nifty[f"{name}_price"] for name in ("open", "high", "low", "close")]
    assert bar == [25400.0, 25410.5, 25400.0, 25405.0]
    assert nifty["tick_count"] == 3
    assert (nifty["price_source"], nifty["price"]) == ("socket", 25405.0)
    chain = location.rows("chain").filter(pl.col("symbol") == "NIFTY")
    assert nifty["spot"] == chain["spot"][0]
    assert rows["TCS"]["tick_count"] == 0
    assert rows["TCS"]["price_source"] == "chain"
    assert rows["TCS"]["price"] == rows["TCS"]["spot"]


def test_only_the_newest_window_is_published(location: Location) -> None:
    """Running an old window again does not put yesterday's chain on the page."""
    assert location.run().success
    published = latest(location.config.dsn())
    assert published.height == location.rows("chain").height
    location.clock.at += timedelta(minutes=5)
    later = KEY.replace("10:00", "10:05")
    assert location.run(key=later).success
    newest = latest(location.config.dsn())
    assert newest["as_of"].min() > published["as_of"].max()
    result = location.run()
    assert result.success
    assert latest(location.config.dsn()).equals(newest)
    told = result.asset_materializations_for_node("underlying_rollup")[0].metadata
    assert told["is_published"].value is False


def test_the_rollup_keeps_a_row_for_each_symbol(location: Location) -> None:
    """Chains are answered after the end; none is dropped, and each says when it was answered."""
    location.clock.at += timedelta(seconds=40)
    assert location.run().success
    rollup = location.rows("underlying_rollup")
    assert set(rollup["symbol"]) == set(location.config.symbols)
    assert (rollup["as_of"] >= rollup["window_end_at"]).all()
