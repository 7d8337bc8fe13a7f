"""The list of rules and ``check_analysis``: all at once, on sound chains and on broken ones."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.strategies import AS_OF, EXPIRIES, TICK, Truth
from tests.transforms.quality.sound import (
    LOT,
    TRUTH,
    Chain,
    beside,
    chain_of,
    expiries_of,
    later,
    previous_of,
    put_in,
    sound_truths,
    told,
)
from transforms import quality
from transforms.quality import FeedHealth, TokenHealth
from transforms.quality.feed import ALERTS, STAMPS
from transforms.quality.model import SPOTS
from transforms.quality.registry import RULES
from transforms.schemas import VIOLATIONS

SOUND = chain_of(TRUTH)
NEXT = date(2027, 1, 26)
MONEY = 24_100.0


def check(chain: Chain, symbols: tuple[str, ...] = ("NIFTY",), **known: Any) -> pl.DataFrame:
    """Everything that can be asked, beside a quiet snapshot before."""
    around = beside(chain.contracts, **known)
    return quality.check_analysis(chain, TICK, symbols, around)


def test_every_rule_is_listed_once() -> None:
    """Q01 to Q33, in order, each with a severity that the violations know and a summary."""
    assert [rule.number for rule in RULES] == [f"Q{i:02}" for i in range(1, 34)]
    assert {part for rule in RULES for part in rule.severity[:1]} == {"E", "W"}
    assert all(rule.summary and rule.parts for rule in RULES)


def test_needs_are_circumstances() -> None:
    """A rule needs what can be handed in; what it needs is one field each."""
    fields = set(quality.Circumstances.__dataclass_fields__)
    assert {name for rule in RULES for name in rule.needs} <= fields


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.number)
def test_the_page_of_formulas_lists_it(rule: quality.Rule) -> None:
    """What users read about a rule is what the list says."""
    page = (Path(__file__).parents[3] / "docs" / "formulas.md").read_text(encoding="utf-8")
    assert f"| {rule.number} | {rule.summary} | {rule.severity} |" in page


@settings(max_examples=25, deadline=None)
@given(sound_truths())
def test_a_sound_chain_breaks_no_rule(truth: Truth) -> None:
    """Free of arbitrage, rounded to ticks, two expiries: nobody is told anything."""
    chain = chain_of(truth, later(truth, NEXT))
    assert_frame_equal(check(chain), VIOLATIONS.empty())


def test_the_short_call_asks_what_it_can() -> None:
    """Without anything beside the snapshot, the rules of one snapshot are asked alone."""
    broken = put_in(SOUND.contracts, MONEY, True, open_interest_units=-1.0)
    chain = Chain(broken, SOUND.expiries)
    found = quality.check_analysis(chain, TICK, ["NIFTY", "SENSEX"])
    assert told(found) == [("Q15", "E", MONEY), ("Q26", "E", None), ("Q27", "E", None)]


def test_some_rules_alone() -> None:
    """Only what was named is asked; of nothing, nothing."""
    broken = put_in(SOUND.contracts, MONEY, True, open_interest_units=-1.0, bid_price=0.0)
    chain = Chain(broken, SOUND.expiries)
    assert told(quality.check_analysis(chain, TICK, (), numbers=["Q15"])) == [("Q15", "E", MONEY)]
    assert quality.check_analysis(chain, TICK, (), numbers=["Q28"]).is_empty()


def leg(**columns: object) -> pl.DataFrame:
    """The sound contracts with the at-the-money call changed."""
    return put_in(SOUND.contracts, MONEY, True, **columns)


def earlier(**columns: object) -> dict[str, object]:
    """A previous snapshot in which the at-the-money call was otherwise."""
    then = put_in(SOUND.contracts, MONEY, True, **columns)
    return {"previous": previous_of(then)}


def whole(**columns: pl.Expr) -> pl.DataFrame:
    """The sound contracts, all changed."""
    return SOUND.contracts.with_columns(**columns)


FLOAT = pl.Float64
IDENTICAL = pl.DataFrame(
    {"symbol": ["NIFTY"], "expiry": [TRUTH.expiry], "sha256": ["a"], "window_start_at": [AS_OF]}
)
DEFECTS: dict[str, tuple[pl.DataFrame, dict[str, object], list[tuple[object, ...]]]] = {
    "Q01 age": (
        whole(quoted_at=pl.col("as_of") - pl.duration(seconds=601)),
        {},
        [("Q01", "W", None)],
    ),
    "Q01 repeated": (
        SOUND.contracts,
        {"payloads": IDENTICAL, "earlier_payloads": IDENTICAL},
        [("Q01", "W", None)],
    ),
    "Q02": (
        leg(last_traded_at=pl.col("quoted_at") + pl.duration(hours=5, minutes=30)),
        {},
        [("Q02", "E", MONEY)],
    ),
    "Q02 socket": (
        SOUND.contracts,
        {
            "stamps": pl.DataFrame(
                [("NIFTY", None, None, AS_OF, AS_OF, AS_OF + timedelta(seconds=1))],
                schema=STAMPS.polars,
                orient="row",
            )
        },
        [("Q02", "E", None)],
    ),
    "Q03 crossed": (leg(bid_price=pl.col("ask_price") + TICK), {}, [("Q03", "E", MONEY)]),
    "Q03 locked": (
        leg(bid_price=pl.col("last_price"), ask_price=pl.col("last_price")),
        {},
        [("Q03", "W", MONEY)],
    ),
    "Q04": (leg(bid_price=0.0), {}, [("Q04", "W", MONEY)]),
    "Q05": (leg(volume_units=0), earlier(), [("Q05", "E", MONEY)]),
    "Q06": (leg(last_price=pl.col("last_price") + 0.01), {}, [("Q06", "W", MONEY)]),
    "Q13": (
        leg(bid_price=(pl.col("bid_price") * 0.75 / TICK).round() * TICK),
        {},
        [("Q13", "W", MONEY)],
    ),
    "Q14": (leg(last_price=pl.col("ask_price") + 0.5), {}, [("Q14", "W", MONEY)]),
    "Q15": (leg(open_interest_units=65_001.0), earlier(open_interest_units=65_001.0), []),
    "Q16": (SOUND.contracts, earlier(open_interest_units=6_500.0), [("Q16", "E", MONEY)]),
    "Q17": (SOUND.contracts, earlier(volume_units=195), [("Q17", "E", MONEY)]),
    "Q18": (
        SOUND.contracts,
        {"previous": previous_of(whole(open_interest_units=pl.col("open_interest_units") / LOT))},
        [("Q18", "E", None)],
    ),
    "Q19 hole": (
        SOUND.contracts.filter(pl.col("strike") != 24_500),
        {},
        [("Q19", "W", 24_500.0)],
    ),
    "Q20": (
        SOUND.contracts,
        {"requested": pl.DataFrame({"symbol": ["NIFTY"], "expiry": [EXPIRIES[1]]})},
        [("Q20", "E", None)],
    ),
    "Q21": (
        whole(lot_size_units=pl.lit(50), open_interest_units=pl.lit(65_000.0)),
        {},
        [("Q21", "W", None)],
    ),
    "Q22": (
        SOUND.contracts,
        {"previous": previous_of(whole(spot=pl.col("spot") * 2))},
        [("Q22", "E", None)],
    ),
    "Q23": (whole(spot=pl.col("spot") * 1.012), {}, [("Q23", "E", None)]),
    "Q23 age": (
        SOUND.contracts,
        {
            "spots": pl.DataFrame(
                [("NIFTY", 3.5, None, None, None)], schema=SPOTS.polars, orient="row"
            )
        },
        [("Q23", "E", None)],
    ),
    "Q24": (leg(implied_volatility=3.5), earlier(implied_volatility=3.5), [("Q24", "W", MONEY)]),
    "Q24 jump": (
        SOUND.contracts,
        {"previous": previous_of(put_in(SOUND.contracts, 24_200.0, True, implied_volatility=0.3))},
        [("Q24", "W", 24_200.0)],
    ),
    "Q25": (leg(vendor_delta=pl.col("delta_forward") + 0.06), {}, [("Q25", "W", MONEY)]),
    "Q28": (SOUND.contracts, {"feed_health": FeedHealth(True, 16.0)}, [("Q28", "E", None)]),
    "Q29": (SOUND.contracts, {"token_health": TokenHealth(False)}, [("Q29", "E", None)]),
    "Q31": (
        SOUND.contracts,
        {"live": SOUND.contracts, "replayed": leg(delta_forward=0.5)},
        [("Q31", "E", MONEY)],
    ),
    "Q32": (
        SOUND.contracts,
        {
            "alerts": pl.DataFrame(
                [("NIFTY", None, None, None, [])], schema=ALERTS.polars, orient="row"
            ),
            "banned_symbols": ("NIFTY",),
        },
        [("Q32", "W", None)],
    ),
    "Q33": (
        whole(vendor_implied_volatility=100 * pl.col("implied_volatility")),
        {},
        [("Q33", "E", None)],
    ),
}
DEFECTS["Q15"] = (*DEFECTS["Q15"][:2], [("Q15", "W", MONEY)])


@pytest.mark.parametrize("name", DEFECTS)
def test_one_defect_is_told_once_at_its_place(name: str) -> None:
    """All rules are asked, and only the one that was broken answers, where it was broken."""
    contracts, known, expected = DEFECTS[name]
    around = {"previous": previous_of(contracts)} | known
    assert told(check(Chain(contracts, expiries_of(contracts)), **around)) == expected


def test_published_frames_that_disagree() -> None:
    """Q26, Q27 and Q30: sums, symbols and phases that the contracts or the tables contradict."""
    wrong = SOUND.expiries.with_columns(
        pl.col("pcr_volume") + 0.1, settlement_phase=pl.lit("averaging")
    )
    found = check(Chain(SOUND.contracts, wrong), ("NIFTY", "SENSEX"))
    assert told(found) == [("Q26", "E", None), ("Q27", "E", None), ("Q30", "E", None)]


def test_a_closed_market_may_stand_still() -> None:
    """Q01 and Q23 are not asked outside continuous trading."""
    old = whole(quoted_at=pl.col("as_of") - pl.duration(hours=1), spot=pl.col("spot") * 1.012)
    chain = Chain(old, expiries_of(old))
    known = {"previous": previous_of(old)}
    assert set(check(chain, **known)["rule"]) == {"Q01", "Q23"}
    for phase in ("auction", "closed"):
        assert check(chain, underlying_phase=phase, **known).is_empty()


def test_an_empty_analysis_breaks_no_rule() -> None:
    """No rows, no finding; but the symbols that should be there are missed."""
    empty = Chain(SOUND.contracts.clear(), SOUND.expiries.clear())
    assert check(empty, ()).is_empty()
    assert told(check(empty)) == [("Q27", "E", None)]


NUMBERS = [
    name
    for name, dtype in SOUND.contracts.schema.items()
    if dtype.is_numeric() and name not in {"strike", "years_to_expiry", "rate"}
]
bad_integers = st.sampled_from([None, 0, -1])
bad_floats = st.sampled_from([None, float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1e300])


@st.composite
def spoilt(draw: st.DrawFn) -> pl.DataFrame:
    """The sound contracts with nonsense in some cells."""
    frame = SOUND.contracts
    for _ in range(draw(st.integers(1, 6))):
        name = draw(st.sampled_from(NUMBERS))
        rows = draw(st.lists(st.integers(0, len(frame) - 1), min_size=1, max_size=60))
        value = draw(
            bad_floats if frame.schema[name].is_float() else st.sampled_from([None, 0, -1])
        )
        is_hit = pl.int_range(pl.len()).is_in(rows)
        lit = pl.lit(value, frame.schema[name])
        frame = frame.with_columns(pl.when(is_hit).then(lit).otherwise(name).alias(name))
    return frame


@settings(max_examples=60, deadline=None)
@given(spoilt(), spoilt())
def test_nonsense_never_raises(now: pl.DataFrame, then: pl.DataFrame) -> None:
    """Whatever the numbers are, each violation has a rule, a place and words."""
    found = check(Chain(now, SOUND.expiries), previous=previous_of(then))
    assert found.schema == VIOLATIONS.polars
    assert found["detail"].null_count() == 0
    assert found["rule"].to_list() == sorted(found["rule"])


def test_nulls_everywhere_never_raise() -> None:
    """A chain of which nothing but its contracts is known."""
    blank = SOUND.contracts.with_columns(
        pl.lit(None, SOUND.contracts.schema[name]).alias(name) for name in NUMBERS
    )
    found = check(Chain(blank, expiries_of(blank)))
    assert told(found) == [("Q04", "W", None)]
