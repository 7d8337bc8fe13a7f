"""A day at any instant: continuous between its minutes, on the right instants, laid out truly."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.exchange import days
from simulator.exchange.days import DEVIATION, LEVEL, LOG_SPOT, SLOW, TURNOVER, Track
from simulator.exchange.noise import Floats
from simulator.exchange.timetable import MINUTE_MS
from tests.simulator.scenes import NAMES, WEDNESDAY, Twice, paths, scene

_PLACE = st.integers(0, len(NAMES) - 1)
_MINUTE = st.integers(0, scene().tracks[0].minutes - 1)
_INSTANT = st.integers(0, scene().end_ms)
_MUHURAT = date(2026, 11, 8)


def _track(place: int) -> Track:
    return scene().tracks[place]


@given(_PLACE, _MINUTE)
def test_the_path_meets_its_borders(place: int, minute: int) -> None:
    """At the border of minutes the spot is the curve's, and comes to it without a jump."""
    track = _track(place)
    at = minute * MINUTE_MS
    border = track.curves[LOG_SPOT, minute]
    assert days.log_spot(track, at) == border
    steps = np.abs(np.diff(track.curves[LOG_SPOT]))
    hair = 0.003 * track.curves[DEVIATION].max() + steps.max() / MINUTE_MS
    for beside in (max(at - 1, 0), at + 1):
        assert abs(days.log_spot(track, beside) - border) <= hair


@given(_PLACE)
def test_the_path_ends_at_its_last_border(place: int) -> None:
    """At the close, and nothing moves before the open."""
    track = _track(place)
    assert days.log_spot(track, scene().end_ms) == pytest.approx(
        track.curves[LOG_SPOT, -1], abs=1e-15
    )


def test_a_minute_s_middle_has_a_quarter_of_its_variance() -> None:
    """About the line between its borders, over thousands of minutes."""
    made, timetable = paths()
    found = [
        _swings(track)
        for day in timetable.trading_days(date(2026, 3, 1), date(2026, 3, 31))
        for track in made.tracks(day)
    ]
    assert (np.concatenate(found) ** 2).mean() == pytest.approx(0.25, rel=0.05)


