"""Tasks: what a network learns, generated from a seed or read from a file."""

from __future__ import annotations

import inspect
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np

from neurolrnn.errors import InputError, choose
from neurolrnn.tasks import (
    add_memory,
    describe,
    evidence,
    japanese_vowels,
    mackey_glass,
    own,
    periodic,
    teacher_student,
)
from neurolrnn.tasks.base import LOSSES, Loss, Sequences, Task
from neurolrnn.tasks.own import from_arrays, from_npz
from neurolrnn.tasks.teacher_student import aligned_student

__all__ = [
    "LOSSES",
    "TASKS",
    "Loss",
    "Recipe",
    "Sequences",
    "Task",
    "aligned_student",
    "from_arrays",
    "from_npz",
    "load",
    "options_table",
    "shared",
]


@dataclass(frozen=True)
class Recipe:
    """A row of :data:`TASKS`."""

    make: Callable[..., Task]
    """Makes the task; its signature says which options there are, its docstring what they mean."""
    summary: str
    source: str


TASKS: dict[str, Recipe] = {
    "teacher-student": Recipe(
        teacher_student.make,
        "answer white noise as a known linear network does",
        "Williams, Payeur & Lajoie, arXiv 2606.00243",
    ),
    "periodic": Recipe(
        periodic.make,
        "produce a sum of sines from a start cue or a constant input",
        "Murray, eLife 8:e43299 (2019)",
    ),
    "add-memory": Recipe(
        add_memory.make,
        "add two binary inputs of some steps ago",
        "Marschall, Cho & Savin, JMLR 21 (2020)",
    ),
    "mackey-glass": Recipe(
        mackey_glass.make,
        "predict a chaotic series some time ahead",
        "Mackey & Glass, Science 197 (1977)",
    ),
    "evidence": Recipe(
        evidence.make,
        "say after a delay which side had more cues",
        "Bellec et al., Nature Communications 11:3625 (2020)",
    ),
    "japanese-vowels": Recipe(
        japanese_vowels.make,
        "tell nine speakers apart by two vowels (real recordings, part of the package)",
        "Kudo, Toyama & Shimbo, Pattern Recognition Letters 20 (1999)",
    ),
    "npz": Recipe(
        own.from_npz,
        "own data from an .npz file",
        "yours",
    ),
}


def load(name: str, **options: object) -> Task:
    """Make a task by name.

    Parameters
    ----------
    name : str
        A name in :data:`TASKS`.
    **options
        What the task's generator takes; docs/tasks.md lists it.

    Returns
    -------
    Task
        Its ``options`` are plain data, complete with defaults, and make the same task again. Options that were left
        out and have no default are left out there too.

    Raises
    ------
    InputError
        If the name, an option or a value is not allowed.

    Notes
    -----
    The same options give the same numbers, bit for bit, with the same NumPy on the same machine; elsewhere the last
    digits may differ, since sines, powers and matrix products do.
    """
    recipe = TASKS[choose("task", name, TASKS)]
    parameters = inspect.signature(recipe.make).parameters
    for key in options:
        choose(f"option of task {name!r}", key, parameters)
    values: dict[str, Any] = {}
    for key, parameter in parameters.items():
        if key not in options and parameter.default is inspect.Parameter.empty:
            raise InputError(f"task {name!r} needs the option {key}")
        values[key] = _plain(options.get(key, parameter.default))
    task = recipe.make(**values)
    kept = {key: value for key, value in (values | task.options).items() if value is not None}
    return replace(task, name=name, options=kept)


SHARED = 4
"""So many tasks are kept by :func:`shared`."""
_shared: dict[str, Task] = {}
_lock = threading.Lock()


def shared(name: str, **options: object) -> Task:
    """Return what :func:`load` does, and the same task again where it was made a short while ago: tasks do not change.

    A task that is read from a file is read again if the file has changed.
    """
    said = {"name": name, **{key: _plain(value) for key, value in options.items()}}
    try:
        path = said.get("path")
        stamp = os.stat(path) if isinstance(path, str) else None  # noqa: PTH116 - a path as the task would open it
        key = json.dumps([said, None if stamp is None else [stamp.st_mtime_ns, stamp.st_size, stamp.st_ino]])
    except (OSError, TypeError):
        return load(name, **options)  # which says what is wrong
    with _lock:  # also while it is made, so that others wait for it
        task = _shared.pop(key, None) or load(name, **options)
        _shared[key] = task
        while len(_shared) > SHARED:
            del _shared[next(iter(_shared))]
        return task


def options_table() -> str:
    """Return all tasks with their options in markdown, as docs/tasks.md shows them."""
    parts = [
        f"### `{name}`\n\n{recipe.summary[0].upper()}{recipe.summary[1:]}. Source: {recipe.source}.\n\n"
        + describe.markdown(recipe.make)
        for name, recipe in TASKS.items()
    ]
    return "\n\n".join(parts) + "\n"


def _plain(value: Any) -> Any:
    """Return ``value`` as an experiment file would hold it: no arrays, tuples, NumPy numbers or paths."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
