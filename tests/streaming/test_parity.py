"""What is compared with what, against a plain search, and what is said when nothing can be."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS, FeedFrame, FrameKind
from streaming.parity import Parity, ParityConfig

NOON_MS = 1_795_588_200_000
NAN = math.nan
KEYS = ("A", "B", "C")

Told = dict[str, tuple[float, float]]
prices = st.sampled_from([100.0, 100.03, 100.5, 101.0, NAN])
told = st.dictionaries(
    st.sampled_from(KEYS), st.tuples(prices, st.integers(-9, 0) | st.just(NAN)), min_size=1
)


def frame(said: Told, at_ms: float | None, kind: FrameKind = FrameKind.UPDATE) -> FeedFrame:
    """A frame published ``at_ms`` after noon; price and trade, ms after noon, of each key."""
    values = np.full((len(said), len(FEED_COLUMNS)), NAN)
    for row, (price, traded_ms) in enumerate(said.values()):
        values[row, FEED_COLUMN_INDEX["last_price"]] = price
        values[row, FEED_COLUMN_INDEX["traded_at_ms"]] = NOON_MS + traded_ms
    published = None if at_ms is None else round(NOON_MS + at_ms)
    return FeedFrame(kind, published, tuple(said), values)


def answer(said: Told, at_ms: float | None) -> FeedFrame:
    """An answer of the quotes call."""
    return frame(said, at_ms, FrameKind.SNAPSHOT)


def test_prices_within_the_tolerance_are_equal() -> None:
    """3 bp is, 50 bp is not; ages are compared by trades."""
    parity = Parity()
    parity.take_socket(frame({"A": (100.0, -100), "B": (100.0, -100)}, 0))
    parity.take_quotes(answer({"A": (100.03, -400), "B": (100.5, -200), "C": (7.0, 0)}, 10))
    report = parity.report()
    assert (report.compared, report.uncompared, report.within_share) == (2, 1, 0.5)
    assert report.worst_difference_bp == pytest.approx(50)
    assert report.median_difference_bp == pytest.approx(26.5)
    assert report.worst_key == "B"
    assert report.median_age_difference_ms == 200
    assert (report.at_ms, report.reason) == (NOON_MS + 10, None)
    assert Parity(ParityConfig(tolerance_bp=60)).report().tolerance_bp == 60


def test_a_socket_price_newer_than_the_answer_is_left_out() -> None:
    """The market moved while the answer travelled: both sources were right."""
    parity = Parity()
    parity.take_socket(frame({"A": (100.0, 0)}, 0))
    parity.take_socket(frame({"A": (105.0, 50)}, 50))
    parity.take_quotes(answer({"A": (100.0, 0)}, 20))
    report = parity.report()
    assert (report.within_share, report.worst_difference_bp) == (1.0, 0.0)


@given(
    st.lists(st.tuples(told, st.integers(0, 100)), max_size=25),
    st.integers(0, 100),
    told,
    st.floats(0.001, 0.2),
)
def test_last_word_up_to_the_answer_is_found(
    said: list[tuple[Told, int]], at_ms: int, over_rest: Told, memory_seconds: float
) -> None:
    """As a plain search over everything finds it, in whatever order frames came.

    Of words older than memory only the last is known, so an answer that is older than memory may
    find none; it never finds a newer one.
    """
    parity = Parity(ParityConfig(memory_seconds=memory_seconds))
    for words, when in said:
        parity.take_socket(frame(words, when))
    parity.take_quotes(answer(over_rest, at_ms))
    report = parity.report()
    newest = max((when for _, when in said), default=0)
    differences, missing, ages = [], 0, []
    for key, (price, traded) in over_rest.items():
        if math.isnan(price):
            continue
        words_of_key = [
            (when, n, words[key])
            for n, (words, when) in enumerate(said)
            if key in words and when <= at_ms and not math.isnan(words[key][0])
        ]
        if not words_of_key:
            missing += 1
            continue
        last = max(words_of_key)[2]
        differences.append(1e4 * abs(price / last[0] - 1))
        ages.append(last[1] - traded)
    if newest - at_ms > 1000 * memory_seconds:
        assert report.compared <= len(differences)
        return
    assert (report.compared, report.uncompared) == (len(differences), missing)
    if differences:
        assert report.worst_difference_bp == pytest.approx(max(differences))
        assert report.median_difference_bp == pytest.approx(median(differences))
        within = sum(d <= report.tolerance_bp for d in differences) / len(differences)
        assert report.within_share == pytest.approx(within)
        known = [age for age in ages if not math.isnan(age)]
        assert report.median_age_difference_ms == (median(known) if known else None)


def test_what_was_said_long_ago_still_counts() -> None:
    """A quiet contract's last price is its price."""
    parity = Parity()
    parity.take_socket(frame({"A": (100.0, 0)}, 0))
    parity.take_socket(frame({"B": (100.0, 0)}, 3_600_000))
    parity.take_quotes(answer({"A": (100.0, 0)}, 3_600_001))
    assert parity.report().within_share == 1.0


def test_a_report_forgets() -> None:
    """A key that is no longer asked for does not stand in the report for ever."""
    parity = Parity()
    parity.take_socket(frame({"A": (100.0, 0), "B": (100.0, 0)}, 0))
    parity.take_quotes(answer({"A": (200.0, 0)}, 1))
    parity.take_quotes(answer({"B": (100.0, 0)}, 700_000))
    report = parity.report()
    assert (report.compared, report.within_share) == (1, 1.0)


def test_nothing_to_compare_has_its_reason() -> None:
    """Null and why, never a share of nothing."""
    parity = Parity()
    assert parity.report().reason == "no answer to compare yet"
    parity.take_quotes(answer({"A": (100.0, 0)}, None))
    assert parity.report().reason == "answers tell no time"
    parity.take_socket(frame({"A": (100.0, 0)}, None))
    parity.take_socket(frame({"A": (100.0, 0)}, 50, FrameKind.STATUS))
    parity.take_quotes(answer({"A": (100.0, 0)}, 10))
    report = parity.report().as_json()
    assert "no price of these keys" in str(report["reason"])
    assert (report["within_share"], report["median_difference_bp"]) == (None, None)
    assert (report["compared"], report["uncompared"]) == (0, 1)
