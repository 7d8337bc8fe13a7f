"""Put-call parity over the strikes of an expiry: published chains, robustness, any garbage."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from transforms import black76
from transforms.parity import (
    OLDEST_QUOTE_SECONDS,
    VALUES,
    Legs,
    Terms,
    parity_of_expiries,
    weighted_median,
)

TICK = 0.05
Quote = tuple[float, float, float, float, float]


def legs_of(rows: list[Quote], call_at: float = 0.0, put_at: float = 0.0) -> Legs:
    """Strike, call bid and ask, put bid and ask; no last prices."""
    strike, *quotes = (np.array(column) for column in np.array(rows, float).reshape(-1, 5).T)
    none = np.full(len(strike), np.nan)
    at = (np.full(len(strike), call_at), np.full(len(strike), put_at))
    return Legs(strike, *quotes[:2], none, at[0], *quotes[2:], none.copy(), at[1])


def around(mids: list[tuple[float, float, float]], half: float) -> list[Quote]:
    """Strike, call and put, quoted so much around."""
    return [(k, c - half, c + half, p - half, p + half) for k, c, p in mids]


def agreed(
    legs: Legs, spot: float, log_growth: float = 0.0, newest_at: float = 0.0, tick: float = TICK
) -> dict[str, float]:
    """What the kernel says of one expiry."""
    terms = Terms(np.array([spot]), np.array([log_growth]), np.array([newest_at]))
    values = parity_of_expiries(legs, terms, np.array([0, len(legs.strike)]), tick)
    return dict(zip(VALUES, values[:, 0].tolist(), strict=True))


def chain(
    forward: float, volatility: float, count: int, step: float = 50.0
) -> list[tuple[float, float, float]]:
    """Exact undiscounted prices of strikes within five steps of the money, a month left."""
    centre = round(forward / step) * step
    strikes = [centre + step * i for i in range(-(count // 2), (count + 1) // 2)]
    return [
        (k, *(black76.price(forward, k, 1 / 12, 0.0, volatility, side) for side in (True, False)))
        for k in strikes
    ]


PUBLISHED = [(23_600.0, 256.35, 156.10), (23_650.0, 226.20, 176.25), (23_700.0, 199.10, 199.00)]


def test_three_published_strikes() -> None:
    """NIFTY of 26 May 2026 (OpenAlgo's benchmark), spot 23 659: parity says 23 700, not spot."""
    found = agreed(legs_of(around(PUBLISHED, 0.25)), 23_659.0)
    assert 23_699.9 <= found["forward"] <= 23_700.4
    assert (found["forward_count"], found["dropped_count"]) == (3, 0)
    assert found["forward_mad_bp"] < 0.1


def test_nse_2010(oracle_path: Callable[[str], Path]) -> None:
    """Real quotes of 1 Sep 2010 (IGIDR): parity near 5464–5469, spot with carry says 5492."""
    with oracle_path("nifty_2010-09-01_near_raw.csv").open() as file:
        rows = list(csv.DictReader(file))
    legs = {
        (row["type"], float(row["strike"])): (float(row["bid"]), float(row["ask"])) for row in rows
    }
    both = sorted({k for t, k in legs if t == "c"} & {k for t, k in legs if t == "p"})
    quotes = [(k, *legs["c", k], *legs["p", k]) for k in both]
    found = agreed(legs_of(quotes), 5464.75, 0.0629 * 0.07945205479)
    assert 5464.0 <= found["forward"] <= 5469.0
    # The quotes are of a quarter of a minute, so they contradict each other by some basis points.
    assert found["dropped_count"] > 0
    assert found["forward_low"] <= found["forward"] <= found["forward_high"]
    assert found["forward_mad_bp"] < 5.0


forwards = st.floats(20_000, 26_000)
volatilities = st.floats(0.08, 0.4)


@given(forwards, volatilities, st.integers(1, 11), st.floats(0.05, 0.2))
def test_exact_on_a_consistent_chain(
    forward: float, volatility: float, count: int, half: float
) -> None:
    """Quotes around exact prices give the forward that they were made from, and its interval."""
    found = agreed(legs_of(around(chain(forward, volatility, count), half)), forward)
    assert found["forward"] == pytest.approx(forward, abs=1e-6)
    assert found["forward_low"] == pytest.approx(forward - 2 * half, abs=1e-6)
    assert found["forward_high"] == pytest.approx(forward + 2 * half, abs=1e-6)
    assert (found["forward_count"], found["dropped_count"]) == (count, 0)


@given(forwards, st.floats(-0.02, 0.05))
def test_parity_is_discounted(forward: float, log_growth: float) -> None:
    """C − P = D(F − K): discounted quotes give the undiscounted forward."""
    discount = math.exp(-log_growth)
    rows = [(k, c * discount, p * discount) for k, c, p in chain(forward, 0.15, 9)]
    found = agreed(legs_of(around(rows, 0.1)), forward, log_growth)
    assert found["forward"] == pytest.approx(forward, abs=1e-6)


@given(st.data(), forwards, volatilities, st.integers(4, 11))
def test_a_third_of_the_strikes_may_be_wrong(
    data: st.DataObject, forward: float, volatility: float, count: int
) -> None:
    """Up to 30 % of the strikes quoted off by any amounts move the forward by no more than a quote.

    Off as a whole, so that they look as alive as the others; alike or each for itself.
    """
    rows = around(chain(forward, volatility, count), 0.1)
    wrong = data.draw(
        st.lists(st.integers(0, count - 1), unique=True, max_size=max(1, int(0.3 * count)))
    )
    for i in wrong:
        k, call_bid, call_ask, put_bid, put_ask = rows[i]
        call, put = data.draw(st.tuples(*[st.sampled_from((0.0, 0.3, 25.0)) | error] * 2))
        rows[i] = (k, call_bid + call, call_ask + call, put_bid + put, put_ask + put)
    found = agreed(legs_of(rows), forward)
    assert found["forward"] == pytest.approx(forward, abs=0.2 + TICK + 1e-6)
    assert found["forward_count"] >= count - len(wrong)


error = st.floats(0.0, 2_000.0)


@given(forwards, volatilities, st.floats(1.0, 400.0), st.booleans(), st.integers(0, 8))
def test_one_stale_leg_is_dropped(
    forward: float, volatility: float, off: float, is_call: bool, which: int
) -> None:
    """A leg quoted far off contradicts all others: it is left out and the answer is the same."""
    rows = around(chain(forward, volatility, 9), 0.1)
    k, call_bid, call_ask, put_bid, put_ask = rows[which]
    call, put = (off, 0.0) if is_call else (0.0, off)
    rows[which] = (k, call_bid + call, call_ask + call, put_bid + put, put_ask + put)
    found = agreed(legs_of(rows), forward)
    assert (found["forward_count"], found["dropped_count"]) == (8, 1)
    assert found["forward"] == pytest.approx(forward, abs=1e-6)


@given(forwards, st.floats(0.15, 0.4), st.integers(-2, 3))
def test_scales_with_prices(forward: float, volatility: float, power: int) -> None:
    """Quoted in another currency the forward is another, its spread in basis points is not."""
    rows = np.array(around(chain(forward, volatility, 9), 0.1))
    rows[:, 1:3] += np.linspace(0.0, 0.1, 9)[:, None]
    rows[2, 1:3] += 30.0
    # Within the relative bound on spreads, so that the one in rupees plays no part.
    assume((rows[:, 1:] > 50.0).all())
    scale = 2.0**power
    one = agreed(legs_of(rows.tolist()), forward)
    other = agreed(legs_of((rows * scale).tolist()), forward * scale, tick=TICK * scale)
    assert other["forward"] == scale * one["forward"]
    assert other["forward_mad_bp"] == one["forward_mad_bp"] > 0.0
    assert other["forward_count"] == one["forward_count"] == 8


@given(st.lists(st.tuples(forwards, volatilities), min_size=1, max_size=5))
def test_expiries_do_not_touch_each_other(found: list[tuple[float, float]]) -> None:
    """Together they say the same as each alone; an expiry without strikes says nothing."""
    parts = [around(chain(f, v, 3 + i), 0.1) for i, (f, v) in enumerate(found)]
    lengths = [0, *(len(part) for part in parts), 0]
    spots = np.array([*(f for f, _ in found), math.nan])
    terms = Terms(spots, np.zeros(len(spots)), np.zeros(len(spots)))
    together = parity_of_expiries(
        legs_of([row for part in parts for row in part]), terms, np.cumsum(lengths), TICK
    )
    for i, part in enumerate(parts):
        assert together[:, i].tolist() == pytest.approx(
            list(agreed(legs_of(part), spots[i]).values()), abs=0.0, nan_ok=True
        )
    assert np.isnan(together[0, -1]) and together[2, -1] == 0.0


@pytest.mark.parametrize(
    ("call_at", "put_at", "is_used"),
    [
        (100.0, 100.0, True),
        (100.0, 100.0 - OLDEST_QUOTE_SECONDS, True),
        (100.0 - OLDEST_QUOTE_SECONDS - 1e-3, 100.0, False),
        (100.0, 94.0, False),
        (90.0, 90.0, False),
        (math.nan, 100.0, False),
        (100.0, math.nan, False),
    ],
)
def test_legs_are_quoted_together(call_at: float, put_at: float, is_used: bool) -> None:
    """Both within five seconds of the expiry's newest quote."""
    legs = legs_of(around(PUBLISHED, 0.25), call_at, put_at)
    assert (agreed(legs, 23_659.0, newest_at=100.0)["forward_count"] > 0) == is_used


@pytest.mark.parametrize(
    ("quote", "is_used"),
    [
        ((199.0, 199.5, 198.0, 198.5), True),
        ((195.0, 205.0, 198.0, 198.5), True),  # 5 % of the mid
        ((194.8, 205.2, 198.0, 198.5), False),
        ((0.05, 0.55, 0.05, 0.55), True),  # ₹0.5, whatever the share
        ((0.05, 0.6, 0.05, 0.55), False),
        ((0.0, 0.05, 198.0, 198.5), False),
        ((199.5, 199.0, 198.0, 198.5), False),
        ((199.0, math.inf, 198.0, 198.5), False),
        ((199.0, math.nan, 198.0, 198.5), False),
        ((199.0, 199.5, math.nan, 198.5), False),
    ],
)
def test_both_legs_must_be_tight(quote: tuple[float, ...], is_used: bool) -> None:
    """Two-sided, not crossed, spread at most ₹0.5 or 5 %."""
    rows = [(23_700.0, *quote)]
    assert (agreed(legs_of(rows), 23_700.0)["forward_count"] == 1) == is_used


def test_far_strikes_have_no_say() -> None:
    """Beyond five steps, and beyond one standard deviation, of the spot."""
    rows = around(chain(24_000.0, 0.02, 41), 0.01)
    assert agreed(legs_of(rows), 24_000.0)["forward_count"] == 11
    wide = around(chain(24_000.0, 0.20, 81), 0.01)
    deviation = 24_000.0 * 0.20 * math.sqrt(1 / 12)
    assert agreed(legs_of(wide), 24_000.0)["forward_count"] == 2 * (deviation // 50.0) + 1


@pytest.mark.parametrize("spot", [math.nan, 0.0, -1.0, math.inf])
def test_no_spot_is_needed(spot: float) -> None:
    """The money is found where call and put cost the same."""
    found = agreed(legs_of(around(chain(24_010.0, 0.02, 41), 0.01)), spot)
    assert found["forward"] == pytest.approx(24_010.0, abs=1e-6)
    assert found["forward_count"] == 11
    assert math.isnan(found["synthetic_future"])


def test_without_support_there_is_no_forward() -> None:
    """If each strike says something else by per cents, none of them is believed."""
    rows = [(100.0 * i, 50.0, 50.1, 50.0, 50.1) for i in range(10, 21)]
    found = agreed(legs_of(rows), 1_500.0)
    assert math.isnan(found["forward"]) and found["forward_count"] == 0


@pytest.mark.parametrize(
    ("spot", "expected"),
    [
        (23_659.0, 23_650.0 + 226.20 - 176.25),
        (23_625.0, 23_600.0 + 256.35 - 156.10),
        (25_000.0, 23_700.0 + 199.10 - 199.00),
        (math.nan, math.nan),
    ],
)
def test_synthetic_future(spot: float, expected: float) -> None:
    """K + C − P of the strike nearest to spot from last prices, of two the lower."""
    legs = legs_of(around([(k, 1.0, 1.0) for k, _, _ in PUBLISHED], 0.1))
    legs.call_last[:] = [call for _, call, _ in PUBLISHED]
    legs.put_last[:] = [put for _, _, put in PUBLISHED]
    assert agreed(legs, spot)["synthetic_future"] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("last", [math.nan, 0.0, -1.0, math.inf])
def test_synthetic_future_from_mids(last: float) -> None:
    """Where there is no last price; nothing where there is neither."""
    legs = legs_of(around(PUBLISHED, 0.25))
    legs.call_last[:] = legs.put_last[:] = last
    assert agreed(legs, 23_659.0)["synthetic_future"] == pytest.approx(23_699.95)
    legs.put_bid[:] = 0.0
    assert math.isnan(agreed(legs, 23_659.0)["synthetic_future"])


anything = st.floats() | st.sampled_from((0.0, 0.05, 100.0, 101.0, math.nan, math.inf))
usual = st.floats(0.05, 500.0)


@given(st.lists(st.tuples(*[usual | anything] * 5), max_size=12), usual | anything, anything)
def test_any_quotes_are_answered(rows: list[Quote], spot: float, log_growth: float) -> None:
    """Whatever is quoted: a finite positive forward inside its interval, or none and no count."""
    found = agreed(legs_of(sorted(rows, key=lambda row: row[0])), spot, log_growth)
    if found["forward_count"] == 0:
        told = [v for n, v in found.items() if n not in {"dropped_count", "synthetic_future"}]
        assert all(math.isnan(v) or v == 0 for v in told)
        assert math.isnan(found["forward"])
    else:
        assert 0.0 < found["forward"] < math.inf
        assert found["forward_low"] <= found["forward"] <= found["forward_high"]
        assert found["forward_mad_bp"] >= 0.0


points = st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.1, 10.0)), min_size=1, max_size=30)


