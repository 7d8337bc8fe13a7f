"""The most telling troubles, with real processes: nothing lost in silence, nothing landed twice.

All of them, and the table in the manual, come from ``make chaos``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fix_timescale import programs_or_skip
from tools.chaos import world
from tools.chaos.scenarios import BY_NAME, SHORT
from tools.chaos.trial import run
from tools.chaos.world import World


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    """An exchange, a database, the streaming process and a witness; all is well in it."""
    programs_or_skip()
    with world.running() as made:
        yield made


@pytest.mark.parametrize("name", SHORT)
def test_books_balance(running: World, name: str) -> None:
    """Sent is landed plus recorded gaps, received is landed, and no tick stands there twice."""
    outcome = run(running, BY_NAME[name])
    sums = outcome.account
    assert sums.is_balanced, sums
    assert outcome.is_well, outcome
    # What would be balanced too: a world in which nothing happens.
    assert sums.sent > 0
    assert sums.landed > 0
    is_feed_lost = name != "kill_database"
    assert (len(sums.gaps) > 0) is is_feed_lost, sums
