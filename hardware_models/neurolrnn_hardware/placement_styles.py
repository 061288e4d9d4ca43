"""The ways in which chips lay out synapses, beside lists in cores."""

from __future__ import annotations

from collections.abc import Mapping

from neurolrnn_hardware.demand import Connection, Demand
from neurolrnn_hardware.limits import Limits
from neurolrnn_hardware.packing import container_bits, stored_bits
from neurolrnn_hardware.placement_parts import (
    CoreGroup,
    Load,
    Placement,
    Use,
    chip_totals,
    counts,
    fans,
    fill,
    fullest,
    hosted,
    incoming,
    neuron_bits,
)


def place_crossbar(demand: Demand, limits: Limits) -> Placement:
    """Lay out on cores with a full matrix of axons by neurons.

    A signed weight takes two neurons of either sign where a sign belongs to the sending neuron, and one axon per bit
    where a synapse is a bit that selects one of a neuron's values.
    """
    populations = hosted(demand)
    units = {p.name: p.units for p in demand.populations}
    widest = max((c.weight.bits for c in demand.connections if not c.transposed), default=1)
    own = limits.value("weight.bits")
    by_bits = own == 1 and limits.value("weight.shared_values") is not None
    doubled = limits.value("weight.sign_scope") == "pre-neuron"
    copies = 2 if doubled else min(widest, limits.value("weight.shared_values") or widest) if by_bits else 1
    sends = {c.pre for c in demand.connections}
    neurons_of = {p.name: 2 if doubled and p.name in sends else 1 for p in populations}
    bits_of = {p.name: neuron_bits(demand, p.name) for p in populations}

    def senders(held: Mapping[str, int]) -> Load:
        found: Load = {}
        for c in demand.connections:
            k = held.get(c.post, 0)
            if k:
                here = units[c.pre] if c.dense else min(units[c.pre], k * c.fan_in)
                found[c.pre] = min(units[c.pre], here if c.dense else found.get(c.pre, 0) + here)
        return found

    def load(held: Mapping[str, int]) -> Load:
        return {
            "topology.neurons_per_core": sum(k * neurons_of[name] for name, k in held.items()),
            "topology.axons_in_per_core": copies * sum(senders(held).values()),
            "memory.neuron_per_core": -(-sum(k * neurons_of[name] * bits_of[name] for name, k in held.items()) // 8),
        }

    groups = fill(populations, load, limits)
    notes = []
    if doubled:
        notes.append("each sending unit is two neurons, one for each sign of its weights")
    if by_bits:
        notes.append(f"each sending unit reaches a core by {copies} axons, one per bit of the weights")
    if limits.value("topology.fan_out") == 1 and limits.value("topology.fan_out_counts") == "cores":
        inside = {p.name for p in populations}
        driven = sum(
            g.cores * copies * sum(n for name, n in senders(g.neurons).items() if name in inside) for g in groups
        )
        extra = max(0, driven - sum(units[name] for name in inside if name in sends))
        if extra:
            each = int(min(limits.most("topology.neurons_per_core"), extra))
            groups.append(CoreGroup(-(-extra // each), {"splitter": each}, {"topology.neurons_per_core": each}))
            notes.append(f"{extra:,} splitter neurons, since a neuron drives one axon")
    into = {p.name: copies * sum(c.fan_in for c in incoming(demand, p.name)) for p in populations}
    name = max(into, key=lambda n: into[n])
    uses = [
        Use("topology.cores", sum(g.cores for g in groups), "cores that are used"),
        *fullest(groups, "the fullest core"),
        Use("topology.fan_in", into[name], f"axons onto a neuron of {name}"),
    ]
    return Placement("crossbar", tuple(groups), _counted(uses, limits), notes=tuple(notes))


def place_rows(demand: Demand, limits: Limits) -> Placement:
    """Lay out on columns of neurons with rows of synapses; columns are merged where a neuron hears more than one has.

    A connection with both signs takes two rows per sending neuron where a sign belongs to a row.
    """
    double = 2 if limits.value("weight.sign_scope") == "row" else 1
    rows = limits.value("topology.rows_per_core") or limits.value("topology.fan_in")
    notes, merged = [], {}
    for p in hosted(demand):
        heard = sum(_rows(c, double) for c in incoming(demand, p.name))
        merged[p.name] = max(1, -(-heard // rows)) if rows else 1
        if merged[p.name] > 1:
            notes.append(f"each neuron of {p.name} is {merged[p.name]} merged circuits, for {heard:,} rows")

    def load(held: Mapping[str, int]) -> Load:
        return {"topology.neurons_per_core": sum(k * merged[name] for name, k in held.items())}

    groups = fill(hosted(demand), load, limits)
    circuits = sum(p.units * merged[p.name] for p in hosted(demand))
    if double == 2:
        notes.append("each sending neuron takes two rows, one for each sign of its weights")
    kept = demand.select(role=("trace", "history", "influence", "sum"))
    helper = [v for v in demand.select(role="weight") if v.owner == "feedback"]
    uses = [
        Use("topology.cores", sum(g.cores for g in groups), "halves that are used"),
        *fullest(groups, "circuits of the fullest half"),
        Use("topology.neurons", circuits, "neuron circuits together"),
        Use("topology.synapses", sum(c.synapses * double for c in demand.connections), "synapses together"),
    ]
    memory = -(-sum(v.bits for v in (*kept, *helper)) // 8)
    if memory and demand.learn:
        cores = int(min(limits.most("topology.cores"), 2**40))
        uses.append(Use("memory.core", -(-memory // cores), "what learning keeps, for each plasticity processor"))
    return Placement("rows", tuple(groups), _counted(uses, limits), notes=tuple(notes))


def _rows(c: Connection, double: int) -> int:
    return c.fan_in * (double if c.weight.signed else 1)


def place_matrices(demand: Demand, limits: Limits) -> Placement:
    """Lay out on one memory per matrix. Learning units of factored storage are counted among the recurrent ones."""
    sizes = _sizes(demand)
    inner = sizes["recurrent"] + sizes.get("learning", 0)
    width = {
        name: stored_bits(limits, demand.connection(name).weight.bits) for name in ("input", "recurrent", "readout")
    }
    uses = [
        Use("topology.inputs", sizes["input"], "inputs"),
        Use("topology.hidden", inner, "recurrent neurons"),
        Use("topology.outputs", sizes["output"], "outputs"),
        Use("memory.input_weights", -(-sizes["input"] * inner * width["input"] // 8), "the input matrix"),
        Use("memory.recurrent_weights", -(-inner * inner * width["recurrent"] // 8), "the recurrent matrix"),
        Use("memory.output_weights", -(-sizes["output"] * inner * width["readout"] // 8), "the read-out matrix"),
        Use(
            "memory.neuron_per_core", -(-sum(v.bits for v in demand.select(role="state")) // 8), "states of neurons"
        ),
    ]  # fmt: skip
    group = CoreGroup(1, {p.name: p.units for p in hosted(demand)}, {u.limit: u.asked for u in uses})
    extra = [c.name for c in demand.connections if c.name == "feedback" and not c.transposed]
    notes = [f"{name}: the chip has no matrix for it" for name in extra]
    return Placement("matrices", (group,), _counted(uses, limits), notes=tuple(notes))


def place_layers(demand: Demand, limits: Limits) -> Placement:
    """Lay out as inputs, one hidden population with recurrence, and outputs; fans are those of recurrent synapses."""
    sizes = _sizes(demand)
    inner = sizes["recurrent"] + sizes.get("learning", 0)
    looped = [c for c in demand.connections if c.name in ("recurrent", "coupling", "factor_recurrent")]
    bits = sum(
        stored_bits(limits, c.weight.bits, c.plastic) * c.synapses for c in demand.connections if not c.transposed
    )
    cores = limits.value("topology.cores")
    uses = [
        Use("topology.inputs", sizes["input"], "inputs"),
        Use("topology.hidden", inner, "recurrent neurons"),
        Use("topology.outputs", sizes["output"], "outputs"),
        Use("topology.recurrent_synapses", sum(c.synapses for c in looped), "recurrent synapses"),
        Use(
            "topology.fan_in", sum(c.fan_in for c in looped if c.post == "recurrent"),
            "recurrent synapses onto a neuron",
        ),
        Use("topology.fan_out", sum(c.fan_out for c in looped if c.pre == "recurrent"), "recurrent targets"),
        Use("topology.input_projection", inner, "recurrent neurons that inputs reach"),
        Use("topology.output_projection", inner, "recurrent neurons that outputs hear"),
        Use("topology.neurons", demand.units, "neurons together"),
        Use("memory.chip", -(-bits // 8), "weights together"),
        *([Use("topology.neurons_per_core", -(-demand.units // cores), "neurons of each core")] if cores else []),
    ]  # fmt: skip
    return Placement("layers", (), _counted(uses, limits))


def place_memory(demand: Demand, limits: Limits) -> Placement:
    """Lay out in memory that programs share, each number at a width a processor has.

    Where cores have memory of their own, what belongs to a neuron lies there and what belongs to a synapse in the
    shared memory.
    """
    index = limits.chip.packing.index.value or 0
    synapse_bits = 0
    for v in demand.select(place="synapse"):
        stored = stored_bits(limits, v.number.bits) if v.role == "weight" else v.number.bits
        synapse_bits += v.words * container_bits(stored + (index if v.role == "weight" else 0))
    other = {
        v.name: v.words * container_bits(v.number.bits)
        for v in demand.select(life=None) if v.place != "synapse"
    }  # fmt: skip
    if not limits.fact("memory.core").known:
        total = -(-(synapse_bits + sum(other.values())) // 8)
        used = {"memory.chip": total}
        group = CoreGroup(1, {p.name: p.units for p in hosted(demand)}, used)
        uses = [Use("topology.cores", 1, "cores that are used"), Use("memory.chip", total, "all numbers together")]
        return Placement("memory", (group,), _counted(uses, limits))
    populations = hosted(demand)
    owned = {
        p.name: -(-sum(other[v.name] for v in demand.variables if v.name in other and v.owner == p.name) // p.units)
        for p in populations
    }
    everywhere = sum(other[v.name] for v in demand.variables if v.name in other and v.owner not in owned)

    def load(held: Mapping[str, int]) -> Load:
        bits = everywhere + sum(k * owned[name] for name, k in held.items())
        return {"topology.neurons_per_core": sum(held.values()), "memory.core": -(-bits // 8)}

    groups = fill(populations, load, limits)
    uses = [
        Use("topology.cores", sum(g.cores for g in groups), "cores that are used"),
        *fullest(groups, "the fullest core"),
        *(u for u in chip_totals(demand, -(-synapse_bits // 8)) if u.limit != "topology.synapses"),
        *(u for u in fans(demand, limits, groups) if limits.fact(u.limit).known),
    ]
    return Placement("memory", tuple(groups), _counted(uses, limits))


def _sizes(demand: Demand) -> dict[str, int]:
    return {p.name: p.units for p in demand.populations}


def _counted(uses: list[Use], limits: Limits) -> tuple[Use, ...]:
    return tuple(u for u in uses if counts(u.limit, limits))
