"""Rules of a single quote, on both sides of their borders."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import TICK
from tests.transforms.quality.sound import TRUTH, chain_of, put_in, told
from transforms.quality import quotes

SOUND = chain_of(TRUTH).contracts
MONEY = 24_100.0


def leg(**columns: object) -> pl.DataFrame:
    """The sound contracts with one call changed."""
    return put_in(SOUND, MONEY, True, **columns)


@pytest.mark.parametrize(
    ("bid", "ask", "severity"),
    [
        (10.05, 10.0, "E"),
        (10.0, 10.0, "W"),
        (9.95, 10.0, None),
        (10.0, 0.0, None),
        (10.0, None, None),
    ],
)
def test_crossed_and_locked(bid: float, ask: float | None, severity: str | None) -> None:
    """Q03: crossed, locked, and neither; a padded zero is no price to be crossed with."""
    found = quotes.crossed_quotes(leg(bid_price=bid, ask_price=ask))
    assert told(found) == ([("Q03", severity, MONEY)] if severity else [])
    assert all("call bid" in words for words in found["detail"])


@pytest.mark.parametrize(
    ("bid", "ask", "reason"),
    [
        (None, 10.0, "worth less than a tick"),
        (0.0, 10.0, "worth less than a tick"),
        (10.0, 0.0, "nobody sells"),
        (0.0, 0.0, "no market in it"),
        (9.9, 10.0, None),
    ],
)
def test_one_sided(bid: float | None, ask: float, reason: str | None) -> None:
    """Q04: each side that is missing, by null or by zero, with its likely reason."""
    found = quotes.one_sided_quotes(leg(bid_price=bid, ask_price=ask))
    assert told(found) == ([("Q04", "W", MONEY)] if reason else [])
    assert all(str(reason) in words for words in found["detail"])


def test_a_dark_expiry_is_told_once() -> None:
    """Q04: an expiry without any quote is one finding; candles have no quotes to lack."""
    dark = SOUND.with_columns(bid_price=pl.lit(0.0), ask_price=pl.lit(None, pl.Float64))
    assert told(quotes.one_sided_quotes(dark)) == [("Q04", "W", None)]
    assert told(quotes.one_sided_quotes(dark.with_columns(source=pl.lit("candles")))) == []


@given(st.integers(1, 2_000_000), st.sampled_from(["bid_price", "ask_price", "last_price"]))
def test_any_multiple_of_the_tick_is_on_it(ticks: int, name: str) -> None:
    """Q06: decimals that floats cannot hold are forgiven, half a paisa is not."""
    price = float(f"{ticks * 5 / 100:.2f}")
    assert told(quotes.off_tick_prices(leg(**{name: price}), TICK)) == []
    assert told(quotes.off_tick_prices(leg(**{name: price + 0.005}), TICK)) == [("Q06", "W", MONEY)]


@pytest.mark.parametrize(
    ("bid", "ask", "is_wide"),
    [
        (1.0, 1.5, False),
        (1.0, 1.55, True),
        (9.0, 11.0, False),
        (9.0, 11.05, True),
        (0.0, 11.0, False),
        (11.0, 9.0, False),
    ],
)
def test_wide_spreads(bid: float, ask: float, is_wide: bool) -> None:
    """Q13: over ₹0.5 and over 20 % of the mid; a missing side is Q04's."""
    found = quotes.wide_spreads(leg(bid_price=bid, ask_price=ask))
    assert told(found) == ([("Q13", "W", MONEY)] if is_wide else [])


@pytest.mark.parametrize(
    ("last", "is_told"),
    [(9.8, False), (9.75, True), (10.4, False), (10.45, True), (0.0, False), (None, False)],
)
def test_last_price_far_from_the_quote(last: float | None, is_told: bool) -> None:
    """Q14: over one spread (here 0.2) below the bid or above the ask."""
    found = quotes.unusable_last_prices(leg(bid_price=10.0, ask_price=10.2, last_price=last), TICK)
    assert told(found) == ([("Q14", "W", MONEY)] if is_told else [])


def test_last_price_beside_a_locked_quote() -> None:
    """Q14: a tick is always allowed."""
    locked = {"bid_price": 10.0, "ask_price": 10.0}
    for last, count in ((10.05, 0), (10.1, 1)):
        found = quotes.unusable_last_prices(leg(**locked, last_price=last), TICK)
        assert found.height == count


@pytest.mark.parametrize(("seconds", "count"), [(60, 0), (61, 1)])
def test_old_trades_matter_without_a_quote(seconds: int, count: int) -> None:
    """Q14: over 60 s old, and nothing better to imply from."""
    traded_at = pl.col("quoted_at") - timedelta(seconds=seconds)
    old = leg(last_traded_at=traded_at)
    assert quotes.unusable_last_prices(old, TICK).is_empty()
    alone = put_in(old, MONEY, True, bid_price=None)
    assert quotes.unusable_last_prices(alone, TICK).height == count
