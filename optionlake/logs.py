"""How programs log: one line per event to standard error, instants in UTC.

Secrets are types that do not show themselves (``brokers.interface.Secret``), so nothing is filtered
here by its text. What is worth logging is decided where it happens.
"""

from __future__ import annotations

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Log events of at least ``level`` (debug, info, warning or error)."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
