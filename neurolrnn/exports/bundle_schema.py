"""The layout of a bundle: what its JSON and its arrays are called, once for the writer and for docs/bundle.md."""

from __future__ import annotations

import hashlib
from typing import Any

from neurolrnn.exports.design import Codes, Design, Spot
from neurolrnn.exports.golden import Golden
from neurolrnn.tables import markdown_table

KIND = "bundle"
SCHEMA = 1
"""Version of the layout: raised when a reader of the version before could misread a file."""

FIELDS: dict[str, str] = {
    "sizes": "`n_in`, `n_rec`, `n_out`",
    "rule": "`null` if nothing learns; else `name` (`rflo`), `storage` (`factored` or `dense`), `feedback` (`R` or "
            "`A`), `learn` (groups out of A, W, B), `update` (`online`), `loss` (`squared-error` or `cross-entropy`)",
    "constants": "`gain` (α), `keep` (1 - α), `decay` (ŵ): integers with `decay_bits` fraction bits",
    "decay_bits": "fraction bits of the constants",
    "rates": "per learned group `mantissa` and `frac_bits`: η = mantissa · 2^-frac_bits",
    "accumulator": "`null`: exact sums, which fit `accumulator_bits` bits; else `lo`, `hi` and `overflow`, applied "
                   "after every product in the order of the sum",
    "accumulator_bits": "bits with sign that hold every intermediate result",
    "noise": "`mode` (`element`, `shared`, `lfsr`), `random_bits`, `seed`; used where a landing rounds at random",
    "formats": "format of `input`, `readout`, `target` and of every array `weights/*`",
    "landings": "per variable how results come to rest, see below; in the order of a step",
    "golden": "`steps`, `checkpoints` (numbers of steps done), `events` (results outside their range while learning)",
    "losses": "what the export left behind or rounded, in words",
    "origin": "what the bundle was made from: version of neurolrnn, and the experiment of a run",
    "sha256": "per array SHA-256 (hex) of its values as little-endian int64 in C order",
}  # fmt: skip
"""Meta data of a bundle, by key."""

LANDING_FIELDS: dict[str, str] = {
    "format": "such as `s1.6`: sign, 1 integer bit, 6 fraction bits",
    "shift": "bits dropped; negative: bits appended",
    "rounding": "`floor`, `nearest`, `nearest-even`, `toward-zero`, `stochastic`, `lsb-stochastic`",
    "overflow": "`saturate` or `wrap`, to the range `lo`..`hi`",
    "lo": "smallest code",
    "hi": "largest code; with a clamp narrower than the format",
    "lifts": "left shifts of the terms of a sum, in their order",
    "row": "number of the variable in the random streams",
    "key": "key of its stream, which is also where its shift register starts (1 if it is 0)",
    "hidden": "`null`, or of weights behind which updates accumulate: `format`, `shift`, `lo`, `hi` of the visible "
              "weight; `format`, `lo`, `hi` beside it are then those of the hidden one",
}  # fmt: skip
"""One landing, by key."""

ARRAYS: dict[str, str] = {
    "weights/A": "(n_out, n_rec)", "weights/W": "(n_rec, n_rec), row = receiving unit", "weights/B": "(n_rec, n_in)",
    "weights/R": "(n_out, n_rec) feedback, if fixed", "weights/M": "(n_out, n_rec), W + RᵀM in effect",
    "weights/N": "(n_out, n_in), B + RᵀN in effect",
    "weights/hidden_*": "finer weights behind A, W, B, M or N",
    "golden/first": "(T,) 1 where a sequence begins", "golden/mask": "(T,) 1 where there is a target",
    "golden/x": "(T, n_in) inputs", "golden/target": "(T, n_out) targets",
    "golden/inference/h": "(T, n_rec) states, weights at rest", "golden/inference/y": "(T, n_out) outputs",
    "golden/learning/*": "`h`, `y` and `e` (T, n_out), `p` (T, n_rec), `q` (T, n_in) while learning",
    "golden/after/*": "(checkpoints, ...) everything that learns, after so many steps",
}  # fmt: skip
"""Arrays of a bundle, all int64 codes."""


