"""Which price speaks for a strike, and which do not."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from tests.strategies import AS_OF, EXPIRIES, RULES, TICK, Truth, quotes_of
from transforms.forward import with_forward
from transforms.smile import with_premium, with_volatility
from transforms.tenor import with_tenor

TRUTH = Truth("NIFTY", EXPIRIES[1], 24_000.0, 24_010.0, 0.15, 100.0, 12)


def premium_of(bid: float | None, ask: float | None, last: float | None) -> tuple[object, ...]:
    """The chosen premium and its source."""
    row = {"bid_price": bid, "ask_price": ask, "last_price": last}
    schema = dict.fromkeys(row, pl.Float64)
    found = with_premium(pl.DataFrame([row], schema=schema))
    return found.select("premium", "premium_source").row(0)


@pytest.mark.parametrize(
    ("bid", "ask", "last", "expected"),
    [
        (10.0, 10.5, 9.0, (10.25, "mid")),
        (1.0, 1.5, 9.0, (1.25, "mid")),  # ₹0.5 is tight, whatever the share
        (90.0, 110.0, 9.0, (100.0, "mid")),  # 20 % of the mid is tight
        (90.0, 111.0, 95.0, (95.0, "last")),
        (None, 10.5, 9.0, (9.0, "last")),
        (0.0, 0.05, 9.0, (9.0, "last")),  # a depth padded with zeros is no bid
        (10.0, None, 9.0, (9.0, "last")),
        (10.5, 10.0, 9.0, (9.0, "last")),  # crossed
        (None, None, 0.0, (None, None)),
        (None, None, -1.0, (None, None)),
        (None, None, None, (None, None)),
        (float("nan"), 10.0, float("nan"), (None, None)),
        (10.0, float("inf"), float("inf"), (None, None)),
    ],
)
def test_premium(
    bid: float | None, ask: float | None, last: float | None, expected: tuple[object, ...]
) -> None:
    """The mid if two-sided and tight, else the last price, else nothing; a zero is no price."""
    assert premium_of(bid, ask, last) == expected


def priced(quotes: pl.DataFrame, as_of: datetime = AS_OF) -> pl.DataFrame:
    """Quotes up to the strike's volatility."""
    quoted = with_tenor(quotes, as_of, RULES)
    forwards = with_forward(quoted, TICK).select("symbol", "expiry", "forward")
    joined = quoted.join(forwards, on=["symbol", "expiry"], maintain_order="left")
    return with_volatility(with_premium(joined), TICK)


def test_both_legs_carry_the_strike() -> None:
    """Call and put of a strike share volatility, status, gamma and vega."""
    both = priced(quotes_of(TRUTH)).partition_by("is_call", include_key=False)
    names = ("strike", "implied_volatility", "iv_status", "gamma_forward", "vega_per_vol_point")
    assert both[0].select(names).equals(both[1].select(names))


def test_the_money_side_is_silent() -> None:
    """A wild price in the money moves no volatility but is shown as the row's own premium."""
    is_deep = pl.col("is_call") & (pl.col("strike") < 23_500)
    quotes = quotes_of(TRUTH)
    moved = quotes.with_columns(
        bid_price=pl.when(is_deep).then(None).otherwise("bid_price"),
        last_price=pl.when(is_deep).then(5_000.0).otherwise("last_price"),
    )
    before, after = priced(quotes), priced(moved)
    assert before["implied_volatility"].equals(after["implied_volatility"])
    shown = after.filter(is_deep).select("premium", "premium_source").unique().rows()
    assert shown == [(5_000.0, "last")]


def test_no_price_outside_the_money_is_no_volatility() -> None:
    """The other leg does not stand in."""
    is_hole = pl.col("is_call") & (pl.col("strike") == 24_500)
    holes = [
        pl.when(~is_hole).then(name).alias(name)
        for name in ("bid_price", "ask_price", "last_price")
    ]
    row = priced(quotes_of(TRUTH).with_columns(holes)).filter(strike=24_500)
    assert row["iv_status"].to_list() == ["no_price", "no_price"]
    assert row["implied_volatility"].null_count() == 2
    assert row["delta_forward"].null_count() == 2


def test_an_unlisted_leg_is_no_price() -> None:
    """A strike with only its in-the-money leg listed has no volatility."""
    quotes = quotes_of(TRUTH).filter(~(pl.col("is_call") & (pl.col("strike") == 24_500)))
    row = priced(quotes).filter(strike=24_500)
    assert row["iv_status"].to_list() == ["no_price"]


def test_half_a_tick_identifies_nothing() -> None:
    """A premium within half a tick of intrinsic value has no volatility."""
    quotes = quotes_of(TRUTH)
    is_far = pl.col("strike") == 25_200
    cheap = quotes.with_columns(
        bid_price=pl.when(is_far).then(None).otherwise("bid_price"),
        last_price=pl.when(is_far).then(0.5 * TICK).otherwise("last_price"),
    )
    row = priced(cheap).filter(is_far, pl.col("is_call"))
    assert row["iv_status"].to_list() == ["below_intrinsic"]
    assert row["implied_volatility"].null_count() == 1


def test_a_price_that_hardly_moves_identifies_nothing() -> None:
    """Ten volatility points that are worth less than half a tick: no volatility."""
    late = RULES.settlement_at(EXPIRIES[1]) - timedelta(minutes=2)
    cheap = Truth("CHEAP", EXPIRIES[1], 100.0, 100.0, 2.0, 1.0, 2)
    found = priced(quotes_of(cheap, as_of=late, half_spread=0.05), as_of=late).filter(strike=100.0)
    assert (found["premium"] > TICK).all()
    assert found["iv_status"].to_list() == ["no_vega", "no_vega"]
    assert found["implied_volatility"].null_count() == 2


def test_no_forward_is_invalid() -> None:
    """Without a forward the sides cannot be told: every row says so and none is lost."""
    quotes = quotes_of(TRUTH).with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in ("bid_price", "spot")
    )
    found = priced(quotes)
    assert found["iv_status"].unique().to_list() == ["invalid"]
    assert found.height == quotes.height
