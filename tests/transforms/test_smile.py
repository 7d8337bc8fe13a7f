"""Which price speaks for a strike, which do not, and what is implied from it."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.reference_black76 import precise_price
from tests.strategies import (
    AS_OF,
    EXPIRIES,
    RULES,
    TICK,
    Option,
    Truth,
    chains,
    exact_value,
    quotes_of,
    truths,
)
from transforms.columns import INSTANT
from transforms.context import Context
from transforms.forward import with_forward
from transforms.greeks import imply
from transforms.implied_vol import IV_STATUSES
from transforms.layout import lay_out, spread
from transforms.smile import (
    PREMIUM_SOURCES,
    with_premium,
    with_volatility,
)
from transforms.tenor import with_tenor

TRUTH = Truth("NIFTY", EXPIRIES[1], 24_000.0, 24_010.0, 0.15, 100.0, 12)
QUOTED_AT = AS_OF - timedelta(seconds=1)
UNKNOWN = None
SECOND = timedelta(seconds=1)

Price = float | None


def premium_of(bid: Price, ask: Price, last: Price, age: timedelta | None = UNKNOWN) -> object:
    """The chosen premium and its source, for a last trade of so long before the quote."""
    traded_at = None if age is None else QUOTED_AT - age
    row = {"bid_price": bid, "ask_price": ask, "last_price": last}
    schema = {**dict.fromkeys(row, pl.Float64), "last_traded_at": INSTANT, "quoted_at": INSTANT}
    frame = pl.DataFrame(
        [row | {"last_traded_at": traded_at, "quoted_at": QUOTED_AT}], schema=schema
    )
    found = with_premium(frame).select("premium", "premium_source").row(0)
    assert found[1] in (*PREMIUM_SOURCES, None)
    return found


NONE = (None, None)


@pytest.mark.parametrize(
    ("bid", "ask", "last", "expected"),
    [
        (10.0, 10.5, 9.0, (10.25, "mid")),
        (1.0, 1.5, 9.0, (1.25, "mid")),  # ₹0.5 is tight, whatever the share
        (90.0, 110.0, 9.0, (100.0, "mid")),  # 20 % of the mid is tight
        (90.0, 111.0, 95.0, (95.0, "last")),
        (10.0, 10.5, None, (10.25, "mid")),
    ],
)
def test_mid_before_last(bid: Price, ask: Price, last: Price, expected: object) -> None:
    """The mid if two-sided and tight, whatever the last price; else the last price."""
    assert premium_of(bid, ask, last, SECOND) == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0 * SECOND, (9.0, "last")),
        (60 * SECOND, (9.0, "last")),
        (60 * SECOND + timedelta(microseconds=1), NONE),
        (-3 * SECOND, (9.0, "last")),  # the exchange's clock is not ours
        (UNKNOWN, NONE),
    ],
)
@pytest.mark.parametrize(
    ("bid", "ask"),
    [
        (None, None),
        (None, 10.5),
        (10.0, None),
        (0.0, 0.05),  # a depth padded with zeros is no bid
        (10.5, 10.0),  # crossed
        (10.0, math.inf),
        (math.nan, 10.0),
    ],
)
def test_without_a_quote_the_trade_must_be_known_and_new(
    bid: Price, ask: Price, age: timedelta | None, expected: object
) -> None:
    """Traded at most a minute before the quote was taken."""
    assert premium_of(bid, ask, 9.0, age) == expected


@pytest.mark.parametrize(
    ("last", "is_used"),
    [(95.0, True), (69.0, True), (68.9, False), (132.0, True), (132.1, False), (1_000.0, False)],
)
@pytest.mark.parametrize("age", [UNKNOWN, 60 * SECOND])
def test_a_quote_judges_the_last_price(last: float, is_used: bool, age: timedelta | None) -> None:
    """Not more than one spread outside; of an unknown age, or of a known and new one."""
    assert premium_of(90.0, 111.0, last, age) == ((last, "last") if is_used else NONE)


def test_an_old_trade_is_not_used() -> None:
    """Even inside a quote."""
    assert premium_of(90.0, 111.0, 95.0, 61 * SECOND) == NONE


@pytest.mark.parametrize("last", [0.0, -1.0, None, math.nan, math.inf])
@pytest.mark.parametrize(("bid", "ask"), [(None, None), (90.0, 111.0)])
def test_no_price_is_no_price(last: Price, bid: Price, ask: Price) -> None:
    """A zero is none."""
    assert premium_of(bid, ask, last, SECOND) == NONE


wild = st.none() | st.floats() | st.floats(0.05, 300.0)


@given(wild, wild, wild, st.none() | st.integers(-10, 120))
def test_any_premium_is_a_price(bid: Price, ask: Price, last: Price, age: int | None) -> None:
    """Whatever is quoted: a positive finite premium with its source, or neither."""
    found = premium_of(bid, ask, last, None if age is None else age * SECOND)
    assert (found[0] is None) == (found[1] is None)
    assert found[0] is None or 0.0 < found[0] < math.inf


def strikes_of(
    quotes: pl.DataFrame, as_of: datetime = AS_OF, forward: float | None = None
) -> pl.DataFrame:
    """Quotes up to the strikes' forward: parity's, or the given one."""
    book = lay_out(quotes)
    expiries = with_tenor(book.expiries, as_of, RULES)
    found = with_forward(book.strikes, expiries, Context(), TICK)
    if forward is not None:
        found = found.with_columns(forward=pl.lit(forward))
    names = ["forward", "years_to_expiry", "rate"]
    return spread(book.strikes, found, "expiry_id", names)


def priced(quotes: pl.DataFrame, as_of: datetime = AS_OF) -> pl.DataFrame:
    """Quotes up to the strikes' volatility."""
    return with_volatility(strikes_of(quotes, as_of), TICK)


