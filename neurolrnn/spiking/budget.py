"""How far a spiking network is from the graded one, how many events it sends, and which q a wanted error needs.

With ĥ = h + r, |r| ≤ q/2, a spiking network obeys h_t = M h_{t-1} + K r_{t-1} + α B x_t, where M = (1-α) I + αW and
K = M - λ I = αW. The error e of h is what r drives: e_t = M e_{t-1} + K r_{t-1}; that of ĥ is e + r.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Unpack, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose, real_number
from neurolrnn.network import Network
from neurolrnn.spiking.plan import Mode, ModeOptions, Plan, PlanOptions, make_plan
from neurolrnn.spiking.result import SpikingResult
from neurolrnn.spiking.twin import run_twin
from neurolrnn.tables import text_table
from neurolrnn.tasks.base import Sequences
from neurolrnn.theory.stein import geometric_sum

MOST_TERMS = 100_000
"""Powers of M that the worst case adds before it gives up."""
COARSE = 2.0
"""Above this many RMS changes of state a step, q is too coarse for the noise to be white."""
Signal = Literal["y", "hat", "h"]
OF: tuple[str, ...] = get_args(Signal)
Horizon = Literal["forever", "sequences"]
HORIZONS: tuple[str, ...] = get_args(Horizon)


class BudgetOptions(ModeOptions, total=False):
    """Options of :func:`design_q`: those of a plan, with the mode and the horizon of the budget."""

    horizon: Horizon


@dataclass(frozen=True)
class Budget:
    """Errors and events, expected and found. Errors are of the spiking network against the graded one.

    Attributes
    ----------
    q : float
        Quantum.
    worst_h : float
        Largest |error| that h of any unit can ever have.
    rms_h, rms_hat, rms_y : float
        Expected RMS errors of h, ĥ and y.
    size_h, size_y : float
        RMS of the graded network's states and outputs on the calibration input.
    events : float
        Expected events of a unit in a step of the network.
    coarseness : float
        q over the RMS change of a state in a micro-step; the RMS prediction is good below about 1.
    measured : dict
        The same figures of a run, where one was made: ``worst_h``, ``rms_h``, ``rms_hat``, ``rms_y``, ``events``,
        ``overload`` (largest |h - ĥ| in units of q; 1/2 is what the theory assumes).
    notes : tuple of str
        Where the theory does not apply.
    """

    q: float
    worst_h: float
    rms_h: float
    rms_hat: float
    rms_y: float
    size_h: float
    size_y: float
    events: float
    coarseness: float
    measured: dict[str, float]
    notes: tuple[str, ...] = ()

    @property
    def relative_y(self) -> float:
        """Expected RMS error of y over the RMS of y."""
        return self.rms_y / self.size_y if self.size_y else float("inf")

    def options(self) -> dict[str, object]:
        """Return everything as plain data."""
        names = ("q", "worst_h", "rms_h", "rms_hat", "rms_y", "size_h", "size_y", "events", "coarseness")
        return {**{n: getattr(self, n) for n in names}, "measured": self.measured, "notes": list(self.notes)}

    def __str__(self) -> str:
        rows = [("figure", "expected", "measured", "ratio")]
        for name in ("worst_h", "rms_h", "rms_hat", "rms_y", "events"):
            expected, found = getattr(self, name), self.measured.get(name)
            cells = ("", "") if found is None else (f"{found:.4g}", f"{found / expected:.3g}" if expected else "")
            rows.append((name.replace("_", " of "), f"{expected:.4g}", *cells))
        text = f"q = {self.q:g}, {self.coarseness:.2g} RMS changes of state in a micro-step\n{text_table(rows)}"
        return "\n".join([text, *(f"note: {note}" for note in self.notes)])


def error_gains(
    micro: Network, lengths: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how r becomes e: worst-case gains per unit, (n,), and the covariance of e for unit variance of r, (n, n).

    For ever: Σ_k Σ_j |(M^k K)_ij|, with what is left after the last power added as a bound; and P = M P Mᵀ + K Kᵀ.
    In sequences of ``lengths`` steps, each starting from 0: the sums of the longest, and the mean of P over all steps.

    Raises
    ------
    InputError
        If ρ(M) ≥ 1 and no lengths are given: errors then grow without bound, and no budget exists.
    """
    M = micro.transition
    K = M - (1.0 - micro.leak) * np.eye(len(M))
    if lengths is not None:
        return _finite_gains(M, K, lengths)
    radius = micro.spectral_radius()
    if radius >= 1.0:
        raise InputError(
            f"the spectral radius of (1-α) I + αW is {radius:.6g}: errors do not fade, so there is no error budget. "
            f"Scale W down, give horizon = 'sequences' if states restart with each sequence, or measure with the twin"
        )
    total, left, right = np.zeros(len(M)), K, np.eye(len(M))
    for _ in range(MOST_TERMS):
        total += np.abs(left).sum(axis=1)
        left, right = M @ left, M @ right
        rest = np.abs(right).sum(axis=1)
        if rest.max() < 1e-6:
            break
    else:
        raise InputError(f"the spectral radius {radius:.8g} is too near 1 for a worst case in {MOST_TERMS} terms")
    # What is left after k terms is |M^k| Σ |M^l K| at most, so each row at most rest·max(total)/(1 - max rest).
    total = total + rest * total.max() / (1.0 - rest.max())
    return total, geometric_sum(M, K @ K.T, M.T)


