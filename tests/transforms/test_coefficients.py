"""The committed constants are those that the script derives, and as good as it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import derive_coefficients
from tools.derive_coefficients import POLYNOMIALS, Approximation
from transforms import coefficients


def test_script_derives_the_committed_file() -> None:
    """Nobody has touched a digit: the derivation, some seconds long, gives the same text."""
    text = Path(coefficients.__file__).read_text(encoding="utf-8")
    assert derive_coefficients.render(derive_coefficients.derive()) == text


@pytest.mark.parametrize("wanted", POLYNOMIALS, ids=lambda wanted: wanted.name)
def test_polynomials_hold_their_bounds(wanted: Approximation) -> None:
    """On a dense grid in 60-digit arithmetic, with the committed doubles."""
    committed = getattr(coefficients, wanted.name)
    assert len(committed) == wanted.degree + 1
    assert derive_coefficients.error_of(wanted, committed) <= wanted.bound


def test_bachelier_guess_holds_its_bound() -> None:
    """The rational guess stays within its error up to nine standard deviations."""
    error = derive_coefficients.bachelier_error(
        coefficients.BACHELIER_OVER, coefficients.BACHELIER_UNDER
    )
    assert error <= derive_coefficients.BACHELIER_BOUND


def test_polynomial_error_is_seen() -> None:
    """The measure itself: one digit off in one coefficient breaks a bound."""
    wanted = POLYNOMIALS[1]
    committed = list(getattr(coefficients, wanted.name))
    committed[3] *= 1 + 1e-11
    assert derive_coefficients.error_of(wanted, committed) > wanted.bound
