"""How far our clock is from the exchange's, as the frames tell it.

Pure. What a frame took from the exchange's clock to ours is the way that it came and the difference
of the clocks; the fastest of many came by a way of some hundredths of a second, so what is left is
the clocks'. What is done about a wrong clock belongs to whoever reads the figure.
"""

from __future__ import annotations

import math

# Long enough to hold a fast frame, short enough to follow a clock that is set.
_STRETCH_MS = 30_000.0


class ClockSkew:
    """The least delay of the last half to whole minute; one thread only."""

    def __init__(self) -> None:
        self._least_ms = self._least_before_ms = math.inf
        self._began_at_ms = -math.inf

    def take(self, published_at_ms: float, received_at_ms: float) -> None:
        """A frame that was published then, by the exchange's clock, and received then, by ours."""
        passed_ms = received_at_ms - self._began_at_ms
        if not 0 <= passed_ms < _STRETCH_MS:
            is_next = _STRETCH_MS <= passed_ms < 2 * _STRETCH_MS
            self._least_before_ms = self._least_ms if is_next else math.inf
            self._least_ms, self._began_at_ms = math.inf, received_at_ms
        self._least_ms = min(self._least_ms, received_at_ms - published_at_ms)

    @property
    def milliseconds(self) -> float | None:
        """By how much our clock is ahead, the fastest way included; None before any frame."""
        least_ms = min(self._least_ms, self._least_before_ms)
        return least_ms if math.isfinite(least_ms) else None
