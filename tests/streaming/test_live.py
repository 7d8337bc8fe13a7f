"""The merge of socket and chain, and the marks: laws over any order of arrival."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.interface import FEED_COLUMNS, FeedFrame, FrameKind
from brokers.upstox.codec import decode
from market.live_frame import LiveTable
from streaming import derived, quotes, table
from streaming.chain_view import ChainView, view_of
from streaming.live import LiveState, warm
from tests.strategies import AS_OF, RULES
from tests.streaming import feed_frames
from tests.streaming.feed_frames import Told
from tests.streaming.listed import EXPIRY, SPOT, SPOT_KEY, TRUTH, contracts, numbers, options
from transforms.chain import analyse

NUMBERS = numbers()
OPTIONS = options()
CALL = "NIFTY-20261201-24000-CE"
BASE_MS = int(AS_OF.timestamp() * 1000)
SECOND = timedelta(seconds=1)


def state() -> LiveState:
    """A state that follows NIFTY and its chain."""
    made = LiveState()
    made.follow([SPOT, *OPTIONS], NUMBERS)
    return made


def rows(made: LiveState, name: str, seen: int = 0) -> dict[int, dict[str, float | None]]:
    """Changed rows of one table by id, NaN as None."""
    table = next((t for t in made.changed(seen, None) if t.name == name), None)
    return _by_id(table) if table else {}


def _by_id(table: LiveTable) -> dict[int, dict[str, float | None]]:
    found = {}
    for i, number in enumerate(table.ids):
        values = {name: column[i] for name, column in table.columns.items()}
        found[int(number)] = {n: None if math.isnan(v) else v for n, v in values.items()}
    return found


def tell(
    made: LiveState, key: str, offset_ms: int, told: Told, *, is_snapshot: bool = False
) -> None:
    """One socket frame about one key, published ``offset_ms`` after the base."""
    at_ms = BASE_MS + offset_ms
    frame = decode(feed_frames.data({key: told}, at_ms, is_snapshot=is_snapshot))
    made.take_frame(frame, at_ms + 20)


def call(made: LiveState) -> dict[str, float | None]:
    """The row of one option."""
    return rows(made, "contract")[NUMBERS[CALL]]


def test_socket_price_is_live_and_carries_the_exchange_time() -> None:
    """An update is as old as its publication."""
    made = state()
    tell(made, CALL, 500, Told(last_price=101.5, bid_price=101.0, ask_price=102.0))
    shown = call(made)
    assert (shown["last_price"], shown["last_price_is_live"]) == (101.5, 1.0)
    assert shown["last_price_at_ms"] == shown["quote_at_ms"] == BASE_MS + 500
    assert shown["volume_units"] is None


def test_snapshot_price_is_as_old_as_its_trade() -> None:
    """State sent after a subscription is not news: it must not look fresh."""
    made = state()
    told = Told(last_price=101.5, traded_at_ms=BASE_MS - 60_000, bid_price=101.0)
    tell(made, CALL, 500, told, is_snapshot=True)
    shown = call(made)
    assert shown["last_price_at_ms"] == BASE_MS - 60_000
    assert shown["quote_at_ms"] == BASE_MS + 500


def test_without_a_socket_price_the_chain_stands_in() -> None:
    """Its price comes with its own instant and is marked as not live."""
    made = state()
    made.take_chain(view_of(contracts(), RULES), NUMBERS)
    shown = call(made)
    chain = contracts().filter(contract_id=CALL)
    assert shown["last_price"] == chain["last_price"][0]
    assert shown["last_price_is_live"] == 0.0
    assert shown["last_price_at_ms"] == BASE_MS - 1000
    assert shown["iv_at_ms"] == BASE_MS
    assert shown["implied_volatility"] == pytest.approx(TRUTH.smile(24_000.0), rel=1e-3)


def test_newest_wins_in_both_directions() -> None:
    """A chain newer than the socket replaces its price, and the next tick takes it back."""
    made = state()
    tell(made, CALL, -10_000, Told(last_price=1.0))
    made.take_chain(view_of(contracts(), RULES), NUMBERS)
    assert call(made)["last_price_is_live"] == 0.0
    tell(made, CALL, 10, Told(last_price=2.0))
    assert (call(made)["last_price"], call(made)["last_price_is_live"]) == (2.0, 1.0)


def test_equal_prices_confirm_the_socket() -> None:
    """A chain that repeats the socket's price does not take its life away."""
    made = state()
    price = contracts().filter(contract_id=CALL)["last_price"][0]
    tell(made, CALL, -10_000, Told(last_price=price))
    made.take_chain(view_of(contracts(), RULES), NUMBERS)
    shown = call(made)
    assert (shown["last_price_is_live"], shown["last_price_at_ms"]) == (1.0, BASE_MS - 1000)


