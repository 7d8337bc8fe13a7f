"""A recording tells what was received, in order, whatever happened to its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.upstox.generated import MarketDataFeedV3_pb2 as wire
from market.errors import ConfigurationError, JournalError
from simulator.recordings.recording import About, Recording
from storage.sealing import seal_all
from tests.simulator.recorded import (
    INDEX,
    OPTION,
    START,
    START_MS,
    STOCK,
    at,
    feeds,
    full,
    info,
    last,
    whole,
    write,
)


def test_position_follows_receipt(tmp_path: Path) -> None:
    """A frame counts from the instant of its receipt on."""
    frames = [(0.0, info(0)), (1.0, feeds(1, stock=last(5))), (2.5, feeds(2, stock=last(6)))]
    recording = Recording(write(tmp_path, frames))
    asked = [-1, 0, 0.999, 1, 2.4, 2.5, 99]
    assert [recording.position(at(s)) for s in asked] == [0, 1, 1, 2, 2, 3, 3]
    assert (recording.first_at, recording.last_at) == (at(0), at(2.5))
    assert (recording.frames, recording.keys) == (3, [STOCK])


def test_several_connections_are_one_timeline(tmp_path: Path) -> None:
    """Epochs follow, or interleave, by the time of receipt."""
    write(tmp_path, [(0, feeds(0, stock=last(1))), (4, feeds(4, stock=last(3)))])
    write(tmp_path, [(2, feeds(2, stock=last(2))), (6, feeds(6, stock=last(4)))], START_MS + 2000)
    recording = Recording(tmp_path)
    told = [recording.entry(STOCK, position) for position in range(1, 5)]
    assert [entry and entry.ltpc.ltp for entry in told] == [1, 2, 3, 4]


def test_compressed_files_are_the_same_recording(tmp_path: Path) -> None:
    """The streaming process compresses its journal: also under one who reads it already."""
    frames = [(float(n), feeds(n, stock=last(n + 1))) for n in range(30)]
    raw = Recording(write(tmp_path, frames))
    assert seal_all(tmp_path) != 0
    for recording in (raw, Recording(tmp_path)):
        assert recording.frames == 30
        told = [recording.entry(STOCK, position) for position in range(1, 31)]
        assert [entry and entry.ltpc.ltp for entry in told] == [*range(1, 31)]


def test_a_clock_set_back_changes_no_order(tmp_path: Path) -> None:
    """Within a connection the order of receipt stands, and time waits."""
    seconds = [5.0, 3.0, 6.0]
    recording = Recording(write(tmp_path, [(s, feeds(s, stock=last(s))) for s in seconds]))
    assert [recording.position(at(s)) for s in (4, 5, 6)] == [0, 2, 3]
    entry = recording.entry(STOCK, 2)
    assert entry is not None
    assert entry.ltpc.ltp == 3.0


def test_a_key_is_merged_block_by_block(tmp_path: Path) -> None:
    """A block that was left out stays what it was; one that was told is replaced whole."""
    level = wire.MarketLevel(bidAskQuote=[wire.Quote(bidP=98)] * 5)
    frames = [
        (0, feeds(0, is_snapshot=True, option=whole(10, 9), stock=last(1))),
        (1, feeds(1, option=full(11))),
        (2, feeds(2, option=full(12, marketLevel=level, vtt=20))),
        (3, feeds(3, stock=last(2))),
    ]
    recording = Recording(write(tmp_path, frames))
    found = recording.entry(OPTION, 4)
    wanted = whole(12, 98)
    wanted.fullFeed.marketFF.marketOHLC.ohlc[0].close = 10
    wanted.fullFeed.marketFF.vtt = 20
    assert found == wanted
    assert recording.entry(OPTION, 1) == whole(10, 9)
    assert recording.entry(INDEX, 4) is None
    assert recording.entry(OPTION, 0) is None


def test_a_change_of_mode_starts_afresh(tmp_path: Path) -> None:
    """What a key was told in another mode is not mixed in."""
    frames = [(0, feeds(0, option=whole(10, 9))), (1, feeds(1, option=last(11)))]
    assert Recording(write(tmp_path, frames)).entry(OPTION, 2) == last(11)


BLOCKS = ("marketLevel", "optionGreeks", "marketOHLC")
STEPS = st.lists(
    st.tuples(
        st.floats(1, 1000),
        st.sets(st.sampled_from(BLOCKS)),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@given(steps=STEPS)
def test_merged_state_is_that_of_a_client(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[float, set[Any], bool]]
) -> None:
    """Looking back gives what a client that merged every frame, from the first on, would hold."""
    frames, held, states = [], wire.MarketFullFeed(), []
    for number, (price, left_out, is_snapshot) in enumerate(steps):
        entry = whole(price, price + 1)
        market = entry.fullFeed.marketFF
        for name in set() if is_snapshot else left_out:
            market.ClearField(name)
        for block, _ in market.ListFields():
            held.ClearField(cast(Any, block).name)
        held.MergeFrom(market)
        states.append(wire.MarketFullFeed.FromString(held.SerializeToString()))
        frames.append((float(number), feeds(number, is_snapshot=is_snapshot, option=entry)))
    recording = Recording(write(tmp_path_factory.mktemp("steps"), frames))
    for position, state in enumerate(states, 1):
        found = recording.entry(OPTION, position)
        assert found is not None
        assert found.fullFeed.marketFF == state


def test_the_market_state_is_the_newest(tmp_path: Path) -> None:
    """Found among all the other frames; none before the first."""
    frames = [
        (0, feeds(0, stock=last(1))),
        (1, info(1)),
        (2, feeds(2, stock=last(2))),
        (3, info(3, wire.NORMAL_CLOSE)),
    ]
    recording = Recording(write(tmp_path, frames))
    found = [recording.market_state(position) for position in range(5)]
    assert found == [None, None, (1, info(1)), (1, info(1)), (3, info(3, wire.NORMAL_CLOSE))]
    assert [recording.is_market_state(n) for n in range(4)] == [False, True, False, True]


def test_bytes_that_are_no_frame_stay_in_their_place(tmp_path: Path) -> None:
    """A recorded fault is part of the recording and disturbs nothing else."""
    frames = [(0, feeds(0, stock=last(1))), (1, b"\xff\xff\xff\xffgarbage"), (2, b"")]
    recording = Recording(write(tmp_path, frames))
    assert recording.frames == 3
    assert recording.frame(1).only(()) == b"\xff\xff\xff\xffgarbage"
    assert recording.current_ms(3) == START_MS


def test_a_torn_end_is_passed_over(tmp_path: Path) -> None:
    """A recorder that was killed loses the frame it was writing, no more."""
    write(tmp_path, [(0, feeds(0, stock=last(1))), (1, feeds(1, stock=last(2)))])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    assert Recording(tmp_path).frames == 1


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    """Sound frames behind damage are not left out in silence."""
    write(tmp_path, [(i, feeds(i, stock=last(i + 1))) for i in range(3)])
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(JournalError, match="damaged at offset 24"):
        Recording(tmp_path)


@pytest.mark.parametrize("content", [None, "journal", "about.json"])
def test_a_wrong_folder_is_told_what_is_missing(tmp_path: Path, content: str | None) -> None:
    """Whatever is given instead of a recording, the error says what one looks like."""
    folder = tmp_path / "given"
    if content == "journal":
        (folder / "journal").mkdir(parents=True)
    elif content == "about.json":
        folder.mkdir()
        (folder / content).write_text(About("here", (), "full", START).to_json())
    with pytest.raises(ConfigurationError, match=r"no recording in|holds no frame"):
        Recording(folder)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "keys": 5}', "\ud800"]
)
def test_an_unreadable_about_is_told(tmp_path: Path, text: str) -> None:
    """With the way to serve the frames all the same."""
    write(tmp_path / "journal", [(0, info(0))])
    (tmp_path / "about.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(ConfigurationError, match="to serve the journal alone"):
        Recording(tmp_path)


def test_about_is_read_back(tmp_path: Path) -> None:
    """What was written is what is told; the master's bytes are untouched."""
    about = About("https://here", (STOCK, OPTION), "full", START, START, at(5), 3, True)
    write(tmp_path / "journal", [(0, info(0))])
    (tmp_path / "about.json").write_text(about.to_json())
    (tmp_path / "master.json.gz").write_bytes(b"as it came")
    recording = Recording(tmp_path)
    assert recording.about == about
    assert recording.master == b"as it came"
    assert json.loads(about.to_json())["format"] == 1
    assert Recording(tmp_path / "journal").about is None
