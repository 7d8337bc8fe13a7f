"""Damaged answers of the broker, a short form with a fixed seed; and that the search can find."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence

import pytest

from market.errors import MalformedResponse
from tools.broker_bodies import Reader, readers
from tools.damaged_json import damaged
from tools.fuzz_bodies import run, table, verdict

GOOD = json.dumps({"data": {"price": 5.0, "keys": ["a", "b"]}}).encode()


@pytest.fixture(scope="module")
def all_readers() -> Iterator[Sequence[Reader]]:
    """Every reader, with the simulated broker's answers."""
    with readers() as made:
        yield made


def test_no_damaged_answer_escapes_the_error_tree(all_readers: Sequence[Reader]) -> None:
    """Each is read soundly or refused by type, and leaves the next reading as it was."""
    tally = run(1_100, 20_260_610, all_readers)
    assert tally.findings == [], tally.findings[:3]
    assert sum(tally.outcomes.values()) == 1_100
    # What would pass as well: damage that is always or never noticed.
    assert {outcome for _, outcome in tally.outcomes} >= {"read", "MalformedResponse", "FrameError"}


def _price(body: bytes) -> float:
    return float(json.loads(body)["data"]["price"])


def _reader(is_guarded: bool) -> Reader:
    def guarded(body: bytes) -> float:
        try:
            return _price(body)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise MalformedResponse("no price") from None

    read = guarded if is_guarded else _price
    return Reader("price", read, (GOOD,), lambda price: "NaN" if math.isnan(price) else None)


def test_what_escapes_is_found() -> None:
    """A reader without a guard is caught at it, and so is a value that is no price."""
    escaped = run(300, 1, [_reader(is_guarded=False)])
    assert any("Error" in finding.trouble for finding in escaped.findings)
    unsound = run(3_000, 1, [_reader(is_guarded=True)])
    assert {finding.trouble for finding in unsound.findings} == {"NaN"}


def test_a_message_that_cannot_be_logged_is_found() -> None:
    """Too long, or with signs that no log can take."""
    for text in ("x" * 10_000, "two\nlines", "\ud800"):

        def refuse(body: bytes, text: str = text) -> None:
            raise MalformedResponse(text)

        reader = Reader("refusing", refuse, (GOOD,), lambda _: None)
        outcome, trouble = verdict(reader, GOOD)
        assert outcome == "MalformedResponse" and trouble is not None


def test_something_left_behind_is_found() -> None:
    """A reader that remembers what it refused."""
    seen: list[bytes] = []

    def remembering(body: bytes) -> int:
        if body != GOOD:
            seen.append(body)
            raise MalformedResponse("other")
        return len(seen)

    tally = run(100, 1, [Reader("remembering", remembering, (GOOD,), lambda _: None)])
    assert "reads otherwise" in tally.findings[0].trouble


def test_damage_is_the_same_for_the_same_seed() -> None:
    """A finding can be found again; and it is damage of many kinds."""
    bodies = [[damaged(random.Random(n), GOOD) for n in range(200)] for _ in range(2)]
    assert bodies[0] == bodies[1]
    assert len(set(bodies[0])) > 150


def test_table_tells_readers_and_outcomes() -> None:
    """One line for each reader with its sum."""
    told = table({("chain", "read"): 2, ("chain", "MalformedResponse"): 3, ("login", "read"): 1})
    first, second = told.splitlines()
    assert first.split() == ["chain", "5", "MalformedResponse", "3,", "read", "2"]
    assert second.split() == ["login", "1", "read", "1"]
