"""Extensions from pip packages: found by name, offline, by any DuckDB of this version."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from market.errors import ConfigurationError
from storage import duckdb_extensions as module
from storage.duckdb_extensions import extension_folder


def test_load_and_install_work_offline_by_name(tmp_path: Path) -> None:
    """What dbt does with its ``extensions`` list, under both names of the PostgreSQL one."""
    folder = extension_folder(tmp_path)
    options = {"extension_directory": str(folder), "autoinstall_known_extensions": "false"}
    with duckdb.connect(config=options) as connection:
        for name in ("ducklake", "postgres"):
            connection.execute(f"INSTALL {name}")
            connection.execute(f"LOAD {name}")
        loaded = connection.execute(
            "SELECT extension_name FROM duckdb_extensions() WHERE loaded"
        ).fetchall()
    assert {("ducklake",), ("postgres_scanner",)} <= set(loaded)


def test_filling_twice_or_at_once_is_harmless(tmp_path: Path) -> None:
    """A file that is in use is not touched; no half file is ever in its place."""
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(extension_folder, [tmp_path] * 4))
    files = {p: p.stat().st_mtime_ns for p in folders[0].rglob("*.*") if p.is_file()}
    assert len(files) == 2
    extension_folder(tmp_path)
    assert all(p.stat().st_mtime_ns == at for p, at in files.items())


def test_a_duckdb_without_packaged_extensions_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packages stop at one version: a newer DuckDB is an error with the remedy, not a download."""
    monkeypatch.setattr(module.duckdb, "__version__", "99.0.0")
    with pytest.raises(ConfigurationError, match=r"v99\.0\.0.*lock file"):
        extension_folder(tmp_path)
