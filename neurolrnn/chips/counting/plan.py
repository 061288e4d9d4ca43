"""What every part of a count looks at: sizes, formats, recurrent synapses, and what learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurolrnn.basis import Basis
from neurolrnn.block_matrix import BlockMatrix
from neurolrnn.chips.counting.formats import Formats, make_formats
from neurolrnn.chips.rule_locality import Facts
from neurolrnn.fixed_grid import Setting
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RTRL, TruncatedBPTT
from neurolrnn.sparse_matrix import SparseMatrix
from neurolrnn_hardware.demand import Sizes
from neurolrnn_kernels.recurrent import pack_triangle


@dataclass(frozen=True)
class Recurrent:
    """How many recurrent synapses exist, how they are held and how they spread."""

    synapses: int
    words: int
    fan_in: int
    fan_out: int
    arrays: tuple[str, ...]
    index_bits: int = 0


def recurrent_of(basis: Basis, n: int) -> Recurrent:
    """Count the recurrent synapses of n units."""
    W: Any = basis.recurrent
    if isinstance(W, SparseMatrix):
        heard, sent = np.diff(W.starts), np.bincount(W.sources, minlength=n)
        bits = max((n - 1).bit_length(), 1)
        return Recurrent(W.synapses, W.synapses, int(heard.max()), int(sent.max()), ("weights.Wt",), bits)
    if isinstance(W, BlockMatrix):
        linked = int(W.linked.sum())
        fan = 2 if linked else 1
        return Recurrent(n + 2 * linked, 3 * n, fan, fan, tuple(f"weights.Wt.{k}" for k in ("own", "before", "after")))
    if basis.form == "triangle":
        below = int((W.diagonal(-1) != 0).sum())
        words = int(pack_triangle(W.T).size)
        return Recurrent(n * (n + 1) // 2 + below, words, n, n, ("weights.Wt.tiles",))
    return Recurrent(n * n, n * n, n, n, ("weights.Wt",))


class Plan:
    """Everything a count depends on, resolved once.

    Parameters
    ----------
    setting : Setting
        Network, rule, training, feedback, loss and sizes.
    precision : Precision
        Number formats.
    basis : Basis
        How the recurrent weights are held.
    """

    def __init__(self, setting: Setting, precision: Precision, basis: Basis) -> None:
        self.setting, self.precision, self.basis = setting, precision, basis
        net, rule, training = setting.network, setting.rule, setting.training
        stored = {TruncatedBPTT: getattr(rule, "steps", 0), BPTT: setting.longest}.get(type(rule), 0)
        self.sizes = Sizes(net.n_in, net.n_rec, net.n_out, setting.lanes, stored)
        self.W = recurrent_of(basis, net.n_rec)
        self.direct = not isinstance(rule, RTRL | BPTT) and training.update == "online" and training.momentum == 0.0
        self.formats: Formats = make_formats(precision, setting)
        hidden = tuple(g for g in training.learn if precision.is_fixed and precision.hidden_format(g) is not None)
        self.facts = Facts(
            rule, self.sizes, setting.longest, self.W.synapses, basis.form == "sparse", setting.factored,
            setting.feedback is None, self.direct, training.momentum > 0.0, hidden, training.learn, self.formats.number,
        )  # fmt: skip

    @property
    def plastic(self) -> dict[str, tuple[str, int]]:
        """Variable and words that learn, for each group that does."""
        s = self.sizes
        every = {"A": ("A", s.n_out * s.n_rec), "W": ("W", self.W.words), "B": ("B", s.n_rec * s.n_in)}
        if self.setting.factored:
            every |= {"W": ("factor_W", s.n_out * s.n_rec), "B": ("factor_B", s.n_out * s.n_in)}
        return {g: every[g] for g in self.setting.training.learn}
