"""Sums of outer products in register tiles: the one loop nest that matrix-vector work of every rule comes down to.

``C[r, i] ± Σ_k a(r, k) D[k, i]``, each sum in index order of k from the value that C holds. A tile of C, a few rows by
a few vectors, stays in registers while k runs, so C is read and written once, and D is read once for four rows. The
compiler cannot do this by itself: it would have to know that C and D do not overlap. The order of every sum is fixed,
so the bits do not depend on the tile, on the number of lanes or on the processor.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

VECTOR_BYTES = 64
WIDE = bool(binding.get_host_cpu_features().get("avx512f", False))
"""Whether a tile may hold 16 vectors of 64 bytes; otherwise 4, which 16 registers of 32 bytes hold."""
ROWS = 4
ACROSS = (4, 1) if WIDE else (1,)
"""Vectors across, of tiles of four rows; the last must be 1."""
ALONE = (16, 8, 4, 1) if WIDE else (4, 1)
"""Vectors across, of tiles of one row; the last must be 1."""


def _constant(type_: Any, value: int) -> Any:
    return ir.Constant(type_, value)


class _Nest:
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
        b = self.builder
        return b.gep(base, [b.add(b.mul(row, row_stride), column)])

    def load(self, base: Any, row: Any, stride: Any, column: Any, mask: Any) -> Any:
        b = self.builder
        pointer = b.bitcast(self.at(base, row, stride, column), self.vector.as_pointer())
        if mask is not None:
            zero = ir.Constant(self.vector, [ir.Constant(self.element, 0.0)] * self.lanes)
            return b.call(self.masked_load, [pointer, _constant(ir.IntType(32), self.size), mask, zero])
        value = b.load(pointer)
        value.align = self.size
        return value

    def store(self, value: Any, row: Any, column: Any, mask: Any) -> None:
        b = self.builder
        pointer = b.bitcast(self.at(self.C, row, self.C_row, column), self.vector.as_pointer())
        if mask is not None:
            b.call(self.masked_store, [value, pointer, _constant(ir.IntType(32), self.size), mask])
        else:
            b.store(value, pointer).align = self.size

    def splat(self, scalar: Any) -> Any:
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


@intrinsic
def _nest(
    typingctx: Any, C: Any, a: Any, D: Any, columns: Any, first: Any, last: Any, right: Any, down: Any, by_row: Any,
    subtract: Any,
) -> Any:  # fmt: skip
    if not all(isinstance(t, types.Array) and isinstance(t.dtype, types.Float) for t in (C, a, D)):
        return None
    if not (isinstance(by_row, types.BooleanLiteral) and isinstance(subtract, types.BooleanLiteral)):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _Nest(context, builder, signature, args, by_row.literal_value, subtract.literal_value).write()
        return context.get_dummy_value()

    signature = types.void(C, a, D, *[types.intp] * 5, by_row, subtract)
    return signature, codegen


def _slowly(C: Any, a: Any, D: Any, columns: int, first: int, last: int, subtract: bool) -> None:
    for k in range(first, last):
        for r in range(C.shape[0]):
            term = a[r, k] * D[k, :columns]
            C[r, :columns] = C[r, :columns] - term if subtract else C[r, :columns] + term


def add_rows(C: Any, a: Any, D: Any, first: int, last: int, columns: int) -> None:
    """Add ``Σ_k a[r, k] D[k]``, k from first to last, to the first columns of every row r of C. Real, C-ordered."""
    _slowly(C, a, D, columns, first, last, False)


@overload(add_rows)
def _add_rows(C: Any, a: Any, D: Any, first: int, last: int, columns: int) -> Any:
    def compiled(C: Any, a: Any, D: Any, first: int, last: int, columns: int) -> None:
        _nest(C, a, D, columns, first, last, 0, 0, True, False)

    return compiled


def add_rows_at(C: Any, a: Any, D: Any, first: int, last: int, columns: int, right: int, down: int) -> None:
    """:func:`add_rows` into the columns of C from ``right`` on, where term k has row ``k + down`` of D."""
    _slowly(C[:, right:], a[:, first:last], D[first + down : last + down], columns, 0, last - first, False)


@overload(add_rows_at)
def _add_rows_at(C: Any, a: Any, D: Any, first: int, last: int, columns: int, right: int, down: int) -> Any:
    def compiled(C: Any, a: Any, D: Any, first: int, last: int, columns: int, right: int, down: int) -> None:
        _nest(C, a, D, columns, first, last, right, down, True, False)

    return compiled


def add_outer(C: Any, p: Any, g: Any) -> None:
    """Add ``Σ_b p[b, r] g[b]`` to every row r of C."""
    _slowly(C, p.T, g, C.shape[1], 0, p.shape[0], False)


@overload(add_outer)
def _add_outer(C: Any, p: Any, g: Any) -> Any:
    def compiled(C: Any, p: Any, g: Any) -> None:
        _nest(C, p, g, C.shape[1], 0, p.shape[0], 0, 0, False, False)

    return compiled


def subtract_outer(C: Any, p: Any, g: Any) -> None:
    """Subtract ``Σ_b p[b, r] g[b]`` from every row r of C, term after term."""
    _slowly(C, p.T, g, C.shape[1], 0, p.shape[0], True)


@overload(subtract_outer)
def _subtract_outer(C: Any, p: Any, g: Any) -> Any:
    def compiled(C: Any, p: Any, g: Any) -> None:
        _nest(C, p, g, C.shape[1], 0, p.shape[0], 0, 0, False, True)

    return compiled
