"""Tables and pictures of a reproduction, and the folder they go to."""

from __future__ import annotations

import json
import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurolrnn import atomic
from neurolrnn.errors import InputError
from neurolrnn.run import plain
from neurolrnn.tables import markdown_table, text_table

if TYPE_CHECKING:
    from neurolrnn.reproduction.claims import Outcome
    from neurolrnn.reproduction.runner import Reproduction

STEM = "reproduction"
FOLDER_FILES = (f"{STEM}.json", f"{STEM}.md", f"{STEM}.txt")
"""Tables, besides the pictures ``<claim>.png``."""
PAPER = "Williams, Payeur & Lajoie, ICML 2026, arXiv 2606.00243"
WIDTH = 76
"""Of the widest column of the text table."""


def _head(result: Reproduction) -> str:
    way = "quick: fewer seeds and shorter runs" if result.quick else "full"
    state = (
        "" if result.status == "completed" else f"; interrupted after {len(result.outcomes)} of {len(result.wanted)}"
    )
    return f"Claims of {PAPER}, tried ({way}; seed {result.seed}){state}"


def _counts(result: Reproduction) -> str:
    verdicts: list[str] = list(result.verdicts.values())
    return ", ".join(f"{verdicts.count(v)} {v}" for v in ("confirmed", "refined", "not confirmed"))


def to_text(result: Reproduction) -> str:
    """Return the table for a terminal."""
    rows: list[list[str]] = []
    for outcome in result.outcomes:
        lines = [f"claim: {outcome.claim.statement}"]
        if outcome.verdict == "refined":
            lines.append(f"refined: {outcome.claim.refinement}")
        lines.append(f"found: {outcome.figure}")
        if outcome.verdict == "not confirmed":
            lines += [f"failed: {check}" for check in outcome.checks if not check.holds]
        if outcome.error:
            lines.append(f"error: {outcome.error}")
        lines.append(f"where: {outcome.claim.where}")
        wrapped = [part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent="  ")]
        name = outcome.claim.name + (" *" if outcome.claim.source == "here" else "")
        for i, line in enumerate(wrapped):
            rows.append([name if i == 0 else "", outcome.verdict if i == 0 else "", line])
    table = text_table(rows, ("claim", "verdict", "what"))
    foot = "* not the paper's: about this package's numbers"
    return f"{_head(result)}\n\n{table}\n\n{foot}\n{_counts(result)}; {result.seconds:.0f} s"


def summary_table(result: Reproduction) -> str:
    """Return claim, our figure, verdict and place as one Markdown table; times are left out, so that it can be kept."""
    rows = []
    for outcome in result.outcomes:
        statement = outcome.claim.statement
        if outcome.verdict == "refined":
            statement += f". *Refined:* {outcome.claim.refinement}"
        name = f"`{outcome.claim.name}`" + (" \\*" if outcome.claim.source == "here" else "")
        rows.append([name, statement, outcome.figure, f"**{outcome.verdict}**", outcome.claim.where])
    return markdown_table(rows, ["name", "claim", "our figure", "verdict", "where"])


def checks_table(outcome: Outcome) -> str:
    """Return the checks of one claim as a Markdown table."""
    rows = [[c.text, f"{c.value:.4g}", c.wanted, c.part, "yes" if c.holds else "**no**"] for c in outcome.checks]
    return markdown_table(rows, ["number", "value", "wanted", "part", "holds"], "lr")


def to_markdown(result: Reproduction) -> str:
    """Return the summary, the pictures, and every number behind a verdict."""
    parts = [
        f"# Reproduction\n\n{_head(result)}. {_counts(result)}; {result.seconds:.0f} s.\n\n{summary_table(result)}\n\n"
        "\\* not the paper's: about this package's numbers."
    ]
    for outcome in result.outcomes:
        picture = result.pictures.get(outcome.claim.name)
        shown = f"\n\n![{outcome.claim.name}]({picture.name})" if picture is not None else ""
        problem = f"\n\n{outcome.error}" if outcome.error else ""
        table = f"\n\n{checks_table(outcome)}" if outcome.checks else ""
        parts.append(f"## {outcome.claim.name}: {outcome.verdict}\n\n{outcome.figure}.{problem}{shown}{table}")
    return "\n\n".join(parts) + "\n"


# --- files


def make_folder(folder: str | Path) -> Path:
    """Return the folder, made if need be.

    Raises
    ------
    InputError
        If it cannot be made or written to.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot make the folder {target}: {why}; name another with -o") from error
    atomic.check_parent(target / FOLDER_FILES[0], target, InputError)
    return target


def write_all(result: Reproduction, folder: Path) -> list[Path]:
    """Write the three tables, each in one move, and return them."""
    data = json.dumps(_finite(plain(result.to_dict())), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    written = []
    for name, text in zip(FOLDER_FILES, (data, result.markdown(), f"{result}\n"), strict=True):
        written.append(atomic.write_text(folder / name, text, InputError))
    return written


def write_picture(outcome: Outcome, folder: Path) -> Path | None:
    """Draw a claim's picture and return where; None if it has none."""
    draw = outcome.claim.draw
    if draw is None or outcome.error:
        return None
    target = folder / f"{outcome.claim.name}.png"
    draw(outcome.measured, target)
    return target


def _finite(value: Any) -> Any:
    """Return plain data with null for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
