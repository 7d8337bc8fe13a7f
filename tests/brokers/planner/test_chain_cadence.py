"""Chains: which are asked for, nearest first."""

from __future__ import annotations

from brokers.planner import ChainRequest, chain_plan
from tests.listings import TODAY, WEEKS, listing, spot


def test_chain_plan_takes_every_symbols_nearest_first() -> None:
    """If the budget runs out, far expiries are lost and no symbol is."""
    listed = [*listing("SENSEX"), *listing("NIFTY", WEEKS[:1])]
    plan = chain_plan(listed, ("NIFTY", "SENSEX", "UNLISTED"), 2, TODAY)
    assert plan == (
        ChainRequest(spot("NIFTY"), WEEKS[0]),
        ChainRequest(spot("SENSEX"), WEEKS[0]),
        ChainRequest(spot("SENSEX"), WEEKS[1]),
    )


def test_symbol_without_options_has_no_requests() -> None:
    """A volatility index is followed, but has no chain."""
    assert chain_plan([spot("INDIAVIX")], ("INDIAVIX",), 2, TODAY) == ()
