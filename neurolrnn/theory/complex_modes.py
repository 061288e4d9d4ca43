"""Complex conjugate pairs of modes: an aligned student whose W rotates, as three complex numbers per pair.

Beyond the paper: what its mode equations leave out. Everything here was derived for this package.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.network import Network
from neurolrnn.tables import text_table
from neurolrnn.theory.expected import EXPECTED_RULES, LOSS_STEPS
from neurolrnn.theory.runge_kutta import runge_kutta
from neurolrnn.theory.stationary_points import lag_sum, mode_vector, path_sum, rates_of

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]


def rotation_blocks(z: ArrayLike) -> Array:
    """Return the block-diagonal matrix of ``[[x, -y], [y, x]]`` for z = x + iy, (2 pairs, 2 pairs)."""
    values = pair_vector("z", z)
    out = np.zeros((2 * len(values), 2 * len(values)))
    for k, value in enumerate(values):
        out[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[value.real, -value.imag], [value.imag, value.real]]
    return out


def pairs_of(matrix: ArrayLike) -> tuple[Complex, float]:
    """Return the complex numbers of a block-diagonal matrix of pairs, and how far it is from such a matrix.

    Returns
    -------
    z : (pairs,)
        Of the nearest matrix of that form.
    off : float
        Largest entry of the difference.
    """
    M = np.asarray(matrix, dtype=np.float64)
    if M.ndim != 2 or M.shape[0] != M.shape[1] or len(M) % 2:
        raise InputError(f"the matrix has shape {M.shape}; pairs need a square one with an even number of rows")
    even, odd = slice(0, None, 2), slice(1, None, 2)
    real = 0.5 * (np.diag(M[even, even]) + np.diag(M[odd, odd]))
    imaginary = 0.5 * (np.diag(M[odd, even]) - np.diag(M[even, odd]))
    z = real + 1j * imaginary
    return z, float(np.abs(M - rotation_blocks(z)).max())


def complex_network(a: ArrayLike, b: ArrayLike, w: ArrayLike, leak: float = 1.0) -> Network:
    """Return the network of complex modes: A, W and B are :func:`rotation_blocks` of a, w and b.

    Any orthogonal change of the units, and the same change of inputs or outputs in student and teacher, gives the
    same learning.
    """
    return Network(rotation_blocks(a), rotation_blocks(w), rotation_blocks(b), leak)


class ComplexUpdate(NamedTuple):
    """Expected Δ of each pair (θ ← θ - η Δθ) and its part of the loss."""

    da: Complex
    db: Complex
    dw: Complex
    loss: Array


@dataclass(frozen=True, eq=False)
class ComplexModes:
    """The equations of complex mode pairs for one rule and one teacher.

    Parameters
    ----------
    rule : str
        ``"rflo"``, ``"tbptt"``, ``"eprop"``, ``"rtrl"``, ``"bptt"`` or ``"fa_bptt"``.
    a_star, b_star, w_star : (pairs,) complex
        The teacher's.
    a_hat : (pairs,) complex, optional
        Of R; without it feedback is symmetric. Needed for ``"fa_bptt"``.
    decay : float, optional
        ŵ of ``"rflo"``; default 1 - α.
    steps : int
        τ of ``"tbptt"``.
    T : int or inf
    loss_steps : str
        As in :func:`expected_update`.
    leak, leak_star : float
        α of student and teacher; the teacher's is the student's if not given.

    Notes
    -----
    A pair of units, inputs and outputs is the complex plane. A 2 x 2 block [[x, -y], [y, x]] multiplies it by x + iy,
    its transpose by the conjugate. Sums and products of such blocks, and their transposes, are such blocks; an update
    is made of nothing else, so every rule whose step back is one too keeps the form. With c = a* b*, u = a b and
    ``e_j = u w^j - c w*^j``, and a bar for the conjugate,

    ``L = Σ_j |e_j|²``, ``Δa = Σ_j e_j b̄ w̄^j``, ``Δb = Σ_{j<τ} f̄ v̄^j e_j``,
    ``Δw = Σ_j e_j f̄ b̄ Σ_{l=1}^{min(j,τ)} v̄^{l-1} w̄^{j-l}``, j from 0 to T-1,

    f = a or â, v = w (BPTT, truncated BPTT, fa_bptt), ŵ (RFLO) or Re w (e-prop, each pair on two units). They are the
    real mode equations with bars, and twice their loss: a pair is two modes. For T = inf

    ``Δa = b̄ [u/(1-|w|²) - c/(1-w̄ w*)]``, ``Δb = f̄ [u γ_τ(v̄ w) - c γ_τ(v̄ w*)]``,
    ``Δw = f̄ b̄ [u Φ(w) - c Φ(w*)]``, ``Φ(y) = y γ_τ(v̄ y)/(1-w̄ y)``.

    BPTT is ``Δθ = ∂L/∂θ̄``. A reflection of the student's plane gives blocks [[x, y], [y, -x]] in A and B and w̄ in W,
    which stay so by the same argument. Blocks that are sums of both kinds do not; they are not covered.
    """

    rule: str
    a_star: Complex
    b_star: Complex
    w_star: Complex
    a_hat: Complex | None = None
    decay: float | None = None
    steps: int = 1
    T: float = math.inf
    loss_steps: str = "final"
    leak: float = 1.0
    leak_star: float | None = None

    if TYPE_CHECKING:  # what may be given is more than what is held

        def __init__(
            self, rule: str, a_star: ArrayLike, b_star: ArrayLike, w_star: ArrayLike, a_hat: ArrayLike | None = None,
            decay: float | None = None, steps: int = 1, T: float = math.inf, loss_steps: str = "final",
            leak: float = 1.0, leak_star: float | None = None,
        ) -> None: ...  # fmt: skip

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        choose("rule", self.rule, EXPECTED_RULES)
        choose("loss_steps", self.loss_steps, LOSS_STEPS)
        put("T", self.T if self.T == math.inf else positive_integer("T", self.T))
        put("leak", real_number("leak", self.leak, above=0.0, at_most=1.0))
        star = real_number("leak_star", self.leak if self.leak_star is None else self.leak_star, above=0.0, at_most=1.0)
        put("leak_star", star)
        put("steps", positive_integer("steps", self.steps))
        if self.decay is not None and self.rule != "rflo":
            raise InputError(f"decay = {self.decay!r} is an option of rflo; {self.rule} has none")
        if self.rule == "rflo":
            put("decay", 1.0 - self.leak if self.decay is None else real_number("decay", self.decay))
        if self.a_hat is None and self.rule == "fa_bptt":
            raise InputError("fa_bptt sends the error back through fixed feedback; give a_hat, or take rule 'bptt'")
        if self.a_hat is not None:
            if self.rule in ("bptt", "rtrl"):
                raise InputError(f"{self.rule} is the exact gradient and has no a_hat; leave it out, or take 'fa_bptt'")
            put("a_hat", pair_vector("a_hat", self.a_hat))
        for name in ("a_star", "b_star", "w_star"):
            put(name, pair_vector(name, getattr(self, name)))
        w = 1.0 - star + star * self.w_star
        if self.T == math.inf and (np.abs(w) >= 1.0).any():
            raise InputError(f"w_star = {self.w_star}: T = inf needs |1-α+α w*| below 1; give a finite T")
        put("_teacher", (self.a_star * star * self.b_star, w))

    @property
    def reach(self) -> float:
        """How many steps back the error is carried, τ; inf for all."""
        return self.steps if self.rule == "tbptt" else math.inf

    def carry(self, w: Complex) -> Complex:
        """Return v of the plain network, what carries the error one step back."""
        if self.rule == "rflo":
            return np.full_like(w, self.decay)
        return w.real.astype(np.complex128) if self.rule == "eprop" else w

    def update(self, a: ArrayLike, b: ArrayLike, w: ArrayLike) -> ComplexUpdate:
        """Return the expected update and loss of every pair; broadcasts over anything before the last axis.

        Raises
        ------
        InputError
            If T = inf and a pair has no stationary state.
        """
        parts = np.broadcast_arrays(*(np.asarray(x, dtype=np.complex128) for x in (a, b, w)))
        found = self._update(*parts)
        if not all(np.isfinite(part).all() for part in found):
            raise InputError(
                f"no finite update: T = {self.T} needs |1-α+α w| and |v w|, |v w*| below 1 (w = {parts[2]}); give a "
                "finite T"
            )
        return found

    def _update(self, a: Complex, b: Complex, w: Complex) -> ComplexUpdate:
        """Update without checks; NaN where there is none."""
        c, star = self._teacher  # type: ignore[attr-defined]
        T, reach, mean = self.T, self.reach, self.loss_steps == "all"
        be, we = self.leak * b, 1.0 - self.leak + self.leak * w
        u, v, bar = a * be, np.conj(self.carry(we)), np.conj(we)
        f = np.conj(a if self.a_hat is None else self.a_hat + 0.0 * a)
        with np.errstate(all="ignore"):
            own, mixed, theirs = (_lags(z, math.inf, T, mean) for z in (bar * we, bar * star, np.conj(star) * star))
            back, back_star = (_lags(v * y, reach, T, mean) for y in (we, star))
            phi, phi_star = (_paths(v * y, bar * y, y, reach, T, mean) for y in (we, star))
            da = np.conj(be) * (u * own - c * mixed)
            db = f * (u * back - c * back_star)
            dw = f * np.conj(be) * (u * phi - c * phi_star)
            if T == math.inf:
                loss = _stationary_loss(u, we, c, star)
                bad = np.maximum(np.abs(we), np.abs(star)) >= 1.0
                if reach == math.inf:
                    bad = bad | (np.maximum(np.abs(v * we), np.abs(v * star)) >= 1.0)
                if bad.any():
                    da, db, dw, loss = (np.where(bad, np.nan, x) for x in (da, db, dw, loss))
            else:
                power = np.abs(u) ** 2 * own.real - 2.0 * (np.conj(u) * c * mixed).real + np.abs(c) ** 2 * theirs.real
                loss = np.maximum(power, 0.0)
        return ComplexUpdate(da, self.leak * db, self.leak * dw, loss)

    def flow(
        self, a: ArrayLike, b: ArrayLike, w: ArrayLike, t: ArrayLike, rates: float | Mapping[str, float] = 1.0,
        tolerance: float = 1e-9,
    ) -> ComplexTrajectory:  # fmt: skip
        """Solve dθ/dt = -r_θ Δθ, the limit of small learning rates, at the rising times t."""
        start, times, r = self._start(a, b, w), _times(t), rates_of(rates)

        def slope(y: Array) -> Array:
            z = y[:3] + 1j * y[3:]
            d = -r * np.array(self._update(z[0], z[1], z[2])[:3])
            return np.concatenate([d.real, d.imag])

        path, lost = runge_kutta(slope, np.concatenate([start.real, start.imag]), times, tolerance)
        return self._trajectory(times, path[:, :3] + 1j * path[:, 3:], lost)

    def descend(
        self, a: ArrayLike, b: ArrayLike, w: ArrayLike, t: ArrayLike, learning_rate: float,
        rates: float | Mapping[str, float] = 1.0,
    ) -> ComplexTrajectory:  # fmt: skip
        """Take steps θ ← θ - η r_θ Δθ; time t is step t/η, rounded to a whole step."""
        eta = real_number("learning_rate", learning_rate, above=0.0)
        y, r = self._start(a, b, w), rates_of(rates)
        counts = np.rint(_times(t) / eta).astype(np.int64)
        path = np.full((len(counts), *y.shape), np.nan + 0j)
        lost = np.full(y.shape[1], math.inf)
        done = 0
        for i, count in enumerate(counts):
            for k in range(done, int(count)):
                with np.errstate(all="ignore"):
                    y = y - eta * r * np.array(self._update(y[0], y[1], y[2])[:3])
                bad = ~np.isfinite(y).all(axis=0)
                lost[bad & np.isinf(lost)] = eta * (k + 1)
            done = int(count)
            path[i] = y
        return self._trajectory(np.asarray(eta * counts, dtype=np.float64), path, lost)

    def _start(self, a: ArrayLike, b: ArrayLike, w: ArrayLike) -> Complex:
        parts = [pair_vector(k, x) for k, x in zip("abw", (a, b, w), strict=True)]
        start = np.array(np.broadcast_arrays(*parts, self.w_star)[:3])
        self.update(*start)  # refuses a start without a stationary state
        return start

    def _trajectory(self, t: Array, path: Complex, lost: Array) -> ComplexTrajectory:
        a, b, w = path[:, 0], path[:, 1], path[:, 2]
        return ComplexTrajectory(self.rule, t, a, b, w, self._update(a, b, w).loss, lost)


@dataclass(frozen=True, eq=False)
class ComplexTrajectory:
    """Complex pairs over time. NaN from the moment at which a pair has diverged."""

    rule: str
    t: Array
    """(times,)"""
    a: Complex
    """(times, pairs)"""
    b: Complex
    w: Complex
    loss: Array
    """Part of the loss that each pair carries, (times, pairs)."""
    diverged_at: Array
    """(pairs,) time at which a pair ran away; inf where it did not."""

    @property
    def total_loss(self) -> Array:
        """Loss of the network, (times,)."""
        return np.asarray(self.loss.sum(axis=1))

    def __str__(self) -> str:
        rows = []
        for k in range(self.a.shape[1]):
            away = f"diverged at t = {self.diverged_at[k]:.4g}" if np.isfinite(self.diverged_at[k]) else ""
            ends = (f"{x[0, k]:.3g} -> {x[-1, k]:.3g}" for x in (self.a, self.b, self.w, self.loss))
            rows.append((k, *ends, away))
        head = f"{self.rule}, t = {self.t[0]:g} to {self.t[-1]:g}"
        return head + "\n" + text_table(rows, ["pair", "a", "b", "w", "loss", ""])


# --- parts


def pair_vector(name: str, value: ArrayLike) -> Complex:
    """Return a list of finite complex numbers, one per pair, as an array (pairs,)."""
    array = np.atleast_1d(np.array(value, dtype=np.complex128))
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise InputError(f"{name} = {value!r}; a list of finite complex numbers, one per pair, is needed")
    return array


def _lags(z: Any, reach: float, T: float, mean: bool) -> Any:
    return lag_sum(z, reach) if T == math.inf else lag_sum(z, reach, T, mean)


def _paths(p: Any, q: Any, y: Any, reach: float, T: float, mean: bool) -> Any:
    return y * (lag_sum(p, reach) / (1.0 - q) if T == math.inf else path_sum(p, q, reach, int(T), mean))


def _stationary_loss(u: Complex, w: Complex, c: Complex, w_star: Complex) -> Array:
    """Return Σ |e_j|² without cancellation: the part of e along w^j, and the rest."""
    mixed, own = 1.0 - np.conj(w) * w_star, 1.0 - np.abs(w) ** 2
    along = ((u - c) * mixed + c * np.conj(w) * (w - w_star)) / (own * mixed)
    rest = np.abs(c * (w - w_star) / mixed) ** 2 / (1.0 - np.abs(w_star) ** 2)
    return np.asarray(np.abs(along) ** 2 * own + rest)


def _times(t: ArrayLike) -> Array:
    times = mode_vector("t", t)
    if times[0] < 0.0 or (np.diff(times) < 0.0).any():
        raise InputError("t must rise from 0 or later")
    return times
