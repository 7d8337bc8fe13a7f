"""All 33 rules by number, what each needs to know, and ``check_analysis``, which asks them.

A rule never repairs and never drops rows; blocking on severity ``E`` is the caller's choice. What a
rule does stands in the module of its subject.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar, cast

import polars as pl

from transforms.quality import agreement, arbitrage, feed, interest, model, quotes, series
from transforms.quality.case import Case, Circumstances, Snapshot, case_of
from transforms.quality.findings import EXPIRY
from transforms.schemas import VIOLATIONS

Find = Callable[[Case], pl.DataFrame]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Part:
    """One question of a rule: the ``Circumstances`` that it cannot be asked without, and itself."""

    needs: tuple[str, ...]
    find: Find


@dataclass(frozen=True, slots=True)
class Rule:
    """A data-quality rule.

    Attributes:
        number: ``Q01`` … ``Q33``.
        severity: ``E`` blocks publication, ``W`` marks; of several, which is when.
        summary: what breaks it.
        parts: its questions, asked one by one.
    """

    number: str
    severity: str
    summary: str
    parts: tuple[Part, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """All fields of ``Circumstances`` that its questions need."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.needs))


def check_analysis(
    analysis: Snapshot,
    tick_rupees: float,
    expected_symbols: Collection[str],
    beside: Circumstances | None = None,
    numbers: Collection[str] | None = None,
) -> pl.DataFrame:
    """All rules that can be asked of one snapshot, as one ``VIOLATIONS`` frame sorted by rule.

    Args:
        tick_rupees: smallest price step, ₹: the tolerance of price bounds.
        expected_symbols: every underlying that the snapshot should hold.
        beside: what else is known.
        numbers: only these rules; None for all.

    Raises:
        SchemaMismatch: if a frame of ``beside`` does not conform.
    """
    case = case_of(analysis, tick_rupees, expected_symbols, beside or Circumstances())
    found = [
        part.find(case)
        for rule in RULES
        if numbers is None or rule.number in numbers
        for part in rule.parts
        if all(case.knows(name) for name in part.needs)
    ]
    places = (*EXPIRY, "strike")
    whole = pl.concat([VIOLATIONS.empty(), *found])
    return whole.sort("rule", *places, nulls_last=True, maintain_order=True)


def _given(value: _T | None) -> _T:
    """A need, which was seen to be there before the question is asked."""
    return cast(_T, value)


def _always(find: Find) -> tuple[Part, ...]:
    return (Part((), find),)


def _with(needs: str, find: Find) -> tuple[Part, ...]:
    return (Part(tuple(needs.split()), find),)


