"""Loops over rows of integers, written once: as vector instructions in kernels, with NumPy's arrays uncompiled.

Numba leaves it to the compiler to find vectors in loops over single numbers. For the rows of a small network that
costs more than the work: each loop checks whether its arrays overlap, and does what does not fill a vector number by
number. A function marked :func:`neurolrnn_kernels.traced.traced` says what happens to a vector instead. When a kernel
is compiled, the function is run once on placeholders (:class:`Value`), and what it does to them is written down as
vector code by a :class:`Writer`; uncompiled, the same function gets a :class:`neurolrnn_kernels.plain.Plain` and
NumPy's arrays.

Integers keep their type: nothing is widened but by :meth:`Writer.cast`, and every operation is modulo 2^bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import config
from numba.core import cgutils

LANES = 16
"""Numbers in a vector, unless told otherwise: 64 bytes of 32 bits."""
FEATURES = binding.get_host_cpu_features() if not (config.CPU_NAME or config.CPU_FEATURES) else {}
MASKED = bool(FEATURES.get("avx512bw", False) and FEATURES.get("avx512vl", False))
"""Whether the end of a row can be done under a mask; otherwise it is done number by number."""
INDEX = ir.IntType(64)
INT32 = ir.IntType(32)


def _bits(dtype: str) -> int:
    return 1 if dtype == "bool" else int(dtype.lstrip("uint"))


def _type(dtype: str, lanes: int) -> Any:
    element = ir.IntType(_bits(dtype))
    return ir.VectorType(element, lanes) if lanes else element


class Value:
    """A number or a vector of a kernel that is being written; operators write instructions."""

    def __init__(self, m: Writer, code: Any, dtype: str, lanes: int = 0) -> None:
        self.m, self.code, self.dtype, self.lanes = m, code, dtype, lanes

    def _with(self, other: Any, write: Callable[[Any, Any], Any], dtype: str = "") -> Value:
        other = self.m.constant(other, self.dtype) if isinstance(other, int) else other
        if other.dtype != self.dtype:
            raise TypeError(f"{self.dtype} meets {other.dtype}")
        lanes = max(self.lanes, other.lanes)
        a, b = (self.m.spread(x, lanes).code for x in (self, other))
        return Value(self.m, write(a, b), dtype or self.dtype, lanes)

    def __add__(self, other: Any) -> Value:
        return self._with(other, self.m.builder.add)

    def __sub__(self, other: Any) -> Value:
        return self._with(other, self.m.builder.sub)

    def __mul__(self, other: Any) -> Value:
        return self._with(other, self.m.builder.mul)

    def __and__(self, other: Any) -> Value:
        return self._with(other, self.m.builder.and_)

    def __or__(self, other: Any) -> Value:
        return self._with(other, self.m.builder.or_)

    def __xor__(self, other: Any) -> Value:
        return self._with(other, self.m.builder.xor)

    def __lshift__(self, other: Any) -> Value:
        return self._with(other, self.m.builder.shl)

    def __rshift__(self, other: Any) -> Value:
        return self._with(other, self.m.builder.lshr if self.dtype == "uint32" else self.m.builder.ashr)

    def __radd__(self, other: int) -> Value:
        return self + other

    def __rmul__(self, other: int) -> Value:
        return self * other

    def __rsub__(self, other: int) -> Value:
        return self.m.constant(other, self.dtype) - self

    def __rlshift__(self, other: int) -> Value:
        return self.m.constant(other, self.dtype) << self

    def _compare(self, other: Any, how: str) -> Value:
        return self._with(other, lambda a, b: self.m.builder.icmp_signed(how, a, b), "bool")

    def __lt__(self, other: Any) -> Value:
        return self._compare(other, "<")

    def __gt__(self, other: Any) -> Value:
        return self._compare(other, ">")

    def __ge__(self, other: Any) -> Value:
        return self._compare(other, ">=")

    def __eq__(self, other: Any) -> Value:  # type: ignore[override]
        return self._compare(other, "==")

    def __ne__(self, other: Any) -> Value:  # type: ignore[override]
        return self._compare(other, "!=")

    __hash__ = None  # type: ignore[assignment]


class Array:
    """A C-ordered array of a kernel that is being written."""

    def __init__(self, data: Any, dtype: str, shape: list[Value]) -> None:
        self.data, self.dtype, self.shape = data, dtype, shape


class Variable:
    """What a loop carries on."""

    def __init__(self, m: Writer, first: Value) -> None:
        self.m, self.dtype, self.lanes = m, first.dtype, first.lanes
        self.cell = cgutils.alloca_once(m.builder, first.code.type)
        m.builder.store(first.code, self.cell)

    def get(self) -> Value:
        """Return the value."""
        return Value(self.m, self.m.builder.load(self.cell), self.dtype, self.lanes)

    def set(self, x: Value) -> None:
        """Change the value."""
        self.m.builder.store(self.m.spread(x, self.lanes).code, self.cell)


class Writer:
    """Writes a function of a kernel."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.width = LANES
        self.active: Value | None = None
        """Which lanes of a vector lie within the row, where not all of them do."""
        self.left: Value | None = None
        """Their number."""

    def constant(self, x: int, dtype: str) -> Value:
        """Return a number."""
        return Value(self, ir.Constant(_type(dtype, 0), int(x)), dtype)

    def zeros(self, dtype: str, lanes: int = 0) -> Value:
        """Return a vector of zeros."""
        lanes = lanes or self.width
        return Value(self, ir.Constant(_type(dtype, lanes), [0] * lanes), dtype, lanes)

    def variable(self, first: Value) -> Variable:
        """Return a variable with a first value."""
        return Variable(self, first)

    def spread(self, x: Value, lanes: int) -> Value:
        """Return a vector of one number."""
        if x.lanes == lanes:
            return x
        nothing = ir.Constant(_type(x.dtype, lanes), ir.Undefined)
        one = self.builder.insert_element(nothing, x.code, ir.Constant(INT32, 0))
        zeros = ir.Constant(ir.VectorType(INT32, lanes), [ir.Constant(INT32, 0)] * lanes)
        return Value(self, self.builder.shuffle_vector(one, nothing, zeros), x.dtype, lanes)

    def cast(self, x: Value | int, dtype: str) -> Value:
        """Return the same number in another type, modulo 2^bits."""
        if isinstance(x, int):
            return self.constant(x, dtype)
        before, after, to = _bits(x.dtype), _bits(dtype), _type(dtype, x.lanes)
        if before < after:
            write = self.builder.zext if x.dtype in ("uint32", "bool") else self.builder.sext
            return Value(self, write(x.code, to), dtype, x.lanes)
        return Value(self, self.builder.trunc(x.code, to) if before > after else x.code, dtype, x.lanes)

    def select(self, condition: Value, a: Any, b: Any) -> Value:
        """Return a where the condition holds, b elsewhere."""
        dtype = a.dtype if isinstance(a, Value) else b.dtype
        a, b = self.cast(a, dtype), self.cast(b, dtype)
        lanes = max(condition.lanes, a.lanes, b.lanes)
        parts = [self.spread(x, lanes).code for x in (condition, a, b)]
        return Value(self, self.builder.select(*parts), dtype, lanes)

    def minimum(self, a: Value, b: Any) -> Value:
        """Return the smaller number."""
        b = self.cast(b, a.dtype)
        return self.select(a < b, a, b)

    def maximum(self, a: Value, b: Any) -> Value:
        """Return the larger number."""
        b = self.cast(b, a.dtype)
        return self.select(a > b, a, b)

    def high_product(self, a: Value, b: Value) -> Value:
        """Return ⌊a b / 2^16⌋ of 16-bit numbers."""
        return self.cast((self.cast(a, "int32") * self.cast(b, "int32")) >> 16, "int16")

    def difference(self, a: Value, b: Value) -> Value:
        """Return a - b of 16-bit vectors, held within 16 bits."""
        name = f"llvm.ssub.sat.v{a.lanes}i16"
        kind = ir.FunctionType(a.code.type, [a.code.type] * 2)
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return Value(self, self.builder.call(function, [a.code, self.spread(b, a.lanes).code]), a.dtype, a.lanes)

    def element(self, array: Array, at: Any) -> Value:
        """Return one element, counted through the array."""
        at = self.cast(at, "int64")
        return Value(self, self.builder.load(self.builder.gep(array.data, [at.code])), array.dtype)

    def put(self, array: Array, at: Any, x: Value) -> None:
        """Set one element."""
        at = self.cast(at, "int64")
        self.builder.store(self.cast(x, array.dtype).code, self.builder.gep(array.data, [at.code]))

    def _masked(self, what: str, array: Array, at: Value) -> tuple[Any, Any, Any, Any]:
        vector = _type(array.dtype, self.width)
        pointer = self.builder.bitcast(self.builder.gep(array.data, [at.code]), vector.as_pointer())
        if self.active is None:
            return vector, pointer, None, None
        suffix = f"v{self.width}i{_bits(array.dtype)}.p0"
        mask = self.active.code.type
        kind = (
            ir.FunctionType(vector, [pointer.type, INT32, mask, vector])
            if what == "load"
            else ir.FunctionType(ir.VoidType(), [vector, pointer.type, INT32, mask])
        )
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.masked.{what}.{suffix}")
        return vector, pointer, function, ir.Constant(INT32, _bits(array.dtype) // 8)

    def load(self, array: Array, at: Any, dtype: str = "") -> Value:
        """Return the vector that begins at an element; 0 where it reaches beyond the row."""
        vector, pointer, function, align = self._masked("load", array, self.cast(at, "int64"))
        if function is None:
            code = self.builder.load(pointer)
            code.align = _bits(array.dtype) // 8
        else:
            nothing = ir.Constant(vector, [0] * self.width)
            assert self.active is not None
            code = self.builder.call(function, [pointer, align, self.active.code, nothing])
        return self.cast(Value(self, code, array.dtype, self.width), dtype or array.dtype)

    def store(self, array: Array, at: Any, x: Value) -> None:
        """Set the vector that begins at an element, as far as the row reaches."""
        _, pointer, function, align = self._masked("store", array, self.cast(at, "int64"))
        code = self.spread(self.cast(x, array.dtype), self.width).code
        if function is None:
            self.builder.store(code, pointer).align = _bits(array.dtype) // 8
        else:
            assert self.active is not None
            self.builder.call(function, [code, pointer, align, self.active.code])

    def positions(self) -> Value:
        """Return 0, 1, 2, and so on."""
        return Value(self, ir.Constant(_type("uint32", self.width), list(range(self.width))), "uint32", self.width)

    def filled(self, draw: Callable[[], Value]) -> Value:
        """Return a vector whose elements within the row are drawn one after the other."""
        kind = _type("uint32", self.width)
        cell = cgutils.alloca_once_value(self.builder, ir.Constant(kind, [0] * self.width))
        self.builder.store(ir.Constant(kind, [0] * self.width), cell)
        first = self.builder.bitcast(cell, INT32.as_pointer())
        count = self.constant(self.width, "int64") if self.left is None else self.left
        self.each(0, count, lambda i: self.builder.store(draw().code, self.builder.gep(first, [i.code])))
        return Value(self, self.builder.load(cell), "uint32", self.width)

    def each(self, first: Any, last: Any, body: Callable[[Value], Any]) -> None:
        """Run ``body(j)`` for j from first to last."""
        first, last = self.cast(first, "int64"), self.cast(last, "int64")
        with cgutils.for_range(self.builder, last.code, start=first.code, intp=INDEX) as loop:
            body(Value(self, loop.index, "int64"))

    def columns(self, n: Value, body: Callable[[Value], Any], lanes: int = LANES) -> None:
        """Run ``body(i)`` for vectors that begin at 0, ``lanes``, …, of a row of n numbers."""
        self.panels(n, (1,), lambda i, _: body(i), lanes)

    def chunks(self, first: Value, last: Value, size: Any, body: Callable[[Value, Value], Any]) -> None:
        """Run ``body(start, stop)`` for stretches of ``size`` from first to last."""
        size = self.cast(size, "int64")
        with cgutils.for_range_slice(self.builder, first.code, last.code, size.code, intp=INDEX, inc=True) as (at, _):
            start = Value(self, at, "int64")
            body(start, self.minimum(start + size, last))

    def panels(self, n: Value, widths: tuple[int, ...], body: Callable[[Value, int], Any], lanes: int = LANES) -> None:
        """Run ``body(i, across)`` for ``across`` vectors from i on, as in ``widths``, of which the last is 1."""
        done = self.constant(0, "int64")
        for across in widths:
            step = across * lanes
            count = self.quotient(n - done, step)
            self.width = lanes
            first = done
            self.each(0, count, lambda k, first=first, step=step, across=across: body(first + k * step, across))  # type: ignore[misc]
            done = done + count * step
        self.rest(n, done, lambda i: body(i, 1), lanes)

    def quotient(self, a: Value, b: Any) -> Value:
        """Return a / b, toward 0."""
        return Value(self, self.builder.sdiv(a.code, self.cast(b, a.dtype).code), a.dtype)

    def rest(self, n: Value, done: Value, body: Callable[[Value], Any], lanes: int) -> None:
        """Run ``body`` for what is left of a row and does not fill a vector."""
        if not MASKED:
            self.width = 1
            self.each(done, n, body)
            self.width = LANES
            return
        self.width = lanes
        left = n - done
        with self.builder.if_then((left > 0).code):
            self.left, self.active = left, Value(self, self._first(left, lanes), "bool", lanes)
            body(done)
        self.left = self.active = None
        self.width = LANES

    def _first(self, count: Value, lanes: int) -> Any:
        numbers = Value(self, ir.Constant(_type("int32", lanes), list(range(lanes))), "int32", lanes)
        return (numbers < self.cast(count, "int32")).code

    def either(self, condition: Value, yes: Callable[[], Any], no: Callable[[], Any]) -> None:
        """Do one thing or the other."""
        with self.builder.if_else(condition.code) as (then, otherwise):
            with then:
                yes()
            with otherwise:
                no()

    def when(self, condition: Value, yes: Callable[[], Any]) -> None:
        """Do it, or not."""
        with self.builder.if_then(condition.code):
            yes()

    def count(self, counter: Variable, condition: Value) -> None:
        """Add the number of elements within the row for which a condition holds."""
        if self.active is not None:
            condition = condition & self.active
        number = condition.code
        if condition.lanes:
            kind = ir.IntType(condition.lanes)
            function = cgutils.get_or_insert_function(
                self.builder.module, ir.FunctionType(kind, [kind]), f"llvm.ctpop.i{condition.lanes}"
            )
            number = self.builder.call(function, [self.builder.bitcast(number, kind)])
        counter.set(counter.get() + Value(self, self.builder.zext(number, INDEX), "int64"))

    def reduce(self, x: Value, how: str) -> Value:
        """Return the sum ("add") or the largest ("smax") of a vector."""
        kind, element = x.code.type, x.code.type.element
        name = f"llvm.vector.reduce.{how}.v{x.lanes}i{element.width}"
        function = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(element, [kind]), name)
        return Value(self, self.builder.call(function, [x.code]), x.dtype)
