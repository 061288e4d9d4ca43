"""What ``neurolrnn profile`` says beyond its table: pictures, attribution, suggestion and ranges."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from neurolrnn.cli.parts import FAILED, OK, tell

if TYPE_CHECKING:
    from neurolrnn.experiment import Experiment
    from neurolrnn.profiles.result import Profile

EXAMPLES = """  neurolrnn profile experiment.toml --ranges
  neurolrnn profile experiment.toml --suggest --tolerance 0.02 -o suggestion.toml
  neurolrnn profile experiment.toml --attribution --plot costs.png"""
"""For the help of the verb."""


def add_answers(parser: argparse.ArgumentParser) -> None:
    """Add the options of answers to the verb's parser."""
    group = parser.add_argument_group("answers")
    group.add_argument("--answers", action="store_true", help="table beside float32: what is lost, to what, and when")
    group.add_argument("--plot", metavar="FILE", help="draw the answer; the suffix chooses the format")
    group.add_argument("--variable", default="weight", metavar="NAME", help="whose bits are shown; default weight")
    group.add_argument("--metric", metavar="NAME", help="what is compared; default test_accuracy or test_nmse")
    group.add_argument("--attribution", action="store_true", help="tell which single variable's format costs how much")
    group.add_argument("--suggest", action="store_true",
                       help="find few bits within a tolerance of float32: among the settings profiled, or by a search "
                            "if no axis is given")  # fmt: skip
    group.add_argument("--tolerance", type=float, default=0.02, metavar="X",
                       help="0.02 is two points of accuracy, or 2 %% of a loss; default 0.02")  # fmt: skip
    group.add_argument("--objective", choices=("bits", "bytes"), default="bits", help="what --suggest makes small")
    group.add_argument("-o", "--output", metavar="FILE",
                       help="where the suggested experiment goes; without --suggest: as --store")  # fmt: skip
    group.add_argument("--ranges", action="store_true",
                       help="ranges of every variable of one run, traces and updates included, and formats for "
                            "them")  # fmt: skip


def needs_no_axes(args: argparse.Namespace) -> bool:
    """Tell whether what is asked for is about the experiment itself, so that nothing must be varied."""
    return bool(args.ranges or args.attribution or args.suggest)


def answer(
    args: argparse.Namespace, experiment: Experiment, profile: Profile | None = None,
    seeds: int | Sequence[int] | None = None, threads: int | None = None, progress: bool = True,
) -> tuple[int, dict[str, Any]]:  # fmt: skip
    """Answer what was asked for: print it, unless ``--json``, and return the exit code and plain data.

    Parameters
    ----------
    args : Namespace
        With the options of :func:`add_answers`, and ``json``.
    experiment : Experiment
        What is profiled.
    profile : Profile, optional
        Its runs, if there were axes.
    seeds : int or sequence of int, optional
        For attribution and search; default 8.
    threads : int, optional
        Runs at a time.
    progress : bool
        Count runs on stderr.
    """
    said: dict[str, Any] = {}
    code = OK
    chosen = 8 if seeds is None else seeds
    if args.ranges:
        said["ranges"] = _ranges(args, experiment)
    if args.attribution:
        said["attribution"] = _attribution(args, experiment, chosen, threads, progress)
    if args.suggest:
        code, said["suggestion"] = _suggest(args, experiment, profile, chosen, threads, progress)
    elif profile is not None and (args.answers or args.plot) and not needs_no_axes(args):
        said["answers"] = _answers(args, profile, threads, progress)
    return code, said


def _say(args: argparse.Namespace, text: str) -> None:
    if not args.json:
        print(text)


def _drawn(args: argparse.Namespace, thing: Any, *more: Any) -> None:
    if args.plot:
        thing.plot(args.plot, *more)
        tell(f"written: {args.plot}")


def _ranges(args: argparse.Namespace, experiment: Experiment) -> dict[str, Any]:
    from neurolrnn.profiles.range_profile import ranges

    found = ranges(experiment)
    _say(args, found.summary())
    _drawn(args, found)
    return found.to_dict()


def _attribution(
    args: argparse.Namespace, experiment: Experiment, seeds: int | Sequence[int], threads: int | None, progress: bool
) -> dict[str, Any]:
    from neurolrnn.profiles.costs import attribution

    found = attribution(experiment, seeds, metric=args.metric, threads=threads, progress=progress)
    _say(args, found.table())
    _drawn(args, found)
    return found.to_dict()


def _suggest(
    args: argparse.Namespace, experiment: Experiment, profile: Profile | None, seeds: int | Sequence[int],
    threads: int | None, progress: bool,
) -> tuple[int, dict[str, Any]]:  # fmt: skip
    from neurolrnn.profiles.from_profile import answers_of, suggest_from
    from neurolrnn.profiles.suggest import suggest_formats

    if profile is not None and profile.axes:
        answers = answers_of(profile.rows, args.metric, threads, progress)
        found = suggest_from(answers, args.tolerance, args.objective, threads=threads, progress=progress)
        _drawn(args, answers, args.variable)
    else:
        found = suggest_formats(experiment, args.tolerance, seeds, args.objective, metric=args.metric,
                                threads=threads, progress=progress)  # fmt: skip
    _say(args, found.summary())
    if args.output:
        tell(f"written: {found.save(args.output)}")
    if not found.passed:
        tell("neurolrnn profile: fresh seeds did not confirm the suggestion; give more seeds (--seeds)")
    return OK if found.passed else FAILED, found.to_dict()


def _answers(args: argparse.Namespace, profile: Profile, threads: int | None, progress: bool) -> list[dict[str, Any]]:
    from neurolrnn.profiles.from_profile import answers_of

    found = answers_of(profile.rows, args.metric, threads, progress)
    _say(args, found.table(args.variable))
    _drawn(args, found, args.variable)
    return found.to_list(args.variable)
