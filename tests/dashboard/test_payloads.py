"""The API's answers: a rearrangement of what the feed told."""

from __future__ import annotations

from math import nan
from typing import Any

import pytest

from dashboard import payloads
from dashboard.catalogue import read
from dashboard.hub import Hub
from dashboard.payloads import Problem
from dashboard.upstream import Status
from tests.dashboard.strategies import EXPIRIES, frame, hello, table


@pytest.fixture
def hub() -> Hub:
    """A hub with some rows of NIFTY's nearest expiry."""
    hub = Hub()
    hub.learn(read(hello()))
    contract = {"last_price": 12.5, "last_price_is_live": 1.0, "iv_status": 1.0}
    hub.apply(
        frame(
            table("underlying", {1: {"spot": 104.0, "spot_at_ms": 5.0, "forward": nan}}),
            table("expiry", {1: {"forward_status": 0.0, "pcr_open_interest": 1.2}}),
            table("strike", {1: {"net_gex_crore_per_percent": -3.0}}),
            table("contract", {1: {**contract, "implied_volatility": nan}}),
        )
    )
    return hub


def answered(answer: dict[str, Any] | Problem) -> dict[str, Any]:
    """An answer that is not a problem."""
    assert not isinstance(answer, Problem)
    return answer


def test_underlyings_carry_their_expiries_and_nulls(hub: Hub) -> None:
    """NaN becomes null; a row that never came is all nulls."""
    nifty, tcs = answered(payloads.underlyings(hub, 9.0))["underlyings"]
    assert (nifty["spot"], nifty["forward"]) == (104.0, None)
    assert nifty["expiries"] == list(EXPIRIES)
    assert tcs["spot"] is None


def test_a_chain_pairs_calls_and_puts_by_strike(hub: Hub) -> None:
    """Statuses and sources are words; the nearest expiry is the default."""
    chain = answered(payloads.chain(hub, "NIFTY", None, 9.0))
    assert chain["expiry"] == EXPIRIES[0]
    assert chain["totals"]["forward_status"] == "parity"
    first, second = chain["strikes"]
    assert (first["strike"], second["strike"]) == (100.0, 110.0)
    call = first["call"]
    assert (call["last_price"], call["last_price_source"]) == (12.5, "socket")
    assert (call["implied_volatility"], call["iv_status"]) == (None, "no_quote")
    assert first["put"]["last_price_source"] is None


def test_exposure_names_its_convention(hub: Hub) -> None:
    """Signs mean nothing without it."""
    exposure = answered(payloads.exposure(hub, "NIFTY", EXPIRIES[0], 9.0))
    assert exposure["convention"]["sign"] == "calls +, puts −"
    assert exposure["strikes"][0]["net_gex_crore_per_percent"] == -3.0


@pytest.mark.parametrize(
    ("symbol", "expiry", "code", "expected"),
    [
        ("NOBODY", None, "unknown_symbol", ("NIFTY", "TCS")),
        ("NIFTY", "2020-01-01", "unknown_expiry", EXPIRIES),
    ],
)
def test_a_wrong_choice_is_told_the_right_ones(
    hub: Hub, symbol: str, expiry: str | None, code: str, expected: tuple[str, ...]
) -> None:
    """A problem names what would have been right and what to do."""
    for make in (payloads.chain, payloads.exposure):
        problem = make(hub, symbol, expiry, 0.0)
        assert isinstance(problem, Problem)
        assert (problem.status, problem.code, problem.expected) == (404, code, expected)
        assert problem.remedy


def test_without_a_feed_the_answer_is_503() -> None:
    """Not an empty list, which would look like a market without underlyings."""
    for answer in (
        payloads.underlyings(Hub(), 0.0),
        payloads.chain(Hub(), "NIFTY", None, 0.0),
    ):
        assert isinstance(answer, Problem)
        assert answer.status == 503


@pytest.mark.parametrize(
    ("state", "last_frame_at_ms", "expected"),
    [("connected", 9_000, "ok"), ("connected", 7_000, "stale"), ("lost", 9_000, "lost")],
)
def test_health_judges_the_feed_by_its_last_frame(
    state: str, last_frame_at_ms: float, expected: str
) -> None:
    """A socket that is open but mute is stale, not well."""
    status = Status(state=state, feed={"type": "health", "last_frame_at_ms": last_frame_at_ms})
    assert payloads.health(Hub(), status, 10_000.0)["status"] == expected


def test_live_health_keeps_the_feeds_words_and_our_clock() -> None:
    """Browsers see the feed's figures beside the state of our own connection."""
    told = payloads.live_health(Hub(), Status(feed={"frames": 3, "now_ms": 1.0}), 2.0)
    assert (told["frames"], told["now_ms"], told["upstream"]["state"]) == (3, 2.0, "connecting")
