"""A Brian2 model as plain data: what is built, printed and written out as a script is one description."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

REAL, INTEGER = "1", "integer"
SLOTS = ("start", "groups", "thresholds", "synapses", "resets", "end")
"""Parts of a Brian2 step, in the order in which they run."""
STEP_MS = 1.0
"""Simulated milliseconds of a micro-step; a mere label, since no equation holds a time."""


class Slot(NamedTuple):
    """Place in a Brian2 step: slots run in the order start, groups, thresholds, synapses, resets, end."""

    when: str
    order: int


class Operation(NamedTuple):
    """Statements that run at every step on a group or on the synapses of a connection."""

    owner: str
    code: str
    slot: Slot
    event: str | None = None
    """Only where this event happened."""


@dataclass(frozen=True)
class Group:
    """A NeuronGroup."""

    name: str
    size: int
    variables: tuple[str, ...]
    events: dict[str, str] = field(default_factory=dict)
    """Condition of each event; the event ``spike`` is the group's threshold."""
    linked: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Variables that are another group's one value."""


@dataclass(frozen=True, eq=False)
class Connection:
    """A Synapses object, with one weight ``w`` for each entry of ``weights`` that exists."""

    name: str
    source: str
    target: str
    weights: NDArray[np.float64 | np.int64] | None
    """(n_post, n_pre), or None where synapses carry no weight."""
    exists: NDArray[np.bool_]
    """(n_post, n_pre)."""
    summed: dict[str, tuple[str, Slot]] = field(default_factory=dict)
    """Variable of the target (``x_post``) or source (``x_pre``) that is a sum over synapses at every step."""
    on_event: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    """Pathway: event of the source, statements, order."""

    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return sources and targets of all synapses, by source, then target."""
        pre, post = np.nonzero(self.exists.T)
        return pre, post


@dataclass(frozen=True, eq=False)
class Blueprint:
    """Groups, connections, statements, constants and inputs of a model."""

    title: str
    number: str
    """:data:`REAL` or :data:`INTEGER`."""
    constants: dict[str, float | int]
    arrays: dict[str, NDArray[np.float64 | np.int64]]
    """Input over steps: (steps, channels) or (steps,)."""
    groups: tuple[Group, ...]
    connections: tuple[Connection, ...]
    operations: tuple[Operation, ...]
    recorded: dict[str, tuple[str, str, Slot]]
    """What each record is: group, variable and when it is read."""
    events: dict[str, tuple[str, str, str | None]]
    """Event monitors: group, event and the variable read with it."""

    def equations(self, group: Group) -> str:
        """Return the equations of a group as Brian2 reads them."""
        lines = [f"{name} : {self.number}" for name in group.variables]
        lines += [f"{name} : {self.number} (linked)" for name in group.linked]
        return "\n".join(lines)

    def model(self, connection: Connection) -> str:
        """Return the equations of a connection as Brian2 reads them."""
        lines = [] if connection.weights is None else [f"w : {self.number}"]
        lines += [f"{name} = {text} : {self.number} (summed)" for name, (text, _) in connection.summed.items()]
        return "\n".join(lines)

    def group(self, name: str) -> Group:
        """Return a group by its name."""
        return next(g for g in self.groups if g.name == name)

    def describe(self) -> str:
        """Return what is built, in words: equations, slots, constants and synapse counts."""
        lines = [self.title, "", "constants"]
        lines += [f"  {name} = {value!r}" for name, value in self.constants.items()]
        lines += ["", "groups"]
        for g in self.groups:
            lines.append(f"  {g.name}: {g.size} x ({', '.join((*g.variables, *g.linked))})")
            lines += [f"    event {event}: {condition}" for event, condition in g.events.items()]
        lines += ["", "connections"]
        for c in self.connections:
            lines.append(f"  {c.name}: {c.source} -> {c.target}, {int(c.exists.sum())} synapses")
        lines += ["", "one step (Brian2 slots in the order in which they run)"]
        lines += [f"  {slot.when:>10} {slot.order:>4}  {where}: {code}" for slot, where, code in self.schedule()]
        return "\n".join(lines)

    def schedule(self) -> list[tuple[Slot, str, str]]:
        """Return everything that happens in a step, in its order."""
        rows = [(o.slot, o.owner + (f" at {o.event}" if o.event else ""), o.code) for o in self.operations]
        for c in self.connections:
            rows += [(slot, c.name, f"{name} = sum({text})") for name, (text, slot) in c.summed.items()]
            rows += [(Slot("synapses", k), f"{c.name} at {e}", code) for e, code, k in c.on_event.values()]
        for g in self.groups:
            rows += [(Slot("thresholds", 0), g.name, f"{event} where {test}") for event, test in g.events.items()]
        flat = [(slot, owner, "; ".join(code.splitlines())) for slot, owner, code in rows]
        return sorted(flat, key=lambda row: (SLOTS.index(row[0].when), row[0].order))
