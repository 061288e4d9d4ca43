"""What the contenders of one comparison are given, and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neurolrnn as nl

Array = NDArray[Any]
Weights = Mapping[str, Array]
GROUPS = ("A", "W", "B")
DENSE_UP_TO = 20_000
"""Largest n whose W is ever formed as a matrix."""


@dataclass(frozen=True)
class Work:
    """Learning to be done: a network, its data, and how much of it.

    Parameters
    ----------
    n, n_in, n_out : int
        Units, inputs, outputs.
    steps : int
        Time steps of one pass over the data, of every lane.
    lanes : int
        Sequences side by side: of one learner that sums their updates, or one for each of so many learners.
    length : int
        Steps of an episode; 0 if the whole pass is one.
    kind : str
        Recurrent weights: ``"gaussian"``, or ``"block"`` (rotations of two units each: normal).
    """

    n: int
    steps: int
    n_out: int = 1
    lanes: int = 1
    length: int = 0
    kind: str = "gaussian"
    n_in: int = 16
    leak: float = 0.3
    seed: int = 0

    @property
    def episode(self) -> int:
        """Steps of an episode."""
        return self.length or self.steps

    @property
    def rate(self) -> float:
        """Learning rate: the same work at every size, stable, and large enough for float32 to be compared."""
        return min(0.05, 3.0 / self.n) / (self.lanes * (self.length or 1))

    @cached_property
    def net(self) -> nl.Network:
        """The network before learning."""
        if self.kind == "block":
            return nl.Network.random(
                self.n_in, self.n, self.n_out, self.leak, 0.9, "block", self.seed, input_scale=0.3, output_scale=1.0
            )
        rng = np.random.default_rng(self.seed)
        # Network.random would compute eigenvalues, which takes longer than the measurement; the law is the same.
        W = rng.normal(0.0, 0.9 / np.sqrt(self.n), (self.n, self.n))
        B = rng.normal(0.0, 0.3 / np.sqrt(self.n_in), (self.n, self.n_in))
        A = rng.normal(0.0, 1.0 / np.sqrt(self.n), (self.n_out, self.n))
        return nl.Network(A, W, B, self.leak)

    @cached_property
    def feedback(self) -> Array:
        """R, (n_out, n)."""
        return np.random.default_rng([self.seed, 1]).normal(0.0, 1.0 / np.sqrt(self.n), (self.n_out, self.n))

    @cached_property
    def x(self) -> Array:
        """Inputs, (steps, lanes, n_in)."""
        return np.random.default_rng([self.seed, 2]).normal(0.0, 0.3, (self.steps, self.lanes, self.n_in))

    @cached_property
    def y(self) -> Array:
        """Targets, (steps, lanes, n_out)."""
        return np.random.default_rng([self.seed, 3]).normal(0.0, 0.3, (self.steps, self.lanes, self.n_out))

    @cached_property
    def rotations(self) -> tuple[Array, Array]:
        """Of a block-diagonal W, the (n/2,) cosines and sines, times the radius."""
        if self.n > DENSE_UP_TO:  # such a network is not read back from a matrix
            angles = np.random.default_rng(self.seed).uniform(0.0, np.pi, self.n // 2)
            return 0.9 * np.cos(angles), 0.9 * np.sin(angles)
        W = self.net.W
        even = np.arange(0, self.n - 1, 2)
        return W[even, even], W[even + 1, even]

    @cached_property
    def schur(self) -> tuple[Array, Array]:
        """Quasi-triangular T and orthogonal Q with W = Q T Qᵀ."""
        from scipy.linalg import schur

        return schur(self.net.W, output="real")

    def size(self) -> dict[str, Any]:
        """What identifies this work in a file of results."""
        return {"n": self.n, "n_out": self.n_out, "n_in": self.n_in, "lanes": self.lanes, "kind": self.kind}


@dataclass
class Program:
    """A contender made ready for a work.

    ``run`` learns through the data once; called again it goes on with the weights it has. ``weights`` gives A, W and B as
    they are, of one learner after the other; None where they are not compared.
    """

    run: Callable[[], Any]
    weights: Callable[[], Iterable[Weights]] | None = None


def difference(found: Iterable[Weights], expected: Iterable[Weights], work: Work) -> float:
    """Return the largest relative difference between what two contenders learned.

    For each of A, W and B: ``‖ΔX - ΔX'‖ / ‖ΔX'‖`` with Δ the change since the start, so that one that learns nothing is off
    by 1 however small the change.
    """
    worst = 0.0
    for mine, other in zip(found, expected, strict=True):
        for group in GROUPS:
            start = getattr(work.net, group)
            moved = np.asarray(other[group], np.float64) - start
            off = np.asarray(mine[group], np.float64) - start - moved
            size = np.linalg.norm(moved)
            if not size:
                raise ArithmeticError(f"{group} did not learn, so nothing can be compared")
            worst = max(worst, float(np.linalg.norm(off) / size))
    return worst if np.isfinite(worst) else float("inf")
