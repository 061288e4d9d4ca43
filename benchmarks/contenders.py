"""Who competes at what: tables of families, of our rules and of peers. A new contender is a new row."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import neurolrnn as nl
from benchmarks import ceilings, ours
from benchmarks.ours import MakeRule
from benchmarks.work import Program, Work

Count = Callable[[Work], float]
"""Words that must be moved, or multiply-accumulates that must be made, in one step of one lane."""


class Unavailable(Exception):
    """This version, or this machine, has no such contender; the text says why."""


@dataclass(frozen=True)
class Family:
    """Contenders that learn the same: their weights are compared before they are timed.

    ``sizes`` are (n, n_out) of the default selection, ``quick`` and ``full`` of the others. ``effort`` divides the
    number of steps where a step is dear; ``tolerance`` bounds the relative difference of what a contender learned.
    """

    title: str
    sizes: tuple[tuple[int, int], ...]
    quick: tuple[tuple[int, int], ...]
    full: tuple[tuple[int, int], ...]
    kind: str = "gaussian"
    lanes: int = 1
    length: int = 0
    rate: float = 0.0
    """Learning rate, if not that of :class:`Work`."""
    effort: float = 1.0
    tolerance: float = 0.01

    def works(self, mode: str) -> Iterator[Work]:
        """Yield the works of a selection: ``"quick"``, ``"default"`` or ``"full"``."""
        for n, n_out in {"quick": self.quick, "default": self.sizes, "full": self.full}[mode]:
            volume = 40 * n if self.kind == "block" else n * n
            steps = min(8000, max(40, round(2**27 / volume / self.effort))) // self.lanes
            if self.length:
                steps = max(2, min(20, steps // self.length)) * self.length
            yield Work(n, max(8, steps), n_out, self.lanes, self.length, self.kind, learning_rate=self.rate)


def _grid(sizes: tuple[int, ...], outs: tuple[int, ...] = (1,)) -> tuple[tuple[int, int], ...]:
    return tuple((n, o) for n in sizes for o in outs)


SMALL, MIDDLE, ALL, OUTS = (64, 256), (64, 256, 1024), (16, 64, 256, 1024, 2048), (1, 4, 10)
MANY, HUGE = 32, 100_000

FAMILIES: dict[str, Family] = {
    "rflo": Family(
        "RFLO, random feedback, any W₀", (*_grid(MIDDLE), (256, 4), (256, 10)), _grid(SMALL), _grid(ALL, OUTS)
    ),
    "rflo-normal": Family(
        "RFLO, random feedback, normal W₀", _grid(MIDDLE), _grid(SMALL), _grid(ALL[:-1], OUTS), kind="orthogonal"
    ),
    "rflo-block": Family(
        "RFLO, random feedback, W₀ in blocks of two units", _grid((1024, HUGE)), _grid((1024,)),
        _grid((64, 256, 1024, 2048, HUGE), OUTS), kind="block",
    ),
    "rflo-symmetric": Family("RFLO, symmetric feedback", _grid(SMALL), (), _grid(ALL, OUTS)),
    "eprop": Family("e-prop, symmetric feedback", _grid(MIDDLE), ((64, 1),), _grid(ALL, OUTS), effort=3),
    "tbptt1": Family("truncated BPTT(1)", _grid(SMALL), (), _grid(ALL, OUTS)),
    "tbptt10": Family("truncated BPTT(10)", _grid(SMALL), (), _grid(ALL, OUTS), effort=10),
    "rtrl": Family("RTRL", _grid((16,)), (), _grid((16, 32, 64), OUTS), effort=800, rate=1e-4),
    "bptt": Family("BPTT, episodes of 100 steps", _grid(SMALL), (), _grid(ALL, OUTS), length=100, effort=4),
    "bptt-batch": Family(
        f"BPTT, episodes of 100 steps, batch of {MANY}", _grid(SMALL), (), _grid(ALL), length=100, lanes=MANY
    ),
    "batch": Family(
        f"RFLO, one learner, batch of {MANY}", _grid(MIDDLE), ((64, 1),), _grid(ALL, (1, 10)), lanes=MANY
    ),
    "learners": Family(
        f"RFLO, {MANY} learners around one W₀", _grid(MIDDLE), ((64, 1),), _grid(ALL, (1, 10)), lanes=MANY
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Contender:
    """A row: who it is, what it competes at, and how it is made ready."""

    family: str
    who: str
    name: str
    make: Callable[[Work], Program]
    words: Count | None = None
    macs: Count | None = None
    range: tuple[int, int] = (1, 4096)
    """Smallest and largest n at which it competes."""
    compared: bool = True
    """Whether its weights must be those of the reference; fixed point learns other ones."""
    word_bytes: int | None = 4
    """None: what the library takes for a weight of this precision."""


@dataclass(frozen=True)
class Ours:
    """One of our rules at a family, in several precisions."""

    family: str
    name: str
    rule: MakeRule
    words: Count | None
    macs: Count
    precisions: tuple[str, ...] = tuple(ours.PRECISIONS)
    """Those of the full selection."""
    usual: tuple[str, ...] = ("float32",)
    """Those of the others."""
    make: Callable[[MakeRule, str], Callable[[Work], Program]] = ours.kernel
    range: tuple[int, int] = (1, 4096)


def _small(w: Work) -> float:
    """Multiply-accumulates of read-out, feedback and their updates."""
    return 3.0 * w.n_out * w.n


FACTORED: MakeRule = lambda w: nl.RFLO(feedback=w.feedback, basis="given")  # noqa: E731
SCHUR: MakeRule = lambda w: nl.RFLO(feedback=w.feedback, basis="schur")  # noqa: E731
DENSE: MakeRule = lambda w: nl.RFLO(feedback=w.feedback, storage="dense")  # noqa: E731
FLOATS = ("float32", "float64")
TWO, THREE = ("float32", "int16 nearest"), ("float32", "int16 nearest", "int16 stochastic")
_factored: tuple[Count, Count] = (
    lambda w: w.n * (w.n + w.n_in + 5 * w.n_out), lambda w: w.n * (w.n + w.n_in) + _small(w) + 2 * w.n_out * w.n,
)  # fmt: skip
_dense: tuple[Count, Count] = (
    lambda w: w.n * (2 * w.n + 2 * w.n_in + 3 * w.n_out), lambda w: w.n * (2 * w.n + 2 * w.n_in) + _small(w),
)  # fmt: skip
_eligibility: tuple[Count, Count] = (
    lambda w: w.n * (4 * w.n + 4 * w.n_in + 2 * w.n_out), lambda w: w.n * (3 * w.n + 3 * w.n_in) + _small(w),
)  # fmt: skip
_half: tuple[Count, Count] = (lambda w: _factored[0](w) - w.n**2 / 2, lambda w: _factored[1](w) - w.n**2 / 2)
_blocks: tuple[Count, Count] = (lambda w: _factored[0](w) - w.n**2 + w.n, lambda w: _factored[1](w) - w.n**2 + 2 * w.n)


def _through(tau: int) -> tuple[Count, Count]:
    return (
        lambda w: _dense[0](w) + w.n * ((tau - 1) * w.n + 2 * tau),
        lambda w: w.n * (2 * tau * w.n + (tau + 1) * w.n_in) + _small(w),
    )


OURS: tuple[Ours, ...] = (
    Ours("rflo", "RFLO factored", FACTORED, *_factored, usual=THREE),
    Ours("rflo", "RFLO dense", DENSE, *_dense, usual=THREE),
    Ours("rflo", "RFLO factored, Schur basis", SCHUR, *_half, FLOATS),
    Ours("rflo-normal", "RFLO factored", FACTORED, *_factored, FLOATS),
    Ours("rflo-normal", "RFLO factored, Schur basis", SCHUR, *_blocks, FLOATS),
    Ours("rflo-block", "RFLO factored, W₀ in blocks", FACTORED, *_blocks, range=(1, 10**6)),
    Ours("rflo-symmetric", "RFLO dense", lambda w: nl.RFLO(feedback="symmetric", storage="dense"), *_dense),
    Ours("eprop", "e-prop", lambda w: nl.EProp(), *_eligibility, usual=TWO),
    Ours("tbptt1", "truncated BPTT(1)", lambda w: nl.TruncatedBPTT(1), *_through(1), usual=TWO),
    Ours("tbptt10", "truncated BPTT(10)", lambda w: nl.TruncatedBPTT(10), *_through(10), usual=TWO),
    Ours("rtrl", "RTRL", lambda w: nl.RTRL(), None, lambda w: w.n**3 * (w.n + w.n_in), FLOATS),
    Ours("bptt", "BPTT", lambda w: nl.BPTT(), None, lambda w: 3 * w.n * (w.n + w.n_in), FLOATS),
    Ours("bptt-batch", "BPTT", lambda w: nl.BPTT(), None, lambda w: 3 * w.n * (w.n + w.n_in), FLOATS),
    Ours("batch", "RFLO factored, lanes", FACTORED, None, _factored[1], (*FLOATS, "int16 nearest")),
    Ours("batch", "RFLO dense, lanes", DENSE, None, _dense[1], (*FLOATS, "int16 nearest")),
    Ours("learners", "RFLO factored, shared W₀", FACTORED, None, _factored[1], FLOATS, make=ours.shared_learners),
    Ours("learners", "RFLO factored, one by one", FACTORED, None, _factored[1], FLOATS, make=ours.one_by_one),
)  # fmt: skip

REFERENCES: dict[str, Callable[[Work], Program]] = {
    "rflo": ours.kernel(DENSE, "float64"),
    "rflo-normal": ours.kernel(DENSE, "float64"),
    "rflo-block": ours.kernel(DENSE, "float64"),
    "batch": ours.kernel(DENSE, "float64"),
    "learners": ours.one_by_one(DENSE, "float64"),
}
"""Whose weights the others' are compared with; in a family that is not named, our first row in float64."""

