"""A recording served over HTTP and sockets, judged by the broker's official client."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import upstox_client
from upstox_client.rest import ApiException

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from simulator.clocks import MAX_SPEED, FastClock, SteppedClock
from simulator.recordings.recorder import Progress, Recorder, Target, Wish
from simulator.recordings.recording import About, Recording
from simulator.server import SimulatorConfig
from tests.fix_simulator import (
    DEADLINE_SECONDS,
    SimulatedExchange,
    running_simulator,
    wall_clock,
)
from tests.simulator.official import Streamer, client, redirected_sockets
from tests.simulator.recorded import (
    INDEX,
    OPTION,
    START,
    START_MS,
    STOCK,
    at,
    feeds,
    info,
    last,
    whole,
    write,
)

NIFTY, RELIANCE = "NSE_INDEX|Nifty 50", "NSE_EQ|INE002A01018"
FRAMES = [
    (0.0, info(0)),
    (1.0, feeds(1, is_snapshot=True, option=whole(10, 9), stock=last(1))),
    (2.0, feeds(2, stock=last(2))),
    (3.0, info(3, wire.NORMAL_CLOSE)),
]
MASTER = [
    {"instrument_key": OPTION, "exchange": "NSE"},
    {"instrument_key": "BSE_FO|1", "exchange": "BSE"},
]


def _config(recording: Recording) -> SimulatorConfig:
    return SimulatorConfig(symbols=("NIFTY",), frame_seconds=0.02, recording=recording)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """The frames above, with a master."""
    folder = tmp_path_factory.mktemp("recording")
    write(folder / "journal", FRAMES)
    (folder / "about.json").write_text(About("here", (OPTION, STOCK), "full", START).to_json())
    (folder / "master.json.gz").write_bytes(gzip.compress(json.dumps(MASTER).encode()))
    return Recording(folder)


@pytest.fixture(scope="module")
def played(recording: Recording) -> Iterator[SimulatedExchange]:
    """The recording, standing still after its third frame."""
    with running_simulator(_config(recording), SteppedClock(at(2.5))) as exchange:
        yield exchange


def _json(exchange: SimulatedExchange, path: str) -> tuple[int, Any]:
    answer = requests.get(exchange.url + path, headers=exchange.headers, timeout=DEADLINE_SECONDS)
    return answer.status_code, answer.json()


def test_the_official_client_follows_a_recording(recording: Recording) -> None:
    """State, snapshot and updates, as if the day were now."""
    clock = SteppedClock(at(1.5))
    with running_simulator(_config(recording), clock) as exchange, redirected_sockets(exchange):
        streamer = Streamer(exchange, [OPTION, STOCK], "full")
        streamer.sdk.connect()
        streamer.until("open")
        assert streamer.message()["marketInfo"]["segmentStatus"]["NSE_FO"] == "NORMAL_OPEN"
        snapshot = streamer.message()
        assert set(snapshot["feeds"]) == {OPTION, STOCK}
        assert snapshot["feeds"][STOCK]["ltpc"]["ltp"] == 1
        clock.set(at(2))
        update = streamer.message()
        assert (update["type"], update["feeds"][STOCK]["ltpc"]["ltp"]) == ("live_feed", 2)
        assert int(update["currentTs"]) == START_MS + 2000
        clock.set(at(99))
        assert streamer.message()["marketInfo"]["segmentStatus"]["NSE_FO"] == "NORMAL_CLOSE"
        streamer.sdk.disconnect()


def test_last_prices_are_those_recorded(played: SimulatedExchange) -> None:
    """By the official client's model; a key that was not recorded voids the call."""
    quotes = upstox_client.MarketQuoteV3Api(client(played))
    found = quotes.get_ltp(instrument_key=f"{OPTION},{STOCK}").to_dict()["data"]
    assert {q["instrument_token"]: q["last_price"] for q in found.values()} == {
        OPTION: 10,
        STOCK: 2,
    }
    assert found["NSE_FO:43001"]["volume"] == 10
    assert found["NSE_FO:43001"]["cp"] == 100
    with pytest.raises(ApiException) as caught:
        quotes.get_ltp(instrument_key=f"{OPTION},{INDEX}")
    assert json.loads(caught.value.body)["errors"][0]["errorCode"] == "UDAPI1087"
    too_many = ",".join(f"NSE_FO|{i}" for i in range(501))
    assert _json(played, f"/v3/market-quote/ltp?instrument_key={too_many}")[0] == 400


def test_status_is_the_recorded_one(played: SimulatedExchange) -> None:
    """From the newest state frame; an exchange that it does not name is not known."""
    api = upstox_client.MarketHolidaysAndTimingsApi(client(played))
    data = api.get_market_status("NFO").to_dict()["data"]
    assert (data["status"], data["last_updated"]) == ("NORMAL_OPEN", START_MS)
    assert _json(played, "/v2/market/status/MCX")[0] == 404
    status, body = _json(played, "/v2/market/status/LSE")
    assert (status, body["errors"][0]["errorCode"]) == (400, "UDAPI1089")


