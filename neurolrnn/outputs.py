"""Where results go when the user names no file, and what may be overwritten there."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from neurolrnn import atomic
from neurolrnn.run import Run, RunFileError
from neurolrnn.savefile import check_target

if TYPE_CHECKING:
    from neurolrnn.experiment import Experiment

FOLDER = "runs"


def run_path(experiment: Experiment, output: str | Path | None = None, resume: str | Path | None = None) -> Path:
    """Return the file a run will be saved to, before the run starts.

    Parameters
    ----------
    experiment : Experiment
        What will be run.
    output : path, optional
        What the user asked for; it may overwrite.
    resume : path, optional
        File of the run that is resumed; it is continued in place unless ``output`` says otherwise.

    Returns
    -------
    Path
        Without ``output`` and ``resume``: ``runs/<task>-<rule>-<digest>.npz``, with a number appended if a file of
        that name holds anything but a run of the same experiment.

    Raises
    ------
    RunFileError
        If that path cannot be written.
    """
    if output is not None or resume is not None:
        return check_target(output if output is not None else resume)  # type: ignore[arg-type]
    folder = _make_folder()
    stem = f"{experiment.task['name']}-{experiment.rule.name}-{experiment.digest[:8]}"
    for number in count(1):
        path = folder / (f"{stem}.npz" if number == 1 else f"{stem}-{number}.npz")
        if not path.exists() or _same(path, experiment):
            return check_target(path)
    raise AssertionError("count() does not end")


def picture_path(run_file: Path) -> Path:
    """Return the picture that goes beside a run file: the same name with ``.png``, numbered if that is another's."""
    path = run_file.with_suffix(".png")
    for number in count(2):
        if not path.exists() or _is_ours(path):
            break
        path = run_file.with_name(f"{run_file.stem}-{number}.png")
    return path


def profile_path(digest: str) -> Path:
    """Return the store of a profile for which the user names none: the same profile, the same store."""
    return _make_folder() / f"profile-{digest[:8]}.sqlite"


def theory_path(subject: str, output: str | Path | None = None) -> Path:
    """Return the file a picture of the theory goes to, before anything is calculated.

    Without ``output`` it is ``runs/theory-<subject>.png``, numbered if a file of that name is not such a picture.

    Raises
    ------
    RunFileError
        If that path cannot be written.
    """
    if output is not None:
        return atomic.check_target(output, ".png", RunFileError, f"theory-{subject}")
    _make_folder()
    for number in count(1):
        path = Path(FOLDER) / (f"theory-{subject}.png" if number == 1 else f"theory-{subject}-{number}.png")
        if not path.exists() or _is_ours(path, b"neurolrnn theory "):
            return check_target(path)
    raise AssertionError("count() does not end")


def _make_folder() -> Path:
    folder = Path(FOLDER)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RunFileError(
            f"cannot make the folder {folder.absolute()}: {error.strerror or error}; name a file with -o"
        ) from error
    return folder


def _same(path: Path, experiment: Experiment) -> bool:
    try:
        return Run.load(path).digest == experiment.digest
    except RunFileError:
        return False


def _is_ours(path: Path, title: bytes = b"neurolrnn run ") -> bool:
    try:
        with path.open("rb") as file:
            return title in file.read(1024)  # the title that we write into a PNG
    except OSError:
        return False
