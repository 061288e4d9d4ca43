"""Mode equations: an aligned student under a learning rule, as three numbers per mode instead of three matrices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.tables import text_table
from neurolrnn.theory.expected import LOSS_STEPS
from neurolrnn.theory.runge_kutta import runge_kutta
from neurolrnn.theory.stationary_points import Array, ModeRule, lag_sum, mode_vector, path_sum, rates_of


class ModeUpdate(NamedTuple):
    """Expected Δ of each mode (θ ← θ - η Δθ) and its part of the loss."""

    da: Array
    db: Array
    dw: Array
    loss: Array


@dataclass(frozen=True, eq=False)
class ModeEquations:
    """The mode equations of one rule and one teacher, ready to be evaluated and solved.

    Parameters
    ----------
    rule : str
        ``"rflo"``, ``"tbptt"``, ``"eprop"``, ``"rtrl"``, ``"bptt"`` or ``"fa_bptt"``.
    a_star, b_star, w_star : (modes,)
        Modes of the teacher.
    a_hat : (modes,), optional
        Modes of R; without it feedback is symmetric. Needed for ``"fa_bptt"``.
    decay, steps, basis
        See :class:`ModeRule`.
    T : int or inf
        Length of a sequence from h_0 = 0; ``math.inf`` is the stationary network.
    loss_steps : str
        ``"final"`` or ``"all"`` (mean over the T steps), as in :func:`expected_update`.
    leak, leak_star : float
        α of student and teacher; the teacher's is the student's if not given.

    Notes
    -----
    With A = U diag(a) Pᵀ, W = P diag(w) Pᵀ, B = P diag(b) Vᵀ, R = U diag(â) Pᵀ, the teacher with the same U and V
    and any P*, and white input, all updates stay diagonal. With c = a* b*, u = a b and e_j = u w^j - c w*^j,

    ``L = ½ Σ_j e_j²``, ``Δa = Σ_j e_j b w^j``, ``Δb = Σ_{j<τ} e_j f v^j``,
    ``Δw = Σ_j e_j f b Σ_{l=1}^{min(j,τ)} v^{l-1} w^{j-l}``, j from 0 to T-1,

    with f = a or â, and v = w (BPTT), ŵ (RFLO). The sums have closed forms: with γ_N(z) = (1-z^N)/(1-z) and T = inf,

    ``Δa = b [u γ(w²) - c γ(w w*)]``, ``Δb = f [u γ_τ(v w) - c γ_τ(v w*)]``, ``Δw = f b [u Φ(w) - c Φ(w*)]``,
    ``Φ(y) = y γ_τ(v y) / (1 - w y)``.

    For finite T the same sums are taken in log T steps as powers of small matrices, which needs no division and so
    has no bad points at v = w or |w| = 1. With a leak the equations are those of the plain network with
    w_e = 1 - α + α w and b_e = α b, which moves with rates α² η in b_e and w_e.

    Source: Williams, Payeur & Lajoie (ICML 2026, arXiv 2606.00243) for BPTT, truncated BPTT and RFLO; one form for
    all rules, the finite and averaged sums, the leak and e-prop are added here. Complex modes are not covered.
    """

    rule: str
    a_star: Array
    b_star: Array
    w_star: Array
    a_hat: Array | None = None
    decay: float | None = None
    steps: int = 1
    T: float = math.inf
    loss_steps: str = "final"
    leak: float = 1.0
    leak_star: float | None = None
    basis: str = "units"

    if TYPE_CHECKING:  # what may be given is more than what is held

        def __init__(
            self, rule: str, a_star: ArrayLike, b_star: ArrayLike, w_star: ArrayLike, a_hat: ArrayLike | None = None,
            decay: float | None = None, steps: int = 1, T: float = math.inf, loss_steps: str = "final",
            leak: float = 1.0, leak_star: float | None = None, basis: str = "units",
        ) -> None: ...  # fmt: skip

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("leak", real_number("leak", self.leak, above=0.0, at_most=1.0))
        star = self.leak if self.leak_star is None else self.leak_star
        put("leak_star", real_number("leak_star", star, above=0.0, at_most=1.0))
        choose("loss_steps", self.loss_steps, LOSS_STEPS)
        put("T", self.T if self.T == math.inf else positive_integer("T", self.T))
        a_s, b_s, w_s = (mode_vector(k, getattr(self, k)) for k in ("a_star", "b_star", "w_star"))
        hat = None if self.a_hat is None else mode_vector("a_hat", self.a_hat)
        rule = ModeRule(self.rule, hat, self.decay, self.steps, self.leak, self.basis)
        w = 1.0 - star + star * w_s
        if self.T == math.inf and (np.abs(w) >= 1.0).any():
            raise InputError(f"w_star = {w_s}: T = inf needs |1-α+α w*| below 1; give a finite T")
        for name, value in (
            ("a_star", a_s), ("b_star", b_s), ("w_star", w_s), ("a_hat", hat), ("decay", rule.decay), ("_rule", rule),
            ("_teacher", (a_s * star * b_s, w)),
        ):  # fmt: skip
            put(name, value)

    def update(self, a: ArrayLike, b: ArrayLike, w: ArrayLike) -> ModeUpdate:
        """Return the expected update and loss of every mode; broadcasts over anything before the last axis.

        Raises
        ------
        InputError
            If T = inf and a mode has no stationary state.
        """
        a, b, w = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (a, b, w)))
        found = self.evaluate(a, b, w)
        if not all(np.isfinite(part).all() for part in found):
            raise InputError(
                f"no finite update: T = {self.T} needs |1-α+α w| and |v w|, |v w*| below 1 (w = {w}); give a finite T"
            )
        return found

    def evaluate(self, a: Array, b: Array, w: Array) -> ModeUpdate:
        """Return the same without checks, for arrays; NaN where there is no update."""
        c, w_star = self._teacher  # type: ignore[attr-defined]
        rule: ModeRule = self._rule  # type: ignore[attr-defined]
        be, we = self.leak * b, 1.0 - self.leak + self.leak * w
        u, f, v = a * be, rule.signal(a), rule.carry(we)
        with np.errstate(all="ignore"):
            if self.T == math.inf:
                loss, along = _stationary_loss(u, we, c, w_star)
                da = be * along
                back, back_star = (lag_sum(v * y, rule.reach) for y in (we, w_star))
                db = f * (u * back - c * back_star)
                dw = f * be * (u * we * back / (1.0 - we * we) - c * w_star * back_star / (1.0 - we * w_star))
                bad = np.maximum(np.abs(we), np.abs(w_star)) >= 1.0
                if rule.reach == math.inf:
                    bad = bad | (np.maximum(np.abs(v * we), np.abs(v * w_star)) >= 1.0)
                if bad.any():
                    da, db, dw, loss = (np.where(bad, np.nan, x) for x in (da, db, dw, loss))
            else:
                T, mean = int(self.T), self.loss_steps == "all"
                own, mixed, star = (lag_sum(z, math.inf, T, mean) for z in (we * we, we * w_star, w_star * w_star))
                loss = np.maximum(0.5 * (u * u * own - 2.0 * u * c * mixed + c * c * star), 0.0)
                da = be * (u * own - c * mixed)
                back, back_star = (lag_sum(v * y, rule.reach, T, mean) for y in (we, w_star))
                db = f * (u * back - c * back_star)
                phi, phi_star = (y * path_sum(v * y, we * y, rule.reach, T, mean) for y in (we, w_star))
                dw = f * be * (u * phi - c * phi_star)
        return ModeUpdate(da, self.leak * db, self.leak * dw, loss)

    def flow(
        self, a: ArrayLike, b: ArrayLike, w: ArrayLike, t: ArrayLike, rates: float | Mapping[str, float] = 1.0,
        tolerance: float = 1e-9,
    ) -> ModeTrajectory:  # fmt: skip
        """Solve dθ/dt = -r_θ Δθ, the limit of small learning rates; see :func:`modes`."""
        start, times, r = self._start(a, b, w), _times(t), rates_of(rates)

        def slope(y: Array) -> Array:
            return -r * np.array(self.evaluate(y[0], y[1], y[2])[:3])

        coupled = self.basis == "flat"
        path, lost = runge_kutta(slope, start, times, tolerance, coupled=coupled)
        return self._trajectory(times, path, lost)

    def descend(
        self, a: ArrayLike, b: ArrayLike, w: ArrayLike, t: ArrayLike, learning_rate: float,
        rates: float | Mapping[str, float] = 1.0,
    ) -> ModeTrajectory:  # fmt: skip
        """Take steps θ ← θ - η r_θ Δθ; time t is step t/η, rounded to a whole step. See :func:`modes`."""
        eta = real_number("learning_rate", learning_rate, above=0.0)
        y, r = self._start(a, b, w), rates_of(rates)
        counts = np.rint(_times(t) / eta).astype(np.int64)
        path = np.full((len(counts), *y.shape), np.nan)
        lost = np.full(y.shape[1], math.inf)
        done = 0
        for i, count in enumerate(counts):
            for k in range(done, int(count)):
                with np.errstate(all="ignore"):
                    y = y - eta * r * np.array(self.evaluate(y[0], y[1], y[2])[:3])
                bad = ~np.isfinite(y).all(axis=0)
                lost[bad & np.isinf(lost)] = eta * (k + 1)
            done = int(count)
            path[i] = y
        return self._trajectory(np.asarray(eta * counts, dtype=np.float64), path, lost)

    def _start(self, a: ArrayLike, b: ArrayLike, w: ArrayLike) -> Array:
        parts = np.broadcast_arrays(*(mode_vector(k, x) for k, x in zip("abw", (a, b, w), strict=True)), self.w_star)
        self.update(*parts[:3])  # refuses a start without a stationary state
        return np.array(parts[:3])

    def _trajectory(self, t: Array, path: Array, lost: Array) -> ModeTrajectory:
        a, b, w = path[:, 0], path[:, 1], path[:, 2]
        return ModeTrajectory(self.rule, t, a, b, w, self.evaluate(a, b, w).loss, lost)


@dataclass(frozen=True, eq=False)
class ModeTrajectory:
    """Modes over time. NaN from the moment at which a mode has diverged."""

    rule: str
    t: Array
    """(times,)"""
    a: Array
    """(times, modes)"""
    b: Array
    w: Array
    loss: Array
    """Part of the loss that each mode carries, (times, modes)."""
    diverged_at: Array
    """(modes,) time at which a mode ran away; inf where it did not. Reached |w| = 1, or grew without limit."""

    @property
    def total_loss(self) -> Array:
        """Loss of the network, (times,)."""
        return np.asarray(self.loss.sum(axis=1))

    @property
    def diverged(self) -> bool:
        """Whether any mode ran away."""
        return bool(np.isfinite(self.diverged_at).any())

    def __str__(self) -> str:
        rows = []
        for k in range(self.a.shape[1]):
            away = f"diverged at t = {self.diverged_at[k]:.4g}" if np.isfinite(self.diverged_at[k]) else ""
            ends = (f"{x[0, k]:.4g} -> {x[-1, k]:.4g}" for x in (self.a, self.b, self.w, self.loss))
            rows.append((k, *ends, away))
        head = f"{self.rule}, t = {self.t[0]:g} to {self.t[-1]:g}"
        return head + "\n" + text_table(rows, ["mode", "a", "b", "w", "loss", ""])


class ModeOptions(TypedDict, total=False):
    """Options of :func:`modes`; see :class:`ModeEquations`."""

    a_hat: ArrayLike | None
    decay: float | None
    steps: int
    T: float
    loss_steps: str
    leak: float
    leak_star: float | None
    basis: str


def modes(
    rule: str,
    a: ArrayLike,
    b: ArrayLike,
    w: ArrayLike,
    *,
    a_star: ArrayLike,
    b_star: ArrayLike,
    w_star: ArrayLike,
    t: ArrayLike,
    learning_rate: float | None = None,
    rates: float | Mapping[str, float] = 1.0,
    tolerance: float = 1e-9,
    **options: Unpack[ModeOptions],
) -> ModeTrajectory:
    """Follow the modes of an aligned student while it learns.

    Parameters
    ----------
    rule : str
        ``"rflo"``, ``"tbptt"``, ``"eprop"``, ``"rtrl"``, ``"bptt"`` or ``"fa_bptt"``.
    a, b, w : (modes,)
        Modes of the student at t = 0.
    a_star, b_star, w_star : (modes,)
        Modes of the teacher.
    t : (times,)
        Rising times, at least 0, at which the modes are wanted. One unit of time is 1/η learning steps.
    learning_rate : float, optional
        η: take gradient steps of that size. Without it the differential equation is solved, the limit of η to 0.
    rates : float or dict
        Rate of each of A, W and B relative to η, such as ``{"A": 1.0, "W": 0.1, "B": 0.1}``; 0 for what is frozen.
    tolerance : float
        Relative error per step of the solution of the differential equation.
    **options
        ``a_hat``, ``decay``, ``steps``, ``T``, ``loss_steps``, ``leak``, ``leak_star``, ``basis`` of
        :class:`ModeEquations`.

    Raises
    ------
    InputError
        If an option is not allowed or the student starts without a stationary state.

    Notes
    -----
    An episode of :func:`neurolrnn.simulate` with ``loss_steps="all"`` sums over T steps, where the loss here is the
    mean: its learning rate is worth T times as much.

    Examples
    --------
    >>> path = modes("rflo", [0.1], [0.1], [0.2], a_star=[1.0], b_star=[1.0], w_star=[0.6], t=[0, 40],
    ...              a_hat=[1.0], decay=0.5)
    >>> round(float(path.w[-1, 0]), 3)
    0.6
    """
    known = ("a_hat", "decay", "steps", "T", "loss_steps", "leak", "leak_star", "basis")
    for key in options:
        choose("option of modes", key, known)
    equations = ModeEquations(rule, a_star, b_star, w_star, **options)
    if learning_rate is None:
        return equations.flow(a, b, w, t, rates, tolerance)
    return equations.descend(a, b, w, t, learning_rate, rates)


# --- parts


def _stationary_loss(u: Array, w: Array, c: Array, w_star: Array) -> tuple[Array, Array]:
    """Return ½ Σ e_j² and Σ e_j w^j without cancellation: the part of e along w^j, and the rest."""
    mixed, own = 1.0 - w * w_star, 1.0 - w * w
    along = ((u - c) * mixed + c * w * (w - w_star)) / (own * mixed)
    rest = (c * (w - w_star) / mixed) ** 2 / (1.0 - w_star * w_star)
    return 0.5 * (along * along * own + rest), along


def _times(t: ArrayLike) -> Array:
    times = mode_vector("t", t)
    if times[0] < 0.0 or (np.diff(times) < 0.0).any():
        raise InputError("t must rise from 0 or later")
    return times
