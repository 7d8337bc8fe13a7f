"""Who opened and who closed: price against open interest, over the day and since the last snapshot.

The market's rule reads the price itself, so that every call shows a long build-up whenever spot
rises. The flow reads what is left of the premium's change once spot and time are taken out, which
is the change that volatility, and so demand, has made. Sums of open interest belong in
``sentiment``, and what is impossible is told by ``quality``.

The residual is ε = ΔV − (∫Δ dF + Θ̄·Δt), with the integral over the forward's move h taken from
both its ends by the corrected trapezoidal rule, Δ̄·h − (Γ_now − Γ_then)·h²/12 (P. Davis and
P. Rabinowitz, "Methods of Numerical Integration", 1984, §2.9), and Θ̄ the mean of both snapshots.
The mean delta already holds the ½Γh² of an expansion from one end. To first order ε is vega times
the change of volatility.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.rules import IST
from transforms.aggregates import finite
from transforms.columns import INSTANT
from transforms.kernel import compiled
from transforms.layout import beside, columns_of, floats

Floats = NDArray[np.float64]
Places = NDArray[np.int8]
Terms = tuple[Floats, ...]

BUILD_UPS = ("long_build_up", "short_build_up", "long_unwinding", "short_covering", "neutral")
FLOWS = ("bought", "written", "covered", "exited", "neutral")

OLDEST_PREVIOUS = timedelta(minutes=30)
"""A snapshot before this, or of another day, is no start of an interval."""

_LEAST_SHARE = 0.005
_LEAST_LOTS = 5
# A difference of two prices that are one tick apart is off by rounding.
_ROUNDING = 1 - 1e-6
_MICROSECONDS_PER_DAY = 86_400_000_000

# Three rows (price falls, stays, rises) of three (open interest falls, stays, rises), and unknown.
_STAYS = ("neutral", "neutral", "neutral")
_BUILD_UP_WORDS = pl.Series(
    [
        *("long_unwinding", "neutral", "short_build_up"),
        *_STAYS,
        *("short_covering", "neutral", "long_build_up"),
        None,
    ]
)
_FLOW_WORDS = pl.Series(
    [*("exited", "neutral", "written"), *_STAYS, *("covered", "neutral", "bought"), None]
)
_UNKNOWN = 9

_DAY = (
    "last_price",
    "previous_close_price",
    "open_interest_units",
    "previous_open_interest_units",
    "lot_size_units",
)
_LAST, _CLOSE, _HELD_NOW, _HELD_BEFORE, _LOT = range(5)
_TERMS = (
    "premium",
    "open_interest_units",
    "volume_units",
    "forward",
    "delta_forward",
    "gamma_forward",
    "theta_per_day",
)
_PREMIUM, _HELD, _TRADED, _FORWARD, _DELTA, _GAMMA, _THETA = range(7)


def with_build_up(
    contracts: pl.DataFrame, previous: pl.DataFrame, as_of: datetime, tick_rupees: float
) -> pl.DataFrame:
    """Add ``columns.BUILD_UP`` to each contract.

    A change counts if the price moved a tick or more and open interest by max(0.5 %, 5 lots) or
    more; else the word is ``neutral``, and null if a figure is missing. The flow is null too where
    open interest changed by more than was traded, which cannot be.

    Args:
        contracts: ``schemas.QUOTES`` with ``premium``, ``forward`` and the Greeks.
        previous: ``context.PREVIOUS``; rows of the same exchange day, before ``as_of`` and not
            older than ``OLDEST_PREVIOUS`` count.
        as_of: the instant of the snapshot, aware.
        tick_rupees: smallest price step, ₹.
    """
    then, days = _start(contracts["contract_id"], previous, as_of)
    changes, places = read_rows(
        _terms(contracts, _DAY), _terms(contracts, _TERMS), then, days, tick_rupees
    )
    columns = {
        "interval_open_interest_change_units": changes[0],
        "residual_premium": changes[1],
    }
    words = (
        _BUILD_UP_WORDS[places[0]].alias("build_up"),
        _BUILD_UP_WORDS[places[1]].alias("build_up_interval"),
        _FLOW_WORDS[places[2]].alias("flow"),
    )
    return beside(contracts.with_columns(open_interest_change()), [*columns_of(columns), *words])


def open_interest_change(side: str = "") -> pl.Expr:
    """Open interest less the previous day's, units; ``side`` is a prefix such as ``call_``."""
    now, before = (pl.col(f"{side}{name}") for name in (_DAY[_HELD_NOW], _DAY[_HELD_BEFORE]))
    return finite(now - before).alias(f"{side}open_interest_change_units")


def _terms(frame: pl.DataFrame, names: tuple[str, ...]) -> Terms:
    return tuple(floats(frame, name) for name in names)


