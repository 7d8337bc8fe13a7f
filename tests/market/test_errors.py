"""The error tree: one base, and the docstring's drawing is the tree that exists."""

from __future__ import annotations

import re

from market import errors


def _classes() -> set[type[Exception]]:
    return {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)}


def test_one_base() -> None:
    """Whoever catches the base catches everything raised on purpose."""
    assert all(issubclass(c, errors.OptionlakeError) for c in _classes())


def test_drawing_is_complete() -> None:
    """Every class stands in the module's drawing, and nothing else does."""
    drawn = set(re.findall(r"^\s*(?:[│├└─ ]*)([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE))
    named = {c.__name__ for c in _classes()}
    assert named <= drawn


def test_exit_codes_are_distinct_where_they_matter() -> None:
    """A script can tell a wrong setting from a dead token from a missing database."""
    codes = [
        errors.ConfigurationError.exit_code,
        errors.AuthenticationError.exit_code,
        errors.DatabaseUnavailable.exit_code,
    ]
    assert len(set(codes)) == 3
    assert errors.OptionlakeError.exit_code not in codes
