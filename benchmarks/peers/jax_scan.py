"""JAX: ``jit`` around ``lax.scan``, weights donated and carried, losses stacked by the scan.

What is fastest on a CPU was looked for: the scan unrolled four times; weights input-major where they learn; products
with fixed input weights taken out of the loop, as one matrix product; block rows of the triangle in the Schur basis;
halves instead of interleaved pairs where W is block-diagonal.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.work import Program, Weights, Work

VERSION = f"jax {jax.__version__}"
UNROLL = 4
SCHUR_BLOCKS = 8
Step = Callable[[Any, Any], tuple[Any, Any]]
Read = Callable[[Any], list[Weights]]


def _f(array: Any) -> jax.Array:
    return jnp.array(array, jnp.float32)


def _constants(work: Work) -> tuple[float, float, float]:
    return 1.0 - work.leak, work.leak, work.rate


def _scan(
    work: Work, plastic: Any, activity: Any, step: Step, read: Read, *, fixed: Any = None, lanes: bool = False
) -> Program:
    """Make a program of ``step((plastic, activity), (x, drive, y)) -> (same, loss)``.

    ``drive`` is x times the ``fixed`` input weights; activity starts anew at each pass.
    """
    x, y = (_f(a) if lanes else _f(a[:, 0]) for a in (work.x, work.y))

    def go(plastic: Any, x: Any, y: Any) -> Any:
        data = (x, None if fixed is None else x @ fixed, y)
        (plastic, _), loss = jax.lax.scan(step, (plastic, activity), data, unroll=UNROLL)
        return plastic, loss

    compiled = jax.jit(go, donate_argnums=0)
    held = [jax.tree.map(jnp.copy, plastic)]  # donated arrays are gone

    def run() -> None:
        held[0], loss = compiled(held[0], x, y)
        jax.block_until_ready((held[0], loss))

    return Program(run, lambda: read(jax.tree.map(np.asarray, held[0])))


def _activity(work: Work, lanes: bool = False) -> Any:
    return tuple(jnp.zeros((work.lanes, size) if lanes else size) for size in (work.n, work.n, work.n_in))


# --- all weights learned in place


def _dense(work: Work) -> Any:
    return _f(work.net.A), _f(work.net.W.T), _f(work.net.B.T)


def _read_dense(held: Any) -> list[Weights]:
    A, Wt, Bt = held
    return [{"A": A, "W": Wt.T, "B": Bt.T}]


def _dense_step(keep: float, gain: float, rate: float, R: Any) -> Step:
    def step(carry: Any, data: Any) -> Any:
        (A, Wt, Bt), (h, p, q) = carry
        x, _, y = data
        p, q = keep * p + gain * h, keep * q + gain * x
        h = keep * h + gain * (h @ Wt + x @ Bt)
        e = A @ h - y
        s = rate * e
        L = s @ R
        return ((A - jnp.outer(s, h), Wt - jnp.outer(p, L), Bt - jnp.outer(q, L)), (h, p, q)), 0.5 * e @ e

    return step


def rflo_dense(work: Work) -> Program:
    step = _dense_step(*_constants(work), _f(work.feedback))
    return _scan(work, _dense(work), _activity(work), step, _read_dense)


def eprop(work: Work) -> Program:
    keep, gain, rate = _constants(work)

    def step(carry: Any, data: Any) -> Any:
        (A, Wt, Bt), (h, E, F) = carry
        x, _, y = data
        decay = keep + gain * jnp.diagonal(Wt)
        E, F = decay * E + (gain * h)[:, None], decay * F + (gain * x)[:, None]
        h = keep * h + gain * (h @ Wt + x @ Bt)
        e = A @ h - y
        s = rate * e
        L = s @ A
        return ((A - jnp.outer(s, h), Wt - L * E, Bt - L * F), (h, E, F)), 0.5 * e @ e

    activity = tuple(jnp.zeros(shape) for shape in (work.n, (work.n, work.n), (work.n_in, work.n)))
    return _scan(work, _dense(work), activity, step, _read_dense)


# --- factors around fixed weights


def _factors(work: Work, A: Any) -> Any:
    return _f(A), jnp.zeros((work.n_out, work.n)), jnp.zeros((work.n_out, work.n_in))


def _factored_step(keep: float, gain: float, rate: float, R: Any, recur: Callable[[Any], Any]) -> Step:
    """``recur(h)`` is W0 h in the basis of the learner."""

    def step(carry: Any, data: Any) -> Any:
        (A, M, N), (h, p, q) = carry
        x, drive, y = data
        p, q = keep * p + gain * h, keep * q + gain * x
        h = keep * h + gain * (recur(h) + drive + (M @ h + N @ x) @ R)
        e = A @ h - y
        s = rate * e
        return ((A - jnp.outer(s, h), M - jnp.outer(s, p), N - jnp.outer(s, q)), (h, p, q)), 0.5 * e @ e

    return step


def _joined(work: Work, held: Any, Q: Any = None) -> list[Weights]:
    A, M, N = held
    if Q is not None:
        A, M = A @ Q.T, M @ Q.T
    R, net = work.feedback, work.net
    return [{"A": A, "W": net.W + R.T @ M, "B": net.B + R.T @ N}]


def rflo_factored(work: Work) -> Program:
    net = work.net
    W, R = _f(net.W), _f(work.feedback)
    step = _factored_step(*_constants(work), R, lambda h: W @ h)
    return _scan(
        work, _factors(work, net.A), _activity(work), step, lambda held: _joined(work, held), fixed=_f(net.B.T)
    )


def rflo_schur(work: Work) -> Program:
    """T is block upper triangular: each block row is multiplied from its diagonal on."""
    net, (T, Q) = work.net, work.schur
    edges = np.linspace(0, work.n, min(SCHUR_BLOCKS, max(1, work.n // 64)) + 1).astype(int)
    # No edge may cut a 2 x 2 block of the diagonal.
    edges = [int(k) + int(0 < k < work.n and T[k, k - 1] != 0) for k in edges]
    rows = [(_f(T[a:b, a:]), a) for a, b in pairwise(edges)]
    step = _factored_step(
        *_constants(work), _f(work.feedback @ Q), lambda h: jnp.concatenate([row @ h[a:] for row, a in rows])
    )
    return _scan(
        work, _factors(work, net.A @ Q), _activity(work), step, lambda held: _joined(work, held, Q),
        fixed=_f(net.B.T @ Q),
    )  # fmt: skip


def rflo_blocks(work: Work) -> Program:
    """W normal, so T is 2 x 2 blocks: elementwise, with the first and the second units of the pairs in two halves."""
    net, half = work.net, work.n // 2
    units, blocks, Q = work.pairs
    order = units.T.ravel()
    back = np.argsort(order)
    a, b, c, d = (_f(blocks[:, i, j]) for i in (0, 1) for j in (0, 1))

    def into(rows: Any) -> Any:
        return (rows if Q is None else rows @ Q)[:, order]

    def recur(h: Any) -> Any:
        first, second = h[:half], h[half:]
        return jnp.concatenate([a * first + b * second, c * first + d * second])

    def read(held: Any) -> list[Weights]:
        A, M, N = held
        return _joined(work, (A[:, back], M[:, back], N), Q)

    step = _factored_step(*_constants(work), _f(into(work.feedback)), recur)
    return _scan(work, _factors(work, into(net.A)), _activity(work), step, read, fixed=_f(into(net.B.T)))


# --- several sequences side by side


def batch_dense(work: Work) -> Program:
    """Lanes of one learner, whose updates are summed."""
    keep, gain, rate = _constants(work)
    R = _f(work.feedback)

    def step(carry: Any, data: Any) -> Any:
        (A, Wt, Bt), (h, p, q) = carry
        x, _, y = data
        p, q = keep * p + gain * h, keep * q + gain * x
        h = keep * h + gain * (h @ Wt + x @ Bt)
        e = h @ A.T - y
        s = rate * e
        L = s @ R
        return ((A - s.T @ h, Wt - p.T @ L, Bt - q.T @ L), (h, p, q)), 0.5 * jnp.sum(e * e)

    return _scan(work, _dense(work), _activity(work, lanes=True), step, _read_dense, lanes=True)


def batch_factored(work: Work) -> Program:
    """Lanes of one learner in factored storage."""
    keep, gain, rate = _constants(work)
    net = work.net
    Wt, R = _f(net.W.T), _f(work.feedback)

    def step(carry: Any, data: Any) -> Any:
        (A, M, N), (h, p, q) = carry
        x, drive, y = data
        p, q = keep * p + gain * h, keep * q + gain * x
        h = keep * h + gain * (h @ Wt + drive + (h @ M.T + x @ N.T) @ R)
        e = h @ A.T - y
        s = (rate * e).T
        return ((A - s @ h, M - s @ p, N - s @ q), (h, p, q)), 0.5 * jnp.sum(e * e)

    return _scan(
        work, _factors(work, net.A), _activity(work, lanes=True), step, lambda held: _joined(work, held),
        fixed=_f(net.B.T), lanes=True,
    )  # fmt: skip


def _learners(work: Work, one: Step, plastic: Any, read: Read, fixed: Any = None) -> Program:
    """As many learners as lanes, by ``vmap`` of the step of one."""
    copies = tuple(jnp.repeat(a[None], work.lanes, axis=0) for a in plastic)

    def read_all(held: Any) -> list[Weights]:
        return [weights for k in range(work.lanes) for weights in read(tuple(a[k] for a in held))]

    step = jax.vmap(one)
    return _scan(work, copies, _activity(work, lanes=True), step, read_all, fixed=fixed, lanes=True)


def learners_dense(work: Work) -> Program:
    """Each learner with a W of its own."""
    step = _dense_step(*_constants(work), _f(work.feedback))
    return _learners(work, step, _dense(work), _read_dense)


def learners_factored(work: Work) -> Program:
    """All learners around one W0: the map turns its product into a matrix product."""
    net = work.net
    W, R = _f(net.W), _f(work.feedback)
    step = _factored_step(*_constants(work), R, lambda h: W @ h)
    return _learners(work, step, _factors(work, net.A), lambda held: _joined(work, held), fixed=_f(net.B.T))


# --- through time


def bptt(work: Work) -> Program:
    """The gradient of a scan, and a step down it."""
    keep, gain, rate = _constants(work)
    T, lanes = work.episode, work.lanes
    x, y = (_f(a).reshape(work.steps // T, T, lanes, -1) for a in (work.x, work.y))

    def loss(weights: Any, x: Any, y: Any) -> Any:
        A, Wt, Bt = weights

        def step(h: Any, drive: Any) -> Any:
            h = keep * h + gain * (h @ Wt) + drive
            return h, h

        _, states = jax.lax.scan(step, jnp.zeros((lanes, work.n)), gain * (x @ Bt), unroll=UNROLL)
        e = states @ A.T - y
        return 0.5 * jnp.sum(e * e)

    def episode(weights: Any, data: Any) -> Any:
        value, slopes = jax.value_and_grad(loss)(weights, *data)
        return jax.tree.map(lambda w, g: w - rate * g, weights, slopes), value

    compiled = jax.jit(lambda weights, x, y: jax.lax.scan(episode, weights, (x, y)), donate_argnums=0)
    held = [_dense(work)]

    def run() -> None:
        held[0], value = compiled(held[0], x, y)
        jax.block_until_ready((held[0], value))

    return Program(run, lambda: _read_dense(jax.tree.map(np.asarray, held[0])))


PROGRAMS = {
    "rflo dense": rflo_dense,
    "rflo factored": rflo_factored,
    "rflo factored, Schur basis": rflo_schur,
    "rflo factored, Schur basis, blocks": rflo_blocks,
    "e-prop": eprop,
    "batch dense": batch_dense,
    "batch factored": batch_factored,
    "learners dense, vmap": learners_dense,
    "learners factored, vmap": learners_factored,
    "bptt": bptt,
}
