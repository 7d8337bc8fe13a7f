"""From the simulated exchange's sending of a tick to the paint that shows it, in real Chromium.

The whole path runs as programs of their own, landing included: exchange → socket → journal →
decode → last values → live feed → hub → page. The reference is the same browser's floor in the same
run: a bare socket whose time stamp a bare page paints, with none of ours in between. Ours also
waits for the next of 20 frames a second, 25 ms in the mean.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from benchmarks.landing import free_port
from benchmarks.report import Metric, against
from optionlake import launch
from optionlake.settings import Settings
from optionlake.supervisor import Supervisor
from storage.embedded import EmbeddedServer
from storage.timescale import ensure_database, migrate

ROUNDS = 5
ROUND_SECONDS = 6.0
WARM_SECONDS = 5.0
FLOOR_INTERVAL_SECONDS = 0.05
PROGRAMS = ("simulate", "stream", "dashboard")
CHROMIUM = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_FLOOR_PAGE = """
<p id="t"></p><script>
  const seen = [], after = new MessageChannel();
  let sent = 0;
  after.port1.onmessage = () => seen.push(Date.now() - sent);
  new WebSocket("ws://127.0.0.1:PORT/").onmessage = (message) => requestAnimationFrame(() => {
    sent = Number(message.data);
    document.getElementById("t").textContent = message.data;
    after.port2.postMessage(0);
  });
</script>
"""
_NOT_FOUND = "no chromium on this machine: install Debian's package chromium"


def run() -> tuple[Mapping[str, Metric], Mapping[str, object]]:
    """Median and 99th percentile, in rounds that alternate with the floor."""
    ours: list[Mapping[str, float]] = []
    floor: list[Mapping[str, float]] = []
    with _whole_path() as url, _browser() as browser, _bare_socket() as port:
        page, bare = browser.new_page(), browser.new_page()
        page.goto(url)
        page.wait_for_timeout(WARM_SECONDS * 1000)
        for _ in range(ROUNDS):
            ours.append(_of_page(page))
            floor.append(_of_floor(bare, port))
    metrics = {
        f"send_to_paint_{name}_ms": against(
            [o[name] for o in ours],
            "ms",
            [max(f[name], 1.0) for f in floor],
            "Lower is better; the reference is a bare socket painted by a bare page.",
        )
        for name in ("p50", "p99")
    }
    samples = sum(int(o["count"]) for o in ours)
    return metrics, {"rounds": ROUNDS, "samples": samples, "landing": True, "symbols": 15}


def _of_page(page: Page) -> Mapping[str, float]:
    page.bring_to_front()
    page.evaluate("window.optionlake.resetLatency()")
    page.wait_for_timeout(ROUND_SECONDS * 1000)
    told: Mapping[str, float] = page.evaluate("window.optionlake.latency()")
    return told


def _of_floor(page: Page, port: int) -> Mapping[str, float]:
    page.bring_to_front()
    page.set_content(_FLOOR_PAGE.replace("PORT", str(port)))
    page.wait_for_timeout(ROUND_SECONDS * 1000)
    seen: list[float] = page.evaluate("seen")
    page.set_content("")
    hundredths = statistics.quantiles(seen, n=100)
    return {"p50": hundredths[49], "p99": hundredths[98]}


@contextmanager
def _whole_path() -> Iterator[str]:
    with ExitStack() as cleanup:
        home = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="optionlake-")))
        server = EmbeddedServer(home, free_port())
        cleanup.callback(server.destroy)
        dsn = ensure_database(server.start(lambda _: None), "latency")
        migrate(dsn)
        settings = launch.demo_settings(
            Settings(
                home=home,
                database_url=SecretStr(dsn),
                page_port=free_port(),
                live_port=free_port(),
                simulator_port=free_port(),
            )
        )
        settings.layout.create()
        supervisor = Supervisor(settings.layout.logs, settings.layout.processes_file, _silent)
        cleanup.callback(supervisor.stop)
        for group in launch.programs(settings, is_demo=True):
            supervisor.start(*(program for program in group if program.name in PROGRAMS))
        yield f"http://127.0.0.1:{settings.page_port}/"


@contextmanager
def _browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise SystemExit(_NOT_FOUND)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(CHROMIUM))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def _bare_socket() -> Iterator[int]:
    def tell_the_time(connection: ServerConnection) -> None:
        try:
            while True:
                connection.send(str(time.time() * 1000))
                time.sleep(FLOOR_INTERVAL_SECONDS)
        except ConnectionClosed:
            return

    server: Server = serve(tell_the_time, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        thread.join()


def _silent(_: str) -> None:
    """Nobody watches a benchmark."""
