"""Random numbers that can be asked for at any instant in any order: hashes of (stream, index).

Only the arithmetic of pseudo-randomness stands here; what a stream means (a spot, a volume, a
quantity) is decided where it is used. Instants are epoch milliseconds. Nothing keeps state.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from transforms.kernel import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Streams = NDArray[np.uint64]
Mask = NDArray[np.bool_]

MS_PER_YEAR = 525_600 * 60_000.0

# Octaves of the walk: from a quarter of a second to about 48 days, each twice as long.
_SHORTEST_MS, _OCTAVES = 250.0, 25
SLOW = 10  # the first octave, of about 4 minutes, that belongs to slowly moving quantities

# A walk summed of smoothstep-interpolated lattices grows as 5.6·c²·σ²·τ: 1.486·c²σ²P for each
# octave shorter than τ and 2.4·c²σ²τ²/P for each longer one, both sums ≈ 1.44τ. Hence c.
_WALK_SCALE = 5.6**-0.5 * 12.0**0.5

# Levels of a bridge: below the last one, of 1/256, it is straight.
_BRIDGE_LEVELS = 8

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
_S9, _S11, _S16, _S48 = np.uint64(9), np.uint64(11), np.uint64(16), np.uint64(48)
_LOW_16 = np.uint64(0xFFFF)
# Mean and deviation of a sum of four uniform 16-bit numbers.
_SUM_MEAN = 2.0 * 65_535.0
_SUM_DEVIATION = math.sqrt(4.0 * (65_536.0**2 - 1.0) / 12.0)


def stream(seed: int, *names: object) -> int:
    """The number of a random stream, the same on every machine and in every process."""
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


@compiled
def hashed(stream: np.uint64, index: int) -> np.uint64:
    """The splitmix64 finaliser (Steele, Lea, Flood 2014) over a stream and an index."""
    x = (stream ^ (stream >> _S32)) * _MIX_2 + np.uint64(index) * _GOLDEN
    x = (x ^ (x >> _S30)) * _MIX_1
    x = (x ^ (x >> _S27)) * _MIX_2
    return np.uint64(x ^ (x >> _S31))


@compiled
def uniform_at(stream: np.uint64, index: int) -> float:
    """A uniform number in [0, 1)."""
    return float(hashed(stream, index) >> _S11) * 2.0**-53


@compiled
def normal_at(stream: np.uint64, index: int) -> float:
    """A number of mean 0 and variance 1, nearly normal within ±3.46: a sum of four uniforms."""
    bits = hashed(stream, index)
    total = float(bits & _LOW_16) + float((bits >> _S16) & _LOW_16)
    total += float((bits >> _S32) & _LOW_16) + float(bits >> _S48)
    return (total - _SUM_MEAN) / _SUM_DEVIATION


@compiled
def walk_at(stream: np.uint64, at_ms: float, first_octave: int) -> float:
    """``walk`` at one instant."""
    path = 0.0
    for octave in range(first_octave, _OCTAVES):
        period = _SHORTEST_MS * 2.0**octave
        position = at_ms / period
        cell = math.floor(position)
        fraction = position - cell
        own = stream + (np.uint64(octave) << _S9)
        left = uniform_at(own, int(cell))
        right = uniform_at(own, int(cell) + 1)
        blend = fraction * fraction * (3.0 - 2.0 * fraction)
        path += math.sqrt(period) * (left + (right - left) * blend - 0.5)
    return path * _WALK_SCALE / math.sqrt(MS_PER_YEAR)


@compiled
def bridge_at(stream: np.uint64, key: int, fraction: float) -> float:
    """A Brownian bridge of unit variance per unit of time, 0 at fraction 0 and 1.

    Paul Lévy's construction: midpoints drawn level by level down to 1/256, straight between them.

    Args:
        key: which bridge; each has 256 indices of the stream to itself.
    """
    value, cells = 0.0, 1
    for _ in range(_BRIDGE_LEVELS):
        position = fraction * cells
        cell = min(int(position), cells - 1)
        tent = 1.0 - abs(2.0 * (position - cell) - 1.0)
        value += normal_at(stream, (key << 8) + cells + cell) * tent * 0.5 / math.sqrt(cells)
        cells *= 2
    return value


def uniform(streams: Streams, indices: Ints) -> Floats:
    """Uniform numbers in [0, 1) for each (stream, index); the arrays broadcast."""
    both = np.broadcast_arrays(streams, indices)
    flat = _uniforms(both[0].flatten(), both[1].flatten())
    return flat.reshape(both[0].shape)


def walk(streams: Streams, at_ms: Floats, first_octave: int = 0) -> Floats:
    """A path that looks Brownian with unit variance per year, at each instant.

    Multi-octave value noise (fractional Brownian synthesis by summed lattices, H = ½) whose longest
    octave is about 48 days: on longer scales the path is stationary and returns to zero.

    Args:
        streams: shape (n,) or (1,).
        at_ms: shape (n,), epoch ms.
        first_octave: leave out the octaves shorter than 250 ms · 2**first_octave; the others are
            the same as with them.
    """
    both = np.broadcast_arrays(streams, at_ms)
    return _walks(both[0].copy(), both[1].copy(), first_octave)


@compiled
def _uniforms(streams: Streams, indices: Ints) -> Floats:
    drawn = np.empty(streams.size)
    for i in range(streams.size):
        drawn[i] = uniform_at(streams[i], indices[i])
    return drawn


@compiled
def _walks(streams: Streams, at_ms: Floats, first_octave: int) -> Floats:
    path = np.empty(streams.size)
    for i in range(streams.size):
        path[i] = walk_at(streams[i], at_ms[i], first_octave)
    return path
