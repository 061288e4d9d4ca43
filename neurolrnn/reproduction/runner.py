"""Run the claims one after the other, keep what is known, and write it down after each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from neurolrnn.errors import InputError, NeurolrnnError, choose, positive_integer
from neurolrnn.reproduction import aligned, averages, fixed_point, fixed_points, learning, settling
from neurolrnn.reproduction.claims import Claim, Measured, Outcome, Setting, Verdict, verdict_of
from neurolrnn.reproduction.report import make_folder, to_markdown, to_text, write_all, write_picture

CLAIMS: dict[str, Claim] = {
    claim.name: claim
    for group in (
        aligned.CLAIMS, fixed_points.CLAIMS, settling.CLAIMS, learning.CLAIMS, averages.CLAIMS, fixed_point.CLAIMS,
    )
    for claim in group
}  # fmt: skip
"""All claims, in the order in which they are tried."""


@dataclass(eq=False)
class Reproduction:
    """Result of :func:`reproduce`."""

    quick: bool
    seed: int
    outcomes: list[Outcome] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    """Names of the claims that were asked for."""
    status: Literal["completed", "interrupted"] = "completed"
    seconds: float = 0.0
    pictures: dict[str, Path] = field(default_factory=dict)
    """By claim; what was written."""
    files: list[Path] = field(default_factory=list)
    """Tables that were written."""

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """By claim."""
        return {outcome.claim.name: outcome.verdict for outcome in self.outcomes}

    def to_dict(self) -> dict[str, object]:
        """Return everything but curves and pictures as plain data."""
        return {
            "status": self.status,
            "quick": self.quick,
            "seed": self.seed,
            "seconds": self.seconds,
            "verdicts": self.verdicts,
            "missing": [name for name in self.wanted if name not in self.verdicts],
            "claims": [outcome.to_dict() for outcome in self.outcomes],
        }

    def markdown(self) -> str:
        """Return the table and the checks behind it, as Markdown."""
        return to_markdown(self)

    def __str__(self) -> str:
        return to_text(self)


def reproduce(
    folder: str | Path | None = None,
    only: Sequence[str] | None = None,
    quick: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> Reproduction:
    """Try the claims of the paper (Williams, Payeur & Lajoie, ICML 2026, arXiv 2606.00243) and some about fixed point.

    Parameters
    ----------
    folder : path, optional
        Where to write ``reproduction.json``, ``.md``, ``.txt`` and the pictures; it is made if it does not exist, and
        older files of these names are replaced. Without it nothing is written.
    only : list of str, optional
        Names of claims, out of :data:`neurolrnn.reproduction.CLAIMS`; default all.
    quick : bool
        Fewer seeds and shorter runs; the table says so.
    seed : int
        Of all teachers, students and inputs.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    Reproduction
        With a verdict for each claim, ``"confirmed"``, ``"refined"`` or ``"not confirmed"``, which follows from numbers
        by stated intervals. Ctrl-C ends it early, with status ``"interrupted"`` and what was done until then.

    Raises
    ------
    InputError
        If a claim is not known, or the folder cannot be made.

    Notes
    -----
    docs/reproduce.md lists the claims and what the verdicts mean.
    """
    names = list(CLAIMS) if only is None else [choose("claim", name, CLAIMS) for name in only]
    if not names:
        raise InputError(f"only = {only!r} leaves nothing to do; allowed: {', '.join(CLAIMS)}")
    names = [name for name in CLAIMS if name in names]
    if not isinstance(quick, bool):
        raise InputError(f"quick = {quick!r}; true or false is needed")
    result = Reproduction(quick, positive_integer("seed", seed, 0), wanted=names)
    target = None if folder is None else make_folder(folder)
    began = time.perf_counter()
    total = sum(CLAIMS[name].cost for name in names)
    form = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
    bar = tqdm(total=total, disable=not progress, leave=False, bar_format=form, dynamic_ncols=True, delay=0.3)
    try:
        with bar:
            for name in names:
                result.outcomes.append(_try(CLAIMS[name], result, bar))
                result.seconds = time.perf_counter() - began
                if target is not None:
                    outcome = result.outcomes[-1]
                    bar.set_postfix_str(f"{name}: writing")
                    picture = write_picture(outcome, target)
                    if picture is not None:
                        result.pictures[name] = picture
                    result.files = write_all(result, target)
    except KeyboardInterrupt:
        result.status = "interrupted"
        result.seconds = time.perf_counter() - began
        if target is not None:
            result.files = write_all(result, target)
    return result


def _try(claim: Claim, result: Reproduction, bar: Any) -> Outcome:
    """Measure and judge one claim; what cannot be measured is not confirmed."""
    start, began = bar.n, time.perf_counter()

    def tell(what: str, share: float) -> None:
        bar.set_postfix_str(f"{claim.name}: {what}", refresh=False)
        bar.n = max(bar.n, start + claim.cost * min(share, 1.0))
        bar.refresh()

    tell("starting", 0.0)
    measured, error = Measured({}), ""
    try:
        measured = claim.measure(Setting(result.quick, result.seed, tell))
        judgement = claim.judge(measured.numbers)
    except (NeurolrnnError, ArithmeticError, np.linalg.LinAlgError) as problem:
        error = f"{type(problem).__name__}: {problem}"
    bar.n = start + claim.cost
    seconds = time.perf_counter() - began
    if error:
        return Outcome(claim, "not confirmed", "could not be measured", [], measured, seconds, error)
    return Outcome(claim, verdict_of(judgement.checks), judgement.figure, judgement.checks, measured, seconds)


def claims_rows() -> list[dict[str, object]]:
    """Return name, statement and source of every claim as plain data."""
    return [{"name": c.name, "source": c.source, "statement": c.statement, "where": c.where} for c in CLAIMS.values()]
