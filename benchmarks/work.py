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
        Recurrent weights: ``"gaussian"``, ``"orthogonal"``, or ``"block"`` (rotations of two units each).
    learning_rate : float
        0 for one that suits the size.
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
    learning_rate: float = 0.0

    @property
    def episode(self) -> int:
        """Steps of an episode."""
        return self.length or self.steps

    @property
    def rate(self) -> float:
        """Learning rate: as given, or one that is stable at every size and large enough to compare float32 with."""
        return self.learning_rate or min(0.01, 1.0 / self.n) / (self.length or 1)

    @cached_property
    def net(self) -> nl.Network:
        """The network before learning."""
        if self.kind != "gaussian":
            return nl.Network.random(
                self.n_in, self.n, self.n_out, self.leak, 0.9, self.kind, self.seed,  # type: ignore[arg-type]
                input_scale=0.3, output_scale=1.0,
            )  # fmt: skip
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
    def schur(self) -> tuple[Array, Array]:
        """Quasi-triangular T and orthogonal Q with W = Q T Qᵀ."""
        from scipy.linalg import schur

        T, Q = schur(self.net.W, output="real")
        return T, Q

    @cached_property
    def pairs(self) -> tuple[Array, Array, Array | None]:
        """Of a normal W: the units in pairs, (n/2, 2), the block of each, (n/2, 2, 2), and Q if W is not in blocks.

        Units that stand alone are paired with one another; n must be even.
        """
        Q: Array | None = None
        if self.net.blocks is not None:
            held = self.net.blocks
            own, before, after = held.own, held.before, held.after
        else:
            T, Q = self.schur
            own, before, after = T.diagonal(), np.r_[0.0, T.diagonal(-1)], np.r_[T.diagonal(1), 0.0]
            before = np.where(abs(before) > 1e-9, before, 0.0)
            after = np.where(np.r_[before[1:], 0.0] != 0.0, after, 0.0)
        first = np.flatnonzero(np.r_[before[1:], 0.0] != 0.0)
        alone = np.setdiff1d(np.arange(self.n), np.r_[first, first + 1]).reshape(-1, 2)
        units = np.concatenate([np.stack([first, first + 1], axis=1), alone])
        linked = (np.arange(len(units)) < len(first)).astype(float)
        i, j = units.T
        blocks = np.stack([own[i], after[i] * linked, before[j] * linked, own[j]], axis=1).reshape(-1, 2, 2)
        return units, blocks, Q

    def size(self) -> dict[str, Any]:
        """What identifies this work in a file of results."""
        return {"n": self.n, "n_out": self.n_out, "n_in": self.n_in, "lanes": self.lanes, "kind": self.kind}


@dataclass
class Program:
    """A contender made ready for a work.

    ``run`` learns through the data once; called again it goes on with the weights it has. ``weights`` gives A, W and B
    as they are, of one learner after the other; None where they are not compared.
    """

    run: Callable[[], Any]
    weights: Callable[[], Iterable[Weights]] | None = None


def difference(found: Iterable[Weights], expected: Iterable[Weights], work: Work) -> float:
    """Return the largest relative difference between what two contenders learned.

    For each of A, W and B: ``‖ΔX - ΔX'‖ / ‖ΔX'‖`` with Δ the change since the start, so that one that learns nothing is
    off by 1 however small the change.
    """
    shares = []
    for mine, other in zip(found, expected, strict=True):
        for group in GROUPS:
            start = getattr(work.net, group)
            moved = np.asarray(other[group], np.float64) - start
            off = np.asarray(mine[group], np.float64) - start - moved
            size = np.linalg.norm(moved)
            if not size:
                raise ArithmeticError(f"{group} did not learn, so nothing can be compared")
            shares.append(float(np.linalg.norm(off) / size))
    return max(shares) if np.isfinite(shares).all() else float("inf")
