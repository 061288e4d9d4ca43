"""What a profile found, and the ways out of it: tables, pandas, xarray, CSV, Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

from neurolrnn.experiment import Experiment
from neurolrnn.profiles import tabular
from neurolrnn.profiles.axes import Axis
from neurolrnn.profiles.plan import Item, Plan
from neurolrnn.profiles.row import Row
from neurolrnn.profiles.store import MEMORY, Store

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

    from neurolrnn.profiles.answers import Answers
    from neurolrnn.profiles.suggestion import Suggestion


class AnswerOptions(TypedDict, total=False):
    """Options of :meth:`Profile.answers`."""

    metric: str | None
    threads: int | None
    progress: bool


@dataclass(frozen=True, eq=False)
class Profile:
    """Runs of one experiment with some of its settings varied.

    Parameters
    ----------
    rows : list of Row
        Combination by combination, seed by seed; runs that are still missing are left out.
    plan : Plan
        What was asked for.
    store : str, optional
        File that keeps the runs, if there is one.
    wanted : int
        Number of rows when all is done.
    """

    rows: list[Row]
    plan: Plan
    store: str | None = None
    wanted: int = 0
    lost: Mapping[str, str] = field(default_factory=dict)
    """Why runs were lost, by digest: a worker died, or something failed that has nothing to do with the settings."""

    @classmethod
    def of(cls, store: Store, plan: Plan, items: Sequence[Item], lost: Mapping[str, str] | None = None) -> Profile:
        """Read runs from a store; ``lost`` says why some are not there."""
        rows = store.rows(items, lost or {})
        return cls(rows, plan, None if store.where == MEMORY else store.where, len(items), lost or {})

    @classmethod
    def load(cls, path: str | Path) -> Profile:
        """Read a store; also while another process is still writing it.

        Raises
        ------
        StoreError
            If there is no store, or it is damaged or written by a newer neurolrnn.
        """
        with Store.open(path) as store:
            return cls.of(store, store.plan(), store.items())

    @property
    def axes(self) -> dict[str, Axis]:
        """What was varied."""
        return self.plan.axes

    @property
    def experiment(self) -> Experiment:
        """What the settings were varied in."""
        return Experiment.from_dict(self.plan.tables)

    @property
    def status(self) -> str:
        """``"completed"``, or ``"interrupted"`` if runs are missing."""
        return "completed" if len(self.rows) == self.wanted and not self.lost else "interrupted"

    @property
    def failed(self) -> list[Row]:
        """Rows that could not be run."""
        return [row for row in self.rows if row.status == "failed"]

    def answers(self, metric: str | None = None, *, threads: int | None = None, progress: bool = True) -> Answers:
        """Return what the rows answer beside float32, which is run where it is missing; see :class:`Answers`."""
        from neurolrnn.profiles.from_profile import answers_of

        return answers_of(self.rows, metric, threads, progress)

    def plot(
        self, path: str | Path | None = None, variable: str = "weight", **options: Unpack[AnswerOptions]
    ) -> Figure:
        """Draw :meth:`answers`; see :func:`neurolrnn.profiles.pictures.plot_answers`."""
        return self.answers(**options).plot(path, variable)

    def suggest(
        self, tolerance: float = 0.02, objective: Literal["bits", "bytes"] = "bits", *, metric: str | None = None,
        threads: int | None = None, progress: bool = True,
    ) -> Suggestion:  # fmt: skip
        """Return the fewest bits among the rows within a tolerance of float32, tried on fresh seeds.

        See :func:`neurolrnn.profiles.from_profile.suggest_from`; :func:`neurolrnn.suggest_formats` searches on its own.
        """
        from neurolrnn.profiles.from_profile import suggest_from

        answers = self.answers(metric, threads=threads, progress=progress)
        return suggest_from(answers, tolerance, objective, threads=threads, progress=progress)

    def table(self, metric: str | None = None) -> str:
        """Return one line per combination in plain text: median and spread of a metric over seeds.

        Parameters
        ----------
        metric : str, optional
            Default: ``test_accuracy``, ``test_nmse`` or ``test_loss``, whichever there is first.
        """
        return tabular.summary(self.rows, list(self.axes), metric)

    def to_pandas(self) -> pandas.DataFrame:
        """Return one line per run: settings, seed, status, metrics, counts of saturation, seconds, digest."""
        return tabular.to_pandas(self.rows, list(self.axes))

    def to_xarray(self) -> xarray.Dataset:
        """Return metrics and curves as arrays over the axes and seeds; NaN where there is no run.

        In list and random mode the combinations are one dimension, ``combination``.
        """
        return tabular.to_xarray(self.rows, self.axes, self.plan.mode, self.plan.seeds)

    def to_csv(self, path: str | Path) -> Path:
        """Write the columns of :meth:`to_pandas` as CSV, in one move, and return the path."""
        return tabular.to_csv(self.rows, list(self.axes), path)

    def to_parquet(self, path: str | Path) -> Path:
        """Write the columns of :meth:`to_pandas` as Parquet, in one move, and return the path."""
        return tabular.to_parquet(self.rows, list(self.axes), path)
