"""Scripts run by hand, not installed: they derive committed files, or search beyond the tests."""
