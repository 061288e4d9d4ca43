"""How exact integers come to rest: rounding, overflow, and what is counted.

docs/numerics.md is the contract. Formats, shifts, modes and random streams are numbers in the grid row ``v``. The
working type is that of the exact integers, int32 or int64. What is written here is traced
(:mod:`neurolrnn_kernels.vectors`): ``m`` writes it into a kernel, or does it with NumPy's arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.noise import mix, seed, shift_register, stream
from neurolrnn_kernels.traced import traced

FLOOR, NEAREST, NEAREST_EVEN, TOWARD_ZERO, STOCHASTIC, LSB_STOCHASTIC = range(6)
SATURATE, WRAP = 0, 1

SIMPLE, NOISY, ANY = "simple", "noisy", "any"
"""Loops: floor or nearest with saturation; stochastic from counters with saturation; every mode there is."""


class Rest:
    """How results come to rest in one variable at one step: row ``v`` of the grid in the working type I.

    Parameters
    ----------
    m : Writer or Plain
    v : array
        Row of the grid.
    t : number
        The step.
    I : str
        Working type.
    """

    def __init__(self, m: Any, v: Any, t: Any, I: str) -> None:
        self.m, self.v, self.I = m, v, I

        def cast(x: Any) -> Any:
            return m.cast(x, I)

        def field(k: int) -> Any:
            return m.element(v, k)

        self.shift, self.mode = field(at.SHIFT), field(at.ROUNDING)
        drops = self.shift > 0
        down = m.maximum(self.shift, 0)
        one = m.cast(1, "int64")
        half = (one << down) >> 1
        even = (self.mode == NEAREST_EVEN) & drops
        self.is_random = (self.mode >= STOCHASTIC) & drops
        self.lsb = self.mode == LSB_STOCHASTIC
        # random bits: the top ``used`` of each word, then half a step of what they do not reach
        used = m.minimum(down, field(at.RANDOM_BITS))
        missing = down - used
        self.unused, self.missing = m.cast(32 - used, "uint32"), missing
        self.top = m.cast(32 - down, "uint32")
        self.keep = m.cast(0 - (one << missing), "uint32")
        ties = m.select((self.mode == NEAREST) | even, half, 0)
        self.add = cast(m.select(self.is_random, (one << missing) >> 1, ties) - m.cast(even, "int64"))
        self.odd = cast(m.cast(even, "int64"))  # a tie goes up only from an odd number
        self.below = cast(m.select(self.mode == TOWARD_ZERO, (one << down) - 1, 0))
        self.down, self.up = cast(down), cast(m.maximum(0 - self.shift, 0))
        self.stride = field(at.STRIDE)
        lo, hi = field(at.LO), field(at.HI)
        self.limits = (cast(lo), cast(hi), cast(hi - lo))
        self.wraps = field(at.OVERFLOW) == WRAP
        self.events = m.variable(m.cast(0, "int64"))
        self.register = m.variable(m.cast(field(at.LFSR), "uint32"))
        self.simple = drops & (self.mode < NEAREST_EVEN) & (field(at.OVERFLOW) == SATURATE)
        self.noisy = drops & (self.mode == STOCHASTIC) & (field(at.OVERFLOW) == SATURATE) & (self.stride >= 0)
        self.first = m.variable(m.cast(0, "uint32"))
        m.when(self.is_random, lambda: self.first.set(stream(m, field(at.KEY), t)))
        self.step = seed(m, m.cast(0, "uint32"), self.stride)

    def done(self) -> None:
        """Write what was counted into the grid, and the state of the shift register."""
        m, v = self.m, self.v
        m.put(v, at.EVENTS, m.element(v, at.EVENTS) + self.events.get())
        m.when(self.is_random & (self.stride < 0), lambda: m.put(v, at.LFSR, m.cast(self.register.get(), "int64")))

    def _step_register(self) -> Any:
        self.register.set(shift_register(self.m, self.register.get()))
        return self.register.get()

    def _random(self, words: Any) -> Any:
        return self.m.cast(words >> self.unused, self.I) << self.m.cast(self.missing, self.I)

    def counted(self, element: Any) -> Any:
        """Return the random bits of elements; the half step is in ``add``.

        ``element`` is the number of the first, or a pair of a number and what each adds to it.
        """
        return self._random(self._mixed(element))

    def _mixed(self, element: Any) -> Any:
        m = self.m
        base, others = element if isinstance(element, tuple) else (element, m.positions())
        return mix(others * self.step + (self.first.get() + m.cast(base, "uint32") * self.step))

    def noise(self, element: Any) -> Any:
        """Return random bits of elements with their half step."""
        if self.I != "int32":
            return self.counted(element) + self.add
        # the bits used are already where they belong once all that are not dropped are gone
        bits = ((self._mixed(element) >> self.top) & self.keep) | self.m.cast(self.add, "uint32")
        return self.m.cast(bits, "int32")

    def narrow(self) -> Any:
        """Return the same in 32 bits, for numbers that fit them and shifts of less than 31."""
        found = copy(self)
        found.I = "int32"
        found.add, found.down, found.up, found.odd, found.below = (
            self.m.cast(x, "int32") for x in (self.add, self.down, self.up, self.odd, self.below)
        )
        found.limits = tuple(self.m.cast(x, "int32") for x in self.limits)
        return found

    def drawn(self, element: Any) -> Any:
        """Return random bits from counters or from the shift register; 0 where rounding is not random."""
        m = self.m
        bits = m.variable(m.zeros(self.I))

        def draw() -> None:
            m.either(
                self.stride >= 0,
                lambda: bits.set(self.counted(element)),
                lambda: bits.set(self._random(m.filled(self._step_register))),
            )

        m.when(self.is_random, draw)
        return bits.get()


def rounded(k: Rest, u: Any, element: Any, loop: str = ANY) -> Any:
    """Drop the bits of ``u`` that its variable does not hold; ``element`` as in :meth:`Rest.counted`."""
    if loop == SIMPLE:
        return (u + k.add) >> k.down
    if loop == NOISY:
        return (u + k.noise(element)) >> k.down
    m = k.m
    below_zero = u < 0
    a = m.select(k.lsb & below_zero, 0 - u, u) << k.up
    d = (a + k.drawn(element) + k.add + ((a >> k.down) & k.odd) + m.select(below_zero, k.below, 0)) >> k.down
    one = m.minimum(d, 1)  # lsb-stochastic: the size of the change
    return m.select(k.lsb, m.select(below_zero, 0 - one, one), d)


def fitted(k: Rest, x: Any, loop: str = ANY, limits: Any = None) -> Any:
    """Bring ``x`` into the range of its variable, and count what lay outside."""
    m = k.m
    lo, hi, span = limits or k.limits
    c = m.minimum(m.maximum(x, lo), hi)
    if loop == ANY:
        c = m.select(k.wraps, ((x - lo) & span) + lo, c)
    m.count(k.events, c != x)
    return c


def settle(
    m: Any, v: Any, out: Any, t: Any, I: str, exact: Callable[[Any], Callable[[Any], Any]], rows: Any = None,
    added: Callable[[Any], Callable[[Any], Any]] | None = None,
) -> None:  # fmt: skip
    """Land rows of ``out``, all or from one to another: ``exact(j)(i)`` gives row j from column i on.

    Numbers of ``added`` are added before the rounding, or after it, floored, where the row's field ``apart`` asks so.
    """
    n = out.shape[-1]
    first, last = rows or (0, out.shape[0] if len(out.shape) > 1 else 1)
    k = Rest(m, v, t, I)
    whole = m.element(v, at.APART) == 0 if added else None

    def loop(which: str) -> None:
        def row(j: Any) -> None:
            numbers, others = exact(j), added(j) if added else None

            def one(i: Any) -> None:
                where = j * n + i
                u = numbers(i)
                if others is None:
                    c = rounded(k, u, where, which)
                elif which != ANY:
                    c = rounded(k, u + others(i), where, which)
                else:
                    x = others(i)
                    after = m.select(whole, 0, (x << k.up) >> k.down)
                    c = rounded(k, u + m.select(whole, x, 0), where, which) + after
                m.store(out, where, fitted(k, c, which))

            m.columns(n, one)

        m.each(first, last, row)

    def other() -> None:
        if rows:  # many numbers: noise has a loop of its own
            m.either(k.noisy, lambda: loop(NOISY), lambda: loop(ANY))
        else:
            loop(ANY)

    m.either(k.simple if whole is None else k.simple & whole, lambda: loop(SIMPLE), other)
    k.done()


@traced
def land_sums(m: Any, v: Any, out: Any, acc: Any, t: Any) -> None:
    """Bring accumulators to rest in ``out``."""
    n = out.shape[1]
    settle(m, v, out, t, str(acc.dtype), lambda j: lambda i: m.load(acc, j * n + i))


@traced
def land_blend(m: Any, v: Any, work: Any, out: Any, keep: Any, x: Any, gain: Any, y: Any, t: Any) -> None:
    """Land ``keep x + gain y`` in ``out``; where the row's field ``apart`` asks so, keep x by itself."""
    I, n = str(work.dtype), out.shape[1]
    a = m.cast(m.cast(keep, "int64") << m.element(v, at.LIFT_0), I)
    c = m.cast(m.cast(gain, "int64") << m.element(v, at.LIFT_1), I)
    settle(
        m, v, out, t, I, lambda j: lambda i: a * m.load(x, j * n + i, I),
        added=lambda j: lambda i: c * m.load(y, j * n + i, I),
    )  # fmt: skip


