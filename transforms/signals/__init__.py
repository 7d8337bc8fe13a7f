"""Signals: state machines that are fed with minutes and say when something unusual happened.

Each detector is handed what is known at an instant and keeps only what it was handed: the same
minutes give the same signals, live or replayed. Building minutes from ticks and telling people
belong in ``streaming``.
"""
