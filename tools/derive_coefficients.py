"""Derive ``transforms/coefficients.py``: ``python -m tools.derive_coefficients``.

What each approximation stands for, on which domain and how far off it is; how it is evaluated
belongs in ``transforms.elementary``. Polynomials are Chebyshev series cut short, in 60-digit
arithmetic, which is within a small factor of the best of their degree. The bound of each is the
error of the committed doubles, evaluated exactly; rounding while evaluating comes on top.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import mpmath
from mpmath import mp, mpf

DIGITS = 60
TARGET = Path(__file__).resolve().parent.parent / "transforms" / "coefficients.py"
HEADER = '''"""Coefficients of the approximations in ``elementary``, lowest power first.

Written by ``python -m tools.derive_coefficients`` and not by hand: the derivation, with each
domain and error, is there; a test derives them anew.
"""
'''

Function = Callable[[mpf], mpf]


@dataclass(frozen=True, slots=True)
class Approximation:
    """A polynomial Σ cᵢ·xⁱ that stands for a function on an interval.

    Attributes:
        name: of the constant in ``transforms.coefficients``.
        meaning: what it stands for, as the comment over the constant.
        function: the truth, in arithmetic of ``DIGITS`` digits.
        low, high: the domain.
        degree: of the polynomial.
        bound: of its relative error on the domain.
    """

    name: str
    meaning: str
    function: Function
    low: mpf
    high: mpf
    degree: int
    bound: float


def mills(z: mpf) -> mpf:
    """Mills' ratio M(z) = N(−z)/n(z)."""
    return mp.sqrt(mp.pi / 2) * mp.exp(z * z / 2) * mp.erfc(z / mp.sqrt(2))


def mills_slope(z: mpf) -> mpf:
    """1 − z·M(z) = −M'(z): about 1/z² far out."""
    return 1 - z * mills(z)


def _from_unit(u: mpf, centre: int) -> mpf:
    """The z in [0, ∞) that u = (z − c)/(z + c) in [−1, 1) stands for."""
    return centre * (1 + u) / (1 - u)


def _scaled_mills(u: mpf) -> mpf:
    z = _from_unit(u, 5)
    return mills(z) * (5 + z)


def _scaled_mills_slope(u: mpf) -> mpf:
    z = _from_unit(u, 4)
    return mills_slope(z) * (1 + z) ** 2


def _atanh_rest(square: mpf) -> mpf:
    """(2·atanh(f) − 2f)/f³ in f², as a series that cancels nothing: Σ 2f²ⁱ/(2i + 3)."""
    return 2 * mp.hyp2f1(1, mpf("1.5"), mpf("2.5"), square) / 3


def _exp_rest(x: mpf) -> mpf:
    """(exp(x) − 1 − x)/x², likewise: Σ xⁱ/(i + 2)!."""
    return mp.hyp1f1(1, 3, x) / 2


with mpmath.workdps(DIGITS):
    # √½ ≤ m < √2 makes |f| = |m − 1|/(m + 1) ≤ 3 − 2√2.
    _ATANH_HIGHEST = (3 - 2 * mp.sqrt(2)) ** 2
    _HALF_LN2 = mp.log(2) / 2
    # Mills' ratio is wanted to infinity, which is u = 1: this is z of some 1e10.
    _INFINITE = 1 - mpf("1e-9")

POLYNOMIALS = (
    Approximation(
        "LOG",
        "(2·atanh(f) − 2f)/f³ in f² for |f| ≤ 3 − 2√2; times f²/2: below 1e-18 of ln",
        _atanh_rest,
        mpf(0),
        _ATANH_HIGHEST,
        8,
        6e-17,
    ),
    Approximation(
        "EXP",
        "(exp(x) − 1 − x)/x² for |x| ≤ ln 2/2; times x²: below 1e-18 of exp(x)",
        _exp_rest,
        -_HALF_LN2,
        _HALF_LN2,
        10,
        1e-17,
    ),
    Approximation(
        "EXPM1",
        "(exp(x) − 1 − x)/x² for −0.05 ≤ x ≤ 0.36; times x²: below 1e-17 of exp(x) − 1",
        _exp_rest,
        mpf("-0.05"),
        mpf("0.36"),
        9,
        3e-17,
    ),
    Approximation(
        "MILLS",
        "(5 + z)·M(z) in u = (z − 5)/(z + 5) for z ≥ 0",
        _scaled_mills,
        mpf(-1),
        _INFINITE,
        23,
        2e-16,
    ),
    Approximation(
        "MILLS_SLOPE",
        "(1 + z)²·(1 − z·M(z)) in u = (z − 4)/(z + 4) for z ≥ 0",
        _scaled_mills_slope,
        mpf(-1),
        _INFINITE,
        26,
        1e-16,
    ),
)

BACHELIER_BOUND = 8e-7
BACHELIER_DEEPEST = mpf("9.2")
_BACHELIER_DEGREE = 5
_ROUNDS = 40
_NODES = 64


def derive() -> dict[str, tuple[float, ...]]:
    """All constants by name, as doubles."""
    with mpmath.workdps(DIGITS):
        found = {each.name: _interpolate(each) for each in POLYNOMIALS}
        numerator, denominator = _bachelier_inverse()
        return {**found, "BACHELIER_OVER": numerator, "BACHELIER_UNDER": denominator}


