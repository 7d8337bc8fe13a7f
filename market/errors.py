"""Every error that optionlake raises on purpose, as one tree.

Only the types stand here: what to do about one (retry, skip, stop) is decided where it is caught,
by type and never by text::

    OptionlakeError
    ├── ConfigurationError          a setting is missing or wrong              (exit code 2)
    ├── BrokerError                 the broker said no, or could not be understood
    │   ├── AuthenticationError     token missing, expired or refused          (exit code 3)
    │   ├── RateLimited             HTTP 429; wait and try again
    │   ├── RequestRejected         the request is wrong; trying again is useless
    │   ├── BrokerUnavailable       network, time-out or 5xx; try again
    │   │   └── BrokerUnreachable   no connection was made: nothing was asked, try again soon
    │   └── MalformedResponse       an answer that breaks the protocol
    ├── FrameError                  a socket frame that cannot be decoded
    ├── StorageError
    │   ├── DatabaseUnavailable     TimescaleDB cannot be reached; try again   (exit code 4)
    │   ├── LakeConflict            another writer won; try again
    │   └── JournalError            the journal cannot be written or read
    └── DataError                   rows that break a promise
        ├── SchemaMismatch          a frame lacks a column or has another type
        ├── LookAhead               rows from after the instant that is described
        └── WindowUnavailable       a past window that no source can still fill

Messages name the input, what was expected and the remedy, in lower case without a full stop.
"""

from __future__ import annotations


class OptionlakeError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class ConfigurationError(OptionlakeError):
    """A setting is missing or wrong."""

    exit_code = 2


class BrokerError(OptionlakeError):
    """The broker refused, failed or could not be understood.

    Args:
        message: what happened, what was expected, what to do.
        status: HTTP status, if an answer came.
        code: the broker's own error code, e.g. ``UDAPI100050``.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class AuthenticationError(BrokerError):
    """The token is missing, expired or refused."""

    exit_code = 3


class RateLimited(BrokerError):
    """Too many requests: wait and try again."""


class RequestRejected(BrokerError):
    """The request itself is wrong: trying it again is useless."""


class BrokerUnavailable(BrokerError):
    """Network failure, time-out or a 5xx answer: try again."""


class BrokerUnreachable(BrokerUnavailable):
    """No connection could be made, so the broker was asked nothing: try again soon."""


class MalformedResponse(BrokerError):
    """An answer that breaks the broker's protocol."""


class FrameError(OptionlakeError):
    """A socket frame that cannot be decoded."""


class StorageError(OptionlakeError):
    """Something below the storage layer failed."""


class DatabaseUnavailable(StorageError):
    """TimescaleDB cannot be reached: try again."""

    exit_code = 4


class LakeConflict(StorageError):
    """Another writer committed first: try again."""


class JournalError(StorageError):
    """The journal cannot be written or read."""


class DataError(OptionlakeError):
    """Rows that break a promise."""


class SchemaMismatch(DataError):
    """A frame lacks a column or has another type."""


class LookAhead(DataError):
    """Rows from after the instant that is described were handed in."""


class WindowUnavailable(DataError):
    """A past window that no source can still fill."""
