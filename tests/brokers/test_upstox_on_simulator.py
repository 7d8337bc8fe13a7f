"""The whole adapter against the simulated exchange: list, plan, fetch, parse, subscribe, decode."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from websockets.sync.client import connect

from brokers.budget import Budget
from brokers.interface import FEED_COLUMNS, FrameKind, Instrument, Mode, Secret
from brokers.planner import chain_plan, feed_plan
from brokers.upstox.auth import StaticToken, TokenKind
from brokers.upstox.codec import decode, subscribe
from brokers.upstox.rest import RetryPolicy, Upstox
from market.contract import Kind
from market.errors import AuthenticationError, BrokerUnavailable, MalformedResponse, RateLimited
from market.rules import IST
from simulator.access.tokens import mint
from tests.fix_simulator import SimulatedExchange

SYMBOLS = ("NIFTY", "SENSEX", "RELIANCE")
QUICK = RetryPolicy(attempts=3, first_delay_seconds=0.01, longest_delay_seconds=0.02)


def _broker(
    simulator: SimulatedExchange, tmp_path: Path, token: str | None = None
) -> tuple[Upstox, Budget]:
    budget = Budget(tmp_path / "calls")
    tokens = StaticToken(Secret(token or simulator.token), simulator.clock)
    broker = Upstox(simulator.url, simulator.url, tokens, budget, SYMBOLS, retries=QUICK)
    return broker, budget


def _today(simulator: SimulatedExchange) -> date:
    return simulator.clock().astimezone(IST).date()


def _spot(listed: tuple[Instrument, ...], symbol: str) -> Instrument:
    return next(i for i in listed if str(i.contract) == symbol)


def test_master_lists_what_was_asked_for(simulator: SimulatedExchange, tmp_path: Path) -> None:
    """Every symbol has a spot and live options on its own exchange, and no dummy slips in."""
    listed = tuple(_broker(simulator, tmp_path)[0].instruments())
    assert {i.contract.symbol for i in listed} == set(SYMBOLS)
    assert {_spot(listed, s).underlying.exchange for s in SYMBOLS} == {"NSE", "BSE"}
    options = [i for i in listed if i.contract.kind is Kind.OPTION]
    assert {i.contract.symbol for i in options} == set(SYMBOLS)
    assert all(i.broker_key.startswith(f"{i.underlying.exchange}_FO|") for i in options)
    assert all((i.contract.expiry or date.min) >= _today(simulator) for i in options)
    assert all(i.lot_size_units and i.tick_size_rupees == 0.05 for i in options)


def test_planned_chains_parse_and_join_the_listing(
    simulator: SimulatedExchange, tmp_path: Path
) -> None:
    """Every planned chain is a QUOTES frame of exactly the listed contracts, with their lots."""
    broker, budget = _broker(simulator, tmp_path)
    listed = tuple(broker.instruments())
    plan = chain_plan(listed, SYMBOLS, 2, _today(simulator))
    assert [request.underlying.contract.symbol for request in plan] == [*SYMBOLS, *SYMBOLS]
    for request in plan:
        payload = broker.chain(request.underlying, request.expiry)
        quotes = broker.parse_chain(payload, listed)
        symbol = request.underlying.contract.symbol
        expected = {
            str(i.contract): i.lot_size_units
            for i in listed
            if (i.contract.symbol, i.contract.expiry) == (symbol, request.expiry)
            and i.contract.kind is Kind.OPTION
        }
        assert dict(quotes.select("contract_id", "lot_size_units").iter_rows()) == expected
        volatility = quotes["vendor_implied_volatility"].drop_nulls()
        assert volatility.len() > 0 and volatility.is_between(0.01, 3).all()
    assert budget.usage()[-1].used == len(plan)


def test_prices_and_status(simulator: SimulatedExchange, tmp_path: Path) -> None:
    """Spots by key, and the exchange's own word for its state."""
    broker, _ = _broker(simulator, tmp_path)
    listed = tuple(broker.instruments())
    keys = [_spot(listed, symbol).broker_key for symbol in SYMBOLS]
    prices = broker.last_prices(keys)
    assert set(prices) == set(keys)
    assert all(price > 0 for price in prices.values())
    assert broker.market_status("NSE") == "NORMAL_OPEN"


