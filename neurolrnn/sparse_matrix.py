"""Recurrent weights of which only existing synapses are held, and a low-rank part learned on top."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, positive_integer, real_number
from neurolrnn.low_rank import LowRankPlus, Vector, no_factor, vector

CIRCULAR_LAW_ABOVE = 1000
"""Most units whose eigenvalues are calculated to scale random sparse weights; above, the circular law gives them."""


class ScipySparse(Protocol):
    """A sparse matrix or array of SciPy, or what is asked for in its words."""

    def tocsr(self, copy: bool = False) -> object:
        """Return it in compressed rows."""


def _indices(name: str, value: ArrayLike, dtype: type, largest: int) -> NDArray[Any]:
    given = np.asarray(value)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise InputError(f"{name} is {given.dtype} with {given.ndim} dimensions; a vector of integers is needed")
    if given.size and (int(given.min()) < 0 or int(given.max()) > largest):
        raise InputError(f"{name} has values from {given.min()} to {given.max()}; 0 to {largest} are allowed")
    array: NDArray[Any] = np.array(given, dtype=dtype)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class SparseMatrix(LowRankPlus):
    """Sparse recurrent weights, and what factored learning adds: ``W = sparse + leftᵀ right``.

    In compressed rows (CSR): of each receiving unit the senders in ascending order. Learning changes the weights of
    existing synapses and makes or removes none, also where a weight is 0.

    Parameters
    ----------
    values : (synapses,)
        Weights, by receiving unit, those of each by sending unit.
    sources : (synapses,) of int
        Unit that sends.
    starts : (n_rec + 1,) of int
        First synapse of each receiving unit; the last entry is the number of synapses.
    left, right : (k, n_rec), optional
        Factors of a low-rank part, such as R and M of RFLO.

    Raises
    ------
    InputError
        If lengths differ, a value is not finite, or the senders of a unit are not strictly ascending within 0 to
        n_rec - 1.
    """

    values: Vector
    sources: NDArray[np.int32]
    starts: NDArray[np.int64]
    left: Vector = field(default_factory=no_factor)
    right: Vector = field(default_factory=no_factor)

    def __post_init__(self) -> None:
        values = vector("values", self.values)
        starts = _indices("starts", self.starts, np.int64, len(values))
        n = len(starts) - 1
        if n < 1:
            raise InputError(f"starts has {len(starts)} numbers; one per unit and one more are needed, at least 2")
        sources = _indices("sources", self.sources, np.int32, n - 1)
        if len(sources) != len(values):
            raise InputError(
                f"values and sources have {len(values)} and {len(sources)} numbers; each synapse needs one"
            )
        if starts[0] != 0 or starts[-1] != len(values) or (np.diff(starts) < 0).any():
            raise InputError(f"starts must ascend from 0 to the number of synapses, {len(values)}")
        same_unit = np.ones(len(sources), bool)
        same_unit[starts[:-1][starts[:-1] < len(sources)]] = False
        wrong = np.flatnonzero(same_unit[1:] & (np.diff(sources) <= 0))
        if wrong.size:
            unit = int(np.searchsorted(starts, wrong[0], side="right")) - 1
            raise InputError(
                f"the senders of unit {unit} are not strictly ascending ({sources[wrong[0]]} stands before "
                f"{sources[wrong[0] + 1]}); sort them and add up what stands twice, as scipy's sum_duplicates does"
            )
        for name, array in (("values", values), ("sources", sources), ("starts", starts)):
            object.__setattr__(self, name, array)
        self._check_factors(n)

    @classmethod
    def from_dense(cls, W: ArrayLike, keep: ArrayLike | None = None) -> SparseMatrix:
        """Return the existing synapses of a full matrix.

        Parameters
        ----------
        W : (n_rec, n_rec)
            Row = receiving unit.
        keep : (n_rec, n_rec) of bool, optional
            Which synapses exist; default those whose weight is not 0. A synapse may exist with weight 0, and learns.
        """
        W = np.array(W, dtype=np.float64)
        exists = W != 0 if keep is None else np.array(keep)
        if W.ndim != 2 or W.shape[0] != W.shape[1]:
            raise InputError(f"W has shape {W.shape}; the recurrent weights must be square")
        if exists.shape != W.shape or exists.dtype != bool:
            raise InputError(f"keep is {exists.dtype} {exists.shape}; bool of the shape of W {W.shape} is needed")
        receivers, sources = np.nonzero(exists)
        return cls(W[receivers, sources], sources.astype(np.int32), _starts(receivers, len(W)))

    @classmethod
    def from_scipy(cls, W: ScipySparse) -> SparseMatrix:
        """Return a sparse matrix or array of SciPy, or of anything with its ``tocsr``; every stored entry is a synapse.

        Raises
        ------
        InputError
            If ``W`` has no ``tocsr``, is not square or holds what is not real.
        """
        if not hasattr(W, "tocsr"):
            raise InputError(f"W is a {type(W).__name__} without tocsr; for an array take SparseMatrix.from_dense")
        csr: Any = W.tocsr(copy=True)
        if len(csr.shape) != 2 or csr.shape[0] != csr.shape[1]:
            raise InputError(f"W has shape {csr.shape}; the recurrent weights must be square")
        if np.dtype(csr.dtype).kind not in "fiub":
            raise InputError(f"W is {csr.dtype}; real weights are needed")
        csr.sum_duplicates()  # which sorts, too
        return cls(csr.data, csr.indices, csr.indptr)

    @classmethod
    def random(cls, rng: np.random.Generator, n: int, density: float, spectral_radius: float) -> SparseMatrix:
        """Draw weights of which each unit hears equally many senders, itself possibly among them.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of random numbers.
        n : int
            Number of units.
        density : float
            Share of the n² synapses that exist, in (0, 1]; each unit hears ``round(density n)`` units, at least 1.
        spectral_radius : float
            Largest absolute eigenvalue. Up to :data:`CIRCULAR_LAW_ABOVE` units it is calculated; above, it is that of
            the circular law for independent entries of variance 1/(senders), right within a few percent for some tens
            of senders.

        Notes
        -----
        Nothing of n² numbers is made above :data:`CIRCULAR_LAW_ABOVE` units. Source of the law: Wood, "Universality
        and the circular law for sparse random matrices", Annals of Applied Probability 2012.
        """
        positive_integer("n_rec", n)
        share = real_number("density", density, above=0.0, at_most=1.0)
        heard = max(1, round(share * n))
        sources = np.stack([np.sort(rng.choice(n, heard, replace=False)) for _ in range(n)]).astype(np.int32)
        values = rng.normal(0.0, 1.0 / np.sqrt(heard), n * heard)
        starts = np.arange(n + 1, dtype=np.int64) * heard
        W = cls(values, sources.ravel(), starts)
        largest = float(np.abs(np.linalg.eigvals(W.dense())).max()) if n <= CIRCULAR_LAW_ABOVE else 1.0
        return cls(values * (spectral_radius / max(largest, np.finfo(float).tiny)), W.sources, starts)

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_rec, n_rec)``."""
        return len(self.starts) - 1, len(self.starts) - 1

    @property
    def synapses(self) -> int:
        """Number of synapses, those of weight 0 among them."""
        return len(self.values)

    @property
    def density(self) -> float:
        """Share of the n² synapses that exist."""
        return self.synapses / (len(self.starts) - 1) ** 2

    @property
    def receivers(self) -> NDArray[np.int64]:
        """Unit that receives, (synapses,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which synapses exist, (n_rec, n_rec); n² truth values."""
        self._refuse_large(len(self.starts) - 1, "sparse")
        mask = np.zeros(self.shape, bool)
        mask[self.receivers, self.sources] = True
        return mask

    def arrays(self) -> dict[str, NDArray[np.float64 | np.int32 | np.int64]]:
        """Return everything it is made of, by name."""
        return {k: getattr(self, k) for k in ("values", "sources", "starts", "left", "right")}

    def dense(self) -> NDArray[np.float64]:
        """Return all n² weights.

        Raises
        ------
        InputError
            If there are more than :data:`~neurolrnn.low_rank.LARGEST_DENSE` units.
        """
        self._refuse_large(len(self.starts) - 1, "sparse")
        W = np.zeros(self.shape)
        W[self.receivers, self.sources] = self.values
        return W + self.left.T @ self.right if len(self.left) else W

    def with_values(self, values: ArrayLike) -> SparseMatrix:
        """Return the same synapses with other weights, without a low-rank part."""
        return SparseMatrix(vector("values", values), self.sources, self.starts)


def _starts(receivers: NDArray[Any], n: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(receivers, minlength=n))]).astype(np.int64)
