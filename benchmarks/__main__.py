"""``python -m benchmarks NAME [--json]``: run one benchmark and print what it found."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from benchmarks.report import Metric, as_json

NAMES = ("ingest", "journal", "landing", "latency", "pricing", "growth", "marking", "tick_layout")


def main(
    name: Annotated[str, typer.Argument(help=f"one of: {', '.join(NAMES)}")],
    rows: Annotated[
        int | None, typer.Option(help="pricing only: rows of each set to solve exactly")
    ] = None,
    is_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Measure, and print medians and ratios to a peer or limit of the same run."""
    if name not in NAMES:
        raise typer.BadParameter(f"{name!r} is not known, expected one of {', '.join(NAMES)}")
    if rows is not None and name != "pricing":
        raise typer.BadParameter(f"--rows belongs to pricing, not to {name}")
    options = {} if rows is None else {"rows": rows}
    metrics, details = importlib.import_module(f"benchmarks.{name}").run(**options)
    if is_json:
        print(as_json(name, metrics, details))
        return
    for key, metric in metrics.items():
        print(_line(key, metric))


def _line(key: str, metric: Metric) -> str:
    return (
        f"{key}: {metric.value:g} {metric.unit}, {metric.ratio:g} × the reference's "
        f"{metric.reference:g}. {metric.meaning}"
    )


if __name__ == "__main__":
    typer.run(main)
