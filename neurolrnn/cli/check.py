"""The verb ``neurolrnn check``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from neurolrnn.cli.parts import FAILED, OK, add_json, print_json, tell
from neurolrnn.errors import InputError

if TYPE_CHECKING:
    from neurolrnn.chips.check import Report

ALL = "all"
CODES = "exit codes: 0 fits, 1 does not fit or is not known to, 2 bad input"


def add_check(subparsers: Any) -> None:
    """Add ``neurolrnn check``."""
    parser = subparsers.add_parser(
        "check",
        help="say whether an experiment fits a chip",
        description="Compare what an experiment asks for with the limits of a chip: memory, connections, number "
        "formats, what its learning may read. Nothing is run. Every figure of a report has its source and a grade. "
        "Without a file: the built-in experiment.",
        epilog=f"""examples:
  neurolrnn check experiment.toml --chip loihi2
  neurolrnn check experiment.toml --chip loihi1 spinnaker2 my_chip.toml
  neurolrnn check --chip all
  neurolrnn check experiment.toml --chip cortex_m4 --assume memory.chip=131072
  neurolrnn check experiment.toml --chip reckon --assume payload.bits trace.signed --suggest -o fits.toml
  neurolrnn check --new-sheet my_chip.toml

neurolrnn list chips shows the chips; the report of one chip is a page, that of several a table.
{CODES}; of several chips, 0 if all fit""",
    )
    parser.add_argument("experiment", nargs="?", metavar="EXPERIMENT.toml", help="what is to run")
    parser.add_argument("--chip", nargs="+", action="extend", default=[], metavar="CHIP",
                        help="names of chips, paths of sheets of your own, or 'all'")  # fmt: skip
    parser.add_argument(
        "--assume", nargs="+", action="extend", default=[], metavar="LIMIT[=VALUE]",
        help="limits that do not count, or count with this value; 'unknown' lifts all that nobody knows",
    )  # fmt: skip
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="TABLE.KEY=VALUE",
        help="change a setting of the experiment; may be repeated",
    )  # fmt: skip
    parser.add_argument("--inference", action="store_true", help="check the network alone, trained elsewhere")
    parser.add_argument("--suggest", action="store_true", help="find the smallest change that breaks no limit")
    parser.add_argument("-o", "--output", metavar="FILE", help="where the suggested experiment, or the report, goes")
    parser.add_argument("--new-sheet", metavar="CHIP.toml", help="write a sheet of your own to fill in, and do no more")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print Markdown")
    add_json(form)
    parser.set_defaults(call=_check)


def _check(args: argparse.Namespace) -> int:
    from neurolrnn.chips.check import check_all, chip_names
    from neurolrnn.experiment import Experiment

    if args.new_sheet is not None:
        return _new_sheet(args.new_sheet)
    if not args.chip:
        raise InputError(f"which chip? Give --chip with one or more of {', '.join(chip_names())}, a sheet, or {ALL!r}")
    chips = [name for chip in args.chip for name in (chip_names() if chip == ALL else [chip])]
    if args.suggest and len(chips) != 1:
        raise InputError(f"--suggest looks for a change that suits one chip; {len(chips)} were named")
    if args.experiment is None:
        experiment = Experiment.builtin(args.set)
    else:
        experiment = Experiment.load(args.experiment, args.set)
    for note in experiment.notes:
        tell(f"note: {note}")
    reports = check_all(experiment, chips, args.assume, args.inference)
    if args.suggest:
        return _suggest(reports[0], args)
    if args.json:
        print_json(reports[0].to_dict() if len(reports) == 1 else [r.to_dict() for r in reports])
    else:
        _show(reports, args)
    return OK if all(r.fits for r in reports) else FAILED


def _show(reports: Sequence[Report], args: argparse.Namespace) -> None:
    from neurolrnn.atomic import write_text
    from neurolrnn.chips.check import overview

    if len(reports) > 1:
        shown = overview(reports, "markdown" if args.markdown else "text")
    else:
        shown = reports[0].markdown() if args.markdown else reports[0].text()
    if args.output is None:
        print(shown.rstrip())
    else:
        tell(f"written: {write_text(args.output, shown.rstrip() + chr(10))}")


def _suggest(report: Report, args: argparse.Namespace) -> int:
    from neurolrnn.atomic import write_text
    from neurolrnn.chips.suggest import NoSuggestion

    try:
        suggestion = report.suggest()
    except NoSuggestion as why:
        tell(f"neurolrnn: {why}")
        return FAILED
    if args.output is not None:
        write_text(args.output, suggestion.to_toml())
        tell(f"written: {args.output}")
    if args.json:
        print_json(suggestion.to_dict())
    elif args.output is None:
        print(suggestion.to_toml().rstrip())
    else:
        print(suggestion)
    unknown = suggestion.report.verdict.of("not known", "disputed")
    if unknown and not args.json:
        tell(f"note: not known of this chip: {', '.join(f.limit for f in unknown)}")
    return OK if suggestion.report.fits else FAILED


def _new_sheet(path: str) -> int:
    from pathlib import Path

    from neurolrnn.atomic import check_kind, write_text
    from neurolrnn_hardware.sheet_template import template

    check_kind(Path(path))
    if Path(path).exists():
        raise InputError(f"{path} is there already; give another name")
    tell(f"written: {write_text(path, template())}")
    return OK