ADDED = ("implied_volatility", "iv_status", "implied_volatility_bid", "implied_volatility_ask")


@given(truths())
def test_finds_the_true_smile(truth: Truth) -> None:
    """At the true forward each strike has the volatility that its legs were priced with."""
    quotes = quotes_of(truth, half_spread=0.05)
    found = with_volatility(strikes_of(quotes, forward=truth.forward), TICK)
    told = found.filter(iv_status="ok")
    for strike, volatility in told.select("strike", "implied_volatility").iter_rows():
        leg = exact_value(truth, strike, strike >= truth.forward, AS_OF)
        if leg > 0.05:  # else it has no bid, and its last price speaks
            assert volatility == pytest.approx(truth.smile(strike), rel=1e-6)
    near = found.filter((pl.col("strike") / truth.forward - 1.0).abs() < 0.01)
    assert near["iv_status"].unique().to_list() == ["ok"]


@given(truths(), st.floats(0.01, 1.0))
def test_bid_and_ask_enclose(truth: Truth, half_spread: float) -> None:
    """Volatilities of bid, mid and ask are in that order."""
    found = priced(quotes_of(truth, half_spread=half_spread))
    legs = found.with_columns(
        bid=pl.when(pl.col("strike") >= pl.col("forward"))
        .then("call_bid_price")
        .otherwise("put_bid_price")
    )
    assert legs.filter(pl.col("bid").is_null())["implied_volatility_bid"].null_count() == (
        legs["bid"].null_count()
    )
    all_told = found.drop_nulls(ADDED)
    assert not all_told.is_empty()
    # A premium from the last price would be the mid here, for it is the exact value.
    slack = 1.0 + 1e-9
    low, middle, high = (
        all_told[name] for name in (ADDED[2], "implied_volatility", "implied_volatility_ask")
    )
    assert (low <= middle * slack).all() and (middle <= high * slack).all()


@pytest.mark.parametrize("strike", [23_600.0, 24_000.0, 24_400.0])
def test_bid_and_ask_are_priced_back(strike: float) -> None:
    """Exact values at the two volatilities are the speaking leg's bid and ask."""
    row = strikes_of(quotes_of(TRUTH, half_spread=0.4), forward=TRUTH.forward)
    found = with_volatility(row, TICK).filter(strike=strike).row(0, named=True)
    is_call = strike >= TRUTH.forward
    terms = (found["forward"], strike, found["years_to_expiry"], found["rate"])
    for side in ("bid", "ask"):
        option = Option(*terms, found[f"implied_volatility_{side}"], is_call)
        quoted = found[f"{'call' if is_call else 'put'}_{side}_price"]
        assert float(precise_price(option)) == pytest.approx(quoted, rel=1e-10)


