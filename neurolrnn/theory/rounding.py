"""What rounding costs: where learning stops on a grid, what the last bits leave of the loss, how many bits suffice.

One *mode* is a network of one unit, ``h_t = w h_{t-1} + b x_t``, ``y_t = a h_t``, that learns from a teacher
``a*, w*, b*`` with white input. With ``u = a b`` and ``c = a* b*`` its output error is
``Σ_j e_j x_{t-j}``, ``e_j = u w^j - c w*^j``, its loss ``½ Σ_j e_j²`` and the update of a weight θ the sum
``Σ_j e_j κ_j`` of its rule. It has learned when ``w = w*`` and ``a = s``, ``b = c/s`` for any s. Every formula here is
the linearisation at that point, in ``z = (u - c, w - w*)``.

Weights lie on a grid of spacing ``d = 2^-F``, F being ``frac_bits``. ``learning_rate`` and ``frac_bits`` are one
number, or a dict with one for each of ``"A"``, ``"W"``, ``"B"``; fraction bits need not be whole. A leaky network is
the plain one with ``w = 1 - α + α W``, ``b = α B``: give ``α² η`` as rate of W and B, and ``F - log2 α`` as their bits.

Source: the modes and their updates are those of Williams, Payeur & Lajoie (arXiv 2606.00243). What rounding does to
them is derived here and held against the fixed-point kernels in tests/test_rounding_theory.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.theory.linear_mode import (
    Floor,
    Matrix,
    Mode,
    ModeOptions,
    PerGroup,
    corners_of,
    judged,
    largest_loss,
    linearise,
    stationary_covariance,
)
from neurolrnn.theory.stein import geometric_sum

__all__ = [
    "Bias", "Bits", "Floor", "bits_needed", "dead_band", "effective_drift", "loss_floor", "stall_set",
    "state_noise_loss", "stochastic_bias", "weight_bits_for_stability",
]  # fmt: skip

ROUNDINGS = ("nearest", "stochastic", "once")
FLOOR_OF_LOST_BITS = 0.1
"""Share of the stochastic floor that increments too small for the random bits may add before it is called invalid."""


class Bits(NamedTuple):
    """Fraction bits of the weights that suffice for a loss; negative for coarse grids."""

    nearest: int
    stochastic: int
    once: int


class Bias(NamedTuple):
    """What too few random bits do to one stochastic rounding, in LSB of the result."""

    mean: float
    """Mean error over increments of every fraction."""
    largest: float
    """Largest mean error of any one increment."""
    dead_below: float
    """Positive increments below it never move anything."""


def loss_floor(
    rule: str,
    s: float,
    c: float,
    w_star: float,
    learning_rate: PerGroup,
    frac_bits: PerGroup,
    rounding: str = "nearest",
    *,
    random_bits: int | None = 16,
    **options: Unpack[ModeOptions],
) -> Floor:
    """Return the loss that rounding leaves of a mode after learning with its exact expected update.

    Parameters
    ----------
    rule : str
        ``"rflo"``, ``"tbptt"``, ``"bptt"`` or ``"fa_bptt"``, as in :func:`~neurolrnn.theory.expected.expected_update`;
        e-prop and RTRL of one mode are ``"bptt"``.
    s : float
        a where learning ends, not 0; b is c/s then.
    c, w_star : float
        a* b* of the teacher, not 0, and its w*, |w*| < 1.
    learning_rate : float or dict
        η of one update.
    frac_bits : float or dict
        F of the weights.
    rounding : str
        ``"nearest"``: every update is rounded to nearest; the floor is the largest loss in the :func:`stall_set`.
        ``"stochastic"``: every update is rounded at random; the floor is the mean loss, long after the start.
        ``"once"``: trained in real arithmetic, rounded to nearest at the end; the mean over positions of the grid.
    random_bits : int or None
        Of stochastic rounding, with the half step that the kernels add; None for as many as there are.
    **options
        ``feedback``: â, entry of R; needed by ``"fa_bptt"``, not allowed for ``"bptt"``. Without it feedback follows a.
        ``decay``: ŵ of ``"rflo"``; default 0, which is 1 - α of the plain network.
        ``steps``: τ of ``"tbptt"``; default 1.

    Returns
    -------
    Floor
        ``(loss, valid, reason)``.

    Raises
    ------
    InputError
        If the mode does not learn: no fixed point, or one that is not stable at this learning rate.

    Notes
    -----
    With ``q = 1 - w*²``, ``Δ = C z`` and the loss ``½ zᵀ H z``, ``H = [[1/q, c w*/q²], [·, c² (1 + w*²)/q³]]``:

    * nearest: a weight moves only if ``|η Δ| ≥ d/2``, so learning stops in ``|C z| ≤ d/(2η)``, and the loss there is
      at most ``β d²/η²``, β being the maximum of ``½ zᵀ H z`` over the corners of ``|C z| ≤ ½``.
    * stochastic: an update of mean ηΔ has the variance ``d² E[φ (1-φ)]``, φ the fraction of |ηΔ|/d; for small updates
      that is ``d |η Δ|``. The covariance Σ of z stays as it is when ``Σ = (I - G) Σ (I - G)ᵀ + J diag(variance) Jᵀ``,
      ``G = J diag(η) C``. The loss ``½ tr(H Σ) = κ d²`` hardly depends on η, as the noise fades with the update.
    * once: ``Σ = J diag(d²/12) Jᵀ``, hence ``κ = [(s² + c²/s²)/q + c² (1 + w*²)/q³]/24``.

    Where ``valid``, the bound for nearest was exceeded by at most 12 % in some hundred random modes, mostly not at
    all. The stochastic floor is a mean over positions of w* between two points of the grid, good to some 20 %; one
    teacher had between 0.3 (w* close to a point) and 1.4 times that.
    """
    mode = linearise(rule, s, c, w_star, learning_rate, frac_bits, **options)
    choose("rounding", rounding, ROUNDINGS)
    if rounding == "nearest":
        corners = _stalled(mode)
        return judged(mode, largest_loss(corners, mode.H), np.abs(corners).max(axis=0), rounding)
    if rounding == "once":
        covariance = (mode.J * mode.grid**2 / 12.0) @ mode.J.T
    else:
        covariance = stationary_covariance(mode)
    loss = 0.5 * float(np.trace(mode.H @ covariance))
    floor = judged(mode, loss, np.sqrt(np.diag(covariance)), rounding)
    if rounding == "stochastic" and random_bits is not None and floor.valid:
        g = positive_integer("random_bits", random_bits)
        # Increments below 2^-(g+1) d never move a weight: as if rounded to nearest on a grid 2^g times finer.
        lost = largest_loss(_stalled(mode), mode.H)
        needed = math.ceil(0.5 * math.log2(lost / (FLOOR_OF_LOST_BITS * loss)))
        if g < needed:
            return Floor(loss, False, f"random_bits = {g} lose the smallest updates; at least {needed} are needed")
    return floor


def stall_set(
    rule: str,
    s: float,
    c: float,
    w_star: float,
    learning_rate: PerGroup,
    frac_bits: PerGroup,
    **options: Unpack[ModeOptions],
) -> Matrix:
    """Return the corners of the region in which no update, rounded to nearest, moves a weight.

    Parameters
    ----------
    rule, s, c, w_star, learning_rate, frac_bits, **options
        See :func:`loss_floor`.

    Returns
    -------
    (corners, 2)
        ``(u - c, w - w*)``, counterclockwise: the polygon ``|C z| ≤ d/(2η)``, row by row.
    """
    return _stalled(linearise(rule, s, c, w_star, learning_rate, frac_bits, **options))


def _stalled(mode: Mode) -> Matrix:
    return corners_of(mode.C, mode.grid / (2.0 * mode.rates))


def bits_needed(
    loss: float,
    rule: str,
    s: float,
    c: float,
    w_star: float,
    learning_rate: PerGroup,
    **options: Unpack[ModeOptions],
) -> Bits:
    """Return the fraction bits of the weights with which a mode gets down to ``loss``.

    Parameters
    ----------
    loss : float
        Above 0, ½ Σ_j e_j².
    rule, s, c, w_star, learning_rate, **options
        See :func:`loss_floor`; all three weights get the same bits.

    Returns
    -------
    Bits
        ``(nearest, stochastic, once)``; the sign and the bits before the point come on top.

    Notes
    -----
    Every floor is some ``K d²``, so ``F = ⌈½ log2(K / loss)⌉``. Rounding to nearest takes about
    ``log2(1/η) + ½ log2(β/κ)`` bits more than stochastic rounding.

    Examples
    --------
    >>> bits_needed(1e-6, "tbptt", 1.0, 1.0, 0.6, 0.02)
    Bits(nearest=15, stochastic=10, once=10)
    """
    goal = real_number("loss", loss, above=0.0)
    found = []
    for rounding in ROUNDINGS:
        floor = loss_floor(rule, s, c, w_star, learning_rate, 0.0, rounding, **options)
        found.append(math.ceil(0.5 * math.log2(floor.loss / goal)))
    return Bits(*found)


def state_noise_loss(
    A: ArrayLike,
    W: ArrayLike,
    state_frac_bits: float,
    *,
    leak: float = 1.0,
    current_frac_bits: float | None = None,
    rounding: str = "nearest",
) -> float:
    """Return the mean loss that the rounding of states adds at every step.

    Parameters
    ----------
    A : (n_out, n_rec)
    W : (n_rec, n_rec)
        Recurrent weights, not necessarily normal.
    state_frac_bits : float
        Fraction bits of ``state``.
    leak : float
        α in (0, 1], held with 14 fraction bits.
    current_frac_bits : float, optional
        Fraction bits of ``current``; default those of the state.
    rounding : str
        ``"nearest"``, ``"nearest-even"`` or ``"stochastic"``, of state and current.

    Returns
    -------
    float
        ½ E‖A (h - h exact)‖², summed over outputs.

    Raises
    ------
    InputError
        If the network has no stationary state.

    Notes
    -----
    Each landing adds white noise, of variance d²/12 if rounded to nearest and d²/6 if at random. Then
    ``S = V S Vᵀ + I`` with ``V = (1-α) I + α W``, and the loss is ``(d_h²/24) tr(A S Aᵀ)``. With α = 1 a state on the
    grid of its current lands exactly, so there is one rounding a step; with α < 1 there are two, and ``d_h²`` becomes
    ``d_h² + α² d_u²``. A leak with few bits, such as ½, leaves the state few bits to round: with e the grid of the sum
    before, ``d_h²`` is ``d_h² - e²``, and ``"nearest"``, which rounds ties up, moves every state by e/2 on average:
    a bias of the outputs of ``(e/2) A (I - V)⁻¹ 1``, which ``"nearest-even"`` has not. Rounding of inputs, outputs and
    errors is not included. The noise is white only where the state is busy; for a state at rest see :func:`dead_band`.
    """
    gain = math.floor(real_number("leak", leak, above=0.0, at_most=1.0) * 2**14 + 0.5)
    alpha, last = gain / 2**14, (gain & -gain) / 2**14  # and the value of the last bit of α that is 1
    choose("rounding", rounding, ("nearest", "nearest-even", "stochastic"))
    d_state: float = 2.0 ** -real_number("state_frac_bits", state_frac_bits)
    d_current = d_state if current_frac_bits is None else 2.0 ** -real_number("current_frac_bits", current_frac_bits)
    A, W = np.asarray(A, dtype=np.float64), np.asarray(W, dtype=np.float64)
    if W.ndim != 2 or A.ndim != 2 or W.shape != (A.shape[1], A.shape[1]):
        raise InputError(f"A has shape {A.shape} and W {W.shape}; (n_out, n_rec) and (n_rec, n_rec) are needed")
    V = (1.0 - alpha) * np.eye(len(W)) + alpha * W
    radius = float(np.abs(np.linalg.eigvals(V)).max())
    if radius >= 1.0:
        raise InputError(f"the spectral radius of (1-α) I + α W is {radius:.6g}; at 1 or above rounding errors pile up")
    before = min(min(d_state, d_current) * last, d_state)
    variance = d_state**2 - before**2 + (alpha * d_current) ** 2
    ties = before if before < d_state else 0.0
    if rounding == "nearest-even":
        variance += 3.0 * ties**2  # a tie goes up or down by e/2
    bias = 0.5 * ties * A @ np.linalg.solve(np.eye(len(V)) - V, np.ones(len(V))) if rounding == "nearest" else 0.0 * A
    noise = variance / (12.0 if rounding == "stochastic" else 24.0)
    return noise * float(np.trace(A @ geometric_sum(V, np.eye(len(V)), V.T) @ A.T)) + 0.5 * float((bias**2).sum())


def dead_band(w: float, frac_bits: float) -> float:
    """Return the largest value at which ``h ← w h``, rounded to nearest, can stay without input.

    Parameters
    ----------
    w : float
        Decay of the state or of a trace, |w| < 1.
    frac_bits : float
        Fraction bits of h.

    Notes
    -----
    ``|h| ≤ d/(2 (1 - |w|))``, the largest multiple of d below which is reached: where ``(1 - |w|) |h| ≤ d/2`` the
    decay rounds away. Negative w make h alternate in sign. A trace that should follow values down to p needs
    ``F ≥ log2(1/(2 (1 - |w|) p))``.
    """
    decay = real_number("w", w, above=-1.0, below=1.0)
    d: float = 2.0 ** -real_number("frac_bits", frac_bits)
    return d / (2.0 * (1.0 - abs(decay)))


def stochastic_bias(random_bits: int, half_step: bool = True) -> Bias:
    """Return the error of stochastic rounding with few random bits, for increments of many more bits.

    Parameters
    ----------
    random_bits : int
        g, bits of the random number that is added before the cut.
    half_step : bool
        Whether ``2^-(g+1)`` LSB is added besides, as the kernels do.

    Returns
    -------
    Bias
        In LSB of what is rounded (a weight moves by minus that).

    Notes
    -----
    A fraction φ is rounded up with a probability on the grid of ``2^-g``: the nearest with the half step, the next
    lower without it.
    """
    g = positive_integer("random_bits", random_bits)
    step = 2.0**-g
    return Bias(0.0, step / 2, step / 2) if half_step else Bias(-step / 2, step, step)


def effective_drift(noise: float) -> float:
    """Return the share of a small mean update that survives rounding to nearest, thanks to noise in the update.

    Parameters
    ----------
    noise : float
        Standard deviation of η·Δ in LSB of the weight, η σ/d, at least 0.

    Returns
    -------
    float
        Between 0 and about 1: .00, .18, .67, .99 at .1, .2, .3, .5. So half an LSB of noise makes rounding to nearest
        as good as stochastic rounding, on average.

    Notes
    -----
    ``g = Σ_k p(k + ½) = 1 + 2 Σ_{k≥1} (-1)^k exp(-2 π² k² noise²)``, p the normal density of that deviation: the slope
    at 0 of the mean of round(x + noise).
    """
    sigma = real_number("noise", noise, at_least=0.0)
    if sigma == 0.0:
        return 0.0
    k = np.arange(64)
    if sigma < 0.5:  # the other sum alternates and would cancel
        return float(2.0 * np.exp(-0.5 * ((k + 0.5) / sigma) ** 2).sum() / (sigma * math.sqrt(2.0 * math.pi)))
    k = k[1:]
    return float(1.0 + 2.0 * ((-1.0) ** k * np.exp(-2.0 * (math.pi * k * sigma) ** 2)).sum())


def weight_bits_for_stability(n: int, spectral_radius: float, leak: float = 1.0) -> int:
    """Return fraction bits with which a normal W, rounded to nearest, surely keeps its spectral radius below 1.

    Parameters
    ----------
    n : int
        Units.
    spectral_radius : float
        Of ``(1-α) I + α W`` before rounding, at least 0 and below 1.
    leak : float
        α in (0, 1].

    Notes
    -----
    Rounding moves an eigenvalue of a normal matrix by at most ``α ‖E‖₂ ≤ α n d/2`` (Bauer-Fike). Typical is
    ``α d √(n/3)``, so fewer bits mostly do; a W that is not normal may need more.
    """
    units, alpha = positive_integer("n", n), real_number("leak", leak, above=0.0, at_most=1.0)
    radius = real_number("spectral_radius", spectral_radius, at_least=0.0, below=1.0)
    return math.floor(math.log2(alpha * units / (2.0 * (1.0 - radius)))) + 1
