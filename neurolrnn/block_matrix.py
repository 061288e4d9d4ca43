"""Recurrent weights that are never written out: blocks of one or two units, and a low-rank part learned on top."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError
from neurolrnn.low_rank import LARGEST_DENSE, LowRankPlus, Vector, no_factor, vector

__all__ = ["LARGEST_DENSE", "BlockMatrix", "blocks_of", "random_rotations"]


@dataclass(frozen=True, eq=False)
class BlockMatrix(LowRankPlus):
    """Block-diagonal recurrent weights, and what factored learning adds: ``W = blocks + leftᵀ right``.

    Holds 3n numbers, and 2kn for a low-rank part of k rows, where a dense W holds n².

    Parameters
    ----------
    own : (n_rec,)
        Weight of each unit onto itself.
    before : (n_rec,)
        Weight onto unit i from unit i - 1; the first must be 0.
    after : (n_rec,)
        Weight onto unit i from unit i + 1; the last must be 0.
    left, right : (k, n_rec), optional
        Factors of the low-rank part, such as R and M of RFLO.

    Raises
    ------
    InputError
        If lengths differ, a value is not finite, or more than two units hang together.
    """

    own: Vector
    before: Vector
    after: Vector
    left: Vector = field(default_factory=no_factor)
    right: Vector = field(default_factory=no_factor)

    def __post_init__(self) -> None:
        for name in ("own", "before", "after"):
            object.__setattr__(self, name, vector(name, getattr(self, name)))
        n = len(self.own)
        if not n or {len(self.before), len(self.after)} != {n}:
            raise InputError(
                f"own, before and after have {n}, {len(self.before)} and {len(self.after)} numbers; each needs one per "
                f"unit, at least 1"
            )
        if self.before[0] or self.after[-1]:
            raise InputError("before[0] and after[-1] have no neighbour to come from; set them to 0")
        both = np.flatnonzero(self.linked[1:] & self.linked[:-1])
        if both.size:
            raise InputError(
                f"unit {int(both[0]) + 1} is linked with both its neighbours; blocks have one or two units. Give W as "
                f"a full matrix instead"
            )
        self._check_factors(n)

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_rec, n_rec)``."""
        return len(self.own), len(self.own)

    @property
    def linked(self) -> NDArray[np.bool_]:
        """Whether each unit shares a block with the next one, (n_rec - 1,)."""
        linked: NDArray[np.bool_] = (self.before[1:] != 0) | (self.after[:-1] != 0)
        return linked

    def arrays(self) -> dict[str, Vector]:
        """Return everything it is made of, by name."""
        return {k: getattr(self, k) for k in ("own", "before", "after", "left", "right")}

    def dense(self) -> NDArray[np.float64]:
        """Return all n² weights.

        Raises
        ------
        InputError
            If there are more than :data:`LARGEST_DENSE` units.
        """
        n = len(self.own)
        self._refuse_large(n, "blocks")
        W = np.zeros((n, n))
        i = np.arange(n)
        W[i, i] = self.own
        W[i[1:], i[:-1]] = self.before[1:]
        W[i[:-1], i[1:]] = self.after[:-1]
        return W + self.left.T @ self.right if len(self.left) else W

    def eigenvalues(self, leak: float = 1.0) -> NDArray[np.complex128]:
        """Return the eigenvalues of ``(1-α) I + α blocks``, (n_rec,); only without a low-rank part."""
        if len(self.left):
            return np.asarray(np.linalg.eigvals((1.0 - leak) * np.eye(len(self.own)) + leak * self.dense()), complex)
        values = self.own.astype(complex)
        i = np.flatnonzero(self.linked)
        a, d, bc = self.own[i], self.own[i + 1], self.before[i + 1] * self.after[i]
        root = np.sqrt((0.25 * (a - d) ** 2 + bc).astype(complex))
        values[i], values[i + 1] = 0.5 * (a + d) + root, 0.5 * (a + d) - root
        return np.asarray((1.0 - leak) + leak * values)


def blocks_of(matrix: NDArray[np.float64], tolerance: float = 0.0) -> BlockMatrix | None:
    """Return a matrix as blocks if nothing outside them exceeds ``tolerance``, else None."""
    n = len(matrix)
    own, before, after = np.diag(matrix).copy(), np.zeros(n), np.zeros(n)
    before[1:], after[:-1] = np.diag(matrix, -1), np.diag(matrix, 1)
    for part in (before, after):
        part[np.abs(part) <= tolerance] = 0.0
    linked = (before[1:] != 0) | (after[:-1] != 0)
    if (linked[1:] & linked[:-1]).any():
        return None
    rest = matrix - np.diag(own) - np.diag(before[1:], -1) - np.diag(after[:-1], 1)
    return None if float(np.abs(rest).max(initial=0.0)) > tolerance else BlockMatrix(own, before, after)


def random_rotations(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Draw ``own``, ``before`` and ``after`` of rotations of two units each, with angles uniform in [0, π)."""
    own, before, after = np.zeros(n), np.zeros(n), np.zeros(n)
    angles = rng.uniform(0.0, np.pi, n // 2)
    own[0 : n - 1 : 2] = own[1:n:2] = np.cos(angles)
    before[1:n:2], after[0 : n - 1 : 2] = np.sin(angles), -np.sin(angles)
    if n % 2:
        own[-1] = rng.choice([-1.0, 1.0])
    return {"own": own, "before": before, "after": after}
