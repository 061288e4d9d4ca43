"""Subjects of ``neurolrnn theory`` about runs: modes, alignment, spectra."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from neurolrnn.cli.parts import tell
from neurolrnn.cli.theory_subject import picture_target, report, subject
from neurolrnn.tables import text_table

if TYPE_CHECKING:
    from neurolrnn.run import Run


def _runs_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="*", metavar="RUN.npz", help="runs saved by simulate; default: small ones made now"
    )


def _load(paths: Sequence[str], progress: bool) -> list[Run]:
    from neurolrnn.run import Run
    from neurolrnn.theory_examples import free_runs

    if paths:
        return [Run.load(path) for path in paths]
    tell("no run given: a few small ones are made (the first time, their kernels are compiled)")
    return free_runs(progress=progress)


def add_modes(subparsers: Any) -> None:
    """Add ``neurolrnn theory modes``."""
    parser = subject(
        subparsers, "modes", _modes, "the mode equations beside runs of an aligned student",
        "Draw the modes of runs over what the mode equations predict, with both losses and the largest deviation. "
        "Without a file a small built-in experiment is run in float64 and int16. With an experiment file its task, "
        "rule, training and precision are run with an aligned student in place of the drawn network, because the "
        "equations hold for such; with run files nothing is run.",
        ["modes", "modes experiment.toml --precision float64 int8", "modes run.npz -o modes.png", "modes --json"],
    )  # fmt: skip
    parser.add_argument("files", nargs="*", metavar="EXPERIMENT.toml|RUN.npz", help="one experiment, or runs")
    parser.add_argument(
        "--precision", nargs="+", default=[], metavar="PRESET", help="precisions to run it in, one by one"
    )
    parser.add_argument("--a", type=float, default=0.2, help="the student's a at the start (default 0.2)")
    parser.add_argument("--b", type=float, help="its b (default 0.2 with the sign of a* b*)")
    parser.add_argument("--w", type=float, default=0.1, help="its w (default 0.1)")
    parser.add_argument("--a-hat", type=float, default=1.0, help="the mode of R, where feedback is random (default 1)")


def _modes(args: argparse.Namespace) -> int:
    from neurolrnn.experiment import Experiment
    from neurolrnn.run import Run
    from neurolrnn.theory.run_modes import deviation_of, predict_modes
    from neurolrnn.theory_examples import aligned_runs
    from neurolrnn.theory_plots import plot_modes, run_titles

    target = picture_target(args)
    if args.files and not args.files[0].endswith(".toml"):
        runs = [Run.load(path) for path in args.files]
    else:
        if not args.files:
            tell("no file given: a small experiment is run (the first time, its kernels are compiled)")
        experiment = Experiment.load(args.files[0]) if args.files else None
        runs = aligned_runs(
            experiment, args.precision, a=args.a, b=args.b, w=args.w, a_hat=args.a_hat, progress=not args.json
        )
    found = [predict_modes(run) for run in runs]
    deviations = [deviation_of(prediction) for prediction in found]
    if target is not None:
        plot_modes(runs, target)
    titles = run_titles(runs)
    numbers = ("a", "b", "w", "loss", "off_diagonal")
    text = "largest deviation of a run from its mode equations\n\n" + text_table(
        [
            (title, *(f"{getattr(d, k):.3g}" for k in numbers), f"{d.variable} of mode {d.mode}, step {d.step:,}")
            for title, d in zip(titles, deviations, strict=True)
        ],
        ["run", "a", "b", "w", "loss", "off the modes", "largest"], "lrrrrr",
    )  # fmt: skip
    data = [
        {
            "run": title, **asdict(d), "step": prediction.step.tolist(), "step_of_largest": d.step,
            "simulated": {k: v.tolist() for k, v in prediction.simulated.items()},
            "predicted": {k: v.tolist() for k, v in prediction.predicted.items()},
            "losses": {"simulated": prediction.loss.tolist(), "predicted": prediction.predicted_loss.tolist()},
        }
        for title, d, prediction in zip(titles, deviations, found, strict=True)
    ]  # fmt: skip
    return report(args, {"runs": data}, text, target)


def add_alignment(subparsers: Any) -> None:
    """Add ``neurolrnn theory alignment``."""
    parser = subject(
        subparsers, "alignment", _alignment, "how student, teacher and feedback line up in runs",
        "Draw the cosine of A and R over time, and how diagonal the student is in the teacher's bases. Only the cosine "
        "says something once learning has ended: the shares tend to the teacher's own as A B tends to A* B*.",
        ["alignment", "alignment rflo.npz eprop.npz -o alignment.png"],
    )  # fmt: skip
    _runs_argument(parser)


def _alignment(args: argparse.Namespace) -> int:
    from neurolrnn.theory_plots import alignment_curves, plot_alignment, run_titles

    target = picture_target(args)
    runs = _load(args.runs, not args.json)
    curves = [alignment_curves(run) for run in runs]
    if target is not None:
        plot_alignment(runs, target)
    rows = [
        (title, key, f"{curve[0]:.3f}", f"{curve[-1]:.3f}")
        for title, found in zip(run_titles(runs), curves, strict=True)
        for key, curve in found.items()
    ]
    text = text_table(rows, ["run", "measure", "first", "last"], "llrr")
    text += "\n\nat the end only feedback_cosine says something: the others tend to the teacher's own values"
    data = [
        {"run": title, "step": run.records["step"].tolist(), **{k: v.tolist() for k, v in found.items()}}
        for title, run, found in zip(run_titles(runs), runs, curves, strict=True)
    ]
    return report(args, {"runs": data}, text, target)


def add_spectra(subparsers: Any) -> None:
    """Add ``neurolrnn theory spectra``."""
    parser = subject(
        subparsers, "spectra", _spectra, "singular values of what runs have learned, with the bound",
        "Draw the singular values of the change of W and B with the bound of each rule, and print the ranks.",
        ["spectra", "spectra rflo.npz bptt.npz -o spectra.png"],
    )  # fmt: skip
    _runs_argument(parser)


def _spectra(args: argparse.Namespace) -> int:
    from neurolrnn.theory.rank import rank_report
    from neurolrnn.theory_plots import plot_spectra, run_titles

    target = picture_target(args)
    runs = _load(args.runs, not args.json)
    if target is not None:
        plot_spectra(runs, target)
    found = [(title, rank_report(run)) for title, run in zip(run_titles(runs), runs, strict=True)]
    text = text_table(
        [
            (title, r.bound.bound if r.bound.informative else "none", r.observed, f"{r.spectrum.effective:.2f}",
             f"{r.spectrum.participation:.2f}", " ".join(f"{v:.2g}" for v in r.spectrum.values[:5]))
            for title, r in found
        ],
        ["run", "bound", "rank", "effective rank", "participation ratio", "singular values of [ΔW | ΔB]"], "lrrrr",
    )  # fmt: skip
    data = [
        {
            "run": title, "bound": r.bound.bound, "informative": r.bound.informative, "reason": r.bound.reason,
            "observed": r.observed, "exact": r.exact, "effective_rank": r.spectrum.effective,
            "participation_ratio": r.spectrum.participation, "values": r.spectrum.values.tolist(),
            "recurrent": r.spectrum.recurrent.tolist(),
        }
        for title, r in found
    ]  # fmt: skip
    return report(args, {"runs": data}, text, target)
