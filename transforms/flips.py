"""Where the net gamma exposure changes sign, and how far that level can be trusted.

Roots of G(s) = Σ ±Γ(s)·OI·s²·0.01/10⁷ (naive convention, sticky strike; ``bells``) by repricing on
levels at most an eighth of a strike step apart: within 6 % of the spot and, if there is none,
within 12 %. Each change of sign is then refined on G itself. All expiries of a symbol together are
moved by the same ratio, each from its own spot.
"""

# ruff: noqa: PLR0917 - compiled kernels take their scalars by position.
from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import polars as pl

from transforms.bells import Bells, Flags, Floats, add_bell, lines, net_at, net_over
from transforms.kernel import compiled
from transforms.layout import Positions

Shapes = tuple[Floats, Floats, Floats]
Found = tuple[Floats, Positions, Floats, Flags, Flags]

FLIP_STATUSES = (
    "available",
    "multiple",
    "sensitive",
    "no_crossing",
    "stale",
    "insufficient_coverage",
    "undefined_for_convention",
)
"""From the best to the worst; of several that apply the later one is published:

* ``available``: one level; ``multiple``: several, of which the nearest to spot is published;
* ``sensitive``: the published level would move by more than 1 %, or vanish, if spot were 0.05 %
  higher or lower, or all volatilities a point, or if any one strike were not held;
* ``no_crossing``: none within 12 %;
* ``stale``: the quotes are older than two intervals; the level is still given;
* ``insufficient_coverage``: the strikes do not span the levels searched, or more than 20 % of open
  interest has no volatility; what was found is listed but none is published as the flip;
* ``undefined_for_convention``: hedgers who are short of everything have no flip.
"""

NAIVE, WRITERS_SHORT = "naive", "writers_short"

NEAR = (math.log(0.94), math.log(1.06))
FAR = (math.log(0.88), math.log(1.12))
# Eight would do at the spot; levels grow by up to 12 % above it.
_LEVELS_PER_STEP = 9
_FEWEST, _MOST = 97, 4097
_MAY_MOVE = math.log(1.01)
_SPOT_SHIFT = 0.0005
_VOLATILITY_SHIFT = 0.01
_UNPRICED_AT_MOST = 0.2
# A remainder this small against what was taken away is rounding.
_ROUNDING = 1e-12
_ITERATIONS = 100
_CLOSE = 1e-13


@compiled
def evenly(low: float, high: float, step: float) -> Floats:
    """Moves from low to high at most ``step`` apart, both ends included."""
    count = min(max(math.ceil((high - low) / step) + 1, _FEWEST), _MOST)
    moves = np.empty(count)
    for j in range(count):
        moves[j] = low + (high - low) / (count - 1) * j
    return moves


@compiled
def strike_step(strikes: Floats, first: int, last: int) -> float:
    """Median gap of ln(K/S) near the spot, or 1 %; unaffected by single odd strikes."""
    gaps = np.empty(max(last - first, 1))
    count = 0
    for i in range(first + 1, last):
        if NEAR[0] <= strikes[i - 1] and strikes[i] <= NEAR[1] and strikes[i] > strikes[i - 1]:
            gaps[count] = strikes[i] - strikes[i - 1]
            count += 1
    return float(np.median(gaps[:count])) if count else 0.01


@compiled
def crossings(values: Floats, found: Positions) -> int:
    """How many changes of sign there are; row i of ``found`` gets the positions around the i-th.

    Zeros have no sign: a change across them is one, and touching zero is none.
    """
    count, last = 0, -1
    for j in range(len(values)):
        if values[j] == 0.0:
            continue
        if last >= 0 and (values[j] > 0.0) != (values[last] > 0.0):
            found[count, 0], found[count, 1] = last, j
            count += 1
        last = j
    return count


@compiled
def nearest_crossing(moves: Floats, values: Floats, origin: float) -> float:
    """The linearly interpolated change of sign nearest to ``origin``; NaN if there is none."""
    best, last = math.nan, -1
    for j in range(len(values)):
        if values[j] == 0.0:
            continue
        if last >= 0 and (values[j] > 0.0) != (values[last] > 0.0):
            share = values[last] / (values[last] - values[j])
            root = moves[last] + share * (moves[j] - moves[last])
            if not abs(root - origin) >= abs(best - origin):
                best = root
        last = j
    return best


@compiled
def refined(shapes: Floats, first: int, last: int, low: float, high: float) -> float:
    """The root between two moves of unlike sign (C. Ridders, IEEE Trans. Circuits Syst. 26, 1979).

    His method takes an exponential out of the function, of which the tails of bells are made.
    """
    at_low, at_high = net_at(low, shapes, first, last), net_at(high, shapes, first, last)
    root = math.nan
    for _ in range(_ITERATIONS):
        left = right = 0.5 * (low + high)
        at_left = at_right = net_at(left, shapes, first, last)
        before, root = root, left + (left - low) * _ridders_share(at_low, at_left, at_high)
        at_root = net_at(root, shapes, first, last)
        if at_left == 0.0 or at_root == 0.0 or abs(root - before) < _CLOSE:
            break
        if root < left:
            left, at_left = root, at_root
        else:
            right, at_right = root, at_root
        if (at_low > 0.0) != (at_left > 0.0):
            high, at_high = left, at_left
        elif (at_left > 0.0) != (at_right > 0.0):
            low, at_low, high, at_high = left, at_left, right, at_right
        else:
            low, at_low = right, at_right
    return root


