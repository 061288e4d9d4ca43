"""Run an experiment many times with some of its settings varied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from neurolrnn.experiment import Experiment
from neurolrnn.profiles import engine
from neurolrnn.profiles.axes import Mode
from neurolrnn.profiles.plan import Plan
from neurolrnn.profiles.result import Profile
from neurolrnn.profiles.store import Store


def profile(
    experiment: Experiment,
    axes: Mapping[str, object],
    *,
    seeds: int | Iterable[int] = (0,),
    mode: Mode = "grid",
    samples: int | None = None,
    sampling_seed: int = 0,
    store: str | Path | None = None,
    threads: int | None = None,
    processes: int | None = None,
    cluster: str | None = None,
    progress: bool = True,
) -> Profile:
    """Run an experiment for many settings and seeds, and keep what came out.

    Parameters
    ----------
    experiment : Experiment
        What is varied.
    axes : dict
        Per setting, such as ``"precision.weight"``, a list of values; see
        :func:`neurolrnn.profiles.axes.read_axes` for values that are several settings at once, and for ranges.
    seeds : int or list of int
        Each combination is run with each of them; a number stands for 0, 1, and so on up to it.
    mode : str
        ``"grid"``: all values with all; ``"list"``: the first of each axis, then the second of each; ``"random"``:
        ``samples`` draws from lists and ranges.
    samples, sampling_seed : int
        Number of draws and their seed; of random mode.
    store : path, optional
        SQLite file that keeps every run as soon as it is done. If it is there and of this profile, what it holds is not
        run again; other seeds may be added to it. Default: nothing is kept on disk.
    threads : int, optional
        Make so many runs at a time, on threads.
    processes : int, optional
        The same in processes, which is faster for runs of less than about half a second. If nothing is said, threads or
        processes are taken by how long the first runs take, as many as there are processors.
    cluster : str, optional
        A Dask cluster to run on instead: ``"local"`` for worker processes on this machine, or the address of a
        scheduler such as ``"tcp://10.0.0.1:8786"``. All give the same results, bit for bit.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    Profile
        After Ctrl-C its status is ``"interrupted"``; the same call with the same store goes on.

    Raises
    ------
    InputError
        If an axis or the engine is not possible, or not one combination of the axes is. A combination that is not
        possible beside others that are gives a row with the status ``"failed"``.
    StoreError
        If the store cannot be written or is of another profile.
    """
    made_by = engine.Engine(threads, processes, cluster)
    plan = Plan.make(experiment, axes, seeds, mode, samples, sampling_seed)
    with Store.create(store, plan) as open_store:
        lost = engine.run(open_store, plan.items, made_by, progress=progress)
        return Profile.of(open_store, plan, plan.items, lost)


def resume(
    store: str | Path,
    *,
    threads: int | None = None,
    processes: int | None = None,
    cluster: str | None = None,
    progress: bool = True,
) -> Profile:
    """Complete the profile that a store holds: make the runs it lacks.

    Parameters
    ----------
    store : path
        As :func:`neurolrnn.profile` made it.
    threads, processes, cluster, progress
        As for :func:`neurolrnn.profile`: what makes the runs, by default threads or processes of this machine.

    Returns
    -------
    Profile
        All runs of the store, also those of seeds that were added later.

    Raises
    ------
    InputError
        If the engine is not possible.
    StoreError
        If there is no store, or it cannot be written.
    """
    made_by = engine.Engine(threads, processes, cluster)
    with Store.open(store) as open_store:
        plan, items = open_store.plan(), open_store.items()
        lost = engine.run(open_store, items, made_by, progress=progress)
        return Profile.of(open_store, plan, items, lost)
