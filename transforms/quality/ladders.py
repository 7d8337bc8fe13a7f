"""Kernels that walk an expiry's strikes: which quotes contradict which, and gaps between strikes.

A ladder is given in the order in which its options get cheaper (calls by rising strike, puts by
falling strike) with ``x``, the distance walked in ₹. Free of arbitrage, the price as a function of
x never rises, falls by at most the discount per ₹, and is convex. All pairs and triples of strikes
are compared, not only neighbours, in time linear in their number. What the conflicts are called,
and who is told, belongs in ``arbitrage`` and ``series``.
"""

# ruff: noqa: PLR0917 - compiled kernels take their scalars by position.
from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from transforms.kernel import compiled

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]
Conflicts: TypeAlias = tuple[Floats, Rows, Rows]
Blames: TypeAlias = tuple[Rows, NDArray[np.bool_], Rows, Rows, Floats]


@compiled
def _no_conflicts(count: int) -> Conflicts:
    return np.zeros(count), np.full(count, -1, np.int64), np.full(count, -1, np.int64)


@compiled
def monotone_conflicts(bid: Floats, ask: Floats, starts: Rows, tolerance: float) -> Conflicts:
    """For each bid the lowest ask of a dearer option below it: excess (₹, 0 if none), its row, −1.

    Args:
        bid, ask: shape (n,), ₹, NaN if not quoted.
        starts: shape (groups + 1,), where each ladder's rows begin.
        tolerance: ₹ of excess that is forgiven.
    """
    excess, left, right = _no_conflicts(len(bid))
    for group in range(len(starts) - 1):
        lowest, row = math.inf, -1
        for i in range(starts[group], starts[group + 1]):
            if bid[i] > lowest + tolerance:
                excess[i], left[i] = bid[i] - lowest, row
            if ask[i] < lowest:
                lowest, row = ask[i], i
    return excess, left, right


@compiled
def vertical_conflicts(
    x: Floats, bid: Floats, ask: Floats, discount: Floats, starts: Rows, tolerance: float
) -> Conflicts:
    """For each bid the ask of a cheaper option that it exceeds most, beyond the discounted width.

    Arguments and answer as ``monotone_conflicts``; ``discount`` is a factor per row.
    """
    excess, left, right = _no_conflicts(len(bid))
    for group in range(len(starts) - 1):
        lowest, row = math.inf, -1
        for i in range(starts[group + 1] - 1, starts[group] - 1, -1):
            paid = discount[i] * x[i]
            if bid[i] + paid > lowest + tolerance:
                excess[i], left[i] = bid[i] + paid - lowest, row
            if ask[i] + paid < lowest:
                lowest, row = ask[i] + paid, i
    return excess, left, right


@compiled
def butterfly_conflicts(
    x: Floats, bid: Floats, ask: Floats, starts: Rows, tolerance: float
) -> Conflicts:
    """For each bid the two wings, weighted by their distance, that cost least together.

    They are neighbours on the lower convex hull of the asks. Answer as ``monotone_conflicts``,
    with the rows of both wings.
    """
    excess, left, right = _no_conflicts(len(bid))
    hull = np.empty(len(bid), np.int64)
    for group in range(len(starts) - 1):
        size = _lower_hull(x, ask, starts[group], starts[group + 1], hull)
        k = 1
        for i in range(starts[group], starts[group + 1]):
            while k < size and x[hull[k]] < x[i]:
                k += 1
            if k < size and x[hull[k - 1]] < x[i] < x[hull[k]]:
                a, b = hull[k - 1], hull[k]
                wings = _between(x[a], ask[a], x[b], ask[b], x[i])
                if bid[i] > wings + tolerance:
                    excess[i], left[i], right[i] = bid[i] - wings, a, b
    return excess, left, right


@compiled
def _lower_hull(x: Floats, y: Floats, begin: int, end: int, hull: Rows) -> int:
    """Rows of the lower convex hull, left to right (A. Andrew's monotone chain, 1979); its size."""
    size = 0
    for i in range(begin, end):
        if math.isnan(y[i]) or (size > 0 and x[i] <= x[hull[size - 1]]):
            continue
        while size > 1 and _is_below(x, y, hull[size - 2], hull[size - 1], i):
            size -= 1
        hull[size] = i
        size += 1
    return size


@compiled
def _is_below(x: Floats, y: Floats, a: int, b: int, c: int) -> bool:
    """Whether the chord from a to c runs below, or through, b."""
    return bool((y[b] - y[a]) * (x[c] - x[a]) >= (y[c] - y[a]) * (x[b] - x[a]))


@compiled
def _between(x0: float, y0: float, x1: float, y1: float, x: float) -> float:
    share = (x - x0) / (x1 - x0)
    return y0 + share * (y1 - y0)


