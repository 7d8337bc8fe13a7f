"""Books of a load: whatever is lost, doubled or made up, the balance says so and how many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tools.chaos.books import Gap
from tools.endurance.books import Account, Frames, Ledger, account, landed_ms, suspects
from tools.endurance.schedule import Schedule, steady

_KEYS = tuple(f"K{number}" for number in range(150))
_IDS = {key: 1_000 + 7 * number for number, key in enumerate(_KEYS)}
_COUNT = 40
_SCHEDULE = steady(_KEYS, 5_000, 1_795_000_000_000)
_TICKS = [
    (number, key) for number in range(_COUNT) for key in _SCHEDULE.keys_of(_SCHEDULE.group(number))
]
_SOME_TICKS = st.lists(st.integers(0, len(_TICKS) - 1), max_size=60, unique=True)


def _frames(rows: Iterable[tuple[int, int]]) -> tuple[Frames, dict[int, Counter[int]]]:
    """The database's answers for a table of (frame time, instrument)."""
    table: dict[int, Counter[int]] = {}
    for at, instrument in rows:
        table.setdefault(at, Counter())[instrument] += 1
    at = np.array(sorted(table), np.int64)
    sums = [
        (c.total(), sum(c.elements()), sum(i * i for i in c.elements()))
        for c in (table[int(one)] for one in at)
    ]
    ticks, ids, squares = np.array(sums, np.int64).reshape(-1, 3).T
    ones = np.ones(len(at), np.int64)
    return Frames(at, ones, ones, at * 1.0, ticks, ids, squares), table


def _drawn(rows: Iterable[tuple[int, int]], gaps: tuple[Gap, ...] = ()) -> Account:
    frames, table = _frames(rows)
    found = suspects(_SCHEDULE, _COUNT, frames, _IDS)
    looked_at = {at: table.get(at, Counter()) for at in found}
    told = [_SCHEDULE.frame_ticks] * _COUNT
    return account(_SCHEDULE, told, frames, looked_at, _IDS, gaps)


def _row(tick: int) -> tuple[int, int]:
    number, key = _TICKS[tick]
    return _SCHEDULE.due_ms(number), _IDS[key]


@given(_SOME_TICKS, _SOME_TICKS, st.integers(0, 5))
def test_every_difference_is_counted(lost: list[int], doubled: list[int], strangers: int) -> None:
    """Lost, doubled and made up ticks are each told as what they are, and how many."""
    rows = [_row(tick) for tick in range(len(_TICKS)) if tick not in lost]
    twice = [_row(tick) for tick in doubled if tick not in lost]
    others = [(_SCHEDULE.due_ms(0) + 1, number) for number in range(strangers)]
    sums = _drawn([*rows, *twice, *others])
    assert (sums.unaccounted, sums.duplicates, sums.made_up) == (len(lost), len(twice), strangers)
    assert sums.is_exact is not bool(twice or strangers)
    assert sums.landed == len(rows) + len(twice) + strangers
    assert sums.due == sums.landed - len(twice) - strangers + len(lost)


@given(st.integers(0, _COUNT - 1), st.integers(0, _COUNT - 1))
def test_a_gap_accounts_for_its_own_time_only(first: int, last: int) -> None:
    """Nothing landed at all: what lies inside the gap row is in it, its edges included."""
    gap = Gap(_SCHEDULE.due_ms(first), _SCHEDULE.due_ms(last), "cut")
    sums = _drawn([], (gap,))
    inside = max(0, last - first + 1) * _SCHEDULE.frame_ticks
    assert sums.in_gaps == inside
    assert sums.unaccounted == len(_TICKS) - inside
    assert sums.unaccounted_ms == sums.unaccounted / 5


def test_a_tick_of_the_wrong_key_is_seen() -> None:
    """Equal counts are not enough: one key's tick in the place of another's is two mistakes."""
    rows = [_row(tick) for tick in range(1, len(_TICKS))]
    at, _ = _row(0)
    sums = _drawn([*rows, (at, _IDS[_SCHEDULE.keys_of(1)[0]])])
    assert (sums.unaccounted, sums.made_up, sums.duplicates) == (1, 1, 0)
    assert not sums.is_exact


def test_a_frame_landed_with_the_batch_that_covers_it() -> None:
    """Sequences up to and including the row's; an epoch of its own each; none behind the last."""
    book = Ledger(
        np.array([1, 1, 2]), np.array([10, 20, 5]), np.array([100.0, 200.0, 300.0]), np.ones(3, int)
    )
    epoch, sequence = np.array([1, 1, 1, 2, 2]), np.array([10, 11, 20, 1, 6])
    none = np.zeros(5, np.int64)
    frames = Frames(none, epoch, sequence, none * 1.0, none, none, none)
    np.testing.assert_equal(landed_ms(frames, book), [100.0, 200.0, 200.0, 300.0, np.nan])


def test_the_schedule_fits_the_books() -> None:
    """What these tests count on."""
    assert isinstance(_SCHEDULE, Schedule)
    assert (_SCHEDULE.frame_ticks, _SCHEDULE.groups) == (50, 3)
