"""Pieces of Verilog text: signed ranges, memory images, and the function that brings a sum to rest in one variable."""

from __future__ import annotations

from neurolrnn.exports.design import Codes, Design, Spot
from neurolrnn_kernels.formats import QFormat


def bits(form: QFormat) -> int:
    """Return how many bits hold a format with a sign."""
    return form.width + (not form.signed)


def image(codes: Codes, width: int) -> str:
    """Return a memory image for ``$readmemh``: one code a line, in two's complement."""
    digits, mask = (width + 3) // 4, (1 << width) - 1
    return "".join(f"{int(code) & mask:0{digits}x}\n" for code in codes.ravel())


def constant(value: int, width: int) -> str:
    """Return a signed constant of a width."""
    return f"-{width}'sd{-value}" if value < 0 else f"{width}'sd{value}"


def rounding(design: Design, spot: Spot, acc: int) -> list[str]:
    """Return the statements that make ``v`` (``acc`` bits, signed) the rounded ``v``."""
    s = spot.shift
    if spot.rounding == "lsb-stochastic":
        size = "v < 0 ? -v : v"
        lines = [f"v = ({size}) + {random(design, s, acc)};", f"v = v >>> {s};"] if s > 0 else [f"v = {size};"]
        return ["negative = v < 0;", *lines, "v = v == 0 ? 0 : negative ? -1 : 1;"]
    if s < 0:
        return [f"v = v <<< {-s};"]
    if s == 0:
        return []
    half, one = constant(1 << (s - 1), acc), constant(1, acc)
    added = {
        "floor": "", "nearest": f" + {half}", "nearest-even": f" + {half} - {one} + ((v >>> {s}) & {one})",
        "toward-zero": f" + (v < 0 ? {constant((1 << s) - 1, acc)} : {constant(0, acc)})",
    }  # fmt: skip
    plus = f" + {random(design, s, acc)}" if spot.rounding == "stochastic" else added[spot.rounding]
    return [f"v = v{plus};", f"v = v >>> {s};"] if plus else [f"v = v >>> {s};"]


def random(design: Design, s: int, acc: int) -> str:
    """Return the random number in [0, 2^s) that is made of ``word``, ``acc`` bits wide and signed."""
    g = design.random_bits
    parts = [f"word[31:{32 - min(s, g)}]"]
    if s > g:
        parts.append("1'b1")
    if s > g + 1:
        parts.append(f"{{{s - g - 1}{{1'b0}}}}")
    return f"$signed({{{{{acc - s}{{1'b0}}}}, {', '.join(parts)}}})"


def fitting(lo: int, hi: int, overflow: str, acc: int, v: str = "v") -> list[str]:
    """Return the statements that bring a variable into a range."""
    low, high = constant(lo, acc), constant(hi, acc)
    if overflow == "saturate":
        return [f"if ({v} < {low}) {v} = {low};", f"else if ({v} > {high}) {v} = {high};"]
    return [f"{v} = (({v} - {low}) & {constant(hi - lo, acc)}) + {low};"]


def function(name: str, acc: int, out: int, lines: list[str], arguments: str) -> str:
    """Return a function of the accumulator, with ``out`` bits."""
    body = "".join(f"            {line}\n" for line in lines)
    negative = "        reg negative;\n" if any("negative" in line for line in lines) else ""
    return (
        f"    function signed [{out - 1}:0] {name}(input signed [{acc - 1}:0] exact{arguments});\n"
        f"        reg signed [{acc - 1}:0] v;\n{negative}        begin\n            v = exact;\n{body}"
        f"            {name} = v[{out - 1}:0];\n        end\n    endfunction\n"
    )


def landing(design: Design, spot: Spot, acc: int) -> str:
    """Return the function ``land_<name>``: one exact sum comes to rest."""
    word = ", input [31:0] word" if spot.is_random else ""
    lines = [*rounding(design, spot, acc), *fitting(spot.lo, spot.hi, spot.overflow, acc)]
    title = f"    // {spot.name}: {spot.format}, {spot.rounding}, {spot.overflow}, {spot.shift} bits dropped\n"
    return title + function(f"land_{spot.name}", acc, bits(spot.format), lines, word)


def move(design: Design, spot: Spot, acc: int) -> str:
    """Return the function ``move_<name>``: an update is rounded and leaves the weight, or the hidden one."""
    form = spot.fine or spot.format
    word = ", input [31:0] word" if spot.is_random else ""
    lines = [
        *rounding(design, spot, acc), "v = weight - v;", *fitting(spot.lo, spot.hi, spot.overflow, acc)
    ]  # fmt: skip
    title = f"    // {spot.name}: {form}, {spot.rounding}, {spot.overflow}, {spot.shift} bits dropped\n"
    width = bits(form)
    text = title + function(f"move_{spot.name}", acc, width, lines, f", input signed [{width - 1}:0] weight{word}")
    if spot.fine is None:
        return text
    s, seen = spot.visible_shift, spot.format
    lines = [f"v = (v + {constant((1 << s) >> 1, acc)}) >>> {s};", *fitting(seen.lo, seen.hi, spot.overflow, acc)]
    return text + function(f"show_{spot.name}", acc, bits(seen), lines, "")
