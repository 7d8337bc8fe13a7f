"""Records of the instrument master and of contract lists, field by field."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from market.contract import Kind
from market.rules import rules_for
from simulator.exchange.market import Market
from simulator.rest.records import Json, contract_record, dummy_records, master_record

_MARKET = Market(7, rules_for("nse"), ["NIFTY", "SENSEX", "RELIANCE", "INFY", "TCS", "SBIN"])
_LISTING = _MARKET.listing(datetime(2026, 11, 25, 6, 30, tzinfo=UTC))
_DERIVATIVE_FIELDS = {
    "weekly": bool,
    "segment": str,
    "name": str,
    "exchange": str,
    "expiry": int,
    "instrument_type": str,
    "asset_symbol": str,
    "underlying_symbol": str,
    "instrument_key": str,
    "lot_size": int,
    "freeze_quantity": float,
    "exchange_token": str,
    "minimum_lot": int,
    "asset_key": str,
    "underlying_key": str,
    "tick_size": float,
    "asset_type": str,
    "underlying_type": str,
    "trading_symbol": str,
    "strike_price": float,
    "qty_multiplier": float,
}


def _records(kind: str) -> list[Json]:
    every = (master_record(row, has_auction=True) for row in _LISTING.rows)
    return [record for record in every if record["instrument_type"] == kind]


@pytest.mark.parametrize("kind", ["FUT", "CE", "PE"])
def test_derivatives_have_every_field(kind: str) -> None:
    """All of them, in the types that were seen: paise as a float, tokens as text."""
    records = _records(kind)
    assert records
    for record in records:
        assert {name: type(value) for name, value in record.items()} == _DERIVATIVE_FIELDS
        assert record["instrument_key"] == f"{record['segment']}|{record['exchange_token']}"


def test_an_option() -> None:
    """Expiry in epoch ms of 23:59:59 IST, strike in rupees, tick in paise."""
    symbol = "NIFTY 26000 CE 01 DEC 26"
    option = next(r for r in _records("CE") if r["trading_symbol"] == symbol)
    ends_at = datetime(2026, 12, 1, 18, 29, 59, tzinfo=UTC)
    assert option["expiry"] == int(ends_at.timestamp()) * 1000
    assert option["tick_size"] == 5.0
    assert option["lot_size"] == option["minimum_lot"] == 65
    assert option["underlying_key"] == option["asset_key"] == "NSE_INDEX|Nifty 50"
    assert option["underlying_type"] == "INDEX"
    assert option["weekly"] is True
    assert option["strike_price"] == 26_000.0
    assert {r["strike_price"] for r in _records("FUT")} == {0.0}


def test_spots() -> None:
    """An index has seven fields, a share its ISIN and more; the optional ones are now and then."""
    for record in _records("INDEX"):
        assert set(record) == {
            "segment",
            "name",
            "exchange",
            "instrument_type",
            "instrument_key",
            "exchange_token",
            "trading_symbol",
        }
    shares = _records("EQ")
    assert all(share["instrument_key"].endswith(share["isin"]) for share in shares)
    assert {share["security_type"] for share in shares if share["segment"] == "NSE_EQ"} == {
        "NORMAL"
    }
    for optional in ("short_name", "mtf_enabled"):
        assert 0 < sum(optional in share for share in shares) < len(shares)


def test_auctions_are_mentioned_only_where_there_is_one() -> None:
    """True or not there, never false."""
    for row in _LISTING.rows:
        told = [master_record(row, has_auction=has).get("cas_eligible") for has in (True, False)]
        assert told == [True if row.contract.kind is Kind.EQUITY else None, None]


def test_contracts_have_dates_for_expiries() -> None:
    """Otherwise as in the master, without what only the master has."""
    row = next(row for row in _LISTING.rows if row.contract.right is not None)
    contract, record = contract_record(row), master_record(row, has_auction=True)
    assert contract["expiry"] == f"{row.contract.expiry}"
    assert set(record) - set(contract) == {
        "asset_symbol",
        "asset_key",
        "asset_type",
        "qty_multiplier",
    }
    same = set(contract) - {"expiry"}
    assert all(contract[name] == record[name] for name in same)


def test_dummies_of_both_exchanges() -> None:
    """They expire in 2036 and belong to no underlying."""
    dummies = dummy_records()
    assert [dummy["name"] for dummy in dummies] == ["071NSETEST", "DUMMYSAN1"]
    assert {dummy["exchange"] for dummy in dummies} == {"NSE", "BSE"}
    for dummy in dummies:
        assert datetime.fromtimestamp(dummy["expiry"] / 1000, UTC).year == 2036
        assert "underlying_key" not in dummy
