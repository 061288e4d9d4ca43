"""Where a quantised update points: beside the update in floating point, and beside the exact gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import Divergence, InputError, choose, positive_integer
from neurolrnn.experiment import Experiment
from neurolrnn.gradients import Gradient, angle_degrees, gradient
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RFLO, Rule
from neurolrnn.simulation import simulate
from neurolrnn.tables import markdown_table, text_table
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.training import GROUPS, Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = (*GROUPS, "all")


@dataclass(frozen=True, eq=False)
class UpdateAngles:
    """Angles of updates along a run, in degrees; result of :func:`update_angles`.

    Attributes
    ----------
    names : tuple of str
        Precisions that were compared.
    steps : (points,)
        Steps of the float32 run at whose weights they were.
    to_float, to_bptt : dict of str to (precisions, points, parts)
        Mean angle of the update to that of the same rule in float64, and to the descent of BPTT's gradient; per part
        ``"A"``, ``"W"``, ``"B"`` and ``"all"``. NaN where the update is 0 altogether.
    float_to_bptt : (points, parts)
        The rule's own angle to BPTT, in float64.
    still : (precisions, points, parts)
        Share of the episodes whose update is 0 altogether: every update died, and there is no angle.
    episodes : int
        Sequences, each from the same weights, over which these are means.
    """

    names: tuple[str, ...]
    steps: NDArray[np.float64]
    to_float: NDArray[np.float64]
    to_bptt: NDArray[np.float64]
    float_to_bptt: NDArray[np.float64]
    still: NDArray[np.float64]
    episodes: int

    def table(self, part: str = "all", style: Literal["text", "markdown"] = "text") -> str:
        """Return one line per precision and point.

        Parameters
        ----------
        part : str
            ``"A"``, ``"W"``, ``"B"`` or ``"all"``.
        style : str
            ``"text"`` or ``"markdown"``.
        """
        k = PARTS.index(choose("part", part, PARTS))
        make = markdown_table if choose("style", style, ("text", "markdown")) == "markdown" else text_table
        rows = []
        for i, name in enumerate(self.names):
            for p, step in enumerate(self.steps):
                rows.append([name, f"{step:.0f}", _degrees(self.to_float[i, p, k]), _degrees(self.to_bptt[i, p, k]),
                             _degrees(self.float_to_bptt[p, k]), f"{100 * self.still[i, p, k]:.0f} %"])  # fmt: skip
        header = ["precision", "at step", "to float", "to BPTT", "float to BPTT", "no update"]
        return make(rows, header, "lrrrrr")

    def to_dict(self) -> dict[str, object]:
        """Return all numbers as plain data; what is not defined is None."""

        def plain(x: Any) -> Any:
            return [plain(v) for v in x] if isinstance(x, list) else None if math.isnan(x) else x

        tables = ("to_float", "to_bptt", "float_to_bptt", "still")
        return {"precisions": list(self.names), "steps": self.steps.tolist(), "parts": list(PARTS),
                "episodes": self.episodes, **{k: plain(getattr(self, k).tolist()) for k in tables}}  # fmt: skip

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the angles along the run; see :func:`neurolrnn.profiles.cost_pictures.plot_angles`."""
        from neurolrnn.profiles.cost_pictures import plot_angles

        return plot_angles(self, path)


def _degrees(angle: float) -> str:
    return "-" if math.isnan(angle) else f"{angle:.1f}°"


def update_angles(
    experiment: Experiment,
    precisions: Sequence[Precision] | None = None,
    *,
    points: int = 4,
    episodes: int = 16,
) -> UpdateAngles:
    """Compare what a rule does to the weights in an episode, quantised, with what it does in real numbers.

    Parameters
    ----------
    experiment : Experiment
        Trained once in float32; its weights at the start and along the way are where updates are compared.
    precisions : sequence of Precision, optional
        In fixed point; default the experiment's own.
    points : int
        Points along the run, the start included.
    episodes : int
        Training sequences at each point, each of them learned from the same weights; taken evenly from all.

    Returns
    -------
    UpdateAngles

    Raises
    ------
    InputError
        If a precision is floating point or not possible with the rule, or the float32 run diverges.

    Notes
    -----
    At each point the rule learns one sequence, in float64, and quantised from the same weights rounded to their grid.
    The changes of the weights are compared, so everything is in it: the rounding of weights, states, traces and errors
    as well as that of the updates. Hidden weights are the ones that are looked at where there
    are some. Factored storage starts with factors of 0 on top of the weights at that point. The descent of BPTT is its
    gradient of the sequence times the learning rates.
    """
    chosen = [experiment.precision] if precisions is None else list(precisions)
    for one in chosen:
        if not one.is_fixed:
            raise InputError(
                f"precision {one.name!r} is not fixed point; give formats whose updates are to be compared"
            )
    _, task, rule, _, training, seed = experiment.build()
    count = min(positive_integer("episodes", episodes), len(task.train))
    networks, steps = _along(experiment, positive_integer("points", points))
    shape = (len(chosen), len(networks), count, len(PARTS))
    to_float, to_bptt, still = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    own = np.full((len(networks), count, len(PARTS)), np.nan)
    once = replace(training, epochs=1, shuffle=False, records=1, ranges=False, batch=1)
    places = np.linspace(0, len(task.train) - 1, count).astype(int)
    given = replace(rule, basis="given") if isinstance(rule, RFLO) else rule
    for p, at in enumerate(networks):
        for e, place in enumerate(places):
            single = _one(task, int(place))
            exact = gradient(BPTT(), at, single.train, loss=task.loss, loss_steps=training.loss_steps)
            descent = {g: -training.rates[g] * exact[g] for g in GROUPS}
            real = _change(at, single, given, Precision.float64(), once, seed)
            own[p, e] = _angles(real, descent)
            for i, precision in enumerate(chosen):
                moved = _change(_rounded(at, precision), single, given, precision, once, seed)
                to_float[i, p, e], to_bptt[i, p, e] = _angles(moved, real), _angles(moved, descent)
                still[i, p, e] = [not _vector(moved, part).any() for part in PARTS]
    names = tuple(_names(chosen))
    return UpdateAngles(names, np.array(steps, np.float64), _mean(to_float, 2), _mean(to_bptt, 2), _mean(own, 1),
                        still.mean(axis=2), count)  # fmt: skip


