"""The dbt project as Dagster uses it: manifest and filled-in profile.

Everything that dbt writes goes under the home folder, so that the checkout stays as it is. Models
and tests are dbt's own business (``dbt/``); which assets they become belongs in ``assets.marts``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from market.errors import ConfigurationError
from storage.lake import LakeConfig, extension_folder
from storage.layout import write_private
from storage.provision import cache_folder

PROJECT = Path(__file__).resolve().parent.parent / "dbt"
# Beside this interpreter, so that PATH need not name the environment.
DBT = Path(sys.executable).with_name("dbt")
_ENV_VAR = re.compile(r"\{\{\s*env_var\('(\w+)'[^}]*\}\}")


def manifest_path(folder: Path) -> Path:
    """Where the manifest lies; ``folder`` is dbt's folder under the home."""
    return folder / "target" / "manifest.json"


def prepare_manifest(folder: Path) -> Path:
    """Parse the project unless the manifest is newer than every file of it; the manifest.

    Raises:
        ConfigurationError: dbt refuses the project.
    """
    manifest = manifest_path(folder)
    if not _is_current(manifest):
        _parse(folder)
    return manifest


def filled_profile(values: Mapping[str, str]) -> str:
    """``dbt/profiles.yml`` with values in place of the variables that it reads.

    Raises:
        ConfigurationError: if it reads a variable that has no value.
    """

    def value_of(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise ConfigurationError(f"dbt/profiles.yml reads {found[1]}, which has no value here")
        # They stand in YAML's double quotes, which escape as JSON does.
        return json.dumps(values[found[1]])[1:-1]

    return _ENV_VAR.sub(value_of, (PROJECT / "profiles.yml").read_text(encoding="utf-8"))


def prepare_profile(folder: Path, lake: LakeConfig) -> None:
    """Write the filled profile; it holds the lake's address, so it is for the owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    write_private(folder / "profiles.yml", filled_profile(profile_values(lake)))


def profile_values(lake: LakeConfig) -> dict[str, str]:
    """The variables that ``dbt/profiles.yml`` reads."""
    return {
        "DBT_ENV_SECRET_LAKE": f"ducklake:postgres:{lake.catalogue_dsn}",
        "DBT_EXTENSION_DIRECTORY": str(lake.extensions or extension_folder(cache_folder())),
    }


def _is_current(manifest: Path) -> bool:
    if not manifest.exists():
        return False
    made = manifest.stat().st_mtime
    return all(path.stat().st_mtime <= made for path in PROJECT.rglob("*") if path.is_file())


def _parse(folder: Path) -> None:
    target = manifest_path(folder).parent
    target.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            *(str(DBT), "--no-use-colors", "--log-path", str(folder / "logs"), "parse"),
            *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
            *("--target-path", str(target)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigurationError(f"dbt refuses the project in {PROJECT}: {done.stdout[-2000:]}")
