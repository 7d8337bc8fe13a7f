"""The command line: what can be typed, its help, and how errors end a command.

Each command reads the settings, builds what it needs through ``compose`` and hands over.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from getpass import getpass
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec

import typer
from rich.console import Console

from market.errors import OptionlakeError
from optionlake import logs
from optionlake.settings import Settings, load

P = ParamSpec("P")

app = typer.Typer(
    name="optionlake",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "Indian options market data: real-time prices, periodic option chains, one lake, one page."
        "\n\nStart with `optionlake demo`. Settings are environment variables, all listed in "
        "docs/settings.md."
    ),
)
console = Console()
errors = Console(stderr=True)

_PANELS = {
    "server": "Server",
    "market": "Market",
    "time": "The exchange's time",
    "account": "Account and limits",
    "faults": "Faults",
    "recording": "Recordings",
}


def _option(panel: str, *flags: str, help: str, metavar: str | None = None) -> Any:
    """An option of ``simulate``, under its panel of the help."""
    return typer.Option(*flags, help=help, metavar=metavar, rich_help_panel=_PANELS[panel])


def _ends_clearly(command: Callable[P, None]) -> Callable[P, None]:
    """Turn an error raised on purpose into its message and its exit code."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except OptionlakeError as error:
            errors.print(f"optionlake: {error}", style="red", markup=False, soft_wrap=True)
            raise typer.Exit(error.exit_code) from error

    return wrapped


@app.command()
@_ends_clearly
def demo() -> None:
    """Run everything on a simulated exchange that never closes. Ctrl-C stops it all."""
    from optionlake.launch import demo_settings

    _launch(demo_settings(load()), is_demo=True)


@app.command()
@_ends_clearly
def up() -> None:
    """Run everything on the real broker. Needs a token: optionlake login."""
    _launch(load(), is_demo=False)


@app.command()
@_ends_clearly
def login(
    *,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="only print the address of the broker's dialog")
    ] = False,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="keep a token that is pasted or piped in")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="do not ask the broker about a pasted token")
    ] = False,
    show_status: Annotated[
        bool, typer.Option("--status", help="tell whose token is in use and when it dies")
    ] = False,
) -> None:
    """Get a token from the broker for all programs; those that run take it up. Code 3: none."""
    from optionlake import login as logging_in

    settings = load()
    if show_status:
        logging_in.show(_inspected(settings), _say)
    elif token_stdin:
        logging_in.by_paste(settings, _pasted(), _say, is_checked=not no_check)
    else:
        logging_in.by_dialog(settings, _say, opens_browser=not no_browser)


@app.command()
@_ends_clearly
def simulate(
    *,
    port: Annotated[
        int | None, _option("server", help="for REST and sockets; OPTIONLAKE_SIMULATOR_PORT")
    ] = None,
    proxy_port: Annotated[
        int | None,
        _option("server", help="also answer for the broker's own https and wss addresses here"),
    ] = None,
    seed: Annotated[int | None, _option("market", help="equal seeds, equal markets")] = None,
    symbols: Annotated[
        str | None, _option("market", help='underlyings, comma-separated, or "all"')
    ] = None,
    session: Annotated[
        Literal["always", "nse"] | None,
        _option("market", help="never close, or keep the exchange's hours"),
    ] = None,
    feedback: Annotated[
        float | None, _option("market", help="λ: how much hedging moves the indices; 0 for none")
    ] = None,
    start: Annotated[
        str | None,
        _option("time", help='begin at "2026-11-25 09:15" (IST) or an ISO instant; default now'),
    ] = None,
    speed: Annotated[
        float | None,
        _option("time", help="exchange seconds per second; 0 stands still until moved"),
    ] = None,
    plan: Annotated[
        Literal["plus", "normal"],
        _option("account", help="what tokens entitle to: sockets, depth, expired contracts"),
    ] = "plus",
    has_limits: Annotated[
        bool, _option("account", "--limits/--no-limits", help="the REST rate limits")
    ] = True,
    key_limits: Annotated[
        Literal["socket", "user", "off"],
        _option("account", help="whom limits of subscribed keys count for"),
    ] = "socket",
    fault: Annotated[
        list[str] | None,
        _option("faults", help="e.g. close:code=1011,at=10:15:00 (repeatable)", metavar="NAME:…"),
    ] = None,
    scenario: Annotated[
        Path | None, _option("faults", help="YAML file of faults; see docs/simulator.md")
    ] = None,
    has_list: Annotated[
        bool, _option("faults", "--list-faults", help="print every fault and end")
    ] = False,
    replay: Annotated[
        Path | None, _option("recording", help="serve this recording instead of a market")
    ] = None,
) -> None:
    """Serve the simulated exchange alone: REST and WebSocket on one port.

    The broker's protocol for any client, its official SDK included. The manual is
    docs/simulator.md.
    """
    from optionlake import serve, simulation

    if has_list:
        _show_faults(simulation.fault_rows())
        return
    typed = simulation.Typed(
        port=port,
        proxy_port=proxy_port,
        seed=seed,
        session=session,
        feedback=feedback,
        symbols=symbols,
        start=start,
        speed=speed,
        is_plus=plan == "plus",
        has_limits=has_limits,
        key_limits=key_limits,
        faults=fault or (),
        scenario=scenario,
        replay=replay,
    )
    serve.simulator(_started(load()), typed, _say)


