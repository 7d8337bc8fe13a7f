"""The newer of two sources against its definition written in arrays; ages and changes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streaming import derived
from streaming.derived import CONTRACT_DERIVED, CONTRACT_SOURCES, contract_columns, newest

NAN = math.nan
# Few values, so that equal prices and equal instants come often.
prices = st.sampled_from([NAN, 100.0, 101.0])
instants = st.sampled_from([NAN, 1.0, 2.0])
two = st.tuples(prices, prices, instants, instants)


def _defined(socket: float, chain: float, socket_at: float, chain_at: float) -> tuple[float, ...]:
    """The rule word by word."""
    if math.isnan(socket):
        return chain, chain_at, NAN if math.isnan(chain) else 0.0
    if not math.isnan(chain) and chain_at > socket_at and chain != socket:
        return chain, chain_at, 0.0
    if chain == socket:
        known = [at for at in (socket_at, chain_at) if not math.isnan(at)]
        return socket, max(known, default=NAN), 1.0
    return socket, socket_at, 1.0


@given(st.lists(two))
@example([(100.0, 100.0, 1.0, 2.0)])
def test_newest_is_the_rule(rows: list[tuple[float, float, float, float]]) -> None:
    """The later price wins; equal prices confirm each other; nothing told is nothing known."""
    table = np.array(rows, float).reshape(len(rows), 4)
    expected = np.array([_defined(*row) for row in rows], float).reshape(len(rows), 3)
    found = newest(table[:, :2].copy(), table[:, 2:].copy())
    np.testing.assert_array_equal(found, expected)


@given(st.lists(st.tuples(*[prices] * 7, *[instants] * 7), min_size=1))
def test_contract_columns(rows: list[tuple[float, ...]]) -> None:
    """Price as ``newest`` says, the younger side of the quote, ages, change of open interest."""
    table = np.array(rows, float)
    values, at_ms = table[:, :7].copy(), table[:, 7:].copy()
    found = contract_columns(values, at_ms)
    told, at = (dict(zip(CONTRACT_SOURCES, part.T, strict=True)) for part in (values, at_ms))
    expected = {
        **dict(
            zip(CONTRACT_DERIVED, newest(values[:, :2].copy(), at_ms[:, :2].copy()).T, strict=False)
        ),
        "quote_at_ms": np.fmax(at["bid_price"], at["ask_price"]),
        "volume_at_ms": at["volume_units"],
        "open_interest_at_ms": at["open_interest_units"],
        "open_interest_change_units": told["open_interest_units"]
        - told["previous_open_interest_units"],
    }
    np.testing.assert_array_equal(found, np.column_stack([expected[n] for n in CONTRACT_DERIVED]))


@pytest.mark.parametrize("rows", [0, 1, 50])
def test_warm_leaves_nothing_to_compile(rows: int) -> None:
    """One signature serves frames of any size."""
    derived.warm()
    contract_columns(np.zeros((rows, 7)), np.zeros((rows, 7)))
    newest(np.zeros((rows, 2)), np.zeros((rows, 2)))
    for kernel in (derived._contract_columns, derived._newest_rows):
        assert len(kernel.signatures) == 1  # type: ignore[attr-defined]
