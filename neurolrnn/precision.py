"""The numbers a run calculates with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurolrnn.errors import InputError, choose

PRESETS = ("float32", "float64")


@dataclass(frozen=True)
class Precision:
    """Floating-point numbers of one width for every variable.

    Parameters
    ----------
    name : str
        ``"float32"`` or ``"float64"``.
    """

    name: str = "float32"

    def __post_init__(self) -> None:
        choose("preset", self.name, PRESETS)

    @classmethod
    def float32(cls) -> Precision:
        """Single precision, 24 bits of significand."""
        return cls("float32")

    @classmethod
    def float64(cls) -> Precision:
        """Double precision, 53 bits of significand."""
        return cls("float64")

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy type of states and weights."""
        return np.dtype(self.name)

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Precision:
        """Build from plain data, as the table ``[precision]`` of an experiment file holds it."""
        for key in options:
            if key != "preset":
                raise InputError(f"{key} is not known; allowed: preset")
        return cls(options.get("preset", "float32"))

    def options(self) -> dict[str, Any]:
        """Return the settings as plain data; :meth:`from_dict` reads them back."""
        return {"preset": self.name}
