"""On-chip learning in recurrent networks: local rules, bit-true arithmetic, chip limits, and the theory beside them."""

from importlib import metadata as _metadata

from neurolrnn import chip_limits, spiking, tasks, theory
from neurolrnn.alignment import Alignment, alignment
from neurolrnn.check import Report, check
from neurolrnn.demands import demand_of
from neurolrnn.errors import Divergence, InputError, NeurolrnnError
from neurolrnn.experiment import Experiment
from neurolrnn.export import ExportReport, export
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
from neurolrnn.simulate import simulate
from neurolrnn.sparse_matrix import SparseMatrix
from neurolrnn.tasks import Sequences, Task
from neurolrnn.training import Training

try:
    __version__ = _metadata.version("neurolrnn")
except _metadata.PackageNotFoundError:  # a checkout that is not installed
    __version__ = "unknown"

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
    "chip_limits",
    "demand_of",
    "export",
    "gradcheck",
    "gradient",
    "make_rule",
    "profile",
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
