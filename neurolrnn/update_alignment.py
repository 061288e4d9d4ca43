"""How far apart the updates of learning rules point: every rule on the same data, with the weights at rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, choose, positive_integer
from neurolrnn.gradients import Gradient, angle_degrees, flatten, gradient
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT, make_rule
from neurolrnn.run import Run
from neurolrnn.tables import markdown_table, text_table
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.training import GROUPS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Matrix = NDArray[np.float64]
Point = Network | Run
PARTS = ("all", *GROUPS)
"""What of an update is compared: A, W and B as one vector, or one of them."""
RTRL_WORK = 2e9
"""Multiplications up to which RTRL is among the default rules: some seconds."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Updates of several rules on the same data; result of :func:`alignment`.

    Attributes
    ----------
    names : tuple of str
        The rules, exact BPTT first.
    points : tuple of str
        The networks at which they were compared.
    updates : tuple of dict
        Per point and name the update that was summed over all steps: ``"A"``, ``"W"`` and ``"B"``.
    steps : int
        Steps of the data.
    """

    names: tuple[str, ...]
    points: tuple[str, ...]
    updates: tuple[dict[str, Gradient], ...]
    steps: int

    def vectors(self, part: str = "all", point: int = 0) -> list[Matrix]:
        """Return a part of every update as a vector, in the order of :attr:`names`."""
        choose("part", part, PARTS)
        if not -len(self.points) <= point < len(self.points):
            raise InputError(f"point = {point}; there are {len(self.points)}, counted from 0")
        found = self.updates[point]
        return [flatten(found[name]) if part == "all" else found[name][part].ravel() for name in self.names]

    def cosines(self, part: str = "all", point: int = 0) -> Matrix:
        """Return the cosine between each two updates, (rules, rules); NaN where one is 0."""
        vectors = np.array(self.vectors(part, point))
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        units = np.divide(vectors, norms, out=np.full_like(vectors, np.nan), where=norms > 0.0)
        return np.asarray(np.clip(units @ units.T, -1.0, 1.0))

    def angles(self, part: str = "all", point: int = 0) -> Matrix:
        """Return the angle of every update to BPTT in degrees, (rules,); NaN where one is 0."""
        vectors = self.vectors(part, point)
        return np.array([angle_degrees(v, vectors[0]) for v in vectors])

    def norm_ratios(self, part: str = "all", point: int = 0) -> Matrix:
        """Return the norm of every update over that of BPTT, (rules,); NaN where BPTT is 0."""
        norms = np.array([np.linalg.norm(v) for v in self.vectors(part, point)])
        return norms / norms[0] if norms[0] else np.full_like(norms, np.nan)

    def table(self, part: str = "W", style: Literal["text", "markdown"] = "text", point: int = 0) -> str:
        """Return two tables: angle and size beside BPTT, and the cosines between all rules.

        Parameters
        ----------
        part : str
            What the cosines are of: ``"A"``, ``"W"``, ``"B"`` or ``"all"``.
        style : str
            ``"text"`` or ``"markdown"``.
        point : int
            Which of :attr:`points`.
        """
        choose("style", style, ("text", "markdown"))
        table = markdown_table if style == "markdown" else text_table
        angles = {p: self.angles(p, point) for p in PARTS}
        ratios = {p: self.norm_ratios(p, point) for p in ("W", "B")}
        beside = [
            [name, *(_number(angles[p][k], "{:.1f}°") for p in ("W", "B", "A", "all")),
             *(_number(ratios[p][k], "{:.3g}") for p in ratios)]
            for k, name in enumerate(self.names)
        ]  # fmt: skip
        header = ["beside BPTT", *(f"angle {p}" for p in ("W", "B", "A", "all")), "norm W", "norm B"]
        columns = [str(k + 1) for k in range(len(self.names))]
        between = [
            [f"{k + 1} {name}", *(_number(x, "{:.2f}") for x in row)]
            for k, (name, row) in enumerate(zip(self.names, self.cosines(part, point), strict=True))
        ]
        matrix = table(between, [f"cosine, {part}", *columns], "l" + "r" * len(columns))
        return f"{table(beside, header, 'lrrrrrr')}\n\n{matrix}"

    def __str__(self) -> str:
        return self.table()

    def to_dict(self) -> dict[str, object]:
        """Return all numbers as plain data; what is not defined is None."""

        def plain(values: Matrix) -> Any:
            return [plain(v) for v in values] if values.ndim else float(values) if math.isfinite(values) else None

        points = range(len(self.points))
        return {
            "rules": list(self.names),
            "points": list(self.points),
            "steps": self.steps,
            "angle_to_bptt_degrees": {p: [plain(self.angles(p, k)) for k in points] for p in PARTS},
            "norm_over_bptt": {p: [plain(self.norm_ratios(p, k)) for k in points] for p in PARTS},
            "cosine": {p: [plain(self.cosines(p, k)) for k in points] for p in PARTS},
        }

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the cosines of W and B at the first point and, with more points, the angle to BPTT along them.

        Parameters
        ----------
        path : path, optional
            Where to save the figure; the suffix chooses the format (``.png`` if there is none).

        Returns
        -------
        matplotlib.figure.Figure
        """
        import matplotlib as mpl
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        from neurolrnn import plots

        several = len(self.points) > 1
        with mpl.rc_context(plots.STYLE):
            k = len(self.names)
            size = 2.6 + 0.42 * k
            figure = Figure(figsize=(2 * size + 1.2, size * (1.9 if several else 1.0)), dpi=120)
            figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
            upper: Any
            lower: Any
            upper, lower = figure.subfigures(2, 1) if several else (figure, None)  # type: ignore[misc]
            axes = upper.subplots(1, 2, sharey=True)
            for ax, part in zip(axes, ("W", "B"), strict=True):
                image = _heat(ax, self.cosines(part), self.names)
                ax.set_title(f"Cosine between updates of {part}")
            bar = upper.colorbar(image, ax=list(axes), shrink=0.85)
            bar.outline.set_visible(False)
            if several:
                for ax, part in zip(lower.subplots(1, 2, sharey=True), ("W", "B"), strict=True):
                    _courses(ax, np.array([self.angles(part, i) for i in range(len(self.points))]), self)
                    ax.set_title(f"Angle between update of {part} and BPTT")
            if path is not None:
                plots.save(figure, path, "neurolrnn theory updates")
        return figure


