"""From Brian2 back to a network: weights and constants of what was built, or of what someone else built alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.spiking.micro import macro_network

if TYPE_CHECKING:
    import brian2

    from neurolrnn.spiking.brian import Brian2Network


def matrix(synapses: Any) -> NDArray[np.float64]:
    """Return the weights ``w`` of a Synapses object, (n_post, n_pre), 0 where there is no synapse."""
    out = np.zeros((len(synapses.target), len(synapses.source)))
    np.add.at(out, (np.asarray(synapses.j[:]), np.asarray(synapses.i[:])), np.asarray(synapses.w[:], np.float64))
    return out


def micro_weights(objects: dict[str, Any], leak: float) -> Network:
    """Return the weights of a model's parts, with those of learned factors added."""
    A, W, B = (matrix(objects[name]) for name in ("output_weights", "recurrent_weights", "input_weights"))
    if "recurrent_factors" in objects:
        R = matrix(objects["feedback_weights"]).T
        W = W + R.T @ matrix(objects["recurrent_factors"])
        B = B + R.T @ matrix(objects["input_factors"])
    return Network(A, W, B, leak)


def from_brian2(network: Brian2Network | brian2.Network, *, micro_steps: int = 1, leak: float | None = None) -> Network:
    """Read a network back out of Brian2.

    Parameters
    ----------
    network : Brian2Network or brian2.Network
        One that :func:`to_brian2` made, or one with parts of the same names: groups ``inputs``, ``units`` and
        ``outputs``, synapses ``input_weights``, ``recurrent_weights`` and ``output_weights`` with a weight ``w``, and
        a constant ``gain`` (1 - λ) in the namespace of ``units``.
    micro_steps : int
        Steps of the spiking network per step of the network; taken from a :class:`Brian2Network`.
    leak : float, optional
        α of the network, where there are several micro-steps; default 1 - λ^micro_steps.

    Returns
    -------
    Network
        Per step of the network; learned weights included.

    Raises
    ------
    InputError
        If a part is missing or its weights are integers, whose format Brian2 does not know.
    """
    from neurolrnn.spiking.brian import Brian2Network

    if isinstance(network, Brian2Network):
        plan = network.plan
        if plan.fixed is not None:
            return plan.network
        return macro_network(micro_weights(network.objects, plan.micro.leak), plan.micro_steps, plan.network.leak)
    objects = {part.name: part for part in network.sorted_objects}
    for name in ("units", "output_weights", "recurrent_weights", "input_weights"):
        if name not in objects:
            raise InputError(
                f"the Brian2 network has no part named {name!r}, only {', '.join(sorted(objects))}; name "
                f"groups and synapses as to_brian2 does"
            )
    namespace = objects["units"].namespace or {}
    if "gain" not in namespace:
        raise InputError("the group 'units' has no constant gain (1 - λ) in its namespace; add it")
    gain = float(namespace["gain"])
    if not 0.0 < gain <= 1.0:
        raise InputError(f"gain = {gain:g}; a network in floating point has 1 - λ in (0, 1]. Integers have no values")
    micro = micro_weights(objects, gain)
    return macro_network(micro, micro_steps, 1.0 - (1.0 - gain) ** micro_steps if leak is None else leak)
