"""Fixtures of a real lake: DuckLake with its catalogue in a database of the test's own."""