def test_open_interest_change_is_against_the_previous_day() -> None:
    """The socket's newer open interest counts, and the chain's figure of the day before."""
    made = state()
    frame = contracts().with_columns(previous_open_interest_units=50_000.0)
    made.take_chain(view_of(frame, RULES), NUMBERS)
    assert call(made)["open_interest_change_units"] == 15_000.0
    tell(made, CALL, 10, Told(open_interest_units=70_000.0))
    shown = call(made)
    assert (shown["open_interest_units"], shown["open_interest_change_units"]) == (70e3, 20e3)


Action = Callable[[LiveState], None]
told_rows = st.builds(
    Told,
    last_price=st.sampled_from([0.0, 90.0, 91.0, 92.0]),
    bid_price=st.sampled_from([0.0, 89.0, 90.0]),
    ask_price=st.sampled_from([0.0, 93.0, 94.0]),
    volume_units=st.sampled_from([0, 65, 130]),
    open_interest_units=st.sampled_from([0.0, 65.0, 130.0]),
)


def _actions(told: Sequence[Told], chain_offsets: Sequence[int]) -> list[Action]:
    """Frames a second apart, half a second off the chains, so that no two instants tie."""

    def frame(i: int, said: Told) -> Action:
        return lambda made: tell(made, CALL, 1000 * i + 500, said)

    def chain(seconds: int) -> Action:
        view = view_of(contracts(AS_OF + seconds * SECOND), RULES)
        return lambda made: made.take_chain(view, NUMBERS)

    return [frame(i, t) for i, t in enumerate(told)] + [chain(s) for s in chain_offsets]


@given(
    st.lists(told_rows, max_size=6),
    st.lists(st.integers(0, 8), max_size=2, unique=True),
    st.randoms(use_true_random=False),
)
def test_prices_do_not_depend_on_the_order_of_arrival(
    told: list[Told], chain_offsets: list[int], shuffle: random.Random
) -> None:
    """Late frames and stale chains change nothing that newer ones have told."""
    actions = _actions(told, chain_offsets)
    mixed = list(actions)
    shuffle.shuffle(mixed)
    first, second = state(), state()
    for made, sequence in ((first, actions), (second, mixed)):
        for action in sequence:
            action(made)
    assert call(first) == call(second)


@given(
    st.lists(told_rows, max_size=6),
    st.lists(st.integers(0, 8), max_size=2, unique=True),
    st.randoms(use_true_random=False),
)
def test_ages_never_go_back_and_nothing_is_forgotten(
    told: list[Told], chain_offsets: list[int], shuffle: random.Random
) -> None:
    """Each instant only rises, and a field that was told stays told."""
    actions = _actions(told, chain_offsets)
    shuffle.shuffle(actions)
    made = state()
    before = call(made)
    for action in actions:
        action(made)
        after = call(made)
        for name, old in before.items():
            assert old is None or after[name] is not None, name
            assert old is None or not name.endswith("_at_ms") or after[name] >= old, name
        before = after


def test_mark_at_the_chains_own_spot_gives_the_chains_numbers() -> None:
    """Live and batch share one definition: nothing jumps when the first mark comes."""
    made = state()
    made.take_chain(view_of(contracts(), RULES), NUMBERS)
    assert made.mark(AS_OF) == 1
    analysis = analyse(contracts().select(_quotes()), AS_OF, RULES)
    shown = call(made)
    chain = analysis.contracts.filter(contract_id=CALL)
    for name in ("delta_forward", "gamma_forward", "theta_per_day", "vega_per_vol_point"):
        assert shown[name] == pytest.approx(chain[name][0], rel=1e-9)
    assert shown["greeks_at_ms"] == BASE_MS
    expiry = rows(made, "expiry")[1]
    want = analysis.expiries["net_gex_crore_per_percent"][0]
    assert expiry["net_gex_crore_per_percent"] == pytest.approx(want, rel=1e-9, abs=1e-9)
    assert expiry["pcr_open_interest"] == analysis.expiries["pcr_open_interest"][0]
    assert len(rows(made, "strike")) == len(TRUTH.strikes)


def _quotes() -> list[str]:
    from transforms.schemas import QUOTES

    return QUOTES.polars.names()


def test_a_new_spot_marks_greeks_and_exposure() -> None:
    """Forward, delta and exposure follow the spot; the volatility stays the strike's."""
    made = state()
    made.take_chain(view_of(contracts(), RULES), NUMBERS)
    made.mark(AS_OF)
    before, volatility = call(made), call(made)["implied_volatility"]
    tell(made, SPOT_KEY, 1000, Told(last_price=TRUTH.spot + 100))
    assert made.mark(AS_OF + SECOND) == 1
    after = call(made)
    assert after["delta_forward"] > before["delta_forward"]
    assert (after["implied_volatility"], after["iv_at_ms"]) == (volatility, BASE_MS)
    underlying = rows(made, "underlying")[1]
    assert underlying["spot"] == TRUTH.spot + 100
    carry = contracts()["forward"][0] / TRUTH.spot
    assert underlying["forward"] == pytest.approx((TRUTH.spot + 100) * carry)
    assert underlying["marked_at_ms"] == BASE_MS + 1000
    assert underlying["chain_at_ms"] == BASE_MS
    assert made.spots() == {"NIFTY": TRUTH.spot + 100}


