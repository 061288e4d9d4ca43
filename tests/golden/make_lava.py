"""Write lava.json: runs Lava's own fixed-point models. Needs lava-nc 0.10.0 (Python 3.10), not this package.

Usage: python make_lava.py lava.json
"""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from lava.magma.core.model.py.connection import LearningConnectionModelBitApproximate as Learning
from lava.proc.lif.models import AbstractPyLifModelFixed
from lava.utils.weightutils import SignMode, clip_weights, truncate_weights

CONNECTION = "magma/core/model/py/connection.py LearningConnectionModelBitApproximate"


def lif(rng: np.random.Generator, du: int, dv: int, size: float, steps: int = 40, n: int = 8) -> dict[str, Any]:
    """Drive n neurons below threshold; u and v of every step."""
    at = SimpleNamespace(
        du=du, dv=dv, ds_offset=1, dm_offset=0, decay_unity=1 << 12, decay_shift=12, act_shift=6, max_uv_val=1 << 23,
        effective_bias=0, u=np.zeros(n, np.int32), v=np.zeros(n, np.int32),
    )  # fmt: skip
    a_in = np.clip(rng.normal(0, size, (steps, n)), -(2**18) + 1, 2**18 - 1).astype(np.int32)
    u, v = [], []
    for row in a_in:
        AbstractPyLifModelFixed.subthr_dynamics(at, row)
        u.append(at.u.tolist())
        v.append(at.v.tolist())
    return {"du": du, "dv": dv, "a_in": a_in.tolist(), "u": u, "v": v}


def rounding(rng: np.random.Generator, n: int = 200) -> dict[str, Any]:
    """Round sums of 15 bits to weights of 8 bits by Lava's random number, and bring them into range."""
    sums = rng.integers(-(2**15), 2**15, n)
    draws = rng.integers(0, 128, n)
    out = [
        int(Learning._stochastic_round_synaptic_variable("weights", np.array([float(s)]), r / 128.0)[0])
        for s, r in zip(sums.tolist(), draws.tolist(), strict=True)
    ]
    out = [w // 128 for w in out]  # Lava gives them back in units of the sums
    clipped = clip_weights(np.array(out), sign_mode=SignMode.MIXED, num_bits=8)
    return {"sums": sums.tolist(), "draws_of_128": draws.tolist(), "rounded": out, "clipped": clipped.tolist()}


def impulses(rng: np.random.Generator, n: int = 200) -> dict[str, Any]:
    """Add impulses with 8 fraction bits to traces of 7 bits, rounded by Lava's random number, saturating."""
    traces = rng.integers(0, 128, n)
    whole, part, draws = rng.integers(0, 100, n), rng.integers(0, 256, n), rng.integers(0, 256, n)
    out = [
        int(Learning._add_impulse(np.array([t]), r / 256.0, np.array([w]), np.array([f / 256.0]))[0])
        for t, w, f, r in zip(*(x.tolist() for x in (traces, whole, part, draws)), strict=True)
    ]
    return {
        "traces": traces.tolist(), "whole": whole.tolist(), "part_of_256": part.tolist(),
        "draws_of_256": draws.tolist(), "out": out,
    }  # fmt: skip


def widths(rng: np.random.Generator, n: int = 100) -> list[dict[str, Any]]:
    """Cut weights to the selectable widths."""
    found = []
    for bits in range(1, 9):
        given = rng.integers(-256, 255, n)
        cut = truncate_weights(given, sign_mode=SignMode.MIXED, num_weight_bits=bits)
        found.append({"bits": bits, "given": given.tolist(), "cut": np.asarray(cut).astype(int).tolist()})
    return found


def main(path: str) -> None:
    """Write the file."""
    rng = np.random.default_rng(2018)
    data = {
        "source": "lava-nc, BSD-3-Clause and LGPL-2.1-or-later, https://github.com/lava-nc/lava",
        "version": metadata.version("lava-nc"),
        "called": [
            "proc/lif/models.py AbstractPyLifModelFixed.subthr_dynamics",
            f"{CONNECTION}._stochastic_round_synaptic_variable",
            f"{CONNECTION}._add_impulse",
            "utils/weightutils.py clip_weights, truncate_weights",
        ],
        "lif": [
            *(lif(rng, 4095, dv, size) for dv in (64, 512, 1024, 2048) for size in (9, 9000, 90000)),
            *(lif(rng, du, dv, size) for du, dv in ((400, 70), (4095, 3072)) for size in (900, 20000)),
        ],
        "rounding": rounding(rng),
        "impulses": impulses(rng),
        "widths": widths(rng),
    }
    Path(path).write_text(json.dumps(data, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