PEERS: tuple[tuple[str, str, str, str, tuple[int, int]], ...] = (
    # family, module of benchmarks.peers, name in its PROGRAMS, package, smallest and largest n
    ("rflo", "numpy_loop", "rflo dense", "numpy", (1, 4096)),
    ("rflo", "numpy_loop", "rflo factored", "numpy", (1, 4096)),
    ("rflo", "torch_loop", "rflo dense", "torch", (1, 4096)),
    ("rflo", "jax_scan", "rflo dense", "jax", (1, 4096)),
    ("rflo", "jax_scan", "rflo factored", "jax", (1, 4096)),
    ("rflo", "jax_scan", "rflo factored, Schur basis", "jax", (1, 1024)),  # the decomposition takes a minute at 2048
    ("rflo-normal", "jax_scan", "rflo factored", "jax", (1, 4096)),
    ("rflo-normal", "jax_scan", "rflo factored, Schur basis, blocks", "jax", (1, 1024)),
    ("rflo-block", "jax_scan", "rflo factored, Schur basis, blocks", "jax", (1, 10**6)),
    ("rflo-symmetric", "braintrace_peer", "D-RTRL", "braintrace", (1, 1024)),
    ("eprop", "numpy_loop", "e-prop", "numpy", (1, 4096)),
    ("eprop", "jax_scan", "e-prop", "jax", (1, 4096)),
    ("bptt", "torch_loop", "bptt autograd", "torch", (1, 4096)),
    ("bptt", "torch_loop", "bptt by hand", "torch", (1, 4096)),
    ("bptt", "jax_scan", "bptt", "jax", (1, 4096)),
    ("bptt-batch", "torch_loop", "bptt autograd", "torch", (1, 4096)),
    ("bptt-batch", "torch_loop", "bptt by hand", "torch", (1, 4096)),
    ("bptt-batch", "jax_scan", "bptt", "jax", (1, 4096)),
    ("batch", "torch_loop", "rflo batch", "torch", (1, 4096)),
    ("batch", "jax_scan", "batch dense", "jax", (1, 4096)),
    ("batch", "jax_scan", "batch factored", "jax", (1, 4096)),
    ("learners", "jax_scan", "learners dense, vmap", "jax", (1, 1024)),
    ("learners", "jax_scan", "learners factored, vmap", "jax", (1, 4096)),
)
_through_time: Count = lambda w: 3 * w.n * (w.n + w.n_in)  # noqa: E731
COUNTS: dict[str, tuple[Count | None, Count]] = {
    "rflo factored": _factored,
    "rflo dense": _dense,
    "e-prop": _eligibility,
    "batch factored": (None, _factored[1]),
    "batch dense": (None, _dense[1]),
    "rflo batch": (None, _dense[1]),
    "learners factored, vmap": (None, _factored[1]),
    "learners dense, vmap": (None, _dense[1]),
    "bptt": (None, _through_time),
    "bptt by hand": (None, _through_time),
    "bptt autograd": (None, _through_time),
}
"""What peers with these names need at least, the same as we."""
PEER_MODULES = {module: package for _, module, _, package, _ in PEERS}


