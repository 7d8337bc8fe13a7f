"""The faults' names, arguments and bounds."""

from __future__ import annotations

import pytest

from market.errors import ConfigurationError
from simulator.faults.catalogue import CATALOGUE, Argument, Arguments, Place, kind_of, nearest


def test_every_fault_of_the_protocols_list_is_named() -> None:
    """What users of the broker struggle with, as the protocol's description lists it."""
    assert set(CATALOGUE) >= {
        *("feed_forbidden", "code_reused", "unauthorized", "too_many_sockets", "token_death"),
        *("handshake_rate_limited", "half_open", "reset", "close", "silent_unsubscribe", "mute"),
        *("quiet", "slow_reader", "no_pings", "partial", "text_frame", "truncated", "garbage"),
        *("unknown_enum", "unknown_field", "unknown_type", "duplicate", "out_of_order"),
        *("clock_skew", "big_snapshot", "never_seen", "stale_ltt", "rate_limited", "server_error"),
        *("forbidden_page", "empty_candles", "null_data", "bad_key", "prev_ohlc_null", "slow"),
        *("torn", "throttled_empty"),
    }


@pytest.mark.parametrize("name", CATALOGUE)
def test_entries_explain_themselves(name: str) -> None:
    """A meaning, what a share counts, and defaults that pass their own checks."""
    kind = kind_of(name)
    assert kind.meaning
    assert kind.shares in {"calls", "handshakes", "connections", "frames", "keys"}
    assert (kind.place is Place.CALL) <= (kind.shares == "calls")
    for argument in kind.arguments:
        assert argument.meaning
        assert argument.checked(argument.default) == argument.default
        assert argument.expected


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        (Argument("n", 3, "", least=1, most=5), 0),
        (Argument("n", 3, "", least=1, most=5), 6),
        (Argument("n", 3, ""), 3.5),
        (Argument("n", 3, ""), True),
        (Argument("n", 3.0, ""), True),
        (Argument("n", 3.0, "", least=0), float("nan")),
        (Argument("n", 3.0, ""), "3"),
        (Argument("n", False, ""), 1),
        (Argument("n", "a", "", choices=("a", "b")), "c"),
        (Argument("n", ("a",), "", choices=("a", "b")), ("a", "c")),
        (Argument("n", ("a",), ""), (1,)),
        (Argument("n", ("a",), ""), None),
    ],
)
def test_wrong_values_are_refused(argument: Argument, value: object) -> None:
    """By name, with what is expected."""
    with pytest.raises(ConfigurationError, match=r"^n is .*expected"):
        argument.checked(value)


def test_values_become_the_arguments_type() -> None:
    """A whole number is a number too; one text is a list of one."""
    assert Argument("n", 3.0, "").checked(2) == 2.0
    assert Argument("n", ("a",), "").checked("b") == ("b",)


def test_arguments_are_read_by_their_type() -> None:
    """Asking for another type is an error of ours, not a guess."""
    arguments = Arguments((("a", 1), ("b", 2.5), ("c", "x"), ("d", ("y",)), ("e", True)))
    assert arguments.whole("a") == 1
    assert arguments.number("b") == 2.5
    assert arguments.text("c") == "x"
    assert arguments.words("d") == ("y",)
    assert arguments.is_set("e")
    with pytest.raises(TypeError, match=r"b is 2\.5"):
        arguments.whole("b")


def test_a_misspelt_name_gets_the_nearest() -> None:
    """Of faults, of arguments; nothing for what is like nothing."""
    with pytest.raises(ConfigurationError, match="did you mean 'half_open'"):
        kind_of("halfopen")
    with pytest.raises(ConfigurationError, match="did you mean 'code'"):
        kind_of("close").checked({"codes": 1})
    with pytest.raises(ConfigurationError, match="it takes none"):
        kind_of("mute").checked({"x": 1})
    assert not nearest("zzz", ["close"])
