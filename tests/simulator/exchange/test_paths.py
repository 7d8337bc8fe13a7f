"""Days of a market: they meet the daily walk, move as much as they should, and need no past."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, time, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.rules import AlwaysOpen, Rules, Session, at_ist, rules_for
from market.tables import EXPIRY_RULES
from simulator.exchange import activity, days, feedback, profiles
from simulator.exchange.days import (
    DEVIATION,
    GAMMA_RATIO,
    LEVEL,
    LOG_SPOT,
    MULTIPLE,
    SLOW,
    TURNOVER,
    Track,
)
from simulator.exchange.market import Market
from simulator.exchange.noise import MS_PER_YEAR, Floats
from simulator.exchange.symbols import choose
from simulator.exchange.timetable import MINUTE_MS, instant_of
from tests.simulator.scenes import HEDGING, NAMES, SEED, TUESDAY, WEDNESDAY, paths, timetable_of

_INDICES = ("NIFTY", "BANKNIFTY", "SENSEX")
_STOCKS = ("ITC", "RELIANCE", "INFY")
_FIRST, _LAST = date(2025, 9, 10), date(2026, 11, 20)
_ANY_DAY = st.dates(date(2024, 12, 2), date(2027, 6, 30))


_TIMETABLE = timetable_of(rules_for("nse"))


def _days(first: date = _FIRST, last: date = _LAST) -> list[date]:
    return _TIMETABLE.trading_days(first, last)


# A market without hedgers, whose days are made once for all tests: three indices, three stocks.
_CALM, _ = paths((*_INDICES, *_STOCKS), hedging=0.0)


def _steps(track: Track) -> Floats:
    steps: Floats = np.diff(track.curves[LOG_SPOT])
    return steps


def _shares(track: Track) -> Floats:
    """Each minute's variance of a market without bursts and hedgers."""
    shape = profiles.variance_shape(track.minutes, is_flat=False)
    return shape * (1.0 - track.night_share) * track.volatility**2 / 248.0


@settings(max_examples=30)
@given(_ANY_DAY)
def test_a_day_ends_where_the_daily_walk_says(day: date) -> None:
    """The close is known without the day, with hedgers and without."""
    day = _TIMETABLE.day_before(day)
    for hedging in (0.0, HEDGING):
        made, _ = paths(hedging=hedging)
        for place, track in enumerate(made.tracks(day)):
            end = days.log_spot(track, track.minutes * MINUTE_MS)
            close = track.level * math.exp(end)
            assert made.closes(place, [day]).tolist() == pytest.approx([close], rel=1e-12)


def test_nights_have_their_share_of_the_variance() -> None:
    """A day opens near the close before: a quarter of a day's variance away."""
    every = _days()
    gaps = []
    for place in range(len(_INDICES)):
        tracks = [_CALM.track(day, place) for day in every]
        ends = np.log(_CALM.closes(place, every) / tracks[0].level)
        opens = np.array([track.curves[LOG_SPOT, 0] for track in tracks])
        gaps.append(np.mean((opens[1:] - ends[:-1]) ** 2) / (tracks[0].volatility ** 2 / 248.0))
    assert np.mean(gaps) == pytest.approx(_TIMETABLE.night_share, rel=0.3)


def test_the_demo_has_no_nights() -> None:
    """Each day begins where the one before has ended."""
    made, timetable = paths(rules=AlwaysOpen())
    for day in timetable.trading_days(date(2026, 11, 20), date(2026, 11, 26)):
        before = made.tracks(timetable.day_before(day))
        for old, new in zip(before, made.tracks(day), strict=True):
            assert new.curves[LOG_SPOT, 0] == pytest.approx(old.curves[LOG_SPOT, -1], abs=1e-12)
            assert new.minutes == 1_440


def test_realised_volatility_is_the_symbol_s() -> None:
    """Minute by minute, without hedgers and outside of bursts, over a year and six symbols."""
    found = np.zeros((2, len(_INDICES) + len(_STOCKS)))
    for day in _days():
        for place, track in enumerate(_CALM.tracks(day)):
            quiet = track.curves[MULTIPLE, :-1] == 1.0
            found[0, place] += (_steps(track)[quiet] ** 2).sum()
            found[1, place] += _shares(track)[quiet].sum()
    realised = np.sqrt(found[0] / found[1])
    assert realised == pytest.approx(np.ones(realised.size), rel=0.05)
    assert realised.mean() == pytest.approx(1.0, rel=0.02)


