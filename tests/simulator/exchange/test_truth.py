"""The truth: what the kernels of one contract say, and the bursts of the day."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.exchange.book import open_interest_lots, quoted_at, state
from simulator.exchange.days import DEVIATION, GAMMA_RATIO, epoch_ms_of
from simulator.exchange.profiles import Burst
from simulator.exchange.timetable import MINUTE_MS, epoch_ms
from simulator.exchange.truth import Event, Truth, truth_at
from tests.simulator.scenes import HEDGING, NAMES, TUESDAY, WEDNESDAY, Twice, paths, scene
from tests.simulator.standing import ist

_INSTANT = st.integers(0, scene().end_ms)


def _truth(traded_ms: int, day: date = WEDNESDAY) -> Truth:
    known = scene(day)
    at_ms = epoch_ms_of(known.tracks[0], traded_ms)
    return truth_at(
        known.listing, known.day, known.terms, traded_ms=traded_ms, at_ms=at_ms, hedging=HEDGING
    )


@settings(max_examples=10)
@given(_INSTANT)
def test_rows_are_what_the_book_s_kernels_say(traded_ms: int) -> None:
    """Of every row of the listing: years, volatility, price and open interest."""
    known, found = scene(), _truth(traded_ms)
    assert found.price.size == len(known.listing.rows)
    for place in range(0, found.price.size, 23):
        row = known.row(place)
        track, true = known.track(row), state(known.track(row), row, traded_ms)
        told = found.years_to_expiry[place], found.implied_volatility[place], found.price[place]
        expected = true.years, true.volatility, true.price
        assert told == pytest.approx(expected, rel=1e-12, nan_ok=True)
        held = open_interest_lots(track, row, quoted_at(row, traded_ms)) * row.lot_units
        assert found.open_interest_units[place] == held


@settings(max_examples=15)
@given(_INSTANT, st.sampled_from([WEDNESDAY, TUESDAY]))
def test_spots_and_forwards_are_of_their_symbols(traded_ms: int, day: date) -> None:
    """Each symbol's own, and the forward that its options are priced on."""
    known, found = scene(day), _truth(traded_ms, day)
    assert set(found.spot) == set(NAMES)
    for name, place in known.listing.spot_row.items():
        row = known.row(place)
        assert found.spot[name] == state(known.track(row), row, traded_ms).spot
    assert set(found.forward) == set(known.listing.chains)
    for (name, expiry), rows in known.listing.chains.items():
        row = known.row(int(rows[-1]))
        forward = found.forward[name, expiry]
        assert forward == state(known.track(row), row, traded_ms).forward
        if (name, expiry) in known.listing.future_rows:
            assert found.price[known.listing.future_rows[name, expiry]] == forward


@settings(max_examples=30)
@given(_INSTANT)
def test_minutes_are_the_running_ones(traded_ms: int) -> None:
    """Volatility and gamma of the minute that runs; at the very close of the last one."""
    known, found = scene(), _truth(traded_ms)
    minute = min(traded_ms // MINUTE_MS, known.tracks[0].minutes - 1)
    for name, track in zip(NAMES, known.tracks, strict=True):
        assert found.volatility_per_minute[name] == track.curves[DEVIATION, minute]
        assert found.gamma_ratio[name] == track.curves[GAMMA_RATIO, minute]
        assert found.volatility_per_minute[name] > 0.0
    assert found.gamma_ratio["ITC"] == 0.0
    assert found.hedging == HEDGING
    assert epoch_ms(found.at) == epoch_ms_of(known.tracks[0], traded_ms)


def test_options_are_worth_more_than_exercise() -> None:
    """Volatility of options only, all finite and believable."""
    known, found = scene(), _truth(5_000_000)
    is_option = known.listing.sign != 0.0
    assert np.isnan(found.implied_volatility[~is_option]).all()
    chain = known.chain("NIFTY", TUESDAY)
    assert ((found.implied_volatility[chain] > 0.03) & (found.implied_volatility[chain] < 2)).all()
    spot = found.spot["NIFTY"]
    worth = known.listing.sign[chain] * (spot - known.listing.strike[chain])
    assert (found.price[chain] >= worth * math.exp(-0.07 * 6 / 365) - 60).all()
    assert (found.price[chain] > 0.0).all()


def test_bursts_are_told_by_their_instants() -> None:
    """Whole minutes of the session, in the order that they were given, by symbol."""
    bursts = {"NIFTY": (Burst(0, 4, 2.5), Burst(380, 385, 3.0)), "ITC": (Burst(60, 61, 2.0),)}
    found = _truth(0).with_bursts(bursts)
    assert found.events == (
        Event("NIFTY", ist("2026-11-25 09:15"), ist("2026-11-25 09:19"), 2.5),
        Event("NIFTY", ist("2026-11-25 15:35"), ist("2026-11-25 15:40"), 3.0),
        Event("ITC", ist("2026-11-25 10:15"), ist("2026-11-25 10:16"), 2.0),
    )
    assert _truth(0).events == ()
    assert found.spot == _truth(0).spot


def test_a_market_s_bursts_lie_inside_its_sessions() -> None:
    """Of every symbol, on quiet days and on expiries."""
    made, timetable = paths()
    for day in (WEDNESDAY, TUESDAY):
        grid = timetable.grid(day)
        bursts = {name: made.bursts(place, day) for place, name in enumerate(NAMES)}
        events = _truth(0, day).with_bursts(bursts).events
        assert len(events) == sum(map(len, bursts.values()))
        for event in events:
            assert grid.starts_ms[0] <= epoch_ms(event.starts_at) < epoch_ms(event.ends_at)
            assert epoch_ms(event.ends_at) <= grid.closes_ms
            assert epoch_ms(event.starts_at) % MINUTE_MS == 0


def test_a_burst_over_a_pause_ends_in_the_next_session() -> None:
    """Its minutes are of trading: the pause between two sessions lies inside of it."""
    made, timetable = paths(rules=Twice())
    known, day = scene(), made.day(WEDNESDAY)
    found = truth_at(
        known.listing, day, known.terms, traded_ms=0, at_ms=0, hedging=0.0
    ).with_bursts({"NIFTY": (Burst(43, 47, 2.0), Burst(40, 45, 2.0))})
    over, until = found.events
    assert timetable.grid(WEDNESDAY).starts_ms.size == 105
    assert (over.starts_at, over.ends_at) == (ist("2026-11-25 09:58"), ist("2026-11-25 11:32"))
    assert until.ends_at == ist("2026-11-25 10:00")
