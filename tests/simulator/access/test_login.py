"""The official SDK logs in, is told what it does wrong, and logs out."""

from __future__ import annotations

import http.client
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import upstox_client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upstox_client.rest import ApiException

from simulator.access.login import DEFAULT_CLIENT, Client, LoginRules
from simulator.access.tokens import TokenKind, holder, mint
from simulator.server import SimulatorConfig
from tests.fix_simulator import DEADLINE_SECONDS, SimulatedExchange, running_simulator
from tests.simulator import official

_NOW = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)  # 02:30 IST
_REDIRECT = "http://127.0.0.1:9/callback"
_OTHER = Client("other", "secret-2", redirect_uri=_REDIRECT, user="SIM002")
_CLOSED = Client("closed", "secret-3", is_active=False)
_DIALOG = "/v2/login/authorization/dialog"
_TOKEN = "/v2/login/authorization/token"


class _Inbox:
    """A web server that says yes to everything and keeps what it was told."""

    def __init__(self) -> None:
        self.seen: queue.Queue[tuple[str, bytes]] = queue.Queue()
        seen = self.seen

        class _Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.put((self.path, self.rfile.read(int(self.headers["Content-Length"] or 0))))
                self.send_response(200)
                self.end_headers()

            do_POST = do_GET

            def log_message(self, *_about: object) -> None:
                """Nothing, so as not to write over the tests' output."""

        self.server = HTTPServer(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?app=1"


@pytest.fixture
def inbox() -> Iterator[_Inbox]:
    """A place that dialogs lead back to and tokens are pushed to."""
    inbox = _Inbox()
    thread = threading.Thread(target=inbox.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield inbox
    finally:
        inbox.server.shutdown()
        thread.join(DEADLINE_SECONDS)
        inbox.server.server_close()


@contextmanager
def _exchange(*clients: Client, **rules: Any) -> Iterator[SimulatedExchange]:
    login = LoginRules(clients=(DEFAULT_CLIENT, _OTHER, _CLOSED, *clients), **rules)
    config = SimulatorConfig(symbols=("NIFTY",), login=login, limits=())
    with running_simulator(config, lambda: _NOW) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def exchange() -> Iterator[SimulatedExchange]:
    """One exchange for the tests that leave nothing behind; it is 02:30 in India."""
    with _exchange() as running:
        yield running


def _ask(
    exchange: SimulatedExchange,
    method: str,
    path: str,
    body: bytes | None = None,
    kind: str = "",
    **more: str,
) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", exchange.port, timeout=DEADLINE_SECONDS)
    try:
        connection.request(method, path, body, ({"Content-Type": kind} if kind else {}) | more)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def _consent(exchange: SimulatedExchange, client: Client = DEFAULT_CLIENT) -> str:
    """A code from the dialog."""
    query = {"client_id": client.client_id, "redirect_uri": _REDIRECT, "response_type": "code"}
    status, headers, _ = _ask(exchange, "GET", f"{_DIALOG}?{urlencode(query)}")
    assert status == 302
    (code,) = parse_qs(urlsplit(headers["Location"]).query)["code"]
    return code


def _exchanged(exchange: SimulatedExchange, code: str, **other: str) -> Any:
    """What the SDK makes of the answer to a code."""
    form = {
        "code": code,
        "client_id": DEFAULT_CLIENT.client_id,
        "client_secret": DEFAULT_CLIENT.client_secret,
        "redirect_uri": _REDIRECT,
        "grant_type": "authorization_code",
    }
    api = upstox_client.LoginApi(official.client(exchange))
    return api.token("2.0", **(form | other))


def _problem(error: ApiException) -> tuple[int, str]:
    read = upstox_client.ApiClient().deserialize(
        type("Answer", (), {"data": error.body}), "ApiGatewayErrorResponse"
    )
    return error.status, read.errors[0].error_code


def test_the_sdk_logs_in_and_out(inbox: _Inbox) -> None:
    """Dialog, code, token, profile and market data; after the logout the token opens nothing."""
    with _exchange() as exchange:
        login = upstox_client.LoginApi(official.client(exchange))
        login.authorize(DEFAULT_CLIENT.client_id, inbox.url, "2.0", state="a&b")
        path, _ = inbox.seen.get(timeout=DEADLINE_SECONDS)
        came_back = parse_qs(urlsplit(path).query)
        assert (came_back["app"], came_back["state"]) == (["1"], ["a&b"])

        answer = _exchanged(exchange, came_back["code"][0], redirect_uri=inbox.url)
        assert (answer.user_id, answer.broker, answer.is_active) == ("SIM001", "UPSTOX", True)
        client = official.client(exchange, answer.access_token)
        profile = upstox_client.UserApi(client).get_profile("2.0")
        assert profile.data.to_dict().items() <= answer.to_dict().items()
        status = upstox_client.MarketHolidaysAndTimingsApi(client).get_market_status("NSE")
        assert status.status == "success"

        assert upstox_client.LoginApi(client).logout("2.0").data is True
        with pytest.raises(ApiException) as refused:
            upstox_client.UserApi(client).get_profile("2.0")
        assert _problem(refused.value) == (401, "UDAPI100050")


def test_what_a_login_gives(exchange: SimulatedExchange) -> None:
    """A token until 03:30 of the same night, and one for a year that stays until it is renewed."""
    first, second = (_exchanged(exchange, _consent(exchange)) for _ in range(2))
    account = holder(first.access_token, _NOW)
    assert account is not None
    assert (account.kind, account.is_plus) == (TokenKind.LOGIN, True)
    assert (account.expires_at - _NOW).total_seconds() == 3_600
    extended = holder(first.extended_token, _NOW)
    assert extended is not None
    assert (extended.kind, extended.user) == (TokenKind.EXTENDED, "SIM001")
    assert second.extended_token == first.extended_token
    assert second.access_token != first.access_token
    form = {
        "code": _consent(exchange),
        "client_id": DEFAULT_CLIENT.client_id,
        "client_secret": DEFAULT_CLIENT.client_secret,
        "redirect_uri": _REDIRECT,
        "grant_type": "authorization_code",
        "refresh_extended_token": "true",
    }
    kind = "application/x-www-form-urlencoded"
    status, _, body = _ask(exchange, "POST", _TOKEN, urlencode(form).encode(), kind)
    assert status == 200
    assert json.loads(body)["extended_token"] != first.extended_token


def test_the_answer_has_no_envelope(exchange: SimulatedExchange) -> None:
    """Its fields stand at the top, and are those of the SDK's model."""
    code = _consent(exchange, _OTHER)
    answer = _exchanged(exchange, code, client_id="other", client_secret="secret-2")
    assert answer.user_id == "SIM002"
    assert None not in answer.to_dict().values()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "UDAPI100068"),
        ({"client_id": "nobody"}, "UDAPI100068"),
        ({"redirect_uri": "no address"}, "UDAPI100068"),
        ({"redirect_uri": "/relative"}, "UDAPI100068"),
        ({"redirect_uri": "https://"}, "UDAPI100068"),
        ({"redirect_uri": "https://\x1f"}, "UDAPI100068"),
        ({"redirect_uri": "https://[x/"}, "UDAPI100068"),
        ({"client_id": "other", "redirect_uri": f"{_REDIRECT}/x"}, "UDAPI100068"),
        ({"response_type": "token"}, "UDAPI100016"),
        ({"client_id": "closed"}, "UDAPI100073"),
    ],
)
def test_a_dialog_that_cannot_be(
    exchange: SimulatedExchange, query: dict[str, str], code: str
) -> None:
    """Whoever asks wrongly is told so and not led anywhere."""
    right = {"client_id": DEFAULT_CLIENT.client_id, "redirect_uri": _REDIRECT}
    asked = right | query if query else {}
    status, headers, body = _ask(exchange, "GET", f"{_DIALOG}?{urlencode(asked)}")
    assert (status, json.loads(body)["errors"][0]["errorCode"]) == (400, code)
    assert "Location" not in headers


