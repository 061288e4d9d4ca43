"""A figure of a chip sheet: its value with unit, grade and source, and what the sheet may say there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeVar

T_co = TypeVar("T_co", covariant=True)
Value = bool | int | float | str | tuple[float, float] | tuple[int, ...] | tuple[str, ...]
"""What the fields of sheets hold."""
Grade = Literal["A", "B", "C", "U"]
GRADES: dict[str, str] = {
    "A": "read in the primary artefact (RTL, vendor's or project's code or documentation), or measured on the vendor's "
    "simulator",
    "B": "quoted word for word from the primary paper by a third party; the paper itself was not opened",
    "C": "a third party's statement, not verified",
    "U": "unknown: no source was found",
}
"""What the grade of a figure means."""

Kind = Literal["count", "integer", "number", "interval", "flag", "choice", "choices", "integers"]


class Reference(NamedTuple):
    """Where a figure stands: the key of a source of the sheet, and the place in it."""

    key: str
    at: str

    def __str__(self) -> str:
        return f"{self.key} {self.at}".strip()


@dataclass(frozen=True)
class Fact(Generic[T_co]):
    """One figure of a sheet.

    Parameters
    ----------
    value : T or None
        None where it is not known, or where there is no limit.
    unit : str
        Unit of the value; empty for words and flags.
    grade : str
        One of :data:`GRADES`.
    references : tuple of Reference
        Where it stands; never empty for a known figure.
    note : str
        What must be said beside it.
    unlimited : bool
        A source says that there is no such limit.
    also : tuple of Fact
        What other texts say instead.
    stated : bool
        Whether the sheet names it, be it to say that it is not known.
    """

    value: T_co | None = None
    unit: str = ""
    grade: Grade = "U"
    references: tuple[Reference, ...] = ()
    note: str = ""
    unlimited: bool = False
    also: tuple[Fact[T_co], ...] = ()
    stated: bool = False

    @property
    def known(self) -> bool:
        """Whether a source says something, be it that there is no limit."""
        return self.unlimited or self.value is not None

    @property
    def source(self) -> str:
        """The references in one line; "no source found" if there are none."""
        return "; ".join(map(str, self.references)) or "no source found"

    def shown(self) -> str:
        """Return value and unit as text."""
        if self.unlimited:
            return "no limit"
        if self.value is None:
            return "unknown"
        value: Any = self.value
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, tuple):
            ends = list(map(_number, value)) if value else ["none"]
            interval = len(value) == 2 and all(isinstance(v, float) for v in value)
            text = ends[0] if interval and value[0] == value[1] else (" to " if interval else ", ").join(ends)
        else:
            text = _number(value)
        return f"{text} {self.unit}".strip()


def _number(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Spec:
    """What a field of a sheet may hold."""

    kind: Kind
    unit: str
    meaning: str
    allowed: tuple[str, ...] = ()
    low: float = 0
    high: float = 2.0**53
    limit: bool = False
    """Whether "unlimited" is a possible value."""

    def wanted(self) -> str:
        """Say in words what is allowed."""
        span = f"{self.low:g} to {self.high:g}" if self.high < 2.0**53 else f"at least {self.low:g}"
        return {
            "count": f"a whole number, {span}",
            "integer": f"a whole number, {span}",
            "number": f"a number, {span}",
            "interval": f"a number or [low, high], {span}",
            "flag": "true or false",
            "choice": f"one of {', '.join(self.allowed)}",
            "choices": f"a list of {', '.join(self.allowed)}",
            "integers": f"a list of whole numbers, {span}",
        }[self.kind] + (', or "unlimited"' if self.limit else "")


def _figure(spec: Spec) -> Any:
    return field(default=Fact(unit=spec.unit), metadata={"spec": spec})


def count(unit: str, meaning: str) -> Any:
    """Declare a limit that counts something."""
    return _figure(Spec("count", unit, meaning, limit=True))


def bits(meaning: str, high: int = 4096) -> Any:
    """Declare a width in bits."""
    return _figure(Spec("count", "bits", meaning, high=high))


def integer(unit: str, meaning: str, low: int, high: int) -> Any:
    """Declare a whole number that may be negative."""
    return _figure(Spec("integer", unit, meaning, low=low, high=high))


def number(unit: str, meaning: str) -> Any:
    """Declare a number of at least 0."""
    return _figure(Spec("number", unit, meaning))


def interval(unit: str, meaning: str) -> Any:
    """Declare a number, or the two ends of an interval."""
    return _figure(Spec("interval", unit, meaning))


def flag(meaning: str) -> Any:
    """Declare a yes or no."""
    return _figure(Spec("flag", "", meaning))


def choice(meaning: str, *allowed: str) -> Any:
    """Declare one of several words."""
    return _figure(Spec("choice", "", meaning, allowed))


def choices(meaning: str, *allowed: str) -> Any:
    """Declare a list of words."""
    return _figure(Spec("choices", "", meaning, allowed))


def integers(unit: str, meaning: str, high: int) -> Any:
    """Declare a list of whole numbers."""
    return _figure(Spec("integers", unit, meaning, high=high))
