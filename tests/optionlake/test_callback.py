"""The listener of the login: takes the answer to its own question and nothing else."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from market.errors import AuthenticationError, ConfigurationError
from optionlake.callback import Callback, Place, listening, place_of, read_callback
from tests.fix_timescale import free_port


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_only_our_own_state_is_answered(code: str, state: str, other: str) -> None:
    """Any code arrives as it was given; with another state, or elsewhere, none does."""
    query = urlencode({"code": code, "state": state}, errors="replace")
    told = read_callback(f"/back?{query}", "/back", state)
    if state.isprintable() and code.isprintable():
        assert told == Callback(code=code)
    assert read_callback(f"/else?{query}", "/back", state) is None
    assert (other != state) <= (read_callback(f"/back?{query}", "/back", other) is None)


@given(st.text(), st.text(min_size=1, alphabet="abc"))
def test_any_target_is_read(target: str, state: str) -> None:
    """Whatever is asked of the listener, it neither breaks nor believes it."""
    read = read_callback(target, "/", state)
    assert read is None or f"state={state}" in target


def test_a_refusal_is_an_answer() -> None:
    """The broker's own words, as far as they go."""
    assert read_callback("/?state=s&error=denied", "/", "s") == Callback(refusal="denied")
    assert read_callback("/?state=s", "/", "s") == Callback(refusal="no code and no reason")
    assert read_callback("/?code=1", "/", "s") is None


@pytest.mark.parametrize(
    "address",
    ["https://127.0.0.1:1/", "http://example.com:80/", "http://127.0.0.1/", "", "http://["],
)
def test_addresses_that_are_not_ours_are_refused(address: str) -> None:
    """An app that leads elsewhere cannot be listened for; the message says what can be done."""
    with pytest.raises(ConfigurationError, match="--token-stdin"):
        place_of(address)


def test_addresses_on_this_machine() -> None:
    """With or without a path."""
    assert place_of("http://127.0.0.1:8054") == Place(8054, "/")
    assert place_of("http://localhost:8054/back") == Place(8054, "/back")


def test_waits_past_strangers_for_the_answer() -> None:
    """A wrong state and a favicon are turned away, then the code arrives."""
    url = f"http://127.0.0.1:{free_port()}/"
    with listening(url, "right") as wait:
        for wrong in ("?code=bad&state=wrong", "favicon.ico", "?code=bad"):
            assert requests.get(url + wrong, timeout=10).status_code == 404
        assert requests.get(url + "?code=good&state=right", timeout=10).status_code == 200
        assert wait(10) == "good"


def test_refused_and_unanswered_logins_end_clearly() -> None:
    """By type: there is no token."""
    url = f"http://127.0.0.1:{free_port()}/"
    with listening(url, "s") as wait:
        with pytest.raises(AuthenticationError, match="nobody"):
            wait(0)
        assert requests.get(url + "?error=access_denied&state=s", timeout=10).status_code == 400
        with pytest.raises(AuthenticationError, match="access_denied"):
            wait(10)


def test_taken_port_is_a_setting_to_change() -> None:
    """Two logins at once cannot both listen."""
    url = f"http://127.0.0.1:{free_port()}/"
    with (
        listening(url, "s"),
        pytest.raises(ConfigurationError, match="UPSTOX_REDIRECT_URI"),
        listening(url, "s"),
    ):
        pass
