"""Faults as people write them, and what they are told when it is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigurationError
from simulator.faults import scenario
from simulator.faults.catalogue import CATALOGUE
from simulator.faults.fault import Fault, fault

_FILE = """\
seed: 7
faults:
  - {name: close, code: 1000, at: "10:15:00", share: 0.5}
  - {name: rate_limited, from: 10:20:00, lasts: 1m30s, match: /v2/option/chain}
  - name: partial
    blocks: [depth, ohlc]
    from: 2026-11-25T10:15:00+05:30
    times: 3
  - {name: slow, seconds: 2, from: +90s, match: [/v2, NIFTY]}
"""
_FAULTS = (
    fault("close", code=1000, starts_at=time(10, 15), is_instant=True, share=0.5),
    fault("rate_limited", starts_at=time(10, 20), lasts_seconds=90, match=("/v2/option/chain",)),
    fault(
        "partial",
        blocks=("depth", "ohlc"),
        starts_at=datetime(2026, 11, 25, 4, 45, tzinfo=UTC),
        times=3,
    ),
    fault("slow", seconds=2.0, after_seconds=90, match=("/v2", "NIFTY")),
)


def test_a_file_is_read(tmp_path: Path) -> None:
    """Every kind of time, value and list."""
    path = tmp_path / "scenario.yaml"
    path.write_text(_FILE, encoding="utf-8")
    assert scenario.load(path) == scenario.Scenario(7, _FAULTS)


def test_nothing_is_needed_but_a_mapping() -> None:
    """Neither a seed nor faults."""
    assert scenario.parse("{}", "x") == scenario.Scenario(None, ())


def _wrong_file(name: str, content: bytes | None, tmp_path: Path) -> str:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        scenario.load(path)
    return str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, no text."""
    assert "none.yaml cannot be read" in _wrong_file("none.yaml", None, tmp_path)
    assert "binary.yaml cannot be read" in _wrong_file("binary.yaml", b"\xff\xfe\x00", tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        scenario.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "", ("empty", "a mapping")),
        ("[1]", ":1:1", ("expected a mapping",)),
        ("faults: {", ":1:10", ("no YAML",)),
        ("a: b: c", ":1:5", ("no YAML",)),
        ("\x01", "", ("no YAML",)),
        ("---\n{}\n---\n{}", ":3:1", ("no YAML", "document")),
        ("sed: 7", ":1:1", ("'sed'", "seed or faults", "did you mean 'seed'")),
        ("seed: x", ":1:7", ("seed is 'x'", "a whole number")),
        ("seed: 1\nseed: 2", ":2:1", ("given twice",)),
        ("? [a]\n: b", ":1:3", ("expected a name",)),
        ("faults: 3", ":1:9", ("must be a list",)),
        ("faults:\n  - 3", ":2:5", ("expected a fault",)),
        ("faults:\n  - {code: 3}", ":2:5", ("has no name",)),
        ("faults:\n  - {name: clos}", ":2:12", ("no fault 'clos'", "did you mean 'close'")),
        ("faults:\n  - {name: [close]}", ":2:12", ("expected one name",)),
        ("faults:\n  - {name: close, cod: 3}", ":2:19", ("'cod'", "did you mean 'code'")),
        ("faults:\n  - {name: close, <<: 3}", ":2:19", ("'<<'",)),
        ("faults:\n  - {name: close, code: x}", ":2:19", ("code is 'x'", "a whole number")),
        ("faults:\n  - {name: close, code: 1e3}", ":2:19", ("a whole number",)),
        ("faults:\n  - {name: close, code: 99}", ":2:19", ("at least 1000",)),
        ("faults:\n  - {name: close, code: [1, 2]}", ":2:19", ("a whole number",)),
        ("faults:\n  - {name: close, code: {a: b}}", ":2:25", ("a value or a list",)),
        ("faults:\n  - {name: close, code:}", ":2:19", ("a whole number",)),
        ("faults:\n  - {name: mute, share: 2}", ":2:18", ("share is 2", "at most 1")),
        ("faults:\n  - {name: mute, share: .nan}", ":2:18", ("share is '.nan'",)),
        ("faults:\n  - {name: mute, share: nan}", ":2:18", ("share is nan",)),
        ("faults:\n  - {name: mute, times: 0}", ":2:18", ("at least 1",)),
        ("faults:\n  - {name: mute, from: soon}", ":2:18", ("'soon' is no time", "+90s")),
        ("faults:\n  - {name: mute, from: 25:00}", ":2:18", ("no time",)),
        ("faults:\n  - {name: mute, from: +9}", ":2:18", ("no duration",)),
        ("faults:\n  - {name: mute, from: 2026-11-25T10:00}", ":2:18", ("+05:30",)),
        ("faults:\n  - {name: mute, at: 10:00, from: 11:00}", ":2:29", ("at or from",)),
        ("faults:\n  - {name: mute, lasts: 5}", ":2:18", ("no duration", "30s")),
        ("faults:\n  - {name: mute, lasts: 99999d}", ":2:18", ("too long",)),
        ("faults:\n  - {name: close, at: +1s, lasts: 5s}", ":2:28", ("from instead of at",)),
        ("faults:\n  - {name: token_death, cuts_sockets: 1}", ":2:25", ("true or false",)),
        ("faults:\n  - {name: partial, blocks: [depht]}", ":2:21", ("did you mean 'depth'",)),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, place: str, words: tuple[str, ...]) -> None:
    """File, line, column, what is wrong, what is expected, the nearest name."""
    with pytest.raises(ConfigurationError) as caught:
        scenario.parse(text, "file.yaml")
    told = str(caught.value)
    assert told.startswith(f"file.yaml{place}: ")
    for word in words:
        assert word in told