def test_a_registered_address_is_compared_as_it_is_written() -> None:
    """Letter for letter, though other spellings would lead to the same place."""
    written = "HTTPS://Example.com:443?a=%C3%A9"
    with _exchange(Client("app", "secret-4", redirect_uri=written)) as exchange:
        for address, expected in ((written, 302), (written.lower(), 400), (f"{written}&", 400)):
            query = urlencode({"client_id": "app", "redirect_uri": address})
            status, _, _ = _ask(exchange, "GET", f"{_DIALOG}?{query}")
            assert status == expected


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"client_id": "nobody"}, "UDAPI100069"),
        ({"client_secret": "wrong"}, "UDAPI100069"),
        ({"client_id": "closed", "client_secret": "secret-3"}, "UDAPI100073"),
        ({"grant_type": "password"}, "UDAPI100036"),
        ({"redirect_uri": f"{_REDIRECT}/x"}, "UDAPI100070"),
        ({"client_id": "other", "client_secret": "secret-2"}, "UDAPI100057"),
        ({"code": "mk404x"}, "UDAPI100057"),
    ],
)
def test_a_code_is_used_up_by_a_failure_too(
    exchange: SimulatedExchange, other: dict[str, str], code: str
) -> None:
    """The right call after a wrong one is refused, unless the wrong one had another code."""
    own = _consent(exchange)
    with pytest.raises(ApiException) as refused:
        _exchanged(
            exchange, other.get("code", own), **{k: v for k, v in other.items() if k != "code"}
        )
    assert _problem(refused.value) == (400, code)
    if "code" in other:
        assert _exchanged(exchange, own).access_token
        return
    with pytest.raises(ApiException) as refused:
        _exchanged(exchange, own)
    assert _problem(refused.value) == (400, "UDAPI100057")


