"""Feed plans: everything somewhere, within the limits, heaviest best, and steady."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.interface import Capabilities, Instrument, Mode
from brokers.planner import FeedPlan, feed_plan
from brokers.planner.candidates import wanted
from brokers.planner.uses import MODES
from brokers.upstox.limits import KEYS_ALONE, KEYS_COMBINED
from market.contract import Kind
from tests.listings import TODAY, WEEKS, listing

NORMAL = Capabilities(2, KEYS_ALONE, KEYS_COMBINED)
STRIKES = tuple(float(k) for k in range(50, 160, 10))
MARKET = [
    *listing("NIFTY", WEEKS[:2], STRIKES),
    *listing("SENSEX", WEEKS[1:2], STRIKES),
    *listing("TCS", WEEKS[:1], STRIKES, Kind.EQUITY),
    *listing("ITC", WEEKS[:1], STRIKES, Kind.EQUITY),
]
SPOTS = {"NIFTY": 101.0, "SENSEX": 88.0, "TCS": 72.0, "ITC": 130.0}
PRIORITIES = ("ITC", "TCS")
_RANK = {mode: rank for rank, mode in enumerate(MODES)}


@st.composite
def _capabilities(draw: st.DrawFn) -> Capabilities:
    few = st.integers(0, 60)
    combined = {mode: draw(few) for mode in Mode}
    alone = {mode: limit + draw(few) for mode, limit in combined.items()}
    return Capabilities(draw(st.integers(0, 4)), alone, combined, draw(st.booleans()))


@st.composite
def _life(draw: st.DrawFn) -> list[tuple[dict[str, float], frozenset[int]]]:
    """Prices that wander and sockets that die and come back."""
    spots = {s: st.floats(40, 170) for s in SPOTS}
    step = st.tuples(
        st.fixed_dictionaries({}, optional=spots), st.frozensets(st.integers(0, 3), max_size=4)
    )
    return draw(st.lists(step, min_size=1, max_size=5))


def _planned(
    spots: Mapping[str, float],
    capabilities: Capabilities,
    previous: FeedPlan | None = None,
    alive: frozenset[int] | None = None,
    each_side: int = 3,
) -> FeedPlan:
    return feed_plan(
        MARKET,
        spots,
        each_side,
        TODAY,
        capabilities,
        previous=previous,
        alive=alive,
        priorities=PRIORITIES,
    )


def _check_limits(plan: FeedPlan, capabilities: Capabilities) -> None:
    per_socket = [Counter(plan.wanted(s.index).values()) for s in plan.sockets]
    counted = per_socket if capabilities.is_per_socket else [sum(per_socket, Counter())]
    for by_mode in counted:
        limits = capabilities.keys_alone if len(by_mode) == 1 else capabilities.keys_combined
        assert all(count <= limits[mode] for mode, count in by_mode.items())


@settings(max_examples=150, deadline=None)
@given(_capabilities(), _life())
def test_a_plan_always_fits_and_loses_nothing(
    capabilities: Capabilities, life: list[tuple[dict[str, float], frozenset[int]]]
) -> None:
    """For any limits and any history: no key twice, no limit broken, all wanted is somewhere."""
    plan: FeedPlan | None = None
    for spots, alive in life:
        plan = _planned(spots, capabilities, plan, alive)
        on_sockets = [i.broker_key for i in plan.instruments]
        polled = [i.broker_key for i in plan.polled]
        assert len({*on_sockets, *polled}) == len(on_sockets) + len(polled)
        chosen = wanted(MARKET, spots, 3, TODAY, PRIORITIES)
        assert set(plan.money) == set(chosen.money)
        assert {i.broker_key for i in MARKET if i.contract.expiry is None} <= {*on_sockets, *polled}
        assert all(not s.by_mode for s in plan.sockets if s.index not in alive)
        assert len(plan.sockets) == capabilities.sockets
        _check_limits(plan, capabilities)
        assert plan.staleness_seconds <= plan.polled_staleness_seconds + 1e-9


@settings(max_examples=150, deadline=None)
@given(_capabilities(), st.integers(0, 6))
def test_heavier_never_gets_less(capabilities: Capabilities, each_side: int) -> None:
    """A first plan gives the more telling mode to the heavier; all that is wanted is somewhere."""
    plan = _planned(SPOTS, capabilities, each_side=each_side)
    modes = {key: mode for s in plan.sockets for key, mode in plan.wanted(s.index).items()}
    candidates = wanted(MARKET, SPOTS, each_side, TODAY, PRIORITIES).candidates
    assert {c.instrument.broker_key for c in candidates} == {
        *modes,
        *(i.broker_key for i in plan.polled),
    }
    ranks = [
        _RANK[modes[key]] if (key := c.instrument.broker_key) in modes else len(_RANK)
        for c in candidates
        if not c.is_index_spot
    ]
    assert ranks == sorted(ranks)


@settings(max_examples=150, deadline=None)
@given(_capabilities(), _life())
def test_planning_again_changes_nothing(
    capabilities: Capabilities, life: list[tuple[dict[str, float], frozenset[int]]]
) -> None:
    """The same inputs give the same plan: at once the first time, soon after any history."""
    first = _planned(life[0][0], capabilities, None, life[0][1])
    assert _planned(life[0][0], capabilities, first, life[0][1]) == first
    plan = first
    for spots, alive in [*life, life[-1], life[-1], life[-1]]:
        plan = _planned(spots, capabilities, plan, alive)
    spots, alive = life[-1]
    assert _planned(spots, capabilities, plan, alive) == plan


def test_a_small_move_changes_nothing() -> None:
    """A spot that trembles within its strike keeps every subscription where it is."""
    plan = _planned(SPOTS, NORMAL)
    moved = {symbol: price + 2.9 for symbol, price in SPOTS.items()}
    assert _planned(moved, NORMAL, plan) == plan


def test_strikes_that_were_left_stay_while_there_is_room() -> None:
    """The money goes away and comes back: what was subscribed is not dropped on the way."""
    plan = _planned(SPOTS, NORMAL)
    away = _planned({**SPOTS, "NIFTY": 131.0}, NORMAL, plan)
    keys = {i.broker_key for i in plan.instruments}
    assert keys < {i.broker_key for i in away.instruments}
    tight = Capabilities(2, dict.fromkeys(Mode, len(keys)), dict.fromkeys(Mode, 0))
    tight_plan = _planned({**SPOTS, "NIFTY": 131.0}, tight, plan)
    assert len(tight_plan.instruments) == len(keys)
    assert "NIFTY-20261201-150-CE" in {i.broker_key for i in tight_plan.instruments}


def test_a_dead_sockets_keys_move_and_come_home() -> None:
    """Where the limits are the user's all of them fit elsewhere; home again, all is as before."""
    plan = _planned(SPOTS, NORMAL)
    without = _planned(SPOTS, NORMAL, plan, frozenset({1}))
    assert without.wanted(0) == {}
    assert without.wanted(1) == {**plan.wanted(0), **plan.wanted(1)}
    home = _planned(SPOTS, NORMAL, without)
    assert [home.wanted(i) for i in (0, 1)] == [plan.wanted(i) for i in (0, 1)]


