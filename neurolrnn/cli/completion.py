"""The verb ``neurolrnn completion``."""

from __future__ import annotations

import argparse
from typing import Any

from neurolrnn.cli.parts import CODES, OK

SHELLS = ("bash", "zsh", "tcsh")


def add_completion(subparsers: Any) -> None:
    """Add ``neurolrnn completion``."""
    parser = subparsers.add_parser(
        "completion",
        help="print a script that lets the shell complete verbs and options",
        description="Print a script that lets the shell complete verbs, options and files.",
        epilog="examples:\n"
        "  neurolrnn completion bash > ~/.local/share/bash-completion/completions/neurolrnn\n"
        "  neurolrnn completion zsh > ~/.zfunc/_neurolrnn\n"
        f"{CODES}",
    )
    parser.add_argument("shell", choices=SHELLS, help="for which shell")
    parser.set_defaults(call=_completion)


def _completion(args: argparse.Namespace) -> int:
    import shtab

    from neurolrnn.cli.command import make_parser  # the verbs stand there, this one among them

    print(shtab.complete(make_parser(), args.shell))
    return OK
