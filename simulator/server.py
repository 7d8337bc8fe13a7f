"""The simulated exchange as a server: everything put together on one port.

Configuration, start and orderly stop. What is served stands in ``rest``, ``socket`` and
``console``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import structlog
from aiohttp import web

from market.errors import ConfigurationError
from market.rules import rules_for
from simulator.access.gate import BROKER_LIMITS, AccessRules, Gate, Limit
from simulator.access.guard import Guard
from simulator.access.login import DEFAULT_LOGIN, Login, LoginRules
from simulator.clocks import ClockDesk
from simulator.console import Console
from simulator.exchange.market import HEDGING, Market
from simulator.faults.control import Control, Line
from simulator.faults.fault import Fault
from simulator.faults.injection import Injection
from simulator.faults.middleware import faulty
from simulator.proxy import Proxy, lead_here
from simulator.recordings.playback import RecordedSource
from simulator.recordings.playback_calls import PlaybackCalls
from simulator.recordings.recording import Recording
from simulator.rest import groups as rest
from simulator.rest.bulk_candles import BulkCandles
from simulator.rest.calendar_calls import CalendarCalls
from simulator.rest.candle_calls import CandleCalls
from simulator.rest.candle_windows import DEFAULT_CANDLE_OPTIONS, CandleOptions
from simulator.rest.expired_calls import ExpiredCalls
from simulator.socket.connection import SocketRules
from simulator.socket.feed_options import DEFAULT_FEED_OPTIONS, FeedOptions
from simulator.socket.handshake import DIRECT_PATH, FEED_PATH, SocketServer
from simulator.socket.session import MarketSource
from simulator.socket.source import Source

_LOG = structlog.get_logger(__name__)
_SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """How to run the simulated exchange.

    Attributes:
        port: 0 for any free one.
        session: ``nse`` keeps the exchange's hours, ``always`` never closes.
        symbols: underlyings to list; None for all.
        feedback: λ, how much the indices' moves are damped or fed by hedging (``feedback``); 0 for
            not at all.
        limits: rate limits per user; empty switches them off.
        limit_scope: whether a user has one budget for all paths or one for each ``api``.
        is_address_limited: whether calls without a token are limited too, by their address.
        suspension_seconds: for how long a user is refused everything after one call too many.
        max_sockets: connections of one user at a time; None for the plan's: 2 normal, 5 Plus.
        code_seconds: how long a socket's one-time code may wait to be used; None for ever.
        login: the registered apps, and what those who log in get.
        frame_seconds, ping_seconds: wall-clock time between frames and between pings of a socket.
        has_deflate: whether a socket's compression is accepted when a client offers it.
        expired_code: what a socket is closed with when its token dies; None, as is not known of
            the broker, to leave it open.
        faults: what goes wrong, when and how often.
        fault_seed: of the faults' draws; None for ``seed``.
        proxy_port: where to listen as the broker's own https and wss addresses, for programs that
            take a proxy (``simulator.proxy``); 0 for any free port, None for not at all.
        feed: how the socket behaves where the broker's behaviour is not known.
        has_market_information: whether open interest, put-call ratio and max pain of
            ``/v2/market`` are worked out; else they are null, as the broker's users report.
        candles: how the candle paths behave where the broker's behaviour is not known.
        recording: what to serve instead of a market; ``seed`` and ``symbols`` then mean nothing.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 7
    session: Literal["always", "nse"] = "always"
    symbols: tuple[str, ...] | None = None
    feedback: float = HEDGING
    limits: tuple[Limit, ...] = BROKER_LIMITS
    limit_scope: Literal["user", "api"] = "user"
    is_address_limited: bool = True
    suspension_seconds: float = 0.0
    max_sockets: int | None = None
    code_seconds: float | None = None
    login: LoginRules = DEFAULT_LOGIN
    frame_seconds: float = 0.2
    ping_seconds: float = 5.0
    has_deflate: bool = True
    expired_code: int | None = None
    faults: tuple[Fault, ...] = ()
    fault_seed: int | None = None
    proxy_port: int | None = None
    feed: FeedOptions = DEFAULT_FEED_OPTIONS
    has_market_information: bool = False
    candles: CandleOptions = DEFAULT_CANDLE_OPTIONS
    recording: Recording | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens.

    Attributes:
        url: base address of REST, instrument master and control.
        market: the market behind it, with its truth; beside a recording nobody is told of it.
        control: the fault switches; safe to use from any thread.
        proxy: the way here by the broker's own addresses, None without ``proxy_port``.
    """

    host: str
    port: int
    market: Market
    control: Control
    proxy: Proxy | None

    @property
    def url(self) -> str:
        """Where clients point their REST and assets addresses."""
        return f"http://{self.host}:{self.port}"


@asynccontextmanager
async def serve(
    config: SimulatorConfig,
    clock: Callable[[], datetime],
    source_of: Callable[[Market], Source] | None = None,
) -> AsyncIterator[Running]:
    """Serve while the context is open.

    Args:
        clock: the exchange's time, aware; may run fast or stand still.
        source_of: makes what sockets are told; None for the market or the recording itself.

    Raises:
        ConfigurationError: for a symbol that the exchange does not list, or a time before the dated
            rules begin.
        OSError: if a port is taken.
    """
    market = Market(config.seed, rules_for(config.session), config.symbols, config.feedback)
    if config.recording is None:
        await _open(market, clock())
    loop = asyncio.get_running_loop()
    fault_seed = config.seed if config.fault_seed is None else config.fault_seed
    injection = Injection(fault_seed, config.faults, clock(), _symbols_of(market, clock))
    control = Control(loop, injection, clock)
    gate = Gate(clock, loop.time, _access_rules(config))
    source = source_of(market) if source_of else _source(config, market)
    app = _application(config, market, clock, gate, control, source)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, config.host, config.port)
        await site.start()
        async with _proxied(config, runner) as proxy:
            running = Running(config.host, _port(runner), market, control, proxy)
            _LOG.info(
                "simulator_listening", url=running.url, seed=config.seed, session=config.session
            )
            yield running
    finally:
        control.resume()
        await asyncio.gather(*(_dismiss(line) for line in tuple(control.lines)))
        await runner.cleanup()


async def _open(market: Market, now: datetime) -> None:
    """Make the day's listing and paths, which would hold up whoever asks first."""
    try:
        await asyncio.to_thread(market.quotes, now)
    except ValueError as error:
        raise ConfigurationError(
            f"no market can be made of {now:%Y-%m-%d}: {error}; let the clock start later"
        ) from error