@app.command()
@_ends_clearly
def record(
    folder: Annotated[Path, typer.Argument(help="a new folder for the recording")],
    *,
    keys: Annotated[
        list[str],
        typer.Option(help="instrument keys, comma-separated; @FILE has one a line (repeatable)"),
    ],
    mode: Annotated[str, typer.Option(help="ltpc, option_greeks, full or full_d30")] = "full",
    minutes: Annotated[
        float | None, typer.Option(help="for how long; default until Ctrl-C")
    ] = None,
    simulator: Annotated[
        str | None,
        typer.Option(help="address of a simulated exchange, instead of the broker", metavar="URL"),
    ] = None,
) -> None:
    """Record a feed as it comes. Serve it again with simulate --replay.

    Needs UPSTOX_ACCESS_TOKEN, except for a simulated exchange.
    """
    from optionlake import recording

    wanted = recording.Wanted(folder, tuple(keys), mode, minutes, simulator)
    recording.record(_started(load()), wanted, console)


@app.command()
@_ends_clearly
def stream() -> None:
    """Run the feed process: socket to journal, hypertable and local live feed."""
    from optionlake import serve

    asyncio.run(serve.stream(_started(load())))


@app.command()
@_ends_clearly
def replay(
    begin: Annotated[
        str, typer.Argument(metavar="FROM", help='"2026-11-25 09:15" (IST) or an ISO instant')
    ],
    end: Annotated[str, typer.Argument(metavar="TO", help="the same; not included")],
    *,
    speed: Annotated[
        str, typer.Option(help="seconds of the journal per second, or max", metavar="N|max")
    ] = "max",
    lands: Annotated[
        bool, typer.Option("--land", help="land what the database lacks; twice lands it once")
    ] = False,
    has_alerts: Annotated[
        bool, typer.Option("--alerts", help="tell the alerts that it would have fired; stores none")
    ] = False,
) -> None:
    """Read the journal again: decode it and tell what it holds, or land it.

    Into another database: set DATABASE_URL. Frames to serve to clients: simulate --replay.
    """
    from optionlake import replaying

    wanted = replaying.Wanted(begin, end, speed, lands, has_alerts)
    replaying.run(_inspected(load()), wanted, console)


@app.command()
@_ends_clearly
def dashboard() -> None:
    """Serve the page and the HTTP API."""
    from optionlake import serve

    serve.dashboard(_started(load()))


@app.command()
@_ends_clearly
def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    has_plan: Annotated[
        bool,
        typer.Option("--plan", help="what is asked of the broker where and how often, and why"),
    ] = False,
) -> None:
    """Show health on one screen. Exit code 1 if something is wrong."""
    if has_plan:
        from optionlake import plan

        plan.show(_inspected(load()), console, as_json=as_json)
        return
    from optionlake import status as health

    found = health.gather(_inspected(load()))
    if as_json:
        print(json.dumps(asdict(found), indent=1))  # noqa: T201
    else:
        health.render(found, console)
    raise typer.Exit(0 if found.is_healthy else 1)


@app.command()
@_ends_clearly
def interval(
    seconds: Annotated[
        float | None, typer.Argument(help="1 to 3600; without it the present one is shown")
    ] = None,
) -> None:
    """Tell running programs how often to refresh prices that come over REST."""
    from optionlake import compose
    from storage.interval import write_interval

    settings = _inspected(load())
    if seconds is not None:
        write_interval(settings.layout.interval_file, seconds)
    period = compose.interval_seconds(settings)
    _say(f"prices without a socket are refreshed every {period:g} s at best")


@app.command()
@_ends_clearly
def sql(
    query: Annotated[str, typer.Argument(help='SQL, or "-" to read it from standard input')],
    output: Annotated[str, typer.Option("--format", help="table, csv or json")] = "table",
    rows: Annotated[int, typer.Option(help="rows that a table shows at most")] = 40,
) -> None:
    """Ask the lake, read-only, while the pipeline writes. Tables: see docs/analyst.md."""
    from optionlake import compose, frames

    text = sys.stdin.read() if query == "-" else query
    lake = compose.lake(_inspected(load()), is_read_only=True)
    try:
        frames.show(lake.query(text), output, rows, console)
    finally:
        lake.close()


@app.command()
@_ends_clearly
def prepare() -> None:
    """Do once what would slow down the first start: compile kernels, fetch database programs."""
    from optionlake import serve

    serve.prepare(load(), console.print)


def _launch(settings: Settings, *, is_demo: bool) -> None:
    from optionlake import launch

    logs.configure(settings.log_level)
    console.print("[bold]optionlake[/bold] " + ("on a simulated exchange" if is_demo else "live"))
    launch.run(
        settings,
        is_demo=is_demo,
        report=lambda text: console.print(f"  {text}", markup=False, highlight=False),
        on_ready=lambda: console.print(launch.welcome(settings), soft_wrap=True),
    )


def _started(settings: Settings) -> Settings:
    logs.configure(settings.log_level)
    return settings


def _inspected(settings: Settings) -> Settings:
    """The home to look at: the one that was set, else the one that runs, else the demo's."""
    from optionlake.launch import DEMO_HOME

    if "home" in settings.model_fields_set:
        return settings
    candidates = [settings.home, DEMO_HOME]
    layouts = {h: _with_home(settings, h).layout for h in candidates}
    running = [h for h in candidates if layouts[h].processes_file.exists()]
    used = [h for h in candidates if layouts[h].database_url_file.exists()]
    return _with_home(settings, (running or used or candidates)[0])


def _with_home(settings: Settings, home: Path) -> Settings:
    return settings.model_copy(update={"home": home})


def _pasted() -> str:
    """A token from standard input; not shown while it is typed."""
    if sys.stdin.isatty():
        return getpass("token (not shown): ")
    return sys.stdin.read(64 * 1024)


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _show_faults(rows: list[tuple[str, str, str, str]]) -> None:
    for name, place, meaning, arguments in rows:
        console.print(f"[bold]{name}[/bold] [dim]({place})[/dim]", highlight=False)
        for line in (meaning, *arguments.split("; ")):
            if line:
                _say(f"    {line}")
