"""What a profile answers: how many bits are enough, what goes wrong with fewer, and when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, choose
from neurolrnn.profiles.cases import (
    Case,
    Difference,
    Metric,
    cases_of,
    choose_metric,
    difference,
    float_of,
    label,
    series_keys,
    task_sizes,
)
from neurolrnn.tables import markdown_table, text_table
from neurolrnn.training import GROUPS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neurolrnn.profiles.row import Row

BAND_DEVIATIONS, BAND_LEAST = 3.0, 0.10
"""The float band: loss up to so many standard deviations over seeds above their mean, and at least this share above."""


class Break(NamedTuple):
    """When learning left the floating-point runs behind: the median over the seeds, if it did with most of them."""

    step: float
    """First recorded step from which the loss stays above the float band; NaN if it never does."""
    share: float
    """The same as a share of the whole run."""


class Rates(NamedTuple):
    """What was lost to the grid and to its ends, as means over seeds."""

    dead: dict[str, float]
    """Share of the nonzero updates of A, W and B that rounded to 0."""
    overflow: dict[str, float]
    """Share of the results of a variable outside its range, saturated or wrapped; those that never were left out."""
    accumulator: dict[str, float]
    """Events of a declared accumulator per step and variable."""


class Finding(NamedTuple):
    """One case, summed up."""

    case: Case
    values: NDArray[np.float64]
    """The metric of every seed; NaN where a run was lost."""
    difference: Difference | None
    """How much worse than floating point over the same seeds; None where there is no such run."""
    rates: Rates
    broke: Break

    @property
    def mean(self) -> float:
        """Mean of the metric over the seeds; NaN if any run was lost."""
        return float(self.values.mean())

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds."""
        return float(self.values.std(ddof=1)) if len(self.values) > 1 else math.nan


class Answers:
    """The rows of a profile, read.

    Parameters
    ----------
    rows : iterable of Row
        Any number of settings and seeds. Differences need floating-point rows of the same seeds among them; see
        :func:`neurolrnn.profiles.trials.float_rows`.
    metric : str, optional
        Name of the metric; default the first of :data:`neurolrnn.profiles.cases.METRICS` that all runs have.

    Attributes
    ----------
    metric : Metric
    failed : list of Row
        Rows of settings that are not possible; they are in nothing else.
    findings : list of Finding
        One for each setting, in the order of the rows.
    """

    def __init__(self, rows: Iterable[Row], metric: str | None = None) -> None:
        given = list(rows)
        if not given:
            raise InputError("there are no rows to answer from; profile at least one setting")
        found = [row for row in given if row.status != "failed"]
        self.failed = [row for row in given if row.status == "failed"]
        if not found:
            raise InputError(f"none of {len(given)} settings could be run: {given[0].message}")
        self.metric: Metric = choose_metric(found, metric)
        self.cases = cases_of(found)
        self.floats = float_of(self.cases)
        self.findings = [self._finding(case) for case in self.cases]

    def _finding(self, case: Case) -> Finding:
        reference = self.floats.get(case.context)
        beside = None if reference is None or not case.precision.is_fixed else difference(case, reference, self.metric)
        broke: list[Break] = []
        if reference is not None and case.precision.is_fixed:
            broke = [b for row in case.rows if not math.isnan((b := break_of(row, reference.rows)).step)]
        middle = Break(math.nan, math.nan)
        if 2 * len(broke) > len(case.rows):
            middle = Break(*np.median(broke, axis=0).tolist())
        return Finding(case, case.values(self.metric), beside, rates_of(case), middle)

    @property
    def fixed(self) -> list[Finding]:
        """The findings in fixed point."""
        return [f for f in self.findings if f.case.precision.is_fixed]

    def cheapest(self, tolerance: float, objective: Literal["bits", "bytes"] = "bits") -> Finding | None:
        """Return the setting of fewest bits, or bytes, whose upper confidence bound is within the tolerance.

        Parameters
        ----------
        tolerance : float
            Largest loss against floating point: points of accuracy as a share (0.02), or a share of the loss.
        objective : str
            ``"bits"`` or ``"bytes"``; see :func:`neurolrnn.profiles.storage.storage_of`.

        Returns
        -------
        Finding or None
            None if no setting is within it. Of equals the one with the smallest difference.
        """
        from neurolrnn.profiles.storage import storage_of

        within = [f for f in self.fixed if f.difference is not None and f.difference.high <= tolerance]
        if not within:
            return None
        return min(within, key=lambda f: (getattr(storage_of(f.case.experiment), objective), f.difference.mean))  # type: ignore[union-attr]

    def table(self, variable: str = "weight", style: Literal["text", "markdown"] = "text") -> str:
        """Return one line for each setting: bits, metric, difference to floating point, what was lost, and when.

        Parameters
        ----------
        variable : str
            Whose bits are shown: one of :data:`neurolrnn.precision.PARENTS`.
        style : str
            ``"text"`` or ``"markdown"``.
        """
        make = markdown_table if choose("style", style, ("text", "markdown")) == "markdown" else text_table
        keys = series_keys(self.cases, variable) or series_keys(self.cases, "state")
        several = [f for f in self.findings if not f.case.precision.is_fixed]
        rows = []
        for f in [*several, *self.fixed]:
            bits = f.case.bits(variable)
            rows.append(
                [label(f.case, keys), f.case.precision.name if bits is None else str(bits),
                 spread_text(self.metric, f), "" if bits is None else str(f.difference or "no float run"),
                 *("" if bits is None else text for text in (dead_text(f.rates), overflow_text(f.rates))),
                 "" if bits is None else broke_text(f.broke)]
            )  # fmt: skip
        header = ["setting", f"{variable} bits", self.metric.name.replace("_", " "), f"worse by ({self.metric.unit})",
                  "dead A / W / B", "overflow", "broke at"]  # fmt: skip
        return make(rows, header, "lrrrrlr")

    def to_list(self, variable: str = "weight") -> list[dict[str, object]]:
        """Return the findings as plain data."""
        keys = series_keys(self.cases, variable)
        return [
            {
                "setting": label(f.case, keys), "bits": f.case.bits(variable), "precision": f.case.precision.options(),
                "seeds": [row.seed for row in f.case.rows], self.metric.name: f.values.tolist(), "lost": f.case.lost,
                "difference": None if f.difference is None else f.difference._asdict(),
                "dead": f.rates.dead, "overflow": f.rates.overflow, "broke_at_step": f.broke.step,
            }
            for f in self.findings
        ]  # fmt: skip

    def plot(self, path: str | Path | None = None, variable: str = "weight") -> Figure:
        """Draw the answers; see :func:`neurolrnn.profiles.pictures.plot_answers`."""
        from neurolrnn.profiles.pictures import plot_answers

        return plot_answers(self, path, variable)