def test_marks_are_throttled_but_the_last_spot_is_not_lost() -> None:
    """At most two marks a second per underlying, and the newest spot gets its mark."""
    made = state()
    made.take_chain(view_of(contracts(), RULES), NUMBERS)
    marked = 0
    for step in range(100):
        now = AS_OF + timedelta(milliseconds=20 * step)
        tell(made, SPOT_KEY, 20 * step, Told(last_price=24_000.0 + step))
        marked += made.mark(now)
    assert marked == 4
    assert made.mark(AS_OF + timedelta(seconds=3)) == 1
    carry = contracts()["forward"][0] / TRUTH.spot
    assert rows(made, "underlying")[1]["forward"] == pytest.approx(24_099.0 * carry)


NET_GEX = "net_gex_crore_per_percent"


def followed() -> tuple[LiveState, ChainView]:
    """A state with a chain whose net exposure is not nothing, marked at its own instant."""
    held = 65.0 * (1 + (7 * pl.int_range(pl.len())) % 11)
    made, view = state(), view_of(contracts().with_columns(open_interest_units=held), RULES)
    made.take_chain(view, NUMBERS)
    assert made.mark(AS_OF) == 1
    return made, view


@settings(max_examples=30)
@given(st.floats(-0.0145, 0.0145).filter(lambda move: abs(move) > 1e-9))
def test_levels_follow_a_tick_between_marks(move: float) -> None:
    """Forward and exposure are those of an exact mark at the tick's spot and instant."""
    made, view = followed()
    spot, at = TRUTH.spot * math.exp(move), AS_OF + timedelta(milliseconds=120)
    tell(made, SPOT_KEY, 100, Told(last_price=spot))
    exact, gross = view.mark.at(spot, at), view.grid.at(spot, at).total[1]
    expiry, underlying = rows(made, "expiry")[1], rows(made, "underlying")[1]
    assert expiry[NET_GEX] == pytest.approx(exact.expiry_net_gex[0], abs=1e-4 * gross)
    assert underlying[NET_GEX] == pytest.approx(exact.total_net_gex, abs=1e-4 * gross)
    assert expiry["forward"] == underlying["forward"] == exact.forward[0]
    assert expiry["years_to_expiry"] == exact.years_to_expiry[0]
    assert expiry["marked_at_ms"] == underlying["marked_at_ms"] == BASE_MS + 120


def test_levels_move_but_strikes_and_contracts_wait_for_the_mark() -> None:
    """A tick moves the sums at once; the rest, and its instants, at the next exact mark."""
    made, _ = followed()
    before = rows(made, "underlying")[1]
    seen = made.version
    tell(made, SPOT_KEY, 100, Told(last_price=TRUTH.spot + 40))
    assert abs(rows(made, "underlying")[1][NET_GEX] - before[NET_GEX]) > 1e-3
    assert {t.name for t in made.changed(seen, None)} == {"underlying", "expiry"}
    assert made.mark(AS_OF + timedelta(milliseconds=400)) == 0
    assert made.mark(AS_OF + timedelta(milliseconds=500)) == 1
    marked = rows(made, "strike", seen)
    assert len(marked) == len(TRUTH.strikes)
    assert {row["marked_at_ms"] for row in marked.values()} == {BASE_MS + 500}
    assert call(made)["greeks_at_ms"] == BASE_MS + 500


@pytest.mark.parametrize("move", [-0.02, 0.02])
def test_beyond_the_grid_levels_wait_for_the_mark(move: float) -> None:
    """Nothing is extrapolated: number and instant stay those of the last mark."""
    made, _ = followed()
    names = ("forward", NET_GEX, "marked_at_ms")
    before = [rows(made, table)[1][name] for table in ("underlying", "expiry") for name in names]
    tell(made, SPOT_KEY, 100, Told(last_price=TRUTH.spot * (1 + move)))
    after = [rows(made, table)[1][name] for table in ("underlying", "expiry") for name in names]
    assert after == before
    assert made.mark(AS_OF + SECOND) == 1
    marked = rows(made, "underlying")[1]
    assert (marked["spot"], marked["marked_at_ms"]) == (TRUTH.spot * (1 + move), BASE_MS + 1000)


