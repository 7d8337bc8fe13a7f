"""The health of one home on one screen, gathered from what its programs tell.

Each line is asked for separately and says so itself when there is no answer: a status that fails
when something is down would be no status.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from brokers.token_state import TokenLevel
from market.errors import OptionlakeError
from market.rules import IST
from optionlake import compose, login, processes
from optionlake.settings import Settings
from storage.ticks import landing_status

LAST_WINDOW = """
select trading_day, slot, max(as_of) as as_of, count(*) as symbols
from underlying_rollup group by all order by trading_day desc, slot desc limit 1
"""

_MINUTES_PER_DAY = 1_440
# More than any way from the exchange takes, less than would put a tick into a wrong window unseen.
_BORNE_SKEW_MS = 2_000


@dataclass(frozen=True, slots=True)
class Status:
    """What is known now; a part that cannot be asked is None and named in ``problems``."""

    home: str
    checked_at: str
    processes: list[dict[str, Any]]
    feed: Mapping[str, Any] | None
    token: Mapping[str, Any] | None
    token_expires_at: str | None
    last_window: Mapping[str, Any] | None
    landing: Mapping[str, Any] | None
    lake_bytes: int | None
    budget: list[dict[str, Any]]
    problems: list[str]

    @property
    def is_healthy(self) -> bool:
        """Every process alive, and every part answers."""
        return bool(self.processes) and not self.problems


def gather(settings: Settings) -> Status:
    """Ask every part of the installation; never raises for one that does not answer."""
    problems: list[str] = []

    def ask(what: str, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (OptionlakeError, requests.RequestException, ValueError) as error:
            problems.append(f"{what}: {_first_line(error)}")
            return None

    started = processes.read(settings.layout.processes_file)
    problems += [f"{s.name} is not running" for s in started if not s.is_alive()]
    if not started:
        problems.append("nothing is running: start it with optionlake demo or optionlake up")
    is_known = ask("database", settings.dsn) is not None
    feed = ask("feed", lambda: _feed(settings)) if started else None
    token = _token(settings, feed)
    problems += _clock_problems(feed or {})
    if token["level"] == TokenLevel.ALARM:
        problems.append(f"token: {token['text']}")
    return Status(
        home=str(settings.layout.home),
        checked_at=compose.now().isoformat(),
        processes=[{**asdict(s), "is_alive": s.is_alive()} for s in started],
        feed=feed,
        token=token,
        token_expires_at=token["expires_at"],
        last_window=ask("last window", lambda: _last_window(settings)) if is_known else None,
        landing=ask("ticks", lambda: _landing(settings)) if is_known else None,
        lake_bytes=ask("lake", lambda: _lake_bytes(settings)) if is_known else None,
        budget=[asdict(usage) for usage in compose.budget(settings).usage()] if is_known else [],
        problems=problems,
    )


def render(status: Status, console: Console) -> None:
    """Print the status for a person: one screen, the worst last."""
    table = Table.grid(padding=(0, 2))
    for label, text in _lines(status):
        table.add_row(f"[bold]{label}[/bold]", text)
    console.print(table)
    for problem in status.problems:
        console.print(f"[red]![/red] {problem}", soft_wrap=True)
    if status.is_healthy:
        console.print("[green]all well[/green]")


def _lines(status: Status) -> list[tuple[str, str]]:
    feed, window, landing = status.feed or {}, status.last_window, status.landing or {}
    alive = [p for p in status.processes if p["is_alive"]]
    now_ms = datetime.fromisoformat(status.checked_at).timestamp() * 1000
    return [
        ("home", status.home),
        ("processes", ", ".join(f"{p['name']} ({p['pid']})" for p in alive) or "none"),
        ("addresses", ", ".join(p["address"] for p in alive if p["address"]) or "–"),
        ("feed", f"{_state(feed)}, last frame {_age(feed, now_ms)}"),
        ("", _sources(feed)),
        ("", _counts(feed, ("subscribed", "never_seen", "frames", "unknown_frames", "reconnects"))),
        ("token", _token_line(status)),
        ("last window", _window(window)),
        (
            "ticks landed",
            _counts(landing, ("rows", "gaps")) + f", newest {_ist(landing.get('newest_event_at'))}",
        ),
        ("lake", "unknown" if status.lake_bytes is None else f"{status.lake_bytes / 1e6:,.1f} MB"),
        ("API budget", _budget(status.budget)),
    ]


def _token_line(status: Status) -> str:
    token = status.token or {}
    text = f"expires {_ist(status.token_expires_at)}"
    if (minutes := token.get("minutes_left")) is not None:
        is_near = minutes < 2 * _MINUTES_PER_DAY
        text += (
            f", {minutes:,} min left" if is_near else f", {minutes // _MINUTES_PER_DAY} days left"
        )
    return f"[yellow]{text}[/yellow]" if token.get("level") == TokenLevel.WARNING else text


def _feed(settings: Settings) -> Any:
    answer = requests.get(f"{settings.live_url('http')}/api/v1/health", timeout=3)
    answer.raise_for_status()
    return answer.json()


def _token(settings: Settings, feed: Mapping[str, Any] | None) -> dict[str, Any]:
    """The token as the feed process finds it, else as this process does."""
    if feed is None or "token_level" not in feed:
        state = login.state_of(settings, compose.tokens(settings))
        return _plain(asdict(state))
    expires_ms = feed.get("token_expires_at_ms")
    expires_at = None if expires_ms is None else datetime.fromtimestamp(expires_ms / 1000, UTC)
    return {
        "level": feed["token_level"],
        "text": feed.get("token_detail"),
        "expires_at": expires_at and expires_at.isoformat(),
        "minutes_left": feed.get("token_minutes_left"),
    }


def _landing(settings: Settings) -> dict[str, Any]:
    return _plain(asdict(landing_status(settings.dsn())))


def _last_window(settings: Settings) -> dict[str, Any] | None:
    lake = compose.lake(settings, is_read_only=True)
    try:
        rows = lake.query(LAST_WINDOW).to_dicts()
    finally:
        lake.close()
    return _plain(rows[0]) if rows else None


def _lake_bytes(settings: Settings) -> int:
    lake = compose.lake(settings, is_read_only=True)
    try:
        return lake.size_bytes()
    finally:
        lake.close()


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with instants and dates as ISO text."""
    return {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in row.items()}


