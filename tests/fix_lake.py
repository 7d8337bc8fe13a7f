"""Fixtures of a real lake: DuckLake with its catalogue in a database of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.lake import Lake, LakeConfig


@pytest.fixture
def lake_config(database: str, tmp_path: Path) -> LakeConfig:
    """Where an empty lake may be made; its catalogue shares the test's own database."""
    return LakeConfig(database, tmp_path / "lake")


@pytest.fixture
def lake(lake_config: LakeConfig) -> Iterator[Lake]:
    """A lake with all its tables and no rows."""
    opened = Lake(lake_config)
    opened.ensure_tables()
    yield opened
    opened.close()
