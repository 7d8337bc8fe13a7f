"""Canonical ids: what is written can be read back, and nothing else is taken for an id."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.contract import Contract, Kind, Right, format_strike, parse_contract

SYMBOLS = st.from_regex(r"[A-Z][A-Z0-9&]{0,9}(-[A-Z]{1,4})?", fullmatch=True).filter(
    lambda s: not s.endswith(("-FUT", "-CE", "-PE"))
)
EXPIRIES = st.dates(date(2000, 1, 1), date(2099, 12, 31))
STRIKES = st.integers(1, 20_000_000).map(lambda paise: paise / 100)


@given(SYMBOLS, EXPIRIES, STRIKES, st.sampled_from(Right))
def test_option_round_trip(symbol: str, expiry: date, strike: float, right: Right) -> None:
    """An option's id names exactly that option."""
    contract = Contract(symbol, Kind.OPTION, expiry, strike, right)
    assert parse_contract(str(contract)) == contract


@given(SYMBOLS, EXPIRIES)
def test_future_round_trip(symbol: str, expiry: date) -> None:
    """A future's id names exactly that future."""
    contract = Contract(symbol, Kind.FUTURE, expiry)
    assert parse_contract(str(contract)) == contract


@given(SYMBOLS, st.sampled_from([Kind.INDEX, Kind.EQUITY]))
def test_spot_round_trip(symbol: str, kind: Kind) -> None:
    """A bare symbol is a spot instrument of the kind asked for."""
    assert parse_contract(symbol, kind) == Contract(symbol, kind)


@pytest.mark.parametrize(
    ("strike", "text"), [(24000.0, "24000"), (102.5, "102.5"), (0.05, "0.05"), (1100.0, "1100")]
)
def test_strike_has_no_trailing_zeros(strike: float, text: str) -> None:
    """Strikes are written the way the exchange's symbols show them."""
    assert format_strike(strike) == text


def test_ids_are_readable() -> None:
    """The form that docs and queries rely on."""
    option = Contract("NIFTY", Kind.OPTION, date(2026, 12, 1), 24000.0, Right.CALL)
    assert str(option) == "NIFTY-20261201-24000-CE"
    assert str(Contract("BAJAJ-AUTO", Kind.FUTURE, date(2026, 12, 29))) == "BAJAJ-AUTO-20261229-FUT"
