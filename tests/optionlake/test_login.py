"""The login command's work: a token is kept privately, described, and never shown."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from brokers.token_state import TokenLevel
from market.errors import AuthenticationError, ConfigurationError
from optionlake import compose, login
from optionlake.settings import Settings
from simulator.access.login import DEFAULT_CLIENT
from simulator.access.tokens import mint
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.fix_timescale import free_port


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """One simulated broker for all tests here."""
    with running_simulator(SimulatorConfig(symbols=("NIFTY",))) as running:
        yield running


def _settings(home: Path, url: str = "http://127.0.0.1:1", **given: Any) -> Settings:
    known: dict[str, Any] = {
        "access_token": None,
        "client_id": DEFAULT_CLIENT.client_id,
        "client_secret": SecretStr(DEFAULT_CLIENT.client_secret),
        "redirect_uri": f"http://127.0.0.1:{free_port()}/",
        "session": "always",
    }
    return Settings(home=home, api_url=url, assets_url=url, **(known | given))


class User:
    """Reads what the command tells, and opens the address in it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.visits: list[threading.Thread] = []

    def __call__(self, text: str) -> None:
        self.told.append(text)
        if "http" in text and "dialog" in text:
            url = text.split(": ", 1)[1]
            self.visits.append(threading.Thread(target=requests.get, args=(url,)))
            self.visits[-1].start()

    @property
    def screen(self) -> str:
        """Everything that was told, once the browser is done."""
        for visit in self.visits:
            visit.join()
        return "\n".join(self.told)


def test_dialog_to_file(exchange: SimulatedExchange, tmp_path: Path) -> None:
    """The file is private, holds a living token of the user's, and nothing shows it."""
    settings, user = _settings(tmp_path, exchange.url), User()
    login.by_dialog(settings, user, opens_browser=False, patience_seconds=20)
    path = settings.layout.token_file
    token = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert compose.tokens(settings).token().reveal() == token
    assert "Simulated User (SIM001)" in user.screen
    assert "03:30 IST" in user.screen
    assert token not in user.screen
    assert DEFAULT_CLIENT.client_secret not in user.screen


def test_a_wrong_secret_keeps_nothing(exchange: SimulatedExchange, tmp_path: Path) -> None:
    """A login that fails leaves the old token where it is."""
    settings, user = _settings(tmp_path, exchange.url, client_secret=SecretStr("no")), User()
    login.keep(settings, login.Secret(mint(compose.now())), user)
    before = settings.layout.token_file.read_text()
    with pytest.raises(AuthenticationError, match="UPSTOX_CLIENT_SECRET"):
        login.by_dialog(settings, user, opens_browser=False, patience_seconds=20)
    assert settings.layout.token_file.read_text() == before
    assert user.screen


def test_login_without_an_app_says_what_to_set(tmp_path: Path) -> None:
    """And that a token can be pasted instead."""
    for missing in ("client_id", "client_secret"):
        with pytest.raises(ConfigurationError, match=r"UPSTOX_CLIENT_ID.*--token-stdin"):
            login.by_dialog(_settings(tmp_path, **{missing: None}), print)


def test_pasted_token_is_asked_about(exchange: SimulatedExchange, tmp_path: Path) -> None:
    """One that the broker takes is kept; a forged one is not."""
    settings, user = _settings(tmp_path, exchange.url), User()
    good = mint(compose.now())
    login.by_paste(settings, f"  {good}\n", user)
    assert settings.layout.token_file.read_text().strip() == good
    assert "analytics token of SIM001" in user.screen
    assert good not in user.screen
    with pytest.raises(AuthenticationError):
        login.by_paste(settings, good[:-6] + "AAAAAA", user)
    assert settings.layout.token_file.read_text().strip() == good


@pytest.mark.parametrize("text", ["", "opaque", "two words", "eyJhbGciOiJub25lIn0.e30."])
def test_what_is_no_token_is_refused_unasked(tmp_path: Path, text: str) -> None:
    """A copying mistake does not reach the broker or the disk."""
    settings = _settings(tmp_path)
    with pytest.raises(AuthenticationError, match="copy the whole"):
        login.by_paste(settings, text, print)
    assert not settings.layout.token_file.exists()


def test_dead_token_is_refused(tmp_path: Path) -> None:
    """By its own claims, with the time of its death."""
    dead = mint(compose.now() - timedelta(days=2), timedelta(days=1))
    with pytest.raises(AuthenticationError, match="expired"):
        login.by_paste(_settings(tmp_path), dead, print, is_checked=False)


def test_token_is_kept_when_the_broker_is_away(tmp_path: Path) -> None:
    """Not being able to ask is told, and is no refusal."""
    settings, user = _settings(tmp_path), User()
    login.by_paste(settings, mint(compose.now()), user)
    assert "not checked" in user.screen
    assert settings.layout.token_file.exists()


def test_a_set_token_is_mentioned(tmp_path: Path) -> None:
    """Else a new file would seem to have no effect."""
    user = User()
    settings = _settings(tmp_path, access_token=SecretStr("set"))
    login.keep(settings, login.Secret(mint(compose.now())), user)
    assert "UPSTOX_ACCESS_TOKEN is set too" in user.screen


def test_show_tells_the_state_or_ends_with_the_remedy(tmp_path: Path) -> None:
    """A living token is described; without one it is an authentication error."""
    settings, user = _settings(tmp_path), User()
    with pytest.raises(AuthenticationError, match="optionlake login"):
        login.show(settings, user)
    assert login.state_of(settings, compose.tokens(settings)).level is TokenLevel.ALARM
    login.keep(settings, login.Secret(mint(compose.now(), timedelta(minutes=30))), user)
    login.show(settings, user)
    assert "warning: the token lives until" in user.screen
