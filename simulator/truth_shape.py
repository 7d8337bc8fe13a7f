"""The truth as JSON, for those who check a client's figures from outside the process.

Not part of the broker's protocol: only the console serves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from simulator.exchange.market import Market
from simulator.rest.records import Json


def truth(market: Market, instant: datetime, symbols: Sequence[str]) -> Json:
    """What the market knows of ``symbols`` at ``instant``: spots, forwards, every option."""
    found = market.truth(instant)
    rows = [i for i, row in enumerate(found.listing.rows) if row.contract.symbol in symbols]
    return {
        "at": found.at.astimezone(UTC).isoformat(),
        "spot": {s: found.spot[s] for s in symbols},
        "hedging": found.hedging,
        "gamma_ratio": {s: found.gamma_ratio[s] for s in symbols},
        "volatility_per_minute": {s: found.volatility_per_minute[s] for s in symbols},
        "events": [
            {
                "symbol": event.symbol,
                "starts_at": event.starts_at.isoformat(),
                "ends_at": event.ends_at.isoformat(),
                "multiple": event.multiple,
            }
            for event in found.events
            if event.symbol in symbols
        ],
        "forward": [
            {"symbol": s, "expiry": e.isoformat(), "forward": forward}
            for (s, e), forward in found.forward.items()
            if s in symbols
        ],
        "contracts": [
            {
                "contract_id": str(found.listing.rows[i].contract),
                "instrument_key": found.listing.rows[i].key,
                "price": float(found.price[i]),
                "implied_volatility": float(found.implied_volatility[i]),
                "years_to_expiry": float(found.years_to_expiry[i]),
                "open_interest_units": int(found.open_interest_units[i]),
            }
            for i in rows
            if found.listing.sign[i] != 0
        ],
    }
