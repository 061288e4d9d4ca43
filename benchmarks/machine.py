"""What the figures were measured on: processor, caches, versions; and one core for one thread."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ONE_THREAD = {
    "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}  # fmt: skip
PACKAGES = ("neurolrnn", "numpy", "numba", "llvmlite", "torch", "jax", "jaxlib", "braintrace", "brainstate")


def pin() -> None:
    """Give this process one core and its libraries one thread; before any of them is imported."""
    os.environ.update(ONE_THREAD)
    if hasattr(os, "sched_setaffinity"):  # not on macOS and Windows
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[-1]})  # the first core serves interrupts


def unpin() -> None:
    """Let this process use every core again, with one thread of each library on any of them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def caches() -> dict[str, int]:
    """Return bytes of each data cache by its level, as far as the system tells."""
    found: dict[str, int] = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        size = _read(index / "size")
        if _read(index / "type") != "Instruction" and size[-1:] in ("K", "M"):
            found[f"L{_read(index / 'level')}"] = int(size[:-1]) * {"K": 2**10, "M": 2**20}[size[-1]]
    return found


def level(size: int) -> str:
    """Name the smallest cache that holds so many bytes, or ``"memory"``; empty where the caches are not known."""
    known = caches()
    return next((name for name, room in known.items() if size <= room), "memory") if known else ""


def processor() -> str:
    """Name the processor."""
    first = _read(Path("/proc/cpuinfo")).split("\n\n")[0].splitlines()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first)}
    if "model name" not in facts:
        return platform.processor() or platform.machine()
    return f"{facts['model name']} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"


def describe() -> dict[str, Any]:
    """Return everything about the machine and its software that a figure may depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "caches": caches(),
        "system": f"{platform.system()} {platform.machine()}",
        "pinned": cores() == 1,
        "threads": {name: os.environ.get(name, "") for name in ONE_THREAD},
        "versions": versions,
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
        "implementation": sys.implementation.name,
    }
