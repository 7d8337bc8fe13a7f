"""Rules that hold two accounts of one thing against each other."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.transforms.quality.sound import TRUTH, chain_of, put_in, told
from transforms.quality import agreement
from transforms.schemas import VIOLATIONS

SOUND = chain_of(TRUTH)
MONEY = 24_100.0
IS_CALL = pl.col("is_call") & (pl.col("strike") == MONEY)


@pytest.mark.parametrize(
    "name",
    ["call_open_interest_units", "put_open_interest_units", "pcr_open_interest", "pcr_volume"],
)
@pytest.mark.parametrize("value", [1.5, None])
def test_sums_agree(name: str, value: float | None) -> None:
    """Q26: a published sum or ratio that the contracts do not give."""
    assert agreement.sums_agree(SOUND.contracts, SOUND.expiries).is_empty()
    wrong = SOUND.expiries.with_columns(pl.lit(value, pl.Float64).alias(name))
    assert told(agreement.sums_agree(SOUND.contracts, wrong)) == [("Q26", "E", None)]


@pytest.mark.parametrize(("relative", "count"), [(1e-12, 0), (1e-6, 1)])
def test_sums_may_round(relative: float, count: int) -> None:
    """Q26: another order of summation is forgiven, a millionth is not."""
    near = SOUND.expiries.with_columns(pl.col("pcr_volume") * (1 + relative))
    assert agreement.sums_agree(SOUND.contracts, near).height == count


def test_lost_rows_break_the_sums() -> None:
    """Q26: contracts that went missing after publication."""
    lost = SOUND.contracts.filter(~IS_CALL)
    assert agreement.sums_agree(lost, SOUND.expiries).height == 1
    assert agreement.sums_agree(SOUND.contracts.clear(), SOUND.expiries).height == 1


def test_an_equal_replay_is_none() -> None:
    """Q31: the same rows in another order, nulls and NaN included."""
    live = put_in(SOUND.contracts, MONEY, True, delta_forward=float("nan"), premium=None)
    replayed = live.sample(fraction=1.0, shuffle=True, seed=3)
    assert_frame_equal(agreement.replay_agrees(live, replayed), VIOLATIONS.empty())


def test_replay_that_differs() -> None:
    """Q31: the last bit counts, and so does a null; the columns are named."""
    replayed = put_in(
        SOUND.contracts, MONEY, True, spot=pl.col("spot") * (1 + 2.3e-16), delta_forward=None
    )
    found = agreement.replay_agrees(SOUND.contracts, replayed)
    assert told(found) == [("Q31", "E", MONEY)]
    assert "differs in spot, delta_forward" in found["detail"][0]


def test_rows_of_one_path_only() -> None:
    """Q31: told from either side, at the row's place."""
    fewer = SOUND.contracts.filter(~IS_CALL)
    for live, replayed, words in (
        (SOUND.contracts, fewer, "only live"),
        (fewer, SOUND.contracts, "only in the replay"),
    ):
        found = agreement.replay_agrees(live, replayed)
        assert told(found) == [("Q31", "E", MONEY)]
        assert words in found["detail"][0]


def test_replay_of_symbols() -> None:
    """Q31: rows of a frame without expiry and strike are placed by symbol."""
    live = pl.DataFrame({"symbol": ["A", "B"], "price": [1.0, 2.0]})
    replayed = live.with_columns(price=pl.lit(1.0))
    found = agreement.replay_agrees(live, replayed, ["symbol"])
    assert found.select("symbol", "expiry", "strike").rows() == [("B", None, None)]
