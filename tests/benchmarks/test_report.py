"""Ratios and figures as they are printed."""

from __future__ import annotations

import json

import pytest

from benchmarks.report import against, as_json, shown, within


def test_ratio_is_the_median_of_the_rounds() -> None:
    """Not the ratio of the medians: a slow round that hits both leaves it alone."""
    metric = against([10.0, 40.0, 12.0], "ms", [5.0, 20.0, 4.0], "…")
    assert (metric.value, metric.reference, metric.ratio) == (12.0, 5.0, 2.0)


def test_rounds_come_in_pairs() -> None:
    """A missing round is an error, not a shorter list."""
    with pytest.raises(ValueError, match="shorter"):
        against([1.0, 2.0], "ms", [1.0], "…")


def test_limit() -> None:
    """A figure without spread is held against its limit."""
    metric = within(5e-15, "relative", 1e-14, "…")
    assert (metric.value, metric.reference, metric.ratio) == (5e-15, 1e-14, 0.5)


@pytest.mark.parametrize(
    ("value", "printed"), [(1234567.8, 1234570.0), (0.123456789, 0.123457), (3.3e-16, 3.3e-16)]
)
def test_six_digits(value: float, printed: float) -> None:
    """Six digits at any size; a tiny error is not rounded to nothing."""
    assert shown(value) == printed


def test_json() -> None:
    """One object: name, machine, metrics, details."""
    told = json.loads(as_json("x", {"m": within(1.0, "u", 2.0, "…")}, {"rounds": 3}))
    assert told["name"] == "x"
    assert told["metrics"]["m"]["ratio"] == 0.5
    assert told["details"] == {"rounds": 3}
    assert {"processor", "cores", "python", "load_1m"} <= told["machine"].keys()
