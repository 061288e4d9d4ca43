"""Data that travels with the package; authors and licence are in ATTRIBUTION.md."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Utterances(NamedTuple):
    """Utterances laid end to end, as the data set orders them."""

    values: NDArray[np.float64]
    """LPC cepstrum coefficients, (steps, 12)."""
    starts: NDArray[np.int64]
    """Utterance s is rows ``starts[s]`` to ``starts[s + 1]``, (utterances + 1,)."""
    speakers: NDArray[np.int64]
    """Speaker of each utterance, 0 to 8 (the data set counts from 1), (utterances,)."""


def japanese_vowels() -> tuple[Utterances, Utterances]:
    """Read the training and the test utterances of Japanese Vowels.

    The file holds whole numbers of 1e-6, the last decimal of the original text; dividing by a million gives the
    float64 nearest to the text, as reading the text itself would.
    """
    with (files(__package__) / "japanese_vowels.npz").open("rb") as handle, np.load(handle, allow_pickle=False) as data:
        train, test = (
            Utterances(
                data[f"{part}_micro"] / 1e6,
                np.concatenate([[0], np.cumsum(data[f"{part}_lengths"], dtype=np.int64)]),
                data[f"{part}_speakers"].astype(np.int64),
            )
            for part in ("train", "test")
        )
    return train, test
