"""Damage files and read them, any number of times, in processes that may crash.

    python tests/fuzzing.py --reader run-file --inputs 100000 --seed 0 --keep found

Each input is drawn from the seed and its number, so that any can be made again. What a reader may do is one of two
things: raise its own error, in one sentence that names the file, or return something that is right. Everything else is
a failure: other errors, warnings, more than 5 s of processor time, more than 500 MB, a process that
ends, or stands still for a minute. The damaged file is then kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    for part in ("hardware_models", "kernels", "."):
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / part))

from conftest import python_environment
from fuzz_hdf5 import CRASHES, SECONDS
from fuzz_readers import READERS, Reader

MEMORY = 500 << 20
"""Most bytes that an input may take beside what the process had."""
LONGEST = 1500
"""Characters of the longest error."""
PATIENCE = 60.0
"""Seconds after which a process that has not gone on is ended."""


@dataclass(frozen=True)
class Outcome:
    """What came of one input: ``same``, ``read``, ``refused``, or why it failed."""

    kind: str
    words: str = ""

    @property
    def failed(self) -> bool:
        """Whether the reader did what it may not."""
        return self.kind not in ("same", "read", "refused")


def late(*_: Any) -> None:
    """End what takes too long."""
    raise TimeoutError(f"took more than {SECONDS} s of processor time")


def judge(reader: Reader, path: Path, seed: Path, kind: str) -> Outcome:
    """Read a damaged file and say what came of it."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            result = reader.read(path)
        except reader.errors as error:
            words = str(error)
            if warned:
                return Outcome("warning", str(warned[0].message))
            if reader.errors is ValueError and type(error) is not ValueError:
                return Outcome(type(error).__name__, words)
            if path.name not in words or "\n" in words or len(words) > LONGEST or not words.isprintable():
                return Outcome("words", words[:3000])
            return Outcome("refused", words)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return Outcome(type(error).__name__, _where(error))
        try:
            same = reader.check(result, seed, kind)
        except Exception as error:
            return Outcome(f"read, but {type(error).__name__}", _where(error))
        return Outcome("warning", str(warned[0].message)) if warned else Outcome("same" if same else "read")


def _where(error: BaseException) -> str:
    import traceback

    last = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
    return f"{str(error)[:300]} at {' > '.join(last[-6:])}"


def inputs(
    name: str, seed: int, numbers: range, folder: Path, whole: list[Path]
) -> Iterator[tuple[int, Path, Path, str]]:
    """Make damaged files: number, file, what it was made from, kind of damage."""
    reader = READERS[name]
    for number in numbers:
        rng = random.Random(f"{name} {seed} {number}")
        chosen, other = rng.choice(whole), rng.choice(whole)
        path = folder / f"damaged{reader.suffix}"
        kind = reader.damage(rng, chosen, other, path)
        yield number, path, chosen, kind


def fuzz(name: str, seed: int, numbers: range, folder: Path) -> Iterator[tuple[int, Path, Outcome]]:
    """Damage and read in this process."""
    reader = READERS[name]
    for number, path, chosen, kind in inputs(name, seed, numbers, folder, reader.seeds(folder)):
        yield number, path, judge(reader, path, chosen, kind)


# --- processes


def child(name: str, seed: int, numbers: range, mark: Path, keep: Path) -> None:
    """Run inputs; write the number of each before it is read, and what failed after it."""
    signal.signal(signal.SIGPROF, late)
    os.fsync = lambda fd: None  # what is read back is not to outlive the machine
    fd = os.open(mark, os.O_RDWR | os.O_CREAT)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        reader = READERS[name]
        whole = reader.seeds(work)
        for path in whole:
            judge(reader, path, path, "format")  # everything is loaded now
        limited = False
        for number, path, chosen, kind in inputs(name, seed, numbers, work, whole):
            if not limited:
                used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
                limited = True
            keep_as = keep / f"{name}-{seed}-{number}{reader.suffix}"
            os.pwrite(fd, number.to_bytes(8, "little"), 0)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                outcome = judge(reader, path, chosen, kind)
            except TimeoutError as error:
                outcome = Outcome("TimeoutError", str(error))
            signal.setitimer(signal.ITIMER_PROF, 0)
            counts[outcome.kind] += 1
            if outcome.failed:
                keep_as.write_bytes(path.read_bytes()[: 8 << 20])
                print(json.dumps([number, outcome.kind, outcome.words]), flush=True)
            if number % 500 == 0:
                _say(counts)
    _say(counts)


def _say(counts: Counter[str]) -> None:
    counts.update({f"(HDF5 crashed with {code}, refused)": n for code, n in CRASHES.items()})
    print(json.dumps(dict(counts)), flush=True)
    counts.clear()
    CRASHES.clear()


def drive(name: str, seed: int, numbers: range, keep: Path) -> tuple[Counter[str], list[tuple[int, str, str]]]:
    """Run inputs in child processes, a new one wherever one has ended or stands still."""
    keep.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    failures: list[tuple[int, str, str]] = []
    start = numbers.start
    while start < numbers.stop:
        mark = keep / f"{name}-{seed}-{numbers.start}.mark"
        mark.write_bytes((start).to_bytes(8, "little"))
        log = mark.with_suffix(".log")
        arguments = ["--reader", name, "--seed", str(seed), "--from", str(start), "--to", str(numbers.stop)]
        with log.open("wb") as out, mark.with_suffix(".stderr").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", __file__, *arguments, "--mark", str(mark), "--keep", str(keep)],
                env=python_environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"), stdout=out, stderr=err,
            )  # fmt: skip
            end = _watch(process, mark)
        for line in log.read_text().splitlines():
            said = json.loads(line)
            if isinstance(said, dict):
                counts.update(said)
            else:
                failures.append(tuple(said))
        if end == "":
            break
        at = int.from_bytes(mark.read_bytes()[:8], "little")
        failures.append((at, end, mark.with_suffix(".stderr").read_text(errors="replace")[-1500:]))
        counts["ended"] += 1
        start = at + 1
    return counts, failures


def _watch(process: subprocess.Popen[bytes], mark: Path) -> str:
    """Wait for a process; return why it ended, empty if it was done."""
    last, since = b"", time.monotonic() + 60  # the first minute is for seeds
    while process.poll() is None:
        time.sleep(0.2)
        now = mark.read_bytes()
        if now != last:
            last, since = now, max(since, time.monotonic())
        if time.monotonic() - since > PATIENCE:
            process.kill()
            process.wait()
            return "hang"
    code = process.returncode
    return "" if code == 0 else f"ended with {signal.Signals(-code).name if code < 0 else code}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", choices=list(READERS), action="append", help="which reader; all if left out")
    parser.add_argument("--inputs", type=int, default=1000, help="how many damaged files a reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzzed"), help="folder for files that a reader failed on")
    parser.add_argument("--from", dest="start", type=int, default=0, help="number of the first input")
    parser.add_argument("--to", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--mark", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.mark:
        child(args.reader[0], args.seed, range(args.start, args.to), args.mark, args.keep)
        return 0
    bad = 0
    for name in args.reader or READERS:
        began = time.monotonic()
        numbers = range(args.start, args.start + args.inputs)
        counts, failures = drive(name, args.seed, numbers, args.keep)
        words = ", ".join(f"{n} {kind}" for kind, n in counts.most_common())
        print(f"{name}: {args.inputs} inputs in {time.monotonic() - began:.0f} s: {words}", flush=True)
        for number, kind, said in failures[:200]:
            print(f"  {number}: {kind}: {said}")
        bad += len(failures)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