def test_feed_from_address_to_columns(simulator: SimulatedExchange, tmp_path: Path) -> None:
    """Authorised, connected, subscribed: status first, then a snapshot of the whole plan."""
    broker, _ = _broker(simulator, tmp_path)
    listed = tuple(broker.instruments())
    spots = broker.last_prices([_spot(listed, symbol).broker_key for symbol in SYMBOLS])
    by_symbol = {s: spots[_spot(listed, s).broker_key] for s in SYMBOLS}
    plan = feed_plan(listed, by_symbol, 2, _today(simulator), broker.capabilities())
    with connect(broker.authorize_feed(), max_size=2**24, proxy=None) as socket:
        status = decode(_binary(socket.recv(10)))
        assert status.kind is FrameKind.STATUS
        assert status.market_status["NSE_FO"] == "NORMAL_OPEN"
        socket.send(subscribe(plan.keys(Mode.FULL), Mode.FULL))
        snapshot = decode(_binary(socket.recv(10)))
    assert snapshot.kind is FrameKind.SNAPSHOT
    assert set(snapshot.keys) == set(plan.keys(Mode.FULL))
    assert snapshot.values.shape == (3 + 2 + 3 * 5 * 2, len(FEED_COLUMNS))
    assert not np.isnan(snapshot.column("last_price")).any()
    derived = {i.broker_key: i.contract.kind for i in plan.instruments if i.contract.expiry}
    # Futures and options tell open interest, options the vendor's figures, spots neither.
    for name, kinds in (
        ("open_interest_units", {Kind.FUTURE, Kind.OPTION}),
        ("vendor_implied_volatility", {Kind.OPTION}),
    ):
        expected = [derived.get(key) in kinds for key in snapshot.keys]
        assert (~np.isnan(snapshot.column(name))).tolist() == expected


def test_address_is_for_one_connection(simulator: SimulatedExchange, tmp_path: Path) -> None:
    """Each connection needs its own authorisation."""
    broker, _ = _broker(simulator, tmp_path)
    assert broker.authorize_feed() != broker.authorize_feed()


def test_expired_token_is_refused_here_and_there(
    simulator: SimulatedExchange, tmp_path: Path
) -> None:
    """Locally before any call; and by the broker, if the token does not tell its time."""
    old = mint(simulator.clock() - timedelta(days=2), timedelta(days=1))
    broker, budget = _broker(simulator, tmp_path, old)
    with pytest.raises(AuthenticationError, match="expired at"):
        broker.authorize_feed()
    broker, budget = _broker(simulator, tmp_path / "other", "opaque")
    with pytest.raises(AuthenticationError) as caught:
        broker.authorize_feed()
    assert (caught.value.status, caught.value.code) == (401, "UDAPI100050")
    assert budget.usage()[0].used == 1
    assert StaticToken(Secret(simulator.token), simulator.clock).claims.kind is TokenKind.LOGIN


@pytest.mark.parametrize(("status", "kind"), [(500, BrokerUnavailable), (429, RateLimited)])
def test_failures_are_retried_and_then_told(
    simulator: SimulatedExchange,
    tmp_path: Path,
    status: int,
    kind: type[BrokerUnavailable | RateLimited],
) -> None:
    """Two refusals are survived; a lasting one is its error, after the policy's attempts."""
    broker, budget = _broker(simulator, tmp_path)
    listed = tuple(broker.instruments())
    (request,) = chain_plan(listed, ("NIFTY",), 1, _today(simulator))
    simulator.control.refuse_chain("NIFTY", status, 2)
    assert broker.chain(request.underlying, request.expiry).body
    simulator.control.refuse_chain("NIFTY", status)
    with pytest.raises(kind) as caught:
        broker.chain(request.underlying, request.expiry)
    assert caught.value.status == status
    assert budget.usage()[-1].used == 3 + QUICK.attempts


def test_chain_of_no_expiry_is_malformed(simulator: SimulatedExchange, tmp_path: Path) -> None:
    """A day on which nothing expires gives an empty answer, which is no chain."""
    broker, _ = _broker(simulator, tmp_path)
    listed = tuple(broker.instruments())
    payload = broker.chain(_spot(listed, "NIFTY"), date(2030, 1, 1))
    with pytest.raises(MalformedResponse, match="NIFTY for 2030-01-01"):
        broker.parse_chain(payload, listed)


def _binary(message: str | bytes) -> bytes:
    assert isinstance(message, bytes)
    return message
