"""When faults strike: for whom, how often, and the same again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official

from market.rules import IST
from simulator.faults.fault import Fault, fault
from simulator.faults.injection import Injection, LineView, Orders
from simulator.faults.tampering import Outgoing

_START = datetime(2026, 11, 25, 10, 0, tzinfo=IST)
_CHAIN = "/v2/option/chain"
_NIFTY = "NSE_INDEX|Nifty 50"


def _later(seconds: float) -> datetime:
    return _START + timedelta(seconds=seconds)


def _symbol_of(key: str) -> str | None:
    return {"NSE_INDEX|Nifty 50": "NIFTY", "NSE_FO|1": "NIFTY", "NSE_FO|2": "TCS"}.get(key)


def _injection(*faults: Fault, seed: int = 7) -> Injection:
    return Injection(seed, faults, _START, _symbol_of)


def _line(number: int = 1, opened_at: datetime = _START, keys: Sequence[str] = ()) -> LineView:
    return LineView(number, "U", opened_at, lambda: keys)


def _statuses(injection: Injection, count: int) -> list[int | None]:
    answers = [injection.on_call(_CHAIN, (_NIFTY,), _START) for _ in range(count)]
    return [None if answer is None else answer.status for answer in answers]


def test_nothing_happens_without_faults() -> None:
    """Calls are served, tokens good, frames the same object."""
    calm, frame = _injection(), b"frame"
    assert calm.on_call(_CHAIN, (), _START) is None
    assert calm.on_handshake("U", _START, is_one_time=True) is None
    assert not calm.refuses_token(_START, _START)
    assert calm.on_line(_line(), _START) == Orders()
    (sent,) = calm.on_frame(_line(), frame, _START)
    assert sent.data is frame


@given(st.integers(0, 99), st.floats(0.05, 0.95))
def test_the_same_questions_get_the_same_answers(seed: int, share: float) -> None:
    """A failure can be replayed: same seed and order, same faults, whatever else is asked."""
    chosen = fault("rate_limited", share=share, match=(_CHAIN,))
    first, again = _injection(chosen, seed=seed), _injection(chosen, seed=seed)
    told = _statuses(first, 40)
    again.on_call("/v2/market/holidays", (), _START)
    again.on_handshake("U", _START, is_one_time=True)
    assert _statuses(again, 40) == told


def test_seed_and_place_decide() -> None:
    """Another seed strikes other calls, and so does the same fault as the second in the list."""
    half = fault("rate_limited", share=0.5)
    assert _statuses(_injection(half), 60) != _statuses(_injection(half, seed=8), 60)
    assert _statuses(_injection(half), 60) != _statuses(
        _injection(fault("slow", times=1), half), 60
    )


def test_a_share_of_calls_is_struck() -> None:
    """About that many; none at 0 and all at 1."""
    assert 340 < _statuses(_injection(fault("rate_limited", share=0.4)), 1_000).count(429) < 460
    assert set(_statuses(_injection(fault("rate_limited", share=0.0)), 50)) == {None}
    assert set(_statuses(_injection(fault("rate_limited")), 50)) == {429}


def test_times_is_the_most() -> None:
    """Then it is used up, and the counts say so."""
    injection = _injection(fault("rate_limited", times=2))
    assert _statuses(injection, 4) == [429, 429, None, None]
    (state,) = injection.states(_START)
    assert (state.number, state.seen, state.fired, state.is_active) == (1, 4, 2, True)


@pytest.mark.parametrize(
    ("match", "path", "keys", "is_hit"),
    [
        ((), _CHAIN, (), True),
        (("/v2/option",), _CHAIN, (), True),
        (("/v3",), _CHAIN, (), False),
        ((_NIFTY,), _CHAIN, (_NIFTY,), True),
        (("NIFTY",), _CHAIN, (_NIFTY,), True),
        (("NIFTY",), "/v3/market-quote/ltp", ("NSE_FO|2", "NSE_FO|1"), True),
        (("TCS",), _CHAIN, (_NIFTY,), False),
        ((_CHAIN, "TCS"), _CHAIN, (_NIFTY,), False),
        ((_CHAIN, "NIFTY"), _CHAIN, (_NIFTY,), True),
        (("NIFTY",), _CHAIN, (), False),
    ],
)
def test_calls_are_matched(
    match: tuple[str, ...], path: str, keys: tuple[str, ...], is_hit: bool
) -> None:
    """By the path's beginning, by key, by symbol; all of them."""
    found = _injection(fault("rate_limited", match=match)).on_call(path, keys, _START)
    assert (found is not None) is is_hit


