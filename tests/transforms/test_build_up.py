"""Build-up by the market's rule, and the flow with spot and time taken out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.books import quotes_of
from tests.reference_black76 import precise_price
from tests.strategies import Option
from transforms import build_up
from transforms.build_up import BUILD_UPS, FLOWS, OLDEST_PREVIOUS, with_build_up
from transforms.columns import BUILD_UP
from transforms.context import PREVIOUS
from transforms.greeks import greeks_at

AS_OF = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
TICK = 0.05
LOT = 75

GREEKS = ("delta_forward", "gamma_forward", "theta_per_day")


def contracts_of(**columns: list[object]) -> pl.DataFrame:
    """Contracts with the named columns, lot 75, and nothing else known."""
    count = len(next(iter(columns.values())))
    filled: dict[str, object] = {
        "strike": [100.0 + i for i in range(count)],
        "is_call": [True] * count,
        "lot_size_units": [LOT] * count,
    }
    own = {"premium", "forward", *GREEKS}
    quoted = quotes_of(filled | {k: v for k, v in columns.items() if k not in own})
    return quoted.with_columns(
        pl.Series(name, columns.get(name, [None] * count), dtype=pl.Float64) for name in own
    )


def previous_of(contracts: pl.DataFrame, at: datetime, **columns: list[object]) -> pl.DataFrame:
    """The same contracts at another instant, with some columns replaced."""
    replaced = contracts.with_columns(
        pl.lit(at).alias("as_of"),
        pl.lit(None, pl.Float64).alias("implied_volatility"),
        *(pl.Series(name, values, strict=False) for name, values in columns.items()),
    )
    return PREVIOUS.conform(replaced)


def day(
    prices: tuple[float | None, float | None],
    held: tuple[float | None, float | None],
    lot: int | None = LOT,
) -> str | None:
    """The day's word for (last, previous close) and (open interest, the previous day's)."""
    frame = contracts_of(
        last_price=[prices[0]],
        previous_close_price=[prices[1]],
        open_interest_units=[held[0]],
        previous_open_interest_units=[held[1]],
        lot_size_units=[lot],
    )
    return with_build_up(frame, PREVIOUS.empty(), AS_OF, TICK)["build_up"].item()


@pytest.mark.parametrize(
    ("prices", "held", "word"),
    [
        ((11.0, 10.0), (9000.0, 7500.0), "long_build_up"),
        ((9.0, 10.0), (9000.0, 7500.0), "short_build_up"),
        ((9.0, 10.0), (6000.0, 7500.0), "long_unwinding"),
        ((11.0, 10.0), (6000.0, 7500.0), "short_covering"),
        ((10.0, 10.0), (6000.0, 7500.0), "neutral"),
        ((11.0, 10.0), (7500.0, 7500.0), "neutral"),
    ],
)
def test_market_rule(prices: tuple[float, float], held: tuple[float, float], word: str) -> None:
    """Price up or down, open interest up or down (Zerodha Varsity's table)."""
    assert day(prices, held) == word
    assert word in BUILD_UPS


@pytest.mark.parametrize(
    ("prices", "held", "lot", "is_neutral"),
    [
        ((10.05, 10.0), (9000.0, 7500.0), LOT, False),
        ((10.04, 10.0), (9000.0, 7500.0), LOT, True),
        ((0.1, 0.05), (9000.0, 7500.0), LOT, False),
        ((24_000.05, 24_000.0), (9000.0, 7500.0), LOT, False),
        ((11.0, 10.0), (7500.0 + 375, 7500.0), LOT, False),
        ((11.0, 10.0), (7500.0 + 374, 7500.0), LOT, True),
        ((11.0, 10.0), (750_000.0 + 3750, 750_000.0), LOT, False),
        ((11.0, 10.0), (750_000.0 + 3749, 750_000.0), LOT, True),
        ((11.0, 10.0), (7500.0 + 38, 7500.0), None, False),
        ((11.0, 10.0), (7500.0 + 37, 7500.0), None, True),
        ((11.0, 10.0), (1.0, 0.0), None, False),
        ((11.0, 10.0), (0.0, 0.0), None, True),
    ],
)
def test_thresholds(
    prices: tuple[float, float], held: tuple[float, float], lot: int | None, is_neutral: bool
) -> None:
    """A tick of price; five lots, or half a per cent where that is more or no lot is known."""
    assert day(prices, held, lot) == ("neutral" if is_neutral else "long_build_up")


@pytest.mark.parametrize(
    ("prices", "held"),
    [
        ((None, 10.0), (9000.0, 7500.0)),
        ((0.0, 10.0), (9000.0, 7500.0)),
        ((11.0, 0.0), (9000.0, 7500.0)),
        ((11.0, -1.0), (9000.0, 7500.0)),
        ((float("inf"), 10.0), (9000.0, 7500.0)),
        ((11.0, float("nan")), (9000.0, 7500.0)),
        ((11.0, 10.0), (None, 7500.0)),
        ((11.0, 10.0), (9000.0, None)),
        ((11.0, 10.0), (float("inf"), 7500.0)),
    ],
)
def test_unknown_is_null(
    prices: tuple[float | None, float | None], held: tuple[float | None, float | None]
) -> None:
    """A price of zero is none; with a figure missing there is no word, not a neutral one."""
    assert day(prices, held) is None


STRIKES = [float(k) for k in range(22_800, 25_300, 100)]


def market(forward: float, volatility: float, years: float) -> pl.DataFrame:
    """A NIFTY-like chain's premiums, to all digits, with open interest of 75 000 everywhere."""
    options = [
        Option(forward, k, years, 0.065, volatility, c) for k in STRIKES for c in (True, False)
    ]
    frame = contracts_of(
        strike=[o.strike for o in options],
        is_call=[o.is_call for o in options],
        premium=[float(precise_price(o)) for o in options],
        forward=[forward] * len(options),
        open_interest_units=[75_000.0] * len(options),
        volume_units=[1_000_000] * len(options),
    )
    terms = {"years_to_expiry": years, "rate": 0.065, "implied_volatility": volatility}
    return greeks_at(frame.with_columns(**{k: pl.lit(v) for k, v in terms.items()}))


def moved(rise: float, points: float, added: float, days_left: float = 5.0) -> pl.DataFrame:
    """Five minutes in which the forward rose, volatility changed and open interest was added."""
    minutes = timedelta(minutes=5)
    before = market(24_000.0, 0.14, (days_left + minutes / timedelta(days=1)) / 365)
    now = market(24_000.0 + rise, 0.14 + points / 100, days_left / 365).with_columns(
        pl.col("open_interest_units") + added
    )
    # All that was added could have been traded.
    start = previous_of(
        before, AS_OF - minutes, volume_units=[1_000_000 - int(abs(added))] * len(before)
    )
    mean_vega = 0.5 * (before["vega_per_vol_point"] + now["vega_per_vol_point"])
    return with_build_up(now, start, AS_OF, TICK).with_columns(mean_vega.alias("mean_vega"))


@pytest.mark.parametrize("rise", [20.0, 60.0, 120.0])
def test_spot_alone_is_no_demand(rise: float) -> None:
    """Spot rises at one volatility: each call near the money "builds up", but nobody bid for it."""
    found = moved(rise, points=0.0, added=1_500.0)
    calls = found.filter(pl.col("is_call") & (pl.col("strike") <= 24_200))
    assert set(calls["build_up_interval"]) == {"long_build_up"}
    assert set(found["flow"]) == {"neutral"}
    assert found["residual_premium"].abs().max() < TICK / 2


def test_spot_alone_on_the_last_day() -> None:
    """The same where gamma is largest: half a day before settlement, forward up by 0.25 %."""
    found = moved(60.0, points=0.0, added=1_500.0, days_left=0.4)
    near = found.filter((pl.col("strike") - 24_000).abs() <= 200)
    assert set(near["flow"]) == {"neutral"}


@pytest.mark.parametrize(
    ("points", "added", "word"),
    [
        (1.0, 1_500.0, "bought"),
        (-1.0, 1_500.0, "written"),
        (1.0, -1_500.0, "covered"),
        (-1.0, -1_500.0, "exited"),
        (1.0, 10.0, "neutral"),
    ],
)
@pytest.mark.parametrize("rise", [-60.0, 0.0, 60.0])
def test_flow(points: float, added: float, word: str, rise: float) -> None:
    """The change of volatility decides, whichever way spot went; ε is mean vega times it."""
    near = moved(rise, points, added).filter((pl.col("strike") - 24_000).abs() <= 500)
    assert set(near["flow"]) == {word}
    assert word in FLOWS
    expected = near["mean_vega"] * points
    assert near["residual_premium"].to_list() == pytest.approx(expected.to_list(), rel=0.02)


def one_interval(
    ago: timedelta, traded: int | None = 5_000, added: float = 1_500.0, as_of: datetime = AS_OF
) -> dict[str, object]:
    """A contract of volatility up, with a previous snapshot so long ago."""
    greeks = {"delta_forward": [0.5], "gamma_forward": [0.001], "theta_per_day": [-5.0]}
    now = contracts_of(
        premium=[110.0],
        forward=[24_000.0],
        open_interest_units=[75_000.0 + added],
        volume_units=[100_000],
        **greeks,
    )
    start = previous_of(
        now,
        as_of - ago,
        premium=[100.0],
        open_interest_units=[75_000.0],
        volume_units=[None if traded is None else 100_000 - traded],
    )
    return with_build_up(now, start, as_of, TICK).to_dicts()[0]


@pytest.mark.parametrize(
    ("ago", "is_known"),
    [
        (timedelta(microseconds=1), True),
        (timedelta(minutes=3), True),
        (OLDEST_PREVIOUS, True),
        (OLDEST_PREVIOUS + timedelta(microseconds=1), False),
        (timedelta(0), False),
    ],
)
def test_only_a_recent_snapshot_counts(ago: timedelta, is_known: bool) -> None:
    """Thirty minutes at most, and not the snapshot itself."""
    row = one_interval(ago)
    expected = (1_500.0, "long_build_up", "bought") if is_known else (None, None, None)
    names = ("interval_open_interest_change_units", "build_up_interval", "flow")
    assert tuple(row[name] for name in names) == expected
    assert (row["residual_premium"] is not None) == is_known


def test_only_the_same_day_counts() -> None:
    """Midnight in India, 18:30 UTC, begins another day, however short the time is."""
    just_after = datetime(2026, 11, 24, 18, 35, tzinfo=UTC)
    assert one_interval(timedelta(minutes=4), as_of=just_after)["flow"] == "bought"
    assert one_interval(timedelta(minutes=6), as_of=just_after)["flow"] is None


def test_residual_by_hand() -> None:
    """Ten rupees more, no move of the forward, three minutes of −5 ₹ a day."""
    row = one_interval(timedelta(minutes=3))
    assert row["residual_premium"] == pytest.approx(10.0 + 5.0 * 3 / 1440)


@pytest.mark.parametrize(
    ("traded", "added", "flow"),
    [
        (1_500, 1_500.0, "bought"),
        (1_499, 1_500.0, None),
        (1_499, -1_500.0, None),
        (-10, 1_500.0, None),
        (None, 1_500.0, "bought"),
    ],
)
def test_impossible_change(traded: int | None, added: float, flow: str | None) -> None:
    """Open interest cannot change by more than was traded (Q16): no flow is read from it."""
    row = one_interval(timedelta(minutes=3), traded, added)
    assert row["flow"] == flow
    assert row["interval_open_interest_change_units"] == added


@given(
    st.lists(st.integers(0, 9), max_size=12), st.lists(st.integers(0, 9), unique=True, max_size=10)
)
def test_contracts_are_found_by_id(then: list[int], now: list[int]) -> None:
    """In any order, with contracts new or gone; of two rows for one the later row counts."""
    held = [1000.0 * i for i, _ in enumerate(then)]
    known = contracts_of(premium=[1.0] * len(then), open_interest_units=held).with_columns(
        contract_id=pl.Series([str(i) for i in then], dtype=pl.String)
    )
    wanted = contracts_of(premium=[1.0] * len(now), open_interest_units=[0.0] * len(now))
    wanted = wanted.with_columns(contract_id=pl.Series([str(i) for i in now], dtype=pl.String))
    start = previous_of(known, AS_OF - timedelta(minutes=3))
    found = with_build_up(wanted, start, AS_OF, TICK)["interval_open_interest_change_units"]
    last = {number: -h for number, h in zip(then, held, strict=True)}
    assert found.to_list() == [last.get(number) for number in now]


wild = st.one_of(
    st.none(), st.floats(), st.sampled_from([0.0, -1.0, 1e308, float("nan"), float("inf")])
)


@given(st.lists(wild, min_size=14, max_size=14), st.one_of(st.none(), st.integers(-75, 75)))
def test_no_input_raises(values: list[float | None], lot: int | None) -> None:
    """Any figures give words of the two tables or null, and never NaN or an infinity."""
    names = ("last_price", "previous_close_price", "previous_open_interest_units")
    terms = ("open_interest_units", "premium", "forward", *GREEKS)
    drawn = iter(values)
    day_terms = {name: [next(drawn)] for name in names}
    now = contracts_of(**day_terms, **{n: [next(drawn)] for n in terms}, lot_size_units=[lot])
    earlier = {name: pl.Series([next(drawn)], dtype=pl.Float64) for name in terms[:5]}
    start = previous_of(now, AS_OF - timedelta(minutes=1), **earlier)
    row = with_build_up(now, start, AS_OF, TICK).select(c.name for c in BUILD_UP).to_dicts()[0]
    assert {row["build_up"], row["build_up_interval"]} <= {*BUILD_UPS, None}
    assert row["flow"] in {*FLOWS, None}
    assert all(abs(v) < float("inf") for v in row.values() if isinstance(v, float))


def test_types() -> None:
    """The columns are typed as declared, also in an empty frame."""
    empty = contracts_of(premium=[])
    found = with_build_up(empty, PREVIOUS.empty(), AS_OF, TICK)
    assert {c.name: found.schema[c.name] for c in BUILD_UP} == {c.name: c.dtype for c in BUILD_UP}


def test_warm_compiles_what_is_called() -> None:
    """After it no kernel is compiled for the types that frames hand in."""
    build_up.warm()
    before = len(build_up.read_rows.signatures)
    assert one_interval(timedelta(minutes=3))["flow"] == "bought"
    assert len(build_up.read_rows.signatures) == before
