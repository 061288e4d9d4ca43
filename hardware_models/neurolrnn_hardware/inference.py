"""The demand of a network that does not learn."""

from __future__ import annotations

from dataclasses import replace

from neurolrnn_hardware.demand import Demand, Variable
from neurolrnn_hardware.locality import Locality

LEARNED_BY = ("trace", "signal", "history", "influence", "sum")
FORWARD = ("current", "state", "readout", "coupling")


def without_learning(demand: Demand) -> Demand:
    """Return what the network alone asks for: weights as they are, states, and no part of the rule."""
    connections = tuple(replace(c, plastic=False) for c in demand.connections if c.carries == "activity")
    names = {c.name for c in connections}
    messages = tuple(m for m in demand.messages if m.kind == "activity")
    a = demand.arithmetic
    arithmetic = replace(
        a,
        landings=tuple(x for x in a.landings if x.variable in FORWARD),
        multiplications={k: v for k, v in a.multiplications.items() if k == "forward"},
    )
    held = tuple(replace(v, plastic=False) for v in demand.variables if _held(v, names))
    return replace(
        demand, learn=(), connections=connections, messages=messages, variables=held, arithmetic=arithmetic,
        locality=Locality(demand.rule, demand.storage, ()),
    )  # fmt: skip


def _held(v: Variable, connections: set[str]) -> bool:
    if v.role in LEARNED_BY and v.name != "coupling":
        return False
    return v.place != "synapse" or (v.owner in connections and not v.name.startswith("hidden_"))
