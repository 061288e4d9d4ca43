"""What a placement is made of, and how cores are filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from neurolrnn_hardware.demand import Connection, Demand, Population
from neurolrnn_hardware.limits import Limits

PER_CORE = (
    "topology.neurons_per_core", "topology.axons_in_per_core", "memory.synapse_per_core", "memory.neuron_per_core",
    "memory.core",
)  # fmt: skip
"""Limits that decide how many neurons share a core."""
Load = dict[str, int]
"""Amounts by limit."""


@dataclass(frozen=True)
class CoreGroup:
    """Cores that hold the same.

    Parameters
    ----------
    cores : int
        How many.
    neurons : dict of str to int
        Neurons of each population in each of them.
    used : dict of str to int
        What each of them uses, by limit.
    """

    cores: int
    neurons: Mapping[str, int]
    used: Mapping[str, int]


@dataclass(frozen=True)
class Use:
    """How much of a limit is asked for.

    Parameters
    ----------
    limit : str
        Name of the figure, ``section.field``.
    asked : int
        How much, in the figure's unit; the fullest core's where it is one of a core.
    where : str
        Of what, in words.
    """

    limit: str
    asked: int
    where: str


@dataclass(frozen=True)
class Placement:
    """A demand on a chip.

    Parameters
    ----------
    style : str
        How synapses are laid out, as the sheet says.
    groups : tuple of CoreGroup
        Cores that are used; empty where the chip is not counted by cores.
    uses : tuple of Use
        What is asked of every limit that counts.
    exponents : dict of str to int
        Exponent of two that the weights of each connection share: value = code * 2^exponent; fixed point only.
    notes : tuple of str
        How it was counted, where that is not obvious.
    """

    style: str
    groups: tuple[CoreGroup, ...] = ()
    uses: tuple[Use, ...] = ()
    exponents: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def cores(self) -> int:
        """Cores that are used."""
        return sum(g.cores for g in self.groups)

    def asked(self, limit: str) -> int:
        """Return how much of a limit is asked for.

        Raises
        ------
        KeyError
            If nothing is.
        """
        return {use.limit: use.asked for use in self.uses}[limit]

    def to_dict(self) -> dict[str, object]:
        """Return plain data, as JSON holds it."""
        return {
            "style": self.style,
            "cores": self.cores,
            "groups": [{"cores": g.cores, "neurons": dict(g.neurons), "used": dict(g.used)} for g in self.groups],
            "uses": [{"limit": u.limit, "asked": u.asked, "where": u.where} for u in self.uses],
            "exponents": dict(self.exponents),
            "notes": list(self.notes),
        }


def hosted(demand: Demand) -> tuple[Population, ...]:
    """Return the populations that the chip must hold."""
    return tuple(p for p in demand.populations if not p.outside and p.units)


def incoming(demand: Demand, population: str) -> list[Connection]:
    """Return the connections onto a population."""
    return [c for c in demand.connections if c.post == population]


def neuron_bits(demand: Demand, population: str) -> int:
    """Return the bits that are kept for each neuron of a population, whether it sends or receives by them."""
    kept = demand.select(place=("pre-neuron", "post-neuron"), owner=population)
    return -(-sum(v.bits for v in kept) // max(demand.population(population).units, 1))


def synapse_extra_bits(demand: Demand, connection: Connection) -> int:
    """Return the bits kept beside the weight of each synapse of a connection: traces, sums, finer weights."""
    if connection.transposed or not connection.synapses:
        return 0
    kept = [v for v in demand.select(place="synapse", owner=connection.name) if v.name != connection.variable]
    return -(-sum(v.bits for v in kept if v.role != "index") // connection.synapses)


def fill(
    populations: tuple[Population, ...], load: Callable[[Mapping[str, int]], Load], limits: Limits
) -> list[CoreGroup]:
    """Fill cores one after the other.

    Parameters
    ----------
    populations : tuple of Population
        What to place, in this order; a core may hold parts of several.
    load : callable
        What a core uses that holds so many neurons of each population; must not fall when there are more.
    limits : Limits
        Only :data:`PER_CORE` decide.
    """
    most = {limit: limits.most(limit) for limit in PER_CORE}

    def fits(held: Mapping[str, int]) -> bool:
        return all(used <= most.get(limit, float("inf")) for limit, used in load(held).items())

    def room(held: Mapping[str, int], name: str, wanted: int) -> int:
        low, high = 0, wanted  # held + low fits; held + high + 1 is not asked for
        while low < high:
            middle = (low + high + 1) // 2
            if fits({**held, name: held.get(name, 0) + middle}):
                low = middle
            else:
                high = middle - 1
        return low

    groups: list[CoreGroup] = []
    held: dict[str, int] = {}

    def close(cores: int = 1) -> None:
        groups.append(CoreGroup(cores, dict(held), load(held)))
        held.clear()

    for population in populations:
        left = population.units
        while left:
            count = room(held, population.name, left)
            if not count and held:
                close()
                continue
            count = max(count, 1)
            if not held and count < left:
                held[population.name] = count
                close(left // count)
                left %= count
                continue
            held[population.name] = held.get(population.name, 0) + count
            left -= count
    if held:
        close()
    return groups


def fullest(groups: list[CoreGroup], where: str) -> list[Use]:
    """Return what the fullest core uses of every limit."""
    limits = dict.fromkeys(limit for g in groups for limit in g.used)
    return [Use(limit, max(g.used.get(limit, 0) for g in groups), where) for limit in limits]


OPTIONAL = (
    "topology.inputs", "topology.hidden", "topology.outputs", "topology.synapses", "topology.neurons",
    "topology.recurrent_synapses", "topology.input_projection", "topology.output_projection", "topology.fan_out",
    "memory.chip", "memory.core", "memory.neuron_per_core", "memory.routing_per_core",
)  # fmt: skip
"""Limits that count only where the sheet names them: silence about them is no gap, since others say the same."""


def counts(limit: str, limits: Limits) -> bool:
    """Whether a limit is one of this chip: named by its sheet, or one that must be known."""
    return limit not in OPTIONAL or limits.fact(limit).stated


def chip_totals(demand: Demand, memory: int) -> list[Use]:
    """Return what the whole chip is asked for."""
    return [
        Use("topology.neurons", demand.units, "neurons together"),
        Use("topology.synapses", demand.synapses, "synapses together"),
        Use("memory.chip", memory, "all memory together"),
    ]


def with_axons_out(groups: list[CoreGroup], demand: Demand) -> list[CoreGroup]:
    """Add, to each core, the edges that leave it: one per neuron, connection and core that holds its targets."""
    holding = {p.name: sum(g.cores for g in groups if p.name in g.neurons) for p in demand.populations}
    out = []
    for g in groups:
        edges = sum(
            k * min(holding.get(c.post, 0), c.fan_out) for name, k in g.neurons.items() for c in demand.connections
            if c.pre == name
        )  # fmt: skip
        out.append(replace(g, used={**g.used, "topology.axons_out_per_core": edges}))
    return out


def fans(demand: Demand, limits: Limits, groups: list[CoreGroup]) -> list[Use]:
    """Return the largest fan-in and fan-out of a neuron."""
    into = {p.name: sum(c.fan_in for c in incoming(demand, p.name)) for p in hosted(demand)}
    name = max(into, key=lambda n: into[n])
    uses = [Use("topology.fan_in", into[name], f"synapses onto a neuron of {name}")]
    holding = {p.name: sum(g.cores for g in groups if p.name in g.neurons) for p in demand.populations}
    by_core = limits.value("topology.fan_out_counts") != "neurons"
    out = {
        p.name: sum(holding.get(c.post, 0) if by_core else c.fan_out for c in demand.connections if c.pre == p.name)
        for p in hosted(demand)
    }
    name = max(out, key=lambda n: out[n])
    what = "cores that hear" if by_core else "targets of"
    return [*uses, Use("topology.fan_out", out[name], f"{what} a neuron of {name}")]
