"""Exposures: units, signs, conventions, scaling laws and sums."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.black76 import gamma
from transforms.context import FUTURES
from transforms.exposure import (
    FLOW_GEX,
    GEX,
    NET_GEX,
    SIGN_AGREEMENTS,
    conclusions,
    expiry_day_figures,
    gex_crore_per_percent,
    sign_agreement,
    sums,
    with_exposure,
    with_futures,
    with_strike_exposure,
)

# strike, right, gamma, open interest: six strikes worked by hand at a spot of 100
CHAIN = [
    (90.0, True, 0.01, 1_000.0),
    (90.0, False, 0.01, 3_000.0),
    (100.0, True, 0.04, 5_000.0),
    (100.0, False, 0.04, None),
    (110.0, True, None, 7_000.0),
    (110.0, False, 0.02, 2_000.0),
]


def frame_of(rows: list[tuple[object, ...]], spot: float = 100.0) -> pl.DataFrame:
    """Contracts with their exposure."""
    names = ("strike", "is_call", "gamma_forward", "open_interest_units")
    types = (pl.Float64, pl.Boolean, pl.Float64, pl.Float64)
    frame = pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")
    return frame.with_columns(spot=pl.lit(spot)).with_columns(gex_crore_per_percent())


def exposure(gamma: float, units: float, spot: float, is_call: bool = True) -> float:
    """Exposure of one contract."""
    return float(frame_of([(100.0, is_call, gamma, units)], spot)[GEX][0])


def test_a_contract_worked_by_hand() -> None:
    """NIFTY at 23 650, Γ 0.000718, a million units: 718 · 23 650² · 0.01 are ₹401.59 crore."""
    rows = [(23_650.0, True, 0.000718, 1e6), (23_650.0, False, 0.000718, 5e5)]
    assert frame_of(rows, 23_650.0)[GEX].to_list() == pytest.approx([401.5936, -200.7968], abs=1e-4)


positive = st.floats(1e-6, 1e3)


@given(positive, positive, positive, st.floats(0.1, 10.0))
def test_scaling_laws(gamma: float, units: float, spot: float, c: float) -> None:
    """Linear in open interest and gamma, quadratic in spot, unchanged by a change of currency."""
    once = exposure(gamma, units, spot)
    assert exposure(gamma, c * units, spot) == pytest.approx(c * once)
    assert exposure(c * gamma, units, spot) == pytest.approx(c * once)
    assert exposure(gamma, units, c * spot) == pytest.approx(c * c * once)
    # Γ is per currency squared over currency: in units c times smaller, Γ·S² grows by c.
    assert exposure(gamma / c, units, c * spot) == pytest.approx(c * once)


@given(positive, positive, positive)
def test_swapping_rights_negates(gamma: float, units: float, spot: float) -> None:
    """A put counts as much as a call, with the other sign."""
    assert exposure(gamma, units, spot) == -exposure(gamma, units, spot, is_call=False)


# strike, right, open interest, flow and change of open interest in the interval; spot 100
TOLD = [
    (90.0, False, 3_000.0, "bought", 600.0),
    (90.0, True, 1_000.0, "written", 100.0),
    (100.0, False, 2_000.0, "covered", -500.0),
    (100.0, True, 5_000.0, "exited", -200.0),
    (110.0, True, 50.0, "exited", -400.0),
]
GREEKS = {"delta_forward": 0.5, "gamma_forward": 0.02, "vanna": 0.003, "charm": -0.004}
UNIT = 0.02 * 100.0**2 * 0.01 / 1e7


def contracts_of(rows: list[tuple[object, ...]], **values: float | None) -> pl.DataFrame:
    """Contracts in layout order, with constant Greeks; a put's delta has the other sign."""
    names = ("strike", "is_call", "open_interest_units", "flow", "change")
    types = (pl.Float64, pl.Boolean, pl.Float64, pl.String, pl.Float64)
    frame = pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")
    terms = {"spot": 100.0} | GREEKS | values
    sign = pl.when("is_call").then(1.0).otherwise(-1.0)
    return frame.with_columns(
        pl.lit(value, pl.Float64).alias(name) for name, value in terms.items()
    ).select(
        pl.exclude("change", "vanna", "charm", "delta_forward"),
        interval_open_interest_change_units="change",
        vanna_per_vol_point="vanna",
        charm_per_day="charm",
        delta_forward=sign * pl.col("delta_forward"),
    )