def test_the_last_minutes_are_as_any_other() -> None:
    """A day is not pulled to its end: each of its last minutes moves as much as its share says."""
    ratios = [
        _steps(track)[-4:] ** 2 / _shares(track)[-4:]
        for day in _days()
        for track in _CALM.tracks(day)
        if (track.curves[MULTIPLE, -5:] == 1.0).all()
    ]
    assert np.mean(ratios, axis=0) == pytest.approx(np.ones(4), rel=0.16)


def test_daily_moves_are_the_symbol_s() -> None:
    """From close to close, within what fourteen months can tell."""
    for place in range(len(_INDICES)):
        moves = np.diff(np.log(_CALM.closes(place, _days(date(2012, 1, 2), date(2026, 1, 2)))))
        volatility = _CALM.track(WEDNESDAY, place).volatility
        assert moves.std() * math.sqrt(248.0) == pytest.approx(volatility, rel=0.1)


def test_indices_move_together() -> None:
    """Minute by minute and from day to day, more than a stock with an index."""
    every, places = _days(date(2026, 9, 1)), (0, 1, 3)
    minutes = [np.concatenate([_steps(_CALM.track(d, p)) for d in every]) for p in places]
    together = np.corrcoef(minutes)
    assert together[0, 1] > 0.6
    assert 0.3 < together[0, 2] < together[0, 1]
    closes = [np.diff(np.log(_CALM.closes(place, _days()))) for place in places]
    assert np.corrcoef(closes)[0, 1] > 0.6


def _explained(names: Sequence[str]) -> tuple[Floats, Floats]:
    """ln(return²) beyond the day's own shape, and ln of what hedging makes of the volatility."""
    made, _ = paths(tuple(names), hedging=2.0)
    seen, multiple = [], []
    for day in _days():
        for track in made.tracks(day):
            usual = _shares(track) * track.curves[MULTIPLE, :-1] ** 2
            seen.append(np.log(_steps(track)[:-5] ** 2 / usual[:-5]))
            g = track.curves[GAMMA_RATIO, :-6].tolist()
            multiple.append([math.log(feedback.multiple(2.0, ratio)) for ratio in g])
    return np.concatenate(seen), np.concatenate(multiple)


def test_hedgers_damp_and_feed_the_moves() -> None:
    """A minute with g moves 1/(1 + λg) as much: the slope of ln r² on the multiple's ln is 2."""
    seen, multiple = _explained(_INDICES)
    assert multiple.std() > 0.1
    slope, offset = np.polyfit(multiple, seen, 1)
    assert slope == pytest.approx(2.0, abs=0.15)
    # E ln χ² with one degree of freedom, nearly: the draws have thinner tails.
    assert offset == pytest.approx(-1.27, abs=0.15)
    damped, fed = seen[multiple < -0.05], seen[multiple > 0.05]
    assert min(damped.size, fed.size) > 1_000
    assert damped.mean() < fed.mean()


def test_only_indices_are_hedged() -> None:
    """Stocks and spots without derivatives have none of it, nor has anything without λ."""
    made, _ = paths(("NIFTY", "ITC", "INDIAVIX"))
    index, stock, other = made.tracks(WEDNESDAY)
    assert index.curves[GAMMA_RATIO].any()
    assert not stock.curves[GAMMA_RATIO].any()
    assert not other.curves[GAMMA_RATIO].any()
    calm, _ = paths(hedging=0.0)
    assert not any(track.curves[GAMMA_RATIO].any() for track in calm.tracks(WEDNESDAY))


