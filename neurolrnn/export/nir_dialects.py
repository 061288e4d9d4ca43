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


STEPWISE = "{} keeps states in its layers: call it with one step of one sequence at a time, and hand its state on"


@dataclass(frozen=True, eq=False)
class Reading:
    """A network as one dialect writes it.

    Attributes
    ----------
    B, W, A : array
        What is written, (out, in).
    tau, r : float
        What is written for every unit.
    leak : float
        α that the tool's own step makes of it.
    meant_B, meant_W : array
        B and W that the tool's step makes of what is written, in the units of the network.
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

    B: Array
    W: Array
    A: Array
    tau: float
    r: float
    leak: float
    meant_B: NDArray[np.float64]
    meant_W: NDArray[np.float64]
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
        B, W, A, tau, 1.0, dt / tau, B.astype(np.float64), W.astype(np.float64),
        f"as τ = dt/α = {tau:.6g} s with dt = {dt:.6g} s", "forward Euler, v += dt/tau ((v_leak - v) + r I)",
        notes=notes,
    )  # fmt: skip


def sinabs(net: Network, dt: float, dtype: Float) -> Reading:
    """Decay exp(-1/τ) with τ in steps and no factor on the input: αW and αB; Affine nodes only."""
    tau = _float(SMALL_TAU if net.leak == 1.0 else -1.0 / math.log1p(-net.leak), dtype)
    leak = -math.expm1(-1.0 / tau)
    B, W, A = (cast(k, m, dtype) for k, m in (("B", net.leak * net.B), ("W", net.leak * net.W), ("A", net.A)))
    notes = [STEPWISE.format("sinabs")]
    if net.leak == 1.0:
        notes.append(f"leak = 1: no τ decays at once, so τ = {SMALL_TAU:g} steps, whose decay exp(-1024) is 0")
    return Reading(
        B, W, A, tau, 1.0, leak, B / net.leak, W / net.leak, f"as τ = -1/ln(1-α) = {tau:.6g} steps",
        "exponential, v = exp(-1/tau) v + I, tau in steps", f"times α = {net.leak:g}", affine=True, notes=notes,
    )  # fmt: skip


def rockpool(net: Network, dt: float, dtype: Float) -> Reading:
    """Rockpool's exponential synapse, ``v = β (v + I)``, β = exp(-1/(1+r)), τ cast to a whole number.

    β (I + W') must be the transition ``(1-α) I + α W``, which it is for every β > 0 with W' = transition/β - I and
    B' = α B/β. β = 1-α leaves W' without a diagonal of its own; where that is below 1/2 the diagonal takes the rest.
    """
    keep = 1.0 - net.leak
    wanted = keep if keep >= 0.5 else 0.5
    r = _float(-1.0 / math.log(wanted) - 1.0, dtype)
    beta = math.exp(-1.0 / (1.0 + r))
    eye = np.eye(net.n_rec)
    # W' = (α W + (keep - β) I)/β, in this order so that nothing is lost where keep = β.
    recurrent = (net.leak * net.W + (keep - wanted) * eye) / wanted
    B, W, A = (
        cast(k, m, dtype) for k, m in (("B", net.leak * net.B / wanted), ("W", recurrent), ("A", net.A))
    )  # fmt: skip
    meant_W = (beta * W.astype(np.float64) + (beta - keep) * eye) / net.leak
    rest = "" if wanted == keep else f", diagonal {(keep - wanted) / wanted:+.3g}"
    notes = [STEPWISE.format("rockpool")]
    if net.leak == 1.0:
        notes.append("leak = 1: β = 1/2, and a diagonal of -1 in W takes the rest of the old state away")
    return Reading(
        B, W, A, 1.0, r, net.leak, beta * B.astype(np.float64) / net.leak, meant_W,
        f"as β = exp(-1/(1+r)) = {wanted:.6g} with τ = 1 and r = {r:.6g}",
        "rockpool ExpSynTorch, v = beta (v + I), beta = exp(-1/(1+r))", f"times α/β = {net.leak / wanted:.6g}{rest}",
        notes=notes,
    )  # fmt: skip


def spyx(net: Network, dt: float, dtype: Float) -> Reading:
    """Spyx's recurrent LIF, ``V = β V + I + W' s``, in a subgraph of four nodes, with threshold 0 and αW, αB.

    Its neuron spikes; only after its activation is set to the identity is s = V and the network linear.
    """
    tau = exact_quotient(dt, net.leak, dtype)
    B, W, A = (cast(k, m, dtype) for k, m in (("B", net.leak * net.B), ("W", net.leak * net.W), ("A", net.A)))
    return Reading(
        B, W, A, tau, 1.0, dt / tau, B / net.leak, W / net.leak, f"as β = 1 - dt/τ, τ = {tau:.6g} s",
        "spyx RLIF, V = (1 - dt/tau) V + I + W s", f"times α = {net.leak:g}", nested="LIF", threshold=0.0,
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
