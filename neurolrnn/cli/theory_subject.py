"""What the subjects of ``neurolrnn theory`` share: their parser, where their picture goes, how they report."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from neurolrnn.cli.parts import CODES, OK, add_json, print_json

if TYPE_CHECKING:
    from pathlib import Path


def subject(
    subparsers: Any, name: str, call: Callable[[argparse.Namespace], int], summary: str, description: str,
    examples: Sequence[str], picture: bool = True,
) -> argparse.ArgumentParser:  # fmt: skip
    """Add the parser of one subject, with ``--json`` and, where it has a picture, ``-o`` and ``--no-plot``.

    Parameters
    ----------
    subparsers
        Of ``neurolrnn theory``.
    name : str
        The subject; its picture is ``runs/theory-<name>.png`` by default.
    call : function of the parsed arguments
        Returns the exit code.
    summary, description : str
        One line for the list of subjects; a paragraph for ``--help``.
    examples : sequence of str
        Lines without ``neurolrnn theory``.
    picture : bool
        Whether it draws one.
    """
    lines = "\n".join(f"  neurolrnn theory {line}" for line in examples)
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=summary, description=description,
        epilog=f"examples:\n{lines}\n{CODES}",
    )  # fmt: skip
    if picture:
        parser.add_argument(
            "-o", "--output", metavar="FILE",
            help=f"where to save the picture, overwriting what is there; default runs/theory-{name}.png",
        )  # fmt: skip
        parser.add_argument("--no-plot", action="store_true", help="draw no picture")
    add_json(parser)
    parser.set_defaults(call=call, subject=name)
    return parser


def picture_target(args: argparse.Namespace) -> Path | None:
    """Return where the picture goes, checked before anything is calculated; None if there is to be none."""
    from neurolrnn.outputs import theory_path

    return None if args.no_plot else theory_path(args.subject, args.output)


def report(args: argparse.Namespace, data: dict[str, Any], text: str, picture: Path | None = None) -> int:
    """Print the numbers of a subject, as JSON or as text, and where its picture is."""
    if args.json:
        print_json({**data, "picture": None if picture is None else str(picture)})
    else:
        print(text)
        if picture is not None:
            print(f"\nwritten: {picture}")
    return OK
