"""How fast and how safely a mode settles at the optimum: Jacobian, stability, rates, safe starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.theory.expected import LOSS_STEPS
from neurolrnn.theory.stationary_points import Array, ModeRule, PointOptions, lag_sum, mode_setting

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Point:
    """The optimum a = s, b = c/s, w = w*, and the linear map z = (u - c, w - w*) -> Δ there."""

    s: Array
    b: Array
    c: Array
    f: Array
    rates: tuple[float, float, float]
    map: Array
    """(..., 3, 2): Δ = map z, in the order a, b, w."""

    def jacobian(self) -> Array:
        """dΔ/d(a, b, w), (..., 3, 3); z depends on the modes through u = a b."""
        inner = np.zeros((*self.s.shape, 2, 3))
        inner[..., 0, 0], inner[..., 0, 1], inner[..., 1, 2] = self.b, self.s, 1.0
        return np.asarray(np.array(self.rates)[:, np.newaxis] * (self.map @ inner))

    def trace_det(self) -> tuple[Array, Array]:
        """Trace and determinant of M in dz/dt = -M z."""
        C = np.array(self.rates)[:, np.newaxis] * self.map
        trace = self.b * C[..., 0, 0] + self.s * C[..., 1, 0] + C[..., 2, 1]

        def minor(i: int) -> Array:
            return np.asarray(C[..., i, 0] * C[..., 2, 1] - C[..., i, 1] * C[..., 2, 0])

        return np.asarray(trace), self.b * minor(0) + self.s * minor(1)


def _point(
    rule: str, s: ArrayLike, c: ArrayLike, w_star: ArrayLike, a_hat: float | None, decay: float | None, steps: int,
    T: float, loss_steps: str, rates: float | Mapping[str, float],
) -> _Point:  # fmt: skip
    way, horizon, weights = mode_setting(rule, a_hat, decay, steps, T, rates)
    choose("loss_steps", loss_steps, LOSS_STEPS)
    s, c, w = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (s, c, w_star)))
    if not (np.isfinite(s) & np.isfinite(c)).all() or (s == 0.0).any() or (c == 0.0).any():
        raise InputError("s and c must be finite and not 0: a = s, b = c/s")
    f, b = way.signal(s).reshape(s.shape), c / s
    if horizon == math.inf:
        v = way.carry(w)
        if (np.abs(w) >= 1.0).any() or (way.reach == math.inf and (np.abs(v * w) >= 1.0).any()):
            raise InputError("T = inf needs |w*| and |v w*| below 1; give a finite T")
        C = _map_stationary(b, c, w, f, v, way.reach)
    else:
        C = _map_finite(b, c, w, f, way, positive_integer("T", horizon), loss_steps == "all")
    return _Point(s, b, c, f, weights, C)


def _map_stationary(b: Array, c: Array, w: Array, f: Array, v: Array, reach: float) -> Array:
    q = 1.0 - w * w
    B0 = lag_sum(v * w, reach)
    B1 = v / (1.0 - v * w) ** 2 if reach == math.inf else v * _slope_sum(v * w, int(reach))
    Y = B0 / q**2 + w * B1 / q
    rows = [[b / q, b * c * w / q**2], [f * B0, f * c * B1], [f * b * w * B0 / q, f * b * c * Y]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _slope_sum(z: Array, N: int) -> Array:
    """Σ_{j<N} j z^{j-1}."""
    return np.asarray(sum((j * z ** (j - 1) for j in range(1, N)), np.zeros_like(z)))


def _map_finite(b: Array, c: Array, w: Array, f: Array, way: ModeRule, T: int, mean: bool) -> Array:
    """Sum over the lags: at the optimum e_j = 0, so Δ changes as Σ_j (share) de_j κ_j."""
    v, C = way.carry(w), np.zeros((*w.shape, 3, 2))
    power, before, back, path = np.ones_like(w), np.zeros_like(w), np.ones_like(w), np.zeros_like(w)
    for j in range(T):
        share = 1.0 - j / T if mean else 1.0
        inside = 1.0 if j < way.reach else 0.0
        kappa = np.stack([b * power, inside * f * back, f * b * path], axis=-1)
        de = np.stack([power, c * j * before], axis=-1)
        C += share * kappa[..., :, np.newaxis] * de[..., np.newaxis, :]
        # Σ_{l=1}^{min(j,τ)} v^{l-1} w^{j-l} gains its term l = j + 1, as long as that is within reach
        path = w * path + inside * back
        before, power, back = power, power * w, back * v
    return C


def jacobian(
    rule: str, s: ArrayLike, *, c: ArrayLike = 1.0, w_star: ArrayLike, a_hat: float | None = None,
    decay: float | None = None, steps: int = 1, T: float = math.inf, loss_steps: str = "final",
    rates: float | Mapping[str, float] = 1.0,
) -> Array:  # fmt: skip
    """Return the Jacobian dΔ/d(a, b, w) of a mode at the optimum a = s, b = c/s, w = w*.

    Parameters
    ----------
    rule : str
        ``"rflo"``, ``"tbptt"``, ``"eprop"``, ``"rtrl"``, ``"bptt"`` or ``"fa_bptt"``.
    s, c, w_star : array_like
        Where on the optimal manifold; broadcast together. s and c are not 0.
    a_hat : float, optional
        Mode of R; without it feedback is symmetric.
    decay, steps
        ŵ of ``"rflo"``, τ of ``"tbptt"``.
    T, loss_steps
        As in :class:`ModeEquations`.
    rates : float or dict
        Rates of A, W and B. A leaky network is the plain one with w_e = 1-α+αw and rates {A: 1, W: α², B: α²}.

    Returns
    -------
    (..., 3, 3)
        One eigenvalue is 0, along the manifold. A start nearby settles if the other two have positive real parts:
        the differential equations are dθ/dt = -Δ.

    Notes
    -----
    Let q = 1-w*², z = v w*, ε = f s (s² or â s), B0 = γ_τ(z), B1 = v Σ_{j<τ} j z^{j-1}, D = Σ_{l≤τ} l z^{l-1} and
    Y = B0/q² + w* B1/q. For T = inf the other two eigenvalues have trace and determinant

    ``r_a b²/q + ε (r_b B0 + r_w b² Y)`` and ``r_w ε b² (r_a b² D + r_b ε B0²) / q²``.

    Source: Williams, Payeur & Lajoie (arXiv 2606.00243) study these eigenvalues for BPTT, truncated BPTT and RFLO;
    trace and determinant in closed form, finite T and unequal rates are derived here.
    """
    return _point(rule, s, c, w_star, a_hat, decay, steps, T, loss_steps, rates).jacobian()


def trace_determinant(
    rule: str, s: ArrayLike, *, w_star: ArrayLike, c: ArrayLike = 1.0, **options: Unpack[PointOptions]
) -> tuple[Array, Array]:
    """Return trace and determinant of the two eigenvalues across the manifold; arguments as in :func:`jacobian`."""
    return _options(rule, s, c, w_star, options).trace_det()


def eigenvalues(
    rule: str, s: ArrayLike, *, w_star: ArrayLike, c: ArrayLike = 1.0, **options: Unpack[PointOptions]
) -> NDArray[np.complex128]:
    """Return the two eigenvalues across the manifold, (..., 2), the slow one first; arguments of :func:`jacobian`."""
    trace, det = trace_determinant(rule, s, c=c, w_star=w_star, **options)
    root = np.sqrt((trace * trace - 4.0 * det).astype(np.complex128))
    far = 0.5 * (trace + np.where(trace >= 0.0, 1.0, -1.0) * root)
    # From the larger one, so that a small one keeps its digits.
    near = np.where(root.imag != 0.0, 0.5 * (trace - root), det / np.where(far == 0.0, 1.0, far))
    far = np.where(root.imag != 0.0, 0.5 * (trace + root), far)
    swap = near.real > far.real
    return np.stack([np.where(swap, far, near), np.where(swap, near, far)], axis=-1)


def rate(rule: str, s: ArrayLike, *, w_star: ArrayLike, c: ArrayLike = 1.0, **options: Unpack[PointOptions]) -> Array:
    """Return λ_-, the rate at which the distance to the optimum falls in the end; negative where it grows.

    The smaller real part of the two eigenvalues; arguments as in :func:`jacobian`. The paper's picture of speed:
    BPTT is slowest at s = ±√|c|, RFLO fast for small s and slow for large s.
    """
    return np.asarray(eigenvalues(rule, s, c=c, w_star=w_star, **options)[..., 0].real)


def largest_stable_step(
    rule: str, s: ArrayLike, *, w_star: ArrayLike, c: ArrayLike = 1.0, **options: Unpack[PointOptions]
) -> Array:
    """Return the learning rate below which gradient steps settle, min 2 Re λ/|λ|²; 0 where none does.

    Arguments as in :func:`jacobian`. It goes to 0 as s does: b = c/s is large there.
    """
    found = eigenvalues(rule, s, c=c, w_star=w_star, **options)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = (2.0 * found.real / np.abs(found) ** 2).min(axis=-1)
    return np.where(found[..., 0].real > 0.0, steps, 0.0)


def classify(trace: ArrayLike, det: ArrayLike) -> NDArray[np.str_]:
    """Name the flow near the optimum from trace and determinant.

    ``"stable node"``, ``"stable focus"`` (spirals in), ``"unstable node"``, ``"unstable focus"``, ``"saddle"`` (one
    growing direction, no oscillation), or ``"marginal"`` if an eigenvalue has real part 0.
    """
    trace, det = np.asarray(trace, dtype=np.float64), np.asarray(det, dtype=np.float64)
    turns = trace * trace < 4.0 * det
    kinds = [det < 0.0, (det == 0.0) | (trace == 0.0), (trace > 0.0) & turns, trace > 0.0, turns]
    names = ["saddle", "marginal", "stable focus", "stable node", "unstable focus"]
    return np.asarray(np.select(kinds, names, "unstable node"))


@dataclass(frozen=True)
class Stability:
    """How one point of the optimal manifold holds a mode."""

    rule: str
    s: float
    c: float
    w_star: float
    signal: float
    """ε = f a: s² with symmetric feedback, â s otherwise. Positive: stable."""
    trace: float
    det: float
    kind: str
    """See :func:`classify`."""
    eigenvalues: tuple[complex, complex]
    largest_step: float
    window: tuple[float, float] | None
    """With fixed feedback and T = inf: the values of -â s that are stable although the sign is wrong, or None."""

    @property
    def stable(self) -> bool:
        """Whether every start close enough settles."""
        return self.kind.startswith("stable")

    @property
    def rate(self) -> float:
        """λ_-, the rate of settling."""
        return min(value.real for value in self.eigenvalues)

    def __str__(self) -> str:
        show = ", ".join(f"{v.real:.4g}{f' {v.imag:+.4g}i' if v.imag else ''}" for v in self.eigenvalues)
        text = (
            f"{self.rule} at a = {self.s:g}, b = {self.c / self.s:g}, w = {self.w_star:g}: {self.kind} "
            f"(eigenvalues of -dθ/dt {show}; trace {self.trace:.4g}, determinant {self.det:.4g})"
        )
        if self.stable:
            text += f"; settles as exp(-{self.rate:.4g} t), gradient steps below {self.largest_step:.4g}"
        if self.signal < 0.0:
            text += f"; feedback has the wrong sign (â a = {self.signal:.4g})"
            low_high = self.window and f"stable only for -â a between {self.window[0]:.4g} and {self.window[1]:.4g}"
            text += f", {low_high or 'and no size of it would be stable'}"
        return text


def stability(
    rule: str, s: float, *, w_star: float, c: float = 1.0, a_hat: float | None = None, decay: float | None = None,
    steps: int = 1, T: float = math.inf, loss_steps: str = "final", rates: float | Mapping[str, float] = 1.0,
) -> Stability:  # fmt: skip
    """Return how the optimum a = s, b = c/s, w = w* holds a mode; arguments as in :func:`jacobian`, one point.

    Notes
    -----
    Trace and determinant are positive if ε = f s > 0: always for symmetric feedback, for fixed feedback if â and a
    agree in sign. If they disagree the point is stable only in a window, see :func:`wrong_sign_window`.
    """
    where = real_number("s", s), real_number("c", c), real_number("w_star", w_star)
    options = PointOptions(a_hat=a_hat, decay=decay, steps=steps, T=T, loss_steps=loss_steps, rates=rates)
    point = _options(rule, *where, options)
    trace, det = (float(x) for x in point.trace_det())
    first, second = eigenvalues(rule, where[0], c=where[1], w_star=where[2], **options)
    window = None
    if a_hat is not None and T == math.inf:
        window = wrong_sign_window(rule, where[0], c=where[1], w_star=where[2], decay=decay, steps=steps, rates=rates)
    largest = float(largest_stable_step(rule, where[0], c=where[1], w_star=where[2], **options))
    kind, pair = str(classify(trace, det)), (complex(first), complex(second))
    return Stability(rule, *where, float(point.f * point.s), trace, det, kind, pair, largest, window)


def wrong_sign_window(
    rule: str, s: float, *, w_star: float, c: float = 1.0, decay: float | None = None, steps: int = 1,
    rates: float | Mapping[str, float] = 1.0,
) -> tuple[float, float] | None:  # fmt: skip
    """Return the open window of -â s > 0 in which the optimum is stable in spite of the wrong sign (T = inf), or None.

    Notes
    -----
    ``r_a b² D / (r_b B0²) < -â s < r_a b² / (q (r_b B0 + r_w b² Y))`` in the letters of :func:`jacobian`: the left is
    det > 0, the right trace > 0. For RFLO at equal rates it is b² < |â s| < b²/(q (1/ρ + b² Y)), ρ = 1 - ŵ w*; it is
    empty unless b² < ρ q (ρ-q)/(q + w*² ρ), which needs w* (w* - ŵ) > 0. Below it lies a saddle, above it an unstable
    focus or node. With Wᵀ carrying the error (fa_bptt) it is always empty. Derived here.
    """
    # The map is linear in f, so f = 1 gives its coefficients.
    p = _point(rule, s, c, w_star, 1.0, decay, steps, math.inf, "final", rates)
    q, (r_a, r_b, r_w), b = 1.0 - np.asarray(w_star) ** 2, p.rates, p.b
    B0, Y = p.map[..., 1, 0], p.map[..., 2, 1] / (b * p.c)
    det_a = p.map[..., 0, 0] * p.map[..., 2, 1] - p.map[..., 0, 1] * p.map[..., 2, 0]
    D = det_a * q * q / (b * b * p.c)
    if r_b == 0.0 or r_w == 0.0:
        return None
    low = float(r_a * b * b * D / (r_b * B0 * B0))
    high = float(r_a * b * b / (q * (r_b * B0 + r_w * b * b * Y)))
    return (low, high) if low < high else None


def _options(rule: str, s: ArrayLike, c: ArrayLike, w_star: ArrayLike, options: Mapping[str, Any]) -> _Point:
    defaults: dict[str, Any] = dict(a_hat=None, decay=None, steps=1, T=math.inf, loss_steps="final", rates=1.0)
    for key in options:
        choose("option", key, defaults)
    return _point(rule, s, c, w_star, *{**defaults, **options}.values())


# --- over the manifold


def slowest(
    rule: str,
    *,
    w_star: float,
    c: float = 1.0,
    between: tuple[float, float] = (1e-3, 1e3),
    **options: Unpack[PointOptions],
) -> tuple[float, float]:
    """Return (s, λ_-) where settling is slowest, over s in `between`, a range of one sign.

    Other arguments as in :func:`jacobian`. BPTT has its minimum at √|c| (flat where w* = 0 and |c| < 2); RFLO falls
    towards large s without one, so the answer is then an end of the range.
    """
    grid = _range(between)
    values = rate(rule, grid, c=c, w_star=w_star, **options)
    i = int(values.argmin())
    low, high = grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)]
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        first, second = rate(rule, np.array([left, right]), c=c, w_star=w_star, **options)
        low, high = (low, right) if first < second else (left, high)
    s = 0.5 * (low + high)
    found = float(rate(rule, s, c=c, w_star=w_star, **options))
    return (float(s), found) if found < values[i] else (float(grid[i]), float(values[i]))


def crossings(
    rule: str, other: str = "bptt", *, w_star: float, c: float = 1.0, between: tuple[float, float] = (1e-3, 1e3),
    other_options: PointOptions | None = None, **options: Unpack[PointOptions],
) -> list[float]:  # fmt: skip
    """Return the values of s in `between` at which two rules settle equally fast, in rising size.

    Other arguments as in :func:`jacobian`; `other_options` are those of the other rule. For small â RFLO and BPTT
    cross once, at s = â q²/ρ² to leading order, and RFLO is the faster one below; for large â there can be three.
    """

    def ahead(s: Array) -> Array:
        mine = rate(rule, s, c=c, w_star=w_star, **options)
        return np.asarray(mine - rate(other, s, c=c, w_star=w_star, **(other_options or {})))

    return _roots(ahead, _range(between))


def _range(between: tuple[float, float]) -> Array:
    low, high = (real_number("between", x) for x in between)
    if low * high <= 0.0 or abs(low) >= abs(high):
        raise InputError(f"between = {between!r}; two numbers of one sign are needed, the smaller one first")
    return np.asarray(np.sign(low) * np.geomspace(abs(low), abs(high), 2001))


def _roots(function: Callable[[Array], Array], grid: Array) -> list[float]:
    values, found = function(grid), []
    grid, values = grid[values != 0.0], values[values != 0.0]  # a root on the grid lies between its neighbours
    for i in np.flatnonzero(np.sign(values[:-1]) * np.sign(values[1:]) < 0):
        low, high, sign = grid[i], grid[i + 1], np.sign(values[i])
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if np.sign(float(function(middle))) == sign else (low, middle)
        found.append(float(0.5 * (low + high)))
    return found


# --- safe starts of rules with fixed feedback


def in_safe_region(a: ArrayLike, b: ArrayLike, c: ArrayLike, a_hat: ArrayLike) -> Flags:
    """Tell which modes are in Q = {â a ≥ 0, â c b ≥ 0}, which RFLO and fa_bptt never leave.

    Notes
    -----
    On the face a = 0, d(â a)/dt = â c b γ_T(w w*) ≥ 0; on b = 0, d(â c b)/dt = (â c)² γ_T(v w*) > 0. No random start
    in Q has failed to converge (see tests); that is no proof. Outside, a mode can reach |w| = 1 first. Derived here.
    """
    a, b, c, a_hat = (np.asarray(x, dtype=np.float64) for x in (a, b, c, a_hat))
    return np.asarray((a_hat * a >= 0.0) & (a_hat * c * b >= 0.0))


def advise_start(a: ArrayLike, b: ArrayLike, c: ArrayLike, a_hat: ArrayLike) -> str:
    """Say in words whether modes start safely under fixed feedback, and what to do if not.

    Parameters
    ----------
    a, b : (modes,)
        Modes of the student at the start.
    c, a_hat : (modes,)
        Products a* b* of the teacher, modes of R.
    """
    a, b, c, a_hat = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (a, b, c, a_hat)))
    safe = in_safe_region(a, b, c, a_hat)
    if safe.all():
        return f"all {len(safe)} modes start in the safe region (â a ≥ 0, â c b ≥ 0), which learning does not leave"
    lines = [f"{int(safe.sum())} of {len(safe)} modes start in the safe region (â a ≥ 0, â c b ≥ 0)"]
    for k in np.flatnonzero(~safe):
        wrong = [name for name, x in (("a", a_hat * a), ("b", a_hat * c * b)) if x[k] < 0.0]
        lines.append(f"mode {k}: {' and '.join(wrong)} of the wrong sign (a = {a[k]:.3g}, b = {b[k]:.3g})")
    lines.append(
        "start with A and B small (0.1 or less of √|c|): they are then carried into the region before W has moved; "
        "or draw A in the direction of R"
    )
    return "\n".join(lines)
