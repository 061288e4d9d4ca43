"""Networks as spikes: Brian2 models, their compiled twin, error budgets, and the way back.

Brian2 is imported when a Brian2 model is built, not before.
"""

from neurolrnn.spiking.activity import Activity, activity
from neurolrnn.spiking.back import from_brian2
from neurolrnn.spiking.brian import Brian2Network, to_brian2
from neurolrnn.spiking.budget import Budget, budget, design_q
from neurolrnn.spiking.energy import energy
from neurolrnn.spiking.measure import fewest_micro_steps, measure, sweep
from neurolrnn.spiking.micro import macro_network, micro_network, pod_network
from neurolrnn.spiking.pictures import plot_deployment
from neurolrnn.spiking.plan import MODES, Learning, Plan, make_plan
from neurolrnn.spiking.result import Events, SpikingResult
from neurolrnn.spiking.script import example_input, write_script
from neurolrnn.spiking.standalone import Standalone, to_standalone
from neurolrnn.spiking.twin import run_twin, twin

__all__ = [
    "MODES",
    "Activity",
    "Brian2Network",
    "Budget",
    "Events",
    "Learning",
    "Plan",
    "SpikingResult",
    "Standalone",
    "activity",
    "budget",
    "design_q",
    "energy",
    "example_input",
    "fewest_micro_steps",
    "from_brian2",
    "macro_network",
    "make_plan",
    "measure",
    "micro_network",
    "plot_deployment",
    "pod_network",
    "run_twin",
    "sweep",
    "to_brian2",
    "to_standalone",
    "twin",
    "write_script",
]
