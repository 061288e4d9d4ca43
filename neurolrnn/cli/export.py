"""The verb ``neurolrnn export``."""

from __future__ import annotations

import argparse
from typing import Any

from neurolrnn.cli.parts import CODES, FAILED, OK, add_json, print_json, tell


def add_export(subparsers: Any) -> None:
    """Add ``neurolrnn export``."""
    from neurolrnn.exports.target import TARGETS

    parser = subparsers.add_parser(
        "export",
        help="write a run in a form that other tools load",
        description="Write the network of a run, with as much else as the target holds, in a form that other tools "
        "load. What the target cannot hold, and what was folded, scaled or rounded and by how much, is said first.",
        epilog=f"""examples:
  neurolrnn export run.npz --to nir -o net.nir
  neurolrnn export run.npz --to nir --set dialect=sinabs -o net.nir
  neurolrnn export run.npz --to nir --set dtype=float64 --inference-only --strict -o net.nir
  neurolrnn export run.npz --to nest --dt-seconds 0.001 -o nest_net --dry-run
  neurolrnn list targets                  targets, what survives, and their options

Values of --set are TOML (numbers, true, [1, 2]); anything else is a string.
{CODES}; 1 also where --strict refuses""",
    )
    parser.add_argument("run", metavar="RUN.npz", help="run to export, as simulate saved it")
    parser.add_argument("--to", required=True, metavar="TARGET", help=f"what to write: {', '.join(TARGETS)}")
    parser.add_argument(
        "-o", "--output", metavar="PATH",
        help="file, or folder for targets of several files; an older export there is replaced; default: beside the run",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="write nothing if anything would be lost or rounded")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written and lost, and write nothing")
    parser.add_argument(
        "--inference-only", action="store_true", help="leave out on purpose what the network learned with"
    )
    parser.add_argument("--initial", action="store_true", help="export the network from before learning")
    parser.add_argument("--dt-seconds", type=float, metavar="S", help="duration of a step in s (default 0.001)")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="OPTION=VALUE", help="an option of the target"
    )
    parser.add_argument("--quiet", action="store_true", help="show no report")
    add_json(parser)
    parser.set_defaults(call=_export)


def _export(args: argparse.Namespace) -> int:
    from neurolrnn import toml_text
    from neurolrnn.errors import choose
    from neurolrnn.exports import TARGETS, LossError, default_path, export
    from neurolrnn.run import Run

    run = Run.load(args.run)
    suffix = TARGETS[choose("target", args.to, TARGETS)].suffix
    path = default_path(args.run, args.to, suffix) if args.output is None else args.output
    talks = not args.quiet and not args.json
    try:
        report = export(
            run.initial if args.initial else run, path, args.to, strict=args.strict, dry_run=args.dry_run,
            inference_only=args.inference_only, dt_seconds=args.dt_seconds, announce=print if talks else None,
            **toml_text.override({}, args.set)[0],
        )  # fmt: skip
    except LossError as error:
        if args.json:
            print_json(error.report.to_dict())
        tell(f"neurolrnn export: {error}")
        return FAILED
    if args.json:
        print_json(report.to_dict())
    elif talks and report.written:
        print(f"\nwritten: {report.path}")
    return OK
