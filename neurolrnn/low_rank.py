"""What recurrent weights that are never written out have in common: a low-rank part, and the limit of writing out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError

LARGEST_DENSE = 20_000
"""Most units whose n² weights are written out when somebody asks for them (3.2 GB in float64)."""

Vector = NDArray[np.float64]


def vector(name: str, value: ArrayLike) -> Vector:
    """Return one finite number per unit or synapse, read-only.

    Raises
    ------
    InputError
        If ``value`` is no vector of finite numbers.
    """
    array = np.array(value, dtype=np.float64, order="C")
    if array.ndim != 1:
        raise InputError(f"{name} has {array.ndim} dimensions; a vector is needed")
    return _finite(name, array)


def _finite(name: str, array: Vector) -> Vector:
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds values that are not finite; every weight must be a finite number")
    array.flags.writeable = False
    return array


def no_factor() -> Vector:
    """Return the factor of no low-rank part."""
    return np.zeros((0, 0))


class LowRankPlus:
    """Weights that are something of few numbers, plus ``leftᵀ right``: what factored learning adds.

    A dataclass that inherits from this has fields ``left`` and ``right``, each (k, n).
    """

    if TYPE_CHECKING:
        left: Vector
        right: Vector

    def _check_factors(self, n: int) -> None:
        for name in ("left", "right"):
            part = np.array(getattr(self, name), dtype=np.float64, order="C")
            part = part.reshape(0, n) if part.size == 0 else part
            if part.ndim != 2 or part.shape[1] != n:
                raise InputError(f"{name} has shape {part.shape}; (k, {n}) is needed")
            object.__setattr__(self, name, _finite(name, part))
        if self.left.shape != self.right.shape:
            raise InputError(f"left {self.left.shape} and right {self.right.shape} differ in shape; they must not")

    def _refuse_large(self, n: int, held: str) -> None:
        if n > LARGEST_DENSE:
            raise InputError(
                f"W of {n} units has {n}² numbers ({8e-9 * n * n:.0f} GB); it is held as {held} and never written out. "
                f"Use network.{held}"
            )

    def plus(self, left: Vector, right: Vector) -> Self:
        """Return this with ``leftᵀ right`` added."""
        changed: dict[str, Any] = {
            "left": np.concatenate([self.left, left]),
            "right": np.concatenate([self.right, right]),
        }
        return replace(self, **changed)  # type: ignore[type-var]
