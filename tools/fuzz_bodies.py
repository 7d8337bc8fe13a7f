"""``python -m tools.fuzz_bodies --count 10000 --seed 1``: every reader of REST answers, at length.

Real answers of the simulated broker are damaged, in their structure and in their bytes, and read.
Each reading has to end in a sound value or in one of our own errors, soon, with a message that can
be written down, and must leave nothing behind: the undamaged answer still reads as before. What is
damaged and how stands in ``tools.damaged_json``; the socket's frames have ``tools.fuzz_frames``.
"""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer

from market.errors import OptionlakeError
from tools.broker_bodies import Reader, readers
from tools.damaged_json import damaged

_LONGEST_MESSAGE = 2_000
_SLOW_SECONDS = 2.0
# Reading the undamaged answer again costs as much as the trial itself.
_TRIALS_BETWEEN_CHECKS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """A body that broke a promise.

    Attributes:
        trouble: which promise, and how.
    """

    reader: str
    trouble: str
    body: bytes


@dataclass(slots=True)
class Tally:
    """What came of all trials, by reader and outcome."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def run(count: int, seed: int, all_readers: Sequence[Reader]) -> Tally:
    """Read ``count`` damaged bodies, the same for the same ``seed``."""
    tally = Tally()
    healthy = {reader.name: _healthy(reader) for reader in all_readers}
    for number, (reader, body) in enumerate(_trials(count, seed, all_readers)):
        outcome, trouble = verdict(reader, body)
        tally.outcomes[reader.name, outcome] += 1
        if trouble is None and number % _TRIALS_BETWEEN_CHECKS == 0:
            trouble = _changed(reader, healthy[reader.name])
        if trouble is not None:
            tally.findings.append(Finding(reader.name, trouble, body))
    return tally


def verdict(reader: Reader, body: bytes) -> tuple[str, str | None]:
    """The outcome of one reading, and which promise it broke, if any."""
    begun_at = time.perf_counter()
    try:
        value = reader.read(body)
    except OptionlakeError as error:
        outcome, trouble = type(error).__name__, _wrong_with(error)
    except Exception as error:  # every other one is what is looked for
        return "escaped", "".join(traceback.format_exception(error)[-3:])[-_LONGEST_MESSAGE:]
    else:
        outcome, trouble = "read", reader.unsound(value)
    seconds = time.perf_counter() - begun_at
    return outcome, trouble or (f"took {seconds:.1f} s" if seconds > _SLOW_SECONDS else None)


def _trials(count: int, seed: int, all_readers: Sequence[Reader]) -> Iterator[tuple[Reader, bytes]]:
    source = random.Random(seed)  # noqa: S311 - no secret
    for number in range(count):
        reader = all_readers[number % len(all_readers)]
        yield reader, damaged(source, source.choice(reader.bodies), is_zipped=reader.is_zipped)


def _wrong_with(error: OptionlakeError) -> str | None:
    """What keeps the message of an error from being logged."""
    text = str(error)
    if len(text) > _LONGEST_MESSAGE:
        return f"a message of {len(text)} signs"
    if not text.isprintable():
        return f"a message that cannot be printed: {text!a}"
    return None


def _healthy(reader: Reader) -> Sequence[object]:
    told = [reader.fingerprint(reader.read(body)) for body in reader.bodies]
    if any(reader.unsound(reader.read(body)) for body in reader.bodies):
        raise AssertionError(f"{reader.name} reads the broker's own answers unsoundly")
    return told


def _changed(reader: Reader, healthy: Sequence[object]) -> str | None:
    now = [reader.fingerprint(reader.read(body)) for body in reader.bodies]
    return None if now == healthy else "the undamaged answer reads otherwise since"


def table(outcomes: Mapping[tuple[str, str], int]) -> str:
    """One line for each reader: how many bodies it saw, and what it made of them."""
    names = sorted({name for name, _ in outcomes})
    lines = []
    for name in names:
        told = {outcome: n for (of, outcome), n in sorted(outcomes.items()) if of == name}
        each = ", ".join(f"{outcome} {n}" for outcome, n in told.items())
        lines.append(f"{name:<16}{sum(told.values()):>7}   {each}")
    return "\n".join(lines)


def main(
    count: Annotated[int, typer.Option(help="damaged bodies in all")] = 10_000,
    seed: Annotated[int, typer.Option(help="of the damage")] = 1,
) -> None:
    """Damage and read; exit code 1 if a promise is broken."""
    with readers() as all_readers:
        tally = run(count, seed, all_readers)
    typer.echo(table(tally.outcomes))
    typer.echo(f"{count} damaged bodies, {len(tally.findings)} findings")
    for finding in tally.findings[:10]:
        typer.echo(f"\n{finding.reader}: {finding.trouble}\n{finding.body[:400]!r}")
    sys.exit(1 if tally.findings else 0)


if __name__ == "__main__":
    typer.run(main)
