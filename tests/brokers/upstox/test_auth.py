"""The token: read locally, refused early with a remedy, never shown."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.interface import Secret
from brokers.upstox.auth import StaticToken, TokenKind, WatchedToken, read_claims
from market.errors import AuthenticationError

NOW = datetime(2026, 6, 10, 9, 0, tzinfo=UTC)
# 2026-06-11 03:30 IST, as the documentation's sample has it.
DIES_AT = datetime.fromtimestamp(1781128800, UTC)
KEY = "a key that nobody but the broker has, long enough"


def _minted(**claims: object) -> Secret:
    return Secret(jwt.encode({"sub": "AB1234", "iss": "udapi-gateway-service", **claims}, KEY))


def _login(expires_at: datetime = DIES_AT) -> Secret:
    return _minted(iat=int(NOW.timestamp()), exp=int(expires_at.timestamp()), isPlusPlan=True)


def test_living_token_is_handed_out() -> None:
    """Until its last second the token is the token, and tells when it dies."""
    secret = _login()
    for now in (NOW, DIES_AT - timedelta(seconds=1)):
        tokens = StaticToken(secret, lambda now=now: now)
        assert tokens.token().reveal() == secret.reveal()
        assert tokens.expires_at() == DIES_AT


def test_missing_token_names_setting_and_demo() -> None:
    """Whoever starts without a token learns what to set, or how to do without."""
    for secret in (None, Secret(""), Secret(" ")):
        tokens = StaticToken(secret, lambda: NOW)
        with pytest.raises(AuthenticationError, match=r"UPSTOX_ACCESS_TOKEN.*demo"):
            tokens.token()
        assert tokens.expires_at() is None


def test_expired_token_says_when_in_india_and_how_to_renew() -> None:
    """The message has the wall time the user lives by, the remedy, and not the token."""
    secret = _login()
    with pytest.raises(AuthenticationError, match=r"expired at 2026-06-11 03:30 IST") as caught:
        StaticToken(secret, lambda: DIES_AT).token()
    assert "Analytics Token" in str(caught.value)
    assert secret.reveal() not in str(caught.value)


@pytest.mark.parametrize("text", ["two words", "tok\nen", "schlüssel", "…"])
def test_what_no_header_can_carry_is_refused(text: str) -> None:
    """A copying mistake is told as such, and not as a failing network."""
    with pytest.raises(AuthenticationError, match="copy it again") as caught:
        StaticToken(Secret(text), lambda: NOW).token()
    assert text not in str(caught.value)


def test_blanks_around_are_forgiven() -> None:
    """A newline comes along with most ways of pasting."""
    assert StaticToken(Secret(" token\n"), lambda: NOW).token().reveal() == "token"


def test_kinds() -> None:
    """Login tokens live for hours, analytics tokens for a year; an extended one says so."""
    issued, year = int(NOW.timestamp()), int((NOW + timedelta(days=365)).timestamp())
    assert read_claims(_login()).kind is TokenKind.LOGIN
    assert read_claims(_minted(iat=issued, exp=year)).kind is TokenKind.ANALYTICS
    assert read_claims(_minted(iat=issued, exp=year, isExtended=True)).kind is TokenKind.EXTENDED
    assert read_claims(_login()).is_plus is True
    assert read_claims(_minted(iat=issued, exp=year)).is_plus is None


def test_token_that_is_no_jwt_is_left_to_the_broker() -> None:
    """What cannot be read locally is not refused locally."""
    tokens = StaticToken(Secret("opaque-token"), lambda: NOW)
    assert tokens.token().reveal() == "opaque-token"
    assert tokens.claims.kind is TokenKind.OPAQUE


@given(
    st.dictionaries(
        st.sampled_from(["iat", "isPlusPlan", "isExtended", "jti"]),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    ),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
)
def test_odd_claims_never_break(claims: dict[str, object], exp: object) -> None:
    """A token with any claims is read or left opaque."""
    secret = Secret(jwt.encode({**claims, "exp": exp}, KEY))
    read = read_claims(secret)
    assert read.expires_at is None or read.expires_at.tzinfo is UTC


@given(st.text())
def test_any_text_never_breaks(text: str) -> None:
    """Whatever was pasted into the setting."""
    assert read_claims(Secret(text)).kind is TokenKind.OPAQUE


def _filed(path: Path, secret: Secret, mode: int = 0o600) -> None:
    """Replace the token file as a login does."""
    fresh = path.with_name("fresh")
    fresh.write_text(secret.reveal() + "\n")
    fresh.chmod(mode)
    fresh.replace(path)


def test_what_was_set_comes_before_the_file(tmp_path: Path) -> None:
    """As long as it lives; when it is dead a living file takes over."""
    path, clock = tmp_path / "token", [NOW]
    ours, filed = _login(), _login(DIES_AT + timedelta(days=1))
    _filed(path, filed)
    tokens = WatchedToken(ours, path, lambda: clock[0])
    assert tokens.token().reveal() == ours.reveal()
    assert tokens.expires_at() == DIES_AT
    clock[0] = DIES_AT
    assert tokens.token().reveal() == filed.reveal()
    assert tokens.expires_at() == DIES_AT + timedelta(days=1)
    assert tokens.claims.user == "AB1234"


def test_a_replaced_file_is_taken_up_at_once(tmp_path: Path) -> None:
    """Missing, written, replaced, rewritten in place, removed: each is seen by the next call."""
    path = tmp_path / "token"
    tokens = WatchedToken(None, path, lambda: NOW)
    with pytest.raises(AuthenticationError, match="optionlake login"):
        tokens.token()
    assert tokens.expires_at() is None
    for text in ("first", "other", "third"):
        _filed(path, Secret(text))
        assert tokens.token().reveal() == text
    path.write_text("fifth")
    assert tokens.token().reveal() == "fifth"
    path.unlink()
    with pytest.raises(AuthenticationError):
        tokens.token()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """With the command that mends it; its content is in no message."""
    path, secret = tmp_path / "token", _login()
    _filed(path, secret, mode)
    tokens = WatchedToken(None, path, lambda: NOW)
    with pytest.raises(AuthenticationError, match=f"chmod 600 {path}") as caught:
        tokens.token()
    assert secret.reveal() not in str(caught.value)
    assert tokens.expires_at() is None
    assert WatchedToken(secret, path, lambda: NOW).token().reveal() == secret.reveal()


def test_a_dead_file_says_when_it_died(tmp_path: Path) -> None:
    """The end that is told is that of the token in the file."""
    path = tmp_path / "token"
    _filed(path, _login())
    tokens = WatchedToken(None, path, lambda: DIES_AT)
    with pytest.raises(AuthenticationError, match=r"expired at 2026-06-11 03:30 IST"):
        tokens.token()
    assert tokens.expires_at() == DIES_AT


@given(st.binary(max_size=60))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    """Whatever lies where the token should be, only our own error comes of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "token"
        path.write_bytes(content)
        path.chmod(0o600)
        tokens = WatchedToken(None, path, lambda: NOW)
        assert tokens.expires_at() is None
        try:
            text = tokens.token().reveal()
        except AuthenticationError as error:
            assert str(path) in str(error) or "no access token" in str(error)
        else:
            assert text in content.decode("ascii")


def test_a_folder_is_no_token(tmp_path: Path) -> None:
    """A file that cannot be read at all is told as such."""
    with pytest.raises(AuthenticationError, match="cannot be read"):
        WatchedToken(None, tmp_path, lambda: NOW).token()