def _interpolate(wanted: Approximation) -> tuple[float, ...]:
    """The Chebyshev series cut at the degree, as powers of x."""
    middle, half = (wanted.low + wanted.high) / 2, (wanted.high - wanted.low) / 2
    angles = [mp.pi * (i + mpf("0.5")) / _NODES for i in range(_NODES)]
    values = [wanted.function(middle + half * mp.cos(angle)) for angle in angles]
    scaled = [-middle / half, 1 / half]
    before, polynomial = [mpf(1)], scaled
    total = [mp.fsum(values) / _NODES]
    for n in range(1, wanted.degree + 1):
        weight = 2 * mp.fdot(values, [mp.cos(n * angle) for angle in angles]) / _NODES
        total = _added(total, polynomial, weight)
        twice = [2 * value for value in _times(polynomial, scaled)]
        before, polynomial = polynomial, _added(twice, before, mpf(-1))
    return tuple(map(float, total))


def _times(left: Sequence[mpf], linear: Sequence[mpf]) -> list[mpf]:
    constant, slope = linear
    return _added([constant * value for value in left], [mpf(0), *left], slope)


def _added(left: Sequence[mpf], right: Sequence[mpf], weight: mpf) -> list[mpf]:
    pairs = zip_longest(left, right, fillvalue=mpf(0))
    return [one + weight * other for one, other in pairs]


def error_of(wanted: Approximation, coefficients: Sequence[float], points: int = 500) -> float:
    """The largest relative error of doubles on a grid over the domain, evaluated exactly."""
    with mpmath.workdps(DIGITS):
        grid = mpmath.linspace(wanted.low, wanted.high, points)
        values = ((_sum(coefficients, x), wanted.function(x)) for x in grid)
        return max(float(abs(found / truth - 1)) for found, truth in values)


def _sum(coefficients: Sequence[float], x: mpf) -> mpf:
    return mp.fsum(mpf(value) * x**power for power, value in enumerate(coefficients))


def bachelier_point(z: mpf) -> tuple[mpf, mpf]:
    """(η, g) of an option z normal standard deviations out of the money; g is to be guessed from η.

    Bachelier's normal model: with time value β = s·[n(z) − z·N(−z)] and distance y = z·s, let
    v = y/(y + 2β) and η = v/atanh(v); then s = (y + 2β)·√η·g(η) for one function g.
    """
    share = mp.npdf(z) * (1 / z - mills(z))
    eta = 2 / ((1 + 2 * share) * mp.log1p(1 / share))
    return eta, 1 / (z * (1 + 2 * share) * mp.sqrt(eta))


def bachelier_error(over: Sequence[float], under: Sequence[float], points: int = 300) -> float:
    """The largest relative error of the rational guess for 1e-4 ≤ z ≤ 9.2."""
    with mpmath.workdps(DIGITS):
        grid = [bachelier_point(z) for z in mpmath.linspace("1e-4", BACHELIER_DEEPEST, points)]
        return max(
            float(abs(_sum(over, eta) / _sum(under, eta) / truth - 1)) for eta, truth in grid
        )


def _bachelier_inverse() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """A rational function near the best one: least squares, weighted anew where the error is large.

    (C. L. Lawson's method, with the denominator of the round before as in J. A. Sanathanan and
    J. Koerner, IEEE Trans. Automatic Control 8, 1963.)
    """
    near = [mpf("1e-4") * 500 ** (mpf(i) / 12) for i in range(12)]
    points = [bachelier_point(z) for z in near + mpmath.linspace("0.05", BACHELIER_DEEPEST, 100)]
    weights = [mpf(1)] * len(points)
    under = [mpf(1)] + [mpf(0)] * _BACHELIER_DEGREE
    for _ in range(_ROUNDS):
        over, under = _weighted_fit(points, weights, under)
        errors = [abs(_sum(over, eta) / _sum(under, eta) / truth - 1) for eta, truth in points]
        largest = max(errors)
        scaled = [
            w * mp.sqrt(e / largest + mpf("0.05")) for w, e in zip(weights, errors, strict=True)
        ]
        weights = [w / max(scaled) for w in scaled]
    return tuple(map(float, over)), tuple(map(float, under))


def _weighted_fit(
    points: Sequence[tuple[mpf, mpf]], weights: Sequence[mpf], under: Sequence[mpf]
) -> tuple[list[mpf], list[mpf]]:
    """Minimise Σ w²(p/(g·q₀) − q/q₀)² over the coefficients of p and q, with q = 1 + …"""
    terms = _BACHELIER_DEGREE + 1
    rows, goals = [], []
    for (eta, truth), weight in zip(points, weights, strict=True):
        powers = [weight / _sum(under, eta) * eta**i for i in range(terms)]
        rows.append([power / truth for power in powers] + [-power for power in powers[1:]])
        goals.append(powers[0])
    found = mp.lu_solve(mp.matrix(rows), mp.matrix(goals))
    return list(found[:terms]), [mpf(1), *found[terms:]]


def render(constants: dict[str, tuple[float, ...]]) -> str:
    """The module's text."""
    meanings = {each.name: f"{each.meaning}." for each in POLYNOMIALS}
    meanings["BACHELIER_OVER"] = "Numerator and denominator of g(η) for 0.0401 ≤ η < 1 (z ≤ 9.2)."
    blocks = [HEADER]
    for name, values in constants.items():
        comment = f"# {meanings[name]}\n" if name in meanings else ""
        lines = "".join(f"    {value!r},\n" for value in values)
        blocks.append(f"{comment}{name} = (\n{lines})\n")
    return "\n".join(blocks)


if __name__ == "__main__":
    TARGET.write_text(render(derive()), encoding="utf-8")
