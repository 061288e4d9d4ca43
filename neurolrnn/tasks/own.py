"""Own data: a task from arrays, or from an .npz file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn import npz_members
from neurolrnn.errors import InputError, choose
from neurolrnn.tasks.base import LOSSES, Loss, Sequences, Task

ARRAYS = ("inputs", "targets", "starts", "lengths", "mask", "labels")


def from_arrays(
    inputs: ArrayLike | Sequence[ArrayLike],
    targets: ArrayLike | Sequence[ArrayLike],
    *,
    mask: ArrayLike | Sequence[ArrayLike] | None = None,
    labels: ArrayLike | None = None,
    test_inputs: ArrayLike | Sequence[ArrayLike] | None = None,
    test_targets: ArrayLike | Sequence[ArrayLike] | None = None,
    test_mask: ArrayLike | Sequence[ArrayLike] | None = None,
    test_labels: ArrayLike | None = None,
    loss: Loss = "squared-error",
    name: str = "own",
) -> Task:
    """Make a task of own data.

    Parameters
    ----------
    inputs, targets : (T, n), (sequences, T, n), or a list of (T_s, n)
        One sequence, equally long ones, or ones of different lengths. For cross-entropy the targets are a probability
        per class.
    mask : (T,), (sequences, T), or a list of (T_s,), optional
        Weight of each step's error; default 1 everywhere.
    labels : (sequences,), optional
        Class of each sequence, where the task is a classification.
    test_inputs, test_targets, test_mask, test_labels : optional
        The same for the test sequences.
    loss : str
        ``"squared-error"`` or ``"cross-entropy"``.
    name : str
        What tables and plots call the task.

    Returns
    -------
    Task
        With no options: a run file of such a task cannot make the data again. ``from_npz`` can, from the file.

    Raises
    ------
    InputError
        If shapes disagree or values are not finite.
    """
    train = _sequences("", {"inputs": inputs, "targets": targets, "mask": mask, "labels": labels})
    given = {"inputs": test_inputs, "targets": test_targets, "mask": test_mask, "labels": test_labels}
    test = _sequences("test_", given) if any(value is not None for value in given.values()) else None
    return Task(name, train, test, loss)


def from_npz(path: str | Path, loss: Loss = "squared-error") -> Task:
    """Make a task of the arrays in an .npz file.

    Parameters
    ----------
    path : str or Path
        File with ``inputs`` and ``targets``, and if wanted ``mask``, ``labels`` and the same names with ``test_`` in
        front. Shapes as in :func:`from_arrays`; sequences of different lengths are laid end to end, (steps, n) and
        (steps,) for the mask, with ``lengths`` (sequences,) or ``starts`` (sequences + 1,; sequence s is rows
        ``starts[s]`` to ``starts[s + 1]``). Test sequences likewise: ``test_lengths`` or ``test_starts``.
    loss : str
        ``"squared-error"`` or ``"cross-entropy"``.

    Raises
    ------
    InputError
        If the file cannot be read, holds an unknown, missing or pickled array, or arrays disagree.
    """
    choose("loss", loss, LOSSES)
    file = str(path)
    try:
        with Path(file).open("rb") as opened:
            if opened.read(6) == b"\x93NUMPY":
                raise InputError("is a single array; save it with np.savez(file, inputs=..., targets=...)")
            arrays = npz_members.read(opened, opened.seek(0, io.SEEK_END))
        for name in arrays:
            choose("array", name, [*ARRAYS, *(f"test_{a}" for a in ARRAYS)])
    except (OSError, ValueError) as error:  # InputError is a ValueError, and so is what a path with a zero byte gives
        raise InputError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
    parts: list[Sequences | None] = []
    for prefix in ("", "test_"):
        chosen = {a: arrays.get(prefix + a) for a in ARRAYS}
        if prefix and all(array is None for array in chosen.values()):
            parts.append(None)
            continue
        try:
            parts.append(_sequences(prefix, chosen))
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
    assert parts[0] is not None
    try:
        return Task("npz", parts[0], parts[1], loss, options={"path": file, "loss": loss})
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _sequences(prefix: str, given: Mapping[str, Any]) -> Sequences:
    """Return the sequences of one part; errors carry the arrays' names as the user wrote them."""
    values = {name: _numbers(prefix + name, value) for name, value in given.items() if value is not None}
    for name in ("inputs", "targets"):
        if name not in values:
            raise InputError(f"{prefix}{name} is missing; both {prefix}inputs and {prefix}targets are needed")
    for name in ("labels", "starts", "lengths"):
        if name in values and (not isinstance(values[name], np.ndarray) or values[name].dtype.kind not in "iu"):
            raise InputError(f"{prefix}{name} must be whole numbers, one array")
    try:
        starts = _starts(prefix, values)
        if starts is None:
            return Sequences.from_arrays(
                values["inputs"], values["targets"], mask=values.get("mask"), labels=values.get("labels")
            )
        mask = values.get("mask", np.ones(0))
        return Sequences(values["inputs"], values["targets"], starts, mask, values.get("labels"))
    except InputError as error:
        raise error if not prefix else InputError(f"test sequences: {error}") from error


def _starts(prefix: str, values: Mapping[str, Any]) -> NDArray[np.int64] | None:
    if "starts" in values and "lengths" in values:
        raise InputError(f"both {prefix}starts and {prefix}lengths are given; one of them says it all")
    if "lengths" in values:
        if values["lengths"].ndim != 1 or (values["lengths"] < 1).any():
            raise InputError(f"{prefix}lengths must be one length of at least 1 per sequence")
        return np.concatenate([[0], np.cumsum(values["lengths"], dtype=np.int64)])
    return values["starts"].astype(np.int64) if "starts" in values else None


def _numbers(name: str, value: Any) -> Any:
    """Return ``value`` as a numeric array, or as a list of numeric arrays of different shapes."""
    try:
        array = np.asarray(value)
    except ValueError:  # a list of arrays of different shapes
        return [_numbers(f"{name}[{i}]", part) for i, part in enumerate(value)]
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise InputError(f"{name} holds {array.dtype} values; real numbers of at most 64 bits are needed")
    return array