@compiled
def _ridders_share(at_low: float, at_middle: float, at_high: float) -> float:
    """Where between middle (0) and an end (−1, 1) the function less its exponential is zero."""
    scale = max(abs(at_low), abs(at_middle), abs(at_high))
    low, middle, high = at_low / scale, at_middle / scale, at_high / scale
    root = math.sqrt(middle * middle - low * high)
    share = middle / root if root > 0.0 else 0.0
    return share if low > high else -share


@compiled
def is_sensitive(shapes: Shapes, first: int, last: int, root: float, step: float) -> bool:
    """Whether the published flip moves by more than 1 %; see ``FLIP_STATUSES``.

    A flip that has not moved lies within 1 % of the root, so levels farther from the spot than that
    need no pricing.
    """
    reach = abs(root) + _MAY_MOVE
    moves = evenly(-reach, reach, step)
    net = net_over(moves, shapes[0], first, last)
    for origin in (math.log(1.0 - _SPOT_SHIFT), math.log(1.0 + _SPOT_SHIFT)):
        if _has_moved(moves, net, origin, root):
            return True
    for shape in shapes[1:]:
        if _has_moved(moves, net_over(moves, shape, first, last), 0.0, root):
            return True
    return _depends_on_one(shapes[0], first, last, moves, net, root)


@compiled
def _has_moved(moves: Floats, values: Floats, origin: float, root: float) -> bool:
    return not abs(nearest_crossing(moves, values, origin) - root) <= _MAY_MOVE


@compiled
def _depends_on_one(
    shapes: Floats, first: int, last: int, moves: Floats, net: Floats, root: float
) -> bool:
    own = np.empty(len(moves))
    for k in range(first, last):
        if shapes[0, k] == 0.0:
            continue
        own[:] = 0.0
        add_bell(own, moves, shapes[0, k], shapes[1, k], shapes[2, k])
        for j in range(len(moves)):
            rest = net[j] - own[j]
            own[j] = rest if abs(rest) > _ROUNDING * abs(own[j]) else 0.0
        if _has_moved(moves, own, 0.0, root):
            return True
    return False


@compiled
def roots_between(
    shapes: Floats, first: int, last: int, moves: Floats, around: Positions
) -> Floats:
    """All refined roots that changes of sign on ``moves`` give away; ``around`` is scratch."""
    count = crossings(net_over(moves, shapes, first, last), around)
    roots = np.empty(count)
    for i in range(count):
        roots[i] = refined(shapes, first, last, moves[around[i, 0]], moves[around[i, 1]])
    return roots


@compiled
def roots_of_book(
    shapes: Floats, first: int, last: int, step: float, around: Positions
) -> tuple[Floats, bool]:
    """The roots near the spot, else those in the wider range, and whether that was searched."""
    roots = roots_between(shapes, first, last, evenly(NEAR[0], NEAR[1], step), around)
    if len(roots):
        return roots, False
    return roots_between(shapes, first, last, evenly(FAR[0], FAR[1], step), around), True


@compiled
def search(shapes: Shapes, log_strikes: Floats, book_starts: Positions) -> Found:
    """The flips of each book of strikes [starts[i], starts[i + 1]), as moves ln(s/S).

    Returns:
        The roots of all books in a row, how many each has, the nearest to spot (NaN if none),
        whether it is sensitive, and whether the wider range was searched.
    """
    books = len(book_starts) - 1
    roots, used = np.empty(4 * books + 1), 0
    counts, nearest = np.zeros(books, dtype=np.int64), np.full(books, np.nan)
    is_moved, is_far = np.zeros(books, dtype=np.bool_), np.zeros(books, dtype=np.bool_)
    around = np.empty((_MOST, 2), dtype=np.int64)
    for i in range(books):
        first, last = book_starts[i], book_starts[i + 1]
        step = strike_step(log_strikes, first, last) / _LEVELS_PER_STEP
        own, is_far[i] = roots_of_book(shapes[0], first, last, step, around)
        counts[i] = len(own)
        roots = _with_room(roots, used + len(own))
        roots[used : used + len(own)] = own
        used += len(own)
        if len(own):
            nearest[i] = own[np.argmin(np.abs(own))]
            is_moved[i] = is_sensitive(shapes, first, last, nearest[i], step)
    return roots[:used], counts, nearest, is_moved, is_far


@compiled
def _with_room(values: Floats, needed: int) -> Floats:
    if needed <= len(values):
        return values
    larger = np.empty(2 * needed)
    larger[: len(values)] = values
    return larger


