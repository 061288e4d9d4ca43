"""How recurrent weights can be held, and W h from each of them.

A rule asks for :func:`recur`; the type of what is held decides, when the rule is compiled, how it is calculated:

=================  =======================================  ==================
held as            what it is                               multiplications
=================  =======================================  ==================
2-D array          all weights, input-major                 n²
:class:`Triangle`  real Schur form, upper quasi-triangular  n²/2
:class:`Blocks`    blocks of one and two units              3 n
``Slices``         existing synapses, real numbers          existing synapses
``Columns``        existing synapses, codes                 existing synapses
=================  =======================================  ==================

The last two are those of :mod:`neurolrnn_kernels.sparse`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from neurolrnn_kernels import fixed, fixed_sparse, real, real_sparse
from neurolrnn_kernels.jit import is_integer
from neurolrnn_kernels.structs import Array
from neurolrnn_kernels.tile_nests import WIDE


class Triangle(NamedTuple):
    """Upper quasi-triangular weights: unit i hears units i - 1 and later."""

    tiles: Array
    """(rows, width) bands of ``width`` receiving units one after the other, each with a row for every sender from the
    one before its first unit on: all that is not 0, in the order it is read."""


def pack_triangle(Wt: Any) -> Array:
    """Return the tiles of an input-major (n, n) upper quasi-triangular matrix."""
    n = len(Wt)
    width = min(64 if n <= 256 or not WIDE else 128, n)
    bands = []
    for column in range(0, n, width):
        band = Wt[max(column - 1, 0) :, column : column + width]
        bands.append(np.pad(band, ((0, 0), (0, width - band.shape[1]))))
    return np.ascontiguousarray(np.concatenate(bands))


class Blocks(NamedTuple):
    """Block-diagonal weights, blocks of one or two neighbouring units."""

    own: Array
    """(n,) weight of each unit onto itself."""
    before: Array
    """(n,) weight onto unit i from unit i - 1; 0 at i = 0."""
    after: Array
    """(n,) weight onto unit i from unit i + 1; 0 at i = n - 1."""


def recur(v: Any, work: Any, acc: Any, W: Any, h: Any) -> None:
    """Add W h to ``acc`` (lanes, n), the terms of each sum in index order of h; grid row ``v``, term 0."""
    _pick(acc, getattr(type(W), "__name__", ""))(v, work, acc, W, h)


@overload(recur, jit_options={"forceinline": True})
def _recur(v: Any, work: Any, acc: Any, W: Any, h: Any) -> Callable[..., Any]:
    return _pick(acc, W.instance_class.__name__ if isinstance(W, types.BaseNamedTuple) else "")


def _pick(acc: Any, form: str) -> Callable[..., Any]:
    integer = is_integer(acc)
    if form in ("Slices", "Columns"):
        return fixed_sparse.recur_sparse if integer else real_sparse.recur_sparse
    system = fixed if integer else real
    return getattr(system, {"Triangle": "recur_triangle", "Blocks": "recur_blocks"}.get(form, "recur_dense"))
