"""``neurolrnn reproduce``: try the paper's claims and write down what came out."""

from __future__ import annotations

import argparse
from typing import Any

from neurolrnn.cli.parts import CODES, FAILED, OK, add_json, print_json, tell

FOLDER = "reproduction"
"""Where the results go if the user names no folder."""


def add_reproduce(subparsers: Any) -> None:
    """Add ``neurolrnn reproduce``."""
    parser = subparsers.add_parser(
        "reproduce",
        help="try the claims of the paper and judge them by the numbers",
        description="Run the claims of Williams, Payeur & Lajoie (ICML 2026, arXiv 2606.00243), and what fixed point "
        "does to them; print a table of claim, our figure and verdict, and write it with pictures into a folder. A "
        "verdict follows from numbers and stated intervals; a claim that is not confirmed is a result, not a failure.",
        epilog=f"""examples:
  neurolrnn reproduce --quick
  neurolrnn reproduce -o results
  neurolrnn reproduce --only rank convergence --json
  neurolrnn reproduce --list

It takes a few minutes, --quick less than one; the first time, kernels are compiled besides.
{CODES}; claims that are not confirmed do not change them""",
    )
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", default=FOLDER,
        help=f"where tables and pictures go, replacing older ones (default {FOLDER})",
    )  # fmt: skip
    parser.add_argument(
        "--only", nargs="+", action="extend", metavar="CLAIM", help="try these claims only; --list shows their names"
    )
    parser.add_argument("--list", action="store_true", help="show the claims and do nothing")
    parser.add_argument("--quick", action="store_true", help="fewer seeds and shorter runs")
    parser.add_argument("--seed", type=int, default=0, help="of teachers, students and inputs (default 0)")
    parser.add_argument("--quiet", action="store_true", help="show neither progress nor table")
    add_json(parser)
    parser.set_defaults(call=_reproduce)


def _reproduce(args: argparse.Namespace) -> int:
    from neurolrnn.reproduction import claims_rows, reproduce
    from neurolrnn.tables import text_table

    if args.list:
        rows = claims_rows()
        if args.json:
            print_json(rows)
        else:
            print(text_table([[row["name"], row["statement"]] for row in rows], ("claim", "statement")))
        return OK
    result = reproduce(args.output, args.only, args.quick, args.seed, progress=not args.quiet)
    written = [str(path) for path in (*result.files, *result.pictures.values())]
    if args.json:
        print_json({**result.to_dict(), "files": written})
    elif not args.quiet:
        print(result)
        print(f"\nwritten: {', '.join(written)}")
    if result.status == "completed":
        return OK
    missing = len(result.wanted) - len(result.outcomes)
    tell(f"neurolrnn reproduce: interrupted with {missing} claims left; the others are in {args.output}")
    return FAILED
