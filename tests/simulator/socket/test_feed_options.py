"""The feed's choices and what is no choice."""

from __future__ import annotations

from typing import Any

import pytest

from market.errors import ConfigurationError
from simulator.socket.feed_options import BROKER_KEY_LIMITS, FeedOptions


@pytest.mark.parametrize(
    ("others", "most"), [((), 2000), (("full",), 2000), (("ltpc",), 1500), (("ltpc", "full"), 1500)]
)
def test_most_keys(others: tuple[str, ...], most: int) -> None:
    """The combined limit counts as soon as another mode has keys."""
    assert FeedOptions().most_keys("full", others) == most


def test_no_limits() -> None:
    """None: any number."""
    assert FeedOptions(has_limits=False).most_keys("full", ("ltpc",)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"left_out_share": 1.5},
        {"left_out_share": float("nan")},
        {"snapshot_type": "market_info"},
        {"snapshot_keys_per_frame": 0},
        {"limit_scope": "account"},
        {"key_limits": {"full": BROKER_KEY_LIMITS["full"]}},
        {"shared_ms": -1},
    ],
)
def test_what_is_no_choice(wrong: dict[str, Any]) -> None:
    """The error names the option, its value and what was expected."""
    ((name, _),) = wrong.items()
    with pytest.raises(ConfigurationError, match=f"{name} is .*, expected"):
        FeedOptions(**wrong)
