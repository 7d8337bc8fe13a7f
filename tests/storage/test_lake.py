"""The lake: windows replaced whole, readers undisturbed, clear refusals; nothing is mocked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from market.errors import DatabaseUnavailable, LakeConflict, SchemaMismatch, StorageError
from storage import lake as module
from storage.embedded import EmbeddedServer
from storage.lake import Lake, LakeConfig
from tests.fix_timescale import free_port
from transforms.columns import INSTANT, Schema
from transforms.schemas import CHAIN, LAKE_TABLES, UNDERLYING_ROLLUP

DAY = date(2026, 11, 25)
START = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
_SAMPLES: dict[object, object] = {
    pl.String: "NIFTY",
    pl.Float64: 0.1,
    pl.Int64: 7,
    pl.Boolean: True,
    pl.Date: date(2026, 12, 1),
    pl.Binary: b"\x00\xff",
    pl.List(pl.Float64): [23_900.0, 24_150.5],
    INSTANT: START + timedelta(microseconds=1),
}


def window_rows(
    schema: Schema, minute: int = 0, rows: int = 4, day: date = DAY, **given: object
) -> pl.DataFrame:
    """Rows of the window that starts ``minute`` minutes after the open; every other one bare."""
    at = START + timedelta(days=(day - DAY).days, minutes=minute)
    row = {c.name: _SAMPLES[c.dtype] for c in schema.columns} | {
        "trading_day": day,
        "slot": slot(minute),
        "window_start_at": at,
        "window_end_at": at + timedelta(minutes=5),
        "as_of": at + timedelta(minutes=5),
        **given,
    }
    bare = {c.name: row[c.name] if c.is_required else None for c in schema.columns}
    full = {c.name: row[c.name] for c in schema.columns}
    made = [(full, bare)[i % 2] | _key(schema, i) for i in range(rows)]
    return pl.DataFrame(made, schema=schema.polars)


def _key(schema: Schema, i: int) -> dict[str, object]:
    return {"strike": 24000.0 + i} if "strike" in schema.polars else {}


def slot(minute: int) -> str:
    """The slot that starts ``minute`` minutes after 09:15."""
    return f"{9 + (15 + minute) // 60:02d}:{(15 + minute) % 60:02d}"


def all_tables(minute: int = 0, rows: int = 4, **given: object) -> dict[str, pl.DataFrame]:
    """Rows of one window for every table."""
    return {s.name: window_rows(s, minute, rows, **given) for s in LAKE_TABLES}


def count(lake: Lake, table: str = "chain") -> int:
    """Rows of a table."""
    return int(lake.query(f"SELECT count(*) FROM {table}").item())


@pytest.mark.parametrize("schema", LAKE_TABLES, ids=lambda s: s.name)
def test_what_was_written_comes_back(lake: Lake, schema: Schema) -> None:
    """Every column of every table, with nulls, microseconds, and instants aware in UTC."""
    rows = window_rows(schema)
    assert lake.replace_window(DAY, "09:15", {schema.name: rows}) == {schema.name: 4}
    back = lake.window(schema.name, DAY, "09:15")
    assert back.schema == schema.polars
    assert_frame_equal(back, rows, check_row_order=False, check_exact=True)
    raw = lake.query(f"SELECT window_start_at FROM {schema.name} LIMIT 1").item()
    assert raw == START
    assert raw.tzinfo is not None


def test_a_window_run_again_gives_the_same_rows(lake: Lake) -> None:
    """Twice the same is once; fewer rows leave no old ones; other windows stay."""
    lake.replace_window(DAY, slot(5), all_tables(5))
    for _ in range(2):
        lake.replace_window(DAY, slot(0), all_tables())
    assert count(lake) == 8
    lake.replace_window(DAY, slot(0), all_tables(rows=1))
    assert lake.window("chain", DAY, slot(0)).height == 1
    lake.replace_window(DAY, slot(0), {"chain": CHAIN.empty()})
    assert count(lake) == 4
    assert count(lake, "underlying_rollup") == 5


def test_all_tables_change_or_none(lake: Lake) -> None:
    """A refused row in the last table leaves the first as it was."""
    lake.replace_window(DAY, slot(0), all_tables())
    lake.query("ALTER TABLE underlying_rollup ADD COLUMN unexpected INTEGER")
    with pytest.raises(StorageError):
        lake.replace_window(DAY, slot(0), all_tables(rows=2))
    assert lake.window("chain", DAY, slot(0)).height == 4


def test_rows_of_another_window_are_refused(lake: Lake) -> None:
    """They would not be replaced when that window is run again."""
    with pytest.raises(SchemaMismatch, match="another window"):
        lake.replace_window(DAY, slot(0), {"chain": window_rows(CHAIN, 5)})
    with pytest.raises(SchemaMismatch, match="no table elsewhere"):
        lake.replace_window(DAY, slot(0), {"elsewhere": window_rows(CHAIN)})
    with pytest.raises(SchemaMismatch, match="lacks columns"):
        lake.replace_window(DAY, slot(0), {"chain": window_rows(CHAIN).drop("as_of")})


def test_writers_at_once_all_succeed_and_readers_see_whole_windows(
    lake: Lake, lake_config: LakeConfig
) -> None:
    """A backfill beside the live run: conflicts are retried, no reader sees half a window."""
    others = [Lake(lake_config) for _ in range(3)]
    done = threading.Event()
    seen: list[tuple[int, int]] = []

    def write(number: int) -> None:
        for i in range(6):
            minute = 5 * (6 * number + i) % 90
            others[number].replace_window(DAY, slot(minute), all_tables(minute, rows=10))

    def read() -> None:
        with_lake = Lake(lake_config, is_read_only=True)
        while not done.is_set():
            pair = with_lake.query(
                "SELECT (SELECT count(*) FROM chain), (SELECT count(*) FROM underlying_rollup)"
            )
            seen.append(pair.row(0))
        with_lake.close()

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    done.set()
    reader.join()
    assert count(lake) == 180
    assert count(lake, "underlying_rollup") == 180
    assert len(seen) > 1
    assert all(chain == rollup and chain % 10 == 0 for chain, rollup in seen)
    for other in others:
        other.close()


def test_two_writers_of_the_same_window_leave_one_result(
    lake: Lake, lake_config: LakeConfig
) -> None:
    """The last one wins, whole; the window never holds both."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_write_three_times, [lake_config] * 2, [3, 5]))
    heights = {name: lake.window(name, DAY, slot(0)).height for name in ("chain", "expiry_metrics")}
    assert set(heights.values()) in ({3}, {5})


