"""LLVM code of the loop nests of :mod:`neurolrnn_kernels.tiles`."""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils

VECTOR_BYTES = 64
WIDE = bool(binding.get_host_cpu_features().get("avx512f", False))
"""Whether a tile may hold 16 vectors of 64 bytes; otherwise 4, which 16 registers of 32 bytes hold."""
ROWS = 4
ACROSS = (4, 1) if WIDE else (1,)
"""Vectors across, of tiles of four rows; the last must be 1."""
MOVING = (8, 4, 1) if WIDE else (2, 1)
"""Vectors across, of tiles of one row whose matrix is updated on the way."""
TRACING = (4, 1) if WIDE else (1,)
"""The same where each element has a trace."""
ALONE = (16, 8, 4, 1) if WIDE else (4, 1)
"""Vectors across, of tiles of one row; the last must be 1."""


def _constant(type_: Any, value: int) -> Any:
    return ir.Constant(type_, value)


class Nest:
    """Writes the loop nest of one call."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any, by_row: bool, subtract: bool) -> None:
        self.builder, self.by_row, self.subtract = builder, by_row, subtract
        C, a, D = (
            context.make_array(t)(context, builder, v) for t, v in zip(signature.args[:3], args[:3], strict=True)
        )
        scalar = signature.args[0].dtype
        self.size = scalar.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.size
        self.element = context.get_value_type(scalar)
        self.vector = ir.VectorType(self.element, self.lanes)
        self.mask_type = ir.VectorType(ir.IntType(1), self.lanes)
        self.rows = cgutils.unpack_tuple(builder, C.shape)[0]
        self.index = self.rows.type
        self.columns, self.first, self.last, self.right, self.down = args[3:8]

        def stride(array: Any, axis: int) -> Any:  # in elements
            return builder.sdiv(cgutils.unpack_tuple(builder, array.strides)[axis], _constant(self.index, self.size))

        # Column i of the sums is column i + right of C, term k is row k + down of D.
        self.C, self.a, self.D = builder.gep(C.data, [self.right]), a.data, D.data
        self.C_row, self.D_row = stride(C, 0), stride(D, 0)
        a_strides = stride(a, 0), stride(a, 1)
        self.a_row, self.a_term = a_strides if by_row else a_strides[::-1]
        module = builder.module
        pointer = self.vector.as_pointer()
        suffix = f"v{self.lanes}f{8 * self.size}.p0"
        int32 = ir.IntType(32)
        load = ir.FunctionType(self.vector, [pointer, int32, self.mask_type, self.vector])
        store = ir.FunctionType(ir.VoidType(), [self.vector, pointer, int32, self.mask_type])
        self.masked_load = cgutils.get_or_insert_function(module, load, f"llvm.masked.load.{suffix}")
        self.masked_store = cgutils.get_or_insert_function(module, store, f"llvm.masked.store.{suffix}")

    def at(self, base: Any, row: Any, row_stride: Any, column: Any) -> Any:
        """Return the address of one element."""
        b = self.builder
        return b.gep(base, [b.add(b.mul(row, row_stride), column)])

    def load(self, base: Any, row: Any, stride: Any, column: Any, mask: Any) -> Any:
        """Return the vector at one element, 0 where the mask is off."""
        b = self.builder
        pointer = b.bitcast(self.at(base, row, stride, column), self.vector.as_pointer())
        if mask is not None:
            zero = ir.Constant(self.vector, [ir.Constant(self.element, 0.0)] * self.lanes)
            return b.call(self.masked_load, [pointer, _constant(ir.IntType(32), self.size), mask, zero])
        value = b.load(pointer)
        value.align = self.size
        return value

    def store(self, value: Any, row: Any, column: Any, mask: Any, base: Any = None, stride: Any = None) -> None:
        """Write a vector back, to C if no base is given."""
        b = self.builder
        at = self.at(self.C, row, self.C_row, column) if base is None else self.at(base, row, stride, column)
        pointer = b.bitcast(at, self.vector.as_pointer())
        if mask is not None:
            b.call(self.masked_store, [value, pointer, _constant(ir.IntType(32), self.size), mask])
        else:
            b.store(value, pointer).align = self.size

    def splat(self, scalar: Any) -> Any:
        """Return a vector that holds one number in every lane."""
        b = self.builder
        undefined = ir.Constant(self.vector, ir.Undefined)
        one = b.insert_element(undefined, scalar, _constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [_constant(ir.IntType(32), 0)] * self.lanes)
        return b.shuffle_vector(one, undefined, zeros)

    def tile(self, row: Any, height: int, column: Any, across: int, mask: Any = None) -> None:
        """Do ``height`` rows by ``across`` vectors from (row, column)."""
        b = self.builder
        rows = [b.add(row, _constant(self.index, r)) for r in range(height)]
        columns = [b.add(column, _constant(self.index, v * self.lanes)) for v in range(across)]
        sums = [
            [cgutils.alloca_once_value(b, self.load(self.C, r, self.C_row, c, mask)) for c in columns] for r in rows
        ]
        with cgutils.for_range(b, self.last, start=self.first, intp=self.index) as loop:
            k = loop.index
            held = [self.load(self.D, b.add(k, self.down), self.D_row, c, mask) for c in columns]
            for r in range(height):
                factor = self.splat(b.load(self.at(self.a, rows[r], self.a_row, b.mul(k, self.a_term))))
                for v in range(across):
                    product = b.fmul(factor, held[v])
                    before = b.load(sums[r][v])
                    b.store(b.fsub(before, product) if self.subtract else b.fadd(before, product), sums[r][v])
        for r in range(height):
            for v in range(across):
                self.store(b.load(sums[r][v]), rows[r], columns[v], mask)

    def band(self, row: Any, height: int, widths: tuple[int, ...]) -> None:
        """Do ``height`` rows from ``row`` over all columns."""
        b = self.builder
        done = _constant(self.index, 0)
        for across in widths:
            step = _constant(self.index, across * self.lanes)
            count = b.sdiv(b.sub(self.columns, done), step)
            with cgutils.for_range(b, count, intp=self.index) as loop:
                self.tile(row, height, b.add(done, b.mul(loop.index, step)), across)
            done = b.add(done, b.mul(count, step))
        rest = b.sub(self.columns, done)
        with b.if_then(b.icmp_signed(">", rest, _constant(self.index, 0))):
            numbers = ir.Constant(
                ir.VectorType(self.index, self.lanes), [_constant(self.index, i) for i in range(self.lanes)]
            )
            undefined = ir.Constant(numbers.type, ir.Undefined)
            one = b.insert_element(undefined, rest, _constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [_constant(ir.IntType(32), 0)] * self.lanes)
            mask = b.icmp_signed("<", numbers, b.shuffle_vector(one, undefined, zeros))
            self.tile(row, height, done, 1, mask)

    def write(self) -> None:
        """Do all rows: four at a time, then one at a time."""
        b = self.builder
        height = _constant(self.index, ROWS)
        bands = b.sdiv(self.rows, height)
        with cgutils.for_range(b, bands, intp=self.index) as loop:
            self.band(b.mul(loop.index, height), ROWS, ACROSS)
        done = b.mul(bands, height)
        with cgutils.for_range(b, b.sub(self.rows, done), intp=self.index) as loop:
            self.band(b.add(done, loop.index), 1, ALONE)


class Moving(Nest):
    """The same for one row of sums, where each row of D is moved by a multiple of g before it is multiplied."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        C, h, D, p, g, columns, first, last = args
        zero = _constant(columns.type, 0)
        kinds = types.void(*signature.args[:3])
        super().__init__(context, builder, kinds, (C, h, D, columns, first, last, zero, zero), True, False)
        self.p, self.g = (
            context.make_array(t)(context, builder, v).data for t, v in zip(signature.args[3:5], (p, g), strict=True)
        )

    def tile(self, row: Any, height: int, column: Any, across: int, mask: Any = None) -> None:
        """Do ``across`` vectors from the column."""
        b = self.builder
        columns = [b.add(column, _constant(self.index, v * self.lanes)) for v in range(across)]
        zero = _constant(self.index, 0)
        sums = [cgutils.alloca_once_value(b, self.load(self.C, zero, self.C_row, c, mask)) for c in columns]
        moves = [self.load(self.g, zero, zero, c, mask) for c in columns]
        with cgutils.for_range(b, self.last, start=self.first, intp=self.index) as loop:
            k = loop.index
            step, factor = (self.splat(b.load(b.gep(x, [k]))) for x in (self.p, self.a))
            for v in range(across):
                moved = b.fsub(self.load(self.D, k, self.D_row, columns[v], mask), b.fmul(step, moves[v]))
                self.store(moved, k, columns[v], mask, self.D, self.D_row)
                b.store(b.fadd(b.load(sums[v]), b.fmul(factor, moved)), sums[v])
        for v in range(across):
            self.store(b.load(sums[v]), zero, columns[v], mask)

    def write(self) -> None:
        """Do all columns."""
        self.band(_constant(self.index, 0), 1, MOVING)


