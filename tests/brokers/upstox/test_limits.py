"""Limits of the feed, from what the token says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from brokers.interface import Secret
from brokers.upstox.auth import StaticToken
from brokers.upstox.limits import KEYS_ALONE, current_capabilities
from simulator.access.tokens import mint

NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("token", "sockets", "is_plus"),
    [
        (mint(NOW, is_plus=True), 5, True),
        (mint(NOW, is_plus=False), 2, False),
        ("opaque", 2, None),
        (None, 2, None),
    ],
)
def test_sockets_by_the_plan_of_the_account(
    token: str | None, sockets: int, is_plus: bool | None
) -> None:
    """The paid plan has more; a token that does not tell, or is missing, counts as the normal."""
    source = StaticToken(Secret(token) if token else None, lambda: NOW)
    found = current_capabilities(source)
    assert (found.sockets, found.is_plus, found.keys_alone) == (sockets, is_plus, KEYS_ALONE)


def test_settings_can_only_lower_the_sockets() -> None:
    """Nought means all; the reading of the limits is the user's."""
    found = current_capabilities(StaticToken(Secret(mint(NOW, is_plus=True)), lambda: NOW))
    assert [found.within(n, is_per_socket=True).sockets for n in (0, 1, 9)] == [5, 1, 5]
    assert found.within(0, is_per_socket=True).is_per_socket
