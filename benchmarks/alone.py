"""Programs that measure by themselves: one core, one thread, and nothing of the caller's state.

What they measure belongs in ``worker`` and ``growth``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

ONE_THREAD: Mapping[str, str] = dict.fromkeys(
    (
        *("POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"),
        *("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
    ),
    "1",
)
ANSWER_SECONDS = 900.0

_ROOT = Path(__file__).resolve().parent.parent


class Alone:
    """A Python module of ours in a process of its own, asked and answering in lines of JSON.

    All of them share one core, so that only one may be asked at a time.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        """Start it; the first line that it says is ``hello``."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=_ROOT,
            env={**os.environ, **ONE_THREAD},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.hello = self._answer()

    def ask(self, **question: object) -> dict[str, Any]:
        """The answer, with a key ``error`` if it raised, died or took too long."""
        if self._process.stdin is None or self._process.poll() is not None:
            return {"error": "its process is dead"}
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return {"error": "its process died"}
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        limit = threading.Timer(ANSWER_SECONDS, self._process.kill)
        limit.start()
        line = self._process.stdout.readline() if self._process.stdout else ""
        limit.cancel()
        if not line:
            return {"error": f"its process died, or needed more than {ANSWER_SECONDS:g} s"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Alone:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


def pin() -> int:
    """Keep this process on the last of the cores that it may use, the same one for all."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core
