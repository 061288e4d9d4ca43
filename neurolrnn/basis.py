"""The basis a factored learner runs in: the user's own, or one in which W₀ is triangular or block-diagonal.

RFLO with factored storage keeps W₀ fixed, and commutes with orthogonal changes of basis of the units: every output,
error and loss is the same in real arithmetic, and A, M and the feedback rotate along. So W₀ is brought to its real
Schur form ``W₀ = Q T Qᵀ`` once, and each step costs n²/2 multiplications instead of n²; for a normal W₀ (symmetric,
orthogonal, circulant) T is block-diagonal and a step costs O(n (n_in + n_out)). Derived here.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurolrnn.block_matrix import BlockMatrix, blocks_of
from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.plain_data import BasisData
from neurolrnn.rules import RFLO, RTRL, Rule
from neurolrnn.sparse_matrix import SparseMatrix
from neurolrnn.training import Training

Matrix = NDArray[np.float64]
Form = Literal["dense", "triangle", "blocks", "sparse"]

NORMAL = 1e-12
"""A matrix is taken as normal if ‖WWᵀ - WᵀW‖ is at most this times ‖W‖² (Frobenius)."""
SMALLEST_TRIANGLE = 128
"""Fewest units for which half the multiplications are worth a basis of their own."""
SCHUR_COST = 60.0
"""A Schur decomposition takes about as long as this times n³ multiplications of a learning step; measured."""
SYMMETRIC_COST = 4.0
"""The same for the eigenvectors of a symmetric matrix."""
KEPT_BYTES = 512 * 2**20
"""Decompositions are kept for later runs of the same W₀ up to this size."""


@dataclass(frozen=True, eq=False)
class Basis:
    """How the recurrent weights of a run are held, and how to get there and back.

    Parameters
    ----------
    form : str
        ``"dense"``, ``"triangle"``, ``"blocks"`` or ``"sparse"``.
    recurrent : array, BlockMatrix or SparseMatrix
        W₀ in this basis.
    Q : (n, n), optional
        Orthogonal, ``W₀ = Q T Qᵀ``; None where the basis is the user's own.
    seconds : float
        What finding it took in this run; 0 if it was known.
    why : str
        In words.
    """

    form: Form
    recurrent: Matrix | BlockMatrix | SparseMatrix
    Q: Matrix | None = None
    seconds: float = 0.0
    why: str = ""

    def into(self, rows: Matrix) -> Matrix:
        """Bring what stands over units, (k, n), into this basis."""
        return rows if self.Q is None else rows @ self.Q

    def back(self, rows: Matrix) -> Matrix:
        """Bring what stands over units, (k, n), back to the user's basis."""
        return rows if self.Q is None else rows @ self.Q.T

    def describe(self) -> BasisData:
        """Return what a run keeps of it, as plain data."""
        return {"held_as": self.form, "rotated": self.Q is not None, "seconds": self.seconds, "why": self.why}


def own_basis(network: Network, rule: Rule, why: str = "") -> Basis:
    """Return the user's own basis; a factored learner of a block-diagonal W₀ holds its blocks only.

    A sparse W without a low-rank part is held sparse by every rule.

    Raises
    ------
    InputError
        If the rule cannot learn a sparse W.
    """
    if network.sparse is not None and not len(network.sparse.left):
        if isinstance(rule, RTRL):
            raise InputError(
                "rule 'rtrl' holds the influence of all n² synapses; W is sparse. Take bptt for the exact gradient of "
                "the synapses that exist, another rule, or network.replace(W=network.W), which learns all synapses"
            )
        return Basis("sparse", network.sparse, why="W₀ is sparse as it is")
    if isinstance(rule, RFLO) and rule.storage == "factored":
        blocks = network.blocks
        if blocks is not None and len(blocks.left):
            blocks = None
        elif blocks is None:
            blocks = blocks_of(network.W)
        if blocks is not None:
            return Basis("blocks", blocks, why="W₀ is block-diagonal as it is")
    return Basis("dense", network.W, why=why)


