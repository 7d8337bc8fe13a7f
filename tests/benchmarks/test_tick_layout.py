"""The benchmark of layouts measures what it says it does."""

from __future__ import annotations

import psycopg
import pytest

from benchmarks import tick_layout
from benchmarks.tick_layout import CHOSEN, LAYOUTS, measured
from storage.timescale import migrate


def test_every_layout_lands_and_answers_the_same(
    timescale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All ticks once in each, on all the days, and a figure for every question."""
    monkeypatch.setattr(tick_layout, "ROWS", 900)
    monkeypatch.setattr(tick_layout, "BATCH_ROWS", 150)
    monkeypatch.setattr(tick_layout, "_BATCHES", 6)
    monkeypatch.setattr(tick_layout, "PIECES", 2)
    layouts = LAYOUTS[:2]
    found = measured(timescale, layouts)
    assert set(found) == {layout.name for layout in layouts}
    for number, told in enumerate(found.values()):
        assert min(told.values()) > 0
        with psycopg.connect(timescale.replace("/optionlake", f"/layout_{number}")) as connection:
            row = connection.execute(
                "SELECT count(*), count(DISTINCT event_at::date) FROM tick"
            ).fetchone()
        assert row == (900, tick_layout.DAYS)
    with psycopg.connect(timescale, autocommit=True) as connection:
        for number in range(len(layouts)):
            connection.execute(f"DROP DATABASE layout_{number} WITH (FORCE)")


def test_the_product_uses_the_layout_that_was_chosen(database: str) -> None:
    """Its indexes and its chunk interval are those of the migrations."""
    migrate(database)
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT time_interval::text FROM timescaledb_information.dimensions"
            " WHERE hypertable_name = 'tick'"
        ).fetchone()
        indexes = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'tick' ORDER BY 1"
        ).fetchall()
    assert row == (CHOSEN.chunk,)
    shipped = sorted(definition.partition(" USING ")[2] for (definition,) in indexes)
    assert shipped == [
        "brin (event_at) WITH (pages_per_range='32', autosummarize='on')",
        "btree (instrument_id, event_at)",
    ]
