"""Will it fit: an experiment beside the limits of a chip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from neurolrnn.chips.check_text import VERDICTS, markdown, overview, text
from neurolrnn.chips.limits import judge_run
from neurolrnn.chips.outline import outline
from neurolrnn.errors import InputError
from neurolrnn.experiment import Experiment
from neurolrnn_hardware import catalogue, limits
from neurolrnn_hardware.chip import Chip
from neurolrnn_hardware.cost import Cost
from neurolrnn_hardware.demand import Demand
from neurolrnn_hardware.findings import Finding
from neurolrnn_hardware.inference import without_learning
from neurolrnn_hardware.locality import Locality
from neurolrnn_hardware.placement import Placement
from neurolrnn_hardware.verdict import Resource, Verdict, judge

if TYPE_CHECKING:
    from neurolrnn.chips.suggest import Suggestion

__all__ = ["Report", "check", "check_all", "chip_names", "load_chip", "overview"]


class ReportData(TypedDict):
    """A report as plain data."""

    chip: str
    name: str
    experiment: str
    fits: bool | None
    inference: bool
    assume: list[str]
    findings: list[dict[str, str]]
    resources: list[dict[str, object]]
    placement: dict[str, object]
    locality: dict[str, object]
    cost: dict[str, object]
    notes: list[str]
    not_modelled: list[str]
    sources: dict[str, str]


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """What a chip says to an experiment. Printing it gives its text.

    Attributes
    ----------
    experiment : Experiment
        What was checked.
    assume : tuple of str
        Limits that were lifted or set.
    inference : bool
        Whether the network was checked without its learning.
    """

    experiment: Experiment
    verdict: Verdict
    assume: tuple[str, ...] = ()
    inference: bool = False

    @property
    def fits(self) -> bool | None:
        """True if every limit holds, False if one does not, None if that is not known of all of them."""
        return self.verdict.fits

    @property
    def chip(self) -> Chip:
        """The chip's sheet, with assumed figures put in."""
        return self.verdict.chip

    @property
    def demand(self) -> Demand:
        """What the experiment asks for."""
        return self.verdict.demand

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Limits that do not hold, or that nobody knows: the former first."""
        return self.verdict.findings

    @property
    def resources(self) -> tuple[Resource, ...]:
        """How much of each limit is used."""
        return self.verdict.resources

    @property
    def placement(self) -> Placement:
        """Where everything lies on the chip."""
        return self.verdict.placement

    @property
    def cost(self) -> Cost:
        """Energy and time of a step, as intervals."""
        return self.verdict.cost

    @property
    def locality(self) -> Locality:
        """What each synapse's update reads."""
        return self.demand.locality

    @property
    def sources(self) -> dict[str, str]:
        """Full text of every source of the sheet, by the key in front of a reference."""
        return dict(self.chip.sources)

    def text(self) -> str:
        """Return the report for a terminal."""
        return text(self)

    def markdown(self) -> str:
        """Return the report in Markdown."""
        return markdown(self)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Report {self.chip.key}: {VERDICTS[self.fits]}, {len(self.findings)} findings>"

    def to_dict(self) -> ReportData:
        """Return plain data, as JSON holds it."""
        return {
            "chip": self.chip.key,
            "name": self.chip.name,
            "experiment": self.experiment.where,
            "fits": self.fits,
            "inference": self.inference,
            "assume": list(self.assume),
            "findings": [f.to_dict() for f in self.findings],
            "resources": [r.to_dict() for r in self.resources],
            "placement": self.placement.to_dict(),
            "locality": self.locality.to_dict(),
            "cost": self.cost.to_dict(),
            "notes": list(self.verdict.notes),
            "not_modelled": list(self.chip.not_modelled),
            "sources": self.sources,
        }

    def suggest(self) -> Suggestion:
        """Return the smallest change of the experiment that breaks no limit; see :mod:`neurolrnn.chips.suggest`.

        Raises
        ------
        InputError
            If no change of the experiment can do that; the text names the limits that stand in the way.
        """
        from neurolrnn.chips.suggest import suggest

        return suggest(self)


def check(
    experiment: Experiment | str | Path, chip: str | Path | Chip, assume: Iterable[str] = (), inference: bool = False
) -> Report:
    """Check an experiment against the limits of a chip, without running it.

    Parameters
    ----------
    experiment : Experiment or path
        What is to run.
    chip : str, path or Chip
        A name such as ``"loihi2"`` (``neurolrnn list chips``), or the path of a sheet of your own.
    assume : iterable of str
        ``"topology.fan_in"`` lifts a limit, ``"memory.chip=262144"`` sets one, ``"unknown"`` lifts every limit that is
        not known.
    inference : bool
        Whether to check the network alone, as it runs when it was trained elsewhere.

    Returns
    -------
    Report
        ``report.fits`` is True, False, or None where it is not known; ``print(report)`` says why.

    Raises
    ------
    InputError
        If the experiment, the chip's sheet or an assumption is not in order.
    """
    experiment = _experiment(experiment)
    return check_demand(experiment, _demand(experiment), chip, assume, inference)


def check_all(
    experiment: Experiment | str | Path, chips: Sequence[str | Path | Chip], assume: Iterable[str] = (),
    inference: bool = False,
) -> list[Report]:  # fmt: skip
    """Check an experiment against several chips; arguments as for :func:`check`."""
    experiment = _experiment(experiment)
    demand, assume = _demand(experiment), tuple(assume)
    return [check_demand(experiment, demand, chip, assume, inference) for chip in chips]


def check_demand(
    experiment: Experiment, demand: Demand, chip: str | Path | Chip, assume: Iterable[str] = (),
    inference: bool = False,
) -> Report:  # fmt: skip
    """Check an experiment whose demand was counted already; arguments as for :func:`check`."""
    given = (assume,) if isinstance(assume, str) else tuple(assume)
    sheet = load_chip(chip)
    try:
        known = limits.assume(sheet, given)
    except catalogue.ChipError as error:
        raise InputError(str(error)) from error
    if inference:
        return Report(experiment, judge(without_learning(demand), known, experiment.network.leak), given, inference)
    verdict = judge(demand, known, experiment.network.leak)
    more = judge_run(known, experiment.numbers, experiment.rule, experiment.training, experiment.longest_episode)
    return Report(experiment, verdict.and_also(more.found, more.notes), given, inference)


def _experiment(given: object) -> Experiment:
    if isinstance(given, Experiment):
        return given
    if not isinstance(given, str | Path):
        raise InputError(
            f"experiment is a {type(given).__name__}; give an Experiment or the path of one. A network and a rule by "
            f"themselves are counted by nl.demand_of"
        )
    return Experiment.load(given)


def load_chip(chip: str | Path | Chip) -> Chip:
    """Return a chip by name or path.

    Raises
    ------
    InputError
        If there is none, or its sheet is not in order.
    """
    if isinstance(chip, Chip):
        return chip
    try:
        return catalogue.load(chip)
    except catalogue.ChipError as error:
        raise InputError(str(error)) from error


def chip_names() -> list[str]:
    """Return the names of the chips that come with the package."""
    return catalogue.names()


def _demand(experiment: Experiment) -> Demand:
    return outline(experiment)
