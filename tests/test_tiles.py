"""The loop nest of register tiles against plain sums, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from neurolrnn_kernels import tiles


@njit
def rows(C, a, D, first, last, columns):
    tiles.add_rows(C, a, D, first, last, columns)


@njit
def outer(C, p, g):
    tiles.add_outer(C, p, g)


@njit
def minus(C, p, g):
    tiles.subtract_outer(C, p, g)


def one_by_one(C, a, D, first, last, columns, sign):
    """Every sum by itself, in index order, rounded at every step."""
    for r in range(C.shape[0]):
        for i in range(columns):
            s = C[r, i]
            for k in range(first, last):
                term = C.dtype.type(a[r, k] * D[k, i])
                s = C.dtype.type(s + term) if sign > 0 else C.dtype.type(s - term)
            C[r, i] = s


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_shape_gives_the_sums_in_order(dtype, data):
    height, across, terms = (data.draw(st.integers(*r)) for r in ((1, 10), (1, 150), (0, 12)))
    first = data.draw(st.integers(0, terms))
    columns = data.draw(st.integers(0, across))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    C, a, D = (rng.normal(size=s).astype(dtype) for s in ((height, across), (height, terms), (terms, across)))
    p = np.ascontiguousarray(a.T)
    for call, sign, last in ((rows, 1, terms), (outer, 1, terms), (minus, -1, terms)):
        mine, want = C.copy(), C.copy()
        if call is rows:
            call(mine, a, D, first, last, columns)
            one_by_one(want, a, D, first, last, columns, sign)
        else:
            call(mine, p, D)
            one_by_one(want, a, D, 0, terms, across, sign)
        np.testing.assert_array_equal(mine, want)


def test_views_of_rows_and_columns_are_understood():
    rng = np.random.default_rng(0)
    W, p, g = (rng.normal(size=s) for s in ((40, 70), (3, 40), (3, 70)))
    mine, want = W.copy(), W.copy()
    minus(mine[16:32], p[:, 16:32], g)
    one_by_one(want[16:32], np.ascontiguousarray(p[:, 16:32].T), g, 0, 3, 70, -1)
    np.testing.assert_array_equal(mine, want)


def test_nothing_beyond_the_columns_is_touched():
    C = np.full((5, 33), 7.0, np.float32)
    rows(C, np.ones((5, 4), np.float32), np.ones((4, 33), np.float32), 0, 4, 17)
    assert (C[:, :17] == 11.0).all() and (C[:, 17:] == 7.0).all()


@njit
def moving(C, h, D, p, g, first, last):
    tiles.move_and_add(C, h, D, p, g, first, last)


@njit
def tracing(C, h, D, E, d, x, g, first, last):
    tiles.trace_and_add(C, h, D, E, d, x, g, first, last)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_matrices_that_move_on_the_way(dtype, data):
    across, terms = data.draw(st.integers(1, 180)), data.draw(st.integers(1, 12))
    first = data.draw(st.integers(0, terms))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    C, h, D, p, g = (
        rng.normal(size=s).astype(dtype) for s in ((1, across), (1, terms), (terms, across), (1, terms), (1, across))
    )
    E, d = rng.normal(size=(terms, across)).astype(dtype), rng.normal(size=across).astype(dtype)

    def want(moved):
        sums = C.copy()
        one_by_one(sums, h, moved, first, terms, across, 1)
        return sums

    moved, mine, sums = D.copy(), D.copy(), C.copy()
    moved[first:] = D[first:] - p[0, first:, np.newaxis] * g
    moving(sums, h, mine, p, g, first, terms)
    np.testing.assert_array_equal(mine, moved)
    np.testing.assert_array_equal(sums, want(moved))

    traces, mine, mine_E, sums = E.copy(), D.copy(), E.copy(), C.copy()
    traces[first:] = d * E[first:] + p[0, first:, np.newaxis]
    moved = D.copy()
    moved[first:] = D[first:] - traces[first:] * g
    tracing(sums, h, mine, mine_E, d, p[0], g[0], first, terms)
    np.testing.assert_array_equal(mine_E, traces)
    np.testing.assert_array_equal(mine, moved)
    np.testing.assert_array_equal(sums, want(moved))
