"""Model-free variance against the worked examples of Cboe and NSE, and against Black-76."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from transforms import black76
from transforms.tenor import MINUTES_PER_YEAR
from transforms.variance_index import (
    CBOE,
    INDIA,
    PUBLISHED,
    STRIP_STATUSES,
    Strip,
    StripRules,
    StripVariance,
    index_volatility,
    variance_of_expiry,
    variances_of_expiries,
)

NEAR_MINUTES, NEXT_MINUTES = 12_960, 53_280
NEAR_YEARS, NEXT_YEARS = NEAR_MINUTES / MINUTES_PER_YEAR, NEXT_MINUTES / MINUTES_PER_YEAR

# NSE, "White Paper on India VIX", section 4: strike, call bid and ask, put bid and ask, ₹.
NSE_NEAR = (
    (3800, 1290.10, 1314.25, 0.40, 0.50),
    (3900, 1192.95, 1212.80, 0.35, 0.80),
    (4000, 1103.00, 1107.95, 0.70, 0.85),
    (4100, 1005.00, 1017.10, 0.80, 1.10),
    (4200, 894.95, 913.90, 1.00, 1.20),
    (4300, 800.00, 809.95, 1.20, 1.70),
    (4400, 696.15, 709.50, 1.90, 2.00),
    (4500, 601.25, 609.55, 3.30, 3.45),
    (4600, 500.70, 520.00, 4.45, 4.50),
    (4700, 410.00, 416.55, 7.70, 8.00),
    (4800, 316.00, 321.05, 13.20, 13.40),
    (4900, 226.00, 228.00, 22.50, 22.65),
    (5000, 144.50, 145.00, 40.40, 40.50),
    (5100, 79.00, 79.10, 74.40, 74.50),
    (5200, 34.75, 35.00, 129.00, 129.95),
    (5300, 11.50, 11.55, 200.55, 206.00),
    (5400, 3.60, 3.65, 286.00, 307.00),
    (5500, 1.70, 1.95, 340.00, 396.00),
    (5600, 1.00, 1.35, 481.00, 507.35),
    (5700, 0.70, 1.00, 577.35, 606.65),
)
NSE_NEXT = (
    (4000, 1100.15, 1110.00, 5.90, 6.50),
    (4100, 1006.25, 1026.90, 7.15, 8.50),
    (4200, 905.15, 931.15, 10.00, 10.70),
    (4300, 809.15, 844.75, 13.55, 14.00),
    (4400, 713.10, 732.85, 18.00, 18.75),
    (4500, 615.70, 668.35, 22.35, 25.00),
    (4600, 526.80, 572.05, 32.00, 33.30),
    (4700, 444.35, 464.15, 41.00, 45.00),
    (4800, 366.60, 408.60, 61.50, 62.00),
    (4900, 300.00, 307.30, 84.55, 86.50),
    (5000, 231.00, 232.00, 116.00, 117.00),
    (5100, 171.10, 171.50, 156.00, 158.00),
    (5200, 120.05, 121.80, 203.00, 209.35),
    (5300, 79.60, 80.50, 252.85, 265.00),
    (5400, 48.10, 48.50, 322.45, 345.65),
    (5500, 29.00, 32.00, 405.00, 437.10),
    (5600, 15.90, 19.85, 477.85, 509.00),
    (5700, 9.15, 9.75, 575.25, 609.00),
)


def strip_of(rows: tuple[tuple[float, ...], ...]) -> Strip:
    """A strip from rows of strike, call bid and ask, put bid and ask."""
    return Strip(*np.array(rows, dtype=np.float64).T)


def exact_strip(
    strikes: NDArray[np.float64], years: float, rate: float, volatility: float, forward: float
) -> Strip:
    """Quotes without a spread at Black-76 values of one volatility."""
    call, put = (
        np.array([black76.price(forward, k, years, rate, volatility, side) for k in strikes])
        for side in (True, False)
    )
    return Strip(strikes, call, call, put, put)


def cboe_strip(path: Path, days: int) -> Strip:
    """One expiry of Cboe's appendix."""
    rows = pl.read_csv(path).filter(pl.col("Days") == days).sort("Strike")
    names = ("Strike", "Call Bid", "Call Ask", "Put Bid", "Put Ask")
    return Strip(*(rows[name].cast(pl.Float64).to_numpy() for name in names))


def assert_alike(found: StripVariance, expected: StripVariance, relative: float) -> None:
    """All of a strip's figures, those of the price and of the variance as far as published."""
    assert replace(found, variance=None, forward=None) == replace(
        expected, variance=None, forward=None
    )
    assert found.forward == pytest.approx(expected.forward, abs=5e-6)
    assert found.variance == pytest.approx(expected.variance, rel=relative)