async def _dismiss(line: Line) -> None:
    """Close with 1001; a client that takes no more bytes is cut off instead."""
    try:
        async with asyncio.timeout(_SHUTDOWN_SECONDS):
            await line.close(1001)
    except TimeoutError:
        line.abort()


@asynccontextmanager
async def _proxied(config: SimulatorConfig, runner: web.AppRunner) -> AsyncIterator[Proxy | None]:
    if config.proxy_port is None or runner.server is None:
        yield None
        return
    async with lead_here(runner.server, config.host, config.proxy_port) as proxy:
        yield proxy


def _source(config: SimulatorConfig, market: Market) -> Source:
    played = config.recording
    return MarketSource(market, config.feed) if played is None else RecordedSource(played)


def _application(  # noqa: PLR0917 - the parts of one server, each with a type of its own
    config: SimulatorConfig,
    market: Market,
    clock: Callable[[], datetime],
    gate: Gate,
    control: Control,
    source: Source,
) -> web.Application:
    rules = SocketRules(
        config.frame_seconds, config.ping_seconds, config.has_deflate, config.expired_code
    )
    sockets = SocketServer(source, clock, gate, control, rules)
    app = web.Application(middlewares=[faulty(control, clock, (DIRECT_PATH, FEED_PATH))])
    app.cleanup_ctx.append(sockets.beating)
    app.add_routes(sockets.routes())
    login = Login(clock, asyncio.get_running_loop().time, gate, config.login)
    app.add_routes(login.routes())
    app.on_cleanup.append(login.close)
    for group in _groups(config, market, clock, gate, sockets):
        app.add_routes(group.routes())
    app.add_routes(ClockDesk(clock).routes())
    app.add_routes(Console(market, clock, control).routes())
    app.router.add_route("*", "/{path:.*}", rest.not_routed)
    return app


class _Group(Protocol):
    """Paths that belong together."""

    def routes(self) -> list[web.RouteDef]:
        """All of them."""


def _groups(
    config: SimulatorConfig,
    market: Market,
    clock: Callable[[], datetime],
    gate: Gate,
    sockets: SocketServer,
) -> Sequence[_Group]:
    """The broker's paths that a market, or a recording, can answer."""
    guard = Guard(gate)
    if config.recording is not None:
        played = PlaybackCalls(config.recording, clock, guard, sockets)
        return played, CalendarCalls(market, clock, guard)
    return (
        rest.Rest(market, clock, gate, sockets, has_information=config.has_market_information),
        CandleCalls(market, clock, guard, config.candles),
        ExpiredCalls(market, clock, guard, config.candles),
        BulkCandles(market, clock),
    )


def _access_rules(config: SimulatorConfig) -> AccessRules:
    return AccessRules(
        limits=config.limits,
        limit_scope=config.limit_scope,
        is_address_limited=config.is_address_limited,
        suspension_seconds=config.suspension_seconds,
        max_sockets=config.max_sockets,
        code_seconds=config.code_seconds,
    )


def _symbols_of(market: Market, clock: Callable[[], datetime]) -> Callable[[str], str | None]:
    """The underlying's symbol of a key that is listed today."""

    def symbol_of(key: str) -> str | None:
        listing = market.listing(clock())
        row = listing.row_of_key.get(key)
        return None if row is None else listing.rows[row].symbol.underlying.symbol

    return symbol_of


def _port(runner: web.AppRunner) -> int:
    port: int = runner.addresses[0][1]
    return port
