"""Rules of freshness and of the feed, from the figures that are handed in."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from tests.strategies import AS_OF
from tests.transforms.quality.sound import TRUTH, chain_of, series_in, told
from transforms.quality import feed
from transforms.quality.feed import FeedHealth, TokenHealth

SOUND = chain_of(TRUTH).contracts
MONEY = 24_100.0


@pytest.mark.parametrize(("seconds", "severity"), [(600, None), (601, "W"), (900, "W"), (901, "E")])
def test_snapshot_age(seconds: int, severity: str | None) -> None:
    """Q01: over two intervals of 300 s marks, over three blocks; the newest quote counts."""
    age = pl.duration(seconds=seconds + 60 * pl.int_range(pl.len()))
    old = SOUND.with_columns(quoted_at=pl.col("as_of") - age)
    found = feed.snapshot_age(series_in(old), 300.0)
    assert told(found) == ([("Q01", severity, None)] if severity else [])


def payloads(*hashes: str | None) -> pl.DataFrame:
    """One chain's answers in windows before each other, the newest first."""
    rows = [
        ("NIFTY", TRUTH.expiry, sha256, AS_OF - timedelta(minutes=5 * i))
        for i, sha256 in enumerate(hashes, 1)
    ]
    return pl.DataFrame(rows, schema=feed.ANSWERS.polars, orient="row")


@pytest.mark.parametrize(
    ("earlier", "severity"),
    [
        (["a"], "W"),
        (["a", "a"], "W"),
        (["a", "a", "a"], "E"),
        (["a", "a", "b", "a"], "W"),
        (["b", "a", "a", "a"], None),
        ([None, "a"], None),
        ([], None),
    ],
)
def test_repeated_payloads(earlier: list[str | None], severity: str | None) -> None:
    """Q01: the run of equal answers up to now counts, in whatever order the rows come."""
    before = payloads(*earlier).reverse()
    found = feed.repeated_payloads(payloads("a"), before)
    assert told(found) == ([("Q01", severity, None)] if severity else [])
    assert feed.repeated_payloads(payloads(None), before).is_empty()


@pytest.mark.parametrize(
    ("ahead", "back", "is_told"),
    [
        (2.0, None, False),
        (2.1, None, True),
        (-60.0, 0.0, False),
        (-60.0, 0.001, True),
        (19_800.0, None, True),
        (None, None, False),
    ],
)
def test_clock_order(ahead: float | None, back: float | None, is_told: bool) -> None:
    """Q02: 2 s of skew are forgiven, going back is not; a time zone shows as 19 800 s."""
    exchange_at = None if ahead is None else AS_OF + timedelta(seconds=ahead)
    earlier_at = (
        None if back is None or exchange_at is None else exchange_at + timedelta(seconds=back)
    )
    row = ("NIFTY", TRUTH.expiry, MONEY, exchange_at, AS_OF, earlier_at)
    stamps = pl.DataFrame([row], schema=feed.STAMPS.polars, orient="row")
    assert told(feed.clock_order(stamps)) == ([("Q02", "E", MONEY)] if is_told else [])


def test_stamps_of_a_chain() -> None:
    """A chain dates its last trades; not told is no date."""
    stamps = feed.STAMPS.conform(feed.stamps_of(SOUND))
    assert len(stamps) == len(SOUND)
    assert feed.clock_order(stamps).is_empty()


@pytest.mark.parametrize(
    ("missing", "severity"), [(0, None), (1, None), (2, "W"), (4, "W"), (5, "E")]
)
def test_coverage(missing: int, severity: str | None) -> None:
    """Q27: at 95 % all is well, below it a warning, below 80 % an error; each gap is named."""
    expected = [f"S{i}" for i in range(20)]
    found = feed.coverage(expected[missing:], expected)
    assert found.height == (missing if severity else 0)
    assert set(found["severity"]) == ({severity} if severity else set())
    assert found["symbol"].to_list() == (sorted(expected[:missing]) if severity else [])


def test_nothing_expected_is_covered() -> None:
    """Q27: an empty list of underlyings is complete."""
    assert feed.coverage([], []).is_empty()


@pytest.mark.parametrize(
    ("is_open", "age", "is_told"),
    [
        (True, 15.0, False),
        (True, 15.1, True),
        (True, None, True),
        (True, float("nan"), True),
        (False, 900.0, False),
        (False, None, False),
    ],
)
def test_mute_socket(is_open: bool, age: float | None, is_told: bool) -> None:
    """Q28: 15 s without any index, in session only; unknown is not fresh."""
    found = feed.mute_socket(FeedHealth(is_open, age))
    assert told(found) == ([("Q28", "E", None)] if is_told else [])
    assert set(found["symbol"]) <= {"*"}


@pytest.mark.parametrize(
    ("token", "is_told"),
    [
        (TokenHealth(True), False),
        (TokenHealth(True, 1), True),
        (TokenHealth(False, detail="expired at 03:30"), True),
    ],
)
def test_token_health(token: TokenHealth, is_told: bool) -> None:
    """Q29: invalid, or refused even once."""
    found = feed.token_health(token)
    assert told(found) == ([("Q29", "E", None)] if is_told else [])
    assert all(token.detail in words for words in found["detail"])


@pytest.mark.parametrize(
    ("symbol", "units", "tags", "is_told"),
    [
        ("SAIL", None, [], True),
        ("SAIL", None, None, True),
        ("SAIL", None, ["ban"], False),
        ("SAIL", None, ["freeze"], True),
        ("NIFTY", 1_800.0, [], False),
        ("NIFTY", 1_801.0, [], True),
        ("NIFTY", 1_801.0, ["volume", "freeze"], False),
        ("NIFTY", None, [], False),
        ("TCS", 1e9, [], False),
    ],
)
def test_untagged_alerts(
    symbol: str, units: float | None, tags: list[str] | None, is_told: bool
) -> None:
    """Q32: a banned name and a quantity over the freeze each want their tag."""
    row = (symbol, None, MONEY, units, tags)
    alerts = pl.DataFrame([row], schema=feed.ALERTS.polars, orient="row")
    found = feed.untagged_alerts(alerts, {"SAIL"}, {"NIFTY": 1_800})
    assert told(found) == ([("Q32", "W", MONEY)] if is_told else [])


def test_no_limits_no_findings() -> None:
    """Q32: without a ban list and freeze quantities nothing can be held against an alert."""
    row = ("NIFTY", None, None, 1e9, [])
    alerts = pl.DataFrame([row], schema=feed.ALERTS.polars, orient="row")
    assert feed.untagged_alerts(alerts, (), {}).is_empty()
