"""The bridge between frames and kernels."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from market.errors import SchemaMismatch
from tests.strategies import Option, options
from transforms import black76
from transforms.black76 import CROSS_GREEKS, GREEKS
from transforms.columns import PRICING
from transforms.greeks import cross_greeks_at, greeks_at, imply, price, priced
from transforms.implied_vol import IV_STATUSES

NEEDED = ("premium", "forward", "strike", "years_to_expiry", "rate", "is_call")


def frame_of(found: list[Option]) -> pl.DataFrame:
    """Options as a frame, with their exact premium and a label."""
    rows = [
        {
            "label": f"row {i}",
            "premium": black76.price(*option),
            "forward": option.forward,
            "strike": option.strike,
            "years_to_expiry": option.years,
            "rate": option.rate,
            "is_call": option.is_call,
            "true_volatility": option.volatility,
        }
        for i, option in enumerate(found)
    ]
    return pl.DataFrame(rows)


ordinary = options(deviations=4.0).filter(lambda option: option.is_out_of_the_money)


@given(st.lists(ordinary, min_size=1, max_size=20))
def test_round_trip(found: list[Option]) -> None:
    """Price to volatility and Greeks and back; other columns and the order stay."""
    frame = frame_of(found)
    after = price(frame)
    assert_frame_equal(after.select(frame.columns), frame)
    assert after.columns == [*frame.columns, *(column.name for column in PRICING)]
    assert after["iv_status"].unique().to_list() == ["ok"]
    for row, option in zip(after.iter_rows(named=True), found, strict=True):
        assert row["implied_volatility"] == pytest.approx(option.volatility, rel=1e-10)
        at = option._replace(volatility=row["implied_volatility"])
        near = {"rel": 1e-12, "abs": 0.0}
        assert row["delta_forward"] == pytest.approx(black76.delta(*at), **near)
        assert row["gamma_forward"] == pytest.approx(black76.gamma(*at[:5]), **near)
        assert row["theta_per_day"] == pytest.approx(black76.theta(*at) / 365, **near)
        assert row["vega_per_vol_point"] == pytest.approx(black76.vega(*at[:5]) / 100, **near)
        assert row["rho_per_percent"] == pytest.approx(black76.rho(*at) / 100, **near)


@given(st.lists(ordinary, min_size=2, max_size=20), st.randoms())
def test_rows_do_not_touch_each_other(found: list[Option], random: object) -> None:
    """Any order of rows gives the same rows."""
    shuffled = list(found)
    random.shuffle(shuffled)
    both = [price(frame_of(rows)).drop("label").sort(pl.all()) for rows in (found, shuffled)]
    assert_frame_equal(*both, check_exact=True)


@given(st.sampled_from(NEEDED), st.sampled_from([None, math.nan, math.inf, 0.0, -1.0]))
def test_holes_give_a_status(name: str, hole: float | None) -> None:
    """A hole in any input leaves a row without numbers, with a reason, and its neighbour whole."""
    frame = frame_of([Option(100.0, 105.0, 0.1, 0.05, 0.2, True)] * 2)
    if name == "is_call":
        hole = None
    if name == "rate" and hole in {0.0, -1.0}:
        return
    value = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(hole)).otherwise(name)
    after = price(frame.with_columns(value.alias(name)))
    assert after["iv_status"][0] in set(IV_STATUSES) - {"ok"}
    assert after["iv_status"][1] == "ok"
    for column in ("implied_volatility", *GREEKS):
        assert after[column].is_null().to_list() == [True, False]


@pytest.mark.parametrize("name", NEEDED)
def test_missing_column(name: str) -> None:
    """The error names what is missing."""
    frame = frame_of([Option(100.0, 105.0, 0.1, 0.05, 0.2, True)])
    with pytest.raises(SchemaMismatch, match=name):
        price(frame.drop(name))


def test_wrong_type() -> None:
    """Text that is no number is an error, not a null."""
    frame = frame_of([Option(100.0, 105.0, 0.1, 0.05, 0.2, True)])
    with pytest.raises(SchemaMismatch, match="strike"):
        price(frame.with_columns(strike=pl.lit("high")))
    with pytest.raises(SchemaMismatch, match="is_call"):
        price(frame.with_columns(is_call=pl.lit("call")))


def test_any_numeric_type() -> None:
    """Integers and 32-bit floats are taken as they are."""
    frame = frame_of([Option(100.0, 105.0, 0.1, 0.05, 0.2, True)])
    as_integers = frame.with_columns(pl.col("forward", "strike").cast(pl.Int32))
    assert_frame_equal(price(as_integers).select(GREEKS), price(frame).select(GREEKS))


def test_empty() -> None:
    """No rows in, no rows out, the same columns."""
    frame = frame_of([Option(100.0, 105.0, 0.1, 0.05, 0.2, True)])
    assert price(frame.clear()).schema == price(frame).schema


def test_replaces_old_numbers() -> None:
    """Pricing what is already priced gives the same frame."""
    once = price(frame_of([Option(100.0, 105.0, 0.1, 0.05, 0.2, True)]))
    assert_frame_equal(price(once), once)


@given(st.lists(ordinary, min_size=1, max_size=10))
def test_given_volatility(found: list[Option]) -> None:
    """With the implied volatility given, the Greeks are those of pricing; a null gives nulls."""
    frame = frame_of(found)
    implied = imply(frame)
    assert_frame_equal(greeks_at(implied), price(frame))
    unknown = greeks_at(implied.with_columns(implied_volatility=pl.lit(None, pl.Float64)))
    assert unknown.select(GREEKS).null_count().row(0) == (len(found),) * len(GREEKS)


ORDINARY = Option(100.0, 105.0, 0.1, 0.05, 0.2, True)
HOLES: dict[str, list[object]] = {
    "premium": [None, -1.0, math.nan, 0.0, 2.0, 2.0, 2.0, 2.0],
    "forward": [100.0, 100.0, 100.0, 100.0, None, 100.0, 100.0, 100.0],
    "strike": [105.0, 105.0, 105.0, 105.0, 105.0, 0.0, 105.0, 105.0],
    "years_to_expiry": [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.0, 0.1],
    "rate": [0.05] * 8,
    "is_call": [True, True, True, True, True, True, True, None],
}


def market(count: int) -> pl.DataFrame:
    """A chain of ordinary rows with every kind of hole among them."""
    row = frame_of([ORDINARY]).select(NEEDED)
    return pl.concat([row] * count + [pl.DataFrame(HOLES, schema=row.schema)] + [row] * count)


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_expression_is_the_eager_door(engine: str, count: int) -> None:
    """Lazy and streaming queries give every bit that ``price`` gives, holes and all."""
    frame = market(count)
    lazy = frame.lazy().with_columns(priced().struct.unnest())
    assert_frame_equal(lazy.collect(engine=engine), price(frame), check_exact=True)
    assert lazy.collect_schema() == price(frame).schema


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_expression_in_a_query(engine: str) -> None:
    """It stands where expressions stand: after a filter, on other types, and on no rows."""
    frame = market(50).with_columns(pl.col("forward").cast(pl.Float32))
    query = frame.lazy().filter(pl.col("premium") > 1.0).select(priced().struct.field(*GREEKS))
    expected = price(frame.filter(pl.col("premium") > 1.0)).select(GREEKS)
    assert_frame_equal(query.collect(engine=engine), expected, check_exact=True)
    nothing = frame.lazy().filter(pl.col("rate") > 1.0).select(priced().struct.unnest())
    assert nothing.collect(engine=engine).height == 0


def test_expression_refuses_text() -> None:
    """A wrong type is an error there too."""
    query = market(1).lazy().with_columns(strike=pl.lit("high")).select(priced())
    with pytest.raises(pl.exceptions.PolarsError, match="strike"):
        query.collect()


def test_frames_keep_their_memory() -> None:
    """Kernels read the frame's own memory where it can be lent; nobody writes to it."""
    frame = market(300)
    before = frame.clone()
    for door in (price, imply, lambda rows: greeks_at(price(rows))):
        door(frame)
    assert_frame_equal(frame, before, check_exact=True)


