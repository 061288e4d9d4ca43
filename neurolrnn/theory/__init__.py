"""Theory of learning in linear recurrent networks: what the rules do in expectation, computed without simulation."""

from neurolrnn.theory.expected import ExpectedUpdate, expected_update
from neurolrnn.theory.modes import ModeEquations, ModeTrajectory, ModeUpdate, modes
from neurolrnn.theory.rank import (
    RankBound,
    RankReport,
    Spectrum,
    effective_rank,
    exact_rank,
    numerical_rank,
    participation_ratio,
    rank_bound,
    rank_report,
    spectrum,
)
from neurolrnn.theory.rounding import bits_needed, loss_floor
from neurolrnn.theory.stability import (
    Stability,
    advise_start,
    classify,
    crossings,
    eigenvalues,
    in_safe_region,
    jacobian,
    largest_stable_step,
    rate,
    slowest,
    stability,
    trace_determinant,
    wrong_sign_window,
)
from neurolrnn.theory.stationary import Stationary, stationary

__all__ = [
    "ExpectedUpdate",
    "ModeEquations",
    "ModeTrajectory",
    "ModeUpdate",
    "RankBound",
    "RankReport",
    "Spectrum",
    "Stability",
    "Stationary",
    "advise_start",
    "bits_needed",
    "classify",
    "crossings",
    "effective_rank",
    "eigenvalues",
    "exact_rank",
    "expected_update",
    "in_safe_region",
    "jacobian",
    "largest_stable_step",
    "loss_floor",
    "modes",
    "numerical_rank",
    "participation_ratio",
    "rank_bound",
    "rank_report",
    "rate",
    "slowest",
    "spectrum",
    "stability",
    "stationary",
    "trace_determinant",
    "wrong_sign_window",
]
