"""Which tables and keys an experiment may have, and the words in which others are refused."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from neurolrnn import toml_text
from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.network import KINDS, Kind, check_density
from neurolrnn.rules import RULES
from neurolrnn.tasks import TASKS
from neurolrnn.training import Training

TOP = ("seed", "chip", "assume")
"""Keys above the tables."""
TABLES = ("task", "network", "rule", "training", "precision", "spiking")
SPIKING = ("mode", "q", "payload", "micro_steps", "decay", "receivers", "reset", "reset_value")
"""Keys of the table ``[spiking]``: options of :func:`neurolrnn.spiking.measure`."""


@dataclass(frozen=True)
class Drawing:
    """How the network is drawn: the table ``[network]``. See :meth:`neurolrnn.Network.random`.

    Parameters
    ----------
    n_rec : int
        Number of recurrent units; inputs and outputs are the task's.
    leak, spectral_radius, kind, input_scale, output_scale, density
        As in :meth:`neurolrnn.Network.random`.
    seed : int, optional
        Seed of the weights; the experiment's seed if left out.
    """

    n_rec: int
    leak: float = 1.0
    spectral_radius: float = 0.9
    kind: Kind = "gaussian"
    input_scale: float = 1.0
    output_scale: float = 0.1
    seed: int | None = None
    density: float | None = None

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("n_rec", positive_integer("n_rec", self.n_rec))
        put("leak", real_number("leak", self.leak, above=0.0, at_most=1.0))
        for name in ("spectral_radius", "input_scale", "output_scale"):
            put(name, real_number(name, getattr(self, name), at_least=0.0))
        choose("kind", self.kind, KINDS)
        check_density(self.kind, self.density)
        if self.seed is not None:
            put("seed", positive_integer("seed", self.seed, 0))


def chip_of(chip: Any, assume: Any) -> tuple[str | None, tuple[str, ...]]:
    """Return a chip and what is assumed of it, checked as far as that goes without its sheet."""
    if chip is not None and (not isinstance(chip, str) or not chip):
        raise InputError(f"chip = {chip!r}; the name of a chip, or the path of a sheet, is needed")
    given = (assume,) if isinstance(assume, str) else assume
    if not isinstance(given, list | tuple) or not all(isinstance(a, str) for a in given):
        raise InputError(f'assume = {assume!r}; a list of limits is needed, such as ["payload.bits", "state.bits=16"]')
    if given and chip is None:
        raise InputError(f'assume = {assume!r} lifts limits of a chip, and none is given; say which: chip = "reckon"')
    return chip, tuple(given)


def task_options(name: str) -> list[str]:
    """Return the options of a task of the table, in the order of its generator's signature."""
    return list(inspect.signature(TASKS[name].make).parameters)


def _known(table: str, given: Mapping[str, Any]) -> list[str] | None:
    """Return the keys that a table may have, or None where only the part itself knows."""
    if table == "precision":
        return None
    if table == "spiking":
        return list(SPIKING)
    if table in ("network", "training"):
        return [f.name for f in fields(Drawing if table == "network" else Training)]
    if table == "rule":
        return ["name", *(f.name for f in fields(RULES[given["name"]]))]
    return ["name", *task_options(given["name"])]


def left_out(given: dict[str, Any], set_keys: list[str], table: str) -> list[str]:
    """Take out the file's options that what was set in their place does not have; return a note if there were any."""
    options, head = given.get(table), "preset" if table == "precision" else "name"
    if f"{table}.{head}" not in set_keys or not isinstance(options, dict):
        return []
    if table == "precision":
        known = [head]
    elif options["name"] in (RULES if table == "rule" else TASKS):
        known = _known(table, options) or []
    else:
        return []  # an unknown name, refused later in better words
    dropped = [key for key in options if key not in known and f"{table}.{key}" not in set_keys]
    for key in dropped:
        del options[key]
    names = ", ".join(f"{table}.{key}" for key in dropped)
    return [f"{names} left out: not part of {table}.{head} = {options[head]!r}"] if dropped else []


def check_names(given: Mapping[str, Any], places: Mapping[str, str]) -> None:
    """Refuse unknown tables and keys, tables that are none, and missing or unknown names of task and rule."""
    for name, table in given.items():
        if name not in (*TOP, *TABLES):
            home = _home(name)
            raise InputError(
                f"{places[name]}: {name} is not known at the top; allowed: {', '.join(TOP)}, "
                f"{', '.join(f'[{t}]' for t in TABLES)}{_hint(name, (*TOP, *TABLES)) if not home else ''}{home}"
            )
        if name not in TOP and not isinstance(table, Mapping):
            named = name in ("task", "rule") and isinstance(table, str)
            example = f" and below it name = {toml_text.inline(table)}" if named else ""
            raise InputError(f"{places[name]}: {name} = {table!r}; a table is needed: write [{name}]{example}")
    for name, choices in (("task", list(TASKS)), ("rule", list(RULES))):
        if "name" not in given.get(name, {}):
            raise InputError(
                f"{places[name]}: {name}.name is missing; give a table [{name}] with one of {', '.join(choices)}"
            )
        with told(places[name], name):
            choose("name", given[name]["name"], choices)
    for name, table in given.items():
        known = _known(name, table) if name in TABLES else None
        for key in table if known is not None else ():
            if known is not None and key not in known:
                of = f" {table['name']!r}" if name in ("task", "rule") else ""
                home = _home(key)
                raise InputError(
                    f"{places[name]}: {name}.{key} = {table[key]!r} is not known; allowed in [{name}]"
                    f"{f' for {name}{of}' if of else ''}: {', '.join(known)}{_hint(key, known) or home}"
                )


def _hint(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _home(key: str) -> str:
    """Say which table a misplaced key belongs in."""
    for table in ("network", "training"):
        if key in (_known(table, {}) or ()):
            return f"; {key} belongs in [{table}]"
    for name, rule in RULES.items():
        if key in {f.name for f in fields(rule)}:
            return f"; {key} belongs in [rule], for {name}"
    return ""


@contextmanager
def told(where: str, table: str = "") -> Iterator[None]:
    """Put file and table in front of what a part says about its options."""
    try:
        yield
    except InputError as error:
        text = str(error)
        if table and not re.match(rf"{table}\b", text):
            # "leak = 2; ..." becomes "table.leak = 2; ..."; a sentence gets the table's name in front.
            text = f"{table}.{text}" if re.match(r"[A-Za-z_][\w.]* (= |is )", text) else f"[{table}] {text}"
        raise InputError(f"{where}: {text}") from error
