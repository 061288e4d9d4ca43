"""Onto cores: which neurons share one, what each of them uses, and how much of each limit is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from neurolrnn_hardware.demand import Demand
from neurolrnn_hardware.limits import Limits
from neurolrnn_hardware.placement_cores import place_cores
from neurolrnn_hardware.placement_parts import CoreGroup, Placement, Use
from neurolrnn_hardware.placement_styles import (
    place_crossbar,
    place_layers,
    place_matrices,
    place_memory,
    place_rows,
)

__all__ = ["STYLES", "CoreGroup", "Placement", "Use", "place"]

STYLES: dict[str, Callable[[Demand, Limits], Placement]] = {
    "cores": place_cores, "crossbar": place_crossbar, "rows": place_rows, "matrices": place_matrices,
    "layers": place_layers, "memory": place_memory,
}  # fmt: skip
"""How each kind of chip is laid out."""


def place(demand: Demand, limits: Limits) -> Placement:
    """Lay a demand out on a chip.

    Every demand is laid out; whether each limit holds is for :mod:`neurolrnn_hardware.verdict` to say. A core is filled
    until the next neuron would break a limit; where even one does, the core holds that one and the limit is named by
    what it is asked for.

    Parameters
    ----------
    demand : Demand
        What is asked for.
    limits : Limits
        The chip, under assumptions.
    """
    placed = STYLES[limits.chip.placement](demand, limits)
    exponents = {
        c.name: -c.weight.qformat.frac_bits for c in demand.connections if c.weight.is_fixed and not c.transposed
    }
    return replace(placed, exponents=exponents)
