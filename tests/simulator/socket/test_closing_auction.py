"""What is told of the shares' closing auction, and that nothing is told outside of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as official

from tests.simulator import feeds
from tests.simulator.feeds import INDEX, SHARE, option_keys

# The auction of 25 Nov 2026: 15:15 to 15:35 IST.
_STARTS = datetime(2026, 11, 25, 9, 45, tzinfo=UTC)
_ENDS = datetime(2026, 11, 25, 10, 5, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def _full(now: datetime) -> dict[str, official.FullFeed]:
    keys = [SHARE, INDEX, option_keys()[0]]
    frame = feeds.read(feeds.feed().request(feeds.request("sub", keys, "full"), now))
    return {key: entry.fullFeed for key, entry in frame.feeds.items()}


@pytest.mark.parametrize("now", [_STARTS, _STARTS + timedelta(minutes=9), _ENDS - _SECOND])
def test_a_share_in_auction(now: datetime) -> None:
    """Indicative price on a tick, reference price, quantity, a signed imbalance within it."""
    share = _full(now)[SHARE].marketFF
    row = feeds.market().listing(now).row_of_key[SHARE]
    true = feeds.market().quotes(now).model.price[row]
    assert share.iep == pytest.approx(true, abs=0.026)
    assert share.iep == pytest.approx(round(share.iep / 0.05) * 0.05)
    assert share.ltpc.iep.value == share.iep
    assert share.rp == pytest.approx(share.ltpc.ltp, rel=0.05)
    assert share.casEligible
    assert 0 <= abs(share.iiqM) <= abs(share.iiqTotal) <= share.ieq <= share.vtt


def test_the_reference_price_stands() -> None:
    """The same from the beginning of the auction to its end, whoever asks when."""
    prices = {_full(now)[SHARE].marketFF.rp for now in (_STARTS, _ENDS - _SECOND)}
    assert len(prices) == 1


def test_only_shares_are_in_auction() -> None:
    """Neither an index nor an option tells any of it."""
    entries = _full(_STARTS + _SECOND)
    assert not entries[INDEX].indexFF.ltpc.HasField("iep")
    option = entries[option_keys()[0]].marketFF
    assert not option.ltpc.HasField("iep")
    assert not option.casEligible
    assert not option.iep


@pytest.mark.parametrize("now", [_STARTS - _SECOND, _ENDS, feeds.NOON])
def test_nothing_outside_of_it(now: datetime) -> None:
    """Absent, not zero."""
    share = _full(now)[SHARE].marketFF
    assert not share.ltpc.HasField("iep")
    names = ("iep", "rp", "ieq", "iiqTotal", "iiqM", "casEligible")
    assert not any(getattr(share, name) for name in names)


def test_nothing_new_in_an_auction_means_no_frame() -> None:
    """It is told anew once a second, however often a client is served."""
    client, begin = feeds.feed(), _STARTS + timedelta(minutes=2)
    client.request(feeds.request("sub", [SHARE]), begin)
    times = [begin + i * _SECOND / 10 for i in range(1, 41)]
    frames = [frame for now in times for frame in client.update(now)]
    told = [official.FeedResponse.FromString(frame).feeds[SHARE].ltpc for frame in frames]
    assert len([last for last in told if last.HasField("iep")]) == len(told)
    assert 4 <= len(told) < 40


def test_updates_follow_the_auction() -> None:
    """The indicative price comes as news in ltpc mode, and its end too."""
    client = feeds.feed()
    begin = _ENDS - 3 * _SECOND
    client.request(feeds.request("sub", [SHARE]), begin)
    told = [
        feeds.read(frames).feeds[SHARE].ltpc
        for i in range(1, 6)
        if (frames := client.update(begin + i * _SECOND))
    ]
    assert [last.HasField("iep") for last in told[:3]] == [True, True, False]
