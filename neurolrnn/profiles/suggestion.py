"""What is suggested: formats with reasons, the experiment that has them, and how fresh seeds took it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from neurolrnn.errors import InputError, choose
from neurolrnn.experiment import Experiment
from neurolrnn.profiles.cases import Difference, Metric
from neurolrnn.profiles.storage import Storage
from neurolrnn.tables import markdown_table, text_table


class Reason(NamedTuple):
    """The format of one variable, and what speaks for it."""

    variable: str
    format: str
    words: int
    range: str
    """What its integer bits have to hold."""
    resolution: str
    """What its fraction bits have to resolve."""


class Verification(NamedTuple):
    """A suggestion, run on seeds that had no part in finding it."""

    seeds: tuple[int, ...]
    difference: Difference
    passed: bool
    """Whether the upper bound of the 95 % interval of the mean difference is within the tolerance."""

    def __str__(self) -> str:
        verdict, left = "passed" if self.passed else "FAILED", len(self.seeds) - self.difference.pairs
        without = f", {left} of them left out, as float32 diverges there" if left else ""
        return (f"{verdict}: worse than float32 by {self.difference} on {len(self.seeds)} fresh seeds "
                f"({min(self.seeds)} to {max(self.seeds)}{without})")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Suggestion:
    """Few bits within a tolerance of floating point.

    Attributes
    ----------
    experiment : Experiment
        Ready to run, with the formats suggested.
    metric : Metric
    tolerance : float
        Points of accuracy as a share, or a share of the floating-point loss.
    objective : str
        ``"bits"`` or ``"bytes"``.
    reasons : list of Reason
        One for each variable.
    storage, float_storage : Storage
        Memory of the learner with these formats, and in float32.
    found : Difference
        On the seeds of the search; optimistic, because formats were chosen by it.
    verifications : list of Verification
        The last one is of the formats suggested. Each earlier one failed, and gave every variable another bit.
    runs : int
        Runs that the search made.
    notes : list of str
        How updates are rounded, and why; what else was tried.
    """

    experiment: Experiment
    metric: Metric
    tolerance: float
    objective: str
    reasons: Sequence[Reason]
    storage: Storage
    float_storage: Storage
    found: Difference
    verifications: Sequence[Verification]
    runs: int
    notes: Sequence[str]

    @property
    def passed(self) -> bool:
        """Whether the formats held on fresh seeds."""
        return bool(self.verifications) and self.verifications[-1].passed

    @property
    def formats(self) -> dict[str, str]:
        """Format by variable."""
        return {reason.variable: reason.format for reason in self.reasons}

    def table(self, style: Literal["text", "markdown"] = "text") -> str:
        """Return one line per variable: format, number of words, reasons."""
        make = markdown_table if choose("style", style, ("text", "markdown")) == "markdown" else text_table
        header = ["variable", "format", "words", "range", "resolution"]
        return make([list(reason) for reason in self.reasons], header, "llrll")

    def summary(self) -> str:
        """Return formats, memory, and whether fresh seeds confirmed them."""
        saved = self.float_storage.bits / self.storage.bits
        lines = [
            f"fewest {self.objective} with {self.metric.name.replace('_', ' ')} within {self.tolerance:g} "
            f"{self.metric.unit}, 95 % confidence",
            "", self.table(), "", *self.notes,
            f"memory: {self.storage.bits:,} bits, {self.storage.bytes:,} bytes ({saved:.1f} times less than float32)",
            f"search: {self.found} on its own seeds, {self.runs} runs",
            *(f"verification {k}: {v}" if len(self.verifications) > 1 else f"verification {v}"
              for k, v in enumerate(self.verifications, 1)),
        ]  # fmt: skip
        return "\n".join(lines)

    def to_toml(self) -> str:
        """Return the text of an experiment file, with what was found in its first lines."""
        last = self.verifications[-1] if self.verifications else "not made"
        head = [
            f"# Formats found by neurolrnn profile --suggest: {self.metric.name} within {self.tolerance:g} "
            f"{self.metric.unit}.",
            f"# Verification {last}.",
        ]  # fmt: skip
        return "\n".join(head) + "\n" + self.experiment.to_toml()

    def save(self, path: str | Path) -> Path:
        """Write :meth:`to_toml` into a file, in one move, and return its path."""
        from neurolrnn.atomic import write_text

        return write_text(path, self.to_toml())

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain data."""
        return {
            "metric": self.metric.name, "tolerance": self.tolerance, "objective": self.objective,
            "reasons": [reason._asdict() for reason in self.reasons], "bits": self.storage.bits,
            "bytes": self.storage.bytes, "float32_bits": self.float_storage.bits, "found": self.found._asdict(),
            "verifications": [
                {"seeds": list(v.seeds), "difference": v.difference._asdict(), "passed": v.passed}
                for v in self.verifications
            ],
            "passed": self.passed, "runs": self.runs, "notes": list(self.notes),
            "experiment": self.experiment.to_dict(),
        }  # fmt: skip


def refuse_noise(difference: Difference, tolerance: float, metric: Metric, seeds: int) -> InputError:
    """Return the error that says why not even wide formats are within a tolerance."""
    half = difference.high - difference.mean
    if difference.lost:
        return InputError(
            f"even the widest formats lose {difference.lost} of {difference.pairs} runs, which float32 completes; look "
            f"at the ranges (neurolrnn profile --ranges), or take a smaller learning rate"
        )
    return InputError(
        f"tolerance = {tolerance:g}: {seeds} seeds tell {metric.name} of the widest formats ({difference.mean:+.3g}) "
        f"only to ± {half:.2g} {metric.unit}; give more seeds, or a larger tolerance"
    )
