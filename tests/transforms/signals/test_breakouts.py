"""Breakouts by hand, and what holds of any series of prices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.signals.minutes import SCALES, bar, bars, scaled
from transforms.signals.breakouts import (
    Break,
    Detector,
    Donchian,
    LevelCross,
    OpeningRange,
    PreviousDay,
    VwapCross,
)
from transforms.signals.record import Direction, Kind, MinuteBar


def flip() -> LevelCross:
    """A gamma flip at ₹100."""
    made = LevelCross(Kind.GAMMA_FLIP, has_steps=False)
    made.move(100.0)
    return made


def with_yesterday() -> PreviousDay:
    """Yesterday went from 99 to 101."""
    made = PreviousDay()
    breaks(made, bars([99.0, 101.0], days=-1))
    made.begin_day()
    return made


MAKERS: list[Callable[[], Detector]] = [
    lambda: Donchian(10),
    OpeningRange,
    with_yesterday,
    VwapCross,
    flip,
]
WALK = st.lists(st.floats(95, 105), max_size=60)


def breaks(detector: Detector, made: list[MinuteBar]) -> list[tuple[int, Break]]:
    """What a detector says, with the minute."""
    return [(b.minute, found) for b in made for found in detector.take(b)]


def places(detector: Detector, closes: list[float]) -> list[tuple[int, Direction, float]]:
    """The same, shorter."""
    return [(m, f.direction, f.level) for m, f in breaks(detector, bars(closes))]


@pytest.mark.parametrize("make", MAKERS)
def test_standing_still_breaks_nothing(make: Callable[[], Detector]) -> None:
    """A constant price, within every bound and on every line."""
    assert places(make(), [100.0] * 120) == []


@pytest.mark.parametrize("make", MAKERS)
@given(closes=WALK, known=st.integers(0, 60))
def test_nothing_younger_counts(
    make: Callable[[], Detector], closes: list[float], known: int
) -> None:
    """What is said of the first minutes is said whatever follows."""
    whole = places(make(), closes)
    assert places(make(), closes[:known]) == [b for b in whole if b[0] < known]


@pytest.mark.parametrize("make", [*MAKERS[:2], VwapCross])
@given(closes=WALK, price=SCALES, volume=SCALES)
def test_units_do_not_matter(
    make: Callable[[], Detector], closes: list[float], price: float, volume: float
) -> None:
    """Paise or rupees, lots or units."""
    made = bars(closes)
    one, other = breaks(make(), made), breaks(make(), scaled(made, price, volume))
    assert [(m, b.direction, b.level * price) for m, b in one] == [
        (m, b.direction, b.level) for m, b in other
    ]


@given(st.floats(0.001, 0.2), st.sampled_from(list(Direction)))
def test_planted_breakout_is_found(jump: float, way: Direction) -> None:
    """By every detector that knows a bound, at the second close beyond, the way it went."""
    closes = [100.0 + (minute % 3 - 1) for minute in range(30)]
    beyond = 101.0 * (1 + jump) if way is Direction.UP else 99.0 * (1 - jump)
    bound = 101.0 if way is Direction.UP else 99.0
    for detector in (Donchian(20), OpeningRange(), with_yesterday()):
        assert places(detector, [*closes, beyond, beyond, beyond]) == [(31, way, bound)]


def test_channel_wants_its_middle_back() -> None:
    """A trend is one breakout; after a return there can be another."""
    closes = [100.0] * 10 + [101.0 + m / 10 for m in range(30)]
    detector = Donchian(10)
    assert [m for m, *_ in places(detector, closes)] == [11]
    more = [bar(40 + m, c) for m, c in enumerate([100.0] * 12 + [105.0, 106.0])]
    assert [(m, f.direction) for m, f in breaks(detector, more)] == [
        (41, Direction.DOWN),
        (53, Direction.UP),
    ]


def test_opening_range_needs_the_open() -> None:
    """Started at noon, or minutes after the open, there is no range."""
    made = [bar(m, 100.0 if m < 15 else 110.0) for m in range(1, 40)]
    assert breaks(OpeningRange(), made) == []


def test_a_gap_beyond_yesterday_counts() -> None:
    """The first two closes of a day that opens above yesterday's high."""
    detector = PreviousDay()
    assert places(detector, [99.0, 101.0]) == []
    detector.begin_day()
    assert places(detector, [103.0, 103.0]) == [(1, Direction.UP, 101.0)]
    detector.begin_day()
    assert places(detector, [104.0, 104.0]) == [(1, Direction.UP, 103.0)]


def test_average_price_by_hand() -> None:
    """(15·100·1000 + 110·3000 + 110·3000)/21000 when the second close confirms."""
    made = [bar(m) for m in range(16)] + [bar(m, 99.0) for m in (16, 17)]
    made += [bar(m, 110.0, 3000.0) for m in (18, 19)]
    found = [b for _, b in breaks(VwapCross(), made) if b.direction is Direction.UP]
    # The line that was first crossed is the one that counts: with the first minute at 110.
    average = (16 * 100 + 2 * 99 + 3 * 110) * 1000 / (21 * 1000)
    assert [b.level for b in found] == [pytest.approx(average)]


def test_average_without_volume_is_none() -> None:
    """An index whose future is not followed has no average price."""
    made = bars([99.0] * 20 + [101.0] * 5, [float("nan")] * 25)
    assert breaks(VwapCross(), made) == []


def test_a_wall_that_moves_is_another_wall() -> None:
    """The price has not crossed what was moved over it; a flip that moves through it has."""
    for kind, has_steps, expected in (
        (Kind.CALL_WALL, True, []),
        (Kind.GAMMA_FLIP, False, [Direction.UP]),
    ):
        detector = LevelCross(kind, has_steps=has_steps)
        detector.move(101.0)
        assert breaks(detector, bars([100.0] * 5)) == []
        detector.move(99.0)
        found = breaks(detector, [bar(m) for m in range(5, 10)])
        assert [b.direction for _, b in found] == expected


def test_a_level_told_again_is_the_same() -> None:
    """Each chain tells the wall; the price crosses it over two of them."""
    detector = LevelCross(Kind.CALL_WALL, has_steps=True)
    found = []
    for minute, close in enumerate([100.0, 100.0, 102.0, 102.0]):
        detector.move(101.0)
        found += breaks(detector, [bar(minute, close)])
    assert [(m, b.level) for m, b in found] == [(3, 101.0)]
    detector.move(float("nan"))
    assert breaks(detector, bars([90.0] * 5)) == []
