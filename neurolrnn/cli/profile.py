"""The verb ``neurolrnn profile``."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from neurolrnn.cli import profile_answers
from neurolrnn.cli.parts import FAILED, OK, add_json, print_json, tell
from neurolrnn.errors import InputError

if TYPE_CHECKING:
    from neurolrnn.experiment import Experiment
    from neurolrnn.profiles.result import Profile

_RANGE = re.compile(r"(?P<low>[^,.]*(?:\.\d+)?(?:e[-+]?\d+)?)\.\.(?P<high>[^,:]+)(?P<log>:log)?", re.IGNORECASE)


def add_profile(subparsers: Any) -> None:
    """Add ``neurolrnn profile``."""
    parser = subparsers.add_parser(
        "profile",
        help="run an experiment for many settings and seeds",
        description="Run an experiment for many settings and seeds, keep every run in a store as soon as it is done, "
        "and print a table. The same command again goes on where it was stopped, and makes no run twice. Without a "
        "file: the built-in experiment.",
        epilog=f"""examples:
  neurolrnn profile experiment.toml --axis precision.weight=s1.6,s1.10,s1.14 --seeds 5
  neurolrnn profile experiment.toml --axis rule.name=rflo,eprop --axis precision.preset=float32,int16,int8
  neurolrnn profile experiment.toml --axis training.learning_rate=1e-4..1e-1:log --mode random --samples 50
  neurolrnn profile experiment.toml --axis 'bits={{eight = {{precision.preset = "int8"}}, real = {{}}}}'
  neurolrnn profile --resume profile.sqlite --csv profile.csv
{profile_answers.EXAMPLES}