def spread_text(metric: Metric, f: Finding) -> str:
    """Return mean ± standard deviation, and how many runs were lost."""
    kept = f.values[np.isfinite(f.values)]
    lost = f" ({len(f.values) - len(kept)} lost)" if len(kept) < len(f.values) else ""
    if not len(kept):
        return f"all {len(f.values)} lost"
    spread = float(kept.std(ddof=1)) if len(kept) > 1 else math.nan
    shown = metric.text(float(kept.mean()))
    if math.isfinite(spread):
        shown += f" ± {100 * spread:.1f}" if metric.is_accuracy else f" ± {spread:.1g}"
    return shown + lost


def percent(share: float) -> str:
    """Return a share in percent; 100 and 0 are said of all and none only."""
    if math.isnan(share):
        return "-"
    text = f"{100 * share:.0f}"
    return "> 99" if text == "100" and share < 1.0 else "< 1" if text == "0" and share > 0.0 else text


def dead_text(rates: Rates) -> str:
    """Return the shares of dead updates, in percent."""
    return " / ".join(percent(rates.dead.get(g, math.nan)) for g in GROUPS) + " %" if rates.dead else "-"


def overflow_text(rates: Rates) -> str:
    """Return the two variables that left their range most often, in percent."""
    worst = sorted(rates.overflow.items(), key=lambda item: -item[1])[:2]
    shown = ", ".join(f"{name} {100 * share:.2g} %" for name, share in worst if share >= 1e-6)
    left = len(rates.overflow) - len(worst)
    return (shown + (f", {left} more" if left and shown else "")) or "-"


def broke_text(broke: Break) -> str:
    """Return when learning left the float band, as a share of the run."""
    return "-" if math.isnan(broke.step) else f"{100 * broke.share:.0f} %"


