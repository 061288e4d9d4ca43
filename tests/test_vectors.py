"""Traced functions: products, landings and updates, compiled and with NumPy, against sums and roundings one by one."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_oracle import LFSR, Format, key_of, overflow, random_below, random_word, shift_round
from llvmlite import ir
from numpy.typing import NDArray

from neurolrnn_kernels import grid as at
from neurolrnn_kernels.formats import OVERFLOWS, ROUNDINGS
from neurolrnn_kernels.landing import land_blend, land_traces
from neurolrnn_kernels.plain import Plain
from neurolrnn_kernels.products import add_dots, add_neighbours, add_products
from neurolrnn_kernels.updates import descend_outer, descend_sums
from neurolrnn_kernels.vectors import Writer

SEED, VARIABLE = 77, 11


products = numba.njit(lambda v, acc, W, x, first, last: add_products(v, 0, acc, W, x, first, last))
dots = numba.njit(lambda v, acc, A, x: add_dots(v, 0, acc, A, x))
neighbours = numba.njit(lambda v, acc, before, own, after, x: add_neighbours(v, acc, before, own, after, x))
outer = numba.njit(lambda v, work, W, H, p, g, first, last, t: descend_outer(v, work, W, H, p, g, first, last, t))
sums = numba.njit(lambda v, work, W, H, E, g, first, last, t: descend_sums(v, work, W, H, E, g, first, last, t))
blend = numba.njit(lambda v, work, out, keep, x, gain, y, t: land_blend(v, work, out, keep, x, gain, y, t))
traces = numba.njit(lambda v, work, E, d, gain, x, first, last, t: land_traces(v, work, E, d, gain, x, first, last, t))

WAYS = ("python", "compiled")
SIZES = st.one_of(st.integers(1, 40), st.integers(41, 300))


def codes(rng: np.random.Generator, bits: int, shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """Codes of a width: mostly small, some at the ends, some 0."""
    top = 1 << (bits - 1)
    small = max(1, top >> int(rng.integers(0, bits)))
    x = rng.integers(-small, small, shape)
    x = np.where(rng.random(shape) < 0.1, rng.choice([-top, top - 1, 0], shape), x)
    if rng.random() < 0.5:
        x = np.maximum(x, 1 - top)
    return np.asarray(x, dtype)


# --- sums of products


@st.composite
def sums_of_products(draw: Any) -> dict[str, Any]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind, width, bits = draw(st.sampled_from([("int8", "int16", 8), ("int16", "int16", 16), ("int32", "int32", 20)]))
    n, rows, lanes = draw(SIZES), draw(st.integers(1, 150)), draw(st.integers(1, 9))
    narrow = width == "int16" and draw(st.booleans())
    scale = 9 if narrow else 16
    W = codes(rng, min(bits, scale), (rows, n), np.dtype(kind).type)
    x = codes(rng, min(12 if narrow else 16, 16), (lanes, rows), np.dtype(width).type)
    if draw(st.booleans()) and not narrow:  # the one pair of products that does not fit 32 bits
        x[:] = -(1 << 15)
        W[:] = -(1 << (bits - 1)) if bits <= 16 else W
    v = at.real_grid()[0]
    v[at.LIFT_0] = draw(st.integers(0, 3))
    if not narrow and bits == 8:
        v[at.BLOCK_0] = draw(st.sampled_from((0, 4, 12, 64)))
    first = draw(st.integers(0, rows - 1))
    acc = rng.integers(-(2**20), 2**20, (lanes, n)).astype(np.int32 if narrow else np.int64)
    return {"v": v, "W": W, "x": x, "acc": acc, "first": first, "last": draw(st.integers(first, rows))}


@pytest.mark.parametrize("way", WAYS)
@given(case=sums_of_products())
def test_products_are_exact(way: str, case: dict[str, Any]) -> None:
    v, W, x, acc, first, last = (case[k] for k in ("v", "W", "x", "acc", "first", "last"))
    want = acc.astype(object) + (x[:, first:last].astype(object) @ W[first:last].astype(object)) * 2 ** int(
        v[at.LIFT_0]
    )
    found = acc.copy()
    (products if way == "compiled" else lambda *a: add_products(a[0], 0, *a[1:]))(v, found, W, x, first, last)
    assert found.tolist() == want.tolist()


@pytest.mark.parametrize("way", WAYS)
@given(case=sums_of_products())
def test_inner_products_are_exact(way: str, case: dict[str, Any]) -> None:
    v, x = case["v"], case["x"]
    A = np.ascontiguousarray(case["W"].T)
    acc = np.zeros((x.shape[0], A.shape[0]), case["acc"].dtype)
    want = (x.astype(object) @ A.T.astype(object)) * 2 ** int(v[at.LIFT_0])
    (dots if way == "compiled" else lambda *a: add_dots(a[0], 0, *a[1:]))(v, acc, A, x)
    assert acc.tolist() == want.tolist()


@pytest.mark.parametrize("way", WAYS)
@given(case=sums_of_products(), width=st.integers(4, 30), how=st.sampled_from(("saturate", "wrap")))
def test_declared_accumulators_overflow_term_by_term(way: str, case: dict[str, Any], width: int, how: str) -> None:
    v, W, x, first, last = (case[k] for k in ("v", "W", "x", "first", "last"))
    v[at.ACCUMULATOR] = at.ACC_SATURATE if how == "saturate" else at.ACC_WRAP
    v[at.ACC_LO], v[at.ACC_HI] = -(1 << (width - 1)), (1 << (width - 1)) - 1
    form, lift, events = Format(True, width - 1, 0), int(v[at.LIFT_0]), 0
    acc = np.zeros((x.shape[0], W.shape[1]), np.int64)
    want = acc.tolist()
    for b in range(x.shape[0]):
        for i in range(W.shape[1]):
            for j in range(first, last):
                want[b][i], event = overflow(want[b][i] + (int(W[j, i]) * int(x[b, j]) << lift), form, how)
                events += event
        if way == "python":
            break
    lanes = 1 if way == "python" else x.shape[0]
    found = acc[:lanes].copy()
    given_x = np.ascontiguousarray(x[:lanes])
    (products if way == "compiled" else lambda *a: add_products(a[0], 0, *a[1:]))(v, found, W, given_x, first, last)
    assert (found.tolist(), v[at.ACC_EVENTS]) == (want[:lanes], events)


@pytest.mark.parametrize("way", WAYS)
@given(
    n=SIZES, lanes=st.integers(1, 3), seed=st.integers(0, 2**32 - 1), block=st.booleans(),
    declared=st.sampled_from((None, "saturate", "wrap")),
)  # fmt: skip
def test_neighbours_are_a_tridiagonal_matrix(
    way: str, n: int, lanes: int, seed: int, block: bool, declared: str | None
) -> None:
    rng = np.random.default_rng(seed)
    before, own, after = (codes(rng, 10, (n,), np.int16) for _ in range(3))
    before[0] = after[-1] = 0
    x, acc = codes(rng, 12, (lanes, n), np.int16), rng.integers(-(2**12), 2**12, (lanes, n))
    v = at.real_grid()[0]
    v[at.LIFT_0], v[at.BLOCK_0] = 2, 8 if block else 0
    form = Format(True, 18, 0)
    if declared:
        v[at.ACCUMULATOR] = at.ACC_SATURATE if declared == "saturate" else at.ACC_WRAP
        v[at.ACC_LO], v[at.ACC_HI] = form.lo, form.hi
    want, events = acc.tolist(), 0
    for b in range(lanes):
        for i in range(n):
            for k, w in ((i - 1, before), (i, own), (i + 1, after)):
                if 0 <= k < n:
                    s = want[b][i] + (int(w[i]) * int(x[b, k]) << 2)
                    want[b][i], event = overflow(s, form, declared) if declared else (s, False)
                    events += event
    (neighbours if way == "compiled" else add_neighbours)(v, acc, before, own, after, x)
    assert (acc.tolist(), v[at.ACC_EVENTS]) == (want, events)


# --- landings and updates


class Judge:
    """Rounds and counts one number after the other, with the oracle's functions."""

    def __init__(self, v: Any, t: int, form: Format, seen: Format | None = None) -> None:
        self.v, self.t, self.form, self.seen = v, t, form, seen
        self.mode = list(ROUNDINGS)[int(v[at.ROUNDING])]
        self.how = list(OVERFLOWS)[int(v[at.OVERFLOW])]
        self.register = LFSR(int(v[at.KEY]))
        self.wanted = self.made = self.events = 0

    def round(self, u: int, element: int) -> int:
        s, r = int(self.v[at.SHIFT]), 0
        if s > 0 and "stochastic" in self.mode:
            stride = int(self.v[at.STRIDE])
            word = self.register.draw() if stride < 0 else random_word(SEED, self.t, VARIABLE, element * stride)
            r = random_below(word, s, int(self.v[at.RANDOM_BITS]))
        return shift_round(u, s, self.mode, r)

    def fit(self, x: int, form: Format | None = None) -> int:
        lo, hi = int(self.v[at.LO]), int(self.v[at.HI])
        if form is None and (lo, hi) != (self.form.lo, self.form.hi):  # a clamp
            code = min(max(x, lo), hi)
            self.events += code != x
            return code
        code, event = overflow(x, form or self.form, self.how)
        self.events += event
        return code

    def move(self, W: int, H: int | None, u: int, element: int) -> tuple[int, int | None]:
        d = self.round(u, element)
        self.wanted += u != 0
        self.made += d != 0
        if H is None:
            return self.fit(W - d), None
        fine = self.fit(H - d)
        assert self.seen is not None
        return self.fit(
            (fine + (1 << int(self.v[at.VISIBLE_SHIFT]) >> 1)) >> int(self.v[at.VISIBLE_SHIFT]), self.seen
        ), fine


