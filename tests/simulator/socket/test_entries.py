"""Records of quotes: what is told as it is quoted, what is news, what is left out."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from simulator.socket import entries, wire
from tests.simulator.feeds import NOON, market

_QUOTES = market().quotes(NOON)
_LISTING = market().listing(NOON)
_IS_OPTION = _LISTING.sign != 0


def test_records_hold_the_quotes() -> None:
    """As quoted, Greeks of options only, whole seconds for an index; bars stay."""
    told = np.zeros(_QUOTES.rows.size, wire.ENTRY)
    told["content"], told["day_open"] = wire.HAS_DAY, 5.0
    entries.fill(told, _QUOTES, _LISTING.is_index)
    kept = wire.HAS_DAY | wire.WHOLE
    assert (told["content"] == kept | wire.IS_INDEX * _LISTING.is_index).all()
    assert (told["day_open"] == 5.0).all()
    assert (told["last_price"] == _QUOTES.last_price).all()
    assert (told["open_interest_units"] == _QUOTES.open_interest_units).all()
    assert (told["last_traded_ms"][_LISTING.is_index] % 1000 == 0).all()
    others = ~_LISTING.is_index
    assert (told["last_traded_ms"][others] == _QUOTES.last_traded_ms[others]).all()
    for name in ("implied_volatility", "delta", "theta", "gamma", "vega", "rho"):
        assert not told[name][~_IS_OPTION].any()
    assert told["delta"][_IS_OPTION] == pytest.approx(_QUOTES.model.delta[_IS_OPTION], abs=5e-5)
    assert not np.isnan(told["implied_volatility"]).any()


def test_records_are_taken_and_put() -> None:
    """Every field of some rows, and of no others."""
    random = np.random.default_rng(3)
    table = random.integers(0, 9, (6, len(wire.ENTRY))).view(wire.ENTRY).reshape(6)
    rows = np.array([4, 1])
    taken = entries.take(table, rows)
    assert (taken == table[rows]).all()
    taken["last_price"] = 8.25
    assert not (table["last_price"] == 8.25).any()
    before = table.copy()
    entries.put(table, rows, taken)
    assert (table[rows] == taken).all()
    assert (table[[0, 2, 3, 5]] == before[[0, 2, 3, 5]]).all()


def test_chosen_quotes() -> None:
    """Every column in the order of the places."""
    places = np.array([5, 2, 9])
    picked = entries.chosen(_QUOTES, places)
    for f in fields(_QUOTES):
        if f.name != "model":
            mine, all_of_them = getattr(picked, f.name), getattr(_QUOTES, f.name)
            np.testing.assert_array_equal(mine, all_of_them[places])
    np.testing.assert_array_equal(picked.model.delta, _QUOTES.model.delta[places])


@pytest.mark.parametrize(
    "column",
    [
        "bid_price",
        "ask_price",
        "bid_quantity_units",
        "ask_quantity_units",
        "last_price",
        "last_traded_ms",
        "volume_units",
        "open_interest_units",
    ],
)
def test_news(column: str) -> None:
    """A change of any told column is news of its row, and of no other."""
    changed = getattr(_QUOTES, column).copy()
    changed[7] += 1
    after = replace(_QUOTES, **{column: changed})
    before = entries.news(_QUOTES)
    assert before.shape == (len(_LISTING.rows), entries.NEWS_COLUMNS)
    is_news = (before != entries.news(after)).any(axis=1)
    assert np.flatnonzero(is_news).tolist() == [7]


def test_blocks_are_left_out_at_the_share() -> None:
    """Depth and Greeks independently, each at its share, other content untouched."""
    count = 20_000
    content = np.full(count, wire.WHOLE | wire.HAS_DAY, np.int64)
    streams, at_ms = np.full(count, 9, np.uint64), np.arange(count)
    kept = entries.without_some_blocks(content, streams, at_ms, 0.2)
    assert (kept & wire.HAS_DAY).all()
    has_depth, has_greeks = (kept & wire.HAS_DEPTH) > 0, (kept & wire.HAS_GREEKS) > 0
    assert has_depth.mean() == pytest.approx(0.8, abs=0.02)
    assert has_greeks.mean() == pytest.approx(0.8, abs=0.02)
    assert (has_depth & has_greeks).mean() == pytest.approx(0.64, abs=0.02)