@given(points)
def test_weighted_median_halves_the_weight(found: list[tuple[float, float]]) -> None:
    """At most half of the weight lies strictly on either side."""
    values, weights = (np.array(column) for column in zip(*found, strict=True))
    middle = weighted_median(values, weights)
    half = 0.5 * weights.sum() * (1 + 1e-12)
    assert weights[values < middle].sum() <= half
    assert weights[values > middle].sum() <= half


def test_one_huber_step() -> None:
    """By hand: 100.0, 100.1 and 100.4, equally wide, have the median 100.1 and the MAD 0.1.

    So the third, 0.3 off, gets 1.345·1.4826·0.1/0.3 of a weight.
    """
    mids = [(99.0, 21.0, 20.0), (100.0, 20.1, 20.0), (101.0, 19.4, 20.0)]
    found = agreed(legs_of(around(mids, 0.25)), 100.0)
    share = 1.345 * 1.4826 * 0.1 / 0.3
    middle = (100.0 + 100.1 + share * 100.4) / (2.0 + share)
    assert found["forward"] == pytest.approx(middle, abs=1e-9)
    assert found["forward_mad_bp"] == pytest.approx(1e4 * 0.1 / middle, rel=1e-9)
    assert found["forward_low"] == pytest.approx(99.9)
    assert found["forward_high"] == pytest.approx(100.5)


