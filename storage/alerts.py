"""Alerts as they are kept: each event once, whoever stores it how often.

When one is due is decided in ``transforms.signals``; who is told, in ``streaming.alerts``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import isnan

from psycopg.types.json import Jsonb

from storage.timescale import connect
from transforms.signals.record import FORMULA_VERSION, Direction, Kind, Signal

_INSERT = """
    INSERT INTO alert (key, kind, symbol, contract_id, at, direction, level, value, score, inputs,
                       reason, formula_version)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (key) DO NOTHING
"""
_RECENT = """
    SELECT kind, symbol, contract_id, at, direction, level, value, score, inputs, reason
    FROM alert WHERE at >= %s ORDER BY at DESC, key DESC LIMIT %s
"""


def store(dsn: str, signals: Sequence[Signal]) -> int:
    """Keep signals, all or none; how many of them were new.

    Raises:
        DatabaseUnavailable: nothing was kept; try again.
    """
    with connect(dsn) as connection, connection.cursor() as cursor:
        # Several rows a call; the count is of rows that were not there yet.
        cursor.executemany(_INSERT, [_row(signal) for signal in signals])
        return max(cursor.rowcount, 0)


def recent(dsn: str, since: datetime, limit: int) -> list[Signal]:
    """The newest signals, oldest of them first; their inputs in the database's order.

    Raises:
        DatabaseUnavailable: try again.
    """
    with connect(dsn) as connection:
        rows = connection.execute(_RECENT, (since, limit)).fetchall()
    return [_signal(*row) for row in reversed(rows)]


def _row(signal: Signal) -> tuple[object, ...]:
    # JSON has no NaN: what was not known is left out.
    inputs = {name: value for name, value in signal.inputs if not isnan(value)}
    return (
        signal.key,
        signal.kind.value,
        signal.symbol,
        signal.contract_id,
        signal.at,
        signal.direction.value,
        signal.level,
        signal.value,
        signal.score,
        Jsonb(inputs),
        signal.reason,
        FORMULA_VERSION,
    )


def _signal(  # noqa: PLR0917 - the columns of one row, in their order
    kind: str,
    symbol: str,
    contract_id: str,
    at: datetime,
    direction: str,
    level: float | None,
    value: float,
    score: float | None,
    inputs: dict[str, float],
    reason: str,
) -> Signal:
    return Signal(
        Kind(kind),
        symbol,
        contract_id,
        at,
        Direction(direction),
        level,
        value,
        score,
        tuple(inputs.items()),
        reason,
    )
