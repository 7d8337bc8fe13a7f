"""Exposure of hedgers to the underlying: gamma, delta, vanna, charm; by contract, strike and group.

GEX = Γ·OI·S²·0.01/10⁷, ₹ crore per 1 %, with open interest in units (never times the lot) and the
forward's Greeks, which ``greeks`` computes. The largest strikes belong in ``walls``, exposure at
other levels of the spot in ``profile``, and where it changes sign in ``flips``.

Who holds what is an assumption, not a measurement. Three are made (weight of call, put):

* ``naive`` (+1, −1): dealers long calls, short puts; all figures but the next two;
* ``writers_short`` (−1, −1): hedgers short of every option; its size is the gross GEX;
* ``flow``: what hedgers took on since the previous snapshot, the other side of what the residual
  premium shows customers to have done. They sell when options are bought (−) or a writer covers,
  which takes away a long position, and buy when options are written (+) or a buyer exits: weight
  ±min(|ΔOI|/OI, 1). Null unless at least half of |ΔOI| can be told so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import polars as pl

from transforms.aggregates import known_sum, ratio
from transforms.greeks import greeks_at
from transforms.layout import beside

RUPEES_PER_CRORE = 1e7
ONE_PERCENT = 0.01
CLASSIFIED_SHARE = 0.5
"""Of |ΔOI|, how much must have a known direction before a flow exposure is published."""

GEX = "gex_crore_per_percent"
CALL_GEX = "call_gex_crore_per_percent"
PUT_GEX = "put_gex_crore_per_percent"
NET_GEX = "net_gex_crore_per_percent"
GROSS_GEX = "gross_gex_crore_per_percent"
FLOW_GEX = "flow_gex_crore_per_percent"
DEX = "dex_crore"
VANNA = "vanna_exposure_crore_per_vol_point"
CHARM = "charm_exposure_crore_per_day"
FUTURE_EQUIVALENT_GROSS = "future_equivalent_gross_units"
FUTURE_EQUIVALENT_NET = "future_equivalent_net_units"

SIGN_AGREEMENTS = (
    "all",
    "naive_differs",
    "writers_differ",
    "flow_differs",
    "flow_unknown",
    "unknown",
)

_SIDE = "_hedgers_side"
_FLOW_PART, _CLASSIFIED, _CHANGE, _LOTS = "_flow_gex", "_classified_change", "_change", "_futures"
_PUBLISHED = (DEX, VANNA, CHARM, FUTURE_EQUIVALENT_GROSS, FUTURE_EQUIVALENT_NET)
_PARTS = (*_PUBLISHED, _FLOW_PART, _CLASSIFIED, _CHANGE)


def gex_crore_per_percent() -> pl.Expr:
    """GEX of each contract from ``gamma_forward``, ``open_interest_units``, ``spot``, ``is_call``.

    Null if any of them is.
    """
    return _known(_signed_gex()).alias(GEX)


def with_exposure(contracts: pl.DataFrame) -> pl.DataFrame:
    """Add each contract's naive exposures and the parts of its strike's sums.

    Needs ``is_call``, ``spot`` (₹), ``open_interest_units``, the Greeks ``delta_forward``,
    ``gamma_forward``, ``vanna_per_vol_point`` and ``charm_per_day``, and of ``columns.BUILD_UP``
    ``flow`` and ``interval_open_interest_change_units``. What lacks an input is null.
    """
    # Checked in a second step, as an expression that occurs twice is computed twice.
    return contracts.with_columns(_values()).with_columns(_checked()).drop(_SIDE)


@cache
def _values() -> tuple[pl.Expr, ...]:
    held, delta = pl.col("open_interest_units"), pl.col("delta_forward")
    signed_crore = _sign() * held * pl.col("spot") / RUPEES_PER_CRORE
    values = {
        GEX: _signed_gex(),
        DEX: signed_crore * delta,
        VANNA: signed_crore * pl.col("vanna_per_vol_point"),
        CHARM: signed_crore * pl.col("charm_per_day"),
        FUTURE_EQUIVALENT_GROSS: held * delta.abs(),
        FUTURE_EQUIVALENT_NET: held * delta,
        _SIDE: _hedgers_side(),
        _CHANGE: pl.col("interval_open_interest_change_units").abs(),
    }
    return tuple(value.alias(name) for name, value in values.items())


@cache
def _checked() -> tuple[pl.Expr, ...]:
    return _known(pl.col(GEX, *_PUBLISHED, _CHANGE)), *_flow_parts()


def with_strike_exposure(strikes: pl.DataFrame, contracts: pl.DataFrame) -> pl.DataFrame:
    """Add to ``layout`` strikes what their legs in ``with_exposure``'s contracts add up to.

    ``call_gex…`` (positive), ``put_gex…`` (negative), ``net_gex…``, ``gross_gex…``, ``flow_gex…``,
    ``dex_crore``, vanna and charm exposure, and the other columns of which ``sums`` makes groups. A
    leg of which nothing is known does not count; if both are such, the strike's value is null.
    """
    call, put = (
        contracts.select(pl.col(GEX, *_PARTS).gather(strikes[row])).get_columns()
        for row in ("call_row", "put_row")
    )
    both = pl.DataFrame([*call, *(leg.alias(f"put_{leg.name}") for leg in put)])
    sums = both.select(*_sums_of_legs()).get_columns()
    gex = call[0].alias(CALL_GEX), put[0].alias(PUT_GEX)
    return beside(strikes, [*gex, *sums]).with_columns(flow_gex())


@cache
def sums() -> tuple[pl.Expr, ...]:
    """Per group of ``with_strike_exposure``'s strikes, or of groups so summed: all exposures.

    To be followed by ``conclusions``; futures, if any, are added by ``with_futures``.
    """
    names = (NET_GEX, GROSS_GEX, *_PARTS)
    return tuple(known_sum(pl.col(name)).alias(name) for name in names)


@cache
def conclusions() -> tuple[pl.Expr, ...]:
    """Per row of ``sums``: ``flow_gex_crore_per_percent`` and ``sign_agreement``."""
    return flow_gex(), sign_agreement(pl.col(NET_GEX), flow_gex())


def flow_gex() -> pl.Expr:
    """GEX that hedgers took on since the previous snapshot, where enough of it is told."""
    is_told = pl.col(_CLASSIFIED) >= CLASSIFIED_SHARE * pl.col(_CHANGE)
    return pl.when(is_told & (pl.col(_CHANGE) > 0)).then(pl.col(_FLOW_PART)).alias(FLOW_GEX)


def sign_agreement(naive: pl.Expr, flow: pl.Expr) -> pl.Expr:
    """One of ``SIGN_AGREEMENTS``: which convention's sign stands against the other two.

    The writers' sign is always minus. ``unknown`` if the naive exposure is null or 0,
    ``flow_unknown`` if that of the flow is.
    """
    is_flow_unknown = flow.is_null() | (flow == 0)
    return (
        pl.when(naive.is_null() | (naive == 0))
        .then(pl.lit("unknown"))
        .when(is_flow_unknown)
        .then(pl.lit("flow_unknown"))
        .when((naive < 0) & (flow < 0))
        .then(pl.lit("all"))
        .when(naive < 0)
        .then(pl.lit("flow_differs"))
        .when(flow < 0)
        .then(pl.lit("naive_differs"))
        .otherwise(pl.lit("writers_differ"))
        .alias("sign_agreement")
    )


def with_futures(
    frame: pl.DataFrame, futures: pl.DataFrame, keys: Sequence[str] = ("symbol", "expiry")
) -> pl.DataFrame:
    """Add the futures' open interest to both future-equivalent sums (SEBI, 29 May 2025).

    Args:
        frame: one row per ``keys``, after ``sums``.
        futures: ``context.FUTURES``; of two rows for one future the later counts.
        keys: ``("symbol",)`` for all futures of an underlying together.

    Where no future is known the sums stay those of the options alone.
    """
    if futures.is_empty():
        return frame
    newest = futures.sort("quoted_at").unique(["symbol", "expiry"], keep="last")
    held = newest.group_by(keys).agg(known_sum(_known(pl.col("open_interest_units"))).alias(_LOTS))
    joined = frame.join(held, on=keys, how="left", maintain_order="left")
    added = pl.col(_LOTS).fill_null(0.0)
    return joined.with_columns(
        pl.col(FUTURE_EQUIVALENT_GROSS) + added, pl.col(FUTURE_EQUIVALENT_NET) + added
    ).drop(_LOTS)


def expiry_day_figures(expiries: pl.DataFrame) -> pl.DataFrame:
    """One row per ``symbol``, sorted: ``zero_dte_gex_share`` and ``gamma_acceleration``.

    The share is of gross GEX; 0 if nothing expires today, null if what does is not known. The
    acceleration is the at-the-money gamma of the nearest expiry over that of the next; null unless
    the nearest one expires today.

    Args:
        expiries: sorted by symbol and expiry; ``gross_gex_crore_per_percent``, ``is_expiry_day``,
            ``forward``, ``years_to_expiry``, ``rate`` and ``atm_implied_volatility``.
    """
    priced = _gamma_at_the_money(expiries)
    return priced.group_by("symbol", maintain_order=True).agg(_expiry_day_figures())


@cache
def _expiry_day_figures() -> tuple[pl.Expr, ...]:
    today = pl.col("is_expiry_day").fill_null(value=False)
    expiring = pl.when(today.any()).then(known_sum(pl.col(GROSS_GEX).filter(today))).otherwise(0.0)
    ahead = pl.col("years_to_expiry") > 0
    gamma = pl.col("gamma_forward").filter(ahead)
    acceleration = ratio(gamma.get(0, null_on_oob=True), gamma.get(1, null_on_oob=True))
    return (
        ratio(expiring, known_sum(pl.col(GROSS_GEX))).alias("zero_dte_gex_share"),
        pl.when(today.filter(ahead).first()).then(acceleration).alias("gamma_acceleration"),
    )


def _gamma_at_the_money(expiries: pl.DataFrame) -> pl.DataFrame:
    return greeks_at(
        expiries.with_columns(
            strike="forward", implied_volatility="atm_implied_volatility", is_call=True
        )
    )


def _hedgers_side() -> pl.Expr:
    """−1 where customers bought from them, +1 where they sold to them; null if neither is told."""
    # Comparisons, as they are five times as fast on text as a lookup.
    flow = pl.col("flow")
    return (
        pl.when((flow == "bought") | (flow == "covered"))
        .then(-1.0)
        .when((flow == "written") | (flow == "exited"))
        .then(1.0)
    )


def _flow_parts() -> list[pl.Expr]:
    held, change, side = pl.col("open_interest_units"), pl.col(_CHANGE), pl.col(_SIDE)
    least = pl.when(change < held).then(change).when(change >= held).then(held)
    return [
        _known(side * _unsigned_gex(least)).alias(_FLOW_PART),
        _known(pl.when(side.is_not_null()).then(change)).alias(_CLASSIFIED),
    ]


def _signed_gex() -> pl.Expr:
    return _sign() * _unsigned_gex(pl.col("open_interest_units"))


def _sign() -> pl.Expr:
    return pl.when("is_call").then(1.0).otherwise(-1.0)


def _unsigned_gex(units: pl.Expr) -> pl.Expr:
    rupees_per_percent = pl.col("gamma_forward") * units * pl.col("spot") ** 2 * ONE_PERCENT
    return rupees_per_percent / RUPEES_PER_CRORE


def _known(value: pl.Expr) -> pl.Expr:
    """The value; null if an input was no number."""
    return pl.when(value.is_finite()).then(value)


@cache
def _sums_of_legs() -> tuple[pl.Expr, ...]:
    """Of a strike's call, and put with names after ``put_``."""
    put = pl.col(f"put_{GEX}")
    return (
        _either(pl.col(GEX), -put).alias(GROSS_GEX),
        _either(pl.col(GEX), put).alias(NET_GEX),
        *(_either(pl.col(name), pl.col(f"put_{name}")).alias(name) for name in _PARTS),
    )


def _either(call: pl.Expr, put: pl.Expr) -> pl.Expr:
    """The sum of both legs, or the one that is known."""
    return pl.coalesce(call + put, call, put)