def test_faults_keep_to_the_paths_where_they_make_sense() -> None:
    """Candle faults on candle paths, batch faults on quotes; not on the instrument master."""
    candles = "/v3/historical-candle/NSE_FO|1/minutes/1/2026-11-25"
    master = "/market-quote/instruments/exchange/complete.json.gz"
    injection = _injection(fault("empty_candles"), fault("bad_key"))
    assert injection.on_call(candles, (), _START) is not None
    assert injection.on_call("/v3/market-quote/ltp", (), _START) is not None
    assert injection.on_call(_CHAIN, (), _START) is None
    assert injection.on_call(master, (), _START) is None


def test_throttling_empties_calls_above_a_rate() -> None:
    """Within the rate nothing; then empty; after the window served again."""
    injection = _injection(fault("throttled_empty", calls=2, seconds=1.0))
    path = "/v3/historical-candle/intraday/NSE_FO|1/minutes/1"
    found = [injection.on_call(path, (), _later(s)) is None for s in (0, 0.1, 0.2, 1.2, 1.25)]
    assert found == [True, True, False, True, True]


def test_tokens_made_before_die() -> None:
    """Those made after are good: a new login helps, as at 03:30."""
    injection = _injection(fault("token_death", after_seconds=60))
    assert not injection.refuses_token(_START, _later(59))
    assert injection.refuses_token(_START, _later(60))
    assert not injection.refuses_token(_later(60), _later(61))


def test_token_death_may_cut_sockets() -> None:
    """Those open by then, once each and no later ones; by default none."""
    cutting = _injection(fault("token_death", after_seconds=60, cuts_sockets=True))
    assert not cutting.on_line(_line(), _later(59)).is_reset
    assert cutting.on_line(_line(), _later(60)).is_reset
    assert not cutting.on_line(_line(2, _later(61)), _later(62)).is_reset
    keeping = _injection(fault("token_death", after_seconds=60))
    assert keeping.on_line(_line(), _later(61)) == Orders()


@pytest.mark.parametrize(
    ("name", "one_time", "direct"),
    [
        ("feed_forbidden", 403, None),
        ("code_reused", 403, None),
        ("too_many_sockets", 403, None),
        ("unauthorized", 401, 401),
        ("handshake_rate_limited", 429, 429),
    ],
)
def test_handshakes(name: str, one_time: int, direct: int | None) -> None:
    """Refused at the one-time address, some at the direct one too; for one user only if told."""
    injection = _injection(fault(name))
    assert injection.on_handshake("U", _START, is_one_time=True) == one_time
    assert injection.on_handshake("U", _START, is_one_time=False) == direct
    mine = _injection(fault(name, match=("U",)))
    assert mine.on_handshake("V", _START, is_one_time=True) is None
    assert mine.on_handshake("U", _START, is_one_time=True) == one_time


def test_the_status_of_too_many_sockets_is_open() -> None:
    """The broker's is not known."""
    injection = _injection(fault("too_many_sockets", status=429))
    assert injection.on_handshake("U", _START, is_one_time=True) == 429


@pytest.mark.parametrize(
    ("chosen", "orders"),
    [
        (fault("half_open"), Orders(is_half_open=True)),
        (fault("mute"), Orders(is_mute=True)),
        (fault("quiet"), Orders(is_quiet=True)),
        (fault("no_pings"), Orders(has_no_pings=True)),
        (fault("slow_reader", bytes_per_second=9), Orders(bytes_per_second=9)),
    ],
)
def test_lasting_orders(chosen: Fault, orders: Orders) -> None:
    """As long as the fault goes on; counted once for each connection."""
    injection = _injection(chosen)
    assert injection.on_line(_line(), _START) == injection.on_line(_line(), _later(9)) == orders
    injection.on_line(_line(2), _START)
    assert injection.states(_START)[0].fired == 2
    injection.remove(1)
    assert injection.on_line(_line(), _START) == Orders()


def test_a_share_of_connections_is_struck_for_good() -> None:
    """The same ones at every step."""
    injection = _injection(fault("mute", share=0.5))
    lines = [_line(number) for number in range(60)]
    first = [injection.on_line(line, _START).is_mute for line in lines]
    assert [injection.on_line(line, _later(5)).is_mute for line in lines] == first
    assert 15 < sum(first) < 45


