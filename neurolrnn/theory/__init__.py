"""Theory of learning in linear recurrent networks: what the rules do in expectation, computed without simulation."""

from neurolrnn.theory.colour import InputColour
from neurolrnn.theory.complex_modes import (
    ComplexModes,
    ComplexTrajectory,
    ComplexUpdate,
    complex_network,
    pairs_of,
    rotation_blocks,
)
from neurolrnn.theory.complex_stability import (
    ComplexSaddle,
    ComplexStability,
    complex_jacobian,
    complex_saddle,
    complex_stability,
)
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
from neurolrnn.theory.phase_portrait import Portrait, portrait
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
from neurolrnn.theory.rule_maps import StabilityMap, rank_bounds, rate_rows, stability_map
from neurolrnn.theory.run_modes import ModeDeviation, ModePrediction, mode_deviation, predict_modes
from neurolrnn.theory.stationary_points import Stationary, stationary

__all__ = [
    "ComplexModes",
    "ComplexSaddle",
    "ComplexStability",
    "ComplexTrajectory",
    "ComplexUpdate",
    "ExpectedLearning",
    "ExpectedUpdate",
    "InputColour",
    "ModeDeviation",
    "ModeEquations",
    "ModePrediction",
    "ModeTrajectory",
    "ModeUpdate",
    "Portrait",
    "RankBound",
    "RankReport",
    "Spectrum",
    "Stability",
    "StabilityMap",
    "Stationary",
    "advise_start",
    "bits_needed",
    "classify",
    "complex_jacobian",
    "complex_network",
    "complex_saddle",
    "complex_stability",
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
    "mode_deviation",
    "modes",
    "numerical_rank",
    "pairs_of",
    "participation_ratio",
    "portrait",
    "predict_modes",
    "rank_bound",
    "rank_bounds",
    "rank_report",
    "rate",
    "rate_rows",
    "rotation_blocks",
    "slowest",
    "spectrum",
    "stability",
    "stability_map",
    "stationary",
    "trace_determinant",
    "wrong_sign_window",
]
