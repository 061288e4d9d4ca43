"""What tools that read NIR take it to mean: one function for each way of writing the same network.

NIR's leaky integrator is continuous, ``τ dv/dt = (v_leak - v) + r I``; a network here steps,
``h_t = (1-α) h_{t-1} + α (W h_{t-1} + B x_t)``. Each tool turns one into the other in its own way, so each dialect
chooses τ, r and weights such that the tool's own step is the network's. :class:`Reading` says what a tool will multiply
with, in the units of the network, so that the report can compare it with what was meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError
from neurolrnn.network import Network

Array = NDArray[Any]
Float = np.dtype[np.floating[Any]]
SMALL_TAU = 2.0**-10
"""Time constant, in steps, for α = 1 where the decay is exp(-1/τ): exp(-1024) is 0 in double precision."""


DIAGONAL = ", what rounding leaves of it in the diagonal of W"
STEPWISE = "{} keeps states in its layers: call it with one step of one sequence at a time, and hand its state on"


@dataclass(frozen=True, eq=False)
class Matrices:
    """Weights as a dialect writes them, (out, in).

    Attributes
    ----------
    B, W, A : array
        What is written.
    meant_B, meant_W : array
        B and W that the tool's step makes of what is written, in the units of the network.
    """

    B: Array
    W: Array
    A: Array
    meant_B: NDArray[np.float64]
    meant_W: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reading:
    """A network as one dialect writes it.

    Attributes
    ----------
    matrices : Matrices
        The weights.
    tau, r : float
        What is written for every unit.
    leak : float
        α that the tool's own step makes of it.
    folded : str
        What was done to B and W; empty if nothing.
    how_leak : str
        What was done with α.
    affine : bool
        Whether weights are written as Affine nodes with a bias of 0.
    nested : str
        Neuron type of a recurrent subgraph, or empty for a flat graph.
    threshold : float
        Of spiking neurons, in nested graphs.
    integrator : str
        Step that the numbers are meant for.
    losses : list of (what, why, remedy)
    notes : list of str
    """

    matrices: Matrices
    tau: float
    r: float
    leak: float
    how_leak: str
    integrator: str
    folded: str = ""
    affine: bool = False
    nested: str = ""
    threshold: float = 0.0
    losses: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def cast(name: str, values: Any, dtype: Float) -> Array:
    """Return values in a dtype; those beyond its range are refused, not clipped.

    Raises
    ------
    InputError
        If a finite value becomes infinite.
    """
    with np.errstate(over="ignore"):
        out = np.ascontiguousarray(np.asarray(values).astype(dtype))
    if not np.isfinite(out).all():
        largest = float(np.abs(values).max())
        raise InputError(f"{name} holds {largest:.3g}, which {dtype} cannot; take dtype = 'float64'")
    return out


def _float(value: float, dtype: Float) -> float:
    return float(dtype.type(value))


def exact_quotient(whole: float, part: float, dtype: Float) -> float:
    """Return the number t of a dtype for which whole/t comes nearest to ``part``; often the quotient is exact."""
    kind = dtype.type
    guess = kind(whole / part)
    near = [guess, np.nextafter(guess, kind(0)), np.nextafter(guess, kind(np.inf))]
    return float(min(near, key=lambda t: abs(whole / float(t) - part)))


def euler(net: Network, dt: float, dtype: Float) -> Reading:
    """Forward Euler, ``v += dt/τ ((v_leak - v) + r I)``: τ = dt/α and r = 1, weights as they are."""
    tau = exact_quotient(dt, net.leak, dtype)
    B, W, A = (cast(k, m, dtype) for k, m in (("B", net.B), ("W", net.W), ("A", net.A)))
    notes = []
    if net.leak == 1.0:
        notes.append(
            "leak = 1: τ equals dt, so one Euler step replaces the whole state; a tool that integrates exactly, or "
            "with another dt, would keep some of it"
        )
    return Reading(
        Matrices(B, W, A, B.astype(np.float64), W.astype(np.float64)), tau, 1.0, dt / tau,
        f"as τ = dt/α = {tau:.6g} s with dt = {dt:.6g} s", "forward Euler, v += dt/tau ((v_leak - v) + r I)",
        notes=notes,
    )  # fmt: skip


def _folded(net: Network, decay: float, gain: float, dtype: Float) -> Matrices:
    """Return what makes ``v <- decay·v + gain (W' v + B' x)`` the network's step, and what that then means.

    The rest of the leak, which ``decay`` misses by the rounding of the tool's own numbers or on purpose, goes to the
    diagonal of W'. Without it, a decay of 0.9 in single precision errs by 2e-8, which a slow mode adds up to 1e-6.
    """
    rest = (1.0 - net.leak - decay) * np.eye(net.n_rec)
    W = cast("W", (net.leak * net.W + rest) / gain, dtype)
    B = cast("B", net.leak * net.B / gain, dtype)
    meant_W = (gain * W.astype(np.float64) - rest) / net.leak
    return Matrices(B, W, cast("A", net.A, dtype), gain * B.astype(np.float64) / net.leak, meant_W)


def _exp(x: Any, dtype: Float) -> float:
    """Return exp(x) as a tool has it that calculates in a dtype: x in it, and the result the nearest number of it."""
    return _float(math.exp(float(x)), dtype)


def sinabs(net: Network, dt: float, dtype: Float) -> Reading:
    """Decay exp(-1/τ) with τ in steps and no factor on the input: αW and αB; Affine nodes only."""
    tau = _float(SMALL_TAU if net.leak == 1.0 else -1.0 / math.log1p(-net.leak), dtype)
    decay = _exp(dtype.type(-1) / dtype.type(tau), dtype)
    notes = [STEPWISE.format("sinabs")]
    if net.leak == 1.0:
        notes.append(f"leak = 1: no τ decays at once, so τ = {SMALL_TAU:g} steps, whose decay exp(-1024) is 0")
    return Reading(
        _folded(net, decay, 1.0, dtype), tau, 1.0, net.leak, how_leak=f"as τ = -1/ln(1-α) = {tau:.6g} steps{DIAGONAL}",
        integrator="exponential, v = exp(-1/tau) v + I, tau in steps", folded=f"times α = {net.leak:g}", affine=True,
        notes=notes,
    )  # fmt: skip


def rockpool(net: Network, dt: float, dtype: Float) -> Reading:
    """Rockpool's exponential synapse, ``v = β (v + I)``, β = exp(-1/(1+r)), τ cast to a whole number.

    β (I + W') must be the transition ``(1-α) I + α W``, which it is for every β > 0 with W' = transition/β - I and
    B' = α B/β. β = 1-α leaves W' without a diagonal of its own; where that is below 1/2 the diagonal takes the rest.
    """
    r = _float(-1.0 / math.log(max(1.0 - net.leak, 0.5)) - 1.0, dtype)
    decay = _exp(-(dtype.type(1) / (dtype.type(1) + dtype.type(r))), dtype)
    notes = [STEPWISE.format("rockpool")]
    if net.leak > 0.5:
        notes.append(
            f"leak above 1/2: β = 1/2, and a diagonal of {(0.5 - net.leak) / 0.5:+.3g} in W takes the rest of the old "
            f"state away"
        )
    return Reading(
        _folded(net, decay, decay, dtype), 1.0, r, net.leak,
        how_leak=f"as β = exp(-1/(1+r)) = {decay:.6g} with τ = 1 and r = {r:.6g}{DIAGONAL}",
        integrator="rockpool ExpSynTorch, v = beta (v + I), beta = exp(-1/(1+r))",
        folded=f"times α/β = {net.leak / decay:.6g}", notes=notes,
    )  # fmt: skip


def spyx(net: Network, dt: float, dtype: Float) -> Reading:
    """Spyx's recurrent LIF, ``V = β V + I + W' s``, in a subgraph of four nodes, with threshold 0 and αW, αB.

    Its neuron spikes; only after its activation is set to the identity is s = V and the network linear.
    """
    tau = exact_quotient(dt, net.leak, dtype)
    decay = float(dtype.type(1) - dtype.type(dt) / dtype.type(tau))
    return Reading(
        _folded(net, decay, 1.0, dtype), tau, 1.0, net.leak, how_leak=f"as β = 1 - dt/τ, τ = {tau:.6g} s{DIAGONAL}",
        integrator="spyx RLIF, V = (1 - dt/tau) V + I + W s", folded=f"times α = {net.leak:g}", nested="LIF",
        losses=[(
            "linear activation", "Spyx has no recurrent neuron that does not spike, so the file holds LIF neurons with "
            "threshold 0", "after from_nir set model.layers[1].spike = lambda v: v",
        )],
        notes=["Spyx emits the state from before the step: its output at step t is y of step t-1"],
    )  # fmt: skip


Dialect = Callable[[Network, float, Float], Reading]
DIALECTS: dict[str, Dialect] = {
    "standard": euler, "nir104": euler, "sinabs": sinabs, "rockpool": rockpool, "spyx": spyx,
}  # fmt: skip
"""Ways of writing a network, by the tool that reads it. ``nir104`` is for nir up to 1.0.4, which sinabs and rockpool
ask for: what is standard here holds nothing that came later, so it is the same."""
