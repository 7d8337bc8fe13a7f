"""``python -m tools.endurance load|outage``: a long run, its numbers as a line of JSON."""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tools.endurance import page, rig, runs
from tools.endurance.runs import LoadResult, OutageResult

app = typer.Typer(add_completion=False, no_args_is_help=True)
_Minutes = Annotated[float, typer.Option(min=0.1, help="how long")]
_Rate = Annotated[int, typer.Option(min=50, help="ticks a second")]
_Write = Annotated[
    Path | None, typer.Option(help="put the table into this page, between its markers")
]


@app.command()
def load(minutes: _Minutes = 10.0, rate: _Rate = 50_000, write: _Write = None) -> None:
    """A steady load through the whole streaming process."""
    with rig.running(_say) as running:
        result = runs.load(running, minutes, rate)
    _end("load", result, page.load_rows(result), write)


@app.command()
def outage(
    minutes: _Minutes = 10.0,
    rate: _Rate = 10_000,
    kill: Annotated[bool, typer.Option("--kill", help="kill -9 the process halfway")] = False,
    write: _Write = None,
) -> None:
    """A steady load while the database is away and comes back."""
    with rig.running(_say) as running:
        result = runs.outage(running, minutes, rate, is_killed=kill)
    _end("outage-kill" if kill else "outage", result, page.outage_rows(result), write)


def _say(line: str) -> None:
    typer.echo(f"{time.strftime('%H:%M:%S')} {line}", err=True)


def _end(
    name: str,
    result: LoadResult | OutageResult,
    rows: list[tuple[str, str, str]],
    write: Path | None,
) -> None:
    """Print, write, and leave with code 1 if a tick is not accounted for."""
    for what, measured, goal in rows:
        typer.echo(f"{what:45} {measured}{f'   (goal {goal})' if goal else ''}", err=True)
    typer.echo(json.dumps({"run": name, "is_well": result.is_well, **asdict(result)}))
    if write:
        text = write.read_text(encoding="utf-8")
        write.write_text(page.rewritten(text, name, rows), encoding="utf-8")
    sys.exit(0 if result.is_well else 1)


if __name__ == "__main__":
    # Whoever ends it early must not leave its processes and its folder behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app()
