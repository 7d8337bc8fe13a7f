"""Forty-two inputs that have broken a solver, and what is right for each.

Right is the exact root where there is one, and no number (null or NaN) where there is none. To
raise, to make up a number or to spoil the row beside it is wrong. Hard but honest inputs belong in
``grids``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl

from benchmarks.exact_roots import Option, root
from benchmarks.exact_roots import premium as exact_premium
from benchmarks.grids import MINUTE_YEARS
from benchmarks.universe import TERMS

GOOD_ENOUGH = 1e-9
"""Relative error that passes here; how much better an answer is, is measured elsewhere."""

_PLAIN = Option(250.0, 24_500.0, 24_600.0, 14 / 365, 0.065, True)
_DEEP = replace(_PLAIN, strike=20_000.0, rate=0.0)
_NAN, _INF = math.nan, math.inf


@dataclass(frozen=True, slots=True)
class Nasty:
    """One case.

    Attributes:
        rows: the frame's rows; each is judged.
        statuses: what ``transforms.implied_vol`` must say of each row.
        may_decline: no number is right as well (below our shortest time, where others may answer).
    """

    name: str
    rows: tuple[Option, ...]
    statuses: tuple[str, ...]
    may_decline: bool = False

    @property
    def frame(self) -> pl.DataFrame:
        """The rows as a frame of ``TERMS``."""
        dtypes = {name: pl.Boolean if name == "is_call" else pl.Float64 for name in TERMS}
        columns = {name: [getattr(row, name) for row in self.rows] for name in TERMS}
        return pl.DataFrame(columns, schema=dtypes)

    def is_right(self, answers: pl.Series) -> bool:
        """Whether these volatilities, in the rows' order, are all right."""
        if len(answers) != len(self.rows):
            return False
        return all(self._is_right(row, a) for row, a in zip(self.rows, answers, strict=True))

    def _is_right(self, row: Option, answer: float | None) -> bool:
        wanted = root(row)
        if answer is None or math.isnan(answer):
            return wanted is None or self.may_decline
        return wanted is not None and abs(answer / float(wanted) - 1.0) < GOOD_ENOUGH


def score(answer: Callable[[pl.DataFrame], pl.Series]) -> list[str]:
    """The names of the cases that a solver gets wrong; whatever it raises is wrong."""
    return [case.name for case in CASES if not _passes(case, answer)]


def _passes(case: Nasty, answer: Callable[[pl.DataFrame], pl.Series]) -> bool:
    try:
        return case.is_right(answer(case.frame))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        # A solver may raise anything, down to the panic of a plugin, which is no Exception.
        return False


def _unpriced(name: str, status: str, base: Option = _PLAIN, **changed: float | None) -> Nasty:
    return Nasty(name, (replace(base, **changed),), (status,))  # type: ignore[arg-type]


def _priced(name: str, volatility: float, **changed: object) -> Nasty:
    """A row made from a volatility, so that it surely has a root near it."""
    option = replace(_PLAIN, **changed)  # type: ignore[arg-type]
    return Nasty(
        name, (replace(option, premium=float(exact_premium(option, volatility))),), ("ok",)
    )


_BAD = replace(_PLAIN, premium=_NAN)

CASES = (
    _unpriced("premium null", "no_price", premium=None),
    _unpriced("premium NaN", "no_price", premium=_NAN),
    _unpriced("premium +inf", "invalid", premium=_INF),
    _unpriced("premium -inf", "invalid", premium=-_INF),
    _unpriced("premium zero", "no_vega", premium=0.0),
    _unpriced("premium negative", "invalid", premium=-1.0),
    _unpriced("call below intrinsic", "below_intrinsic", _DEEP, premium=4_000.0),
    _unpriced("exactly intrinsic", "no_vega", _DEEP, premium=4_500.0),
    _unpriced("call at its bound", "above_bound", _DEEP, premium=24_500.0),
    _unpriced("call above its bound", "above_bound", premium=30_000.0),
    _unpriced("forward null", "invalid", forward=None),
    _unpriced("forward NaN", "invalid", forward=_NAN),
    _unpriced("forward +inf", "invalid", forward=_INF),
    _unpriced("forward zero", "invalid", forward=0.0),
    _unpriced("forward negative", "invalid", forward=-24_500.0),
    _unpriced("strike null", "invalid", strike=None),
    _unpriced("strike NaN", "invalid", strike=_NAN),
    _unpriced("strike +inf", "invalid", strike=_INF),
    _unpriced("strike zero", "invalid", strike=0.0),
    _unpriced("strike negative", "invalid", strike=-24_600.0),
    _unpriced("time null", "invalid", years_to_expiry=None),
    _unpriced("time NaN", "invalid", years_to_expiry=_NAN),
    _unpriced("time +inf", "invalid", years_to_expiry=_INF),
    _unpriced("time zero", "settling", years_to_expiry=0.0),
    _unpriced("time negative", "settling", years_to_expiry=-0.01),
    Nasty(
        "time of one second",
        (replace(_PLAIN, premium=1.0, strike=24_500.0, years_to_expiry=MINUTE_YEARS / 60),),
        ("settling",),
        may_decline=True,
    ),
    _unpriced("rate null", "invalid", rate=None),
    _unpriced("rate NaN", "invalid", rate=_NAN),
    _unpriced("rate +inf", "invalid", rate=_INF),
    _unpriced("rate so large that its discount is none", "above_bound", rate=1e5),
    _priced("rate negative", 0.14, rate=-0.02),
    _priced("rate 500 %", 0.14, rate=5.0),
    _priced("exactly at the money", 0.14, strike=24_500.0),
    _priced("one minute", 0.14, strike=24_500.0, years_to_expiry=MINUTE_YEARS),
    _priced("volatility 0.05 %", 0.0005, strike=24_500.0),
    _priced("volatility 400 % over three years", 4.0, years_to_expiry=3.0),
    _priced("premium of 1e-100", 0.1, strike=24_500.0 * math.exp(0.1 * math.sqrt(14 / 365) * 21.0)),
    _priced("prices of 1e-8", 0.8, forward=2.45e-8, strike=2.46e-8),
    _priced("deep in the money put", 0.3, strike=29_000.0, is_call=False),
    Nasty("empty frame", (), ()),
    Nasty("one bad row among good ones", (_PLAIN, _BAD, _PLAIN), ("ok", "no_price", "ok")),
    Nasty("bad rows only", (_BAD, _BAD), ("no_price", "no_price")),
)
