"""Rules of no arbitrage on whole chains: place, severity and border of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import TICK, Truth
from tests.transforms.quality.sound import TRUTH, chain_of, later, put_in, sound_truths, told
from transforms.quality import arbitrage
from transforms.quality.arbitrage import ladder

SOUND = chain_of(TRUTH).contracts
MONEY = 24_100.0
NEXT = date(2027, 1, 26)
TWO = chain_of(TRUTH, later(TRUTH, NEXT)).contracts
BOTH = pl.col("bid_price"), pl.col("ask_price")


def shifted(strike: float, is_call: bool, rupees: float) -> pl.DataFrame:
    """One leg quoted so much higher on both sides."""
    return put_in(
        SOUND,
        strike,
        is_call,
        bid_price=pl.col("bid_price") + rupees,
        ask_price=pl.col("ask_price") + rupees,
    )


def test_a_ladder_has_a_row_per_strike() -> None:
    """Sorted, both legs beside each other, whatever the order of the contracts was."""
    shuffled = TWO.sample(fraction=1.0, shuffle=True, seed=1)
    chain = ladder(shuffled)
    assert chain.strikes.equals(ladder(TWO).strikes)
    assert chain.starts.tolist() == [0, 27, 54]
    row = chain.strikes.row(5, named=True)
    own = TWO.filter((pl.col("strike") == row["strike"]) & (pl.col("expiry") == row["expiry"]))
    assert own.filter("is_call")["bid_price"].item() == row["call_bid"]
    assert own.filter(~pl.col("is_call"))["ask_price"].item() == row["put_ask"]
    assert chain.firsts["expiry"].to_list() == [TRUTH.expiry, NEXT]


def test_a_ladder_takes_no_crossed_or_padded_quote() -> None:
    """A crossed leg loses both sides, a zero is none, a missing leg is not listed."""
    crossed = put_in(SOUND, MONEY, True, bid_price=pl.col("ask_price") + 1.0)
    padded = put_in(crossed, MONEY, False, ask_price=0.0)
    lone = padded.filter((pl.col("strike") != 24_000) | pl.col("is_call"))
    rows = {row["strike"]: row for row in ladder(lone).strikes.iter_rows(named=True)}
    assert (rows[MONEY]["call_bid"], rows[MONEY]["call_ask"]) == (None, None)
    assert rows[MONEY]["put_bid"] is not None and rows[MONEY]["put_ask"] is None
    assert (rows[24_000.0]["has_call"], rows[24_000.0]["has_put"]) == (True, False)


def test_a_settled_series_has_no_discount() -> None:
    """What has settled is Q20's finding and is compared with nothing."""
    settled = SOUND.with_columns(years_to_expiry=pl.lit(-1e-6))
    assert ladder(settled).strikes["discount"].null_count() == 27


def test_price_bounds() -> None:
    """Q07: an ask below intrinsic value and a bid above the forward, each by more than a tick."""
    low = put_in(SOUND, 23_500.0, True, ask_price=100.0, bid_price=None)
    assert told(arbitrage.price_bounds(low, TICK)) == [("Q07", "E", 23_500.0)]
    high = put_in(SOUND, MONEY, True, bid_price=30_000.0, ask_price=30_001.0)
    assert told(arbitrage.price_bounds(high, TICK)) == [("Q07", "E", MONEY)]
    put = put_in(SOUND, 25_000.0, False, ask_price=500.0, bid_price=None)
    assert told(arbitrage.price_bounds(put, TICK)) == [("Q07", "E", 25_000.0)]


@pytest.mark.parametrize(("ticks", "count"), [(0.9, 0), (1.1, 1)])
def test_price_bounds_allow_a_tick(ticks: float, count: int) -> None:
    """Q07: less than a tick outside is no violation; without a forward nothing is said."""
    gone = (-pl.col("rate") * pl.col("years_to_expiry")).exp() * (pl.col("forward") - 23_500)
    edge = put_in(SOUND, 23_500.0, True, ask_price=gone - ticks * TICK)
    assert arbitrage.price_bounds(edge, TICK).height == count
    blind = edge.with_columns(forward=pl.lit(None, pl.Float64))
    assert arbitrage.price_bounds(blind, TICK).is_empty()


def test_price_bounds_skip_padded_zeros() -> None:
    """Q07: an ask of zero is none, and not cheaper than intrinsic value."""
    assert arbitrage.price_bounds(put_in(SOUND, 23_500.0, True, ask_price=0.0), TICK).is_empty()


@pytest.mark.parametrize(
    ("strike", "is_call", "side"), [(25_000.0, True, "call"), (23_000.0, False, "put")]
)
def test_monotone(strike: float, is_call: bool, side: str) -> None:
    """Q08: a wing that is bid above a better option's ask; the butterfly sees it too."""
    chain = ladder(shifted(strike, is_call, 80.0))
    found = arbitrage.monotone_strikes(chain, TICK)
    assert told(found) == [("Q08", "W", strike)]
    assert f"{side} bid" in found["detail"][0] and "stale leg?" in found["detail"][0]


@pytest.mark.parametrize(("strike", "is_call"), [(23_000.0, True), (25_300.0, False)])
def test_vertical(strike: float, is_call: bool) -> None:
    """Q09: deep in the money a step is nearly worth its width; ₹25 more are too many."""
    found = arbitrage.vertical_spreads(ladder(shifted(strike, is_call, 25.0)), TICK)
    assert told(found) == [("Q09", "W", strike)]


@pytest.mark.parametrize("is_call", [True, False])
def test_butterfly(is_call: bool) -> None:
    """Q10: at the money a step bends the price by some ₹7: so much more is too much."""
    chain = ladder(shifted(MONEY, is_call, 12.0))
    assert told(arbitrage.butterflies(chain, TICK)) == [("Q10", "W", MONEY)]
    assert arbitrage.monotone_strikes(chain, TICK).is_empty()
    assert arbitrage.vertical_spreads(chain, TICK).is_empty()


