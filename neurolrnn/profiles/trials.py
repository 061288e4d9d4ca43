"""Runs of one experiment in many precisions, over the same seeds, each made once."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tqdm import tqdm

from neurolrnn.errors import InputError, positive_integer
from neurolrnn.experiment import Experiment
from neurolrnn.precision import Precision
from neurolrnn.profiles.cases import Difference, Metric, cases_of, choose_metric, mean_difference, value_of
from neurolrnn.profiles.row import Row
from neurolrnn.profiles.run_one import run_one

FEWEST = 3
"""Seeds that are run before a setting may be given up."""
HOPELESS = 4.0
"""It is given up if it is then worse, on average, by so many times the tolerance."""


class Trials:
    """One experiment, to be tried in many precisions.

    Parameters
    ----------
    experiment : Experiment
        Its precision and seed are replaced.
    seeds : sequence of int
        Search seeds.
    metric : str, optional
        What is compared; default the first of :data:`neurolrnn.profiles.cases.METRICS` that the runs have.
    threads : int, optional
        Runs at a time; default the number of processors.
    progress : bool
        Count runs on stderr.

    Raises
    ------
    InputError
        If there are fewer than two seeds, or a run in floating point does not complete.
    """

    def __init__(
        self, experiment: Experiment, seeds: Sequence[int], metric: str | None = None, threads: int | None = None,
        progress: bool = False,
    ) -> None:  # fmt: skip
        self.experiment, self.seeds = experiment, [positive_integer("seed", seed, 0) for seed in seeds]
        if len(set(self.seeds)) != len(self.seeds) or len(self.seeds) < 2:
            raise InputError(f"seeds = {list(seeds)}; at least two different seeds are needed for an interval")
        self.tables = {k: v for k, v in experiment.to_dict().items() if k != "precision"}
        self.threads = positive_integer("threads", threads) if threads is not None else os.cpu_count() or 1
        self.made: dict[tuple[str, int], Row] = {}
        self._bar = tqdm(desc="trial runs", unit="run", disable=not progress, leave=False, delay=0.5)
        self.metric: Metric = choose_metric(self._reference(), metric)

    def close(self) -> None:
        """Take the count from the screen."""
        self._bar.close()

    def _reference(self) -> list[Row]:
        """Return the float32 rows; refuse an experiment that does not learn in floating point."""
        rows = self.rows(Precision.float32())
        for row in rows:
            if row.status != "completed":
                raise InputError(f"{self.experiment.where}: the run in float32 with seed {row.seed} {row.status} "
                                 f"({row.message}); formats are compared with runs that learn")  # fmt: skip
        return rows

    def rows(self, precision: Precision, seeds: Iterable[int] | None = None) -> list[Row]:
        """Return the rows of a precision, in the order of the seeds; runs what was not run yet."""
        wanted = self.seeds if seeds is None else list(seeds)
        options = precision.options()
        key = json.dumps({k: v for k, v in options.items() if k != "name"}, sort_keys=True)
        missing = [seed for seed in wanted if (key, seed) not in self.made]

        def make(seed: int) -> Row:
            row = run_one(self.tables, {"precision": options, "seed": seed})
            self._bar.update()
            return row

        if len(missing) == 1 or self.threads == 1:
            found = [make(seed) for seed in missing]
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                found = list(pool.map(make, missing))
        self.made.update({(key, row.seed): row for row in found})
        return [self.made[key, seed] for seed in wanted]

    def compare(
        self, precision: Precision, against: Precision | None = None, seeds: Iterable[int] | None = None
    ) -> Difference:
        """Return how much worse a precision is than another, by default float32, over the same seeds.

        Seeds at which the other one diverges are left out.
        """
        wanted = self.seeds if seeds is None else list(seeds)
        other = self.rows(Precision.float32() if against is None else against, wanted)
        return self._pairs(self.rows(precision, wanted), other)

    def within(self, precision: Precision, tolerance: float) -> tuple[bool, Difference]:
        """Tell whether the upper confidence bound is within a tolerance; give up early on what is far off."""
        first = self.seeds[:FEWEST]
        if len(self.seeds) > FEWEST:
            early = self.compare(precision, seeds=first)
            if early.lost or early.mean > HOPELESS * tolerance:
                return False, early
        found = self.compare(precision)
        return found.high <= tolerance, found

    def _pairs(self, rows: Sequence[Row], others: Sequence[Row]) -> Difference:
        values = [(value_of(a, self.metric), value_of(b, self.metric)) for a, b in zip(rows, others, strict=True)]
        return mean_difference([self.metric.worse_by(a, b) for a, b in values if math.isfinite(b)])


def seeds_from(seeds: int | Sequence[int], first: int) -> list[int]:
    """Return seeds as a list: those given, or so many from ``first`` on."""
    if isinstance(seeds, Sequence):
        return list(seeds)
    return [first + k for k in range(positive_integer("seeds", seeds, 2))]


def float_rows(rows: Iterable[Row], threads: int | None = None, progress: bool = False) -> list[Row]:
    """Return float32 rows for the settings and seeds of fixed-point rows that have none among them.

    Parameters
    ----------
    rows : iterable of Row
        Of a profile.
    threads : int, optional
        Runs at a time; default the number of processors.
    progress : bool
        Count runs on stderr.
    """
    cases = cases_of(rows)
    have = {(case.context, row.seed) for case in cases if not case.precision.is_fixed for row in case.rows}
    jobs: dict[tuple[str, int], Mapping[str, Any]] = {}
    for case in cases:
        for row in case.rows:
            if (case.context, row.seed) not in have:
                jobs[case.context, row.seed] = {k: v for k, v in row.experiment.items() if k != "precision"}

    def make(job: tuple[tuple[str, int], Mapping[str, Any]]) -> Row:
        return run_one(job[1], {"precision": {"preset": "float32"}, "seed": job[0][1]})

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        return list(tqdm(pool.map(make, jobs.items()), total=len(jobs), desc="float runs", unit="run",
                         disable=not progress, leave=False, delay=0.5))  # fmt: skip