def test_depth_without_end_is_an_error() -> None:
    """Not a crash."""
    with pytest.raises(ConfigurationError, match="no YAML"):
        scenario.parse("[" * 100_000, "x")


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("mute", fault("mute")),
        ("close:code=1000,at=10:15:00,share=0.5", _FAULTS[0]),
        ("slow:seconds=2,from=+90s,match=/v2,NIFTY", _FAULTS[3]),
        ("partial:blocks=depth,ohlc", fault("partial", blocks=("depth", "ohlc"))),
        ('text_frame:text={"a":1,"b=":2},share=1', fault("text_frame", text='{"a":1,"b=":2}')),
        (
            "mute:from=2026-11-25T10:15:00+05:30",
            fault("mute", starts_at=datetime(2026, 11, 25, 4, 45, tzinfo=UTC)),
        ),
        ("token_death:cuts_sockets=true", fault("token_death", cuts_sockets=True)),
    ],
)
def test_flags(flag: str, meant: Fault) -> None:
    """What the file can say, a flag can."""
    assert scenario.parse_flag(flag) == meant


@pytest.mark.parametrize(
    ("flag", "place", "words"),
    [
        ("", 1, ("no fault ''",)),
        ("clos:code=1", 1, ("did you mean 'close'",)),
        ("close:1011", 7, ("expected name=value",)),
        ("close:code=1011,shar=1", 17, ("did you mean 'share'",)),
        ("close:code=1,code=2", 14, ("given twice",)),
        ("close:share=x", 7, ("share is 'x'", "a number")),
        ("close:at=noon", 7, ("no time",)),
        ("mute:name=close", 6, ("given twice",)),
    ],
)
def test_mistakes_in_flags(flag: str, place: int, words: tuple[str, ...]) -> None:
    """Told with the flag and the character."""
    with pytest.raises(ConfigurationError) as caught:
        scenario.parse_flag(flag)
    assert str(caught.value).startswith(f"--fault {flag!r}, character {place}: ")
    for word in words:
        assert word in str(caught.value)


def test_a_request_is_json_too() -> None:
    """YAML reads JSON, and errors have their place in it."""
    body = json.dumps({"name": "close", "code": 1000, "at": "10:15:00", "share": 0.5})
    assert scenario.parse_fault(body, "body") == _FAULTS[0]
    with pytest.raises(ConfigurationError, match=r"^body:1:19: code is 'x'"):
        scenario.parse_fault('{"name": "close", "code": "x"}', "body")


@given(
    st.sampled_from(sorted(CATALOGUE)),
    st.floats(0, 1),
    st.none() | st.integers(1, 100),
    st.none() | st.times() | st.datetimes(timezones=st.just(UTC)),
    st.none() | st.integers(0, 86_400),
    st.lists(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1), max_size=3),
)
def test_what_is_written_back_is_read_again(  # noqa: PLR0917
    name: str,
    share: float,
    times: int | None,
    start: time | datetime | None,
    lasts: int | None,
    match: list[str],
) -> None:
    """The console's answer can be posted again."""
    made = fault(
        name, share=share, times=times, starts_at=start, lasts_seconds=lasts, match=tuple(match)
    )
    assert scenario.parse_fault(json.dumps(scenario.fields(made)), "body") == made
    late = fault(name, after_seconds=1.5)
    assert scenario.parse_fault(json.dumps(scenario.fields(late)), "body") == late


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but the one error leaves."""
    for read in (
        lambda: scenario.parse(text, "x"),
        lambda: scenario.parse_fault(text, "x"),
        lambda: scenario.parse_flag(text),
        lambda: scenario.parse_flag(f"slow:{text}"),
    ):
        try:
            read()
        except ConfigurationError as error:
            assert str(error)
