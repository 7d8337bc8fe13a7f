"""Logging: below the level nothing, and a secret is never spelt out."""

from __future__ import annotations

import pytest
import structlog

from brokers.interface import Secret
from optionlake import logs


@pytest.fixture(autouse=True)
def restored() -> object:
    """Leave logging as it was for the tests that follow."""
    yield
    structlog.reset_defaults()


def test_level_is_honoured(capsys: pytest.CaptureFixture[str]) -> None:
    """A quieter level drops what is below it."""
    logs.configure("warning")
    structlog.get_logger().info("not shown")
    structlog.get_logger().warning("shown", rows=3)
    told = capsys.readouterr().err
    assert "not shown" not in told
    assert "shown" in told
    assert "rows" in told


def test_secret_stays_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """A token that someone logs by mistake shows as stars, also inside a container."""
    logs.configure("info")
    structlog.get_logger().info("token", token=Secret("abc123"), more={"t": Secret("abc123")})
    assert "abc123" not in capsys.readouterr().err