def _while_trading(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The same, but silent unless the underlyings trade continuously."""
    return tuple(Part(part.needs, _silent_unless_trading(part.find)) for part in parts)


def _silent_unless_trading(find: Find) -> Find:
    return lambda case: find(case) if case.is_continuous else VIOLATIONS.empty()


RULES: tuple[Rule, ...] = (
    Rule(
        "Q01",
        "W; E from three",
        "over two intervals old, or the same answer as in the window before, in trading hours",
        _while_trading(
            _with(
                "interval_seconds",
                lambda c: feed.snapshot_age(c.series, _given(c.beside.interval_seconds)),
            )
            + _with(
                "payloads earlier_payloads",
                lambda c: feed.repeated_payloads(
                    feed.ANSWERS.conform(_given(c.beside.payloads)),
                    feed.ANSWERS.conform(_given(c.beside.earlier_payloads)),
                ),
            )
        ),
    ),
    Rule(
        "Q02",
        "E",
        "dated over 2 s after it came, or before the message before",
        _always(lambda c: feed.clock_order(feed.stamps_of(c.contracts)))
        + _with("stamps", lambda c: feed.clock_order(feed.STAMPS.conform(_given(c.beside.stamps)))),
    ),
    Rule(
        "Q03",
        "E; W",
        "bid above ask; bid equal to ask",
        _always(lambda c: quotes.crossed_quotes(c.contracts)),
    ),
    Rule(
        "Q04",
        "W",
        "no bid, no ask, or neither",
        _always(lambda c: quotes.one_sided_quotes(c.contracts)),
    ),
    Rule(
        "Q05",
        "E",
        "zero in place of a known open interest or volume",
        _with("previous", lambda c: interest.zero_over_known(c.paired)),
    ),
    Rule(
        "Q06",
        "W",
        "a price that is no multiple of the tick",
        _always(lambda c: quotes.off_tick_prices(c.contracts, c.tick_rupees)),
    ),
    Rule(
        "Q07",
        "E",
        "ask below discounted intrinsic value, or bid above D·F (call), D·K (put), by over a tick",
        _always(lambda c: arbitrage.price_bounds(c.contracts, c.tick_rupees)),
    ),
    Rule(
        "Q08",
        "W",
        "bid above the ask of a better strike, by over a tick",
        _always(lambda c: arbitrage.monotone_strikes(c.chain, c.tick_rupees)),
    ),
    Rule(
        "Q09",
        "W",
        "vertical spread sold for over its discounted width and a tick",
        _always(lambda c: arbitrage.vertical_spreads(c.chain, c.tick_rupees)),
    ),
    Rule(
        "Q10",
        "W",
        "butterfly, weighted by uneven strikes, bought for less than nothing by over a tick",
        _always(lambda c: arbitrage.butterflies(c.chain, c.tick_rupees)),
    ),
    Rule(
        "Q11",
        "W; E over 20 % of strikes",
        "call less put misses D·(F − K), or strikes share no forward, by over a tick",
        _always(lambda c: arbitrage.put_call_parity(c.chain, c.tick_rupees)),
    ),
    Rule(
        "Q12",
        "W",
        "total variance bid above that asked for at equal ln(K/F) in the next expiry",
        _always(lambda c: arbitrage.calendar_variance(c.chain)),
    ),
    Rule(
        "Q13",
        "W",
        "spread above ₹0.5 and 20 % of the mid",
        _always(lambda c: quotes.wide_spreads(c.contracts)),
    ),
    Rule(
        "Q14",
        "W",
        "last price over one spread outside bid and ask, or over 60 s old with no fit quote",
        _always(lambda c: quotes.unusable_last_prices(c.contracts, c.tick_rupees)),
    ),
    Rule(
        "Q15",
        "E; W",
        "open interest negative; no multiple of the lot",
        _always(lambda c: interest.open_interest(c.contracts)),
    ),
    Rule(
        "Q16",
        "E",
        "open interest changed by over 30 %, ten MADs and all that was traded",
        _with("previous", lambda c: interest.impossible_changes(c.paired)),
    ),
    Rule(
        "Q17",
        "E",
        "day's volume decreased",
        _with("previous", lambda c: interest.volume_resets(c.paired)),
    ),
    Rule(
        "Q18",
        "E",
        "an expiry's open interest jumped by about the lot size",
        _with("previous", lambda c: interest.unit_flips(c.paired)),
    ),
    Rule(
        "Q19",
        "W",
        "strikes missing inside a chain or within ten of the money; strikes new since the last one",
        _always(lambda c: series.missing_strikes(c.chain))
        + _with("previous", lambda c: series.new_strikes(c.paired)),
    ),
    Rule(
        "Q20",
        "E",
        "a series that has settled, or that nobody asked for",
        _always(lambda c: series.expired_series(c.contracts))
        + _with(
            "requested",
            lambda c: series.unrequested_series(
                c.series, series.REQUESTED.conform(_given(c.beside.requested))
            ),
        ),
    ),
    Rule(
        "Q21",
        "W",
        "lot other than in the dated table; finest strike step other than before",
        _with("rules", lambda c: series.lot_sizes(c.series, _given(c.beside.rules)))
        + _with("previous", lambda c: series.strike_steps(c.paired, _given(c.beside.previous))),
    ),
    Rule(
        "Q22",
        "E until mapped",
        "adjusted strikes; spot moved by the ratio of a split or bonus",
        _always(lambda c: series.adjusted_strikes(c.contracts, c.beside.mapped_symbols))
        + _with("previous", lambda c: series.split_gaps(c.series, c.beside.mapped_symbols)),
    ),
    Rule(
        "Q23",
        "E",
        "spot over 3 s old, moved as none of its parts, or 0.5 % off the nearest forward",
        _while_trading(
            _always(lambda c: model.spot_against_forward(c.series))
            + _with(
                "spots", lambda c: model.stale_spots(model.SPOTS.conform(_given(c.beside.spots)))
            )
        ),
    ),
    Rule(
        "Q24",
        "W",
        "implied volatility outside 1 % to 300 %, or ten points off the last at the same forward",
        _always(lambda c: model.volatility_range(c.contracts))
        + _with("previous", lambda c: model.volatility_jumps(c.paired)),
    ),
    Rule(
        "Q25",
        "W",
        "vendor's delta 0.05, or volatility a point, from our own near the money",
        _always(lambda c: model.vendor_greeks(c.contracts)),
    ),
    Rule(
        "Q26",
        "E",
        "published sums or ratios differ from the contracts'",
        _always(lambda c: agreement.sums_agree(c.contracts, c.expiries)),
    ),
    Rule(
        "Q27",
        "W; E under 80 %",
        "under 95 % of the underlyings have a chain",
        _always(lambda c: feed.coverage(c.contracts["symbol"].unique(), c.expected_symbols)),
    ),
    Rule(
        "Q28",
        "E",
        "no tick of any index for 15 s in session: reconnect",
        _with("feed_health", lambda c: feed.mute_socket(_given(c.beside.feed_health))),
    ),
    Rule(
        "Q29",
        "E",
        "token invalid, or a call refused: page a person",
        _with("token_health", lambda c: feed.token_health(_given(c.beside.token_health))),
    ),
    Rule(
        "Q30",
        "E",
        "settlement phase differs from the dated tables'",
        _with("rules", lambda c: series.settlement_states(c.expiries, _given(c.beside.rules))),
    ),
    Rule(
        "Q31",
        "E",
        "live rows differ from their replay",
        _with(
            "live replayed",
            lambda c: agreement.replay_agrees(_given(c.beside.live), _given(c.beside.replayed)),
        ),
    ),
    Rule(
        "Q32",
        "W",
        "alert on a banned name, or over the freeze quantity, without its tag",
        _with(
            "alerts",
            lambda c: feed.untagged_alerts(
                feed.ALERTS.conform(_given(c.beside.alerts)),
                c.beside.banned_symbols,
                c.beside.freeze_units,
            ),
        ),
    ),
    Rule(
        "Q33",
        "E",
        "median vendor volatility over our own is near 100 or 0.01",
        _always(lambda c: model.vendor_unit(c.contracts)),
    ),
)
"""Every rule, by number."""
