"""How a run learns: step sizes, when updates are made, how often the data are seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from neurolrnn.errors import InputError, choose, instance, positive_integer, real_number
from neurolrnn.plain_data import TrainingData
from neurolrnn.precision import Precision
from neurolrnn.rules import RFLO, RULES, Rule

Group = Literal["A", "W", "B"]
GROUPS: tuple[str, ...] = get_args(Group)
Update = Literal["online", "episode", "expected"]
UPDATES: tuple[str, ...] = get_args(Update)
LossSteps = Literal["all", "final"]
LOSS_STEPS: tuple[str, ...] = get_args(LossSteps)


def _per_group(name: str, value: Mapping[Any, Any], check: Callable[[str, Any], float]) -> dict[str, float]:
    for key in value:
        choose(f"group of {name}", key, GROUPS)
    return {group: check(f"{name}.{group}", value[group]) for group in GROUPS if group in value}


def _rate(name: str, value: Any) -> float:
    return real_number(name, value, at_least=0.0)


def _bound(name: str, value: Any) -> float:
    return real_number(name, value, above=0.0)


@dataclass(frozen=True)
class Training:
    """Settings of the learning, the same for every rule.

    Parameters
    ----------
    learning_rate : float or dict
        η, at least 0, for all weights or per group: ``{"A": 0.03, "W": 0.003, "B": 0.003}``. A dict must name
        every group that is learned.
    update : str
        ``"online"`` updates at every step, ``"episode"`` once after the sequences of a batch. ``"expected"`` makes the
        updates that a teacher-student task gives on average, in float64: one per step, the mean over the steps of a
        sequence; with ``loss_steps="final"`` one per sequence.
    update_every : int
        Of online updates: steps whose updates are summed before one is made, as the learning epochs of chips do. Steps
        are counted over the whole run, so what the last incomplete epoch has summed is not learned.
    epochs : int
        How often the training sequences are seen.
    batch : int
        Sequences run side by side; an update is the sum over them.
    loss_steps : str
        ``"all"`` counts the error of every step with a weight, ``"final"`` only the last such step of a sequence.
    momentum : float
        μ in [0, 1): ``v ← μ v + Δ``, ``θ ← θ - η v``.
    clamp : float or dict, optional
        Keeps weights (for factored storage: the factors) in [-clamp, clamp], for all groups or per group.
    learn : tuple of str
        Groups that are learned, a nonempty part of ``("A", "W", "B")``.
    shuffle : bool
        Whether each epoch draws a new order of the training sequences, by the run's seed.
    records : int
        Number of points in the curves of a run.
    ranges : bool
        Whether each point also keeps minimum, 1st percentile, median, 99th percentile and maximum of every variable
        at that step, as curves ``range.<variable>.<quantile>``.
    horizon : int or "inf", optional
        Of ``update="expected"``: number of steps T over which the average is taken. Default: the length of the task's
        sequences; ``"inf"`` is the stationary network.

    Raises
    ------
    InputError
        If a value is not allowed; the text says what is.
    """

    learning_rate: float | Mapping[str, float] = 0.01
    update: Update = "online"
    epochs: int = 1
    batch: int = 1
    loss_steps: LossSteps = "all"
    momentum: float = 0.0
    clamp: float | Mapping[str, float] | None = None
    learn: tuple[str, ...] = ("A", "W", "B")
    shuffle: bool = True
    records: int = 50
    ranges: bool = False
    horizon: int | Literal["inf"] | None = None
    update_every: int = 1

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("learn", _groups(self.learn))
        if isinstance(self.learning_rate, Mapping):
            rates = _per_group("learning_rate", self.learning_rate, _rate)
            missing = [group for group in self.learn if group not in rates]
            if missing:
                raise InputError(
                    f"learning_rate = {dict(self.learning_rate)!r} has no rate for {', '.join(missing)}; "
                    f"name every learned group, or leave the group out of learn"
                )
            put("learning_rate", rates)
        else:
            put("learning_rate", _rate("learning_rate", self.learning_rate))
        choose("update", self.update, UPDATES)
        choose("loss_steps", self.loss_steps, LOSS_STEPS)
        for name in ("epochs", "batch", "records", "update_every"):
            put(name, positive_integer(name, getattr(self, name)))
        put("momentum", real_number("momentum", self.momentum, at_least=0.0, below=1.0))
        if isinstance(self.clamp, Mapping):
            put("clamp", _per_group("clamp", self.clamp, _bound) or None)
        elif self.clamp is not None:
            put("clamp", _bound("clamp", self.clamp))
        for name in ("shuffle", "ranges"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} = {getattr(self, name)!r}; true or false is needed")
        put("horizon", _horizon(self.horizon))
        if self.update != "online" and self.update_every != 1:
            raise InputError(
                f"update_every = {self.update_every} belongs to update = 'online', not to {self.update!r}; leave it out"
            )
        if self.update == "expected" and self.ranges:
            raise InputError("ranges = True: an expected run has no inputs and states whose ranges there would be")
        if self.update != "expected" and self.horizon is not None:
            raise InputError(
                f"horizon = {self.horizon!r} belongs to update = 'expected', not to {self.update!r}; leave it out"
            )

    @property
    def sums(self) -> bool:
        """Whether updates are summed over several steps before one is made."""
        return self.update == "episode" or self.update_every > 1

    @property
    def rates(self) -> dict[str, float]:
        """Learning rate of each of A, W and B; 0 for a group that is not learned."""
        rate = self.learning_rate
        given = dict(rate) if isinstance(rate, Mapping) else dict.fromkeys(GROUPS, rate)
        return {group: given[group] if group in self.learn else 0.0 for group in GROUPS}

    @property
    def bounds(self) -> dict[str, float]:
        """Clamp of each of A, W and B; infinity where there is none."""
        if self.clamp is None:
            return dict.fromkeys(GROUPS, math.inf)
        if isinstance(self.clamp, Mapping):
            return {group: self.clamp.get(group, math.inf) for group in GROUPS}
        return dict.fromkeys(GROUPS, self.clamp)

    def options(self) -> TrainingData:
        """Return the settings as plain data; two spellings of the same settings give the same dict."""
        bounds = {group: bound for group, bound in self.bounds.items() if bound < math.inf}
        said: TrainingData = {
            "learning_rate": self.rates,
            "update": self.update,
            "epochs": self.epochs,
            "batch": self.batch,
            "loss_steps": self.loss_steps,
            "momentum": self.momentum,
            "clamp": bounds or None,
            "learn": list(self.learn),
            "shuffle": self.shuffle,
            "records": self.records,
            "ranges": self.ranges,
        }
        if self.update == "expected":
            said["horizon"] = self.horizon
        if self.update_every != 1:
            said["update_every"] = self.update_every
        return said


def _groups(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise InputError(f'learn = {value!r}; a nonempty list out of "A", "W", "B" is needed, such as ["W"]')
    for group in value:
        choose("group in learn", group, GROUPS)
    return tuple(group for group in GROUPS if group in value)


def _horizon(value: Any) -> int | Literal["inf"] | None:
    if value is None or value == "inf" or (isinstance(value, float) and value == math.inf):
        return None if value is None else "inf"
    if isinstance(value, str):
        raise InputError(f'horizon = {value!r}; a number of steps or "inf" is needed')
    return positive_integer("horizon", value)


def choose_precision(precision: Precision | None, training: Training) -> Precision:
    """Return the precision of a run, by default float32; expected runs are calculated in float64 and nothing else.

    Raises
    ------
    InputError
        If another precision is asked for in an expected run.
    """
    if precision is not None:
        instance("precision", precision, Precision, "nl.Precision.preset('int8')")
    if training.update != "expected":
        return Precision.float32() if precision is None else precision
    if precision is not None and precision.name != "float64":
        raise InputError(
            f"precision {precision.name!r}: update = 'expected' calculates averages in float64, which no format "
            "rounds; leave precision out, or simulate with update = 'online'"
        )
    return Precision.float64()


def check_rule(rule: Rule, training: Training) -> None:
    """Refuse a rule that cannot update as often as the training asks.

    Raises
    ------
    InputError
        If the rule has no gradient before the end of an episode and updates are asked for at every step, or if an
        option of the rule or the training has no meaning in an expected run.
    """
    instance("rule", rule, Rule, "nl.RFLO()")
    if training.update == "expected" and isinstance(rule, RFLO):
        if rule.storage == "factored" and (training.bounds["W"] < math.inf or training.bounds["B"] < math.inf):
            raise InputError(
                "clamp: factored storage clamps its factors, which an expected run does not hold; take "
                "rule.storage = 'dense'"
            )
        if rule.basis == "schur":
            raise InputError("rule.basis = 'schur' is of simulated runs; leave it out in an expected one")
    if training.update == "online" and not rule.online:
        online = ", ".join(name for name, kind in RULES.items() if kind.online)
        raise InputError(
            f"update = 'online' is not possible with rule {rule.name!r}, which has no gradient before the last step "
            f"of an episode; take update = 'episode', or a rule that updates at every step: {online}"
        )
