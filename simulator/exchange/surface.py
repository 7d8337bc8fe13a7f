"""The true volatility surface: SSVI over a term structure, without static arbitrage.

Pure functions of level, time to expiry and log-moneyness, one point at a time, for kernels. How the
level moves stands in ``paths``. Source: Gatheral and Jacquier, "Arbitrage-free SVI volatility
surfaces", Quantitative Finance 14(1), 2014 (arXiv:1204.0646).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from transforms.kernel import compiled

# Speed at which today's variance returns to its long-run level, per year.
_REVERSION = 6.0


@dataclass(frozen=True, slots=True)
class Smile:
    """Shape of one symbol's smile.

    Attributes:
        correlation: ρ in (−1, 1); negative lifts the puts.
        steepness: η > 0 with η(1 + |ρ|) ≤ 2, which rules out static arbitrage.
    """

    correlation: float
    steepness: float

    def __post_init__(self) -> None:
        if not self.steepness * (1.0 + abs(self.correlation)) <= 2.0:
            raise ValueError(f"smile {self} allows arbitrage, expected η(1 + |ρ|) ≤ 2")


@compiled
def at_the_money_variance(years: float, variance_now: float, variance_far: float) -> float:
    """Total variance θ at the money: variance that reverts to its far level, integrated.

    Non-decreasing in ``years`` for any positive levels, so it brings no calendar arbitrage
    (Theorem 4.1, first condition).
    """
    settled = -math.expm1(-_REVERSION * years) / _REVERSION
    return years * variance_far + (variance_now - variance_far) * settled


@compiled
def total_variance(
    log_moneyness: float, theta: float, correlation: float, steepness: float
) -> float:
    """Total variance w(k, θ) of SSVI with the power law φ(θ) = η / √(θ(1 + θ)).

    With γ = ½ and η(1 + |ρ|) ≤ 2 the surface has neither butterfly nor calendar arbitrage
    (section 4, equation 4.5 and Remark 4.4).

    Args:
        log_moneyness: k = ln(strike / forward).
        theta: total variance at the money, > 0.
        correlation, steepness: ρ and η of ``Smile``.
    """
    phi = curvature(theta, steepness)
    skewed = phi * log_moneyness + correlation
    root = math.sqrt(skewed * skewed + 1.0 - correlation * correlation)
    return 0.5 * theta * (1.0 + correlation * phi * log_moneyness + root)


@compiled
def curvature(theta: float, steepness: float) -> float:
    """φ(θ) of the power law with γ = ½."""
    return steepness / math.sqrt(theta * (1.0 + theta))