def strikes_of(contracts: pl.DataFrame) -> pl.DataFrame:
    """Their strikes with the sums of both legs."""
    priced = with_exposure(contracts).with_row_index("row")
    sides = (
        priced.filter(pl.col("is_call") == side).select("strike", "row") for side in (True, False)
    )
    call, put = sides
    wide = call.rename({"row": "call_row"}).join(
        put.rename({"row": "put_row"}), on="strike", how="full", coalesce=True
    )
    return with_strike_exposure(wide.sort("strike"), priced)


def totals_of(contracts: pl.DataFrame) -> dict[str, object]:
    """All exposures of the whole frame."""
    return strikes_of(contracts).select(sums()).with_columns(conclusions()).row(0, named=True)


def test_hand_worked_exposures() -> None:
    """Naive signs: calls plus, puts minus, so that both deltas count plus."""
    found = totals_of(contracts_of(TOLD))
    calls, puts = 6_050.0, 5_000.0
    assert found[NET_GEX] == pytest.approx((calls - puts) * UNIT)
    assert found["gross_gex_crore_per_percent"] == pytest.approx((calls + puts) * UNIT)
    crore = 100.0 / 1e7
    assert found["dex_crore"] == pytest.approx(0.5 * (calls + puts) * crore)
    vanna = found["vanna_exposure_crore_per_vol_point"]
    assert vanna == pytest.approx(0.003 * (calls - puts) * crore)
    charm = found["charm_exposure_crore_per_day"]
    assert charm == pytest.approx(-0.004 * (calls - puts) * crore)
    assert found["future_equivalent_gross_units"] == pytest.approx(0.5 * (calls + puts))
    assert found["future_equivalent_net_units"] == pytest.approx(0.5 * (calls - puts))


def test_flow_is_the_other_side_of_the_customers() -> None:
    """Bought −600, written +100, covered −500, exited +200 and, of 50 still open, at most +50."""
    strikes = strikes_of(contracts_of(TOLD))
    assert strikes[FLOW_GEX].to_list() == pytest.approx([-500 * UNIT, -300 * UNIT, 50 * UNIT])
    assert totals_of(contracts_of(TOLD))[FLOW_GEX] == pytest.approx(-750 * UNIT)


@pytest.mark.parametrize(("untold", "is_published"), [(600.0, True), (601.0, False)])
def test_flow_needs_half_of_the_changes_told(untold: float, is_published: bool) -> None:
    """Exactly half is enough."""
    rows = [TOLD[0], (95.0, True, 9_000.0, None, untold)]
    found = totals_of(contracts_of(rows))
    assert (found[FLOW_GEX] is not None) == is_published
    assert found["sign_agreement"] == ("naive_differs" if is_published else "flow_unknown")


def test_flow_without_a_previous_snapshot() -> None:
    """No change is known: null, at the strike too."""
    contracts = contracts_of([(k, c, units, None, None) for k, c, units, *_ in TOLD])
    assert totals_of(contracts)[FLOW_GEX] is None
    assert strikes_of(contracts)[FLOW_GEX].null_count() == 3
    assert totals_of(contracts)["sign_agreement"] == "flow_unknown"


