"""One client's feed: what is asked for, what is told, when nothing is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official

from simulator.socket.feed_options import BROKER_KEY_LIMITS, FeedOptions, KeyLimit
from simulator.socket.session import MarketFeed, MarketSource
from tests.simulator import feeds
from tests.simulator.feeds import INDEX, NOON, SHARE, STEP, feed, option_keys, read, request

_FEW = FeedOptions(
    key_limits={
        "ltpc": KeyLimit(9, 4),
        "option_greeks": KeyLimit(8, 3),
        "full": KeyLimit(7, 2),
        "full_d30": KeyLimit(1, 5),
    }
)


def test_a_subscription_is_answered_with_its_snapshot() -> None:
    """All known keys at once in whole entries, unknown ones in silence."""
    keys = option_keys()
    frame = read(feed().request(request("sub", [*keys, "NSE_FO|0"], "full"), NOON))
    assert frame.type == official.initial_feed
    assert frame.currentTs == NOON.timestamp() * 1000
    assert set(frame.feeds) == set(keys)
    for entry in frame.feeds.values():
        full = entry.fullFeed.marketFF
        assert entry.requestMode == official.full_d5
        assert [bar.interval for bar in full.marketOHLC.ohlc] == ["1d", "I1"]
        assert len(full.marketLevel.bidAskQuote) == 5
        assert full.HasField("optionGreeks")


def test_updates_hold_only_what_changed() -> None:
    """Each entry tells something new; together they pass over no instrument; some are partial."""
    client, keys = feed(), option_keys()
    whole = read(client.request(request("sub", keys, "full"), NOON)).feeds
    told = {key: entry.SerializeToString(deterministic=True) for key, entry in whole.items()}
    seen: set[str] = set()
    partial = 0
    for frame in feeds.updates(client, NOON, 150):
        assert frame.type == official.live_feed
        for key, entry in frame.feeds.items():
            full = entry.fullFeed.marketFF
            assert entry.SerializeToString(deterministic=True) != told[key]
            told[key] = entry.SerializeToString(deterministic=True)
            seen.add(key)
            partial += not full.HasField("marketLevel")
            bar = full.marketOHLC.ohlc[0]
            assert bar.low <= full.ltpc.ltp <= bar.high
            assert full.ltpc.ltt <= frame.currentTs
    assert seen == set(keys)
    assert partial > 0


def test_the_days_volume_lags_by_one_update() -> None:
    """1d.vol of an entry is vtt of the entry before it."""
    client, (key, *_) = feed(), option_keys()
    frames = [read(client.request(request("sub", [key], "full"), NOON))]
    frames += feeds.updates(client, NOON, 400)
    told = [frame.feeds[key].fullFeed.marketFF for frame in frames]
    assert len({full.vtt for full in told}) > 2
    for before, after in pairwise(told):
        assert after.marketOHLC.ohlc[0].vol == before.vtt


def test_entries_are_the_markets_quotes() -> None:
    """Every told price, quantity and volatility is the market's for the frame's own instant."""
    client = feed()
    keys = [INDEX, SHARE, *option_keys()]
    frames = [read(client.request(request("sub", keys, "full"), NOON))]
    frames += feeds.updates(client, NOON, 20)
    row_of_key = feeds.market().listing(NOON).row_of_key
    for frame in frames:
        at = datetime.fromtimestamp(frame.currentTs / 1000, UTC)
        quotes = feeds.market().quotes(at)
        for key, entry in frame.feeds.items():
            row, full = row_of_key[key], entry.fullFeed
            if key == INDEX:
                assert full.indexFF.ltpc.ltp == quotes.last_price[row]
                assert full.indexFF.ltpc.ltt == quotes.last_traded_ms[row] // 1000 * 1000
                continue
            market = full.marketFF
            assert market.ltpc.ltp == quotes.last_price[row]
            assert market.ltpc.ltt == quotes.last_traded_ms[row]
            assert market.vtt == quotes.volume_units[row]
            assert market.oi == quotes.open_interest_units[row]
            if key != SHARE:
                assert market.iv == pytest.approx(quotes.implied_volatility[row], abs=1e-6)
            if market.HasField("marketLevel"):
                assert market.marketLevel.bidAskQuote[0].bidP == quotes.bid_price[row]


def test_what_is_no_option_has_empty_greeks() -> None:
    """Present and empty for a share; an index has neither depth nor Greeks nor volume."""
    entries = read(feed().request(request("sub", [INDEX, SHARE], "full"), NOON)).feeds
    share = entries[SHARE].fullFeed.marketFF
    assert share.HasField("optionGreeks")
    assert not share.optionGreeks.ByteSize()
    assert entries[INDEX].fullFeed.WhichOneof("FullFeedUnion") == "indexFF"


@pytest.mark.parametrize(
    ("mode", "member", "echoed"),
    [
        ("ltpc", "ltpc", official.ltpc),
        ("option_greeks", "firstLevelWithGreeks", official.option_greeks),
        ("full", "fullFeed", official.full_d5),
        ("full_d30", "fullFeed", official.full_d30),
    ],
)
def test_modes(mode: str, member: str, echoed: int) -> None:
    """Each mode's block, in the snapshot and in updates, and its number."""
    client, keys = feed(), option_keys()
    frames = [read(client.request(request("sub", keys, mode), NOON))]
    frames += feeds.updates(client, NOON, 20)
    assert len(frames) > 1
    for frame in frames:
        for entry in frame.feeds.values():
            assert entry.WhichOneof("FeedUnion") == member
            assert entry.requestMode == echoed


