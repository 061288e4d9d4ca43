"""What a claim is, how its verdict follows from its numbers, and what is known after it was tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from neurolrnn.errors import InputError

Part = Literal["core", "as stated", "refined"]
Verdict = Literal["confirmed", "refined", "not confirmed"]
Source = Literal["paper", "here"]


@dataclass(frozen=True)
class Check:
    """One number and the closed interval it must lie in."""

    text: str
    """What the number is, in a few words."""
    value: float
    low: float = -math.inf
    high: float = math.inf
    part: Part = "core"
    """``"core"``: without it the claim fails. ``"as stated"``: without it the claim is not right as it stands.
    ``"refined"``: what is put in its place then."""

    @property
    def holds(self) -> bool:
        """Whether the number is where it must be; NaN never is."""
        return self.low <= self.value <= self.high

    @property
    def wanted(self) -> str:
        """The interval in words."""
        if self.low == self.high:
            return f"{self.low:.4g}"
        if self.low == -math.inf:
            return f"≤ {self.high:.4g}"
        return f"≥ {self.low:.4g}" if self.high == math.inf else f"{self.low:.4g} to {self.high:.4g}"

    def __str__(self) -> str:
        mark = "yes" if self.holds else "NO"
        return f"{mark:>3}  {self.text}: {self.value:.4g} (wanted {self.wanted}; {self.part})"


def verdict_of(checks: Sequence[Check]) -> Verdict:
    """Return what checks say of a claim.

    ``"not confirmed"`` if a core check fails. Otherwise ``"confirmed"`` if the claim holds as stated; if not,
    ``"refined"`` if there are refined checks and all hold, else ``"not confirmed"``.

    Raises
    ------
    InputError
        If there is nothing to judge by.
    """
    if not checks:
        raise InputError("a claim without checks has no verdict")

    def hold(part: Part) -> bool:
        return all(check.holds for check in checks if check.part == part)

    if not hold("core"):
        return "not confirmed"
    if hold("as stated"):
        return "confirmed"
    return "refined" if hold("refined") and any(c.part == "refined" for c in checks) else "not confirmed"


class Setting(NamedTuple):
    """How thoroughly a claim is tried."""

    quick: bool = False
    seed: int = 0
    tell: Callable[[str, float], None] = lambda what, share: None
    """Called with what is running now and the share of the claim that is done."""

    def take(self, quick: int, full: int) -> int:
        """Return one of two sizes."""
        return quick if self.quick else full


class Measured(NamedTuple):
    """What trying a claim gave."""

    numbers: dict[str, object]
    """All that the verdict depends on; plain data."""
    curves: Mapping[str, object] = MappingProxyType({})
    """What only the picture needs."""


class Judgement(NamedTuple):
    """Numbers, judged."""

    figure: str
    """Our figure, in a line."""
    checks: list[Check]


@dataclass(frozen=True)
class Claim:
    """A statement, how it is tried and how the numbers are judged.

    The two are apart so that the verdict depends on the numbers alone.
    """

    name: str
    statement: str
    """What is said, in our words."""
    refinement: str
    """What we say instead if it does not hold as stated; empty if there is nothing."""
    where: str
    """Functions and pages that have more."""
    measure: Callable[[Setting], Measured]
    judge: Callable[[dict[str, object]], Judgement]
    draw: Callable[[Measured, Path], object] | None = None
    """Draws the picture into a file."""
    source: Source = "paper"
    """Who makes the statement."""
    cost: float = 1.0
    """Rough share of the time, for the progress bar."""


@dataclass(frozen=True)
class Outcome:
    """A claim after it was tried."""

    claim: Claim
    verdict: Verdict
    figure: str
    checks: list[Check] = field(default_factory=list)
    measured: Measured = Measured({})  # noqa: RUF009 - never written to
    seconds: float = 0.0
    error: str = ""
    """Why there are no numbers; empty if there are."""

    @property
    def statement(self) -> str:
        """What the numbers support, with what does not hold left out."""
        return self.claim.refinement if self.verdict == "refined" else self.claim.statement

    def to_dict(self) -> dict[str, object]:
        """Return everything but curves as plain data."""
        return {
            "claim": self.claim.name,
            "source": self.claim.source,
            "statement": self.claim.statement,
            "verdict": self.verdict,
            "refinement": self.claim.refinement if self.verdict == "refined" else None,
            "figure": self.figure,
            "where": self.claim.where,
            "checks": [
                {
                    "text": c.text,
                    "value": c.value,
                    "low": None if c.low == -math.inf else c.low,
                    "high": None if c.high == math.inf else c.high,
                    "part": c.part,
                    "holds": c.holds,
                }
                for c in self.checks
            ],
            "numbers": self.measured.numbers,
            "seconds": self.seconds,
            "error": self.error or None,
        }
