"""One run of a profile, the same wherever it is made."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

from neurolrnn import toml_text
from neurolrnn.errors import Divergence, InputError
from neurolrnn.experiment import Experiment
from neurolrnn.plain_data import ExperimentTables
from neurolrnn.profiles.row import Row
from neurolrnn.run import Run, canonical_digest, plain


def combine(tables: Mapping[str, Any], settings: Mapping[str, Any], where: str = "experiment") -> Experiment:
    """Return the experiment of ``tables`` with settings put in; None leaves a setting out.

    Parameters
    ----------
    tables : dict
        As :meth:`Experiment.to_dict` gives them.
    settings : dict of str to value
        ``{"table.key": value}``, as ``--set`` of ``neurolrnn simulate`` takes them.
    where : str
        What errors call it.

    Raises
    ------
    InputError
        If the settings are not possible together.
    """
    unset = [key for key, value in settings.items() if value is None]
    overrides = [f"{key}={toml_text.inline(plain(value))}" for key, value in settings.items() if value is not None]
    return Experiment.from_dict(_without(tables, unset), where, overrides)


def run_one(tables: Mapping[str, Any], settings: Mapping[str, Any]) -> Row:
    """Make one run. A function of its arguments alone, but for the seconds it took.

    Parameters
    ----------
    tables, settings
        As in :func:`combine`.

    Returns
    -------
    Row
        With the status ``"failed"`` if the settings are not possible together.
    """
    began = time.perf_counter()
    try:
        experiment = combine(tables, settings)
    except InputError as error:
        return failure(tables, settings, str(error))
    try:
        run = experiment.simulate(progress=False)
    except Divergence as divergence:
        run = divergence.run
    except InputError as error:
        return failure(experiment.to_dict(), {}, str(error), digest=experiment.digest, shown=settings)
    return _row(experiment, run, settings, time.perf_counter() - began)


def failure(
    tables: Mapping[str, Any], settings: Mapping[str, Any], message: str, *, digest: str = "",
    shown: Mapping[str, Any] | None = None,
) -> Row:  # fmt: skip
    """Return the row of settings that no run can be made of, or whose run was lost.

    Without a digest it is named by its settings, since what was not read has no experiment's digest.
    """
    merged = _without(tables, [key for key, value in settings.items() if value is None])
    for key, value in settings.items():
        *path, last = key.split(".")
        here = merged
        for part in path:
            if not isinstance(here.get(part), dict):
                here[part] = {}
            here = here[part]
        if value is not None:
            here[last] = plain(value)
    seed = merged.get("seed", 0)
    return Row(
        digest=digest or canonical_digest({"failed": merged}),
        settings=dict(settings if shown is None else shown),
        seed=seed if isinstance(seed, int) else 0,
        experiment=cast("ExperimentTables", merged),
        status="failed",
        message=message,
    )


def _row(experiment: Experiment, run: Run, settings: Mapping[str, Any], seconds: float) -> Row:
    return Row(
        digest=run.digest,
        settings=dict(settings),
        seed=experiment.seed,
        experiment=experiment.to_dict(),
        status=run.status,  # type: ignore[arg-type]
        message=run.message,
        metrics=dict(run.metrics),
        records=dict(run.records),
        saturation=run.saturation,
        numerics=run.numerics,
        versions=run.versions,
        seconds=seconds,
    )


def _without(tables: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    """Return a copy of nested tables without some keys ``table.key``."""
    result: dict[str, Any] = plain(tables)
    for key in keys:
        *path, last = key.split(".")
        here: Any = result
        for part in path:
            here = here.get(part) if isinstance(here, dict) else None
        if isinstance(here, dict):
            here.pop(last, None)
    return result
