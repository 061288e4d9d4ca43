"""Errors in words, and the checks that raise them."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurolrnn.run import Run

LONGEST = 1200
"""Characters of the longest line of an error; what stands in the middle of a longer one is left out."""


class NeurolrnnError(Exception):
    """Base of every error this package raises on purpose.

    Its text can be shown as it is, whatever was in a file: no line is longer than :data:`LONGEST` characters, and
    characters that do not print are written as escapes.
    """

    def __str__(self) -> str:
        return "\n".join(map(_shown, super().__str__().split("\n")))


class InputError(NeurolrnnError, ValueError):
    """What was given is not allowed; the text names the value, what is allowed and the way out."""


class Divergence(NeurolrnnError, ArithmeticError):
    """Learning diverged. Carries the partial run.

    Attributes
    ----------
    run : Run
        Everything up to the step at which the run stopped, savable as it is.
    """

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run


def _shown(line: str) -> str:
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 3 :]}"
    return line if line.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def _is(value: Any, kind: type) -> bool:
    """Tell whether a value is a number of a kind; True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


def choose(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``allowed``; otherwise say which are, and which one may have been meant."""
    options = list(allowed)
    if isinstance(value, str) and value in options:
        return value
    close = difflib.get_close_matches(str(value), options, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise InputError(f"{name} = {value!r} is not known; allowed: {', '.join(options)}{hint}")


def instance(name: str, value: object, kind: type, way_out: str) -> None:
    """Refuse a value of another type: what was given, what is needed, and how one gets it."""
    if not isinstance(value, kind):
        given = f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
        article = "an" if kind.__name__[0] in "AEIO" else "a"
        raise InputError(f"{name} is {given}; {article} {kind.__name__} is needed, such as {way_out}")


def positive_integer(name: str, value: Any, at_least: int = 1) -> int:
    """Return ``value`` as int if it is a whole number of at least ``at_least``."""
    if _is(value, numbers.Integral) and int(value) >= at_least:
        return int(value)
    raise InputError(f"{name} = {value!r}; a whole number of at least {at_least} is needed")


def real_number(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    below: float = math.inf,
    at_most: float = math.inf,
) -> float:
    """Return ``value`` as float if it is a finite number inside the bounds."""
    lower = f"above {above:g}" if above > -math.inf else f"at least {at_least:g}" if at_least > -math.inf else ""
    upper = f"below {below:g}" if below < math.inf else f"at most {at_most:g}" if at_most < math.inf else ""
    wanted = "a finite number" + "".join(f" {part}" for part in (" and ".join(p for p in (lower, upper) if p),) if part)
    if _is(value, numbers.Real):
        try:
            number = float(value)
        except OverflowError:  # an integer beyond every float
            number = math.inf
        if math.isfinite(number) and number > above and at_least <= number <= at_most and number < below:
            return number
    raise InputError(f"{name} = {value!r}; {wanted} is needed")
