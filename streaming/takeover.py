"""Where an earlier process stopped, read from the journal that it left.

What is done about the time between belongs in ``feed`` (a gap) and ``sink`` (landing).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from storage import journal
from storage.segments import segments


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest record of the journal: where this process takes over."""

    epoch: int = 0
    received_at: datetime | None = None


def newest_record(folder: Path) -> Newest:
    """The newest record in ``folder``; epoch 0 and no instant if there is none."""
    found = segments(folder)
    for segment in reversed(found):
        # Only the newest files are read: the journal may hold many gigabytes.
        kept = journal.records(folder, segment.epoch, segment.first_sequence - 1)
        received_at_ns = max((record.received_at_ns for record in kept), default=None)
        if received_at_ns is not None:
            received_at = datetime.fromtimestamp(received_at_ns / 1e9, UTC)
            return Newest(found[-1].epoch, received_at)
    return Newest(found[-1].epoch if found else 0)
