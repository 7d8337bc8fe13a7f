"""What is listed: the broker's instrument master, registered so that ticks can refer to it."""

import time
from collections import Counter

import dagster as dg

from brokers.interface import Broker
from orchestration.automation import RETRIES, typed_failures
from orchestration.resources import Database
from storage.instruments import register


@dg.asset(
    group_name="reference",
    kinds={"python", "postgres"},
    owners=["team:market-data"],
    retry_policy=RETRIES,
    description=(
        "Every index, stock, future and option listed for the followed symbols, with the small "
        "number that ticks refer to. Listings change daily; registering twice changes nothing."
    ),
)
def instrument_master(
    broker: dg.ResourceParam[Broker], database: dg.ResourceParam[Database]
) -> dg.MaterializeResult[None]:
    """Register what the broker lists now."""
    started = time.monotonic()
    with typed_failures():
        listed = broker.instruments()
        register(database.dsn, listed)
    kinds = Counter(instrument.contract.kind.value for instrument in listed)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(listed),
            "seconds": round(time.monotonic() - started, 3),
            "symbols": len({instrument.contract.symbol for instrument in listed}),
            **{f"{kind.lower()}_count": count for kind, count in sorted(kinds.items())},
        }
    )
