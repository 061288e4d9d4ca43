"""RFLO with the optimisers and units that change the rank of what it learns, in plain NumPy, one step at a time.

The compiled rules have plain steps, momentum and clamps; what else the rank theorem speaks of is simulated here, small
and slow, so that each bound of :func:`~neurolrnn.theory.rank_bound` stands beside a rank that was observed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurolrnn.network import Network
from neurolrnn.tasks.base import Sequences
from neurolrnn.theory.rank import RankBound, singular_values

Array = NDArray[np.float64]
Optimiser = Callable[[Array], Array]
"""Turns an update of [W | B] into what is subtracted from them; keeps its own past."""
TOLERANCE = 1e-11
"""Singular values up to this share of the largest are what rounding in float64 leaves, and not counted."""


@dataclass(frozen=True)
class RankVariant:
    """Bound and observation of the rank of [ΔW | ΔB] for one variant of learning."""

    name: str
    n_out: int
    bound: RankBound
    observed: int
    """Exact over the rationals if `exact`, else singular values above 1e-11 of the largest."""
    beyond: float
    """σ_{n_out+1} / σ_1: what lies outside the first n_out directions; 0 for a change of 0."""
    exact: bool = False
    beyond_bound: float | None = None
    """Bound of `beyond` from the size of rounding errors (Weyl), where there is one."""

    @property
    def holds(self) -> bool:
        """Whether everything observed is within its bound."""
        within = self.beyond_bound is None or self.beyond <= self.beyond_bound
        return self.observed <= self.bound.bound and within

    @property
    def note(self) -> str:
        """Why the bound is what it is."""
        return self.bound.reason

    def to_dict(self) -> dict[str, object]:
        """Return the variant as plain data."""
        return {
            "name": self.name, "n_out": self.n_out, "bound": self.bound.bound, "informative": self.bound.informative,
            "observed": self.observed, "exact": self.exact, "beyond": self.beyond, "beyond_bound": self.beyond_bound,
            "holds": self.holds, "note": self.note,
        }  # fmt: skip


def observe(change: Array, n_out: int) -> tuple[int, float]:
    """Return the numerical rank of a change and σ_{n_out+1} / σ_1."""
    s = singular_values(change)
    if not s[0]:
        return 0, 0.0
    return int((s > TOLERANCE * s[0]).sum()), float(s[n_out] / s[0]) if n_out < len(s) else 0.0


def learn_online(
    net: Network, data: Sequences, feedbacks: Array, optimiser: Optimiser, *, decay: float | Callable[[int], float],
    leaks: Array | None = None, tanh: bool = False, pull: float = 0.0, toward: str = "zero",
    readout_rate: float = 0.003,
) -> tuple[Array, float]:  # fmt: skip
    """Run RFLO over the data once, with an update at every step.

    Parameters
    ----------
    net : Network
        The start; its leak is not used.
    data : Sequences
        Squared error at every step.
    feedbacks : (k, n_out, n_rec)
        Fixed matrices R, which take turns.
    optimiser : callable
        See :data:`Optimiser`.
    decay : float or callable
        ŵ of the traces, or a function of the step; with `leaks` it is 1 - leak of each unit instead.
    leaks : (n_rec,), optional
        α of each unit; default 1.
    tanh : bool
        Whether units are ``tanh`` of their current.
    pull : float
        Share of [W | B] (`toward` ``"zero"``) or of its distance from the start (``"start"``) taken away per step.
    readout_rate : float
        Learning rate of A, which learns by plain steps.

    Returns
    -------
    (n_rec, n_rec + n_in)
        [W | B] at the end minus that at the start.
    float
        κ, the share of the start that decay to zero has left; 1 without.
    """
    n, m = net.n_rec, net.n_in
    A, start = net.A.copy(), np.hstack([net.W, net.B])
    theta, kappa = start.copy(), 1.0
    alpha = np.ones(n) if leaks is None else leaks
    h, P = np.zeros(n), np.zeros((n, n + m))
    begins = set(data.starts.tolist())
    for k, (x, target) in enumerate(zip(data.inputs, data.targets, strict=True)):
        if k in begins:
            h, P = np.zeros(n), np.zeros((n, n + m))
        pre = np.concatenate([h, x])
        u = theta @ pre
        keep = 1.0 - alpha if leaks is not None else decay(k) if callable(decay) else decay
        slope = 1.0 - np.tanh(u) ** 2 if tanh else np.ones(n)
        P = np.broadcast_to(keep, n)[:, np.newaxis] * P + np.outer(alpha * slope, pre)
        h = (1.0 - alpha) * h + alpha * (np.tanh(u) if tanh else u)
        error = A @ h - target
        signal = feedbacks[k % len(feedbacks)].T @ error
        A = A - readout_rate * np.outer(error, h)
        away = theta if toward == "zero" else theta - start
        theta = theta - optimiser(signal[:, np.newaxis] * P) - pull * away
        kappa *= 1.0 - pull
    return theta - start, kappa if toward == "zero" else 1.0


# --- optimisers


def plain(rate: float | Array) -> Optimiser:
    """Return steps of a rate: a number, one per row (n, 1), or one per column (1, n + n_in)."""
    return lambda update: rate * update


def nesterov(rate: float, momentum: float) -> Optimiser:
    """Return Nesterov's accelerated steps, ``v ← μ v + Δ``, ``η (Δ + μ v)``."""
    velocity: Array | float = 0.0

    def step(update: Array) -> Array:
        nonlocal velocity
        velocity = momentum * velocity + update
        return rate * (update + momentum * velocity)

    return step


def clip_by_norm(rate: float, largest: float) -> Optimiser:
    """Return steps that shrink the whole update where its norm exceeds ``largest``."""
    return lambda update: rate * min(1.0, largest / max(float(np.linalg.norm(update)), 1e-300)) * update


def clip_by_entry(rate: float, largest: float) -> Optimiser:
    """Return steps that clip each entry of the update by itself."""
    return lambda update: rate * np.clip(update, -largest, largest)


def adam(rate: float, first: float = 0.9, second: float = 0.999, floor: float = 1e-8) -> Optimiser:
    """Return steps of Adam (Kingma & Ba, ICLR 2015); ``first = 0`` gives RMSprop with its bias corrected."""
    m: Array | float = 0.0
    v: Array | float = 0.0
    k = 0

    def step(update: Array) -> Array:
        nonlocal m, v, k
        k += 1
        m = first * m + (1.0 - first) * update
        v = second * v + (1.0 - second) * update**2
        return np.asarray(rate * (m / (1.0 - first**k)) / (np.sqrt(v / (1.0 - second**k)) + floor))

    return step


def varying_decay(step: int) -> float:
    """Return a decay of traces that changes all the time, between 0.2 and 0.8."""
    return 0.5 + 0.3 * math.sin(0.7 * step)
