"""Targets ``npz`` and ``safetensors``: the weights as they are, and what they mean, for anybody's own code."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.exports.target import Plan, Source
from neurolrnn_kernels.formats import QFormat

EQUATION = "h = (1 - leak) h + leak (W h + B x), y = A h"
NOTE = "rule and formats are named as JSON text; nothing outside neurolrnn acts on them"


def arrays(source: Source) -> dict[str, NDArray[Any]]:
    """Return all matrices in float64: A, W, B, the initial ones of a run, feedback and factors where there are any."""
    net, run = source.network, source.run
    out: dict[str, NDArray[Any]] = {"A": net.A, "B": net.B}
    held = net.held
    out |= {"W": net.W} if held is None else {f"W.{name}": array for name, array in held.arrays().items()}
    if source.feedback is not None:
        out["R"] = source.feedback
    if run is not None and not source.inference_only and run.factors is not None:
        out["M"], out["N"] = run.factors
    return out


def about(source: Source) -> dict[str, str]:
    """Return what the arrays mean, as text: equation, leak in exact decimal form, formats and rule as JSON."""
    net = source.network
    text = {
        "producer": "neurolrnn", "equation": EQUATION, "leak": repr(net.leak),
        "form_of_W": "dense" if net.held is None else type(net.held).__name__,
    }  # fmt: skip
    return text | source.provenance()


def codes(source: Source) -> dict[str, NDArray[Any]]:
    """Return the integers behind the weights of a fixed-point run, ``A.codes`` and so on; value = code · 2^-f."""
    if not source.is_fixed or source.precision is None or source.network.held is not None:
        return {}
    out: dict[str, NDArray[Any]] = {}
    for name in "AWB":
        form: QFormat = source.precision.landing(name).format
        values = getattr(source.network, name)
        integers = np.asarray(form.encode(values))
        if np.array_equal(form.decode(integers), values):  # factored storage: W = W₀ + RᵀM has no code of its own
            out[f"{name}.codes"] = integers.astype(np.int8 if form.width <= 8 else np.int32)
    return out


def plan_npz(source: Source) -> Plan:
    """Plan an npz that ``numpy.load`` reads without pickle; text stands in arrays of strings."""
    buffer = io.BytesIO()
    text = {f"about.{key}": np.array(value) for key, value in about(source).items()}
    np.savez_compressed(buffer, leak=np.float64(source.network.leak), **arrays(source), **codes(source), **text)  # type: ignore[arg-type]
    return _plan("weights.npz", buffer.getvalue(), source)


def plan_safetensors(source: Source) -> Plan:
    """Plan a safetensors file, its text in the header."""
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(array) for name, array in (arrays(source) | codes(source)).items()}
    return _plan("weights.safetensors", save(tensors, metadata=about(source)), source)


def _plan(name: str, data: bytes, source: Source) -> Plan:
    notes = [NOTE] if source.run is not None else []
    why = "a file of weights does nothing by itself; the rule is named in it"
    losses = source.learning_loss(why) + source.format_loss(
        "whoever reads the weights calculates as they like; the formats are named in the file",
        "the bundle comes with a reader that calculates in them",
    )
    return Plan({name: data}, losses, [], notes)