def test_thirty_levels() -> None:
    """Price and quantity, best first."""
    (key, *_) = option_keys()
    frame = read(feed().request(request("sub", [key], "full_d30"), NOON))
    levels = frame.feeds[key].fullFeed.marketFF.marketLevel.bidAskQuote
    assert len(levels) == 30
    asks = [level.askP for level in levels if level.askQ]
    assert asks == sorted(asks)


def test_thirty_levels_need_the_plus_plan() -> None:
    """Silence for everyone else, and no subscription."""
    client = feed(is_plus=False)
    assert not client.request(request("sub", option_keys(), "full_d30"), NOON)
    assert not client.followed()


def test_nothing_new_means_no_frame() -> None:
    """The same instant again, or an empty subscription."""
    client = feed()
    assert not client.update(NOON)
    client.request(request("sub", option_keys()), NOON)
    assert not client.update(NOON)


def test_modes_change_and_end() -> None:
    """Default is ltpc; change_mode snapshots in the new mode; unsub ends in silence."""
    client, (key, *_) = feed(), option_keys()
    assert read(client.request(request("sub", [key]), NOON)).feeds[key].HasField("ltpc")
    changed = read(client.request(request("change_mode", [key], "option_greeks"), NOON))
    assert changed.feeds[key].HasField("firstLevelWithGreeks")
    told = [frame.feeds[key] for frame in feeds.updates(client, NOON, 50)]
    assert told
    assert all(entry.HasField("firstLevelWithGreeks") for entry in told)
    assert not client.request(request("unsub", [key]), NOON)
    assert not client.followed()
    assert not feeds.updates(client, NOON + 50 * STEP, 20)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"method":"sub","data":{"mode":"full","instrumentKeys":7}}',
        request("sub", option_keys(), "full_d5"),
        request("jump", option_keys(), "full"),
        request("change_mode", option_keys()),
    ],
)
def test_what_is_no_request_is_passed_over(message: bytes) -> None:
    """No answer, no error, no subscription."""
    client = feed()
    assert not client.request(message, NOON)
    assert not client.followed()


@given(st.binary(max_size=200))
def test_no_bytes_break_the_feed(message: bytes) -> None:
    """Outside bytes never raise."""
    assert not feed().request(message, NOON)


_SHARED = MarketSource(feeds.market())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sub", "change_mode", "unsub"]),
            st.lists(st.sampled_from([*option_keys()[:6], INDEX, "NSE_FO|0"]), max_size=4),
            st.sampled_from(["ltpc", "option_greeks", "full", "full_d30"]),
            st.integers(0, 3),
        ),
        max_size=12,
    )
)
def test_any_requests_end_in_what_was_asked_last(
    talk: list[tuple[str, list[str], str, int]],
) -> None:
    """After any talk every followed key, and no other, is told in the mode asked for last."""
    client, wanted, now = _SHARED.open(feeds.account()), dict[str, str](), NOON
    for method, keys, mode, steps in talk:
        answer = client.request(request(method, keys, mode), now)
        if method == "unsub":
            for key in keys:
                wanted.pop(key, None)
        else:
            wanted.update(dict.fromkeys(keys, mode))
            listed = set(keys) - {"NSE_FO|0"}
            assert {key for frame in answer for key in read([frame]).feeds} == listed
        for _ in range(steps):
            now += 5 * STEP
            _told_as_wanted(client, wanted, now)
    assert set(client.followed()) == set(wanted)
    client.close()


