"""Full quotes where a plain noon does not reach: depth, limits, ranges, auctions."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from market.rules import IST, rules_for
from simulator.exchange.market import Market
from simulator.rest.quote_shapes import Asked, full, full_v3, last_price_v3, ohlc_v3
from simulator.rest.records import Json

_MARKET = Market(7, rules_for("nse"), ["NIFTY", "RELIANCE"])
_NOON = datetime(2026, 11, 25, 6, 30, 40, tzinfo=UTC)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


def _asked(now: datetime) -> Asked:
    listing = _MARKET.listing(now)
    return Asked(_MARKET, now, listing, np.arange(len(listing.rows)))


def _share(found: Json) -> Json:
    share: Json = found["NSE_EQ:RELIANCE"]
    return share


@pytest.fixture(scope="module")
def everything() -> Json:
    """All that is listed, at noon."""
    return full(_asked(_NOON))


def test_depth_is_padded_with_zeros(everything: Json) -> None:
    """Five levels on either side, best first; what nobody offers is zero throughout."""
    for quote in everything.values():
        for side, better in (("buy", -1.0), ("sell", 1.0)):
            levels = quote["depth"][side]
            assert len(levels) == 5
            prices = [better * level["price"] for level in levels if level["price"]]
            assert prices == sorted(prices)
            for level in levels:
                is_there = {bool(level[field]) for field in ("price", "quantity", "orders")}
                assert len(is_there) == 1
    assert not any(level["price"] for level in everything["NSE_INDEX:Nifty 50"]["depth"]["buy"])


def test_prices_stay_within_the_limits(everything: Json) -> None:
    """On ticks, at least one tick high; an index has none."""
    for name, quote in everything.items():
        low, high = quote["lower_circuit_limit"], quote["upper_circuit_limit"]
        if name.startswith("NSE_INDEX"):
            assert low == high == 0.0
            continue
        assert 0.05 <= low <= quote["last_price"] <= high
        assert round(low * 20) == pytest.approx(low * 20)


def test_open_interest_lies_within_the_days_range(everything: Json) -> None:
    """The range is of the day; spots have none."""
    for name, quote in everything.items():
        assert quote["oi_day_low"] <= quote["oi"] <= quote["oi_day_high"]
        if "_FO" not in name:
            assert quote["oi_day_high"] == 0.0
    assert any(q["oi_day_low"] < q["oi_day_high"] for q in everything.values())


def test_types_are_the_brokers(everything: Json) -> None:
    """Counts are whole, amounts are not, the last trade's time is a text of digits."""
    for quote in everything.values():
        assert isinstance(quote["volume"], int)
        assert isinstance(quote["total_buy_quantity"], float)
        assert isinstance(quote["oi"], float)
        assert quote["last_trade_time"].isdigit()


def test_every_instrument_has_a_name_of_its_own(everything: Json) -> None:
    """No two of them meet under one colon name."""
    assert len(everything) == len(_MARKET.listing(_NOON).rows)


@pytest.mark.parametrize(
    ("at", "has_auction"),
    [
        ("2026-11-25T15:10", False),
        ("2026-11-25T15:22", True),
        ("2026-11-25T15:36", False),
        ("2026-07-31T15:22", False),
    ],
)
def test_auctions_are_told_while_they_go_on(at: str, has_auction: bool) -> None:
    """The indicative price is the true one; only shares have it, and are eligible at any time."""
    now = _at(at)
    found = full_v3(_asked(now))
    share = _share(found)
    listing = _MARKET.listing(now)
    row = next(i for i, row in enumerate(listing.rows) if row.segment == "NSE_EQ")
    true_price = _MARKET.quotes(now, np.array([row])).model.price[0]
    expected = pytest.approx(true_price, abs=0.026) if has_auction else 0.0
    assert share["indicative_equilibrium_price"] == expected
    assert (share["indicative_equilibrium_quantity"] > 0) == has_auction
    total, of_market = (
        share[f"indicative_imbalance_quantity_{part}"] for part in ("total", "market")
    )
    assert abs(of_market) <= abs(total)
    assert share["cas_eligible"] is (now.month >= 8)
    for name, quote in found.items():
        assert isinstance(quote["indicative_equilibrium_price"], float)
        assert isinstance(quote["indicative_equilibrium_quantity"], int)
        if name != "NSE_EQ:RELIANCE":
            assert not quote["indicative_equilibrium_price"]
            assert quote["cas_eligible"] is False


def test_instruments_without_bars_have_null() -> None:
    """What did not trade on the day on show, as what was not listed yet; an index always has."""
    old = _MARKET.listing(_at("2026-11-23T18:00")).row_of_key
    holiday = _asked(_at("2026-11-24T12:00"))
    volumes = holiday.quotes().volume_units.tolist()
    is_index = holiday.listing.is_index[holiday.rows].tolist()
    found = list(ohlc_v3(holiday, "I1").values())
    for quote, volume, always in zip(found, volumes, is_index, strict=True):
        assert (quote["live_ohlc"] is None) == (volume == 0 and not always)
    new = [quote for quote in found if quote["instrument_token"] not in old]
    assert new
    assert all(quote["live_ohlc"] is None for quote in new)


def test_one_key_may_be_asked_for_alone() -> None:
    """Names and order are those of the rows."""
    asked = Asked(_MARKET, _NOON, _MARKET.listing(_NOON), np.array([1], np.int64))
    (quote,) = last_price_v3(asked).values()
    assert quote["instrument_token"] == _MARKET.listing(_NOON).rows[1].key
