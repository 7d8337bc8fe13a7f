"""Reading a hello and cutting it down to a choice."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.catalogue import Watch, read
from market.errors import FrameError
from tests.dashboard.strategies import EXPIRIES, SYMBOLS, hello


def test_a_hello_comes_back_as_it_was() -> None:
    """Reading and writing lose nothing."""
    told = hello()["catalogue"]
    written = read(hello()).as_json()
    assert {k: list(v) if isinstance(v, tuple) else v for k, v in written.items()} == told


def test_members_of_later_versions_are_ignored() -> None:
    """A feed may tell more than this version knows."""
    told = hello()
    told["catalogue"]["underlyings"][0]["sector"] = "all of them"
    told["catalogue"]["colours"] = []
    assert read(told) == read(hello())


@pytest.mark.parametrize("member", sorted(hello()["catalogue"]))
def test_a_missing_member_is_a_frame_error(member: str) -> None:
    """What the page cannot do without must be there."""
    told = hello()
    del told["catalogue"][member]
    with pytest.raises(FrameError, match="not a hello"):
        read(told)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(hello()["catalogue"])), json_values)
def test_outside_data_never_escapes_the_error_tree(member: str, value: Any) -> None:
    """Whatever stands in a member, it is read or refused as a FrameError."""
    told = copy.deepcopy(hello())
    told["catalogue"][member] = value
    try:
        read(told)
    except FrameError:
        return


@given(st.sampled_from(SYMBOLS), st.sampled_from(EXPIRIES))
def test_a_watch_keeps_only_the_chains_of_its_choice(symbol: str, expiry: str) -> None:
    """Underlyings and expiries stay for the selectors; strikes and contracts are cut."""
    whole = read(hello())
    cut = whole.only(Watch(symbol, expiry))
    assert (cut.underlyings, cut.expiries) == (whole.underlyings, whole.expiries)
    assert {(c.symbol, c.expiry) for c in (*cut.strikes, *cut.contracts)} == {(symbol, expiry)}
    assert whole.only(Watch(is_all=True)) is whole


def test_expiries_come_nearest_first() -> None:
    """The first one is what an unspecified expiry means."""
    assert read(hello()).expiries_of("TCS") == EXPIRIES
    assert read(hello()).expiries_of("NOBODY") == ()
