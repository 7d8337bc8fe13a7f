"""TimescaleDB's programs, unpacked from Debian's packages into a private folder.

No root, no Docker, nothing installed on the host: apt (with a state folder of its own) fetches the
packages, ``dpkg-deb`` unpacks them, and each program starts through the C library that came with
it, so the host's release does not matter. Running a server belongs in ``embedded``.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from market.errors import ConfigurationError

Report = Callable[[str], None]

SUITE = "trixie"
SERVER = "postgresql-17"
EXTENSION = "postgresql-17-timescaledb"
# Changing what is unpacked, or how, asks for a new folder: raise the last number.
LAYOUT = "17-1"
ZONES = Path("/usr/share/zoneinfo/UTC")
REMEDY = "or set DATABASE_URL to a PostgreSQL server that has TimescaleDB"

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_ROOTS = ("libc6", "libgcc-s1", "libstdc++6", SERVER, EXTENSION)
# Depended on for maintenance scripts and for compiling queries, which this server does without.
_UNNEEDED = ("libllvm", "libperl", "libjson-perl", "libcommon-sense-perl", "libipc-", "libio-")
_SKIPPED_PATHS = (
    "./usr/share/doc*",
    "./usr/share/man*",
    "./usr/share/locale*",
    "./usr/share/lintian*",
    "*/bitcode*",
    "*/llvmjit*",
    "*/gconv/*",
    "./etc*",
    "./var*",
)
_WRAPPER = """#!/bin/sh
# Started through the C library that this program was built for, not the host's.
here=${{0%/*}}
lib=$here/../../../{triplet}
exec "$lib/{loader}" --argv0 "$0" --library-path "$lib" "$here/../real/${{0##*/}}" "$@"
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """What Debian calls a processor, its library folder and its program loader."""

    name: str
    triplet: str
    loader: str


MACHINES = {
    "amd64": Machine("amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2"),
    "arm64": Machine("arm64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1"),
}


def cache_folder() -> Path:
    """Where programs shared by all clones of one user are kept."""
    if os.getuid() == 0:
        # The server gives up root, so its programs cannot stay in root's closed home.
        return Path("/var/cache/optionlake")
    return Path.home() / ".cache" / "optionlake"


def provision(prefix: Path, report: Report) -> Path:
    """Make sure that the programs are there; the folder that holds ``postgres`` and ``initdb``.

    Safe to call from many processes at once: one unpacks, the others wait for it.

    Args:
        prefix: folder shared by all clones; grows by about 140 MB.
        report: told each step, for a person who waits.

    Raises:
        ConfigurationError: if this host cannot provide them, with the remedy.
    """
    machine = _machine()
    target = prefix / f"{LAYOUT}-{machine.name}"
    if not target.exists():
        with _locked(prefix):
            if not target.exists():
                _build(target, machine, report)
    return target / "usr/lib/postgresql/17/bin"


def _machine() -> Machine:
    missing = [tool for tool in ("apt-get", "apt-cache", "dpkg-deb") if not shutil.which(tool)]
    if missing:
        raise ConfigurationError(
            f"the embedded database needs {', '.join(missing)}: use a Debian or Ubuntu host, "
            + REMEDY
        )
    name = _run(("dpkg", "--print-architecture")).strip()
    if name not in MACHINES:
        raise ConfigurationError(
            f"the embedded database is built for {' and '.join(MACHINES)}, this host is {name}: "
            f"use one of those, {REMEDY}"
        )
    if not ZONES.exists():
        raise ConfigurationError(
            f"the embedded database reads {ZONES.parent}: install the tzdata package, {REMEDY}"
        )
    return MACHINES[name]