def test_tight_quotes_weigh_more() -> None:
    """By hand: the weight is one over the square of the spread, for the median and for the mean.

    Forwards 100.0, 100.1 and 100.2; the latter two half as wide again, so that together they weigh
    8/9 of the first and the median is 100.0.
    """
    mids = [(99.0, 21.0, 20.0), (100.0, 20.1, 20.0), (101.0, 19.2, 20.0)]
    found = agreed(legs_of([*around(mids[:1], 0.2), *around(mids[1:], 0.3)]), 100.0)
    weight = 1.0 / 1.5**2
    damped = weight * 1.345 * 1.4826 * 0.1 / 0.2
    middle = (100.0 + weight * 100.1 + damped * 100.2) / (1.0 + weight + damped)
    assert found["forward"] == pytest.approx(middle, abs=1e-9)
    assert found["forward_mad_bp"] == pytest.approx(1e4 * 0.1 / middle, rel=1e-9)


def test_one_very_tight_strike_cannot_outvote_the_rest() -> None:
    """However narrow its quotes, a strike that contradicts all others is the one to go."""
    mids = chain(24_000.0, 0.2, 5)
    rows = around(mids, 0.2)
    k, call, put = mids[3]
    rows[3] = around([(k, call + 30.0, put)], 0.001)[0]
    found = agreed(legs_of(rows), 24_000.0)
    assert (found["forward_count"], found["dropped_count"]) == (4, 1)
    assert found["forward"] == pytest.approx(24_000.0, abs=1e-6)
