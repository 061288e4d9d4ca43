"""How the optimum, and a = b = 0, hold a complex pair of modes. Derived for this package; see complex_modes."""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neurolrnn.errors import InputError
from neurolrnn.theory.complex_modes import Complex, ComplexModes
from neurolrnn.theory.stationary_points import lag_sum, rates_of

Pair = tuple[complex, complex]
NEGLIGIBLE = 1e-18
"""Terms of an infinite sum over lags are counted down to this size."""
MOST_LAGS = 1_000_000


class PairJacobian(NamedTuple):
    """dΔ/d(a, b, w) at the optimum, for the two kinds of disturbances of 2 x 2 blocks. Rows and columns a, b, w."""

    rotating: Complex
    """(3, 3): disturbances [[x, -y], [y, x]], x + iy, which leave the blocks what they are."""
    reflecting: Complex
    """(3, 3): disturbances [[x, y], [y, -x]], x + iy, which take them out of the form."""


@dataclass(frozen=True)
class ComplexStability:
    """How one point of the optimal manifold, a = s, b = c/s, w = w*, holds a complex pair."""

    rule: str
    s: complex
    c: complex
    w_star: complex
    signal: complex
    """ε = f̄ a: |s|² with symmetric feedback, conj(â) s otherwise."""
    rotating: Pair
    """The two eigenvalues that are not 0, of disturbances that keep the form; the slow one first."""
    reflecting: Pair
    """The same for disturbances that do not."""
    large_s: float
    """Re ε Σ_{j<τ} (v̄ w*)^j: for large |s| and T = inf its sign is that of the slow rotating eigenvalue."""
    small_s: float
    """Re ε Σ_{l≤τ} l (v̄ w*)^{l-1}: the same for small |s|."""

    @property
    def stable_in_form(self) -> bool:
        """Whether every complex start close enough settles."""
        return min(value.real for value in self.rotating) > 0.0

    @property
    def stable(self) -> bool:
        """Whether every start close enough settles, complex or not."""
        return self.stable_in_form and min(value.real for value in self.reflecting) > 0.0

    @property
    def kind(self) -> str:
        """``"stable"``, ``"saddle"`` (some directions grow) or ``"unstable"`` (all do)."""
        signs = [value.real > 0.0 for value in (*self.rotating, *self.reflecting)]
        return "stable" if all(signs) else "saddle" if any(signs) else "unstable"

    @property
    def rate(self) -> float:
        """Rate of settling; negative where a disturbance grows."""
        return min(value.real for value in (*self.rotating, *self.reflecting))

    def __str__(self) -> str:
        def show(pair: Pair) -> str:
            return ", ".join(f"{v.real:.4g} {v.imag:+.4g}i" for v in pair)

        return (
            f"{self.rule} at a = {self.s:.4g}, b = {self.c / self.s:.4g}, w = {self.w_star:.4g}: {self.kind} "
            f"(eigenvalues of -dθ/dt {show(self.rotating)}; out of the form {show(self.reflecting)}; signal "
            f"{self.signal:.4g})"
        )


def complex_jacobian(
    rule: str, s: complex, *, c: complex = 1.0, w_star: complex, a_hat: complex | None = None,
    decay: float | None = None, steps: int = 1, T: float = math.inf, loss_steps: str = "final",
    rates: float | Mapping[str, float] = 1.0,
) -> PairJacobian:  # fmt: skip
    """Return the Jacobian of a complex pair at the optimum a = s, b = c/s, w = w*.

    Parameters
    ----------
    rule : str
        A rule of :class:`ComplexModes`.
    s, c, w_star : complex
        Where on the optimal manifold; s and c are not 0.
    a_hat : complex, optional
        Of R; without it feedback is symmetric.
    decay, steps, T, loss_steps
        As in :class:`ComplexModes`.
    rates : float or dict
        Rates of A, W and B. A leaky network is the plain one with w_e = 1-α+αw and rates {A: 1, W: α², B: α²}.

    Raises
    ------
    InputError
        If the point is none of the manifold, or the sums have no end.

    Notes
    -----
    At the optimum e_j = 0, so Δ changes only through e_j. Every 2 x 2 matrix is a rotating plus a reflecting block,
    z ↦ pz + q z̄. A rotating disturbance changes K_j by the rotating block ``w^j (b δa + a δb) + c j w^{j-1} δw``, a
    reflecting one by the reflecting block
    ``b̄ w̄^j δa + a w^j δb + a b̄ s_j δw``, ``s_j = (w^j - w̄^j)/(w - w̄)``, and updates keep the kind. So the 12
    dimensions fall into two complex 3 x 3 matrices, each with one eigenvalue 0: the change of the student's units
    A → A P, B → P⁻¹ B, W → P⁻¹ W P, four real dimensions, along which the loss stays 0.
    """
    eq = _equations(rule, s, c, w_star, a_hat, decay, steps, T, loss_steps)
    w, a, b = complex(w_star), complex(s), complex(c) / complex(s)
    v, f = complex(eq.carry(np.array([w]))[0]).conjugate(), _feed(eq, a).conjugate()
    lags = _lags_needed(eq, w, v)
    mean = loss_steps == "all" and T != math.inf
    bar = w.conjugate()
    rotating, reflecting = np.zeros((2, 3, 3), np.complex128)
    power, before, back, path, path_r, swing = 1.0 + 0j, 0j, 1.0 + 0j, 0j, 0j, 0j
    for j in range(lags):
        share = 1.0 - j / lags if mean else 1.0
        inside = 1.0 if j < eq.reach else 0.0
        out = np.array([(b * power).conjugate(), inside * f * back, f * b.conjugate() * path])
        rotating += share * np.outer(out, [b * power, a * power, c * j * before])
        out = np.array([b * power, inside * f * back, f * b * path_r])
        reflecting += share * np.outer(out, [(b * power).conjugate(), a * power, a * b.conjugate() * swing])
        path, path_r = bar * path + inside * back, w * path_r + inside * back
        swing = w * swing + power.conjugate()
        before, power, back = power, power * w, back * v
    r = rates_of(rates)
    return PairJacobian(r * rotating, r * reflecting)


