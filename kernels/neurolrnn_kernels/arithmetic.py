"""The primitives the learning rules are written in, chosen by the number system of the arrays.

A rule is written once. Whether it runs in real or in fixed-point arithmetic is decided by the dtype of the arrays it
is given, when it is compiled: floating arrays take :mod:`neurolrnn_kernels.real`, integer arrays
:mod:`neurolrnn_kernels.fixed`. With ``NUMBA_DISABLE_JIT=1`` the same choice is made at every call, in plain Python.

Arguments by name: ``v`` is the row of the grid (:mod:`neurolrnn_kernels.grid`) of the variable a result lands in,
``t`` the number of the step (for random bits), ``acc`` an accumulator (lanes, n), ``Wt`` weights input-major
(n_pre, n_post), ``p`` what the pre-synaptic side holds (lanes, n_pre), ``g`` what the post-synaptic side receives
(lanes, n_post), ``work`` a row of the accumulator's type to calculate in, ``H`` hidden weights of a finer format
behind the weights (no columns where there are none).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.extending import overload

from neurolrnn_kernels import fixed, real
from neurolrnn_kernels.jit import is_integer


def clear(acc: Any) -> None:
    """Set an accumulator to 0."""
    _pick("clear", acc)(acc)


@overload(clear)
def _clear(acc: Any) -> Callable[..., Any]:
    return _pick("clear", acc)


def matvec(v: Any, work: Any, term: int, acc: Any, Wt: Any, x: Any) -> None:
    """Add ``Wtᵀ x`` to ``acc``, in index order of x. ``term`` names the alignment of this sum in the grid row."""
    _pick("matvec", acc)(v, work, term, acc, Wt, x)


@overload(matvec)
def _matvec(v: Any, work: Any, term: int, acc: Any, Wt: Any, x: Any) -> Callable[..., Any]:
    return _pick("matvec", acc)


def inner(v: Any, term: int, acc: Any, A: Any, h: Any) -> None:
    """Add ``A h`` to ``acc``, A (n_out, n) row-major."""
    _pick("inner", acc)(v, term, acc, A, h)


@overload(inner)
def _inner(v: Any, term: int, acc: Any, A: Any, h: Any) -> Callable[..., Any]:
    return _pick("inner", acc)


def land(v: Any, work: Any, out: Any, acc: Any, t: int) -> None:
    """Bring an accumulator to rest in ``out``, rounded once."""
    _pick("land", out)(v, work, out, acc, t)


@overload(land)
def _land(v: Any, work: Any, out: Any, acc: Any, t: int) -> Callable[..., Any]:
    return _pick("land", out)


def blend(v: Any, work: Any, out: Any, keep: Any, x: Any, gain: Any, y: Any, t: int) -> None:
    """Land ``keep x + gain y`` in ``out``, which may be x."""
    _pick("blend", out)(v, work, out, keep, x, gain, y, t)


@overload(blend)
def _blend(v: Any, work: Any, out: Any, keep: Any, x: Any, gain: Any, y: Any, t: int) -> Callable[..., Any]:
    return _pick("blend", out)


def scale(v: Any, work: Any, out: Any, rate: Any, x: Any, t: int) -> None:
    """Land ``rate x`` in ``out``."""
    _pick("scale", out)(v, work, out, rate, x, t)


@overload(scale)
def _scale(v: Any, work: Any, out: Any, rate: Any, x: Any, t: int) -> Callable[..., Any]:
    return _pick("scale", out)


def descend(v: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, t: int) -> None:
    """Subtract the landed ``Σ_lanes p gᵀ`` from the weights; ``g`` already holds the learning rate."""
    _pick("descend", Wt)(v, work, Wt, H, p, g, t)


@overload(descend)
def _descend(v: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, t: int) -> Callable[..., Any]:
    return _pick("descend", Wt)


def descend_matvec(v: Any, vd: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, acc: Any, h: Any, t: int) -> None:
    """:func:`descend`, then add ``Wtᵀ h`` to ``acc`` (grid row ``vd``): one pass over the weights."""
    _pick("descend_matvec", Wt)(v, vd, work, Wt, H, p, g, acc, h, t)


@overload(descend_matvec)
def _descend_matvec(
    v: Any, vd: Any, work: Any, Wt: Any, H: Any, p: Any, g: Any, acc: Any, h: Any, t: int
) -> Callable[..., Any]:
    return _pick("descend_matvec", Wt)


def accumulate(v: Any, G: Any, p: Any, g: Any) -> None:
    """Add ``Σ_lanes p gᵀ`` to a gradient accumulator."""
    _pick("accumulate", G)(v, G, p, g)


@overload(accumulate)
def _accumulate(v: Any, G: Any, p: Any, g: Any) -> Callable[..., Any]:
    return _pick("accumulate", G)


def apply(v: Any, work: Any, W: Any, H: Any, G: Any, V: Any, momentum: Any, rate: Any, t: int) -> None:
    """Take one step down an accumulated gradient, with momentum, and clear it."""
    _pick("apply", W)(v, work, W, H, G, V, momentum, rate, t)


@overload(apply)
def _apply(v: Any, work: Any, W: Any, H: Any, G: Any, V: Any, momentum: Any, rate: Any, t: int) -> Callable[..., Any]:
    return _pick("apply", W)


def clip(v: Any, W: Any, bound: Any) -> None:
    """Hold weights within ``±bound``."""
    _pick("clip", W)(v, W, bound)


@overload(clip)
def _clip(v: Any, W: Any, bound: Any) -> Callable[..., Any]:
    return _pick("clip", W)


def decay_traces(v: Any, work: Any, E: Any, d: Any, gain: Any, x: Any, t: int) -> None:
    """Land ``d_i E_ij + gain x_j`` in the traces per synapse, E (lanes, n_pre, n_post)."""
    _pick("decay_traces", E)(v, work, E, d, gain, x, t)


@overload(decay_traces)
def _decay_traces(v: Any, work: Any, E: Any, d: Any, gain: Any, x: Any, t: int) -> Callable[..., Any]:
    return _pick("decay_traces", E)


def descend_traces(v: Any, work: Any, Wt: Any, H: Any, E: Any, g: Any, t: int) -> None:
    """Subtract the landed ``Σ_lanes g_i E_ij`` from the weights."""
    _pick("descend_traces", Wt)(v, work, Wt, H, E, g, t)


@overload(descend_traces)
def _descend_traces(v: Any, work: Any, Wt: Any, H: Any, E: Any, g: Any, t: int) -> Callable[..., Any]:
    return _pick("descend_traces", Wt)


def accumulate_traces(v: Any, G: Any, E: Any, g: Any) -> None:
    """Add ``Σ_lanes g_i E_ij`` to a gradient accumulator."""
    _pick("accumulate_traces", G)(v, G, E, g)


@overload(accumulate_traces)
def _accumulate_traces(v: Any, G: Any, E: Any, g: Any) -> Callable[..., Any]:
    return _pick("accumulate_traces", G)


def diagonal_blend(v: Any, work: Any, out: Any, keep: Any, gain: Any, Wt: Any, t: int) -> None:
    """Land ``keep + gain W_ii`` in ``out`` (n,)."""
    _pick("diagonal_blend", out)(v, work, out, keep, gain, Wt, t)


@overload(diagonal_blend)
def _diagonal_blend(v: Any, work: Any, out: Any, keep: Any, gain: Any, Wt: Any, t: int) -> Callable[..., Any]:
    return _pick("diagonal_blend", out)


def error(v: Any, work: Any, e: Any, y: Any, target: Any, weight: Any, loss: int, t: int) -> float:
    """Land the weighted output error in ``e`` and return the loss of the step over all lanes (float64)."""
    result: float = _pick("error", e)(v, work, e, y, target, weight, loss, t)
    return result


@overload(error)
def _error(v: Any, work: Any, e: Any, y: Any, target: Any, weight: Any, loss: int, t: int) -> Callable[..., Any]:
    return _pick("error", e)


def within(y: Any, limit: float) -> bool:
    """Tell whether every output is a number of at most ``limit`` in absolute value."""
    result: bool = _pick("within", y)(y, limit)
    return result


@overload(within)
def _within(y: Any, limit: float) -> Callable[..., Any]:
    return _pick("within", y)


def _pick(name: str, array: Any) -> Callable[..., Any]:
    return getattr(fixed if is_integer(array) else real, name)
