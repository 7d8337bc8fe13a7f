"""The journal's benchmark measures what it says it does."""

from __future__ import annotations

import pytest

from benchmarks import journal
from brokers.upstox.codec import decode


def test_frames_are_full_and_all_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty ticks each; raw and compressed, every append is read again, in less room."""
    monkeypatch.setattr(journal, "_STEPS", 20)
    monkeypatch.setattr(journal, "APPENDS", 200)
    frames = journal.full_frames()
    assert {len(decode(frame).keys) for frame in frames} == {journal.TICKS_A_FRAME}
    append_us, share, seal_rate, read_rate = journal.measured(frames)
    assert min(append_us, seal_rate, read_rate) > 0
    assert 0 < share < 1
