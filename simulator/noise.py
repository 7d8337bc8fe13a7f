"""Random numbers that can be asked for at any instant in any order: hashes of (stream, index).

Only the arithmetic of pseudo-randomness stands here; what a stream means (a spot, a volume, a
quantity) is decided where it is used. Instants are epoch milliseconds. Nothing keeps state.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Streams = NDArray[np.uint64]
Mask = NDArray[np.bool_]

MS_PER_YEAR = 525_600 * 60_000.0

# Octaves of the walk: from a quarter of a second to about 48 days, each twice as long.
_PERIODS_MS: Floats = 250.0 * 2.0 ** np.arange(25, dtype=np.float64)
SLOW = 10  # the first octave, of about 4 minutes, that belongs to slowly moving quantities

# A walk summed of smoothstep-interpolated lattices grows as 5.6·c²·σ²·τ: 1.486·c²σ²P for each
# octave shorter than τ and 2.4·c²σ²τ²/P for each longer one, both sums ≈ 1.44τ. Hence c.
_WALK_SCALE = 5.6**-0.5 * 12.0**0.5

_PROGRESS_PERIODS_MS = np.array([20_000.0, 300_000.0, 2_700_000.0])
_PROGRESS_DEPTH = 0.1  # below 1/9, so that three octaves of slope ≤ 3·depth never turn back

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def stream(seed: int, *names: object) -> int:
    """The number of a random stream, the same on every machine and in every process."""
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def uniform(streams: Streams, indices: Ints) -> Floats:
    """Uniform numbers in [0, 1) for each (stream, index); the arrays broadcast."""
    return (_hash(streams, indices) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def walk(streams: Streams, at_ms: Floats, first_octave: int = 0) -> Floats:
    """A path that looks Brownian with unit variance per year, at each instant.

    Multi-octave value noise (fractional Brownian synthesis by summed lattices, H = ½) whose longest
    octave is about 48 days: on longer scales the path is stationary and returns to zero.

    Args:
        streams: shape (n,) or (1,).
        at_ms: shape (n,), epoch ms.
        first_octave: leave out the octaves shorter than ``_PERIODS_MS[first_octave]``.
    """
    periods = _PERIODS_MS[first_octave:]
    amplitudes = _WALK_SCALE * np.sqrt(periods / MS_PER_YEAR)
    path: Floats = _lattice(streams, at_ms, periods) @ amplitudes
    return path


def progress(streams: Streams, elapsed_ms: Floats) -> Floats:
    """An uneven clock: increasing, 0 at 0, on average as fast as ``elapsed_ms``; shape (n,)."""
    wobble = _lattice(streams, elapsed_ms, _PROGRESS_PERIODS_MS)
    start = _lattice(streams, np.zeros(1), _PROGRESS_PERIODS_MS)
    weights = 2.0 * _PROGRESS_DEPTH * _PROGRESS_PERIODS_MS
    passed: Floats = np.maximum(elapsed_ms + (wobble - start) @ weights, 0.0)
    return passed


def last_change_ms(streams: Streams, periods_ms: Ints, at_ms: Ints) -> Ints:
    """When each instrument last changed, at or before ``at_ms``.

    One change falls at a hashed place in each cell of the instrument's period.
    """
    phase = (streams % periods_ms.astype(np.uint64)).astype(np.int64)
    cell = (at_ms - phase) // periods_ms
    change = _change_in(streams, periods_ms, phase, cell)
    before = _change_in(streams, periods_ms, phase, cell - 1)
    return np.where(change <= at_ms, change, before)


def _change_in(streams: Streams, periods_ms: Ints, phase: Ints, cell: Ints) -> Ints:
    offset = (uniform(streams, cell) * periods_ms).astype(np.int64)
    found: Ints = phase + cell * periods_ms + offset
    return found


def _lattice(streams: Streams, at_ms: Floats, periods_ms: Floats) -> Floats:
    """Value noise in [-½, ½), shape (n, octaves): hashed lattice values joined by smoothsteps."""
    position = at_ms[:, None] / periods_ms
    cell = np.floor(position)
    fraction = position - cell
    octave_streams = streams[:, None] + (
        np.arange(periods_ms.size, dtype=np.uint64) << np.uint64(9)
    )
    left = uniform(octave_streams, cell.astype(np.int64))
    right = uniform(octave_streams, cell.astype(np.int64) + 1)
    blend = fraction * fraction * (3.0 - 2.0 * fraction)
    mixed: Floats = left + (right - left) * blend - 0.5
    return mixed


def _hash(streams: Streams, indices: Ints) -> Streams:
    """The splitmix64 finaliser (Steele, Lea, Flood 2014) over a stream and an index."""
    x = (streams ^ (streams >> np.uint64(32))) * _MIX_2 + indices.astype(np.uint64) * _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    hashed: Streams = x ^ (x >> np.uint64(31))
    return hashed
