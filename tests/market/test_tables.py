"""The tables themselves: ordered, unique, each row with a source."""

from __future__ import annotations

from datetime import date

import pytest

from market import tables

DATED = [tables.SESSION_HOURS, tables.CASH_HOURS, tables.SETTLEMENT_RULES]


@pytest.mark.parametrize("rows", DATED)
def test_rows_are_in_order(rows: tuple[tables.SessionHours, ...]) -> None:
    """A later row takes over from an earlier one, so the order must be by date."""
    dates = [row.valid_from for row in rows]
    assert dates == sorted(set(dates))


@pytest.mark.parametrize(
    "rows",
    [*DATED, tables.RATE_RULES, tables.SPECIAL_SESSIONS, tables.EXPIRY_RULES, tables.LOT_RULES],
)
def test_every_row_names_its_source(rows: tuple[tables.LotRule, ...]) -> None:
    """A fact without a source cannot be checked."""
    assert all(row.source for row in rows)


def test_lot_rows_do_not_contradict() -> None:
    """One lot for a symbol and first expiry."""
    keys = [(row.symbol, row.first_expiry) for row in tables.LOT_RULES]
    assert len(keys) == len(set(keys))


def test_rates_do_not_contradict() -> None:
    """One rate for a date and tenor, in order; the default names itself so."""
    keys = [(row.valid_from, row.tenor_days) for row in tables.RATE_RULES]
    assert keys == sorted(set(keys))
    assert tables.RATE_RULES[0].source.startswith("default")


def test_auction_stands_between_the_two_markets() -> None:
    """The auction follows continuous trading and ends before the derivatives close."""
    for cash in tables.CASH_HOURS:
        hours = max((h for h in tables.SESSION_HOURS if h.valid_from <= cash.valid_from), key=_from)
        assert cash.opens < cash.continuous_until <= (cash.auction_until or hours.closes)
        assert (cash.auction_until or cash.continuous_until) <= hours.closes


def test_averaging_ends_at_settlement() -> None:
    """A rule either averages over a window that ends when it settles, or finds one price."""
    for rule in tables.SETTLEMENT_RULES:
        assert (rule.averages_from is None) == (rule.method == "closing_auction")
        assert rule.averages_from is None or rule.averages_from < rule.settles
        assert rule.auction_jump_variance >= 0.0


def _from(row: tables.SessionHours) -> date:
    return row.valid_from