def float_band(references: Sequence[Row]) -> NDArray[np.float64]:
    """Return the upper edge of the loss of floating-point runs at each recorded step, (points,).

    The mean over seeds and :data:`BAND_DEVIATIONS` standard deviations, at least :data:`BAND_LEAST` above the mean.
    """
    curves = [np.asarray(r.records["loss"], np.float64) for r in references if r.status == "completed"]
    if not curves:
        return np.zeros(0)
    stacked = np.array([c for c in curves if len(c) == len(curves[0])])
    mean = stacked.mean(axis=0)
    spread = stacked.std(axis=0, ddof=1) if len(stacked) > 1 else np.zeros_like(mean)
    return np.asarray(mean + np.maximum(BAND_DEVIATIONS * spread, BAND_LEAST * mean))


def break_of(row: Row, references: Sequence[Row]) -> Break:
    """Return from when on the loss of a run stays above the band of floating-point runs.

    Parameters
    ----------
    row : Row
    references : sequence of Row
        The same run in floating point, over seeds.
    """
    band = float_band(references)
    loss, steps = np.asarray(row.records["loss"], np.float64), np.asarray(row.records["step"], np.float64)
    points = min(len(band), len(loss))
    done = next((r.records["step"] for r in references if r.status == "completed"), np.zeros(0))
    if len(band) == 0 or len(done) == 0:
        return Break(math.nan, math.nan)
    outside = ~(loss[:points] <= band[:points])  # NaN is outside
    if row.status == "diverged" and (points == 0 or not outside[-1]):  # between two points of its curve
        at = float(steps[points - 1]) if points else 0.0
        return Break(at, at / float(done[-1]))
    if points == 0 or not outside[-1]:
        return Break(math.nan, math.nan)
    inside = np.flatnonzero(~outside)
    first = int(inside[-1]) + 1 if len(inside) else 0
    return Break(float(steps[first]), float(steps[first] / done[-1]))


def rates_of(case: Case) -> Rates:
    """Return what was lost, as means over the rows of a case."""
    dead: dict[str, list[float]] = {}
    overflow: dict[str, list[float]] = {}
    accumulator: dict[str, list[float]] = {}
    rows = [row for row in case.rows if row.saturation is not None and len(row.records.get("step", ()))]
    for row in rows:
        steps = float(row.records["step"][-1])
        landed = landings(case.experiment)
        for name, counts in (row.saturation or {}).items():
            if name in GROUPS and counts.get("updates"):
                dead.setdefault(name, []).append(counts["dead_updates"] / counts["updates"])
            if counts.get("overflows"):
                overflow.setdefault(name, []).append(counts["overflows"] / (landed.get(name, 1) * steps))
            if counts.get("accumulator_overflows"):
                accumulator.setdefault(name, []).append(counts["accumulator_overflows"] / steps)
    count = max(len(rows), 1)
    return Rates(
        {g: float(np.mean(dead[g])) for g in GROUPS if g in dead},
        {k: sum(v) / count for k, v in overflow.items()},
        {k: sum(v) / count for k, v in accumulator.items()},
    )


def landings(experiment: Mapping[str, Any]) -> dict[str, int]:
    """Return how many results of each variable land in a step of one lane.

    Steps without an error, at which signals and updates do not land, are counted too, so shares of those variables
    are low by that much.
    """
    n, (m, o) = int(experiment["network"]["n_rec"]), task_sizes(experiment["task"])
    rule, hidden = experiment["rule"], experiment.get("precision", {}).get("hidden")
    factored = rule.get("name") == "rflo" and rule.get("storage", "factored") == "factored"
    rows = o if factored else n
    lanes = int(experiment.get("training", {}).get("batch", 1))
    twice = {g: 2 if isinstance(hidden, str) or (isinstance(hidden, Mapping) and g in hidden) else 1 for g in GROUPS}
    activity = {
        "current": n, "state": n, "readout": o, "error": o, "signal": n, "trace": n, "input_trace": m, "coupling": o,
        "step_A": o, "step_W": rows, "step_B": rows, "eligibility": n * n, "input_eligibility": n * m,
        "back_current": n, "back_signal": n,
    }  # fmt: skip
    weights = {"A": o * n * twice["A"], "W": rows * n * twice["W"], "B": rows * m * twice["B"], "trace_decay": n}
    return {**{k: v * lanes for k, v in activity.items()}, **weights}
