"""Provisioning: which packages are needed, who shares them, what a poor host is told."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from market.errors import ConfigurationError
from storage import provision as module
from storage.provision import LAYOUT, cache_folder, provision
from tests.fix_timescale import programs_or_skip

LISTING = """\
postgresql-17
  Depends: libpq5
 |Depends: libnss-a
  Depends: libnss-b
  Depends: debconf
    debconf-2.0
  PreDepends: libc6
libpq5
  Depends: libc6
  Depends: <libvirtual>
debconf
  Depends: libperl5
"""


def test_dependencies_are_read_from_apts_listing() -> None:
    """Alternatives count, providers in deeper lines do not."""
    needs = module._parse_depends(LISTING)
    assert needs["postgresql-17"] == ["libpq5", "libnss-a", "libnss-b", "debconf", "libc6"]
    assert needs["debconf"] == ["libperl5"]


@pytest.mark.parametrize(
    ("name", "is_wanted"),
    [("libicu76", True), ("zlib1g", True), ("perl", False), ("libllvm19", False)],
)
def test_only_shared_libraries_are_followed(name: str, is_wanted: bool) -> None:
    """Scripting languages and compilers are left out: they would triple the download."""
    assert module._is_library(name) is is_wanted


def test_a_host_without_apt_is_told_to_set_database_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is attempted, and the remedy is named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"apt-get.*set DATABASE_URL"):
        provision(tmp_path / "prefix", lambda _: None)


def test_a_prefix_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file.*DATABASE_URL"):
        provision(tmp_path / "file", lambda _: None)


def test_a_failed_download_leaves_no_half_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror that does not answer is an error with the remedy; the next try starts afresh."""
    programs_or_skip()
    monkeypatch.setattr(module, "_mirror", lambda: "http://127.0.0.1:9/debian")
    with pytest.raises(ConfigurationError, match="Debian mirror"):
        provision(tmp_path / "prefix", lambda _: None)
    assert [p.name for p in (tmp_path / "prefix").iterdir()] == ["lock"]


def test_one_of_many_unpacks_and_the_rest_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clones that start together share one prefix."""
    programs_or_skip()
    built: list[Path] = []

    def build(target: Path, *_: object) -> None:
        built.append(target)
        target.mkdir()

    monkeypatch.setattr(module, "_build", build)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(provision, [tmp_path] * 4, [lambda _: None] * 4))
    assert len(found) == len(built) == 1
    assert built[0].name.startswith(LAYOUT)


def test_the_programs_run_on_this_host_wherever_they_lie(tmp_path: Path) -> None:
    """The tree can be reached by another path: nothing in it is absolute."""
    programs = programs_or_skip()
    moved = tmp_path / "moved"
    moved.symlink_to(programs.parents[4])
    command = (moved / "usr/lib/postgresql/17/bin/postgres", "--version")
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("postgres (PostgreSQL) 17")
    assert cache_folder() in programs.parents
