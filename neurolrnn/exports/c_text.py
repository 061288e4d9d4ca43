"""Pieces of C99 text: integer types, tables, and the function that brings a sum to rest in one variable.

What is written is portable: no shift of a negative number, no overflow of a signed one, no type wider than needed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from importlib import resources
from string import Template
from typing import Any

from neurolrnn.exports.design import Codes, Design, Spot

FILL = 110
"""Longest line of a table."""


def template(name: str, values: Mapping[str, Any]) -> str:
    """Return a template of this package, filled in; a name it does not know is an error."""
    text = (resources.files("neurolrnn.exports") / "templates" / name).read_text(encoding="utf-8")
    return Template(text).substitute(values)


def integer(lo: int, hi: int) -> str:
    """Return the narrowest C type with a sign that holds lo to hi."""
    for bits in (8, 16, 32):
        if -(1 << (bits - 1)) <= lo and hi < 1 << (bits - 1):
            return f"int{bits}_t"
    return "int64_t"


def stored(spot: Spot) -> str:
    """Return the type of a variable as it is stored."""
    return integer(spot.format.lo, spot.format.hi)


def exact(spot: Spot) -> str:
    """Return the type that holds everything on the way to a landing."""
    return "int64_t" if spot.wide else "int32_t"


def plain(value: int) -> str:
    """Return an integer as C can write it, where its type does not matter."""
    return "(-2147483647 - 1)" if value == -(1 << 31) else str(value)


def number(value: int, kind: str = "int32_t") -> str:
    """Return a constant of a type; there is none for the smallest integer of a type, only the one above."""
    macro = kind.removesuffix("_t").upper() + "_C"
    if value == -(1 << 31) and kind == "int32_t":
        return f"(-{macro}({-value - 1}) - 1)"
    return f"(-{macro}({-value}))" if value < 0 else f"{macro}({value})"


def table(name: str, kind: str, codes: Codes, sizes: Iterable[str], comment: str = "") -> str:
    """Return a constant array of codes."""
    if codes.ndim == 2:
        rows = [_filled(row, "    {", "     ") + "}" for row in codes]
        body = ",\n".join(rows)
    else:
        body = _filled(codes, "    ", "    ")
    shape = "".join(f"[{size}]" for size in sizes)
    told = f"/* {comment} */\n" if comment else ""
    return f"{told}static const {kind} {name}{shape} = {{\n{body}\n}};\n"


def _filled(codes: Codes, first: str, others: str) -> str:
    text = ", ".join(plain(int(code)) for code in codes.ravel())
    return textwrap.fill(text, FILL, initial_indent=first, subsequent_indent=others)


def landing(design: Design, spot: Spot, name: str) -> str:
    """Return the function ``land_<name>``: one exact number comes to rest; an update is rounded only, see ``move``."""
    kind, update = exact(spot), spot.name in "AWBMN"
    argument = ", uint32_t word" if spot.is_random else ""
    lines = _rounding(design, spot, kind)
    what = f"{spot.fine or spot.format}, {spot.rounding}, {spot.overflow}"
    if update:
        out, title, last = kind, f"round_{name}", "    return v;\n"
    else:
        out, title = stored(spot), f"land_{name}"
        last = f"    return ({out}){fit('v', spot.lo, spot.hi, spot.overflow, kind)};\n"
    drop = f"{spot.shift} bits dropped" if spot.shift > 0 else f"{-spot.shift} bits appended" if spot.shift else "as is"
    return f"/* {name}: {what}, {drop}. */\nstatic {out} {title}({kind} v{argument})\n{{\n{lines}{last}}}\n"


def move(spot: Spot, name: str) -> str:
    """Return the function ``move_<name>``: an update is subtracted from a weight, or from the hidden one behind it."""
    kind, out = exact(spot), stored(spot)
    argument, given = (", uint32_t word", ", word") if spot.is_random else ("", "")
    if spot.fine is None:
        body = f"    v = (({kind})*weight) - round_{name}(v{given});\n"
        body += f"    *weight = ({out}){fit('v', spot.lo, spot.hi, spot.overflow, kind)};\n"
        return f"static void move_{name}({out} *weight, {kind} v{argument})\n{{\n{body}}}\n"
    fine = integer(spot.fine.lo, spot.fine.hi)
    form, s = spot.format, spot.visible_shift
    body = f"    v = (({kind})*fine) - round_{name}(v{given});\n"
    body += f"    v = {fit('v', spot.lo, spot.hi, spot.overflow, kind)};\n    *fine = ({fine})v;\n"
    if s:
        body += f"    v = {_down(kind)}(v + {1 << (s - 1)}, {s});\n"
    body += f"    *weight = ({out}){fit('v', form.lo, form.hi, spot.overflow, kind)};\n"
    return f"static void move_{name}({out} *weight, {fine} *fine, {kind} v{argument})\n{{\n{body}}}\n"


def _down(kind: str) -> str:
    return "down64" if kind == "int64_t" else "down32"


def fit(v: str, lo: int, hi: int, overflow: str, kind: str) -> str:
    """Return the expression that brings ``v`` into a range."""
    bits = 64 if kind == "int64_t" else 32
    if overflow == "saturate":
        return f"fit{bits}({v}, {plain(lo)}, {plain(hi)})"
    low, unsigned = number(lo, kind), "u" + kind
    return f"({low} + ({kind})(({unsigned})({v} - {low}) & {number(hi - lo, unsigned)}))"


def _rounding(design: Design, spot: Spot, kind: str) -> str:
    """Return lines that make ``v`` the rounded ``v``."""
    s, down = spot.shift, _down(kind)
    if spot.rounding == "lsb-stochastic":
        if s > 0:
            size = f"    {kind} size = {down}((v < 0 ? -v : v) + {_random(design, s, kind)}, {s});\n"
            return size + "    v = size == 0 ? 0 : v < 0 ? -1 : 1;\n"
        return "    v = v < 0 ? -1 : v > 0 ? 1 : 0;\n"
    if s == 0:
        return ""
    if s < 0:
        return f"    v *= {number(1 << -s, kind)};\n"
    half = number(1 << (s - 1), kind)
    added = {
        "floor": "v", "nearest": f"v + {half}", "nearest-even": f"v + ({half} - 1) + ({down}(v, {s}) & 1)",
        "toward-zero": f"v + (v < 0 ? {number((1 << s) - 1, kind)} : 0)",
        "stochastic": f"v + {_random(design, s, kind)}" if spot.rounding == "stochastic" else "",
    }  # fmt: skip
    return f"    v = {down}({added[spot.rounding]}, {s});\n"


def _random(design: Design, s: int, kind: str) -> str:
    """Return the random number in [0, 2^s) that is made of ``word``."""
    g = design.random_bits
    if s <= g:
        return f"({kind})(word >> {32 - s})" if s < 32 else f"({kind})word"
    top = f"({kind})(word >> {32 - g})" if g < 32 else f"({kind})word"
    return f"({top} * {number(1 << (s - g), kind)} + {number(1 << (s - g - 1), kind)})"


def comment(text: str) -> str:
    """Return text that can stand inside a C comment."""
    return text.replace("*/", "* /").replace("\n", " ")
