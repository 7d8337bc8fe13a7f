"""`optionlake demo` as a person runs it: exchange → database, lake and page, in one process tree.

One demo for the module, on free ports and in a folder of its own; stopped by Ctrl-C and started
again at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests
from playwright.sync_api import Browser

from storage.embedded import EmbeddedServer
from storage.layout import Layout

ROOT = Path(__file__).resolve().parent.parent.parent
PORTS = ("PAGE", "DAGSTER", "LIVE", "SIMULATOR", "DATABASE")
READY_SECONDS = 150.0
WINDOW_SECONDS = 200.0
STOP_SECONDS = 90.0

pytestmark = pytest.mark.timeout(600)


class Demo:
    """A running demo and the ways to look into it."""

    def __init__(self, home: Path, ports: list[int]) -> None:
        self.layout = Layout(home)
        self.ports = dict(zip(PORTS, ports, strict=True))
        self.environment = {
            **{k: v for k, v in os.environ.items() if k not in ("DATABASE_URL",)},
            "OPTIONLAKE_HOME": str(home),
            "OPTIONLAKE_SYMBOLS": "NIFTY,BANKNIFTY,FINNIFTY,MIDCPNIFTY,SENSEX,RELIANCE",
            **{f"OPTIONLAKE_{name}_PORT": str(port) for name, port in self.ports.items()},
        }
        self.output = home / "demo.out"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it says where the page is."""
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "optionlake", "demo"],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.eventually(lambda: "Ctrl-C stops everything" in self.said(), READY_SECONDS)

    def stop(self) -> int:
        """Press Ctrl-C and wait."""
        assert self.process is not None
        self.output.write_text("")
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)

    def eventually(self, condition: Callable[[], Any], seconds: float) -> Any:
        """The first true answer before the deadline; the demo's own words if there is none."""
        deadline = time.monotonic() + seconds
        while not (answer := condition()):
            died = self.process is not None and self.process.poll() is not None
            assert not died, f"the demo ended:\n{self.said()}"
            assert time.monotonic() < deadline, f"not in {seconds:g} s:\n{self.said()}"
            time.sleep(0.25)
        return answer

    def said(self) -> str:
        """What the demo has printed."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def url(self, name: str, path: str = "") -> str:
        """An address of one of its programs."""
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another optionlake command of the same home."""
        return subprocess.run(
            [sys.executable, "-m", "optionlake", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of the lake, asked the way an analyst does."""
        done = self.command("sql", "--format", "json", query)
        assert done.returncode == 0, done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def ticks(self, query: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of TimescaleDB."""
        with psycopg.connect(self.layout.database_url_file.read_text().strip()) as connection:
            return connection.execute(query, parameters).fetchall()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def demo(
    tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Demo]:
    """The demo, up; whatever happens, nothing of it survives the module."""
    home = tmp_path_factory.mktemp("demo")
    home.chmod(0o755)
    running = Demo(home, free_ports(len(PORTS)))
    try:
        running.start()
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.stop()
            running.process.kill()
        # As root the server's data may lie outside the home.
        EmbeddedServer(home, running.ports["DATABASE"]).destroy()


def test_status_shows_everything_alive(demo: Demo) -> None:
    """One command tells processes, feed, token, ticks and budget, and that all is well."""
    status = json.loads(demo.command("status", "--json").stdout)
    assert {p["name"] for p in status["processes"] if p["is_alive"]} == {
        "simulate",
        "stream",
        "dashboard",
        "dagster-daemon",
        "dagster-webserver",
    }
    assert status["problems"] == []
    assert status["feed"]["state"] == "live"
    assert datetime.fromisoformat(status["token_expires_at"]) > datetime.now(UTC)


def test_a_tick_travels_from_exchange_to_page(demo: Demo, browser: Browser) -> None:
    """What the page shows is in the hypertable, in the live API, and was the exchange's price."""
    page = browser.new_page()
    page.goto(demo.url("PAGE"))
    cell = page.locator('[data-symbol="NIFTY"] [data-field="spot"]')
    cell.filter(has_text=".").wait_for(timeout=30_000)
    shown = float(cell.inner_text().replace(",", ""))
    page.close()

    tick = demo.eventually(lambda: _nifty_tick(demo, shown), 20)
    event_at, received_at = tick
    assert (received_at - event_at).total_seconds() < 5

    truth = requests.get(
        demo.url("SIMULATOR", "/simulator/truth"),
        {"symbol": "NIFTY", "at": event_at.isoformat()},
        timeout=10,
    ).json()
    # Index prices have two decimals and are published some 200 ms after they were made.
    assert truth["spot"]["NIFTY"] == pytest.approx(shown, rel=2e-4)

    live = requests.get(demo.url("PAGE", "/api/v1/underlyings"), timeout=10).json()
    (nifty,) = [row for row in live["underlyings"] if row["symbol"] == "NIFTY"]
    assert _nifty_tick(demo, nifty["spot"]) or demo.eventually(
        lambda: _nifty_tick(demo, nifty["spot"]), 10
    )


def test_the_page_moves(demo: Demo, browser: Browser) -> None:
    """Prices change by themselves and paint soon after the exchange sent them."""
    page = browser.new_page()
    page.goto(demo.url("PAGE"))
    demo.eventually(lambda: page.evaluate("window.optionlake.latency().count") > 20, 30)
    assert page.evaluate("document.documentElement.dataset.level") == "good"
    page.close()


def test_the_schedule_fills_a_window(demo: Demo) -> None:
    """Nobody pressed a button: a window has its rollup, merged with that window's ticks."""
    query = "select * from underlying_rollup where tick_count > 0 order by symbol"
    rows = demo.eventually(lambda: demo.sql(query), WINDOW_SECONDS)
    first = [r for r in rows if r["window_end_at"] == min(x["window_end_at"] for x in rows)]
    assert {r["symbol"] for r in first} == set(demo.environment["OPTIONLAKE_SYMBOLS"].split(","))
    for row in first:
        assert row["low_price"] <= row["close_price"] <= row["high_price"]
        assert row["price_source"] in ("socket", "chain")
        assert row["net_gex_crore_per_percent"] is not None
        assert row["pcr_open_interest"] > 0


def test_rerun_of_a_window_gives_the_same_rows(demo: Demo) -> None:
    """A past window, materialised again the way the UI does it, is what it was."""
    rollup = "select * from underlying_rollup order by window_end_at, symbol"
    rows = demo.eventually(lambda: demo.sql(rollup), WINDOW_SECONDS)
    day, slot = rows[0]["trading_day"], rows[0]["slot"]
    of_window = f"where trading_day = '{day}' and slot = '{slot}'"
    tables = ("chain", "strike_exposure", "expiry_metrics", "underlying_rollup")
    before = {t: demo.sql(f"select * from {t} {of_window} order by all") for t in tables}
    run = _materialise(demo, f"{day}|{slot}")
    demo.eventually(lambda: _run_state(demo, run) in ("SUCCESS", "FAILURE"), WINDOW_SECONDS)
    assert _run_state(demo, run) == "SUCCESS"
    for table in tables:
        assert demo.sql(f"select * from {table} {of_window} order by all") == before[table]


def test_chain_on_the_page_has_periodic_columns(demo: Demo, browser: Browser) -> None:
    """After a window, volatility and open interest of the snapshot stand beside live prices."""
    demo.eventually(lambda: demo.sql("select 1 from underlying_rollup limit 1"), WINDOW_SECONDS)
    page = browser.new_page()
    page.goto(demo.url("PAGE") + "#NIFTY")
    cell = page.locator('.chain tr[data-atm] [data-field="implied_volatility"]').first
    cell.filter(has_text=".").wait_for(timeout=60_000)
    assert 1 < float(cell.inner_text().strip("%")) < 100
    page.close()


def test_ctrl_c_stops_everything_and_a_second_start_resumes(demo: Demo) -> None:
    """Nothing of ours is left running, and the data are still there after the next start."""
    pids = [p["pid"] for p in json.loads(demo.layout.processes_file.read_text())]
    (landed,) = demo.ticks("select count(*) from tick")[0]
    windows = len(demo.sql("select distinct trading_day, slot from underlying_rollup"))
    assert demo.stop() == 0
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert not _anything_listens(demo)
    demo.start()
    assert demo.ticks("select count(*) from tick")[0][0] >= landed
    assert len(demo.sql("select distinct trading_day, slot from underlying_rollup")) >= windows
    gaps = demo.eventually(lambda: demo.ticks("select reason from gap"), 30)
    assert gaps, "the time between the two runs is a gap and must be recorded"


def _nifty_tick(demo: Demo, price: float) -> tuple[datetime, datetime] | None:
    found = demo.ticks(
        "select t.event_at, t.received_at from tick t join instrument i using (instrument_id)"
        " where i.contract_id = 'NIFTY' and abs(t.last_price - %s) < 0.005"
        " order by t.event_at desc limit 1",
        (price,),
    )
    return found[0] if found else None


def _materialise(demo: Demo, partition: str) -> str:
    mutation = """
      mutation Launch($parameters: ExecutionParams!) {
        launchRun(executionParams: $parameters) {
          __typename
          ... on LaunchRunSuccess { run { runId } }
          ... on PythonError { message }
        }
      }
    """
    date, slot = partition.split("|")
    parameters = {
        "selector": {
            "repositoryLocationName": "optionlake",
            "repositoryName": "__repository__",
            "jobName": "window",
        },
        "mode": "default",
        "executionMetadata": {
            "tags": [
                {"key": "dagster/partition", "value": partition},
                {"key": "dagster/partition/date", "value": date},
                {"key": "dagster/partition/slot", "value": slot},
            ]
        },
    }
    answer = _graphql(demo, mutation, {"parameters": parameters})["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    run_id: str = answer["run"]["runId"]
    return run_id


def _run_state(demo: Demo, run_id: str) -> str:
    query = "query State($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    status: str = _graphql(demo, query, {"id": run_id})["runOrError"]["status"]
    return status


def _graphql(demo: Demo, query: str, variables: dict[str, Any]) -> Any:
    answer = requests.post(
        demo.url("DAGSTER", "/graphql"), json={"query": query, "variables": variables}, timeout=60
    )
    return answer.json()["data"]


def _anything_listens(demo: Demo) -> list[str]:
    found = []
    for name, port in demo.ports.items():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                found.append(name)
    return found
