"""What a measurement is, and how it is printed; measuring stands in the benchmark's own module."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure with what it is held against in the same run.

    Attributes:
        value: the median of our runs.
        reference: the peer's or the limit's figure, same unit.
        ratio: ``value / reference``; what above or below 1 means is told in ``meaning``.
        meaning: one sentence for the reader.
    """

    value: float
    unit: str
    reference: float
    ratio: float
    meaning: str


def against(
    values: Sequence[float], unit: str, references: Sequence[float], meaning: str
) -> Metric:
    """A metric from paired runs: medians of both, and the median of the per-run ratios."""
    ratios = [v / r for v, r in zip(values, references, strict=True)]
    return Metric(
        shown(statistics.median(values)),
        unit,
        shown(statistics.median(references)),
        shown(statistics.median(ratios)),
        meaning,
    )


def within(value: float, unit: str, limit: float, meaning: str) -> Metric:
    """A metric that has no spread, such as an error or a share, held against a limit."""
    return Metric(shown(value), unit, shown(limit), shown(value / limit), meaning)


def shown(value: float) -> float:
    """As many digits as a reader can use, and no fewer for a small number."""
    return float(f"{value:.6g}")


def as_json(name: str, metrics: Mapping[str, Metric], details: Mapping[str, object]) -> str:
    """The benchmark's one JSON object."""
    return json.dumps(
        {
            "name": name,
            "machine": machine(),
            "metrics": {key: asdict(metric) for key, metric in metrics.items()},
            "details": details,
        },
        indent=1,
    )


def machine() -> dict[str, object]:
    """What the figures were measured on; a ratio travels, an absolute figure does not."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
