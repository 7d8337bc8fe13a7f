"""Implied volatility and Greeks of a whole market, frame → frame, against every other package.

Each contender runs in a process of its own on the same core with one thread; rounds go through all
of them in turn, so that whatever else the machine does hits them alike, and ratios are taken in
each round. Who takes part stands in ``peers``, what is right in ``accuracy`` and ``nasty``.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from rich.console import Console

from benchmarks import nasty, universe
from benchmarks.accuracy import Measured, judge, measured_sets
from benchmarks.alone import Alone
from benchmarks.peers import CONTENDERS, OURS
from benchmarks.report import Metric, against, within

ROUNDS = 11
CHAIN_ROWS = 200
ASKED_SECONDS = 0.1
MOST_CALLS = 51
"""A round takes the median of so many calls that they last about that long."""
SCALAR_EVERY = 50
"""A package of scalar functions is timed on one row in so many; per row it costs the same."""

MARKET, CHAIN = "market", "chain"


@dataclass(slots=True)
class Result:
    """What was found of one contender.

    Attributes:
        seconds: for each (frame, door), a call's time over its rows, in each round.
        accuracy: figures of each set.
        wrong: nasty cases that it gets wrong.
        error: what kept it from finishing, if anything did.
    """

    greek_count: int
    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    accuracy: dict[str, dict[str, float]] = field(default_factory=dict)
    wrong: Sequence[str] = ()
    error: str | None = None

    def median_ns(self, frame: str, door: str) -> float | None:
        """Nanoseconds a row; None if it has no such door."""
        rounds = self.seconds.get((frame, door))
        return round(statistics.median(rounds) * 1e9, 2) if rounds else None


def run(rows: int | None = None) -> tuple[Mapping[str, Metric], Mapping[str, object]]:
    """Measure accuracy, then speed.

    Args:
        rows: how many of each set are solved exactly (see ``accuracy.measured_sets``).
    """
    sets = measured_sets(rows)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="optionlake-")))
        workers, missing = _start(stack)
        results = {n: Result(w.hello["greeks"]) for n, w in workers.items()}
        for measured in sets:
            measured.frame.write_parquet(folder / measured.name)
        for name, worker in workers.items():
            _judge(worker, results[name], sets, folder)
        _race(workers, results, folder)
    return metrics(results), _details(results, missing, sets)


def metrics(results: Mapping[str, Result]) -> dict[str, Metric]:
    """The claims: speed against the best peer of the same run, accuracy against its limit."""
    ours = results[OURS]
    return {
        "iv_greeks_vs_best_peer": _speed(results, "price", "IV and Greeks; goal: 8 or more"),
        "iv_vs_best_peer": _speed(results, "imply", "IV alone; goal: 10 or more"),
        "chain_200_rows_ms": _chain(results),
        **_accuracy(ours.accuracy),
        "nasty_ok": within(
            len(nasty.CASES) - len(ours.wrong),
            "cases",
            len(nasty.CASES),
            "Broken and extreme inputs answered rightly; goal: all.",
        ),
    }


def best_peer(results: Mapping[str, Result], frame: str, door: str) -> str:
    """The quickest package but ours, by the median of its rounds."""
    medians = {name: result.median_ns(frame, door) for name, result in results.items()}
    peers = {n: m for n, m in medians.items() if m is not None and n != OURS}
    if not peers:
        raise SystemExit("no other package is installed to compare with: use `make bench`")
    return min(peers, key=lambda name: peers[name])


def _speed(results: Mapping[str, Result], door: str, what: str) -> Metric:
    peer = best_peer(results, MARKET, door)
    ours, theirs = (
        [1e-6 / s for s in results[name].seconds[MARKET, door]] for name in (OURS, peer)
    )
    meaning = f"How many times as fast as {peer}, the best peer, frame to frame, {what}."
    return against(ours, "million contracts/s", theirs, meaning)


def _chain(results: Mapping[str, Result]) -> Metric:
    peer = best_peer(results, CHAIN, "price")
    ours, theirs = (
        [s * CHAIN_ROWS * 1e3 for s in results[n].seconds[CHAIN, "price"]] for n in (OURS, peer)
    )
    meaning = f"A chain of {CHAIN_ROWS} rows, IV and Greeks, beside {peer}; goal: below 0.25 ms."
    return against(ours, "ms", theirs, meaning)


def _accuracy(found: Mapping[str, Mapping[str, float]]) -> dict[str, Metric]:
    market, itm = found["universe"], found["itm"]
    greek = max(market["gamma_p999"], market["vega_p999"])
    exact = "of the exact root; goal: at most the limit."
    return {
        "universe_share_within_1e_12": within(
            market["within_1e_12"], "share", 0.9999, "Market rows; goal: at least the limit."
        ),
        "otm_max_error": within(found["otm"]["max"], "relative", 1e-14, f"Out of money, {exact}"),
        "itm_max_error": within(
            itm["well_conditioned_max"], "relative", 1e-14, f"In the money, {exact}"
        ),
        "tail_max_error": within(found["tail"]["max"], "relative", 1e-14, f"Far tail, {exact}"),
        "itm_ill_share_attained": within(
            itm["ill_conditioned_attained"], "share", 1.0, "Within 16 half ulps of the premium."
        ),
        "greeks_p999_error": within(
            greek, "relative", 1e-12, "Worse of gamma and vega on the market, 99.9th percentile."
        ),
    }


def _start(stack: ExitStack) -> tuple[dict[str, Alone], dict[str, str]]:
    workers: dict[str, Alone] = {}
    missing: dict[str, str] = {}
    for name in CONTENDERS:
        worker = stack.enter_context(Alone("benchmarks.worker", name))
        if reason := worker.hello.get("missing", worker.hello.get("error")):
            missing[name] = reason
        else:
            workers[name] = worker
    return workers, missing


def _judge(worker: Alone, result: Result, sets: Sequence[Measured], folder: Path) -> None:
    answers = folder / "answers"
    for measured in sets:
        told = worker.ask(act="solve", path=str(folder / measured.name), into=str(answers))
        if "error" in told:
            result.error = told["error"]
            return
        solved = pl.read_parquet(answers)
        result.accuracy[measured.name] = judge(measured, solved)
    told = worker.ask(act="nasty")
    result.wrong, result.error = told.get("wrong", ()), told.get("error")


def _race(workers: Mapping[str, Alone], results: Mapping[str, Result], folder: Path) -> None:
    market = universe.market().select(universe.TERMS)
    frames = {
        "whole": market,
        "part": market.gather_every(SCALAR_EVERY),
        CHAIN: universe.chain(CHAIN_ROWS).select(universe.TERMS),
    }
    for name, frame in frames.items():
        frame.write_parquet(folder / name)
    runners = [
        _Runner(name, worker, "part" if worker.hello["is_scalar"] else "whole")
        for name, worker in workers.items()
        if results[name].error is None
    ]
    screen = Console(stderr=True)
    for number in range(-1, ROUNDS):
        screen.print(f"round {number + 1} of {ROUNDS}", highlight=False)
        for runner in _turned(runners, number):
            for key, taken in runner.round(frames, folder).items():
                if number >= 0:  # the first round only warms up
                    results[runner.name].seconds.setdefault(key, []).append(taken)


@dataclass(slots=True)
class _Runner:
    """A contender in the race; asks for more calls at once the quicker it was before."""

    name: str
    worker: Alone
    market: str
    calls: dict[tuple[str, str], int] = field(default_factory=dict)

    def round(
        self, frames: Mapping[str, pl.DataFrame], folder: Path
    ) -> dict[tuple[str, str], float]:
        """Seconds a row of each frame and door."""
        return {
            (kind, door): self._per_row(folder / file, door, len(frames[file]))
            for door in self.worker.hello["doors"]
            for kind, file in ((MARKET, self.market), (CHAIN, CHAIN))
        }

    def _per_row(self, path: Path, door: str, rows: int) -> float:
        calls = self.calls.get((path.name, door), 1)
        told = self.worker.ask(act="time", path=str(path), door=door, calls=calls)
        if "error" in told:
            raise SystemExit(f"{self.name} stopped in the race: {told['error']}")
        wanted = round(ASKED_SECONDS / max(told["seconds"], 1e-6))
        self.calls[path.name, door] = min(max(wanted, 1), MOST_CALLS)
        return float(told["seconds"]) / rows


def _turned(runners: Sequence[_Runner], number: int) -> Sequence[_Runner]:
    """Another one begins in each round."""
    first = number % len(runners)
    return [*runners[first:], *runners[:first]]


def _details(
    results: Mapping[str, Result], missing: Mapping[str, str], sets: Sequence[Measured]
) -> dict[str, object]:
    return {
        "rounds": ROUNDS,
        "sets": {s.name: len(s.frame) for s in sets},
        "missing": dict(missing),
        "contenders": {name: _about(result) for name, result in results.items()},
    }


def _about(result: Result) -> dict[str, object]:
    return {
        "iv_ns": result.median_ns(MARKET, "imply"),
        "iv_greeks_ns": result.median_ns(MARKET, "price"),
        "chain_200_rows_ms": _in_ms(result.median_ns(CHAIN, "price")),
        "greeks": result.greek_count,
        "nasty_ok": None if result.error else len(nasty.CASES) - len(result.wrong),
        "nasty_wrong": list(result.wrong),
        "accuracy": result.accuracy,
        "error": result.error,
    }


def _in_ms(ns: float | None) -> float | None:
    return None if ns is None else round(ns * CHAIN_ROWS / 1e6, 4)
