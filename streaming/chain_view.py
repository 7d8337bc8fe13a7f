"""One symbol's latest chain, turned once into the arrays that the live state merges and marks.

Pure and costly (milliseconds), so the pipeline runs it in a thread. Its numbers are those of
``transforms.chain.analyse``: nothing is computed here, only laid out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date

import numpy as np
import polars as pl

from market import live_frame
from market.contract import Right
from market.rules import Rules
from streaming.catalogue import Option
from streaming.table import Floats
from transforms.chain import analyse
from transforms.forward import FORWARD_STATUSES
from transforms.implied_vol import IV_STATUSES
from transforms.level_grid import LevelGrid
from transforms.marking import ChainMark
from transforms.schemas import QUOTES

QUOTE_COLUMNS = (
    "last_price",
    "bid_price",
    "ask_price",
    "volume_units",
    "open_interest_units",
    "previous_open_interest_units",
)
GREEK_COLUMNS = ("delta_forward", "gamma_forward", "theta_per_day", "vega_per_vol_point")


def _of_snapshot(shown: Sequence[str]) -> tuple[str, ...]:
    """What a snapshot tells of the columns that are shown: all but the instant of a mark."""
    return tuple("as_of" if name == "chain_at_ms" else name for name in shown if name != _MARKED)


_MARKED = "marked_at_ms"
EXPIRY_COLUMNS = _of_snapshot(live_frame.EXPIRY_COLUMNS)
STRIKE_COLUMNS = _of_snapshot(live_frame.STRIKE_COLUMNS)
LEVELS = ("call_wall", "put_wall", "gamma_flip")
UNDERLYING_COLUMNS = (
    "forward",
    "net_gex_crore_per_percent",
    "pcr_open_interest",
    "pcr_volume",
    "atm_implied_volatility",
    "as_of",
)


@dataclass(frozen=True, slots=True)
class ChainView:
    """Arrays of one chain; NaN is null, instants are epoch ms, statuses index into their lists.

    Attributes:
        options: the contracts, ordered as ``mark.contract_ids``.
        quotes: per contract, ``QUOTE_COLUMNS``, told at ``quoted_at_ms``.
        volatilities: per contract: implied volatility, its status, and its instant.
        greeks: per contract, ``GREEK_COLUMNS``, as of ``as_of_ms``.
        strikes, expiries, underlying: values of the columns of that name, ordered as ``mark``.
        nearest_expiry: the expiry whose forward the underlying shows.
        spot: newest price of the underlying in the chain (₹), told at ``spot_at_ms``.
        mark: the same chain, to be priced exactly at another spot and instant.
        grid: its levels about ``spot`` from the newest instant on, to be read at every tick.
        levels: ₹ of the nearest expiry, by the names of ``LEVELS``; NaN where there is none.
    """

    symbol: str
    options: tuple[Option, ...]
    quotes: Floats
    quoted_at_ms: Floats
    volatilities: Floats
    greeks: Floats
    as_of_ms: Floats
    strikes: Floats
    expiries: Floats
    underlying: Floats
    nearest_expiry: date
    spot: float
    spot_at_ms: float
    mark: ChainMark
    grid: LevelGrid
    levels: Mapping[str, float]


def view_of(contracts: pl.DataFrame, rules: Rules) -> ChainView:
    """Lay out the chain of one symbol.

    Args:
        contracts: ``schemas.CONTRACTS``, at least one row, of one symbol; expiries may have been
            taken at different instants.
    """
    rows = contracts.sort("expiry", "strike", "is_call")
    quotes = rows.select(QUOTES.polars.names())
    # Time to expiry counts from each chain's own instant, not from that of the newest one.
    instants = rows["as_of"].unique().sort()
    parts = [analyse(quotes.filter(rows["as_of"] == at), at, rules) for at in instants]
    strikes = pl.concat(part.strikes for part in parts).sort("expiry", "strike")
    expiries = pl.concat(part.expiries for part in parts).sort("expiry")
    as_of = instants[-1].astimezone(UTC)
    whole = parts[0] if len(parts) == 1 else analyse(quotes, as_of, rules)
    quoted_at_ms, as_of_ms = _ms(rows["quoted_at"]), _ms(rows["as_of"])
    newest = rows.sort("quoted_at").filter(pl.col("spot").is_not_null()).tail(1)
    spot = float(newest["spot"][0]) if len(newest) else float("nan")
    status = _codes(rows["iv_status"], IV_STATUSES)
    return ChainView(
        symbol=rows["symbol"][0],
        options=_options(rows),
        quotes=_block(rows, QUOTE_COLUMNS),
        quoted_at_ms=quoted_at_ms,
        volatilities=np.column_stack((_block(rows, ("implied_volatility",)), status, as_of_ms)),
        greeks=_block(rows, GREEK_COLUMNS),
        as_of_ms=as_of_ms,
        strikes=_block(strikes, STRIKE_COLUMNS),
        expiries=_block(expiries, EXPIRY_COLUMNS),
        underlying=_block(whole.underlyings, UNDERLYING_COLUMNS),
        nearest_expiry=whole.underlyings["nearest_expiry"][0],
        spot=spot,
        spot_at_ms=float(_ms(newest["quoted_at"])[0]) if len(newest) else float("nan"),
        mark=ChainMark(rows, rules),
        grid=LevelGrid(rows, rules, spot, as_of),
        levels=dict(zip(LEVELS, _block(expiries.head(1), LEVELS)[0].tolist(), strict=True)),
    )


def _options(rows: pl.DataFrame) -> tuple[Option, ...]:
    names = ("contract_id", "symbol", "expiry", "strike", "is_call", "lot_size_units")
    return tuple(
        Option(contract_id, symbol, expiry, strike, Right.CALL if is_call else Right.PUT, lot)
        for contract_id, symbol, expiry, strike, is_call, lot in rows.select(names).iter_rows()
    )


def _block(frame: pl.DataFrame, names: Sequence[str]) -> Floats:
    """Columns as float64, shape (rows, columns)."""
    return np.column_stack([_floats(frame[name]) for name in names])


def _floats(column: pl.Series) -> Floats:
    if isinstance(column.dtype, pl.Datetime):
        return _ms(column)
    if column.dtype == pl.String:
        return _codes(column, FORWARD_STATUSES)
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _ms(instants: pl.Series) -> Floats:
    micros: Floats = instants.dt.epoch("us").cast(pl.Float64).to_numpy() / 1000
    return micros


def _codes(names: pl.Series, known: Sequence[str]) -> Floats:
    """Each name's place among the known ones; NaN for any other."""
    places = {name: float(i) for i, name in enumerate(known)}
    return np.array([places.get(name, float("nan")) for name in names], np.float64)
