"""Each frame's columns, types and units, declared once.

Writers cast to these, checks and table definitions are made from them, and the docs list them.
Formulas do not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl

from market.errors import SchemaMismatch

INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, unit and meaning; ``is_required`` columns are never null."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    unit: str
    meaning: str
    is_required: bool = False


@dataclass(frozen=True)
class Schema:
    """A frame's name, grain ("one row per …") and columns."""

    name: str
    grain: str
    columns: tuple[Column, ...]

    @cached_property
    def polars(self) -> pl.Schema:
        """The same as a Polars schema."""
        return pl.Schema({c.name: c.dtype for c in self.columns})

    def empty(self) -> pl.DataFrame:
        """A frame without rows."""
        return pl.DataFrame(schema=self.polars)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with exactly these columns, in order and cast.

        Raises:
            SchemaMismatch: if a column is missing, cannot be cast, or is required and null.
        """
        missing = [c.name for c in self.columns if c.name not in frame.columns]
        if missing:
            raise SchemaMismatch(f"frame {self.name} lacks columns {missing}")
        try:
            cast = frame.select(pl.col(c.name).cast(c.dtype) for c in self.columns)
        except pl.exceptions.PolarsError as error:
            raise SchemaMismatch(f"frame {self.name}: {error}") from error
        required = [c.name for c in self.columns if c.is_required]
        nulls = [name for name in required if cast[name].null_count()]
        if nulls:
            raise SchemaMismatch(f"frame {self.name} has nulls in required columns {nulls}")
        return cast


_TEXT, _FLOAT, _INT = pl.String, pl.Float64, pl.Int64

_WHO = (
    Column("symbol", _TEXT, "", "underlying's symbol", True),
    Column("expiry", pl.Date, "exchange date", "expiry date", True),
)
_STRIKE = Column("strike", _FLOAT, "₹", "strike price", True)
_AS_OF = Column("as_of", INSTANT, "UTC", "instant that the row describes", True)
_VERSION = Column("formula_version", _TEXT, "", "version of the formulas used", True)
_SPOT = Column("spot", _FLOAT, "₹", "underlying's price")

QUOTES = Schema(
    "quotes",
    "one row per contract as quoted",
    (
        *_WHO,
        _STRIKE,
        Column("is_call", pl.Boolean, "", "call (true) or put", True),
        Column("contract_id", _TEXT, "", "canonical id", True),
        Column("broker_key", _TEXT, "", "the broker's key", True),
        Column("exchange", _TEXT, "", "NSE or BSE", True),
        Column("lot_size_units", _INT, "units", "lot in force for the series"),
        Column("bid_price", _FLOAT, "₹", "best bid; null if there is none"),
        Column("bid_quantity_units", _INT, "units", "quantity at the best bid"),
        Column("ask_price", _FLOAT, "₹", "best ask; null if there is none"),
        Column("ask_quantity_units", _INT, "units", "quantity at the best ask"),
        Column("last_price", _FLOAT, "₹", "last traded price"),
        Column("previous_close_price", _FLOAT, "₹", "previous day's close"),
        Column("volume_units", _INT, "units", "traded today"),
        Column("open_interest_units", _FLOAT, "units", "open interest"),
        Column("previous_open_interest_units", _FLOAT, "units", "previous day's open interest"),
        _SPOT,
        Column("vendor_implied_volatility", _FLOAT, "fraction", "the broker's own figure"),
        Column("vendor_delta", _FLOAT, "per ₹1", "the broker's own figure"),
        Column("quoted_at", INSTANT, "UTC", "when the quote was taken", True),
        Column("source", _TEXT, "", "live, journal or candles", True),
    ),
)

PRICING = (
    Column("implied_volatility", _FLOAT, "fraction per √year", "Black-76 volatility"),
    Column("iv_status", _TEXT, "", "ok, or why there is none", True),
    Column("delta_forward", _FLOAT, "per ₹1 of forward", "discounted delta"),
    Column("gamma_forward", _FLOAT, "per ₹1 of forward", "discounted gamma"),
    Column("theta_per_day", _FLOAT, "₹ per calendar day", "time decay, forward unchanged"),
    Column("vega_per_vol_point", _FLOAT, "₹ per 0.01", "change per volatility point"),
    Column("rho_per_percent", _FLOAT, "₹ per 0.01", "change per 1 % of rate"),
)

CONTRACTS = Schema(
    "contracts",
    "one row per contract, priced",
    (
        *QUOTES.columns,
        _AS_OF,
        Column("settlement_at", INSTANT, "UTC", "instant that fixes the settlement price", True),
        Column("years_to_expiry", _FLOAT, "years of 525 600 min", "time to settlement", True),
        Column("rate", _FLOAT, "continuous, per year", "discount rate", True),
        Column("forward", _FLOAT, "₹", "forward of the expiry"),
        Column("premium", _FLOAT, "₹", "price that was implied from; discounted"),
        Column("premium_source", _TEXT, "", "mid, last, or null if neither is fit"),
        *PRICING,
        Column("gex_crore_per_percent", _FLOAT, "₹ crore per 1 %", "call +, put − (naive)"),
        _VERSION,
    ),
)

STRIKES = Schema(
    "strikes",
    "one row per symbol, expiry and strike",
    (
        *_WHO,
        _STRIKE,
        _AS_OF,
        _SPOT,
        Column("call_open_interest_units", _FLOAT, "units", "open interest of the call"),
        Column("put_open_interest_units", _FLOAT, "units", "open interest of the put"),
        Column("call_gex_crore_per_percent", _FLOAT, "₹ crore per 1 %", "call side, positive"),
        Column("put_gex_crore_per_percent", _FLOAT, "₹ crore per 1 %", "put side, negative"),
        Column("net_gex_crore_per_percent", _FLOAT, "₹ crore per 1 %", "call plus put"),
        _VERSION,
    ),
)

_SUMS = (
    Column("call_open_interest_units", _FLOAT, "units", "sum over calls"),
    Column("put_open_interest_units", _FLOAT, "units", "sum over puts"),
    Column("call_volume_units", _INT, "units", "sum over calls"),
    Column("put_volume_units", _INT, "units", "sum over puts"),
    Column("pcr_open_interest", _FLOAT, "ratio", "put over call; null if no calls"),
    Column("pcr_volume", _FLOAT, "ratio", "put over call; null if no calls"),
    Column("net_gex_crore_per_percent", _FLOAT, "₹ crore per 1 %", "sum over contracts"),
    Column("gross_gex_crore_per_percent", _FLOAT, "₹ crore per 1 %", "sum of magnitudes"),
    Column("contract_count", _INT, "", "contracts in the chain", True),
    Column("priced_count", _INT, "", "contracts with an implied volatility", True),
)

EXPIRIES = Schema(
    "expiries",
    "one row per symbol and expiry",
    (
        *_WHO,
        _AS_OF,
        Column("settlement_at", INSTANT, "UTC", "instant that fixes the settlement price", True),
        Column("years_to_expiry", _FLOAT, "years of 525 600 min", "time to settlement", True),
        _SPOT,
        Column("forward", _FLOAT, "₹", "forward of the expiry"),
        Column("forward_status", _TEXT, "", "parity, or what stood in for it", True),
        Column("forward_mad_bp", _FLOAT, "basis points", "spread of the strikes' forwards"),
        Column("forward_count", _INT, "", "strikes that gave the forward", True),
        Column("atm_implied_volatility", _FLOAT, "fraction", "interpolated at the forward"),
        Column("atm_status", _TEXT, "", "ok, or why there is none", True),
        *_SUMS,
        _VERSION,
    ),
)

UNDERLYINGS = Schema(
    "underlyings",
    "one row per symbol, all its expiries together",
    (
        Column("symbol", _TEXT, "", "underlying's symbol", True),
        _AS_OF,
        _SPOT,
        Column("nearest_expiry", pl.Date, "exchange date", "first expiry in the chain", True),
        Column("forward", _FLOAT, "₹", "forward of the nearest expiry"),
        Column("atm_implied_volatility", _FLOAT, "fraction", "of the nearest expiry"),
        *_SUMS,
        _VERSION,
    ),
)

WINDOW = (
    Column("trading_day", pl.Date, "exchange date", "partition: trading day", True),
    Column("slot", _TEXT, "IST HH:MM", "partition: start of the window", True),
    Column("window_start_at", INSTANT, "UTC", "start of the window", True),
    Column("window_end_at", INSTANT, "UTC", "end of the window", True),
)

TICK_BARS = Schema(
    "tick_bars",
    "one row per symbol: a window's spot ticks from the socket",
    (
        Column("symbol", _TEXT, "", "underlying's symbol", True),
        Column("open_price", _FLOAT, "₹", "first tick in the window"),
        Column("high_price", _FLOAT, "₹", "highest tick"),
        Column("low_price", _FLOAT, "₹", "lowest tick"),
        Column("close_price", _FLOAT, "₹", "last tick in the window"),
        Column("vwap_price", _FLOAT, "₹", "by traded volume; null without volume"),
        Column("traded_units", _INT, "units", "traded inside the window; null without volume"),
        Column("tick_count", _INT, "", "ticks of the spot in the window", True),
        Column("last_tick_at", INSTANT, "UTC", "exchange time of the last tick"),
        Column("gap_count", _INT, "", "feed gaps that touch the window", True),
        Column("gap_seconds", _FLOAT, "s", "seconds of the window without a feed", True),
    ),
)

VIOLATIONS = Schema(
    "violations",
    "one row per broken data-quality rule and place",
    (
        Column("rule", _TEXT, "", "the rule's number, e.g. Q07", True),
        Column("severity", _TEXT, "", "E blocks publication, W marks", True),
        Column("symbol", _TEXT, "", "underlying's symbol", True),
        Column("expiry", pl.Date, "exchange date", "null if the whole symbol is meant"),
        Column("strike", _FLOAT, "₹", "null if the whole expiry is meant"),
        Column("detail", _TEXT, "", "what was found and the cheapest explanation", True),
    ),
)

# Lake tables: the frames above, keyed by window.
CHAIN = Schema("chain", "one row per window and contract", (*WINDOW, *CONTRACTS.columns))
STRIKE_EXPOSURE = Schema(
    "strike_exposure", "one row per window, symbol, expiry, strike", (*WINDOW, *STRIKES.columns)
)
EXPIRY_METRICS = Schema(
    "expiry_metrics", "one row per window, symbol, expiry", (*WINDOW, *EXPIRIES.columns)
)
UNDERLYING_ROLLUP = Schema(
    "underlying_rollup",
    "one row per window and symbol: analytics merged with the window's ticks",
    (
        *WINDOW,
        *UNDERLYINGS.columns,
        # A symbol that the feed does not know has no bar: no ticks, and gaps that nobody watched.
        *(
            replace(c, is_required=c.name == "tick_count")
            for c in TICK_BARS.columns
            if c.name != "symbol"
        ),
        Column("price", _FLOAT, "₹", "last tick of the window, else the chain's spot"),
        Column("price_source", _TEXT, "", "socket or chain"),
        Column("price_at", INSTANT, "UTC", "instant of that price"),
    ),
)
RAW_CHAIN_PAYLOAD = Schema(
    "raw_chain_payload",
    "one row per window, symbol and expiry: the broker's answer as it came, or why there is none",
    (
        *WINDOW,
        *_WHO,
        Column("status", _TEXT, "", "ok, or the error's type", True),
        Column("detail", _TEXT, "", "the error's message"),
        Column("requested_at", INSTANT, "UTC", "our clock before the call"),
        Column("responded_at", INSTANT, "UTC", "our clock after the call"),
        Column("sha256", _TEXT, "hex", "of the uncompressed body"),
        Column("body_zstd", pl.Binary, "zstd", "the body"),
        Column("source", _TEXT, "", "live, journal or candles", True),
    ),
)
LAKE_TABLES = (CHAIN, STRIKE_EXPOSURE, EXPIRY_METRICS, UNDERLYING_ROLLUP, RAW_CHAIN_PAYLOAD)
