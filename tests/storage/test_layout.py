"""The home folder: everything inside it, and only absolute homes."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.layout import Layout, write_private


def test_everything_lies_under_home(tmp_path: Path) -> None:
    """Removing the home removes the installation."""
    layout = Layout(tmp_path / "home")
    names = [n for n, v in vars(Layout).items() if isinstance(v, property)]
    assert names
    assert all(layout.home in getattr(layout, name).parents for name in names)


def test_create_is_repeatable(tmp_path: Path) -> None:
    """A second start finds the folders and keeps what is in them."""
    layout = Layout(tmp_path)
    layout.create()
    (layout.logs / "stream.log").write_text("kept")
    layout.create()
    assert (layout.logs / "stream.log").read_text() == "kept"


def test_relative_home_is_refused() -> None:
    """Programs change directory; a relative home would mean several places."""
    with pytest.raises(ValueError, match="absolute"):
        Layout(Path("here"))


def test_secrets_are_for_the_owner_only(tmp_path: Path) -> None:
    """The file is private from its first byte on, also when it replaces a public one."""
    path = tmp_path / "profiles.yml"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
