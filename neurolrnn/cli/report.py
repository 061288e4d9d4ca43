"""The verb ``neurolrnn report``."""

from __future__ import annotations

import argparse
from typing import Any

from neurolrnn.cli.parts import CODES, OK, add_json, print_json


def add_report(subparsers: Any) -> None:
    """Add ``neurolrnn report``."""
    parser = subparsers.add_parser(
        "report",
        help="write a page about a run, a profile or a check, to look at in a browser",
        description="Write one HTML file that shows a run, a profile, or an experiment beside a chip: curves, spectra, "
        "ranges, formats, utilisation, and where everything comes from. It needs no network.",
        epilog=f"""examples:
  neurolrnn report run.npz -o page.html
  neurolrnn report profile.sqlite -o page.html
  neurolrnn report experiment.toml --chip loihi2 -o page.html

{CODES}""",
    )
    parser.add_argument("subject", metavar="RUN.npz|PROFILE.sqlite|EXPERIMENT.toml", help="what to show")
    parser.add_argument("--chip", help="with an experiment: the chip it is checked against")
    parser.add_argument("-o", "--output", required=True, metavar="PAGE.html", help="where to write the page")
    add_json(parser)
    parser.set_defaults(call=_report)


def _report(args: argparse.Namespace) -> int:
    from neurolrnn.reports.report import report_file

    path = report_file(args.subject, args.output, chip=args.chip)
    if args.json:
        print_json({"file": str(path)})
    else:
        print(f"written: {path}")
    return OK
