"""``python -m neurolrnn.profiles.worker``: makes runs for another process, which says which on standard input.

A line of JSON in, ``{"tables": ..., "digest": ...}``, a line of JSON out, :func:`to_line` of what came of it. It ends
with its input, and so with the process that feeds it, however that ends.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import sys

from neurolrnn.profiles.engine import Done, make
from neurolrnn.profiles.store import Packed


def to_line(done: Done) -> str:
    """Return what came of a run as a line of JSON."""
    p = done.packed
    packed = None if p is None else [*p[:4], *(base64.b64encode(part).decode() for part in p[4:6]), p.seconds]
    return json.dumps({"digest": done.digest, "packed": packed, "trouble": done.trouble})


def from_line(line: str) -> Done:
    """Return what :func:`to_line` wrote."""
    said = json.loads(line)
    p = said["packed"]
    packed = None if p is None else Packed(p[0], p[1], p[2], p[3], base64.b64decode(p[4]), base64.b64decode(p[5]), p[6])
    return Done(said["digest"], packed, said["trouble"])


def main() -> None:
    """Serve until there is no more input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that feeds this one
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # so that nothing else is printed among the answers
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        print(to_line(make(asked["tables"], asked["digest"])), file=answers, flush=True)


if __name__ == "__main__":
    main()