def _start(
    contract_ids: pl.Series, previous: pl.DataFrame, as_of: datetime
) -> tuple[Terms, Floats]:
    """``_TERMS`` of each contract when its interval began, and the days since; else NaN."""
    if previous.is_empty():
        unknown = np.full(len(contract_ids), np.nan)
        return (unknown,) * len(_TERMS), unknown
    local = as_of.astimezone(IST)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    earliest = max(midnight, local - OLDEST_PREVIOUS).astimezone(UTC)
    now = pl.lit(as_of.astimezone(UTC), INSTANT)
    usable = previous.filter((pl.col("as_of") >= earliest) & (pl.col("as_of") < now)).with_columns(
        days=(now - pl.col("as_of")).dt.total_microseconds() / _MICROSECONDS_PER_DAY
    )
    rows = _rows_in(usable["contract_id"], contract_ids)
    start = usable[[*_TERMS, "days"]][rows]
    return _terms(start, _TERMS), floats(start, "days")


def _rows_in(known: pl.Series, wanted: pl.Series) -> pl.Series:
    """The row of each wanted id in ``known``, the last of several; null where it has none."""
    if len(known) == len(wanted) and (known == wanted).all():
        # Nothing was listed or dropped since: the usual case, and much cheaper than a join.
        return pl.Series(np.arange(len(known), dtype=np.uint32))
    if known.is_empty():
        return pl.Series([None], dtype=pl.UInt32).new_from_index(0, len(wanted))
    rows = pl.DataFrame({"id": known}).with_row_index("row")
    if known.n_unique() < len(known):
        rows = rows.unique("id", keep="last")
    sought = pl.DataFrame({"id": wanted})
    return sought.join(rows, on="id", how="left", maintain_order="left")["row"]


@compiled
def read_rows(
    day: Terms, now: Terms, then: Terms, days: Floats, tick_rupees: float
) -> tuple[Floats, Places]:
    """Changes since the last snapshot, shape (2, n), and places of the three words, shape (3, n).

    Args:
        day: ``last_price``, ``previous_close_price``, ``open_interest_units``,
            ``previous_open_interest_units``, ``lot_size_units``; NaN where not known.
        now, then: ``premium``, ``open_interest_units``, ``volume_units``, ``forward`` and
            the Greeks at both ends of the interval.
        days: length of the interval, calendar days.
        tick_rupees: smallest price step, ₹.

    Returns:
        Change of open interest (units) and residual premium (₹), NaN where not known; places of
        the day's build-up, the interval's and the flow in their tables of words.
    """
    count = len(days)
    changes, places = np.empty((2, count)), np.empty((3, count), dtype=np.int8)
    for i in range(count):
        lot, before = day[_LOT][i], then[_HELD][i]
        held = now[_HELD][i] - before
        residual = _residual(now, then, days[i], i)
        changes[0, i], changes[1, i] = _known(held), residual
        places[0, i] = _day_place(day, tick_rupees, i)
        premium = now[_PREMIUM][i] - then[_PREMIUM][i]
        places[1, i] = _place(premium, held, before, lot, tick_rupees)
        is_impossible = abs(held) > now[_TRADED][i] - then[_TRADED][i]
        flow = math.nan if is_impossible else residual
        places[2, i] = _place(flow, held, before, lot, tick_rupees)
    return changes, places


@compiled
def _known(value: float) -> float:
    return value if math.isfinite(value) else math.nan


@compiled
def _residual(now: Terms, then: Terms, days: float, i: int) -> float:
    """What spot and time do not explain of the premium's change, ₹."""
    move = now[_FORWARD][i] - then[_FORWARD][i]
    by_spot = 0.5 * (now[_DELTA][i] + then[_DELTA][i]) * move
    by_spot -= (now[_GAMMA][i] - then[_GAMMA][i]) * move**2 / 12.0
    by_time = 0.5 * (now[_THETA][i] + then[_THETA][i]) * days
    return _known(now[_PREMIUM][i] - then[_PREMIUM][i] - by_spot - by_time)


@compiled
def _day_place(day: Terms, tick_rupees: float, i: int) -> int:
    last, close, before = day[_LAST][i], day[_CLOSE][i], day[_HELD_BEFORE][i]
    price = last - close if last > 0.0 and close > 0.0 else math.nan
    return _place(price, day[_HELD_NOW][i] - before, before, day[_LOT][i], tick_rupees)


@compiled
def _place(price: float, held: float, before: float, lot: float, tick_rupees: float) -> int:
    """The place in a table of words; the last if a change is not known."""
    if not (math.isfinite(price) and math.isfinite(held)):
        return _UNKNOWN
    # A lot that is not known leaves the share alone to decide.
    least = max(_LEAST_SHARE * before, _LEAST_LOTS * lot if lot > 0.0 else 0.0)
    return 3 * (_step(price, tick_rupees) + 1) + _step(held, least) + 1


@compiled
def _step(change: float, least: float) -> int:
    """+1 or −1; 0 if it is less than the least that counts."""
    if change == 0.0 or abs(change) < least * _ROUNDING:
        return 0
    return 1 if change > 0.0 else -1


def warm() -> None:
    """Compile every kernel once and leave it in the cache, so that no live path compiles."""
    one = np.ones(1)
    terms = (one,) * len(_TERMS)
    read_rows((one,) * len(_DAY), terms, terms, one, 0.05)
