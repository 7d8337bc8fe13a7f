"""Fixtures and rules that hold for every test; the servers' own fixtures stand in ``fix_*.py``."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
ORACLES = ROOT.parent / "shared" / "data"

# The only reasons for which a test may be skipped; CI fails on any other.
EXPECTED_SKIPS = ("published oracle", "npm referee")

pytest_plugins = [f"tests.{path.stem}" for path in sorted(Path(__file__).parent.glob("fix_*.py"))]

# No test fails for being slow: this machine is shared. CI replays the same examples each time.
settings.register_profile("here", deadline=None, max_examples=60)
settings.register_profile("ci", parent=settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def oracle_path() -> Callable[[str], Path]:
    """Where a published oracle lies; skips, with that reason, on a machine that has none."""

    def find(name: str) -> Path:
        path = ORACLES / name
        if not path.exists():
            pytest.skip(f"published oracle {name} is not on this machine")
        return path

    return find


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """Loopback ports that nothing listens on at the moment, all different."""

    def find(count: int) -> list[int]:
        with contextlib.ExitStack() as held:
            probes = [held.enter_context(socket.socket()) for _ in range(count)]
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            return [probe.getsockname()[1] for probe in probes]

    return find


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skip that nobody expects is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    unexpected = [
        f"{report.nodeid}: {report.longrepr[2]}"
        for report in skipped
        if not any(reason in str(report.longrepr) for reason in EXPECTED_SKIPS)
    ]
    if unexpected and os.environ.get("CI"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line("\nunexpected skips:\n  " + "\n  ".join(unexpected), red=True)
