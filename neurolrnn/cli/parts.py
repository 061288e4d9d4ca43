"""What all verbs of the command share: exit codes, ``--json``, and where they talk to."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Any

OK, FAILED, BAD_INPUT = 0, 1, 2
"""Exit codes."""
CODES = "exit codes: 0 done, 1 diverged or not completed, 2 bad input"


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON value on stdout, for machines")


def print_json(value: Any) -> None:
    """Print plain data as one line of JSON; numbers that JSON does not have become null."""
    print(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False))


def tell(text: str) -> None:
    """Print a line for the user on stderr."""
    print(text, file=sys.stderr, flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