Values of --axis are TOML as in --set of simulate, with commas between them; LOW..HIGH is a range of random mode.
exit codes: 0 all runs made, 1 interrupted, or some runs failed, 2 bad input""",
    )
    parser.add_argument("experiment", nargs="?", metavar="EXPERIMENT.toml", help="what is varied")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="TABLE.KEY=VALUE",
        help="change a setting of the experiment in all runs",
    )  # fmt: skip
    parser.add_argument(
        "--axis", action="append", default=[], metavar="TABLE.KEY=VALUE,...", help="vary a setting; may be repeated"
    )
    parser.add_argument("--seeds", metavar="N", help="run each combination with N seeds, or with those listed: 3,5,8")
    parser.add_argument("--mode", choices=("grid", "list", "random"), default="grid",
                        help="all values with all, side by side, or drawn at random; default grid")  # fmt: skip
    parser.add_argument("--samples", type=int, metavar="N", help="combinations to draw in random mode")
    parser.add_argument("--sampling-seed", type=int, default=0, metavar="N", help="of these draws; default 0")
    parser.add_argument(
        "--store", metavar="FILE.sqlite",
        help="where the runs are kept; goes on if it is there; default runs/profile-<digest>.sqlite",
    )  # fmt: skip
    parser.add_argument("--resume", metavar="FILE.sqlite", help="complete the profile that a store holds")
    parser.add_argument("--threads", type=int, metavar="N", help="make N runs at a time on threads")
    parser.add_argument("--processes", type=int, metavar="N", help="make N runs at a time in processes")
    parser.add_argument("--cluster", metavar="ADDRESS", help="run on Dask: local, or such as tcp://10.0.0.1:8786")
    parser.add_argument("--csv", metavar="FILE", help="write one line per run as CSV")
    parser.add_argument("--parquet", metavar="FILE", help="write one line per run as Parquet")
    parser.add_argument("--quiet", action="store_true", help="show neither progress nor table")
    profile_answers.add_answers(parser)
    add_json(parser)
    parser.set_defaults(call=_profile)


def _profile(args: argparse.Namespace) -> int:
    from neurolrnn.experiment import Experiment

    _check_files(args)
    seeds = None if args.seeds is None else read_seeds(args.seeds)
    profile: Profile | None = None
    if args.resume is not None:
        profile = _resumed(args)
        experiment = profile.experiment
    else:
        given = args.experiment
        experiment = Experiment.builtin(args.set) if given is None else Experiment.load(given, args.set)
        for note in experiment.notes:
            tell(f"note: {note}")
        if args.axis or (args.seeds is not None and not profile_answers.needs_no_axes(args)):
            profile = _run(args, experiment, 1 if seeds is None else seeds)
        elif not profile_answers.needs_no_axes(args):
            raise InputError(
                "nothing is varied; give an axis, such as --axis precision.preset=float32,int16,int8, or --seeds 10"
            )
    data: dict[str, Any] = {} if profile is None else _report(profile, args)
    code = OK
    if profile is None or profile.status == "completed":
        code, said = profile_answers.answer(
            args, experiment, profile, seeds, args.threads or args.processes, not args.quiet
        )
        data |= said
    if args.json:
        print_json(data)
    return code if profile is None else max(code, _verdict(profile))


def _check_files(args: argparse.Namespace) -> None:
    """Refuse files that could not be written, before the runs are made."""
    from neurolrnn.atomic import check_target

    suggestion = args.output if args.suggest else None
    for path, suffix in ((args.csv, ".csv"), (args.parquet, ".parquet"), (args.plot, ".png"), (suggestion, "")):
        if path is not None:
            check_target(path, suffix, InputError, "profile")


def _run(args: argparse.Namespace, experiment: Experiment, seeds: int | list[int]) -> Profile:
    from neurolrnn.outputs import profile_path
    from neurolrnn.profiles.plan import Plan
    from neurolrnn.profiles.profile import profile

    axes = dict(read_axis(text) for text in args.axis)
    if len(axes) < len(args.axis):
        raise InputError("--axis: a setting is given twice; put all its values behind one --axis")
    asked: dict[str, Any] = {
        "seeds": seeds, "mode": args.mode, "samples": args.samples, "sampling_seed": args.sampling_seed,
    }  # fmt: skip
    asked_for = args.store if args.store is not None or args.suggest else args.output
    store = asked_for if asked_for is not None else profile_path(Plan.make(experiment, axes, **asked).digest)
    return profile(
        experiment, axes, **asked, store=store, threads=args.threads, processes=args.processes, cluster=args.cluster,
        progress=not args.quiet,
    )  # fmt: skip


def _resumed(args: argparse.Namespace) -> Profile:
    from neurolrnn.profiles.profile import resume

    given = [name for name in ("experiment", "set", "axis", "seeds", "samples", "store") if getattr(args, name)]
    if given:
        raise InputError(f"--resume: the store says what is run; leave {given[0]} out")
    return resume(
        args.resume, threads=args.threads, processes=args.processes, cluster=args.cluster, progress=not args.quiet
    )


def _report(profile: Profile, args: argparse.Namespace) -> dict[str, Any]:
    """Print the table and write the files that were asked for; return the same as plain data."""
    files = [profile.to_csv(args.csv)] if args.csv else []
    files += [profile.to_parquet(args.parquet)] if args.parquet else []
    if not args.json and not args.quiet:
        print(profile.table(args.metric))
        print(f"\nwritten: {', '.join(map(str, [profile.store, *files]))}")
    if profile.status != "completed":
        missing = profile.wanted - len(profile.rows)
        tell(f"neurolrnn profile: {missing} of {profile.wanted} runs are missing, {len(profile.lost)} were lost")
        for reason in sorted(set(profile.lost.values()))[:3]:
            tell(f"  {reason}")
        tell(f"go on with: neurolrnn profile --resume {profile.store}")
    rows = [
        {
            "settings": row.settings, "seed": row.seed, "status": row.status, "message": row.message,
            "metrics": row.metrics, "seconds": row.seconds, "experiment_digest": row.digest,
        }
        for row in profile.rows
    ]  # fmt: skip
    return {
        "status": profile.status, "store": profile.store, "files": [str(path) for path in files],
        "wanted": profile.wanted, "runs": rows,
    }  # fmt: skip


def _verdict(profile: Profile) -> int:
    return OK if profile.status == "completed" and not profile.failed else FAILED


def read_seeds(text: str) -> int | list[int]:
    """Return the seeds that ``--seeds`` asks for: a number of them, or a list."""
    try:
        return [int(part) for part in text.split(",") if part.strip()] if "," in text else int(text)
    except ValueError:
        raise InputError(f"--seeds {text}: a number of seeds such as 10, or a list such as 3,5,8 is needed") from None


def read_axis(text: str) -> tuple[str, Any]:
    """Return name and values of an axis as typed on a command line.

    Raises
    ------
    InputError
        If there is no name, or a range has no numbers.
    """
    from neurolrnn import toml_text
    from neurolrnn.profiles.axes import Range

    name, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not name or not values:
        raise InputError(f"--axis {text}: a setting and its values are needed, such as --axis rule.name=rflo,eprop")
    found = _RANGE.fullmatch(values)
    if found:
        ends = [toml_text.value(found[k].strip()) for k in ("low", "high")]
        if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
            raise InputError(f"--axis {text}: a range goes between two numbers, such as 1e-4..1e-1:log")
        return name, Range(ends[0], ends[1], found["log"] is not None)
    read = [toml_text.value(part) for part in split(values)]
    if "." not in name and len(read) == 1 and isinstance(read[0], dict):
        groups = {label: _flat(settings) for label, settings in read[0].items() if isinstance(settings, dict)}
        return name, groups if len(groups) == len(read[0]) else read[0]
    return name, read


def split(text: str) -> list[str]:
    """Return the parts between commas, but for commas in quotes and brackets."""
    parts, depth, quote = [""], 0, ""
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c in "[{":
            depth += 1
        elif c in "]}":
            depth -= 1
        elif c == "," and not depth:
            parts.append("")
            continue
        parts[-1] += c
    return [part.strip() for part in parts if part.strip()]


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"table.key": value}`` of what TOML reads as nested tables; two levels, as experiments have."""
    flat: dict[str, Any] = {}
    for table, inner in settings.items():
        flat |= {f"{table}.{key}": value for key, value in inner.items()} if isinstance(inner, dict) else {table: inner}
    return flat
