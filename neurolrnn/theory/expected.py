"""Expected updates: what a rule does on average over white or coloured input, computed exactly, for any network."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.network import Network
from neurolrnn.rules import feedback_matrix
from neurolrnn.theory.colour import Colour, Driven, InputPath, input_path
from neurolrnn.theory.stein import Matrix, geometric_sum

EXPECTED_RULES = ("rflo", "tbptt", "eprop", "rtrl", "bptt", "fa_bptt")
LOSS_STEPS = ("all", "final")


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
    colour: Colour = None,
) -> ExpectedUpdate:
    """Average a rule's update over Gaussian input, white ``x_t ~ N(0, I)`` by default, with a teacher's outputs.

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
    colour : float, (n_in,) or InputColour, optional
        Stationary Gaussian input that is not white: the AR(1) coefficient of every channel or of each, or any
        :class:`InputColour`. It is stationary from the first step of a sequence.

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

    Coloured input is white noise behind a filter with state s. The state z = (h, s) is that of a network with white
    input, so G_l and K_l of z follow from the same formulas; the first n columns of its ΔW are ΔW, and ΔB is
    ``α Σ_l U^{l-1} fᵀ E[ε_T s_{T-l+1}ᵀ] Cᵀ``.

    Source: the setting, one linear student and one linear teacher with white input, and the final-step updates of
    BPTT, truncated BPTT and RFLO are those of Williams, Payeur & Lajoie (ICML 2026, arXiv 2606.00243), who treat
    aligned networks mode by mode. Re-derived here: the matrix form for networks that are not aligned, the other
    rules, the mean over steps, T = inf, coloured input and the leak (Murray, eLife 2019: ``h_t = (1-α) h_{t-1} +
    α (...)`` is the plain network with V and αB, whose rates are then α² η).

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
    check_pair(student, teacher)
    back, lags = carry_back(student, rule, decay, steps)
    signal = error_feedback(student, rule, R).T
    path = input_path(colour, student.n_in, horizon, loss_steps == "all")
    own, star = (path.attach(net.A, net.transition, net.leak * net.B) for net in (student, teacher))
    with np.errstate(over="ignore", invalid="ignore"):
        if horizon == math.inf:
            require_stationary(student, teacher, back, lags)
            update = _stationary(own, star, signal, back, lags, path)
        else:
            update = _lag_sums(own, star, signal, back, lags, path)
    if not all(np.isfinite(part).all() for part in update):
        raise InputError(
            f"the expected update over T = {T} steps is not finite: spectral radius {student.spectral_radius():.4g} "
            f"(student), {teacher.spectral_radius():.4g} (teacher). Take fewer steps or smaller recurrent weights"
        )
    return update._replace(dW=student.leak * update.dW, dB=student.leak * update.dB)


def check_pair(student: Network, teacher: Network) -> None:
    """Refuse a student and a teacher that do not have the same inputs and outputs."""
    if (student.n_in, student.n_out) != (teacher.n_in, teacher.n_out):
        raise InputError(
            f"student has {student.n_in} inputs and {student.n_out} outputs, teacher {teacher.n_in} and "
            f"{teacher.n_out}; they must agree"
        )


def error_feedback(student: Network, rule: str, R: ArrayLike | None) -> Matrix:
    """Return what carries the error into the network, (n_out, n_rec): R, or A where feedback is symmetric."""
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


def carry_back(student: Network, rule: str, decay: float | None, steps: int) -> tuple[Matrix, float]:
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


def _lag_sums(own: Driven, star: Driven, signal: Matrix, back: Matrix, lags: float, path: InputPath) -> ExpectedUpdate:
    """Sum over the lags of a sequence, in O(T)."""
    T, n = len(path.share), len(back)
    K = np.empty((T, len(own.A), own.N.shape[1]))
    reach, reach_star = own.N, star.N  # V^j N
    for j in range(T):
        K[j] = own.A @ reach - star.A @ reach_star
        reach, reach_star = own.V @ reach, star.V @ reach_star
    loss = 0.5 * float((path.share * (K**2).sum(axis=1)).sum())
    K *= path.share[:, np.newaxis, :]

    # Horner, from the longest lag to the shortest: G_l = K_l Nᵀ + G_{l+1} Vᵀ, and dW, dB as polynomials in `back`.
    last = min(lags, T)
    G, dZ, dN = np.zeros_like(own.A), np.zeros((n, len(own.V))), np.zeros((n, own.N.shape[1]))
    dS = np.zeros_like(dZ)
    for lag in range(T, -1, -1):
        if lag < T:
            G = K[lag] @ own.N.T + G @ own.V.T
        if lag < last:
            dS = signal @ G + back @ dS
        if 1 <= lag <= last:
            dZ = signal @ G + back @ dZ
            dN = signal @ K[lag - 1] + back @ dN
    return ExpectedUpdate(G[:, :n], dZ[:, :n], dS[:, n:] @ path.C.T if path.coloured else dN, loss)


def _stationary(
    own: Driven, star: Driven, signal: Matrix, back: Matrix, lags: float, path: InputPath
) -> ExpectedUpdate:
    """Solve the T = inf case through Stein equations, G_l = A V^l P - A* V*^l Q."""
    n, A, A_star = len(back), own.A, star.A
    P = geometric_sum(own.V, own.N @ own.N.T, own.V.T)  # E[z zᵀ]
    Q = geometric_sum(star.V, star.N @ own.N.T, own.V.T)  # E[z* zᵀ]
    P_star = geometric_sum(star.V, star.N @ star.N.T, star.V.T)
    S = geometric_sum(back, signal @ A, own.V, lags)
    S_star = geometric_sum(back, signal @ A_star, star.V, lags)
    loss = 0.5 * float(np.trace(A @ P @ A.T) - 2.0 * np.trace(A_star @ Q @ A.T) + np.trace(A_star @ P_star @ A_star.T))
    return ExpectedUpdate(
        (A @ P - A_star @ Q)[:, :n],
        (S @ own.V @ P - S_star @ star.V @ Q)[:, :n],
        (S @ P - S_star @ Q)[:, n:] @ path.C.T if path.coloured else S @ own.N - S_star @ star.N,
        max(loss, 0.0),  # a difference of powers: rounding can take it below 0
    )


def require_stationary(student: Network, teacher: Network, back: Matrix, lags: float) -> None:
    """Refuse networks that have no stationary state, or whose sums over the lags have no end."""
    rho, rho_star = student.spectral_radius(), teacher.spectral_radius()
    for who, value in (("student", rho), ("teacher", rho_star)):
        if value >= 1.0:
            raise InputError(
                f"the {who}'s spectral radius (of (1-α) I + α W) is {value:.6g}; T = inf needs it below 1, or the "
                "network has no stationary state. Give a finite T, or smaller recurrent weights"
            )
    carried = float(np.abs(np.linalg.eigvals(back)).max())
    if lags == math.inf and carried * max(rho, rho_star) >= 1.0:
        raise InputError(
            f"the rule carries the error back by a factor of up to {carried:.6g} a step and the networks' spectral "
            f"radius is {max(rho, rho_star):.6g}; T = inf needs their product below 1. Give a finite T"
        )
