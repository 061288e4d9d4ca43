"""Many exact expected updates in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neurolrnn.network import Network
from neurolrnn.theory import expected_update


def expected_path(
    student: Network, teacher: Network, rule: str, rate: float, counts: Sequence[int], **options: Any
) -> list[Network]:
    """Return the student after each number of updates."""
    found, done = [], 0
    for count in counts:
        for _ in range(done, count):
            step = expected_update(student, teacher, rule, **options)
            student = student.replace(
                A=student.A - rate * step.dA, W=student.W - rate * step.dW, B=student.B - rate * step.dB
            )
        done = count
        found.append(student)
    return found
