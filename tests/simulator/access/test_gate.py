"""The door: rates over sliding windows, codes that work once, slots that come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.access.gate import BROKER_LIMITS, AccessRules, Gate, Limit, OneTimeCodes, RateLimiter
from simulator.access.tokens import USER, Account, TokenKind, mint

_NOW = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)


class _Door:
    """A gate whose clocks are moved by hand."""

    def __init__(self, rules: AccessRules | None = None) -> None:
        self.now, self.seconds = _NOW, 0.0
        self.gate = Gate(lambda: self.now, lambda: self.seconds, rules)


def _account(user: str = "a", *, is_plus: bool = False, token_id: str = "1") -> Account:
    return Account(user, is_plus, TokenKind.LOGIN, _NOW + timedelta(hours=1), token_id)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_brokers_limits() -> None:
    """50 a second, 500 a minute, 2000 in half an hour."""
    assert [(limit.calls, limit.seconds) for limit in BROKER_LIMITS] == [
        (50, 1.0),
        (500, 60.0),
        (2_000, 1_800.0),
    ]


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_no_window_holds_more_than_its_limit(instants: list[float]) -> None:
    """Against the definition: a call is admitted if fewer than the limit came before in time."""
    limits, calls = (Limit(3, 1.0), Limit(10, 8.0)), sorted(instants)
    limiter = RateLimiter(limits)
    for i, now in enumerate(calls):
        expected = all(
            sum(now - earlier < limit.seconds for earlier in calls[:i]) < limit.calls
            for limit in limits
        )
        assert limiter.admits(now) == expected


def test_no_limits_admit_everything() -> None:
    """Limits can be switched off."""
    limiter = RateLimiter((), suspension_seconds=60.0)
    assert all(limiter.admits(0.0) for _ in range(10_000))


def test_a_breach_suspends_for_as_long_as_is_said() -> None:
    """Calls that the window would allow are refused until the suspension is over."""
    limiter = RateLimiter((Limit(2, 1.0),), suspension_seconds=60.0)
    assert [limiter.admits(0.0) for _ in range(3)] == [True, True, False]
    assert not limiter.admits(30.0)
    assert not limiter.admits(59.9)
    assert limiter.admits(61.0)


def test_bearer_tokens() -> None:
    """Only a living token under the right scheme has an account."""
    door, token = _Door(), mint(_NOW, timedelta(hours=1))
    account = door.gate.account(_bearer(token))
    assert account is not None
    assert account.user == USER
    for header in (f"Basic {token}", token, "", "Bearer", f"Bearer {token}x"):
        assert door.gate.account({"Authorization": header}) is None
    assert door.gate.account({}) is None
    door.now += timedelta(hours=1)
    assert door.gate.account(_bearer(token)) is None
    assert not door.gate.is_living(account)


@given(st.binary(max_size=200))
def test_any_header_has_an_answer(raw: bytes) -> None:
    """Bytes as they come in from the wire are no account and no crash."""
    header = raw.decode("utf-8", "surrogateescape")
    gate = _Door().gate
    assert gate.account({"Authorization": header}) is None
    assert gate.account(_bearer(header)) is None


def test_a_logged_out_token_stays_dead() -> None:
    """It alone: the user's other token lives on."""
    gate = _Door().gate
    gone, other = mint(_NOW), mint(_NOW)
    account = gate.account(_bearer(gone))
    assert account is not None
    gate.revoke(account)
    assert gate.account(_bearer(gone)) is None
    assert not gate.is_living(account)
    assert gate.account(_bearer(other)) is not None


def test_many_logouts_are_not_remembered_for_ever() -> None:
    """A token that has expired anyway needs no remembering, one that lives does."""
    door = _Door()
    door.gate.revoke(_account(token_id="old"))
    door.now += timedelta(hours=2)
    late = Account("a", False, TokenKind.LOGIN, door.now + timedelta(hours=1), "new")
    door.gate.revoke(late)
    assert set(door.gate._revoked) == {"new"}
    assert not door.gate.is_living(late)


def test_calls_are_counted_for_each_user() -> None:
    """Whatever token they come with; another user has a budget of their own."""
    gate = _Door(AccessRules(limits=(Limit(1, 1.0),))).gate
    assert gate.admits(_account("a"), "/chain")
    assert not gate.admits(_account("a", token_id="2"), "/status")
    assert gate.admits(_account("b"))
    assert gate.admits_address("a")


def test_each_path_may_have_its_own_budget() -> None:
    """The other reading of the broker's limits."""
    gate = _Door(AccessRules(limits=(Limit(1, 1.0),), limit_scope="api")).gate
    assert gate.admits(_account(), "/chain")
    assert gate.admits(_account(), "/status")
    assert not gate.admits(_account(), "/chain")


@pytest.mark.parametrize("is_limited", [True, False])
def test_addresses_are_counted_if_the_rules_say_so(*, is_limited: bool) -> None:
    """A caller without a token is known by nothing else."""
    rules = AccessRules(limits=(Limit(1, 1.0),), is_address_limited=is_limited)
    gate = _Door(rules).gate
    assert gate.admits_address("10.0.0.1")
    assert gate.admits_address("10.0.0.1") is not is_limited
    assert gate.admits_address("10.0.0.2")


def test_callers_are_not_remembered_without_end() -> None:
    """Those who call on are; those who called longest ago make room."""
    gate = _Door(AccessRules(limits=(Limit(1, 1.0),))).gate
    assert gate.admits(_account("a"))
    for number in range(10_000):
        gate.admits_address(f"{number}")
        assert number % 1_000 or not gate.admits(_account("a"))
    assert len(gate._limiters) == 10_000
    assert not gate.admits(_account("a"))


def test_a_code_works_once() -> None:
    """And one that was never issued does not."""
    gate = _Door().gate
    code = gate.issue_code(_account())
    assert gate.redeem(code) == _account()
    assert gate.redeem(code) is None
    assert gate.redeem("") is None


def test_a_code_may_grow_old() -> None:
    """Only if the rules say so, as nobody knows the broker's."""
    door = _Door(AccessRules(code_seconds=5.0))
    codes = [door.gate.issue_code(_account()) for _ in range(2)]
    door.seconds = 4.9
    assert door.gate.redeem(codes[0]) is not None
    door.seconds = 5.0
    assert door.gate.redeem(codes[1]) is None
    patient = _Door()
    code = patient.gate.issue_code(_account())
    patient.seconds = 1e9
    assert patient.gate.redeem(code) is not None


def test_unused_codes_are_not_remembered_without_end() -> None:
    """The oldest are forgotten."""
    codes = OneTimeCodes[int](lambda: 0.0)
    for number in range(1_001):
        codes.issue(str(number), number)
    assert codes.redeem("0") is None
    assert codes.redeem("1") == 1
    assert codes.redeem("1000") == 1_000


@pytest.mark.parametrize(
    ("is_plus", "override", "slots"), [(False, None, 2), (True, None, 5), (True, 1, 1)]
)
def test_slots_go_by_the_plan(override: int | None, slots: int, *, is_plus: bool) -> None:
    """A full user waits for a slot to come back; another does not."""
    gate = _Door(AccessRules(max_sockets=override)).gate
    user = _account("a", is_plus=is_plus)
    assert all(gate.enter(user) for _ in range(slots))
    assert not gate.enter(user)
    assert gate.enter(_account("b"))
    gate.leave(user)
    assert gate.enter(user)
