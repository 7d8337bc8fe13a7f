"""DuckDB's extensions, laid out from pip packages so that nothing is downloaded at run time.

DuckDB looks for ``<folder>/<version>/<platform>/<name>.duckdb_extension``. Opening a lake with them
belongs in ``lake``; dbt is only told the folder.
"""

from __future__ import annotations

import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import duckdb

from market.errors import ConfigurationError

# Name under which DuckDB loads it: package that carries it, name of the file there.
# The packaged file "postgres" starts only under the name of its entry point.
_PACKAGED = {
    "ducklake": ("duckdb_extension_ducklake", "ducklake"),
    "postgres_scanner": ("duckdb_extension_postgres", "postgres"),
}
NAMES = tuple(_PACKAGED)


def extension_folder(home: Path) -> Path:
    """DuckDB's ``extension_directory`` under ``home``, filled: LOAD and INSTALL work offline.

    Raises:
        ConfigurationError: a package is missing, or made for another DuckDB or platform.
    """
    folder = home / "duckdb-extensions"
    version = f"v{duckdb.__version__}"
    place = folder / version / _platform()
    place.mkdir(parents=True, exist_ok=True)
    for name, (package, file) in _PACKAGED.items():
        source = _packaged_file(package, version, file)
        _lay_out(source, place / f"{name}.duckdb_extension")
    return folder


def _platform() -> str:
    # A connection of its own: the module's shared one must not be used by two threads at once.
    with duckdb.connect() as connection:
        row = connection.execute("PRAGMA platform").fetchone()
    return str(row[0]) if row else ""


def _packaged_file(package: str, version: str, file: str) -> Path:
    spec = find_spec(package)
    for root in spec.submodule_search_locations or () if spec else ():
        path = Path(root) / "extensions" / version / f"{file}.duckdb_extension"
        if path.exists():
            return path
    raise ConfigurationError(
        f"DuckDB {version} has no {file} extension in the package {package}: "
        "install optionlake with the versions that its lock file names"
    )


def _lay_out(source: Path, target: Path) -> None:
    if target.exists() and target.stat().st_size == source.stat().st_size:
        return
    # Copied, not linked: a home outlives the environment that filled it. Renamed into place,
    # since another process may be loading it right now.
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        fresh = Path(scratch) / target.name
        shutil.copyfile(source, fresh)
        fresh.replace(target)
