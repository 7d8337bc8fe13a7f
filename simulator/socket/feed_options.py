"""What about the feed is a choice: limits of keys, shape of snapshots, share of partial entries.

The broker's documents leave these open or contradict what has been seen; each default is what has
been seen. How they are applied stands in ``session`` and ``hub``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from market.errors import ConfigurationError
from simulator.socket.wire import DEEP, FULL, GREEKS, LTPC, MODES


@dataclass(frozen=True, slots=True)
class KeyLimit:
    """Most keys in one mode: while no other mode is in use, and while another one is."""

    single: int
    combined: int


# As documented. That thirty levels may have 50 keys alone and 1 500 beside other modes is no slip
# of this table.
BROKER_KEY_LIMITS: Mapping[str, KeyLimit] = MappingProxyType(
    {
        LTPC: KeyLimit(5_000, 2_000),
        GREEKS: KeyLimit(3_000, 2_000),
        FULL: KeyLimit(2_000, 1_500),
        DEEP: KeyLimit(50, 1_500),
    }
)


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How the feed behaves where the broker's behaviour is not known for sure.

    Attributes:
        left_out_share: share of a live full entry that come without depth, and as many without
            Greeks; from 0 to 1.
        snapshot_type: the frame type of the answer to a request: ``initial_feed`` as recorded, or
            ``live_feed`` as in the documents' sample.
        snapshot_keys_per_frame: most keys in one frame of a snapshot; None for all in one.
        is_repetition_answered: whether asking again for a key that is followed in that mode
            already brings its snapshot again.
        has_limits: whether keys above a limit are passed over.
        limit_scope: whom a limit of keys counts for: each ``socket``, as seen, or all sockets of a
            ``user``, as documented.
        key_limits: the limits by mode.
        shared_ms: how old in the exchange's time a computed state may be to be told to a further
            client instead of a new one.

    Raises:
        ConfigurationError: for a value outside of what is said here.
    """

    left_out_share: float = 0.12
    snapshot_type: Literal["initial_feed", "live_feed"] = "initial_feed"
    snapshot_keys_per_frame: int | None = None
    is_repetition_answered: bool = True
    has_limits: bool = True
    limit_scope: Literal["socket", "user"] = "socket"
    key_limits: Mapping[str, KeyLimit] = field(default_factory=lambda: BROKER_KEY_LIMITS)
    shared_ms: int = 25

    def __post_init__(self) -> None:
        if not 0.0 <= self.left_out_share <= 1.0:
            raise _wrong("left_out_share", self.left_out_share, "a share from 0 to 1")
        if self.snapshot_type not in ("initial_feed", "live_feed"):
            raise _wrong("snapshot_type", self.snapshot_type, "initial_feed or live_feed")
        if self.limit_scope not in ("socket", "user"):
            raise _wrong("limit_scope", self.limit_scope, "socket or user")
        if self.snapshot_keys_per_frame is not None and self.snapshot_keys_per_frame < 1:
            raise _wrong("snapshot_keys_per_frame", self.snapshot_keys_per_frame, "1 or more")
        if set(self.key_limits) != set(MODES):
            raise _wrong("key_limits", sorted(self.key_limits), f"a limit for each of {MODES}")
        if self.shared_ms < 0:
            raise _wrong("shared_ms", self.shared_ms, "0 or more")

    def most_keys(self, mode: str, others: Collection[str]) -> int | None:
        """The limit of keys in ``mode`` while keys in the modes ``others`` exist; None for none."""
        if not self.has_limits:
            return None
        limit = self.key_limits[mode]
        return limit.combined if set(others) - {mode} else limit.single


DEFAULT_FEED_OPTIONS = FeedOptions()


def _wrong(name: str, value: object, expected: str) -> ConfigurationError:
    return ConfigurationError(f"the feed's {name} is {value!r}, expected {expected}")