def alignment(
    net: Point | Sequence[Point],
    task: Task | Sequences,
    rules: Sequence[Rule | str] | Mapping[str, Rule] | None = None,
    *,
    precision: Precision | None = None,
    seed: int | None = None,
    sequences: int | None = None,
    loss_steps: str = "all",
    loss: str | None = None,
) -> Alignment:
    """Compare the updates of learning rules on the same data, with all weights at rest.

    Parameters
    ----------
    net : Network, Run, or a sequence of them
        Where to compare. A run stands for its network at the start and at the end; in a sequence, for the one at
        the end: runs of the same experiment with different ``stop_at`` are points along it.
    task : Task or Sequences
        Its training sequences are gone through once.
    rules : sequence of Rule or str, or dict, optional
        Rules, or names in the table of rules; a dict names them as it likes. BPTT is always added, in float64, as
        what the others are measured against. Default: :func:`default_rules`.
    precision : Precision, optional
        Also calculate every rule that has a form in it in this precision, beside float64.
    seed : int, optional
        Seed of random feedback; default that of the run, or 0.
    sequences : int, optional
        Take only so many of the sequences, from the first on.
    loss_steps : str
        ``"all"`` or ``"final"``.
    loss : str, optional
        Default that of the task; squared error for bare sequences.

    Returns
    -------
    Alignment
        Its :meth:`~Alignment.table`, :meth:`~Alignment.plot` and :meth:`~Alignment.to_dict` show angles, cosines and
        norms, of A, W and B together and each by itself.

    Raises
    ------
    InputError
        If sizes do not agree, two rules have the same name, or an output is not finite.

    Notes
    -----
    Each rule is one pass of its compiled kernel over all data that accumulates updates and makes none, so nothing is
    left of the order in which an online learner would have moved. ΔA = Σ ε hᵀ is the same for every rule in real
    arithmetic, so compare W and B. In fixed point the update is the exact sum of products of rounded signals and
    traces, at rounded weights; how such a sum lands on the weights is not part of it, as that depends on the learning
    rate.

    Examples
    --------
    >>> import neurolrnn as nl
    >>> task = nl.tasks.load("teacher-student", n_in=3, n_rec=8, n_out=2)
    >>> net = nl.Network.random(3, 16, 2, spectral_radius=0.5)
    >>> found = nl.alignment(net, task, [nl.TruncatedBPTT(1), nl.RTRL()])
    >>> found.names
    ('BPTT', 'tBPTT(1)', 'RTRL')
    >>> float(found.cosines("W")[0, 2]) > 1 - 1e-12
    True
    """
    points, seed = _points(net), _seed(net, seed)
    data = task.train if isinstance(task, Task) else task
    if loss is None:
        loss = task.loss if isinstance(task, Task) else "squared-error"
    if sequences is not None:
        data = _first(data, positive_integer("sequences", sequences))
    chosen = _named(default_rules(next(iter(points.values())), data.steps) if rules is None else rules)
    options: dict[str, Any] = {"loss": loss, "loss_steps": loss_steps, "seed": seed}
    updates = []
    for network in points.values():
        found = {name: gradient(rule, network, data, **options) for name, rule in chosen.items()}
        if precision is not None:
            for name, rule in chosen.items():
                if not (precision.is_fixed and isinstance(rule, BPTT | RTRL)):
                    found[f"{name}, {precision.name}"] = gradient(rule, network, data, precision=precision, **options)
        updates.append(found)
    return Alignment(tuple(updates[0]), tuple(points), tuple(updates), data.steps)


