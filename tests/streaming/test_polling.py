"""The schedule of quotes calls: shares of the pace, one call of a kind, back-off, bad keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import quote, urlencode

from hypothesis import example, given
from hypothesis import strategies as st

from brokers.planner.polling import Pace, periods
from streaming.polling import Ask, Poller, Purpose, Wish, cut

START = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
KEYS = tuple(f"NSE_FO|{n}" for n in range(500))


def _wish(keys: tuple[str, ...] = KEYS, period_seconds: float = 5.0, name: str = "a") -> Wish:
    return Wish(name, keys, period_seconds, Purpose.TAKEOVER)


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@given(st.integers(1, 60), st.floats(1, 60), st.floats(1, 60))
def test_pace_is_kept_and_rank_comes_first(count: int, calls: float, fastest: float) -> None:
    """Never more calls a minute than allowed, none faster than allowed, rank in order."""
    found = periods(count, Pace(calls, fastest))
    assert len(found) == count
    assert sum(60 / seconds for seconds in found) <= calls * (1 + 1e-9)
    assert min(found) >= fastest
    assert found == sorted(found)


@given(st.lists(st.sampled_from(["NSE_FO|1", "a b", "NSE_EQ|INE002A01018"])), st.integers(1, 7))
def test_cut_keeps_every_key_in_order(keys: list[str], most: int) -> None:
    """No call is too long in either way, none is smaller than it must be, nothing is lost."""

    def length(batch: tuple[str, ...]) -> int:
        return len(urlencode({"": ",".join(batch)}, quote_via=quote, safe=","))

    batches = cut(tuple(keys), most, 60)
    assert [key for batch in batches for key in batch] == keys
    assert all(0 < len(batch) <= most and length(batch) <= 60 for batch in batches)
    for batch, after in pairwise(batches):
        assert len(batch) == most or length((*batch, after[0])) > 60


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.floats(0, 20))
def test_period_is_kept_and_no_call_overtakes_itself(steps: list[float], late: float) -> None:
    """While a call is under way it is not made again; then not before its period."""
    poller, seconds = Poller(), 0.0
    asked: list[float] = []
    under_way: Ask | None = None
    for step in steps:
        seconds += step
        if under_way and seconds - asked[-1] >= late:
            poller.answered(under_way)
            under_way = None
        for ask in poller.due([_wish()], _at(seconds)):
            assert under_way is None
            under_way = ask
            asked.append(seconds)
    assert asked[0] == steps[0]
    gaps = [b - a for a, b in pairwise(asked)]
    assert all(gap >= 5 - 1e-5 for gap in gaps)


def test_failures_lengthen_the_period_and_an_answer_restores_it() -> None:
    """5, 10, 20 s, then the cap of 30; a spent budget lengthens nothing."""
    poller = Poller(backoff_seconds=30)
    asked: list[int] = []
    for second in range(200):
        for ask in poller.due([_wish()], _at(second)):
            asked.append(second)
            done = len(asked)
            end = poller.failed if done <= 5 else poller.answered if done == 6 else poller.delayed
            end(ask)
    gaps = [b - a for a, b in pairwise(asked)]
    assert gaps[:6] == [10, 20, 30, 30, 30, 5]
    assert set(gaps[6:]) == {5}


def test_a_wish_that_comes_back_is_due_at_once() -> None:
    """Another takeover does not wait for the period of the last one."""
    poller = Poller()
    (ask,) = poller.due([_wish()], START)
    poller.answered(ask)
    assert poller.due([_wish()], _at(1)) == []
    assert poller.due([], _at(1)) == []
    assert len(poller.due([_wish()], _at(1))) == 1


@example({"NSE_FO|0", "NSE_FO|1", "NSE_FO|2"})
@example({f"NSE_FO|{n}" for n in (0, 1, 125, 250, 251, 499)})
@given(st.sets(st.sampled_from(KEYS), max_size=6))
def test_bad_keys_are_found_and_the_others_told(bad: set[str]) -> None:
    """One bad key voids a call: each is found in about 18 calls, every other key is answered."""
    poller, calls, told, found = Poller(), 0, set[str](), set[str]()
    for second in range(150):
        for ask in poller.due([_wish(period_seconds=1000)], _at(second)):
            calls += 1
            if bad & set(ask.keys):
                poller.rejected(ask)
            else:
                found.update(poller.answered(ask))
                told.update(ask.keys)
    assert poller.refused == bad
    assert told == set(KEYS) - bad
    assert calls <= 1 + 19 * len(bad)
    asks = poller.due([_wish(period_seconds=1)], _at(1000))
    assert set(asks[0].keys) == told
    # Blame needs a call that was not refused after the key was found: at the latest, the next.
    assert found | set(poller.answered(asks[0])) == bad
    poller.due([], _at(1001))
    assert not poller.refused, "a key that nobody wants is not remembered"


def test_refusals_that_no_key_causes_do_not_multiply_calls() -> None:
    """A broker that refuses every call is left alone for longer, and no key is blamed for good."""
    poller, calls = Poller(), 0
    for second in range(600):
        for ask in poller.due([_wish()], _at(second)):
            calls += 1
            poller.rejected(ask)
    assert len(poller.refused) < 5
    assert calls <= 10 * 20
