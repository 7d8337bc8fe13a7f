"""Instruments, numbers and chains that the streaming tests share."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from brokers.interface import Instrument
from market.contract import Contract, Kind, Underlying, parse_contract
from tests.strategies import AS_OF, EXPIRIES, RULES, Truth, quotes_of
from transforms.chain import analyse

EXPIRY = EXPIRIES[1]
TRUTH = Truth("NIFTY", EXPIRY, 24_000.0, 24_050.0, 0.14, 50.0, 6)
NIFTY = Underlying("NIFTY", Kind.INDEX, "NSE")
SPOT_KEY = "NSE_INDEX|Nifty 50"
SPOT = Instrument(Contract("NIFTY", Kind.INDEX), NIFTY, SPOT_KEY)


def contracts(as_of: datetime = AS_OF, truth: Truth = TRUTH) -> pl.DataFrame:
    """A priced chain, as the batch side publishes it."""
    return analyse(quotes_of(truth, as_of=as_of), as_of, RULES).contracts


def options() -> list[Instrument]:
    """The chain's contracts as the broker lists them; the key is the canonical id."""
    return [
        Instrument(parse_contract(name), NIFTY, name, 65)
        for name in contracts().sort("contract_id")["contract_id"]
    ]


def numbers() -> dict[str, int]:
    """Instrument ids as the database would give them."""
    return {str(i.contract): n for n, i in enumerate([SPOT, *options()], 101)}
