"""What is typed after ``optionlake simulate``, turned into a configuration and a clock.

Defaults come from the settings; what was typed wins. Flags and their help stand in ``cli``, what a
setting does in ``simulator``, running it in ``serve``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from market.errors import ConfigurationError
from market.rules import IST
from optionlake import compose
from optionlake.settings import Settings
from simulator.access.tokens import mint
from simulator.clocks import FastClock
from simulator.faults import scenario
from simulator.faults.catalogue import CATALOGUE, Argument, Kind, Value
from simulator.faults.fault import Fault
from simulator.recordings.recording import Recording
from simulator.server import Running, SimulatorConfig
from simulator.socket.feed_options import FeedOptions

Clock = Callable[[], datetime]
KeyLimits = Literal["socket", "user", "off"]
EVERY_SYMBOL = "all"
_MOST_FEEDBACK = 10.0  # any more has long reached the bounds of what hedging makes of volatility
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed; None and empty for what was not.

    Attributes:
        symbols: comma-separated, or ``all``.
        start: an instant for ``instant_of``.
        speed: exchange seconds per second.
        key_limits: whom limits of subscribed keys count for.
        faults: one each, as ``simulator.faults.scenario.parse_flag`` reads it.
        replay: a recording's folder.
    """

    port: int | None = None
    proxy_port: int | None = None
    seed: int | None = None
    session: Literal["nse", "always"] | None = None
    symbols: str | None = None
    feedback: float | None = None
    start: str | None = None
    speed: float | None = None
    is_plus: bool = True
    has_limits: bool = True
    key_limits: KeyLimits = "socket"
    faults: Sequence[str] = ()
    scenario: Path | None = None
    replay: Path | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is ready to begin.

    Attributes:
        clock: stands still until ``begin``, unless it is the real one.
    """

    config: SimulatorConfig
    clock: Clock
    speed: float

    def begin(self) -> None:
        """Let time pass: once the exchange listens, so that nothing is missed of a fast one."""
        if isinstance(self.clock, FastClock):
            self.clock.set_speed(self.speed)


def prepared(settings: Settings, typed: Typed) -> Run:
    """The configuration and the clock of a run.

    Raises:
        ConfigurationError: for a fault, a scenario, an instant, a recording or a combination of
            flags that cannot be.
        JournalError: for a recording that is damaged.
    """
    _check_together(typed)
    recording = None if typed.replay is None else Recording(typed.replay)
    base = compose.simulator_config(settings)
    faults, fault_seed = _faults(typed)
    config = replace(
        base,
        port=_given(typed.port, base.port),
        proxy_port=typed.proxy_port,
        seed=_given(typed.seed, base.seed),
        session=_given(typed.session, base.session),
        symbols=_symbols(typed.symbols, base.symbols),
        feedback=_feedback(typed.feedback, base.feedback),
        limits=base.limits if typed.has_limits else (),
        login=replace(base.login, is_plus=typed.is_plus),
        feed=_feed(base.feed, typed.key_limits),
        faults=faults,
        fault_seed=fault_seed,
        recording=recording,
    )
    if typed.start is None and typed.speed is None and recording is None:
        return Run(config, compose.now, 1.0)
    begin = _begin(typed.start, recording)
    speed = FastClock(begin, _given(typed.speed, 1.0)).speed
    return Run(config, FastClock(begin, 0.0), speed)


def _begin(start: str | None, recording: Recording | None) -> datetime:
    """``start``, or now, or a recording's first frame."""
    earliest = compose.now() if recording is None else recording.first_at
    begin = earliest if start is None else instant_of(start)
    if recording is not None and not recording.first_at <= begin <= recording.last_at:
        first, last = (_ist(at) for at in (recording.first_at, recording.last_at))
        raise ConfigurationError(
            f"--start {start!r} is not in the recording, expected {first} to {last}"
        )
    return begin


