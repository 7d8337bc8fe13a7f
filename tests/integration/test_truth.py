"""The exchange's truth against what optionlake makes of its answers, at a frozen instant."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from brokers.budget import UPSTOX_LIMITS, Budget
from brokers.interface import Instrument, Secret
from brokers.planner import chain_plan
from brokers.upstox.auth import StaticToken
from brokers.upstox.rest import Upstox
from market.rules import rules_for
from simulator.access.tokens import mint
from simulator.exchange.market import Market
from simulator.server import SimulatorConfig
from tests.fix_simulator import running_simulator
from transforms.chain import Analysis, analyse

# A Wednesday afternoon: weekly and monthly expiries lie six days to six weeks away.
AT = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
SYMBOLS = ("NIFTY", "SENSEX", "BANKNIFTY", "RELIANCE")
RULES = rules_for("nse")


# Others: an index with months only, minutes before a settlement, the lively open, a quiet noon, the
# stocks' closing auction, half an hour before an index's weekly options settle.
MOMENTS = (
    AT,
    datetime(2026, 11, 26, 9, 52, tzinfo=UTC),
    datetime(2026, 11, 27, 3, 46, 30, tzinfo=UTC),
    datetime(2026, 11, 30, 6, 45, tzinfo=UTC),
    datetime(2026, 11, 25, 9, 55, tzinfo=UTC),
    datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
)


class Taken:
    """Chains taken from the exchange at one instant, as bytes and as analysis."""

    def __init__(self, broker: Upstox, market: Market, at: datetime = AT) -> None:
        self.market = market
        self.listed: tuple[Instrument, ...] = tuple(broker.instruments())
        plan = chain_plan(self.listed, SYMBOLS, 2, at.date())
        self.payloads = [broker.chain(request.underlying, request.expiry) for request in plan]
        quotes = pl.concat([broker.parse_chain(p, self.listed) for p in self.payloads])
        self.analysis: Analysis = analyse(quotes, at, RULES)


@contextmanager
def _broker(folder: Path, clock: Callable[[], datetime]) -> Iterator[tuple[Upstox, Market]]:
    config = SimulatorConfig(seed=11, session="nse", symbols=SYMBOLS, limits=())
    with running_simulator(config, clock) as exchange:
        tokens = StaticToken(Secret(mint(AT)), clock)
        budget = Budget(folder / "budget", UPSTOX_LIMITS)
        yield (
            Upstox(exchange.url, exchange.url, tokens, budget, SYMBOLS, clock=clock),
            exchange.market,
        )


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    """An exchange whose clock stands still, asked through the real adapter."""
    with _broker(tmp_path_factory.mktemp("run"), lambda: AT) as (broker, market):
        yield Taken(broker, market)


def test_every_chain_has_a_forward_near_the_true_one(taken: Taken) -> None:
    """Parity over many strikes beats the spread of each of them."""
    truth = taken.market.truth(AT)
    for row in taken.analysis.expiries.iter_rows(named=True):
        true = truth.forward[row["symbol"], row["expiry"]]
        assert row["forward_status"] == "parity"
        assert abs(row["forward"] / true - 1) < 2e-4


def test_volatilities_are_the_true_smile_within_the_quote(taken: Taken) -> None:
    """A volatility is off by no more than what half a spread and the forward's error explain.

    The spread is a whole number of ticks around the true price, so this is the tick's own bound.
    """
    found = _against_truth(taken, AT)
    assert found.height > 300
    assert found.filter(pl.col("error") > pl.col("bound"))["contract_id"].to_list() == []


def test_volatilities_are_recovered_at_any_moment(tmp_path: Path) -> None:
    """At least 99.9 % of the liquid strikes, over quiet and lively moments and a last half hour.

    Liquid is a strike whose two-sided quote is no wider than a fifth of its middle.
    """
    now = [AT]
    found = []
    with _broker(tmp_path, lambda: now[0]) as (broker, market):
        for moment in MOMENTS:
            now[0] = moment
            found.append(_against_truth(Taken(broker, market, moment), moment))
    every = pl.concat(found)
    width = pl.col("ask_price") - pl.col("bid_price")
    liquid = every.filter(width <= 0.1 * (pl.col("ask_price") + pl.col("bid_price")))
    assert liquid.height > 2_000
    within = liquid.select((pl.col("error") <= pl.col("bound")).mean()).item()
    assert within >= 0.999


def _against_truth(taken: Taken, at: datetime) -> pl.DataFrame:
    """Each strike's volatility beside the true one, with what quote and forward explain.

    One volatility per strike comes from the side that is out of the money.
    """
    truth = taken.market.truth(at)
    ids = [str(row.contract) for row in truth.listing.rows]
    true = pl.DataFrame({"contract_id": ids, "true": truth.implied_volatility})
    forwards = pl.DataFrame(
        [(*series, forward) for series, forward in truth.forward.items()],
        schema=["symbol", "expiry", "true_forward"],
        orient="row",
    )
    price_error = (pl.col("ask_price") - pl.col("bid_price")) / 2
    forward_error = (pl.col("forward") - pl.col("true_forward")).abs()
    price_error = price_error + pl.col("delta_forward").abs() * forward_error
    return (
        taken.analysis.contracts.filter(
            (pl.col("iv_status") == "ok") & (pl.col("premium_source") == "mid"),
            pl.col("is_call") == (pl.col("strike") >= pl.col("forward")),
        )
        .join(true, on="contract_id")
        .join(forwards, on=["symbol", "expiry"])
        .with_columns(
            error=(pl.col("implied_volatility") - pl.col("true")).abs(),
            bound=1.1 * price_error / (100 * pl.col("vega_per_vol_point")) + 1e-4,
        )
    )


def test_put_call_ratios_equal_sums_over_the_raw_bytes(taken: Taken) -> None:
    """Open interest and volume added up by hand from the broker's own JSON."""
    for payload in taken.payloads:
        row = _expiry_row(taken.analysis, payload.symbol, payload.expiry)
        strikes = json.loads(payload.body)["data"]
        for metric, field in (("pcr_open_interest", "oi"), ("pcr_volume", "volume")):
            puts = sum(s["put_options"]["market_data"][field] for s in strikes)
            calls = sum(s["call_options"]["market_data"][field] for s in strikes)
            assert row[metric] == pytest.approx(puts / calls, rel=1e-12)


