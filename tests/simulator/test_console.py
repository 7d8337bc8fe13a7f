"""The console: switches and truth for those outside the process."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import requests

from tests.fix_simulator import SimulatedExchange


def _post(exchange: SimulatedExchange, action: str, **body: object) -> requests.Response:
    return requests.post(f"{exchange.url}/simulator/{action}", json=body, timeout=10)


def _state(exchange: SimulatedExchange) -> dict[str, object]:
    state: dict[str, object] = requests.get(f"{exchange.url}/simulator/state", timeout=10).json()
    return state


def test_switches_show_in_the_state(simulator: SimulatedExchange) -> None:
    """Mute, pause and their opposites; every other action is at least taken."""
    for action, field, value in (
        ("mute", "is_muted", True),
        ("unmute", "is_muted", False),
        ("pause", "is_paused", True),
        ("resume", "is_paused", False),
    ):
        assert _post(simulator, action).status_code == 200
        assert _state(simulator)[field] is value
    for action in ("close", "abort", "garbage", "unknown"):
        assert _post(simulator, action).json() == {"done": action}


def test_refusals_over_http(simulator: SimulatedExchange) -> None:
    """The next chain is refused as told, and only as often."""
    assert _post(simulator, "refuse", symbol="NIFTY", status=429, times=1).status_code == 200
    assert [simulator.control.refusal_of("NIFTY") for _ in range(2)] == [429, None]
    assert _post(simulator, "refuse", symbol="NIFTY").status_code == 200
    assert _post(simulator, "allow", symbol="NIFTY").status_code == 200
    assert simulator.control.refusal_of("NIFTY") is None


@pytest.mark.parametrize(("action", "status"), [("refuse", 400), ("explode", 404)])
def test_wrong_actions_are_told(simulator: SimulatedExchange, action: str, status: int) -> None:
    """A missing argument and an unknown action."""
    assert _post(simulator, action).status_code == status


def test_truth_of_any_instant(simulator: SimulatedExchange) -> None:
    """Equal to the market's own, for past and future alike."""
    at = datetime(2026, 12, 3, 6, 0, tzinfo=UTC)
    query = {"symbol": "NIFTY,TCS", "at": at.isoformat()}
    told = requests.get(f"{simulator.url}/simulator/truth", query, timeout=10).json()
    known = simulator.market.truth(at)
    assert told["spot"] == {s: known.spot[s] for s in ("NIFTY", "TCS")}
    assert len(told["contracts"]) == 4 * 41 + 4 * 25
