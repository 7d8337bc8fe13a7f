"""Faults as people write them: a YAML file, a command line's flag, the body of a request.

Reading, and writing back. A mistake is told with its place, what is wrong, what is expected and the
nearest known name. What a fault means stands in ``catalogue``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path

import yaml

from market.errors import ConfigurationError
from simulator.faults.catalogue import Argument, Arguments, Kind, Value, kind_of, nearest
from simulator.faults.fault import Fault

_FIELDS = ("name", "at", "from", "lasts", "share", "times", "match")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_WALL = re.compile(r"\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?")
_START = "10:15:00 (IST, every day), an instant such as 2026-11-25T10:15:00+05:30, or +90s"
_LASTS = "a duration such as 30s, 5m or 1h30m"
_SHARE = Argument("share", 1.0, "of what is struck", least=0, most=1)
_TIMES = Argument("times", 1, "how often at most", least=1)
_SEED = Argument("seed", 7, "of the draws")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a file asks for; ``seed`` None if it names none."""

    seed: int | None
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    """A value as it was written, and where."""

    where: str
    texts: tuple[str, ...]
    is_list: bool = False

    @property
    def text(self) -> str:
        return ",".join(self.texts)

    def wrong(self, problem: object) -> ConfigurationError:
        return ConfigurationError(f"{self.where}: {problem}")


def load(path: Path) -> Scenario:
    """Read a scenario file.

    Raises:
        ConfigurationError: if it cannot be read or says what cannot be done.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"scenario {path} cannot be read ({error}), expected a YAML file in UTF-8"
        ) from error
    return parse(text, str(path))


def parse(text: str, source: str) -> Scenario:
    """Read a scenario from ``text``; ``source`` names it in errors."""
    entries = _mapping(_composed(text, source), source, "a mapping of seed and faults")
    for name, (where, _node) in entries.items():
        if name not in ("seed", "faults"):
            raise ConfigurationError(
                f"{where}: there is no {name!r}, expected seed or faults"
                + nearest(name, ("seed", "faults"))
            )
    seed = entries.get("seed")
    found = entries.get("faults")
    return Scenario(
        None if seed is None else _whole(_item(seed[1], source), _SEED),
        () if found is None else tuple(_faults(found[1], source)),
    )


def parse_fault(text: str, source: str) -> Fault:
    """Read one fault from a YAML or JSON mapping.

    Raises:
        ConfigurationError: see ``load``.
    """
    return _fault_of(_composed(text, source), source)


def parse_flag(text: str) -> Fault:
    """Read one fault as a command line has it: ``close:code=1011,at=10:15:00,share=0.5``.

    What has no ``=`` belongs to the value before it: ``partial:blocks=depth,greeks``.

    Raises:
        ConfigurationError: see ``load``.
    """
    name, _, rest = text.partition(":")
    flag = f"--fault {text!r}"
    given = {"name": _Item(f"{flag}, character 1", (name.strip(),))}
    last, position = "", len(name) + 2
    for part in rest.split(",") if rest.strip() else ():
        where = f"{flag}, character {position}"
        key, equals, value = part.partition("=")
        if equals and (not last or re.fullmatch(r"\s*\w+\s*", key)):
            last = key.strip()
            if last in given:
                raise ConfigurationError(f"{where}: {last} is given twice, expected it once")
            given[last] = _Item(where, (value.strip(),))
        elif last:
            given[last] = _Item(given[last].where, (*given[last].texts, part.strip()), True)
        else:
            raise ConfigurationError(f"{where}: {part!r} is no setting, expected name=value")
        position += len(part) + 1
    return _made(given)


def fields(fault: Fault) -> dict[str, object]:
    """The fault as ``parse_fault`` reads it; only what differs from nothing said."""
    start = "at" if fault.is_instant else "from"
    begins = fault.starts_at.isoformat() if fault.starts_at is not None else None
    if fault.after_seconds is not None:
        begins = f"+{_duration(fault.after_seconds)}"
    lasts = None if fault.lasts_seconds is None else _duration(fault.lasts_seconds)
    told: dict[str, object] = {"name": fault.name, start: begins, "lasts": lasts}
    told |= {"share": fault.share, "times": fault.times, "match": list(fault.match) or None}
    told |= {n: list(v) if isinstance(v, tuple) else v for n, v in fault.arguments.values}
    return {name: value for name, value in told.items() if value is not None}


def _duration(seconds: float) -> str:
    return f"{seconds:f}".rstrip("0").rstrip(".") + "s"


def _composed(text: str, source: str) -> yaml.Node:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        raise ConfigurationError(f"{where}: no YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        problem = str(error).splitlines()[0] or "nested too deeply"
        raise ConfigurationError(f"{source}: no YAML: {problem}") from error
    if node is None:
        raise ConfigurationError(f"{source}: is empty, expected a mapping")
    return node


def _where(node: yaml.Node, source: str) -> str:
    return f"{source}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def _mapping(node: yaml.Node, source: str, expected: str) -> dict[str, tuple[str, yaml.Node]]:
    """A mapping's values with the places of their keys."""
    if not isinstance(node, yaml.MappingNode):
        raise ConfigurationError(f"{_where(node, source)}: expected {expected}")
    found: dict[str, tuple[str, yaml.Node]] = {}
    for key, value in node.value:
        where = _where(key, source)
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigurationError(f"{where}: expected a name before the colon")
        if key.value in found:
            raise ConfigurationError(f"{where}: {key.value} is given twice, expected it once")
        found[key.value] = where, value
    return found


