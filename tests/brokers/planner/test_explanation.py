"""An explanation: its counts are the plan's, and its reasons are in words."""

from __future__ import annotations

import json

from brokers.interface import Capabilities, Mode
from brokers.planner import chain_cadence, chain_plan, explain, feed_plan, poll_cadence
from brokers.upstox.limits import KEYS_ALONE, KEYS_COMBINED
from market.contract import Kind
from tests.listings import TODAY, WEEKS, listing

STRIKES = tuple(float(k) for k in range(50, 160, 10))
MARKET = [*listing("NIFTY", WEEKS[:2], STRIKES), *listing("TCS", WEEKS[:2], STRIKES, Kind.EQUITY)]


def test_counts_and_room_are_the_plans() -> None:
    """Where limits are the user's, each socket tells the same room."""
    plan = feed_plan(MARKET, {"NIFTY": 100.0}, 2, TODAY, Capabilities(2, KEYS_ALONE, KEYS_COMBINED))
    told = explain(plan)
    assert sum(s.keys["full"] for s in told.sockets) == len(plan.instruments) == 13
    assert {s.room["full"] for s in told.sockets} == {2000 - 13}
    assert [(t.tier, t.symbols, t.strikes_each_side) for t in told.tiers] == [
        ("index", 1, 2.0),
        ("first", 1, 0.0),
    ]
    assert told.staleness_seconds < told.polled_staleness_seconds
    assert any("1 symbols wait" in reason for reason in told.reasons)


def test_what_does_not_fit_and_who_is_dead_is_said() -> None:
    """Polled keys with their period, a dead socket, chains that are not in every window."""
    few = Capabilities(2, dict.fromkeys(Mode, 8), dict.fromkeys(Mode, 0), is_per_socket=True)
    prices = {"NIFTY": 100.0, "TCS": 100.0}
    plan = feed_plan(MARKET, prices, 2, TODAY, few, alive=(1,))
    chains = chain_cadence(chain_plan(MARKET, ("NIFTY", "TCS"), 2, TODAY), 1, 2.5)
    told = explain(plan, chains, poll_cadence(len(plan.polled), 30.0, 10.0))
    assert [s.is_alive for s in told.sockets] == [False, True]
    assert told.sockets[0].room == {}
    assert (told.polled.keys, told.polled.first_seconds) == (len(plan.polled), 30.0)
    text = " ".join(told.reasons)
    assert all(word in text for word in ("[0] are dead", "over REST", "of 4 chains", "unknown"))
    assert sum(sum(t.chain_minutes.values()) for t in told.tiers) == 4
    assert sum(t.keys["polled"] for t in told.tiers) == len(plan.polled)


def test_it_is_plain_json() -> None:
    """For a machine on the other side of a socket."""
    plan = feed_plan(MARKET, {}, 2, TODAY, Capabilities(1, KEYS_ALONE, KEYS_COMBINED))
    assert json.loads(json.dumps(explain(plan).as_json()))["sockets"][0]["index"] == 0