@traced
def land_scaled(m: Any, v: Any, work: Any, out: Any, rate: Any, x: Any, t: Any) -> None:
    """Land ``rate x`` in ``out``."""
    I, n = str(work.dtype), out.shape[1]
    a = m.cast(rate, I)
    settle(m, v, out, t, I, lambda j: lambda i: a * m.load(x, j * n + i, I))


@traced
def land_error(m: Any, v: Any, work: Any, e: Any, y: Any, target: Any, weight: Any, t: Any) -> None:
    """Land ``y - target`` in ``e``, 0 in lanes of weight 0."""
    I, n = str(work.dtype), e.shape[1]

    def lane(b: Any) -> Callable[[Any], Any]:
        on = m.element(weight, b) != 0
        return lambda i: m.select(on, m.load(y, b * n + i, I) - m.load(target, b * n + i, I), 0)

    settle(m, v, e, t, I, lane)


@traced
def land_diagonal(m: Any, v: Any, work: Any, out: Any, keep: Any, gain: Any, Wt: Any, t: Any) -> None:
    """Land ``keep + gain W_ii`` in ``out`` (n,)."""
    I, n = str(work.dtype), out.shape[0]
    # keep has the fraction bits of the decays, the product those of W besides
    a = m.cast(m.cast(keep, "int64") << m.element(v, at.LIFT_0), I)
    c = m.cast(gain, I)
    m.each(0, n, lambda i: m.put(work, i, a + c * m.cast(m.element(Wt, i * n + i), I)))
    settle(m, v, out, t, I, lambda j: lambda i: m.load(work, i))