def test_an_event_at_an_instant_strikes_those_open() -> None:
    """Once each; who comes back after it is left alone."""
    injection = _injection(fault("close", starts_at=time(10, 15), is_instant=True))
    instant = datetime(2026, 11, 25, 10, 15, tzinfo=IST)
    old, new = _line(), _line(2, instant + timedelta(seconds=1))
    assert injection.on_line(old, instant - timedelta(seconds=1)) == Orders()
    assert injection.on_line(old, instant).close_code == 1011
    assert injection.on_line(old, instant + timedelta(seconds=1)).close_code is None
    assert injection.on_line(new, instant + timedelta(seconds=2)).close_code is None
    next_day = instant + timedelta(days=1)
    assert injection.on_line(new, next_day).close_code == 1011


def test_an_event_that_lasts_strikes_whoever_comes() -> None:
    """Each connection once, when it is old enough."""
    injection = _injection(fault("reset", lasts_seconds=60, age_seconds=5.0))
    first, second = _line(), _line(2, _later(50))
    assert not injection.on_line(first, _later(4)).is_reset
    assert injection.on_line(first, _later(5)).is_reset
    assert not injection.on_line(first, _later(6)).is_reset
    assert injection.on_line(second, _later(55)).is_reset
    assert not injection.on_line(_line(3, _later(58)), _later(63)).is_reset


def test_keys_are_unsubscribed_in_silence() -> None:
    """A share of those followed, once; not before there are any; by symbol if told."""
    injection = _injection(fault("silent_unsubscribe", share=0.5))
    assert injection.on_line(_line(), _START) == Orders()
    keys = [f"NSE_FO|{n}" for n in range(80)]
    lost = injection.on_line(_line(keys=keys), _START).forgets
    assert set(lost) < set(keys)
    assert 20 < len(lost) < 60
    assert injection.on_line(_line(keys=keys), _START).forgets == ()
    nifty = _injection(fault("silent_unsubscribe", match=("NIFTY",)))
    assert nifty.on_line(_line(keys=["NSE_FO|1", "NSE_FO|2"]), _START).forgets == ("NSE_FO|1",)


def test_frames_out_of_order() -> None:
    """A held frame comes after the next one, also when the fault has ended by then."""
    injection = _injection(fault("out_of_order", share=1.0, times=1))
    sent = [list(injection.on_frame(_line(), f, _START)) for f in (b"a", b"b", b"c")]
    assert sent == [[], [Outgoing(b"b"), Outgoing(b"a")], [Outgoing(b"c")]]
    held = _injection(fault("out_of_order", lasts_seconds=1))
    assert list(held.on_frame(_line(), b"a", _START)) == []
    sent_late = list(held.on_frame(_line(), b"b", _later(2)))
    assert sent_late == [Outgoing(b"b"), Outgoing(b"a")]


def test_frame_faults_add_up() -> None:
    """In the list's order; each decides for itself, per connection."""
    injection = _injection(fault("duplicate"), fault("duplicate", times=1))
    assert len(injection.on_frame(_line(), b"", _START)) == 3
    assert len(injection.on_frame(_line(), b"", _START)) == 2
    half = _injection(fault("duplicate", share=0.5))
    counts = [
        [len(half.on_frame(_line(number), b"", _START)) for _ in range(40)] for number in (1, 2)
    ]
    assert counts[0] != counts[1]
    assert 1 in counts[0]
    assert 2 in counts[0]


def test_never_seen_keys_are_the_same_everywhere() -> None:
    """On every connection and at every frame; a share of keys."""
    frame = official.FeedResponse(type=official.live_feed)
    for n in range(80):
        frame.feeds[f"NSE_FO|{n}"].ltpc.ltp = 1.0
    injection = _injection(fault("never_seen", share=0.5))
    seen = []
    for number in (1, 2, 1):
        (sent,) = injection.on_frame(_line(number), frame.SerializeToString(), _START)
        seen.append(set(official.FeedResponse.FromString(sent.data).feeds))
    assert seen[0] == seen[1] == seen[2]
    assert 20 < len(seen[0]) < 60
    assert injection.states(_START)[0].fired == 80 - len(seen[0])


def test_a_closed_connection_leaves_nothing_behind() -> None:
    """Neither frames held nor decisions."""
    injection = _injection(fault("out_of_order", times=1), fault("mute"))
    injection.on_line(_line(), _START)
    injection.on_frame(_line(), b"a", _START)
    injection.forget(_line())
    assert list(injection.on_frame(_line(), b"b", _START)) == [Outgoing(b"b")]


def test_numbers_are_never_used_again() -> None:
    """So that a fault's draws and its id mean one thing."""
    injection = _injection(fault("mute"))
    assert injection.remove(1)
    assert not injection.remove(1)
    assert injection.add(fault("mute"), _START) == 2
    assert injection.has(2)
    injection.clear()
    assert injection.states(_START) == []
