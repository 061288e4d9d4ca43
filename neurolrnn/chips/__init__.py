"""Experiments beside the limits of chips: what a learner asks for, what hosts it, and runs under those limits."""

from neurolrnn.chips.check import Report, check, check_all, check_demand
from neurolrnn.chips.demands import demand_of
from neurolrnn.chips.limits import Applied, apply, known_limits, precision_on
from neurolrnn.chips.suggest import NoSuggestion, Suggestion, suggest

__all__ = [
    "Applied",
    "NoSuggestion",
    "Report",
    "Suggestion",
    "apply",
    "check",
    "check_all",
    "check_demand",
    "demand_of",
    "known_limits",
    "precision_on",
    "suggest",
]
