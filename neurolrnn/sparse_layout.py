"""Between sparse weights as users hold them (CSR) and as the kernels do: orders of synapses, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.sparse_matrix import SparseMatrix
from neurolrnn_kernels.sparse import SIDE_BY_SIDE, Columns, Slices

Array = NDArray[Any]
Sparse = Slices | Columns


class SparseLayout:
    """The pattern of a sparse matrix in the order of one number system.

    Parameters
    ----------
    matrix : SparseMatrix
        Its low-rank part is not looked at.
    codes : bool
        Whether integers are held (:class:`~neurolrnn_kernels.sparse.Columns`) or real numbers
        (:class:`~neurolrnn_kernels.sparse.Slices`).
    """

    def __init__(self, matrix: SparseMatrix, codes: bool) -> None:
        self.matrix, self.codes = matrix, codes
        self.order: NDArray[np.int64]
        """(synapses,) place in CSR of the synapse at each place."""
        self.form: Sparse
        """The pattern, holding no values."""
        self.order, self.form = (_columns if codes else _slices)(matrix)

    @property
    def synapses(self) -> int:
        """Number of synapses."""
        return len(self.order)

    def into(self, values: Array) -> Array:
        """Bring what stands in CSR, (synapses,), into this order, (1, synapses)."""
        return values[self.order][np.newaxis]

    def back(self, held: Array) -> Array:
        """Bring what stands in this order, (1, synapses), back to CSR, (synapses,)."""
        out = np.empty(self.synapses, held.dtype)
        out[self.order] = held[0]
        return out

    def hold(self, values: Array) -> Sparse:
        """Return numbers per synapse, (rows, synapses) in this order, as kernels hold them; the pattern is shared."""
        return self.form._replace(values=values)

    def dense(self, held: Array) -> Array:
        """Return numbers per synapse, (1, synapses), as a matrix (n_rec, n_rec) that is 0 elsewhere."""
        out = np.zeros(self.matrix.shape, held.dtype)
        out[self.matrix.receivers, self.matrix.sources] = self.back(held)
        return out


def _own(matrix: SparseMatrix, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the weight of each unit onto itself is, -1 if there is none."""
    own = np.full(matrix.shape[0], -1, np.int64)
    receivers = matrix.receivers[order]
    here = np.flatnonzero(receivers == matrix.sources[order])
    own[receivers[here]] = here
    return own


def _columns(matrix: SparseMatrix) -> tuple[NDArray[np.int64], Columns]:
    order = np.argsort(matrix.sources, kind="stable")  # of one sender the receivers ascend already
    sent = np.bincount(matrix.sources, minlength=matrix.shape[0])
    starts = np.concatenate([[0], np.cumsum(sent)]).astype(np.int64)
    receivers = matrix.receivers[order].astype(np.int32)
    return order, Columns(np.zeros((0, 0)), receivers, starts, _own(matrix, order))


def _slices(matrix: SparseMatrix) -> tuple[NDArray[np.int64], Slices]:
    """Order synapses in slices of units that hear almost equally many: then few synapses are left over.

    Units are sorted by how many they hear, so what is left over is at most 15 times the longest of them, but for the
    last units, which fill no slice.
    """
    heard = np.diff(matrix.starts)
    by_length = np.argsort(-heard, kind="stable")
    whole = len(heard) // SIDE_BY_SIDE
    units = by_length[: whole * SIDE_BY_SIDE].reshape(whole, SIDE_BY_SIDE)
    lengths = heard[units].min(axis=1)
    parts = [(matrix.starts[units[s]] + np.arange(lengths[s])[:, np.newaxis]).ravel() for s in range(whole)]
    taken = np.zeros(len(heard), np.int64)  # how many synapses of each unit are in its slice
    taken[units] = lengths[:, np.newaxis]
    receivers = matrix.receivers
    late = np.flatnonzero(np.arange(matrix.synapses) - matrix.starts[receivers] >= taken[receivers])
    order = np.concatenate([*parts, late]).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(SIDE_BY_SIDE * lengths)]).astype(np.int64)
    form = Slices(
        np.zeros((0, 0)), matrix.sources[order], units.ravel().astype(np.int32), starts,
        receivers[late].astype(np.int32), _own(matrix, order),
    )  # fmt: skip
    return order, form
