"""Exports: one function, one table of targets, and a report of what each leaves out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from neurolrnn import atomic
from neurolrnn.errors import InputError, choose, real_number
from neurolrnn.exports.losses import Change, ExportReport, Loss, LossError
from neurolrnn.exports.target import ASPECTS, TARGETS, Plan, Source, Target
from neurolrnn.exports.writing import check_path, default_path
from neurolrnn.network import Network
from neurolrnn.run import Run, RunFileError

__all__ = [
    "ASPECTS",
    "TARGETS",
    "Change",
    "ExportReport",
    "Loss",
    "LossError",
    "Plan",
    "Source",
    "Target",
    "default_path",
    "export",
]


def export(
    run_or_network: Run | Network,
    path: str | Path | None,
    target: str = "nir",
    *,
    strict: bool = False,
    dry_run: bool = False,
    inference_only: bool = False,
    dt_seconds: float | None = None,
    announce: Callable[[ExportReport], None] | None = None,
    **options: object,
) -> ExportReport:
    """Write a network, or a run with all it knows, in a form that other tools load.

    Parameters
    ----------
    run_or_network : Run or Network
        What to export. A run exports its network after learning, with rule, formats and feedback as far as the target
        holds them.
    path : path or None
        File, or folder for targets of several files; the target's suffix is appended if there is none. An older
        export there is replaced in one move. None only with ``dry_run``.
    target : str
        A name of :data:`TARGETS`; ``neurolrnn list targets`` shows what each holds.
    strict : bool
        Refuse every loss: nothing is written unless the target holds everything exactly.
    dry_run : bool
        Make the whole export and its report, and write nothing.
    inference_only : bool
        Export the network without what it learned with, on purpose, so that it does not count as a loss.
    dt_seconds : float, optional
        Duration of one step in seconds, for targets that measure time; default 0.001.
    announce : callable, optional
        Called with the report after the export is made and before anything is written.
    **options
        Of the target; see its module.

    Returns
    -------
    ExportReport
        What is left out, what was folded, scaled or rounded and by how much, and which files were written.

    Raises
    ------
    InputError
        If the target or an option is unknown, or the target cannot hold this network at all.
    LossError
        With ``strict``, if anything would be lost; it carries the report.
    RunFileError
        If the path cannot be written; what was there is as it was.

    Examples
    --------
    >>> import neurolrnn as nl
    >>> report = nl.export(nl.Network.random(1, 4, 1, leak=0.5), None, "nir", dry_run=True)
    >>> report.written
    False
    """
    row = TARGETS[choose("target", target, TARGETS)]
    source = Source.of(run_or_network, inference_only)
    if dt_seconds is not None:
        options["dt_seconds"] = real_number("dt_seconds", dt_seconds, above=0.0)
    if path is None and not dry_run:
        raise InputError("path = None; give a file to write, or dry_run = True to see the report alone")
    place = None if path is None else check_path(path, row.suffix)
    plan = row.plan(source, **options)
    files = {name: data.encode() if isinstance(data, str) else data for name, data in plan.files.items()}
    if not row.is_folder and place is not None:
        files = dict(zip([place.name], files.values(), strict=True))  # one file, under the name that the user gave
    sizes = {name: len(data) for name, data in files.items()}
    status = "completed" if source.run is None else source.run.status
    notes = [] if status == "completed" else [f"the run ended as {status}: this is its network at that point"]
    parts = (tuple(plan.losses), tuple(plan.changes), (*notes, *plan.notes))
    report = ExportReport(target, place, sizes, *parts)
    if strict and not report.is_exact:
        raise LossError(report)
    if announce is not None:
        announce(report)
    if dry_run or place is None:
        return report
    if row.is_folder:
        atomic.write_folder(place, files, RunFileError)
    else:
        atomic.write_bytes(place, next(iter(files.values())), RunFileError)
    return ExportReport(target, place, sizes, *parts, written=True)
