"""Energy of a deployed network on a chip, from the events it sent and the figures of the chip's sheet."""

from __future__ import annotations

from neurolrnn.spiking.activity import Activity
from neurolrnn_hardware import catalogue
from neurolrnn_hardware.cost import Cost, CostItem, ends
from neurolrnn_hardware.limits import assume


def energy(work: Activity, chip: str) -> Cost:
    """Return the energy of one step of the network, in which events were counted, not assumed.

    Parameters
    ----------
    work : Activity
        Of a pass on typical data, from :func:`activity`.
    chip : str
        Name of a chip sheet; ``neurolrnn list chips`` shows them.

    Returns
    -------
    Cost
        Per item and in sum, intervals in picojoules, unknown where the sheet has no figure. Synapses of inputs count at
        every step. Duration of a step is not estimated.

    Notes
    -----
    :func:`neurolrnn.check` counts every synapse, or none, where neurons spike, because it runs nothing. Here it is what
    a pass needed. Whether the network fits the chip is another question, which ``check`` answers.
    """
    limits = assume(catalogue.load(chip))
    items = []
    for name, what, count in (
        ("synaptic_operation", "synapses", work.synaptic_operations + work.input_operations),
        ("neuron_update", "neurons", work.state_updates),
        ("message", "messages", work.messages),
    ):
        fact = limits.fact(f"energy.{name}")
        if name == "message" and not fact.known:
            continue  # part of a synapse's energy in most texts
        each = ends(fact)
        found = None if each is None else (count * each[0], count * each[1])
        items.append(CostItem(f"energy.{name}", what, (count, count), found, fact.source, fact.grade))
    known = [item.energy_pj for item in items if item.energy_pj is not None]
    low, high = sum(e[0] for e in known), sum(e[1] for e in known)
    return Cost(tuple(items), (low, high if len(known) == len(items) else None), None, "not estimated")
