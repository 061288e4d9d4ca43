"""The runs of a profile, in their order: each an experiment with its digest, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from neurolrnn.errors import InputError, instance
from neurolrnn.experiment import Experiment
from neurolrnn.plain_data import ExperimentTables, ProfileData
from neurolrnn.profiles.axes import Axis, combinations, read_axes, read_seeds
from neurolrnn.profiles.row import Row
from neurolrnn.profiles.run_one import combine, failure
from neurolrnn.run import canonical_digest


@dataclass(frozen=True)
class Item:
    """One run that is wanted.

    Parameters
    ----------
    digest : str
        Names the run; two items with the same digest are one run.
    settings : dict
        The label of each axis.
    seed : int
        Of the experiment.
    tables : dict
        The whole experiment.
    failure : str
        Why these settings are not possible together; empty if they are.
    """

    digest: str
    settings: dict[str, object]
    seed: int
    tables: ExperimentTables
    failure: str = ""

    @property
    def units(self) -> int:
        """Number of recurrent units."""
        return int(str(self.tables["network"]["n_rec"]))

    def failed(self, message: str = "") -> Row:
        """Return the row of a run that cannot be made, or was lost."""
        return Row(self.digest, self.settings, self.seed, self.tables, status="failed", message=message or self.failure)


@dataclass(frozen=True, eq=False)
class Plan:
    """What a profile runs.

    Parameters
    ----------
    tables : dict
        The experiment that is varied.
    axes : dict of str to Axis
        What is varied in it.
    seeds : list of int
        Each combination is run with each of them.
    mode, samples, sampling_seed
        See :func:`neurolrnn.profiles.axes.combinations`.
    """

    tables: ExperimentTables
    axes: dict[str, Axis]
    seeds: list[int]
    mode: str = "grid"
    samples: int | None = None
    sampling_seed: int = 0

    @classmethod
    def make(
        cls, experiment: Experiment, axes: Mapping[str, object], seeds: int | Iterable[int], mode: str,
        samples: int | None, sampling_seed: int,
    ) -> Plan:  # fmt: skip
        """Check what a user gives; see :func:`neurolrnn.profile`."""
        instance("experiment", experiment, Experiment, "nl.Experiment.load('experiment.toml')")
        instance("axes", axes, Mapping, "{'precision.preset': ['float32', 'int8']}")
        plan = cls(experiment.to_dict(), read_axes(axes), read_seeds(seeds), mode, samples, sampling_seed)
        combinations(plan.axes, mode, samples, sampling_seed)
        return plan

    def to_plain(self) -> ProfileData:
        """Return plain data that :meth:`from_plain` reads back."""
        return {
            "experiment": self.tables,
            "axes": [[name, axis.to_plain()] for name, axis in self.axes.items()],
            "seeds": self.seeds,
            "mode": self.mode,
            "samples": self.samples,
            "sampling_seed": self.sampling_seed,
        }

    @classmethod
    def from_plain(cls, said: ProfileData) -> Plan:
        """Return the plan that :meth:`to_plain` described."""
        return cls(
            said["experiment"], read_axes({str(name): values for name, values in said["axes"]}), said["seeds"],
            said["mode"], said["samples"], said["sampling_seed"],
        )  # fmt: skip

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all that is asked for but the seeds, which may be added to."""
        return canonical_digest({key: value for key, value in self.to_plain().items() if key != "seeds"})

    @cached_property
    def items(self) -> list[Item]:
        """Every run, combination by combination and seed by seed.

        Raises
        ------
        InputError
            If not one combination is possible; the text is that of the first.
        """
        found = []
        for choices in combinations(self.axes, self.mode, self.samples, self.sampling_seed):
            labels = {name: choice.label for name, choice in choices.items()}
            settings = {key: value for choice in choices.values() for key, value in choice.settings.items()}
            for seed in self.seeds:
                found.append(self._item(labels, {**settings, "seed": seed}, seed))
        if all(item.failure for item in found):
            raise InputError(found[0].failure)
        return found

    def _item(self, labels: dict[str, object], settings: dict[str, object], seed: int) -> Item:
        try:
            experiment = combine(self.tables, settings)
            return Item(experiment.digest, labels, seed, experiment.to_dict())
        except InputError as error:
            row = failure(self.tables, settings, str(error))
            return Item(row.digest, labels, seed, row.experiment, row.message)
