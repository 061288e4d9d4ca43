"""Profiles: many runs of one experiment with some of its settings varied, kept in a store."""

from neurolrnn.profiles.angles import UpdateAngles, update_angles
from neurolrnn.profiles.answers import Answers
from neurolrnn.profiles.axes import Range
from neurolrnn.profiles.costs import Attribution, attribution
from neurolrnn.profiles.floors import floor_of, predicted_floor
from neurolrnn.profiles.profile import resume
from neurolrnn.profiles.range_profile import Ranges, ranges
from neurolrnn.profiles.result import Profile
from neurolrnn.profiles.row import Row
from neurolrnn.profiles.suggest import suggest_formats
from neurolrnn.profiles.suggestion import Suggestion

__all__ = [
    "Answers",
    "Attribution",
    "Profile",
    "Range",
    "Ranges",
    "Row",
    "Suggestion",
    "UpdateAngles",
    "attribution",
    "floor_of",
    "predicted_floor",
    "ranges",
    "resume",
    "suggest_formats",
    "update_angles",
]
