"""One observation of one instrument, as a frozen record with two timestamps.

For borders where a single tick is handled by name. The hot path carries columns
(``brokers.interface.FeedFrame``), not these. ``None`` means "not told", never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Quote:
    """The best bid and ask; prices in ₹, quantities in units.

    Attributes:
        event_at: when the exchange published it (aware UTC).
        received_at: when we took it (aware UTC); skewed clocks can put it before ``event_at``.
    """

    contract_id: str
    event_at: datetime
    received_at: datetime
    bid_price: float | None = None
    bid_quantity_units: int | None = None
    ask_price: float | None = None
    ask_quantity_units: int | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """The last trade and the counters that came with it; prices in ₹, quantities in units.

    Attributes:
        event_at: when the exchange published it (aware UTC).
        received_at: when we took it (aware UTC).
        traded_at: when the last trade happened, which can be long before ``event_at``.
        is_snapshot: state sent after a subscription, not a new event.
    """

    contract_id: str
    event_at: datetime
    received_at: datetime
    last_price: float | None = None
    last_quantity_units: int | None = None
    traded_at: datetime | None = None
    volume_units: int | None = None
    open_interest_units: float | None = None
    is_snapshot: bool = False

    @property
    def latency(self) -> timedelta:
        """Publication to receipt; can be negative when clocks differ."""
        return self.received_at - self.event_at
