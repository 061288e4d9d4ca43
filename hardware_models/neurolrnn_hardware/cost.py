"""Energy and time of a step: intervals from published figures per operation, unknown where there is no figure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import cast

from neurolrnn_hardware.demand import Demand
from neurolrnn_hardware.limits import Limits
from neurolrnn_hardware.placement_parts import Placement
from neurolrnn_hardware.sheet_fields import Fact

Interval = tuple[float, float]


@dataclass(frozen=True)
class CostItem:
    """One kind of operation.

    Parameters
    ----------
    name : str
        Name of the figure in the sheet.
    what : str
        The operation in words.
    count : tuple of float
        How many a step, fewest and most: where neurons spike, none of them may, or all.
    energy_pj : tuple of float or None
        Energy of all of them in picojoules, least and most; None where no figure is known.
    source, grade : str
        Where the figure stands, and how sure it is.
    """

    name: str
    what: str
    count: Interval
    energy_pj: Interval | None
    source: str
    grade: str


@dataclass(frozen=True)
class Cost:
    """Energy and time of one step of learning.

    Parameters
    ----------
    items : tuple of CostItem
        What costs energy.
    energy_pj : tuple
        Sum of the known items, least and most in picojoules; most is None where an item is not known.
    step_us : tuple or None
        Duration of a step in microseconds, most None where only a lower bound is known; None where nothing is.
    step_source : str
        Where that stands.
    """

    items: tuple[CostItem, ...]
    energy_pj: tuple[float, float | None]
    step_us: tuple[float, float | None] | None
    step_source: str

    def to_dict(self) -> dict[str, object]:
        """Return plain data, as JSON holds it."""
        return asdict(self)

    def text(self) -> str:
        """Return it in a few lines."""
        lines = [f"energy a step: {span(self.energy_pj, 'pJ')}"]
        for item in self.items:
            energy = "unknown" if item.energy_pj is None else span(item.energy_pj, "pJ")
            lines.append(f"  {item.what}: {energy}, {span(item.count, 'a step')} ({item.source}, grade {item.grade})")
        step = "unknown" if self.step_us is None else f"{span(self.step_us, 'us')} ({self.step_source})"
        return "\n".join([*lines, f"time of a step: {step}"])


def span(ends: tuple[float, float | None], unit: str) -> str:
    """Return an interval as text."""
    low, high = ends
    if high is None:
        return f"at least {low:,.4g} {unit}, the rest unknown" if low else "unknown"
    return f"{low:,.4g} {unit}" if low == high else f"{low:,.4g} to {high:,.4g} {unit}"


def cost(demand: Demand, placement: Placement, limits: Limits) -> Cost:
    """Return what a step costs.

    Every synapse, neuron and message counts once per step and sequence; figures are those of the sheet, with those of
    texts that disagree as further ends of the interval. Hops between cores are left out.
    """
    lanes = demand.sizes.lanes
    events = limits.value("payload.form") in ("binary", "count")
    activity = sum(c.synapses for c in demand.connections if c.carries == "activity") * lanes
    learning = sum(c.synapses for c in demand.connections if c.plastic) * lanes
    sent = sum(m.per_step for m in demand.messages if m.kind == "activity" and m.connections)
    counts: list[tuple[str, str, Interval]] = [
        ("synaptic_operation", "synapses", (0 if events else activity, activity)),
        ("neuron_update", "neurons", (demand.units * lanes, demand.units * lanes)),
        ("message", "messages", (0 if events else sent, sent)),
    ]
    if learning and limits.value("learning.available") is not False:
        counts.insert(1, ("learning_operation", "updates of synapses", (0 if events else learning, learning)))
    items = []
    for name, what, count in counts:
        fact = limits.fact(f"energy.{name}")
        if name == "message" and not fact.known:
            continue  # part of a synapse's energy in most texts; a figure of its own is shown where there is one
        each = ends(fact)
        energy = None if each is None else (count[0] * each[0], count[1] * each[1])
        items.append(CostItem(f"energy.{name}", what, count, energy, fact.source, fact.grade))
    low = sum(i.energy_pj[0] for i in items if i.energy_pj is not None)
    known = all(i.energy_pj is not None for i in items)
    high = sum(i.energy_pj[1] for i in items if i.energy_pj is not None) if known else None
    return Cost(tuple(items), (low, high), *_step(limits))


def ends(fact: Fact[object]) -> Interval | None:
    """Return the widest interval that a figure and those of other texts span, None where there is none."""
    found = [cast("Interval", f.value) for f in (fact, *fact.also) if f.value is not None]
    return (min(f[0] for f in found), max(f[1] for f in found)) if found else None


def _step(limits: Limits) -> tuple[tuple[float, float | None] | None, str]:
    step, barrier = ends(limits.fact("time.step")), ends(limits.fact("time.barrier"))
    if step is not None:
        return step, limits.fact("time.step").source
    if barrier is not None:
        return (barrier[0] / 1000.0, None), limits.fact("time.barrier").source + ", synchronisation alone"
    return None, limits.fact("time.step").source
