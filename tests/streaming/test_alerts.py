"""The desk: minutes of a feed become alerts, alike however it is fed, and nothing stops it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.interface import FEED_COLUMN_INDEX, FEED_COLUMNS, FeedFrame, FrameKind, Instrument
from brokers.keys import FrameKeys
from market.contract import Contract, Kind, Right, Underlying
from market.rules import Rules
from streaming import alerts
from streaming.alerts import AlertDesk, as_json
from transforms.signals.record import Signal
from transforms.signals.watch import SymbolWatch

OPEN_AT = datetime(2026, 11, 25, 3, 45, tzinfo=UTC)
OPEN_MS = int(OPEN_AT.timestamp() * 1000)
INDEX = Underlying("NIFTY", Kind.INDEX, "NSE")
SPOT = Instrument(Contract("NIFTY", Kind.INDEX), INDEX, "spot")
FUTURE = Instrument(Contract("NIFTY", Kind.FUTURE, date(2026, 12, 29)), INDEX, "future", 65)
FAR = Instrument(Contract("NIFTY", Kind.FUTURE, date(2027, 1, 25)), INDEX, "far", 65)
CALL = Contract("NIFTY", Kind.OPTION, date(2026, 12, 1), 24_000.0, Right.CALL)
OPTION = Instrument(CALL, INDEX, "call", 65)
STOCK = Instrument(
    Contract("SBIN", Kind.EQUITY), Underlying("SBIN", Kind.EQUITY, "NSE"), "stock", 750
)
ALL = (FAR, OPTION, SPOT, FUTURE, STOCK)
# Shortly before the end of this minute of the session everything jumps.
JUMP = 40
MINUTES = 45


def desk() -> AlertDesk:
    """One that follows everything."""
    made = AlertDesk(Rules())
    made.follow(ALL)
    return made


def frame(at_ms: float, rows: dict[str, tuple[float, float, float]]) -> FeedFrame:
    """An update: price, volume of the day and open interest by key."""
    values = np.full((len(rows), len(FEED_COLUMNS)), np.nan)
    for name, column in zip(
        ("last_price", "volume_units", "open_interest_units"),
        zip(*rows.values(), strict=True),
        strict=True,
    ):
        values[:, FEED_COLUMN_INDEX[name]] = column
    return FeedFrame(FrameKind.UPDATE, int(at_ms), tuple(rows), values)


def session(seed: int = 0, start_ms: int = OPEN_MS) -> list[FeedFrame]:
    """Frames each 20 s with a jump of price, volume and open interest in minute ``JUMP``."""
    draw, units, made = np.random.default_rng(seed), 0.0, []
    for third in range(3 * MINUTES):
        has_jumped = third >= 3 * JUMP
        units += draw.uniform(300, 500) * (60 if third // 3 == JUMP else 1)
        price = (24_700.0 if has_jumped else 24_000.0) + draw.uniform(-5, 5)
        interest = 1e6 * (1.2 if has_jumped else 1.0)
        nan = float("nan")
        made.append(
            frame(
                start_ms + 20_000 * third,
                {
                    "spot": (price, nan, nan),
                    "future": (price + 50, units, 5e6),
                    "call": (100.0, 1.0, interest),
                    "stock": (price / 30, units, nan),
                    "unknown": (1.0, 1.0, 1.0),
                },
            )
        )
    return made


def rows_of(whole: FeedFrame) -> list[FeedFrame]:
    """The same tick by tick."""
    return [
        replace(whole, keys=(key,), values=whole.values[i : i + 1])
        for i, key in enumerate(whole.keys)
    ]


def said(made: AlertDesk, frames: Sequence[FeedFrame], works_each: int = 1) -> list[Signal]:
    """Everything that is said of these frames, with the work done after every so many."""
    for number, told in enumerate(frames):
        assert told.published_at_ms is not None
        made.take_frame(told, told.published_at_ms)
        if number % works_each == 0:
            made.work(OPEN_AT)
    for _ in range(MINUTES):
        made.work(OPEN_AT + timedelta(hours=1))
    return made.take_outbox()


def test_a_jump_is_noticed_in_everything() -> None:
    """Price of the index, volume of its nearest future, the stock's own, the option's interest."""
    made = desk()
    found = said(made, session())
    told = {(s.kind.value, s.contract_id) for s in found}
    assert told >= {
        ("volume_spike", "NIFTY-20261229-FUT"),
        ("volume_spike", "SBIN"),
        ("donchian_breakout", "NIFTY"),
        ("opening_range_breakout", "SBIN"),
        ("unusual_open_interest", str(CALL)),
    }
    ends = {OPEN_AT + timedelta(minutes=m) for m in (JUMP + 1, JUMP + 2)}
    assert {s.at for s in found if s.kind.value != "vwap_cross"} <= ends
    assert (made.version, made.errors) == (len(found), 0)


@given(st.integers(0, 100), st.integers(1, 200))
@settings(max_examples=10, deadline=None)
def test_ticks_or_batches_make_no_difference(seed: int, works_each: int) -> None:
    """Nor does the moment at which the work is done: only the order of the news counts."""
    whole = said(desk(), session(seed))
    ticks = [part for told in session(seed) for part in rows_of(told)]
    parted = said(desk(), ticks, works_each)
    by_key = {s.key: s for s in whole}
    assert whole
    assert {s.key: s for s in parted} == by_key


def test_levels_of_the_chain_are_crossed() -> None:
    """Told for a symbol that is followed; others are ignored."""
    made, frames = desk(), session()
    made.take_levels("NIFTY", {"call_wall": 24_500.0})
    made.take_levels("SENSEX", {"call_wall": 80_000.0})
    kinds = {s.kind.value for s in said(made, frames)}
    assert "call_wall_cross" in kinds


def test_outside_a_session_nothing_is_judged() -> None:
    """Nobody trades at night."""
    assert said(desk(), session(start_ms=OPEN_MS - 3 * 3_600_000)) == []


def test_frames_that_cannot_be_placed_in_time_are_left_out() -> None:
    """A clock that is hours ahead must not end minutes that are not over."""
    made = desk()
    wild = frame(OPEN_MS + 7_200_000, {"spot": (1.0, 1.0, 1.0)})
    made.take_frame(wild, OPEN_MS)
    made.take_frame(replace(wild, published_at_ms=None), OPEN_MS)
    made.take_frame(replace(wild, kind=FrameKind.STATUS), OPEN_MS)
    assert said(made, session()) == said(desk(), session())


def test_a_failing_detector_costs_its_symbol_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted and survived: the stock is still watched, and frames are still taken."""
    take = SymbolWatch.take

    def broken(self: SymbolWatch, bar: object) -> list[Signal]:
        if self.symbol == "NIFTY":
            raise ZeroDivisionError
        return take(self, bar)  # type: ignore[arg-type]

    monkeypatch.setattr(SymbolWatch, "take", broken)
    made = desk()
    found = said(made, session())
    assert {"SBIN"} <= {s.contract_id for s in found}
    assert "NIFTY" not in {s.contract_id for s in found}
    assert made.errors == MINUTES
    short = frame(OPEN_MS, {"spot": (1.0, 1.0, 1.0)})
    made.take_frame(replace(short, values=np.zeros((2, 3))), OPEN_MS)
    assert made.errors == MINUTES + 1