@pytest.mark.parametrize(
    ("naive", "flow", "want"),
    [
        (-1.0, -2.0, "all"),
        (1.0, -2.0, "naive_differs"),
        (1.0, 2.0, "writers_differ"),
        (-1.0, 2.0, "flow_differs"),
        (-1.0, None, "flow_unknown"),
        (-1.0, 0.0, "flow_unknown"),
        (None, 1.0, "unknown"),
        (0.0, None, "unknown"),
    ],
)
def test_sign_agreement(naive: float | None, flow: float | None, want: str) -> None:
    """Which of three signs stands alone, the writers' being minus."""
    row = pl.DataFrame({"a": [naive], "c": [flow]}, schema={"a": pl.Float64, "c": pl.Float64})
    assert row.select(sign_agreement(pl.col("a"), pl.col("c"))).item() == want
    assert want in SIGN_AGREEMENTS


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["spot", "gamma_forward", "delta_forward", "vanna", "charm"])
def test_unknown_input_makes_null(name: str, value: float | None) -> None:
    """Null and not NaN, infinite or 0, in what depends on it."""
    found = totals_of(contracts_of(TOLD, **{name: value}))
    depends = {
        "gamma_forward": (NET_GEX, FLOW_GEX, "gross_gex_crore_per_percent"),
        "delta_forward": ("dex_crore", "future_equivalent_gross_units"),
        "vanna": ("vanna_exposure_crore_per_vol_point",),
        "charm": ("charm_exposure_crore_per_day",),
        "spot": (NET_GEX, FLOW_GEX, "dex_crore", "charm_exposure_crore_per_day"),
    }
    assert [found[column] for column in depends[name]] == [None] * len(depends[name])


def test_a_leg_that_is_not_known_does_not_count() -> None:
    """The other leg is the strike; an unlisted one is the same."""
    rows = [(90.0, False, None, None, None), (90.0, True, 1_000.0, None, None)]
    rows += [(100.0, False, 2_000.0, None, None)]
    strikes = strikes_of(contracts_of(rows))
    assert strikes[NET_GEX].to_list() == pytest.approx([1_000 * UNIT, -2_000 * UNIT])
    assert strikes["call_gex_crore_per_percent"].to_list() == [pytest.approx(1_000 * UNIT), None]
    assert strikes["put_gex_crore_per_percent"].to_list() == [None, pytest.approx(-2_000 * UNIT)]
    assert strikes["gross_gex_crore_per_percent"].to_list() == pytest.approx(
        [1_000 * UNIT, 2_000 * UNIT]
    )


held_rows = st.lists(st.tuples(st.booleans(), st.integers(0, 9_000).map(float)), min_size=1)


@given(held_rows, st.sampled_from([0.5, 2.0]))
def test_laws_of_sums(held: list[tuple[bool, float]], factor: float) -> None:
    """Linear in open interest; swapped rights negate the naive sums; parts add up to the whole."""
    rows = [(90.0 + i, is_call, units, "bought", 5.0) for i, (is_call, units) in enumerate(held)]
    found = totals_of(contracts_of(rows))
    scaled = [(k, c, units * factor, flow, d * factor) for k, c, units, flow, d in rows]
    more = totals_of(contracts_of(scaled))
    swapped = totals_of(contracts_of([(k, not c, *rest) for k, c, *rest in rows]))
    for name in (NET_GEX, "vanna_exposure_crore_per_vol_point", "future_equivalent_net_units"):
        assert more[name] == pytest.approx(factor * found[name])
        assert swapped[name] == pytest.approx(-found[name])
    for name in ("gross_gex_crore_per_percent", "dex_crore", FLOW_GEX):
        assert more[name] == pytest.approx(factor * found[name])
        assert swapped[name] == pytest.approx(found[name])
    groups = strikes_of(contracts_of(rows)).with_columns(expiry_id=pl.int_range(pl.len()) % 2)
    whole = groups.group_by("expiry_id").agg(sums()).select(sums()).with_columns(conclusions())
    for name in (NET_GEX, "dex_crore", FLOW_GEX):
        assert whole[name][0] == pytest.approx(found[name])


AT = datetime(2026, 11, 24, 6, tzinfo=UTC)


