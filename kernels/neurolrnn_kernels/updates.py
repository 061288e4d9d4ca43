"""Updates of weights in fixed point: exact products, rounded on the grid of the weight, and subtracted in one pass.

A row of weights belongs to one pre-synaptic unit, or to one output. The modes that most runs use have loops of their
own: floor or nearest, and stochastic from counters, both with saturation; one more loop does every mode there is. Two
things keep updates of one product apart from sums: a product is 0 only where a factor is, so what is asked for need not
be counted product by product; and a row whose largest product rounds to 0 need not be touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.landing import ANY, NOISY, SIMPLE, Rest, fitted, rounded
from neurolrnn_kernels.pairs import SHORTS, PairSum, in_order, in_turns, interleaved, pair_products
from neurolrnn_kernels.plain import Plain
from neurolrnn_kernels.traced import traced

HIDDEN, NOISY_HIDDEN = "hidden", "noisy hidden"
"""Loops over hidden weights: any mode; stochastic from counters with saturation."""


class Update(Rest):
    """How updates of one group come to rest, and what is counted of them."""

    def __init__(self, m: Any, v: Any, t: Any, I: str) -> None:
        super().__init__(m, v, t, I)
        self.wanted, self.made = (m.variable(m.cast(0, "int64")) for _ in range(2))

    def done(self) -> None:
        """Write what was counted into the grid."""
        super().done()
        m, v = self.m, self.v
        m.put(v, at.UPDATES, m.element(v, at.UPDATES) + self.wanted.get())
        m.put(v, at.DEAD, m.element(v, at.DEAD) + self.wanted.get() - self.made.get())


def _move(k: Update, W: Any, H: Any, where: Any, u: Any, loop: str, element: Any = None) -> None:
    """Subtract the rounded ``u`` from the weights ``where`` they stand, or at another number of the element."""
    m, I = k.m, k.I
    how = {HIDDEN: ANY, NOISY_HIDDEN: NOISY}.get(loop, loop)
    d = rounded(k, u, where if element is None else element, how)
    m.count(k.made, d != 0)
    if how == loop:
        m.store(W, where, fitted(k, m.load(W, where, I) - d, loop))
        return
    fine = fitted(k, m.load(H, where, I) - d, how)
    m.store(H, where, fine)
    s = m.element(k.v, at.VISIBLE_SHIFT)
    half = m.cast((m.cast(1, "int64") << s) >> 1, I)
    lo, hi = m.element(k.v, at.VISIBLE_LO), m.element(k.v, at.VISIBLE_HI)
    limits = m.cast(lo, I), m.cast(hi, I), m.cast(hi - lo, I)
    m.store(W, where, fitted(k, (fine + half) >> m.cast(s, I), how, limits))


def _move_counted(k: Update, W: Any, H: Any, where: Any, u: Any, loop: str, element: Any = None) -> None:
    k.m.count(k.wanted, u != 0)
    _move(k, W, H, where, u, loop, element)


def _choose(k: Update, H: Any, rows: Callable[[str], None], products: Callable[[str], None] | None = None) -> None:
    """Run the loop that the modes need; ``products`` in place of ``rows`` where it can."""
    m, few = k.m, products or rows
    m.either(
        m.cast(H.shape[-1], "int64") > 0,
        lambda: m.either(k.noisy, lambda: rows(NOISY_HIDDEN), lambda: rows(HIDDEN)),
        lambda: m.either(
            k.simple, lambda: few(SIMPLE), lambda: m.either(k.noisy, lambda: few(NOISY), lambda: rows(ANY))
        ),
    )


def _sum(m: Any, I: str, terms: Any, term: Callable[[Any], Any]) -> Any:
    total = m.variable(term(0))
    m.each(1, terms, lambda b: total.set(total.get() + term(b)))
    return total.get()


@traced
def descend_outer(m: Any, v: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, first: Any, last: Any, t: Any) -> None:
    """Subtract the landed ``Σ_b p[b, j] g[b]`` from the rows j of Wt, from first to last."""
    I = str(work.dtype)
    n, terms, before = Wt.shape[1], p.shape[0], p.shape[1]
    k = Update(m, v, t, I)

    def sums(loop: str) -> None:
        def row(j: Any) -> None:
            def one(i: Any) -> None:
                def term(b: Any) -> Any:
                    return m.cast(m.element(p, b * before + j), I) * m.load(g, b * n + i, I)

                _move_counted(k, Wt, H, j * n + i, _sum(m, I, terms, term), loop)

            m.columns(n, one)

        m.each(first, last, row)

    def fast(loop: str) -> None:
        alone = m.cast(terms, "int64") == 1
        m.either(alone, lambda: _one_product(k, Wt, p, g, first, last, loop), lambda: many(loop))

    def many(loop: str) -> None:
        if isinstance(m, Plain) or not str(p.dtype) == str(g.dtype) == "int16":
            sums(loop)
            return
        largest = m.variable(m.cast(0, "int64"))

        def look(b: Any) -> None:
            where = b * before + first
            m.columns(m.cast(last, "int64") - first, lambda i: m.count(largest, m.load(p, where + i) == -(1 << 15)))

        m.each(0, terms, look)
        in_pairs = (largest.get() == 0) & (k.shift > 16) & (k.shift < 31)
        m.either(in_pairs, lambda: _sums_of_pairs(k, Wt, p, g, (first, last), loop), lambda: sums(loop))

    _choose(k, H, sums, fast)
    k.done()


def _one_product(k: Update, Wt: Any, p: Any, g: Any, first: Any, last: Any, loop: str) -> None:
    """Do rows of single products p_j g_i; rows that move nothing are counted only."""
    if k.I == "int32" or not str(p.dtype) == str(g.dtype) == "int16":
        _rows_of_products(k, Wt, p, g, first, last, loop)
    else:  # a product fits 31 bits, and so it does with what rounding adds
        k.m.either(
            k.shift < 31,
            lambda: _rows_of_products(k.narrow(), Wt, p, g, first, last, loop),
            lambda: _rows_of_products(k, Wt, p, g, first, last, loop),
        )


def _rows_of_products(k: Update, Wt: Any, p: Any, g: Any, first: Any, last: Any, loop: str) -> None:
    m, I = k.m, k.I
    n = Wt.shape[1]
    asked, largest = m.variable(m.cast(0, "int64")), m.variable(m.cast(0, I))

    def look(i: Any) -> None:
        x = m.load(g, i, I)
        m.count(asked, x != 0)
        largest.set(m.maximum(largest.get(), m.reduce(m.maximum(x, 0 - x), "smax")))

    m.columns(n, look)
    # |u| < limit rounds to 0. Weights outside a range that a clamp has narrowed must be brought in all the same.
    limit = m.cast(1, I)
    if loop == SIMPLE:
        limit = m.maximum(k.add, 1)
    ends = [m.element(k.v, a) != m.element(k.v, b) for a, b in ((at.LO, at.VISIBLE_LO), (at.HI, at.VISIBLE_HI))]
    narrowed = ends[0] | ends[1]

    def rows(one: Callable[[Any, Any], Callable[[Any], None]], lanes: int) -> None:
        def row(j: Any) -> None:
            factor = m.cast(m.element(p, j), I)
            size = m.maximum(factor, 0 - factor)
            m.when(factor != 0, lambda: k.wanted.set(k.wanted.get() + asked.get()))
            m.when((size * largest.get() >= limit) | narrowed, lambda: m.columns(n, one(j, factor), lanes))

        m.each(first, last, row)

    def word(j: Any, factor: Any) -> Callable[[Any], None]:
        short = m.cast(factor, "int16")

        def one(i: Any) -> None:
            where = j * n + i
            d = (m.high_product(short, m.load(g, i)) + m.cast(k.add >> 16, "int16")) >> m.cast(k.down - 16, "int16")
            m.count(k.made, d != 0)
            before = m.load(Wt, where, "int16")
            lo, hi = (m.cast(x, "int16") for x in k.limits[:2])
            c = m.minimum(m.maximum(m.difference(before, d), lo), hi)
            m.count(k.events, c != before - d)
            m.store(Wt, where, c)

        return one

    def whole(j: Any, factor: Any) -> Callable[[Any], None]:
        return lambda i: _move(k, Wt, None, j * n + i, factor * m.load(g, i, I), loop)

    if loop == SIMPLE and I == "int32" and str(p.dtype) == str(g.dtype) == "int16":
        m.either(k.down > 16, lambda: rows(word, SHORTS), lambda: rows(whole, 16))
    else:
        rows(whole, 16)


def _sums_of_pairs(k: Update, Wt: Any, p: Any, g: Any, rows: tuple[Any, Any], loop: str) -> None:
    """Do rows of sums of products in 32 bits: upper and lower 16 bits of pairs of products are summed apart."""
    m, wide, k = k.m, k, k.narrow()
    n, terms, before = Wt.shape[1], p.shape[0], p.shape[1]
    down = k.down - 16

    def tile(j: Any, height: int, i: Any) -> None:
        sums = [[PairSum(m, SHORTS // 2, split=True) for _ in range(2)] for _ in range(height)]

        def step(b: Any, both: bool) -> None:
            second = m.load(g, (b + 1) * n + i) if both else m.zeros("int16")
            halves = interleaved(m, m.load(g, b * n + i), second)
            for r, parts in enumerate(sums):
                pair = m.cast(m.element(p, b * before + j + r), "int32") & 0xFFFF
                if both:
                    pair = pair | (m.cast(m.element(p, (b + 1) * before + j + r), "int32") << 16)
                factors = in_turns(m, pair)
                for part, half in zip(parts, halves, strict=True):
                    part.add(pair_products(m, half, factors))

        m.each(0, terms >> 1, lambda q: step(q * 2, True))
        m.when((terms & 1) != 0, lambda: step(terms - 1, False))
        for r, parts in enumerate(sums):
            low, high = (in_order(m, *(part.parts[q].get() for part in parts)) for q in range(2))
            high, low = high + (low >> 16), low & 0xFFFF
            where = (j + r) * n + i
            m.count(k.wanted, (high | low) != 0)
            if loop == NOISY:
                bits = k.noise(where)
                d = (high + (bits >> 16) + ((low + (bits & 0xFFFF)) >> 16)) >> down
            else:
                d = (high + (k.add >> 16)) >> down
            m.count(k.made, d != 0)
            m.store(Wt, where, fitted(k, m.load(Wt, where, "int32") - d, loop))

    def rest(j: Any, i: Any) -> None:
        def term(b: Any) -> Any:
            return m.cast(m.element(p, b * before + j), wide.I) * m.load(g, b * n + i, wide.I)

        _move_counted(wide, Wt, None, j * n + i, _sum(m, wide.I, terms, term), loop)

    def band(j: Any, height: int) -> None:
        def one(i: Any, _: int) -> None:
            if m.width > 1:
                tile(j, height, i)
            else:
                for r in range(height):
                    rest(j + r, i)

        m.panels(n, (1,), one, SHORTS)

    first, last = (m.cast(x, "int64") for x in rows)
    fours = (last - first) >> 2
    m.each(0, fours, lambda q: band(first + q * 4, 4))
    m.each(first + fours * 4, last, lambda j: band(j, 1))


@traced
def descend_sums(m: Any, v: Any, work: Any, Wt: Any, H: Any, E: Any, g: Any, first: Any, last: Any, t: Any) -> None:
    """Subtract the landed ``Σ_b E[b, j, i] g[b, i]`` from the rows j of Wt, from first to last."""
    I = str(work.dtype)
    rows, n, terms = Wt.shape[0], Wt.shape[1], E.shape[0]
    k = Update(m, v, t, I)

    def nest(loop: str) -> None:
        def row(j: Any) -> None:
            def one(i: Any) -> None:
                def term(b: Any) -> Any:
                    return m.load(E, (b * rows + j) * n + i, I) * m.load(g, b * n + i, I)

                _move_counted(k, Wt, H, j * n + i, _sum(m, I, terms, term), loop)

            m.columns(n, one)

        m.each(first, last, row)

    _choose(k, H, nest)
    k.done()


@traced
def descend_gradient(m: Any, v: Any, W: Any, H: Any, G: Any, rate: Any, t: Any) -> None:
    """Subtract the landed ``rate G`` from the weights, and clear G."""
    I = str(G.dtype)
    n = W.shape[1]
    k = Update(m, v, t, I)
    factor = m.cast(rate, I)

    def nest(loop: str) -> None:
        def row(j: Any) -> None:
            def one(i: Any) -> None:
                _move_counted(k, W, H, j * n + i, factor * m.load(G, j * n + i), loop)
                m.store(G, j * n + i, m.zeros(I))

            m.columns(n, one)

        m.each(0, W.shape[0], row)

    m.either(m.cast(H.shape[1], "int64") > 0, lambda: nest(HIDDEN), lambda: nest(ANY))
    k.done()


@traced
def update_row(m: Any, v: Any, W: Any, H: Any, row: Any, t: Any, base: Any) -> None:
    """Subtract the rounded updates in ``row`` from the weights W, or from the hidden weights H where there are any."""
    I = str(row.dtype)
    k = Update(m, v, t, I)
    n = row.shape[0]

    def nest(loop: str) -> None:
        m.columns(n, lambda i: _move_counted(k, W, H, i, m.load(row, i), loop, i + base))

    _choose(k, H, nest)
    k.done()


@traced
def update_elements(m: Any, v: Any, W: Any, H: Any, row: Any, t: Any, base: Any, elements: Any) -> None:
    """Do the same for weights that are the elements ``base + elements`` of an array."""
    k = Update(m, v, t, str(row.dtype))
    n = row.shape[0]

    def nest(loop: str) -> None:
        def one(i: Any) -> None:
            _move_counted(k, W, H, i, m.load(row, i), loop, (base, m.load(elements, i, "uint32")))

        m.columns(n, one)

    _choose(k, H, nest)
    k.done()
