"""One contender's process: ``python -m benchmarks.worker NAME``, driven through ``alone.Alone``.

Timing one call and writing down answers; who is called when, and what the figures mean, belongs in
``pricing``.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import time
import warnings
from collections.abc import Mapping
from functools import cache
from typing import IO, Any

import numpy as np
import polars as pl

from benchmarks import alone, nasty, universe
from benchmarks.contender import IV, Contender
from benchmarks.peers import CONTENDERS

GAMMA_NAMES = ("gamma_forward", "gamma")
VEGA_NAMES = ("vega_per_vol_point", "vega")


def answer(contender: Contender, question: Mapping[str, Any]) -> dict[str, Any]:
    """One question's answer: ``time``, ``solve`` or ``nasty``."""
    if question["act"] == "nasty":
        return {"wrong": nasty.score(lambda frame: contender.imply(frame)[IV])}
    frame = _read(question["path"])
    if question["act"] == "time":
        return {"seconds": seconds(contender, question["door"], frame, question["calls"])}
    solved(contender, frame).write_parquet(question["into"])
    return {}


@cache
def _read(path: str) -> pl.DataFrame:
    """In memory of its own and kept, so that no call pays for reading it."""
    return pl.read_parquet(path)


def seconds(contender: Contender, door: str, frame: pl.DataFrame, calls: int) -> float:
    """Median time of a call of ``imply`` or ``price``."""
    function = getattr(contender, door)
    taken = []
    for _ in range(calls):
        began = time.perf_counter()
        function(frame)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def solved(contender: Contender, frame: pl.DataFrame) -> pl.DataFrame:
    """Volatility, gamma and vega of each row in our units; NaN where there is none."""
    made = (contender.price or contender.imply)(frame)
    gamma, vega = _first(made, GAMMA_NAMES), _first(made, VEGA_NAMES)
    of_gamma, of_vega = contender.units(frame)
    return pl.DataFrame(
        {IV: _first(made, (IV,)), "gamma": gamma * of_gamma, "vega": vega * of_vega}
    )


def _first(frame: pl.DataFrame, names: tuple[str, ...]) -> Any:
    for name in names:
        if name in frame.columns:
            return frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return np.full(len(frame), np.nan)


def main(name: str, questions: IO[str], answers: IO[str]) -> None:
    """Load the contender, say whether it is there, then answer until the input ends."""
    try:
        contender = CONTENDERS[name]()
        # Some import and then do not run.
        solved(contender, universe.chain(2).select(universe.TERMS))
    except Exception as error:
        _say(answers, {"missing": _reason(error)})
        return
    doors = ("imply", "price") if contender.price else ("imply",)
    about = {"doors": doors, "greeks": contender.greek_count, "is_scalar": contender.is_scalar}
    _say(answers, about)
    for line in questions:
        try:
            told = answer(contender, json.loads(line))
        except Exception as error:
            told = {"error": _reason(error)}
        _say(answers, told)


def _reason(error: Exception) -> str:
    """Its first words, without a terminal's colours."""
    return re.sub(r"\x1b\[\d*m", "", f"{type(error).__name__}: {error}").replace("\n", " ")[:200]


def _say(answers: IO[str], told: Mapping[str, Any]) -> None:
    answers.write(json.dumps(told) + "\n")
    answers.flush()


if __name__ == "__main__":
    # Some packages print; only answers may reach the one who asked.
    mouth = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    alone.pin()
    main(sys.argv[1], sys.stdin, mouth)
