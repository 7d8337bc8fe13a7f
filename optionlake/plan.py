"""``optionlake status --plan``: what is asked of the broker where and how often, on one screen.

The running streaming process tells its own plan; without one it is computed from the settings and
what is known. Choosing belongs to ``brokers.planner``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl
import requests
from rich.console import Console
from rich.table import Table

from brokers.planner import explain, feed_plan, poll_cadence
from brokers.upstox.limits import current_capabilities
from market.errors import ConfigurationError
from market.rules import IST
from optionlake import compose
from optionlake.settings import Settings
from storage import chains, instruments

_ANSWER_SECONDS = 3


def gather(settings: Settings) -> Mapping[str, Any]:
    """The plan as plain values; ``source`` tells whether it is in force or computed.

    Raises:
        ConfigurationError: nothing runs and it is not known what is listed.
        DatabaseUnavailable: nothing runs, the database included.
    """
    running = _running(settings)
    if running is not None:
        return {"source": "in force, told by the streaming process", **running}
    return {"source": "computed, the streaming process tells none", **_computed(settings)}


def show(settings: Settings, console: Console, *, as_json: bool) -> None:
    """Print the plan, for a person or a machine; errors as ``gather``."""
    found = gather(settings)
    if as_json:
        print(json.dumps(found, indent=1))  # noqa: T201
    else:
        render(found, console)


def render(plan: Mapping[str, Any], console: Console) -> None:
    """Print a plan for a person."""
    console.print(f"[bold]plan[/bold] {plan['source']}", highlight=False)
    console.print(_sockets(plan))
    console.print(_tiers(plan))
    for line in (_polled(plan), _chains(plan), _staleness(plan), *plan["reasons"]):
        console.print(f"· {line}", markup=False, highlight=False, soft_wrap=True)


def _running(settings: Settings) -> Mapping[str, Any] | None:
    url = f"{settings.live_url('http')}/api/v1/plan"
    try:
        answer = requests.get(url, timeout=_ANSWER_SECONDS)
        found = answer.json() if answer.ok else None
    except (requests.RequestException, ValueError):
        return None
    return found if isinstance(found, dict) and "sockets" in found else None


def _computed(settings: Settings) -> Mapping[str, Any]:
    dsn, symbols = settings.dsn(), settings.symbol_list
    today = compose.now().astimezone(IST).date()
    listed = instruments.known(dsn, symbols, today)
    if not listed:
        raise ConfigurationError(
            "no plan can be computed: no streaming process tells one and no instruments are known "
            "for today; start optionlake up (or demo), which reads the broker's list"
        )
    found = current_capabilities(compose.tokens(settings)).within(
        settings.feed_sockets, is_per_socket=settings.key_limits == "socket"
    )
    plan = feed_plan(
        listed, _spots(dsn), settings.strikes_each_side, today, found, priorities=symbols
    )
    cadence = compose.chains_of(settings, listed, today)
    interval = compose.interval_seconds(settings)
    polls = poll_cadence(len(plan.polled), interval, settings.reserved_calls)
    return explain(plan, cadence, polls).as_json()


def _spots(dsn: str) -> dict[str, float]:
    rows = chains.latest(dsn).sort("as_of").group_by("symbol").agg(pl.col("spot").last())
    return {symbol: spot for symbol, spot in rows.iter_rows() if spot is not None}


def _sockets(plan: Mapping[str, Any]) -> Table:
    table = Table("socket", "state", "keys", "room left", box=None, padding=(0, 2))
    for socket in plan["sockets"]:
        state = "alive" if socket["is_alive"] else "dead"
        keys, room = _counts(socket["keys"]), _counts(socket["room"])
        table.add_row(str(socket["index"]), state, keys, room)
    return table


def _tiers(plan: Mapping[str, Any]) -> Table:
    columns = ("tier", "symbols", "strikes each side", "keys", "chains: minutes × count")
    table = Table(*columns, box=None, padding=(0, 2))
    for tier in plan["tiers"]:
        paced = ", ".join(f"{m} × {count}" for m, count in tier["chain_minutes"].items())
        strikes = f"{tier['strikes_each_side']:g}"
        keys = _counts(tier["keys"])
        table.add_row(tier["tier"], str(tier["symbols"]), strikes, keys, paced or "–")
    return table


def _polled(plan: Mapping[str, Any]) -> str:
    polled = plan["polled"]
    if not polled["keys"]:
        return "polled over REST: none"
    if polled["first_seconds"] is None:
        return f"polled over REST: {polled['keys']} keys, period not told"
    first, slowest = polled["first_seconds"], polled["slowest_seconds"]
    return f"polled over REST: {polled['keys']} keys, every {first:.0f} to {slowest:.0f} s"


def _chains(plan: Mapping[str, Any]) -> str:
    calls = plan["chain_calls_per_minute"]
    return "chains: not told" if calls is None else f"chains: {calls:.1f} calls a minute"


def _staleness(plan: Mapping[str, Any]) -> str:
    after, before = plan["staleness_seconds"], plan["polled_staleness_seconds"]
    return f"expected staleness: {after:g} s, without sockets {before:g} s"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "–"
