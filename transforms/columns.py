"""What a column and a schema are, and the groups of columns that several frames share.

Which frame has which columns stands in ``schemas``; formulas do not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass
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
        return self._empty.clone()

    @cached_property
    def _empty(self) -> pl.DataFrame:
        return pl.DataFrame(schema=self.polars)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with exactly these columns, in order and cast.

        Raises:
            SchemaMismatch: if a column is missing, cannot be cast, or is required and null.
        """
        known = set(frame.columns)
        missing = [c.name for c in self.columns if c.name not in known]
        if missing:
            raise SchemaMismatch(f"frame {self.name} lacks columns {missing}")
        # By position and series by series: a query's plan costs more than a small frame's casts.
        conforming = frame[[c.name for c in self.columns]]
        try:
            for place, (column, found) in enumerate(
                zip(self.columns, conforming.get_columns(), strict=True)
            ):
                if found.dtype != column.dtype:
                    conforming.replace_column(place, found.cast(column.dtype))
        except pl.exceptions.PolarsError as error:
            raise SchemaMismatch(f"frame {self.name}: {error}") from error
        required = [c.name for c in self.columns if c.is_required]
        nulls = [name for name in required if conforming.get_column(name).null_count()]
        if nulls:
            raise SchemaMismatch(f"frame {self.name} has nulls in required columns {nulls}")
        return conforming


TEXT, FLOAT, INT = pl.String, pl.Float64, pl.Int64

WHO = (
    Column("symbol", TEXT, "", "underlying's symbol", True),
    Column("expiry", pl.Date, "exchange date", "expiry date", True),
)
STRIKE = Column("strike", FLOAT, "₹", "strike price", True)
AS_OF = Column("as_of", INSTANT, "UTC", "instant that the row describes", True)
VERSION = Column("formula_version", TEXT, "", "version of the formulas used", True)
SPOT = Column("spot", FLOAT, "₹", "underlying's price")

PRICING = (
    Column("implied_volatility", FLOAT, "fraction per √year", "Black-76 volatility"),
    Column("iv_status", TEXT, "", "ok, or why there is none", True),
    Column("delta_forward", FLOAT, "per ₹1 of forward", "discounted delta"),
    Column("gamma_forward", FLOAT, "per ₹1 of forward", "discounted gamma"),
    Column("theta_per_day", FLOAT, "₹ per calendar day", "time decay, forward unchanged"),
    Column("vega_per_vol_point", FLOAT, "₹ per 0.01", "change per volatility point"),
    Column("rho_per_percent", FLOAT, "₹ per 0.01", "change per 1 % of rate"),
)

MORE_PRICING = (
    Column("implied_volatility_bid", FLOAT, "fraction per √year", "implied from the strike's bid"),
    Column("implied_volatility_ask", FLOAT, "fraction per √year", "implied from the strike's ask"),
    Column("vanna_per_vol_point", FLOAT, "delta per 0.01", "change of delta per volatility point"),
    Column("charm_per_day", FLOAT, "delta per calendar day", "change of delta as time passes"),
    Column("delta_settlement", FLOAT, "per ₹1 of spot", "as the closing average forms; expiry day"),
    Column("gamma_settlement", FLOAT, "per ₹1 of spot", "as the closing average forms; expiry day"),
    Column("theta_to_settlement", FLOAT, "₹", "lost by settlement if nothing moves; expiry day"),
)

BUILD_UP = (
    Column("open_interest_change_units", FLOAT, "units", "since the previous day"),
    Column("build_up", TEXT, "", "price and open interest since the previous day"),
    Column("interval_open_interest_change_units", FLOAT, "units", "since the previous snapshot"),
    Column("build_up_interval", TEXT, "", "price and open interest since the previous snapshot"),
    Column("residual_premium", FLOAT, "₹", "premium's change that spot and time do not explain"),
    Column("flow", TEXT, "", "bought, written, covered or exited, by the residual premium"),
)

TIME = (
    Column("settlement_at", INSTANT, "UTC", "instant that fixes the settlement price", True),
    Column("years_to_expiry", FLOAT, "years of 525 600 min", "time to settlement", True),
)
SETTLEMENT = (
    Column("variance_years", FLOAT, "years of 525 600 min", "over which the settlement varies"),
    Column("spot_share", FLOAT, "ratio", "of the settlement price that is still open"),
    Column("settlement_phase", TEXT, "", "before, averaging, auction or settled"),
)

FORWARD = (
    Column("forward", FLOAT, "₹", "forward of the expiry"),
    Column("forward_status", TEXT, "", "parity, or what stood in for it", True),
    Column("forward_mad_bp", FLOAT, "basis points", "spread of the strikes' forwards"),
    Column("forward_count", INT, "", "strikes that gave the forward", True),
    Column("forward_low", FLOAT, "₹", "lowest forward that no arbitrage forbids"),
    Column("forward_high", FLOAT, "₹", "highest forward that no arbitrage forbids"),
    Column("synthetic_future", FLOAT, "₹", "strike + call − put at the money, last prices"),
)

_CRORE = "₹ crore"
_GEX_UNIT = "₹ crore per 1 %"

