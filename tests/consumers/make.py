"""Try a tool that loads our exports, in an environment of its own, and record what it made of them.

    python -m tests.consumers.make norse              build the environment, export, run, compare
    python -m tests.consumers.make all --record       all of them; the results go to results.json and docs/consumers.md

It needs neurolrnn and pip; environments go to .consumers/ (several GB for all) and are used again. Of PyTorch a build
for CPUs is enough: where the package index offers another by default, let pip find that one first.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from neurolrnn.tables import markdown_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = HERE / "results.json"
PAGE = ROOT / "docs" / "consumers.md"
MARKS = "<!-- consumers: begin -->", "<!-- consumers: end -->"
BOUNDS = {"float32": 1e-6, "float64": 1e-12}
"""Largest error allowed, as a share of the largest value of the trajectory."""
TORCH = "torch==2.13.0"


@dataclass(frozen=True)
class Consumer:
    """A tool, how to get it, and what to give it."""

    title: str
    script: str
    packages: tuple[str, ...]
    target: str
    options: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    precision: str = "float32"
    how: str = ""


BOTH = [{"dtype": "float32"}, {"dtype": "float64"}]
CONSUMERS = {
    "nir": Consumer(
        "nir, stepped by its definitions", "run_nir.py", ("nir==1.0.8",), "nir", BOTH,
        how="forward Euler of the LI node in NumPy",
    ),
    "nir104": Consumer(
        "nir 1.0.4, likewise", "run_nir.py", ("nir==1.0.4",), "nir", [{"dialect": "nir104"}],
        how="the version that sinabs and rockpool ask for",
    ),
    "norse": Consumer(
        "norse's LI cell in nirtorch", "run_norse.py", (TORCH, "nir==1.0.8", "nirtorch==2.6", "norse==1.1.0"), "nir",
        BOTH,
        how="`nirtorch.nir_to_torch`, LI mapped to `LIBoxCell`: norse's own importer drops LI",
    ),
    "sinabs": Consumer(
        "sinabs", "run_sinabs.py", (TORCH, "sinabs==3.1.3"), "nir", [{"dialect": "sinabs"}],
        how="`sinabs.nir.from_nir`, called step by step",
    ),
    "rockpool": Consumer(
        "rockpool", "run_rockpool.py", (TORCH, "torchvision", "rockpool[nir]==3.1.0", "nirtorch==2.0.2"), "nir",
        [{"dialect": "rockpool"}], how="`from_nir`, called step by step",
    ),
    "spyx": Consumer(
        "spyx", "run_spyx.py", ("spyx==1.0.0",), "nir", [{"dialect": "spyx"}],
        how="`from_nir`, then the activation of its RLIF set to the identity",
    ),
    "nest": Consumer(
        "NEST", "run_nest.py", ("nest-simulator==3.10.0",), "nest", precision="float64", how="the exported script",
    ),
}  # fmt: skip


def environment(name: str, home: Path) -> Path:
    """Build the environment of a consumer unless it is there, and return its Python."""
    folder, packages = home / name, CONSUMERS[name].packages
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "packages.txt"
    if done.is_file() and done.read_text(encoding="utf-8").split() == list(packages):
        return python
    venv.create(folder, with_pip=True, clear=True)
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    if TORCH in packages:  # first, so that nothing else brings a build of its own
        subprocess.run([*install, TORCH, "numpy"], check=True, stdout=sys.stderr)
    subprocess.run([*install, *packages], check=True, stdout=sys.stderr)
    done.write_text("\n".join(packages), encoding="utf-8")
    return python


def run(name: str, python: str | Path, sizes: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Export all cases, run the consumer's script on them in its environment, and return versions and errors."""
    from tests.consumers import cases  # compiles kernels

    consumer = CONSUMERS[name]
    with tempfile.TemporaryDirectory() as text:
        cases.write(Path(text), consumer.target, consumer.options, sizes or cases.SIZES)
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
        call = [str(python), str(HERE / consumer.script), text]
        done = subprocess.run(call, env=clean, capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # some tools greet on stdout
    result["date"] = date.today().isoformat()
    return result


def largest(name: str, cases: dict[str, Any]) -> dict[str, float]:
    """Largest error of h and y over all cases, by precision."""
    out: dict[str, float] = {}
    for case, row in cases.items():
        precision = next((p for p in BOUNDS if case.endswith(p)), CONSUMERS[name].precision)
        out[precision] = float(np.max([out.get(precision, 0.0), row["y"], row.get("h", 0.0)]))  # keeps a NaN
    return out


def failures(name: str, result: dict[str, Any]) -> list[str]:
    """What lies beyond its bound, in words."""
    found = largest(name, result["cases"])
    return [f"{name}: {p} error {e:.3g}, allowed {BOUNDS[p]:g}" for p, e in found.items() if not e <= BOUNDS[p]]


def table(results: dict[str, Any]) -> str:
    """The recorded results as markdown."""
    rows = []
    for name, result in results.items():
        consumer, errors = CONSUMERS[name], largest(name, result["cases"])
        cells = [f"{errors[p]:.1e}" if p in errors else "" for p in BOUNDS]
        versions = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
        dialect = consumer.options[0].get("dialect")
        target = f"`{consumer.target}`" + (f", `dialect={dialect}`" if dialect else "")
        rows.append([consumer.title, target, consumer.how, str(len(result["cases"])), *cells, versions, result["date"]])
    heads = ["tool", "export", "how", "cases", *(f"error, {p}" for p in BOUNDS), "versions", "run on"]
    return markdown_table(rows, heads, "lllrrrll")


def record(results: dict[str, Any]) -> None:
    """Write results and the table made from them."""
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=False) + "\n", encoding="utf-8")
    begin, end = MARKS
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(begin)
    PAGE.write_text(f"{head}{begin}\n{table(results)}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=[*CONSUMERS, "all"], metavar="NAME", help=", ".join(CONSUMERS))
    parser.add_argument("--home", type=Path, default=ROOT / ".consumers", help="where the environments are")
    parser.add_argument("--record", action="store_true", help="write results.json and the table in docs/consumers.md")
    args = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    bad: list[str] = []
    for name in CONSUMERS if "all" in args.names else args.names:
        result = run(name, environment(name, args.home))
        results[name] = result
        bad += failures(name, result)
        shown = ", ".join(f"{p} {e:.2g}" for p, e in largest(name, result["cases"]).items())
        print(f"{name}: {len(result['cases'])} cases, largest error {shown}")
    if args.record:
        record({name: results[name] for name in CONSUMERS if name in results})
    print("\n".join(bad), file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
