"""A window's analytics: the live path's formulas, as of the moment that each chain describes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from market.errors import WindowUnavailable
from market.rules import Rules
from orchestration.assets.analytics import stored_quotes
from tests.fix_orchestration import AT, KEY, Location
from transforms.chain import analyse
from transforms.schemas import QUOTES

NEXT_KEY = "2026-11-20|10:05"


def test_stored_rows_are_what_the_formulas_say(location: Location) -> None:
    """The lake's rows equal one analysis of the same quotes; strikes add up to their expiry."""
    assert location.run().success
    chain = location.rows("chain")
    assert set(chain["as_of"]) == {AT.astimezone(UTC)}
    direct = analyse(QUOTES.conform(chain), AT.astimezone(UTC), Rules(), has_profiles=True)
    assert_frame_equal(chain.select(direct.contracts.columns), direct.contracts)
    expiries = location.rows("expiry_metrics")
    assert_frame_equal(expiries.select(direct.expiries.columns), direct.expiries)
    for table, frame in (
        ("itm_analysis", direct.itm),
        ("moneyness_buckets", direct.moneyness),
        ("gamma_profile", direct.profiles),
    ):
        assert not frame.is_empty()
        stored = location.rows(table).select(frame.columns)
        assert_frame_equal(stored, frame, check_row_order=False)
    sums = location.rows("strike_exposure").group_by("symbol", maintain_order=True)
    over_strikes = sums.agg(pl.col("net_gex_crore_per_percent").sum())["net_gex_crore_per_percent"]
    assert over_strikes.to_list() == pytest.approx(expiries["net_gex_crore_per_percent"].to_list())


def test_each_symbol_is_analysed_as_of_its_own_answer(location: Location) -> None:
    """A chain that was answered later has less time to settlement, the others keep theirs."""
    assert location.run().success
    chain = location.rows("chain")
    later = timedelta(minutes=3)
    is_late = pl.col("symbol") == "TCS"
    moved = chain.with_columns(
        quoted_at=pl.when(is_late).then(pl.col("quoted_at") + later).otherwise("quoted_at")
    )
    contracts = analyse(QUOTES.conform(moved), None, Rules()).contracts
    as_of: dict[str, datetime] = dict(contracts.select("symbol", "as_of").iter_rows())
    assert as_of["TCS"] - as_of["NIFTY"] == later


def test_a_window_knows_the_one_before_it(location: Location) -> None:
    """Changes within the day are counted from the earlier window's chain, where it is stored."""
    assert location.run().success
    alone = location.rows("chain")
    assert alone["build_up_interval"].null_count() == len(alone)
    location.clock.at = AT + timedelta(minutes=5)
    assert location.run(key=NEXT_KEY).success
    both = location.rows("chain", NEXT_KEY)
    assert both["build_up_interval"].null_count() < len(both)
    change = both.join(alone, on="contract_id", suffix="_then").select(
        found="interval_open_interest_change_units",
        expected=pl.col("open_interest_units") - pl.col("open_interest_units_then"),
    )
    assert change.drop_nulls().select((pl.col("found") == pl.col("expected")).all()).item()


def test_a_window_without_chain_says_what_to_do(location: Location) -> None:
    """The rollup alone cannot make a chain."""
    window = location.config.partitions().window(KEY)
    with pytest.raises(WindowUnavailable, match="materialise chain first"):
        stored_quotes(location.lake, window)
