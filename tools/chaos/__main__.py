"""``python -m tools.chaos``: play every scenario, print the table, write it into the manual."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tools.chaos import page, world
from tools.chaos.scenarios import BY_NAME, SCENARIOS
from tools.chaos.trial import Outcome, Scenario, Skipped, run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="scenarios to play; all of them without any")
    ] = None,
    is_written: Annotated[
        bool, typer.Option("--write", help="put the table into docs/reliability.md")
    ] = False,
) -> None:
    """Make trouble and keep books; exit code 1 if one does not balance or took too long."""
    unknown = [name for name in names or () if name not in BY_NAME]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not known, expected {', '.join(BY_NAME)}")
    chosen = [s for s in SCENARIOS if not names or s.name in names]
    results: dict[str, Outcome | Skipped] = {}
    with world.running() as running:
        for scenario in chosen:
            try:
                results[scenario.name] = run(running, scenario)
            except Skipped as reason:
                results[scenario.name] = reason
            typer.echo(page.row(scenario, results[scenario.name]))
    if is_written:
        PAGE.write_text(page.rewritten(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    sys.exit(1 if any(_is_wrong(BY_NAME[name], result) for name, result in results.items()) else 0)


def _is_wrong(scenario: Scenario, result: Outcome | Skipped) -> bool:
    return isinstance(result, Outcome) and not (result.is_well and scenario.is_kept_by(result))


if __name__ == "__main__":
    typer.run(main)