@compiled
def coverage(
    log_strikes: Floats, units: Floats, is_known: Flags, book_starts: Positions
) -> tuple[Floats, Floats, Floats]:
    """Per book: the lowest and highest ln(K/S), and the share of open interest without a price.

    The share is 1 where there is no open interest.
    """
    books = len(book_starts) - 1
    low, high = np.full(books, np.inf), np.full(books, -np.inf)
    unpriced = np.ones(books)
    for i in range(books):
        held = missing = 0.0
        for k in range(book_starts[i], book_starts[i + 1]):
            # NaN fails both comparisons.
            low[i] = log_strikes[k] if log_strikes[k] < low[i] else low[i]
            high[i] = log_strikes[k] if log_strikes[k] > high[i] else high[i]
            held += units[k]
            missing += 0.0 if is_known[k] else units[k]
        if held > 0.0:
            unpriced[i] = missing / held
    return low, high, unpriced


def with_flips(
    owners: pl.DataFrame,
    strikes: Bells,
    book_starts: Positions,
    *,
    interval: timedelta = timedelta(minutes=5),
    convention: str = NAIVE,
) -> pl.DataFrame:
    """Add ``gamma_flip``, ``gamma_flips`` (₹) and ``gamma_flip_status`` (``FLIP_STATUSES``).

    Args:
        owners: expiries, or symbols with all their expiries together: ``spot`` (₹), ``as_of`` and
            ``quoted_at`` (the oldest that counts).
        strikes: of the whole snapshot.
        book_starts: which of them each owner has, as from ``layout.starts``.
        interval: usual time between two snapshots.
        convention: ``NAIVE``, or ``WRITERS_SHORT``, which has no flip.
    """
    if convention == WRITERS_SHORT:
        return without_flips(owners, "undefined_for_convention")
    terms = strikes.terms
    shapes = lines(terms, 0.0), lines(terms, _VOLATILITY_SHIFT), lines(terms, -_VOLATILITY_SHIFT)
    roots, counts, nearest, is_moved, is_far = search(
        shapes, strikes.log_strike_over_spot, book_starts
    )
    is_covered = _is_covered(strikes, book_starts, is_far)
    found = owners.with_columns(
        pl.Series("_move", nearest, nan_to_null=True),
        pl.Series("_count", counts),
        pl.Series("_is_moved", is_moved),
        pl.Series("_is_covered", is_covered),
        _lists(roots, counts).alias("_moves"),
    )
    level = pl.col("spot") * pl.col("_move").exp()
    levels = pl.col("spot") * pl.col("_moves").list.eval(pl.element().exp())
    return found.with_columns(
        pl.when("_is_covered").then(level).alias("gamma_flip"),
        levels.alias("gamma_flips"),
        _status(interval).alias("gamma_flip_status"),
    ).drop("_move", "_count", "_is_moved", "_is_covered", "_moves")


def without_flips(owners: pl.DataFrame, status: str | None = None) -> pl.DataFrame:
    """The same columns, null, where the levels are not priced."""
    return owners.with_columns(
        pl.lit(None, pl.Float64).alias("gamma_flip"),
        pl.lit(None, pl.List(pl.Float64)).alias("gamma_flips"),
        pl.lit(status, pl.String).alias("gamma_flip_status"),
    )


def _is_covered(strikes: Bells, book_starts: Positions, is_far: Flags) -> Flags:
    low, high, unpriced = coverage(
        strikes.log_strike_over_spot, strikes.open_interest_units, strikes.is_known, book_starts
    )
    lowest, highest = (np.where(is_far, FAR[i], NEAR[i]) for i in (0, 1))
    return (low <= lowest) & (high >= highest) & (unpriced <= _UNPRICED_AT_MOST)


def _status(interval: timedelta) -> pl.Expr:
    return (
        pl.when(~pl.col("_is_covered"))
        .then(pl.lit("insufficient_coverage"))
        .when(pl.col("as_of") - pl.col("quoted_at") > 2 * interval)
        .then(pl.lit("stale"))
        .when(pl.col("_count") == 0)
        .then(pl.lit("no_crossing"))
        .when("_is_moved")
        .then(pl.lit("sensitive"))
        .when(pl.col("_count") > 1)
        .then(pl.lit("multiple"))
        .otherwise(pl.lit("available"))
    )


def _lists(values: Floats, counts: Positions) -> pl.Series:
    """Values in a row cut into one list per owner."""
    owner = np.repeat(np.arange(len(counts)), counts)
    rows = pl.DataFrame({"owner": owner, "move": values}).group_by("owner").agg("move")
    every = pl.DataFrame({"owner": np.arange(len(counts))})
    joined = every.join(rows, on="owner", how="left", maintain_order="left")["move"]
    return joined.fill_null([])


def warm() -> None:
    """Compile the kernels once and leave them in the cache."""
    terms, known = np.ones((7, 1)), np.ones(1, dtype=np.bool_)
    shape, one, book = lines(terms, 0.0), np.zeros(1), np.array((0, 1), dtype=np.int64)
    search((shape, shape, shape), one, book)
    coverage(one, one, known, book)
