"""What a user sends along with a question: versions, threads, the compile cache, and which companions are found."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

NEEDED = ("numpy", "numba", "llvmlite", "scipy", "matplotlib", "brian2", "tqdm")
COMPANIONS = {
    "dask": "profiles on a cluster", "distributed": "profiles on a cluster", "xarray": "profiles as xarray",
    "pandas": "profiles as pandas", "pyarrow": "profiles as Parquet", "nir": "exports and imports in NIR",
    "h5py": "exports and imports in NIR", "safetensors": "weights as safetensors",
    "torch": "a peer in benchmarks", "jax": "a peer in benchmarks", "braintrace": "a peer in benchmarks",
}  # fmt: skip
"""Packages that are used if they are there, each with what for."""
PROGRAMS = {
    "gcc": "exported C, Brian2 standalone", "g++": "Brian2 standalone", "iverilog": "exported Verilog",
}  # fmt: skip
"""The same for programs."""
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Cache:
    """Where compiled kernels are kept.

    Parameters
    ----------
    folder : Path
        Where.
    writable : bool
        Whether kernels that are compiled now will be there next time.
    compiled : int
        Variants of kernels that are compiled and still valid.
    bytes : int
        Size of all files of kernels in the folder.
    disabled : bool
        Whether compiling is switched off (``NUMBA_DISABLE_JIT``).
    """

    folder: Path
    writable: bool
    compiled: int
    bytes: int
    disabled: bool


def cache_state() -> Cache:
    """Look at the compile cache."""
    from numba import config

    from neurolrnn_kernels import bptt, eprop, forward, jit, rflo, rflo_many, rtrl, tbptt

    kernels = [
        thing
        for module in (bptt, eprop, forward, rflo, rflo_many, rtrl, tbptt)
        for thing in vars(module).values()
        if getattr(getattr(thing, "_cache", None), "_cache_file", None) is not None
    ]
    if not kernels:
        return Cache(Path(jit.__file__).parent, False, 0, 0, bool(config.DISABLE_JIT))
    folder = Path(kernels[0]._cache.cache_path)
    files = [path for pattern in ("*.nbi", "*.nbc") for path in folder.glob(pattern)] if folder.is_dir() else []
    return Cache(
        folder,
        os.access(folder if folder.is_dir() else folder.parent, os.W_OK),
        sum(len(kernel._cache._cache_file._load_index()) for kernel in kernels),
        sum(path.stat().st_size for path in files),
        bool(config.DISABLE_JIT),
    )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "present, no version" if util.find_spec(name) else None


def examine() -> dict[str, Any]:
    """Return what there is, as plain data.

    Returns
    -------
    dict
        ``neurolrnn``, ``python``, ``machine``, ``packages``, ``companions``, ``programs``, ``threads``, ``cache``, and
        ``complaints``: what will go wrong or slowly, each with the way out.
    """
    cache = cache_state()
    packages = {name: _version(name) for name in NEEDED}
    found: dict[str, Any] = {
        "neurolrnn": {"version": _version("neurolrnn"), "folder": str(Path(__file__).parent)},
        "python": {"version": platform.python_version(), "program": sys.executable},
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": _cores()},
        "packages": packages,
        "companions": {name: _version(name) for name in COMPANIONS},
        "programs": {name: shutil.which(name) for name in PROGRAMS},
        "threads": {name: os.environ.get(name) for name in THREADS},
        "cache": {
            "folder": str(cache.folder), "writable": cache.writable, "compiled": cache.compiled, "bytes": cache.bytes,
            "disabled": cache.disabled,
        },
    }  # fmt: skip
    return {**found, "complaints": _complaints(packages, cache)}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _complaints(packages: dict[str, str | None], cache: Cache) -> list[str]:
    out = [f"{name} is missing: pip install {name}" for name, version in packages.items() if version is None]
    brian, numpy = packages["brian2"] or "", packages["numpy"] or ""
    if brian.startswith("2.9.") and [int(part) for part in numpy.split(".")[:2] if part.isdigit()] >= [2, 4]:
        out.append(f"brian2 {brian} cannot be imported beside numpy {numpy}: pip install 'numpy<2.4'")
    if not cache.writable:
        out.append(
            f"the compile cache {cache.folder} cannot be written, so every process compiles anew: set NUMBA_CACHE_DIR "
            f"to a folder of yours"
        )
    if cache.disabled:
        out.append("NUMBA_DISABLE_JIT is set: kernels run as plain Python, thousands of times slower; unset it")
    return out


def report(found: dict[str, Any]) -> str:
    """Return what :func:`examine` found, for a terminal."""
    from neurolrnn.tables import text_table

    cache = found["cache"]
    own, python, machine = found["neurolrnn"], found["python"], found["machine"]
    rows = [
        ("neurolrnn", f"{own['version'] or 'not installed'}, in {own['folder']}"),
        ("Python", f"{python['version']}, {python['program']}"),
        ("machine", f"{machine['system']}, {machine['cores']} cores"),
        *((name, version or "missing") for name, version in found["packages"].items()),
        *((name, version or f"not found ({COMPANIONS[name]})") for name, version in found["companions"].items()),
        *((name, path or f"not found ({PROGRAMS[name]})") for name, path in found["programs"].items()),
        *((name, value) for name, value in found["threads"].items() if value),
        ("compile cache", f"{cache['compiled']} kernels, {cache['bytes'] / 1e6:.0f} MB, in {cache['folder']}"),
    ]
    worries = found["complaints"] or ["nothing to complain about"]
    return text_table(rows) + "\n\n" + "\n".join(worries)
