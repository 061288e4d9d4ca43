"""One mode, linearised where it has learned, and how far from there rounding keeps it.

:mod:`neurolrnn.theory.rounding` says in its first lines what a mode is, and uses this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations, product
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.theory.stein import geometric_sum

Matrix = NDArray[np.float64]
PerGroup = float | Mapping[str, float]

ROUNDING_RULES = ("rflo", "tbptt", "bptt", "fa_bptt")
GROUPS = ("A", "B", "W")
"""Order of the rows of C and of the columns of J below."""
LINEAR_UP_TO = 0.1
"""Largest deviation, of u over |c| and of w over 1 - |w*|, up to which the linearisation is trusted."""


class Floor(NamedTuple):
    """A loss that learning does not get below, and whether the formula holds there."""

    loss: float
    """Σ over lags, ½ Σ_j e_j²: the expected loss of one step."""
    valid: bool
    reason: str
    """Why not; empty if valid."""


class Mode(NamedTuple):
    """A mode linearised where it has learned."""

    C: Matrix
    """(3, 2): Δ of a, b, w from z."""
    J: Matrix
    """(2, 3): z from changes of a, b, w."""
    H: Matrix
    """(2, 2): loss = ½ zᵀ H z."""
    scale: Matrix
    """(2,): |c| and 1 - |w*|."""
    rates: Matrix
    grid: Matrix
    """(3,): η and d of a, b, w."""
    speed: float
    """Largest real part of an eigenvalue of J diag(η) C: the share of z that one update takes away."""


class ModeOptions(TypedDict, total=False):
    """What a mode's rule may have besides its name."""

    feedback: float | None
    decay: float | None
    steps: int


def linearise(
    rule: str, s: float, c: float, w_star: float, learning_rate: PerGroup, frac_bits: PerGroup, *,
    feedback: float | None = None, decay: float | None = None, steps: int = 1,
) -> Mode:  # fmt: skip
    """Return the mode where it has learned; refuse one that does not stay there.

    The arguments are those of :func:`~neurolrnn.theory.rounding.loss_floor`.
    """
    choose("rule", rule, ROUNDING_RULES)
    a, target, w = real_number("s", s), real_number("c", c), real_number("w_star", w_star, above=-1.0, below=1.0)
    if a == 0.0 or target == 0.0:
        raise InputError(f"s = {s!r}, c = {c!r}; neither may be 0: there is a b = c/s only where both have learned")
    if rule == "bptt" and feedback is not None:
        raise InputError("bptt is the exact gradient and has no feedback of its own; take rule 'fa_bptt'")
    if rule == "fa_bptt" and feedback is None:
        raise InputError("fa_bptt sends the error back through a fixed number; give feedback, or take rule 'bptt'")
    if decay is not None and rule != "rflo":
        raise InputError(f"decay = {decay!r} is an option of rflo; {rule} has none")
    tau = positive_integer("steps", steps)
    f = a if feedback is None else real_number("feedback", feedback)
    v = w if rule != "rflo" else 0.0 if decay is None else real_number("decay", decay, above=-1.0, below=1.0)
    b, q, z = target / a, 1.0 - w * w, v * w
    if rule == "tbptt":
        j = np.arange(tau)
        B0, B1 = float((z**j).sum()), v * float((j[1:] * z ** (j[1:] - 1)).sum())
    else:
        B0, B1 = 1.0 / (1.0 - z), v / (1.0 - z) ** 2
    X, Y = w * B0 / q, B0 / q**2 + w * B1 / q
    C = np.array([[b / q, b * target * w / q**2], [f * B0, f * target * B1], [f * b * X, f * b * target * Y]])
    J = np.array([[b, a, 0.0], [0.0, 0.0, 1.0]])
    H = np.array([[1.0 / q, target * w / q**2], [target * w / q**2, target**2 * (1.0 + w * w) / q**3]])
    rates, bits = _per_group("learning_rate", learning_rate, above=0.0), _per_group("frac_bits", frac_bits)
    G = (J * rates) @ C
    eigenvalues = np.linalg.eigvals(G)
    if float(eigenvalues.real.min()) <= 0.0:
        raise InputError(
            f"{rule} with s = {a:g} and feedback {f:g} does not stay at c = {target:g}, w* = {w:g}, even in real "
            f"arithmetic; s and feedback of the same sign do"
        )
    largest = float(np.min(2.0 * eigenvalues.real / np.abs(eigenvalues) ** 2))
    if largest <= 1.0:
        raise InputError(
            f"learning_rate = {learning_rate!r} is too large for this mode, even in real arithmetic; it must be less "
            f"than {largest:.3g} times that"
        )
    return Mode(
        C, J, H, np.array([abs(target), 1.0 - abs(w)]), rates, 2.0**-bits, float(eigenvalues.real.max())
    )  # fmt: skip


