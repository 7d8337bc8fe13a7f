"""Every setting, read from the environment in this one place.

Names, defaults and meanings are listed in ``docs/settings.md``, held equal to this file by a test.
Packages below take plain arguments or their own small configuration records, never this object.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from market.errors import ConfigurationError
from storage.layout import Layout

DEFAULT_SYMBOLS = (
    "NIFTY,BANKNIFTY,FINNIFTY,MIDCPNIFTY,SENSEX,"
    "RELIANCE,HDFCBANK,ICICIBANK,INFY,TCS,SBIN,AXISBANK,KOTAKBANK,LT,ITC"
)


class Settings(BaseSettings):
    """Settings of all programs; each field's description is its documentation."""

    model_config = SettingsConfigDict(
        env_prefix="OPTIONLAKE_", frozen=True, extra="ignore", populate_by_name=True
    )

    home: Path = Field(
        Path(".optionlake/live"),
        description="folder of all data, logs and run files; the demo uses .optionlake/demo",
    )
    database_url: SecretStr | None = Field(
        None,
        alias="DATABASE_URL",
        description="PostgreSQL with TimescaleDB; unset: an embedded server under the home folder",
    )
    access_token: SecretStr | None = Field(
        None,
        alias="UPSTOX_ACCESS_TOKEN",
        description="the broker's access or analytics token; unset or dead: the one of "
        "optionlake login",
    )
    client_id: str | None = Field(
        None, alias="UPSTOX_CLIENT_ID", description="API key of the app that logs in"
    )
    client_secret: SecretStr | None = Field(
        None, alias="UPSTOX_CLIENT_SECRET", description="API secret of the app that logs in"
    )
    redirect_uri: str = Field(
        "http://127.0.0.1:8054/",
        alias="UPSTOX_REDIRECT_URI",
        description="redirect URL of the app, on this machine; optionlake login listens there",
    )
    webhook_url: SecretStr | None = Field(
        None, description="where alarms are sent as JSON by POST; unset: nowhere"
    )
    telegram_token: SecretStr | None = Field(
        None, description="token of the Telegram bot that tells alarms and alerts; unset: none does"
    )
    telegram_chat: str | None = Field(
        None, description="chat that the bot writes to: its number, or @name of a channel"
    )
    telegram_url: str = Field(
        "https://api.telegram.org", description="root address of Telegram's Bot API"
    )
    api_url: str = Field("https://api.upstox.com", description="the broker's REST address")
    assets_url: str = Field(
        "https://assets.upstox.com", description="the address of the broker's instrument master"
    )
    symbols: str = Field(DEFAULT_SYMBOLS, description="underlyings to follow, comma-separated")
    expiries: int = Field(2, ge=1, le=12, description="expiries per underlying in each snapshot")
    strikes_each_side: int = Field(
        5, ge=0, le=200, description="strikes above and below the money that the feed subscribes"
    )
    mode: Literal["hybrid", "rest", "shadow"] = Field(
        "hybrid",
        description="where prices come from: sockets, and REST for a dead one (hybrid); REST alone "
        "(rest); as hybrid, with both compared (shadow)",
    )
    feed_sockets: int = Field(
        2,
        ge=0,
        description="connections that the feed uses at most; 0: all that the account allows, which "
        "its other tools share",
    )
    key_limits: Literal["user", "socket"] = Field(
        "user", description="whom the broker's limits of subscribed keys count for; user is safe"
    )
    reserved_calls: float = Field(
        18,
        ge=0,
        le=60,
        description="API calls a minute that chains leave to sockets, polled prices and other "
        "tools",
    )
    poll_seconds: float = Field(
        30,
        ge=1,
        le=3600,
        description="how often prices without a socket are refreshed; optionlake interval "
        "changes it while programs run",
    )
    session: Literal["nse", "always"] = Field(
        "nse", description="trading calendar: the exchange's, or the demo's that never closes"
    )
    window_minutes: int = Field(5, ge=1, le=15, description="length of a snapshot window, minutes")
    history_start: str = Field(
        "2026-01-01", description="first trading day that has partitions, YYYY-MM-DD"
    )
    host: str = Field("127.0.0.1", description="address that page and Dagster listen on")
    page_port: int = Field(8050, description="port of the live page and the API")
    dagster_port: int = Field(3050, description="port of the Dagster UI")
    live_port: int = Field(8051, description="loopback port of the streaming process's live feed")
    simulator_port: int = Field(8052, description="port of the simulated exchange")
    database_port: int = Field(8053, description="port of the embedded database")
    seed: int = Field(7, description="seed of the simulated market")
    journal_sync_ms: int = Field(
        100, ge=0, description="longest time before received frames are forced to disk; 0: each"
    )
    journal_cap_mb: int = Field(
        10_240, ge=1, description="size of the frame journal that raises an alarm, MB"
    )
    journal_keep_days: int = Field(
        7,
        ge=0,
        description="days that landed frames stay for replay; 0: until the journal is over its cap",
    )
    tick_keep_days: int = Field(
        0, ge=0, description="days that ticks stay in the database once their minutes do; 0: always"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe message that is logged"
    )

    @property
    def layout(self) -> Layout:
        """Where things lie under the home folder."""
        return Layout(self.home.absolute())

    def live_url(self, scheme: str = "ws") -> str:
        """Root of the streaming process's live feed; always loopback."""
        return f"{scheme}://127.0.0.1:{self.live_port}"

    def dsn(self) -> str:
        """Address of the database: the setting, or what the launcher wrote for this home.

        Raises:
            ConfigurationError: if neither exists.
        """
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        written = self.layout.database_url_file
        if not written.exists():
            raise ConfigurationError(
                f"no database for {self.layout.home}: set DATABASE_URL, "
                "or start optionlake first (optionlake demo, optionlake up)"
            )
        return written.read_text(encoding="utf-8").strip()

    def as_environment(self) -> dict[str, str]:
        """The settings as variables, for a program that shall see the very same ones."""
        prefix = self.model_config["env_prefix"]
        values = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            if plain is not None:
                values[field.alias or f"{prefix}{name}".upper()] = str(plain)
        return values

    @property
    def symbol_list(self) -> tuple[str, ...]:
        """The underlyings to follow, in order and without repeats."""
        named = (s.strip().upper() for s in self.symbols.split(","))
        return tuple(dict.fromkeys(s for s in named if s))


def load() -> Settings:
    """Read the environment.

    Raises:
        ConfigurationError: naming each setting that is wrong and what it should be.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"settings are wrong: {wrong}; see docs/settings.md") from error
