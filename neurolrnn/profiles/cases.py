"""Rows of a profile put side by side: the same settings over seeds, and beside the same run in floating point."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolrnn import tasks
from neurolrnn.errors import InputError, choose
from neurolrnn.plain_data import ExperimentTables
from neurolrnn.precision import PARENTS, Precision

if TYPE_CHECKING:
    from neurolrnn.profiles.row import Row

METRICS = ("test_accuracy", "test_nmse", "test_loss", "train_accuracy", "train_nmse", "train_loss")
"""What is compared if nothing is said: the first of these that every finished run has."""
CONFIDENCE = 0.95
FORMATLESS = ("name", "preset")


@dataclass(frozen=True)
class Metric:
    """A number that says how well a run went.

    Parameters
    ----------
    name : str
        A key of a row's ``metrics``.
    """

    name: str

    @property
    def is_accuracy(self) -> bool:
        """Whether more is better; every other metric is a loss or an error."""
        return self.name.endswith("accuracy")

    @property
    def unit(self) -> str:
        """What a difference is in: points of accuracy, or a share of the floating-point value."""
        return "of accuracy" if self.is_accuracy else "of float"

    def worse_by(self, value: float, reference: float) -> float:
        """Return how much worse a value is than that of the reference; negative if better, inf if it is no number.

        Accuracies: the difference, 0.02 for two percentage points. Losses and errors: the share of the reference,
        0.02 for two per cent more.
        """
        if not math.isfinite(value):
            return math.inf
        if self.is_accuracy:
            return reference - value
        return (value - reference) / reference if reference > 0.0 else 0.0 if value <= reference else math.inf

    def text(self, value: float) -> str:
        """Return a value as people read it."""
        if not math.isfinite(value):
            return "-"
        return f"{100 * value:.1f} %" if self.is_accuracy else f"{value:.3g}"


class Difference(NamedTuple):
    """How much worse one setting is than another, over the same seeds."""

    mean: float
    low: float
    high: float
    """Two-sided 95 % interval of the mean, by Student's t over the pairs; NaN with fewer than two."""
    pairs: int
    lost: int
    """Pairs in which the run diverged or failed; with any, all numbers are inf."""

    def __str__(self) -> str:
        if self.lost:
            return f"{self.lost} of {self.pairs} lost"
        if not math.isfinite(self.mean):
            return "-"
        half = self.high - self.mean
        return f"{self.mean:+.3f}" + (f" ± {half:.3f}" if math.isfinite(half) else "")


def mean_difference(differences: Sequence[float]) -> Difference:
    """Return the mean of paired differences and its interval."""
    x = np.asarray(differences, dtype=np.float64)
    lost = int(np.sum(~np.isfinite(x)))
    if lost:
        return Difference(math.inf, math.inf, math.inf, len(x), lost)
    if len(x) == 0:
        return Difference(math.nan, math.nan, math.nan, 0, 0)
    mean = float(x.mean())
    if len(x) == 1:
        return Difference(mean, math.nan, math.nan, 1, 0)
    half = student(len(x) - 1, 0.5 + CONFIDENCE / 2) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return Difference(mean, mean - half, mean + half, len(x), 0)


@lru_cache(maxsize=256)
def student(freedom: int, probability: float) -> float:
    """Return the quantile of Student's t."""
    from scipy.special import stdtrit  # heavy: only where an interval is wanted

    return float(stdtrit(freedom, probability))


@dataclass(frozen=True, eq=False)
class Case:
    """Rows that differ in their seed only.

    Attributes
    ----------
    experiment : dict
        Of the first row, as :meth:`Experiment.to_dict` gives it.
    rows : list of Row
        By seed.
    """

    experiment: ExperimentTables
    rows: Sequence[Row] = field(default_factory=list)

    @cached_property
    def precision(self) -> Precision:
        """Number formats."""
        return Precision.from_dict(self.experiment.get("precision", {}))

    @cached_property
    def context(self) -> str:
        """Everything but seed and numbers, as a key."""
        return _key({k: v for k, v in self.experiment.items() if k not in ("seed", "precision")})

    def bits(self, variable: str) -> int | None:
        """Return the width of a variable's format, None in floating point."""
        choose("variable", variable, PARENTS)
        return self.precision.landing(variable).format.width if self.precision.is_fixed else None

    def values(self, metric: Metric) -> NDArray[np.float64]:
        """Return the metric of each row, (rows,); NaN where it diverged or failed."""
        return np.array([value_of(row, metric) for row in self.rows])

    @property
    def lost(self) -> int:
        """Number of rows that diverged or failed."""
        return sum(row.status != "completed" for row in self.rows)


