"""Answers and a suggestion from the rows of a profile, with the runs that these need besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.experiment import Experiment
from neurolrnn.profiles.answers import Answers, Finding, dead_text, overflow_text
from neurolrnn.profiles.cases import Case
from neurolrnn.profiles.storage import storage_of, used_variables
from neurolrnn.profiles.suggestion import Reason, Suggestion, Verification
from neurolrnn.profiles.trials import Trials, float_rows
from neurolrnn.rules import RFLO

if TYPE_CHECKING:
    from neurolrnn.profiles.row import Row


def answers_of(
    rows: Sequence[Row], metric: str | None = None, threads: int | None = None, progress: bool = True
) -> Answers:
    """Return the answers of rows, after float32 runs of those settings and seeds that have none.

    Parameters
    ----------
    rows : sequence of Row
        Of a profile.
    metric, threads, progress
        As for :func:`neurolrnn.suggest_formats`.
    """
    return Answers([*rows, *float_rows(rows, threads, progress)], metric)


def suggest_from(
    answers: Answers,
    tolerance: float = 0.02,
    objective: Literal["bits", "bytes"] = "bits",
    *,
    fresh_seeds: int | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> Suggestion:
    """Suggest the setting of a profile that takes the fewest bits within a tolerance, and try it on fresh seeds.

    Parameters
    ----------
    answers : Answers
        With floating-point rows.
    tolerance, objective, fresh_seeds, threads, progress
        As for :func:`neurolrnn.suggest_formats`, which searches beyond the settings of a profile; the seeds compared
        are those of the profile.

    Raises
    ------
    InputError
        If no setting is within the tolerance with its whole 95 % interval; the text names the closest.
    """
    limit = real_number("tolerance", tolerance, above=0.0)
    choose("objective", objective, ("bits", "bytes"))
    found = answers.cheapest(limit, objective)
    if found is None:
        compared = [f for f in answers.fixed if f.difference is not None and f.difference.pairs > 1]
        if not compared:
            raise InputError(
                "no setting has a float32 run beside it for at least two seeds, so there is no interval; add seeds"
            )
        best = min(compared, key=lambda f: f.difference.high)  # type: ignore[union-attr]
        raise InputError(
            f"tolerance = {limit:g}: no setting of the profile is within it with its whole 95 % interval; the closest "
            f"is {_formats(best.case)}, worse by {best.difference}. Profile more seeds or bits, or allow more"
        )
    case = found.case
    experiment = Experiment.from_dict(case.experiment, "suggested experiment")
    seeds = [row.seed for row in case.rows]
    count = (
        max(8, (3 * len(seeds) + 1) // 2) if fresh_seeds is None else positive_integer("fresh_seeds", fresh_seeds, 2)
    )
    fresh = tuple(range(max(seeds) + 1, max(seeds) + 1 + count))
    trials = Trials(replace(experiment, seed=fresh[0]), fresh, answers.metric.name, threads, progress)
    try:
        difference = trials.compare(case.precision, seeds=fresh)
    finally:
        trials.close()
    assert found.difference is not None
    storage = storage_of(case.experiment)
    floats = storage_of({**case.experiment, "precision": {"preset": "float32"}})
    notes = [
        f"of {len(answers.fixed)} settings of the profile, {_within(answers, limit)} are within the tolerance",
        f"updates rounded {case.precision.update_rounding or case.precision.rounding}; dead "
        f"{dead_text(found.rates)} (A / W / B), overflow {overflow_text(found.rates)}",
    ]
    return Suggestion(
        experiment, answers.metric, limit, objective, _reasons(found, answers), storage, floats,
        found.difference, [Verification(fresh, difference, difference.high <= limit)],
        sum(len(f.case.rows) for f in answers.findings), notes,
    )  # fmt: skip


def _within(answers: Answers, tolerance: float) -> int:
    return sum(f.difference is not None and f.difference.high <= tolerance for f in answers.fixed)


def _formats(case: Case) -> str:
    p = case.precision
    weight, state = (p.landing(name).format for name in ("weight", "state"))
    return f"weight {weight}, state {state}, updates {p.update_rounding or p.rounding}"


def _reasons(found: Finding, answers: Answers) -> list[Reason]:
    """Return the formats; what a profile can say of each is whether it overflowed, and what fewer bits would cost."""
    experiment = Experiment.from_dict(found.case.experiment)
    words = storage_of(found.case.experiment).words
    factored = isinstance(experiment.rule, RFLO) and experiment.rule.storage == "factored"
    reasons = []
    for name in used_variables(experiment.rule, experiment.training):
        row = name.removeprefix("factor_")
        at_rest = factored and name in ("W", "B")  # the factors land in their rows
        share = 0.0 if at_rest else found.rates.overflow.get(row, 0.0)
        held = f"{100 * share:.2g} % of results overflow" if share else "no result overflows"
        form = found.case.precision.landing(name).format
        reasons.append(Reason(name, str(form), words[name], held, _fewer(answers, found.case, name)))
    return reasons


def _fewer(answers: Answers, case: Case, name: str) -> str:
    """Say what the next smaller format costs, of settings that differ in nothing else."""

    def options(one: Case) -> dict[str, object]:
        return {k: v for k, v in one.precision.options().items() if k not in ("name", "preset")}

    width, own = case.precision.landing(name).format.width, options(case)
    best: tuple[int, str] | None = None
    for f in answers.fixed:
        if f.case.context != case.context or f.difference is None:
            continue
        theirs, bits = options(f.case), f.case.precision.landing(name).format.width
        differing = [k for k in {*own, *theirs} if own.get(k) != theirs.get(k)]
        if len(differing) == 1 and bits < width and (best is None or bits > best[0]):
            best = bits, f"{differing[0]} {theirs.get(differing[0])}: worse by {f.difference}"
    return best[1] if best else "fewer bits were not profiled"
