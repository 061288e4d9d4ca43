"""Target ``bundle``: one sealed npz with every integer of a network, how it learns on, and a golden trajectory."""

from __future__ import annotations

from typing import Any

from neurolrnn import savefile
from neurolrnn.exports import bundle_schema as schema
from neurolrnn.exports.golden import STEPS, golden
from neurolrnn.exports.integers import resolve, version
from neurolrnn.exports.target import Plan, Source
from neurolrnn.rules import Rule


def plan(
    source: Source, *, precision: Any = None, rule: Rule | None = None, learning_rate: Any = None,
    noise: str | None = None, seed: int | None = None, loss: str | None = None, inputs: Any = None,
    targets: Any = None, mask: Any = None, steps: int = STEPS,
) -> Plan:  # fmt: skip
    """Make a bundle.

    Parameters
    ----------
    source : Source
        What is exported.
    precision, rule, learning_rate, noise, seed, loss
        See :func:`neurolrnn.exports.integers.resolve`.
    inputs, targets, mask, steps
        Of the golden trajectory, see :func:`neurolrnn.exports.golden.golden`.
    """
    design = resolve(
        source, precision=precision, rule=rule, learning_rate=learning_rate, noise=noise, seed=seed, loss=loss
    )
    gold = golden(design, inputs=inputs, targets=targets, mask=mask, steps=steps)
    origin: dict[str, Any] = {"neurolrnn": version(), "network": dict(design.setting.network.origin)}
    if source.run is not None:
        origin |= {"experiment": source.run.experiment, "steps_learned": source.run.position.get("step")}
    arrays = schema.arrays(design, gold)
    meta = schema.meta(design, gold, origin)
    meta["sha256"] = {name: schema.digest(codes) for name, codes in arrays.items()}
    notes = [
        *design.notes,
        *gold.notes,
        f"golden trajectory of {gold.steps} steps; read it with examples/read_bundle.py",
    ]
    data = savefile.pack(schema.KIND, schema.SCHEMA, meta, arrays)
    return Plan({"bundle.npz": data}, design.losses, design.changes, notes)