def _write_three_times(config: LakeConfig, rows: int) -> None:
    lake = Lake(config)
    for _ in range(3):
        lake.replace_window(DAY, slot(0), all_tables(rows=rows))
    lake.close()


def test_a_conflict_with_a_writer_that_takes_no_turns_is_retried(
    lake: Lake, lake_config: LakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB's transaction error, by type; the window is written in the next attempt."""
    lake.replace_window(DAY, slot(0), all_tables(rows=2))
    stranger = Lake(lake_config)
    attempts: list[int] = []
    begin = Lake._attempt

    def interfere(self: Lake, work: Callable[[duckdb.DuckDBPyConnection], object]) -> object:
        def interrupted(cursor: duckdb.DuckDBPyConnection) -> object:
            result = work(cursor)
            if not attempts:
                stranger.query("DELETE FROM chain")
            attempts.append(1)
            return result

        return begin(self, interrupted)

    monkeypatch.setattr(Lake, "_attempt", interfere)
    lake.replace_window(DAY, slot(0), all_tables(rows=3))
    assert len(attempts) == 2
    assert count(lake) == 3
    stranger.close()


def test_conflicts_without_end_are_a_lake_conflict(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounded, and worth trying again later by its type."""

    def collide(*_: object) -> object:
        raise LakeConflict("taken")

    monkeypatch.setattr(Lake, "_attempt", collide)
    monkeypatch.setattr(module, "CONFLICT_DELAYS", (0.0, 0.0))
    with pytest.raises(LakeConflict):
        lake.replace_window(DAY, slot(0), all_tables())


def test_a_writer_that_never_ends_is_a_lake_conflict(
    lake: Lake, lake_config: LakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for one's turn is bounded too."""
    monkeypatch.setattr(module, "TURN_SECONDS", 0.05)
    with lake._turn(), pytest.raises(LakeConflict, match="other writers"):
        lake.replace_window(DAY, slot(0), all_tables())
    assert lake.replace_window(DAY, slot(0), all_tables())["chain"] == 4


def test_a_read_only_lake_says_so(lake: Lake, lake_config: LakeConfig) -> None:
    """Every way to write is refused with the reason; reading works."""
    lake.replace_window(DAY, slot(0), all_tables())
    reader = Lake(lake_config, is_read_only=True)
    assert count(reader) == 4
    with pytest.raises(StorageError, match="read-only"):
        reader.replace_window(DAY, slot(0), all_tables())
    with pytest.raises(StorageError, match="read-only"):
        reader.ensure_tables()
    with pytest.raises(StorageError, match="read-only"):
        reader.query("DELETE FROM chain")
    reader.close()


def test_a_reader_of_no_lake_is_told(lake_config: LakeConfig) -> None:
    """It does not make one, and the message does not show the catalogue's password."""
    with pytest.raises(StorageError) as caught:
        Lake(lake_config, is_read_only=True)
    assert "does not exist" in str(caught.value)
    assert _password(lake_config) not in str(caught.value)


def _password(config: LakeConfig) -> str:
    return config.catalogue_dsn.partition("postgres:")[2].partition("@")[0]


def test_an_unreachable_catalogue_is_worth_retrying(lake_config: LakeConfig) -> None:
    """By type, without the password, also in the traceback."""
    dsn = f"postgresql://me:hush@127.0.0.1:{free_port()}/none"
    with pytest.raises(DatabaseUnavailable) as caught:
        Lake(replace(lake_config, catalogue_dsn=dsn))
    assert "hush" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_it_works_again_after_the_catalogue_was_away(
    restartable: EmbeddedServer, lake_config: LakeConfig
) -> None:
    """The same object, without being opened anew."""
    lake = Lake(replace(lake_config, catalogue_dsn=restartable.dsn))
    lake.ensure_tables()
    lake.replace_window(DAY, slot(0), all_tables())
    restartable.stop()
    with pytest.raises(DatabaseUnavailable):
        lake.replace_window(DAY, slot(5), all_tables(5))
    restartable.start(lambda _: None)
    lake.replace_window(DAY, slot(5), all_tables(5))
    assert count(lake) == 8
    lake.close()


@pytest.fixture
def two_days(lake: Lake) -> Iterator[Lake]:
    """Yesterday one window; today two, the later one without BANKNIFTY."""
    yesterday = DAY - timedelta(days=1)
    for name, day, minute, symbols in (
        ("old", yesterday, 0, ("NIFTY", "BANKNIFTY", "GONE")),
        ("first", DAY, 0, ("NIFTY", "BANKNIFTY")),
        ("second", DAY, 5, ("NIFTY",)),
    ):
        frames = {
            schema.name: pl.concat(
                window_rows(schema, minute, 2, day, symbol=s, formula_version=name, source="live")
                for s in symbols
            )
            for schema in LAKE_TABLES
        }
        lake.replace_window(day, slot(minute), frames)
    yield lake


def _versions(lake: Lake, source: str, *parameters: object) -> list[tuple[str, str]]:
    text = f"SELECT DISTINCT symbol, formula_version FROM {source} ORDER BY ALL"
    return lake.query(text, parameters).rows()


def test_chain_latest_is_the_newest_of_each_expiry_on_the_newest_day(two_days: Lake) -> None:
    """A symbol missed in the last window shows its window before; one of yesterday is gone."""
    assert _versions(two_days, "chain_latest") == [("BANKNIFTY", "first"), ("NIFTY", "second")]
    assert two_days.query("SELECT * FROM chain_latest").schema == CHAIN.polars


def test_chain_asof_knows_nothing_later(two_days: Lake) -> None:
    """The chain as it could be known at an instant."""
    first = [("BANKNIFTY", "first"), ("NIFTY", "first")]
    ends = START + timedelta(minutes=5)
    assert _versions(two_days, "chain_asof(?)", ends) == first
    assert _versions(two_days, "chain_asof(?)", ends + timedelta(minutes=4)) == first
    just_before = _versions(two_days, "chain_asof(?)", ends - timedelta(microseconds=1))
    assert {name for _, name in just_before} == {"old"}
    assert _versions(two_days, "chain_asof(?)", START - timedelta(days=9)) == []


def test_ensuring_again_changes_nothing(lake: Lake) -> None:
    """No snapshot is added: they stay for ever."""
    before = lake.query("SELECT count(*) FROM ducklake_snapshots('lake')").item()
    lake.ensure_tables()
    assert lake.query("SELECT count(*) FROM ducklake_snapshots('lake')").item() == before


def test_programs_that_start_together_make_one_lake(lake_config: LakeConfig) -> None:
    """All open it and ensure the tables at once, with nothing there before."""

    def ensure(_: int) -> None:
        lake = Lake(lake_config)
        lake.ensure_tables()
        lake.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(ensure, range(3)))
    reader = Lake(lake_config, is_read_only=True)
    assert [count(reader, s.name) for s in LAKE_TABLES] == [0] * len(LAKE_TABLES)
    reader.close()


def test_a_column_of_a_newer_version_is_added(lake: Lake) -> None:
    """Rows from before have a null there."""
    lake.replace_window(DAY, slot(0), {UNDERLYING_ROLLUP.name: window_rows(UNDERLYING_ROLLUP)})
    lake.query("ALTER TABLE underlying_rollup DROP COLUMN price_source")
    lake.ensure_tables()
    assert lake.window(UNDERLYING_ROLLUP.name, DAY, slot(0))["price_source"].null_count() == 4


def test_a_changed_type_is_refused(lake: Lake) -> None:
    """A new meaning needs a new column."""
    lake.query("ALTER TABLE underlying_rollup DROP COLUMN price_source")
    lake.query("ALTER TABLE underlying_rollup ADD COLUMN price_source BIGINT")
    with pytest.raises(SchemaMismatch, match="price_source"):
        lake.ensure_tables()


def test_size_is_that_of_the_files(lake: Lake, lake_config: LakeConfig) -> None:
    """What the lake says is what lies on the disk before anything was replaced."""
    assert lake.size_bytes() == 0
    lake.replace_window(DAY, slot(0), all_tables())
    files = [p.stat().st_size for p in lake_config.data_path.rglob("*.parquet")]
    assert lake.size_bytes() == sum(files) > 0


def test_passwords_are_cut_out_of_messages() -> None:
    """In both spellings of a connection string."""
    for text in ("at postgresql://me:hush@h/x", "at host=h password=hush", "password='hush me' x"):
        assert "hush" not in module._clean(ValueError(text))
