"""The verb ``neurolrnn list``. Something new to list is a function and a row of :data:`LISTS`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from neurolrnn.cli.parts import CODES, OK, add_json, print_json


def add_list(subparsers: Any) -> None:
    """Add ``neurolrnn list``."""
    parser = subparsers.add_parser(
        "list",
        help="show what there is to choose from",
        description="Show learning rules, tasks, number formats, chips or targets of export, as the package has them.",
        epilog=f"examples:\n  neurolrnn list rules\n  neurolrnn list tasks --json\n  neurolrnn list formats\n{CODES}",
    )
    parser.add_argument("what", choices=sorted(LISTS), help="what to show")
    add_json(parser)
    parser.set_defaults(call=_list)


def _list(args: argparse.Namespace) -> int:
    rows, text = LISTS[args.what]()
    if args.json:
        print_json(rows())
    else:
        print(text())
    return OK


Listing = tuple[Callable[[], Any], Callable[[], str]]


def _rules() -> Listing:
    from neurolrnn.tables import rules_rows, rules_table

    return rules_rows, rules_table


def _tasks() -> Listing:
    from neurolrnn.tables import tasks_rows, tasks_table

    return tasks_rows, tasks_table


def _formats() -> Listing:
    from neurolrnn.tables import formats_rows, formats_table

    return formats_rows, formats_table


def _targets() -> Listing:
    from neurolrnn.exports.describe import targets_rows, targets_table

    return targets_rows, targets_table


def _chips() -> Listing:
    from neurolrnn.chips.tables import chips_rows, chips_table

    return chips_rows, chips_table


LISTS: dict[str, Callable[[], Listing]] = {
    "chips": _chips,
    "formats": _formats,
    "rules": _rules,
    "targets": _targets,
    "tasks": _tasks,
}
"""What ``list`` can show: as plain data for --json, and as text."""
