"""Expected updates: what a rule does on average over white input, computed exactly, for any network."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.network import Network
from neurolrnn.rules import feedback_matrix

EXPECTED_RULES = ("rflo", "tbptt", "eprop", "rtrl", "bptt", "fa_bptt")
LOSS_STEPS = ("all", "final")

Matrix = NDArray[np.float64]


class ExpectedUpdate(NamedTuple):
    """Expected Δ of each weight (θ ← θ - η Δθ) and the expected loss."""

    dA: Matrix
    """(n_out, n_rec)"""
    dW: Matrix
    """(n_rec, n_rec)"""
    dB: Matrix
    """(n_rec, n_in)"""
    loss: float


def expected_update(
    student: Network,
    teacher: Network,
    rule: str,
    *,
    R: ArrayLike | None = None,
    decay: float | None = None,
    steps: int = 1,
    T: float = math.inf,
    loss_steps: str = "final",
) -> ExpectedUpdate:
    """Average a rule's update over white input ``x_t ~ N(0, I)``, with a teacher's outputs as targets.

    The weights stay frozen while the average is taken. Exact sums, no sampling.

    Parameters
    ----------
    student, teacher : Network
        The network that learns, and the one whose outputs are the targets. Same n_in and n_out; n_rec and leak may
        differ. Neither needs to be normal, symmetric or aligned with the other.
    rule : str
        ``"rflo"``, ``"tbptt"``, ``"eprop"``, ``"rtrl"``, ``"bptt"``, or ``"fa_bptt"`` (BPTT with R in place of A
        where the error enters the network, Wᵀ kept). ``"rtrl"`` is ``"bptt"``: at frozen weights both are the
        gradient.
    R : (n_out, n_rec), optional
        Feedback matrix. Without it feedback is symmetric, the student's A. Needed for ``"fa_bptt"``; not allowed
        for ``"bptt"`` and ``"rtrl"``.
    decay : float, optional
        ŵ of ``"rflo"``; default 1 - α.
    steps : int
        τ of ``"tbptt"``.
    T : int or inf
        Length of a sequence from h_0 = 0; ``math.inf`` is the stationary network.
    loss_steps : str
        ``"final"``: the loss is ½‖ε_T‖² of the last step. ``"all"``: the mean of ½‖ε_t‖² over the T steps, so a
        simulated episode, which sums over its steps, moves T times as far. With ``T = inf`` both are the same, and
        are the expectation of one online update.

    Returns
    -------
    ExpectedUpdate
        ``(dA, dW, dB, loss)``.

    Raises
    ------
    InputError
        If shapes or options do not fit, if ``T = inf`` and there is no stationary state, or if numbers overflow.

    Notes
    -----
    With ``V = (1-α) I + α W`` and ``K_j = A V^j αB - A* V*^j α*B*`` the output error is ``ε_T = Σ_j K_j x_{T-j}``.
    White input leaves only products of equal times, so with ``G_l = E[ε_T h_{T-l}ᵀ] = Σ_{j≥l} K_j (V^{j-l} αB)ᵀ``
    and ``E[ε_T x_{T-l+1}ᵀ] = K_{l-1}``,

    ``ΔA = G_0``, ``ΔW = α Σ_{l=1}^{L} U^{l-1} fᵀ G_l``, ``ΔB = α Σ_{l=1}^{L} U^{l-1} fᵀ K_{l-1}``,

    where f is R or A, L is T (min(τ, T) for ``"tbptt"``), and U carries the error one step back: ``Vᵀ`` for
    ``"bptt"`` and ``"tbptt"``, ``ŵ I`` for ``"rflo"``, ``diag(V)`` for ``"eprop"``. The mean over the steps of a
    sequence multiplies K_j by ``1 - j/T``, the share of the steps that have a lag j. For ``T = inf`` the sums are
    Stein equations; they are solved by doubling to machine precision. The loss comes from a difference of
    powers, so its error is relative to the teacher's output power, not to the loss.

    Source: the setting, one linear student and one linear teacher with white input, and the final-step updates of
    BPTT, truncated BPTT and RFLO are those of Williams, Payeur & Lajoie (ICML 2026, arXiv 2606.00243), who treat
    aligned networks mode by mode. Re-derived here: the matrix form for networks that are not aligned, the other
    rules, the mean over steps, T = inf and the leak (Murray, eLife 2019: ``h_t = (1-α) h_{t-1} + α (...)`` is the
    plain network with V and αB, whose rates are then α² η).

    Examples
    --------
    >>> from neurolrnn.network import Network
    >>> student, teacher = (Network.random(2, 6, 1, spectral_radius=0.5, seed=s) for s in (0, 1))
    >>> expected_update(student, teacher, "rflo", decay=0.5).dW.shape
    (6, 6)
    """
    choose("rule", rule, EXPECTED_RULES)
    choose("loss_steps", loss_steps, LOSS_STEPS)
    horizon = T if T == math.inf else positive_integer("T", T)
    if (student.n_in, student.n_out) != (teacher.n_in, teacher.n_out):
        raise InputError(
            f"student has {student.n_in} inputs and {student.n_out} outputs, teacher {teacher.n_in} and "
            f"{teacher.n_out}; they must agree"
        )
    back, lags = _carry_back(student, rule, decay, steps)
    signal = _feedback(student, rule, R).T
    # The plain network h_t = V h_{t-1} + (αB) x_t does the same; the chain rule adds one α to ΔW and ΔB.
    V, B, V_star, B_star = (student.transition, student.leak * student.B, teacher.transition, teacher.leak * teacher.B)
    with np.errstate(over="ignore", invalid="ignore"):
        if horizon == math.inf:
            _require_stationary(V, V_star, back, lags)
            update = _stationary(student.A, V, B, teacher.A, V_star, B_star, signal, back, lags)
        else:
            update = _lag_sums(
                student.A, V, B, teacher.A, V_star, B_star, signal, back, lags, int(horizon), loss_steps == "all"
            )
    if not all(np.isfinite(part).all() for part in update):
        raise InputError(
            f"the expected update over T = {T} steps is not finite: spectral radius {student.spectral_radius():.4g} "
            f"(student), {teacher.spectral_radius():.4g} (teacher). Take fewer steps or smaller recurrent weights"
        )
    return update._replace(dW=student.leak * update.dW, dB=student.leak * update.dB)


def _feedback(student: Network, rule: str, R: ArrayLike | None) -> Matrix:
    if R is None:
        if rule == "fa_bptt":
            raise InputError("fa_bptt sends the error back through a fixed matrix; give R, or take rule 'bptt'")
        return student.A
    if rule in ("bptt", "rtrl"):
        raise InputError(f"{rule} is the exact gradient and has no R; leave R out, or take rule 'fa_bptt'")
    # Never a name here, so a matrix comes back.
    matrix = feedback_matrix(np.asarray(R, dtype=np.float64), 1.0, student.n_out, student.n_rec, 0)
    assert matrix is not None
    if not np.isfinite(matrix).all():
        raise InputError("R holds values that are not finite; every entry must be a finite number")
    return matrix


def _carry_back(student: Network, rule: str, decay: float | None, steps: int) -> tuple[Matrix, float]:
    """Return the matrix that carries the error one step back, and over how many steps it is carried."""
    if decay is not None and rule != "rflo":
        raise InputError(f"decay = {decay!r} is an option of rflo; {rule} has none")
    tau = positive_integer("steps", steps)
    if rule == "rflo":
        trace = 1.0 - student.leak if decay is None else real_number("decay", decay)
        return trace * np.eye(student.n_rec), math.inf
    if rule == "eprop":
        return np.diag(np.diag(student.transition)), math.inf
    return student.transition.T, tau if rule == "tbptt" else math.inf


def _lag_sums(
    A: Matrix, V: Matrix, B: Matrix, A_star: Matrix, V_star: Matrix, B_star: Matrix, signal: Matrix, back: Matrix,
    lags: float, T: int, mean: bool,
) -> ExpectedUpdate:  # fmt: skip
    """Sum over the lags of a sequence of T steps, in O(T)."""
    K = np.empty((T, A.shape[0], B.shape[1]))
    reach, reach_star = B, B_star  # V^j B
    for j in range(T):
        K[j] = A @ reach - A_star @ reach_star
        reach, reach_star = V @ reach, V_star @ reach_star
    share = 1.0 - np.arange(T) / T if mean else np.ones(T)
    loss = 0.5 * float(share @ (K**2).sum(axis=(1, 2)))
    K *= share[:, np.newaxis, np.newaxis]

    # Horner, from the longest lag to the shortest: G_l = K_l Bᵀ + G_{l+1} Vᵀ, and dW, dB as polynomials in `back`.
    n, last = len(V), min(lags, T)
    G, dW, dB = np.zeros_like(A), np.zeros((n, n)), np.zeros_like(B)
    for lag in range(T, 0, -1):
        if lag < T:
            G = K[lag] @ B.T + G @ V.T
        if lag <= last:
            dW = signal @ G + back @ dW
            dB = signal @ K[lag - 1] + back @ dB
    return ExpectedUpdate(K[0] @ B.T + G @ V.T, dW, dB, loss)


def _stationary(
    A: Matrix, V: Matrix, B: Matrix, A_star: Matrix, V_star: Matrix, B_star: Matrix, signal: Matrix, back: Matrix,
    lags: float,
) -> ExpectedUpdate:  # fmt: skip
    """Solve the T = inf case through Stein equations, G_l = A V^l P - A* V*^l Q."""
    P = geometric_sum(V, B @ B.T, V.T)  # E[h hᵀ]
    Q = geometric_sum(V_star, B_star @ B.T, V.T)  # E[h* hᵀ]
    P_star = geometric_sum(V_star, B_star @ B_star.T, V_star.T)
    S = geometric_sum(back, signal @ A, V, lags)
    S_star = geometric_sum(back, signal @ A_star, V_star, lags)
    loss = 0.5 * float(np.trace(A @ P @ A.T) - 2.0 * np.trace(A_star @ Q @ A.T) + np.trace(A_star @ P_star @ A_star.T))
    return ExpectedUpdate(
        A @ P - A_star @ Q,
        S @ V @ P - S_star @ V_star @ Q,
        S @ B - S_star @ B_star,
        max(loss, 0.0),  # a difference of powers: rounding can take it below 0
    )


def _require_stationary(V: Matrix, V_star: Matrix, back: Matrix, lags: float) -> None:
    rho, rho_star = _radius(V), _radius(V_star)
    for who, value in (("student", rho), ("teacher", rho_star)):
        if value >= 1.0:
            raise InputError(
                f"the {who}'s spectral radius (of (1-α) I + α W) is {value:.6g}; T = inf needs it below 1, or the "
                "network has no stationary state. Give a finite T, or smaller recurrent weights"
            )
    carried = _radius(back)
    if lags == math.inf and carried * max(rho, rho_star) >= 1.0:
        raise InputError(
            f"the rule carries the error back by a factor of up to {carried:.6g} a step and the networks' spectral "
            f"radius is {max(rho, rho_star):.6g}; T = inf needs their product below 1. Give a finite T"
        )


def _radius(matrix: Matrix) -> float:
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def geometric_sum(left: Matrix, middle: Matrix, right: Matrix, count: float = math.inf) -> Matrix:
    """Return ``Σ_{l=0}^{count-1} left^l middle right^l``, by doubling.

    Parameters
    ----------
    left : (p, p)
    middle : (p, q)
    right : (q, q)
    count : int or inf
        Number of terms. With ``math.inf`` the sum solves the Stein equation ``X = left X right + middle``; the
        product of the spectral radii of `left` and `right` must be below 1.

    Returns
    -------
    (p, q)

    Raises
    ------
    InputError
        If infinitely many terms do not converge.

    Notes
    -----
    From S_k, the sum of k terms, and the k-th powers follows ``S_2k = S_k + left^k S_k right^k``: quadratic
    convergence where the sum is infinite, log2(count) products where it is not. Source: the squared Smith method
    for Stein equations (see Benner, El Khoury & Sadkane, "On the squared Smith method for large-scale Stein
    equations", 2014); the finite count is added here.
    """
    if count == math.inf:
        S = middle
        for _ in range(64):
            S = S + left @ S @ right
            left, right = left @ left, right @ right
            # Norms bound every later term, also where a non-normal matrix makes the terms grow before they shrink.
            if float(np.linalg.norm(left)) * float(np.linalg.norm(right)) < 1e-20:
                return S
        raise InputError("the infinite sum does not converge: the spectral radii are too near 1. Give a finite T")
    # Binary expansion of count, highest bit first; the powers always match the number of terms in `total`.
    total, power_left, power_right = np.zeros_like(middle), np.eye(len(left)), np.eye(len(right))
    for bit in f"{int(count):b}":
        total = total + power_left @ total @ power_right
        power_left, power_right = power_left @ power_left, power_right @ power_right
        if bit == "1":
            total = middle + left @ total @ right
            power_left, power_right = left @ power_left, right @ power_right
    return total
