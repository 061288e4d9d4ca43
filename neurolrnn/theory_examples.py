"""Small runs to lay the theory beside, where the user has none: seconds each, and the same every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from neurolrnn import tasks
from neurolrnn.errors import InputError
from neurolrnn.experiment import Experiment
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RFLO, EProp, Rule, TruncatedBPTT
from neurolrnn.tasks.teacher_student import aligned_student
from neurolrnn.training import Training

if TYPE_CHECKING:
    from neurolrnn.run import Run

ALIGNED: dict[str, Any] = {
    "task": {
        "name": "teacher-student", "a_star": [1.2, 0.9], "b_star": [1.0, -1.1], "w_star": [0.7, -0.5], "steps": 20,
        "sequences": 500, "seed": 3,
    },
    "network": {"n_rec": 2},
    "rule": {"name": "rflo", "decay": 0.5},
    "training": {"learning_rate": 0.0005, "records": 40},
    "precision": {"preset": "float64"},
}  # fmt: skip
"""Two modes, RFLO at every step, 10,000 steps."""


def aligned_runs(
    experiment: Experiment | None = None,
    presets: Sequence[str] = (),
    *,
    a: ArrayLike = 0.2,
    b: ArrayLike | None = None,
    w: ArrayLike = 0.1,
    a_hat: ArrayLike = 1.0,
    progress: bool = False,
) -> list[Run]:
    """Run an experiment with an aligned student in place of its drawn network.

    Parameters
    ----------
    experiment : Experiment, optional
        Task (a teacher made of modes), units, rule, training, precision and seed. Default: :data:`ALIGNED`.
    presets : sequence of str
        Precisions to run it in, one run each. Default: the experiment's own, or float64 and int16 without one.
    a, b, w : float or (modes,)
        The student's modes at the start. Default of b: 0.2 with the sign of a* b*, a safe start.
    a_hat : float or (modes,)
        Modes of R, where the rule has random feedback.
    progress : bool
        Show progress on stderr.

    Raises
    ------
    InputError
        If the task has no teacher made of modes.
    """
    # simulate brings the compiler, which nothing else here needs
    from neurolrnn.simulation import simulate

    if experiment is None:
        experiment, presets = Experiment.from_dict(ALIGNED, "the built-in example"), presets or ("float64", "int16")
    network, task, rule, own, training, seed = experiment.build()
    if task.teacher is None or task.teacher.origin.get("kind") != "modes":
        raise InputError(
            f"{experiment.where}: the task {task.name!r} has no teacher made of modes, so there is no aligned student; "
            "take the task 'teacher-student' with a_star, b_star and w_star"
        )
    origin = task.teacher.origin
    k = len(origin["a"])
    if b is None:
        b = 0.2 * np.sign(np.multiply(origin["a"], origin["b"]))
    start = [np.broadcast_to(np.asarray(x, dtype=np.float64), k) for x in (a, b, w, a_hat)]
    student, R = aligned_student(task, *start, n_rec=network.n_rec)
    if isinstance(getattr(rule, "feedback", None), str) and rule.feedback_matrix(1, 1, 0) is not None:
        rule = replace(rule, feedback=R)  # type: ignore[call-arg]
    precisions = [Precision.preset(name) for name in presets] or [own]
    return [
        simulate(student, task, rule, precision, training=training, seed=seed, progress=progress)
        for precision in precisions
    ]


RULES: Mapping[str, Rule] = {
    "rflo": RFLO(decay=0.5, storage="dense"),
    "tbptt": TruncatedBPTT(1),
    "eprop": EProp(),
    "eprop-random": EProp(feedback="random"),
    "bptt": BPTT(),
}
"""Rules beside each other, on a student that is not aligned."""


def free_runs(names: Sequence[str] = tuple(RULES), *, epochs: int = 4, progress: bool = False) -> list[Run]:
    """Run several rules from one random student of one teacher made of two modes in rotated bases.

    Parameters
    ----------
    names : sequence of str
        Keys of :data:`RULES`.
    epochs : int
        Passes over 120 sequences of 20 steps.
    progress : bool
        Show progress on stderr.
    """
    from neurolrnn.simulation import simulate

    task = tasks.load(
        "teacher-student", a_star=[1.2, 0.9], b_star=[1.0, -1.1], w_star=[0.7, -0.5], n_in=3, n_rec=4, n_out=2,
        rotate=True, sequences=120, steps=20, seed=3,
    )  # fmt: skip
    net = Network.random(3, 16, 2, spectral_radius=0.5, input_scale=0.3, output_scale=0.1, seed=1)
    runs = []
    for name in names:
        rule = RULES[name]
        # An episode's update is the sum over 5 sequences of 20 steps, so that all rules move about as far.
        training = (
            Training(learning_rate=0.001, epochs=epochs)
            if rule.online
            else Training(learning_rate=0.001, update="episode", batch=5, epochs=5 * epochs)
        )
        runs.append(simulate(net, task, rule, Precision.float64(), training=training, progress=progress))
    return runs