def test_butterfly_with_uneven_strikes() -> None:
    """Q10: a strike that is lost makes wings uneven, and no false alarm."""
    holed = SOUND.filter(~pl.col("strike").is_in([24_200.0, 24_300.0]))
    assert arbitrage.butterflies(ladder(holed), TICK).is_empty()


@settings(max_examples=30, deadline=None)
@given(sound_truths(), st.data())
def test_one_bumped_quote_is_flagged_and_nothing_else(truth: Truth, data: st.DataObject) -> None:
    """Q10: any inner leg, doubled in price and more, is blamed at its own strike."""
    strike = data.draw(st.sampled_from(truth.strikes[2:-2]))
    is_call = data.draw(st.booleans())
    dear = pl.col("bid_price") * 2 + 100
    bumped = put_in(
        chain_of(truth).contracts, strike, is_call, bid_price=dear, ask_price=dear + 0.2
    )
    chain = ladder(bumped)
    assert told(arbitrage.butterflies(chain, TICK)) == [("Q10", "W", strike)]
    for rule in (arbitrage.monotone_strikes, arbitrage.vertical_spreads):
        assert set(rule(chain, TICK)["strike"]) <= {strike}


@pytest.mark.parametrize(("ticks", "is_told"), [(0.9, False), (1.1, True)])
def test_parity_allows_a_tick(ticks: float, is_told: bool) -> None:
    """Q11: a call bid just so far above the put's ask and D(F − K)."""
    discount = (-pl.col("rate") * pl.col("years_to_expiry")).exp()
    put_ask = SOUND.filter(~pl.col("is_call") & (pl.col("strike") == MONEY))["ask_price"].item()
    bid = discount * (pl.col("forward") - MONEY) + put_ask + ticks * TICK
    edge = put_in(SOUND, MONEY, True, bid_price=bid, ask_price=bid + 0.2)
    found = arbitrage.put_call_parity(ladder(edge), TICK)
    assert told(found) == ([("Q11", "W", MONEY)] if is_told else [])


@pytest.mark.parametrize(("broken", "severity"), [(5, "W"), (6, "E")])
def test_parity_is_an_error_over_a_fifth(broken: int, severity: str) -> None:
    """Q11: 5 of 27 strikes may be stale, 6 are over 20 %: then it is the forward or the spot."""
    strikes = TRUTH.strikes[:broken]
    is_hit = pl.col("strike").is_in(strikes) & pl.col("is_call")
    off = SOUND.with_columns(
        pl.when(is_hit).then(side + 3.0).otherwise(side).alias(side.meta.output_name())
        for side in BOTH
    )
    found = arbitrage.put_call_parity(ladder(off), TICK)
    assert told(found) == [("Q11", severity, strike) for strike in strikes]
    reason = "wrong spot, unpriced dividend or wrong expiry?" if severity == "E" else "stale leg?"
    assert all(words.endswith(reason) for words in found["detail"])


def test_a_wrong_forward_breaks_parity_everywhere() -> None:
    """Q11: a forward that is ₹5 off misses all strikes."""
    wrong = SOUND.with_columns(pl.col("forward") + 5.0)
    found = arbitrage.put_call_parity(ladder(wrong), TICK)
    assert found.height == 27
    assert set(found["severity"]) == {"E"}


def test_strikes_that_share_no_forward() -> None:
    """Q11: without a forward to hold them against, strikes must agree with each other."""
    off = shifted(MONEY, True, 3.0).with_columns(forward=pl.lit(None, pl.Float64))
    found = arbitrage.put_call_parity(ladder(off), TICK)
    assert told(found) == [("Q11", "W", None)]
    blind = SOUND.with_columns(forward=pl.lit(None, pl.Float64))
    assert arbitrage.put_call_parity(ladder(blind), TICK).is_empty()


def test_calendar_variance() -> None:
    """Q12: the next month at half the volatility has less variance than the first: worst strike."""
    wrong = chain_of(TRUTH, replace(later(TRUTH, NEXT), volatility=0.07)).contracts
    found = arbitrage.calendar_variance(ladder(wrong))
    assert found["rule"].to_list() == ["Q12"]
    assert found.select("severity", "expiry").row(0) == ("W", TRUTH.expiry)
    assert str(NEXT) in found["detail"][0]


@pytest.mark.parametrize(("factor", "count"), [(0.999, 0), (1.001, 1)])
def test_calendar_border(factor: float, count: int) -> None:
    """Q12: equal variance is none; a thousandth too much is told at its strike."""
    years = TWO.group_by("expiry", maintain_order=True).agg(pl.col("years_to_expiry").first())
    near, far = years["years_to_expiry"]
    flat = TWO.with_columns(
        implied_volatility_bid=pl.lit(0.01),
        implied_volatility_ask=pl.lit(0.15),
    )
    bid = 0.15 * (far / near) ** 0.5 * factor
    is_near = (pl.col("expiry") == TRUTH.expiry) & (pl.col("strike") == MONEY)
    edge = flat.with_columns(
        implied_volatility_bid=pl.when(is_near).then(bid).otherwise("implied_volatility_bid")
    )
    found = arbitrage.calendar_variance(ladder(edge))
    assert told(found) == [("Q12", "W", MONEY)] * count


def test_other_symbols_have_another_calendar() -> None:
    """Q12: the expiry after is the same symbol's."""
    low = replace(later(TRUTH, NEXT), symbol="OTHER", volatility=0.05)
    assert arbitrage.calendar_variance(ladder(chain_of(TRUTH, low).contracts)).is_empty()
