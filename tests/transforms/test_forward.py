"""The forward of each expiry in frames: parity, and what stands in for it, in order."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.strategies import AS_OF, EXPIRIES, RULES, TICK, Truth, chains, quotes_of, truths
from transforms import columns
from transforms.context import FORWARDS, FUTURES, Context
from transforms.forward import FORWARD_STATUSES, neighbour_carries, with_forward
from transforms.layout import lay_out
from transforms.tenor import with_tenor

TODAY, NEAR, FAR = EXPIRIES
MIDDLE = date(2026, 12, 8)
TRUTH = Truth("NIFTY", NEAR, 24_000.0, 24_050.0, 0.15, 50.0, 8)
QUOTED_AT = AS_OF - timedelta(seconds=1)


def expiries_of(
    quotes: pl.DataFrame, context: Context | None = None, as_of: datetime = AS_OF
) -> pl.DataFrame:
    """The forwards of a snapshot."""
    book = lay_out(quotes)
    expiries = with_tenor(book.expiries, as_of, RULES)
    known = (context or Context()).known_at(as_of)
    return with_forward(book.strikes, expiries, known, TICK)


def row_of(*args: Any) -> dict[str, Any]:
    """The forward of a snapshot with one expiry."""
    return expiries_of(*args).row(0, named=True)


def dark(truth: Truth) -> pl.DataFrame:
    """Its chain without a bid."""
    return quotes_of(truth).with_columns(bid_price=pl.lit(None, pl.Float64))


def test_codes_never_change() -> None:
    """They travel on the live feed: the first four are as ever, new ones follow."""
    assert FORWARD_STATUSES[:4] == ("parity", "crossed_parity", "spot_carry", "no_forward")
    assert FORWARD_STATUSES[4:] == ("future", "neighbour_carry", "last_ratio")


@given(truths())
def test_finds_the_true_forward(truth: Truth) -> None:
    """On exact quotes the forward is the one they were made from."""
    found = row_of(quotes_of(truth))
    assert found["forward_status"] == "parity"
    assert found["forward"] == pytest.approx(truth.forward, abs=0.05)
    assert found["forward_mad_bp"] < 0.1


@given(truths(), st.floats(5.0, 400.0), st.booleans())
def test_a_dropped_strike_is_told(truth: Truth, error: float, is_call: bool) -> None:
    """A leg quoted far off cannot move the forward, and the status says that it was there."""
    strike = truth.strikes[truth.count]
    is_stale = (pl.col("strike") == strike) & (pl.col("is_call") == is_call)
    prices = pl.col("bid_price", "ask_price")
    moved = quotes_of(truth).with_columns(pl.when(is_stale).then(prices + error).otherwise(prices))
    found = row_of(moved)
    assert found["forward_status"] == "crossed_parity"
    assert found["forward"] == pytest.approx(truth.forward, abs=0.1)


@given(truths())
def test_stays_inside_every_executable_interval(truth: Truth) -> None:
    """No strike offers an arbitrage against the published forward or against its interval."""
    quotes = quotes_of(truth, half_spread=0.4)
    found = row_of(quotes)
    discount = math.exp(-found["rate"] * found["years_to_expiry"])
    calls, puts = quotes.filter("is_call"), quotes.filter(~pl.col("is_call"))
    both = calls.join(puts, on="strike", suffix="_put")
    low = both["strike"] + (both["bid_price"] - both["ask_price_put"]) / discount
    high = both["strike"] + (both["ask_price"] - both["bid_price_put"]) / discount
    assert found["forward_low"] <= found["forward"] <= found["forward_high"]
    assert low.max() - 1e-6 <= found["forward"] <= high.min() + 1e-6


@given(chains(), st.integers(0, 1_000))
def test_row_order_does_not_matter(quotes: pl.DataFrame, seed: int) -> None:
    """Shuffled quotes give the very same forwards."""
    shuffled = quotes.sample(fraction=1.0, shuffle=True, seed=seed)
    assert_frame_equal(expiries_of(quotes), expiries_of(shuffled), check_exact=True)


def test_adds_the_published_columns() -> None:
    """With the types declared, and nothing else; the expiries' own stay."""
    book = lay_out(quotes_of(TRUTH))
    expiries = with_tenor(book.expiries, AS_OF, RULES)
    found = with_forward(book.strikes, expiries, Context(), TICK)
    assert_frame_equal(found.select(expiries.columns), expiries)
    added = {name: found.schema[name] for name in found.columns if name not in expiries.columns}
    assert added == {column.name: column.dtype for column in columns.FORWARD}


