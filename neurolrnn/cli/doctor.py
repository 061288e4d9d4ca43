"""The verb ``neurolrnn doctor``."""

from __future__ import annotations

import argparse
from typing import Any

from neurolrnn.cli.parts import CODES, FAILED, OK, add_json, print_json


def add_doctor(subparsers: Any) -> None:
    """Add ``neurolrnn doctor``."""
    parser = subparsers.add_parser(
        "doctor",
        help="show versions, threads, the compile cache and companions, and say what is amiss",
        description="Show what there is: versions, threads, the compile cache, packages and programs that are used if "
        "they are there. Says what will go wrong or slowly, and the way out.",
        epilog=f"examples:\n  neurolrnn doctor\n  neurolrnn doctor --json\n{CODES}",
    )
    add_json(parser)
    parser.set_defaults(call=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    from neurolrnn.doctor import examine, report

    found = examine()
    if args.json:
        print_json(found)
    else:
        print(report(found))
    return FAILED if found["complaints"] else OK