def test_work_comes_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left waits for the next portion and is not lost."""
    monkeypatch.setattr(alerts, "PORTION", 1)
    made = desk()
    for told in session():
        made.take_frame(told, told.published_at_ms or 0)
    portions = 0
    while made.version < len(said(desk(), session())):
        made.work(OPEN_AT)
        portions += 1
        assert portions <= 2 * MINUTES


def test_lists_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """If nobody takes them the oldest go, counted."""
    monkeypatch.setattr(alerts, "OUTBOX", 2)
    made = desk()
    for told in session():
        made.take_frame(told, told.published_at_ms or 0)
    for _ in range(MINUTES):
        made.work(OPEN_AT)
    assert len(made.take_outbox()) == 2
    assert made.dropped == made.version - 2
    assert made.take_outbox() == []


def test_the_message_is_json_newest_first() -> None:
    """With what an earlier process stored behind; nothing in it is NaN."""
    made, old = desk(), said(desk(), session())
    nameless = replace(old[0], inputs=(("close", float("nan")),))
    made.restore([nameless])
    assert as_json(nameless)["inputs"] == {}
    said(made, session())
    told = json.loads(json.dumps(made.as_json(), allow_nan=False))
    assert (told["type"], told["v"], told["errors"]) == ("alerts", 1, 0)
    assert [a["key"] for a in told["alerts"]] == [s.key for s in reversed([nameless, *old])]
    assert told["alerts"][0]["at_ms"] == old[-1].at.timestamp() * 1000


def test_another_future_begins_anew() -> None:
    """On the day after its expiry the next one tells the volume."""
    made = desk()
    made.follow([SPOT, FAR])
    frames = [replace(f, keys=("spot", "far", *f.keys[2:])) for f in session()]
    found = said(made, frames)
    assert ("volume_spike", "NIFTY-20270125-FUT") in {(s.kind.value, s.contract_id) for s in found}


def test_keys_by_place_are_the_keys() -> None:
    """Frames of a codec that knows its keys, one of which nobody follows: the same alerts."""
    names = ["unknown", *(instrument.broker_key for instrument in reversed(ALL))]
    plain, placed = desk(), desk()
    for one in session():
        told = replace(one, keys=FrameKeys(names, np.array([names.index(k) for k in one.keys])))
        for made, given_frame in ((plain, one), (placed, told)):
            made.take_frame(given_frame, float(one.published_at_ms or 0))
            made.work(datetime.fromtimestamp((one.published_at_ms or 0) / 1000, UTC))
    assert plain.as_json() == placed.as_json()
    assert plain.version > 0 and not plain.errors


def test_warm_leaves_nothing_to_compile() -> None:
    """No frame waits for a compiler."""
    alerts.warm()
    made = desk()
    made.take_frame(frame(OPEN_MS, {"call": (1.0, 2.0, 3.0)}), float(OPEN_MS))
    assert not made.errors
    assert len(alerts._note_interest.signatures) == 1  # type: ignore[attr-defined]
