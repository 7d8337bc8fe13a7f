"""Uses of sockets: the comparison is right, and the broker's real numbers come out as expected."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.interface import Capabilities, Mode
from brokers.planner.candidates import Candidate
from brokers.planner.uses import MODES, Room, choose, give_modes, staleness
from brokers.upstox.limits import KEYS_ALONE, KEYS_COMBINED
from market.contract import Kind
from tests.listings import spot


def _candidates(weights: list[float], indices: int = 0) -> list[Candidate]:
    """Heaviest first; the first are spots of indices, the others behave like contracts."""
    return [
        Candidate(spot(f"S{n}", Kind.INDEX if n < indices else Kind.EQUITY), 0, weight)
        for n, weight in enumerate(sorted(weights, reverse=True))
    ]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(0.1, 10), max_size=12),
    st.integers(0, 3),
    st.fixed_dictionaries({mode: st.integers(0, 6) for mode in Mode}),
    st.fixed_dictionaries({mode: st.integers(0, 4) for mode in Mode}),
    st.booleans(),
)
def test_no_other_use_would_leave_less_staleness(
    weights: list[float],
    indices: int,
    alone: dict[Mode, int],
    combined: dict[Mode, int],
    is_per_socket: bool,
) -> None:
    """What is chosen by a formula is what trying each use and giving the modes out finds."""
    candidates = _candidates(weights, indices)
    capabilities = Capabilities(2, alone, combined, is_per_socket)
    alive = frozenset({0, 1})
    every = [(Mode.FULL,), (Mode.GREEKS,), (Mode.LTP,), MODES]

    def left(layout: tuple[tuple[Mode, ...], ...]) -> float:
        totals = Room(capabilities, layout, alive).totals()
        return staleness(candidates, give_modes(candidates, totals))

    layouts = [pair for pair in product(every, repeat=2) if is_per_socket or pair[0] == pair[1]]
    chosen = choose(candidates, capabilities, alive)
    assert abs(left(chosen) - min(map(left, layouts), default=0.0)) < 1e-6


def test_the_brokers_numbers() -> None:
    """What fits goes in full; a little more, in several modes; still more, with less each."""
    normal = Capabilities(2, KEYS_ALONE, KEYS_COMBINED)
    alive = frozenset({0, 1})
    for count, used in ((2_000, (Mode.FULL,)), (2_500, MODES), (4_950, MODES)):
        chosen = choose(_candidates([1.0] * count), normal, alive)
        assert chosen == (used, used)


def test_old_uses_stay_unless_others_are_clearly_better() -> None:
    """A switch drops whole sockets' subscriptions, so a little gain does not pay."""
    limits = Capabilities(1, dict.fromkeys(Mode, 100), dict.fromkeys(Mode, 98), True)
    few = _candidates([1.0] * 90)
    assert choose(few, limits, frozenset({0})) == ((Mode.FULL,),)
    assert choose(few, limits, frozenset({0}), (MODES,)) == (MODES,)
    many = _candidates([1.0] * 250)
    assert choose(many, limits, frozenset({0}), ((Mode.FULL,),)) == (MODES,)


def test_an_index_takes_the_fullest_mode_only_if_it_is_free() -> None:
    """It gains nothing from it."""
    candidates = _candidates([1.0] * 5, indices=2)
    scarce = give_modes(candidates, {Mode.FULL: 3, Mode.LTP: 9})
    assert list(scarce.values()).count(Mode.FULL) == 3
    assert scarce["NSE_INDEX|S0"] is Mode.LTP
    ample = give_modes(candidates, {Mode.FULL: 9, Mode.LTP: 9})
    assert set(ample.values()) == {Mode.FULL}
