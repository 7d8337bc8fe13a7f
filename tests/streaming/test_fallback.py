"""Who takes over from whom: in time, not to and fro, and at no greater cost than promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.fallback import (
    Event,
    Fallback,
    FallbackConfig,
    HandedBack,
    KeysRefused,
    PollGroup,
    PriceMode,
    Sampled,
    Situation,
    SocketView,
    TookOver,
)
from streaming.polling import Ask, Purpose

START = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
KEYS = tuple(f"NSE_FO|{n}" for n in range(1200))
TICK = 0.25


def at(seconds: float) -> datetime:
    """An instant of the test."""
    return START + timedelta(seconds=seconds)


def view(is_live: bool, name: str = "0", keys: tuple[str, ...] = KEYS, **told: Any) -> SocketView:
    """A socket that should deliver ``keys``."""
    return SocketView(name, keys, is_live, **told)


class Run:
    """A fallback at work on a clock of quarters of a second; every call is answered at once."""

    def __init__(self, mode: PriceMode = PriceMode.HYBRID, **chosen: Any) -> None:
        self.core = Fallback(FallbackConfig(mode=mode, **chosen))
        self.asks: list[tuple[float, Ask]] = []
        self.events: list[tuple[float, Event]] = []

    def go(
        self,
        seconds: tuple[float, float],
        situation: Callable[[float], Situation],
        end: Callable[[Fallback, Ask], None] = Fallback.answered,
    ) -> None:
        """Step from one second to another."""
        for step in range(round(seconds[0] / TICK), round(seconds[1] / TICK)):
            now = step * TICK
            for ask in self.core.step(situation(now), at(now)):
                self.asks.append((now, ask))
                end(self.core, ask)
            self.events += [(now, event) for event in self.core.events()]

    def told(self, kind: type) -> Iterator[float]:
        """When events of a kind were told."""
        return (now for now, event in self.events if isinstance(event, kind))

    def keys(self, purpose: Purpose) -> set[str]:
        """What was asked for."""
        return {key for _, ask in self.asks if ask.purpose is purpose for key in ask.keys}


def one(is_live: bool, is_open: bool = True, **told: Any) -> Situation:
    """A single socket."""
    return Situation(is_open, [view(is_live, **told)])


def always(situation: Situation) -> Callable[[float], Situation]:
    """The same at any time."""
    return lambda now: situation


def test_a_dead_socket_is_replaced_within_five_seconds() -> None:
    """Dead at 10 s: every key asked for by 13 s, at most 500 a call, and back once it delivers."""
    run = Run()
    run.go((0, 60), lambda now: one(not 10 <= now < 40))
    assert list(run.told(TookOver)) == [13]
    first = [ask for now, ask in run.asks if now == 13]
    assert [key for ask in first for key in ask.keys] == list(KEYS)
    assert all(len(ask.keys) <= 500 for ask in first)
    assert min(now for now, _ in run.asks) == 13
    assert list(run.told(HandedBack)) == [42]
    assert max(now for now, _ in run.asks) < 42
    assert run.core.taken_over == () and not run.core.is_polling


def test_a_short_break_is_not_worth_a_call() -> None:
    """A reconnection within the patience costs nothing."""
    run = Run()
    run.go((0, 60), lambda now: one(now % 10 >= 2.5))
    assert run.asks == []


def test_a_socket_that_comes_and_goes_is_not_trusted() -> None:
    """Live for a second at a time: one takeover, no hand-back, and the period is kept."""
    run = Run()
    run.go((0, 120), lambda now: one(now % 5 >= 4))
    assert len(list(run.told(TookOver))) == 1
    assert list(run.told(HandedBack)) == []
    times = [now for now, ask in run.asks if ask.wish == "takeover/0/0"]
    assert all(b - a >= 5 for a, b in pairwise(times))


@given(st.lists(st.tuples(st.booleans(), st.floats(0.25, 8)), max_size=30))
def test_takeovers_alternate_and_are_never_close(states: list[tuple[bool, float]]) -> None:
    """Whatever the socket does: over, back, over …, and a whole cycle takes five seconds."""
    run, now = Run(), 0.0
    for is_live, seconds in states:
        run.go((now, now + seconds), always(one(is_live)))
        now += seconds
    kinds = [type(event) for _, event in run.events]
    assert kinds == [HandedBack if n % 2 else TookOver for n in range(len(kinds))]
    times = list(run.told(TookOver))
    assert all(b - a >= 5 for a, b in pairwise(times))


def test_keys_that_the_snapshot_lacks_are_waited_for_and_then_asked_for() -> None:
    """Live since 20 s but for two keys: handed back at 30 s, the two stay with REST."""
    run = Run()
    lost = frozenset(KEYS[5:7])
    run.go((0, 60), lambda now: one(now >= 20, unseen=lost if now < 50 else frozenset()))
    assert list(run.told(HandedBack)) == [30]
    assert {key for now, ask in run.asks if now >= 30 for key in ask.keys} == lost
    assert max(now for now, _ in run.asks) < 50


def test_a_live_socket_that_says_nothing_counts_as_dead() -> None:
    """Last data at 10 s, a link that looks alive: taken over at 14 s, back with the next data."""
    run = Run()
    run.go((0, 60), lambda now: one(True, last_data_at=at(min(now, 10) if now < 30 else now)))
    (taken,) = run.told(TookOver)
    assert 14 <= taken <= 14.5
    assert list(run.told(HandedBack)) == [32]


def test_a_socket_that_is_merely_quiet_is_borne_longer_each_time() -> None:
    """Data every 9 s: taken over twice, then its quiet is known."""
    run = Run()
    run.go((0, 600), lambda now: one(True, last_data_at=at(now // 9 * 9)))
    assert len(list(run.told(TookOver))) <= 2
    assert run.core.taken_over == ()


def test_the_night_before_a_session_is_no_silence() -> None:
    """Quiet until the open: the first seconds are waited for."""
    run = Run()
    quiet = at(-3600)
    run.go((0, 30), lambda now: one(True, now >= 10, last_data_at=quiet if now < 13 else at(now)))
    assert run.events == [] and run.asks == []


def test_nothing_is_asked_for_while_the_market_is_closed() -> None:
    """No socket is missed at night; the close ends a takeover."""
    run = Run()
    run.go((0, 20), lambda now: one(False))
    run.go((20, 600), lambda now: one(False, is_open=False))
    assert list(run.told(HandedBack)) == [20]
    assert all(now < 20 for now, _ in run.asks)


def test_only_the_dead_socket_is_replaced() -> None:
    """Of two sockets one dies: its keys alone are asked for."""
    run = Run()
    mine, others = KEYS[:30], KEYS[30:60]
    run.go((0, 30), lambda now: Situation(True, [view(False, "0", mine), view(True, "1", others)]))
    assert run.keys(Purpose.TAKEOVER) == set(mine)
    assert run.core.taken_over == ("0",)


def test_a_socket_that_loses_its_keys_to_another_is_handed_back() -> None:
    """The plan gave its keys away: nobody is stood in for."""
    run = Run()
    run.go((0, 10), lambda now: one(False))
    run.go((10, 20), lambda now: one(False, keys=()))
    assert [type(event) for _, event in run.events] == [TookOver, HandedBack]
    assert all(now < 10 for now, _ in run.asks)


def test_rest_asks_for_everything_and_tells_that_it_samples() -> None:
    """From the first step, whatever sockets do; each minute is told as seen in samples."""
    run = Run(PriceMode.REST)
    run.go((0, 200), lambda now: one(False))
    run.go((200, 210), lambda now: one(False, is_open=False))
    assert {key for now, ask in run.asks if now == 0 for key in ask.keys} == set(KEYS)
    assert run.keys(Purpose.REST) == set(KEYS)
    sampled = [event for _, event in run.events if isinstance(event, Sampled)]
    assert [type(event) for _, event in run.events] == [Sampled] * 4
    assert [(s.from_at, s.to_at) for s in sampled] == [
        (at(a), at(b)) for a, b in [(0, 60), (60, 120), (120, 180), (180, 200)]
    ]
    assert {s.keys for s in sampled} == {KEYS}


def test_rest_asks_for_closing_prices_once() -> None:
    """After a start at night and after a close; keys that are planned later get their turn."""
    run = Run(PriceMode.REST)
    run.go((0, 30), lambda now: one(False, is_open=False, keys=KEYS[:10]))
    assert [ask.keys for _, ask in run.asks] == [KEYS[:10]]
    assert not run.core.is_polling
    run.go((30, 60), lambda now: one(False, is_open=False, keys=KEYS[:20]))
    assert [ask.keys for _, ask in run.asks[1:]] == [KEYS[10:20]]
    run.go((60, 100), lambda now: one(False, keys=KEYS[:20]))
    run.go((100, 130), lambda now: one(False, is_open=False, keys=KEYS[:20]))
    assert [ask.keys for now, ask in run.asks if now >= 100] == [KEYS[:20]]


def test_shadow_compares_slowly_and_still_takes_over() -> None:
    """Everything live is asked for at 6 calls a minute; a dead socket at the pace of takeovers."""
    run = Run(PriceMode.SHADOW)
    run.go((0, 600), lambda now: one(True))
    assert run.keys(Purpose.SHADOW) == set(KEYS)
    assert len(run.asks) <= 6 * 10 + 3
    assert run.core.calls_per_minute <= 6
    run.go((600, 610), lambda now: one(False))
    assert run.keys(Purpose.TAKEOVER) == set(KEYS)
    assert [type(event) for _, event in run.events] == [TookOver]


@pytest.mark.parametrize("mode", list(PriceMode))
def test_what_no_socket_carries_is_always_asked_for(mode: PriceMode) -> None:
    """In every mode, each group at its period; once while the market is closed."""
    run, group = Run(mode), PollGroup(("NSE_INDEX|India VIX",), 20)
    run.go((0, 60), lambda now: Situation(False, [], [group]))
    assert [now for now, _ in run.asks] == [0]
    run.go((60, 120), lambda now: Situation(True, [], [group]))
    assert [now for now, _ in run.asks[1:]] == [60, 80, 100]
    assert {ask.purpose for _, ask in run.asks} == {Purpose.ALWAYS}
    # Its ticks are missed in every mode.
    run.go((120, 121), lambda now: Situation(True, [], [group]))
    assert [event for _, event in run.events] == [Sampled(at(60), at(120), tuple(group.keys))]


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(1, 2500))
def test_the_pace_holds_for_all_sockets_together(sockets: int, count: int) -> None:
    """However many die at once, the calls of a minute stay below the promise."""
    run = Run()
    keys = tuple(f"NSE_FO|{n}" for n in range(count))
    views = [view(False, str(n), keys) for n in range(sockets)]
    run.go((0, 10), lambda now: Situation(True, views))
    assert run.core.calls_per_minute <= 30 * (1 + 1e-9)
    first = [ask.wish for now, ask in run.asks if now == 3]
    assert first[:sockets] == [f"takeover/{n}/0" for n in range(sockets)]


def test_a_key_that_the_broker_does_not_know_is_told_and_left_out() -> None:
    """It must not keep the prices of 499 others away."""
    run, bad = Run(), KEYS[7]

    def end(core: Fallback, ask: Ask) -> None:
        (core.rejected if bad in ask.keys else core.answered)(ask)

    run.go((0, 60), lambda now: one(False, keys=KEYS[:500]), end)
    assert [event for _, event in run.events][1:] == [KeysRefused((bad,))]
    assert run.core.refused == {bad}
    assert set(run.asks[-1][1].keys) == set(KEYS[:500]) - {bad}


@pytest.mark.parametrize("end", [Fallback.failed, Fallback.delayed])
def test_calls_that_fail_are_made_again(end: Callable[[Fallback, Ask], None]) -> None:
    """Not at once, and never given up."""
    run = Run()
    run.go((0, 300), lambda now: one(False, keys=KEYS[:10]), end)
    assert 300 / 35 <= len(run.asks) <= 300 / 5
    assert run.asks[-1][0] > 260
