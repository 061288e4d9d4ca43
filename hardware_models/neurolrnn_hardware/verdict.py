"""Whether a demand fits a chip: placement, findings, utilisation and cost together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

from neurolrnn_hardware.arithmetic_limits import check_arithmetic
from neurolrnn_hardware.chip import Chip
from neurolrnn_hardware.cost import Cost, cost
from neurolrnn_hardware.demand import Demand
from neurolrnn_hardware.findings import Finding, Findings
from neurolrnn_hardware.learning_limits import check_learning
from neurolrnn_hardware.limits import Limits
from neurolrnn_hardware.placement import Placement, Use, place

SMALLER = "fewer units, rule.storage = 'factored', network.kind = 'block' or 'sparse', or narrower formats"
REMEDIES = {
    "topology.cores": SMALLER,
    "topology.inputs": "a task with fewer inputs",
    "topology.outputs": "a task with fewer outputs",
    "topology.hidden": "network.n_rec smaller",
    "topology.neurons": "network.n_rec smaller, or fewer synapses onto a neuron",
    "topology.neurons_per_core": "network.n_rec smaller",
    "topology.fan_in": "network.n_rec smaller, or network.kind = 'block' or 'sparse'",
    "topology.fan_out": "network.n_rec smaller, or network.kind = 'block' or 'sparse'",
    "topology.axons_in_per_core": "network.n_rec smaller",
    "topology.axons_out_per_core": "network.n_rec smaller, or network.kind = 'block'",
    "topology.input_projection": "network.n_rec smaller",
    "topology.output_projection": "network.n_rec smaller",
    "topology.recurrent_synapses": "network.n_rec smaller, or network.kind = 'block' or 'sparse'",
    "topology.synapses": SMALLER,
}
"""Ways out where a placement asks too much; of memory it is :data:`SMALLER`."""


@dataclass(frozen=True)
class Resource:
    """How much of a limit is used.

    Parameters
    ----------
    limit : str
        Name of the figure.
    used : int
        In the figure's unit; that of the fullest core where it is one of a core.
    available : float or None
        The figure; infinite where there is no limit, None where it is not known.
    unit, where, source, grade : str
        Unit, what uses it, where the figure stands and how sure it is.
    """

    limit: str
    used: int
    available: float | None
    unit: str
    where: str
    source: str
    grade: str

    @property
    def share(self) -> float | None:
        """Used part, 1 for all of it; None where the limit is not known."""
        if self.available is None:
            return None
        if self.available == 0:
            return math.inf if self.used else 0.0
        return self.used / self.available

    def to_dict(self) -> dict[str, object]:
        """Return plain data, as JSON holds it; no limit is written as the text "unlimited"."""
        available = "unlimited" if self.available == math.inf else self.available
        return {
            "limit": self.limit, "used": self.used, "available": available, "unit": self.unit,
            "share": self.share, "where": self.where, "source": self.source, "grade": self.grade,
        }  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What a chip says to a demand.

    Parameters
    ----------
    limits : Limits
        The chip, under assumptions.
    demand : Demand
        What was asked for.
    placement : Placement
        Where it lies.
    resources : tuple of Resource
        How much of each limit is used.
    findings : tuple of Finding
        Limits that do not hold, or that nobody knows, the former first.
    cost : Cost
        Energy and time of a step.
    notes : tuple of str
        What else should be said.
    """

    limits: Limits
    demand: Demand
    placement: Placement
    resources: tuple[Resource, ...]
    findings: tuple[Finding, ...]
    cost: Cost
    notes: tuple[str, ...]

    @property
    def chip(self) -> Chip:
        """The chip's sheet, with assumed figures put in."""
        return self.limits.chip

    @property
    def fits(self) -> bool | None:
        """True if every limit holds, False if one does not, None if that is not known of all of them."""
        status = {f.status for f in self.findings}
        return False if "exceeded" in status else None if status & {"not known", "disputed"} else True

    def of(self, *status: str) -> tuple[Finding, ...]:
        """Return the findings of these statuses."""
        return tuple(f for f in self.findings if f.status in status)

    def and_also(self, found: Iterable[Finding], notes: Iterable[str]) -> Verdict:
        """Return the verdict with what was found besides."""
        said = tuple(dict.fromkeys([*self.notes, *notes]))
        return replace(self, findings=_ordered([*self.findings, *found]), notes=said)


def judge(demand: Demand, limits: Limits, leak: float | None = None) -> Verdict:
    """Judge a demand on a chip.

    Parameters
    ----------
    demand : Demand
        What is asked for.
    limits : Limits
        The chip, under assumptions.
    leak : float, optional
        α of the units, where the form of a chip's decay is to be judged.
    """
    placement = place(demand, limits)
    findings = Findings(limits)
    check_learning(demand, findings)
    check_arithmetic(demand, findings, leak)
    for use in placement.uses:
        remedy = REMEDIES.get(use.limit, SMALLER)
        findings.most(use.limit, use.asked, use.where, remedy)
    notes = dict.fromkeys([*placement.notes, *findings.notes])
    return Verdict(
        limits, demand, placement, tuple(_resource(u, limits) for u in placement.uses), _ordered(findings.found),
        cost(demand, placement, limits), tuple(notes),
    )  # fmt: skip


def _ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    order = {"exceeded": 0, "disputed": 1, "not known": 2, "assumed": 3}
    return tuple(sorted(found, key=lambda f: order[f.status]))


def _resource(use: Use, limits: Limits) -> Resource:
    fact = limits.fact(use.limit)
    available = math.inf if fact.unlimited or use.limit in limits.lifted else cast("float | None", fact.value)
    return Resource(use.limit, use.asked, available, fact.unit, use.where, fact.source, fact.grade)
