"""From anything that can be shown to its page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurolrnn.errors import InputError
from neurolrnn.reports.page import Page

if TYPE_CHECKING:
    from neurolrnn.chips.check import Report
    from neurolrnn.profiles.result import Profile
    from neurolrnn.run import Run


def report(what: Run | Profile | Report | str | Path, path: str | Path) -> Path:
    """Write a page about a run, a profile or a check: one HTML file that needs no network.

    Parameters
    ----------
    what : Run, Profile, Report or path
        Or the file of a run or of a profile.
    path : path
        Where to write it, such as ``"page.html"``.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    InputError
        If it is none of these, or the package that draws charts is missing.
    WriteError
        If the page cannot be written.
    """
    return page_of(what).write(path)


def report_file(subject: str | Path, path: str | Path, chip: str | None = None) -> Path:
    """Write a page about a file: of a run, of a profile, or of an experiment that is checked against a chip.

    Raises
    ------
    InputError
        As :func:`report`; and if an experiment is given without a chip, or something else with one.
    """
    is_experiment = Path(subject).suffix == ".toml"
    if is_experiment != (chip is not None):
        raise InputError(
            f"{subject} with chip = {chip!r}: an experiment (.toml) is shown beside a chip, so give --chip NAME with "
            f"it; a run or a profile is shown alone"
        )
    if chip is None:
        return report(subject, path)
    from neurolrnn.chips.check import check

    return report(check(subject, chip), path)


def page_of(what: Any) -> Page:
    """Return the page of something; arguments as in :func:`report`."""
    from neurolrnn.run import Run

    thing = _load(what) if isinstance(what, str | Path) else what
    if isinstance(thing, Run):
        from neurolrnn.reports.run_page import run_page

        return run_page(thing)
    from neurolrnn.chips.check import Report
    from neurolrnn.profiles.result import Profile

    if isinstance(thing, Profile):
        from neurolrnn.reports.profile_page import profile_page

        return profile_page(thing)
    if isinstance(thing, Report):
        from neurolrnn.reports.check_page import check_page

        return check_page(thing)
    raise InputError(
        f"there is no page for a {type(thing).__name__}; give a run, a profile, a check or the file of one"
    )


def _load(path: str | Path) -> Any:
    from neurolrnn.run import Run

    file = Path(path)
    if file.is_file():
        with file.open("rb") as start:
            head = start.read(16)
        if head.startswith(b"SQLite format 3"):
            from neurolrnn.profiles.result import Profile

            return Profile.load(file)
    return Run.load(file)
