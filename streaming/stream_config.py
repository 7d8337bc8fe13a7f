"""What the streaming process is told at its start; each part's own settings are cut from it.

The environment is read elsewhere: this is a plain record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from brokers.interface import Instrument, Secret
from brokers.planner import ChainCadence
from storage.frame_log import FolderLog
from streaming.fallback import PriceMode
from streaming.feed import Patience
from streaming.planning import PlanningConfig
from streaming.rest_prices import RestConfig
from streaming.telegram import TelegramConfig


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """What the streaming process needs to know.

    Attributes:
        dsn: TimescaleDB.
        live_host, live_port: where the live feed listens; keep it loopback. Port 0: any.
        symbols: underlyings to follow.
        strikes_each_side: strikes above and below the money to subscribe.
        journal_keep_days: landed frames that are older go; 0: only when over the cap.
        feed_sockets, is_limit_per_socket: as in ``PlanningConfig``.
        tick_keep_days: ticks of older days go once their minutes are stored; 0: they stay.
        webhook_url: where alarms are posted; None for nowhere.
        telegram: the bot and the chat that are told the same; None for none.
        mode: which source of prices is used.
        rest_calls_per_minute: API calls that prices over REST may take.
        chains: how often each chain is fetched, of what is listed on a day; told with the plan.
        interval_seconds: how often prices without a socket should be asked for, as told now.
        drain_seconds: longest time that landing may take when stopping.
    """

    dsn: str
    journal_folder: Path
    live_host: str
    live_port: int
    symbols: tuple[str, ...]
    strikes_each_side: int
    journal_sync_seconds: float = 0.1
    journal_cap_bytes: int = 10 * 1024**3
    journal_keep_days: float = 0.0
    tick_keep_days: int = 0
    webhook_url: Secret | None = None
    telegram: TelegramConfig | None = None
    mode: PriceMode = PriceMode.HYBRID
    rest_calls_per_minute: float = 18.0
    chains: Callable[[Sequence[Instrument], date], ChainCadence] | None = None
    interval_seconds: Callable[[], float] = lambda: 30.0
    drain_seconds: float = 10.0
    feed_sockets: int = 2
    is_limit_per_socket: bool = False
    replan_seconds: float = 5.0
    relist_seconds: float = 60.0
    mark_seconds: float = 0.5
    push_seconds: float = 0.05
    patience: Patience = field(default_factory=Patience)

    def planning(self) -> PlanningConfig:
        """What the planning needs of it."""
        return PlanningConfig(
            self.symbols,
            self.strikes_each_side,
            self.feed_sockets,
            self.is_limit_per_socket,
            uses_sockets=self.mode is not PriceMode.REST,
            replan_seconds=self.replan_seconds,
            relist_seconds=self.relist_seconds,
        )

    def rest(self) -> RestConfig:
        """What prices over REST need of it."""
        return RestConfig(self.mode, self.rest_calls_per_minute, self.interval_seconds)

    def log(self) -> FolderLog:
        """Where frames are kept."""
        return FolderLog(
            self.journal_folder,
            self.journal_sync_seconds,
            self.journal_cap_bytes,
            self.journal_keep_days,
        )
