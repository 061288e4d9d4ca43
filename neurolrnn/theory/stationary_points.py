"""Where learning can stand still, mode by mode; and how a rule acts on a mode at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.theory.expected import EXPECTED_RULES

Array = NDArray[np.float64]
BASES = ("units", "flat")
GROUPS = ("A", "B", "W")


class PointOptions(TypedDict, total=False):
    """Options of a rule at the optimum; see :func:`jacobian`."""

    a_hat: float | None
    decay: float | None
    steps: int
    T: float
    loss_steps: str
    rates: float | Mapping[str, float]


@dataclass(frozen=True)
class Stationary:
    """Where one mode stands still under a rule.

    Every rule stands still on the optimal manifold {a b = c, w = w*}, where the loss is 0. A rule whose feedback
    follows A stands still on {a = b = 0, any w} too.
    """

    rule: str
    c: float
    """Product a* b* of the teacher's mode."""
    w_star: float
    w: float
    """The w at which a = b = 0 is looked at."""
    saddle: bool
    """Whether a = b = 0 is a fixed point."""
    loss: float
    """Loss at a = b = 0; it does not depend on w."""
    growth: float
    """σ: near a = b = 0 a disturbance grows as exp(σ t). 0 if there is no fixed point."""
    push: float
    """Δb at a = b = 0: what drives a rule with fixed feedback away from there. 0 at a fixed point."""

    @property
    def eigenvalues(self) -> tuple[float, float, float]:
        """Eigenvalues of the differential equations linearised at a = b = 0: (-σ, 0, σ).

        Raises
        ------
        InputError
            If a = b = 0 is no fixed point of this rule.
        """
        self._require_saddle()
        return (-self.growth, 0.0, self.growth)

    def escape_time(self, size: float) -> float:
        """Return the time in which a and b grow from `size` to √|c|, ln(√|c| / size) / σ to leading order.

        `size` is the part of the start along the growing direction, a sign(c) = b times a positive number.

        Raises
        ------
        InputError
            If a = b = 0 is no fixed point of this rule, or `size` is not between 0 and √|c|.
        """
        self._require_saddle()
        d = real_number("size", size, above=0.0, at_most=math.sqrt(abs(self.c)))
        return math.log(math.sqrt(abs(self.c)) / d) / self.growth

    def _require_saddle(self) -> None:
        if not self.saddle:
            raise InputError(
                f"{self.rule} with fixed feedback does not stand still at a = b = 0: Δb = {self.push:.4g} there"
            )

    def __str__(self) -> str:
        optimum = f"{self.rule}: stands still where a b = {self.c:g} and w = {self.w_star:g} (loss 0)"
        zero = f"a = b = 0 (loss {self.loss:.4g})"
        if self.saddle:
            return (
                f"{optimum},\nand at {zero} for any w: a saddle; at w = {self.w:g} eigenvalues 0, ±{self.growth:.4g}, "
                f"so a start of size d takes about ln({math.sqrt(abs(self.c)):.3g}/d)/{self.growth:.4g} to leave it"
            )
        return f"{optimum};\nnot at {zero}: there Δb = {self.push:.4g} at w = {self.w:g}, from fixed feedback"


