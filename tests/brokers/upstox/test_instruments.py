"""The instrument master: what is kept, what is dropped, and in which units."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.upstox.instruments import INDEX_KEYS, exchange_of, read_master, symbol_of_index
from market.contract import Kind
from market.errors import MalformedResponse

MASTER = (Path(__file__).parents[2] / "data" / "upstox" / "master.json").read_bytes()
SYMBOLS = ("NIFTY", "SENSEX", "RELIANCE")

_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=5,
)


def _changed(change: Callable[[list[dict[str, Any]]], None]) -> bytes:
    records = json.loads(MASTER)
    change(records)
    return json.dumps(records).encode()


def test_keeps_what_was_asked_for() -> None:
    """Spots first, then derivatives; each by its canonical id, in one order."""
    master = read_master([MASTER], SYMBOLS)
    assert [str(i.contract) for i in master.instruments] == [
        "NIFTY",
        "RELIANCE",
        "SENSEX",
        "NIFTY-20251230-FUT",
        "NIFTY-20251201-24000-CE",
        "NIFTY-20251201-24000-PE",
        "RELIANCE-20251230-1502.5-CE",
        "SENSEX-20251204-85000-CE",
    ]
    assert master.unlisted == () and master.rejected == ()


def test_units_and_facts() -> None:
    """Paise become ₹, epoch milliseconds an exchange date, and the key stays the broker's."""
    by_id = {str(i.contract): i for i in read_master([MASTER], SYMBOLS).instruments}
    option = by_id["RELIANCE-20251230-1502.5-CE"]
    assert (option.broker_key, option.lot_size_units) == ("NSE_FO|70001", 500)
    assert option.tick_size_rupees == 0.05
    assert option.contract.expiry == date(2025, 12, 30)
    assert (option.underlying.kind, option.underlying.exchange) == (Kind.EQUITY, "NSE")
    assert by_id["SENSEX-20251204-85000-CE"].underlying.exchange == "BSE"
    assert by_id["NIFTY-20251230-FUT"].contract.strike is None
    nifty = by_id["NIFTY"]
    assert (nifty.broker_key, nifty.lot_size_units) == ("NSE_INDEX|Nifty 50", None)


def test_gzip_and_several_files() -> None:
    """Compressed or not, in one file or split by exchange: the same instruments."""
    records = json.loads(MASTER)
    parts = [
        gzip.compress(
            json.dumps([r for r in records if (r["exchange"] == "BSE") is is_bse]).encode()
        )
        for is_bse in (True, False)
    ]
    assert read_master(parts, SYMBOLS) == read_master([gzip.compress(MASTER)], SYMBOLS)


def test_dummy_contracts_are_dropped_even_if_asked_for() -> None:
    """The exchange's own dummies are no market."""
    master = read_master([MASTER], ("071NSETEST", "NIFTY"))
    assert {i.contract.symbol for i in master.instruments} == {"NIFTY"}
    assert master.unlisted == ("071NSETEST",)


def test_unlisted_symbol_is_told() -> None:
    """A misspelt symbol does not vanish silently."""
    assert read_master([MASTER], ("NIFTI",)).unlisted == ("NIFTI",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("expiry", "2025-12-01"),
        ("expiry", 10**15),
        ("strike_price", 0.0),
        ("strike_price", None),
        ("lot_size", "75"),
        ("lot_size", 0.5),
        ("instrument_key", "NSE_FO|\ud800"),
        ("tick_size", float("inf")),
        ("instrument_key", ""),
    ],
)
def test_odd_record_is_rejected_alone(name: str, value: object) -> None:
    """One bad listing costs one instrument, and says which."""

    def spoil(records: list[dict[str, Any]]) -> None:
        next(r for r in records if r["instrument_key"] == "NSE_FO|40001")[name] = value

    master = read_master([_changed(spoil)], SYMBOLS)
    assert len(master.instruments) == 7
    assert len(master.rejected) == 1


def test_a_contract_is_listed_once() -> None:
    """The first listing stays; a second one, under whatever key, is told and dropped."""

    def double(records: list[dict[str, Any]]) -> None:
        again = next(r for r in records if r["instrument_key"] == "NSE_FO|40001")
        records.append({**again, "instrument_key": "NSE_FO|49999"})

    before, master = read_master([MASTER], SYMBOLS), read_master([_changed(double)], SYMBOLS)
    assert master.instruments == before.instruments
    assert len(master.rejected) == 1
    assert "NSE_FO|49999" in master.rejected[0] and "NSE_FO|40001" in master.rejected[0]


def test_what_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes of gzip must not fill the memory."""
    monkeypatch.setattr("brokers.upstox.instruments._LONGEST_MASTER_BYTES", 1_000_000)
    with pytest.raises(MalformedResponse, match="unpacks to more"):
        read_master([gzip.compress(b"[" + b" " * 2_000_000 + b"]")], SYMBOLS)


def test_complaints_stay_short() -> None:
    """A record of any size is told in one line."""

    def spoil(records: list[dict[str, Any]]) -> None:
        record = next(r for r in records if r["instrument_key"] == "NSE_FO|40001")
        record["instrument_type"] = ["x" * 100_000]

    (complaint,) = read_master([_changed(spoil)], SYMBOLS).rejected
    assert len(complaint) <= 300


def test_contract_on_another_exchange_is_dropped() -> None:
    """Rules are dated by exchange, so an underlying's options are those of its own."""

    def move(records: list[dict[str, Any]]) -> None:
        next(r for r in records if r["instrument_key"] == "NSE_FO|70001")["segment"] = "BSE_FO"

    kept = read_master([_changed(move)], SYMBOLS).instruments
    assert "RELIANCE-20251230-1502.5-CE" not in {str(i.contract) for i in kept}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", gzip.compress(MASTER)[:-9], b"\x1f\x8b broken", b"[" * 10**5]
)
def test_what_is_no_master_is_refused(body: bytes) -> None:
    """HTML, half a file or another document is not silently an empty market."""
    with pytest.raises(MalformedResponse, match="instrument master"):
        read_master([body], SYMBOLS)


@given(st.data())
def test_any_change_to_a_record_is_survived(data: st.DataObject) -> None:
    """Whatever stands in a field, the other records are read and nothing else is raised."""

    def spoil(records: list[dict[str, Any]]) -> None:
        record = data.draw(st.sampled_from(records))
        record[data.draw(st.sampled_from(sorted(record)))] = data.draw(_json)

    master = read_master([_changed(spoil)], SYMBOLS)
    # The worst single change takes a spot away, and with it what is written on it.
    assert len(master.instruments) >= 4


@pytest.mark.parametrize("symbol", sorted(INDEX_KEYS))
def test_index_keys_go_both_ways(symbol: str) -> None:
    """Symbol and key name each other; the key's segment names the exchange."""
    assert symbol_of_index(INDEX_KEYS[symbol]) == symbol
    assert exchange_of(symbol) == INDEX_KEYS[symbol][:3]


def test_stocks_are_followed_on_the_nse() -> None:
    """A stock is listed on both exchanges; its options that matter trade on one."""
    assert exchange_of("RELIANCE") == "NSE"
    assert symbol_of_index("NSE_EQ|INE002A01018") is None
