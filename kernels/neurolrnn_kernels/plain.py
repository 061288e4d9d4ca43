"""What a traced function gets where nothing is compiled: whole rows as NumPy's arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = NDArray[Any]


def whole(x: Any) -> int:
    """Return an index, which may be an array of one element."""
    return int(x[0]) if isinstance(x, np.ndarray) else int(x)


class Variable:
    """What a loop carries on."""

    def __init__(self, first: Any) -> None:
        self._value = first

    def get(self) -> Any:
        """Return the value."""
        return self._value

    def set(self, x: Any) -> None:
        """Change the value."""
        self._value = x


class Plain:
    """Does what :class:`neurolrnn_kernels.vectors.Writer` writes; its vectors are as long as the row.

    Numbers are arrays of one element, so that they too are taken modulo 2^bits without a word.
    """

    width = 0

    def constant(self, x: int, dtype: str) -> Row:
        """Return a number."""
        return self.cast(x, dtype)

    def zeros(self, dtype: str) -> Row:
        """Return a vector of zeros."""
        return np.zeros(self.width, dtype)

    def variable(self, first: Row) -> Variable:
        """Return a variable with a first value."""
        return Variable(first)

    def cast(self, x: Any, dtype: str) -> Row:
        """Return the same number in another type, modulo 2^bits."""
        return np.atleast_1d(x).astype(dtype)

    def select(self, condition: Row, a: Any, b: Any) -> Row:
        """Return a where the condition holds, b elsewhere."""
        dtype = a.dtype if isinstance(a, np.ndarray) else b.dtype
        return np.where(condition, self.cast(a, dtype), self.cast(b, dtype))

    def minimum(self, a: Row, b: Any) -> Row:
        """Return the smaller number."""
        return np.minimum(a, self.cast(b, str(a.dtype)))

    def maximum(self, a: Row, b: Any) -> Row:
        """Return the larger number."""
        return np.maximum(a, self.cast(b, str(a.dtype)))

    def high_product(self, a: Row, b: Row) -> Row:
        """Return ⌊a b / 2^16⌋ of 16-bit numbers."""
        return ((a.astype(np.int32) * b.astype(np.int32)) >> 16).astype(np.int16)

    def difference(self, a: Row, b: Row) -> Row:
        """Return a - b of 16-bit vectors, held within 16 bits."""
        return np.clip(a.astype(np.int32) - b.astype(np.int32), -(1 << 15), (1 << 15) - 1).astype(np.int16)

    def element(self, array: Row, at: Any) -> Row:
        """Return one element, counted through the array."""
        return array.reshape(-1)[whole(at)].reshape(1).copy()

    def put(self, array: Row, at: Any, x: Row) -> None:
        """Set one element."""
        array.reshape(-1)[whole(at)] = x[0]

    def load(self, array: Row, at: Any, dtype: str = "") -> Row:
        """Return the row that begins at an element."""
        return array.reshape(-1)[whole(at) : whole(at) + self.width].astype(dtype or array.dtype)

    def store(self, array: Row, at: Any, x: Row) -> None:
        """Set the row that begins at an element."""
        array.reshape(-1)[whole(at) : whole(at) + self.width] = x

    def positions(self) -> Row:
        """Return 0, 1, 2, and so on."""
        return np.arange(self.width, dtype=np.uint32)

    def filled(self, draw: Callable[[], Row]) -> Row:
        """Return a row whose elements are drawn one after the other."""
        return np.concatenate([draw() for _ in range(self.width)])

    def each(self, first: Any, last: Any, body: Callable[[int], Any]) -> None:
        """Run ``body(j)`` for j from first to last."""
        for j in range(whole(first), whole(last)):
            body(j)

    def columns(self, n: int, body: Callable[[int], Any], lanes: int = 0) -> None:
        """Run ``body`` for a row of n numbers."""
        if n > 0:
            self.width = whole(n)
            body(0)

    def chunks(self, first: Any, last: Any, size: Any, body: Callable[[int, int], Any]) -> None:
        """Run ``body(start, stop)`` for stretches of ``size`` from first to last."""
        for start in range(whole(first), whole(last), whole(size)):
            body(start, min(start + whole(size), whole(last)))

    def panels(self, n: int, widths: Any, body: Callable[[int, int], Any], lanes: int = 0) -> None:
        """Run ``body`` for a row of n numbers."""
        self.columns(n, lambda i: body(i, 1))

    def either(self, condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> None:
        """Do one thing or the other."""
        (yes if condition else no)()

    def when(self, condition: Any, yes: Callable[[], Any]) -> None:
        """Do it, or not."""
        if condition:
            yes()

    def count(self, counter: Variable, condition: Row) -> None:
        """Add the number of elements for which a condition holds."""
        counter.set(counter.get() + int(np.count_nonzero(condition)))

    def reduce(self, x: Row, how: str) -> Row:
        """Return the sum ("add") or the largest ("smax") of a row."""
        return np.atleast_1d(x.sum(dtype=x.dtype) if how == "add" else x.max())
