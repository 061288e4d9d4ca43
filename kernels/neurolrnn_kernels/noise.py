"""Random bits as a pure function of (seed, step, variable, element), and a shift register as hardware has it.

The mixing function is Chris Wellons' lowbias32 ("Prospecting for Hash Functions", 2018). All numbers are uint32, all
arithmetic modulo 2^32: arrays of NumPy, or what a traced function is written with (:mod:`neurolrnn_kernels.vectors`).
"""

from __future__ import annotations

from typing import Any

from neurolrnn_kernels.plain import Plain

GOLDEN = 0x9E3779B9
LFSR_TAPS = 0xA3000000


def mix(x: Any) -> Any:
    """Scramble 32 bits; x is a uint32, and so is the result."""
    x = x ^ (x >> 16)
    x = x * 0x7FEB352D
    x = x ^ (x >> 15)
    x = x * 0x846CA68B
    return x ^ (x >> 16)


def stream(m: Any, key: Any, t: Any) -> Any:
    """Return the stream of one variable at step t."""
    t = m.cast(t, "int64")
    return mix(m.cast(key, "uint32") ^ mix(m.cast(t, "uint32") ^ mix(m.cast(t >> 32, "uint32"))))


def seed(m: Any, start: Any, element: Any) -> Any:
    """Return what is mixed for an element of a stream: its random bits are ``mix(seed(m, start, element))``."""
    return start + m.cast(element, "uint32") * GOLDEN


def shift_register(m: Any, state: Any) -> Any:
    """Step a 32-bit Galois register with a maximal period."""
    return (state >> 1) ^ m.select((state & 1) != 0, m.cast(LFSR_TAPS, "uint32"), 0)


def variable_key(number: int, variable: int) -> int:
    """Return the key of a variable for a seed of at least 0 and less than 2^64."""
    m = Plain()
    low, high = m.cast(number & 0xFFFFFFFF, "uint32"), m.cast(number >> 32, "uint32")
    return int(mix(seed(m, mix(mix(low) ^ high), variable))[0])
