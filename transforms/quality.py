"""Data-quality rules: frames in, violations out. Each rule is one small function.

A rule never repairs and never drops rows; blocking on severity ``E`` is the caller's choice. The
rule numbers are those of ``docs/formulas.md``. Feed health (ages, gaps, tokens) belongs to the
programs that watch the feed.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from transforms import sentiment
from transforms.chain import Analysis
from transforms.schemas import VIOLATIONS

ERROR, WARNING = "E", "W"

_LOWEST_VOLATILITY, _HIGHEST_VOLATILITY = 0.01, 3.0
_COVERAGE_WARNING, _COVERAGE_ERROR = 0.95, 0.80
# Vendors quote volatility as a fraction or in per cent; a ratio of medians near 100 is a flip.
_FLIP_AT_LEAST, _FLIP_AT_MOST = 30.0, 300.0
_SUMS = ("call_open_interest_units", "put_open_interest_units", "pcr_open_interest", "pcr_volume")
_EXPIRY = ("symbol", "expiry")


def check_analysis(
    analysis: Analysis, tick_rupees: float, expected_symbols: Collection[str]
) -> pl.DataFrame:
    """All rules over one snapshot, as one ``schemas.VIOLATIONS`` frame sorted by rule.

    Args:
        tick_rupees: smallest price step, ₹: the tolerance of price bounds.
        expected_symbols: every underlying that the snapshot should hold.
    """
    contracts = analysis.contracts
    found = [
        crossed_quotes(contracts),
        price_bounds(contracts, tick_rupees),
        open_interest(contracts),
        expired_series(contracts),
        volatility_range(contracts),
        sums_agree(contracts, analysis.expiries),
        coverage(contracts["symbol"].unique(), expected_symbols),
        vendor_unit(contracts),
    ]
    return pl.concat(found).sort("rule", *_EXPIRY, "strike", nulls_last=True, maintain_order=True)


def crossed_quotes(quotes: pl.DataFrame) -> pl.DataFrame:
    """Q03: bid above ask is an error, bid equal to ask a warning."""
    bid, ask = pl.col("bid_price"), pl.col("ask_price")
    severity = pl.when(bid > ask).then(pl.lit(ERROR)).otherwise(pl.lit(WARNING))
    detail = pl.format("{} bid {} against ask {}: stale side?", _leg(), bid, ask)
    return _violations(quotes.filter(bid >= ask), "Q03", severity, detail)


def price_bounds(contracts: pl.DataFrame, tick_rupees: float) -> pl.DataFrame:
    """Q07: an ask below discounted intrinsic value, or a bid above what the option can be worth.

    Bounds of a European option: D·max(±(F − K), 0) ≤ V ≤ D·F (call) or D·K (put). On executable
    sides and within a tick, since mids of wide quotes give false alarms.
    """
    is_call, forward, strike = pl.col("is_call"), pl.col("forward"), pl.col("strike")
    discount = (-pl.col("rate") * pl.col("years_to_expiry")).exp()
    gap = pl.when(is_call).then(forward - strike).otherwise(strike - forward)
    lower = discount * gap.clip(lower_bound=0.0)
    upper = discount * pl.when(is_call).then(forward).otherwise(strike)
    is_low = pl.col("ask_price") < lower - tick_rupees
    is_high = pl.col("bid_price") > upper + tick_rupees
    detail = pl.format(
        "{} quoted {} / {} outside [{}, {}]: wrong forward or stale leg?",
        _leg(),
        pl.col("bid_price").cast(pl.String).fill_null("none"),
        pl.col("ask_price").cast(pl.String).fill_null("none"),
        lower.round(2),
        upper.round(2),
    )
    return _violations(contracts.filter(is_low | is_high), "Q07", pl.lit(ERROR), detail)


def open_interest(quotes: pl.DataFrame) -> pl.DataFrame:
    """Q15: negative open interest is an error; one that is no multiple of the lot, a warning."""
    units, lot = pl.col("open_interest_units"), pl.col("lot_size_units")
    is_odd = (lot > 0) & (units % lot != 0)
    severity = pl.when(units < 0).then(pl.lit(ERROR)).otherwise(pl.lit(WARNING))
    detail = pl.format(
        "{} open interest {} against lot {}: lots for units, or a lot change?",
        _leg(),
        units,
        lot.cast(pl.String).fill_null("unknown"),
    )
    return _violations(quotes.filter((units < 0) | is_odd), "Q15", severity, detail)


def expired_series(contracts: pl.DataFrame) -> pl.DataFrame:
    """Q20: a series whose settlement has passed is still in the chain."""
    expired = contracts.filter(pl.col("settlement_at") <= pl.col("as_of"))
    series = expired.unique(subset=list(_EXPIRY), maintain_order=True)
    detail = pl.format("settled at {}: drop it from the plan", pl.col("settlement_at"))
    return _violations(series, "Q20", pl.lit(ERROR), detail, has_strike=False)


def volatility_range(contracts: pl.DataFrame) -> pl.DataFrame:
    """Q24: implied volatility outside 1 % to 300 %."""
    value = pl.col("implied_volatility")
    outside = contracts.filter((value < _LOWEST_VOLATILITY) | (value > _HIGHEST_VOLATILITY))
    detail = pl.format("{} implied volatility {}: stale price?", _leg(), value)
    return _violations(outside, "Q24", pl.lit(WARNING), detail)


def sums_agree(contracts: pl.DataFrame, expiries: pl.DataFrame) -> pl.DataFrame:
    """Q26: published sums and ratios differ from those of the contracts, summed again."""
    sums = contracts.group_by(_EXPIRY).agg(
        *sentiment.open_interest_sums(), *sentiment.volume_sums()
    )
    again = sums.with_columns(sentiment.put_call_ratios()).select(*_EXPIRY, *_SUMS)
    both = expiries.join(again, on=_EXPIRY, how="left", suffix="_again")
    differs = pl.any_horizontal(_differs(pl.col(name), pl.col(f"{name}_again")) for name in _SUMS)
    detail = pl.lit("sums or put-call ratios differ from the contracts': rows lost or doubled")
    return _violations(both.filter(differs), "Q26", pl.lit(ERROR), detail, has_strike=False)


def coverage(symbols: Collection[str], expected_symbols: Collection[str]) -> pl.DataFrame:
    """Q27: under 95 % of the expected underlyings have a chain; under 80 % it is an error."""
    missing = sorted(set(expected_symbols) - set(symbols))
    expected = len(set(expected_symbols))
    share = 1.0 - len(missing) / expected if expected else 1.0
    if share >= _COVERAGE_WARNING:
        return VIOLATIONS.empty()
    frame = pl.DataFrame({"symbol": missing}, schema={"symbol": pl.String})
    severity = pl.lit(ERROR if share < _COVERAGE_ERROR else WARNING)
    detail = pl.lit(f"no chain; {share:.0%} of {expected} underlyings are covered")
    keyed = frame.with_columns(expiry=pl.lit(None, pl.Date))
    return _violations(keyed, "Q27", severity, detail, has_strike=False)


def vendor_unit(contracts: pl.DataFrame) -> pl.DataFrame:
    """Q33: the vendor's volatilities are about 100 times, or a hundredth of, our own."""
    vendor, own = pl.col("vendor_implied_volatility"), pl.col("implied_volatility")
    both = contracts.filter((vendor > 0) & own.is_not_null())
    medians = both.group_by(_EXPIRY, maintain_order=True).agg(
        ratio=vendor.median() / own.median(), count=pl.len()
    )
    size = pl.max_horizontal("ratio", 1.0 / pl.col("ratio"))
    flipped = medians.filter(size.is_between(_FLIP_AT_LEAST, _FLIP_AT_MOST))
    detail = pl.format(
        "median vendor volatility is {} times our own over {} contracts: per cent for fraction?",
        pl.col("ratio").round(3),
        "count",
    )
    return _violations(flipped, "Q33", pl.lit(ERROR), detail, has_strike=False)


def _violations(
    rows: pl.DataFrame, rule: str, severity: pl.Expr, detail: pl.Expr, *, has_strike: bool = True
) -> pl.DataFrame:
    strike = pl.col("strike") if has_strike else pl.lit(None, pl.Float64)
    found = rows.select(
        pl.lit(rule).alias("rule"),
        severity.alias("severity"),
        *_EXPIRY,
        strike.alias("strike"),
        detail.alias("detail"),
    )
    return VIOLATIONS.conform(found)


def _leg() -> pl.Expr:
    return pl.when("is_call").then(pl.lit("call")).otherwise(pl.lit("put"))


def _differs(published: pl.Expr, again: pl.Expr) -> pl.Expr:
    """Whether two figures differ by more than summing in another order can explain."""
    is_far = (published - again).abs() > 1e-9 * again.abs().clip(lower_bound=1.0)
    return (published.is_null() != again.is_null()) | is_far.fill_null(False)