def _per_group(name: str, value: PerGroup, above: float = -math.inf) -> Matrix:
    given = value if isinstance(value, Mapping) else dict.fromkeys(GROUPS, value)
    for key in given:
        choose(f"group of {name}", key, GROUPS)
    missing = [group for group in GROUPS if group not in given]
    if missing:
        raise InputError(f"{name} has no value for {', '.join(missing)}; all of A, W and B learn here")
    return np.array([real_number(f"{name}.{group}", given[group], above=above) for group in GROUPS])


def judged(mode: Mode, loss: float, deviation: Matrix, rounding: str) -> Floor:
    """Say whether the linearisation holds as far out as rounding keeps the mode."""
    share = deviation / mode.scale
    if float(share.max()) > LINEAR_UP_TO:
        what = ("a·b", "|c|") if share[0] >= share[1] else ("w", "1 - |w*|")
        reason = f"{what[0]} stays off by {share.max():.2g} of {what[1]}, too far for the formula; take more bits"
        return Floor(loss, False, reason if rounding == "once" else f"{reason} or a larger learning rate")
    if rounding == "nearest" and mode.speed > 1.0:
        return Floor(loss, False, "the learning rate overshoots, so weights may jump to and fro for ever; halve it")
    return Floor(loss, True, "")


def corners_of(C: Matrix, radius: Matrix) -> Matrix:
    """Return the corners of ``|C z| ≤ radius``, counterclockwise, (corners, 2)."""
    found = []
    for i, j in combinations(range(3), 2):
        pair = C[[i, j]]
        if abs(np.linalg.det(pair)) < 1e-12 * float(np.prod(np.linalg.norm(pair, axis=1))):
            continue  # parallel
        for signs in product((-1.0, 1.0), repeat=2):
            z = np.linalg.solve(pair, np.array(signs) * radius[[i, j]])
            if np.all(np.abs(C @ z) <= radius * (1.0 + 1e-9)):
                found.append(z)
    corners: Matrix = np.array(found)
    corners = corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))]
    apart = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    return np.asarray(corners[apart > 1e-9 * np.abs(corners).max()])


def largest_loss(corners: Matrix, H: Matrix) -> float:
    """Return the maximum of ``½ zᵀ H z`` over a polygon: convex, so it is at a corner."""
    return 0.5 * float(np.einsum("ki,ij,kj->k", corners, H, corners).max())


def stationary_covariance(mode: Mode) -> Matrix:
    """Return the covariance of z under stochastic rounding, whose noise depends on that covariance."""
    G = (mode.J * mode.rates) @ mode.C
    F = np.eye(2) - G
    covariance = (mode.J * mode.grid**2 / 12.0) @ mode.J.T
    for _ in range(200):
        spread = mode.rates / mode.grid * np.sqrt(np.einsum("ij,jk,ik->i", mode.C, covariance, mode.C))
        variance = mode.grid**2 * np.array([_rounding_variance(float(x)) for x in spread])
        before = covariance
        # The map goes as the square root of the covariance, so it halves the logarithm of an error.
        covariance = geometric_sum(F, (mode.J * variance) @ mode.J.T, F.T)
        if np.allclose(before, covariance, rtol=1e-12, atol=0.0):
            break
    return covariance


def _rounding_variance(spread: float) -> float:
    """Return ``E[φ (1 - φ)]`` in LSB², φ the fraction of a normal variable of mean 0 and this deviation."""
    if spread < 0.2:  # |x| < 1, so φ (1 - φ) = |x| - x²
        return math.sqrt(2.0 / math.pi) * spread - spread**2
    k = np.arange(1, 12)
    return 1.0 / 6.0 - float((np.exp(-2.0 * (math.pi * k * spread) ** 2) / (math.pi * k) ** 2).sum())
