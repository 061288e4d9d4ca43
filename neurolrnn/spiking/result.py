"""What a spiking network did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.spiking.micro import macro_network
from neurolrnn.spiking.plan import Plan

RECORDS = ("h", "hat", "y", "events")
"""What can be recorded."""


class Events(NamedTuple):
    """Events in the order of time, then of units."""

    step: NDArray[np.int64]
    """Micro-step of each event."""
    unit: NDArray[np.int64]
    """Unit that sent it."""
    value: NDArray[np.float64]
    """m: ±1 for a spike of a pair, the number of quanta of a sigma-delta message, the sign of a residual."""


@dataclass(frozen=True, eq=False)
class SpikingResult:
    """States, outputs and events of one pass, and the weights after it.

    Attributes
    ----------
    plan : Plan
    h, hat, y : (T, n) or (T, n_out), or None
        State, what receivers know of it (ĥ), and output after each step of the network, in values; None if not
        recorded. Of a LIF pair, h is the membrane plus ĥ.
    events : Events or None
    counts : (n_rec,)
        Events of each unit.
    steps : int
        Micro-steps made; fewer than asked if an output exceeded its limit.
    asked : int
        Micro-steps asked for.
    micro_weights : Network
        Weights of the micro-step network after the pass: those it began with, but for learning.
    codes : dict
        The integers behind h, hat and y, where states are integers.
    """

    plan: Plan
    h: NDArray[np.float64] | None
    hat: NDArray[np.float64] | None
    y: NDArray[np.float64] | None
    events: Events | None
    counts: NDArray[np.int64]
    steps: int
    asked: int
    micro_weights: Network
    codes: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        """The network as it is after the pass, per step of the network (not of the micro-step)."""
        if self.plan.learning is None:
            return self.plan.network
        return macro_network(self.micro_weights, self.plan.micro_steps, self.plan.network.leak)

    @property
    def diverged(self) -> bool:
        """Whether an output exceeded the twin's limit, where it stops, or is not a number."""
        return self.steps < self.asked or (self.y is not None and not bool(np.isfinite(self.y).all()))

    @property
    def events_per_step(self) -> float:
        """Mean number of events of a unit in one step of the network; 1 for graded."""
        steps = self.steps / self.plan.micro_steps
        return float(self.counts.mean() / steps) if steps else 0.0

    def need(self, name: str) -> NDArray[np.float64]:
        """Return ``h``, ``hat`` or ``y``, or say that it was not recorded."""
        found: NDArray[np.float64] | None = getattr(self, name)
        if found is None:
            raise InputError(f"{name} was not recorded; run again with record = (..., {name!r})")
        return found


def events_of(messages: NDArray[np.float64]) -> Events:
    """Return the events of a table of messages (micro-steps, n)."""
    step, unit = np.nonzero(messages)
    return Events(step, unit, messages[step, unit].astype(np.float64))
