"""Settings: one reading of the environment, clear errors, the same for every program."""

from __future__ import annotations

from pathlib import Path

import pytest

from market.errors import ConfigurationError
from optionlake.settings import Settings, load


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the surrounding shell reaches a test."""
    for name, field in Settings.model_fields.items():
        monkeypatch.delenv(field.alias or f"OPTIONLAKE_{name}".upper(), raising=False)


def test_defaults_are_the_real_exchange() -> None:
    """Without any variable the broker's own addresses and calendar are used."""
    settings = load()
    assert settings.api_url == "https://api.upstox.com"
    assert (settings.session, settings.window_minutes) == ("nse", 5)
    assert len(settings.symbol_list) == 15


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPTIONLAKE_WINDOW_MINUTES", "0"),
        ("OPTIONLAKE_WINDOW_MINUTES", "16"),
        ("OPTIONLAKE_SESSION", "lunar"),
        ("OPTIONLAKE_PAGE_PORT", "eighty"),
    ],
)
def test_wrong_value_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The message tells which setting and where to read about it."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name.removeprefix("OPTIONLAKE_").lower()) as info:
        load()
    assert "docs/settings.md" in str(info.value)


def test_environment_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is started with the settings' variables reads the same settings."""
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", "secret-token")
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/db")
    monkeypatch.setenv("OPTIONLAKE_WINDOW_MINUTES", "3")
    settings = load()
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load() == settings


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the token nor the database's password appears when settings are printed."""
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", "secret-token")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:password@somewhere/db")
    text = f"{load()!r} {load()}"
    assert "secret-token" not in text
    assert "password" not in text


def test_symbols_are_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces, case and repeats do not matter; order does."""
    monkeypatch.setenv("OPTIONLAKE_SYMBOLS", " nifty, SENSEX,,NIFTY ")
    assert load().symbol_list == ("NIFTY", "SENSEX")


def test_database_of_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The launcher's file is found; without it the message says what to do."""
    monkeypatch.setenv("OPTIONLAKE_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        load().dsn()
    load().layout.create()
    load().layout.database_url_file.write_text("postgresql://here/db\n")
    assert load().dsn() == "postgresql://here/db"
