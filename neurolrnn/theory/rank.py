"""Rank of what is learned: bounds that follow from the rule alone, and the rank of a change that was made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.network import Network
from neurolrnn.rules import Rule
from neurolrnn.run import Run
from neurolrnn.tasks.base import LOSSES
from neurolrnn.theory.expected import EXPECTED_RULES
from neurolrnn_kernels.formats import QFormat

Array = NDArray[np.float64]
SHARED = ("sgd", "nesterov", "global-norm-clip", "row-rates", "column-rates")
"""Optimisers that act on whole updates, or whole rows or columns of them."""
ELEMENTWISE = ("adam", "rmsprop", "elementwise-clip")
PRIMES = (2147483647, 2147483629, 2147483587)


@dataclass(frozen=True)
class RankBound:
    """Largest rank that [W_K - W_0 | B_K - B_0] can have, whatever data and targets are."""

    bound: int
    limit: int
    """Largest rank of any matrix of this shape."""
    reason: str

    @property
    def informative(self) -> bool:
        """Whether the bound says more than the shape does."""
        return self.bound < self.limit

    def __str__(self) -> str:
        head = f"rank of [ΔW | ΔB] ≤ {self.bound}"
        return f"{head}{'' if self.informative else ' (what its shape allows)'}: {self.reason}"


def rank_bound(
    rule: str | Rule, n_rec: int, n_in: int, n_out: int, storage: str = "dense", *, feedback: str | None = None,
    steps: int = 1, learn: Sequence[str] = ("A", "W", "B"), leaks: ArrayLike | None = None, momentum: float = 0.0,
    weight_decay: float = 0.0, decay_toward: str = "zero", optimiser: str = "sgd", n_feedbacks: int = 1,
    loss: str = "squared-error", quantised: bool = False, linear: bool = True, clamped: bool = False,
    T: float = math.inf, updates: float = math.inf, initial_rank: int | None = None,
) -> RankBound:  # fmt: skip
    """Bound the rank of everything a rule can learn in W and B together.

    Parameters
    ----------
    rule : str or Rule
        A rule of :func:`expected_update`; a :class:`Rule` brings its own feedback, storage and steps.
    n_rec, n_in, n_out : int
        Sizes.
    storage : str
        ``"dense"``, or ``"factored"``: W = W₀ + Rᵀ M and B = B₀ + Rᵀ N, with M and N learned.
    feedback : str, optional
        ``"random"`` (fixed R) or ``"symmetric"`` (A). Default: random for RFLO and fa_bptt, else symmetric.
    steps : int
        τ of truncated BPTT.
    learn : sequence of str
        Which of A, W and B learn.
    leaks : (n_rec,), optional
        One entry per unit, equal for units whose traces decay alike. Default: one decay for all.
    momentum, weight_decay : float
        μ; and the rate of decay, `decay_toward` ``"zero"`` or ``"start"`` (the initial weights).
    optimiser : str
        ``"sgd"``, ``"nesterov"``, ``"global-norm-clip"``, ``"row-rates"`` (fixed learning rate per row, the same in
        W and B), ``"column-rates"``, or one that acts on each weight by itself: ``"adam"``, ``"rmsprop"``,
        ``"elementwise-clip"``.
    n_feedbacks : int
        Number of different fixed matrices R, one after the other or at once.
    loss : str
        ``"squared-error"`` or ``"cross-entropy"`` (softmax, targets that sum to 1).
    quantised : bool
        Whether weights are rounded to a grid at every update.
    linear : bool
        Whether units are linear (or share one slope at every step).
    clamped : bool
        Whether single weights (in factored storage: factors) are kept in bounds, and reach them.
    T, updates : int or inf
        Length of the longest sequence and number of updates, where they are what limits the rank.
    initial_rank : int, optional
        Rank of [W₀ | B₀], for decay to zero; default full.

    Notes
    -----
    RFLO's step is ΔW = Rᵀ(Σ ε p^T), ΔB = Rᵀ(Σ ε q^T): scalars commute with Rᵀ, so any sum of steps is Rᵀ[M | N], of
    rank at most rank(R) ≤ n_out, for W and B jointly. No stationarity, alignment or exact expectation is needed.
    With softmax cross-entropy ε sums to 0 over the classes, so M and N have at most n_out - 1 independent rows.
    The bounds hold in real arithmetic; floating point adds a full-rank part of the size of its rounding errors.

    Source: Williams, Payeur & Lajoie (arXiv 2606.00243) observe RFLO's low rank; theorem, variants and the bound for
    cross-entropy are derived here.

    Examples
    --------
    >>> rank_bound("rflo", 64, 5, 3).bound
    3
    >>> print(rank_bound("rflo", 64, 5, 3, optimiser="adam"))
    rank of [ΔW | ΔB] ≤ 64 (what its shape allows): adam scales each weight by itself
    """
    name, options = (rule, {}) if isinstance(rule, str) else (rule.name, rule.options())
    choose("rule", name, EXPECTED_RULES)
    n, m, o = (positive_integer(k, v) for k, v in (("n_rec", n_rec), ("n_in", n_in), ("n_out", n_out)))
    storage = choose("storage", options.get("storage", storage), ("dense", "factored"))
    tau = positive_integer("steps", options.get("steps", steps))
    given = options.get("feedback", feedback)
    if given is None:
        given = "random" if name in ("rflo", "fa_bptt") else "symmetric"
    fixed = not isinstance(given, str) or choose("feedback", given, ("random", "symmetric")) == "random"
    if name in ("bptt", "rtrl") and fixed:
        raise InputError(f"{name} is the exact gradient and has no R; take feedback = 'symmetric', or 'fa_bptt'")
    if storage == "factored" and (name != "rflo" or not fixed):
        raise InputError("storage = 'factored' belongs to rflo with a fixed R; take storage = 'dense'")
    choose("optimiser", optimiser, (*SHARED, *ELEMENTWISE))
    choose("loss", loss, LOSSES)
    choose("decay_toward", decay_toward, ("zero", "start"))
    real_number("momentum", momentum, at_least=0.0, below=1.0)
    wd = real_number("weight_decay", weight_decay, at_least=0.0)
    k = positive_integer("n_feedbacks", n_feedbacks) if fixed else 1
    own = np.zeros(n) if leaks is None else np.asarray(leaks, dtype=np.float64)
    if own.shape != (n,):
        raise InputError(f"leaks has shape {own.shape}; one per unit, ({n},), is needed")
    groups = np.unique(own, return_counts=True)[1].tolist()

    columns = n * ("W" in learn) + m * ("B" in learn)
    limit = min(n, columns)

    def result(bound: float, reason: str) -> RankBound:
        return RankBound(int(min(bound, limit)), limit, reason)

    if not columns:
        return result(0, "neither W nor B learns")
    softmax = loss == "cross-entropy" and not quantised
    e = o - 1 if softmax else o
    errors = f"{e} independent errors" + (" (softmax errors sum to 0)" if softmax else "")

    if storage == "factored":
        if len(groups) > 1:
            raise InputError("storage = 'factored' has one trace per unit for all rows; take equal leaks, or 'dense'")
        if clamped or optimiser in ELEMENTWISE or quantised or not linear:
            return result(o, "[ΔW | ΔB] = Rᵀ[M | N] whatever becomes of single factors")
        return result(e, f"[ΔW | ΔB] = Rᵀ[M | N], {errors}")
    for broken, why in (
        (not linear, "with nonlinear units each row of the update has slopes of its own"),
        (quantised, "rounding every weight to a grid adds errors of full rank, of the size of the grid"),
        (optimiser in ELEMENTWISE, f"{optimiser} scales each weight by itself"),
        (clamped, "weights that reach their bound leave the span of the updates one by one"),
    ):
        if broken:
            return result(n, why)
    base, reason = _span(name, fixed, tau, k, groups, e, learn, T, updates)
    if wd and decay_toward == "zero":
        start = n if initial_rank is None else positive_integer("initial_rank", initial_rank, 0)
        return result(
            base + start,
            "decay to zero removes a part of W₀ and B₀ themselves; after subtracting what is left of them, "
            f"κ = Π(1 - η wd), the rank is ≤ {int(min(base, limit))}",
        )
    return result(base, f"{reason}; {errors}" if base < limit else reason)


def _span(
    name: str, fixed: bool, tau: int, k: int, groups: Sequence[int], e: int, learn: Sequence[str], T: float,
    updates: float,
) -> tuple[float, str]:  # fmt: skip
    """Bound the span of a rule's own updates, made of e independent errors."""
    if e == 0:
        return 0, "the softmax over one class is always 1, so there is no error"
    frozen = fixed or "A" not in learn
    span = "rows of R" if fixed else "rows of A, which stands still"
    one_back = name == "rflo" or (name == "tbptt" and tau == 1)
    if name == "eprop":
        return math.inf, "every synapse has a trace of its own, W_ii differs from unit to unit"
    if name == "rflo" and len(groups) > 1:
        total = sum(min((k if frozen else updates) * e, g) for g in groups)
        return total, f"{len(groups)} groups of units with traces of their own, each of the rank of its feedback"
    if one_back and frozen:
        many = f"{k} matrices R" if k > 1 else span
        return k * e, f"every update lies in the span of the {many}"
    if one_back:
        return updates * e, "updates lie in the rows of A_0, A_1, ..., which change while A learns"
    reach = T if name != "tbptt" else min(tau, T)
    if name == "rtrl":
        return math.inf, "the influence of each synapse is its own, through powers of a changing W"
    if frozen and "W" not in learn:
        return k * e * reach, f"the errors reach {reach:g} steps back through powers of a fixed W"
    return updates * k * e * reach, "errors are carried back by a W that changes; only one update by itself is low-rank"


