"""Networks, runs and precisions for the tests of exports in integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import neurolrnn as nl

PRECISIONS: dict[str, dict[str, Any]] = {
    "int16": {},
    "int8": {},
    "int24": {},
    "int8 lfsr everywhere": {"rounding": "stochastic", "noise": "lfsr"},
    "int8 one LSB, shared": {"update_rounding": "lsb-stochastic", "noise": "shared"},
    "int8-hidden16": {},
    "int8-hidden16 lfsr": {"noise": "lfsr", "random_bits": 7},
    "int16 wrapping": {"accumulator": "s24 wrap", "overflow": "wrap"},
    "int16 narrow sums": {"accumulator": "s20 saturate", "rounding": "toward-zero", "update_rounding": "floor"},
    "int16 even": {"rounding": "nearest-even", "update_rounding": "stochastic", "random_bits": 5},
    "int16 floor": {"rounding": "floor", "rate_bits": 1, "decay_bits": 7},
}
"""By a name that begins with a preset."""
LFSR_OR_NOT_RANDOM = [
    "int16", "int24", "int8 lfsr everywhere", "int8-hidden16 lfsr", "int16 wrapping", "int16 narrow sums", "int16 floor"
]  # fmt: skip


def precision(name: str) -> nl.Precision:
    return nl.Precision.preset(name.split()[0], **PRECISIONS[name])


def trained(
    name: str = "int8", storage: str = "factored", *, n: int = 8, leak: float = 0.5, rate: float = 0.05, **options: Any
) -> nl.Run:
    """A short run that has learned something."""
    task = nl.tasks.load("teacher-student", n_in=2, n_rec=8, n_out=3, sequences=8, steps=12, seed=1)
    net = nl.Network.random(2, n, 3, leak=leak, seed=3)
    rule = nl.RFLO(storage=storage, **options.pop("rule", {}))
    return nl.simulate(net, task, rule, precision(name), rate, seed=7, epochs=2, progress=False, **options)


@st.composite
def drawn(draw: Any, noises: tuple[str, ...] = ("element", "shared", "lfsr")) -> tuple[nl.Network, dict[str, Any]]:
    """A network and the options of an export, over formats, modes and sizes."""
    n_in, n, n_out = draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 4))
    wide = draw(st.booleans())

    def form() -> str:
        width = draw(st.integers(17, 24) if wide else st.integers(4, 16))
        frac = draw(st.integers(max(0, width - 6), width))
        signed = draw(st.sampled_from("sssu"))
        text = f"{signed}{width - frac - (signed == 's')}.{frac}"
        if draw(st.integers(0, 3)) == 0:
            text += " " + draw(st.sampled_from(("floor", "nearest", "nearest-even", "toward-zero", "stochastic")))
        if draw(st.integers(0, 3)) == 0:
            text += " " + draw(st.sampled_from(("wrap", "saturate")))
        return text

    some = ("state", "current", "readout", "error", "signal", "trace", "input", "coupling", "A", "feedback", "factor")
    options: dict[str, Any] = {"weight": form(), "state": form()}
    options |= {k: form() for k in some[1:] if draw(st.booleans())}
    options |= {
        "rounding": draw(st.sampled_from(("nearest", "floor", "stochastic"))),
        "update_rounding": draw(st.sampled_from((None, "stochastic", "lsb-stochastic"))),
        "noise": draw(st.sampled_from(noises)),
        "random_bits": draw(st.integers(1, 32)),
        "rate_bits": draw(st.integers(1, 10)),
        "decay_bits": draw(st.integers(2, 16)),
        "accumulator": draw(st.sampled_from(("exact", "exact", "s20 wrap", "s28 saturate"))),
    }
    net = nl.Network.random(n_in, n, n_out, leak=draw(st.sampled_from((1.0, 0.3))), seed=draw(st.integers(0, 99)))
    return net, {
        "precision": nl.Precision(**options),
        "rule": nl.RFLO(storage=draw(st.sampled_from(("factored", "dense")))),
        "learning_rate": draw(st.sampled_from((0.5, 0.05, 0.007))),
        "loss": draw(st.sampled_from(("squared-error", "squared-error", "cross-entropy"))),
        "seed": draw(st.integers(0, 2**40)),
        "steps": draw(st.sampled_from((30, 60))),
    }


def cross_entropy_targets(n_out: int, steps: int) -> np.ndarray:
    return np.eye(n_out)[np.random.default_rng(0).integers(0, n_out, steps)]