def test_stale_strikes_are_left_out() -> None:
    """A chain half of which is older by more than five seconds is judged by its newer half."""
    is_old = pl.col("strike") < 24_000
    old = pl.col("quoted_at") - timedelta(seconds=6)
    prices = pl.col("bid_price", "ask_price")
    quotes = quotes_of(TRUTH).with_columns(
        pl.when(is_old).then(old).otherwise("quoted_at").alias("quoted_at"),
        pl.when(is_old & pl.col("is_call")).then(prices + 30.0).otherwise(prices),
    )
    found = row_of(quotes)
    # 24 000 and the eight strikes above it; all are within one standard deviation.
    assert (found["forward_status"], found["forward_count"]) == ("parity", 9)
    assert found["forward"] == pytest.approx(24_050.0, abs=0.05)


@pytest.mark.parametrize("spoiled", ["bid_price", "ask_price"])
def test_spot_is_carried_last(spoiled: str) -> None:
    """S·exp(rT), labelled as such; nothing at all without a spot."""
    silent = quotes_of(TRUTH).with_columns(pl.lit(None, pl.Float64).alias(spoiled))
    found = row_of(silent)
    growth = math.exp(found["rate"] * found["years_to_expiry"])
    assert found["forward_status"] == "spot_carry"
    assert found["forward"] == pytest.approx(24_000.0 * growth)
    told = ("forward_mad_bp", "forward_count", "forward_low", "forward_high")
    assert [found[name] for name in told] == [None, 0, None, None]
    lost = row_of(silent.with_columns(spot=pl.lit(None, pl.Float64)))
    assert (lost["forward_status"], lost["forward"]) == ("no_forward", None)


def test_a_synthetic_future_needs_no_quotes() -> None:
    """Last prices are enough for it."""
    found = row_of(dark(TRUTH))
    growth = math.exp(found["rate"] * found["years_to_expiry"])
    assert found["synthetic_future"] == pytest.approx(24_000.0 + 50.0 / growth)


def future(
    bid: float | None,
    ask: float | None,
    quoted_at: datetime = QUOTED_AT,
    expiry: date = NEAR,
    symbol: str = "NIFTY",
) -> pl.DataFrame:
    """One future's quote; its last price and interest are not looked at."""
    row = (symbol, expiry, bid, ask, 1.0, 1.0, quoted_at)
    return pl.DataFrame([row], schema=FUTURES.polars, orient="row")


AGO = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("quote", "is_used"),
    [
        (future(24_060.0, 24_061.0), True),
        (future(24_060.0, 24_084.0), True),
        (future(24_060.0, 24_085.0), False),  # more than 0.1 %
        (future(None, 24_061.0), False),
        (future(24_060.0, None), False),
        (future(0.0, 24_061.0), False),
        (future(24_061.0, 24_060.0), False),
        (future(24_060.0, math.inf), False),
        (future(math.nan, 24_061.0), False),
        (future(24_060.0, 24_061.0, QUOTED_AT - 5 * AGO), True),
        (future(24_060.0, 24_061.0, QUOTED_AT - 6 * AGO), False),
        (future(24_060.0, 24_061.0, AS_OF), True),
        (future(24_060.0, 24_061.0, expiry=FAR), False),
        (future(24_060.0, 24_061.0, symbol="SENSEX"), False),
    ],
)
def test_a_future_stands_in(quote: pl.DataFrame, is_used: bool) -> None:
    """The same expiry's, two-sided, tight and quoted together with the options."""
    found = row_of(dark(TRUTH), Context(futures=quote))
    if is_used:
        bid, ask = quote.select("bid_price", "ask_price").row(0)
        assert (found["forward_status"], found["forward"]) == ("future", 0.5 * (bid + ask))
    else:
        assert found["forward_status"] == "spot_carry"


def test_a_cheap_share_may_be_two_ticks_wide() -> None:
    """Where 0.1 % is less than what a tick allows."""
    cheap = Truth("PENNY", NEAR, 20.0, 20.1, 0.4, 1.0, 3)
    for ask, status in ((20.15, "future"), (20.20, "spot_carry")):
        context = Context(futures=future(20.05, ask, symbol="PENNY"))
        assert row_of(dark(cheap), context)["forward_status"] == status


def test_the_newest_quote_of_a_future_counts() -> None:
    """In any row order; an older one does not stand in for it."""
    old, new = future(1.0, 1.05, QUOTED_AT - AGO), future(24_060.0, 24_061.0)
    gone = future(None, 24_061.0)
    for rows in ([old, new], [new, old]):
        assert row_of(dark(TRUTH), Context(futures=pl.concat(rows)))["forward"] == 24_060.5
    for rows in ([old, gone], [gone, old]):
        context = Context(futures=pl.concat(rows))
        assert row_of(dark(TRUTH), context)["forward_status"] == "spot_carry"


def log_carry(row: dict[str, Any]) -> float:
    """ln(F/S)/T."""
    return math.log(row["forward"] / row["spot"]) / row["years_to_expiry"]


