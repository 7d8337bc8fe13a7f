"""Lines of the gap book: what was written is read, and any other bytes are passed over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from storage.gap_lines import (
    ClosedGap,
    Entry,
    IdleSlot,
    LineWriter,
    LiveSlot,
    OpenGap,
    Recorded,
    read_entries,
)

START = datetime(2026, 12, 1, 4, 0, tzinfo=UTC)
slots = st.integers(0, 5)
instants = st.integers(0, 10**12).map(lambda us: START + timedelta(microseconds=us))
reasons = st.text(max_size=12)
epochs = st.integers(0, 2**62)
keys = st.lists(st.text(max_size=8), max_size=4).map(tuple)
entries: st.SearchStrategy[Entry] = st.one_of(
    st.builds(OpenGap, slots, instants, reasons, keys),
    st.builds(LiveSlot, slots, epochs, keys, st.none() | instants),
    st.builds(IdleSlot, slots),
    st.builds(ClosedGap, slots, instants, instants, reasons, epochs, keys),
    st.builds(Recorded, slots, instants, instants, reasons, epochs),
)
GAP = OpenGap(1, START, "reset", ("NSE_FO|1", "NSE_FO|2"))


@given(st.lists(entries), st.integers(0, 5))
def test_what_is_written_is_read(written: list[Entry], cut: int) -> None:
    """To the microsecond and whatever the text, over two writes into one file."""
    writer = LineWriter()
    content = writer.lines(written[:cut]) + writer.lines(written[cut:])
    assert read_entries(content) == (written, 0)


@given(st.lists(entries), st.data())
def test_a_torn_end_costs_the_last_entry_only(written: list[Entry], data: st.DataObject) -> None:
    """Cut anywhere: the entries before, and nothing that was not written."""
    writer, content, ends = LineWriter(), b"", [0]
    for entry in written:
        content += writer.lines([entry])
        ends.append(len(content))
    cut = data.draw(st.integers(0, len(content)))
    whole = sum(end <= cut for end in ends) - 1
    assert read_entries(content[:cut]) == (written[:whole], 0)


@given(st.lists(entries, min_size=1), st.data())
def test_a_changed_byte_costs_what_it_touches(written: list[Entry], data: st.DataObject) -> None:
    """Whatever else is read was written, and damage is counted."""
    content = bytearray(LineWriter().lines(written))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    found, damaged = read_entries(bytes(content))
    assert damaged <= 2
    assert len(found) >= len(written) - 2
    nameless = {repr(e).partition("keys=")[0] for e in written}
    assert {repr(e).partition("keys=")[0] for e in found} <= nameless


@given(st.binary())
def test_any_bytes_can_be_read(content: bytes) -> None:
    """Start-up never fails for what lies in the file."""
    found, _ = read_entries(content)
    assert found == []


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4))
)
def test_sound_lines_of_another_program_are_passed_over(fields: object) -> None:
    """A later version may write entries that this one does not know."""
    import json
    import zlib

    text = json.dumps(fields).encode()
    line = b"%08x %s\n" % (zlib.crc32(text), text)
    assert read_entries(line) in (([], 1), ([], 0))
    assert read_entries(line + LineWriter().lines([GAP]))[0] == [GAP]


def test_keys_are_written_once() -> None:
    """A storm of gaps costs a hundred bytes each, however many instruments it touches."""
    many = tuple(f"NSE_FO|{n}" for n in range(2_000))
    writer = LineWriter()
    writer.lines([OpenGap(0, START, "reset", many)])
    assert len(writer.lines([ClosedGap(0, START, START, "reset", 7, many)])) < 120
