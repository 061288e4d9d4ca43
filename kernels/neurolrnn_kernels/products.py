"""Exact sums of products of codes, and sums in accumulators of a declared width.

16-bit codes are multiplied in pairs: a processor adds the products of two neighbouring 16-bit numbers in 32 bits at
once, which does twice the work of 32-bit lanes. So two rows of a matrix are interleaved, and meet a pair of factors.
Sums stay in registers, in 32 bits, for as many terms as are proved to fit; then they join the accumulator. Where few
fit, the upper and the lower 16 bits of each pair are summed apart. Integer sums do not depend on their order, so none
of this shows in the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.pairs import SHORTS, PairSum, add_to, in_order, interleaved, neighbours, pair_products
from neurolrnn_kernels.plain import Plain
from neurolrnn_kernels.traced import traced
from neurolrnn_kernels.vectors import LANES, MASKED, Value, Writer

ACROSS = (8, 2, 1) if MASKED else (2, 1)
"""Vectors across, of a tile of one lane."""
SPLIT = (4, 1) if MASKED else (1,)
"""The same for sums in two parts."""
BELOW = (2, 1)
"""Vectors across, of a tile of four lanes. Sums in two parts leave the first out."""
ROWS = 64
"""Rows of a matrix that are multiplied at a time: few enough to stream, enough to keep the sums in registers."""


class Accumulator:
    """An accumulator of a declared width, which saturates or wraps after every term."""

    def __init__(self, m: Any, v: Any, I: str) -> None:
        self.m, self.v = m, v
        lo, hi = m.element(v, at.ACC_LO), m.element(v, at.ACC_HI)
        self.lo, self.hi, self.span = m.cast(lo, I), m.cast(hi, I), m.cast(hi - lo, I)
        self.saturates = m.element(v, at.ACCUMULATOR) == at.ACC_SATURATE
        self.events = m.variable(m.cast(0, "int64"))

    def fit(self, raw: Any) -> Any:
        """Bring a sum into the range, and count it if it lay outside."""
        m = self.m
        held = m.minimum(m.maximum(raw, self.lo), self.hi)
        s = m.select(self.saturates, held, ((raw - self.lo) & self.span) + self.lo)
        m.count(self.events, s != raw)
        return s

    def done(self) -> None:
        """Write what was counted into the grid."""
        m, v = self.m, self.v
        m.put(v, at.ACC_EVENTS, m.element(v, at.ACC_EVENTS) + self.events.get())


def has_lowest(m: Writer, x: Any, start: Any, count: Any) -> Value:
    """Tell whether a stretch of 16-bit numbers holds -2^15: only a pair of its products may not fit 32 bits."""
    found = m.variable(m.constant(0, "int64"))
    m.columns(m.cast(count, "int64"), lambda i: m.count(found, m.load(x, i + start) == -(1 << 15)), SHORTS)
    return found.get() > 0


def _add_pairs(
    m: Writer, acc: Any, W: Any, x: Any, rows: tuple[Value, Value], lift: Value, block: Value, split: bool = False
) -> None:
    """Add exact sums of 16-bit products, ``block`` terms at a time."""
    n, before, I = W.shape[1], W.shape[0], acc.dtype
    first, last = rows

    def panel(b: Value, height: int, start: Value, pairs: Value, stop: Value, i: Value, across: int) -> None:
        paired = m.width > 1
        columns = [i + k * m.width for k in range(across)]
        width = SHORTS // 2 if paired else 1
        sums = [[[PairSum(m, width, split) for _ in range(1 + paired)] for _ in columns] for _ in range(height)]

        def step(j: Value, both: bool) -> None:
            if not paired:
                for h in range(height):
                    for row in range(1 + both):
                        factor = m.cast(m.element(x, (b + h) * before + j + row), "int32")
                        sums[h][0][0].add(m.load(W, (j + row) * n + i, "int32") * factor)
                return
            mixed = []
            for column in columns:
                w0 = m.load(W, j * n + column, "int16")
                w1 = m.load(W, (j + 1) * n + column, "int16") if both else m.zeros("int16", SHORTS)
                mixed.append(interleaved(m, w0, w1))
            for h in range(height):
                factors = neighbours(m, x, (b + h) * before + j, both)
                for parts, halves in zip(sums[h], mixed, strict=True):
                    for part, half in zip(parts, halves, strict=True):
                        part.add(pair_products(m, half, factors))

        m.each(0, pairs, lambda q: step(start + q * 2, True))
        m.each(start + pairs * 2, stop, lambda j: step(j, False))
        for h in range(height):
            for column, parts in zip(columns, sums[h], strict=True):
                if paired and split:
                    lows, highs = (in_order(m, *(p.parts[k].get() for p in parts)) for k in range(2))
                    total = (m.cast(highs, I) << 16) + m.cast(lows, I)
                elif paired:
                    total = m.cast(in_order(m, *(p.parts[0].get() for p in parts)), I)
                else:
                    total = parts[0].total(I)
                where = (b + h) * n + column
                m.store(acc, where, m.load(acc, where) + (total << m.cast(lift, I)))

    def chunk(start: Value, stop: Value) -> None:
        count = (stop - start) >> 1
        pairs = m.variable(count)

        def look(b: Value) -> None:
            lowest = has_lowest(m, x, b * before + start, stop - start)
            m.when(lowest, lambda: pairs.set(m.constant(0, "int64")))

        if split:
            m.each(0, acc.shape[0], look)

        def lanes(b: Value, height: int, widths: tuple[int, ...]) -> None:
            m.panels(n, widths, lambda i, across: panel(b, height, start, pairs.get(), stop, i, across), SHORTS)

        fours = acc.shape[0] >> 2
        m.each(0, fours, lambda k: lanes(k * 4, 4, BELOW[split:]))
        m.each(fours * 4, acc.shape[0], lambda b: lanes(b, 1, SPLIT if split else ACROSS))

    m.chunks(first, last, block, chunk)


def _add_columns(m: Any, acc: Any, W: Any, x: Any, rows: tuple[Any, Any], lift: Any, bounded: Any = None) -> None:
    """Add sums in the type of the accumulator, term after term."""
    I, before, n = str(acc.dtype), W.shape[0], W.shape[1]
    first, last = rows
    lift = m.cast(lift, I)

    def panel(b: Any, start: Any, stop: Any, i: Any, across: int) -> None:
        columns = [i + k * m.width for k in range(across)]
        sums = [m.variable(m.load(acc, b * n + column)) for column in columns]

        def term(j: Any) -> None:
            factor = m.cast(m.element(x, b * before + j), I) << lift
            for column, s in zip(columns, sums, strict=True):
                raw = s.get() + m.load(W, j * n + column, I) * factor
                s.set(raw if bounded is None else bounded.fit(raw))

        m.each(start, stop, term)
        for column, s in zip(columns, sums, strict=True):
            m.store(acc, b * n + column, s.get())

    def chunk(start: Any, stop: Any) -> None:
        m.each(0, acc.shape[0], lambda b: m.panels(n, (4, 1), lambda i, across: panel(b, start, stop, i, across)))

    m.chunks(first, last, ROWS, chunk)


@traced
def add_products(m: Any, v: Any, term: Any, acc: Any, Wt: Any, x: Any, first: Any, last: Any) -> None:
    """Add ``Σ_j x[b, j] Wt[j]``, j from first to last, to every lane b of ``acc``, as row ``v`` asks for."""
    I = str(acc.dtype)
    term = m.cast(term, "int64")
    lift, block = m.element(v, term + at.LIFT_0), m.element(v, term + at.BLOCK_0)

    rows = m.cast(first, "int64"), m.cast(last, "int64")

    def exact() -> None:
        if isinstance(m, Plain):  # with Python's integers; what does not fit the accumulator is an error
            total = x[:, first:last].astype(object) @ Wt[first:last].astype(object)
            acc[...] = acc.astype(object) + total * (1 << int(lift[0]))
        elif str(x.dtype) == "int16" and I == "int32":
            _add_pairs(m, acc, Wt, x, rows, lift, m.constant(ROWS, "int64"))
        elif str(x.dtype) == "int16":
            m.either(
                block > 0,
                lambda: _add_pairs(m, acc, Wt, x, rows, lift, block),
                lambda: _add_pairs(m, acc, Wt, x, rows, lift, m.constant(ROWS, "int64"), split=True),
            )
        else:
            _add_columns(m, acc, Wt, x, rows, lift)

    def bounded() -> None:
        limits = Accumulator(m, v, I)
        _add_columns(m, acc, Wt, x, rows, lift, limits)
        limits.done()

    m.either(m.element(v, at.ACCUMULATOR) == at.EXACT, exact, bounded)


def _dots(m: Writer, acc: Any, A: Any, x: Any, lift: Value, paired: bool) -> None:
    """Add exact inner products, in pairs or in the type of the accumulator."""
    n, rows, I = A.shape[1], A.shape[0], acc.dtype
    lanes = SHORTS if paired else LANES
    split = paired and I == "int64"

    def tile(b: Value, k: Value, height: int) -> None:
        totals = [m.variable(m.constant(0, I)) for _ in range(height)]

        def products(i: Value) -> list[Value]:
            in_pairs = paired and m.width > 1
            held = m.load(x, b * n + i, "int16" if in_pairs else I)
            loaded = [m.load(A, (k + r) * n + i, held.dtype) for r in range(height)]
            return [pair_products(m, row, held) if in_pairs else row * held for row in loaded]

        def chunk(start: Value, stop: Value) -> None:
            m.width = lanes
            if paired:
                sums: list[Any] = [PairSum(m, lanes // 2, split) for _ in range(height)]
            else:
                sums = [m.variable(m.zeros(I, lanes)) for _ in range(height)]

            def one(q: Value) -> None:
                for s, product in zip(sums, products(q * lanes), strict=True):
                    s.add(product) if paired else add_to(s, product)

            m.each(start, stop, one)
            for total, s in zip(totals, sums, strict=True):
                add_to(total, m.reduce(s.total(I) if paired else s.get(), "add"))

        def rest(i: Value) -> None:
            for total, product in zip(totals, products(i), strict=True):
                add_to(total, m.reduce(m.cast(product, I), "add"))

        vectors = m.quotient(n, lanes)
        m.chunks(m.constant(0, "int64"), vectors, 1 << 14, chunk)  # as many pairs as a sum in two parts may have
        m.rest(n, vectors * lanes, rest, lanes)
        for r, total in enumerate(totals):
            where = b * rows + k + r
            m.put(acc, where, m.element(acc, where) + (total.get() << m.cast(lift, I)))

    fours = rows >> 2

    def lane(b: Value) -> None:
        m.each(0, fours, lambda k: tile(b, k * 4, 4))
        m.each(fours * 4, rows, lambda k: tile(b, k, 1))

    m.each(0, acc.shape[0], lane)


def _choose_dots(m: Writer, acc: Any, A: Any, x: Any, lift: Value) -> None:
    """Add exact inner products in pairs, if their type and values allow it."""
    if str(x.dtype) != "int16":
        _dots(m, acc, A, x, lift, False)
    elif acc.dtype == "int32":
        _dots(m, acc, A, x, lift, True)
    else:
        lowest = has_lowest(m, x, 0, acc.shape[0] * A.shape[1])
        m.either(lowest, lambda: _dots(m, acc, A, x, lift, False), lambda: _dots(m, acc, A, x, lift, True))


@traced
def add_dots(m: Any, v: Any, term: Any, acc: Any, A: Any, x: Any) -> None:
    """Add ``Σ_i A[k, i] x[b, i]`` to ``acc[b, k]``, in the way that row ``v`` asks for."""
    I, rows, n = str(acc.dtype), A.shape[0], A.shape[1]
    term = m.cast(term, "int64")
    lift = m.element(v, term + at.LIFT_0)

    def exact() -> None:
        if isinstance(m, Plain):
            acc[...] = acc.astype(object) + x.astype(object) @ A.T.astype(object) * (1 << int(lift[0]))
        else:
            _choose_dots(m, acc, A, x, lift)

    def bounded() -> None:
        limits = Accumulator(m, v, I)

        def lane(b: Any) -> None:
            def row(k: Any) -> None:
                s = m.variable(m.element(acc, b * rows + k))

                def one(i: Any) -> None:
                    product = m.cast(m.element(A, k * n + i), I) * m.cast(m.element(x, b * n + i), I)
                    s.set(limits.fit(s.get() + (product << m.cast(lift, I))))

                m.each(0, n, one)
                m.put(acc, b * rows + k, s.get())

            m.each(0, rows, row)

        m.each(0, acc.shape[0], lane)
        limits.done()

    m.either(m.element(v, at.ACCUMULATOR) == at.EXACT, exact, bounded)


@traced
def add_neighbours(m: Any, v: Any, acc: Any, before: Any, own: Any, after: Any, x: Any) -> None:
    """Add what each unit hears from itself and its neighbours, in index order of x."""
    I, n = str(acc.dtype), own.shape[0]
    narrow = I == "int64" and str(x.dtype) == "int16"

    def rows(kind: str, limits: Accumulator | None) -> None:
        lift = m.cast(m.element(v, at.LIFT_0), kind)

        def end(b: Any, i: Any, others: Callable[[], list[tuple[Any, Any]]]) -> None:
            s = m.element(acc, b * n + i)
            for weights, j in others():
                term = (m.cast(m.element(weights, i), I) * m.cast(m.element(x, b * n + j), I)) << m.cast(lift, I)
                s = s + term if limits is None else limits.fit(s + term)
            m.put(acc, b * n + i, s)

        def lane(b: Any) -> None:
            def middle(i: Any) -> None:
                where = b * n + i + 1
                terms = [
                    (m.load(w, i + 1, kind) * m.load(x, where + k, kind)) << lift
                    for k, w in ((-1, before), (0, own), (1, after))
                ]
                s = m.load(acc, where)
                if limits is None:
                    s = s + m.cast(terms[0] + terms[1] + terms[2], I)
                else:
                    for term in terms:
                        s = limits.fit(s + term)
                m.store(acc, where, s)

            last = n - 1
            m.either(
                m.cast(n, "int64") == 1,
                lambda: end(b, 0, lambda: [(own, 0)]),
                lambda: end(b, 0, lambda: [(own, 0), (after, 1)]),
            )
            m.columns(n - 2, middle)
            m.when(m.cast(n, "int64") > 1, lambda: end(b, last, lambda: [(before, last - 1), (own, last)]))

        m.each(0, acc.shape[0], lane)

    def exact() -> None:
        if narrow:
            m.either(m.element(v, at.BLOCK_0) > 0, lambda: rows("int32", None), lambda: rows(I, None))
        else:
            rows(I, None)

    def bounded() -> None:
        limits = Accumulator(m, v, I)
        rows(I, limits)
        limits.done()

    m.either(m.element(v, at.ACCUMULATOR) == at.EXACT, exact, bounded)
