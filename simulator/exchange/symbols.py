"""The simulated exchange's underlyings: the broker's real keys, invented prices.

The indices' table and the lookup in all; the stocks' table is ``stocks``. What is listed on them on
a given day stands in ``universe``. A stock's lot is its symbol's, not a dated rule as an index's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from market.contract import Kind, Underlying
from market.errors import ConfigurationError
from simulator.exchange.stocks import STOCKS
from simulator.exchange.surface import Smile


@dataclass(frozen=True, slots=True)
class Symbol:
    """One underlying of the simulated exchange.

    Attributes:
        key, token, name: the broker's key, exchange token and long name.
        level: price that the spot wanders about, ₹.
        step: distance of strikes, ₹.
        volatility: of the spot, per year.
        market_share: correlation of the spot with the common market factor.
        basis: carry above the risk-free rate, per year.
        lot_units: lot of a stock; an index's lot is a dated rule.
        has_derivatives: whether futures and options are listed on it.
    """

    underlying: Underlying
    key: str
    token: str
    name: str
    level: float
    step: float
    volatility: float
    market_share: float
    basis: float
    smile: Smile
    lot_units: int | None = None
    has_derivatives: bool = True

    @property
    def is_index(self) -> bool:
        return self.underlying.kind is Kind.INDEX

    @property
    def segment(self) -> str:
        """Where the symbol's derivatives are listed."""
        return f"{self.underlying.exchange}_FO"


# symbol, key, token, level ₹, strike step ₹, volatility, basis per year
_INDICES = (
    ("NIFTY", "NSE_INDEX|Nifty 50", "26000", 26_000.0, 50.0, 0.12, 0.004),
    ("BANKNIFTY", "NSE_INDEX|Nifty Bank", "26009", 58_500.0, 100.0, 0.13, 0.002),
    ("FINNIFTY", "NSE_INDEX|Nifty Fin Service", "26037", 27_500.0, 50.0, 0.13, -0.006),
    ("MIDCPNIFTY", "NSE_INDEX|NIFTY MID SELECT", "26074", 13_500.0, 25.0, 0.15, 0.008),
    ("SENSEX", "BSE_INDEX|SENSEX", "1", 85_000.0, 100.0, 0.12, -0.003),
)
# Indices on which nothing is listed here.
# symbol, key, token, level, volatility, correlation
_SPOT_ONLY = (
    ("INDIAVIX", "NSE_INDEX|India VIX", "26017", 13.0, 0.8, -0.75),
    ("NIFTYNXT50", "NSE_INDEX|Nifty Next 50", "26013", 69_000.0, 0.16, 0.9),
    ("BANKEX", "BSE_INDEX|BANKEX", "12", 65_500.0, 0.13, 0.9),
)


def _index(row: tuple[str, str, str, float, float, float, float]) -> Symbol:
    symbol, key, token, level, step, volatility, basis = row
    return Symbol(
        underlying=Underlying(symbol, Kind.INDEX, key[:3]),
        key=key,
        token=token,
        name=key.partition("|")[2],
        level=level,
        step=step,
        volatility=volatility,
        market_share=0.9,
        basis=basis,
        smile=Smile(correlation=-0.45, steepness=0.75),
    )


def _spot_only(row: tuple[str, str, str, float, float, float]) -> Symbol:
    symbol, key, token, level, volatility, market_share = row
    return replace(
        _index((symbol, key, token, level, level / 100.0, volatility, 0.0)),
        market_share=market_share,
        has_derivatives=False,
    )


def _stock(row: tuple[str, str, str, float, float, int, float]) -> Symbol:
    symbol, isin, token, level, step, lot_units, volatility = row
    return Symbol(
        underlying=Underlying(symbol, Kind.EQUITY, "NSE"),
        key=f"NSE_EQ|{isin}",
        token=token,
        name=symbol,
        level=level,
        step=step,
        volatility=volatility,
        market_share=0.55,
        basis=-0.01,
        smile=Smile(correlation=-0.3, steepness=0.6),
        lot_units=lot_units,
    )


SYMBOLS: Mapping[str, Symbol] = {
    symbol.underlying.symbol: symbol
    for symbol in (*map(_index, _INDICES), *map(_spot_only, _SPOT_ONLY), *map(_stock, STOCKS))
}


def choose(symbols: Sequence[str] | None) -> tuple[Symbol, ...]:
    """The symbols by name, all of them for None.

    Raises:
        ConfigurationError: naming the symbols that the simulated exchange does not know.
    """
    unknown = [name for name in symbols or () if name not in SYMBOLS]
    if unknown:
        indices = ", ".join(name for name, symbol in SYMBOLS.items() if symbol.is_index)
        raise ConfigurationError(
            f"symbols {unknown} are not on the simulated exchange; it lists the indices {indices} "
            f"and the {len(STOCKS)} stocks of simulator/stocks.py, by the NSE's symbols"
        )
    return tuple(SYMBOLS[name] for name in (SYMBOLS if symbols is None else symbols))