def _told_as_wanted(client: MarketFeed, wanted: dict[str, str], now: datetime) -> None:
    echoed = {"ltpc": 0, "option_greeks": 2, "full": 1, "full_d30": 3}
    for frame in client.update(now):
        for key, entry in read([frame]).feeds.items():
            assert entry.requestMode == echoed[wanted[key]]


def test_a_clients_news_is_the_same_whoever_else_listens() -> None:
    """Frames of a client alone equal those beside others who come, change their mind and go."""
    alone, source = feed(), MarketSource(feeds.market())
    beside, other = source.open(feeds.account()), source.open(feeds.account("SIM002"))
    asked = request("sub", [INDEX, *option_keys()[:10]], "full")
    assert alone.request(asked, NOON) == beside.request(asked, NOON)
    talk = {
        3: request("sub", option_keys(), "option_greeks"),
        8: request("change_mode", option_keys()[5:], "full"),
        12: request("unsub", option_keys()[:7]),
    }
    for i in range(1, 25):
        now = NOON + i * STEP
        if i in talk:
            other.request(talk[i], now)
        assert alone.update(now) == beside.update(now)
        other.update(now)


def test_equal_subscriptions_are_told_the_very_same_bytes() -> None:
    """Whatever the order of their keys: one frame is made for both."""
    source = MarketSource(feeds.market())
    one, two = source.open(feeds.account()), source.open(feeds.account("SIM002"))
    one.request(request("sub", option_keys(), "full"), NOON)
    two.request(request("sub", option_keys()[::-1], "full"), NOON)
    frames = 0
    for i in range(1, 20):
        mine, yours = one.update(NOON + i * STEP), two.update(NOON + i * STEP)
        assert len(mine) == len(yours)
        assert all(a is b for a, b in zip(mine, yours, strict=True))
        frames += len(mine)
    assert frames > 2


def test_a_slow_client_gets_the_newest_state() -> None:
    """What it missed is told once, as it is now, while another client had it step by step."""
    source = MarketSource(feeds.market(), FeedOptions(left_out_share=0.0))
    quick, slow = source.open(feeds.account()), source.open(feeds.account("SIM002"))
    for client in (quick, slow):
        client.request(request("sub", option_keys(), "full"), NOON)
    newest = {}
    for frame in feeds.updates(quick, NOON, 40):
        newest |= dict(frame.feeds)
    assert dict(read(slow.update(NOON + 40 * STEP)).feeds) == newest


@pytest.mark.parametrize(
    ("mode", "taken"), [("ltpc", 9), ("option_greeks", 8), ("full", 7), ("full_d30", 1)]
)
def test_keys_above_the_limit_are_passed_over(mode: str, taken: int) -> None:
    """The first ones stay, over several requests, asked for twice or not."""
    client, keys = feed(_FEW), option_keys()
    for begin in (0, 3, 0):
        client.request(request("sub", keys[begin : begin + 10], mode), NOON)
    assert list(client.followed()) == keys[:taken]


def test_another_mode_in_use_lowers_the_limit() -> None:
    """The combined limits count once two modes are in use; moved keys leave their old one."""
    client, keys = feed(_FEW), option_keys()
    client.request(request("sub", keys[:1], "ltpc"), NOON)
    client.request(request("sub", keys[1:10], "full"), NOON)
    assert list(client.followed()) == keys[:3]
    client.request(request("change_mode", keys[:1], "full"), NOON)
    assert [entry.requestMode for entry in _snapshot(client, keys[:3]).values()] == [1, 1, 1]


def _snapshot(client: MarketFeed, keys: list[str]) -> dict[str, official.Feed]:
    return dict(read(client.request(request("sub", keys, "full"), NOON)).feeds)


def test_limits_of_a_user_count_all_sockets() -> None:
    """With that scope a second socket has what the first one left, until the first one closes."""
    options = FeedOptions(limit_scope="user", key_limits=_FEW.key_limits)
    source, keys = MarketSource(feeds.market(), options), option_keys()
    first, second = source.open(feeds.account()), source.open(feeds.account())
    other = source.open(feeds.account("SIM002"))
    first.request(request("sub", keys[:5], "full"), NOON)
    for client, taken in ((second, 2), (other, 7)):
        client.request(request("sub", keys, "full"), NOON)
        assert len(client.followed()) == taken
    first.close()
    second.request(request("sub", keys, "full"), NOON)
    assert len(second.followed()) == 7


@pytest.mark.parametrize("scope", ["socket", "user"])
def test_without_limits(scope: str) -> None:
    """Everything asked for is taken."""
    client = feed(FeedOptions(has_limits=False, limit_scope=scope, key_limits=_FEW.key_limits))
    client.request(request("sub", option_keys(), "full_d30"), NOON)
    assert len(client.followed()) == 20