@traced
def land_traces(m: Any, v: Any, work: Any, E: Any, d: Any, gain: Any, x: Any, first: Any, last: Any, t: Any) -> None:
    """Land ``d_i E_ij + gain x_j`` in rows of the traces, E (lanes, n_pre, n_post), counted over all lanes."""
    I, n = str(work.dtype), E.shape[2]
    lift = m.cast(m.element(v, at.LIFT_0), I)
    a = m.cast(m.cast(gain, "int64") << m.element(v, at.LIFT_1), I)

    def row(j: Any) -> Callable[[Any], Any]:
        c = a * m.cast(m.element(x, j), I)
        return lambda i: ((m.load(d, i, I) * m.load(E, j * n + i, I)) << lift) + c

    settle(m, v, E, t, I, row, (first, last))


@traced
def round_row(m: Any, v: Any, row: Any, t: Any, base: Any) -> None:
    """Drop ``v[SHIFT]`` bits of every number in ``row``, in place; ``base`` is the element number of the first."""
    k = Rest(m, v, t, str(row.dtype))
    m.columns(row.shape[0], lambda i: m.store(row, i, rounded(k, m.load(row, i), i + base)))
    k.done()


@traced
def land_row(m: Any, v: Any, out: Any, row: Any, t: Any, base: Any) -> None:
    """Bring a row to rest in ``out``; ``base`` is the element number of the first."""
    k = Rest(m, v, t, str(row.dtype))
    m.columns(row.shape[0], lambda i: m.store(out, i, fitted(k, rounded(k, m.load(row, i), i + base))))
    k.done()


@traced
def land_elements(m: Any, v: Any, out: Any, row: Any, t: Any, base: Any, elements: Any) -> None:
    """Bring a row to rest in ``out``; its numbers are those of the elements ``base + elements``."""
    k = Rest(m, v, t, str(row.dtype))

    def one(i: Any) -> None:
        m.store(out, i, fitted(k, rounded(k, m.load(row, i), (base, m.load(elements, i, "uint32")))))

    m.columns(row.shape[0], one)
    k.done()


@traced
def store_row(m: Any, v: Any, out: Any, row: Any, lo: Any, hi: Any) -> None:
    """Store rounded numbers in ``out``, within the range, and count those outside it."""
    I = str(row.dtype)
    k = Rest(m, v, 0, I)
    lo, hi = m.cast(lo, "int64"), m.cast(hi, "int64")
    limits = m.cast(lo, I), m.cast(hi, I), m.cast(hi - lo, I)
    m.columns(row.shape[0], lambda i: m.store(out, i, fitted(k, m.load(row, i), ANY, limits)))
    m.put(v, at.EVENTS, m.element(v, at.EVENTS) + k.events.get())
