"""The interval file: what was set is read, and rubbish is as if nothing was."""

from __future__ import annotations

from pathlib import Path

import pytest

from market.errors import ConfigurationError
from storage.interval import read_interval, write_interval


def test_what_is_set_is_read(tmp_path: Path) -> None:
    """Also where the folder does not exist yet, and again when it is changed."""
    path = tmp_path / "run" / "interval"
    assert read_interval(path) is None
    for seconds in (30.0, 300.0):
        write_interval(path, seconds)
        assert read_interval(path) == seconds


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "-5", "0", "1e9", "\xff"])
def test_an_unusable_file_is_none(tmp_path: Path, text: str) -> None:
    """A reader that runs for days must not end over a typing error."""
    path = tmp_path / "interval"
    path.write_text(text, encoding="latin-1")
    assert read_interval(path) is None


@pytest.mark.parametrize("seconds", [0.0, 0.5, 3601.0, float("nan"), float("inf")])
def test_bounds_are_told(tmp_path: Path, seconds: float) -> None:
    """The error names what is expected, and nothing is written."""
    with pytest.raises(ConfigurationError, match="1 to 3600"):
        write_interval(tmp_path / "interval", seconds)
    assert not (tmp_path / "interval").exists()
