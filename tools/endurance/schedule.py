"""When which frame of a load is due, and which keys it tells about: known before and after the run.

Pure arithmetic, the same for the exchange that sends and the books that check. A frame is known by
its time: no two are due in the same millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAME_TICKS = 50
# More frames a second would need more than one in a millisecond.
MOST_FRAMES_PER_SECOND = 1000


@dataclass(frozen=True, slots=True)
class Schedule:
    """A steady load.

    Attributes:
        begin_ms: when the first frame is due, epoch ms.
        frames_per_second: at most ``MOST_FRAMES_PER_SECOND``.
        keys: what is told about, in groups of ``frame_ticks``; a frame tells of one group.
        frame_ticks: keys in each frame.
    """

    begin_ms: int
    frames_per_second: int
    keys: tuple[str, ...]
    frame_ticks: int

    @property
    def ticks_per_second(self) -> int:
        """The rate after rounding to whole frames."""
        return self.frames_per_second * self.frame_ticks

    @property
    def groups(self) -> int:
        """How many frames tell of every key once."""
        return len(self.keys) // self.frame_ticks

    def due_ms(self, number: int) -> int:
        """When frame ``number`` (from 0) is due, epoch ms."""
        return self.begin_ms + number * 1000 // self.frames_per_second

    def position(self, at_ms: int) -> int:
        """How many frames are due by ``at_ms``, that millisecond included."""
        passed_ms = at_ms - self.begin_ms + 1
        return max(0, -(-passed_ms * self.frames_per_second // 1000))

    def group(self, number: int) -> int:
        """Which group of keys a frame tells of."""
        return number % self.groups

    def keys_of(self, group: int) -> tuple[str, ...]:
        """The keys of a group."""
        return self.keys[group * self.frame_ticks : (group + 1) * self.frame_ticks]


def steady(keys: tuple[str, ...], ticks_per_second: int, begin_ms: int) -> Schedule:
    """A load of about ``ticks_per_second`` over as many of ``keys`` as fill whole frames.

    Raises:
        ValueError: there are too few keys for one frame.
    """
    per_frame = max(FRAME_TICKS, -(-ticks_per_second // MOST_FRAMES_PER_SECOND))
    whole = len(keys) // per_frame * per_frame
    if not whole:
        raise ValueError(
            f"{len(keys)} keys are followed, expected at least {per_frame} for frames of that many "
            "ticks: lower --rate"
        )
    frames = max(1, round(ticks_per_second / per_frame))
    return Schedule(begin_ms, frames, keys[:whole], per_frame)
