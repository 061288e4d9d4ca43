"""Recurrent learning with read-out plasticity only: memory and accuracy in the fixed point of a chip.

    python examples/chip_learning.py                 # trains, and writes results, tables and picture: some minutes
    python examples/chip_learning.py --tables        # tables and picture from the results that are there

Japanese Vowels with weights of 8 bits, activity of 16 and updates rounded stochastically (preset int8). Every learner
gets its learning rates from the same small search, in this arithmetic, on training utterances held out. Memory
is counted by ``neurolrnn.demand_of``, and what chips offer is read from their sheets. docs/chip_learning.md holds the
tables.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import neurolrnn as nl
from neurolrnn.chips.check import check_demand
from neurolrnn.chips.demands import demand_of
from neurolrnn.tables import markdown_table
from neurolrnn_hardware.catalogue import names
from neurolrnn_hardware.demand import Demand

ROOT = Path(__file__).parents[1]
EXPERIMENT = ROOT / "examples" / "quantised-vowels.toml"
DOCS = ROOT / "docs" / "chip_learning.md"
RESULTS = ROOT / "docs" / "chip_learning.json"
PICTURE = ROOT / "docs" / "pictures" / "chip_learning.png"
SIZES, SEEDS = (16, 64), 5
EPOCHS = 30
HELD_OUT, SEARCH_SEEDS = 9, (100, 101, 102, 103)
"""Training utterances of each speaker, of 30, on which rates are judged; seeds of networks that are not used again."""
SEARCH_EPOCHS = round(EPOCHS * 30 / (30 - HELD_OUT))
"""As many steps as a run over all utterances makes, so that a rate that breaks late breaks in the search."""
READOUT_RATES, RATIOS = (0.03, 0.1), (0.03, 0.1, 0.3)


@dataclass(frozen=True)
class Learner:
    """A row of the tables."""

    title: str
    settings: tuple[str, ...]
    readout_rates: tuple[float, ...] = READOUT_RATES
    ratios: tuple[float, ...] = RATIOS

    def rates(self) -> list[tuple[float, float]]:
        """Return the pairs that are tried, of A and of W and B."""
        return [(r, float(f"{r * ratio:.3g}")) for r in self.readout_rates for ratio in self.ratios]

    def experiment(self, n: int, rates: tuple[float, float], seed: int, search: bool = False) -> nl.Experiment:
        """Return one run: over all training utterances, or without those that are held out for the search."""
        own = [
            f"network.n_rec={n}", f"training.learning_rate={{A = {rates[0]}, W = {rates[1]}, B = {rates[1]}}}",
            f"training.epochs={SEARCH_EPOCHS if search else EPOCHS}", f"task.validation={HELD_OUT if search else 0}",
            f"task.seed={seed if search else 0}", f"seed={seed}",
        ]  # fmt: skip
        return nl.Experiment.load(EXPERIMENT, [*self.settings, *own])


EPROP = ("rule.name=eprop",)
LEARNERS = (
    Learner("reservoir (only A learns)", ("rule.storage=dense", 'training.learn=["A"]'), (0.03, 0.1, 0.3, 1.0), (0.0,)),
    Learner("RFLO dense", ("rule.storage=dense",)),
    Learner("RFLO factored", ()),
    Learner("RFLO factored, orthogonal W₀", ("network.kind=orthogonal",)),
    Learner("RFLO factored, blocks W₀", ("network.kind=block",)),
    Learner("e-prop, random feedback", (*EPROP, "rule.feedback=random")),
    Learner("e-prop, symmetric feedback", (*EPROP, "rule.feedback=symmetric")),
)
COLOURS = ("#777777", "#1f5fa8", "#c44e1b", "#e0a13c", "#8a1c5c", "#3a8f5c", "#6a4c93")
JUDGED = ("RFLO dense", "RFLO factored", "e-prop, random feedback")
"""Learners whose reads are compared with what chips offer."""


# --- measure


def accuracy(experiment: nl.Experiment) -> float | None:
    """Train once and return the share of test utterances that are recognised; None if learning diverged."""
    try:
        return experiment.simulate(progress=False).metrics["test_accuracy"]
    except nl.Divergence:
        return None


def measure(learner: Learner, n: int, seeds: int, pool: ThreadPoolExecutor) -> dict[str, Any]:
    """Choose rates on held-out utterances, then train on all of them."""
    grid = learner.rates()
    jobs = [learner.experiment(n, rates, seed, search=True) for rates in grid for seed in SEARCH_SEEDS]
    found = [x or 0.0 for x in pool.map(accuracy, jobs)]
    means = [statistics.mean(found[k : k + len(SEARCH_SEEDS)]) for k in range(0, len(found), len(SEARCH_SEEDS))]
    rates = grid[means.index(max(means))]
    reached = list(pool.map(accuracy, [learner.experiment(n, rates, seed) for seed in range(seeds)]))
    print(f"{learner.title}, n = {n}: {reached} with rates {rates} (held out: {max(means):.3f})", file=sys.stderr)
    return {"title": learner.title, "n": n, "rates": list(rates), "accuracies": reached}


# --- count


def demand(learner: Learner, n: int) -> Demand:
    """Count what a learner asks of a chip."""
    return demand_of(learner.experiment(n, learner.rates()[0], 0))


def counts(d: Demand) -> dict[str, int]:
    """Return the figures of the table of memory."""
    return {
        "fixed_words": d.words(role="weight", plastic=False),
        "recurrent_words": d.words(role="weight", owner="recurrent"),
        "plastic_words": d.words(role="weight", plastic=True),
        "trace_words": d.words(role="trace"),
        "bits": d.bits(),
        "random_bits": d.arithmetic.random_bits_per_step,
        "multiplications": d.arithmetic.multiplications_per_step,
    }


LEARNING_LIMITS = {
    "learning.available": "no learning on the chip",
    "learning.plastic": "recurrent synapses do not learn",
    "learning.reads": "reads",
    "learning.third_factor": "a signal for each neuron",
    "learning.signal_through": "feedback goes through the read-out only",
    "learning.form": "form of the update",
    "learning.weight_bits": "width of weights that learn",
}
"""Limits of the learning itself, not of size or formats, with what stands in the way in words."""
READOUT_ONLY = (
    "learning.available=true", "learning.plastic=['readout']", "learning.form=sum-of-products",
    "learning.reads=['own weight', 'pre state', 'pre trace', 'post signal']", "learning.third_factor=post-neuron",
)  # fmt: skip
"""A chip of one's own whose engine updates synapses of the read-out, by trace and error, and no others."""


