"""The marts: built from the lake in the same graph, with dbt's tests as checks."""

from __future__ import annotations

import dagster as dg

from orchestration.assets.marts import marts
from tests.fix_orchestration import Location


def test_marts_are_built_from_the_window(location: Location) -> None:
    """After a window and a build, both marts hold it, every dbt test passed, nothing leaked."""
    assert location.run().success
    result = location.run("marts", key=None)
    assert result.success
    evaluated = result.get_asset_check_evaluations()
    assert {e.check_name for e in evaluated} >= {
        "gamma_exposure_grain",
        "strikes_sum_to_expiry_exposure",
        "ratio_is_puts_over_calls",
    }
    assert all(e.passed for e in evaluated)
    exposure = location.lake.query("SELECT * FROM marts.gamma_exposure ORDER BY symbol")
    assert exposure["symbol"].to_list() == sorted(location.config.symbols)
    ratio = location.lake.query("SELECT * FROM marts.put_call_ratio ORDER BY symbol")
    stored = location.rows("expiry_metrics")
    assert ratio["pcr_open_interest"].to_list() == stored["pcr_open_interest"].to_list()
    profile = location.config.layout.dbt / "profiles.yml"
    assert profile.stat().st_mode & 0o077 == 0


def test_models_hang_below_the_tables_of_the_lake(location: Location) -> None:
    """A source is the very asset that writes it, not a second node of another name."""
    folder = location.config.layout.dbt
    built = marts(folder / "target" / "manifest.json", folder / "runs")
    parents = built.asset_deps[dg.AssetKey("stg_expiry_metrics")]
    assert parents == {dg.AssetKey("expiry_metrics")}
