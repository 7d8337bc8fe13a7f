"""dbt's manifest and profile are made under the home, and only when needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from market.errors import ConfigurationError
from orchestration import dbt_project
from orchestration.dbt_project import (
    PROJECT,
    filled_profile,
    manifest_path,
    prepare_manifest,
    profile_values,
)
from storage.lake import LakeConfig


def test_a_current_manifest_is_not_made_again(
    parsed_dbt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsing costs ten seconds at each start, so only a changed project is parsed."""
    monkeypatch.setattr(dbt_project, "DBT", Path("/nonexistent/dbt"))
    manifest = prepare_manifest(parsed_dbt)
    assert manifest == manifest_path(parsed_dbt)
    assert manifest.exists()


def test_the_checkout_stays_clean(parsed_dbt: Path) -> None:
    """Target, logs and user file go under the home."""
    assert not [path for path in ("target", "logs", ".user.yml") if (PROJECT / path).exists()]


def test_a_refused_project_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dbt's own explanation is in the error."""
    broken = tmp_path / "project"
    broken.mkdir()
    (broken / "dbt_project.yml").write_text("name: optionlake\nprofile: optionlake\n")
    (broken / "profiles.yml").write_text("nothing: {}\n")
    monkeypatch.setattr(dbt_project, "PROJECT", broken)
    with pytest.raises(ConfigurationError, match="optionlake"):
        prepare_manifest(tmp_path / "dbt")


def test_the_profile_is_filled_and_quoted(tmp_path: Path) -> None:
    """Every variable gets its value, whatever characters a password has."""
    config = LakeConfig('postgresql://me:p"a\\ss@host/db', tmp_path, tmp_path / "extensions")
    filled = filled_profile(profile_values(config))
    assert "env_var" not in re.sub(r"#.*", "", filled)
    assert r"ducklake:postgres:postgresql://me:p\"a\\ss@host/db" in filled
    assert str(tmp_path / "extensions") in filled
    with pytest.raises(ConfigurationError, match="which has no value"):
        filled_profile({})
