"""Theory of learning in linear recurrent networks: what the rules do in expectation, computed without simulation."""

from neurolrnn.theory.colour import InputColour
from neurolrnn.theory.expected import ExpectedUpdate, expected_update
from neurolrnn.theory.expected_learning import ExpectedLearning, expected_learning
from neurolrnn.theory.mode_equations import ModeEquations, ModeTrajectory, ModeUpdate, modes
from neurolrnn.theory.mode_stability import (
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
from neurolrnn.theory.stationary_points import Stationary, stationary

__all__ = [
    "ExpectedLearning",
    "ExpectedUpdate",
    "InputColour",
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
    "expected_learning",
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