def test_a_code_works_once(exchange: SimulatedExchange) -> None:
    """Success uses it up as well."""
    code = _consent(exchange)
    assert _exchanged(exchange, code).access_token
    with pytest.raises(ApiException) as refused:
        _exchanged(exchange, code)
    assert _problem(refused.value) == (400, "UDAPI100057")


def test_the_plan_follows_the_account(exchange: SimulatedExchange) -> None:
    """Who logs in on the normal plan is told that expired contracts take the paid one."""
    with _exchange(is_plus=False) as normal:
        token = _exchanged(normal, _consent(normal)).access_token
        api = upstox_client.ExpiredInstrumentApi(official.client(normal, token))
        with pytest.raises(ApiException) as refused:
            api.get_expiries("NSE_INDEX|Nifty 50")
        assert _problem(refused.value) == (401, "UDAPI1149")


def test_account_paths_with_a_read_only_token(exchange: SimulatedExchange) -> None:
    """The profile takes a registered address, and a session is not theirs to end."""
    client = official.client(exchange, mint(_NOW))
    with pytest.raises(ApiException) as refused:
        upstox_client.UserApi(client).get_profile("2.0")
    assert _problem(refused.value) == (401, "UDAPI1221")
    with pytest.raises(ApiException) as refused:
        upstox_client.LoginApi(client).logout("2.0")
    assert _problem(refused.value) == (401, "UDAPI100067")
    with _exchange(has_static_ip=True) as registered:
        client = official.client(registered, mint(_NOW))
        assert upstox_client.UserApi(client).get_profile("2.0").data.user_id == "SIM001"


def _request_token(exchange: SimulatedExchange, client_id: str, secret: str) -> Any:
    api = upstox_client.LoginApi(official.client(exchange))
    body = upstox_client.IndieUserTokenRequest(client_secret=secret)
    return api.init_token_request_for_indie_user(body, client_id)


def test_an_approved_token_is_pushed(inbox: _Inbox) -> None:
    """The SDK asks, the user agrees, the notifier is told a token that opens something."""
    app = Client("app", "secret-4", notifier_url=inbox.url, user="SIM003")
    with _exchange(app) as exchange:
        answer = _request_token(exchange, "app", "secret-4")
        assert answer.data.notifier_url == inbox.url
        assert int(answer.data.authorization_expiry) == (int(_NOW.timestamp()) + 3_600) * 1_000
        path, body = inbox.seen.get(timeout=DEADLINE_SECONDS)
    notice = json.loads(body)
    assert path == "/hook?app=1"
    account = holder(notice.pop("access_token"), _NOW)
    assert account is not None
    assert (account.user, account.kind) == ("SIM003", TokenKind.LOGIN)
    assert notice == {
        "client_id": "app",
        "user_id": "SIM003",
        "token_type": "Bearer",
        "issued_at": str(int(_NOW.timestamp()) * 1_000),
        "expires_at": answer.data.authorization_expiry,
        "message_type": "access_token",
    }


