"""The values of one variable over a run: extremes, quantiles, and how many lie between two powers of two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.0, 0.01, 0.5, 0.99, 1.0)
LOWEST, HIGHEST = -64, 64
"""Exponents that are told apart; smaller and larger values count as these."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spread:
    """How the values of a variable are spread, in windows of time.

    Ranges of formats and thresholds of rounding are powers of two, so the counts per octave answer every question of
    the kind "which share lies beyond i integer bits" exactly, for all values that were looked at.

    Attributes
    ----------
    quantiles : (windows, 5)
        Minimum, 1st percentile, median, 99th percentile and maximum. NaN in a window without values.
    counts, mass : (windows, octaves)
        Number, and sum of the absolute values, of nonzero values with 2^k ≤ |x| < 2^(k+1), k from :data:`LOWEST` on.
    zeros : (windows,)
        Number of values that are 0.
    squares : (windows,)
        Sum of squares.
    """

    quantiles: Array
    counts: NDArray[np.int64]
    mass: Array
    zeros: NDArray[np.int64]
    squares: Array

    @classmethod
    def of(cls, windows: Sequence[Sequence[Array]], extremes: Array) -> Spread:
        """Sort the values of each window.

        Parameters
        ----------
        windows : sequence of sequences of arrays
            Values that were looked at, window by window.
        extremes : (windows, 2)
            Smallest and largest value, also of steps whose other values are not counted.
        """
        octaves = HIGHEST - LOWEST
        k = len(windows)
        quantiles = np.full((k, len(QUANTILES)), np.nan)
        counts, mass = np.zeros((k, octaves), np.int64), np.zeros((k, octaves))
        zeros, squares = np.zeros(k, np.int64), np.zeros(k)
        for i, parts in enumerate(windows):
            values = np.concatenate([np.ravel(part) for part in parts]) if parts else np.zeros(0)
            if not values.size:
                continue
            quantiles[i] = np.quantile(values, QUANTILES)
            quantiles[i, 0] = min(quantiles[i, 0], extremes[i, 0])
            quantiles[i, -1] = max(quantiles[i, -1], extremes[i, 1])
            size = np.abs(values[values != 0.0])
            zeros[i] = values.size - size.size
            squares[i] = float(np.sum(size * size))
            place = np.clip(np.frexp(size)[1] - 1 - LOWEST, 0, octaves - 1)  # |x| = m 2^e, m in [1/2, 1)
            counts[i] = np.bincount(place, minlength=octaves)
            mass[i] = np.bincount(place, weights=size, minlength=octaves)
        return cls(quantiles, counts, mass, zeros, squares)

    @property
    def total(self) -> int:
        """Number of values, zeros included."""
        return int(self.counts.sum() + self.zeros.sum())

    @property
    def nonzero(self) -> int:
        """Number of values that are not 0."""
        return int(self.counts.sum())

    @property
    def smallest(self) -> float:
        """Minimum over the run."""
        return float(np.nanmin(self.quantiles[:, 0])) if self.total else math.nan

    @property
    def largest(self) -> float:
        """Maximum over the run."""
        return float(np.nanmax(self.quantiles[:, -1])) if self.total else math.nan

    @property
    def peak(self) -> float:
        """Largest absolute value."""
        return max(abs(self.smallest), abs(self.largest)) if self.total else 0.0

    @property
    def rms(self) -> float:
        """Root mean square."""
        return math.sqrt(float(self.squares.sum()) / self.total) if self.total else 0.0

    @property
    def int_bits(self) -> int:
        """Fewest integer bits whose range [-2^i, 2^i) holds every value that was seen."""
        if self.peak == 0.0:
            return 0
        i = math.frexp(self.peak)[1]
        only_low = self.peak == math.ldexp(1.0, i - 1) and self.largest < self.peak  # -2^i is a code, 2^i is not
        return i - 1 if only_low else i

    def beyond(self, exponent: int) -> Array:
        """Return the share of all values with |x| ≥ 2^exponent, per window; NaN in a window without values."""
        return self._share(self.counts[:, self._at(exponent) :].sum(axis=1), self.counts.sum(axis=1) + self.zeros)

    def below(self, exponent: int) -> Array:
        """Return the share of the nonzero values with |x| < 2^exponent, per window."""
        return self._share(self.counts[:, : self._at(exponent)].sum(axis=1), self.counts.sum(axis=1))

    def mass_below(self, exponent: int) -> float:
        """Return what part of Σ|x| over the run values with |x| < 2^exponent make up."""
        whole = float(self.mass.sum())
        return float(self.mass[:, : self._at(exponent)].sum()) / whole if whole else 0.0

    def overall(self, exponent: int) -> tuple[float, float]:
        """Return the share of all values at or above 2^exponent, and that of the nonzero ones below it."""
        at = self._at(exponent)
        above = float(self.counts[:, at:].sum()) / max(self.total, 1)
        return above, float(self.counts[:, :at].sum()) / max(self.nonzero, 1)

    def quantile_of_size(self, q: float) -> float:
        """Return a size that a share q of the nonzero values stay below, on a grid of powers of two (from above)."""
        summed = np.cumsum(self.counts.sum(axis=0))
        if not summed[-1]:
            return 0.0
        return math.ldexp(1.0, int(np.searchsorted(summed, q * summed[-1])) + LOWEST + 1)

    @staticmethod
    def _at(exponent: int) -> int:
        return min(max(exponent - LOWEST, 0), HIGHEST - LOWEST)

    @staticmethod
    def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Array:
        out = np.full(len(whole), np.nan)
        np.divide(part, whole, out=out, where=whole > 0)
        return out

    def to_dict(self) -> dict[str, object]:
        """Return the numbers as plain data."""
        return {
            "quantiles": [[None if math.isnan(x) else x for x in row] for row in self.quantiles.tolist()],
            "smallest": self.smallest, "largest": self.largest, "rms": self.rms, "values": self.total,
            "zeros": int(self.zeros.sum()),
        }  # fmt: skip
