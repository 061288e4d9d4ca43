"""Cores that hold, for each incoming axon, a list of synapses."""

from __future__ import annotations

from collections.abc import Mapping

from neurolrnn_hardware.demand import Demand
from neurolrnn_hardware.limits import Limits
from neurolrnn_hardware.packing import list_bits, stored_bits
from neurolrnn_hardware.placement_parts import (
    Load,
    Placement,
    Use,
    chip_totals,
    counts,
    fans,
    fill,
    fullest,
    hosted,
    neuron_bits,
    synapse_extra_bits,
    with_axons_out,
)


def place_cores(demand: Demand, limits: Limits) -> Placement:
    """Lay out on cores that hold, for each incoming axon, a list of synapses.

    An axon is a sending neuron and a connection: connections may differ in format and exponent.
    """
    populations = hosted(demand)
    units = {p.name: p.units for p in demand.populations}
    bits_of = {p.name: neuron_bits(demand, p.name) for p in populations}
    lists = []
    for c in demand.connections:
        extra = synapse_extra_bits(demand, c)
        tag = limits.chip.packing.tag.value or 0
        lists.append((c, stored_bits(limits, c.weight.bits, c.plastic) + max(0, extra - (tag if c.plastic else 0))))

    def load(held: Mapping[str, int]) -> Load:
        neurons = sum(held.values())
        index = max((neurons - 1).bit_length(), 1)
        axons = synapse_bits = 0
        for c, width in lists:
            k = held.get(c.post, 0)
            if not k:
                continue
            here = k * c.fan_in
            senders = units[c.pre] if c.dense else min(units[c.pre], here)
            axons += senders
            each, longer = divmod(here, max(senders, 1))
            which = 0 if c.dense else index
            synapse_bits += (senders - longer) * list_bits(limits, each, width, c.plastic, which)
            synapse_bits += longer * list_bits(limits, each + 1, width, c.plastic, which) if longer else 0
        state = sum(k * bits_of[name] for name, k in held.items())
        return {
            "topology.neurons_per_core": neurons,
            "topology.axons_in_per_core": axons,
            "memory.synapse_per_core": -(-synapse_bits // 8),
            "memory.neuron_per_core": -(-state // 8),
            "memory.core": -(-(synapse_bits + state) // 8),
        }

    groups = with_axons_out(fill(populations, load, limits), demand)
    uses = [Use("topology.cores", sum(g.cores for g in groups), "cores that are used")]
    uses += fullest(groups, "the fullest core")
    uses += chip_totals(demand, sum(g.cores * g.used["memory.core"] for g in groups))
    uses += fans(demand, limits, groups)
    kept = [u for u in uses if counts(u.limit, limits)]
    return Placement("cores", tuple(groups), tuple(kept), notes=_notes(demand))


def _notes(demand: Demand) -> tuple[str, ...]:
    copied = [c.name for c in demand.connections if c.transposed]
    return (f"{', '.join(copied)}: weights read against their direction are stored a second time",) if copied else ()