EXPOSURE = (
    Column("net_gex_crore_per_percent", FLOAT, _GEX_UNIT, "calls +, puts − (naive)"),
    Column("gross_gex_crore_per_percent", FLOAT, _GEX_UNIT, "sum of magnitudes; minus: writers"),
    Column(
        "flow_gex_crore_per_percent", FLOAT, _GEX_UNIT, "taken on since the last snapshot; trial"
    ),
    Column("sign_agreement", TEXT, "", "whether the conventions agree on the sign"),
    Column("gex_concentration", FLOAT, "0 to 1", "Herfindahl index of strikes' gross exposure"),
    Column("dex_crore", FLOAT, _CRORE, "delta exposure, naive"),
    Column("vanna_exposure_crore_per_vol_point", FLOAT, "₹ crore per 0.01", "naive"),
    Column("charm_exposure_crore_per_day", FLOAT, "₹ crore per calendar day", "naive"),
    Column(
        "future_equivalent_gross_units", FLOAT, "units", "Σ|delta| × open interest, and futures'"
    ),
    Column("future_equivalent_net_units", FLOAT, "units", "Σ delta × open interest, and futures'"),
    Column("call_wall", FLOAT, "₹", "strike at or above the forward with most call gamma"),
    Column("call_wall_share", FLOAT, "0 to 1", "of call gamma at or above the forward"),
    Column("put_wall", FLOAT, "₹", "strike at or below the forward with most put gamma"),
    Column("put_wall_share", FLOAT, "0 to 1", "of put gamma at or below the forward"),
    Column("call_wall_open_interest", FLOAT, "₹", "strike with most call open interest"),
    Column("put_wall_open_interest", FLOAT, "₹", "strike with most put open interest"),
    Column("absolute_gamma_strike", FLOAT, "₹", "strike with most gross gamma exposure"),
    Column("hedge_flow_up_crore", FLOAT, _CRORE, "hedgers trade if spot rises 1 %; − sells"),
    Column("hedge_flow_down_crore", FLOAT, _CRORE, "hedgers trade if spot falls 1 %; − sells"),
    Column("gamma_flip", FLOAT, "₹", "level nearest to spot where net GEX changes sign"),
    Column("gamma_flips", pl.List(pl.Float64), "₹", "all such levels that were found"),
    Column("gamma_flip_status", TEXT, "", "available, or why it is none or doubtful"),
)

SUMS = (
    Column("call_open_interest_units", FLOAT, "units", "sum over calls"),
    Column("put_open_interest_units", FLOAT, "units", "sum over puts"),
    Column("call_open_interest_change_units", FLOAT, "units", "since the previous day"),
    Column("put_open_interest_change_units", FLOAT, "units", "since the previous day"),
    Column("call_volume_units", INT, "units", "sum over calls"),
    Column("put_volume_units", INT, "units", "sum over puts"),
    Column("pcr_open_interest", FLOAT, "ratio", "put over call; null if no calls"),
    Column("pcr_volume", FLOAT, "ratio", "put over call; null if no calls"),
    Column("pcr_open_interest_change", FLOAT, "ratio", "null unless calls were added"),
    Column("pcr_near_open_interest", FLOAT, "ratio", "of the five strikes on each side"),
    Column("contract_count", INT, "", "contracts in the chain", True),
    Column("priced_count", INT, "", "contracts with an implied volatility", True),
)

HELD = (
    Column("itm_open_interest_share", FLOAT, "0 to 1", "of open interest that is in the money"),
    Column("intrinsic_value_crore", FLOAT, _CRORE, "of all open interest at spot"),
    Column("trapped_call_writer_units", FLOAT, "units", "written since the previous day, now ITM"),
    Column("trapped_put_writer_units", FLOAT, "units", "written since the previous day, now ITM"),
)
MAX_PAIN = (
    Column("max_pain", FLOAT, "₹", "strike at which writers would pay least"),
    Column("max_pain_payout_crore", FLOAT, _CRORE, "what they would pay there"),
)

VOLATILITY = (
    Column("atm_implied_volatility", FLOAT, "fraction", "interpolated at the forward"),
    Column("atm_status", TEXT, "", "atm_ok, or why there is none", True),
    Column("expected_move", FLOAT, "₹", "one standard deviation to settlement"),
    Column(
        "straddle_price",
        FLOAT,
        "₹",
        "of call and put at the forward; null if the strikes around it lack a price",
    ),
    Column("risk_reversal_25_delta", FLOAT, "fraction", "volatility of 25Δ call less 25Δ put"),
    Column("butterfly_25_delta", FLOAT, "fraction", "mean of the two less at the money"),
    Column("skew_status", TEXT, "", "skew_ok, or why there is none"),
    Column("model_free_volatility", FLOAT, "fraction", "from the strip of options; Cboe's rules"),
    Column("model_free_status", TEXT, "", "strip_ok, or why there is none"),
)
TERM = (
    Column("implied_volatility_30_day", FLOAT, "fraction", "constant maturity, 30 calendar days"),
    Column("term_status", TEXT, "", "interpolated, nearest, or why there is none"),
    Column("iv_rank", FLOAT, "0 to 1", "within the range of up to 252 earlier days"),
    Column("iv_percentile", FLOAT, "0 to 1", "share of up to 252 earlier days that were lower"),
    Column("iv_history_days", INT, "days", "earlier days known, up to 252; rank needs 20"),
    Column(
        "realised_volatility",
        FLOAT,
        "fraction per √year",
        "5-minute and overnight returns, 20 days",
    ),
    Column(
        "bipower_volatility", FLOAT, "fraction per √year", "the same without jumps inside the day"
    ),
    Column("variance_risk_premium", FLOAT, "fraction", "30-day implied less realised volatility"),
    Column("realised_status", TEXT, "", "realised_ok, or why there is none"),
    Column("zero_dte_gex_share", FLOAT, "0 to 1", "of gross GEX that expires today"),
    Column("gamma_acceleration", FLOAT, "ratio", "ATM gamma of today's expiry over the next one's"),
)
