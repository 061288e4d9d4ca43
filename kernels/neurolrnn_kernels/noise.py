"""Random bits as a pure function of (seed, step, variable, element), and a shift register as hardware has it.

The mixing function is Chris Wellons' lowbias32 ("Prospecting for Hash Functions", 2018). All arithmetic is modulo
2^32; products are taken in 64 bits and masked, so that NumPy's scalars and compiled code agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurolrnn_kernels.jit import inlined

GOLDEN = 0x9E3779B9
LFSR_TAPS = 0xA3000000
MASK = np.uint64(0xFFFFFFFF)


@inlined
def mix(x: Any) -> Any:
    """Scramble 32 bits; x is a uint32, and so is the result."""
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32((np.uint64(x) * np.uint64(0x7FEB352D)) & MASK)
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32((np.uint64(x) * np.uint64(0x846CA68B)) & MASK)
    return np.uint32(x ^ (x >> np.uint32(16)))


@inlined
def stream(key: int, t: int) -> Any:
    """Return the stream of one variable at step t."""
    low = np.uint32(np.uint64(t) & MASK)
    high = np.uint32((np.uint64(t) >> np.uint64(32)) & MASK)
    return mix(np.uint32(np.uint32(np.uint64(key) & MASK) ^ mix(np.uint32(low ^ mix(high)))))


@inlined
def first_seed(start: Any, base: int, stride: int) -> Any:
    """Return what :func:`word` mixes for element ``base·stride`` of a stream; a later one adds ``i·seed_step(stride)``.

    Split off so that a loop over elements counts in 32 bits, which keeps all vector lanes.
    """
    return np.uint32((np.uint64(start) + np.uint64(base * stride) * np.uint64(GOLDEN)) & MASK)


@inlined
def word(start: Any, element: int) -> Any:
    """Return the 32 random bits of one element of a stream."""
    return mix(first_seed(start, element, 1))


@inlined
def seed_step(stride: int) -> Any:
    """Return the difference of what is mixed for two neighbouring elements."""
    return np.uint32((np.uint64(stride) * np.uint64(GOLDEN)) & MASK)


@inlined
def nth_word(first: Any, step: Any, i: int) -> Any:
    """Return the random bits of the i-th element after the first."""
    return mix(np.uint32((np.uint64(first) + np.uint64(np.uint32(i)) * np.uint64(step)) & MASK))


@inlined
def shift_register(state: int) -> int:
    """Step a 32-bit Galois register with a maximal period."""
    return (state >> 1) ^ (LFSR_TAPS if state & 1 else 0)


def variable_key(seed: int, variable: int) -> int:
    """Return the key of a variable for a seed of at least 0 and less than 2^64."""
    low, high = np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32)
    mixed = int(mix(np.uint32(mix(low) ^ high)))
    return int(mix(np.uint32((mixed + variable * GOLDEN) & 0xFFFFFFFF)))
