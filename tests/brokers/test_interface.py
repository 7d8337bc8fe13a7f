"""The records at the border: secrets stay secret, feed columns are found by name."""

from __future__ import annotations

import numpy as np

from brokers.interface import FEED_COLUMNS, FeedFrame, FrameKind, Secret


def test_secret_never_shows_itself() -> None:
    """No way of writing it out shows it; ``reveal`` does."""
    secret = Secret("eyJ-token")
    shown = (str(secret), repr(secret), f"{secret}", "%s" % secret, repr([secret]))  # noqa: UP031
    assert not any("token" in text for text in shown)
    assert secret.reveal() == "eyJ-token"
    assert secret and not Secret("")


def test_column_is_a_view_by_name() -> None:
    """A column is that of its name, in the order of the keys."""
    values = np.arange(2.0 * len(FEED_COLUMNS)).reshape(2, -1)
    frame = FeedFrame(FrameKind.UPDATE, None, ("a", "b"), values)
    for place, name in enumerate(FEED_COLUMNS):
        assert frame.column(name).tolist() == [place, place + len(FEED_COLUMNS)]
