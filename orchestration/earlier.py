"""What was known before a window, read from the lake, for its analysis and its checks.

Only rows of windows that had ended when the window began are read, and ``transforms.context``
refuses anything younger still. What is made of them belongs in ``transforms``.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from market.session import Window
from storage.lake import Lake
from transforms.columns import Schema
from transforms.context import DAILY_VOLATILITY, FORWARDS, PREVIOUS, Context

# Ranks look back over 252 sessions, which a year and a month hold.
VOLATILITY_DAYS = 400
# How long a forward's ratio to spot can stand in for one that is not told now.
FORWARD_MINUTES = 15

# A holiday week is the longest that two trading days are apart.
PREVIOUS_DAYS = 7
# How much older than the newest chain of all a symbol's newest may be.
PREVIOUS_SPAN = "INTERVAL 1 HOUR"

# Not every chain is fetched in every window, so each has a newest window of its own.
_PREVIOUS = f"""
    WITH late AS (
        SELECT max(window_end_at) - {PREVIOUS_SPAN} AS since
        FROM chain WHERE trading_day >= $1 AND window_end_at <= $2),
    newest AS (
        SELECT symbol, expiry, max(window_end_at) AS window_end_at FROM chain
        WHERE trading_day >= $1 AND window_end_at <= $2
            AND window_end_at > (SELECT since FROM late)
        GROUP BY symbol, expiry)
    SELECT {", ".join(f"chain.{column.name}" for column in PREVIOUS.columns)}
    FROM chain JOIN newest USING (symbol, expiry, window_end_at) WHERE trading_day >= $1
"""  # noqa: S608 - names of our own schema
_FORWARDS = """
    SELECT symbol, expiry, as_of, spot, forward, forward_status FROM expiry_metrics
    WHERE trading_day = $1 AND window_end_at > $2 AND window_end_at <= $3
"""
_VOLATILITY = """
    SELECT symbol, trading_day, max(as_of) AS as_of,
        max_by(implied_volatility_30_day, as_of) AS implied_volatility_30_day
    FROM underlying_rollup
    WHERE trading_day >= $1 AND trading_day < $2 AND implied_volatility_30_day IS NOT NULL
    GROUP BY symbol, trading_day
"""


def context_before(lake: Lake, window: Window) -> Context:
    """The newest earlier chain, late forwards, and earlier days' last volatilities."""
    day, start_at = window.day, window.start_at
    since = day - timedelta(days=VOLATILITY_DAYS)
    lately = start_at - timedelta(minutes=FORWARD_MINUTES)
    return Context(
        previous=previous_chain(lake, window),
        forwards=_read(lake, FORWARDS, _FORWARDS, day, lately, start_at),
        daily_volatility=_read(lake, DAILY_VOLATILITY, _VOLATILITY, since, day),
    )


def previous_chain(lake: Lake, window: Window) -> pl.DataFrame:
    """``context.PREVIOUS`` of each newest chain before the window, of this day or an earlier one.

    How old it may be for which purpose is decided where it is used.
    """
    since = window.day - timedelta(days=PREVIOUS_DAYS)
    return _read(lake, PREVIOUS, _PREVIOUS, since, window.start_at)


def _read(lake: Lake, schema: Schema, sql: str, *parameters: object) -> pl.DataFrame:
    return schema.conform(lake.query(sql, parameters))
