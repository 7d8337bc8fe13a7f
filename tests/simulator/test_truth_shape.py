"""The truth as JSON, against the market that it is told of."""

from __future__ import annotations

from datetime import UTC, datetime

from market.rules import rules_for
from simulator.exchange.market import Market
from simulator.truth_shape import truth

_NOON = datetime(2026, 11, 25, 6, 30, tzinfo=UTC)
_MARKET = Market(7, rules_for("nse"), ["NIFTY", "RELIANCE"])


def test_truth_is_the_markets_own() -> None:
    """Spot, forwards and every option of the symbols asked for, nothing of the others."""
    told, known = truth(_MARKET, _NOON, ["NIFTY"]), _MARKET.truth(_NOON)
    assert told["spot"] == {"NIFTY": known.spot["NIFTY"]}
    forwards = {(row["symbol"], row["expiry"]): row["forward"] for row in told["forward"]}
    assert forwards == {
        (s, e.isoformat()): forward for (s, e), forward in known.forward.items() if s == "NIFTY"
    }
    for contract in told["contracts"]:
        row = known.listing.row_of_key[contract["instrument_key"]]
        assert contract["contract_id"] == str(known.listing.rows[row].contract)
        assert contract["price"] == known.price[row]
        assert contract["implied_volatility"] == known.implied_volatility[row]
        assert contract["years_to_expiry"] == known.years_to_expiry[row]
        assert contract["open_interest_units"] == known.open_interest_units[row]
    options = sum(rows.size for (s, _), rows in known.listing.chains.items() if s == "NIFTY")
    assert len(told["contracts"]) == options
