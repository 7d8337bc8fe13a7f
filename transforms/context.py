"""What an analysis may know beside the snapshot itself: earlier snapshots, futures, history.

Every frame is optional and says when each row became known; rows from after the snapshot are
refused, so that no figure can look ahead. What is made of them belongs in the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import polars as pl

from market.errors import LookAhead
from transforms.columns import AS_OF, FLOAT, INSTANT, INT, SPOT, TEXT, WHO, Column, Schema

PREVIOUS = Schema(
    "previous",
    "one row per contract of the snapshot before",
    (
        Column("contract_id", TEXT, "", "canonical id", True),
        Column("as_of", INSTANT, "UTC", "instant of that snapshot", True),
        Column("premium", FLOAT, "₹", "price by the rule of ``smile``"),
        Column("open_interest_units", FLOAT, "units", "open interest then"),
        Column("volume_units", INT, "units", "day's volume then"),
        Column("forward", FLOAT, "₹", "forward then"),
        Column("spot", FLOAT, "₹", "spot then"),
        Column("delta_forward", FLOAT, "per ₹1 of forward", "delta then"),
        Column("gamma_forward", FLOAT, "per ₹1 of forward", "gamma then"),
        Column("theta_per_day", FLOAT, "₹ per calendar day", "theta then"),
        Column("implied_volatility", FLOAT, "fraction", "volatility then"),
    ),
)

FUTURES = Schema(
    "futures",
    "one row per future",
    (
        Column("symbol", TEXT, "", "underlying's symbol", True),
        Column("expiry", pl.Date, "exchange date", "expiry date", True),
        Column("bid_price", FLOAT, "₹", "best bid"),
        Column("ask_price", FLOAT, "₹", "best ask"),
        Column("last_price", FLOAT, "₹", "last traded price"),
        Column("open_interest_units", FLOAT, "units", "open interest"),
        Column("quoted_at", INSTANT, "UTC", "when it was taken", True),
    ),
)

FORWARDS = Schema(
    "forwards",
    "one row per expiry and earlier snapshot; published expiries serve as they are",
    (
        *WHO,
        AS_OF,
        SPOT,
        Column("forward", FLOAT, "₹", "forward then"),
        Column("forward_status", TEXT, "", "parity, or what stood in for it", True),
    ),
)

SPOT_BARS = Schema(
    "spot_bars",
    "one row per symbol and minute of trading",
    (
        Column("symbol", TEXT, "", "underlying's symbol", True),
        Column("trading_day", pl.Date, "exchange date", "exchange day", True),
        Column("bar_end_at", INSTANT, "UTC", "end of the minute", True),
        Column("open_price", FLOAT, "₹", "first price of the minute", True),
        Column("close_price", FLOAT, "₹", "last price of the minute", True),
    ),
)

DAILY_VOLATILITY = Schema(
    "daily_volatility",
    "one row per symbol and earlier trading day",
    (
        Column("symbol", TEXT, "", "underlying's symbol", True),
        Column("trading_day", pl.Date, "exchange date", "exchange day", True),
        Column("as_of", INSTANT, "UTC", "instant of the day's last snapshot", True),
        Column("implied_volatility_30_day", FLOAT, "fraction", "constant maturity", True),
    ),
)

_KNOWN_AT = {
    "previous": "as_of",
    "futures": "quoted_at",
    "spot_bars": "bar_end_at",
    "daily_volatility": "as_of",
    "forwards": "as_of",
}


@dataclass(frozen=True, slots=True)
class Context:
    """Frames beside the snapshot; empty where nothing is known.

    Attributes:
        previous: ``PREVIOUS``, of any symbols.
        futures: ``FUTURES``, of the same expiries.
        spot_bars: ``SPOT_BARS``, of this and earlier days.
        daily_volatility: ``DAILY_VOLATILITY``, of earlier days.
        forwards: ``FORWARDS``, of the last ten minutes.
    """

    previous: pl.DataFrame = field(default_factory=PREVIOUS.empty)
    futures: pl.DataFrame = field(default_factory=FUTURES.empty)
    spot_bars: pl.DataFrame = field(default_factory=SPOT_BARS.empty)
    daily_volatility: pl.DataFrame = field(default_factory=DAILY_VOLATILITY.empty)
    forwards: pl.DataFrame = field(default_factory=FORWARDS.empty)

    def known_at(self, as_of: datetime) -> Context:
        """The same, conforming, after a check that all of it was known at ``as_of``.

        Raises:
            SchemaMismatch: if a frame does not conform.
            LookAhead: if a row is younger than ``as_of``.
        """
        schemas = (PREVIOUS, FUTURES, SPOT_BARS, DAILY_VOLATILITY, FORWARDS)
        return Context(*(_known(schema, getattr(self, schema.name), as_of) for schema in schemas))


def _known(schema: Schema, frame: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    conforming = schema.conform(frame)
    column = _KNOWN_AT[schema.name]
    newest = cast("datetime | None", conforming[column].max())
    if newest is not None and newest > as_of.astimezone(UTC):
        raise LookAhead(
            f"context {schema.name} has a row of {column} {newest}, after the snapshot's {as_of}: "
            f"hand in only what was known then"
        )
    return conforming