def instant_of(text: str) -> datetime:
    """An ISO instant; without a zone it is Indian time. Aware UTC.

    Raises:
        ConfigurationError: if it is none.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is no time, expected '2026-11-25 09:15' (Indian time) or an ISO instant "
            "such as 2026-11-25T03:45:00Z"
        ) from None
    return (instant if instant.tzinfo else instant.replace(tzinfo=IST)).astimezone(UTC)


def welcome(run: Run, running: Running, *, has_token: bool) -> list[str]:
    """What a person reads first: where it listens, how to point a client at it, what it is.

    Args:
        has_token: whether to make a token and show it; not for logs.
    """
    config, clock = run.config, run.clock
    lines = [
        f"simulated exchange on {running.url}",
        f"  REST, login, assets  {running.url}   (the official SDK: Configuration().host)",
        f"  socket               {running.url.replace('http', 'ws', 1)}/v3/feed/market-data-feed",
        f"  console              {running.url}/simulator/state, clock, faults, truth",
    ]
    if running.proxy is not None:
        lines += [
            f"  unchanged programs   HTTPS_PROXY={running.proxy.url}",
            f"                       SSL_CERT_FILE={running.proxy.authority_path}",
        ]
    lines += [f"  {line}" for line in _about(config, clock)]
    if has_token:
        # A client may check a token's end by its own clock, which is the real one.
        token = mint(max(clock(), compose.now()), is_plus=config.login.is_plus)
        lines += ["  a token for it, good for a year:", token]
    return lines


def fault_rows() -> list[tuple[str, str, str, str]]:
    """The catalogue of faults for people: name, what it strikes, meaning, arguments."""
    return [
        (kind.name, str(kind.place), kind.meaning, _arguments(kind)) for kind in CATALOGUE.values()
    ]


def _about(config: SimulatorConfig, clock: Clock) -> list[str]:
    at = _ist(clock())
    speed = clock.speed if isinstance(clock, FastClock) else 1.0
    when = f"{at}, x{speed:g}" if isinstance(clock, FastClock) else f"{at}, real time"
    plan = "Plus" if config.login.is_plus else "normal"
    if config.recording is not None:
        found = config.recording
        what = (
            f"recording of {found.frames} frames, {len(found.keys)} keys, to {_ist(found.last_at)}"
        )
        master = [] if found.master is not None else ["the instrument master is not in it"]
        return [what, *master, f"{when}, {plan} plan"]
    listed = "every symbol" if config.symbols is None else f"{len(config.symbols)} symbols"
    what = f"session {config.session}, seed {config.seed}, {listed}, {plan} plan"
    return [what, when, *(f"fault {_fault(fault)}" for fault in config.faults)]


def _fault(fault: Fault) -> str:
    told = {name: value for name, value in scenario.fields(fault).items() if name != "name"}
    return f"{fault.name} {', '.join(f'{name}={value}' for name, value in told.items())}"


def _arguments(kind: Kind) -> str:
    return "; ".join(_argument(argument) for argument in kind.arguments)


def _argument(argument: Argument) -> str:
    return f"{argument.name}={_written(argument.default)} ({argument.meaning})"


def _written(value: Value) -> str:
    """A value as a flag has it."""
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else f"{value}"


def _check_together(typed: Typed) -> None:
    market: dict[str, object] = {
        "--seed": typed.seed,
        "--session": typed.session,
        "--symbols": typed.symbols,
        "--feedback": typed.feedback,
    }
    wrong = [flag for flag, value in market.items() if value is not None]
    if typed.replay is not None and wrong:
        raise ConfigurationError(
            f"{', '.join(wrong)} cannot go with --replay: a recording's market is over"
        )


def _feedback(typed: float | None, otherwise: float) -> float:
    if typed is None:
        return otherwise
    if not abs(typed) <= _MOST_FEEDBACK:
        raise ConfigurationError(
            f"--feedback {typed:g}, expected -{_MOST_FEEDBACK:g} to {_MOST_FEEDBACK:g}; 0 is none"
        )
    return typed


def _faults(typed: Typed) -> tuple[tuple[Fault, ...], int | None]:
    """Those of the scenario, then those of the flags; and the scenario's seed."""
    flags = tuple(scenario.parse_flag(text) for text in typed.faults)
    if typed.scenario is None:
        return flags, None
    loaded = scenario.load(typed.scenario)
    return (*loaded.faults, *flags), loaded.seed


def _symbols(typed: str | None, otherwise: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if typed is None:
        return otherwise
    if typed.strip().lower() == EVERY_SYMBOL:
        return None
    return _distinct(part.strip().upper() for part in typed.split(","))


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _feed(base: FeedOptions, key_limits: KeyLimits) -> FeedOptions:
    if key_limits == "off":
        return replace(base, has_limits=False)
    return replace(base, limit_scope=key_limits)


def _given(typed: _Value | None, otherwise: _Value) -> _Value:
    return otherwise if typed is None else typed


def _ist(instant: datetime) -> str:
    return f"{instant.astimezone(IST):%Y-%m-%d %H:%M:%S} IST"