@pytest.mark.parametrize(
    ("days", "years", "expected"),
    [
        (
            9,
            NEAR_YEARS,
            StripVariance("strip_ok", 0.4727672, 920.50005, 920.0, 136, 400.0, 1220.0),
        ),
        (
            37,
            NEXT_YEARS,
            StripVariance("strip_ok", 0.3668182, 921.00039, 920.0, 110, 200.0, 1160.0),
        ),
    ],
)
def test_cboe_white_paper(
    oracle_path: Callable[[str], Path], days: int, years: float, expected: StripVariance
) -> None:
    """Cboe, "VIX White Paper" (2009), appendix 1: forward, K₀, strip and variance."""
    strip = cboe_strip(oracle_path("cboe2009_options.csv"), days)
    assert_alike(variance_of_expiry(strip, years, 0.0038), expected, 2e-7)


def test_cboe_index(oracle_path: Callable[[str], Path]) -> None:
    """The same appendix ends with an index of 61.22."""
    path = oracle_path("cboe2009_options.csv")
    near = variance_of_expiry(cboe_strip(path, 9), NEAR_YEARS, 0.0038).variance
    later = variance_of_expiry(cboe_strip(path, 37), NEXT_YEARS, 0.0038).variance
    assert near is not None
    assert later is not None
    index = index_volatility(near, NEAR_MINUTES, later, NEXT_MINUTES)
    assert index == pytest.approx(0.61217999, abs=5e-9)


@pytest.mark.parametrize(
    ("rows", "years", "rate", "expected"),
    [
        (
            NSE_NEAR,
            NEAR_YEARS,
            0.0390,
            StripVariance("strip_ok", 0.072979, 5129.0, 5100.0, 19, 3800.0, 5600.0),
        ),
        (
            NSE_NEXT,
            NEXT_YEARS,
            0.0465,
            StripVariance("strip_ok", 0.070942, 5115.0, 5100.0, 18, 4000.0, 5700.0),
        ),
    ],
)
def test_nse_white_paper(
    rows: tuple[tuple[float, ...], ...], years: float, rate: float, expected: StripVariance
) -> None:
    """NSE, "White Paper on India VIX", section 5; it rounds its sums to six decimals (0.05 %).

    Puts of 3900, 4100 and 4300 are filled by the spline; the call of 5700 is left out.
    """
    found = variance_of_expiry(strip_of(rows), years, rate, INDIA, expected.forward)
    assert_alike(found, expected, 1e-3)


@given(st.floats(0.08, 0.8), st.floats(0.02, 0.5), st.floats(-0.02, 0.1), st.floats(0.0, 1.0))
def test_a_flat_smile_gives_its_volatility(
    volatility: float, years: float, rate: float, place: float
) -> None:
    """With a dense and long strip the sum is the variance of Black-76, wherever F lies."""
    deviation = volatility * math.sqrt(years)
    forward = 1000.0 + 4.0 * place
    reach = 6.0 * deviation
    step = 4.0 * deviation
    strikes = np.arange(1000.0 * math.exp(-reach), 1000.0 * math.exp(reach), step)
    strip = exact_strip(strikes, years, rate, volatility, forward)
    for given_forward in (forward, None):
        found = variance_of_expiry(strip, years, rate, CBOE, given_forward)
        assert found.forward == pytest.approx(forward, rel=1e-9)
        assert found.variance == pytest.approx(volatility**2, rel=2e-3)


@given(st.floats(0.1, 10.0))
def test_scale_drops_out(scale: float) -> None:
    """Rupees or lakhs: the variance is a pure number."""
    strip = strip_of(NSE_NEXT)
    quotes = (strip.strike, strip.call_bid, strip.call_ask, strip.put_bid, strip.put_ask)
    scaled = Strip(*(scale * column for column in quotes))
    one = variance_of_expiry(strip, NEXT_YEARS, 0.05, CBOE).variance
    assert variance_of_expiry(scaled, NEXT_YEARS, 0.05, CBOE).variance == pytest.approx(one)


def test_two_zero_bids_end_the_strip() -> None:
    """One strike without a bid is skipped; after two, what lies beyond is not looked at."""
    strip = strip_of(NSE_NEXT)
    bids = strip.put_bid.copy()
    bids[[5, 8]] = 0.0
    one = variance_of_expiry(replace(strip, put_bid=bids), NEXT_YEARS, 0.05, CBOE)
    assert (one.lowest_strike, one.count) == (4000.0, 16)
    bids[4] = math.nan
    two = variance_of_expiry(replace(strip, put_bid=bids), NEXT_YEARS, 0.05, CBOE)
    assert (two.lowest_strike, two.count) == (4600.0, 11)


def without(name: str, *places: int) -> Strip:
    """NSE's next month without some quotes."""
    strip = strip_of(NSE_NEXT)
    column = getattr(strip, name).copy()
    column[list(places)] = math.nan
    return replace(strip, **{name: column})


