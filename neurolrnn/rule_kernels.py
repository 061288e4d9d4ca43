"""Which kernel runs a rule, and the memory it carries from step to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from neurolrnn.errors import InputError
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.sparse_layout import SparseLayout
from neurolrnn_kernels.bptt import History, bptt
from neurolrnn_kernels.eprop import Eligibility, eprop
from neurolrnn_kernels.rflo import Traces, rflo_dense, rflo_factored
from neurolrnn_kernels.rtrl import Influence, rtrl
from neurolrnn_kernels.tbptt import Ring, tbptt

Zeros = Callable[[str, tuple[int, ...]], Any]


class Sizes(NamedTuple):
    """What the memory of a rule depends on."""

    n_in: int
    n_rec: int
    n_out: int
    lanes: int
    longest: int
    """Steps of the longest episode."""
    sparse: SparseLayout | None = None
    """Which recurrent synapses exist; None for all."""
    parts: bool = False
    """Whether signed activity is filtered in two traces without a sign."""


BLOCK = 32
"""Steps whose outer products BPTT sums in one pass over the gradient."""
Kernel = tuple[Callable[..., int], Any]


def _rflo(rule: RFLO, z: Zeros, s: Sizes) -> Kernel:
    kernel = rflo_factored if rule.storage == "factored" else rflo_dense
    rows = 2 * s.lanes if s.parts else 0
    return kernel, Traces(
        z("trace", (s.lanes, s.n_rec)), z("trace", (s.lanes, s.n_in)), z("trace", (rows, s.n_rec)),
        z("trace", (rows, s.n_in)), z("state", (rows, s.n_rec)), z("state", (rows, s.n_in)),
    )  # fmt: skip


def _tbptt(rule: TruncatedBPTT, z: Zeros, s: Sizes) -> Kernel:
    slots = rule.steps * s.lanes
    return tbptt, Ring(
        z("trace", (slots, s.n_rec)), z("trace", (slots, s.n_in)), z("signal", (s.lanes, s.n_rec)),
        z("signal", (slots, s.n_rec)), z("step", (slots, s.n_rec)), np.array([0, -1], np.int64),
    )  # fmt: skip


def _eprop(rule: EProp, z: Zeros, s: Sizes) -> Kernel:
    W: Any
    if s.sparse is None:
        W = z("eligibility", (s.lanes, s.n_rec, s.n_rec))
    else:
        W = s.sparse.hold(z("eligibility", (s.lanes, s.sparse.synapses)))
    return eprop, Eligibility(
        W, z("eligibility", (s.lanes, s.n_in, s.n_rec)), z("trace_decay", (s.n_rec,)), z("state", (s.lanes, s.n_rec))
    )


def _rtrl(rule: RTRL, z: Zeros, s: Sizes) -> Kernel:
    shape = (s.lanes * (s.n_rec + s.n_in) * s.n_rec, s.n_rec)
    return rtrl, Influence(z("state", shape), z("accumulator", shape))


def _bptt(rule: BPTT, z: Zeros, s: Sizes) -> Kernel:
    steps, block = s.longest * s.lanes, min(BLOCK, s.longest) * s.lanes
    return bptt, History(
        z("state", (steps, s.n_rec)), z("input", (steps, s.n_in)), z("error", (steps, s.n_out)),
        z("state", (s.lanes, s.n_rec)), z("state", (block, s.n_rec)), z("state", (s.n_rec, s.n_rec)),
        np.zeros(1, np.int64),
    )  # fmt: skip


KERNELS: dict[type[Rule], Callable[[Any, Zeros, Sizes], Kernel]] = {
    RFLO: _rflo, TruncatedBPTT: _tbptt, EProp: _eprop, RTRL: _rtrl, BPTT: _bptt,
}  # fmt: skip
"""For each rule, a function of the rule, of ``zeros(variable, shape)`` and of the sizes: kernel and memory."""


def kernel_of(rule: Rule, zeros: Zeros, sizes: Sizes) -> Kernel:
    """Return the kernel of a rule and its memory, at rest.

    Raises
    ------
    InputError
        If the rule has no row in :data:`KERNELS`.
    """
    make = KERNELS.get(type(rule))
    if make is None:
        raise InputError(f"{type(rule).__name__} has no kernel; give it a row in neurolrnn.rule_kernels.KERNELS")
    return make(rule, zeros, sizes)