@st.composite
def grid_rows(draw: Any, shifts: st.SearchStrategy[int]) -> Any:
    v = at.real_grid()[0]
    v[at.SHIFT] = draw(shifts)
    v[at.ROUNDING] = draw(st.sampled_from((0, 1, 1, 4, 4, 2, 3, 5)))  # loops of their own are drawn more often
    v[at.OVERFLOW] = draw(st.sampled_from((0, 0, 0, 1)))
    v[at.STRIDE] = draw(st.sampled_from((1, 1, 0, -1)))
    v[at.RANDOM_BITS] = draw(st.sampled_from((1, 8, 16, 32)))
    v[at.KEY] = v[at.LFSR] = key_of(SEED, VARIABLE)
    return v


@st.composite
def updates(draw: Any) -> dict[str, Any]:
    """Weights and factors whose products fit, and a row of the grid with any mode."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    v = draw(grid_rows(st.one_of(st.integers(17, 30), st.integers(-3, 34))))
    wide = bool(v[at.SHIFT] > 29) or draw(st.booleans())
    terms = draw(st.sampled_from((1, 1, 2, 3, 4, 7)))
    work = np.int64 if wide or terms > 1 else np.int32
    bits = draw(st.sampled_from((8, 16)))
    # what is proved before a run: sums and what rounding adds fit the type
    large = draw(st.sampled_from((16, 15, 14))) if work == np.int64 else 15 if v[at.SHIFT] > 0 else 10
    form = Format(True, 0, bits - 1)
    v[at.LO], v[at.HI], v[at.VISIBLE_LO], v[at.VISIBLE_HI] = form.lo, form.hi, form.lo, form.hi
    n, rows = draw(SIZES), draw(st.integers(1, 9))
    W = codes(rng, bits, (rows, n), np.int8 if bits == 8 and draw(st.booleans()) else np.int16)
    H, fine = np.zeros((1, 0), np.int16), None
    if draw(st.integers(0, 6)) == 0:
        fine = Format(True, 0, 15)
        v[at.LO], v[at.HI], v[at.VISIBLE_SHIFT] = fine.lo, fine.hi, 16 - bits
        H = codes(rng, 16, (rows, n), np.int16)
    elif draw(st.integers(0, 4)) == 0:
        v[at.OVERFLOW], v[at.LO], v[at.HI] = 0, -20, 20
    p, g = codes(rng, large, (terms, rows), np.int16), codes(rng, large, (terms, n), np.int16)
    return {
        "v": v,
        "work": np.zeros(max(n, 1), work),
        "W": W,
        "H": H,
        "p": p,
        "g": g,
        "form": fine or form,
        "seen": form,
    }


def check(case: dict[str, Any], call: Any, u: Any, third: Any, fourth: Any) -> None:
    """Run an update of rows 0 to the last, and compare every weight and count."""
    v, W, H, t = case["v"].copy(), case["W"].copy(), case["H"].copy(), 2**33 + 5
    judge = Judge(case["v"], t, case["form"], case["seen"])
    rows, n = W.shape
    want_W, want_H = W.tolist(), H.tolist()
    for j in range(rows):
        for i in range(n):
            hidden = want_H[j][i] if H.size else None
            want_W[j][i], fine = judge.move(want_W[j][i], hidden, u(j, i), j * n + i)
            if fine is not None:
                want_H[j][i] = fine
    call(v, case["work"].copy(), W, H, third, fourth, 0, rows, t)
    assert W.tolist() == want_W
    assert H.tolist() == want_H
    assert (v[at.UPDATES], v[at.DEAD]) == (judge.wanted, judge.wanted - judge.made)
    assert v[at.EVENTS] == judge.events
    if v[at.STRIDE] < 0 and "stochastic" in judge.mode and v[at.SHIFT] > 0:
        assert v[at.LFSR] == judge.register.state


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=500, deadline=None)
@given(case=updates())
def test_updates_by_outer_products(way: str, case: dict[str, Any]) -> None:
    p, g = case["p"].astype(object), case["g"].astype(object)
    u = (p.T @ g).tolist()
    check(case, outer if way == "compiled" else descend_outer, lambda j, i: u[j][i], case["p"], case["g"])


@pytest.mark.parametrize("terms", [1, 4])
@pytest.mark.parametrize("lowest", [-(1 << 15), 1 - (1 << 15)])
@pytest.mark.parametrize("rounding", ["floor", "nearest", "stochastic"])
@pytest.mark.parametrize("shift", [16, 17, 30, 31, 32, 33])
def test_the_largest_sums_of_products(shift: int, rounding: str, lowest: int, terms: int) -> None:
    """Four products of 2^30 need 33 bits, a pair of them 32."""
    v, form, n = at.real_grid()[0], Format(True, 0, 15), 37
    v[at.SHIFT], v[at.ROUNDING], v[at.STRIDE], v[at.RANDOM_BITS] = shift, ROUNDINGS[rounding], 1, 16
    v[at.KEY] = key_of(SEED, VARIABLE)
    v[at.LO], v[at.HI], v[at.VISIBLE_LO], v[at.VISIBLE_HI] = form.lo, form.hi, form.lo, form.hi
    p, g = np.full((terms, 5), lowest, np.int16), np.full((terms, n), lowest, np.int16)
    g[:, ::3], g[:, 1::3] = 1 << 14, np.arange(terms)[:, None]
    W, H = np.zeros((5, n), np.int16), np.zeros((1, 0), np.int16)
    case = {"v": v, "work": np.zeros(n, np.int64), "W": W, "H": H, "form": form, "seen": form}
    u = (p.T.astype(object) @ g.astype(object)).tolist()
    check(case, outer, lambda j, i: u[j][i], p, g)


@pytest.mark.parametrize("way", WAYS)
@given(case=updates(), seed=st.integers(0, 2**32 - 1))
def test_updates_by_traces(way: str, case: dict[str, Any], seed: int) -> None:
    (rows, n), terms = case["W"].shape, len(case["g"])
    E = codes(np.random.default_rng(seed), 10, (terms, rows, n), np.int16)
    u = (E.astype(object) * case["g"].astype(object)[:, None, :]).sum(0).tolist()
    check(case, sums if way == "compiled" else descend_sums, lambda j, i: u[j][i], E, case["g"])


@pytest.mark.parametrize("way", WAYS)
@given(
    v=grid_rows(st.integers(-3, 22)), n=SIZES, lanes=st.integers(1, 3), seed=st.integers(0, 2**32 - 1),
    work=st.sampled_from((np.int32, np.int64)),
)  # fmt: skip
def test_landings(way: str, v: Any, n: int, lanes: int, seed: int, work: type) -> None:
    rng, form, t = np.random.default_rng(seed), Format(True, 3, 8), 12
    v[at.LO], v[at.HI], v[at.LIFT_0], v[at.LIFT_1] = form.lo, form.hi, 2, 1
    x, y = codes(rng, 12, (lanes, n), np.int16), codes(rng, 12, (lanes, n), np.int16)
    judge, want = Judge(v.copy(), t, form), np.zeros((lanes, n), object)
    for b in range(lanes):
        for i in range(n):
            want[b, i] = judge.fit(judge.round(13 * int(x[b, i]) * 4 + 21 * int(y[b, i]) * 2, b * n + i))
    first = v.copy()
    (blend if way == "compiled" else land_blend)(first, np.zeros(n, work), x, 13, x, 21, y, t)  # in place
    assert (x.tolist(), first[at.EVENTS]) == (want.tolist(), judge.events)

    E, d = codes(rng, 12, (lanes, 2, n), np.int16), codes(rng, 10, (n,), np.int16)
    s = codes(rng, 12, (lanes, 2), np.int16)
    judge, told = Judge(v.copy(), t, form), E.tolist()
    for b in range(lanes):
        for j in range(2):
            for i in range(n):
                u = (int(d[i]) * told[b][j][i] << 2) + (21 << 1) * int(s[b, j])
                told[b][j][i] = judge.fit(judge.round(u, (b * 2 + j) * n + i))
    second = v.copy()
    (traces if way == "compiled" else land_traces)(second, np.zeros(n, work), E, d, 21, s, 0, 2 * lanes, t)
    assert (E.tolist(), second[at.EVENTS]) == (told, judge.events)


def test_a_row_that_moves_nothing_is_left_alone_and_counted() -> None:
    """Largest product 99 · 2 < 2^8: all dead. The second row's factor is 0, so it asks for nothing."""
    for rounding in ("nearest", "floor"):
        v = at.real_grid()[0]
        v[at.SHIFT], v[at.ROUNDING], v[at.LO], v[at.HI] = 9, ROUNDINGS[rounding], -128, 127
        v[at.VISIBLE_LO], v[at.VISIBLE_HI] = -128, 127
        W: NDArray[Any] = np.full((2, 3), 5, np.int8)
        p, g = np.array([[2, 0]], np.int16), np.array([[99, 0, -99]], np.int16)
        outer(v, np.zeros(3, np.int32), W, np.zeros((1, 0), np.int16), p, g, 0, 2, 0)
        moved = rounding == "floor"  # ⌊-198 / 512⌋ = -1
        assert W.tolist() == [[5, 5, 5 + moved], [5, 5, 5]]
        assert (v[at.UPDATES], v[at.DEAD]) == (2, 2 - moved)


