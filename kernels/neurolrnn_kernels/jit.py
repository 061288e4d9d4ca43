"""The one decorator under which everything is compiled, and the key of its disk cache."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.extending import register_jitable

from neurolrnn_kernels.shared_cache import SharedCache


def source_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all kernel sources in ``folder``, hex."""
    h = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        h.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return h.hexdigest()


SOURCE_DIGEST = source_digest(Path(__file__).parent)
NO_CACHE = (
    "compiled kernels can be kept neither beside the package nor in your home folder, since neither may be written, so "
    "every process compiles anew; set NUMBA_CACHE_DIR to a folder that may"
)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function`` on first call, without the GIL, and cache the machine code on disk.

    Numba's own cache looks at the file of the function it compiles and no further: edit a primitive in another
    file and the old bits are served without a word. Here an entry is valid for one state of *all* kernel sources.

    No reference counting (``_nrt``): kernels allocate nothing, and counting every array that is passed on costs more
    than a small network's step. No fastmath (the order of a sum is part of its bits), no bounds checks (the callers
    of :mod:`neurolrnn_kernels` check shapes once), and division follows IEEE instead of raising.

    Where no folder for a cache can be written, every process compiles anew, and a warning says so.
    """
    dispatcher = njit(nogil=True, error_model="numpy", _nrt=False)(function)
    if not config.DISABLE_JIT:
        try:
            dispatcher._cache = SharedCache(function, SOURCE_DIGEST)
        except RuntimeError:  # Numba's, of places
            warnings.warn(NO_CACHE, RuntimeWarning, stacklevel=2)
    return dispatcher


def part(function: Callable[..., Any]) -> Any:
    """Compile a part of kernels, which is built into each of them.

    A call would pass every array of every named tuple on the stack, some hundred numbers: more than a small network's
    step.
    """
    return njit(nogil=True, error_model="numpy", _nrt=False, inline="always")(function)


def is_integer(array: Any) -> bool:
    """Tell whether an array holds codes (a fixed-point number system) or values (a real one).

    Takes a NumPy array, or Numba's type of one while a primitive is being compiled.
    """
    kind = getattr(array.dtype, "kind", None)
    return kind in "iu" if kind is not None else "int" in str(array.dtype)


def inlined(function: Callable[..., Any]) -> Any:
    """Let kernels call a small function of numbers, which also stays callable from Python."""
    return register_jitable(function)
