"""Many exact expected updates in a row, with stops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from neurolrnn.network import Network
from neurolrnn.theory import ExpectedLearning, expected_learning

MOST = 4000
"""Updates in one call, so that Ctrl-C is served."""


def expected_path(
    students: Network | Sequence[Network], teacher: Network, rule: str, rate: float, counts: Sequence[int],
    **options: Any,
) -> Iterator[ExpectedLearning]:  # fmt: skip
    """Yield the result after each number of updates; every one counts from the stop before.

    A student that has diverged stays where it is: without a stationary state there is no expected update.
    """
    stack: Sequence[Network] = (students,) if isinstance(students, Network) else students
    done = 0
    for count in counts:
        while done < count:
            size = min(MOST, count - done)
            result = expected_learning(stack, teacher, rule, learning_rate=rate, updates=size, records=1, **options)
            stack, done = result.networks, done + size
        yield result
