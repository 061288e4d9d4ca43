"""Writes over and over in forks that are killed or interrupted, or as a user who may not write.

Each line of stdin is a JSON request, each line of stdout its answer. All that takes long, importing and what is
written, is there before the first fork.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import writer_cases

from neurolrnn.errors import NeurolrnnError

INTERRUPTED = 77
"""Exit code of a writer that Ctrl-C has ended."""
NOBODY = 65534


def write_on(name: str, path: Path) -> None:
    """Write until something ends it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        while True:
            writer_cases.WRITERS[name].write(path)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def disturb(name: str, path: Path, number: int, most_seconds: float) -> dict[str, Any]:
    """Fork a writer, send it a signal at some moment, and return how it ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the writer is ready for it
    child = os.fork()
    if not child:
        write_on(name, path)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    time.sleep(random.uniform(0.0, most_seconds))
    for _ in range(300):  # again: what is asked inside a callback of another library goes unheard
        os.kill(child, number)
        for _ in range(50):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return {"code": os.waitstatus_to_exitcode(status)}
            time.sleep(0.004)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {"code": None}


def as_nobody(name: str, path: Path) -> dict[str, Any]:
    """Write as a user to whom permissions mean something, and return what was said."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        said = {"kind": "", "text": "written"}
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            writer_cases.WRITERS[name].write(path)
        except NeurolrnnError as error:
            said = {"kind": "worded", "text": str(error)}
        except BaseException:
            said = {"kind": "traceback", "text": traceback.format_exc()}
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        found: dict[str, Any] = json.loads(answer.read())
    os.waitpid(child, 0)
    return found


def main(folder: str, *names: str) -> None:
    """Make everything once, then answer."""
    writer_cases.SOURCES["folder"] = Path(folder)
    tempfile.tempdir = folder
    seconds = {}
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            writer = writer_cases.WRITERS[name]
            target = Path(place) / f"{len(seconds)}{writer.suffix}"
            writer.write(target)
            if name == "neurolrnn check --new-sheet":
                target.unlink()
            began = time.perf_counter()
            writer.write(target)
            seconds[name] = time.perf_counter() - began
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        name, path = asked["name"], Path(asked["path"])
        if "signal" in asked:
            answer = disturb(name, path, asked["signal"], 2.0 * seconds[name] + 0.005)
        else:
            answer = as_nobody(name, path)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