def test_an_approval_that_cannot_be(exchange: SimulatedExchange) -> None:
    """Without a notifier, or with a wrong secret, there is nothing to wait for."""
    for client_id, secret, code in (
        ("nobody", "x", "UDAPI100069"),
        ("other", "wrong", "UDAPI100069"),
        ("other", "secret-2", "UDAPI1123"),
        ("closed", "secret-3", "UDAPI100073"),
    ):
        with pytest.raises(ApiException) as refused:
            _request_token(exchange, client_id, secret)
        assert _problem(refused.value) == (400, code)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nonsense", "http://[bad/"])
def test_a_notifier_that_is_not_there_is_passed_over(url: str) -> None:
    """The request is answered as ever, and the exchange lives on and stops in good order."""
    with _exchange(Client("app", "secret-4", notifier_url=url)) as exchange:
        assert _request_token(exchange, "app", "secret-4").status == "success"
        assert _exchanged(exchange, _consent(exchange)).access_token


_LOOSE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_FORM = st.dictionaries(
    st.sampled_from(["code", "client_id", "client_secret", "redirect_uri", "grant_type", "state"]),
    st.text(max_size=20) | st.sampled_from([DEFAULT_CLIENT.client_id, _REDIRECT]),
)
_KINDS = st.sampled_from(
    ["application/x-www-form-urlencoded", "application/json", "multipart/form-data", "x", ""]
)


@_LOOSE
@given(_FORM, st.text(max_size=30))
def test_no_query_breaks_the_dialog(
    exchange: SimulatedExchange, form: dict[str, str], address: str
) -> None:
    """Anything at all is led back or refused as the broker refuses."""
    asked = {"client_id": DEFAULT_CLIENT.client_id, "redirect_uri": f"https://{address}"} | form
    status, headers, body = _ask(exchange, "GET", f"{_DIALOG}?{urlencode(asked)}")
    assert status in (302, 400)
    assert "Location" in headers or json.loads(body)["status"] == "error"


@_LOOSE
@given(st.sampled_from([_TOKEN, "/v3/login/auth/token/request/x"]), st.binary(max_size=60), _KINDS)
def test_no_body_breaks_a_login(
    exchange: SimulatedExchange, path: str, body: bytes, kind: str
) -> None:
    """Bytes of any declared kind are refused in the broker's envelope."""
    status, _, answer = _ask(exchange, "POST", path, body, kind)
    assert status == 400
    assert json.loads(answer)["status"] == "error"


@_LOOSE
@given(_FORM)
def test_no_form_breaks_a_login(exchange: SimulatedExchange, form: dict[str, str]) -> None:
    """Nor do fields with anything in them."""
    kind = "application/x-www-form-urlencoded"
    status, _, body = _ask(exchange, "POST", _TOKEN, urlencode(form).encode(), kind)
    assert status == 400
    assert json.loads(body)["status"] == "error"


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"client_secret": NaN}', b"null", b"\xff"])
def test_bodies_that_break_parsers_are_refused(exchange: SimulatedExchange, body: bytes) -> None:
    """Nesting without end, and what is JSON but no object."""
    path = "/v3/login/auth/token/request/other"
    status, _, answer = _ask(exchange, "POST", path, body, "application/json")
    assert status == 400
    assert json.loads(answer)["errors"][0]["errorCode"] in ("UDAPI100038", "UDAPI100069")


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (_TOKEN, "application/x-www-form-urlencoded"),
        ("/v3/login/auth/token/request/other", "application/json"),
    ],
)
def test_a_body_that_is_not_packed_as_it_says(
    exchange: SimulatedExchange, path: str, kind: str, packing: str
) -> None:
    """Is refused like any other that cannot be read."""
    more = {"Content-Encoding": packing}
    status, _, answer = _ask(exchange, "POST", path, b"no archive", kind, **more)
    assert (status, json.loads(answer)["errors"][0]["errorCode"]) == (400, "UDAPI100038")