def tables() -> str:
    """Return the layout as markdown tables: meta data, landings, arrays."""
    parts = ((FIELDS, "key of the meta data"), (LANDING_FIELDS, "key of a landing"), (ARRAYS, "array"))
    return "\n\n".join(
        markdown_table([(f"`{key}`", text) for key, text in rows.items()], (head, "holds")) for rows, head in parts
    )


def digest(codes: Codes) -> str:
    """Return the SHA-256 (hex) of an array as the schema asks for."""
    return hashlib.sha256(codes.astype("<i8").tobytes()).hexdigest()


def landing(spot: Spot) -> dict[str, Any]:
    """Return one landing as plain data."""
    told: dict[str, Any] = {
        "format": str(spot.fine or spot.format), "shift": spot.shift, "rounding": spot.rounding,
        "overflow": spot.overflow, "lo": spot.lo, "hi": spot.hi, "lifts": list(spot.lifts), "row": spot.row,
        "key": spot.key, "hidden": None,
    }  # fmt: skip
    if spot.fine is not None:
        form = spot.format
        told["hidden"] = {"format": str(form), "shift": spot.visible_shift, "lo": form.lo, "hi": form.hi}
    return told


def meta(design: Design, gold: Golden, origin: dict[str, Any]) -> dict[str, Any]:
    """Return the meta data of a bundle, but for the digests."""
    s, numbers = design.setting, design.numbers
    n_in, n_rec, n_out = design.sizes
    rule = None
    if design.learns:
        rule = {
            "name": "rflo", "storage": "factored" if design.factored else "dense",
            "feedback": "A" if s.feedback is None else "R", "learn": list(design.learns), "update": "online",
            "loss": s.loss,
        }  # fmt: skip
    formats = {"input": numbers.format_of("input"), "target": numbers.format_of("target")}
    formats |= {name: design.form(name) for name in design.codes}
    formats["readout"] = design.spots["readout"].format
    used = [design.spots[name] for name in design.landings]
    declared = design.accumulator
    return {
        "sizes": {"n_in": n_in, "n_rec": n_rec, "n_out": n_out},
        "rule": rule,
        "constants": {k: design.constants[k] for k in ("gain", "keep", "decay")},
        "decay_bits": design.precision.decay_bits,
        "rates": {
            g: {"mantissa": numbers.rates[g].mantissa, "frac_bits": numbers.rates[g].frac_bits} for g in design.learns
        },
        "accumulator": None if declared is None else {
            "lo": -(1 << (declared[1] - 1)), "hi": (1 << (declared[1] - 1)) - 1, "overflow": declared[0],
        },
        "accumulator_bits": 1 + max(spot.bits for spot in used),
        "noise": {"mode": design.precision.noise, "random_bits": design.random_bits, "seed": s.seed},
        "formats": {k: str(v) for k, v in formats.items()},
        "landings": {spot.name: landing(spot) for spot in used},
        "golden": {"steps": gold.steps, "checkpoints": gold.checkpoints.tolist(), "events": gold.events},
        "losses": [str(x) for x in (*design.losses, *design.changes)],
        "origin": origin,
    }  # fmt: skip


def arrays(design: Design, gold: Golden) -> dict[str, Codes]:
    """Return the arrays of a bundle."""
    out = {f"weights/{k}": v for k, v in design.codes.items()}
    out |= {"golden/first": gold.first, "golden/mask": gold.mask, "golden/x": gold.x, "golden/target": gold.target}
    out |= {f"golden/inference/{k}": v for k, v in gold.inference.items()}
    out |= {f"golden/learning/{k}": v for k, v in gold.learning.items()}
    out |= {f"golden/after/{k}": v for k, v in gold.after.items()}
    return {k: v.astype("<i8") for k, v in out.items()}
