"""The implied volatility that NSE's website shows, to be compared with and for nothing else.

Our own volatilities are implied in ``smile``.
"""

from __future__ import annotations

import polars as pl

from transforms.greeks import imply

_NSE_RATE = 0.10


def nse_compatible_volatility(contracts: pl.DataFrame) -> pl.DataFrame:
    """Add ``nse_implied_volatility``, only to reproduce the column of that name on NSE's website.

    The website implies from the last price, the underlying's value and an interest rate of 10 %
    (its note on the option chain's page), by Black-Scholes-Merton on spot. That is the same
    equation as Black-76 with the forward S·exp(0.10·T), and so it is solved here. The forward is
    not the market's, so calls and puts of one strike differ: use ``implied_volatility`` for
    anything else.

    Args:
        contracts: with ``last_price``, ``spot``, ``strike`` (₹), ``years_to_expiry``, ``is_call``.

    Returns:
        The contracts with that column, a fraction per √year; null where there is none.
    """
    growth = (_NSE_RATE * pl.col("years_to_expiry")).exp()
    terms = contracts.select(
        "strike",
        "years_to_expiry",
        "is_call",
        premium="last_price",
        forward=pl.col("spot") * growth,
        rate=pl.lit(_NSE_RATE),
    )
    found = imply(terms)["implied_volatility"]
    return contracts.with_columns(found.alias("nse_implied_volatility"))
