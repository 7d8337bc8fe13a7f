"""From the broker's units to ours; beyond this folder nobody sees paise, percent or epoch numbers.

Small pure functions only. Which field of which answer is in which unit is known by the readers
(``instruments``, ``chain``).
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

from market.rules import IST

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rupees_from_paise(paise: float) -> float:
    """Tick sizes of the instrument master: 5.0 paise are ₹0.05."""
    return paise / 100


def fraction_from_percent(percent: float) -> float:
    """Implied volatility of the option chain: 12.77 is 0.1277 (the socket sends a fraction)."""
    return percent / 100


def expiry_from_ms(epoch_ms: int) -> date:
    """The expiry date (IST) of the master's epoch milliseconds, which mark 23:59:59 IST.

    Raises:
        ValueError: if the number is no instant that a date can hold.
    """
    try:
        return (_EPOCH + timedelta(milliseconds=epoch_ms)).astimezone(IST).date()
    except OverflowError as error:
        raise ValueError(f"{epoch_ms} is not epoch milliseconds") from error


def known(value: float | None) -> float | None:
    """A price, quantity or volatility that means something: finite and not zero, else None.

    The broker writes 0 where it has no bid, no trade or no open interest.
    """
    return value if value is not None and value != 0 and math.isfinite(value) else None
