"""The bases in which a teacher is made of modes, and what a network that learns from it looks like in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurolrnn.network import Network
from neurolrnn.tasks.teacher_student import bases, student_bases

Array = NDArray[np.float64]
ALIGNED_TO = 1e-8
"""Largest off-diagonal share, and error of orthogonality of P, up to which a student counts as aligned."""


@dataclass(frozen=True, eq=False)
class ModeFrame:
    """Orthonormal columns that turn the matrices of a network into numbers per mode.

    Parameters
    ----------
    U : (n_out, modes)
        The teacher's output directions: its own if it is made of modes, else left singular vectors of A* B*.
    V : (n_in, modes)
        The teacher's input directions, likewise.
    P : (n_rec, modes), optional
        The student's directions, A = U diag(a) Pᵀ, W = P diag(w) Pᵀ, B = P diag(b) Vᵀ; only where it has that form.
    """

    U: Array
    V: Array
    P: Array | None = None

    @classmethod
    def of(cls, student: Network, teacher: Network, R: Array | None = None) -> ModeFrame:
        """Return the frame of a teacher and of a student as it is before learning.

        Parameters
        ----------
        student, teacher : Network
        R : (n_out, n_rec), optional
            Feedback; shows the directions of modes whose a and b are 0.
        """
        if teacher.origin.get("kind") != "modes":
            U, _, Vt = np.linalg.svd(teacher.A @ teacher.B, full_matrices=False)
            return cls(U, Vt.T)
        k = len(teacher.origin["a"])
        full_U, _, full_V = bases(teacher)
        U, V = full_U[:, :k], full_V[:, :k]
        if student.origin.get("kind") == "aligned":
            candidate: Array | None = student_bases(student.n_rec, student.origin["basis_seed"])[:, :k]
        else:
            candidate = _directions(student, U, V, R)
        if candidate is None or candidate.shape[1] < k:
            return cls(U, V)
        frame = cls(U, V, candidate)
        orthogonal = float(np.abs(candidate.T @ candidate - np.eye(k)).max()) <= ALIGNED_TO
        return frame if orthogonal and frame.off_diagonal(student) <= ALIGNED_TO else cls(U, V)

    @property
    def aligned(self) -> bool:
        """Whether the student started as modes, so that it has an a, b and w for each."""
        return self.P is not None

    def modes(self, network: Network) -> tuple[Array, Array, Array]:
        """Return the diagonals a, b and w of Uᵀ A P, Pᵀ B V and Pᵀ W P, (modes,) each."""
        P = self._basis()
        return (
            np.einsum("ok,on,nk->k", self.U, network.A, P),
            np.einsum("nk,nm,mk->k", P, network.B, self.V),
            np.einsum("nk,nk->k", P, network.W @ P),
        )

    def feedback_modes(self, R: Array) -> tuple[Array, float]:
        """Return the diagonal â of Uᵀ R P, (modes,), and the share of R that is not U diag(â) Pᵀ."""
        P = self._basis()
        a_hat = np.einsum("ok,on,nk->k", self.U, R, P)
        size = float(np.linalg.norm(R))
        return a_hat, float(np.linalg.norm(R - (self.U * a_hat) @ P.T)) / size if size else 0.0

    def off_diagonal(self, network: Network) -> float:
        """Return ‖what is no mode of A, W and B‖_F / ‖A, W, B‖_F, 0 for an aligned network."""
        P = self._basis()
        a, b, w = self.modes(network)
        rest = (
            network.A - (self.U * a) @ P.T,
            network.W - (P * w) @ P.T,
            network.B - (P * b) @ self.V.T,
        )  # fmt: skip
        size = np.sqrt(sum(np.sum(M * M) for M in (network.A, network.W, network.B)))
        return float(np.sqrt(sum(np.sum(M * M) for M in rest)) / size) if size else 0.0

    def shares(self, network: Network) -> tuple[float, float]:
        """Return ‖diagonal‖ / ‖·‖_F of Uᵀ A B V and of Uᵀ A W B V; NaN where the matrix is 0.

        1 says that the student maps each input direction of the teacher to its own output direction. It says nothing
        about the student's inside, and tends to 1 by itself as A B tends to A* B*.
        """
        through = self._share(network.A @ network.B), self._share(network.A @ (network.W @ network.B))
        return through

    def _share(self, M: Array) -> float:
        size = float(np.linalg.norm(M))
        return float(np.linalg.norm(np.einsum("ok,om,mk->k", self.U, M, self.V))) / size if size else float("nan")

    def _basis(self) -> Array:
        if self.P is None:
            raise ValueError("the student is not aligned, so it has no modes")  # asked by our own code only
        return self.P


def _directions(student: Network, U: Array, V: Array, R: Array | None) -> Array | None:
    """Return P as the weights show it, each column by its clearest witness, or None where there is none.

    A's sign is not visible: (a, b, â) and (-a, -b, -â) are one network. The largest entry of a column is made positive.
    """
    witnesses = [student.A.T @ U, student.B @ V] + ([] if R is None else [R.T @ U])
    lengths = np.array([np.linalg.norm(M, axis=0) / max(float(np.linalg.norm(M)), 1e-300) for M in witnesses])
    best = lengths.argmax(axis=0)
    columns = np.stack([witnesses[best[k]][:, k] for k in range(U.shape[1])], axis=1)
    norms = np.linalg.norm(columns, axis=0)
    if not norms.all():
        return None
    columns = columns / norms
    signs = np.sign(np.take_along_axis(columns, np.abs(columns).argmax(axis=0)[np.newaxis], axis=0))
    return np.asarray(columns * signs)
