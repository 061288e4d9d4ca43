"""Fixed-point formats: what a code means, and how a result comes to rest on it.

A stored integer is a *code*, a real number a *value*: value = code · 2^-frac_bits. docs/numerics.md is the contract.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Rounding(IntEnum):
    """What becomes of the bits below the last one kept."""

    FLOOR = 0
    NEAREST = 1
    NEAREST_EVEN = 2
    TOWARD_ZERO = 3
    STOCHASTIC = 4
    LSB_STOCHASTIC = 5

    @property
    def label(self) -> str:
        """Name as users write it."""
        return self.name.lower().replace("_", "-")


class Overflow(IntEnum):
    """What becomes of a result outside the range."""

    SATURATE = 0
    WRAP = 1

    @property
    def label(self) -> str:
        """Name as users write it."""
        return self.name.lower()


ROUNDINGS = {r.label: r for r in Rounding}
OVERFLOWS = {o.label: o for o in Overflow}
MAX_WIDTH = 32


class FormatError(ValueError):
    """A format that does not exist, or a value that has no code; the text says which and what to do."""


@dataclass(frozen=True)
class QFormat:
    """A fixed-point format, ``s1.6`` or ``u0.8``.

    Parameters
    ----------
    signed : bool
        Two's complement, with one bit for the sign.
    int_bits, frac_bits : int
        Bits before and after the binary point; either may be negative as long as the width is 1 to 32.

    Raises
    ------
    FormatError
        If the width is outside 1 to 32.
    """

    signed: bool
    int_bits: int
    frac_bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MAX_WIDTH:
            raise FormatError(
                f"{self} is {self.width} bits wide; 1 to {MAX_WIDTH} are possible. Take fewer integer or fraction bits"
            )

    @classmethod
    def parse(cls, text: str) -> QFormat:
        """Read ``"s1.6"`` or ``"u0.8"``."""
        match = re.fullmatch(r"\s*([su])(-?\d{1,3})\.(-?\d{1,3})\s*", text) if isinstance(text, str) else None
        if match is None:
            raise FormatError(
                f"{text!r} is not a format; write s or u, integer bits, a point, fraction bits: 's1.6' is sign, 1 "
                f"integer bit and 6 fraction bits, 'u0.8' eight fraction bits without a sign"
            )
        return cls(match[1] == "s", int(match[2]), int(match[3]))

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.int_bits}.{self.frac_bits}"

    @property
    def width(self) -> int:
        """Number of bits."""
        return int(self.signed) + self.int_bits + self.frac_bits

    @property
    def lo(self) -> int:
        """Smallest code."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        """Largest code."""
        return (1 << (self.width - int(self.signed))) - 1

    @property
    def largest(self) -> int:
        """Largest absolute code."""
        return max(self.hi, -self.lo)

    @property
    def resolution(self) -> float:
        """Value of one code step, 2^-frac_bits."""
        return 2.0**-self.frac_bits

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.lo * self.resolution, self.hi * self.resolution

    def encode(
        self,
        values: ArrayLike,
        rounding: Rounding | str = Rounding.NEAREST,
        overflow: Overflow | str = Overflow.SATURATE,
        *,
        rng: np.random.Generator | None = None,
    ) -> NDArray[np.int64]:
        """Return the codes of real values.

        Parameters
        ----------
        values : array of float
            Finite numbers.
        rounding, overflow
            How they come to rest. ``"stochastic"`` needs ``rng``.
        rng : numpy.random.Generator, optional
            Source of the random bits of stochastic rounding.

        Raises
        ------
        FormatError
            If a value is not finite, or a mode is not known or is for updates only.
        """
        mode, how = rounding_of(rounding), overflow_of(overflow)
        x = np.asarray(values, dtype=np.float64)
        if not np.isfinite(x).all():
            bad = x[~np.isfinite(x)].ravel()[0]
            raise FormatError(f"{bad} has no code in {self}; only finite numbers have")
        scaled = np.ldexp(x, self.frac_bits)
        whole = np.floor(scaled)
        part = scaled - whole  # exact: both are on the grid of a float64
        if mode == Rounding.NEAREST:
            whole += part >= 0.5
        elif mode == Rounding.NEAREST_EVEN:
            whole += (part > 0.5) | ((part == 0.5) & (np.mod(whole, 2.0) == 1.0))
        elif mode == Rounding.TOWARD_ZERO:
            whole += (part > 0.0) & (scaled < 0.0)
        elif mode == Rounding.STOCHASTIC:
            if rng is None:
                raise FormatError("stochastic rounding needs a source of random bits; give rng")
            whole += rng.random(part.shape) < part
        elif mode == Rounding.LSB_STOCHASTIC:
            raise FormatError("lsb-stochastic rounds updates only; values are encoded by the other modes")
        if how == Overflow.SATURATE:
            return np.clip(whole, self.lo, self.hi).astype(np.int64)
        span = 2.0**self.width
        return (np.mod(whole - self.lo, span) + self.lo).astype(np.int64)

    def overflows(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Tell which values lie outside the range after rounding to nearest."""
        scaled = np.floor(np.ldexp(np.asarray(values, dtype=np.float64), self.frac_bits) + 0.5)
        return np.asarray((scaled < self.lo) | (scaled > self.hi))

    def decode(self, codes: Any) -> NDArray[np.float64]:
        """Return the values of codes, exactly."""
        return np.ldexp(np.asarray(codes, dtype=np.float64), -self.frac_bits)


def rounding_of(value: Rounding | str) -> Rounding:
    """Return a rounding by its name."""
    if isinstance(value, Rounding):
        return value
    if value not in ROUNDINGS:
        raise FormatError(f"rounding {value!r} is not known; allowed: {', '.join(ROUNDINGS)}")
    return ROUNDINGS[value]


def overflow_of(value: Overflow | str) -> Overflow:
    """Return an overflow mode by its name."""
    if isinstance(value, Overflow):
        return value
    if value not in OVERFLOWS:
        raise FormatError(f"overflow {value!r} is not known; allowed: {', '.join(OVERFLOWS)}")
    return OVERFLOWS[value]