def test_open_interest_newer_than_the_chain_stays_in_the_levels() -> None:
    """What the socket told of it is in the mark, and no tick after it takes it out again."""
    made, view = followed()
    tell(made, CALL, 10, Told(open_interest_units=6_500.0))
    tell(made, SPOT_KEY, 20, Told(last_price=TRUTH.spot + 1))
    assert made.mark(AS_OF + SECOND) == 1
    marked = rows(made, "underlying")[1][NET_GEX]
    tell(made, SPOT_KEY, 1100, Told(last_price=TRUTH.spot + 2))
    followed_tick = rows(made, "underlying")[1][NET_GEX]
    on_grid = view.grid.at(TRUTH.spot + 2, AS_OF + SECOND).total[0]
    assert abs(marked - on_grid) > 100 * abs(followed_tick - marked) > 0.0


def test_an_expiry_that_only_the_socket_knows_is_not_forgotten() -> None:
    """Without open interest the chain's grid knows nothing, so ticks leave the mark alone."""
    made = state()
    unknown = contracts().with_columns(open_interest_units=pl.lit(None, pl.Float64))
    made.take_chain(view_of(unknown, RULES), NUMBERS)
    tell(made, CALL, 10, Told(open_interest_units=6_500.0))
    made.mark(AS_OF)
    marked = rows(made, "expiry")[1]
    assert marked[NET_GEX] > 0.0
    tell(made, SPOT_KEY, 100, Told(last_price=TRUTH.spot + 2))
    assert rows(made, "expiry")[1] == marked


def test_the_numbers_may_come_last() -> None:
    """While the database is away values are kept; they are shown once ids are known."""
    made = LiveState()
    made.follow([SPOT, *OPTIONS], {})
    tell(made, CALL, 0, Told(last_price=99.0))
    assert rows(made, "contract") == {}
    assert made.catalogue()["contracts"] == []
    seen = made.version
    made.follow([SPOT, *OPTIONS], NUMBERS)
    assert rows(made, "contract", seen)[NUMBERS[CALL]]["last_price"] == 99.0
    assert len(made.catalogue()["contracts"]) == len(OPTIONS)


def test_watchers_get_their_expiry_and_every_underlying() -> None:
    """A choice filters strikes, contracts and expiries, never underlyings."""
    made = state()
    tell(made, SPOT_KEY, 0, Told(last_price=24_000.0))
    tell(made, CALL, 0, Told(last_price=99.0))
    other = made.changed(0, frozenset({("NIFTY", "2026-12-29")}))
    assert [t.name for t in other] == ["underlying"]
    own = made.changed(0, frozenset({("NIFTY", EXPIRY.isoformat())}))
    assert {t.name for t in own} >= {"underlying", "contract"}


def test_spot_change_is_against_the_previous_close() -> None:
    """Per cent, null until a close was told."""
    made = state()
    frame = decode(feed_frames.data({SPOT_KEY: Told(last_price=24_240.0)}, BASE_MS))
    made.take_frame(frame, BASE_MS + 5)
    shown = rows(made, "underlying")[1]
    assert shown["change_percent"] is None
    assert (shown["spot_at_ms"], shown["spot_received_at_ms"]) == (BASE_MS, BASE_MS + 5)
    frame.values[0, 3] = 24_000.0
    made.take_frame(frame, BASE_MS + 6)
    assert rows(made, "underlying")[1]["change_percent"] == pytest.approx(1.0)


def test_unknown_keys_and_symbols_are_passed_over() -> None:
    """What nobody asked for changes nothing."""
    made = LiveState()
    made.take_frame(decode(feed_frames.data({"NSE_FO|1": Told(last_price=1.0)})), 0.0)
    made.take_frame(decode(feed_frames.status()), 0.0)
    made.take_chain(view_of(contracts(), RULES), NUMBERS)
    assert made.changed(0, None) == []
    assert made.mark(datetime(2026, 12, 1, tzinfo=UTC)) == 0


def test_nothing_compiles_after_warming() -> None:
    """No frame and no chain waits for a compiler, of whatever size and kind they are."""
    warm()
    made = state()
    tell(made, CALL, 500, Told(last_price=101.5, traded_at_ms=BASE_MS), is_snapshot=True)
    tell(made, CALL, 600, Told(last_price=102.5))
    made.take_chain(view_of(contracts(), RULES), NUMBERS)
    made.mark(AS_OF)
    kernels = (
        *(table._merge, table._put, quotes._take),
        *(derived._contract_columns, derived._newest_rows),
    )
    compiled = [len(kernel.signatures) for kernel in kernels]  # type: ignore[attr-defined]
    assert compiled == [1] * len(kernels)


def test_a_frame_without_entries_changes_nothing() -> None:
    """Nothing told, nothing merged."""
    made = state()
    before = made.version
    empty = np.empty((0, len(FEED_COLUMNS)))
    made.take_frame(FeedFrame(FrameKind.UPDATE, BASE_MS, (), empty), BASE_MS)
    assert made.version == before
