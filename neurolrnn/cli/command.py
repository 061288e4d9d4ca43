"""The command ``neurolrnn``: parse, call one function, print.

A verb is a module of this package with a function ``add_verb(subparsers)`` that adds its parser and sets the default
``call``, a function of the parsed arguments that returns the exit code. Adding a verb is adding its function to
:data:`VERBS`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

from neurolrnn.cli.check import add_check
from neurolrnn.cli.completion import add_completion
from neurolrnn.cli.doctor import add_doctor
from neurolrnn.cli.export import add_export
from neurolrnn.cli.listing import add_list
from neurolrnn.cli.parser import Parser
from neurolrnn.cli.parts import BAD_INPUT, CODES, FAILED, OK, tell
from neurolrnn.cli.profile import add_profile
from neurolrnn.cli.report import add_report
from neurolrnn.cli.reproduce import add_reproduce
from neurolrnn.cli.simulate import add_simulate
from neurolrnn.cli.spiking import add_spike
from neurolrnn.cli.theory import add_theory
from neurolrnn.errors import Divergence, NeurolrnnError
from neurolrnn.terminal import COLUMNS

VERBS: tuple[Callable[[Any], None], ...] = (
    add_simulate,
    add_profile,
    add_check,
    add_export,
    add_spike,
    add_theory,
    add_reproduce,
    add_report,
    add_list,
    add_doctor,
    add_completion,
)


def _version() -> str:
    try:
        return metadata.version("neurolrnn")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with all verbs."""
    parser = Parser(
        prog="neurolrnn",
        description="Learning rules of recurrent networks, as a chip would run them.",
        epilog=f"""examples:
  neurolrnn simulate                      run the built-in experiment
  neurolrnn simulate experiment.toml      run yours
  neurolrnn profile --axis precision.preset=float32,int16,int8
                                          run it for several settings
  neurolrnn theory portrait               draw what a rule does to one mode
  neurolrnn list rules                    what there is to choose from
  neurolrnn simulate --help               more about one verb

{CODES}""",
    )
    parser.add_argument("--debug", action="store_true", help="after an error, show where in the code it was found")
    parser.add_argument("--version", action="version", version=f"neurolrnn {_version()}")
    subparsers = parser.add_subparsers(metavar="VERB", required=True, title="verbs")
    for add in VERBS:
        add(subparsers)
    return parser


def _drop_output() -> None:
    """Send what is still to be printed nowhere, so that the end of the process does not try again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a terminal without Greek letters gets question marks, not an error
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None and sys.stdout.isatty():  # a reader, not a program: tables fit the terminal
        COLUMNS.set(shutil.get_terminal_size().columns)
    debug = "--debug" in words  # wherever it stands: one adds it at the end of a line that failed
    args = make_parser().parse_args([word for word in words if word != "--debug"])
    try:
        code: int = args.call(args)
        sys.stdout.flush()
    except Divergence as error:
        tell(f"neurolrnn: {error}")
        return FAILED
    except NeurolrnnError as error:
        if debug:
            traceback.print_exc()
        tell(f"neurolrnn: {error}")
        return BAD_INPUT
    except MemoryError as error:
        tell(f"neurolrnn: not enough memory ({error}); a smaller network or fewer steps are needed")
        return FAILED
    except KeyboardInterrupt:
        tell("neurolrnn: interrupted before there was anything to save")
        return FAILED
    except BrokenPipeError:  # the reader has seen enough, as with "| head"
        _drop_output()
        return OK
    except OSError as error:
        if debug:
            traceback.print_exc()
        if error.filename is None:  # what was printed did not get where it was sent to
            _drop_output()
        what = error.filename or "what was printed"
        tell(f"neurolrnn: cannot write or read {what}: {error.strerror or error}; see whether there is room and access")
        return BAD_INPUT
    return code
