"""Recurrent weights of which only existing synapses are stored: two layouts, one for each number system.

Real numbers are held in :class:`Slices`, where 16 receiving units stand side by side: their sums run in one vector, and
each sum still takes its terms in index order of the sender, so that it has the bits of a dense product with zeros.
Codes are held in :class:`Columns`, in the order of a dense array with the missing synapses left out: there the order
decides the bits of accumulators of a declared width, and which synapse draws which number of a shift register.
What has one number per synapse and lane, traces and accumulated updates, is held in the same form over the same
pattern, so that the primitives of :mod:`neurolrnn_kernels.arithmetic` know by its type what they are given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from neurolrnn_kernels.structs import Array

SIDE_BY_SIDE = 16
"""Receiving units in a slice; a slice of float32 is one vector of 64 bytes."""


class Slices(NamedTuple):
    """Receiving units in slices of 16 with equally many synapses each; what is left over follows one by one."""

    values: Array
    """(1, synapses) weights, or (lanes, synapses) traces. Slice after slice: the first synapse of each of its units,
    then the second of each, and so on; then the synapses left over, by receiving unit. Each unit's in order of senders.
    """
    sources: NDArray[Any]
    """(synapses,) int32, the unit that sends."""
    receivers: NDArray[Any]
    """(16 · slices,) int32, the units of each slice."""
    starts: NDArray[Any]
    """(slices + 1,) int64, first synapse of each slice, and of those left over."""
    late: NDArray[Any]
    """(synapses left over,) int32, the unit that receives."""
    own: NDArray[Any]
    """(n,) int64, where the weight of each unit onto itself is; -1 if it has none."""


class Columns(NamedTuple):
    """Synapses by the unit that sends, and those of one by the unit that receives: dense order, without gaps."""

    values: Array
    """(1, synapses) weights, or (lanes, synapses) traces."""
    receivers: NDArray[Any]
    """(synapses,) int32, the unit that receives."""
    starts: NDArray[Any]
    """(n + 1,) int64, first synapse of each unit that sends."""
    own: NDArray[Any]
    """(n,) int64, where the weight of each unit onto itself is; -1 if it has none."""


SPARSE = (Slices, Columns)


def sparse_form(held: Any) -> type | None:
    """Return :class:`Slices` or :class:`Columns` if ``held``, or Numba's type of it, is one; else None."""
    form = held.instance_class if isinstance(held, types.BaseNamedTuple) else type(held)
    return form if form in SPARSE else None


def forget(E: Any, b: int) -> None:
    """Set the traces of lane b to 0; E is (lanes, n_pre, n_post), or sparse."""
    _forget(E)(E, b)


@overload(forget)
def _overload_forget(E: Any, b: int) -> Callable[..., Any]:
    return _forget(E)


def _forget(E: Any) -> Callable[..., Any]:
    def dense(E: Any, b: int) -> None:
        for j in range(E.shape[1]):
            for i in range(E.shape[2]):
                E[b, j, i] = 0

    def sparse(E: Any, b: int) -> None:
        for e in range(E.values.shape[1]):
            E.values[b, e] = 0

    return dense if sparse_form(E) is None else sparse


def output_major(out: Any, W: Any) -> None:
    """Write weights into a matrix (n, n) with a row for each receiving unit; it must be 0 where no synapse is."""
    _output_major(W)(out, W)


@overload(output_major)
def _overload_output_major(out: Any, W: Any) -> Callable[..., Any]:
    return _output_major(W)


def _output_major(W: Any) -> Callable[..., Any]:
    def dense(out: Any, W: Any) -> None:
        for j in range(W.shape[0]):
            for i in range(W.shape[1]):
                out[i, j] = W[j, i]

    def slices(out: Any, W: Any) -> None:
        late = W.starts[W.starts.shape[0] - 1]
        for s in range(W.starts.shape[0] - 1):
            for e in range(W.starts[s], W.starts[s + 1]):
                unit = W.receivers[SIDE_BY_SIDE * s + (e - W.starts[s]) % SIDE_BY_SIDE]
                out[unit, W.sources[e]] = W.values[0, e]
        for k in range(W.late.shape[0]):
            out[W.late[k], W.sources[late + k]] = W.values[0, late + k]

    return dense if sparse_form(W) is None else slices
