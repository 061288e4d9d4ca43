"""Pairs of 16-bit products: a processor adds the products of two neighbouring numbers in 32 bits at once."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from neurolrnn_kernels.vectors import FEATURES, INT32, MASKED, Value, Variable, Writer

SHORTS = 32 if MASKED else 16
"""16-bit numbers in a vector."""
INSTRUCTION = (
    "llvm.x86.avx512.pmaddw.d.512" if MASKED else "llvm.x86.avx2.pmadd.wd" if FEATURES.get("avx2", False) else ""
)
"""What adds neighbouring products, if the processor has it."""


def in_turns(m: Writer, pair: Value) -> Value:
    """Return the lower and the upper half of a number in turns, as 16-bit numbers."""
    wide = m.spread(pair, SHORTS // 2)
    return Value(m, m.builder.bitcast(wide.code, ir.VectorType(ir.IntType(16), SHORTS)), "int16", SHORTS)


def neighbours(m: Writer, x: Any, where: Value, both: bool) -> Value:
    """Return x[where], x[where + 1] (or 0) in turns, as 16-bit numbers."""
    b = m.builder
    pointer = b.gep(x.data, [where.code])
    if both:
        code = b.load(b.bitcast(pointer, INT32.as_pointer()))
        code.align = 2
    else:
        code = b.zext(b.load(pointer), INT32)
    return in_turns(m, Value(m, code, "int32"))


def _shuffled(m: Writer, a: Value, b: Value, order: list[int]) -> Value:
    lanes = ir.Constant(ir.VectorType(INT32, len(order)), [ir.Constant(INT32, k) for k in order])
    return Value(m, m.builder.shuffle_vector(a.code, b.code, lanes), a.dtype, len(order))


def interleaved(m: Writer, a: Value, b: Value) -> tuple[Value, Value]:
    """Return a and b in turns, the first and the second half of each eight."""
    eights = range(0, SHORTS, 8)
    halves = [[k for e in eights for i in range(4) for k in (e + h + i, SHORTS + e + h + i)] for h in (0, 4)]
    return _shuffled(m, a, b, halves[0]), _shuffled(m, a, b, halves[1])


def in_order(m: Writer, first: Value, second: Value) -> Value:
    """Undo :func:`interleaved` for sums of pairs."""
    half = SHORTS // 2
    order = [k for e in range(0, half, 4) for s in (0, half) for k in range(s + e, s + e + 4)]
    return _shuffled(m, first, second, order)


def pair_products(m: Writer, a: Value, b: Value) -> Value:
    """Return a[2i] b[2i] + a[2i + 1] b[2i + 1]."""
    if INSTRUCTION:
        kind = ir.FunctionType(ir.VectorType(INT32, SHORTS // 2), [a.code.type] * 2)
        function = cgutils.get_or_insert_function(m.builder.module, kind, INSTRUCTION)
        return Value(m, m.builder.call(function, [a.code, b.code]), "int32", SHORTS // 2)
    products = m.cast(a, "int32") * m.cast(b, "int32")
    evens, odds = (_shuffled(m, products, products, list(range(k, SHORTS, 2))) for k in (0, 1))
    return evens + odds


def add_to(variable: Variable, x: Value) -> None:
    """Add to a variable."""
    variable.set(variable.get() + x)


class PairSum:
    """A sum of pairs of 16-bit products; ``split`` keeps its upper and lower 16 bits apart, for up to 2^15 pairs."""

    def __init__(self, m: Writer, lanes: int, split: bool) -> None:
        self.m = m
        self.parts = [m.variable(m.zeros("int32", lanes)) for _ in range(1 + split)]

    def add(self, pair: Value) -> None:
        """Add a pair."""
        if len(self.parts) == 1:
            add_to(self.parts[0], pair)
        else:
            add_to(self.parts[0], pair & 0xFFFF)
            add_to(self.parts[1], pair >> 16)

    def total(self, dtype: str) -> Value:
        """Return the sum."""
        low, *high = (self.m.cast(part.get(), dtype) for part in self.parts)
        return (high[0] << 16) + low if high else low