def verdict(learner: Learner, chip: str, assume: Sequence[str] = ()) -> str:
    """Say whether a chip can host the learning, and if not, what stands in the way."""
    experiment = learner.experiment(16, learner.rates()[0], 0)
    # The rule is asked about, so rates are those that every engine has: powers of two.
    tables = experiment.to_dict()
    tables["precision"]["rate_bits"] = 1
    report = check_demand(nl.Experiment.from_dict(tables), demand(learner, 16), chip, assume)
    found = [f for f in report.findings if f.limit in LEARNING_LIMITS]
    if any(f.limit == "learning.available" for f in found):
        found = [f for f in found if f.limit == "learning.available"]
    parts: dict[str, list[str]] = {"no": [], "not known": []}
    for f in found:
        words = f"{LEARNING_LIMITS[f.limit]}: {f.asked}" if f.limit == "learning.reads" else LEARNING_LIMITS[f.limit]
        if f.status == "not known":
            parts["not known"].append("learning on the chip" if f.limit == "learning.available" else words)
        else:
            parts["no"].append(words)
    shown = [f"**{key}** ({', '.join(dict.fromkeys(words))})" for key, words in parts.items() if words]
    return "; ".join(shown) or "yes"


# --- show


def accuracy_text(values: Sequence[float | None]) -> str:
    """Return mean ± standard deviation in percent, and how many runs diverged."""
    kept = [100 * v for v in values if v is not None]
    if not kept:
        return "all diverged"
    spread = f" ± {statistics.stdev(kept):.1f}" if len(kept) > 1 else ""
    lost = len(values) - len(kept)
    return f"{statistics.mean(kept):.1f}{spread}" + (f" ({lost} diverged)" if lost else "")


def memory_table(results: dict[str, Any]) -> str:
    """Return memory beside accuracy."""
    header = [
        "learner", "n", "test accuracy, %", "plastic words", "fixed words", "traces", "bits between steps",
        "random bits a step", "local",
    ]  # fmt: skip
    rows = []
    for cell in results["cells"]:
        c = cell["counts"]
        rows.append(
            [
                cell["title"], cell["n"], accuracy_text(cell["accuracies"]), f"{c['plastic_words']:,}",
                f"{c['fixed_words']:,}", f"{c['trace_words']:,}", f"{c['bits']:,}", f"{c['random_bits']:,}",
                "yes" if cell["local"] else "no",
            ]
        )  # fmt: skip
    return markdown_table(rows, header, "lrrrrrrrl")


def rates_table(results: dict[str, Any]) -> str:
    """Return the learning rates found."""
    sizes = list(dict.fromkeys(cell["n"] for cell in results["cells"]))
    found = {(c["title"], c["n"]): " / ".join(f"{r:g}" for r in c["rates"]) for c in results["cells"]}
    titles = list(dict.fromkeys(title for title, _ in found))
    rows = [[t, *(found[t, n] for n in sizes)] for t in titles]
    return markdown_table(rows, ["learner", *(f"n = {n}" for n in sizes)], "l" + "r" * len(sizes))


