"""The simulated exchange as a server: everything put together on one port.

Configuration, start and orderly stop. What is served stands in ``rest``, ``socket`` and
``console``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import structlog
from aiohttp import web

from market.rules import rules_for
from simulator import rest
from simulator.access import BROKER_LIMITS, AccessRules, Gate, Limit
from simulator.bulk_candles import BulkCandles
from simulator.candle_calls import CandleCalls
from simulator.candle_windows import DEFAULT_CANDLE_OPTIONS, CandleOptions
from simulator.clocks import ClockDesk
from simulator.console import CONSOLE_PATH, Console
from simulator.control import Control
from simulator.exchange import Market
from simulator.expired_calls import ExpiredCalls
from simulator.guard import Guard
from simulator.login import DEFAULT_LOGIN, Login, LoginRules
from simulator.proxy import Proxy, lead_here
from simulator.socket import Cadence, SocketServer

_LOG = structlog.get_logger(__name__)
_SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """How to run the simulated exchange.

    Attributes:
        port: 0 for any free one.
        session: ``nse`` keeps the exchange's hours, ``always`` never closes.
        symbols: underlyings to list; None for all.
        limits: rate limits per user; empty switches them off.
        limit_scope: whether a user has one budget for all paths or one for each ``api``.
        is_address_limited: whether calls without a token are limited too, by their address.
        suspension_seconds: for how long a user is refused everything after one call too many.
        max_sockets: connections of one user at a time; None for the plan's: 2 normal, 5 Plus.
        code_seconds: how long a socket's one-time code may wait to be used; None for ever.
        login: the registered apps, and what those who log in get.
        frame_seconds, ping_seconds: time between frames and between pings of a socket.
        proxy_port: where to listen as the broker's own https and wss addresses, for programs that
            take a proxy (``simulator.proxy``); 0 for any free port, None for not at all.
        candles: how the candle paths behave where the broker's behaviour is not known.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 7
    session: Literal["always", "nse"] = "always"
    symbols: tuple[str, ...] | None = None
    limits: tuple[Limit, ...] = BROKER_LIMITS
    limit_scope: Literal["user", "api"] = "user"
    is_address_limited: bool = True
    suspension_seconds: float = 0.0
    max_sockets: int | None = None
    code_seconds: float | None = None
    login: LoginRules = DEFAULT_LOGIN
    frame_seconds: float = 0.2
    ping_seconds: float = 5.0
    proxy_port: int | None = None
    candles: CandleOptions = DEFAULT_CANDLE_OPTIONS


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens.

    Attributes:
        url: base address of REST, instrument master and control.
        market: the market behind it, with its truth.
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
async def serve(config: SimulatorConfig, clock: Callable[[], datetime]) -> AsyncIterator[Running]:
    """Serve while the context is open.

    Args:
        clock: the exchange's time, aware; may run fast or stand still.

    Raises:
        ConfigurationError: for a symbol that the exchange does not list.
        OSError: if a port is taken.
    """
    market = Market(config.seed, rules_for(config.session), config.symbols)
    loop = asyncio.get_running_loop()
    control = Control(loop)
    gate = Gate(clock, loop.time, _access_rules(config))
    app = _application(config, market, clock, gate, control)
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
        await asyncio.gather(*(line.close(1001) for line in tuple(control.lines)))
        await runner.cleanup()


@asynccontextmanager
async def _proxied(config: SimulatorConfig, runner: web.AppRunner) -> AsyncIterator[Proxy | None]:
    if config.proxy_port is None or runner.server is None:
        yield None
        return
    async with lead_here(runner.server, config.host, config.proxy_port) as proxy:
        yield proxy


def _application(
    config: SimulatorConfig,
    market: Market,
    clock: Callable[[], datetime],
    gate: Gate,
    control: Control,
) -> web.Application:
    cadence = Cadence(config.frame_seconds, config.ping_seconds)
    sockets = SocketServer(market, clock, gate, control, cadence)
    handlers = rest.Rest(market, clock, gate, control, sockets)
    app = web.Application(middlewares=[_hang_while_paused(control)])
    app.add_routes(handlers.routes())
    app.add_routes(sockets.routes())
    login = Login(clock, asyncio.get_running_loop().time, gate, config.login)
    app.add_routes(login.routes())
    app.on_cleanup.append(login.close)
    guard = Guard(gate)
    app.add_routes(CandleCalls(market, clock, guard, config.candles).routes())
    app.add_routes(ExpiredCalls(market, clock, guard, config.candles).routes())
    app.add_routes(BulkCandles(market, clock).routes())
    app.add_routes(ClockDesk(clock).routes())
    app.add_routes(Console(market, clock, control).routes())
    app.router.add_route("*", "/{path:.*}", rest.not_routed)
    return app


def _access_rules(config: SimulatorConfig) -> AccessRules:
    return AccessRules(
        limits=config.limits,
        limit_scope=config.limit_scope,
        is_address_limited=config.is_address_limited,
        suspension_seconds=config.suspension_seconds,
        max_sockets=config.max_sockets,
        code_seconds=config.code_seconds,
    )


def _hang_while_paused(control: Control) -> Any:
    @web.middleware
    async def hang(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not request.path.startswith(CONSOLE_PATH):
            await control.until_running()
        return await handler(request)

    return hang


def _port(runner: web.AppRunner) -> int:
    port: int = runner.addresses[0][1]
    return port
