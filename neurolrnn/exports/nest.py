"""Target ``nest``: a folder with a script of rate neurons for NEST 3 and the weights beside it, in double precision.

``lin_rate_ipn`` integrates exactly, so its time constant is τ = -dt/ln(1-α); weights stay as they are.
Source: Hahne et al., Integration of continuous-time dynamics in a spiking neural network simulator, Front.
Neuroinform. 11:34 (2017), for NEST's rate neurons.
"""

from __future__ import annotations

import io
import math
from importlib import resources

import numpy as np

from neurolrnn.errors import InputError, real_number
from neurolrnn.exports.losses import Change
from neurolrnn.exports.nir_dialects import SMALL_TAU
from neurolrnn.exports.target import DT_SECONDS, Plan, Source

TIC_MS = 1e-3
"""NEST's own unit of time; a resolution is a whole number of them."""


def plan(source: Source, *, dt_seconds: float = DT_SECONDS) -> Plan:
    """Plan a folder for NEST.

    Parameters
    ----------
    source : Source
        What to export.
    dt_seconds : float
        Duration of a step, s; a multiple of 1 µs.

    Raises
    ------
    InputError
        If NEST has no such resolution.
    """
    source.check_dense()
    net = source.network
    dt_ms = 1e3 * real_number("dt_seconds", dt_seconds, above=0.0)
    tics = dt_ms / TIC_MS
    if abs(tics - round(tics)) > 1e-6 * tics or round(tics) < 1:
        raise InputError(f"dt_seconds = {dt_seconds!r}; NEST counts time in µs, so a multiple of 1e-6 s is needed")
    dt_ms = round(round(tics) * TIC_MS, 3)
    tau = dt_ms * (SMALL_TAU if net.leak == 1.0 else -1.0 / math.log1p(-net.leak))
    leak = -math.expm1(-dt_ms / tau)
    template = resources.files("neurolrnn.exports") / "templates" / "nest_network.py.txt"
    script = template.read_text(encoding="utf-8").replace("@DT_MS@", repr(dt_ms)).replace("@TAU_MS@", repr(tau))
    arrays = io.BytesIO()
    np.savez(arrays, A=net.A, W=net.W, B=net.B)
    losses = source.learning_loss("NEST's rate connections do not learn")
    losses += source.format_loss("NEST calculates in double precision", "the bundle holds them exactly")
    how = f"as τ = -dt/ln(1-α) = {tau:.6g} ms"
    changes = [Change.between("leak α", how, "NEST integrates exactly", net.leak, leak)]
    notes = ["states start at 0", "y is calculated by the script: NEST's neurons are the recurrent units alone"]
    if net.leak == 1.0:
        notes.append(f"leak = 1: no τ decays at once, so τ = dt·{SMALL_TAU:g}, whose decay exp(-1024) is 0")
    return Plan({"network.py": script, "weights.npz": arrays.getvalue()}, losses, changes, notes)
