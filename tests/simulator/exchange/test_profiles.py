"""Shapes of a day and its bursts: shares of one, livelier ends, bursts inside the day."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.exchange.noise import Floats
from simulator.exchange.profiles import Burst, bursts, multiples, turnover_shape, variance_shape

_MINUTES = st.integers(30, 1_440)
_STREAM = st.integers(0, 2**64 - 1)
_DAY = st.integers(0, 6_000)
_REGULAR = 375


@given(_MINUTES, st.booleans())
def test_shapes_are_shares(minutes: int, is_flat: bool) -> None:
    """One positive share for each minute, together 1."""
    for shape in (variance_shape, turnover_shape):
        shares = shape(minutes, is_flat=is_flat)
        assert shares.shape == (minutes,)
        assert (shares > 0).all()
        assert shares.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("shape", [variance_shape, turnover_shape])
def test_a_day_is_lively_at_both_ends(shape: Callable[..., Floats]) -> None:
    """The open most of all, quiet at noon, more again into the close; a flat one is flat."""
    shares = shape(_REGULAR, is_flat=False)
    noon = shares[_REGULAR // 2]
    assert shares[0] > shares[-1] > 1.4 * noon
    assert shares[0] > 2.5 * noon
    assert np.ptp(shape(_REGULAR, is_flat=True)) == 0.0


@given(_STREAM, _DAY, _MINUTES, st.booleans())
def test_bursts_lie_inside_the_day(stream: int, number: int, minutes: int, is_expiry: bool) -> None:
    """In order, a few minutes each, of a believable strength; an expiry's in its second half."""
    found = bursts(stream, number, minutes, is_expiry=is_expiry)
    starts = [burst.start_minute for burst in found]
    assert starts == sorted(starts)
    for burst in found:
        assert 0 <= burst.start_minute < burst.end_minute <= minutes
        assert burst.end_minute - burst.start_minute < 20
        assert 2.0 <= burst.multiple < 4.0
        if is_expiry and minutes < 2 * _REGULAR:
            assert burst.start_minute >= minutes // 2


@given(_STREAM, _DAY)
def test_bursts_are_pure(stream: int, number: int) -> None:
    """The same each time; another day or another symbol has its own."""
    drawn = [bursts(stream, number, 1_440, is_expiry=True) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != bursts(stream, number + 1, 1_440, is_expiry=True)
    assert drawn[0] != bursts(stream ^ 1, number, 1_440, is_expiry=True)


@pytest.mark.parametrize(
    ("minutes", "is_expiry", "mean"),
    [(375, True, 1.5), (375, False, 0.12), (750, False, 0.24), (1_440, True, 5.76)],
)
def test_expiry_days_have_more_bursts(minutes: int, is_expiry: bool, mean: float) -> None:
    """One and a half on average against one in eight days; in proportion to the session."""
    counts = [len(bursts(9, day, minutes, is_expiry=is_expiry)) for day in range(4_000)]
    assert np.mean(counts) == pytest.approx(mean, rel=0.12)


@given(
    st.lists(st.tuples(st.integers(0, 80), st.integers(1, 20), st.floats(2, 4)), max_size=8),
)
def test_the_larger_multiple_counts(drawn: list[tuple[int, int, float]]) -> None:
    """Minute by minute, against a search through all bursts; 1 outside of them."""
    found = tuple(Burst(start, start + length, more) for start, length, more in drawn)
    expected = [
        max([1.0, *(b.multiple for b in found if b.start_minute <= minute < b.end_minute)])
        for minute in range(100)
    ]
    assert multiples(found, 100).tolist() == expected