def complex_stability(
    rule: str, s: complex, *, c: complex = 1.0, w_star: complex, a_hat: complex | None = None,
    decay: float | None = None, steps: int = 1, T: float = math.inf, loss_steps: str = "final",
    rates: float | Mapping[str, float] = 1.0,
) -> ComplexStability:  # fmt: skip
    """Return how the optimum a = s, b = c/s, w = w* holds a complex pair; arguments of :func:`complex_jacobian`.

    Notes
    -----
    With q = 1-|w*|², z = v̄ w*, B0 = γ_τ(z), D = Σ_{l≤τ} l z^{l-1}, Y = D/q + |w*|² B0/q² and T = inf, the two
    eigenvalues that keep the form have trace and determinant

    ``r_a |b|²/q + ε (r_b B0 + r_w |b|² Y)`` and ``r_w ε |b|² (r_a |b|² D + r_b ε B0²)/q²``:

    those of a real mode with bars, but complex numbers. They have positive real parts if and only if Re tr > 0 and
    ``Re tr (Re tr Re det + Im tr Im det) > (Im det)²``. For BPTT and truncated BPTT with symmetric feedback z = |w*|²
    and ε = |s|², so that a complex pair settles exactly as a real mode at |s|, |c|, |w*| does. For RFLO z = ŵ w* is
    complex, and a half plane takes the place of a sign: for large |s| the slow eigenvalue is r_w ε |b|² B0/q², so that
    Re ε/(1-ŵ w*) > 0 decides; for small |s| it is r_w ε |b|² D/q, and Re ε/(1-ŵ w*)² > 0 does. With symmetric feedback
    the first always holds, the second does not: under RFLO the optimum of a pair can be unstable, which that of a real
    mode never is.

    The slow reflecting eigenvalue of RFLO is r_w ε |b|²/(q (1-w*²) (1-ŵ w̄*)) for large and
    r_w ε |b|²/((1-w*²) |1-ŵ w*|²) for small |s|.
    """
    J = complex_jacobian(
        rule, s, c=c, w_star=w_star, a_hat=a_hat, decay=decay, steps=steps, T=T, loss_steps=loss_steps, rates=rates
    )
    eq = _equations(rule, s, c, w_star, a_hat, decay, steps, T, loss_steps)
    w, a = complex(w_star), complex(s)
    z = complex(eq.carry(np.array([w]))[0]).conjugate() * w
    signal = _feed(eq, a).conjugate() * a
    if eq.reach == math.inf:
        B0, D = 1.0 / (1.0 - z), 1.0 / (1.0 - z) ** 2
    else:
        powers = z ** np.arange(int(eq.reach))
        B0, D = complex(powers.sum()), complex((np.arange(1, len(powers) + 1) * powers).sum())
    return ComplexStability(
        rule, a, complex(c), w, signal, _others(J.rotating), _others(J.reflecting),
        (signal * B0).real, (signal * D).real,
    )  # fmt: skip


@dataclass(frozen=True)
class ComplexSaddle:
    """How a rule leaves a = b = 0, where a rule with symmetric feedback stands still for any w."""

    rule: str
    fixed: bool
    """Whether a = b = 0 is a fixed point."""
    rotating: complex
    """σ: disturbances of the form grow as exp(σ t), Re σ ≥ 0. 0 if there is no fixed point."""
    reflecting: complex
    """The same for reflecting ones: they grow into a student with w̄ in the place of w."""
    push: complex
    """Δb at a = b = 0, which drives a rule with fixed feedback away; 0 at a fixed point."""
    loss: float


