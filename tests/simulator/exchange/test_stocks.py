"""The stocks' table: identifiers that check, figures that are possible."""

from __future__ import annotations

import re

from simulator.exchange.stocks import STOCKS

_KEPT = {
    *("RELIANCE", "HDFCBANK", "ICICIBANK", "INFY", "TCS"),
    *("SBIN", "AXISBANK", "KOTAKBANK", "LT", "ITC"),
}


def _is_valid(isin: str) -> bool:
    """ISO 6166: letters as two digits, every second digit from the right doubled, Luhn's sum."""
    digits = "".join(str(int(character, 36)) for character in isin)[::-1]
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(digits)]
    return sum(sum(divmod(value, 10)) for value in doubled) % 10 == 0


def test_isins_have_their_check_digit() -> None:
    """Indian shares, each one's last digit derived from the others."""
    for symbol, isin, *_ in STOCKS:
        assert re.fullmatch(r"INE[A-Z0-9]{8}\d", isin), symbol
        assert _is_valid(isin), symbol
    assert not _is_valid("INE002A01019")


def test_identifiers_are_unique() -> None:
    """No two stocks share a symbol, an ISIN or a token; tokens are numbers."""
    for column in range(3):
        assert len({row[column] for row in STOCKS}) == len(STOCKS)
    assert all(row[2].isdigit() for row in STOCKS)


def test_the_table_has_the_exchanges_size() -> None:
    """About 210, among them symbols with an ampersand and a hyphen."""
    symbols = {row[0] for row in STOCKS}
    assert 200 <= len(symbols) <= 220
    assert symbols >= _KEPT | {"M&M", "BAJAJ-AUTO", "360ONE"}


def test_figures_are_possible() -> None:
    """Steps between a quarter and a twelfth of a level; lots of a few lakh rupees at least."""
    for symbol, _, _, level, step, lot, volatility in STOCKS:
        assert 0.004 <= step / level <= 0.08, symbol
        assert 150_000 <= lot * level <= 2_000_000, symbol
        assert 0.18 <= volatility <= 0.55, symbol
