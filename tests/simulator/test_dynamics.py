"""The true market: realistic moves, carry, parity and no arbitrage among model prices."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.rules import rules_for
from simulator.dynamics import Dynamics
from simulator.exchange import Market
from simulator.symbols import SYMBOLS, choose
from simulator.timetable import epoch_ms

_START = epoch_ms(datetime(2026, 11, 25, 4, 0, tzinfo=UTC))
_MARKET = Market(7, rules_for("nse"))
_HOUR = st.integers(0, 6)


def _paths(step_ms: int, count: int) -> np.ndarray:
    dynamics = Dynamics(7, choose(None))
    return np.log([dynamics.spots(_START + step_ms * i) for i in range(count)])


def test_realised_volatility_is_the_symbols_own() -> None:
    """About 12 % for an index and 25 % for a stock, by minutes."""
    moves = np.diff(_paths(60_000, 3_000), axis=0)
    realised = moves.std(0) * np.sqrt(525_600)
    asked = np.array([s.volatility for s in SYMBOLS.values()])
    assert np.allclose(realised / asked, 1.0, atol=0.2)


def test_spots_move_every_second_and_together() -> None:
    """No second stands still; indices are strongly correlated."""
    moves = np.diff(_paths(1_000, 600), axis=0)
    assert (moves != 0).all()
    assert np.corrcoef(_paths(60_000, 2_000)[:, :2].T)[0, 1] > 0.3


def test_forward_is_the_spot_with_carry() -> None:
    """Later expiries carry more; each symbol has its own basis."""
    truth = _MARKET.truth(datetime(2026, 11, 25, 6, 0, tzinfo=UTC))
    for (symbol, expiry), forward in truth.forward.items():
        settles = rules_for("nse").settlement_at(expiry)
        years = (epoch_ms(settles) - epoch_ms(truth.at)) / (525_600 * 60_000)
        carry = np.log(forward / truth.spot[symbol]) / years
        assert carry == pytest.approx(0.065 + SYMBOLS[symbol].basis, abs=1e-9)


@given(_HOUR, st.sampled_from(sorted(SYMBOLS)))
def test_true_prices_allow_no_arbitrage(hour: int, symbol: str) -> None:
    """Parity, monotone and convex in strike; the later expiry has more total variance."""
    truth = _MARKET.truth(datetime(2026, 11, 25, 4 + hour, 1, tzinfo=UTC))
    for (name, expiry), rows in truth.listing.chains.items():
        if name != symbol:
            continue
        calls, puts = truth.price[rows[::2]], truth.price[rows[1::2]]
        strikes, years = truth.listing.strike[rows[::2]], truth.years_to_expiry[rows[0]]
        discount = np.exp(-0.065 * years)
        forward = truth.forward[name, expiry]
        assert calls - puts == pytest.approx(discount * (forward - strikes), abs=1e-8 * forward)
        steps = np.diff(calls) / np.diff(strikes)
        assert ((-discount <= steps + 1e-12) & (steps <= 0)).all()
        assert (np.diff(steps) >= -1e-12).all()
        both = truth.implied_volatility[rows]
        assert (both[::2] == both[1::2]).all()


def test_volatility_rises_towards_low_strikes_of_an_index() -> None:
    """The index smile is skewed; levels are believable."""
    truth = _MARKET.truth(datetime(2026, 11, 25, 6, 0, tzinfo=UTC))
    rows = truth.listing.chain("NIFTY", date(2026, 12, 1))[::2]
    volatility = truth.implied_volatility[rows]
    assert volatility[0] > volatility[20] > 0.08
    assert volatility.max() < 0.4
