"""What Numba cannot say: an inner product in a fixed order of summation, and shifts that stay in their type.

LLVM may not reorder a floating-point sum, so a plain loop runs at one addition per latency. Letting it reorder
(fastmath) would make the bits depend on the processor's vector width. Here the order is written out instead: 64
partial sums, element i going to sum i mod 64, then 16, then a fixed tree. It is the same on every processor, and
10 times as fast as the plain loop.

Numba shifts every integer in 64 bits, which halves the vector lanes of 32-bit arithmetic; these shift in the type
of the number that is shifted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

LANES = 16
ACCUMULATORS = 4


@intrinsic
def _dot_lanes(typingctx: Any, a: Any, b: Any) -> Any:
    """Sum ``a[i] * b[i]`` over the first ``len(a) // 16 * 16`` elements of two contiguous vectors."""
    if not (isinstance(a, types.Array) and isinstance(b, types.Array)):
        return None
    scalar = a.dtype

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a_struct = context.make_array(signature.args[0])(context, builder, args[0])
        b_struct = context.make_array(signature.args[1])(context, builder, args[1])
        element = context.get_value_type(scalar)
        vector = ir.VectorType(element, LANES)
        zero = ir.Constant(vector, [ir.Constant(element, 0.0)] * LANES)
        size = cgutils.unpack_tuple(builder, a_struct.shape)[0]
        width = size.type
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(ACCUMULATORS)]

        def load(pointer: Any, index: Any) -> Any:
            at = builder.gep(pointer, [index])
            instruction = builder.load(builder.bitcast(at, vector.as_pointer()))
            instruction.align = 4 if scalar == types.float32 else 8
            return instruction

        def add(k: int, index: Any) -> None:
            product = builder.fmul(load(a_struct.data, index), load(b_struct.data, index))
            builder.store(builder.fadd(builder.load(sums[k]), product), sums[k])

        block = ir.Constant(width, LANES * ACCUMULATORS)
        blocks = builder.udiv(size, block)
        with cgutils.for_range(builder, blocks) as loop:
            start = builder.mul(loop.index, block)
            for k in range(ACCUMULATORS):
                add(k, builder.add(start, ir.Constant(width, k * LANES)))
        done = builder.mul(blocks, block)
        rest = builder.udiv(builder.sub(size, done), ir.Constant(width, LANES))
        with cgutils.for_range(builder, rest) as loop:
            add(0, builder.add(done, builder.mul(loop.index, ir.Constant(width, LANES))))
        s = [builder.load(pointer) for pointer in sums]
        total = builder.fadd(builder.fadd(s[0], s[1]), builder.fadd(s[2], s[3]))
        half = LANES // 2
        while half:
            lanes = [ir.Constant(ir.IntType(32), i % LANES) for i in range(half, half + LANES)]
            mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), lanes)
            total = builder.fadd(total, builder.shuffle_vector(total, total, mask))
            half //= 2
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return scalar(a, b), codegen


def dot(a: Any, b: Any) -> Any:
    """Inner product of two contiguous real vectors of one dtype, summed in the fixed order of this module."""
    whole = len(a) // LANES * LANES
    blocks = whole // (LANES * ACCUMULATORS) * ACCUMULATORS
    sums = np.zeros((ACCUMULATORS, LANES), a.dtype)
    for i in range(whole // LANES):
        part = slice(i * LANES, (i + 1) * LANES)
        sums[i % ACCUMULATORS if i < blocks else 0] += a[part] * b[part]
    total = (sums[0] + sums[1]) + (sums[2] + sums[3])
    half = LANES // 2
    while half:
        total = total[:half] + total[half : 2 * half]
        half //= 2
    result = total[0]
    for i in range(whole, len(a)):
        result += a[i] * b[i]
    return result


@overload(dot)
def _dot(a: Any, b: Any) -> Any:
    def compiled(a: Any, b: Any) -> Any:
        total = _dot_lanes(a, b)
        for i in range(len(a) // LANES * LANES, len(a)):
            total += a[i] * b[i]
        return total

    return compiled


@intrinsic
def _shift(typingctx: Any, x: Any, s: Any, left: Any) -> Any:
    if not (isinstance(x, types.Integer) and isinstance(s, types.Integer) and isinstance(left, types.BooleanLiteral)):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, amount, _ = args
        if amount.type.width > value.type.width:
            amount = builder.trunc(amount, value.type)
        elif amount.type.width < value.type.width:
            amount = builder.sext(amount, value.type)
        return builder.shl(value, amount) if left.literal_value else builder.ashr(value, amount)

    return x(x, s, left), codegen


def shift_right(x: Any, s: int) -> Any:
    """Return ⌊x / 2^s⌋ in the type of x, 0 ≤ s < its width."""
    return type(x)(int(x) >> int(s))


@overload(shift_right)
def _shift_right(x: Any, s: int) -> Any:
    def compiled(x: Any, s: int) -> Any:
        return _shift(x, s, False)

    return compiled


def shift_left(x: Any, s: int) -> Any:
    """Return x · 2^s in the type of x, 0 ≤ s < its width, which must hold it."""
    return type(x)(int(x) << int(s))


@overload(shift_left)
def _shift_left(x: Any, s: int) -> Any:
    def compiled(x: Any, s: int) -> Any:
        return _shift(x, s, True)

    return compiled
