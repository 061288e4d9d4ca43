"""The network: parameters of a linear leaky recurrent network, and nothing that changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.block_matrix import BlockMatrix, random_rotations
from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.plain_data import Origin
from neurolrnn.sparse_matrix import ScipySparse, SparseMatrix

if TYPE_CHECKING:
    import nir

Kind = Literal["gaussian", "orthogonal", "symmetric", "block", "sparse"]
KINDS: tuple[str, ...] = get_args(Kind)
Recurrent = ArrayLike | BlockMatrix | SparseMatrix | ScipySparse
"""Recurrent weights as they may be given."""
DENSITY = 0.1
"""Share of synapses that exist in a network of kind "sparse" where nothing else is said."""


def _frozen(name: str, value: ArrayLike, ndim: int = 2) -> NDArray[np.float64]:
    array = np.array(value, dtype=np.float64, order="C")  # always a copy: a Network never changes under its user
    if array.ndim != ndim:
        raise InputError(f"{name} has {array.ndim} dimensions; a matrix with {ndim} is needed")
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds values that are not finite; every weight must be a finite number")
    array.flags.writeable = False
    return array


class Changes(TypedDict, total=False):
    """What :meth:`Network.replace` exchanges."""

    A: ArrayLike
    W: Recurrent
    B: ArrayLike
    leak: float


@dataclass(frozen=True, eq=False)
class Network:
    """A linear leaky recurrent network, ``h_t = (1-α) h_{t-1} + α (W h_{t-1} + B x_t)``, ``y_t = A h_t``.

    Parameters
    ----------
    A : (n_out, n_rec)
        Read-out weights.
    W : (n_rec, n_rec)
        Recurrent weights; row = receiving unit. A :class:`SparseMatrix` or :class:`BlockMatrix` stays one, and a sparse
        matrix of SciPy becomes one.
    B : (n_rec, n_in)
        Input weights.
    leak : float
        α in (0, 1]; 1 is the plain linear network ``h_t = W h_{t-1} + B x_t``.
    origin : dict, optional
        How the weights were made, kept in the run file.

    Raises
    ------
    InputError
        If shapes disagree, a weight is not finite, or the leak is outside (0, 1].

    Attributes
    ----------
    blocks : BlockMatrix or None
        W of a network that was made in block form, such as ``random(kind="block")``. Such a network writes its n²
        weights out only when :attr:`W` is asked for, and learns in O(n) a step (``RFLO(storage="factored")``).
    sparse : SparseMatrix or None
        W of a network that was made in sparse form, such as ``random(kind="sparse")``. Only its synapses are stored
        and learn; n² weights are written out only when :attr:`W` is asked for.

    Notes
    -----
    The arrays are float64, C-ordered and read-only. Source: Williams, Payeur & Lajoie (arXiv 2606.00243) for
    the plain network; Murray (eLife 2019, eq. 1) for the leak, with identity activation.
    """

    A: NDArray[np.float64]
    W: NDArray[np.float64]
    B: NDArray[np.float64]
    leak: float = 1.0
    origin: Origin = field(default_factory=lambda: Origin(kind="given"))

    blocks: BlockMatrix | None = field(init=False, repr=False, default=None)
    sparse: SparseMatrix | None = field(init=False, repr=False, default=None)

    if TYPE_CHECKING:  # what may be given is more than what is held

        def __init__(
            self, A: ArrayLike, W: Recurrent, B: ArrayLike, leak: float = 1.0, origin: Mapping[str, object] = ...
        ) -> None: ...

    def __post_init__(self) -> None:
        W: Any = SparseMatrix.from_scipy(self.W) if hasattr(self.W, "tocsr") else self.W
        object.__setattr__(self, "blocks", W if isinstance(W, BlockMatrix) else None)
        object.__setattr__(self, "sparse", W if isinstance(W, SparseMatrix) else None)
        if self.held is None:
            object.__setattr__(self, "W", _frozen("W", W))
        else:
            object.__delattr__(self, "W")  # formed when it is asked for
        for name in ("A", "B"):
            object.__setattr__(self, name, _frozen(name, getattr(self, name)))
        shape = self.W.shape if self.held is None else self.held.shape
        n = shape[0]
        if shape != (n, n):
            raise InputError(f"W has shape {shape}; the recurrent weights must be square")
        if self.A.shape[1] != n:
            raise InputError(f"A has shape {self.A.shape}; with W {shape} it must be (n_out, {n})")
        if self.B.shape[0] != n:
            raise InputError(f"B has shape {self.B.shape}; with W {shape} it must be ({n}, n_in)")
        if 0 in self.A.shape or 0 in self.B.shape:
            raise InputError(f"n_in, n_rec and n_out must be at least 1; got {self.n_in}, {self.n_rec}, {self.n_out}")
        object.__setattr__(self, "leak", real_number("leak", self.leak, above=0.0, at_most=1.0))

    if not TYPE_CHECKING:  # a type checker knows W as an array

        def __getattr__(self, name: str) -> Any:
            held = self.__dict__.get("blocks") or self.__dict__.get("sparse")
            if name != "W" or held is None:
                raise AttributeError(f"a network has no {name!r}")
            W = held.dense()
            W.flags.writeable = False
            object.__setattr__(self, "W", W)
            return W

    @classmethod
    def from_blocks(cls, A: ArrayLike, W: BlockMatrix, B: ArrayLike, leak: float = 1.0) -> Network:
        """Return a network whose recurrent weights are given in block form and stay so; see :class:`BlockMatrix`."""
        return cls(A, W, B, leak)

    @classmethod
    def from_sparse(cls, A: ArrayLike, W: SparseMatrix | ScipySparse, B: ArrayLike, leak: float = 1.0) -> Network:
        """Return a network of whose recurrent weights only the synapses in W exist, ever.

        ``W`` is a :class:`SparseMatrix`, or a sparse matrix or array of SciPy.
        """
        return cls(A, W if isinstance(W, SparseMatrix) else SparseMatrix.from_scipy(W), B, leak)

    @classmethod
    def from_nir(cls, source: str | PathLike[str] | nir.NIRGraph, dt_seconds: float | None = None) -> Network:
        """Return the network in a NIR file or graph; see :func:`neurolrnn.exports.nir_import.read_network`."""
        from neurolrnn.exports.nir_import import read_network  # exports stand above networks; only this one looks up

        return read_network(source, dt_seconds)

    @property
    def held(self) -> BlockMatrix | SparseMatrix | None:
        """W in the form it was made in, where that is not all n² weights: :attr:`blocks` or :attr:`sparse`."""
        return self.sparse if self.blocks is None else self.blocks

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return int(self.B.shape[1])

    @property
    def n_rec(self) -> int:
        """Number of recurrent units."""
        return int(self.B.shape[0])

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return int(self.A.shape[0])

    @property
    def transition(self) -> NDArray[np.float64]:
        """Matrix that carries the state one step on without input, ``(1-α) I + α W``, (n_rec, n_rec)."""
        return (1.0 - self.leak) * np.eye(self.n_rec) + self.leak * self.W

    def digest(self) -> str:
        """SHA-256 of weights and leak, hex."""
        h = hashlib.sha256(repr(self.leak).encode())
        recurrent = (self.W,) if self.held is None else tuple(self.held.arrays().values())
        for array in (self.A, *recurrent, self.B):
            h.update(str(array.shape).encode())
            h.update(np.ascontiguousarray(array).data)
        return h.hexdigest()

    def spectral_radius(self) -> float:
        """Largest absolute eigenvalue of :attr:`transition`; at 1 or above the state grows without input."""
        if self.blocks is not None:
            return float(np.abs(self.blocks.eigenvalues(self.leak)).max())
        return float(np.abs(np.linalg.eigvals(self.transition)).max())

    def replace(self, **changes: Unpack[Changes]) -> Network:
        """Return a copy with some of ``A``, ``W``, ``B``, ``leak`` exchanged."""
        unknown = set(changes) - {"A", "W", "B", "leak"}
        if unknown:
            raise InputError(f"a network has no {sorted(unknown)[0]!r}; allowed: A, W, B, leak")
        W = self.W if self.held is None else self.held
        values: dict[str, Any] = {"A": self.A, "W": W, "B": self.B, "leak": self.leak, **changes}
        return Network(**values, origin={"kind": "given"} if {"A", "W", "B"} & set(changes) else dict(self.origin))

    @classmethod
    def random(
        cls,
        n_in: int,
        n_rec: int,
        n_out: int,
        leak: float = 1.0,
        spectral_radius: float = 0.9,
        kind: Kind = "gaussian",
        seed: int = 0,
        *,
        input_scale: float = 1.0,
        output_scale: float = 0.1,
        density: float | None = None,
    ) -> Network:
        """Draw a network by seed.

        Parameters
        ----------
        n_in, n_rec, n_out : int
            Sizes, each at least 1.
        leak : float
            α in (0, 1].
        spectral_radius : float
            Largest absolute eigenvalue of W itself (not of the leaky transition), at least 0. Large sparse networks
            are scaled by the circular law instead of their eigenvalues, see :meth:`SparseMatrix.random`.
        kind : str
            ``"gaussian"`` (independent entries), ``"orthogonal"`` (Haar), ``"symmetric"``, ``"block"``
            (rotations of two units each: normal, with random angles; held as blocks, see :attr:`blocks`) or
            ``"sparse"`` (each unit hears equally many others; only these synapses are held, see :attr:`sparse`).
        seed : int
            Seed of the generator; the same seed gives the same network on every platform NumPy supports.
        input_scale, output_scale : float
            ``B ~ N(0, input_scale²/n_in)`` and ``A ~ N(0, output_scale²/n_rec)``. The read-out starts small on
            purpose: with small A and B, RFLO starts inside its invariant region.
        density : float, optional
            Of kind ``"sparse"`` only: share of the n² synapses that exist, in (0, 1]; default 0.1.

        Returns
        -------
        Network
        """
        for name, size in (("n_in", n_in), ("n_rec", n_rec), ("n_out", n_out)):
            positive_integer(name, size)
        radius = real_number("spectral_radius", spectral_radius, at_least=0.0)
        choose("kind", kind, KINDS)
        check_density(kind, density)
        rng = np.random.default_rng(seed)
        W: Any
        share = DENSITY if density is None else density
        if kind == "sparse":
            W = SparseMatrix.random(rng, n_rec, share, radius)
        elif kind == "block":
            W = BlockMatrix(**{k: radius * part for k, part in random_rotations(rng, n_rec).items()})
        else:
            W = _RECURRENT[kind](rng, n_rec)
            largest = 1.0 if kind == "orthogonal" else float(np.abs(np.linalg.eigvals(W)).max())
            W *= radius / max(largest, np.finfo(float).tiny)
        B = rng.normal(0.0, real_number("input_scale", input_scale, at_least=0.0) / np.sqrt(n_in), (n_rec, n_in))
        A = rng.normal(0.0, real_number("output_scale", output_scale, at_least=0.0) / np.sqrt(n_rec), (n_out, n_rec))
        return cls(A, W, B, leak, drawn_origin(kind, radius, seed, input_scale, output_scale, density))


def drawn_origin(
    kind: str, spectral_radius: float, seed: int, input_scale: float, output_scale: float, density: float | None
) -> Origin:
    """Return the ``origin`` of a network drawn by :meth:`Network.random`: it names the network, nothing is drawn."""
    share = float(DENSITY if density is None else density)
    origin: Origin = {
        "kind": kind, "spectral_radius": float(spectral_radius), "seed": int(seed), "input_scale": float(input_scale),
        "output_scale": float(output_scale),
    }  # fmt: skip
    return {**origin, "density": share} if kind == "sparse" else origin


def check_density(kind: str, density: float | None) -> None:
    """Refuse a density that is none, or is given for a kind of network that has all synapses.

    Raises
    ------
    InputError
        If so.
    """
    if density is None:
        return
    if kind != "sparse":
        raise InputError(f"density = {density!r} is of kind = 'sparse', not of {kind!r}; leave it out")
    real_number("density", density, above=0.0, at_most=1.0)


def _gaussian(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return rng.normal(0.0, 1.0 / np.sqrt(n), (n, n))


def _symmetric(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    W = _gaussian(rng, n)
    return np.asarray((W + W.T) / np.sqrt(2.0))


def _orthogonal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    Q, R = np.linalg.qr(rng.normal(size=(n, n)))
    return np.asarray(Q * np.sign(np.diag(R)))  # the signs make the law Haar's (Mezzadri 2007)


_RECURRENT = {"gaussian": _gaussian, "orthogonal": _orthogonal, "symmetric": _symmetric}
