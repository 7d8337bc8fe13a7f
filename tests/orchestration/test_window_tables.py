"""A window's rows go into the lake whole and come back as they were."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from market.errors import SchemaMismatch
from market.rules import Rules
from market.session import windows
from orchestration.window_tables import keyed, read, unkeyed, write
from storage.lake import Lake
from transforms.schemas import RAW_CHAIN_PAYLOAD

WINDOW = windows(Rules(), date(2026, 11, 23), 5)[3]
ROW = {
    "symbol": "NIFTY",
    "expiry": date(2026, 12, 1),
    "status": "ok",
    "detail": None,
    "requested_at": WINDOW.end_at,
    "responded_at": WINDOW.end_at + timedelta(seconds=1),
    "sha256": "ab",
    "body_zstd": b"\x00\xff",
    "source": "live",
}


def rows(*symbols: str) -> pl.DataFrame:
    schema = unkeyed(RAW_CHAIN_PAYLOAD.empty()).schema
    return pl.DataFrame([{**ROW, "symbol": symbol} for symbol in symbols], schema=schema)


def test_rows_come_back_as_they_were(lake: Lake) -> None:
    """Keyed, stored, read and unkeyed again is the identity."""
    write(lake, WINDOW, {RAW_CHAIN_PAYLOAD: rows("NIFTY", "TCS")})
    assert unkeyed(read(lake, WINDOW, RAW_CHAIN_PAYLOAD)).equals(rows("NIFTY", "TCS"))


def test_a_window_is_replaced_whole(lake: Lake) -> None:
    """What is not in the newer rows is gone."""
    for symbols in (("NIFTY", "TCS"), ("TCS",)):
        write(lake, WINDOW, {RAW_CHAIN_PAYLOAD: rows(*symbols)})
    assert read(lake, WINDOW, RAW_CHAIN_PAYLOAD)["symbol"].to_list() == ["TCS"]


def test_keys_name_the_window() -> None:
    """Day, slot and both ends, aware UTC."""
    key = keyed(pl.DataFrame({"symbol": ["NIFTY"]}), WINDOW).row(0, named=True)
    assert (key["trading_day"], key["slot"]) == (WINDOW.day, "09:30")
    assert (key["window_start_at"], key["window_end_at"]) == (WINDOW.start_at, WINDOW.end_at)


def test_a_frame_of_another_table_is_refused(lake: Lake) -> None:
    """Nothing is written when a frame does not conform."""
    with pytest.raises(SchemaMismatch):
        write(lake, WINDOW, {RAW_CHAIN_PAYLOAD: pl.DataFrame({"symbol": ["NIFTY"]})})
    assert read(lake, WINDOW, RAW_CHAIN_PAYLOAD).is_empty()