def value_of(row: Row, metric: Metric) -> float:
    """Return the metric of a row, NaN if its run diverged or failed."""
    return float(row.metrics.get(metric.name, math.nan)) if row.status == "completed" else math.nan


def choose_metric(rows: Sequence[Row], name: str | None = None) -> Metric:
    """Return the metric called ``name``, or the first of :data:`METRICS` that all finished rows have."""
    done = [row for row in rows if row.status == "completed"]
    common = set.intersection(*(set(row.metrics) for row in done)) if done else set(METRICS)
    if name is not None:
        return Metric(choose("metric", name, sorted(common)))
    for known in METRICS:
        if known in common:
            return Metric(known)
    raise InputError(f"the runs share no metric of {', '.join(METRICS)}; name one of {', '.join(sorted(common))}")


def cases_of(rows: Iterable[Row]) -> list[Case]:
    """Put rows together that differ in their seed only, in the order in which they come; refuse a seed twice."""
    found: dict[str, tuple[ExperimentTables, list[Row]]] = {}
    for row in rows:
        experiment = {k: v for k, v in row.experiment.items() if k != "seed"}
        found.setdefault(_key(experiment), (row.experiment.copy(), []))[1].append(row)
    return [Case(experiment, sorted(some, key=lambda row: row.seed)) for experiment, some in found.values()]


def float_of(cases: Sequence[Case]) -> dict[str, Case]:
    """Return the floating-point case of each context; float32 where there are both."""
    found: dict[str, Case] = {}
    for case in cases:
        if not case.precision.is_fixed and (case.context not in found or case.precision.name == "float32"):
            found[case.context] = case
    return found


def difference(case: Case, reference: Case, metric: Metric) -> Difference:
    """Return how much worse a case is than a reference, over the seeds that both have."""
    beside = {row.seed: value_of(row, metric) for row in reference.rows}
    pairs = [(value_of(row, metric), beside[row.seed]) for row in case.rows if row.seed in beside]
    return mean_difference([metric.worse_by(*pair) for pair in pairs if math.isfinite(pair[1])])


def flat(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``{"table.key": value}``; formats of the precision are those that are really used."""
    out: dict[str, Any] = {}
    for name, part in experiment.items():
        if isinstance(part, Mapping):
            out |= {f"{name}.{key}": value for key, value in part.items()}
        else:
            out[name] = part
    return out


def differing(cases: Sequence[Case]) -> list[str]:
    """Return the keys ``table.key`` in which cases differ, seeds and names of precisions left out."""
    every = [flat(case.experiment) for case in cases]
    keys = dict.fromkeys(key for one in every for key in one)
    left_out = {"seed", *(f"precision.{key}" for key in FORMATLESS)}
    return [key for key in keys if key not in left_out and len({_key(one.get(key)) for one in every}) > 1]


def series_keys(cases: Sequence[Case], variable: str) -> list[str]:
    """Return what tells lines apart when the bits of ``variable`` go along the axis.

    That is every differing key but the formats of the variable itself, and what follows from it or from other keys.
    """
    fixed = [case for case in cases if case.precision.is_fixed]
    keys: list[str] = []
    for key in differing(fixed):
        table, _, name = key.partition(".")
        if table == "precision" and (name in PARENTS or name.startswith("step_") or name == "hidden"):
            pairs = {(case.bits(variable), _key(flat(case.experiment).get(key))) for case in fixed}
            if name == variable or len(pairs) == len({bits for bits, _ in pairs}):
                continue
        before = {_key([flat(case.experiment).get(k) for k in keys]) for case in fixed}
        after = {_key([flat(case.experiment).get(k) for k in (*keys, key)]) for case in fixed}
        if len(after) > len(before):
            keys.append(key)
    return keys


def label(case: Case, keys: Sequence[str]) -> str:
    """Return the values of ``keys`` in words, without their table where the value speaks for itself."""
    values = flat(case.experiment)
    said = []
    for key in keys:
        value, name = values.get(key), key.rpartition(".")[2]
        if value is None:
            continue
        speaks = isinstance(value, str) and not (key.startswith("precision.") and name in (*PARENTS, "hidden"))
        said.append(str(value) if speaks else f"{name} {value}")
    return ", ".join(said)


def task_sizes(task: Mapping[str, Any]) -> tuple[int, int]:
    """Return the number of inputs and outputs of a task, as an experiment describes it."""
    return _task_sizes(json.dumps(dict(task), sort_keys=True))


@lru_cache(maxsize=64)
def _task_sizes(described: str) -> tuple[int, int]:
    made = tasks.load(**json.loads(described))
    return made.n_in, made.n_out


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