def test_a_wide_quote_still_encloses() -> None:
    """Bid and ask tell their volatilities even where no price between them is fit."""
    is_wide = pl.col("strike") == 24_500
    wide = quotes_of(TRUTH).with_columns(
        bid_price=pl.when(is_wide).then(20.0).otherwise("bid_price"),
        ask_price=pl.when(is_wide).then(200.0).otherwise("ask_price"),
        last_price=pl.when(is_wide).then(None).otherwise("last_price"),
    )
    status, low, high = (
        priced(wide)
        .filter(strike=24_500)
        .select("iv_status", "implied_volatility_bid", "implied_volatility_ask")
        .row(0)
    )
    assert status == "no_price"
    assert low < TRUTH.smile(24_500) < high


@pytest.mark.parametrize(
    ("name", "value"), [("bid_price", None), ("bid_price", 0.0), ("ask_price", None)]
)
def test_one_side_tells_nothing(name: str, value: Price) -> None:
    """Without a bid, or an ask, there is no volatility of either."""
    at = pl.col("strike") == 24_500
    lame = quotes_of(TRUTH).with_columns(
        pl.when(at).then(pl.lit(value, pl.Float64)).otherwise(name).alias(name)
    )
    found = priced(lame).filter(strike=24_500).select(ADDED)
    # Its last price is of unknown age.
    assert found.row(0) == (None, "stale", None, None)


def test_the_money_side_is_silent() -> None:
    """A wild price in the money moves no volatility."""
    is_deep = pl.col("is_call") & (pl.col("strike") < 23_500)
    quotes = quotes_of(TRUTH)
    moved = quotes.with_columns(
        bid_price=pl.when(is_deep).then(None).otherwise("bid_price"),
        last_price=pl.when(is_deep).then(5_000.0).otherwise("last_price"),
    )
    assert_frame_equal(priced(quotes).select(ADDED), priced(moved).select(ADDED))


def hole(last: Price, traded_at: datetime | None = None) -> pl.DataFrame:
    """A chain whose 24 500 call has no quote but, perhaps, a last price."""
    is_hole = pl.col("is_call") & (pl.col("strike") == 24_500)
    values = {
        "bid_price": pl.lit(None, pl.Float64),
        "ask_price": pl.lit(None, pl.Float64),
        "last_price": pl.lit(last, pl.Float64),
        "last_traded_at": pl.lit(traded_at, INSTANT),
    }
    return quotes_of(TRUTH).with_columns(
        pl.when(is_hole).then(value).otherwise(name).alias(name) for name, value in values.items()
    )


@pytest.mark.parametrize(
    ("quotes", "status"),
    [
        (hole(None), "no_price"),
        (hole(0.0), "no_price"),
        (hole(40.0), "stale"),
        (hole(40.0, QUOTED_AT - 61 * SECOND), "stale"),
        (hole(40.0, QUOTED_AT - 60 * SECOND), "ok"),
    ],
)
def test_no_fit_price_outside_the_money(quotes: pl.DataFrame, status: str) -> None:
    """The leg in the money does not stand in; a last price that is not fit is told apart."""
    row = priced(quotes).filter(strike=24_500).row(0, named=True)
    assert row["iv_status"] == status
    assert (row["implied_volatility"] is None) == (status != "ok")


def test_an_unlisted_leg_is_no_price() -> None:
    """A strike with only its in-the-money leg listed has no volatility."""
    quotes = quotes_of(TRUTH).filter(~(pl.col("is_call") & (pl.col("strike") == 24_500)))
    row = priced(quotes).filter(strike=24_500)
    assert row.select(ADDED).row(0) == (None, "no_price", None, None)


@pytest.mark.parametrize(("last", "status"), [(0.5 * TICK, "below_intrinsic"), (TICK, "ok")])
def test_half_a_tick_identifies_nothing(last: float, status: str) -> None:
    """A premium within half a tick of intrinsic value has no volatility; a tick has."""
    is_far = pl.col("strike") == 25_200
    new = pl.lit(QUOTED_AT, INSTANT)
    cheap = quotes_of(TRUTH).with_columns(
        bid_price=pl.when(is_far).then(None).otherwise("bid_price"),
        last_price=pl.when(is_far).then(last).otherwise("last_price"),
        last_traded_at=pl.when(is_far).then(new),
    )
    row = priced(cheap).filter(is_far)
    assert row["iv_status"].to_list() == [status]
    assert row["implied_volatility"].is_null().to_list() == [status != "ok"]