def stationary(
    rule: str,
    *,
    c: float,
    w_star: float,
    w: float = 0.0,
    a_hat: float | None = None,
    decay: float | None = None,
    steps: int = 1,
    T: float = math.inf,
    rates: float | Mapping[str, float] = 1.0,
) -> Stationary:
    """Return where a mode stands still under a rule, and how it leaves a = b = 0.

    Parameters
    ----------
    rule : str
        ``"rflo"``, ``"tbptt"``, ``"eprop"``, ``"rtrl"``, ``"bptt"`` or ``"fa_bptt"``.
    c : float
        a* b*, not 0.
    w_star, w : float
        The teacher's w, and the student's while a = b = 0.
    a_hat : float, optional
        Mode of R, not 0; without it feedback is symmetric.
    decay, steps
        ŵ of ``"rflo"``, τ of ``"tbptt"``.
    T : int or inf
        Length of a sequence; the loss is that of its last step.
    rates : float or dict
        Rates of A, W and B, as in :func:`modes`.

    Notes
    -----
    At a = b = 0, ``Δb = -f c γ_τ(v w*)``: 0 if f = a, not 0 if f = â. Linearised, ``σ² = r_a r_b c² γ_T(w w*)
    γ_τ(v w*)``; for T = inf and unit rates σ is |c|/(1-w w*) for BPTT, |c| √(1-(w w*)^τ)/(1-w w*) for truncated BPTT
    and |c|/√((1-w w*)(1-ŵ w*)) for RFLO with symmetric feedback. The loss is c² γ_T(w*²)/2. For T = inf there are no
    other fixed points with |w| < 1. A leaky network has w_e = 1-α+αw, b_e = αb and rates {A: 1, W: α², B: α²}.

    Source: Williams, Payeur & Lajoie (arXiv 2606.00243) for the two manifolds; σ for truncated BPTT, finite T and
    unequal rates re-derived here.

    Examples
    --------
    >>> round(stationary("bptt", c=1.0, w_star=0.5).escape_time(0.01), 3)
    4.605
    >>> stationary("rflo", c=1.0, w_star=0.5, a_hat=1.0, decay=0.5).saddle
    False
    """
    way, horizon, weights = mode_setting(rule, a_hat, decay, steps, T, rates)
    product = real_number("c", c)
    if product == 0.0:
        raise InputError("c = 0: a mode the teacher does not use has nothing to learn; give c other than 0")
    limit = {"above": -1.0, "below": 1.0} if horizon == math.inf else {}
    star, own = (np.array([real_number(k, x, **limit)]) for k, x in (("w_star", w_star), ("w", w)))
    if horizon == math.inf and abs(float(way.carry(own)[0] * star[0])) >= 1.0:
        raise InputError(f"decay = {decay!r}: T = inf needs |ŵ w*| below 1; give a finite T")
    back = float(lag_sum(way.carry(own) * star, way.reach, horizon)[0])
    mixed = float(lag_sum(own * star, math.inf, horizon)[0])
    loss = 0.5 * product**2 * float(lag_sum(star * star, math.inf, horizon)[0])
    if way.a_hat is None:
        r_a, r_b, _ = weights
        growth, push = abs(product) * math.sqrt(max(r_a * r_b * mixed * back, 0.0)), 0.0
    else:
        growth, push = 0.0, -float(way.a_hat[0]) * product * back
    return Stationary(rule, product, float(star[0]), float(own[0]), way.a_hat is None, loss, growth, push)


# --- how a rule acts on a mode


@dataclass(frozen=True, eq=False)
class ModeRule:
    """How a rule carries the error back, per mode: by f into the network, then by v a step, over τ steps.

    Parameters
    ----------
    name : str
        A rule of :func:`expected_update`.
    a_hat : (modes,), optional
        Modes of the feedback, R = U diag(â) Pᵀ. Without it feedback is symmetric, f = a.
    decay : float, optional
        ŵ of ``"rflo"``; default 1 - leak.
    steps : int
        τ of ``"tbptt"``.
    leak : float
        α of the network, for the default of `decay`.
    basis : str
        ``"eprop"`` only: ``"units"`` if every mode is one unit (P a permutation), ``"flat"`` if every mode has the
        same absolute weight on every unit (P a Hadamard matrix / √n). In any other basis e-prop leaves alignment.
    """

    name: str
    a_hat: Array | None = None
    decay: float | None = None
    steps: int = 1
    leak: float = 1.0
    basis: str = "units"

    def __post_init__(self) -> None:
        choose("rule", self.name, EXPECTED_RULES)
        choose("basis", self.basis, BASES)
        if self.basis != "units" and self.name != "eprop":
            raise InputError(f"basis = {self.basis!r} matters to eprop only; leave it out for {self.name}")
        if self.a_hat is None and self.name == "fa_bptt":
            raise InputError("fa_bptt sends the error back through fixed feedback; give a_hat, or take rule 'bptt'")
        if self.a_hat is not None:
            if self.name in ("bptt", "rtrl"):
                raise InputError(f"{self.name} is the exact gradient and has no a_hat; leave it out, or take 'fa_bptt'")
            object.__setattr__(self, "a_hat", mode_vector("a_hat", self.a_hat))
        if self.name == "rflo":
            value = 1.0 - self.leak if self.decay is None else real_number("decay", self.decay)
            object.__setattr__(self, "decay", value)
        elif self.decay is not None:
            raise InputError(f"decay = {self.decay!r} is an option of rflo; {self.name} has none")
        positive_integer("steps", self.steps)

    @property
    def reach(self) -> float:
        """How many steps back the error is carried, τ; inf for all."""
        return self.steps if self.name == "tbptt" else math.inf

    def signal(self, a: Array) -> Array:
        """Return f, what carries the error into the network: â, or a where feedback is symmetric."""
        return a if self.a_hat is None else self.a_hat + 0.0 * a

    def carry(self, w: Array) -> Array:
        """Return v, what carries the error one step back."""
        if self.name == "rflo":
            assert self.decay is not None
            return np.full_like(w, self.decay)
        return np.full_like(w, w.mean()) if self.basis == "flat" else w


