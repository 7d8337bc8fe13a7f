"""JSON in the broker's shapes and units."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime

import numpy as np
import pytest

from market.rules import rules_for
from simulator import payloads
from simulator.exchange import Market

_NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
_EXPIRY = date(2026, 12, 1)
_MARKET = Market(7, rules_for("nse"), ["NIFTY", "SENSEX", "RELIANCE"])


def _master(exchange: str | None) -> list[payloads.Json]:
    records: list[payloads.Json] = json.loads(
        gzip.decompress(payloads.master(_MARKET.listing(_NOON), exchange))
    )
    return records


def test_master_records_are_whole() -> None:
    """Every derivative has every field, in paise and epoch ms of 23:59:59 IST."""
    records = [r for r in _master(None) if r["segment"].endswith("_FO") and "asset_key" in r]
    assert {r["instrument_type"] for r in records} == {"CE", "PE", "FUT"}
    nifty = next(r for r in records if r["trading_symbol"] == "NIFTY 26000 CE 01 DEC 26")
    ends = datetime(2026, 12, 1, 18, 29, 59, tzinfo=UTC)
    assert nifty["expiry"] == int(ends.timestamp() * 1000)
    assert nifty["tick_size"] == 5.0
    assert nifty["lot_size"] == 65
    assert nifty["underlying_key"] == "NSE_INDEX|Nifty 50"
    assert nifty["weekly"] is True
    assert all(r["strike_price"] == 0.0 for r in records if r["instrument_type"] == "FUT")
    assert all(set(r) == set(nifty) for r in records)


def test_master_files_split_by_exchange() -> None:
    """NSE and BSE together are the complete file; both hold test contracts of 2036."""
    nse, bse = _master("NSE"), _master("BSE")
    assert len(nse) + len(bse) == len(_master(None))
    assert {r["exchange"] for r in bse} == {"BSE"}
    dummies = [r["name"] for r in nse + bse if r.get("expiry", 0) > 2_000_000_000_000]
    assert dummies == ["071NSETEST", "DUMMYSAN1"]


def test_contracts_have_dates_for_expiries() -> None:
    """One expiry or all of them."""
    listing = _MARKET.listing(_NOON)
    one, every = (payloads.contracts(listing, "NIFTY", e) for e in (_EXPIRY, None))
    assert (len(one), len(every)) == (82, 164)
    assert {r["expiry"] for r in one} == {"2026-12-01"}


def test_chain_units() -> None:
    """Percent volatility, units of open interest, both sides of each strike, no time."""
    rows = payloads.chain(_MARKET, _NOON, "NIFTY", _EXPIRY)
    truth = _MARKET.truth(_NOON)
    assert len(rows) == 41
    assert "timestamp" not in json.dumps(rows)
    assert rows[0]["underlying_spot_price"] == pytest.approx(truth.spot["NIFTY"], rel=1e-4)
    of_key = truth.listing.row_of_key
    for row in rows:
        call, put = row["call_options"], row["put_options"]
        true = truth.implied_volatility[of_key[call["instrument_key"]]]
        assert call["option_greeks"]["iv"] == pytest.approx(100 * true, abs=0.2)
        assert call["option_greeks"]["delta"] > 0 > put["option_greeks"]["delta"]
        assert call["market_data"]["oi"] % 65 == 0
        assert row["pcr"] == pytest.approx(
            put["market_data"]["oi"] / call["market_data"]["oi"], abs=0.006
        )


def test_an_expiry_that_is_not_listed_has_no_rows() -> None:
    """An empty answer, not an error."""
    assert payloads.chain(_MARKET, _NOON, "NIFTY", date(2026, 12, 2)) == []


def test_last_prices_come_under_colon_names() -> None:
    """Joined by the instrument token inside."""
    listing = _MARKET.listing(_NOON)
    rows = np.array([0, int(listing.chain("SENSEX", date(2026, 11, 26))[0])])
    found = payloads.last_prices(_MARKET, _NOON, rows)
    index, option = found
    assert index == "NSE_INDEX:Nifty 50"
    assert option.startswith("BSE_FO:SENSEX26NOV")
    assert [v["instrument_token"] for v in found.values()] == [listing.rows[r].key for r in rows]
    assert found["NSE_INDEX:Nifty 50"]["volume"] == 0


def test_calendar() -> None:
    """Holidays of the year, hours of the day, state of the moment."""
    days = {row["date"] for row in payloads.holidays(2026)}
    assert len(days) == 16
    assert "2026-11-24" in days
    assert payloads.timings(rules_for("nse"), date(2026, 11, 24)) == []
    hours = {r["exchange"]: r for r in payloads.timings(rules_for("nse"), date(2026, 11, 25))}
    assert set(hours) == {"NSE", "NFO", "BSE", "BFO"}
    assert payloads.status(_MARKET, _NOON, "NSE")["status"] == "NORMAL_OPEN"
    night = _NOON.replace(hour=20)
    assert payloads.status(_MARKET, night, "NSE")["status"] == "NORMAL_CLOSE"


def test_truth_is_the_markets_own() -> None:
    """What the console tells is what the market knows."""
    told, known = payloads.truth(_MARKET, _NOON, ["NIFTY"]), _MARKET.truth(_NOON)
    assert told["spot"] == {"NIFTY": known.spot["NIFTY"]}
    assert {f["expiry"] for f in told["forward"]} == {"2026-12-01", "2026-12-08"}
    first = told["contracts"][0]
    row = known.listing.row_of_key[first["instrument_key"]]
    assert first["implied_volatility"] == known.implied_volatility[row]
