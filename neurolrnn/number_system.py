"""How values become what kernels hold, and back."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurolrnn.fixed_grid import Setting
from neurolrnn.fixed_point import FixedNumbers
from neurolrnn.precision import Precision
from neurolrnn_kernels.grid import real_grid


class NumberSystem(Protocol):
    """A number system, seen from an experiment: names of variables and values in, kernel arrays out."""

    grid: NDArray[np.int64]
    sends: bool
    """Whether units send their state in a format of its own."""
    parts: bool
    """Whether signed activity is filtered in two traces without a sign."""

    def zeros(self, variable: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return an array for ``variable``, at 0."""

    def encode(self, variable: str, values: NDArray[Any]) -> NDArray[Any]:
        """Return ``values`` as kernels hold them."""

    def hidden(self, group: str, values: NDArray[Any]) -> NDArray[Any]:
        """Return the finer weights behind those of a group, or an array of shape (1, 0) if it has none."""

    def decode(self, variable: str, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return what kernels hold as values."""

    def decode_update(self, group: str, sums: NDArray[Any]) -> NDArray[np.float64]:
        """Return an accumulated update of A, W or B as values."""

    def constant(self, variable: str, value: float) -> Any:
        """Return one number as kernels hold it."""


class RealNumbers:
    """float32 or float64: every variable as it is.

    Parameters
    ----------
    dtype : numpy.dtype
        Type of every array and constant.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = np.dtype(dtype)
        self.grid = real_grid()
        self.sends = self.parts = False

    def zeros(self, variable: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return an array at 0."""
        return np.zeros(shape, self._dtype)

    def encode(self, variable: str, values: NDArray[Any]) -> NDArray[Any]:
        """Round values to the dtype."""
        return np.array(values, dtype=self._dtype, order="C")

    def hidden(self, group: str, values: NDArray[Any]) -> NDArray[Any]:
        """Return no weights: real weights hide nothing."""
        return np.zeros((1, 0), self._dtype)

    def decode(self, variable: str, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Widen to float64."""
        return np.array(codes, dtype=np.float64)

    def decode_update(self, group: str, sums: NDArray[Any]) -> NDArray[np.float64]:
        """Widen to float64."""
        return self.decode(group, sums)

    def constant(self, variable: str, value: float) -> Any:
        """Round one number to the dtype."""
        return self._dtype.type(value)


def make_numbers(precision: Precision, setting: Setting) -> NumberSystem:
    """Return the number system of a precision, for one network, rule and training."""
    return FixedNumbers(precision, setting) if precision.is_fixed else RealNumbers(precision.dtype)
