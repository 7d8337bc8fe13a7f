"""The console: faults, switches and truth for those outside the process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.faults.catalogue import CATALOGUE
from simulator.server import SimulatorConfig
from tests.fix_simulator import SimulatedExchange, running_simulator
from tests.simulator.sockets import NIFTY, eventually, opened, read, subscribe


@pytest.fixture(scope="module")
def shared() -> Iterator[SimulatedExchange]:
    """One exchange for the file."""
    with running_simulator(SimulatorConfig(symbols=("NIFTY", "TCS"), frame_seconds=0.03)) as found:
        yield found


@pytest.fixture
def exchange(shared: SimulatedExchange) -> Iterator[SimulatedExchange]:
    """The exchange without any fault."""
    yield shared
    shared.control.clear()


def _call(exchange: SimulatedExchange, method: str, path: str, **more: Any) -> requests.Response:
    return requests.request(method, f"{exchange.url}/simulator/{path}", timeout=10, **more)


def _post(exchange: SimulatedExchange, action: str, **body: object) -> requests.Response:
    return _call(exchange, "POST", action, json=body)


def _state(exchange: SimulatedExchange) -> dict[str, Any]:
    state: dict[str, Any] = _call(exchange, "GET", "state").json()
    return state


def test_switches_show_in_the_state(exchange: SimulatedExchange) -> None:
    """Mute, pause and their opposites; every other action is at least taken."""
    for action, field, value in (
        ("mute", "is_muted", True),
        ("unmute", "is_muted", False),
        ("pause", "is_paused", True),
        ("resume", "is_paused", False),
    ):
        assert _post(exchange, action).status_code == 200
        eventually(lambda f=field, v=value: _state(exchange)[f] is v)  # type: ignore[misc]
    for action in ("close", "abort", "garbage", "unknown"):
        assert _post(exchange, action).json() == {"done": action}


def test_sockets_show_in_the_state(exchange: SimulatedExchange) -> None:
    """Number, user, since when, how many keys; and they are gone with the connection."""
    with opened(exchange) as socket:
        subscribe(socket, [NIFTY])
        read(socket), read(socket)
        state = _state(exchange)
        (shown,) = state["sockets"]
        assert (shown["user"], shown["subscribed"]) == ("SIM001", 1)
        assert shown["opened_at"] <= state["now"]
        assert datetime.fromisoformat(state["ist"]) == datetime.fromisoformat(state["now"])
    eventually(lambda: _state(exchange)["sockets"] == [])


def test_refusals_over_http(exchange: SimulatedExchange) -> None:
    """The next chain is refused as told, and only as often."""
    url = f"{exchange.url}/v2/option/chain"

    def status() -> int:
        query = {"instrument_key": NIFTY}
        return requests.get(url, query, headers=exchange.headers, timeout=10).status_code

    assert _post(exchange, "refuse", symbol="NIFTY", status=429, times=1).status_code == 200
    assert [status() for _ in range(2)] == [429, 400]
    assert _post(exchange, "refuse", symbol="NIFTY").status_code == 200
    assert status() == 500
    assert _post(exchange, "allow", symbol="NIFTY").status_code == 200
    assert status() == 400


def test_faults_are_added_counted_and_ended(exchange: SimulatedExchange) -> None:
    """By id; what is shown can be posted again."""
    body = {"name": "server_error", "match": ["/v2/market"], "times": 2, "status": 503}
    made = _post(exchange, "faults", **body)
    assert made.status_code == 201
    number = made.json()["id"]
    for expected in (503, 503, 200):
        url = f"{exchange.url}/v2/market/holidays"
        assert requests.get(url, timeout=10).status_code == expected
    (shown,) = _state(exchange)["faults"]
    assert (shown["id"], shown["is_active"], shown["seen"], shown["fired"]) == (number, True, 3, 2)
    again = _post(exchange, "faults", **shown["fault"]).json()
    assert again["fault"] == shown["fault"]
    assert _call(exchange, "DELETE", f"faults/{number}").status_code == 200
    assert [each["id"] for each in _state(exchange)["faults"]] == [again["id"]]
    assert _call(exchange, "DELETE", f"faults/{number}").status_code == 404
    assert _call(exchange, "DELETE", "faults").status_code == 200
    assert _state(exchange)["faults"] == []


def test_the_catalogue_is_told(exchange: SimulatedExchange) -> None:
    """Every name with its arguments and meanings, beside what is on."""
    _post(exchange, "faults", name="quiet", **{"from": "+1h"})
    told = _call(exchange, "GET", "faults").json()
    assert [kind["name"] for kind in told["catalogue"]] == list(CATALOGUE)
    (close,) = [kind for kind in told["catalogue"] if kind["name"] == "close"]
    assert close["arguments"][0] | {"meaning": ""} == {
        "name": "code",
        "default": 1011,
        "expected": "a whole number, at least 1000, at most 4999",
        "choices": [],
        "meaning": "",
    }
    (shown,) = told["active"]
    assert not shown["is_active"]
    assert shown["fault"] == {"name": "quiet", "from": "+3600s", "share": 1.0}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "explode", "", 404, "expected one of close"),
        ("POST", "clos", "", 404, "did you mean 'close'"),
        ("POST", "refuse", "", 400, "symbol is None, expected one of NIFTY, TCS"),
        ("POST", "refuse", '{"symbol": "NIFTI"}', 400, "did you mean 'NIFTY'"),
        ("POST", "refuse", '{"symbol": ["NIFTY"]}', 400, "expected one of"),
        ("POST", "refuse", '{"symbol": "NIFTY", "status": 450}', 400, "429 or 500 to 599"),
        ("POST", "refuse", '{"symbol": "NIFTY", "times": "x"}', 400, "times is 'x'"),
        ("POST", "close", '{"code": "x"}', 400, "code is 'x', expected a whole number"),
        ("POST", "close", '{"code": 99999}', 400, "at most 4999"),
        ("POST", "close", "[1]", 400, "expected a JSON object"),
        ("POST", "close", "{", 400, "no JSON"),
        ("POST", "close", "[" * 100_000, 400, "no JSON"),
        ("POST", "close", b"\xff", 400, "no UTF-8"),
        ("POST", "faults", "", 400, "empty, expected a mapping"),
        ("POST", "faults", '{"name": "clos"}', 400, "request body:1:10: there is no fault 'clos'"),
        ("POST", "faults", '{"name": "close", "code": 1}', 400, "at least 1000"),
        ("POST", "faults", b"\xff", 400, "no UTF-8"),
        ("POST", "faults", "x" * (2 << 20), 413, "too large"),
        ("DELETE", "faults/x", "", 404, "no fault 'x'"),
        ("DELETE", "faults/" + "9" * 50, "", 404, "no fault"),
        ("GET", "truth?symbol=NIFTI", "", 400, "did you mean 'NIFTY'"),
        ("GET", "truth?at=noon", "", 400, "at is 'noon', expected an instant"),
        ("GET", "truth?at=2026-11-25T10:00", "", 400, "with its zone"),
    ],
)
def test_wrong_calls_are_told(  # noqa: PLR0917
    exchange: SimulatedExchange, method: str, path: str, body: str | bytes, status: int, words: str
) -> None:
    """What is wrong, what is expected and where to look, as JSON."""
    answer = _call(exchange, method, path, data=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert "/simulator/faults" in answer.json()["remedy"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(["faults", "close", "refuse", "allow"]), body=st.binary(max_size=60))
def test_no_body_breaks_the_console(exchange: SimulatedExchange, path: str, body: bytes) -> None:
    """Never a 5xx."""
    assert _call(exchange, "POST", path, data=body).status_code in (200, 201, 400)


def test_truth_of_any_instant(exchange: SimulatedExchange) -> None:
    """Equal to the market's own, for past and future alike."""
    at = datetime(2026, 12, 3, 6, 0, tzinfo=UTC)
    told = _call(exchange, "GET", "truth", params={"symbol": "NIFTY", "at": at.isoformat()}).json()
    known = exchange.market.truth(at)
    assert told["spot"] == {"NIFTY": known.spot["NIFTY"]}
    options = [
        row
        for row in known.listing.rows
        if row.contract.symbol == "NIFTY" and row.contract.right is not None
    ]
    assert len(told["contracts"]) == len(options) > 0
