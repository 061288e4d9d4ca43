"""Subjects of ``neurolrnn theory`` that compare what rules learn: ranks of variants, angles between updates."""

from __future__ import annotations

import argparse
from typing import Any

from neurolrnn.cli.parts import FAILED, tell
from neurolrnn.cli.theory_subject import picture_target, report, subject


def add_rank_variants(subparsers: Any) -> None:
    """Add ``neurolrnn theory rank-variants``."""
    parser = subject(
        subparsers, "rank-variants", _rank_variants, "what keeps the rank of RFLO's learning low, and what does not",
        "Make a run of every variant that the rank theorem speaks of, momentum, decay, clips, optimisers, leaks, other "
        "rules and number formats, and print the rank of what was learned beside its bound.",
        ["rank-variants", "rank-variants --n-rec 16 --n-out 1 2 4 --json"], picture=False,
    )  # fmt: skip
    parser.add_argument("--n-rec", type=int, default=24, help="recurrent units (default 24)")
    parser.add_argument("--n-in", type=int, default=5, help="inputs (default 5)")
    parser.add_argument("--n-out", type=int, nargs="+", default=[2], help="outputs, one table column each (default 2)")
    parser.add_argument("--steps", type=int, default=600, help="steps of each run (default 600)")
    parser.add_argument("--seed", type=int, default=0, help="of network, data and feedback (default 0)")


def _rank_variants(args: argparse.Namespace) -> int:
    from neurolrnn.rank_runs import rank_table, rank_variants

    tell("some forty small runs are made (the first time, their kernels are compiled)")
    tables = [rank_variants(args.n_rec, k, args.steps, args.seed, n_in=args.n_in) for k in args.n_out]
    found = [variant for table in tables for variant in table]
    code = report(args, {"variants": [variant.to_dict() for variant in found]}, rank_table(*tables))
    return code if all(variant.holds for variant in found) else FAILED


def add_updates(subparsers: Any) -> None:
    """Add ``neurolrnn theory updates``."""
    parser = subject(
        subparsers, "updates", _updates, "angles between the updates of all rules, and to the exact gradient",
        "Calculate the update of every rule on the same data with the weights at rest; print and draw how far apart "
        "they point. Without a file the built-in experiment's network and task are taken; an experiment file gives its "
        "own; a run gives its network at the start and at the end.",
        ["updates", "updates run.npz --part B", "updates experiment.toml --rules rflo tbptt eprop --precision int8"],
    )  # fmt: skip
    parser.add_argument("file", nargs="?", metavar="EXPERIMENT.toml|RUN.npz", help="where network and data come from")
    parser.add_argument("--rules", nargs="+", metavar="RULE", help="names of rules (default: all, with usual options)")
    parser.add_argument("--precision", metavar="PRESET", help="calculate them in this precision too, such as int8")
    parser.add_argument("--part", default="W", choices=("A", "W", "B", "all"), help="of the cosines (default W)")
    parser.add_argument("--sequences", type=int, help="take only so many training sequences")


def _updates(args: argparse.Namespace) -> int:
    from neurolrnn.experiment import Experiment
    from neurolrnn.network import Network
    from neurolrnn.precision import Precision
    from neurolrnn.run import Run
    from neurolrnn.update_alignment import alignment

    target = picture_target(args)
    start: Network | Run
    if args.file and not args.file.endswith(".toml"):
        start = Run.load(args.file)
        experiment = Experiment.from_run(start, where=args.file)
        _, task, _, _, training, seed = experiment.build()
    else:
        experiment = Experiment.load(args.file) if args.file else Experiment.builtin()
        start, task, _, _, training, seed = experiment.build()
    found = alignment(
        start, task, args.rules, precision=Precision.preset(args.precision) if args.precision else None, seed=seed,
        sequences=args.sequences, loss_steps=training.loss_steps,
    )  # fmt: skip
    if target is not None:
        found.plot(target)
    parts = []
    for k, point in enumerate(found.points):
        parts.append(f"{point}, {found.steps:,} steps of {task.name}\n\n{found.table(args.part, point=k)}")
    return report(args, found.to_dict(), "\n\n".join(parts), target)