@cache
def peer(module: str) -> ModuleType:
    """Import a peer; whatever goes wrong in a package of others makes it absent, and is said."""
    try:
        return importlib.import_module(f"benchmarks.peers.{module}")
    except Exception as error:
        raise Unavailable(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}") from error


def peers() -> dict[str, str]:
    """Say of every peer which version is there, or why none is."""
    found = {}
    for module, package in PEER_MODULES.items():
        try:
            found[package] = peer(module).VERSION
        except Unavailable as why:
            found[package] = f"absent: {why}"
    return found


def contenders(family: str, full: bool = True) -> Iterator[Contender]:
    """Yield the contenders of a family, ours first, in all number systems or the usual ones."""
    for row in OURS:
        if row.family == family:
            for precision in row.precisions if full else row.usual:
                yield Contender(
                    family, "neurolrnn", f"{row.name}, {precision}", row.make(row.rule, precision), row.words, row.macs,
                    row.range, compared=precision.startswith("float"),
                    word_bytes={"float32": 4, "float64": 8}.get(precision, None),
                )  # fmt: skip
    for where, module, name, package, span in PEERS:
        if where == family:

            def make(work: Work, module: str = module, name: str = name) -> Program:
                program: Program = peer(module).PROGRAMS[name](work)
                return program

            words, macs = COUNTS.get(name, (None, None))
            yield Contender(family, package, name, make, words, macs, span)
    if family == "rflo":
        yield Contender(
            family, "ceiling", "one pass over W, float32", ceilings.pass_over_W,
            words=lambda w: w.n**2, macs=lambda w: w.n**2, compared=False,
        )  # fmt: skip


def reference(family: str) -> Callable[[Work], Program]:
    """Return how to make the program whose weights the others must learn."""
    if family in REFERENCES:
        return REFERENCES[family]
    row = next(row for row in OURS if row.family == family)
    return row.make(row.rule, "float64")
