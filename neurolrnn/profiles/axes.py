"""What a profile varies: axes of settings, and the combinations of their values that are run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.run import plain

Mode = Literal["grid", "list", "random"]
MODES: tuple[str, ...] = get_args(Mode)
TOP = ("seed", "chip")
"""Settings that stand in no table."""
STREAM = 0x9F0F
"""Keeps the draws of profiles apart from other streams of the same seed."""


@dataclass(frozen=True)
class Choice:
    """One value of an axis.

    Parameters
    ----------
    label : anything plain
        What tables call it: the value itself, or a name for several settings.
    settings : dict of str to value
        ``{"table.key": value}``.
    """

    label: object
    settings: Mapping[str, object]


@dataclass(frozen=True)
class Range:
    """Values to draw from at random, between two ends.

    Parameters
    ----------
    low, high : float or int
        Ends, both possible. Two whole numbers give whole numbers.
    log : bool
        Whether the logarithm is uniform, for rates and the like; ``low`` must then be above 0.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        low = real_number("low", self.low)
        if real_number("high", self.high) <= low:
            raise InputError(f"a range from {self.low!r} to {self.high!r} is empty; high must be above low")
        if self.log and low <= 0:
            raise InputError(f"a logarithmic range cannot start at {self.low!r}; low must be above 0")

    @property
    def whole(self) -> bool:
        """Whether whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def draw(self, rng: np.random.Generator) -> float | int:
        """Return one value."""
        low, high = float(self.low), float(self.high) + (1.0 if self.whole else 0.0)
        share = rng.random()
        value = low * (high / low) ** share if self.log else low + share * (high - low)
        return min(max(math.floor(value), int(low)), int(self.high)) if self.whole else min(value, float(self.high))


@dataclass(frozen=True)
class Axis:
    """One thing that is varied.

    Parameters
    ----------
    name : str
        A setting such as ``"precision.weight"``, or any name without a dot for an axis of several settings at once.
    choices : tuple of Choice
        Its values; empty for a range.
    range : Range, optional
        What is drawn from instead.
    """

    name: str
    choices: tuple[Choice, ...]
    range: Range | None = None

    @property
    def keys(self) -> set[str]:
        """Every setting that a value of this axis makes."""
        return {self.name} if self.range else {key for choice in self.choices for key in choice.settings}

    @property
    def labels(self) -> list[object]:
        """What the values are called."""
        return [choice.label for choice in self.choices]

    def draw(self, rng: np.random.Generator) -> Choice:
        """Return one value, all as likely."""
        if self.range is None:
            return self.choices[int(rng.integers(len(self.choices)))]
        value = self.range.draw(rng)
        return Choice(value, {self.name: value})

    def to_plain(self) -> dict[str, float] | list[list[object]]:
        """Return plain data that :func:`read_axes` reads back."""
        if self.range is not None:
            return {"low": self.range.low, "high": self.range.high, "log": self.range.log}
        return [[choice.label, dict(choice.settings)] for choice in self.choices]


def read_axes(axes: Mapping[str, object]) -> dict[str, Axis]:
    """Check axes as a user gives them.

    Parameters
    ----------
    axes : dict
        Per axis a list of values, or a :class:`Range`. The name is that of a setting, such as ``"precision.weight"``;
        a value may also be a pair of a label and ``{"table.key": value, ...}``. A name without a dot stands for several
        settings at once, and all its values are such pairs, or a dict of label to settings.

    Raises
    ------
    InputError
        If an axis is empty, has a value twice, or shares a setting with another.
    """
    found = {str(name): _axis(str(name), values) for name, values in axes.items()}
    owners: dict[str, str] = {}
    for axis in found.values():
        for key in sorted(axis.keys):
            if key in owners:
                raise InputError(f"axes {owners[key]} and {axis.name} both set {key}; one setting, one axis")
            owners[key] = axis.name
    if "seed" in owners:
        raise InputError(f"axis {owners['seed']} sets seed; give the seeds as seeds instead, such as seeds=10")
    return found


def _axis(name: str, values: Any) -> Axis:
    group = "." not in name and name not in TOP
    if isinstance(values, Range):
        if group:
            raise InputError(f"axis {name}: a range needs a setting, such as 'training.learning_rate'")
        return Axis(name, (), values)
    if isinstance(values, Mapping) and {"low", "high"} <= set(values) <= {"low", "high", "log"}:
        return _axis(name, Range(**values))
    if isinstance(values, Mapping) and group:
        values = list(values.items())
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise InputError(f"axis {name} = {values!r}; a list of values is needed, such as {_example(name)}")
    choices = tuple(_choice(name, value, group) for value in values)
    if not choices:
        raise InputError(f"axis {name} has no values; give at least one, such as {_example(name)}")
    seen: list[Any] = []
    for choice in choices:
        if choice.label in seen and not isinstance(choice.label, bool):
            raise InputError(f"axis {name} has the value {choice.label!r} twice; leave one out")
        seen.append(choice.label)
    return Axis(name, choices)


def _example(name: str) -> str:
    if "." not in name:
        return f"{{{name!r}: {{'int8': {{'precision.preset': 'int8'}}}}}} for several settings at once"
    return f"{{{name!r}: [...]}}"


def _choice(name: str, value: Any, group: bool) -> Choice:
    if isinstance(value, Choice):
        value = (value.label, value.settings)
    labelled = isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[1], Mapping)
    if labelled and isinstance(value, tuple | list):
        settings = {str(key): plain(part) for key, part in value[1].items()}
        wrong = next((key for key in settings if "." not in key and key not in TOP), None)
        if wrong is not None:
            raise InputError(f"axis {name}, {value[0]!r}: {wrong} is no setting; write table.key, such as rule.name")
        return Choice(plain(value[0]), settings)
    if group:
        raise InputError(
            f"axis {name} = {value!r}: {name} is no setting (those have a table, such as precision.weight), so each of "
            f"its values needs a label and settings, such as {_example(name)}"
        )
    return Choice(plain(value), {name: plain(value)})


def combinations(axes: Mapping[str, Axis], mode: str, samples: int | None, seed: int) -> list[dict[str, Choice]]:
    """Return one choice per axis, for every combination that is to be run.

    Parameters
    ----------
    axes : dict of str to Axis
        From :func:`read_axes`.
    mode : str
        ``"grid"``: all with all, the last axis fastest. ``"list"``: the first of each, the second of each, and so on.
        ``"random"``: ``samples`` draws; the first of many draws are those of few.
    samples : int, optional
        Number of draws; of random mode only.
    seed : int
        Of the draws.

    Raises
    ------
    InputError
        If the mode does not fit the axes.
    """
    choose("mode", mode, MODES)
    ranges = [axis.name for axis in axes.values() if axis.range]
    if mode == "random":
        if samples is None:
            raise InputError("mode 'random' needs samples, the number of combinations to draw, such as samples=100")
        rng = np.random.default_rng([STREAM, positive_integer("sampling_seed", seed, 0)])
        return [
            {name: axis.draw(rng) for name, axis in axes.items()} for _ in range(positive_integer("samples", samples))
        ]
    if samples is not None:
        raise InputError(f"samples = {samples!r} is of mode 'random', not of {mode!r}; leave it out")
    if ranges:
        raise InputError(f"axis {ranges[0]} is a range, which only mode 'random' can draw from; give a list of values")
    if mode == "list":
        lengths = {name: len(axis.choices) for name, axis in axes.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} {count}" for name, count in lengths.items())
            raise InputError(f"mode 'list' takes the axes side by side, so they must be equally long; got {counts}")
        rows: Iterable[Sequence[Choice]] = zip(*(axis.choices for axis in axes.values()), strict=True) if axes else [()]
    else:
        rows = itertools.product(*(axis.choices for axis in axes.values()))
    return [dict(zip(axes, row, strict=True)) for row in rows]


def read_seeds(seeds: int | Iterable[int]) -> list[int]:
    """Return the seeds: those given, or 0 to ``seeds - 1``.

    Raises
    ------
    InputError
        If there is none, one is no seed, or one is there twice.
    """
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        return list(range(positive_integer("seeds", seeds)))
    if isinstance(seeds, str | bool) or not isinstance(seeds, Iterable):
        raise InputError(f"seeds = {seeds!r}; a number of seeds or a list of them is needed, such as 10 or [0, 1, 2]")
    found = [positive_integer("seed", seed, 0) for seed in seeds]
    if not found:
        raise InputError("seeds is empty; give at least one")
    if len(set(found)) < len(found):
        twice = next(seed for seed in found if found.count(seed) > 1)
        raise InputError(f"seed {twice} is given twice; a seed gives the same run each time")
    return found