def _finite_gains(
    M: NDArray[np.float64], K: NDArray[np.float64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    total, power = np.zeros(len(M)), K
    P = np.zeros_like(M)
    mean = np.zeros_like(M)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(int(lengths.max())):
            mean += P * (np.count_nonzero(lengths > t) / lengths.sum())  # P is that of step t, 0 at the first
            P = M @ P @ M.T + K @ K.T
            if t + 1 < lengths.max():
                total += np.abs(power).sum(axis=1)
                power = M @ power
    if not (np.isfinite(total).all() and np.isfinite(mean).all()):
        raise InputError("errors grow beyond all numbers within the longest sequence: there is no error budget")
    return total, mean


def budget(
    net: Network,
    calibration: Sequences | ArrayLike,
    *,
    horizon: Horizon = "forever",
    measure: bool = True,
    mode: Mode = "sigma-delta",
    **options: Unpack[PlanOptions],
) -> Budget:
    """Return the error budget of a spiking network.

    Parameters
    ----------
    net : Network
        What is deployed.
    calibration : Sequences or (T, n_in)
        Inputs as they will come; events and relative errors depend on them, absolute errors do not.
    horizon : str
        ``"forever"``, or ``"sequences"``: errors start from 0 with each sequence of the calibration data, and end with
        it. The second needs no ρ(M) < 1, and is nearer for short sequences.
    measure : bool
        Run the twin and put its figures beside the expected ones.
    mode, **options
        As for :func:`to_brian2`; not graded, and without learning.

    Raises
    ------
    InputError
        If the theory does not apply: ρ(M) ≥ 1 for ever, a learning network, integers, or a mode without a quantum.

    Notes
    -----
    The worst case holds whenever |h - ĥ| ≤ q/2 (rounded payload; ``measured["overload"]`` tells). The RMS takes r
    as white and uniform, which is good while q is at most about the change of a state in a step.
    """
    plan = _checked(make_plan(net, mode, **options))
    choose("horizon", horizon, HORIZONS)
    lengths = None
    if horizon == "sequences":
        own = calibration.lengths if isinstance(calibration, Sequences) else np.array([len(np.asarray(calibration))])
        lengths = own * plan.micro_steps
    worst, P = error_gains(plan.micro, lengths)
    var = plan.q**2 / 12.0
    A, n = net.A, net.n_rec
    graded = run_twin(Plan(plan.micro, "graded"), _held(plan, calibration), ("h", "y"))
    h, y = graded.need("h"), graded.need("y")
    starts = _starts(plan, calibration)
    before = np.roll(h, 1, axis=0)
    before[starts] = 0.0
    change = h - before
    sent = h - (plan.keep if plan.leaky else 1.0) * before
    share = float(np.minimum(np.abs(sent) / plan.q, 1.0).mean()) * plan.micro_steps
    coarse = plan.q / max(float(np.sqrt(np.mean(change**2))), np.finfo(float).tiny)
    notes = []
    if coarse > COARSE:
        notes.append(
            f"q is {coarse:.2g} RMS changes of state in a micro-step: r is not white, the RMS is a rough guide"
        )
    measured: dict[str, float] = {}
    if measure:
        found = run_twin(plan, calibration)
        k = plan.micro_steps
        measured = compare(found, h[k - 1 :: k], y[k - 1 :: k])
        if measured["overload"] > 0.5 + 1e-9:
            notes.append(
                f"|h - ĥ| reached {measured['overload']:.3g} q, not q/2: the worst case does not hold; take a rounded "
                f"payload, more micro_steps or a larger q"
            )
    return Budget(
        plan.q, float(worst.max()) * plan.q / 2.0, float(np.sqrt(var * np.trace(P) / n)),
        float(np.sqrt(var * (np.trace(P) / n + 1.0))),
        float(np.sqrt(var * np.trace(A @ (P + np.eye(n)) @ A.T) / net.n_out)),
        float(np.sqrt(np.mean(h**2))), float(np.sqrt(np.mean(y**2))), share, coarse, measured, tuple(notes),
    )  # fmt: skip


def compare(found: SpikingResult, h: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, float]:
    """Return errors and events of a pass against the graded states and outputs."""

    def rms(values: NDArray[np.float64]) -> float:
        return float(np.sqrt(np.mean(values**2)))

    gap = found.need("h") - found.need("hat")
    return {
        "worst_h": float(np.abs(found.need("h") - h).max()), "rms_h": rms(found.need("h") - h),
        "rms_hat": rms(found.need("hat") - h), "rms_y": rms(found.need("y") - y),
        "events": found.events_per_step, "overload": float(np.abs(gap).max()) / found.plan.q,
    }  # fmt: skip


def design_q(
    net: Network,
    calibration: Sequences | ArrayLike,
    target_error: float,
    *,
    of: Signal = "y",
    **options: Unpack[BudgetOptions],
) -> float:
    """Return the q at which the expected RMS error is ``target_error`` times the RMS of the graded signal.

    Parameters
    ----------
    net : Network
        What is deployed.
    calibration : Sequences or (T, n_in)
        Inputs as they will come.
    target_error : float
        Such as 0.02, above 0.
    of : str
        ``"y"``, ``"hat"`` or ``"h"``.
    **options
        As for :func:`budget`, without q.

    Raises
    ------
    InputError
        If the theory does not apply, or the graded signal is 0.
    """
    wanted = real_number("target_error", target_error, above=0.0)
    choose("of", of, OF)
    options["q"] = 1.0
    unit = budget(net, calibration, measure=False, **options)
    size, gain = (unit.size_y, unit.rms_y) if of == "y" else (unit.size_h, unit.rms_hat if of == "hat" else unit.rms_h)
    if size == 0.0 or gain == 0.0:
        raise InputError(f"{of} of the graded network is 0 on the calibration input; give an input that moves it")
    return wanted * size / gain


def _checked(plan: Plan) -> Plan:
    if not plan.events:
        raise InputError("mode = 'graded' has no quantum and no error; take 'sigma-delta' or 'lif-pair'")
    if plan.learning is not None:
        raise InputError("the error budget is of weights at rest; leave learning out")
    if plan.fixed is not None:
        raise InputError(
            "the error budget is of real states; leave precision out, and see docs/rounding.md for integers"
        )
    if plan.payload == "residual":
        raise InputError(
            "payload = 'residual' sends what is left whole, so r is not uniform; no budget is known for it"
        )
    if plan.reset == "to-value":
        raise InputError("reset = 'to-value' loses what a membrane has above threshold, which no budget covers")
    return plan


def _held(plan: Plan, data: Sequences | ArrayLike) -> Sequences | NDArray[np.float64]:
    """Return the data of the micro-step network: every step as often as there are micro-steps."""
    k = plan.micro_steps
    if not isinstance(data, Sequences):
        return np.repeat(np.asarray(data, float), k, axis=0)
    return Sequences(
        np.repeat(data.inputs, k, axis=0), np.repeat(data.targets, k, axis=0), data.starts * k, np.repeat(data.mask, k)
    )


def _starts(plan: Plan, data: Sequences | ArrayLike) -> NDArray[np.int64]:
    return data.starts[:-1] * plan.micro_steps if isinstance(data, Sequences) else np.zeros(1, np.int64)