class Tracing(Nest):
    """The same as :class:`Moving`, where each element of D moves by a trace of its own, which decays first."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        C, h, D, E, d, x, g, columns, first, last = args
        zero = _constant(columns.type, 0)
        kinds = types.void(*signature.args[:3])
        super().__init__(context, builder, kinds, (C, h, D, columns, first, last, zero, zero), True, False)
        arrays = [
            context.make_array(t)(context, builder, v) for t, v in zip(signature.args[3:7], (E, d, x, g), strict=True)
        ]
        self.E, self.d, self.x, self.g = (array.data for array in arrays)
        self.E_row = builder.sdiv(cgutils.unpack_tuple(builder, arrays[0].strides)[0], _constant(self.index, self.size))

    def tile(self, row: Any, height: int, column: Any, across: int, mask: Any = None) -> None:
        """Do ``across`` vectors from the column."""
        b = self.builder
        columns = [b.add(column, _constant(self.index, v * self.lanes)) for v in range(across)]
        zero = _constant(self.index, 0)
        sums = [cgutils.alloca_once_value(b, self.load(self.C, zero, self.C_row, c, mask)) for c in columns]
        moves = [self.load(self.g, zero, zero, c, mask) for c in columns]
        decays = [self.load(self.d, zero, zero, c, mask) for c in columns]
        with cgutils.for_range(b, self.last, start=self.first, intp=self.index) as loop:
            k = loop.index
            new, factor = (self.splat(b.load(b.gep(pointer, [k]))) for pointer in (self.x, self.a))
            for v, c in enumerate(columns):
                trace = b.fadd(b.fmul(decays[v], self.load(self.E, k, self.E_row, c, mask)), new)
                self.store(trace, k, c, mask, self.E, self.E_row)
                moved = b.fsub(self.load(self.D, k, self.D_row, c, mask), b.fmul(trace, moves[v]))
                self.store(moved, k, c, mask, self.D, self.D_row)
                b.store(b.fadd(b.load(sums[v]), b.fmul(factor, moved)), sums[v])
        for v, c in enumerate(columns):
            self.store(b.load(sums[v]), zero, c, mask)

    def write(self) -> None:
        """Do all columns."""
        self.band(_constant(self.index, 0), 1, TRACING)
