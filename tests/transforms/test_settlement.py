"""Options on an average: limits, published figures, simulation, and the chain's way to them."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from market.errors import SchemaMismatch
from tests.strategies import Option
from transforms import black76
from transforms.forward import FORWARD_STATUSES
from transforms.settlement import (
    average_price_of_rows,
    average_price_option,
    remaining_variance,
    remarked_forward,
    settlement_deviation,
    settlement_mean,
    time_value_of_rows,
    usable_share,
    warm,
    with_settlement,
)
from transforms.tenor import MINUTES_PER_YEAR, spot_share_at, variance_time

NORMAL = NormalDist()
WINDOW = 30.0
SPOT, SIGMA, RATE = 24_000.0, 0.12, 0.065
NAN, INF = math.nan, math.inf

spots = st.floats(1_000.0, 90_000.0)
sigmas = st.floats(0.05, 0.6)
inside = st.floats(1.0, 30.0)
distances = st.floats(-3.0, 3.0)
rights = st.booleans()


def plain_gamma(minutes_left: float) -> float:
    """At-the-money gamma of the textbook at the same volatility, on the whole of the clock."""
    return black76.gamma(SPOT, SPOT, minutes_left / MINUTES_PER_YEAR, 0.0, SIGMA)


@functools.cache
def simulated_settlements(minutes_left: float, average_so_far: float) -> NDArray[np.float64]:
    """Averages over the rest of the window of seeded Brownian paths (spot moves in ₹)."""
    random, paths, steps = np.random.default_rng(20220823), 200_000, 40
    ahead = max(minutes_left - WINDOW, 0.0)
    rest = minutes_left - ahead
    rupees = SPOT * SIGMA / math.sqrt(MINUTES_PER_YEAR)
    spot = SPOT + rupees * math.sqrt(ahead) * random.standard_normal(paths)
    total = np.zeros(paths)
    for _ in range(steps):
        step = rupees * math.sqrt(rest / steps) * random.standard_normal(paths)
        total += spot + 0.5 * step  # the trapezoid rule
        spot += step
    share = rest / WINDOW
    return np.asarray((1.0 - share) * average_so_far + share * total / steps)


@pytest.mark.parametrize(
    ("minutes_left", "ratio"),
    [
        (90.0, math.sqrt(9 / 7)),
        (60.0, math.sqrt(3 / 2)),
        (30.0, math.sqrt(3)),
        (20.0, 1.155),
        (10.0, 0.577),
        (5.0, 0.289),
        (1.0, 0.058),
    ],
)
def test_gamma_against_the_textbook(minutes_left: float, ratio: float) -> None:
    """At the money: ×1.13 at 14:00, ×1.22 at 14:30, ×1.73 at 15:00, then down to ×0.06 at 15:29."""
    _, _, gamma = average_price_option(SPOT, SPOT, SIGMA, minutes_left, WINDOW, SPOT, 0.0, True)
    assert gamma / plain_gamma(minutes_left) == pytest.approx(ratio, abs=6e-4)


def test_gamma_goes_to_zero() -> None:
    """From the window's start on it only falls, where the textbook's explodes."""
    left = [30.0, 20.0, 10.0, 5.0, 1.0, 0.1, 0.001, 0.0, -5.0]
    gammas = [average_price_option(SPOT, SPOT, SIGMA, t, WINDOW, SPOT, 0.0, True)[2] for t in left]
    assert gammas[:-1] == sorted(gammas[:-1], reverse=True)
    assert gammas[-2:] == [0.0, 0.0]
    assert gammas[-3] < 0.01 * gammas[0]


@pytest.mark.parametrize(("strike", "is_call"), [(17_900.0, True), (17_800.0, False)])
def test_settles_at_the_average_not_at_the_last_trade(strike: float, is_call: bool) -> None:
    """FINNIFTY, 23 Aug 2022: last trade 17959, final settlement price 17897.35 (NSE).

    The 17900 call, 59 in the money by the last trade, paid nothing (TradingQnA 135315).
    """
    last, average = 17_959.0, 17_897.35
    settled = average_price_option(last, strike, SIGMA, 0.0, WINDOW, average, RATE, is_call)
    assert settled == (0.0, 0.0, 0.0)
    nearly = average_price_option(last, strike, SIGMA, 1.0, WINDOW, 17_895.2, RATE, is_call)
    assert nearly[0] < 1.0


@given(spots, sigmas, st.floats(1.0, 3_000.0), distances, rights)
def test_without_window_it_is_bachelier(
    spot: float, sigma: float, left: float, distance: float, is_call: bool
) -> None:
    """The limit w → 0 is the normal model on the whole of the clock, written here anew."""
    deviation = spot * sigma * math.sqrt(left / MINUTES_PER_YEAR)
    strike = spot - distance * deviation
    sign = 1.0 if is_call else -1.0
    reference = (
        sign * (spot - strike) * NORMAL.cdf(sign * distance) + deviation * NORMAL.pdf(distance),
        sign * NORMAL.cdf(sign * distance),
        NORMAL.pdf(distance) / deviation,
    )
    for window in (0.0, 1e-9):
        found = average_price_option(spot, strike, sigma, left, window, NAN, 0.0, is_call)
        assert found == pytest.approx(reference, rel=1e-7, abs=1e-10 * spot)


@given(st.floats(1.0, 360.0), distances, rights)
def test_without_window_it_is_nearly_black(left: float, distance: float, is_call: bool) -> None:
    """On the last day the normal and the lognormal model differ by the order of σ√T only."""
    years = left / MINUTES_PER_YEAR
    s = SIGMA * math.sqrt(years)
    strike = SPOT * (1.0 - distance * s)
    terms = (SPOT, strike, years, RATE, SIGMA)
    value, delta, gamma = average_price_option(SPOT, strike, SIGMA, left, 0.0, NAN, RATE, is_call)
    assert value == pytest.approx(black76.price(*terms, is_call), abs=5 * s * SPOT * s)
    assert delta == pytest.approx(black76.delta(*terms, is_call), abs=5 * s)
    assert gamma == pytest.approx(black76.gamma(*terms), rel=s * (1 + abs(distance)) ** 3)


@given(spots, sigmas, st.floats(0.0, 300.0), distances, st.floats(-0.01, 0.01))
def test_parity(spot: float, sigma: float, left: float, distance: float, drift: float) -> None:
    """C − P = D·(m − K), the deltas differ by the share, the gammas are equal."""
    average = spot * (1.0 + drift)
    deviation = max(settlement_deviation(spot, sigma, left, WINDOW), 1.0)
    mean = settlement_mean(spot, left, WINDOW, average)
    strike = mean - distance * deviation
    terms = (spot, strike, sigma, left, WINDOW, average, RATE)
    call, put = average_price_option(*terms, True), average_price_option(*terms, False)
    discount = math.exp(-RATE * left / MINUTES_PER_YEAR)
    share = spot_share_at(left, WINDOW)
    assert call[0] - put[0] == pytest.approx(discount * (mean - strike), abs=1e-10 * spot)
    assert call[1] - put[1] == pytest.approx(discount * share, abs=1e-12)
    assert call[2] == put[2]


@given(inside, distances, rights)
def test_greeks_are_the_slopes(left: float, distance: float, is_call: bool) -> None:
    """Central differences in the spot, its volatility in rupees held."""
    deviation = settlement_deviation(SPOT, SIGMA, left, WINDOW)
    strike, step = SPOT - distance * deviation, 1e-3 * deviation / spot_share_at(left, WINDOW)

    def at(spot: float) -> tuple[float, float, float]:
        sigma = SIGMA * SPOT / spot
        return average_price_option(spot, strike, sigma, left, WINDOW, SPOT, RATE, is_call)

    up, here, down = at(SPOT + step), at(SPOT), at(SPOT - step)
    assert here[1] == pytest.approx((up[0] - down[0]) / (2 * step), abs=1e-6)
    assert here[2] == pytest.approx((up[1] - down[1]) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("minutes_left", [75.0, 30.0, 12.0, 3.0])
@pytest.mark.parametrize("distance", [-0.7, 0.0, 0.7])
def test_agrees_with_simulation(minutes_left: float, distance: float) -> None:
    """Deviation, value, delta and gamma of simulated averages agree to 1 %."""
    average = SPOT + 15.0
    settlements = simulated_settlements(minutes_left, average)
    deviation = settlement_deviation(SPOT, SIGMA, minutes_left, WINDOW)
    strike = settlement_mean(SPOT, minutes_left, WINDOW, average) - distance * deviation
    width = 0.25 * deviation

    def at(strike: float) -> tuple[float, float, float]:
        return average_price_option(
            SPOT, strike, SIGMA, minutes_left, WINDOW, average, 0.0, is_call=True
        )

    value, delta, gamma = at(strike)
    share, above = spot_share_at(minutes_left, WINDOW), settlements > strike
    # Counted over a strip, so compared with the mean over the strip, by Simpson's rule.
    density = np.mean(np.abs(settlements - strike) < width) / (2 * width)
    strip = (at(strike - width)[2] + 4 * gamma + at(strike + width)[2]) / 6
    assert np.std(settlements) == pytest.approx(deviation, rel=0.01)
    assert np.mean(np.where(above, settlements - strike, 0.0)) == pytest.approx(value, rel=0.01)
    assert share * np.mean(above) == pytest.approx(delta, rel=0.01)
    assert share**2 * density == pytest.approx(strip, rel=0.01)


@given(st.tuples(spots, sigmas), inside, distances, st.floats(-0.003, 0.003), rights)
def test_the_chain_s_way_is_the_closed_form(
    market: tuple[float, float], left: float, distance: float, drift: float, is_call: bool
) -> None:
    """Black-76 on F = m with W = sd²/F², times the share: the closed form to the order of √W."""
    spot, sigma = market
    average = spot * (1.0 + drift)
    forward = settlement_mean(spot, left, WINDOW, average)
    deviation = settlement_deviation(spot, sigma, left, WINDOW)
    strike, s = forward - distance * deviation, deviation / forward
    years = left / MINUTES_PER_YEAR
    option = Option(forward, strike, years, RATE, s / math.sqrt(years), is_call)
    row = settled(option, spot_share=spot_share_at(left, WINDOW))
    value, delta, gamma = average_price_option(
        spot, strike, sigma, left, WINDOW, average, RATE, is_call
    )
    tolerance = s * (1.0 + abs(distance)) ** 3 + 1e-9
    discounted = math.exp(-RATE * years) * max(
        forward - strike if is_call else strike - forward, 0.0
    )
    assert row["delta_settlement"] == pytest.approx(delta, abs=tolerance)
    assert row["gamma_settlement"] == pytest.approx(gamma, rel=tolerance)
    assert row["theta_to_settlement"] == pytest.approx(
        discounted - value, abs=tolerance * deviation
    )


def settled_frame(
    option: Option, spot_share: float = 1.0, is_expiry_day: bool | None = True
) -> pl.DataFrame:
    """One priced contract."""
    return pl.DataFrame(
        {
            "forward": option.forward,
            "strike": option.strike,
            "years_to_expiry": option.years,
            "rate": option.rate,
            "implied_volatility": option.volatility,
            "delta_forward": black76.delta(*option),
            "gamma_forward": black76.gamma(*option[:5]),
            "spot_share": spot_share,
            "is_expiry_day": is_expiry_day,
        },
        schema_overrides={"is_expiry_day": pl.Boolean},
    )


def settled(
    option: Option, spot_share: float = 1.0, is_expiry_day: bool | None = True
) -> dict[str, float | None]:
    """What ``with_settlement`` adds to one contract."""
    frame = settled_frame(option, spot_share, is_expiry_day)
    found = with_settlement(frame)
    assert found.columns[: frame.width] == frame.columns
    return found.select(found.columns[frame.width :]).row(0, named=True)


TODAY = Option(24_010.0, 24_100.0, 120 / MINUTES_PER_YEAR, RATE, 0.11, True)


def test_before_the_window_the_greeks_are_the_forward_s() -> None:
    """A share of one changes nothing; theta to settlement is the whole time value."""
    assert settled(TODAY) == {
        "delta_settlement": black76.delta(*TODAY),
        "gamma_settlement": black76.gamma(*TODAY[:5]),
        "theta_to_settlement": pytest.approx(-black76.price(*TODAY), rel=1e-14),
    }


@pytest.mark.parametrize("is_expiry_day", [False, None])
def test_null_on_other_days(is_expiry_day: bool | None) -> None:
    """No other day settles; not known is not yes."""
    assert set(settled(TODAY, is_expiry_day=is_expiry_day).values()) == {None}


@given(st.data())
def test_missing_inputs_are_null_each_alone(data: st.DataObject) -> None:
    """Null, NaN, infinite, zero or negative: no raise, no NaN, and the good row stays good."""
    names = ("forward", "strike", "years_to_expiry", "implied_volatility", "rate")
    good = dict(zip(names, (24_000.0, 24_050.0, 1e-4, 0.12, RATE), strict=True))
    greeks = {"delta_forward": 0.4, "gamma_forward": 1e-3, "spot_share": 0.5}
    name = data.draw(st.sampled_from(names))
    values = [None, NAN, INF, -INF] if name == "rate" else [None, NAN, INF, -INF, 0.0, -1.0]
    bad = good | {name: data.draw(st.sampled_from(values))}
    rows = [terms | greeks | {"is_expiry_day": True} for terms in (good, bad)]
    found = with_settlement(pl.DataFrame(rows, strict=False))
    assert found["theta_to_settlement"].null_count() == 1
    assert found["theta_to_settlement"][0] < 0.0
    assert found["gamma_settlement"].to_list() == [2.5e-4, 2.5e-4]


@pytest.mark.parametrize("bad", [None, NAN])
def test_missing_greeks_are_null(bad: float | None) -> None:
    """No Greek on the forward, none on the spot; never NaN in a frame."""
    frame = settled_frame(TODAY).with_columns(gamma_forward=pl.lit(bad, dtype=pl.Float64))
    found = with_settlement(frame)
    assert found["gamma_settlement"].to_list() == [None]
    assert found["delta_settlement"].null_count() == 0


def test_empty_frame_and_wrong_columns() -> None:
    """No rows in, no rows out; a column that is not there, or no number, is named."""
    names = ["forward", "strike", "years_to_expiry", "rate", "implied_volatility", "spot_share"]
    schema = dict.fromkeys([*names, "delta_forward", "gamma_forward"], pl.Float64)
    frame = pl.DataFrame(schema=schema | {"is_expiry_day": pl.Boolean})
    assert with_settlement(frame).width == frame.width + 3
    with pytest.raises(SchemaMismatch, match="spot_share"):
        with_settlement(frame.drop("spot_share"))
    with pytest.raises(SchemaMismatch, match="numeric"):
        with_settlement(pl.DataFrame(dict.fromkeys(frame.columns, "a")))


@given(st.floats(50.0, 90_000.0), st.floats(-5.0, 5.0), sigmas, st.floats(1e-5, 1.0))
def test_time_value_is_price_less_intrinsic(
    forward: float, distance: float, sigma: float, years: float
) -> None:
    """One time value for call and put: each price less its discounted intrinsic value."""
    strike = forward * math.exp(-distance * sigma * math.sqrt(years))
    terms = (forward, strike, years, RATE, sigma)
    (found,) = time_value_of_rows(*(np.array([x]) for x in terms))
    for is_call in (True, False):
        gap = max(forward - strike if is_call else strike - forward, 0.0)
        reference = black76.price(*terms, is_call) - math.exp(-RATE * years) * gap
        assert found == pytest.approx(reference, rel=1e-9, abs=1e-12 * forward)


def test_rows_are_the_scalars_and_bad_rows_stand_alone() -> None:
    """One bad row never touches another; an average is asked for inside the window only."""
    good = (SPOT, 24_050.0, SIGMA, 12.0, WINDOW, 24_010.0, RATE)
    changes = [(i, x) for i in (0, 1, 2, 3, 4, 6) for x in (NAN, INF, -INF)]
    changes += [(0, 0.0), (1, -1.0), (2, -0.1), (4, -1.0), (5, NAN), (5, 0.0)]
    rows = [good, *((*good[:i], x, *good[i + 1 :]) for i, x in changes), good]
    before = (SPOT, 24_050.0, SIGMA, 45.0, WINDOW, NAN, RATE)
    columns = np.array([*rows, before]).T.copy()
    spot, strike, sigma, left, window, average, rate = columns
    is_call = np.ones(len(spot), dtype=np.bool_)
    found = average_price_of_rows(spot, strike, sigma, left, window, average, rate, is_call)
    expected = average_price_option(*good, True)
    assert tuple(found[:, 0]) == tuple(found[:, len(rows) - 1]) == expected
    assert np.isnan(found[:, 1 : len(rows) - 1]).all()
    assert tuple(found[:, -1]) == average_price_option(*before, True)


@given(sigmas, st.floats(31.0, 400.0), st.floats(0.0, 31.0))
def test_remaining_variance_is_the_closed_form_s(sigma: float, then: float, now: float) -> None:
    """The variance implied before the window and re-marked inside it is σ² times what is left."""
    years = [variance_time(t, WINDOW) / MINUTES_PER_YEAR for t in (then, now)]
    found = remaining_variance(sigma**2 * years[0], *years)
    assert found == pytest.approx(sigma**2 * years[1], rel=1e-12)
    if now:
        deviation = settlement_deviation(1.0, sigma, now, WINDOW)
        assert math.sqrt(found) == pytest.approx(deviation, rel=1e-12)


def test_auction_jump_stays_to_the_end() -> None:
    """Half of the diffusion gone, all of the jump left; nothing once settled."""
    assert remaining_variance(5e-5, 2e-4, 1e-4, 1e-5) == pytest.approx(3e-5)
    assert remaining_variance(5e-5, 2e-4, 0.0, 1e-5) == 0.0
    # What is implied is less than the jump: it is all jump.
    assert remaining_variance(5e-6, 2e-4, 1e-4, 1e-5) == 5e-6


@pytest.mark.parametrize(
    "terms", [(1.0, 0.0, 1.0), (NAN, 2.0, 1.0), (1.0, NAN, 1.0), (1.0, 2.0, NAN)]
)
def test_remaining_variance_of_what_is_not_known(terms: tuple[float, float, float]) -> None:
    """NaN where the snapshot had nothing left or an input is missing."""
    assert remaining_variance(1.0, 2.0, 1.0) == 0.5
    assert math.isnan(remaining_variance(*terms))


@given(spots, st.floats(-0.01, 0.01), st.floats(2.0, 30.0), st.floats(0.0, 1.0))
def test_forward_moves_by_what_is_still_to_come(
    spot: float, move: float, then: float, part: float
) -> None:
    """On a straight path the re-marked mean is the mean of the path; before, F·(S/S_then)."""
    now, later = then * part, spot * (1.0 + move)
    average = spot
    elapsed = WINDOW - then
    average_now = (elapsed * average + (then - now) * 0.5 * (spot + later)) / (WINDOW - now or 1.0)
    if now < WINDOW:
        shares = spot_share_at(then, WINDOW), spot_share_at(now, WINDOW)
        exact = settlement_mean(later, now, WINDOW, average_now)
        assert remarked_forward(spot, spot, later, *shares) == pytest.approx(exact, rel=1e-12)
    assert remarked_forward(spot * 1.001, spot, later, 1.0, 1.0) == pytest.approx(later * 1.001)


def test_warm_compiles_what_the_live_path_calls() -> None:
    """After it no kernel compiles for the arrays of a frame."""
    warm()
    before = len(time_value_of_rows.signatures)  # type: ignore[attr-defined]
    settled(TODAY)
    assert len(time_value_of_rows.signatures) == before == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", FORWARD_STATUSES)
def test_a_forward_from_spot_knows_no_average(status: str) -> None:
    """Inside the averaging it says nothing of the settlement; before it nothing is averaged."""
    frame = pl.DataFrame({"forward_status": [status] * 3, "spot_share": [1.0, 0.5, 0.0]})
    inside = [0.5, 0.0] if status in {"parity", "crossed_parity", "future"} else [None, None]
    assert frame.select(usable_share()).to_series().to_list() == [1.0, *inside]
