"""Recurrent weights between users and kernels: the form they are held in during a run, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.basis import Basis
from neurolrnn.block_matrix import BlockMatrix
from neurolrnn.number_system import NumberSystem
from neurolrnn.sparse_layout import SparseLayout
from neurolrnn.sparse_matrix import SparseMatrix
from neurolrnn_kernels.recurrent import Blocks, Triangle, pack_triangle
from neurolrnn_kernels.sparse import SPARSE, Columns, Slices
from neurolrnn_kernels.structs import Gradients

Array = NDArray[Any]


class HeldWeights:
    """The recurrent weights of one run.

    Parameters
    ----------
    basis : Basis
        W at the start, and its form.
    numbers : NumberSystem
        How values become what the kernels hold.

    Attributes
    ----------
    layout : SparseLayout or None
        Which synapses exist; None where all do.
    """

    def __init__(self, basis: Basis, numbers: NumberSystem) -> None:
        self._form, self._start, self._numbers = basis.form, basis.recurrent, numbers
        self.layout: SparseLayout | None = None
        if isinstance(self._start, SparseMatrix):
            codes = np.issubdtype(numbers.zeros("W", (0, 0)).dtype, np.integer)
            self.layout = SparseLayout(self._start, codes)

    def plastic(self) -> Array:
        """Return the values of weights that learn themselves, in the order of the kernels."""
        W: Any = self._start
        return np.ascontiguousarray(W.T) if self.layout is None else self.layout.into(W.values)

    def for_kernels(self) -> Any:
        """Return the weights at the start as the kernels hold them."""
        if isinstance(self._start, BlockMatrix):
            W = self._start
            return Blocks(*(self._numbers.encode("W", part) for part in (W.own, W.before, W.after)))
        Wt = self._numbers.encode("W", self.plastic())
        if self.layout is not None:
            return self.layout.hold(Wt)
        return Triangle(pack_triangle(Wt)) if self._form == "triangle" else Wt

    def shaped(self, sums: Gradients) -> Gradients:
        """Return accumulated updates of weights, with those of W in the form that W is held in."""
        if self.layout is None:
            return sums
        return sums._replace(W=self.layout.hold(sums.W), velocity_W=self.layout.hold(sums.velocity_W))

    def now(self, held: Any) -> Any:
        """Return what kernels hold now as a matrix, a :class:`BlockMatrix` or a :class:`SparseMatrix`.

        Raises
        ------
        FloatingPointError
            If sparse weights are not finite.
        """
        num = self._numbers
        if isinstance(held, Blocks):
            return BlockMatrix(*(num.decode("W", part) for part in held))
        if self.layout is None:
            return num.decode("W", held).T
        values = self.layout.back(num.decode("W", held.values))
        if not np.isfinite(values).all():
            raise FloatingPointError("weights are not finite")
        return self.layout.matrix.with_values(values)

    def matrix(self, sums: Array) -> Array:
        """Return decoded updates of the weights as a matrix (n_rec, n_rec), 0 where there is no synapse."""
        return sums.T if self.layout is None else self.layout.dense(sums)


def numbers_in(held: Any) -> Array:
    """Return the numbers of an array, or of sparse weights or traces: all of them that change."""
    return held.values if isinstance(held, SPARSE) else held


def leaves(name: str, held: Any) -> Iterator[tuple[str, Array]]:
    """Walk through nested named tuples of arrays; the pattern of sparse ones is no part of a state."""
    if isinstance(held, np.ndarray | Slices | Columns):
        yield name, numbers_in(held)
    else:
        for key, part in held._asdict().items():
            yield from leaves(f"{name}.{key}", part)
