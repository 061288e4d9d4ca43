"""How low does the loss get with F fraction bits? The theory's answer beside runs of the fixed-point kernels.

    python examples/loss_floor.py                     # writes docs/pictures/loss_floor.png, about a minute
    python examples/loss_floor.py --bits 8 10 --teachers 1 --picture other.png

One unit learns the impulse response c w*^t of a teacher. The impulse (1, 0, 0, ...) as the one input makes every update
the expected one, without sampling, so what is left of the loss is the weights' rounding and nothing else. States,
errors and traces have 21 fraction bits. docs/rounding.md explains the picture.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import neurolrnn as nl
from neurolrnn.tables import markdown_table
from neurolrnn.tasks import Sequences, Task
from neurolrnn.theory.rounding import Floor, loss_floor

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "loss_floor.png"
STEPS, COPIES = 24, 100
RATE = 1 / 16
START = (0.75, 0.25, 0.75)  # A, W, B: on every grid
C = 1.03
ROUNDINGS = {"nearest": ("#c44e1b", "o"), "stochastic": ("#1f5fa8", "s")}


class Learner(NamedTuple):
    """A rule, as the kernels and as the theory know it."""

    title: str
    rule: nl.Rule
    name: str
    options: dict[str, Any]


LEARNERS = (
    Learner(
        "RFLO", nl.RFLO(storage="dense", feedback=np.array([[1.0]]), decay=0.5), "rflo",
        {"feedback": 1.0, "decay": 0.5},
    ),
    Learner("truncated BPTT(1)", nl.TruncatedBPTT(1), "tbptt", {"steps": 1}),
)  # fmt: skip


def teachers(count: int) -> list[float]:
    """Return some w*, all at other places between two points of a grid."""
    return [0.5 + 0.02 * ((k + 1) * 0.618034 % 1.0) for k in range(count)]


def learn(rule: nl.Rule, w_star: float, precision: nl.Precision, updates: int, seed: int = 0) -> tuple[float, float]:
    """Return the loss, averaged over the last two thirds of a run, and the read-out weight at its end."""
    x = np.zeros((COPIES, STEPS, 1))
    x[:, 0] = 1.0
    target = C * w_star ** np.arange(STEPS)
    task = Task("impulse", Sequences.from_arrays(x, np.tile(target[:, np.newaxis], (COPIES, 1, 1))))
    a, w, b = START
    epochs = max(updates // COPIES, 3)
    net = nl.Network(np.array([[a]]), np.array([[w]]), np.array([[b]]))
    run = nl.simulate(
        net, task, rule, precision, RATE, "episode", epochs=epochs, shuffle=False, records=epochs, seed=seed,
        progress=False,
    )  # fmt: skip
    return float(run.loss[epochs // 3 :].mean()) * STEPS, float(run.network.A[0, 0])


def fixed(frac_bits: int, rounding: str) -> nl.Precision:
    """Return weights of that many fraction bits, and everything else fine."""
    return nl.Precision(
        weight=f"s2.{frac_bits}", feedback="s2.14", state="s2.21", error="s2.21", update_rounding=rounding
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run, print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, nargs="+", default=list(range(4, 15)), help="fraction bits of the weights")
    parser.add_argument("--teachers", type=int, default=6, help="runs per point")
    parser.add_argument("--updates", type=int, default=3000, help="updates per run")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where it goes")
    args = parser.parse_args(argv)
    places = teachers(args.teachers)
    found: dict[tuple[str, str, int], tuple[Floor, list[float]]] = {}
    real: dict[str, float] = {}
    for learner in LEARNERS:
        # The float run tells the loss without rounding, and the read-out at which learning ends.
        real[learner.title], s = learn(learner.rule, places[0], nl.Precision.float32(), 9000)
        for rounding in ROUNDINGS:
            for F in args.bits:
                floor = loss_floor(learner.name, s, C, 0.51, RATE, F, rounding, **learner.options)
                runs = [learn(learner.rule, w, fixed(F, rounding), args.updates, k)[0] for k, w in enumerate(places)]
                found[learner.title, rounding, F] = floor, runs
    print(table(found, args.bits))
    print(f"\nfloat32: {', '.join(f'{title} {loss:.1e}' for title, loss in real.items())}")
    draw(found, real, args.bits, args.picture)
    print(f"written: {args.picture}", file=sys.stderr)


def table(found: dict[tuple[str, str, int], tuple[Floor, list[float]]], bits: Sequence[int]) -> str:
    """Return predicted and simulated losses as markdown; predictions in brackets are not valid."""
    rows = []
    for F in bits:
        row = [str(F)]
        for learner in LEARNERS:
            for rounding in ROUNDINGS:
                floor, runs = found[learner.title, rounding, F]
                simulated = max(runs) if rounding == "nearest" else float(np.mean(runs))
                row += [f"{floor.loss:.1e}" if floor.valid else f"({floor.loss:.1e})", f"{simulated:.1e}"]
        rows.append(row)
    header = ["F"]
    for learner in LEARNERS:
        header += [f"{learner.title}, nearest: bound", "largest", "stochastic: mean", "simulated"]
    return markdown_table(rows, header, "r" * len(header))


def draw(
    found: dict[tuple[str, str, int], tuple[Floor, list[float]]], real: dict[str, float], bits: Sequence[int],
    target: Path,
) -> None:  # fmt: skip
    """Draw one panel per rule."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
    j = np.arange(STEPS)
    a, w, b = START
    before = 0.5 * float(((a * b * w**j - C * 0.51**j) ** 2).sum())
    for axis, learner in zip(axes, LEARNERS, strict=True):
        for rounding, (colour, marker) in ROUNDINGS.items():
            floors = [found[learner.title, rounding, F][0] for F in bits]
            losses = np.array([f.loss for f in floors])
            valid = np.array([f.valid for f in floors])
            label = {"nearest": "upper bound", "stochastic": "mean"}[rounding]
            axis.plot(bits, losses, ":", color=colour, lw=1.3)
            axis.plot(
                bits, np.where(valid, losses, np.nan), "-", color=colour, lw=1.8, label=f"{rounding}: theory, {label}"
            )
            runs = np.array([found[learner.title, rounding, F][1] for F in bits])
            for column in runs.T:
                axis.plot(bits, column, marker, color=colour, ms=3, alpha=0.35, mew=0)
            axis.plot(
                bits, runs.mean(axis=1), marker, color=colour, ms=6.5, mfc="white", mew=1.6,
                label=f"{rounding}: kernels, mean of {runs.shape[1]}",
            )  # fmt: skip
        axis.axhline(before, color="0.6", lw=1)
        axis.text(max(bits), before * 1.4, "before learning", color="0.45", ha="right", va="bottom", fontsize=9)
        axis.axhline(real[learner.title], color="0.2", lw=1, ls="--")
        axis.text(
            max(bits), real[learner.title] * 1.5, "float32", color="0.2", ha="right", va="bottom", fontsize=9
        )  # fmt: skip
        axis.set(title=learner.title, xlabel="fraction bits F of the weights", yscale="log", xticks=list(bits))
        axis.grid(axis="y", color="0.92")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("loss left after learning")
    axes[0].set_ylim(min(real.values()) / 8, 20.0)
    axes[1].legend(loc="lower left", bbox_to_anchor=(0.0, 0.09), fontsize=8.5, frameon=False)
    figure.suptitle(
        f"What rounding leaves of the loss (η = 1/{round(1 / RATE)}; dotted: theory outside its range)", fontsize=11
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
