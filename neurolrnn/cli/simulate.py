"""The verb ``neurolrnn simulate``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from neurolrnn.cli.parts import CODES, FAILED, OK, add_json, print_json, tell
from neurolrnn.errors import Divergence, NeurolrnnError

if TYPE_CHECKING:
    from pathlib import Path

    from neurolrnn.experiment import Experiment
    from neurolrnn.run import Run


def add_simulate(subparsers: Any) -> None:
    """Add ``neurolrnn simulate``."""
    parser = subparsers.add_parser(
        "simulate",
        help="run an experiment and save what happened",
        description="Run an experiment, save what happened with a picture beside it, and print a summary. Without a "
        "file: the built-in experiment, which learns to tell nine speakers apart by the vowels they say.",
        epilog=f"""examples:
  neurolrnn simulate
  neurolrnn simulate experiment.toml -o run.npz
  neurolrnn simulate experiment.toml --set rule.name=eprop --set training.learning_rate=0.01
  neurolrnn simulate --set rule.name=bptt --set training.update=episode --json
  neurolrnn simulate --resume run.npz
  neurolrnn simulate experiment.toml --dry-run

Values of --set are TOML (numbers, true, [1, 2], {{A = 0.1}}); anything else is a string.
{CODES}""",
    )
    parser.add_argument("experiment", nargs="?", metavar="EXPERIMENT.toml", help="what to run")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="TABLE.KEY=VALUE",
        help="change a setting of the experiment; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="RUN.npz",
        help="where to save the run, overwriting what is there; default runs/<task>-<rule>-<digest>.npz",
    )  # fmt: skip
    parser.add_argument("--resume", metavar="RUN.npz", help="complete an interrupted run, by default in place")
    parser.add_argument("--no-plot", action="store_true", help="draw no picture")
    parser.add_argument("--quiet", action="store_true", help="show neither progress nor summary")
    parser.add_argument("--dry-run", action="store_true", help="check everything, say what would be run, and stop")
    parser.add_argument("--timing", action="store_true", help="say where the time went, on stderr")
    add_json(parser)
    parser.set_defaults(call=_simulate)


def _simulate(args: argparse.Namespace) -> int:
    from neurolrnn.checkpoint import rescue, save_or_carry
    from neurolrnn.experiment import Experiment
    from neurolrnn.outputs import run_path
    from neurolrnn.run import Run, RunFileError

    resume = None if args.resume is None else Run.load(args.resume)
    if args.experiment is not None:
        experiment = Experiment.load(args.experiment, args.set)
    elif resume is not None:
        experiment = Experiment.from_run(resume, args.set, where=args.resume)
    else:
        experiment = Experiment.builtin(args.set)
    for note in experiment.notes:
        tell(f"note: {note}")
    if args.dry_run:
        return _plan(experiment, args)
    target = run_path(experiment, args.output, args.resume)
    try:
        try:
            run = experiment.simulate(progress=not args.quiet, checkpoint=target, resume=resume)
        except Divergence as divergence:
            run = divergence.run
        began = time.perf_counter()
        files = [save_or_carry(run, target)]
    except RunFileError as error:
        raise rescue(error) from error
    saved = time.perf_counter()
    files += [] if args.no_plot else _picture(run, target)
    _report(run, files, args)
    if args.timing:
        tell(run.timing_table(saving=saved - began, picture=time.perf_counter() - saved))
    return OK if run.status == "completed" else FAILED


def _plan(experiment: Experiment, args: argparse.Namespace) -> int:
    from neurolrnn.dry_run import plan, plan_text

    found = plan(experiment)
    if args.json:
        print_json(found)
    elif not args.quiet:
        print(plan_text(found))
    return OK


def _picture(run: Run, target: Path) -> list[Path]:
    from neurolrnn.outputs import picture_path

    path = picture_path(target)
    try:
        run.plot(path)
    except NeurolrnnError as error:  # the run is saved; a picture that fails must not make it look failed
        tell(f"warning: no picture: {error}")
        return []
    return [path]


def _report(run: Run, files: Sequence[Path], args: argparse.Namespace) -> None:
    if args.json:
        print_json(
            {
                "status": run.status,
                "message": run.message,
                "metrics": run.metrics,
                "files": [str(path) for path in files],
                "warnings": run.warnings,
                "timing_s": run.timing,
                "experiment_digest": run.digest,
            }
        )
    elif not args.quiet:
        print(run.summary())
        print(f"\nwritten: {', '.join(str(path) for path in files)}")
    if not args.json:
        for warning in run.warnings:
            tell(f"warning: {warning}")
    if run.status != "completed":
        reason = run.message if run.message and (args.quiet or args.json) else run.status  # else the summary said it
        tell(f"neurolrnn simulate: {reason}; the run so far is in {files[0]}")
    if run.status == "interrupted":
        tell(f"go on with: neurolrnn simulate --resume {files[0]}")
