"""Where integers come to rest, as Brian2 expressions: every shift is a ``//``, which rounds down on every target."""

from __future__ import annotations

from typing import Any

from neurolrnn.fixed_point import FixedNumbers
from neurolrnn_kernels import grid as at
from neurolrnn_kernels.formats import Overflow, Rounding


def landed(row: Any, value: str) -> str:
    """Return the expression for ``value`` rounded and brought into the range of a row of the grid."""
    s = int(row[at.SHIFT])
    unit, half = 1 << max(s, 0), (1 << max(s, 0)) >> 1
    if s <= 0:
        text = f"{value}*{1 << -s}" if s else value
    elif row[at.ROUNDING] == Rounding.NEAREST:
        text = f"(({value}) + {half})//{unit}"
    elif row[at.ROUNDING] == Rounding.NEAREST_EVEN:
        whole = f"({value})//{unit}"
        over = f"(({value}) - {unit}*({whole}))"
        text = f"{whole} + int({over} > {half}) + int({over} == {half})*(({whole}) % 2)"
    elif row[at.ROUNDING] == Rounding.TOWARD_ZERO:
        text = f"(({value}) + int(({value}) < 0)*{unit - 1})//{unit}"
    else:
        text = f"({value})//{unit}"
    lo, hi = int(row[at.LO]), int(row[at.HI])
    if row[at.OVERFLOW] == Overflow.SATURATE:
        return f"clip({text}, {lo}, {hi})"
    return f"(({text}) - ({lo})) % {hi - lo + 1} + ({lo})"


def lifted(name: str, bits: int) -> str:
    """Return a variable times a power of two."""
    return f"{name}*{1 << bits}" if bits else name


def current_code(numbers: FixedNumbers) -> str:
    """Return the statements that land the current of a unit in ``u``."""
    row = numbers.grid[at.CURRENT]
    value = f"{lifted('current', int(row[at.LIFT_0]))} + {lifted('drive', int(row[at.LIFT_1]))}"
    return f"acc = {value}\nu = {landed(row, 'acc')}"


def state_code(numbers: FixedNumbers, name: str, sign: str) -> str:
    """Return the statements that land ``keep*state ± gain*u`` in a state."""
    row = numbers.grid[at.STATE]
    kept, added = lifted(f"keep*{name}", int(row[at.LIFT_0])), lifted("gain*u", int(row[at.LIFT_1]))
    return f"acc = {kept} {sign} {added}\n{name} = {landed(row, 'acc')}"


def faded(numbers: FixedNumbers, name: str) -> str:
    """Return the expression for what is left of a sum: times the leak's code, rounded to nearest where it was."""
    bits = numbers.precision.decay_bits
    return f"(keep*{name} + {1 << (bits - 1)})//{1 << bits}"
