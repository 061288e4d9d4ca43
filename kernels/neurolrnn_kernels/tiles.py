"""Sums of outer products in register tiles: the one loop nest that matrix-vector work of every rule comes down to.

``C[r, i] ± Σ_k a(r, k) D[k, i]``, each sum in index order of k from the value that C holds. A tile of C, a few rows by
a few vectors, stays in registers while k runs, so C is read and written once, and D is read once for four rows. The
compiler cannot do this by itself: it would have to know that C and D do not overlap. The order of every sum is fixed,
so the bits do not depend on the tile, on the number of lanes or on the processor.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic, overload

from neurolrnn_kernels.tile_nests import Moving, Nest, Tracing


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
        Nest(context, builder, signature, args, by_row.literal_value, subtract.literal_value).write()
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


@intrinsic
def _moving(typingctx: Any, C: Any, h: Any, D: Any, p: Any, g: Any, columns: Any, first: Any, last: Any) -> Any:
    if not all(isinstance(t, types.Array) and isinstance(t.dtype, types.Float) for t in (C, h, D, p, g)):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        Moving(context, builder, signature, args).write()
        return context.get_dummy_value()

    return types.void(C, h, D, p, g, *[types.intp] * 3), codegen


def move_and_add(C: Any, h: Any, D: Any, p: Any, g: Any, first: int, last: int) -> None:
    """For rows k of D from first to last: ``D[k] -= p[0, k] g[0]``, then ``C[0] += h[0, k] D[k]``. All C-ordered."""
    _slowly(D[first:last], p[:, first:last].T, g, D.shape[1], 0, 1, True)
    _slowly(C, h, D, D.shape[1], first, last, False)


@overload(move_and_add)
def _move_and_add(C: Any, h: Any, D: Any, p: Any, g: Any, first: int, last: int) -> Any:
    def compiled(C: Any, h: Any, D: Any, p: Any, g: Any, first: int, last: int) -> None:
        _moving(C, h, D, p, g, D.shape[1], first, last)

    return compiled


@intrinsic
def _tracing(
    typingctx: Any, C: Any, h: Any, D: Any, E: Any, d: Any, x: Any, g: Any, columns: Any, first: Any, last: Any
) -> Any:
    if not all(isinstance(t, types.Array) and isinstance(t.dtype, types.Float) for t in (C, h, D, E, d, x, g)):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        Tracing(context, builder, signature, args).write()
        return context.get_dummy_value()

    return types.void(C, h, D, E, d, x, g, *[types.intp] * 3), codegen


def trace_and_add(C: Any, h: Any, D: Any, E: Any, d: Any, x: Any, g: Any, first: int, last: int) -> None:
    """For rows k: ``E[k] = d E[k] + x[k]``, ``D[k] -= E[k] g``, ``C[0] += h[0, k] D[k]``. All C-ordered."""
    for k in range(first, last):
        E[k] = d * E[k] + x[k]
        D[k] -= E[k] * g
    _slowly(C, h, D, D.shape[1], first, last, False)


@overload(trace_and_add)
def _trace_and_add(C: Any, h: Any, D: Any, E: Any, d: Any, x: Any, g: Any, first: int, last: int) -> Any:
    def compiled(C: Any, h: Any, D: Any, E: Any, d: Any, x: Any, g: Any, first: int, last: int) -> None:
        _tracing(C, h, D, E, d, x, g, D.shape[1], first, last)

    return compiled
