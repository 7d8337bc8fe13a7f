"""Scripts that derive committed files: run by hand, checked by the tests, not installed."""
