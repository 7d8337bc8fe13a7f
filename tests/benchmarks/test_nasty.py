"""The forty-two nasty inputs: ours gets all right, and the judge can tell wrong from right."""

from __future__ import annotations

import polars as pl
import pytest

from benchmarks import nasty
from benchmarks.exact_roots import root
from transforms import greeks


def test_there_are_forty_two() -> None:
    """Their names differ, so that a report can list them."""
    assert len({case.name for case in nasty.CASES}) == 42


@pytest.mark.parametrize("case", nasty.CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("door", [greeks.imply, greeks.price])
def test_ours_is_right(door: object, case: nasty.Nasty) -> None:
    """The right number or none, with the status that says why; null and never NaN or 0."""
    answered = door(case.frame)  # type: ignore[operator]
    assert case.is_right(answered["implied_volatility"])
    assert tuple(answered["iv_status"]) == case.statuses
    is_ok = answered["iv_status"] == "ok"
    assert answered["implied_volatility"].is_not_null().equals(is_ok)


@pytest.mark.parametrize("case", nasty.CASES, ids=lambda case: case.name)
def test_statuses_agree_with_exact_roots(case: nasty.Nasty) -> None:
    """A row is ``ok`` just where an exact root exists, but for times below our shortest."""
    for row, status in zip(case.rows, case.statuses, strict=True):
        assert (root(row) is not None) == (status == "ok" or case.may_decline)


def test_wrong_answers_are_found() -> None:
    """A constant is right nowhere but on the empty frame; nothing is right where there is none."""
    constant = nasty.score(lambda frame: pl.Series([0.14] * len(frame), dtype=pl.Float64))
    assert {c.name for c in nasty.CASES} - set(constant) <= {
        *("empty frame", "rate negative", "rate 500 %", "exactly at the money", "one minute"),
    }
    nothing = nasty.score(lambda frame: pl.Series([None] * len(frame), dtype=pl.Float64))
    priced = {c.name for c in nasty.CASES if "ok" in c.statuses}
    assert set(nothing) == priced


def test_raising_is_wrong_and_does_not_spread() -> None:
    """Whatever a solver raises, even what is no Exception, is a wrong answer and no more."""

    class Panic(BaseException):
        pass

    def panics(_: pl.DataFrame) -> pl.Series:
        raise Panic

    assert len(nasty.score(panics)) == 42


def test_too_few_answers_are_wrong() -> None:
    """A solver may not drop rows."""
    case = next(c for c in nasty.CASES if c.name == "bad rows only")
    assert not case.is_right(pl.Series([None], dtype=pl.Float64))
