"""Dagster's code location: partitions, assets, checks, schedules; wiring and nothing more.

Assets call ``brokers``, ``transforms`` and ``storage``; a formula or a SQL string does not belong
here. Nobody imports this package.
"""