def test_carry_is_interpolated_between_neighbours() -> None:
    """Linear in T between the two expiries that are known, one by parity, one by its future."""
    near, far = TRUTH, replace(TRUTH, expiry=FAR, forward=24_020.0)
    quotes = pl.concat([quotes_of(near), dark(replace(TRUTH, expiry=MIDDLE)), dark(far)])
    context = Context(futures=future(24_320.0, 24_321.0, expiry=FAR))
    rows = expiries_of(quotes, context).rows(named=True)
    statuses = [row["forward_status"] for row in rows]
    assert statuses == ["parity", "neighbour_carry", "future"]
    one, middle, other = rows
    share = (middle["years_to_expiry"] - one["years_to_expiry"]) / (
        other["years_to_expiry"] - one["years_to_expiry"]
    )
    expected = (1 - share) * log_carry(one) + share * log_carry(other)
    assert log_carry(middle) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("known", "unknown"), [(NEAR, FAR), (FAR, NEAR), (FAR, TODAY)])
def test_carry_is_flat_outside(known: date, unknown: date) -> None:
    """The nearest neighbour's, grown from the expiry's own spot."""
    told = replace(TRUTH, expiry=known)
    silent = replace(TRUTH, expiry=unknown, spot=24_030.0)
    rows = expiries_of(pl.concat([quotes_of(told), dark(silent)])).rows(named=True)
    by_status = {row["forward_status"]: row for row in rows}
    assert set(by_status) == {"parity", "neighbour_carry"}
    found = by_status["neighbour_carry"]
    assert (found["expiry"], found["spot"]) == (unknown, 24_030.0)
    assert log_carry(found) == pytest.approx(log_carry(by_status["parity"]), rel=1e-9)


def test_carry_is_the_symbols_own() -> None:
    """Another symbol's expiries say nothing of it."""
    quotes = pl.concat([quotes_of(replace(TRUTH, symbol="SENSEX")), dark(TRUTH)])
    found = expiries_of(quotes).filter(symbol="NIFTY")
    assert found["forward_status"].to_list() == ["spot_carry"]


def test_an_expiry_of_today_tells_no_carry() -> None:
    """Over hours a point of noise would be a carry of per cents a year."""
    noisy = Truth("NIFTY", TODAY, 24_000.0, 24_010.0, 0.15, 50.0, 8)
    found = expiries_of(pl.concat([quotes_of(noisy), dark(replace(TRUTH, expiry=FAR))]))
    assert found["forward_status"].to_list() == ["parity", "spot_carry"]


def test_a_stand_in_is_no_neighbour() -> None:
    """Carry is taken from parity and futures only: two dark expiries stay on spot."""
    found = expiries_of(pl.concat([dark(TRUTH), dark(replace(TRUTH, expiry=FAR))]))
    assert found["forward_status"].to_list() == ["spot_carry"] * 2


@given(st.lists(st.floats(-0.5, 0.5) | st.just(math.nan), min_size=1, max_size=8))
def test_neighbours_lie_between(carry: list[float]) -> None:
    """A neighbours' carry is never beyond the ones that are told; none told, none found."""
    years = pl.int_range(1, len(carry) + 1, eager=True).cast(pl.Float64) * 0.1
    symbols = pl.Series([0] * len(carry), dtype=pl.UInt32)
    told = [c for c in carry if not math.isnan(c)]
    found = neighbour_carries(
        *(s.to_numpy(writable=True) for s in (pl.Series(carry), years, symbols))
    )
    for i, value in enumerate(found):
        others = [c for j, c in enumerate(carry) if j != i and not math.isnan(c)]
        assert math.isnan(value) == (not others)
        assert not others or min(told) - 1e-12 <= value <= max(told) + 1e-12


def earlier(
    age: timedelta, forward: float | None = 24_072.0, status: str = "parity", spot: float = 24_000.0
) -> pl.DataFrame:
    """The forward of a snapshot before."""
    row = ("NIFTY", NEAR, AS_OF - age, spot, forward, status)
    return pl.DataFrame([row], schema=FORWARDS.polars, orient="row")


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("before", "is_used"),
    [
        (earlier(MINUTE), True),
        (earlier(10 * MINUTE), True),
        (earlier(10 * MINUTE + AGO), False),
        (earlier(MINUTE, status="crossed_parity"), True),
        (earlier(MINUTE, status="future"), True),
        (earlier(MINUTE, status="spot_carry"), False),
        (earlier(MINUTE, status="last_ratio"), False),
        (earlier(MINUTE, forward=None), False),
        (earlier(MINUTE, forward=math.nan), False),
        (earlier(MINUTE, forward=-1.0), False),
        (earlier(MINUTE, spot=0.0), False),
        (earlier(MINUTE).with_columns(expiry=pl.lit(FAR)), False),
    ],
)
def test_the_last_good_ratio_stands_in(before: pl.DataFrame, is_used: bool) -> None:
    """F/S of the same expiry, from parity or a future, ten minutes old at most; spot is of now."""
    moved = dark(TRUTH).with_columns(spot=pl.lit(24_100.0))
    found = row_of(moved, Context(forwards=before))
    if is_used:
        assert found["forward_status"] == "last_ratio"
        assert found["forward"] == pytest.approx(24_100.0 * 24_072.0 / 24_000.0, rel=1e-12)
    else:
        assert found["forward_status"] == "spot_carry"