def complex_saddle(
    rule: str, *, c: complex, w_star: complex, w: complex = 0.0, a_hat: complex | None = None,
    decay: float | None = None, steps: int = 1, T: float = math.inf, rates: float | Mapping[str, float] = 1.0,
) -> ComplexSaddle:  # fmt: skip
    """Return how a complex pair leaves a = b = 0 at some w; arguments of :func:`complex_jacobian`.

    Notes
    -----
    Linearised, with symmetric feedback: ``σ² = r_a r_b |c|² γ_T(w̄ w*) conj(γ_τ(v̄ w*))`` for rotating disturbances and
    ``r_a r_b |c|² γ_T(w w*) γ_τ(v̄ w̄*)`` for reflecting ones: |c|/|1-w̄ w*| and |c|/|1-w w*| for BPTT. They are equal for
    real w, and the one whose rotation has the teacher's sense is faster. With fixed feedback
    ``Δb = -conj(â) c γ_τ(v̄ w*)``, not 0. The loss is |c|² γ_T(|w*|²).
    """
    eq = _equations(rule, 1.0, c, w_star, a_hat, decay, steps, T, "final", w)
    star, own = complex(w_star), complex(w)
    v = complex(eq.carry(np.array([own]))[0]).conjugate()
    r_a, r_b, _ = (float(x) for x in rates_of(rates)[:, 0])

    def sum_of(z: complex, reach: float = math.inf) -> complex:
        return complex(np.ravel(lag_sum(np.array([z]), reach, T))[0])

    loss = abs(c) ** 2 * sum_of(complex(abs(star) ** 2)).real
    back = sum_of(v * star, eq.reach)
    if a_hat is not None:
        return ComplexSaddle(rule, False, 0j, 0j, -complex(a_hat).conjugate() * c * back, loss)
    power = r_a * r_b * abs(c) ** 2
    rotating = cmath.sqrt(power * sum_of(own.conjugate() * star) * back.conjugate())
    reflecting = cmath.sqrt(power * sum_of(own * star) * sum_of(v * star.conjugate(), eq.reach))
    return ComplexSaddle(rule, True, rotating, reflecting, 0j, loss)


# --- parts


def _equations(
    rule: str, s: complex, c: complex, w_star: complex, a_hat: complex | None, decay: float | None, steps: int,
    T: float, loss_steps: str, w: complex | None = None,
) -> ComplexModes:  # fmt: skip
    for name, value in (("s", s), ("c", c)):
        if not cmath.isfinite(value) or value == 0:
            raise InputError(f"{name} = {value!r}; a finite complex number other than 0 is needed: a = s, b = c/s")
    if a_hat is not None and a_hat == 0:
        raise InputError("a_hat = 0: feedback that carries nothing back cannot teach b and w; give another")
    hat: Any = None if a_hat is None else [a_hat]
    eq = ComplexModes(rule, [s], [c / s], [w_star], a_hat=hat, decay=decay, steps=steps, T=T, loss_steps=loss_steps)
    eq.update([s], [c / s], [w_star if w is None else w])  # refuses what has no stationary state
    return eq


def _feed(eq: ComplexModes, a: complex) -> complex:
    return a if eq.a_hat is None else complex(np.ravel(eq.a_hat)[0])


def _lags_needed(eq: ComplexModes, w: complex, v: complex) -> int:
    if eq.T != math.inf:
        return int(eq.T)
    slow = abs(w) ** 2 if eq.reach != math.inf else max(abs(w) ** 2, abs(v * w))
    if slow == 0.0:
        return 3
    # Terms fall as j² slow^j at most; within τ steps a few more count.
    count = math.log(NEGLIGIBLE) / math.log(slow)
    count += 2.0 * math.log(max(count, 2.0)) / -math.log(slow) + 3.0
    count += eq.reach if eq.reach != math.inf else 0.0
    if count > MOST_LAGS:
        raise InputError(f"w_star = {w}: the sums over lags take more than {MOST_LAGS} terms; |w*| is too near 1")
    return int(count)


def _others(J: Complex) -> Pair:
    """Return the eigenvalues of a matrix with one eigenvalue 0 other than that one, the slow one first."""
    trace = complex(np.trace(J))
    minors = sum(
        complex(J[i, i] * J[k, k] - J[i, k] * J[k, i]) for i, k in ((0, 1), (0, 2), (1, 2))
    )  # fmt: skip
    root = cmath.sqrt(trace * trace - 4.0 * minors)
    if (trace.conjugate() * root).real < 0.0:
        root = -root
    far = 0.5 * (trace + root)
    near = minors / far if far else 0j  # from the larger one, so that a small one keeps its digits
    return (near, far) if near.real <= far.real else (far, near)
