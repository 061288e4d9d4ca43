"""The smallest change of an experiment that breaks no limit of a chip."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurolrnn import tasks, toml_text
from neurolrnn.chips.check import Report, check_demand
from neurolrnn.chips.fixes import FIXES, SIZES, Tables
from neurolrnn.chips.outline import DRAWN, outline
from neurolrnn.errors import InputError
from neurolrnn.experiment import Experiment
from neurolrnn.tasks import Task

ROUNDS = 12
"""Rounds of fixes; each may bring forth limits that another fix meets."""


class NoSuggestion(InputError):
    """No change of an experiment suits the chip."""


@dataclass(frozen=True, eq=False, repr=False)
class Suggestion:
    """An experiment that breaks no limit, and how it came from another.

    Attributes
    ----------
    experiment : Experiment
        What to run instead.
    changes : tuple of str
        What differs, as ``network.n_rec: 5000 -> 3120``.
    before, report : Report
        The report that asked for it, and the one of the new experiment.
    """

    experiment: Experiment
    changes: tuple[str, ...]
    before: Report
    report: Report

    @property
    def bits_saved(self) -> int:
        """Memory between steps that the change saves, in bits."""
        return self.before.demand.bits() - self.report.demand.bits()

    def to_toml(self) -> str:
        """Return the text of the experiment's file, with the changes in front as comments."""
        tables = self.experiment.to_dict()
        if isinstance(path := tables["task"].get("path"), str):  # the new file may lie in another folder
            tables["task"]["path"] = str(Path(path).resolve())
        head = [f"# Changed so that no limit of {self.report.chip.name} is broken:"]
        return "\n".join([*head, *(f"#   {line}" for line in self.changes), "", toml_text.dumps(tables)])

    def to_dict(self) -> dict[str, object]:
        """Return plain data, as JSON holds it."""
        return {
            "changes": list(self.changes),
            "fits": self.report.fits,
            "memory_bits": {"before": self.before.demand.bits(), "after": self.report.demand.bits()},
            "experiment": self.experiment.to_dict(),
        }

    def __repr__(self) -> str:
        return f"<Suggestion for {self.report.chip.key}: {len(self.changes)} changes>"

    def __str__(self) -> str:
        if not self.changes:
            return f"{self.report.chip.name}: no limit is broken, so nothing needs to change"
        sizes = " -> ".join(f"{r.demand.bits() / 8192:,.1f} KiB" for r in (self.before, self.report))
        lines = [f"{self.report.chip.name}: with these changes no limit is broken", f"memory between steps {sizes}"]
        return "\n".join([*lines, *(f"  {line}" for line in self.changes)])


def suggest(report: Report) -> Suggestion:
    """Return the smallest change of an experiment that breaks no limit of the chip.

    Formats and roundings are the chip's where they must be; then, in this order, the first that suffices: the network
    as it is; factored storage; factored storage and block-diagonal recurrent weights; the largest number of units.
    Limits that nobody knows stay as unknown as before.

    Raises
    ------
    NoSuggestion
        If there is none; the text names the limits that stand in the way.
    """
    search = _Search(report)
    start: Tables = {**report.experiment.to_dict()}
    if not _broken(report):
        return Suggestion(report.experiment, (), report, report)
    found = [r for r in map(search.fixed, _shapes(start)) if r is not None]
    whole = next((r for r in found if not _broken(r)), None)
    best = whole or max((s for s in map(search.smaller, found) if s is not None), key=_units, default=None)
    if best is None:
        raise NoSuggestion(_why(report, found[0] if found else report))
    changes = tuple(_differences(start, best.experiment.to_dict()))
    return Suggestion(best.experiment, changes, report, best)