def default_rules(net: Network, steps: int) -> list[Rule]:
    """Return what :func:`alignment` compares if it is not told.

    BPTT, RTRL (for small networks), truncated BPTT(1) and (5), e-prop and RFLO with symmetric and random feedback,
    RFLO also with ŵ = 0.5 where that is not its default.
    """
    rules: list[Rule] = [BPTT()]
    if net.n_rec**3 * (net.n_rec + net.n_in) * steps <= RTRL_WORK:
        rules.append(RTRL())
    rules += [TruncatedBPTT(1), TruncatedBPTT(5), EProp(), EProp(feedback="random")]
    for decay in (None, 0.5) if net.leak != 0.5 else (None,):
        rules += [RFLO(decay, storage="dense", feedback="symmetric"), RFLO(decay)]
    return rules


def label(rule: Rule) -> str:
    """Return a short name of a rule with the options that tell it from others of its kind."""
    if isinstance(rule, TruncatedBPTT):
        title, usual = f"tBPTT({rule.steps})", "symmetric"
    elif isinstance(rule, EProp):
        title, usual = "e-prop", ""
    else:
        title, usual = rule.title, ""
    feedback = getattr(rule, "feedback", usual)
    shown = [] if isinstance(feedback, str) and feedback == usual else [feedback]
    words = [word if isinstance(word, str) else "R given" for word in shown]
    if isinstance(rule, RFLO) and rule.decay is not None:
        words.append(f"ŵ {rule.decay:g}")
    return f"{title} {', '.join(words)}" if words else title


def _named(rules: Sequence[Rule | str] | Mapping[str, Rule]) -> dict[str, Rule]:
    """Return the rules by name, BPTT first."""
    if isinstance(rules, str | Rule):
        rules = [rules]
    if isinstance(rules, Mapping):
        pairs = [(str(name), rule) for name, rule in rules.items()]
    else:
        made = [make_rule(rule) if isinstance(rule, str) else rule for rule in rules]
        pairs = [(label(rule), rule) for rule in made]
    reference = next(((name, rule) for name, rule in pairs if isinstance(rule, BPTT)), ("BPTT", BPTT()))
    named: dict[str, Rule] = dict([reference])
    for name, rule in pairs:
        if rule is reference[1]:
            continue
        if name in named:
            raise InputError(f"two of the rules are called {name!r}; give a dict that names them")
        named[name] = rule
    return named


def _points(net: Point | Sequence[Point]) -> dict[str, Network]:
    if isinstance(net, Network):
        return {"network": net}
    if isinstance(net, Run):
        return {"start": net.initial, "end": net.network}
    if not isinstance(net, Sequence) or not net or not all(isinstance(p, Network | Run) for p in net):
        raise InputError(f"net is of type {type(net).__name__}; a Network, a Run or a nonempty list of them is needed")
    found: dict[str, Network] = {}
    for k, point in enumerate(net):
        name = f"step {point.position['step']}" if isinstance(point, Run) and "step" in point.position else str(k)
        found[f"{name} ({k})" if name in found else name] = point.network if isinstance(point, Run) else point
    shapes = {(p.A.shape, p.B.shape) for p in found.values()}
    if len(shapes) > 1:
        raise InputError("the networks differ in size; compare rules at one network at a time")
    return found


def _seed(net: Point | Sequence[Point], seed: int | None) -> int:
    if seed is not None:
        return positive_integer("seed", seed, 0)
    points = net if isinstance(net, Sequence) else [net]
    return next((int(p.experiment.get("seed", 0)) for p in points if isinstance(p, Run)), 0)


def _first(data: Sequences, count: int) -> Sequences:
    count = min(count, len(data))
    end = int(data.starts[count])
    labels = None if data.labels is None else data.labels[:count]
    return Sequences(data.inputs[:end], data.targets[:end], data.starts[: count + 1], data.mask[:end], labels)


def _number(value: float, form: str) -> str:
    return form.format(value).replace("-0.00", "0.00") if math.isfinite(value) else "-"


def _heat(ax: Any, cosines: Matrix, names: Sequence[str]) -> Any:
    image = ax.imshow(cosines, cmap="RdBu", vmin=-1.0, vmax=1.0)
    ax.grid(False)
    ticks = range(len(names))
    ax.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(ticks, names)
    for i, j in np.ndindex(cosines.shape):
        ax.text(
            j, i, _number(float(cosines[i, j]), "{:.2f}"), ha="center", va="center", fontsize=7.5,
            color="white" if abs(cosines[i, j]) > 0.65 else "black",
        )  # fmt: skip
    return image


def _courses(ax: Any, angles: Matrix, found: Alignment) -> None:
    lines = ("-", "--", ":", "-.")
    for k, name in enumerate(found.names[1:], 1):
        ax.plot(angles[:, k], lines[(k // 10) % 4], marker="o", markersize=3, color=f"C{k % 10}", label=name)
    ax.axhline(90.0, color="#666666", linewidth=0.8)
    ax.set_xticks(range(len(found.points)), found.points)
    ax.set_ylabel("degrees")
    ax.set_ylim(bottom=0.0)
    ax.legend(fontsize=7.5)