@contextmanager
def _locked(prefix: Path) -> Iterator[None]:
    try:
        _make_open_folder(prefix)
        with (prefix / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ConfigurationError(
            f"the database's programs cannot be kept in {prefix} ({error}): make it writable, "
            + REMEDY
        ) from error


def _make_open_folder(folder: Path) -> None:
    """Create it so that the server's user can enter, whatever root's umask says."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for created in missing:
        created.chmod(0o755)


def _build(target: Path, machine: Machine, report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="building-", dir=target.parent) as scratch:
        work = Path(scratch)
        root = work / "root"
        root.mkdir()
        for archive in _download(work, report):
            _unpack(archive, root)
        _merge_usr(root)
        _wrap_programs(root, machine)
        _check(root, machine)
        root.chmod(0o755)
        # Only whole trees ever carry the final name, whatever interrupts the work above.
        root.rename(target)
        report("the database's programs are ready")


def _download(work: Path, report: Report) -> list[Path]:
    options = _apt_options(work)
    report(f"reading Debian {SUITE}'s package index")
    _run(("apt-get", *options, "update"))
    wanted = _closure(options)
    report(f"downloading {len(wanted)} packages of PostgreSQL and TimescaleDB")
    _run(("apt-get", *options, "download", *wanted), folder=work / "packages")
    return sorted((work / "packages").glob("*.deb"))


def _apt_options(work: Path) -> tuple[str, ...]:
    for folder in ("packages", "apt/lists/partial", "apt/cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    (work / "apt/sources.list").write_text(f"deb {signed}{_mirror()} {SUITE} main\n")
    (work / "apt/status").touch()
    settings = {
        "Dir::Etc::SourceList": work / "apt/sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": work / "apt",
        "Dir::State::Lists": work / "apt/lists",
        "Dir::State::status": work / "apt/status",
        "Dir::Cache": work / "apt/cache",
        # apt's own download user cannot write into this folder.
        "APT::Sandbox::User": "root",
        "APT::Update::Post-Invoke": "",
        "APT::Update::Post-Invoke-Success": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
        "Debug::NoLocking": "1",
    }
    return ("-qq", *(f"-o{name}={value}" for name, value in settings.items()))


def _mirror() -> str:
    """The Debian mirror that this host's apt is set to.

    Raises:
        ConfigurationError: the host has none.
    """
    listed = _run(("apt-get", "indextargets", "--format", "$(REPO_URI)")).split()
    own = [uri for uri in listed if uri.rstrip("/").endswith("/debian")]
    if not own:
        raise ConfigurationError(f"apt on this host knows no Debian mirror: add one, {REMEDY}")
    return own[0]


def _closure(options: Sequence[str]) -> list[str]:
    """The server, its extension and every shared library that they need."""
    without = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    flags = (f"--no-{kind}" for kind in without)
    listing = _run(("apt-cache", *options, "depends", "--recurse", *flags, *_ROOTS))
    needs = _parse_depends(listing)
    found: list[str] = []
    waiting = list(_ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            waiting += [n for n in needs.get(name, ()) if _is_library(n)]
    return sorted(found)


def _parse_depends(listing: str) -> dict[str, list[str]]:
    needs: dict[str, list[str]] = {}
    current: list[str] = []
    for line in listing.splitlines():
        if not line.startswith((" ", "|")):
            current = needs.setdefault(line.strip(), [])
        else:
            kind, _, name = line.strip(" |").partition(": ")
            if kind in {"Depends", "PreDepends"}:
                current.append(name)
    return needs


def _is_library(name: str) -> bool:
    return (name.startswith("lib") or name == "zlib1g") and not name.startswith(_UNNEEDED)


def _unpack(archive: Path, root: Path) -> None:
    reader = subprocess.Popen(("dpkg-deb", "--fsys-tarfile", archive), stdout=subprocess.PIPE)
    with reader:
        skipped = (f"--exclude={path}" for path in _SKIPPED_PATHS)
        subprocess.run(
            ("tar", "-x", "-C", root, "--no-same-owner", *skipped),
            stdin=reader.stdout,
            umask=0o022,
            check=True,
        )
    if reader.returncode:
        raise ConfigurationError(f"{archive.name} cannot be unpacked: try again, {REMEDY}")


def _merge_usr(root: Path) -> None:
    """Some packages still ship ``/lib``, which a Debian host links to ``/usr/lib``."""
    old = root / "lib"
    if old.is_dir() and not old.is_symlink():
        shutil.copytree(old, root / "usr/lib", symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(old)


def _wrap_programs(root: Path, machine: Machine) -> None:
    home = root / "usr/lib/postgresql/17"
    (home / "real").mkdir()
    (home / "real").chmod(0o755)
    wrapper = _WRAPPER.format(triplet=machine.triplet, loader=machine.loader)
    for program in sorted((home / "bin").iterdir()):
        with program.open("rb") as file:
            is_binary = file.read(4) == b"\x7fELF"
        if is_binary:
            program.rename(home / "real" / program.name)
            program.write_text(wrapper)
            program.chmod(0o755)


def _check(root: Path, machine: Machine) -> None:
    library = root / "usr/lib" / machine.triplet
    server = root / "usr/lib/postgresql/17/real/postgres"
    loader = (library / machine.loader, "--library-path", library, "--list", server)
    absent = [line.strip() for line in _run(loader).splitlines() if "not found" in line]
    if absent:
        raise ConfigurationError(f"PostgreSQL lacks libraries: {'; '.join(absent)}; {REMEDY}")
    _run((root / "usr/lib/postgresql/17/bin/postgres", "--version"))


def _run(command: Sequence[str | Path], folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "; ".join(done.stderr.strip().splitlines()[-3:]) or f"code {done.returncode}"
        raise ConfigurationError(
            f"the embedded database cannot be provided, {Path(command[0]).name} failed: {said}; "
            f"check that this host reaches a Debian mirror, {REMEDY}"
        )
    return done.stdout
