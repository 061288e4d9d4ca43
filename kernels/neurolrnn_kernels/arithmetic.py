"""The primitives the learning rules are written in, chosen by the number system of the arrays.

A rule is written once. Whether it runs in real or in fixed-point arithmetic is decided by the dtype of the arrays it
is given, when it is compiled: floating arrays take :mod:`neurolrnn_kernels.real`, integer arrays
:mod:`neurolrnn_kernels.fixed`. What is held sparse (:mod:`neurolrnn_kernels.sparse`: weights, accumulated updates,
traces) takes :mod:`neurolrnn_kernels.real_sparse` or :mod:`neurolrnn_kernels.fixed_sparse`. With
``NUMBA_DISABLE_JIT=1`` the same choice is made at every call, in plain Python.

Arguments by name: ``v`` is the row of the grid (:mod:`neurolrnn_kernels.grid`) of the variable a result lands in,
``t`` the number of the step (for random bits), ``acc`` an accumulator (lanes, n), ``Wt`` weights input-major
(n_pre, n_post), ``p`` what the pre-synaptic side holds (lanes, n_pre), ``g`` what the post-synaptic side receives
(lanes, n_post), ``work`` a row of the accumulator's type to calculate in, ``H`` hidden weights of a finer format
behind the weights (no columns where there are none).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from numba.extending import overload

from neurolrnn_kernels import fixed, fixed_sparse, real, real_sparse
from neurolrnn_kernels.jit import is_integer
from neurolrnn_kernels.sparse import Columns, sparse_form


def primitive(which: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a described function choose its number system by the dtype of its argument ``which``."""

    def decorate(described: Callable[..., Any]) -> Callable[..., Any]:
        name, signature = described.__name__, inspect.signature(described)

        def implementation(integer: bool, args: Any, kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs).arguments[which]
            form = sparse_form(given)
            if (is_integer(given) if form is None else form is Columns) != integer:
                return None
            systems = (real, fixed) if form is None else (real_sparse, fixed_sparse)
            return getattr(systems[integer], name)

        @wraps(described)
        def interpreted(*args: Any, **kwargs: Any) -> Any:
            found = implementation(False, args, kwargs) or implementation(True, args, kwargs)
            return found(*args, **kwargs)

        def compiled(integer: bool) -> Callable[..., Any]:
            @wraps(described)
            def choose(*args: Any, **kwargs: Any) -> Any:
                return implementation(integer, args, kwargs)

            return choose

        # Real primitives are a few instructions for a small network, less than a call of them.
        overload(interpreted, jit_options={"forceinline": True})(compiled(False))
        overload(interpreted)(compiled(True))
        return interpreted

    return decorate


@primitive("acc")
def clear(acc: Any) -> None:
    """Set an accumulator to 0."""


@primitive("acc")
def matvec(v: Any, work: Any, term: int, acc: Any, Wt: Any, x: Any) -> None:
    """Add ``Wtᵀ x`` to ``acc``, in index order of x. ``term`` names the alignment of this sum in the grid row."""


@primitive("acc")
def matvec_ahead(acc: Any, Wt: Any, x: Any) -> None:
    """Set ``acc`` to ``Wtᵀ x``. Real arithmetic only: in fixed point nothing is calculated ahead."""


@primitive("acc")
def add_block(acc: Any, ahead: Any, first: int) -> None:
    """Add rows of ``ahead``, from ``first``, to those of ``acc``. Real arithmetic only."""


@primitive("A")
def inner(v: Any, term: int, acc: Any, A: Any, h: Any) -> None:
    """Add ``A h`` to ``acc``, A (n_out, n) row-major; for sparse A the transpose of the weights it holds."""


@primitive("out")
def land(v: Any, work: Any, out: Any, acc: Any, t: int) -> None:
    """Bring an accumulator to rest in ``out``, rounded once."""


@primitive("out")
def blend(v: Any, work: Any, out: Any, keep: Any, x: Any, gain: Any, y: Any, t: int) -> None:
    """Land ``keep x + gain y`` in ``out``, which may be x."""


@primitive("out")
def scale(v: Any, work: Any, out: Any, rate: Any, x: Any, t: int) -> None:
    """Land ``rate x`` in ``out``."""


@primitive("Wt")
def descend(v: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, t: int) -> None:
    """Subtract the landed ``Σ_lanes p gᵀ`` from the weights; ``g`` already holds the learning rate."""


@primitive("Wt")
def descend_matvec(v: Any, vd: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, acc: Any, h: Any, t: int) -> None:
    """:func:`descend`, then add ``Wtᵀ h`` to ``acc`` (grid row ``vd``): one pass over the weights."""


@primitive("G")
def accumulate(v: Any, G: Any, p: Any, g: Any) -> None:
    """Add ``Σ_lanes p gᵀ`` to a gradient accumulator."""


@primitive("W")
def apply(v: Any, work: Any, W: Any, H: Any, G: Any, V: Any, momentum: Any, rate: Any, t: int) -> None:
    """Take one step down an accumulated gradient, with momentum, and clear it."""


@primitive("W")
def clip(v: Any, W: Any, bound: Any) -> None:
    """Hold weights within ``±bound``."""


@primitive("E")
def decay_traces(v: Any, work: Any, E: Any, d: Any, gain: Any, x: Any, t: int) -> None:
    """Land ``d_i E_ij + gain x_j`` in the traces per synapse, E (lanes, n_pre, n_post)."""


@primitive("Wt")
def descend_traces(v: Any, work: Any, Wt: Any, H: Any, E: Any, g: Any, t: int) -> None:
    """Subtract the landed ``Σ_lanes g_i E_ij`` from the weights."""


@primitive("E")
def traces_matvec(
    v: Any, ve: Any, vd: Any, work: Any, Wt: Any, H: Any, E: Any, d: Any, gain: Any, x: Any, g: Any, acc: Any, h: Any,
    t: int,
) -> None:  # fmt: skip
    """:func:`decay_traces` (grid row ``ve``), :func:`descend_traces`, then add ``Wtᵀ h`` to ``acc`` (grid row ``vd``).

    Of one lane: one pass over traces and weights.
    """


@primitive("G")
def accumulate_traces(v: Any, G: Any, E: Any, g: Any) -> None:
    """Add ``Σ_lanes g_i E_ij`` to a gradient accumulator."""


@primitive("Wt")
def diagonal_blend(v: Any, work: Any, out: Any, keep: Any, gain: Any, Wt: Any, t: int) -> None:
    """Land ``keep + gain W_ii`` in ``out`` (n,)."""


@primitive("e")
def error(v: Any, work: Any, e: Any, y: Any, target: Any, weight: Any, loss: int, t: int) -> float:  # type: ignore[empty-body]
    """Land the weighted output error in ``e`` and return the loss of the step over all lanes (float64)."""


@primitive("y")
def within(y: Any, limit: float) -> bool:  # type: ignore[empty-body]
    """Tell whether every output is a number of at most ``limit`` in absolute value."""
