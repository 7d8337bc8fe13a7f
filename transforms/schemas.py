"""Each frame's columns, types and units, declared once.

Writers cast to these, checks and table definitions are made from them, and the docs list them.
What a column is, and the groups that frames share, stands in ``columns``; formulas do not belong
here.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from transforms.columns import (
    AS_OF,
    BUILD_UP,
    EXPOSURE,
    FLOAT,
    FORWARD,
    HELD,
    INSTANT,
    INT,
    MAX_PAIN,
    MORE_PRICING,
    PRICING,
    SETTLEMENT,
    SPOT,
    STRIKE,
    SUMS,
    TERM,
    TEXT,
    TIME,
    VERSION,
    VOLATILITY,
    WHO,
    Column,
    Schema,
)

QUOTES = Schema(
    "quotes",
    "one row per contract as quoted",
    (
        *WHO,
        STRIKE,
        Column("is_call", pl.Boolean, "", "call (true) or put", True),
        Column("contract_id", TEXT, "", "canonical id", True),
        Column("broker_key", TEXT, "", "the broker's key", True),
        Column("exchange", TEXT, "", "NSE or BSE", True),
        Column("lot_size_units", INT, "units", "lot in force for the series"),
        Column("bid_price", FLOAT, "₹", "best bid; null if there is none"),
        Column("bid_quantity_units", INT, "units", "quantity at the best bid"),
        Column("ask_price", FLOAT, "₹", "best ask; null if there is none"),
        Column("ask_quantity_units", INT, "units", "quantity at the best ask"),
        Column("last_price", FLOAT, "₹", "last traded price"),
        Column("last_traded_at", INSTANT, "UTC", "instant of that trade; null if not told"),
        Column("previous_close_price", FLOAT, "₹", "previous day's close"),
        Column("volume_units", INT, "units", "traded today"),
        Column("open_interest_units", FLOAT, "units", "open interest"),
        Column("previous_open_interest_units", FLOAT, "units", "previous day's open interest"),
        SPOT,
        Column("vendor_implied_volatility", FLOAT, "fraction", "the broker's own figure"),
        Column("vendor_delta", FLOAT, "per ₹1", "the broker's own figure"),
        Column("quoted_at", INSTANT, "UTC", "when the quote was taken", True),
        Column("source", TEXT, "", "live, journal or candles", True),
    ),
)

CONTRACTS = Schema(
    "contracts",
    "one row per contract, priced",
    (
        *QUOTES.columns,
        AS_OF,
        *TIME,
        Column("rate", FLOAT, "continuous, per year", "discount rate", True),
        Column("forward", FLOAT, "₹", "forward of the expiry"),
        Column("premium", FLOAT, "₹", "the contract's own price by the same rule; discounted"),
        Column("premium_source", TEXT, "", "mid, last, or null if neither is fit"),
        *PRICING,
        *MORE_PRICING,
        *BUILD_UP,
        Column("gex_crore_per_percent", FLOAT, "₹ crore per 1 %", "call +, put − (naive)"),
        VERSION,
    ),
)

STRIKES = Schema(
    "strikes",
    "one row per symbol, expiry and strike",
    (
        *WHO,
        STRIKE,
        AS_OF,
        SPOT,
        Column("call_open_interest_units", FLOAT, "units", "open interest of the call"),
        Column("put_open_interest_units", FLOAT, "units", "open interest of the put"),
        Column("call_open_interest_change_units", FLOAT, "units", "since the previous day"),
        Column("put_open_interest_change_units", FLOAT, "units", "since the previous day"),
        Column("call_volume_units", INT, "units", "traded today"),
        Column("put_volume_units", INT, "units", "traded today"),
        Column("call_gex_crore_per_percent", FLOAT, "₹ crore per 1 %", "call side, positive"),
        Column("put_gex_crore_per_percent", FLOAT, "₹ crore per 1 %", "put side, negative"),
        Column("net_gex_crore_per_percent", FLOAT, "₹ crore per 1 %", "call plus put (naive)"),
        Column("flow_gex_crore_per_percent", FLOAT, "₹ crore per 1 %", "signed by who opened"),
        Column("dex_crore", FLOAT, "₹ crore", "delta exposure, naive"),
        Column("vanna_exposure_crore_per_vol_point", FLOAT, "₹ crore per 0.01", "naive"),
        Column("charm_exposure_crore_per_day", FLOAT, "₹ crore per calendar day", "naive"),
        Column("implied_volatility", FLOAT, "fraction per √year", "of both legs"),
        Column("iv_status", TEXT, "", "ok, or why there is none", True),
        VERSION,
    ),
)

EXPIRIES = Schema(
    "expiries",
    "one row per symbol and expiry",
    (
        *WHO,
        AS_OF,
        *TIME,
        *SETTLEMENT,
        SPOT,
        *FORWARD,
        *VOLATILITY,
        *SUMS,
        *HELD,
        *MAX_PAIN,
        *EXPOSURE,
        VERSION,
    ),
)

UNDERLYINGS = Schema(
    "underlyings",
    "one row per symbol, all its expiries together",
    (
        Column("symbol", TEXT, "", "underlying's symbol", True),
        AS_OF,
        SPOT,
        Column("nearest_expiry", pl.Date, "exchange date", "first expiry in the chain", True),
        Column("forward", FLOAT, "₹", "forward of the nearest expiry"),
        Column("atm_implied_volatility", FLOAT, "fraction", "of the nearest expiry"),
        *TERM,
        *SUMS,
        *HELD,
        *EXPOSURE,
        VERSION,
    ),
)

_SIDE = Column("is_call", pl.Boolean, "", "call (true) or put", True)
_HELD_SUMS = (
    Column("open_interest_units", FLOAT, "units", "sum of open interest"),
    Column("open_interest_change_units", FLOAT, "units", "since the previous day"),
    Column("volume_units", INT, "units", "traded today"),
)

ITM = Schema(
    "itm",
    "one row per symbol, expiry, depth and side: the n strikes next to the money on its ITM side",
    (
        *WHO,
        Column("depth", INT, "strikes", "n = 1 … 5", True),
        _SIDE,
        AS_OF,
        *_HELD_SUMS,
        Column("weighted_implied_volatility", FLOAT, "fraction", "weighted by open interest"),
        Column("weighted_delta_forward", FLOAT, "per ₹1", "weighted by open interest"),
        VERSION,
    ),
)

MONEYNESS = Schema(
    "moneyness",
    "one row per symbol, expiry, bucket and side",
    (
        *WHO,
        Column("bucket", TEXT, "", "of ln(K/F) in standard deviations", True),
        _SIDE,
        AS_OF,
        Column("contract_count", INT, "", "contracts in the bucket", True),
        *_HELD_SUMS,
        VERSION,
    ),
)

PROFILES = Schema(
    "profiles",
    "one row per symbol, expiry and spot level",
    (
        Column("symbol", TEXT, "", "underlying's symbol", True),
        Column("expiry", pl.Date, "exchange date", "null: all expiries together"),
        Column("level", FLOAT, "₹", "spot at which the chain is repriced", True),
        AS_OF,
        Column("net_gex_crore_per_percent", FLOAT, "₹ crore per 1 %", "naive, at that level"),
        Column("gross_gex_crore_per_percent", FLOAT, "₹ crore per 1 %", "at that level"),
        VERSION,
    ),
)

WINDOW = (
    Column("trading_day", pl.Date, "exchange date", "partition: trading day", True),
    Column("slot", TEXT, "IST HH:MM", "partition: start of the window", True),
    Column("window_start_at", INSTANT, "UTC", "start of the window", True),
    Column("window_end_at", INSTANT, "UTC", "end of the window", True),
)

TICK_BARS = Schema(
    "tick_bars",
    "one row per symbol: a window's spot ticks from the socket",
    (
        Column("symbol", TEXT, "", "underlying's symbol", True),
        Column("open_price", FLOAT, "₹", "first tick in the window"),
        Column("high_price", FLOAT, "₹", "highest tick"),
        Column("low_price", FLOAT, "₹", "lowest tick"),
        Column("close_price", FLOAT, "₹", "last tick in the window"),
        Column("vwap_price", FLOAT, "₹", "by traded volume; null without volume"),
        Column("traded_units", INT, "units", "traded inside the window; null without volume"),
        Column("tick_count", INT, "", "ticks of the spot in the window", True),
        Column("last_tick_at", INSTANT, "UTC", "exchange time of the last tick"),
        Column("gap_count", INT, "", "feed gaps that touch the spot in the window", True),
        Column("gap_seconds", FLOAT, "s", "seconds in which it was missed or only sampled", True),
    ),
)

VIOLATIONS = Schema(
    "violations",
    "one row per broken data-quality rule and place",
    (
        Column("rule", TEXT, "", "the rule's number, e.g. Q07", True),
        Column("severity", TEXT, "", "E blocks publication, W marks", True),
        Column("symbol", TEXT, "", "underlying's symbol", True),
        Column("expiry", pl.Date, "exchange date", "null if the whole symbol is meant"),
        Column("strike", FLOAT, "₹", "null if the whole expiry is meant"),
        Column("detail", TEXT, "", "what was found and the cheapest explanation", True),
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
        Column("price", FLOAT, "₹", "last tick of the window, else the chain's spot"),
        Column("price_source", TEXT, "", "socket or chain"),
        Column("price_at", INSTANT, "UTC", "instant of that price"),
    ),
)
ITM_ANALYSIS = Schema(
    "itm_analysis", "one row per window, symbol, expiry, depth, side", (*WINDOW, *ITM.columns)
)
MONEYNESS_BUCKETS = Schema(
    "moneyness_buckets",
    "one row per window, symbol, expiry, bucket, side",
    (*WINDOW, *MONEYNESS.columns),
)
GAMMA_PROFILE = Schema(
    "gamma_profile",
    "one row per window, symbol, expiry, spot level",
    (*WINDOW, *PROFILES.columns),
)
RAW_CHAIN_PAYLOAD = Schema(
    "raw_chain_payload",
    "one row per window, symbol and expiry: the broker's answer as it came, or why there is none",
    (
        *WINDOW,
        *WHO,
        Column("status", TEXT, "", "ok, or the error's type", True),
        Column("detail", TEXT, "", "the error's message"),
        Column("requested_at", INSTANT, "UTC", "our clock before the call"),
        Column("responded_at", INSTANT, "UTC", "our clock after the call"),
        Column("sha256", TEXT, "hex", "of the uncompressed body"),
        Column("body_zstd", pl.Binary, "zstd", "the body"),
        Column("source", TEXT, "", "live, journal or candles", True),
    ),
)
LAKE_TABLES = (
    CHAIN,
    STRIKE_EXPOSURE,
    EXPIRY_METRICS,
    UNDERLYING_ROLLUP,
    ITM_ANALYSIS,
    MONEYNESS_BUCKETS,
    GAMMA_PROFILE,
    RAW_CHAIN_PAYLOAD,
)