def test_gamma_exposure_equals_a_hand_computation(taken: Taken) -> None:
    """Γ·OI·S²·0.01/10⁷ with open interest and spot from the raw bytes, calls plus, puts minus."""
    for payload in taken.payloads:
        net = sum(
            _hand_gex(strike, taken.analysis, payload.symbol, payload.expiry)
            for strike in json.loads(payload.body)["data"]
        )
        row = _expiry_row(taken.analysis, payload.symbol, payload.expiry)
        assert row["net_gex_crore_per_percent"] == pytest.approx(net, rel=1e-9)


def _hand_gex(strike: dict[str, object], analysis: Analysis, symbol: str, expiry: date) -> float:
    row = analysis.contracts.filter(
        (pl.col("symbol") == symbol)
        & (pl.col("expiry") == expiry)
        & (pl.col("strike") == strike["strike_price"])
        & pl.col("is_call")
    ).row(0, named=True)
    if row["iv_status"] != "ok":
        return 0.0
    deviation = row["implied_volatility"] * math.sqrt(row["years_to_expiry"])
    d1 = math.log(row["forward"] / row["strike"]) / deviation + deviation / 2
    density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    discount = math.exp(-row["rate"] * row["years_to_expiry"])
    gamma = discount * density / (row["forward"] * deviation)
    spot = strike["underlying_spot_price"]
    open_interest = (
        strike["call_options"]["market_data"]["oi"] - strike["put_options"]["market_data"]["oi"]
    )
    return gamma * open_interest * spot**2 * 0.01 / 1e7


def _expiry_row(analysis: Analysis, symbol: str, expiry: date) -> dict[str, object]:
    return analysis.expiries.filter(
        (pl.col("symbol") == symbol) & (pl.col("expiry") == expiry)
    ).row(0, named=True)