def test_a_clamp_brings_in_even_what_no_update_moves() -> None:
    v = at.real_grid()[0]
    v[at.SHIFT], v[at.ROUNDING], v[at.LO], v[at.HI], v[at.VISIBLE_LO], v[at.VISIBLE_HI] = 9, 1, -3, 3, -128, 127
    W: NDArray[Any] = np.array([[5, 1, -9]], np.int16)
    outer(v, np.zeros(3, np.int32), W, np.zeros((1, 0), np.int16), np.zeros((1, 1), np.int16),
          np.ones((1, 3), np.int16), 0, 1, 0)  # fmt: skip
    assert W.tolist() == [[3, 1, -3]]
    assert v[at.EVENTS] == 2


# --- the way of writing


def test_types_do_not_mix_in_silence() -> None:
    block = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "f").append_basic_block()
    m = Writer(ir.IRBuilder(block))
    with pytest.raises(TypeError, match="int32 meets int64"):
        m.constant(1, "int32") + m.constant(1, "int64")


def test_arrays_with_gaps_are_refused() -> None:
    acc, W, x = np.zeros((1, 4), np.int64), np.ones((3, 8), np.int16)[:, ::2], np.ones((1, 3), np.int16)
    with pytest.raises(numba.TypingError):
        products(at.real_grid()[0], acc, W, x, 0, 3)


def test_plain_numbers_wrap_as_machine_numbers_do() -> None:
    m = Plain()
    assert m.cast(-1, "uint32").tolist() == [2**32 - 1]
    assert (m.cast(2**31 - 1, "int32") + m.cast(1, "int32")).tolist() == [-(2**31)]
