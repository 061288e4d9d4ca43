"""Saving a run so that a disk that is full or gone does not cost the run."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from neurolrnn.run import Run, RunFileError


def save_unfinished(run: Run, path: Path) -> None:
    """Save a checkpoint. Where that fails it is told, and learning goes on: there is time to make room."""
    try:
        run.save(path)
    except RunFileError as error:
        tqdm.write(f"warning: no checkpoint, and the run goes on: {error}", file=sys.stderr)


def save_or_carry(run: Run, path: Path) -> Path:
    """Save a run and return where; where that fails, the error carries the run.

    Raises
    ------
    RunFileError
        With the run as its ``run``.
    """
    try:
        return run.save(path)
    except RunFileError as error:
        error.run = run
        raise


def rescue(error: RunFileError) -> RunFileError:
    """Save the run that an error carries as a temporary file, and return the error that says where.

    Where there is no room for that either, or no run, it is the error that was given.
    """
    if error.run is None:
        return error
    try:
        handle, name = tempfile.mkstemp(prefix="neurolrnn-run-", suffix=".npz")
    except OSError:
        return error
    os.close(handle)
    try:
        error.run.save(name)
    except RunFileError:
        Path(name).unlink(missing_ok=True)
        return error
    return RunFileError(f"{error}. The run is not lost: it was saved as {name}; move it to where it can stay")
