"""The instrument dimension: canonical contract ids and the small numbers that ticks carry.

A number, once given to a contract, is never given to another and never removed. What the broker
lists belongs in ``brokers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from brokers.interface import Instrument
from market.contract import Contract, Kind, Right, Underlying
from storage.timescale import connect

# Registering is rare; one at a time keeps numbers dense and needs no conflict handling.
_LOCK = 7_141_002

_FIELDS = (
    "contract_id, broker_key, kind, symbol, exchange, expiry, strike, "
    '"right", lot_size_units, tick_size_rupees'
)
_STAGE = f"CREATE TEMP TABLE listed ON COMMIT DROP AS SELECT {_FIELDS} FROM instrument LIMIT 0"  # noqa: S608
_COPY = "COPY listed FROM STDIN"
_UPDATE = """
    UPDATE instrument AS known
    SET broker_key = listed.broker_key, lot_size_units = listed.lot_size_units,
        tick_size_rupees = listed.tick_size_rupees
    FROM listed
    WHERE known.contract_id = listed.contract_id
      AND (known.broker_key, known.lot_size_units, known.tick_size_rupees)
          IS DISTINCT FROM (listed.broker_key, listed.lot_size_units, listed.tick_size_rupees)
"""
_INSERT = f"""
    INSERT INTO instrument ({_FIELDS})
    SELECT {_FIELDS} FROM listed
    WHERE NOT EXISTS (SELECT 1 FROM instrument AS k WHERE k.contract_id = listed.contract_id)
    ORDER BY contract_id
"""  # noqa: S608
_READ = "SELECT contract_id, instrument_id FROM instrument JOIN listed USING (contract_id)"

_KNOWN = """
    SELECT i.symbol, i.kind, i.expiry, i.strike, i."right", spot.kind, i.exchange,
           i.broker_key, i.lot_size_units, i.tick_size_rupees
    FROM instrument AS i
    JOIN instrument AS spot ON spot.symbol = i.symbol AND spot.kind IN ('INDEX', 'EQUITY')
    WHERE i.symbol = ANY(%s) AND (i.expiry IS NULL OR i.expiry >= %s)
    ORDER BY i.symbol, i.expiry NULLS FIRST, i.strike NULLS FIRST, i."right"
"""
_BY_KEY = """
    SELECT DISTINCT ON (broker_key) broker_key, instrument_id FROM instrument
    WHERE expiry IS NULL OR expiry >= %s ORDER BY broker_key, expiry
"""

_Row = tuple[
    str, str, str, str, str, date | None, float | None, str | None, int | None, float | None
]


def register(dsn: str, instruments: Sequence[Instrument]) -> dict[str, int]:
    """Give every contract its number, keeping those that exist; contract_id → instrument_id.

    Idempotent. A broker key, lot or tick size that changed is brought up to date.

    Raises:
        DatabaseUnavailable: try again.
    """
    rows = {str(i.contract): _row(i) for i in instruments}
    with connect(dsn) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(_STAGE)
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in rows.values():
                copy.write_row(row)
        connection.execute(_UPDATE)
        connection.execute(_INSERT)
        return dict(connection.execute(_READ).fetchall())


def known(dsn: str, symbols: Sequence[str], expiring_from: date) -> tuple[Instrument, ...]:
    """What is registered of ``symbols``: spots, and contracts expiring on that day or later.

    Raises:
        DatabaseUnavailable: try again.
    """
    with connect(dsn) as connection:
        rows = connection.execute(_KNOWN, (list(symbols), expiring_from)).fetchall()
    return tuple(
        Instrument(
            Contract(symbol, Kind(kind), expiry, strike, Right(right) if right else None),
            Underlying(symbol, Kind(spot_kind), exchange),
            *listed,
        )
        for symbol, kind, expiry, strike, right, spot_kind, exchange, *listed in rows
    )


def numbers_by_key(dsn: str, day: date) -> dict[str, int]:
    """broker_key → instrument_id as it was on an exchange day.

    The exchange re-uses keys, so of the contracts with one key that had not expired before
    ``day`` the first to expire is meant.

    Raises:
        DatabaseUnavailable: try again.
    """
    with connect(dsn) as connection:
        return dict(connection.execute(_BY_KEY, (day,)).fetchall())


def _row(listed: Instrument) -> _Row:
    contract = listed.contract
    return (
        str(contract),
        listed.broker_key,
        contract.kind.value,
        contract.symbol,
        listed.underlying.exchange,
        contract.expiry,
        contract.strike,
        contract.right.value if contract.right else None,
        listed.lot_size_units,
        listed.tick_size_rupees,
    )
