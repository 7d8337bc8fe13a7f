"""Packages of scalar functions, called row by row as their users must.

Packages that take arrays belong in ``array_peers``.
"""

# ruff: noqa: PLR0917 - pricing functions take their scalars by position.
from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from benchmarks.contender import IV, Contender, with_columns
from benchmarks.universe import TERMS


def _row_by_row(
    implied: Callable[..., float], values: Callable[..., tuple[float, ...]] | None
) -> Contender:
    """A package of scalar functions, called in a plain loop; what it raises is no number."""

    def one(*terms: Any) -> float:
        try:
            return implied(*terms)
        except Exception:
            return math.nan

    def imply(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.Series(IV, [one(*r) for r in frame.select(TERMS).iter_rows()]))

    def price(frame: pl.DataFrame) -> pl.DataFrame:
        nothing = (math.nan,) * 5
        made = []
        for row in frame.select(TERMS).iter_rows():
            v = one(*row)
            made.append((v, *(values(*row, v) if values and v > 0 else nothing)))
        names = (IV, "delta", "gamma", "theta", "vega", "rho")
        return with_columns(frame, names, np.array(made, dtype=np.float64).reshape(-1, 6).T)

    full = price if values else None
    return Contender(imply, full, 5 if values else 0, is_scalar=True)


def vollib() -> Contender:
    implied = importlib.import_module("vollib.black.implied_volatility").implied_volatility
    made = importlib.import_module("vollib.black.greeks.analytical")

    def volatility(p: float, f: float, k: float, t: float, r: float, is_call: bool) -> float:
        return float(implied(p, f, k, r, t, "c" if is_call else "p"))

    def values(
        p: float, f: float, k: float, t: float, r: float, is_call: bool, v: float
    ) -> tuple[float, ...]:
        terms = ("c" if is_call else "p", f, k, t, r, v)
        return (
            made.delta(*terms),
            made.gamma(*terms),
            made.theta(*terms),
            made.vega(*terms),
            (made.rho(*terms)),
        )

    return _row_by_row(volatility, values)


def py_lets_be_rational() -> Contender:
    package = importlib.import_module("py_lets_be_rational")
    implied = package.implied_volatility_from_a_transformed_rational_guess

    def volatility(p: float, f: float, k: float, t: float, r: float, is_call: bool) -> float:
        return float(implied(p * math.exp(r * t), f, k, t, 1 if is_call else -1))

    return _row_by_row(volatility, None)


def quantlib() -> Contender:
    """S. Li and R.-U. Rheinländer's solver with its default accuracy of 1e-6."""
    ql = importlib.import_module("QuantLib")
    implied, call, put = ql.blackFormulaImpliedStdDevLiRS, ql.Option.Call, ql.Option.Put

    def volatility(p: float, f: float, k: float, t: float, r: float, is_call: bool) -> float:
        discount = math.exp(-r * t)
        s = implied(call if is_call else put, k, f, p, discount)
        return float(s) / math.sqrt(t)

    def values(
        p: float, f: float, k: float, t: float, r: float, is_call: bool, v: float
    ) -> tuple[float, ...]:
        payoff = ql.PlainVanillaPayoff(call if is_call else put, k)
        made = ql.BlackCalculator(payoff, f, v * math.sqrt(t), math.exp(-r * t))
        theta = (r * made.value() - 0.5 * v * made.vega(t) / t) / 365.0
        return made.deltaForward(), made.gammaForward(), theta, made.vega(t) / 100, -t * p / 100

    return _row_by_row(volatility, values)