def mode_setting(
    rule: str, a_hat: float | None, decay: float | None, steps: int, T: float, rates: float | Mapping[str, float]
) -> tuple[ModeRule, float, tuple[float, float, float]]:
    """Check what the functions about one mode have in common; return the rule, T, and the rates of a, b and w."""
    feedback = None if a_hat is None else np.array([real_number("a_hat", a_hat)])
    if feedback is not None and feedback[0] == 0.0:
        raise InputError("a_hat = 0: feedback that carries nothing back cannot teach b and w; give another")
    way = ModeRule(rule, feedback, decay, steps)
    r = rates_of(rates)[:, 0]
    return way, T if T == math.inf else positive_integer("T", T), (float(r[0]), float(r[1]), float(r[2]))


# --- sums over lags


def lag_sum(z: Array, reach: float, T: float = math.inf, mean: bool = False) -> Array:
    """Return γ_N(z) = Σ_{j<N} z^j with N = min(reach, T), or its mean over T = 1..T."""
    last = min(reach, T)
    if last == math.inf:
        return 1.0 / (1.0 - z)
    N = int(last)
    # (Σ γ, γ, 1) after N steps of γ ← 1 + z γ
    total, sum_ = _power([[1.0, z, 1.0], [0.0, z, 1.0], [0.0, 0.0, 1.0]], N, z)
    return (total + (T - N) * sum_) / T if mean else sum_


def path_sum(p: Array, q: Array, reach: float, T: int, mean: bool = False) -> Array:
    """Return Σ_{l<min(reach,T-1)} p^l γ_{T-1-l}(q), or its mean over T = 1..T."""
    N = int(min(reach, T - 1))
    # (Σ F, F, γ, 1) with γ ← 1 + q γ, F ← γ + p F while the reach grows, then F ← γ_N(p) + q F
    grow: list[list[Any]] = [[1.0, p, q, 1.0], [0.0, p, q, 1.0], [0.0, 0.0, q, 1.0], [0.0, 0.0, 0.0, 1.0]]
    total, sum_ = _power(grow, N, p)
    if T - 1 > N:
        r = lag_sum(p, N)
        stay: list[list[Any]] = [[1.0, q, r], [0.0, q, r], [0.0, 0.0, 1.0]]
        total, sum_ = _power(stay, T - 1 - N, p, total, sum_)
    return total / T if mean else sum_


def _power(rows: list[list[Any]], k: int, like: Array, total: Any = 0.0, sum_: Any = 0.0) -> tuple[Array, Array]:
    """Apply a matrix k times to (total, sum, 0, .., 1) and return the first two components."""
    size = len(rows)
    M = np.empty((*like.shape, size, size), np.result_type(like, np.float64))  # modes may be complex
    for i, row in enumerate(rows):
        for j, entry in enumerate(row):
            M[..., i, j] = entry
    P = np.linalg.matrix_power(M, k)
    first, second = (P[..., i, 0] * total + P[..., i, 1] * sum_ + P[..., i, -1] for i in (0, 1))
    return first, second


def mode_vector(name: str, value: ArrayLike) -> Array:
    """Return a list of finite numbers, one per mode, as an array (modes,)."""
    array = np.atleast_1d(np.array(value, dtype=np.float64))
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise InputError(f"{name} = {value!r}; a list of finite numbers, one per mode, is needed")
    return array


def rates_of(rates: float | Mapping[str, float]) -> Array:
    """Return the rates of a, b and w as a column."""
    if isinstance(rates, Mapping):
        for key in rates:
            choose("group of rates", key, GROUPS)
    values = [real_number("rates", rates.get(g, 1.0) if isinstance(rates, Mapping) else rates, at_least=0.0)
              for g in GROUPS]  # fmt: skip
    return np.array(values)[:, np.newaxis]