def test_a_price_that_hardly_moves_identifies_nothing() -> None:
    """Ten volatility points that are worth less than half a tick: no volatility."""
    late = RULES.settlement_at(EXPIRIES[1]) - timedelta(minutes=2)
    cheap = Truth("CHEAP", EXPIRIES[1], 100.0, 100.0, 2.0, 1.0, 2)
    quotes = quotes_of(cheap, as_of=late, half_spread=0.05)
    found = priced(quotes, late).filter(strike=100.0)
    assert (with_premium(quotes).filter(strike=100.0)["premium"] > TICK).all()
    assert found.select(ADDED).row(0) == (None, "no_vega", None, None)


@pytest.mark.parametrize(
    ("seconds", "status"), [(59, "settling"), (0, "settling"), (-5, "settling")]
)
def test_the_last_minute_settles(seconds: int, status: str) -> None:
    """Below 60 s, and after, no strike has a volatility, priced or not."""
    late = RULES.settlement_at(EXPIRIES[1]) - seconds * SECOND
    quotes = quotes_of(TRUTH).with_columns(quoted_at=pl.lit(late - SECOND, INSTANT))
    found = priced(quotes, late)
    assert found["iv_status"].unique().to_list() == [status]
    assert found["implied_volatility"].null_count() == len(found)


def test_no_forward_is_invalid() -> None:
    """Without a forward the sides cannot be told: every row says so and none is lost."""
    quotes = quotes_of(TRUTH).with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in ("bid_price", "spot")
    )
    found = priced(quotes)
    assert found["iv_status"].unique().to_list() == ["invalid"]
    assert len(found) == len(TRUTH.strikes)


holes = st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0, -1.0, 1e300, 1e-300])
names = st.sampled_from(
    [f"{side}_{price}_price" for side in ("call", "put") for price in ("bid", "ask", "last")]
    + ["forward", "strike", "years_to_expiry", "rate"]
)


@given(chains(), st.lists(st.tuples(names, st.integers(0, 30), holes), max_size=20))
def test_garbage_has_a_status(
    quotes: pl.DataFrame, spoiled: list[tuple[str, int, float | None]]
) -> None:
    """Whatever a strike is told: a known status, a volatility exactly if it is ok, no other row."""
    before = strikes_of(quotes)
    strikes = before
    for name, at, value in spoiled:
        is_here = pl.int_range(pl.len()) == at
        strikes = strikes.with_columns(
            pl.when(is_here).then(pl.lit(value, pl.Float64)).otherwise(name).alias(name)
        )
    found = with_volatility(strikes, TICK)
    assert set(found["iv_status"]) <= set(IV_STATUSES)
    is_ok = found["iv_status"] == "ok"
    assert (found["implied_volatility"].is_not_null() == is_ok).all()
    assert all(0.0 < v < math.inf for v in found["implied_volatility"].drop_nulls())
    rows = {at for _, at, _ in spoiled}
    untouched = [i for i in range(len(before)) if i not in rows]
    assert_frame_equal(
        found.select(ADDED)[untouched], with_volatility(before, TICK).select(ADDED)[untouched]
    )


def test_empty() -> None:
    """No rows in, no rows out, the same columns."""
    strikes = strikes_of(quotes_of(TRUTH))
    assert with_volatility(strikes.clear(), TICK).schema == with_volatility(strikes, TICK).schema


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (23_659.0, [(19.29, 15.74), (18.93, 15.44), (18.68, 15.17)]),
        (23_700.25, [(17.28, 17.28), (17.07, 17.10), (16.96, 16.98)]),
    ],
)
def test_spot_for_forward_makes_a_false_skew(
    forward: float, expected: list[tuple[float, float]]
) -> None:
    """NIFTY of 26 May 2026 (OpenAlgo's benchmark): call and put of a strike, per cent.

    With spot for the forward they are 3.5 points apart; with parity's forward they are the same.
    """
    prices = [(23_600.0, 256.35, 156.10), (23_650.0, 226.20, 176.25), (23_700.0, 199.10, 199.00)]
    frame = pl.DataFrame(
        [(k, p, c) for k, call, put in prices for p, c in ((call, True), (put, False))],
        schema=["strike", "premium", "is_call"],
        orient="row",
    ).with_columns(forward=pl.lit(forward), years_to_expiry=pl.lit(5.6199 / 365), rate=pl.lit(0.0))
    found = 100.0 * imply(frame)["implied_volatility"]
    # To the two digits that are printed of figures made from a rounded time.
    assert found.to_list() == pytest.approx([v for pair in expected for v in pair], abs=0.02)