def futures_of(rows: list[tuple[str, date, float | None, datetime]]) -> pl.DataFrame:
    """``context.FUTURES`` without prices."""
    names = ("symbol", "expiry", "open_interest_units", "quoted_at")
    frame = pl.DataFrame(rows, schema={n: FUTURES.polars[n] for n in names}, orient="row")
    prices = (pl.lit(None).alias(f"{name}_price") for name in ("bid", "ask", "last"))
    return FUTURES.conform(frame.with_columns(prices))


def test_futures_join_the_future_equivalents() -> None:
    """The latest row of each future; an expiry without one, or with none known, is as it was."""
    near, far = date(2026, 12, 29), date(2027, 1, 26)
    schema = {"symbol": pl.String, "expiry": pl.Date}
    frame = pl.DataFrame(
        [("A", near, 10.0, -4.0), ("A", far, 20.0, 5.0), ("B", near, None, None)],
        schema=schema
        | dict.fromkeys(
            ("future_equivalent_gross_units", "future_equivalent_net_units"), pl.Float64
        ),
        orient="row",
    )
    rows = [("A", near, 7.0, AT), ("A", near, 3.0, AT - timedelta(minutes=1)), ("A", far, None, AT)]
    found = with_futures(frame, futures_of([*rows, ("B", near, 1.0, AT)]))
    assert found["future_equivalent_gross_units"].to_list() == [17.0, 20.0, None]
    assert found["future_equivalent_net_units"].to_list() == [3.0, 5.0, None]
    assert found.columns == frame.columns
    symbol = with_futures(
        frame.head(1), futures_of([*rows, ("A", date(2027, 2, 23), 2.0, AT)]), ["symbol"]
    )
    assert symbol["future_equivalent_net_units"].to_list() == [5.0]
    assert with_futures(frame, FUTURES.empty()).equals(frame)


def expiries_of(rows: list[tuple[str, bool, float, float | None, float | None]]) -> pl.DataFrame:
    """Symbol, whether it expires today, years, gross GEX, volatility at the money."""
    names = ("symbol", "is_expiry_day", "years_to_expiry", "gross_gex_crore_per_percent")
    types = (pl.String, pl.Boolean, pl.Float64, pl.Float64, pl.Float64)
    schema = dict(zip((*names, "atm_implied_volatility"), types, strict=True))
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(forward=pl.lit(100.0), rate=pl.lit(0.05))


def test_expiry_day() -> None:
    """Share of what expires today; its gamma at the money over that of the next expiry."""
    found = expiry_day_figures(
        expiries_of([("A", True, 0.001, 30.0, 0.2), ("A", False, 0.02, 90.0, 0.15)])
    )
    want = gamma(100.0, 100.0, 0.001, 0.05, 0.2) / gamma(100.0, 100.0, 0.02, 0.05, 0.15)
    assert found["zero_dte_gex_share"].to_list() == [0.25]
    assert found["gamma_acceleration"].to_list() == [pytest.approx(want, rel=1e-9)]


def test_other_days_and_unknown_parts() -> None:
    """Nothing expires: share 0. Settled, one expiry only or unknown: null."""
    found = expiry_day_figures(
        expiries_of(
            [
                ("A", False, 0.02, 30.0, 0.2),
                ("A", False, 0.04, 30.0, 0.2),
                ("B", True, -0.0001, None, None),
                ("B", False, 0.02, 30.0, 0.2),
                ("C", True, 0.001, 30.0, 0.2),
                ("D", True, 0.001, 30.0, None),
                ("D", False, 0.02, 0.0, 0.2),
                ("E", False, 0.02, None, 0.2),
            ]
        )
    )
    assert found["symbol"].to_list() == list("ABCDE")
    assert found["zero_dte_gex_share"].to_list() == [0.0, None, 1.0, 1.0, None]
    assert found["gamma_acceleration"].to_list() == [None] * 5
    assert expiry_day_figures(expiries_of([])).is_empty()
