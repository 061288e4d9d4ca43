"""On-chip learning in recurrent networks: local rules, bit-true arithmetic, chip limits, and the theory beside them.

Names are loaded when they are first used, so that importing the package costs nothing a program does not need.
"""

from importlib import import_module as _import_module
from importlib import metadata as _metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurolrnn import chips, profiles, spiking, tasks, theory
    from neurolrnn.chips.check import Report, check
    from neurolrnn.chips.demands import demand_of
    from neurolrnn.errors import Divergence, InputError, NeurolrnnError
    from neurolrnn.experiment import Experiment
    from neurolrnn.exports import ExportReport, export
    from neurolrnn.gradients import GradientCheck, gradcheck, gradient
    from neurolrnn.many import simulate_many
    from neurolrnn.network import Network
    from neurolrnn.precision import Precision
    from neurolrnn.profiles.profile import profile
    from neurolrnn.profiles.result import Profile
    from neurolrnn.profiles.suggest import suggest_formats
    from neurolrnn.rank_runs import rank_table, rank_variants
    from neurolrnn.reproduction import Reproduction, reproduce
    from neurolrnn.rules import BPTT, RFLO, RTRL, RULES, EProp, Rule, TruncatedBPTT, make_rule
    from neurolrnn.run import Run, RunFileError
    from neurolrnn.simulation import simulate
    from neurolrnn.sparse_matrix import SparseMatrix
    from neurolrnn.tasks import Sequences, Task
    from neurolrnn.training import Training
    from neurolrnn.update_alignment import Alignment, alignment

try:
    __version__ = _metadata.version("neurolrnn")
except _metadata.PackageNotFoundError:  # a checkout that is not installed
    __version__ = "unknown"

_SUBPACKAGES = ("chips", "profiles", "spiking", "tasks", "theory")
_HOMES = {
    "chips.check": ("Report", "check"),
    "chips.demands": ("demand_of",),
    "errors": ("Divergence", "InputError", "NeurolrnnError"),
    "experiment": ("Experiment",),
    "exports": ("ExportReport", "export"),
    "gradients": ("GradientCheck", "gradcheck", "gradient"),
    "many": ("simulate_many",),
    "network": ("Network",),
    "precision": ("Precision",),
    "profiles.profile": ("profile",),
    "profiles.result": ("Profile",),
    "profiles.suggest": ("suggest_formats",),
    "rank_runs": ("rank_table", "rank_variants"),
    "reproduction": ("Reproduction", "reproduce"),
    "rules": ("BPTT", "RFLO", "RTRL", "RULES", "EProp", "Rule", "TruncatedBPTT", "make_rule"),
    "run": ("Run", "RunFileError"),
    "simulation": ("simulate",),
    "sparse_matrix": ("SparseMatrix",),
    "tasks": ("Sequences", "Task"),
    "training": ("Training",),
    "update_alignment": ("Alignment", "alignment"),
}
_HOME = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "BPTT",
    "RFLO",
    "RTRL",
    "RULES",
    "Alignment",
    "Divergence",
    "EProp",
    "Experiment",
    "ExportReport",
    "GradientCheck",
    "InputError",
    "Network",
    "NeurolrnnError",
    "Precision",
    "Profile",
    "Report",
    "Reproduction",
    "Rule",
    "Run",
    "RunFileError",
    "Sequences",
    "SparseMatrix",
    "Task",
    "Training",
    "TruncatedBPTT",
    "alignment",
    "check",
    "chips",
    "demand_of",
    "export",
    "gradcheck",
    "gradient",
    "make_rule",
    "profile",
    "profiles",
    "rank_table",
    "rank_variants",
    "reproduce",
    "simulate",
    "simulate_many",
    "spiking",
    "suggest_formats",
    "tasks",
    "theory",
]


if not TYPE_CHECKING:  # a type checker knows every name, and that there are no others

    def __getattr__(name: str) -> Any:
        if name in _SUBPACKAGES:
            return _import_module(f"{__name__}.{name}")
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(_import_module(_HOME[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