def test_the_master_is_the_recorded_one(played: SimulatedExchange, recording: Recording) -> None:
    """Complete byte for byte, and by exchange."""
    path = "/market-quote/instruments/exchange/"

    def fetched(file: str) -> requests.Response:
        return requests.get(played.url + path + file, timeout=DEADLINE_SECONDS)

    assert fetched("complete.json.gz").content == recording.master
    rows = json.loads(gzip.decompress(fetched("BSE.json.gz").content))
    assert rows == [{"instrument_key": "BSE_FO|1", "exchange": "BSE"}]
    assert fetched("other.json.gz").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/v2/option/chain?instrument_key=NSE_INDEX%7CNifty%2050&expiry_date=2026-12-01",
        "/v3/historical-candle/intraday/NSE_INDEX%7CNifty%2050/minutes/1",
        "/v2/market-quote/quotes?instrument_key=NSE_EQ%7CINE002A01018",
    ],
)
def test_what_was_not_recorded_is_not_there(played: SimulatedExchange, path: str) -> None:
    """In the broker's own shape, rather than made up."""
    status, body = _json(played, path)
    assert (status, body["errors"][0]["errorCode"]) == (404, "UDAPI100060")


def test_the_console_tells_where_playback_is(played: SimulatedExchange) -> None:
    """And that there is no truth to compare with."""
    status, told = _json(played, "/simulator/recording")
    assert status == 200
    assert (told["frames"], told["frames_played"], told["has_master"]) == (4, 3, True)
    assert (told["first_at"], told["last_at"]) == (at(0).isoformat(), at(3).isoformat())
    assert told["keys"] == sorted([OPTION, STOCK])
    assert _json(played, "/simulator/truth")[0] == 404


def test_a_token_is_needed(played: SimulatedExchange) -> None:
    """As at the broker, for everything but the master and the calendar."""
    for path, status in (
        ("/v3/market-quote/ltp", 401),
        ("/v2/market/status/NSE", 401),
        ("/v3/feed/market-data-feed/authorize", 401),
        ("/v2/market/holidays", 200),
    ):
        assert requests.get(played.url + path, timeout=DEADLINE_SECONDS).status_code == status


def test_a_bare_journal_has_no_master(tmp_path: Path) -> None:
    """A journal of the streaming process can be served; what it does not hold is not found."""
    bare = Recording(write(tmp_path, FRAMES))
    with running_simulator(_config(bare), SteppedClock(at(2))) as exchange:
        path = "/market-quote/instruments/exchange/complete.json.gz"
        answer = requests.get(exchange.url + path, timeout=DEADLINE_SECONDS)
        assert answer.status_code == 404
        assert _json(exchange, "/simulator/recording")[1]["has_master"] is False


async def _until(is_so: Callable[[], bool]) -> None:
    # The server lives in another thread, so there is no event to wait for.
    while not is_so():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


Told = dict[str, list[tuple[int, bytes]]]


def _told(recording: Recording) -> Told:
    """What each key was told, in order, with the frame's type."""
    found: Told = defaultdict(list)
    for number in range(recording.frames):
        frame = wire.FeedResponse.FromString(recording.frame(number).only(recording.keys) or b"")
        for key, entry in frame.feeds.items():
            found[key].append((frame.type, entry.SerializeToString(deterministic=True)))
    return found


def _record(
    exchange: SimulatedExchange,
    folder: Path,
    until: Callable[[Progress], bool],
    begin: Callable[[], None] = lambda: None,
) -> Recording:
    """Record ``exchange``; ``begin`` is called once the keys are followed."""

    async def run() -> None:
        stop = asyncio.Event()
        target = Target(exchange.url, exchange.url, exchange.token)

        def tell(progress: Progress) -> None:
            if until(progress):
                stop.set()

        recorder = Recorder(target, Wish((NIFTY, RELIANCE)), folder, wall_clock, tell)
        async with asyncio.timeout(DEADLINE_SECONDS):
            running = asyncio.create_task(recorder.run(stop))
            await _until(lambda: any(line.view.followed() for line in (*exchange.control.lines,)))
            begin()
            await running

    asyncio.run(run())
    return Recording(folder)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A simulated session at sixty times its speed, recorded."""
    config = SimulatorConfig(symbols=("NIFTY", "RELIANCE"), frame_seconds=0.02)
    start = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
    with running_simulator(config, FastClock(start, 60.0)) as exchange:
        folder = tmp_path_factory.mktemp("original") / "new"
        return _record(exchange, folder, lambda progress: progress.frames >= 25)


@pytest.mark.parametrize("speed", [1.0, 10.0, MAX_SPEED])
def test_a_recording_is_served_as_it_was(original: Recording, tmp_path: Path, speed: float) -> None:
    """At any speed each key is told the very same entries, in the same order."""
    clock = FastClock(original.first_at, 0.0)
    wanted = _told(original)
    entries = sum(map(len, wanted.values()))
    assert set(wanted) == {NIFTY, RELIANCE}
    assert entries > 20
    updates = sum(not original.is_market_state(i) for i in range(original.frames))
    with running_simulator(_config(original), clock) as exchange:
        began = time.monotonic()
        again = _record(
            exchange,
            tmp_path / "again",
            lambda progress: progress.frames > updates,
            lambda: clock.set_speed(speed),
        )
        took = timedelta(seconds=time.monotonic() - began)
    assert _told(again) == wanted
    assert took >= (original.last_at - original.first_at) / speed
