"""Rules of what is listed: strikes, expiries, lots, adjustments, settlements."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest

from tests.strategies import AS_OF, EXPIRIES, RULES
from tests.transforms.quality.sound import TRUTH, chain_of, previous_of, series_in, told
from transforms.quality import series
from transforms.quality.arbitrage import ladder
from transforms.quality.interest import with_earlier

SOUND = chain_of(TRUTH)
CONTRACTS = SOUND.contracts
SERIES = series_in(CONTRACTS)
STRIKE = pl.col("strike")
IST = timezone(timedelta(hours=5, minutes=30))


def pair(now: pl.DataFrame, then: pl.DataFrame) -> pl.DataFrame:
    """Two snapshots of a chain, five minutes apart."""
    return with_earlier(now, previous_of(then))


def test_a_series_in_one_row() -> None:
    """What all contracts share, the newest quote, the range of lots, and the spot before."""
    older = CONTRACTS.with_columns(
        quoted_at=pl.col("quoted_at") - pl.duration(seconds=pl.int_range(pl.len())),
        lot_size_units=60 + pl.int_range(pl.len()) % 3,
        spot=pl.when(pl.int_range(pl.len()) > 0).then("spot"),
    )
    row = series_in(older, previous_of(CONTRACTS)).row(0, named=True)
    assert (row["symbol"], row["expiry"], row["spot"]) == ("NIFTY", TRUTH.expiry, TRUTH.spot)
    assert row["quoted_at"] == CONTRACTS["quoted_at"][0]
    assert (row["least_lot_units"], row["most_lot_units"]) == (60, 62)
    assert row["earlier_spot"] == TRUTH.spot


@pytest.mark.parametrize(
    ("gone", "places", "words"),
    [
        ([24_500.0], [24_500.0], "1 strikes missing below 24600.0"),
        ([23_500.0, 23_600.0], [23_500.0], "2 strikes missing below 23700.0"),
        ([22_700.0], [], ""),
        ([25_300.0], [], ""),
    ],
)
def test_holes(gone: list[float], places: list[float], words: str) -> None:
    """Q19: inside the chain, at the first strike that is missing; its ends are nobody's loss."""
    found = series.missing_strikes(ladder(CONTRACTS.filter(~STRIKE.is_in(gone))))
    assert told(found) == [("Q19", "W", place) for place in places]
    assert all(words in detail for detail in found["detail"])


def test_wider_steps_in_the_wings_are_a_scheme() -> None:
    """Q19: 100 near the money and 200 beyond is how exchanges list."""
    truth = replace(TRUTH, count=20)
    wings = (STRIKE - 24_000).abs() > 1_200
    listed = chain_of(truth).contracts.filter(~wings | (STRIKE % 200 == 0))
    assert series.missing_strikes(ladder(listed)).is_empty()


@pytest.mark.parametrize(("highest", "count"), [(25_100.0, 0), (25_000.0, 1)])
def test_ten_strikes_on_either_side(highest: float, count: int) -> None:
    """Q19: the money is at 24 100, so 25 100 is the tenth above it."""
    found = series.missing_strikes(ladder(CONTRACTS.filter(highest >= STRIKE)))
    assert told(found) == [("Q19", "W", None)] * count


@pytest.mark.parametrize(("strike", "is_told"), [(23_100.0, True), (23_000.0, False)])
def test_a_leg_without_the_other(strike: float, is_told: bool) -> None:
    """Q19: within ten strikes of the money both legs are wanted; farther out either may do."""
    lone = CONTRACTS.filter((strike != STRIKE) | pl.col("is_call"))
    found = series.missing_strikes(ladder(lone))
    assert told(found) == ([("Q19", "W", strike)] if is_told else [])
    assert all("without its put" in detail for detail in found["detail"])


def test_the_spot_stands_in_for_the_forward() -> None:
    """Q19: a chain without forward is judged around its spot; without both it is not judged."""
    cut = CONTRACTS.filter(STRIKE <= 24_900).with_columns(forward=pl.lit(None, pl.Float64))
    assert told(series.missing_strikes(ladder(cut))) == [("Q19", "W", None)]
    lost = cut.with_columns(spot=pl.lit(None, pl.Float64))
    assert series.missing_strikes(ladder(lost)).is_empty()


def test_new_strikes() -> None:
    """Q19: a strike that was not there; but a new expiry, or a new day, has none that are new."""
    then = CONTRACTS.filter(STRIKE != 25_300)
    assert told(series.new_strikes(pair(CONTRACTS, then))) == [("Q19", "W", 25_300.0)]
    assert series.new_strikes(pair(CONTRACTS, CONTRACTS)).is_empty()
    assert series.new_strikes(pair(CONTRACTS, CONTRACTS.clear())).is_empty()
    overnight = with_earlier(CONTRACTS, previous_of(then, timedelta(days=1)))
    assert series.new_strikes(overnight).is_empty()


@pytest.mark.parametrize(("seconds", "count"), [(-1, 0), (0, 1), (60, 1)])
def test_expired_series(seconds: int, count: int) -> None:
    """Q20: one violation for each series, from the instant that settles it."""
    late = RULES.settlement_at(TRUTH.expiry) + timedelta(seconds=seconds)
    found = series.expired_series(CONTRACTS.with_columns(as_of=pl.lit(late)))
    assert told(found) == [("Q20", "E", None)] * count


