"""Settings turned into the objects that the packages below ask for.

The one place that knows which broker, database, lake and clock are in use. What the objects do
belongs in their packages.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from brokers.budget import UPSTOX_LIMITS, Budget
from brokers.interface import Instrument, Secret
from brokers.planner import ChainCadence, chain_cadence, chain_plan
from brokers.planner.chains import calls_for_chains
from brokers.upstox.auth import WatchedToken
from brokers.upstox.rest import Upstox
from market.errors import ConfigurationError
from optionlake.settings import Settings
from simulator.server import SimulatorConfig
from storage.interval import read_interval
from storage.lake import Lake, LakeConfig
from streaming.fallback import PriceMode
from streaming.stream_config import StreamConfig
from streaming.telegram import TelegramConfig


def now() -> datetime:
    """The real clock, aware UTC; everything below is handed the time or this function."""
    return datetime.now(UTC)


def tokens(settings: Settings) -> WatchedToken:
    """The access token that was set, else the one that ``optionlake login`` wrote."""
    token = settings.access_token
    secret = Secret(token.get_secret_value()) if token else None
    return WatchedToken(secret, settings.layout.token_file, now)


def budget(settings: Settings) -> Budget:
    """The API budget of this home, shared by all its programs."""
    return Budget(settings.layout.budget_file, UPSTOX_LIMITS)


def broker(settings: Settings) -> Upstox:
    """The broker at the addresses that were set: the real one or the simulator."""
    return Upstox(
        settings.api_url,
        settings.assets_url,
        tokens(settings),
        budget(settings),
        settings.symbol_list,
    )


def lake(settings: Settings, *, is_read_only: bool = False) -> Lake:
    """The lake of this home."""
    config = LakeConfig(settings.dsn(), settings.layout.lake)
    return Lake(config, is_read_only=is_read_only)


def stream_config(settings: Settings) -> StreamConfig:
    """What the streaming process is told."""
    url = settings.webhook_url
    return StreamConfig(
        dsn=settings.dsn(),
        journal_folder=settings.layout.journal,
        live_host="127.0.0.1",
        live_port=settings.live_port,
        symbols=settings.symbol_list,
        strikes_each_side=settings.strikes_each_side,
        journal_sync_seconds=settings.journal_sync_ms / 1000,
        journal_cap_bytes=settings.journal_cap_mb * 1_000_000,
        webhook_url=Secret(url.get_secret_value()) if url else None,
        telegram=telegram(settings),
        journal_keep_days=settings.journal_keep_days,
        tick_keep_days=settings.tick_keep_days,
        mode=PriceMode(settings.mode),
        chains=lambda listed, today: chains_of(settings, listed, today),
        rest_calls_per_minute=settings.reserved_calls,
        interval_seconds=lambda: interval_seconds(settings),
        feed_sockets=settings.feed_sockets,
        is_limit_per_socket=settings.key_limits == "socket",
    )


def chains_of(settings: Settings, listed: Sequence[Instrument], today: date) -> ChainCadence:
    """How often each chain of what is listed is fetched, as the windows do it."""
    requests = chain_plan(listed, settings.symbol_list, settings.expiries, today)
    calls_per_minute = calls_for_chains(settings.reserved_calls)
    return chain_cadence(requests, settings.window_minutes, calls_per_minute)


def interval_seconds(settings: Settings) -> float:
    """Seconds between refreshes of polled prices, by ``optionlake interval`` or the setting."""
    return read_interval(settings.layout.interval_file) or settings.poll_seconds


def telegram(settings: Settings) -> TelegramConfig | None:
    """The bot that tells alarms; None if there is none.

    Raises:
        ConfigurationError: it has a token and no chat, or a chat and no token.
    """
    token, chat = settings.telegram_token, settings.telegram_chat
    if not token and not chat:
        return None
    if not token or not chat:
        raise ConfigurationError(
            "a Telegram bot needs both OPTIONLAKE_TELEGRAM_TOKEN and OPTIONLAKE_TELEGRAM_CHAT: "
            "set the other one too, or neither"
        )
    return TelegramConfig(Secret(token.get_secret_value()), chat, settings.telegram_url)


def simulator_config(settings: Settings) -> SimulatorConfig:
    """What the simulated exchange is told."""
    return SimulatorConfig(
        settings.host,
        settings.simulator_port,
        settings.seed,
        settings.session,
        settings.symbol_list,
    )