class _Search:
    """Checks variants of one experiment on one chip."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._task: Task | None = None

    def check(self, tables: Tables) -> Report:
        """Check a variant."""
        experiment = Experiment.from_dict(tables, self.report.experiment.where)
        if self._task is None:
            said: dict[str, Any] = experiment.task
            self._task = tasks.load(**said)
        before = self.report
        return check_demand(
            experiment, outline(experiment, self._task), before.chip, _lifting(before.assume), before.inference
        )

    def fixed(self, tables: Tables) -> Report | None:
        """Apply fixes for as long as they change anything, and return the last report; None if none can be made."""
        units = tables["network"]["n_rec"]
        try:
            if units > DRAWN:  # formats first, where a check is quick
                few = self._loop({**tables, "network": {**tables["network"], "n_rec": DRAWN}}).experiment.to_dict()
                tables = {**few, "network": {**few["network"], "n_rec": units}}
            return self._loop(tables)
        except InputError:  # a shape that this rule or task cannot have
            return None

    def _loop(self, tables: Tables) -> Report:
        report = self.check(tables)
        for _ in range(ROUNDS):
            trial = copy.deepcopy(tables)
            changed = [FIXES[limit](trial, report) for limit in sorted(_broken(report)) if limit in FIXES]
            if not any(changed):
                break
            if trial["precision"] != tables["precision"]:
                trial["precision"]["name"] = self._name
            tables, report = trial, self.check(trial)
        return report

    @property
    def _name(self) -> str:
        own = self.report.experiment.precision
        return f"{own.name if own.is_fixed else 'int8'}-{self.report.chip.key}"

    def smaller(self, report: Report) -> Report | None:
        """Return the report of the largest number of units that breaks no limit, None if not even one does."""
        if not _broken(report) <= SIZES:
            return None
        tables = report.experiment.to_dict()

        def of(n_rec: int) -> Report:
            return self.check({**tables, "network": {**tables["network"], "n_rec": n_rec}})

        low, high, best = 0, report.experiment.network.n_rec, None
        while high - low > 1:
            middle = (low + high) // 2
            tried = of(middle)
            if _broken(tried):
                high = middle
            else:
                low, best = middle, tried
        return best


def _lifting(assume: Iterable[str]) -> tuple[str, ...]:
    """Leave out assumed values: the sheet of a report has them already."""
    return tuple(a for a in assume if "=" not in a)


def _shapes(start: Tables) -> Iterator[Tables]:
    """Yield the variants of network and storage, the smallest change first."""
    yield start
    factored = copy.deepcopy(start)
    rule = factored["rule"]
    if rule["name"] != "rflo" or rule.get("storage") != "factored":
        feedback = rule.get("feedback", "random")
        kept = feedback if isinstance(feedback, list) else "random"
        factored["rule"] = {"name": "rflo", "storage": "factored", "feedback": kept}
        yield factored
    if start["network"].get("kind") != "block":
        blocks = copy.deepcopy(factored)
        blocks["network"]["kind"] = "block"
        blocks["network"].pop("density", None)
        yield blocks


def _broken(report: Report) -> set[str]:
    return {f.limit for f in report.verdict.of("exceeded")}


def _units(report: Report) -> int:
    return report.experiment.network.n_rec


def _why(asked: Report, tried: Report) -> str:
    """Say which limits stand in the way, in the figures of the user's own experiment where it broke them already."""
    broken = sorted(_broken(tried))
    own = {f.limit: f for f in asked.verdict.of("exceeded")}
    found = {f.limit: f for f in tried.verdict.of("exceeded")} | {k: f for k, f in own.items() if k in broken}
    lines = [f"{k}: {found[k].what}, asked {found[k].asked}, allowed {found[k].allowed}" for k in broken]
    return (
        f"no change of the experiment meets {', '.join(broken)} of {tried.chip.name}. {'. '.join(lines)}. "
        f"Take another chip, or assume what you know to hold, such as assume {broken[0]}"
    )


def _differences(old: Any, new: Any, name: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [d for k in keys for d in _differences(old.get(k), new.get(k), f"{name}.{k}" if name else k)]
    return [] if old == new else [f"{name}: {_shown(old)} -> {_shown(new)}"]


def _shown(value: Any) -> str:
    return "unset" if value is None else "an array" if isinstance(value, list) and len(str(value)) > 60 else str(value)
