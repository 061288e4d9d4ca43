"""What spiking costs: events, synaptic operations and updates of states, beside what the graded network does."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from neurolrnn.spiking.plan import Plan
from neurolrnn.spiking.result import SpikingResult
from neurolrnn.tables import text_table


@dataclass(frozen=True)
class Activity:
    """Work per step of the network; the words are those of the hardware cost model.

    Attributes
    ----------
    events_per_unit : float
        Events of a unit.
    messages : float
        Events of all units.
    synaptic_operations : float
        Weights added at receivers: an event reaches every unit and output it has a synapse to. Of a LIF pair every
        spike reaches both neurons of the units it goes to.
    input_operations : float
        Multiplications by B, which inputs cause at every step in every mode.
    state_updates : float
        Updates of a unit's state; k of them in k micro-steps, and twice as many for pairs.
    synapses : int
        Physical synapses, W and A: pairs need four for each weight of W, two for each of A.
    graded_operations : float
        Synaptic operations of the graded network, W and A.
    """

    events_per_unit: float
    messages: float
    synaptic_operations: float
    input_operations: float
    state_updates: float
    synapses: int
    graded_operations: float

    @property
    def saving(self) -> float:
        """Synaptic operations of the graded network over those made; infinite if there was no event."""
        return self.graded_operations / self.synaptic_operations if self.synaptic_operations else float("inf")

    def options(self) -> dict[str, object]:
        """Return everything as plain data."""
        return {**asdict(self), "saving": self.saving}

    def __str__(self) -> str:
        rows = [
            ("events per unit and step", f"{self.events_per_unit:.4g}"),
            ("synaptic operations a step", f"{self.synaptic_operations:.4g} (graded {self.graded_operations:.4g})"),
            ("input operations a step", f"{self.input_operations:.4g}"),
            ("state updates a step", f"{self.state_updates:.4g}"),
            ("synapses", str(self.synapses)),
        ]
        return text_table(rows)


def activity(result: SpikingResult) -> Activity:
    """Return the work of a pass, per step of the network."""
    plan = result.plan
    recurrent, readout = fan_out(plan)
    pairs = 2 if plan.mode == "lif-pair" else 1
    steps = max(result.steps / plan.micro_steps, 1e-300)
    counts = result.counts / steps
    inputs = int(np.count_nonzero(plan.micro.B))
    return Activity(
        float(counts.mean()), float(counts.sum()), float(counts @ (pairs * recurrent + readout)),
        float(inputs * (1 if plan.mode == "graded" else pairs)), float(plan.network.n_rec * plan.micro_steps * pairs),
        int(pairs**2 * recurrent.sum() + pairs * readout.sum()),
        float(np.count_nonzero(plan.network.W) + np.count_nonzero(plan.network.A)),
    )  # fmt: skip


def fan_out(plan: Plan) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return to how many units and to how many outputs each unit has a synapse, (n,) each."""
    net = plan.micro
    return np.count_nonzero(net.W, axis=0), np.count_nonzero(net.A, axis=0)
