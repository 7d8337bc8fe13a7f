"""Walls and concentration: hand-worked chains, ties, and a brute-force search."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.exposure import CALL_GEX, GROSS_GEX, PUT_GEX
from transforms.walls import WALLS, by_level, walls_of_books, warm, with_walls

NAMES = ("strike", CALL_GEX, PUT_GEX, "call_open_interest_units", "put_open_interest_units")
Row = tuple[float, float | None, float | None, float | None, float | None]


def strikes_of(rows: list[Row], owner: int = 0) -> pl.DataFrame:
    """Strikes of one owner; the gross exposure is that of the known sides."""
    frame = pl.DataFrame(rows, schema=dict.fromkeys(NAMES, pl.Float64), orient="row")
    call, put = pl.col(CALL_GEX), -pl.col(PUT_GEX)
    return frame.with_columns(
        pl.coalesce(call + put, call, put).alias(GROSS_GEX),
        pl.lit(owner, pl.UInt32).alias("expiry_id"),
    )


def walls_of(rows: list[Row], forward: float | None) -> dict[str, float | None]:
    """The walls of one expiry."""
    owners = pl.DataFrame({"forward": [forward]}, schema={"forward": pl.Float64})
    return with_walls(owners, strikes_of(rows), "expiry_id").row(0, named=True)


CHAIN: list[Row] = [
    (90.0, 9.0, -4.0, 10.0, 90.0),
    (95.0, 8.0, -6.0, 20.0, 80.0),
    (100.0, 5.0, -5.0, 30.0, 70.0),
    (105.0, 7.0, -9.0, 99.0, 60.0),
    (110.0, 3.0, None, 40.0, None),
]


def test_hand_worked_chain() -> None:
    """Calls count at or above the forward, puts at or below; open interest counts everywhere."""
    found = walls_of(CHAIN, 100.0)
    assert (found["call_wall"], found["call_wall_share"]) == (105.0, pytest.approx(7 / 15))
    assert (found["put_wall"], found["put_wall_share"]) == (95.0, pytest.approx(6 / 15))
    assert found["call_wall_open_interest"] == 105.0
    assert found["put_wall_open_interest"] == 90.0
    assert found["absolute_gamma_strike"] == 105.0
    gross = [13.0, 14.0, 10.0, 16.0, 3.0]
    want = sum(g * g for g in gross) / sum(gross) ** 2
    assert found["gex_concentration"] == pytest.approx(want)


@pytest.mark.parametrize(("forward", "nearest"), [(99.0, 95.0), (101.0, 105.0), (100.0, 95.0)])
def test_of_equals_the_nearer_one_counts(forward: float, nearest: float) -> None:
    """As near on both sides: the lower."""
    rows: list[Row] = [(strike, 1.0, -1.0, 7.0, 7.0) for strike in (90.0, 95.0, 105.0, 110.0)]
    found = walls_of(rows, forward)
    assert (found["call_wall"], found["put_wall"]) == (105.0, 95.0)
    for name in ("call_wall_open_interest", "put_wall_open_interest", "absolute_gamma_strike"):
        assert found[name] == nearest
    assert found["gex_concentration"] == pytest.approx(1 / 4)


@pytest.mark.parametrize("value", [None, 0.0, float("nan")])
def test_nothing_held_is_no_wall(value: float | None) -> None:
    """Null, not a strike of nothing."""
    found = walls_of([(strike, value, value, value, value) for strike in (95.0, 105.0)], 100.0)
    assert [found[name] for name in WALLS] == [None] * len(WALLS)


def test_without_a_forward_there_are_no_sides() -> None:
    """Open interest and gross exposure need none; of equals the lower counts."""
    found = walls_of([(strike, 1.0, -1.0, 7.0, 7.0) for strike in (95.0, 105.0)], None)
    assert found["call_wall"] is None
    assert found["put_wall_share"] is None
    assert found["call_wall_open_interest"] == found["absolute_gamma_strike"] == 95.0


def test_no_strikes_at_all() -> None:
    """An owner without strikes, and no owner."""
    assert [walls_of([], 100.0)[name] for name in WALLS] == [None] * len(WALLS)
    nobody = pl.DataFrame(schema={"forward": pl.Float64})
    assert with_walls(nobody, strikes_of([]), "expiry_id").height == 0


amounts = st.one_of(st.none(), st.integers(0, 6).map(float))


@given(
    st.lists(st.tuples(amounts, amounts, amounts, amounts), min_size=1, max_size=12),
    st.floats(80.0, 130.0),
)
def test_agrees_with_a_plain_search(rows: list[tuple[float | None, ...]], forward: float) -> None:
    """Python's ``max`` by (held, −distance, −strike) finds the same strikes and shares."""
    chain = [
        (90.0 + 5 * i, c, None if p is None else -p, oc, op)
        for i, (c, p, oc, op) in enumerate(rows)
    ]
    found = walls_of(chain, forward)
    for name, column, side in (
        ("call_wall", 1, 1), ("put_wall", 2, -1),
        ("call_wall_open_interest", 3, 0), ("put_wall_open_interest", 4, 0),
    ):  # fmt: skip
        held = [
            (abs(row[column] or 0.0), row[0]) for row in chain if (row[0] - forward) * side >= 0
        ]
        held = [(units, strike) for units, strike in held if units > 0]
        best = max(held, key=lambda h: (h[0], -abs(h[1] - forward), -h[1]), default=None)
        assert found[name] == (best[1] if best else None)
        if best and side:
            share = best[0] / sum(units for units, _ in held)
            assert found[f"{name}_share"] == pytest.approx(share)


def test_expiries_stand_together_by_level() -> None:
    """What two expiries hold at one strike is one wall of their symbol."""
    near = [
        (95.0, 1.0, -5.0, 1.0, 5.0),
        (105.0, 4.0, -1.0, 4.0, 1.0),
        (110.0, 5.0, None, 5.0, None),
    ]
    far = [(105.0, 3.0, -1.0, 3.0, 1.0), (95.0, 1.0, -1.0, 1.0, 1.0)]
    strikes = pl.concat([strikes_of(near, 0), strikes_of(far, 1)])
    levels = by_level(strikes.with_columns(symbol_id=pl.lit(0, pl.UInt32)), "symbol_id")
    assert levels["strike"].to_list() == [95.0, 105.0, 110.0]
    assert levels[CALL_GEX].to_list() == [2.0, 7.0, 5.0]
    owner = with_walls(pl.DataFrame({"forward": [100.0]}), levels, "symbol_id").row(0, named=True)
    assert (owner["call_wall"], owner["put_wall"]) == (105.0, 95.0)
    assert owner["absolute_gamma_strike"] == 105.0
    assert owner["call_wall_share"] == pytest.approx(7 / 12)


def test_kernels_are_compiled_once() -> None:
    """What is warmed is what runs: no call adds a signature of its own."""
    warm()
    walls_of(CHAIN, 100.0)
    walls_of([], None)
    assert len(walls_of_books.signatures) == 1
