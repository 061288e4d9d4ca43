"""Evidence accumulation: cues left and right, a delay, then which side had more."""

from __future__ import annotations

import numpy as np

from neurolrnn.errors import InputError, positive_integer, real_number
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.tasks.common import stream


def make(
    *,
    cues: int = 7,
    gap_steps: int = 5,
    cue_steps: int = 10,
    delay_steps: int = 105,
    recall_steps: int = 15,
    probability: float = 0.7,
    noise: float = 0.1,
    sequences: int = 200,
    test_sequences: int = 100,
    seed: int = 0,
) -> Task:
    """Say which side had more cues.

    Parameters
    ----------
    cues : int
        Number of cues, odd so that one side has more.
    gap_steps : int
        Silent steps before each cue, at least 0.
    cue_steps : int
        Length of a cue.
    delay_steps : int
        Silent steps between the last cue and the recall, at least 0.
    recall_steps : int
        Length of the recall; only these last steps carry error.
    probability : float
        Chance of a cue to be on its trial's favoured side, in [0.5, 1]. The favoured side is drawn with equal odds.
    noise : float
        Standard deviation of Gaussian noise on every input channel at every step.
    sequences, test_sequences : int
        Number of training and test trials; 0 test trials for none.
    seed : int
        Seed of sides, cues and noise.

    Notes
    -----
    Input channels: left, right, recall; each 1 while it is on, else 0, plus noise. The label, 0 left and 1 right, is
    the side that had more cues (not the favoured one); targets are one-hot at every step, the loss is cross-entropy.
    With steps of 10 ms the defaults have the timing of Bellec et al. (Nature Communications 11, 2020): cues of 100 ms
    every 150 ms, a delay of 1050 ms and a recall of 150 ms. Their spiking input populations become one real-valued
    channel each, and the population that only fires at random becomes the noise.
    """
    if positive_integer("cues", cues) % 2 == 0:
        raise InputError(f"cues = {cues}; an odd number is needed, so that one side has more")
    lengths = (
        positive_integer("gap_steps", gap_steps, 0), positive_integer("cue_steps", cue_steps),
        positive_integer("delay_steps", delay_steps, 0), positive_integer("recall_steps", recall_steps),
    )  # fmt: skip
    odds = real_number("probability", probability, at_least=0.5, at_most=1.0)
    sigma = real_number("noise", noise, at_least=0.0)

    def trials(purpose: str, n: int) -> Sequences:
        return _trials(stream(seed, f"evidence/{purpose}"), n, cues, lengths, odds, sigma)

    train = trials("train", positive_integer("sequences", sequences))
    test = trials("test", test_sequences) if positive_integer("test_sequences", test_sequences, 0) else None
    return Task("evidence", train, test, "cross-entropy")


def _trials(
    rng: np.random.Generator, n: int, cues: int, lengths: tuple[int, int, int, int], odds: float, sigma: float
) -> Sequences:
    gap, cue, delay, recall = lengths
    favoured = rng.integers(0, 2, (n, 1))
    sides = np.where(rng.random((n, cues)) < odds, favoured, 1 - favoured)
    labels = (2 * sides.sum(axis=1) > cues).astype(np.int64)
    steps = cues * (gap + cue) + delay + recall
    x = np.zeros((n, steps, 3))
    for k in range(cues):
        start = k * (gap + cue) + gap
        x[np.arange(n), start : start + cue, sides[:, k]] = 1.0
    x[:, -recall:, 2] = 1.0
    x += sigma * rng.normal(size=x.shape)
    y = np.broadcast_to(np.eye(2)[labels][:, np.newaxis], (n, steps, 2))
    mask = np.broadcast_to(np.arange(steps) >= steps - recall, (n, steps)).astype(np.float64)
    return Sequences.from_arrays(x, y, mask=mask, labels=labels)
