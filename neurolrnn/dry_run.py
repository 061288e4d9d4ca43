"""What a run would be, found out without making a step: sizes, steps, formats, memory, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurolrnn.experiment import Experiment


def plan(experiment: Experiment) -> dict[str, Any]:
    """Prepare a run as :func:`neurolrnn.simulate` would, up to its first step, and say what was found.

    Returns
    -------
    dict
        Plain data: ``task``, ``network``, ``rule``, ``steps``, ``precision``, ``arrays_bytes``, ``held_as``,
        ``formats`` (fixed point), ``digest``.

    Raises
    ------
    InputError
        What the run itself would raise before it starts, such as a sum that may not fit its accumulator.
    """
    from neurolrnn.simulation import Session
    from neurolrnn.training import check_rule, choose_precision

    network, task, rule, precision, training, seed = experiment.build()
    check_rule(rule, training)
    session = Session(network, task, rule, choose_precision(precision, training), training, seed)
    sizes = f"{network.n_in} inputs, {network.n_rec} units, {network.n_out} outputs, leak {network.leak:g}"
    numerics = session.numbers.report() if session.numbers else None
    return {
        "task": task.name,
        "sequences": {"train": len(task.train), "test": len(task.test) if task.test is not None else 0},
        "network": sizes,
        "rule": rule.name,
        "steps": session.schedule.total,
        "epochs": training.epochs,
        "precision": precision.name,
        "held_as": session.engine.basis.form,
        "arrays_bytes": sum(int(np.asarray(a).nbytes) for a in session.engine.state().values()),
        "formats": numerics["formats"] if numerics else None,
        "digest": experiment.digest,
    }


def plan_text(found: dict[str, Any]) -> str:
    """Return a plan for a terminal."""
    from neurolrnn.tables import text_table

    rows = [
        (
            "task",
            f"{found['task']}, {found['sequences']['train']} training and {found['sequences']['test']} test sequences",
        ),
        ("network", f"{found['network']}, W held as {found['held_as']}"),
        ("rule", found["rule"]),
        ("steps", f"{found['steps']:,} in {found['epochs']} epochs"),
        ("precision", found["precision"]),
        ("arrays", f"{found['arrays_bytes'] / 1e6:.3g} MB"),
        *(("", f"{name}: {form}") for name, form in (found["formats"] or {}).items()),
        ("digest", found["digest"][:16]),
    ]
    return text_table(rows)
