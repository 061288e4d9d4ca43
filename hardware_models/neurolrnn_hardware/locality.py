"""What the update of one synapse reads: declared by a rule, and shown as a table.

A declaration names cells of a learner's arrays, so it can be tested: everything else may be poisoned, and the update
must not change by a bit. Names of arrays are those of a run's state (``memory.p``), and each axis says which part of it
is read: ``"pre"`` is the sending unit j of the synapse, ``"post"`` the receiving unit i, ``"all"`` everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal, get_args

Axis = Literal["pre", "post", "synapse", "self", "all"]
Kind = Literal[
    "own weight", "own trace", "own sum", "pre state", "pre trace", "post signal", "post weight", "weight transport",
    "history", "influence",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)

LOCAL: dict[str, str] = {
    "own weight": "the weight that is updated, and a finer one behind it",
    "own trace": "an eligibility trace held at this synapse",
    "own sum": "an update held at this synapse until it is made, and its momentum",
    "pre state": "activity of the sending unit, as it arrives",
    "pre trace": "filtered activity of the sending unit, one number per unit",
    "post signal": "a learning signal that arrives at the receiving unit: its own error, or a broadcast through fixed "
    "weights",
    "post weight": "the receiving unit's weight onto itself",
}
"""Kinds of reads that a synapse, the unit before it and the unit behind it hold or are sent; each in words."""

NONLOCAL: dict[str, str] = {
    "weight transport": "weights of other synapses, read against their direction",
    "history": "activity of earlier steps, stored",
    "influence": "the influence of this weight on every unit",
}
"""Kinds of reads that need more, each in words."""


@dataclass(frozen=True)
class Cells:
    """A part of an array: one entry of ``axes`` per axis.

    Parameters
    ----------
    array : str
        Name in a learner's state, or what this step makes: ``"input"`` (x_t), ``"state"`` (h_t) and ``"error"`` (ε_t).
    axes : tuple of str
        ``"pre"``, ``"post"``, ``"synapse"`` (place of synapse (i, j) in a list of them), ``"self"`` (of (i, i)) or
        ``"all"``.
    shape : tuple of int
        Shape in which the array is to be looked at; empty for its own.
    first : int
        Place of the first sending unit on its axis.
    """

    array: str
    axes: tuple[Axis, ...] = ()
    shape: tuple[int, ...] = ()
    first: int = 0


@dataclass(frozen=True)
class Read:
    """Something that the update of synapse (i, j) reads.

    Parameters
    ----------
    what : str
        In the letters of the rules, such as ``"p_j"``.
    kind : str
        One of :data:`KINDS`.
    cells : tuple of Cells
        Where it is; all of it together.
    words : int
        Numbers read per update, beyond what arrives as one.
    """

    what: str
    kind: Kind
    cells: tuple[Cells, ...]
    words: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind = {self.kind!r} is not known; allowed: {', '.join(KINDS)}")
        if not self.cells:
            raise ValueError(f"{self.what} names no cells; a read that cannot be tested is none")

    @property
    def local(self) -> bool:
        """Whether the synapse, or one of the two units it joins, holds it or is sent it."""
        return self.kind in LOCAL


@dataclass(frozen=True)
class SynapseReads:
    """What the update of any synapse of one plastic group reads.

    Parameters
    ----------
    group : str
        ``"A"``, ``"W"``, ``"B"``, or ``"M"``, ``"N"`` of factored storage.
    connection : str
        Name of the connection in the demand.
    array : str
        Name of the weights in a learner's state.
    axes : tuple of str
        Where the weight of synapse (i, j) is in it.
    update : str
        The update, in the letters of the rules.
    reads : tuple of Read
        Everything it reads.
    """

    group: str
    connection: str
    array: str
    axes: tuple[Axis, ...]
    update: str
    reads: tuple[Read, ...]

    @property
    def local(self) -> tuple[Read, ...]:
        """Reads that need nothing but the synapse and its two units."""
        return tuple(r for r in self.reads if r.local)

    @property
    def nonlocal_reads(self) -> tuple[Read, ...]:
        """Reads that need more."""
        return tuple(r for r in self.reads if not r.local)


@dataclass(frozen=True)
class Locality:
    """The locality of one rule in one storage.

    Parameters
    ----------
    rule, storage : str
        Which.
    synapses : tuple of SynapseReads
        One for each plastic group that is learned.
    """

    rule: str
    storage: str
    synapses: tuple[SynapseReads, ...]

    @property
    def is_local(self) -> bool:
        """Whether no synapse reads anything non-local."""
        return not any(s.nonlocal_reads for s in self.synapses)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of reads that occur, in the order of :data:`KINDS`: what a learning engine must offer."""
        found = {r.kind for s in self.synapses for r in s.reads}
        return tuple(k for k in KINDS if k in found)

    def kinds_of(self, connection: str) -> tuple[str, ...]:
        """Return the kinds of reads at the synapses of one connection; none if it is not plastic."""
        found = {r.kind for s in self.synapses if s.connection == connection for r in s.reads}
        return tuple(k for k in KINDS if k in found)

    def __iter__(self) -> Iterator[SynapseReads]:
        return iter(self.synapses)

    def rows(self) -> list[list[str]]:
        """Return the table's cells: synapse, update, local reads, non-local reads."""
        return [[_name(s), s.update, _words(s.local), _words(s.nonlocal_reads) or "none"] for s in self.synapses]

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines = ["| " + " | ".join(HEADER) + " |", "|" + " --- |" * len(HEADER)]
        return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in self.rows())]) + "\n"

    def text(self) -> str:
        """Return the table for a terminal."""
        verdict = "local" if self.is_local else "not local"
        lines = [f"{self.rule}, {self.storage}: {verdict}"]
        for s in self.synapses:
            lines.append(f"  {_name(s)}: {s.update}")
            lines += [f"    reads {_words((r,))}{'' if r.local else ', NOT LOCAL'}" for r in s.reads]
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, object]:
        """Return plain data, as JSON holds it."""
        return {**asdict(self), "is_local": self.is_local, "kinds": list(self.kinds)}


HEADER = ("synapse", "update", "reads, local", "reads, not local")


def _name(s: SynapseReads) -> str:
    return f"{s.group}[{'k' if s.group in 'AMN' else 'i'}, j]"


def _words(reads: tuple[Read, ...]) -> str:
    return "; ".join(r.what if r.what == r.kind else f"{r.what} ({r.kind})" for r in reads)