def test_chunks_and_slices() -> None:
    """How a frame lies in memory does not matter."""
    frame = market(100)
    whole = price(frame)
    chunked = pl.concat([frame[:37], frame[37:60], frame[60:]], rechunk=False)
    assert_frame_equal(price(chunked), whole, check_exact=True)
    assert_frame_equal(price(frame[90:120]), whole[90:120], check_exact=True)


@pytest.mark.parametrize("name", ["forward", "strike", "years_to_expiry", "rate", "is_call"])
def test_cross_greeks(name: str) -> None:
    """Vanna and charm of the kernels by row; null where any input is."""
    frame = price(frame_of([ORDINARY, ORDINARY]))
    found = cross_greeks_at(frame)
    at = ORDINARY._replace(volatility=frame["implied_volatility"][0])
    vanna, charm = (found[column][0] for column in CROSS_GREEKS)
    assert vanna == pytest.approx(black76.vanna(*at[:5]) / 100, rel=1e-12)
    assert charm == pytest.approx(black76.charm(*at) / 365, rel=1e-12)
    first = pl.int_range(pl.len()) == 0
    holed = frame.with_columns(pl.when(first).then(None).otherwise(name).alias(name))
    for column in CROSS_GREEKS:
        assert cross_greeks_at(holed)[column].is_null().to_list() == [True, False]
