"""How often prices are refreshed over REST, as a small file that may change while programs run.

Only the file: what the interval is used for belongs to ``brokers.planner.polling``.
"""

from __future__ import annotations

import math
from pathlib import Path

from market.errors import ConfigurationError
from storage.layout import write_private

SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 3600.0


def read_interval(path: Path) -> float | None:
    """The interval in seconds; None if none was set, or the file holds no usable one."""
    try:
        seconds = float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return seconds if SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS else None


def write_interval(path: Path, seconds: float) -> None:
    """Set the interval; the folder is made if missing.

    Raises:
        ConfigurationError: if it is out of bounds.
    """
    if not (math.isfinite(seconds) and SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS):
        raise ConfigurationError(
            f"an interval of {seconds:g} s is out of bounds, expected "
            f"{SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} s"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, f"{seconds:g}\n")
