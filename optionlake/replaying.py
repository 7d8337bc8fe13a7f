"""What ``optionlake replay`` does: which stretch, how fast, how far it is, what came of it.

Replaying itself belongs to ``streaming.replay``; serving a recording to clients is
``simulate --replay``.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from brokers.upstox.codec import UpstoxCodec
from market.errors import ConfigurationError
from market.rules import IST, rules_for
from optionlake import compose
from optionlake.settings import Settings
from optionlake.simulation import instant_of
from storage import instruments, timescale
from storage.ticks import TickStore
from streaming import replay
from streaming.arrivals import Arrival
from streaming.replay import AlertReplay, Landed, Stretch, Summary, Tally
from transforms.signals.record import Signal

# Drawing a bar costs as much as decoding a frame.
_FRAMES_A_DRAWING = 256
_QUIETS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed.

    Attributes:
        begin, end: instants for ``simulation.instant_of``.
        speed: ``max``, or seconds of the journal per second.
        lands: whether to land what the database lacks.
        has_alerts: whether to tell the alerts that the stretch would have fired.
    """

    begin: str
    end: str
    speed: str = "max"
    lands: bool = False
    has_alerts: bool = False


def run(settings: Settings, wanted: Wanted, console: Console) -> Summary:
    """Replay a stretch of the journal and print what it held.

    Raises:
        ConfigurationError: for times or a speed that cannot be, or a database without instruments.
        DatabaseUnavailable: if it cannot be reached, or another process lands ticks into it.
        JournalError: for damage, naming file and offset.
    """
    stretch = stretch_of(settings, wanted)
    speed = speed_of(wanted.speed)
    tally, codec = Tally(), UpstoxCodec()
    alerts = _alerts(settings) if wanted.has_alerts else None
    landed = None
    with _bar(console, stretch, tally) as draw:

        def tell(arrival: Arrival) -> None:
            draw(arrival)
            _show(console, alerts.take(arrival) if alerts else ())

        if wanted.lands:
            landed = _land(settings.dsn(), stretch, speed, tell)
        else:
            for record in replay.paced(stretch.records(), speed):
                tell(replay.decoded(record, codec))
    _show(console, alerts.finish(stretch.to_at) if alerts else ())
    summary = tally.summary()
    for line in told(stretch, summary, landed):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return summary


def stretch_of(settings: Settings, wanted: Wanted) -> Stretch:
    """The stretch that was typed, in the journal of this home.

    Raises:
        ConfigurationError: if the times are none, or the wrong way round.
    """
    begin, end = instant_of(wanted.begin), instant_of(wanted.end)
    if begin >= end:
        raise ConfigurationError(
            f"FROM {wanted.begin!r} is not before TO {wanted.end!r}, expected the earlier one first"
        )
    return Stretch(settings.layout.journal, begin, end)


def speed_of(text: str) -> float:
    """Seconds of the journal per second; infinite for ``max``.

    Raises:
        ConfigurationError: for anything but ``max`` or a number above 0.
    """
    if text == "max":
        return math.inf
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise ConfigurationError(f"--speed {text!r}, expected a number above 0, or max")
    return speed


def told(stretch: Stretch, summary: Summary, landed: Landed | None) -> list[str]:
    """The summary for people."""
    if summary.first_at is None or summary.last_at is None:
        nothing = f"no frame from {_ist(stretch.from_at)} to {_ist(stretch.to_at)}"
        return [f"{nothing}: all landed already" if landed else f"{nothing} in {stretch.folder}"]
    lines = [
        f"{summary.frames} frames, {summary.connections} connections, {summary.keys} keys",
        f"  from {_ist(summary.first_at)} to {_ist(summary.last_at)}",
        *(f"  {count} ticks of {segment}" for segment, count in summary.ticks),
    ]
    if summary.unreadable:
        lines.append(f"  {summary.unreadable} frames could not be decoded")
    return [*lines, *_quiet_lines(summary), *_landed_lines(landed)]


def _quiet_lines(summary: Summary) -> list[str]:
    shown = summary.quiets[:_QUIETS_SHOWN]
    lines = [f"  nothing from {_ist(quiet.from_at)} to {_ist(quiet.to_at)}" for quiet in shown]
    more = len(summary.quiets) - len(shown)
    return [*lines, f"  nothing {more} times more"] if more else lines


def _landed_lines(landed: Landed | None) -> list[str]:
    if landed is None:
        return []
    lines = [f"{landed.rows} rows landed"]
    if landed.unresolved:
        lines.append(f"{landed.unresolved} ticks of instruments that the database does not know")
    return lines


def _alerts(settings: Settings) -> AlertReplay:
    dsn, symbols = settings.dsn(), settings.symbol_list
    return AlertReplay(
        rules_for(settings.session), lambda day: instruments.known(dsn, symbols, day)
    )


def _show(console: Console, signals: Iterable[Signal]) -> None:
    for signal in signals:
        line = f"{_ist(signal.at)}  {signal.kind.value}: {signal.reason}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _land(dsn: str, stretch: Stretch, speed: float, tell: Callable[[Arrival], None]) -> Landed:
    timescale.migrate(dsn)
    return asyncio.run(
        replay.land(
            stretch,
            lambda: TickStore(dsn),
            UpstoxCodec(),
            lambda day: instruments.numbers_by_key(dsn, day),
            on_arrival=tell,
            speed=speed,
        )
    )


@contextmanager
def _bar(console: Console, stretch: Stretch, tally: Tally) -> Iterator[Callable[[Arrival], None]]:
    """A bar over the stretch's time; what it is handed is counted."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    seconds = (min(stretch.to_at, compose.now()) - stretch.from_at).total_seconds()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading the journal", total=seconds)

        def tell(arrival: Arrival) -> None:
            tally.add(arrival)
            if tally.frames % _FRAMES_A_DRAWING == 1:
                at = datetime.fromtimestamp(arrival.received_at_ns / 1e9, UTC)
                done = (at - stretch.from_at).total_seconds()
                bar.update(task, description=f"{tally.frames} frames, {_ist(at)}", completed=done)

        yield tell


def _ist(instant: datetime) -> str:
    return f"{instant.astimezone(IST):%Y-%m-%d %H:%M:%S} IST"
