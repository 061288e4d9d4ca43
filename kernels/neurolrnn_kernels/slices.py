"""Passes over one slice of sparse weights: 16 receiving units side by side in vectors, one synapse of each at a time.

The compiler cannot vectorise these loops by itself: it would have to know that no two arrays overlap. Every number is
made by the same operations in the same order as one synapse after the other would make it.

In every pass ``W`` is the pattern (:class:`~neurolrnn_kernels.sparse.Slices`), ``values`` (synapses,) what is held per
synapse, ``s`` the number of the slice; all other arguments are vectors over units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from neurolrnn_kernels.sparse import SIDE_BY_SIDE

SUM, ADD, SUBTRACT, SUBTRACT_AND_SUM, DECAY, ADD_TRACES, SUBTRACT_TRACES, BACK = range(8)
INT32 = ir.IntType(32)
LANES = tuple(ir.Constant(INT32, k) for k in range(SIDE_BY_SIDE))


class _Pass:
    """Writes the instructions of one pass."""

    def __init__(self, builder: Any, element: Any, units: Any, start: Any, count: Any) -> None:
        self.builder, self.start, self.count = builder, start, count
        self.size = 8 if element == ir.DoubleType() else 4
        self.vector, self.indices = (ir.VectorType(kind, SIDE_BY_SIDE) for kind in (element, INT32))
        self.units = self.load(units[0], units[1], self.indices)

    def load(self, data: Any, at: Any, kind: Any = None) -> Any:
        b = self.builder
        value = b.load(b.bitcast(b.gep(data, [at]), (kind or self.vector).as_pointer()))
        value.align = self.size if kind is None else 4
        return value

    def store(self, value: Any, data: Any, at: Any) -> None:
        b = self.builder
        b.store(value, b.bitcast(b.gep(data, [at]), self.vector.as_pointer())).align = self.size

    def places(self, data: Any, indices: Any) -> Iterator[tuple[Any, Any]]:
        b = self.builder
        for k in LANES:
            yield k, b.gep(data, [b.sext(b.extract_element(indices, k), self.start.type)])

    def gather(self, data: Any, indices: Any) -> Any:
        out: Any = ir.Constant(self.vector, ir.Undefined)
        for k, place in self.places(data, indices):
            out = self.builder.insert_element(out, self.builder.load(place), k)
        return out

    def scatter(self, vector: Any, data: Any, indices: Any) -> None:
        for k, place in self.places(data, indices):
            self.builder.store(self.builder.extract_element(vector, k), place)

    def add_back(self, values: Any, sources: Any, x: Any, acc: Any) -> None:
        b = self.builder
        post = self.gather(x, self.units)
        with self.each() as at:
            product = b.fmul(self.load(values, at), post)
            # one after the other: several units of a slice may hear the same sender
            for k, place in self.places(acc, self.load(sources, at, self.indices)):
                b.store(b.fadd(b.load(place), b.extract_element(product, k)), place)

    @contextmanager
    def each(self) -> Iterator[Any]:
        """Write a loop over the synapses of the slice, 16 at a time; yields where they stand."""
        b, kind = self.builder, self.start.type
        with cgutils.for_range(b, self.count, intp=kind) as loop:
            yield b.add(self.start, b.mul(loop.index, ir.Constant(kind, SIDE_BY_SIDE)))

    def write(self, what: int, values: Any, sources: Any, x: Any, y: Any, z: Any, acc: Any) -> None:
        b = self.builder
        post = self.gather(y, self.units)  # acc itself where the pass is a sum
        summed = {SUM: post, SUBTRACT_AND_SUM: None}.get(what, False)
        if summed is not False:
            total = cgutils.alloca_once_value(b, self.gather(acc, self.units) if summed is None else summed)
        with self.each() as at:
            held = self.load(values, at)
            who = self.load(sources, at, self.indices)
            pre = self.load(x, at) if what in (ADD_TRACES, SUBTRACT_TRACES) else self.gather(x, who)
            if what == DECAY:
                held = b.fadd(b.fmul(post, held), pre)
            elif what in (ADD, ADD_TRACES):
                held = b.fadd(held, b.fmul(pre, post))
            elif what != SUM:
                held = b.fsub(held, b.fmul(pre, post))
            if what != SUM:
                self.store(held, values, at)
            if summed is not False:
                sent = pre if what == SUM else self.gather(z, who)
                b.store(b.fadd(b.load(total), b.fmul(held, sent)), total)
        if summed is not False:
            self.scatter(b.load(total), acc, self.units)


@intrinsic
def _pass(
    typingctx: Any, what: Any, values: Any, sources: Any, receivers: Any, first: Any, start: Any, count: Any, x: Any,
    y: Any, z: Any, acc: Any,
) -> Any:  # fmt: skip
    arrays = (values, x, y, z, acc)
    if not all(isinstance(t, types.Array) and isinstance(t.dtype, types.Float) and t.layout == "C" for t in arrays):
        return None
    if not isinstance(what, types.IntegerLiteral):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def data(k: int) -> Any:
            return context.make_array(signature.args[k])(context, builder, args[k]).data

        element = context.get_value_type(values.dtype)
        pass_ = _Pass(builder, element, (data(3), args[4]), *args[5:7])
        if what.literal_value == BACK:
            pass_.add_back(data(1), data(2), data(7), data(8))
        else:
            pass_.write(what.literal_value, data(1), data(2), *(data(k) for k in range(7, 11)))
        return context.get_dummy_value()

    numbers = (types.intp,) * 3
    return types.void(what, values, sources, receivers, *numbers, x, y, z, acc), codegen


def _overload(slowly: Callable[..., Any], what: int) -> None:
    if what == SUBTRACT_AND_SUM:

        def all_of_them(W: Any, values: Any, s: int, x: Any, y: Any, z: Any, acc: Any) -> Any:
            def compiled(W: Any, values: Any, s: int, x: Any, y: Any, z: Any, acc: Any) -> None:
                start = W.starts[s]
                count = (W.starts[s + 1] - start) // SIDE_BY_SIDE
                _pass(what, values, W.sources, W.receivers, s * SIDE_BY_SIDE, start, count, x, y, z, acc)

            return compiled

        overload(slowly)(all_of_them)
        return

    def two_of_them(W: Any, values: Any, s: int, x: Any, y: Any) -> Any:
        def compiled(W: Any, values: Any, s: int, x: Any, y: Any) -> None:
            start = W.starts[s]
            count = (W.starts[s + 1] - start) // SIDE_BY_SIDE
            _pass(what, values, W.sources, W.receivers, s * SIDE_BY_SIDE, start, count, x, y, x, y)

        return compiled

    overload(slowly)(two_of_them)


def _steps(W: Any, s: int) -> Iterator[tuple[slice, Any, Any]]:
    """Yield where the next synapse of each unit of a slice stands, who sends and who receives."""
    units = W.receivers[s * SIDE_BY_SIDE : (s + 1) * SIDE_BY_SIDE]
    for e in range(W.starts[s], W.starts[s + 1], SIDE_BY_SIDE):
        at = slice(e, e + SIDE_BY_SIDE)
        yield at, W.sources[at], units


def sum_slice(W: Any, values: Any, s: int, x: Any, acc: Any) -> None:
    """Add ``Σ_j w_ij x_j`` to ``acc``."""
    for at, j, i in _steps(W, s):
        acc[i] += values[at] * x[j]


def add_slice(W: Any, values: Any, s: int, p: Any, g: Any) -> None:
    """Add ``g_i p_j`` to the values."""
    for at, j, i in _steps(W, s):
        values[at] += p[j] * g[i]


def subtract_slice(W: Any, values: Any, s: int, p: Any, g: Any) -> None:
    """Subtract ``g_i p_j`` from the values."""
    for at, j, i in _steps(W, s):
        values[at] -= p[j] * g[i]


def subtract_and_sum_slice(W: Any, values: Any, s: int, p: Any, g: Any, h: Any, acc: Any) -> None:
    """Do that, and add ``Σ_j w_ij h_j`` with the new values to ``acc``."""
    subtract_slice(W, values, s, p, g)
    sum_slice(W, values, s, h, acc)


def back_slice(W: Any, values: Any, s: int, x: Any, acc: Any) -> None:
    """Add ``Σ_i w_ij x_i`` to ``acc``, the synapses in the order they are stored in."""
    for at, j, i in _steps(W, s):
        np.add.at(acc, j, values[at] * x[i])


def decay_slice(W: Any, values: Any, s: int, x: Any, d: Any) -> None:
    """Set the values to ``d_i e_ij + x_j``."""
    for at, j, i in _steps(W, s):
        values[at] = d[i] * values[at] + x[j]


def add_trace_slice(W: Any, values: Any, s: int, e: Any, g: Any) -> None:
    """Add ``g_i e_ij`` to the values; ``e`` is held per synapse."""
    for at, _, i in _steps(W, s):
        values[at] += e[at] * g[i]


def subtract_trace_slice(W: Any, values: Any, s: int, e: Any, g: Any) -> None:
    """Subtract ``g_i e_ij`` from the values; ``e`` is held per synapse."""
    for at, _, i in _steps(W, s):
        values[at] -= e[at] * g[i]


for _function, _what in (
    (sum_slice, SUM), (add_slice, ADD), (subtract_slice, SUBTRACT), (subtract_and_sum_slice, SUBTRACT_AND_SUM),
    (back_slice, BACK), (decay_slice, DECAY), (add_trace_slice, ADD_TRACES), (subtract_trace_slice, SUBTRACT_TRACES),
):  # fmt: skip
    _overload(_function, _what)
