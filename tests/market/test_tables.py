"""The tables themselves: ordered, unique, each row with a source."""

from __future__ import annotations

import pytest

from market import tables

DATED = [
    tables.SESSION_HOURS,
    tables.SETTLEMENT_RULES,
    tables.RATE_RULES,
]


@pytest.mark.parametrize("rows", DATED)
def test_rows_are_in_order(rows: tuple[tables.SessionHours, ...]) -> None:
    """A later row takes over from an earlier one, so the order must be by date."""
    dates = [row.valid_from for row in rows]
    assert dates == sorted(set(dates))


@pytest.mark.parametrize(
    "rows", [*DATED, tables.SPECIAL_SESSIONS, tables.EXPIRY_RULES, tables.LOT_RULES]
)
def test_every_row_names_its_source(rows: tuple[tables.LotRule, ...]) -> None:
    """A fact without a source cannot be checked."""
    assert all(row.source for row in rows)


def test_lot_rows_do_not_contradict() -> None:
    """One lot for a symbol and first expiry."""
    keys = [(row.symbol, row.first_expiry) for row in tables.LOT_RULES]
    assert len(keys) == len(set(keys))
