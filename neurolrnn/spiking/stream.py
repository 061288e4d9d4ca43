"""Inputs and targets, step by step, as a spiking network is given them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError
from neurolrnn.spiking.plan import Plan
from neurolrnn.tasks.base import Sequences


class Stream(NamedTuple):
    """What arrives at each micro-step."""

    x: NDArray[np.float64]
    """(steps, n_in), held over the micro-steps of a step."""
    begin: NDArray[np.uint8]
    """(steps,), 1 where a sequence begins and all states are 0 before."""
    target: NDArray[np.float64]
    """(steps, n_out)."""
    weight: NDArray[np.float64]
    """(steps,), weight of the error; 0 but at the last micro-step of a step."""


def make_stream(plan: Plan, data: Sequences | ArrayLike) -> Stream:
    """Return the steps of sequences, or of one sequence of inputs (T, n_in), for a plan.

    Raises
    ------
    InputError
        If the channels are not those of the network, a value is not finite, or learning has no targets.
    """
    net, k = plan.network, plan.micro_steps
    if isinstance(data, Sequences):
        x, target, weight = data.inputs, data.targets, data.mask
        begin = np.zeros(len(x), np.uint8)
        begin[data.starts[:-1]] = 1
    else:
        x = np.array(data, np.float64)
        if x.ndim != 2 or 0 in x.shape:
            raise InputError(f"inputs have shape {x.shape}; (steps, {net.n_in}) or Sequences are needed")
        if not np.isfinite(x).all():
            raise InputError("inputs hold values that are not finite; clean the data first")
        if plan.learning is not None:
            raise InputError("learning needs targets; give Sequences, such as task.train")
        target, weight = np.zeros((len(x), net.n_out)), np.zeros(len(x))
        begin = np.zeros(len(x), np.uint8)
        begin[0] = 1
    if x.shape[1] != net.n_in or target.shape[1] != net.n_out:
        raise InputError(
            f"the data have {x.shape[1]} inputs and {target.shape[1]} outputs, the network {net.n_in} and {net.n_out}"
        )
    if k > 1:
        x, target = np.repeat(x, k, axis=0), np.repeat(target, k, axis=0)
        begin, weight = _spread(begin, k, 0), _spread(weight, k, k - 1)
    return Stream(
        np.ascontiguousarray(x), np.ascontiguousarray(begin), np.ascontiguousarray(target), np.ascontiguousarray(weight)
    )


def _spread(values: Any, k: int, at: int) -> Any:
    out = np.zeros(len(values) * k, values.dtype)
    out[at::k] = values
    return out