def test_gamma_is_what_is_open_at_the_open() -> None:
    """g of a minute by hand: from what the exchange shows as open, and its true volatilities."""
    market, name = Market(SEED, rules_for("nse"), ["NIFTY"]), "NIFTY"
    made, timetable = paths(("NIFTY",))
    grid, track = timetable.grid(WEDNESDAY), made.track(WEDNESDAY, 0)
    opens, minute = instant_of(int(grid.starts_ms[0])), 200
    at = instant_of(int(grid.starts_ms[minute]))
    held, truth = market.quotes(opens).open_interest_units, market.truth(at)
    listing, total = truth.listing, 0.0
    centre = market.truth(opens).spot[name]
    for expiry in rules_for("nse").expiries(name, "NSE", WEDNESDAY, 2):
        rows = listing.chain(name, expiry)
        rows = rows[np.abs(listing.strike[rows] - round(centre / 50) * 50) <= 40 * 50]
        years, forward = truth.years_to_expiry[rows], truth.forward[name, expiry]
        deviation = truth.implied_volatility[rows] * np.sqrt(years)
        d1 = np.log(forward / listing.strike[rows]) / deviation + 0.5 * deviation
        gamma = np.exp(-0.5 * d1**2 - track.rate * years) / math.sqrt(2 * math.pi)
        gamma *= listing.sign[rows] * held[rows] / (forward * deviation)
        total += float(gamma.sum()) * truth.spot[name] ** 2 * 0.01
    turnover = track.curves[TURNOVER, minute] - track.curves[TURNOVER, minute - 30]
    units = activity.future_lots(listing.symbols[0], SEED) * listing.lot_units[rows[0]]
    expected = total / (units * turnover * truth.spot[name])
    assert truth.gamma_ratio[name] == pytest.approx(expected, rel=0.01)


@settings(max_examples=10)
@given(st.lists(_ANY_DAY, min_size=2, max_size=5))
def test_any_order_gives_the_same_days(asked: list[date]) -> None:
    """Forwards, backwards, among other symbols and from a fresh market: not a bit differs."""
    asked = [_TIMETABLE.day_before(day) for day in asked]
    first, second, alone = (paths(names)[0] for names in (NAMES, NAMES, ("ITC",)))
    forwards = [first.track(day, 2).curves for day in asked]
    backwards = [second.track(day, 2).curves for day in reversed(asked)][::-1]
    apart = [alone.track(day, 0).curves for day in asked]
    for found in (backwards, apart):
        assert all(np.array_equal(a, b) for a, b in zip(forwards, found, strict=True))


def test_seeds_make_different_days() -> None:
    """And the same seed the same one."""
    curves = [paths(seed=seed)[0].track(WEDNESDAY, 0).curves for seed in (7, 7, 8)]
    assert np.array_equal(curves[0], curves[1])
    assert not np.array_equal(curves[0], curves[2])


@pytest.mark.parametrize(
    ("day", "session", "continuous", "auction"),
    [
        (WEDNESDAY, "nse", "15:15", "15:35"),
        (date(2026, 12, 8), "nse", "15:30", "15:40"),
        (date(2026, 7, 1), "nse", "15:30", "15:30"),
        (date(2026, 11, 8), "nse", "19:00", "19:00"),
        (WEDNESDAY, "always", "24:00", "24:00"),
    ],
)
def test_stocks_keep_their_own_hours(
    day: date, session: str, continuous: str, auction: str
) -> None:
    """On a regular day; a special session is everybody's from its open to its close."""
    made, timetable = paths(rules=rules_for(session))
    track, opens_ms = made.track(day, 2), int(timetable.grid(day).starts_ms[0])
    opens = instant_of(opens_ms)
    for traded_ms, clock in ((track.cash_closes, continuous), (track.auction_closes, auction)):
        hours, minutes = map(int, clock.split(":"))
        expected = at_ist(day, time(0)) + timedelta(hours=hours, minutes=minutes)
        assert opens + timedelta(milliseconds=traded_ms) == expected


@settings(max_examples=30)
@given(_ANY_DAY)
def test_turnover_runs_from_nothing_to_all(day: date) -> None:
    """It never stands still."""
    made, timetable = paths()
    for track in made.tracks(timetable.day_before(day)):
        turnover = track.curves[TURNOVER]
        assert (turnover[0], turnover[-1]) == (0.0, 1.0)
        assert (np.diff(turnover) > 0.0).all()


def _of_every_day(place: int) -> list[Track]:
    return [_CALM.track(day, place) for day in _days(date(2026, 1, 1))]


