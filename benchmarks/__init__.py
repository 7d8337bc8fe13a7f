"""Measurements behind every performance claim: ``python -m benchmarks NAME --json``.

Each prints medians and ratios to a peer or a limit measured in the same run. Tests do not time.
"""
