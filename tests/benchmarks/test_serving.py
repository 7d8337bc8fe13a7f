"""What the clients of the benchmark ask for; the timing itself is not tested."""

from __future__ import annotations

from benchmarks.serving import START, SYMBOLS, nearest_keys
from market.rules import rules_for
from simulator.exchange.market import Market


def test_the_nearest_keys() -> None:
    """Spots and futures, then options ever further from the money, each key once."""
    market = Market(7, rules_for("nse"), SYMBOLS)
    listing, spot = market.listing(START), market.truth(START).spot
    keys = nearest_keys(market, START, 300)
    assert len(set(keys)) == 300
    contracts = [listing.rows[listing.row_of_key[key]].contract for key in keys]
    away = [abs((c.strike or spot[c.symbol]) / spot[c.symbol] - 1.0) for c in contracts]
    assert away == sorted(away)
    assert {c.symbol for c in contracts} == set(SYMBOLS)
