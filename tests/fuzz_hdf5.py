"""Ways to damage an HDF5 file: links, shapes, types, filters, what is missing and what is too much; and reading it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from fuzz_damage import some

import neurolrnn as nl
from neurolrnn.exports import hdf5_check

SECONDS = 5
"""Longest time that an input may take, of the processor."""
CRASHES: Counter[int] = Counter()
"""How often the HDF5 library ended the process that looks a file through, by exit code."""

VALUES: tuple[Any, ...] = (
    b"", "", "x", "NIRGraph", "LI", "Linear", "Input", "LIF", "Conv2d", 0, -1, 1.5, float("nan"), float("inf"), 1e308,
    2**62, np.zeros(0), np.zeros((2, 0)), np.zeros(()), np.ones((3, 3)), np.ones((2, 3, 4)), np.ones(3), np.eye(3),
    np.array([1 + 2j]), np.array([b"a", b"b"]), np.array([["a", "b"]], dtype="S3"), np.array([True]),
    np.full(3, np.nan), np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), np.array([2**63], "u8"),
    np.full((3, 3), 1e300), np.full((3, 2), 1e308), np.float16(1), np.array([1, 2], "i1"),
    np.array(["x\0y"], dtype="S4"),
)  # fmt: skip


def damage_hdf5(rng: random.Random, path: Path) -> None:
    """Edit groups, datasets, attributes and links of an HDF5 file through HDF5."""
    with h5py.File(path, "r+", locking=False) as file:
        for _ in some(rng):
            places: list[str] = ["/"]
            file.visit(places.append)
            groups = [p for p in places if isinstance(file.get(p), h5py.Group)]
            place, home = rng.choice(places[1:] or ["/"]), rng.choice(groups)
            with contextlib.suppress(ValueError, TypeError, KeyError, RuntimeError, OSError, AttributeError):
                _edit(rng, file, place, home, rng.choice(places), path)


def _edit(rng: random.Random, file: h5py.File, place: str, home: str, other: str, path: Path) -> None:
    new = f"{home.rstrip('/')}/{rng.choice(('x', 'a.b', 'é', 'weight', 'dt', 'bias', 'type_check', 'name'))}"
    match rng.randrange(16):
        case 0 | 1 | 2:
            value = rng.choice(VALUES)
            del file[place]
            file[place] = value
        case 3:
            del file[place]
        case 4:
            file.move(place, new)
        case 5:
            kept = isinstance(file[other], h5py.Dataset)
            if kept:
                value = file[other][()]
                del file[place]
                file[place] = value
        case 6:
            file[new] = file[home]  # a group that holds itself
        case 7:
            link = rng.choice((h5py.SoftLink("/node"), h5py.SoftLink("/nowhere"), h5py.SoftLink(place)))
            del file[place]
            file[place] = link
        case 8:
            target = rng.choice((path.name, "nothing.h5", "/etc/passwd", "/dev/zero"))
            del file[place]
            file[place] = h5py.ExternalLink(target, rng.choice(("/node", "/")))
        case 9:
            shape = rng.choice(((10**9,), (10**6, 10**6), (2**62,), (8, 10**7), (0, 5)))
            del file[place]
            chunks = tuple(min(s, 1000) or 1 for s in shape)
            kind = rng.choice(("f8", "f4", "S100"))
            file.create_dataset(place, shape, kind, chunks=chunks, maxshape=(None,) * len(shape))
        case 10:
            source = rng.choice(("/etc/passwd", "/dev/zero", path.name))
            del file[place]
            file.create_dataset(place, (4, 4), "f8", external=[(source, 0, h5py.h5f.UNLIMITED)])
        case 11:
            layout = h5py.VirtualLayout((3, 3), "f8")
            layout[:] = h5py.VirtualSource(rng.choice((path.name, "/etc/passwd")), rng.choice((place, "x")), (3, 3))
            del file[place]
            file.create_virtual_dataset(place, layout)
        case 12:
            file[place].attrs[rng.choice(("a", "dt", "é"))] = rng.choice(VALUES)
        case 13:
            del file[place]
            file.create_group(place)
        case 14:
            del file[place]
            file[place] = np.dtype("f8")  # a named type
        case _:
            kind = rng.choice((h5py.vlen_dtype(np.int32), h5py.string_dtype(), h5py.ref_dtype, h5py.regionref_dtype))
            del file[place]
            file.create_dataset(place, (2,), kind)


def read_nir(path: Path) -> nl.Network:
    """Read through the public entry, with the process that looks a file through forked instead of started.

    The forked one has everything loaded, and runs the same function. One input in 256 goes the real way.
    """
    real = hdf5_check.try_out
    hdf5_check.try_out = real if hashlib.sha256(path.read_bytes()).digest()[0] == 0 else forked
    try:
        return nl.Network.from_nir(path)
    finally:
        hdf5_check.try_out = real


def forked(path: Path) -> None:
    """What hdf5_check.try_out does, in a fork of this process that goes on until it crashes or stands still."""
    if not FORK:
        FORK.append(Fork())
    try:
        said = FORK[0].ask(path)
    except EOFError:
        code = FORK.pop().end()
        CRASHES[code] += 1
        raise hdf5_check.Unsafe(f"it is damaged (crash {code})") from None
    if said.startswith("!"):
        raise RuntimeError(said)
    if said:
        raise hdf5_check.Unsafe(said)


class Fork:
    """A fork of this process that looks files through."""

    def __init__(self) -> None:
        down, self.send = os.pipe()
        self.receive, up = os.pipe()
        self.process = os.fork()
        if self.process:
            os.close(down)
            os.close(up)
            return
        os.close(self.send)  # so that this one ends with its parent
        os.close(self.receive)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        while line := os.read(down, 4096):
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            os.write(up, self.look(Path(line.decode())).encode(errors="replace")[:60000])
            signal.setitimer(signal.ITIMER_PROF, 0)
        os._exit(0)

    @staticmethod
    def look(path: Path) -> str:
        """Return what is wrong with a file; with a mark in front if the check itself is."""
        try:
            hdf5_check.check(path)
        except hdf5_check.Unsafe as error:
            return f"{error}\0"
        except BaseException as error:
            return f"! {error!r}\0"
        return "\0"

    def ask(self, path: Path) -> str:
        """Have a file looked through."""
        os.write(self.send, str(path).encode())
        said = b""
        while not said.endswith(b"\0"):
            part = os.read(self.receive, 65536)
            if not part:
                raise EOFError
            said += part
        return said[:-1].decode()

    def end(self) -> int:
        """Close, and return the exit code."""
        os.close(self.send)
        os.close(self.receive)
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


FORK: list[Fork] = []
"""The fork that is in use."""
