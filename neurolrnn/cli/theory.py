"""The verb ``neurolrnn theory``: parse, call one function of the theory, print its numbers, save its picture.

A subject is a function ``add_subject(subparsers)`` that adds its parser through
:func:`neurolrnn.cli.theory_subject.subject`. Adding one is adding it to :data:`SUBJECTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurolrnn.cli.parts import CODES
from neurolrnn.cli.theory_rank import add_rank_variants, add_updates
from neurolrnn.cli.theory_rules import add_portrait, add_rank, add_rates, add_stability
from neurolrnn.cli.theory_runs import add_alignment, add_modes, add_spectra

SUBJECTS: tuple[Callable[[Any], None], ...] = (
    add_portrait,
    add_rates,
    add_stability,
    add_modes,
    add_alignment,
    add_spectra,
    add_rank,
    add_rank_variants,
    add_updates,
)
"""What ``neurolrnn theory`` can show."""


def add_theory(subparsers: Any) -> None:
    """Add ``neurolrnn theory``."""
    parser = subparsers.add_parser(
        "theory",
        help="calculate and draw what the rules do, beside runs or without",
        description="Calculate what the learning rules do on average, and draw it: beside a run, or for a rule alone. "
        "Every subject prints its numbers and saves a picture.",
        epilog=f"""examples:
  neurolrnn theory portrait               what RFLO does to one mode, from every start
  neurolrnn theory modes                  the mode equations beside runs in float and fixed point
  neurolrnn theory rates --json           how fast the rules settle, as numbers
  neurolrnn theory spectra run.npz        singular values of what a run has learned
  neurolrnn theory modes --help           more about one subject

{CODES}""",
    )
    subjects = parser.add_subparsers(metavar="SUBJECT", required=True, title="subjects")
    for add in SUBJECTS:
        add(subjects)