def test_unrequested_series() -> None:
    """Q20: an expiry that was not asked for; symbols that nobody asked for are not judged."""
    asked = pl.DataFrame({"symbol": ["NIFTY"], "expiry": [EXPIRIES[1]]})
    found = series.unrequested_series(SERIES, asked)
    assert told(found) == [("Q20", "E", None)]
    assert "asked for 2026-12-01" in found["detail"][0]
    both = pl.concat([asked, asked.with_columns(expiry=pl.lit(TRUTH.expiry))])
    assert series.unrequested_series(SERIES, both).is_empty()
    assert series.unrequested_series(SERIES, asked.with_columns(symbol=pl.lit("X"))).is_empty()


@pytest.mark.parametrize(
    ("symbol", "lot", "count"),
    [("NIFTY", 65, 0), ("NIFTY", 75, 1), ("NIFTY", None, 0), ("RELIANCE", 500, 0)],
)
def test_lot_sizes(symbol: str, lot: int | None, count: int) -> None:
    """Q21: held against the dated table, where it has a row; an unknown lot is no other lot.

    65 units: NSE/FAOP/70616 of 3 Oct 2025.
    """
    frame = CONTRACTS.with_columns(symbol=pl.lit(symbol), lot_size_units=pl.lit(lot, pl.Int64))
    assert told(series.lot_sizes(series_in(frame), RULES)) == [("Q21", "W", None)] * count


def test_two_lots_in_one_series() -> None:
    """Q21: whatever the table says, a series has one lot."""
    mixed = CONTRACTS.with_columns(
        symbol=pl.lit("TCS"), lot_size_units=175 + pl.col("is_call").cast(pl.Int64)
    )
    assert told(series.lot_sizes(series_in(mixed), RULES)) == [("Q21", "W", None)]


def test_strike_steps() -> None:
    """Q21: finer or wider than before; a lost or new strike at the same step is Q19's finding."""
    even = CONTRACTS.filter(STRIKE % 200 == 0)
    for now, then, count in (
        (CONTRACTS, even, 1),
        (even, CONTRACTS, 1),
        (CONTRACTS, CONTRACTS, 0),
        (CONTRACTS.filter(STRIKE != 24_500), CONTRACTS, 0),
        (CONTRACTS, CONTRACTS.filter(STRIKE != 24_500), 0),
        (CONTRACTS, CONTRACTS.clear(), 0),
    ):
        found = series.strike_steps(pair(now, then), previous_of(then))
        assert told(found) == [("Q21", "W", None)] * count


@pytest.mark.parametrize(
    ("strike", "is_told"), [(102.5, False), (8.25, False), (643.35, True), (24_000.0, False)]
)
def test_adjusted_strikes(strike: float, is_told: bool) -> None:
    """Q22: steps of ₹2.5 and ₹0.25 are listed, finer ones adjusted; once mapped, none is told."""
    frame = CONTRACTS.head(2).with_columns(strike=pl.lit(strike))
    found = series.adjusted_strikes(frame, ())
    assert told(found) == ([("Q22", "E", strike)] if is_told else [])
    assert series.adjusted_strikes(frame, ("NIFTY",)).is_empty()


@pytest.mark.parametrize(
    ("ratio", "is_told"),
    [
        (0.5, True),
        (0.503, True),
        (0.52, False),
        (2 / 3, True),
        (0.9, False),
        (1.0, False),
        (5, True),
    ],
)
def test_split_gaps(ratio: float, is_told: bool) -> None:
    """Q22: a spot at half, two thirds, five times its last; once mapped, none."""
    now = CONTRACTS.with_columns(pl.col("spot") * ratio)
    moved = series_in(now, previous_of(CONTRACTS))
    assert told(series.split_gaps(moved, ())) == ([("Q22", "E", None)] if is_told else [])
    assert series.split_gaps(moved, ("NIFTY",)).is_empty()


@pytest.mark.parametrize(
    ("expiry", "at", "phase", "is_told"),
    [
        # Until 3 Aug 2026 the last half hour is averaged; since then there is an auction.
        (date(2026, 7, 28), datetime(2026, 7, 28, 15, 10, tzinfo=IST), "averaging", False),
        (date(2026, 7, 28), datetime(2026, 7, 28, 15, 10, tzinfo=IST), "before", True),
        (date(2026, 7, 28), datetime(2026, 7, 28, 15, 10, tzinfo=IST), None, True),
        (date(2026, 8, 4), datetime(2026, 8, 4, 15, 10, tzinfo=IST), "averaging", True),
        (date(2026, 8, 4), datetime(2026, 8, 4, 15, 20, tzinfo=IST), "auction", False),
        (date(2026, 8, 4), datetime(2026, 8, 4, 15, 20, tzinfo=IST), "before", True),
        (date(2026, 8, 4), datetime(2026, 8, 4, 15, 30, tzinfo=IST), "settled", False),
        (TRUTH.expiry, AS_OF, "before", False),
        (TRUTH.expiry, AS_OF, None, False),
        (date(1990, 1, 1), AS_OF, None, False),
    ],
)
def test_settlement_states(expiry: date, at: datetime, phase: str | None, is_told: bool) -> None:
    """Q30: the phase of the expiry's own rules, on its own day."""
    told_phase = pl.lit(phase, pl.String)
    expiries = SOUND.expiries.with_columns(
        expiry=pl.lit(expiry),
        as_of=pl.lit(at.astimezone(UTC)).cast(pl.Datetime("us", "UTC")),
        settlement_phase=told_phase,
    )
    found = series.settlement_states(expiries, RULES)
    assert told(found) == ([("Q30", "E", None)] if is_told else [])
