"""Rules of freshness and of the feed: Q01, Q02, Q27–Q29, Q32.

The programs that watch a feed hand in what they saw as frames and records of this module; ages and
instants are theirs, and nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from transforms.columns import FLOAT, INSTANT, TEXT, WHO, Column, Schema
from transforms.quality.findings import ERROR, EVERY_SYMBOL, EXPIRY, WARNING, findings, words

ANSWERS = Schema(
    "answers",
    "one row per window, symbol and expiry: what the broker answered, by its hash",
    (
        *WHO,
        Column("sha256", TEXT, "hex", "of the body; null for a failed request"),
        Column("window_start_at", INSTANT, "UTC", "start of the window", True),
    ),
)

STAMPS = Schema(
    "stamps",
    "one row per message: when the exchange and when we dated it",
    (
        Column("symbol", TEXT, "", "underlying's symbol", True),
        Column("expiry", pl.Date, "exchange date", "null for the underlying itself"),
        Column("strike", FLOAT, "₹", "null unless an option"),
        Column("exchange_at", INSTANT, "UTC", "the exchange's date"),
        Column("ingested_at", INSTANT, "UTC", "our clock when it came"),
        Column("earlier_exchange_at", INSTANT, "UTC", "the exchange's date of the one before"),
    ),
)

ALERTS = Schema(
    "alerts",
    "one row per alert that is about to be shown",
    (
        Column("symbol", TEXT, "", "underlying's symbol", True),
        Column("expiry", pl.Date, "exchange date", "null if the whole symbol is meant"),
        Column("strike", FLOAT, "₹", "null if the whole expiry is meant"),
        Column("quantity_units", FLOAT, "units", "quantity that it speaks of"),
        Column("tags", pl.List(pl.String), "", "its tags"),
    ),
)

BANNED_TAG, FREEZE_TAG = "ban", "freeze"

_WARNING_INTERVALS, _ERROR_INTERVALS = 2, 3
_CLOCK_SECONDS = 2
_COVERAGE_WARNING, _COVERAGE_ERROR = 0.95, 0.80
_MUTE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """A socket at one moment.

    Attributes:
        is_market_open: whether a session is under way; silence is no fault while there is none.
        index_tick_age_seconds: since the newest tick of any index; None if none ever came.
    """

    is_market_open: bool
    index_tick_age_seconds: float | None


@dataclass(frozen=True, slots=True)
class TokenHealth:
    """The broker's token at one moment.

    Attributes:
        is_valid: whether it is there and has not run out.
        refused_calls: calls that the broker answered with 401 since the last look.
        detail: what the broker or our own check said, in words.
    """

    is_valid: bool
    refused_calls: int = 0
    detail: str = ""


def snapshot_age(series: pl.DataFrame, interval_seconds: float) -> pl.DataFrame:
    """Q01: the newest quote of an expiry is older than two intervals; over three is an error.

    Ages count to ``as_of``. To be asked while the market is open.

    Args:
        series: ``series.series_of``.
    """
    age = _seconds(pl.col("as_of") - pl.col("quoted_at"))
    severity = _error_if(age > _ERROR_INTERVALS * interval_seconds)
    detail = words("newest quote is {} s old: chain not fetched?", age)
    old = series.filter(age > _WARNING_INTERVALS * interval_seconds)
    return findings(old, "Q01", severity, detail, has_strike=False)


def repeated_payloads(payloads: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """Q01: an answer is byte for byte that of the windows before; over three of them is an error.

    Brokers repeat what they have cached. To be asked while the market is open.

    Args:
        payloads: ``ANSWERS`` of the window.
        earlier: ``ANSWERS`` of any earlier windows.
    """
    now = payloads.select(*EXPIRY, "sha256").filter(pl.col("sha256").is_not_null())
    then = earlier.select(*EXPIRY, "window_start_at", sha256_then="sha256")
    runs = (
        now.join(then, on=EXPIRY)
        .sort(*EXPIRY, "window_start_at", descending=[False, False, True])
        .with_columns(is_same=(pl.col("sha256") == pl.col("sha256_then")).fill_null(False))
        .with_columns(pl.col("is_same").cast(pl.Int32).cum_min().over(EXPIRY))
        .group_by(EXPIRY, maintain_order=True)
        .agg(count=pl.col("is_same").sum())
    )
    count = pl.col("count")
    severity = _error_if(count >= _ERROR_INTERVALS)
    detail = words("same answer as in {} windows before: the broker repeats its cache?", count)
    return findings(runs.filter(count > 0), "Q01", severity, detail, has_strike=False)


def clock_order(stamps: pl.DataFrame) -> pl.DataFrame:
    """Q02: a message dated over 2 s after it came, or before the one that came before it.

    Args:
        stamps: ``STAMPS``.
    """
    ahead = _seconds(pl.col("exchange_at") - pl.col("ingested_at"))
    back = _seconds(pl.col("earlier_exchange_at") - pl.col("exchange_at"))
    is_wrong = (ahead > _CLOCK_SECONDS).fill_null(False) | (back > 0).fill_null(False)
    detail = words(
        "dated {} s after it came and {} s before the one before: clock skew, time zone or a late "
        "message?",
        ahead,
        back,
    )
    return findings(stamps.filter(is_wrong), "Q02", ERROR, detail)


def stamps_of(contracts: pl.DataFrame) -> pl.DataFrame:
    """``STAMPS`` of a chain: its last trades and when the quotes were taken."""
    return contracts.select(
        *EXPIRY,
        "strike",
        exchange_at="last_traded_at",
        ingested_at="quoted_at",
        earlier_exchange_at=pl.lit(None, INSTANT),
    )


def coverage(symbols: Collection[str], expected_symbols: Collection[str]) -> pl.DataFrame:
    """Q27: under 95 % of the expected underlyings have a chain; under 80 % it is an error."""
    missing = sorted(set(expected_symbols) - set(symbols))
    expected = len(set(expected_symbols))
    share = 1.0 - len(missing) / expected if expected else 1.0
    frame = pl.DataFrame({"symbol": missing}, schema={"symbol": pl.String})
    keyed = frame.with_columns(expiry=pl.lit(None, pl.Date))
    if share >= _COVERAGE_WARNING:
        keyed = keyed.clear()
    severity = ERROR if share < _COVERAGE_ERROR else WARNING
    detail = pl.lit(f"no chain; {share:.0%} of {expected} underlyings are covered")
    return findings(keyed, "Q27", severity, detail, has_strike=False)


def mute_socket(health: FeedHealth) -> pl.DataFrame:
    """Q28: no tick of any index for 15 s inside a session: connected but mute, so reconnect."""
    age = health.index_tick_age_seconds
    is_mute = health.is_market_open and (age is None or not age <= _MUTE_SECONDS)
    told = "no tick of any index yet" if age is None else f"no tick of any index for {age:g} s"
    return _of_feed("Q28", f"{told}: mute socket or lost subscription; reconnect", is_mute)


def token_health(token: TokenHealth) -> pl.DataFrame:
    """Q29: the token is invalid, or the broker refused a call with 401: page a person."""
    is_broken = not token.is_valid or token.refused_calls > 0
    state = "valid" if token.is_valid else "invalid"
    detail = f"token {state}, {token.refused_calls} calls refused: expired or replaced? log in"
    return _of_feed("Q29", f"{detail} ({token.detail})" if token.detail else detail, is_broken)


def untagged_alerts(
    alerts: pl.DataFrame, banned_symbols: Collection[str], freeze_units: Mapping[str, float]
) -> pl.DataFrame:
    """Q32: an alert on a banned name, or over the freeze quantity, that does not say so.

    Args:
        alerts: ``ALERTS``; told by the tags ``BANNED_TAG`` and ``FREEZE_TAG``.
        banned_symbols: underlyings in the exchange's ban period.
        freeze_units: largest quantity of one order by symbol, units.
    """
    tags = pl.col("tags").fill_null(pl.lit([], pl.List(pl.String)))
    limits = pl.DataFrame(
        {"symbol": list(freeze_units), "freeze_units": list(freeze_units.values())},
        schema={"symbol": pl.String, "freeze_units": pl.Float64},
    )
    limited = alerts.join(limits, on="symbol", how="left", maintain_order="left")
    is_banned = pl.col("symbol").is_in(list(banned_symbols)) & ~tags.list.contains(BANNED_TAG)
    is_frozen = (pl.col("quantity_units") > pl.col("freeze_units")) & ~tags.list.contains(
        FREEZE_TAG
    )
    detail = words(
        "quantity {}, freeze quantity {}, tags [{}]: add {}",
        "quantity_units",
        "freeze_units",
        tags.list.join(", "),
        pl.when(is_banned).then(pl.lit(BANNED_TAG)).otherwise(pl.lit(FREEZE_TAG)),
    )
    return findings(limited.filter(is_banned | is_frozen.fill_null(False)), "Q32", WARNING, detail)


def _of_feed(rule: str, detail: str, is_broken: bool) -> pl.DataFrame:
    whole = pl.DataFrame(
        {"symbol": [EVERY_SYMBOL], "expiry": [None]},
        schema={"symbol": pl.String, "expiry": pl.Date},
    )
    rows = whole if is_broken else whole.clear()
    return findings(rows, rule, ERROR, pl.lit(detail), has_strike=False)


def _error_if(condition: pl.Expr) -> pl.Expr:
    return pl.when(condition).then(pl.lit(ERROR)).otherwise(pl.lit(WARNING))


def _seconds(duration: pl.Expr) -> pl.Expr:
    return duration.dt.total_milliseconds() / 1000
