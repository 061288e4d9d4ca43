"""All sections in turn, at one of three lengths, and a choice among them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks import ceilings, machine, memory, method, start, whole_runs
from benchmarks.contenders import FAMILIES, contenders, peers
from benchmarks.method import tell
from benchmarks.results import SECTIONS, Results, ResultsError, Row


@dataclass(frozen=True)
class Mode:
    """How much is measured."""

    rounds: int
    sizes: tuple[int, ...]
    """n of ceilings."""
    runs: tuple[int, ...]
    """n of whole runs, the first ``rules`` of their rules."""
    rules: int
    sweeps: tuple[int, ...]
    sweep_seconds: float
    memory: tuple[tuple[str, int, int], ...]
    """Name, n and n_out."""
    cold: bool
    """Whether starts with nothing compiled are measured."""

    @property
    def few(self) -> int:
        """Rounds of what takes long."""
        return max(2, self.rounds // 2)


def _memory(sizes: Sequence[int], outs: Sequence[int]) -> tuple[tuple[str, int, int], ...]:
    return tuple((name, n, o) for name in memory.NAMES for n in sizes for o in outs)


BLOCKS = ("RFLO factored, W₀ in blocks, float32", 100_000, 1)
MODES = {
    "quick": Mode(3, (64, 256), (64,), 1, (64,), 0.5, (("RFLO factored, float32", 256, 1),), False),
    "default": Mode(
        7, (64, 256, 1024), (64, 256, 1024), 2, (64, 1024), 2.0, (*_memory((256, 1024), (1, 10)), BLOCKS), True
    ),
    "full": Mode(
        9, (16, 64, 256, 1024, 2048, 8192), (64, 256, 1024), 99, (16, 64, 256, 1024), 5.0,
        (*_memory((16, 64, 256, 1024, 2048), (1, 4, 10)), BLOCKS), True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """What ``--only`` asks for."""

    sections: tuple[str, ...]
    families: tuple[str, ...]
    words: tuple[str, ...]


def choose(only: Iterable[str]) -> Choice:
    """Sort words into sections, families and parts of names of contenders.

    Raises
    ------
    ResultsError
        If a word is none of these.
    """
    only = list(only)
    sections = tuple(word for word in only if word in SECTIONS)
    families = tuple(word for word in only if word in FAMILIES)
    words = tuple(word for word in only if word not in sections and word not in families)
    names = [f"{c.who} {c.name}".lower() for family in FAMILIES for c in contenders(family)]
    for word in words:
        if not any(word.lower() in name for name in names):
            raise ResultsError(
                f"--only {word!r} is no section ({', '.join(SECTIONS)}), no family ({', '.join(FAMILIES)}) and no part "
                f"of a contender's name"
            )
    if not only:
        return Choice(SECTIONS, tuple(FAMILIES), ())
    if families or words:
        sections = (*sections, "rules")
    return Choice(sections, families or tuple(FAMILIES), words)


def measure(mode: str, only: Iterable[str] = (), rounds: int | None = None) -> Results:
    """Measure what is asked for; what cannot be measured stands in the results with the reason."""
    choice, how, began = choose(only), MODES[mode], time.perf_counter()
    times = how.rounds if rounds is None else rounds
    few = how.few if rounds is None else rounds
    there = peers()
    rows: list[Row] = []
    if "ceilings" in choice.sections:
        tell("ceilings")
        rows += ceilings.measure(how.sizes, times)
    if "rules" in choice.sections:
        for family in choice.families:
            for work in FAMILIES[family].works(mode):
                tell(f"{FAMILIES[family].title}: n = {work.n}, n_out = {work.n_out}")
                rows += method.measure(family, work, times, choice.words, full=mode == "full")
    if "runs" in choice.sections:
        tell("whole runs")
        rows += whole_runs.measure(how.runs, few, how.rules)
    if "sweeps" in choice.sections:
        tell("sweeps")
        asked = {"sizes": how.sweeps, "rounds": few, "seconds": how.sweep_seconds}
        rows += _elsewhere("sweeps", asked)
    if "memory" in choice.sections:
        for name, n, n_out in how.memory:
            tell(f"memory: {name}, n = {n}")
            rows += _elsewhere("memory", {"name": name, "n": n, "n_out": n_out})
    if "start" in choice.sections:
        tell("start")
        rows += start.measure(few, there if how.cold else {}, how.cold)
    settings = {"rounds": times, "only": list(only), "seconds": round(time.perf_counter() - began, 1)}
    return Results(mode, machine.describe(), there, rows, settings)


def _elsewhere(module: str, arguments: dict[str, object]) -> list[Row]:
    """Measure in a process of its own."""
    try:
        _, printed = start.child(["-m", f"benchmarks.{module}", json.dumps(arguments)])
        return [Row(**row) for row in json.loads(printed)]
    except (RuntimeError, json.JSONDecodeError) as error:
        what = f"{arguments.get('name', module)}"
        size = {k: v for k, v in arguments.items() if k in ("n", "n_out")}
        return [Row(module, "", "neurolrnn", what, size, "s", status="failed", note=str(error))]