def _faults(node: yaml.Node, source: str) -> Iterable[Fault]:
    if not isinstance(node, yaml.SequenceNode):
        raise ConfigurationError(
            f"{_where(node, source)}: faults must be a list, expected e.g. - {{name: close}}"
        )
    return [_fault_of(each, source) for each in node.value]


def _fault_of(node: yaml.Node, source: str) -> Fault:
    entries = _mapping(node, source, "a fault, e.g. {name: close, code: 1011}")
    given = {}
    for name, (where, value) in entries.items():
        item = _item(value, source)
        given[name] = item if name == "name" else _Item(where, item.texts, item.is_list)
    if "name" not in given:
        raise ConfigurationError(f"{_where(node, source)}: the fault has no name, expected name: …")
    return _made(given)


def _item(node: yaml.Node, source: str) -> _Item:
    """A scalar or a list of scalars, as written."""
    where = _where(node, source)
    if isinstance(node, yaml.ScalarNode):
        return _Item(where, (node.value,))
    parts = node.value if isinstance(node, yaml.SequenceNode) else None
    if parts is None or not all(isinstance(part, yaml.ScalarNode) for part in parts):
        raise ConfigurationError(f"{where}: expected a value or a list of values")
    return _Item(where, tuple(part.value for part in parts), True)


def _made(given: Mapping[str, _Item]) -> Fault:
    kind = _kind(given["name"])
    known = [*_FIELDS, *(argument.name for argument in kind.arguments)]
    for name, item in given.items():
        if name not in known:
            raise item.wrong(
                f"{kind.name} has no setting {name!r}, expected one of {', '.join(known)}"
                + nearest(name, known)
            )
    starts_at, after_seconds = _start(given)
    return Fault(
        kind.name,
        starts_at=starts_at,
        after_seconds=after_seconds,
        lasts_seconds=_lasts(given),
        is_instant=kind.is_event and "at" in given,
        share=_number(given["share"], _SHARE) if "share" in given else 1.0,
        times=_whole(given["times"], _TIMES) if "times" in given else None,
        match=given["match"].texts if "match" in given else (),
        arguments=kind.checked(
            {a.name: _value(given[a.name], a) for a in kind.arguments if a.name in given}
        ),
    )


def _kind(item: _Item) -> Kind:
    if item.is_list:
        raise item.wrong("the name is a list, expected one name")
    try:
        return kind_of(item.text)
    except ConfigurationError as error:
        raise item.wrong(error) from None


def _start(given: Mapping[str, _Item]) -> tuple[datetime | time | None, float | None]:
    if "at" in given and "from" in given:
        raise given["from"].wrong("a fault has one beginning, expected at or from, not both")
    item = given.get("at") or given.get("from")
    if item is None:
        return None, None
    text = item.text
    if text.startswith("+"):
        return None, _seconds(item, text[1:], _START)
    try:
        if _WALL.fullmatch(text):
            return time.fromisoformat(text), None
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise item.wrong(f"{text!r} is no time, expected {_START}") from None
    if instant.tzinfo is None:
        raise item.wrong(f"{text!r} has no time zone, expected e.g. {instant.isoformat()}+05:30")
    return instant, None


def _lasts(given: Mapping[str, _Item]) -> float | None:
    item = given.get("lasts")
    if item is None:
        return None
    if "at" in given and _kind(given["name"]).is_event:
        raise item.wrong("an event at an instant does not last, expected from instead of at")
    return _seconds(item, item.text, _LASTS)


def _seconds(item: _Item, text: str, expected: str) -> float:
    if not _DURATION.fullmatch(text):
        raise item.wrong(f"{text!r} is no duration, expected {expected}")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds >= 1e9:
        raise item.wrong(f"{text!r} is too long, expected less than 1e9 seconds")
    return seconds


def _number(item: _Item, argument: Argument) -> float:
    return _one(item, argument).number(argument.name)


def _whole(item: _Item, argument: Argument) -> int:
    return _one(item, argument).whole(argument.name)


def _one(item: _Item, argument: Argument) -> Arguments:
    return Arguments(((argument.name, _value(item, argument)),))


def _value(item: _Item, argument: Argument) -> Value:
    """The text as the argument's type, checked here so that the error has its place."""
    try:
        return argument.checked(_typed(item, argument))
    except ConfigurationError as error:
        raise item.wrong(error) from None


def _typed(item: _Item, argument: Argument) -> object:
    """The text as the type of the argument's default; itself if it is none such."""
    default, text = argument.default, item.text
    if isinstance(default, tuple):
        return item.texts
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return type(default)(text) if not item.is_list or isinstance(default, str) else text
    except ValueError:
        return text
