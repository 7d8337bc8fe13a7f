"""What it costs to keep every frame: appending, and compressing complete files.

Frames of fifty ticks in full mode, made by the simulated exchange, are appended with the settings
of the feed process: each reaches the operating system at once, and the disk every 100 ms. Time is
the wall's, so waiting for the disk counts.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.ingest import recorded
from benchmarks.report import Metric, within
from storage.journal import JournalWriter, records
from storage.sealing import seal_all
from storage.segments import segments

ROUNDS = 7
APPENDS = 4_000
TICKS_A_FRAME = 50
SYNC_SECONDS = 0.1
# What 50 000 ticks a second in full mode are.
LIVE_MB_S = 17.6
_STEPS = 400


def run() -> tuple[Mapping[str, Metric], Mapping[str, object]]:
    """Medians of the rounds, each in a folder of its own."""
    frames = full_frames()
    rounds = [measured(frames) for _ in range(ROUNDS)]
    append_us, share, seal_rate, read_rate = (
        statistics.median(column) for column in zip(*rounds, strict=True)
    )
    metrics = {
        "append_us_a_tick": within(append_us, "µs", 1.0, "Limit: at most 1."),
        "compressed_share": within(share, "of raw", 1.0, "Size of a compressed file; below 1."),
        "compress_mb_s": within(seal_rate, "MB/s", LIVE_MB_S, "Against 50 000 ticks/s; above 1."),
        "read_mb_s": within(read_rate, "MB/s", LIVE_MB_S, "From compressed files, likewise."),
    }
    sizes = [len(frame) for frame in frames]
    return metrics, {
        "rounds": ROUNDS,
        "appends": APPENDS,
        "ticks_a_frame": TICKS_A_FRAME,
        "frame_bytes": round(statistics.mean(sizes)),
        "sync_seconds": SYNC_SECONDS,
    }


def full_frames() -> list[bytes]:
    """Updates that tell of nearly all of fifty keys."""
    _, frames = recorded(TICKS_A_FRAME, _STEPS)
    longest = max(map(len, frames))
    return [frame for frame in frames if len(frame) > longest * 0.8]


def measured(frames: Sequence[bytes]) -> tuple[float, float, float, float]:
    """Microseconds a tick, share that compressing leaves, raw MB/s compressed, and read again."""
    with tempfile.TemporaryDirectory(prefix="optionlake-journal-") as name:
        folder = Path(name)
        append_us = _append(folder, frames) / APPENDS / TICKS_A_FRAME * 1e6
        raw = sum(s.size_bytes for s in segments(folder))
        began = time.perf_counter()
        freed = seal_all(folder)
        sealed_at = time.perf_counter()
        count = sum(1 for _ in records(folder, 1))
        ended = time.perf_counter()
    assert count == APPENDS  # noqa: S101 - a figure for records that are lost is worth nothing
    return (
        append_us,
        (raw - freed) / raw,
        raw / 1e6 / (sealed_at - began),
        raw / 1e6 / (ended - sealed_at),
    )


def _append(folder: Path, frames: Sequence[bytes]) -> float:
    """Seconds that all appends took, the last sync among them."""
    journal = JournalWriter(folder, 1, SYNC_SECONDS)
    began = time.perf_counter()
    for number in range(APPENDS):
        journal.append(number, frames[number % len(frames)])
    journal.close()
    return time.perf_counter() - began