def _swings(track: Track) -> Floats:
    """How far the middle of each minute lies from the line between its borders, in deviations."""
    middles = range(MINUTE_MS // 2, track.minutes * MINUTE_MS, MINUTE_MS)
    inside = np.array([days.log_spot(track, at) for at in middles])
    lines = (track.curves[LOG_SPOT, 1:] + track.curves[LOG_SPOT, :-1]) / 2
    swings: Floats = (inside - lines) / track.curves[DEVIATION, :-1]
    return swings


def test_each_minute_of_each_day_moves_in_its_own_way() -> None:
    """Neither the same minute of another day nor the minute after says anything of it."""
    made, timetable = paths()
    found = [
        _swings(made.track(day, 0))
        for day in timetable.trading_days(date(2026, 3, 2), date(2026, 3, 13))
    ]
    together = np.corrcoef(found) - np.eye(len(found))
    assert np.abs(together).max() < 0.25
    for swings in found:
        assert abs(np.corrcoef(swings[1:], swings[:-1])[0, 1]) < 0.25


def test_indices_move_together_inside_a_minute() -> None:
    """As much as their shares of the common factor say."""
    first, second, _ = scene().tracks
    moves = np.array(
        [
            [days.log_spot(t, at + 30_000) - days.log_spot(t, at) for t in (first, second)]
            for at in range(0, scene().end_ms, MINUTE_MS)
        ]
    )
    correlation = np.corrcoef(moves.T)[0, 1]
    assert correlation == pytest.approx(first.share * second.share, abs=0.1)


@given(_PLACE, st.sampled_from([LEVEL, SLOW, TURNOVER, LOG_SPOT]), _MINUTE, st.floats(0, 1))
def test_curves_are_straight_between_borders(
    place: int, curve: int, minute: int, part: float
) -> None:
    """And meet them."""
    track = _track(place)
    left, right = track.curves[curve, minute : minute + 2].tolist()
    within = int(part * MINUTE_MS)
    expected = left + (right - left) * within / MINUTE_MS
    assert days.curve_at(track, curve, minute * MINUTE_MS + within) == pytest.approx(
        expected, abs=1e-14
    )


@pytest.mark.parametrize(
    ("day", "session"), [(WEDNESDAY, "nse"), (_MUHURAT, "nse"), (WEDNESDAY, "always")]
)
def test_instants_are_the_grid_s(day: date, session: str) -> None:
    """Trading time to clock time is the grid's own way back."""
    known = scene(day, session)
    track = known.tracks[0]
    for traded_ms in np.random.default_rng(1).integers(0, known.end_ms, 300).tolist():
        at_ms = days.epoch_ms_of(track, traded_ms)
        assert known.grid.traded_ms(at_ms) == traded_ms
    assert days.epoch_ms_of(track, known.end_ms) == known.grid.closes_ms
    assert days.epoch_ms_of(track, 0) == known.grid.starts_ms[0]


def test_pauses_between_sessions_take_no_trading_time() -> None:
    """A day of two sessions: the second follows the first at once."""
    rules = Twice()
    made, timetable = paths(rules=rules)
    grid, track = timetable.grid(WEDNESDAY), made.track(WEDNESDAY, 0)
    first, second = rules.sessions(WEDNESDAY)
    paused_ms = int((second.opens_at - first.closes_at).total_seconds() * 1_000)
    lasted_ms = int((first.closes_at - first.opens_at).total_seconds() * 1_000)
    before, after = (days.epoch_ms_of(track, lasted_ms + shift) for shift in (-1, 0))
    assert after - before == paused_ms + 1
    for traded_ms in range(0, track.minutes * MINUTE_MS, 7_001):
        assert grid.traded_ms(days.epoch_ms_of(track, traded_ms)) == traded_ms
    assert grid.traded_ms(before + paused_ms // 2) == lasted_ms


def test_tracks_are_laid_out_as_they_are() -> None:
    """What comes out of the arrays is what went in, field by field."""
    known = scene()
    for place, track in enumerate(known.tracks):
        again = days.track_of(known.day, place)
        assert again[:-1] == track[:-1]
        assert np.array_equal(again.curves, track.curves)


def test_the_trading_clock_stands_while_the_exchange_is_shut() -> None:
    """It runs on from day to day; the night passes between close and open."""
    made, timetable = paths()
    first, second = timetable.trading_days(date(2026, 11, 25), date(2026, 11, 26))
    today, tomorrow = made.track(first, 0), made.track(second, 0)
    close = days.trading_ms(today, today.minutes * MINUTE_MS)
    night = days.trading_ms(tomorrow, 0) - close
    assert close == pytest.approx((today.number + 1) * today.year_ms)
    assert night == pytest.approx(timetable.night_share * today.year_ms)
    ticks = [days.trading_ms(today, at) for at in range(0, scene().end_ms, 60_500)]
    assert (np.diff(ticks) > 0).all()


@given(_PLACE, st.floats(-0.2, 0.2), st.floats(-0.3, 0.3))
def test_volatility_rises_when_the_spot_falls(place: int, here: float, level: float) -> None:
    """The leverage effect; at rest today's variance is the long run's; its own part multiplies."""
    track = _track(place)
    now, far = days.variances(track, here, level)
    assert days.variances(track, 0.0, 0.0) == (far, far)
    assert days.variances(track, here - 0.01, level)[0] > now
    assert days.variances(track, here, 0.0)[0] * math.exp(2 * level) == pytest.approx(now)


@given(st.integers(0, 10**13), st.integers(-(10**11), 10**11))
def test_years_never_run_out(at_ms: int, left_ms: int) -> None:
    """Of 365 days, and never less than a second."""
    years = days.years_to(at_ms + left_ms, at_ms)
    assert years == max(left_ms, 1_000) / (365 * 86_400_000.0)


def test_a_day_has_room_for_its_minutes() -> None:
    """The keys of one day's minutes do not run into the next day's."""
    for session in ("nse", "always"):
        assert scene(WEDNESDAY, session).tracks[0].minutes <= days.KEYS_PER_DAY
