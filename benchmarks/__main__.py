"""``python -m benchmarks NAME [--json]``: run one benchmark and print what it found."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from benchmarks.report import Metric, as_json

NAMES = ("landing", "latency")


def main(
    name: Annotated[str, typer.Argument(help=f"one of: {', '.join(NAMES)}")],
    is_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Measure, and print medians and ratios to a peer or limit of the same run."""
    if name not in NAMES:
        raise typer.BadParameter(f"{name!r} is not known, expected one of {', '.join(NAMES)}")
    metrics, details = importlib.import_module(f"benchmarks.{name}").run()
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
