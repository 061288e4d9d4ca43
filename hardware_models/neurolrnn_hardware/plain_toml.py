"""TOML as experiments and chip sheets use it: text, booleans, lists, tables, and numbers that a computer holds."""

from __future__ import annotations

import tomllib
from typing import Any

DEEPEST = 32
"""Lists and tables may stand in each other this deep; experiments and sheets need four."""


class TextError(ValueError):
    """A text is not TOML, or holds what neither experiments nor sheets can use; the text says what and where."""


def loads(text: str) -> dict[str, Any]:
    """Read TOML.

    Raises
    ------
    TextError
        If it is not TOML, is nested more than :data:`DEEPEST` deep, or holds a date or an integer beyond 64 bits.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TextError(str(error)) from None
    except RecursionError:
        raise TextError(f"lists or tables are nested more than {DEEPEST} deep") from None
    except ValueError:  # Python reads no decimal number of thousands of digits
        raise TextError("a whole number has thousands of digits; 64 bits are possible") from None
    for key, value in tables.items():
        _check(key, value, 1)
    return tables


def _check(place: str, value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise TextError(f"{place[:80]}: lists or tables are nested more than {DEEPEST} deep")
    if isinstance(value, dict):
        for key, part in value.items():
            _check(f"{place}.{key}", part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _check(place, part, depth + 1)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise TextError(f"{place} is a whole number of {value.bit_length()} bits; TOML's have 64")
    elif not isinstance(value, str | int | float):
        raise TextError(f"{place} = {value} is a {type(value).__name__}; nothing here takes one")
