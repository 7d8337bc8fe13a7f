"""Settings become objects: the simulator and the broker differ by address and token only."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from market.errors import AuthenticationError, ConfigurationError
from optionlake import compose
from optionlake.settings import Settings


def _settings(tmp_path: Path, **given: object) -> Settings:
    return Settings(home=tmp_path, **given)  # type: ignore[arg-type]


def test_now_is_aware_utc() -> None:
    """Every instant that enters the system carries its zone."""
    offset = compose.now().utcoffset()
    assert offset is not None
    assert not offset


def test_missing_token_is_an_authentication_error(tmp_path: Path) -> None:
    """The message says how to set one."""
    with pytest.raises(AuthenticationError, match="UPSTOX_ACCESS_TOKEN"):
        compose.tokens(_settings(tmp_path, access_token=None)).token()


def test_stream_settings_keep_their_units(tmp_path: Path) -> None:
    """Milliseconds become seconds and megabytes bytes, once."""
    settings = _settings(
        tmp_path,
        database_url=SecretStr("postgresql://here/db"),
        journal_sync_ms=250,
        journal_cap_mb=3,
        journal_keep_days=9,
        tick_keep_days=4,
    )
    config = compose.stream_config(settings)
    assert config.journal_keep_days == 9
    assert config.tick_keep_days == 4
    assert config.journal_sync_seconds == 0.25
    assert config.journal_cap_bytes == 3_000_000
    assert config.live_host == "127.0.0.1"


def test_simulator_lists_the_symbols_that_are_followed(tmp_path: Path) -> None:
    """What is asked for is what the demo's exchange has."""
    config = compose.simulator_config(_settings(tmp_path, symbols="NIFTY,TCS", seed=3))
    assert (config.symbols, config.seed) == (("NIFTY", "TCS"), 3)


def test_alarms_go_where_they_are_set_to(tmp_path: Path) -> None:
    """The address stays a secret on its way; without one there is none."""
    database = SecretStr("postgresql://here/db")
    given = {"database_url": database, "webhook_url": SecretStr("http://me/secret")}
    config = compose.stream_config(_settings(tmp_path, **given))
    assert config.webhook_url is not None
    assert config.webhook_url.reveal() == "http://me/secret"
    assert "secret" not in repr(config)
    silent = compose.stream_config(_settings(tmp_path, database_url=database, webhook_url=None))
    assert silent.webhook_url is None


def test_a_bot_needs_a_token_and_a_chat(tmp_path: Path) -> None:
    """Half a setting is a mistake to be told, not an alarm that reaches nobody."""
    given = {"database_url": SecretStr("postgresql://here/db"), "telegram_url": "http://bot"}
    token = SecretStr("1:secret")
    whole = _settings(tmp_path, **given, telegram_token=token, telegram_chat="-7")
    config = compose.stream_config(whole)
    assert config.telegram is not None
    assert (config.telegram.chat, config.telegram.url) == ("-7", "http://bot")
    assert config.telegram.token.reveal() == "1:secret"
    assert "secret" not in repr(config)
    for half in ({"telegram_token": token}, {"telegram_chat": "-7"}):
        with pytest.raises(ConfigurationError, match="OPTIONLAKE_TELEGRAM_CHAT"):
            compose.stream_config(_settings(tmp_path, **given, **half))
    assert compose.stream_config(_settings(tmp_path, **given)).telegram is None
