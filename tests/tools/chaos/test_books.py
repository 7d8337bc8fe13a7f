"""Books that cannot be wrong prove nothing: each kind of loss must show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.chaos.books import FRAME_MS, Account, Gap, Landed, Received, Row, account

FRAMES = range(1_000_000, 1_010_000, 200)
SENT = [("A", at) for at in FRAMES]
ROWS: dict[Row, int] = {(1, n, "A"): at for n, at in enumerate(FRAMES, 1)}


def drawn(
    rows: dict[Row, int], *gaps: Gap, received: dict[Row, int] | None = None, duplicates: int = 0
) -> Account:
    """The balance of ``SENT`` against what is landed."""
    got = Received(frozenset(rows if received is None else received), ())
    return account(SENT, got, Landed(rows, duplicates), gaps)


def without(first: int, last: int) -> dict[Row, int]:
    """All rows but those of the frames ``first`` to ``last``."""
    return {row: at for row, at in ROWS.items() if not first <= row[1] <= last}


def test_everything_landed_is_balanced() -> None:
    """The ordinary day."""
    sums = drawn(ROWS)
    assert sums.is_balanced
    assert (sums.sent, sums.received, sums.landed) == (len(ROWS),) * 3


@given(st.integers(1, len(ROWS)))
def test_any_one_lost_tick_shows(sequence: int) -> None:
    """Without a gap row over it."""
    sums = drawn(without(sequence, sequence))
    assert (sums.unaccounted, sums.is_balanced) == (1, False)


def test_gap_owns_up_to_what_lies_in_it() -> None:
    """From the last frame before to the first one after."""
    rows = without(10, 20)
    gap = Gap(ROWS[1, 9, "A"], ROWS[1, 21, "A"], "reset")
    sums = drawn(rows, gap)
    assert (sums.in_gaps, sums.unaccounted, sums.is_balanced) == (11, 0, True)


@pytest.mark.parametrize("side", [-1, 1])
def test_gap_that_is_too_short_shows(side: int) -> None:
    """A beginning too late or an end too early by more than a frame."""
    gap = Gap(ROWS[1, 9, "A"], ROWS[1, 21, "A"], "reset")
    moved = FRAME_MS + 210
    wrong = (
        replace(gap, from_ms=gap.from_ms + moved)
        if side < 0
        else replace(gap, to_ms=gap.to_ms - moved)
    )
    assert not drawn(without(10, 20), wrong).is_balanced


def test_received_and_not_landed_shows() -> None:
    """Even under a gap row: the journal has it."""
    gap = Gap(0, 2_000_000, "reset")
    sums = drawn(without(10, 20), gap, received=ROWS)
    assert (sums.not_landed, sums.is_balanced) == (11, False)


def test_landed_and_not_received_shows() -> None:
    """A row that no journal knows."""
    sums = drawn(ROWS, received=without(10, 20))
    assert (sums.made_up, sums.is_balanced) == (11, False)


def test_duplicates_show() -> None:
    """A tick that stands there twice."""
    assert not drawn(ROWS, duplicates=1).is_balanced


def test_shifted_times_are_found_where_the_fault_put_them() -> None:
    """Frame times that a fault moved, and only by as much as it moved them."""
    moved = {row: at - 5_000 for row, at in ROWS.items()}
    got = Received(frozenset(moved), ())
    assert account(SENT, got, Landed(moved, 0), (), (0, -5_000)).is_balanced
    assert not account(SENT, got, Landed(moved, 0), (), (0,)).is_balanced