# --- spectra


def singular_values(matrix: ArrayLike) -> Array:
    """Return the singular values of a matrix, falling."""
    return np.linalg.svd(np.asarray(matrix, dtype=np.float64), compute_uv=False)


def numerical_rank(matrix: ArrayLike, tolerance: float = 1e-2) -> int:
    """Count the singular values above `tolerance` times the largest."""
    s = singular_values(matrix)
    return int((s > tolerance * s[0]).sum()) if s.size and s[0] > 0.0 else 0


def effective_rank(matrix: ArrayLike) -> float:
    """Return exp of the entropy of the normalised singular values: 1 to rank, 0 for a zero matrix.

    Source: Roy & Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    """
    s = singular_values(matrix)
    if not s.any():
        return 0.0
    p = s[s > 0.0] / s.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def participation_ratio(matrix: ArrayLike) -> float:
    """Return (Σ σ²)² / Σ σ⁴: how many directions share the change's energy; 0 for a zero matrix."""
    s = singular_values(matrix)
    if not s.any():
        return 0.0
    energy = (s / s[0]) ** 2
    return float(energy.sum() ** 2 / (energy**2).sum())


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Singular values of what was learned."""

    values: Array
    """Of [W_after - W_before | B_after - B_before], falling."""
    recurrent: Array
    """Of W_after - W_before."""
    effective: float
    participation: float

    def __str__(self) -> str:
        shown = ", ".join(f"{v:.3g}" for v in self.values[:8])
        more = ", ..." if len(self.values) > 8 else ""
        return (
            f"singular values of [ΔW | ΔB]: {shown}{more}; effective rank {self.effective:.3g}, "
            f"participation ratio {self.participation:.3g}"
        )


def spectrum(before: Network, after: Network) -> Spectrum:
    """Return the singular values of the change of W and B from one network to another of the same sizes."""
    if (before.W.shape, before.B.shape) != (after.W.shape, after.B.shape):
        raise InputError(f"the networks differ in size: W {before.W.shape} and {after.W.shape}")
    change = np.hstack([after.W - before.W, after.B - before.B])
    values = singular_values(change)
    return Spectrum(values, singular_values(after.W - before.W), effective_rank(change), participation_ratio(change))


# --- exact rank


def integers(*matrices: ArrayLike) -> list[NDArray[np.object_]]:
    """Return matrices as Python integers over one common power of two; every finite float is such a fraction."""
    ratios = []
    for matrix in matrices:
        array = np.asarray(matrix)
        if array.ndim != 2 or not (array.dtype == object or np.isfinite(array).all()):
            raise InputError(f"a matrix of finite numbers is needed, not shape {array.shape}")
        ratios.append((array.shape, [x.as_integer_ratio() for x in array.ravel().tolist()]))
    # Denominators are powers of two, so the largest is a multiple of all.
    common = max((d for _, pairs in ratios for _, d in pairs), default=1)
    found = []
    for shape, pairs in ratios:
        flat = np.empty(len(pairs), dtype=object)
        flat[:] = [p * (common // d) for p, d in pairs]
        found.append(flat.reshape(shape))
    return found


def exact_rank(matrix: ArrayLike) -> int:
    """Return the rank of a matrix of integers or floats, without any rounding.

    Notes
    -----
    The rank modulo a prime is never above the true one; where it is already full nothing more is needed. Otherwise
    fraction-free elimination on Python integers (Bareiss, Mathematics of Computation 1968) decides; its work is
    rank · rows · columns products of growing integers.
    """
    (M,) = integers(matrix)
    if not M.size:
        return 0
    full = min(M.shape)
    return full if any(_rank_modulo(M, p) == full for p in PRIMES) else _bareiss(M)


def _rank_modulo(matrix: NDArray[np.object_], prime: int) -> int:
    M = (matrix % prime).astype(np.int64)
    rank = 0
    for column in range(M.shape[1]):
        pivots = np.flatnonzero(M[rank:, column])
        if not len(pivots):
            continue
        M[[rank, rank + pivots[0]]] = M[[rank + pivots[0], rank]]
        M[rank] = M[rank] * pow(int(M[rank, column]), -1, prime) % prime
        # Products of two numbers below 2^31 fit 63 bits.
        below = M[rank + 1 :]
        below -= below[:, column, np.newaxis] * M[rank] % prime
        below %= prime
        rank += 1
        if rank == M.shape[0]:
            break
    return rank


def _bareiss(matrix: NDArray[np.object_]) -> int:
    M, rank, before = matrix.copy(), 0, 1
    for column in range(M.shape[1]):
        pivots = np.flatnonzero(M[rank:, column] != 0)
        if not len(pivots):
            continue
        M[[rank, rank + pivots[0]]] = M[[rank + pivots[0], rank]]
        pivot = M[rank, column]
        M[rank + 1 :] = (pivot * M[rank + 1 :] - np.outer(M[rank + 1 :, column], M[rank])) // before
        before = pivot
        rank += 1
        if rank == M.shape[0]:
            break
    return rank


# --- runs


@dataclass(frozen=True, eq=False)
class RankReport:
    """Rank of what a run has learned in [W | B], beside the bound of its rule."""

    bound: RankBound
    observed: int
    exact: bool
    """Whether `observed` is the rank over the rationals; otherwise singular values above `floor` are counted."""
    floor: float
    """Size of what rounding alone can have added; 0 if exact."""
    spectrum: Spectrum

    @property
    def holds(self) -> bool:
        """Whether the observed rank is within the bound."""
        return self.observed <= self.bound.bound

    def __str__(self) -> str:
        how = "exactly, over the rationals" if self.exact else f"singular values above {self.floor:.2g}"
        return f"{self.bound}\nobserved: {self.observed} ({how})\n{self.spectrum}"


def rank_report(run: Run) -> RankReport:
    """Return bound and rank of the change of W and B in a run.

    Notes
    -----
    A fixed-point run starts from weights rounded to its formats and ends on codes, so its change is a matrix of
    dyadic fractions and its rank is exact; in factored storage the change is the integer product Rᵀ[M | N] of the
    stored codes. In floating point singular values are counted above eps √K (‖[W₀ | B₀]‖ + ‖[W | B]‖), K the number of
    steps: what K rounding errors add up to, generously.
    """
    training = run.experiment["training"]
    settings: Mapping[str, Any] = run.experiment["rule"]
    fixed = run.numerics is not None
    start, end = run.initial, run.network
    bound = rank_bound(
        str(settings["name"]), start.n_rec, start.n_in, start.n_out, str(settings.get("storage", "dense")),
        feedback="random" if run.feedback is not None else "symmetric", steps=settings.get("steps", 1),
        learn=training["learn"], momentum=training["momentum"], loss=str(run.experiment["task"]["loss"]),
        quantised=fixed, clamped=bool(set(training["clamp"] or {}) & set(training["learn"]) - {"A"}),
    )  # fmt: skip
    if not fixed:
        eps = float(np.finfo(np.dtype(str(run.experiment["precision"].get("preset", "float32")))).eps)
        size = sum(float(np.linalg.norm(np.hstack([net.W, net.B]))) for net in (start, end))
        floor = eps * math.sqrt(max(run.position.get("step", 1), 1)) * size
        found = spectrum(start, end)
        return RankReport(bound, int((found.values > floor).sum()), False, floor, found)
    formats: dict[str, str] = run.numerics["formats"]  # type: ignore[index]
    rounded = start.replace(W=_landed(formats["W"], start.W), B=_landed(formats["B"], start.B))
    if run.factors is not None and run.feedback is not None:
        R, M, N = integers(_landed(formats["feedback"], run.feedback), *run.factors)
        change = np.dot(R.T, np.hstack([M, N]))
    else:
        before, after = integers(np.hstack([rounded.W, rounded.B]), np.hstack([end.W, end.B]))
        change = after - before
    return RankReport(bound, exact_rank(change), True, 0.0, spectrum(rounded, end))


def _landed(text: str, values: Array) -> Array:
    """Return values as they rest on the grid of a format such as ``"s2.13 nearest saturate"`` at the start of a run."""
    form = QFormat.parse(text.split()[0])
    return form.decode(form.encode(values))