def _window(window: Mapping[str, Any] | None) -> str:
    if window is None:
        return "none yet"
    return f"{window['trading_day']} {window['slot']} IST, {window['symbols']} symbols"


def _budget(usages: list[dict[str, Any]]) -> str:
    used = (f"{u['used']}/{u['calls']} in {u['seconds']:g} s" for u in usages)
    return ", ".join(used) or "unknown"


def _counts(source: Mapping[str, Any], names: tuple[str, ...]) -> str:
    told = ((n, source.get(n)) for n in names)
    return ", ".join(f"{n.replace('_', ' ')} {v if v is not None else '–'}" for n, v in told)


def _state(feed: Mapping[str, Any]) -> str:
    state = str(feed.get("state", "unknown"))
    return state if feed.get("is_market_open", True) else f"{state} (market closed)"


def _sources(feed: Mapping[str, Any]) -> str:
    """Who tells the prices: each socket, and REST where it stands in or is all there is."""
    told = [
        f"socket {s['index']} {s['state']} ({s['keys']} keys)" for s in feed.get("sockets") or ()
    ]
    if feed.get("mode") == "rest":
        told.append(f"all prices by REST, {feed.get('rest_calls_per_minute', 0):.0f} calls/min")
    elif (since_ms := feed.get("fallback_since_ms")) is not None:
        since = datetime.fromtimestamp(since_ms / 1000, IST)
        told.append(f"[yellow]prices by REST since {since:%H:%M:%S} IST[/yellow]")
    if (share := (feed.get("parity") or {}).get("within_share")) is not None:
        told.append(f"parity {share:.1%} of {feed['parity']['compared']} keys")
    return ", ".join(told) or "no sockets"


def _clock_problems(feed: Mapping[str, Any]) -> list[str]:
    skew_ms = feed.get("clock_skew_ms")
    if skew_ms is None or abs(skew_ms) < _BORNE_SKEW_MS:
        return []
    side = "ahead of" if skew_ms > 0 else "behind"
    return [
        f"clock: ours is {abs(skew_ms) / 1000:.1f} s {side} the exchange's, or its frames come so "
        "late: let NTP set it, windows and ages are wrong meanwhile"
    ]


def _age(feed: Mapping[str, Any], now_ms: float) -> str:
    last = feed.get("last_frame_at_ms")
    return "never" if last is None else f"{max(0.0, now_ms - last) / 1000:.1f} s ago"


def _ist(iso: str | None) -> str:
    if iso is None:
        return "unknown"
    return f"{datetime.fromisoformat(iso).astimezone(IST):%d %b %Y %H:%M:%S} IST"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
