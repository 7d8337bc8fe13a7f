"""Fixtures that every test may use; the servers' own fixtures stand in ``fix_*.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORACLES = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def oracle_path() -> Callable[[str], Path]:
    """Where a published oracle lies; skips, with that reason, on a machine that has none."""

    def find(name: str) -> Path:
        path = ORACLES / name
        if not path.exists():
            pytest.skip(f"published oracle {name} is not on this machine")
        return path

    return find