def test_the_newest_good_ratio_counts() -> None:
    """Past one that was itself a stand-in, in any row order."""
    rows = [
        earlier(3 * MINUTE, 24_024.0),
        earlier(2 * MINUTE, 24_048.0),
        earlier(MINUTE, 24_500.0, "last_ratio"),
    ]
    for order in (rows, rows[::-1]):
        found = row_of(dark(TRUTH), Context(forwards=pl.concat(order)))
        assert found["forward"] == pytest.approx(24_048.0, rel=1e-12)


def test_published_expiries_are_context() -> None:
    """What one snapshot says serves the next as it is."""
    before = expiries_of(quotes_of(TRUTH))
    later = AS_OF + MINUTE
    found = row_of(dark(TRUTH), Context(forwards=FORWARDS.conform(before)), later)
    assert found["forward_status"] == "last_ratio"
    assert found["forward"] == pytest.approx(before["forward"][0], rel=1e-12)


def test_stand_ins_come_in_order() -> None:
    """Each one only where all before it are missing."""
    told, silent = quotes_of(replace(TRUTH, expiry=FAR)), dark(TRUTH)
    quote, before = future(24_060.0, 24_061.0), earlier(MINUTE)
    cases = [
        (pl.concat([told, quotes_of(TRUTH)]), Context(futures=quote, forwards=before), "parity"),
        (pl.concat([told, silent]), Context(futures=quote, forwards=before), "future"),
        (pl.concat([told, silent]), Context(forwards=before), "neighbour_carry"),
        (silent, Context(forwards=before), "last_ratio"),
        (silent, Context(), "spot_carry"),
        (
            silent.with_columns(spot=pl.lit(None, pl.Float64)),
            Context(forwards=before),
            "no_forward",
        ),
    ]
    for quotes, context, status in cases:
        found = expiries_of(quotes, context).filter(expiry=NEAR)
        assert found["forward_status"].to_list() == [status]


def test_an_expiry_older_than_the_tables_has_none() -> None:
    """Without a rate or a time to settlement nothing can be said, and nothing raises."""
    book = lay_out(quotes_of(TRUTH))
    expiries = with_tenor(book.expiries, AS_OF, RULES)
    for name in ("rate", "years_to_expiry"):
        unknown = expiries.with_columns(pl.lit(None, pl.Float64).alias(name))
        found = with_forward(book.strikes, unknown, Context(), TICK)
        assert found.select("forward", "forward_status").row(0) == (None, "no_forward")


holes = st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0, -1.0, 1e300, 1e-300])
spoils = st.lists(
    st.tuples(
        st.sampled_from(("bid_price", "ask_price", "last_price", "spot")), st.integers(0, 99), holes
    ),
    max_size=30,
)


@given(chains(), spoils, st.floats() | st.none(), st.floats() | st.none())
def test_garbage_has_a_status(
    quotes: pl.DataFrame,
    spoiled: list[tuple[str, int, float | None]],
    rate: float | None,
    years: float | None,
) -> None:
    """Whatever is quoted: a known status, and a positive finite price exactly if there is one."""
    for name, at, value in spoiled:
        is_here = pl.int_range(pl.len()) == at
        quotes = quotes.with_columns(
            pl.when(is_here).then(pl.lit(value, pl.Float64)).otherwise(name).alias(name)
        )
    book = lay_out(quotes)
    expiries = with_tenor(book.expiries, AS_OF, RULES)
    for terms in (
        expiries,
        expiries.with_columns(
            rate=pl.lit(rate, pl.Float64), years_to_expiry=pl.lit(years, pl.Float64)
        ),
    ):
        for row in with_forward(book.strikes, terms, Context(), TICK).iter_rows(named=True):
            assert row["forward_status"] in FORWARD_STATUSES
            assert (row["forward"] is None) == (row["forward_status"] == "no_forward")
            assert row["forward"] is None or 0.0 < row["forward"] < math.inf
            is_parity = row["forward_status"] in {"parity", "crossed_parity"}
            assert (row["forward_count"] > 0) == is_parity == (row["forward_low"] is not None)


def test_no_expiries() -> None:
    """An empty snapshot has no forwards, but their columns."""
    found = expiries_of(quotes_of(TRUTH).clear())
    assert found.is_empty()
    assert {column.name for column in columns.FORWARD} <= set(found.columns)
