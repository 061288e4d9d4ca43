"""Findings: a limit, what is asked of it and what it allows, with source, grade and a way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from neurolrnn_hardware.limits import Limits
from neurolrnn_hardware.sheet_fields import Fact

Status = Literal["exceeded", "not known", "disputed", "assumed"]
STATUSES: tuple[str, ...] = get_args(Status)


@dataclass(frozen=True)
class Finding:
    """A limit that does not hold, or that nobody knows.

    Parameters
    ----------
    limit : str
        Name of the figure in the sheet, ``section.field``; what ``assume`` takes.
    status : str
        ``"exceeded"``; ``"not known"``, where the sheet has no figure; ``"disputed"``, where it holds by one text and
        not by another; ``"assumed"``, where the user lifted it.
    what : str
        What asks for it.
    asked, allowed : str
        How much, in words with unit; the other texts' figures too.
    source, grade : str
        Where the figure stands, and how sure it is.
    remedy : str
        A way out.
    note : str
        What the sheet says beside the figure.
    """

    limit: str
    status: Status
    what: str
    asked: str
    allowed: str
    source: str
    grade: str
    remedy: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return plain data, as JSON holds it."""
        return asdict(self)

    def text(self) -> str:
        """Return it in a few lines for a terminal."""
        head = {"exceeded": "does not fit", "disputed": "texts disagree"}.get(self.status, self.status)
        lines = [f"{head}: {self.what} ({self.limit})", f"  asked {self.asked}, allowed {self.allowed}"]
        lines.append(f"  source: {self.source} (grade {self.grade})")
        lines += [f"  note: {self.note}"] if self.note else []
        return "\n".join([*lines, *([f"  way out: {self.remedy}"] if self.remedy else [])])


class Findings:
    """Collects findings about one chip.

    Parameters
    ----------
    limits : Limits
        The chip, under assumptions.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.found: list[Finding] = []
        self.notes: list[str] = []

    def most(self, limit: str, asked: int, what: str, remedy: str = "") -> None:
        """Judge a number that may not be larger than a limit."""
        unit = self.limits.fact(limit).unit
        self.check(limit, lambda value: asked <= value, f"{asked:,} {unit}".strip(), what, remedy)

    def check(self, limit: str, holds: Callable[[Any], bool], asked: str, what: str, remedy: str = "") -> None:
        """Judge a limit by whether ``holds`` says so of its figure, and of the figures of other texts.

        Parameters
        ----------
        limit : str
            Name of the figure.
        holds : callable
            Of a figure: whether what is asked for is allowed.
        asked, what, remedy : str
            As in :class:`Finding`.
        """
        fact = self.limits.fact(limit)
        if fact.unlimited:
            return
        figures: list[Fact[Any]] = [f for f in (fact, *fact.also) if f.value is not None]
        verdicts = [holds(f.value) for f in figures]
        if verdicts and all(verdicts):
            return
        status: Status = "not known" if not verdicts else "disputed" if any(verdicts) else "exceeded"
        if self.limits.is_lifted(limit):
            status = "assumed"
        allowed = " or ".join(f.shown() for f in figures) or "not known"
        sources = " | ".join(f.source for f in figures) if figures else fact.source
        grade = "/".join(dict.fromkeys(f.grade for f in figures)) or fact.grade
        if status == "not known":
            remedy = f"say what holds: assume {limit}=VALUE, or {limit} to lift it"
        elif status == "assumed":
            remedy = ""
        self._add(Finding(limit, status, what, asked, allowed, sources, grade, remedy, fact.note))

    def _add(self, new: Finding) -> None:
        """Put it with an earlier one about the same limit, if there is one."""
        for i, old in enumerate(self.found):
            if (old.limit, old.status) == (new.limit, new.status):
                self.found[i] = replace(
                    old, what=_joined(old.what, new.what), asked=_joined(old.asked, new.asked),
                    remedy=_joined(old.remedy, new.remedy),
                )  # fmt: skip
                return
        self.found.append(new)

    def named(self, limit: str) -> bool:
        """Whether the sheet says anything of a limit, be it that it is not known."""
        return self.limits.fact(limit).stated


def _joined(old: str, new: str) -> str:
    """Return both texts, each once."""
    return old if not new or new in old.split("; ") else f"{old}; {new}" if old else new
