"""The marts: each dbt model an asset, in the same graph below the lake's tables.

What a mart says is written in ``dbt/``; how dbt is called, in ``dbt_project``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

# dbt builds one at a time: two builds would write the same tables.
POOL = "dbt"


class LakeTranslator(DagsterDbtTranslator):
    """Sources are the lake's own assets; models are named as in dbt."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """A bare name, so that a source is the asset that writes it."""
        return dg.AssetKey(dbt_resource_props["name"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """One group for all of dbt."""
        return "marts"

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """The team that looks after the models."""
        return ["team:analytics"]


def marts(manifest: Path, runs: Path) -> dg.AssetsDefinition:
    """The dbt models as assets, their tests as checks.

    Args:
        manifest: as prepared by ``dbt_project``.
        runs: folder for dbt's logs and compiled SQL.
    """

    # Named apart from the job: Dagster wants the names of both to differ.
    @dbt_assets(
        manifest=manifest, name="dbt_models", dagster_dbt_translator=LakeTranslator(), pool=POOL
    )
    def dbt_models(
        context: dg.AssetExecutionContext, dbt: dg.ResourceParam[DbtCliResource]
    ) -> Iterator[Any]:
        yield from dbt.cli(["build"], context=context, target_path=runs).stream()

    return dbt_models
