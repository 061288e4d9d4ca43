"""Limits of a chip as a check uses them: the sheet's, and what the user assumes instead."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

from neurolrnn_hardware.catalogue import ChipError, value_of
from neurolrnn_hardware.chip import LIMITS, Chip
from neurolrnn_hardware.sheet_fields import Fact, Reference, Spec

ALL_UNKNOWN = "unknown"
USER = Reference("user", "assumed")


@dataclass(frozen=True)
class Limits:
    """A chip, and which of its limits are lifted.

    Parameters
    ----------
    chip : Chip
        The sheet, with the values that the user gave put in.
    lifted : frozenset of str
        Limits that do not count.
    unknown_lifted : bool
        Whether no limit counts that is not known.
    given : dict of str to str
        What the user assumed, by limit.
    """

    chip: Chip
    lifted: frozenset[str] = frozenset()
    unknown_lifted: bool = False
    given: tuple[tuple[str, str], ...] = ()

    def fact(self, limit: str) -> Fact[object]:
        """Return the figure of a limit."""
        return self.chip.fact(limit)

    def most(self, limit: str) -> float:
        """Return what placement may use up: the figure, or infinity where it is lifted, unknown or unlimited."""
        fact = self.fact(limit)
        return math.inf if limit in self.lifted or fact.value is None else float(cast("float", fact.value))

    def value(self, limit: str) -> Any:
        """Return the figure, None where it is lifted, unknown or unlimited."""
        return None if limit in self.lifted else self.fact(limit).value

    def is_lifted(self, limit: str) -> bool:
        """Whether a limit does not count."""
        return limit in self.lifted or (self.unknown_lifted and not self.fact(limit).known)


def assume(chip: Chip, assumptions: Iterable[str] = ()) -> Limits:
    """Return the limits of a chip under assumptions.

    Parameters
    ----------
    chip : Chip
        The sheet.
    assumptions : iterable of str
        ``"topology.fan_in"`` lifts a limit, ``"memory.chip=262144"`` sets one, ``"unknown"`` lifts every limit that is
        not known.

    Raises
    ------
    ChipError
        If a limit has no such name, or cannot have that value.
    """
    lifted, given, every = set(), [], False
    for text in assumptions:
        name, equals, written = (part.strip() for part in str(text).partition("="))
        if name == ALL_UNKNOWN and not equals:
            every = True
            given.append((ALL_UNKNOWN, "all limits that are not known are lifted"))
            continue
        if name not in LIMITS:
            close = difflib.get_close_matches(name, [*LIMITS, ALL_UNKNOWN], n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ChipError(
                f"assume = {text!r}: {name!r} is not a limit; allowed: {ALL_UNKNOWN!r}, the name of a limit such as "
                f"'topology.fan_in', or a name with a value such as 'memory.chip=262144'{hint}"
            )
        if not equals:
            lifted.add(name)
            given.append((name, "lifted"))
            continue
        chip = _with(chip, name, _read(chip, name, written))
        given.append((name, written))
    return Limits(chip, frozenset(lifted), every, tuple(given))


def _spec(chip: Chip, limit: str) -> Spec:
    return next(spec for name, spec, _ in chip.figures() if name == limit)


def _read(chip: Chip, limit: str, written: str) -> Any:
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError, KeyError):
        value = written
    spec = _spec(chip, limit)
    if spec.limit and value == "unlimited":
        return None
    return value_of(value, spec, f"assume {limit}")


def _with(chip: Chip, limit: str, value: Any) -> Chip:
    section, name = limit.split(".")
    old: Fact[Any] = chip.fact(limit)
    new: Fact[Any] = Fact(value, old.unit, "U", (USER,), "assumed by the user", unlimited=value is None, stated=True)
    return replace(chip, **{section: replace(getattr(chip, section), **{name: new})})