def test_the_brokers_limits() -> None:
    """As documented, each mode alone and beside another."""
    assert {mode: (x.single, x.combined) for mode, x in BROKER_KEY_LIMITS.items()} == {
        "ltpc": (5000, 2000),
        "option_greeks": (3000, 2000),
        "full": (2000, 1500),
        "full_d30": (50, 1500),
    }


def test_snapshots_as_the_documents_sample() -> None:
    """Labelled live_feed, and in frames of so many keys."""
    client = feed(FeedOptions(snapshot_type="live_feed", snapshot_keys_per_frame=6))
    frames = client.request(request("sub", option_keys(), "ltpc"), NOON)
    told = [official.FeedResponse.FromString(frame) for frame in frames]
    assert [len(frame.feeds) for frame in told] == [6, 6, 6, 2]
    assert {frame.type for frame in told} == {official.live_feed}
    assert {key for frame in told for key in frame.feeds} == set(option_keys())


@pytest.mark.parametrize("is_answered", [True, False])
def test_asking_twice(is_answered: bool) -> None:
    """A key asked for again in its mode has a snapshot again, unless told otherwise."""
    client, keys = feed(FeedOptions(is_repetition_answered=is_answered)), option_keys()
    client.request(request("sub", keys[:2]), NOON)
    again = read(client.request(request("sub", keys[:3]), NOON))
    assert set(again.feeds) == set(keys[:3] if is_answered else keys[2:3])


@pytest.mark.parametrize(("share", "is_partial"), [(0.0, False), (1.0, True)])
def test_share_of_partial_entries(share: float, is_partial: bool) -> None:
    """From none to all; a snapshot is whole all the same."""
    client = feed(FeedOptions(left_out_share=share))
    snapshot = read(client.request(request("sub", option_keys(), "full"), NOON))
    assert all(e.fullFeed.marketFF.HasField("marketLevel") for e in snapshot.feeds.values())
    for frame in feeds.updates(client, NOON, 10):
        for entry in frame.feeds.values():
            assert entry.fullFeed.marketFF.HasField("marketLevel") is not is_partial
            assert entry.fullFeed.marketFF.HasField("optionGreeks") is not is_partial


@pytest.mark.parametrize("forget", [lambda c, k: c.drop(k), lambda c, _: c.close()])
def test_what_is_dropped_is_told_no_more(
    forget: Callable[[MarketFeed, list[str]], None],
) -> None:
    """Silently, and for good."""
    client = feed()
    client.request(request("sub", option_keys(), "full"), NOON)
    forget(client, option_keys())
    assert not feeds.updates(client, NOON, 10)
    assert not client.followed()


def test_the_close_is_told_once_and_then_silence() -> None:
    """The last changes come, then nothing until the next open, across a change of listing."""
    client = feed()
    closes = datetime(2026, 11, 25, 10, 10, tzinfo=UTC)
    client.request(request("sub", option_keys(), "full"), closes - timedelta(seconds=5))
    assert read(client.update(closes + timedelta(seconds=1))).feeds
    for hours in (0, 1, 9, 17):
        assert not client.update(closes + timedelta(hours=hours, seconds=2))
    frame = read(client.update(datetime(2026, 11, 26, 3, 45, tzinfo=UTC)))
    assert set(frame.feeds) <= set(option_keys())
    assert {feed.fullFeed.marketFF.vtt for feed in frame.feeds.values()} == {0}


def test_state_has_the_steps_of_pre_open_and_closing_auction() -> None:
    """Every segment always; the maps of strings while those sessions last."""
    source = MarketSource(feeds.market())
    states = {}
    for name, hour, minute in (("pre", 3, 36), ("noon", 6, 30), ("close", 9, 51), ("night", 20, 0)):
        now = datetime(2026, 11, 25, hour, minute, tzinfo=UTC)
        state, frame = source.state(now)
        states[name] = state
        told = read([frame])
        assert told.type == official.market_info
        assert told.currentTs == now.timestamp() * 1000
        info = told.marketInfo
        assert len(info.segmentStatus) == 11
        assert bool(info.preOpenSessionStatus) is (name == "pre")
        assert bool(info.casMarketStatus) is (name == "close")
        for step in (*info.preOpenSessionStatus.values(), *info.casMarketStatus.values()):
            assert 0 < step.updatedTime <= told.currentTs
    assert len(set(states.values())) == 4
    assert source.state(NOON)[0] == source.state(NOON + STEP)[0]