def choose_basis(network: Network, rule: Rule, training: Training, *, fixed_point: bool, steps: int) -> Basis:
    """Return the basis a run is made in, by ``rule.basis``.

    ``"auto"`` takes the Schur form where its decomposition pays within ``steps`` by a fixed count of operations, so the
    choice, and with it every bit of the run, does not depend on the clock.

    Raises
    ------
    InputError
        If the Schur form is asked for where it is not the same learner.
    """
    own = own_basis(network, rule)
    asked = rule.basis if isinstance(rule, RFLO) else "given"
    if asked == "schur" and own.form == "sparse":
        raise InputError(
            "rule.basis = 'schur': a sparse W₀ is not sparse in its Schur basis; take basis = 'given' or 'auto', or "
            "network.replace(W=network.W)"
        )
    if asked == "given" or own.form in ("blocks", "sparse"):
        return own if own.why else own_basis(network, rule, "as asked" if asked == "given" else "")
    assert isinstance(rule, RFLO)
    obstacle = _obstacle(rule, training, fixed_point)
    if asked == "schur":
        if obstacle:
            raise InputError(f"rule.basis = 'schur': {obstacle}; take basis = 'given' or 'auto'")
        return schur_basis(network)
    if obstacle:
        return own_basis(network, rule, obstacle)
    n = network.n_rec
    cost = (SYMMETRIC_COST if np.array_equal(network.W, network.W.T) else SCHUR_COST) * n**3
    if steps * n * n < cost:  # before looking whether W₀ is normal, which takes a matrix product
        return own_basis(network, rule, f"finding the Schur form takes longer than {steps:,} steps")
    normal = is_normal(network.W)
    saved = n * n - 3 * n if normal else n * n / 2
    if saved <= 0.0 or (not normal and n < SMALLEST_TRIANGLE):
        return own_basis(network, rule, f"{'blocks save' if normal else 'a triangle saves'} nothing for {n} units")
    if steps * saved < cost:
        return own_basis(network, rule, f"finding the Schur form pays from {int(cost / saved) + 1:,} steps")
    return schur_basis(network)


def _obstacle(rule: RFLO, training: Training, fixed_point: bool) -> str:
    """Say why a learner is not the same in another basis, or nothing."""
    if rule.storage != "factored":
        return "storage = 'dense' learns W itself, whose Schur form changes at every step"
    if fixed_point:
        return "rounding is not the same in another basis"
    if training.bounds["A"] != np.inf or training.bounds["W"] != np.inf:
        return "a clamp on single weights is not the same in another basis"
    if training.ranges:
        return "ranges of single units are asked for, and belong to the user's basis"
    return ""


def is_normal(W: Matrix) -> bool:
    """Tell whether WWᵀ = WᵀW, up to :data:`NORMAL`."""
    return float(np.linalg.norm(W @ W.T - W.T @ W)) <= NORMAL * float(np.linalg.norm(W)) ** 2


def schur_basis(network: Network) -> Basis:
    """Return the basis of the real Schur form of W₀, block-diagonal if W₀ is normal."""
    key, began = _key(network.W), time.perf_counter()
    found = _kept(key)
    if found is None:
        found = decompose(network.W)
        _keep(key, found)
        seconds = time.perf_counter() - began
    else:
        seconds = 0.0
    form, T, Q = found
    words = "block-diagonal, as W₀ is normal" if form == "blocks" else "quasi-triangular"
    return Basis(form, T, Q, seconds, f"real Schur form, {words}")


def decompose(W: Matrix) -> tuple[Form, Matrix | BlockMatrix, Matrix]:
    """Return form, T and Q of ``W = Q T Qᵀ``, T block-diagonal where W is normal and quasi-triangular where not."""
    scale = float(np.linalg.norm(W))
    if np.array_equal(W, W.T):
        values, Q = np.linalg.eigh(W)
        return "blocks", BlockMatrix(values, np.zeros_like(values), np.zeros_like(values)), Q
    from scipy.linalg import schur  # takes a moment to import

    T, Q = schur(W, output="real")
    if is_normal(W):
        blocks = blocks_of(T, tolerance=10.0 * NORMAL * scale)
        if blocks is not None:
            return "blocks", blocks, np.ascontiguousarray(Q)
    return "triangle", np.triu(T, -1), np.ascontiguousarray(Q)


_decompositions: OrderedDict[str, tuple[Form, Matrix | BlockMatrix, Matrix]] = OrderedDict()
_lock = threading.Lock()


def _key(W: Matrix) -> str:
    return hashlib.sha256(str(W.shape).encode() + W.tobytes()).hexdigest()


def _kept(key: str) -> tuple[Form, Matrix | BlockMatrix, Matrix] | None:
    with _lock:
        found = _decompositions.get(key)
        if found is not None:
            _decompositions.move_to_end(key)
        return found


def _keep(key: str, found: tuple[Form, Matrix | BlockMatrix, Matrix]) -> None:
    with _lock:
        _decompositions[key] = found
        while len(_decompositions) > 1 and sum(2 * Q.nbytes for _, _, Q in _decompositions.values()) > KEPT_BYTES:
            _decompositions.popitem(last=False)
