"""Open interest and the size of markets: streams of contracts, humps, round strikes, swings."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.exchange import activity, noise
from simulator.exchange.symbols import SYMBOLS
from tests.simulator.scenes import SEED, scene

_STREAM = st.integers(0, 2**64 - 1)
_SETTLES = st.integers(1_500_000_000_000, 2_000_000_000_000)
_STRIKE = st.integers(1, 40_000_000).map(lambda paise: paise * 0.05)
_SIGN = st.sampled_from([1.0, -1.0])
_DAY_MS = noise.MS_PER_YEAR / 248


def _open_lots(stream: int, **more: float) -> float:
    return activity.open_lots(
        np.uint64(stream),
        more.get("sign", 1.0),
        more.get("out", 2.0),
        bool(more.get("is_round", False)),
        more.get("scale", 1_000.0),
        more.get("lean", 0.0),
        more.get("at", 0.0),
        more.get("years", 0.1),
    )


@given(_STREAM, _SETTLES, _STRIKE)
def test_a_stream_is_of_one_contract(symbol: int, settles_ms: int, strike: float) -> None:
    """Another symbol, expiry, strike or right has another one; asked again it is the same."""
    own = np.uint64(symbol)
    first = activity.contract_stream(own, settles_ms, strike, 1.0)
    assert first == activity.contract_stream(own, settles_ms, strike, 1.0)
    others = {
        activity.contract_stream(np.uint64(symbol ^ 1), settles_ms, strike, 1.0),
        activity.contract_stream(own, settles_ms + 1, strike, 1.0),
        activity.contract_stream(own, settles_ms, strike + 0.05, 1.0),
        activity.contract_stream(own, settles_ms, strike, -1.0),
        activity.contract_stream(own, settles_ms, 0.0, 0.0),
    }
    assert len(others | {first}) == 6


def test_no_two_rows_share_a_stream() -> None:
    """Nor do the streams that a row's own is taken apart into."""
    streams = scene().terms.stream
    assert np.unique(streams).size == streams.size
    parts = [streams ^ np.uint64(place) for place in (0, 6, 7, 11, 12, 13)]
    assert np.unique(parts).size == 6 * streams.size


def test_symbols_have_their_own_streams() -> None:
    """By name and seed."""
    streams = {activity.symbol_stream(s, seed) for s in SYMBOLS.values() for seed in (1, 2)}
    assert len(streams) == 2 * len(SYMBOLS)


def test_the_largest_index_is_the_largest() -> None:
    """No index is larger than NIFTY, and stocks are spread about theirs."""
    weights = {
        name: activity.weight(symbol, activity.symbol_stream(symbol, SEED))
        for name, symbol in SYMBOLS.items()
    }
    assert weights["NIFTY"] == 1.0
    stocks = [weights[name] for name, symbol in SYMBOLS.items() if not symbol.is_index]
    assert all(0.0 < weights[n] <= 1.0 for n, symbol in SYMBOLS.items() if symbol.is_index)
    assert 0.15 <= min(stocks) < 0.3
    assert 1.7 < max(stocks) <= 2.0


def test_scales_follow_the_weight() -> None:
    """An index's future turns over more than any stock's, and more stays open of its options."""
    nifty, bank = SYMBOLS["NIFTY"], SYMBOLS["BANKNIFTY"]
    stocks = [symbol for symbol in SYMBOLS.values() if not symbol.is_index]
    for scale in (activity.open_lots_scale, activity.future_lots):
        assert scale(bank, SEED) == pytest.approx(0.6 * scale(nifty, SEED))
        assert scale(nifty, SEED) > max(scale(symbol, SEED) for symbol in stocks)


@given(_STREAM, st.floats(-60, 60), st.floats(0, 1), st.floats(0.1, 1e6))
def test_open_interest_scales(stream: int, out: float, years: float, scale: float) -> None:
    """In proportion to its scale, 1.8 times at round strikes, less for distant expiries."""
    here = _open_lots(stream, out=out, years=years, scale=scale)
    assert here > 0.0
    assert _open_lots(stream, out=out, years=years, scale=2 * scale) == pytest.approx(2 * here)
    assert _open_lots(stream, out=out, years=years, scale=scale, is_round=True) == pytest.approx(
        1.8 * here
    )
    near = _open_lots(stream, out=out, years=0.0, scale=scale)
    assert here == pytest.approx(near / (1.0 + 8.0 * years))


@given(_STREAM, _SIGN, st.floats(0.1, 50.0))
def test_open_interest_gathers_out_of_the_money(stream: int, sign: float, away: float) -> None:
    """Most of it three strikes out, as much on either side of there, less and less further off."""
    peak = _open_lots(stream, sign=sign, out=3.0)
    above, below = (_open_lots(stream, sign=sign, out=3.0 + x) for x in (away, -away))
    assert above == pytest.approx(below)
    assert above < peak
    assert _open_lots(stream, sign=sign, out=3.0 + 2 * away) <= above


@given(_STREAM, st.floats(-50, 50))
def test_futures_have_no_strike(stream: int, out: float) -> None:
    """What is no option does not depend on how far out it would be."""
    assert _open_lots(stream, sign=0.0, out=out) == _open_lots(stream, sign=0.0, out=0.0)


@given(_STREAM, st.floats(0.01, 0.3))
def test_positions_are_built_one_way_or_the_other(stream: int, lean: float) -> None:
    """What a rise builds up a fall takes away by the same factor."""
    still, up, down = (_open_lots(stream, lean=x) for x in (0.0, lean, -lean))
    assert up * down == pytest.approx(still * still, rel=1e-9)
    assert abs(math.log(up / still)) <= 1.5 * lean + 1e-12


def _swings(moves: int) -> Iterator[float]:
    for stream in range(300):
        before, after = (_open_lots(stream << 32, at=day * _DAY_MS) for day in (50, 50 + moves))
        yield math.log(after / before)


@pytest.mark.parametrize("moves", [1, 4])
def test_open_interest_swings_from_day_to_day(moves: int) -> None:
    """By about a tenth in a day, as a walk does, and not all contracts together."""
    swings = list(_swings(moves))
    assert np.std(swings) == pytest.approx(1.5 * math.sqrt(moves / 248), rel=0.2)
    assert abs(np.mean(swings)) < 3 * np.std(swings) / math.sqrt(300)
