"""The clocks' difference shows through whatever the ways of frames add."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streaming.skew import ClockSkew

NOON_MS = 1_790_000_000_000.0


@given(
    st.floats(-100_000, 100_000),
    st.lists(st.floats(5, 5_000), min_size=1, max_size=50),
)
def test_the_fastest_frame_tells_the_difference(skew_ms: float, ways_ms: list[float]) -> None:
    """Whether our clock is ahead or behind; slow frames do not matter."""
    skew = ClockSkew()
    for n, way_ms in enumerate(ways_ms):
        published = NOON_MS + 100 * n
        skew.take(published, NOON_MS + 4_900 + skew_ms + way_ms)
        assert skew.milliseconds is not None
    told = skew.milliseconds
    assert told is not None
    exact = [4_900 + skew_ms + way - 100 * n for n, way in enumerate(ways_ms)]
    assert abs(told - min(exact)) < 0.01


def test_nothing_is_known_before_a_frame() -> None:
    """None, not 0."""
    assert ClockSkew().milliseconds is None


def test_a_clock_that_is_set_is_followed_within_a_minute() -> None:
    """In either direction; what it was before is forgotten."""
    for before_ms, after_ms in ((-5_000.0, 0.0), (5_000.0, 0.0)):
        skew = ClockSkew()
        for second in range(150):
            shift_ms = before_ms if second < 60 else after_ms
            published = NOON_MS + 1000 * second
            skew.take(published, published + 20 + shift_ms)
        assert skew.milliseconds == 20 + after_ms