@compiled
def blame(excess: Floats, left: Rows, right: Rows) -> Blames:
    """Put the conflicts down to as few quotes as their structure shows.

    One ask that several bids contradict is blamed itself, once; else the bid is.

    Returns:
        For each blamed quote: its row, whether it is an ask, the row on the other side of its worst
        conflict, the number of its conflicts and the worst excess.
    """
    count = len(excess)
    against = np.zeros(count, np.int64)
    for i in range(count):
        if excess[i] > 0.0:
            against[left[i]] += 1
            if right[i] >= 0:
                against[right[i]] += 1
    worst, other = np.zeros(2 * count), np.zeros(2 * count, np.int64)
    times = np.zeros(2 * count, np.int64)
    for i in range(count):
        if excess[i] > 0.0:
            ask = left[i]
            if right[i] >= 0 and against[right[i]] > against[ask]:
                ask = right[i]
            slot, facing = (count + ask, i) if against[ask] > 1 else (i, ask)
            times[slot] += 1
            if excess[i] > worst[slot]:
                worst[slot], other[slot] = excess[i], facing
    slots = np.flatnonzero(times)
    return slots % max(count, 1), slots >= count, other[slots], times[slots], worst[slots]


@compiled
def calendar_conflicts(
    x: Floats, low: Floats, high: Floats, starts: Rows, later: Rows, tolerance: float
) -> Conflicts:
    """Where an expiry's total variance surely exceeds the later expiry's at equal moneyness.

    Args:
        x: ln(K/F), rising within each expiry.
        low, high: total variance implied from the bid and the ask, NaN if not implied.
        later: shape (groups,), the group of the same symbol's next expiry, −1 if there is none.
        tolerance: share of the variance that is forgiven.

    Returns:
        As ``monotone_conflicts``; the rows are the later strikes on either side, between which its
        variance is taken linearly (above a convex smile, which errs towards silence).
    """
    excess, left, right = _no_conflicts(len(x))
    for group in range(len(starts) - 1):
        if later[group] >= 0:
            near = (starts[group], starts[group + 1])
            far = (starts[later[group]], starts[later[group] + 1])
            _compare_expiries(x, low, high, near, far, tolerance, excess, left, right)
    return excess, left, right


@compiled
def _compare_expiries(
    x: Floats,
    low: Floats,
    high: Floats,
    near: tuple[int, int],
    far: tuple[int, int],
    tolerance: float,
    excess: Floats,
    left: Rows,
    right: Rows,
) -> None:
    a, b = -1, _next_known(high, far[0], far[1])
    for i in range(near[0], near[1]):
        while b < far[1] and x[b] < x[i]:
            a, b = b, _next_known(high, b + 1, far[1])
        if b < far[1] and (a >= 0 or x[b] == x[i]):
            start = b if a < 0 else a
            most = high[b] if x[b] == x[i] else _between(x[start], high[start], x[b], high[b], x[i])
            if low[i] > most * (1.0 + tolerance):
                excess[i], left[i], right[i] = low[i] - most, start, b


@compiled
def _next_known(values: Floats, begin: int, end: int) -> int:
    while begin < end and math.isnan(values[begin]):
        begin += 1
    return begin


@compiled
def nearest_rows(strike: Floats, centre: Floats, starts: Rows) -> Rows:
    """Of each group the row whose strike is nearest to its centre, the lower of two; −1 if unknown.

    Args:
        centre: shape (groups,), ₹, NaN if not known.
    """
    nearest = np.full(len(starts) - 1, -1, np.int64)
    for group in range(len(starts) - 1):
        best = math.inf
        for i in range(starts[group], starts[group + 1]):
            if abs(strike[i] - centre[group]) < best:
                best, nearest[group] = abs(strike[i] - centre[group]), i
    return nearest


@compiled
def holes(strike: Floats, nearest: Rows, starts: Rows) -> Floats:
    """The step at which strikes are missing above each strike, ₹; 0 where none is missing.

    Exchanges list finer steps near the money, so a gap wider than one farther out is a hole.

    Args:
        strike: ₹, rising within each group.
        nearest: shape (groups,), the row at the money; −1 and the group is left out.
    """
    step = np.zeros(len(strike))
    for group in range(len(starts) - 1):
        if nearest[group] < 0:
            continue
        begin, end = starts[group], starts[group + 1]
        _note_holes(strike, nearest[group], end - 1, 1, step)
        _note_holes(strike, nearest[group] - 1, begin - 1, -1, step)
    return step


@compiled
def _note_holes(strike: Floats, inner: int, outer: int, way: int, step: Floats) -> None:
    """From the wing towards the money: a gap (above row i) wider than the finest outside of it."""
    finest = math.inf
    i = outer - way
    while (i - inner) * way >= 0:
        width = strike[i + 1] - strike[i]
        if width > 1.5 * finest:
            step[i] = finest
        finest = min(finest, width) if width > 0.0 else finest
        i -= way


def warm() -> None:
    """Compile every kernel once and leave it in the cache, so that no live path compiles."""
    one, starts = np.ones(1), np.array([0, 1], np.int64)
    blame(*monotone_conflicts(one, one, starts, 0.0))
    vertical_conflicts(one, one, one, one, starts, 0.0)
    butterfly_conflicts(one, one, one, starts, 0.0)
    calendar_conflicts(one, one, one, starts, starts[:1] - 1, 0.0)
    holes(one, nearest_rows(one, one, starts), starts)