def chips_table() -> str:
    """Return what every chip says to the learning."""
    learners = [learner for learner in LEARNERS if learner.title in JUDGED]
    asked: list[tuple[str, str, Sequence[str]]] = [(f"`{chip}`", chip, ()) for chip in names() if chip != "generic"]
    asked.append(("`generic`, with a read-out that learns and nothing else", "generic", READOUT_ONLY))
    rows = [[title, *(verdict(learner, chip, assume) for learner in learners)] for title, chip, assume in asked]
    return markdown_table(rows, ["chip", *(learner.title for learner in learners)])


def between(text: str, name: str, content: str) -> str:
    """Return ``text`` with what stands between the markers of a table replaced."""
    begin, end = f"<!-- {name}: begin, by examples/chip_learning.py -->", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{content}\n{rest[rest.index(end) :]}"


def write(results: dict[str, Any], docs: Path, picture: Path) -> None:
    """Write the tables and draw the picture."""
    text = docs.read_text(encoding="utf-8")
    for name, content in tables(results).items():
        text = between(text, name, content)
    docs.write_text(text, encoding="utf-8")
    draw(results, picture)


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Return every table, by the name of its markers."""
    return {"memory": memory_table(results), "rates": rates_table(results), "chips": chips_table()}


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw accuracy over memory, a colour per learner and a size per n."""
    from neurolrnn.theory_plots import draw as house

    titles = list(dict.fromkeys(cell["title"] for cell in results["cells"]))
    colours = dict(zip(titles, COLOURS, strict=False))
    markers = dict(zip(titles, "xsoDv^P", strict=False))

    sizes = sorted({c["n"] for c in results["cells"]})

    def paint(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        for title in titles:
            cells = [c for c in results["cells"] if c["title"] == title]
            kept = [[100 * a for a in c["accuracies"] if a is not None] for c in cells]
            left.errorbar(
                [c["counts"]["bits"] / 8192 for c in cells], [statistics.mean(k) for k in kept],
                [statistics.stdev(k) if len(k) > 1 else 0.0 for k in kept], color=colours[title],
                marker=markers[title], markersize=6, linewidth=1.0, capsize=3, label=title,
            )  # fmt: skip
        left.set_xscale("log", base=2)
        left.set_xticks([0.5, 1, 2, 4, 8, 16, 32], [f"{k:g}" for k in (0.5, 1, 2, 4, 8, 16, 32)])
        left.set_xlabel("memory between steps in KiB: weights, states, traces")
        left.set_ylabel("test accuracy in %")
        left.legend(loc="lower right", frameon=False)
        left.set_title(f"Japanese Vowels, 8-bit weights, n = {' and '.join(map(str, sizes))}")
        last = {c["title"]: c["counts"]["plastic_words"] for c in results["cells"] if c["n"] == sizes[-1]}
        bars = right.barh(range(len(titles)), [last[t] for t in titles], color=[colours[t] for t in titles])
        right.bar_label(bars, [f"{last[t]:,}" for t in titles], padding=3)
        right.set_xlim(0, 1.2 * max(last.values()))
        right.set_yticks(range(len(titles)), titles)
        right.invert_yaxis()
        right.set_title(f"Weights that learn, n = {sizes[-1]}")

    house((11.0, 4.6), paint, path, "learning on a chip")


def run(sizes: Iterable[int], seeds: int, jobs: int | None) -> dict[str, Any]:
    """Measure everything."""
    cells = []
    accuracy(LEARNERS[0].experiment(4, (0.03, 0.0), 0))  # compile once, before there are threads
    with ThreadPoolExecutor(jobs) as pool:
        for n in sizes:
            for learner in LEARNERS:
                d = demand(learner, n)
                cells.append({**measure(learner, n, seeds, pool), "counts": counts(d), "local": d.locality.is_local})
    return {"precision": "int8", "seeds": seeds, "cells": cells}


def main(argv: Sequence[str] | None = None) -> None:
    """Train, count, and write what docs/chip_learning.md shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="units of the networks")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="networks per cell")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--tables", action="store_true", help="write from the results that are there")
    parser.add_argument("--docs", type=Path, default=DOCS, help="file for the tables")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file of the results")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="file of the picture")
    args = parser.parse_args(argv)
    if args.tables:
        results = json.loads(args.results.read_text(encoding="utf-8"))
    else:
        results = run(args.sizes, args.seeds, args.jobs)
        args.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write(results, args.docs, args.picture)
    print(f"written: {args.docs}, {args.picture}", file=sys.stderr)


if __name__ == "__main__":
    main()
