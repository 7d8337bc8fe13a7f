"""``optionlake login``: a token by the broker's dialog or by pasting one, kept for all programs.

The dialog's address and the exchange stand in ``brokers.upstox.login``, the listener in
``callback``. A token is never printed: only whose it is and when it dies.
"""

from __future__ import annotations

import secrets
import webbrowser
from collections.abc import Callable
from contextlib import closing

from brokers.budget import Budget
from brokers.interface import Secret
from brokers.token_state import TokenState, token_state
from brokers.upstox.auth import StaticToken, TokenKind, WatchedToken, read_claims
from brokers.upstox.login import App, dialog_url, exchange
from brokers.upstox.rest import RetryPolicy, Upstox
from market.errors import (
    AuthenticationError,
    BrokerUnavailable,
    ConfigurationError,
    RateLimited,
)
from market.rules import IST, rules_for
from optionlake import compose
from optionlake.callback import listening
from optionlake.settings import Settings
from storage.layout import write_private

Report = Callable[[str], None]

# Time to find the phone with the one-time password on it.
PATIENCE_SECONDS = 300.0
_CHECK = RetryPolicy(attempts=2, patience_seconds=5.0)


def by_dialog(
    settings: Settings,
    report: Report,
    *,
    opens_browser: bool = True,
    patience_seconds: float = PATIENCE_SECONDS,
) -> None:
    """Have the user log in at the broker, and keep the token that comes of it.

    Raises:
        AuthenticationError: the login was refused, or nobody logged in.
        ConfigurationError: the app's settings are missing or cannot work.
        BrokerError: the broker cannot be reached or understood.
    """
    app, state = _app(settings), secrets.token_urlsafe(24)
    url = dialog_url(settings.api_url, app, state)
    with listening(app.redirect_uri, state) as wait:
        report(f"log in here: {url}")
        if opens_browser and not webbrowser.open(url):
            report("no browser could be opened: open the address yourself")
        code = wait(patience_seconds)
    grant = exchange(settings.api_url, app, code)
    keep(settings, grant.token, report, name=grant.user_name)


def by_paste(settings: Settings, text: str, report: Report, *, is_checked: bool = True) -> None:
    """Keep a token that was made elsewhere, e.g. the analytics token of the developer console.

    Args:
        is_checked: whether the broker is asked once if it takes the token.

    Raises:
        AuthenticationError: it is no token, is dead, or the broker does not take it.
    """
    secret = Secret(text.strip())
    if read_claims(secret).expires_at is None:
        raise AuthenticationError(
            "what was pasted is no access token of the broker (a JWT that tells when it dies): "
            "copy the whole of it"
        )
    _living(secret)
    if is_checked:
        _ask_broker(settings, secret, report)
    keep(settings, secret, report)


def keep(settings: Settings, secret: Secret, report: Report, name: str = "") -> None:
    """Write the token file, and tell whose token it is and when it dies.

    Raises:
        AuthenticationError: if the token is dead already, or cannot be one.
    """
    _living(secret)
    path = settings.layout.token_file
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, secret.reveal() + "\n")
    report(_described(secret, name))
    report(f"kept in {path}; running programs take it up by themselves")
    if settings.access_token is not None:
        report("UPSTOX_ACCESS_TOKEN is set too, and is used first as long as it lives")


def state_of(settings: Settings, tokens: WatchedToken) -> TokenState:
    """The token of a home as it stands now."""
    try:
        tokens.token()
    except AuthenticationError as error:
        problem: str | None = str(error)
    else:
        problem = None
    return token_state(tokens.expires_at(), rules_for(settings.session), compose.now(), problem)


def show(settings: Settings, report: Report) -> None:
    """Tell about the token in use.

    Raises:
        AuthenticationError: if there is no living one.
    """
    tokens = compose.tokens(settings)
    secret = tokens.token()
    state = state_of(settings, tokens)
    report(_described(secret))
    report(f"{state.level}: {state.text}")


def _app(settings: Settings) -> App:
    if not settings.client_id or not settings.client_secret:
        raise ConfigurationError(
            "the login needs UPSTOX_CLIENT_ID and UPSTOX_CLIENT_SECRET, the key and secret of an "
            f"app with the redirect URL {settings.redirect_uri} from the broker's developer "
            "console; or paste a token with --token-stdin"
        )
    secret = Secret(settings.client_secret.get_secret_value())
    return App(settings.client_id, secret, settings.redirect_uri)


def _living(secret: Secret) -> None:
    StaticToken(secret, compose.now, "the new token").token()


def _ask_broker(settings: Settings, secret: Secret, report: Report) -> None:
    source = StaticToken(secret, compose.now, "the new token")
    budget: Budget = compose.budget(settings)
    broker = Upstox(
        settings.api_url,
        settings.assets_url,
        source,
        budget,
        settings.symbol_list,
        retries=_CHECK,
    )
    with closing(broker):
        try:
            broker.market_status("NSE")
        except (BrokerUnavailable, RateLimited) as error:
            report(f"not checked with the broker: {error}")


def _described(secret: Secret, name: str = "") -> str:
    claims = read_claims(secret)
    user = claims.user or "an unnamed user"
    whose = f"{name} ({user})" if name else user
    kind = "" if claims.kind is TokenKind.OPAQUE else f"{claims.kind} "
    until = "an unknown time"
    if claims.expires_at is not None:
        until = f"{claims.expires_at.astimezone(IST):%d %b %Y %H:%M} IST"
    return f"{kind}token of {whose}, until {until}"
