"""The health message keeps its promised fields."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from streaming.health import Health, epoch_ms

ROOT = Path(__file__).resolve().parents[2]
PROMISED = {
    "state",
    "is_market_open",
    "connected_at_ms",
    "last_frame_at_ms",
    "epoch",
    "token_expires_at_ms",
    "subscribed",
    "never_seen",
    "frames",
    "unknown_frames",
    "ticks_received",
    "ticks_landed",
    "rows_waiting",
    "gaps",
    "journal_bytes",
    "database",
    "reconnects",
    "dropped_updates",
    "now_ms",
}


def test_message_has_every_promised_field() -> None:
    """Pages and scripts rely on the names."""
    health = Health(**{f.name: 0 for f in fields(Health)})  # type: ignore[arg-type]
    message = health.as_json()
    assert message["type"] == "health"
    assert set(message) >= PROMISED


def test_instants_are_epoch_milliseconds() -> None:
    """None stays None."""
    assert epoch_ms(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1000
    assert epoch_ms(None) is None


def test_the_document_names_every_field() -> None:
    """A figure that is not explained helps nobody."""
    document = (ROOT / "docs" / "live-feed.md").read_text(encoding="utf-8")
    missing = [f.name for f in fields(Health) if f"`{f.name}`" not in document]
    assert missing == []
