"""Recurrent weights that are never written out: blocks of one or two units, and a low-rank part learned on top."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError

LARGEST_DENSE = 20_000
"""Most units whose n² weights are written out when somebody asks for them (3.2 GB in float64)."""

Vector = NDArray[np.float64]


def _vector(name: str, value: ArrayLike) -> Vector:
    array = np.array(value, dtype=np.float64, order="C")
    if array.ndim != 1:
        raise InputError(f"{name} has {array.ndim} dimensions; one number per unit is needed")
    return _finite(name, array)


def _finite(name: str, array: Vector) -> Vector:
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds values that are not finite; every weight must be a finite number")
    array.flags.writeable = False
    return array


def _nothing() -> Vector:
    return np.zeros((0, 0))


@dataclass(frozen=True, eq=False)
class BlockMatrix:
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
    left: Vector = field(default_factory=_nothing)
    right: Vector = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        for name in ("own", "before", "after"):
            object.__setattr__(self, name, _vector(name, getattr(self, name)))
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
        for name in ("left", "right"):
            part = np.array(getattr(self, name), dtype=np.float64, order="C")
            part = part.reshape(0, n) if part.size == 0 else part
            if part.ndim != 2 or part.shape[1] != n:
                raise InputError(f"{name} has shape {part.shape}; (k, {n}) is needed")
            object.__setattr__(self, name, _finite(name, part))
        if self.left.shape != self.right.shape:
            raise InputError(f"left {self.left.shape} and right {self.right.shape} differ in shape; they must not")

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
        if n > LARGEST_DENSE:
            raise InputError(
                f"W of {n} units has {n}² numbers ({8e-9 * n * n:.0f} GB); it is held as blocks and never written out. "
                f"Use network.blocks"
            )
        W = np.zeros((n, n))
        i = np.arange(n)
        W[i, i] = self.own
        W[i[1:], i[:-1]] = self.before[1:]
        W[i[:-1], i[1:]] = self.after[:-1]
        return W + self.left.T @ self.right if len(self.left) else W

    def plus(self, left: Vector, right: Vector) -> BlockMatrix:
        """Return this with ``leftᵀ right`` added."""
        return BlockMatrix(
            self.own, self.before, self.after, np.concatenate([self.left, left]), np.concatenate([self.right, right])
        )

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
