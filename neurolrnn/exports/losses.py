"""What an export leaves out or alters, said before anything is written."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from neurolrnn.errors import InputError

COLUMNS = 110
"""Width of a report in plain text."""


@dataclass(frozen=True)
class Loss:
    """Something that the target cannot hold.

    Parameters
    ----------
    what : str
        What is left out, such as ``"learning rule rflo"``.
    why : str
        Property of the target that makes it so.
    remedy : str
        What the user can do instead.
    """

    what: str
    why: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" + (f"; {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Change:
    """Something that was folded, scaled or rounded so that the target can hold it.

    Parameters
    ----------
    what : str
        Which parameter, such as ``"W"``.
    how : str
        What was done, with its numbers: ``"rounded to float32"``, ``"times 2^-3, exponent 3"``.
    why : str
        Property of the target that makes it necessary.
    before, after : (float, float)
        Smallest and largest value, both in ``unit`` and with the same meaning: what the parameter stands for, not the
        code that holds it.
    unit : str
        Unit of ``before``, ``after`` and ``error``; ``"1"`` for none.
    error : float
        Largest absolute difference that was introduced, in ``unit``; 0 if the change is exact.
    """

    what: str
    how: str
    why: str
    before: tuple[float, float]
    after: tuple[float, float]
    unit: str = "1"
    error: float = 0.0

    @classmethod
    def between(cls, what: str, how: str, why: str, before: ArrayLike, after: ArrayLike, unit: str = "1") -> Change:
        """Return the change from one array of values to another of the same meaning, unit and shape."""
        old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
        error = float(np.abs(old - new).max())
        return cls(
            what, how, why, (float(old.min()), float(old.max())), (float(new.min()), float(new.max())), unit, error
        )

    def __str__(self) -> str:
        return f"{self.what} {self.how} ({self.why}): {self._error()}"

    def ranges(self) -> str:
        """Return smallest and largest value before and after, in the unit of the change."""
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{_range(self.before)}{unit} before, {_range(self.after)}{unit} after"

    def _error(self) -> str:
        unit = "" if self.unit == "1" else f" {self.unit}"
        return "exact" if self.error == 0.0 else f"largest error {self.error:.3g}{unit}"


@dataclass(frozen=True)
class ExportReport:
    """What an export did, or would do.

    Attributes
    ----------
    target : str
        Name in the table of targets.
    path : Path or None
        File or folder; None if nothing was to be written and no path was given.
    files : dict of str to int
        Size in bytes of each file, by its name.
    losses : tuple of Loss
        What the target cannot hold.
    changes : tuple of Change
        What was folded, scaled or rounded, with the error of each.
    notes : tuple of str
        What the reader of the file should know.
    written : bool
        False after a dry run.
    """

    target: str
    path: Path | None
    files: dict[str, int] = field(default_factory=dict)
    losses: tuple[Loss, ...] = ()
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    written: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether nothing is left out and no change has an error."""
        return not self.losses and all(change.error == 0.0 for change in self.changes)

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain data."""
        return {
            "target": self.target, "path": None if self.path is None else str(self.path), "files": dict(self.files),
            "losses": [asdict(loss) for loss in self.losses],
            "changes": [{**asdict(c), "before": list(c.before), "after": list(c.after)} for c in self.changes],
            "notes": list(self.notes), "exact": self.is_exact, "written": self.written,
        }  # fmt: skip

    def __str__(self) -> str:
        parts = [f"{self.target}: {'written to' if self.written else 'to be written to'} {self.path or 'a file'}"]
        parts += [f"not held: {loss}" for loss in self.losses]
        parts += [f"changed: {change}; {change.ranges()}" for change in self.changes]
        if self.is_exact:
            parts.append("nothing is left out and nothing is rounded")
        parts += [f"note: {note}" for note in self.notes]
        return "\n".join(textwrap.fill(part, COLUMNS, subsequent_indent="    ") for part in parts)


def _range(pair: Sequence[float]) -> str:
    low, high = (f"{value:.4g}" for value in pair)
    return low if low == high else f"{low} to {high}"


class LossError(InputError):
    """A strict export would lose something.

    Attributes
    ----------
    report : ExportReport
        All that would have been lost or altered; nothing was written.
    """

    def __init__(self, report: ExportReport) -> None:
        lines = [str(loss) for loss in report.losses]
        lines += [str(change) for change in report.changes if change.error != 0.0]
        super().__init__(
            f"strict: target {report.target!r} would lose {len(lines)} thing{'s' if len(lines) != 1 else ''}, so "
            f"nothing was written:\n" + "\n".join(f"  - {line}" for line in lines)
        )
        self.report = report
