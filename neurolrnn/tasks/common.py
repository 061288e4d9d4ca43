"""What the task generators share: their random streams and the checks of their options."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, positive_integer, real_number


def stream(seed: Any, purpose: str) -> np.random.Generator:
    """Return the random stream of one purpose.

    The purpose is part of the entropy, so that training data, test data and teacher are independent of each other
    and of a network drawn with the same seed (a student must not start as its own teacher).
    """
    return np.random.default_rng([positive_integer("seed", seed, 0), *purpose.encode()])


def flag(name: str, value: Any) -> bool:
    """Return ``value`` if it is true or false."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise InputError(f"{name} = {value!r}; true or false is needed")


def real_list(name: str, value: Any) -> NDArray[np.float64]:
    """Return ``value`` as a vector if it is a list of at least one finite number."""
    if isinstance(value, str | bytes | dict) or not hasattr(value, "__iter__"):
        raise InputError(f"{name} = {value!r}; a list of numbers is needed")
    numbers = [real_number(f"{name}[{i}]", v) for i, v in enumerate(value)]
    if not numbers:
        raise InputError(f"{name} is empty; at least one number is needed")
    return np.array(numbers)


def haar(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Draw an orthogonal matrix (n, n) from Haar's measure."""
    Q, R = np.linalg.qr(rng.normal(size=(n, n)))
    return np.asarray(Q * np.sign(np.diag(R)))  # the signs make the law Haar's (Mezzadri 2007)