def _mean(x: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    seen = np.isfinite(x)
    total = np.where(seen, x, 0.0).sum(axis=axis)
    out = np.full(total.shape, np.nan)
    np.divide(total, seen.sum(axis=axis), out=out, where=seen.any(axis=axis))
    return out


def _names(precisions: Sequence[Precision]) -> list[str]:
    names = [p.name for p in precisions]
    if len(set(names)) == len(names):
        return names
    hidden = [f", hidden {p.hidden}" if p.hidden else "" for p in precisions]
    return [
        f"{p.landing('weight').format} {p.update_rounding or p.rounding}{fine}"
        for p, fine in zip(precisions, hidden, strict=True)
    ]


def _along(experiment: Experiment, points: int) -> tuple[list[Network], list[int]]:
    net, task, rule, _, training, seed = experiment.build()
    networks, steps = [net], [0]
    run = None
    total = None
    for k in range(1, points):
        stop = 1 if total is None else round(total * k / points)
        try:
            run = simulate(net, task, rule, Precision.float32(), training=training, seed=seed, progress=False,
                           resume=run, stop_at=stop)  # fmt: skip
            if total is None:
                total = run.position["total_steps"]
                run = simulate(net, task, rule, Precision.float32(), training=training, seed=seed, progress=False,
                               resume=run, stop_at=round(total * k / points))  # fmt: skip
        except Divergence as error:
            raise InputError(
                f"{experiment.where}: float32 diverges, so there is nothing to compare with: {error}"
            ) from None
        networks.append(run.network)
        steps.append(run.position["step"])
    return networks, steps


def _one(task: Task, place: int) -> Task:
    data = task.train
    a, b = int(data.starts[place]), int(data.starts[place + 1])
    part = Sequences(data.inputs[a:b], data.targets[a:b], np.array([0, b - a]), data.mask[a:b])
    return Task(task.name, part, loss=task.loss)


def _rounded(net: Network, precision: Precision) -> Network:
    def landed(group: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        form = precision.landing(group).format
        return form.decode(form.encode(values))

    return net.replace(A=landed("A", net.A), W=landed("W", net.W), B=landed("B", net.B))


def _change(net: Network, task: Task, rule: Rule, precision: Precision, training: Training, seed: int) -> Gradient:
    """Return what one sequence changes in A, W and B; in hidden weights where there are some."""
    try:
        run = simulate(net, task, rule, precision, training=training, seed=seed, progress=False)
    except Divergence as error:
        run = error.run
    change = {g: getattr(run.network, g) - getattr(run.initial, g) for g in GROUPS}
    for group in GROUPS:
        fine = precision.hidden_format(group) if precision.is_fixed else None
        codes = run.state.get(f"weights.hidden_{group}")
        if fine is None or codes is None or not codes.size:
            continue
        values = fine.decode(codes)
        factored = isinstance(rule, RFLO) and rule.storage == "factored" and group in "WB"
        if factored:
            R = precision.landing("feedback").format
            assert run.feedback is not None
            change[group] = R.decode(R.encode(run.feedback)).T @ values
        else:
            change[group] = (values if group == "A" else values.T) - getattr(run.initial, group)
    return change


def _vector(update: Gradient, part: str) -> NDArray[np.float64]:
    return np.concatenate([update[g].ravel() for g in (GROUPS if part == "all" else (part,))])


def _angles(a: Gradient, b: Gradient) -> list[float]:
    return [angle_degrees(_vector(a, part), _vector(b, part)) for part in PARTS]
