"""braintrace: D-RTRL of a leaky cell, updated at every step, compiled over the whole sequence.

D-RTRL keeps the diagonal of ∂h_t/∂h_{t-1} without its path through W, which for this network is 1 - α: RFLO with
symmetric feedback and a trace per synapse. The read-out stands outside the learner: inside, a weight that no hidden
state depends on has gradient 0 with the default, single-step method.
"""

from __future__ import annotations

import brainstate
import braintrace
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.work import Program, Work

VERSION = f"braintrace {braintrace.__version__}"


class _Cell(brainstate.nn.Module):
    def __init__(self, work: Work) -> None:
        super().__init__()
        self.leak, self.n = work.leak, work.n
        self.weight = brainstate.ParamState(jnp.array(np.hstack([work.net.W, work.net.B]).T, jnp.float32))
        self.h = brainstate.HiddenState(jnp.zeros(work.n))

    def init_state(self, *_: object, **__: object) -> None:
        self.h.value = jnp.zeros(self.n)

    def update(self, x: jax.Array) -> jax.Array:
        current = braintrace.matmul(jnp.concatenate([self.h.value, x]), self.weight.value)
        self.h.value = (1.0 - self.leak) * self.h.value + self.leak * current
        return self.h.value


def d_rtrl(work: Work) -> Program:
    cell = _Cell(work)
    A = brainstate.ParamState(jnp.array(work.net.A, jnp.float32))
    learner = braintrace.compile(cell, braintrace.D_RTRL, jnp.zeros(work.n_in))
    weights = {"W": cell.weight, "A": A}
    x, y = jnp.array(work.x[:, 0], jnp.float32), jnp.array(work.y[:, 0], jnp.float32)

    def step(x: jax.Array, y: jax.Array) -> jax.Array:
        def loss() -> jax.Array:
            e = A.value @ learner(x) - y
            return 0.5 * jnp.sum(e * e)

        slopes, value = brainstate.transform.grad(loss, weights, return_value=True)()
        for key, slope in slopes.items():
            weights[key].value = weights[key].value - work.rate * slope
        return value

    @brainstate.transform.jit
    def go(x: jax.Array, y: jax.Array) -> jax.Array:
        cell.init_state()
        learner.reset_state()
        return brainstate.transform.for_loop(step, x, y)

    def read() -> list[dict[str, np.ndarray]]:
        both = np.asarray(cell.weight.value)
        return [{"A": np.asarray(A.value), "W": both[: work.n].T, "B": both[work.n :].T}]

    return Program(lambda: jax.block_until_ready(go(x, y)), read)


PROGRAMS = {"D-RTRL": d_rtrl}
