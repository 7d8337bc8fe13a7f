"""What the rules are asked about: null for NaN, phases from the tables, what is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import polars as pl
import pytest

from market.errors import SchemaMismatch
from tests.strategies import RULES, TICK
from tests.transforms.quality.sound import TRUTH, Chain, chain_of, put_in
from transforms.quality.case import Case, Circumstances, case_of

SOUND = chain_of(TRUTH)
IST = timezone(timedelta(hours=5, minutes=30))


def case(chain: Chain = SOUND, **known: object) -> Case:
    """A snapshot and what is known beside it."""
    return case_of(chain, TICK, ["NIFTY"], Circumstances(**cast(Any, known)))


def test_nan_is_unknown() -> None:
    """A frame's comparison takes NaN for the greatest number; here it is null before."""
    spoilt = put_in(SOUND.contracts, 24_100.0, True, bid_price=float("nan"))
    made = case(Chain(spoilt, SOUND.expiries))
    assert made.contracts["bid_price"].null_count() == 1
    assert made.contracts["bid_price"].is_nan().sum() == 0


@pytest.mark.parametrize(
    ("at", "phase"),
    [
        (datetime(2026, 11, 20, 15, 14, tzinfo=IST), "continuous"),
        (datetime(2026, 11, 20, 15, 20, tzinfo=IST), "auction"),
        (datetime(2026, 11, 20, 16, 0, tzinfo=IST), "closed"),
    ],
)
def test_the_phase_comes_from_the_tables(at: datetime, phase: str) -> None:
    """Of the newest row's instant; unless it is told, and continuous if nobody knows."""
    as_of = pl.lit(at.astimezone(UTC)).cast(pl.Datetime("us", "UTC"))
    chain = Chain(SOUND.contracts.with_columns(as_of=as_of), SOUND.expiries)
    assert case(chain, rules=RULES).phase == phase
    assert case(chain, rules=RULES, underlying_phase="closed").phase == "closed"
    assert case(chain).phase == "continuous"
    assert case(chain, rules=RULES).is_continuous == (phase == "continuous")


def test_what_is_known() -> None:
    """A field that was not handed in is not known."""
    made = case(interval_seconds=300.0)
    assert made.knows("interval_seconds")
    assert not made.knows("previous")
    assert not made.paired["has_earlier"].any()


def test_a_wrong_frame_is_refused() -> None:
    """What was before must say so in the columns that it promises."""
    with pytest.raises(SchemaMismatch, match="previous"):
        case(previous=pl.DataFrame({"contract_id": ["A"]}))