@pytest.mark.parametrize(
    ("strip", "years", "rules", "forward", "status"),
    [
        (strip_of(NSE_NEAR), NEAR_YEARS, PUBLISHED, 5129.0, "strip_ok"),
        (strip_of(NSE_NEXT), 1e-7, CBOE, 5115.0, "settling"),
        (strip_of(NSE_NEXT), -0.1, CBOE, 5115.0, "settling"),
        (strip_of(NSE_NEXT), math.nan, CBOE, 5115.0, "no_forward"),
        (without("call_bid", *range(18)), 0.1, CBOE, None, "no_forward"),
        (strip_of(NSE_NEXT), 0.1, CBOE, -1.0, "no_forward"),
        (strip_of(NSE_NEXT), 0.1, CBOE, math.inf, "no_forward"),
        (strip_of(NSE_NEXT), 0.1, CBOE, 3999.0, "no_quote_at_forward"),
        (without("put_ask", 11), 0.1, CBOE, 5115.0, "no_quote_at_forward"),
        (without("call_ask", *range(13, 18)), 0.1, INDIA, 5115.0, "few_quotes"),
        (strip_of(NSE_NEXT[8:15]), 0.1, PUBLISHED, 5115.0, "short_strip"),
        (strip_of(NSE_NEXT), 0.1, CBOE, 9999.0, "few_quotes"),
        (Strip(*np.empty((5, 0))), 0.1, CBOE, 5115.0, "no_quote_at_forward"),
        (
            strip_of(((50, 0.1, 0.1, 0.1, 0.1), (100, 1, 1, 1, 1), (400, 1, 1, 1, 1))),
            0.1,
            CBOE,
            350.0,
            "not_positive",
        ),
    ],
)
def test_null_with_a_reason(
    strip: Strip, years: float, rules: StripRules, forward: float | None, status: str
) -> None:
    """No number where the strip cannot carry one, and never an exception."""
    found = variance_of_expiry(strip, years, 0.05, rules, forward)
    assert found.status == status
    assert status in STRIP_STATUSES
    assert (found.variance is None) == (status != "strip_ok")


def test_a_wide_quote_is_filled_or_left_out() -> None:
    """The spline in its place, as in India; a strip without it; or as it is, as at Cboe."""
    strip = strip_of(NSE_NEXT)
    asks = strip.call_ask.copy()
    asks[13] = 3 * asks[13]
    wide = replace(strip, call_ask=asks)

    def found(rules: StripRules) -> StripVariance:
        return variance_of_expiry(wide, 0.1, 0.05, rules, 5115.0)

    clean = variance_of_expiry(strip, 0.1, 0.05, CBOE, 5115.0)
    assert clean.variance is not None
    assert found(INDIA).variance == pytest.approx(clean.variance, rel=0.01)
    assert (found(INDIA).count, found(replace(INDIA, is_filled=False)).count) == (18, 17)
    assert (found(CBOE).variance or 0.0) > 1.05 * clean.variance


def test_all_expiries_at_once() -> None:
    """The group kernel gives each expiry what it would have alone; two here have nothing."""
    rows = np.array(NSE_NEAR + NSE_NEXT, dtype=np.float64)
    columns = [np.ascontiguousarray(column) for column in rows.T]
    variance, status = variances_of_expiries(
        np.array([0, 20, 38, 38, 38], dtype=np.int64),
        *columns,
        np.array([5129.0, 5115.0, 5115.0, math.nan]),
        np.array([NEAR_YEARS, NEXT_YEARS, NEXT_YEARS, NEXT_YEARS]),
        np.full(4, 0.05),
        INDIA.settings,
    )
    alone = [
        variance_of_expiry(strip_of(NSE_NEAR), NEAR_YEARS, 0.05, INDIA, 5129.0).variance,
        variance_of_expiry(strip_of(NSE_NEXT), NEXT_YEARS, 0.05, INDIA, 5115.0).variance,
    ]
    assert list(variance[:2]) == alone
    assert np.isnan(variance[2:]).all()
    assert [STRIP_STATUSES[code] for code in status] == [
        "strip_ok",
        "strip_ok",
        "no_quote_at_forward",
        "no_forward",
    ]


@pytest.mark.parametrize(
    ("near", "later", "expected"),
    [
        ((0.04, 43_200), (0.09, 86_400), 0.2),
        ((0.04, 21_600), (0.09, 43_200), 0.3),
        ((0.04, 21_600), (0.04, 86_400), 0.2),
        ((0.04, 43_200), (0.09, 43_200), None),
        ((0.0001, 43_300), (0.9, 43_400), None),
    ],
)
def test_interpolation_in_minutes(
    near: tuple[float, int], later: tuple[float, int], expected: float | None
) -> None:
    """At either expiry its own volatility; no answer where the line falls below nothing."""
    assert index_volatility(*near, *later) == pytest.approx(expected)