def test_bursts_move_and_trade_more() -> None:
    """By their multiple, against the day's own shape; and the path's deviation says so."""
    ratios, pace = [], []
    for track in _of_every_day(0):
        multiple = track.curves[MULTIPLE, :-1]
        assert track.curves[DEVIATION, :-1] == pytest.approx(np.sqrt(_shares(track)) * multiple)
        inside = multiple > 1.0
        ratios += (_steps(track) ** 2 / _shares(track) / multiple**2)[inside].tolist()
        usual = profiles.turnover_shape(track.minutes, is_flat=False)
        shares = np.diff(track.curves[TURNOVER]) / usual
        if inside.any():
            pace.append(shares[inside].mean() / shares[~inside].mean() / multiple[inside].mean())
    assert len(ratios) > 300
    assert np.mean(ratios) == pytest.approx(1.0, rel=0.2)
    assert min(pace) > 1.0


def test_expiry_days_have_more_bursts() -> None:
    """A symbol's own expiry days: the bursts are laid out by the rules' dates."""
    made, timetable = paths()
    counts: dict[bool, list[int]] = {True: [], False: []}
    for day in _days():
        expires = day in rules_for("nse").expiries("NIFTY", "NSE", day, 1)
        found = made.bursts(0, day)
        counts[expires].append(len(found))
        curve = profiles.multiples(found, timetable.grid(day).starts_ms.size)
        assert np.array_equal(_CALM.track(day, 0).curves[MULTIPLE, :-1], curve)
    assert len(counts[True]) > 50
    assert np.mean(counts[True]) > 5 * np.mean(counts[False])


def test_days_before_the_rules_have_no_expiry() -> None:
    """Years before the first dated rule of expiries, all is as on any other day."""
    made, timetable = paths()
    day = timetable.trading_days(date(2015, 3, 2), date(2015, 3, 9))[0]
    assert day < min(rule.valid_from for rule in EXPIRY_RULES)
    track = made.track(day, 0)
    assert not track.curves[GAMMA_RATIO].any()
    assert np.isfinite(track.curves).all()


def test_the_slow_path_is_the_spot_s_own() -> None:
    """What is left of the spot's path without its quick octaves stays near it, all year."""
    for place in (0, 3):
        tracks = _of_every_day(place)
        spot, slow = (np.array([t.curves[c, 0] for t in tracks]) for c in (LOG_SPOT, SLOW))
        assert np.corrcoef(spot, slow)[0, 1] > 0.9
        assert (spot - slow).std() < 0.5 * spot.std()


def test_volatility_levels_move_as_much_as_they_should() -> None:
    """From close to close by the part of 0.8 per √year that the spot does not bring about."""
    levels = np.array([_CALM.track(day, 0).curves[LEVEL, -1] for day in _days()])
    usual = days.LEVEL_VOLATILITY * math.sqrt(1.0 - days.LEVERAGE**2)
    assert np.diff(levels).std() == pytest.approx(usual / math.sqrt(248), rel=0.25)


def test_a_session_shorter_than_half_an_hour_is_hedged() -> None:
    """Over the turnover that there is."""

    class Short(Rules):
        """Twenty minutes on one Wednesday."""

        def sessions(self, day: date) -> tuple[Session, ...]:
            if day != WEDNESDAY:
                return super().sessions(day)
            hours = at_ist(day, time(9, 15)), at_ist(day, time(9, 35))
            return (Session(day, *hours, "trial"),)

    made, _ = paths(rules=Short())
    ratios = made.track(WEDNESDAY, 0).curves[GAMMA_RATIO]
    assert ratios.size == 21
    assert np.isfinite(ratios).all()
    assert np.abs(ratios[:-1]).min() > 0.0


def test_a_year_is_one_of_trading() -> None:
    """248 days at the exchange, 365 in the demo, each as long as its year allows."""
    for rules, count in ((Rules(), 248), (AlwaysOpen(), 365)):
        track = paths(rules=rules)[0].track(TUESDAY, 0)
        assert track.year_ms * count == pytest.approx(MS_PER_YEAR)
        assert track.rate == rules.rate(TUESDAY)
        assert (track.level, track.volatility) == (26_000.0, choose(["NIFTY"])[0].volatility)
