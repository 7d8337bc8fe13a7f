"""The tables of the manual: what was asked for, what was measured, what is the goal.

What the rows mean is said in ``docs/reliability.md`` itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from tools.endurance.books import Account
from tools.endurance.rig import DATABASE, EXCHANGE, STREAM
from tools.endurance.runs import Latency, LoadResult, OutageResult

_Row = tuple[str, str, str]
_HEAD = ("| | measured | goal |", "|---|---|---|")


def load_rows(result: LoadResult) -> list[_Row]:
    """The table of a load."""
    before, after = result.memory_mb
    return [
        ("load", _asked(result.minutes, result.ticks_per_second, result.keys), ""),
        *_sums(result.account, most_lost_ms=0),
        ("due → received", _latency(result.received), ""),
        ("received → durable", _latency(result.durable), "p99 ≤ 500 ms"),
        ("due → durable", _latency(result.whole), ""),
        ("a commit of somebody else's", _latency(result.commit), ""),
        ("memory after warm-up, at the end", f"{before:.0f} MB, {after:.0f} MB", ""),
        ("memory's slope", f"{result.slope_mb_per_minute:+.2f} MB/min", "flat"),
        ("share of a core", _shares(result.cpu_shares), ""),
    ]


def outage_rows(result: OutageResult) -> list[_Row]:
    """The table of an outage."""
    most_lost_ms = 100 if result.is_killed else 0
    before, most = result.memory_mb
    return [
        ("database away", _asked(result.minutes, result.ticks_per_second, result.keys), ""),
        *_sums(result.account, most_lost_ms),
        ("due while it was away", f"{result.backlog:,} ticks", ""),
        ("back → first landing", f"{result.first_landing_s:.1f} s", ""),
        (
            "drained, the feed going on",
            f"{result.drained_s:.1f} s, {result.drain_factor:.1f} × the live rate",
            "≥ 5 ×",
        ),
        (
            "memory before, most until drained",
            f"{before:.0f} MB, {most:.0f} MB ({result.memory_growth_mb:+.0f} MB)",
            "≤ +200 MB",
        ),
        ("share of a core while draining", _shares(result.cpu_shares), ""),
    ]


def rewritten(text: str, name: str, rows: Sequence[_Row]) -> str:
    """The page with a new table between the markers of ``name``."""
    begin, end = f"<!-- endurance {name}: begin -->", f"<!-- endurance {name}: end -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    lines = (f"| {what} | {measured} | {goal} |" for what, measured, goal in rows)
    return "\n".join((f"{before}{begin}", *_HEAD, *lines, f"{end}{after}"))


def _asked(minutes: float, rate: int, keys: int) -> str:
    return f"{minutes:g} min at {rate:,} ticks/s, {keys:,} keys"


def _sums(sums: Account, most_lost_ms: int) -> list[_Row]:
    lost = f"{sums.unaccounted:,} ticks ({sums.unaccounted_ms:.1f} ms)"
    return [
        ("ticks due = landed + in gaps + unaccounted", f"{sums.due:,}", ""),
        ("landed", f"{sums.landed:,}", ""),
        ("in gaps", f"{sums.in_gaps:,} in {sums.gap_rows} gap rows", ""),
        ("unaccounted", lost, f"≤ {most_lost_ms} ms" if most_lost_ms else "0"),
        ("duplicates, made up", f"{sums.duplicates:,}, {sums.made_up:,}", "0, 0"),
    ]


def _latency(told: Latency) -> str:
    return (
        f"p50 {told.p50:.0f} ms, p99 {told.p99:.0f} ms, "
        f"longest {told.longest:.0f} ms (at {told.longest_at_s:.0f} s)"
    )


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {shares.get(name, 0.0):.0%}" for name in (STREAM, DATABASE, EXCHANGE))