def test_a_dead_socket_costs_the_lightest() -> None:
    """Where each socket has its own limit, the heaviest of the dead one's keys push others out."""
    each = Capabilities(2, dict.fromkeys(Mode, 20), dict.fromkeys(Mode, 0), is_per_socket=True)
    plan = _planned(SPOTS, each, alive=frozenset({0}))
    assert len(plan.instruments) == 20
    candidates = wanted(MARKET, SPOTS, 3, TODAY, PRIORITIES).candidates
    heaviest = {c.instrument.broker_key for c in candidates[:20]}
    assert {i.broker_key for i in plan.instruments} == heaviest


def _halves(plan: FeedPlan, kind: Kind) -> list[set[int]]:
    """The sockets of each strike's two rights, or of each index's spot and future."""
    found: dict[tuple[object, ...], set[int]] = {}
    for socket in plan.sockets:
        for i in socket.instruments:
            c = i.contract
            is_option = c.kind is Kind.OPTION
            if is_option is (kind is Kind.OPTION):
                key = (c.symbol, c.strike)
                found.setdefault(key, set()).add(socket.index)
    return list(found.values())


def test_two_halves_of_a_pair_are_apart() -> None:
    """One dead socket leaves each strike a right, and each index its spot or its future."""
    plan = _planned(SPOTS, NORMAL, each_side=5)
    assert all(len(sockets) == 2 for sockets in _halves(plan, Kind.OPTION))
    assert sum(len(sockets) == 2 for sockets in _halves(plan, Kind.INDEX)) == 2
    counts = [len(s.instruments) for s in plan.sockets]
    assert max(counts) - min(counts) <= 4


def test_what_is_gone_from_the_list_is_dropped() -> None:
    """A contract that is no longer listed, or over, is not kept for old times' sake."""
    plan = _planned(SPOTS, NORMAL)
    left: list[Instrument] = [i for i in MARKET if i.contract.symbol != "TCS"]
    later = feed_plan(left, SPOTS, 3, WEEKS[1], NORMAL, previous=plan)
    assert {i.contract.symbol for i in later.instruments} == {"NIFTY", "SENSEX", "ITC"}
    assert {i.contract.expiry for i in later.instruments} == {None, WEEKS[1]}


def test_no_socket_at_all_polls_everything() -> None:
    """Where all prices come over REST the plan says which, heaviest first."""
    none = Capabilities(0, KEYS_ALONE, KEYS_COMBINED)
    plan = _planned(SPOTS, none)
    assert plan.sockets == ()
    assert plan.wanted(0) == {}
    assert [i.contract.symbol for i in plan.polled[:2]] == ["NIFTY", "SENSEX"]
    assert plan.staleness_seconds == plan.polled_staleness_seconds
