"""Japanese Vowels: tell nine speakers apart by 12 LPC cepstrum coefficients over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurolrnn.data import Utterances, japanese_vowels
from neurolrnn.errors import InputError, positive_integer, real_number
from neurolrnn.tasks.base import Loss, Sequences, Task
from neurolrnn.tasks.common import flag, stream

SPEAKERS = 9


def make(
    *,
    standardise: bool = True,
    bias: bool = False,
    validation: float = 0,
    loss: Loss = "cross-entropy",
    seed: int = 0,
) -> Task:
    """Recognise a speaker by two vowels.

    Parameters
    ----------
    standardise : bool
        Whether each channel is shifted and scaled to mean 0 and variance 1 over all steps of the training utterances
        (the same shift and scale for the test).
    bias : bool
        Whether a 13th input that is always 1 is appended; the network has no bias of its own.
    validation : int or float
        Training utterances of each speaker that are held out and become the test sequences: how many (1 to 29), or
        which fraction (above 0, below 1). For choosing settings without a look at the real test utterances. 0: the
        real ones.
    loss : str
        ``"cross-entropy"`` or ``"squared-error"``.
    seed : int
        Seed that picks the utterances held out; without ``validation`` nothing is random.

    Notes
    -----
    270 training and 370 test utterances of 7 to 29 steps, in the order of the data set, which is sorted by speaker.
    Targets are one-hot and count at every step; labels are the speakers, 0 to 8. Source: Kudo, Toyama & Shimbo
    (Pattern Recognition Letters 20, 1999), CC BY 4.0; see ``neurolrnn/data/ATTRIBUTION.md``.
    """
    train, test = japanese_vowels()
    held = _held_out(train, validation, seed)
    if held.any():
        train, test = _take(train, ~held), _take(train, held)
    shift, scale = np.zeros(train.values.shape[1]), np.ones(train.values.shape[1])
    if flag("standardise", standardise):
        shift, scale = train.values.mean(axis=0), train.values.std(axis=0)
    flag("bias", bias)
    parts = []
    for part in (train, test):
        x = (part.values - shift) / scale
        if bias:
            x = np.column_stack([x, np.ones(len(x))])
        y = np.repeat(np.eye(SPEAKERS)[part.speakers], np.diff(part.starts), axis=0)
        parts.append(Sequences(x, y, part.starts, labels=part.speakers))
    return Task("japanese-vowels", parts[0], parts[1], loss)


def _held_out(train: Utterances, validation: float, seed: int) -> NDArray[np.bool_]:
    """Return which training utterances are held out, as many of each speaker."""
    each = int(np.bincount(train.speakers).min())
    if isinstance(validation, int | np.integer):
        count = positive_integer("validation", validation, 0)
    else:
        count = round(each * real_number("validation", validation, at_least=0.0, below=1.0))
    if count >= each or (count == 0 and validation != 0):
        raise InputError(
            f"validation = {validation!r} holds out {count} of {each} utterances of a speaker; 1 to 29 needed"
        )
    rng = stream(seed, "japanese-vowels/validation")
    held = np.zeros(len(train.speakers), dtype=bool)
    for speaker in range(SPEAKERS):
        held[rng.permutation(np.flatnonzero(train.speakers == speaker))[:count]] = True
    return held


def _take(part: Utterances, chosen: NDArray[np.bool_]) -> Utterances:
    lengths = np.diff(part.starts)
    starts = np.concatenate([[0], np.cumsum(lengths[chosen])])
    return Utterances(part.values[np.repeat(chosen, lengths)], starts, part.speakers[chosen])
