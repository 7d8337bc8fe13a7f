"""The table of the manual: one row for each scenario, between two markers.

What the columns mean is said in ``docs/reliability.md`` itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from tools.chaos.scenarios import SCENARIOS
from tools.chaos.trial import Outcome, Scenario, Skipped

BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"
_HEAD = (
    "| scenario | what happens | noticed s | recovery s | sent | received | landed | in gaps "
    "| gap rows | duplicates | unaccounted |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)


def row(scenario: Scenario, result: Outcome | Skipped) -> str:
    """One line of the table."""
    begin = f"| `{scenario.name}` | {scenario.title} |"
    if isinstance(result, Skipped):
        return f"{begin} – | – | – | – | – | – | – | – | not played: {result} |"
    sums = result.account
    noticed = "–" if result.noticed_s is None else f"{result.noticed_s:.1f}"
    counts = (
        sums.sent,
        sums.received,
        sums.landed,
        sums.in_gaps,
        len(sums.gaps),
        sums.duplicates,
        sums.unaccounted + sums.not_landed + sums.made_up,
    )
    cells = (noticed, f"{result.recovery_s:.1f}", *(f"{count}" for count in counts))
    return f"{begin} {' | '.join(cells)} |"


def rewritten(text: str, results: Mapping[str, Outcome | Skipped]) -> str:
    """The page with the rows of ``results`` in place of theirs; others keep what they had."""
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    kept = {line.split("`")[1]: line for line in old.splitlines() if line.startswith("| `")}
    new = {s.name: row(s, results[s.name]) for s in SCENARIOS if s.name in results}
    rows = [(kept | new)[s.name] for s in SCENARIOS if s.name in kept | new]
    return "\n".join((f"{before}{BEGIN}", *_HEAD, *rows, f"{END}{after}"))
