"""Periodic output: a sum of sines from a start cue or a constant input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurolrnn.errors import InputError, choose, positive_integer
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.tasks.common import real_list

INPUTS = ("start", "tonic", "both")


def make(
    *,
    period: int = 100,
    periods: int = 1,
    frequencies: Sequence[float] = (1.0, 2.0, 4.0),
    amplitudes: Sequence[float] = (1.0, 0.5, 0.25),
    n_out: int = 1,
    input: str = "start",
    sequences: int = 1,
) -> Task:
    """Produce a sum of sines by itself.

    Parameters
    ----------
    period : int
        Steps in one period T. Murray's example code has 100, his figure 2a 200 and 1600 (20 τ and 160 τ with τ = 10).
    periods : int
        Periods in one sequence.
    frequencies, amplitudes : list of float
        Sines f and their amplitudes a, as many in each: y*(t) = Σ a sin(2π f t / T), t = 0, 1, … from the first step.
    n_out : int
        Number of outputs; output k runs k T / n_out steps ahead of output 0.
    input : str
        ``"start"`` (one channel: 1 at the first step of a sequence, then 0), ``"tonic"`` (one channel: always 1) or
        ``"both"`` (two channels, start first).
    sequences : int
        Number of training sequences, all the same.

    Notes
    -----
    Nothing is random and there is no test sequence: the task is this one signal. Source: Murray (eLife 2019, figure 2
    and the author's example code), where the network has no input and starts from h = 0.1 in every unit. A linear
    network that starts from h = 0, as here, stays there without input; the start cue takes the place of that
    initial state.
    """
    choose("input", input, INPUTS)
    f, a = real_list("frequencies", frequencies), real_list("amplitudes", amplitudes)
    if len(f) != len(a):
        raise InputError(f"there are {len(f)} frequencies and {len(a)} amplitudes; give as many of each")
    T, o = positive_integer("period", period), positive_integer("n_out", n_out)
    steps = T * positive_integer("periods", periods)
    t = np.arange(steps)[:, np.newaxis] + T * np.arange(o) / o
    y = np.sum(a * np.sin(2.0 * np.pi * f * t[..., np.newaxis] / T), axis=-1)
    start, tonic = np.zeros(steps), np.ones(steps)
    start[0] = 1.0
    x = np.stack({"start": [start], "tonic": [tonic], "both": [start, tonic]}[input], axis=-1)
    copies = (positive_integer("sequences", sequences), 1, 1)
    return Task("periodic", Sequences.from_arrays(np.tile(x, copies), np.tile(y, copies)))
