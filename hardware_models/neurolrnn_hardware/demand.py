"""What a learner asks of a chip: memory, connections, messages and arithmetic, counted.

Words and bits are those of the algorithm, not of a chip: packing, padding and routing tables are added by placement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import TypedDict, Unpack

from neurolrnn_hardware.demand_parts import (
    LIVES,
    PHASES,
    PLACES,
    ROLES,
    Access,
    Arithmetic,
    Connection,
    Landing,
    Life,
    Message,
    Number,
    Phase,
    Place,
    Population,
    Role,
    Variable,
    named,
)
from neurolrnn_hardware.locality import Locality

__all__ = [
    "LIVES", "PHASES", "PLACES", "ROLES", "Access", "Arithmetic", "Connection", "Demand", "Landing", "Life", "Message",
    "Number", "Phase", "Place", "Population", "Role", "Sizes", "Variable",
]  # fmt: skip


class Which(TypedDict, total=False):
    """Conditions of :meth:`Demand.select`."""

    role: str | Iterable[str] | None
    place: str | Iterable[str] | None
    life: str | Iterable[str] | None
    owner: str | Iterable[str] | None
    plastic: bool | None


@dataclass(frozen=True)
class Sizes:
    """Sizes of a learner.

    Parameters
    ----------
    n_in, n_rec, n_out : int
        Inputs, recurrent units, outputs.
    lanes : int
        Sequences that run side by side.
    steps_stored : int
        Past steps that the rule keeps: τ of truncated BPTT, the episode of BPTT, else 0.
    """

    n_in: int
    n_rec: int
    n_out: int
    lanes: int = 1
    steps_stored: int = 0


@dataclass(frozen=True)
class Demand:
    """Everything that network, rule, precision and training ask of a chip.

    Parameters
    ----------
    rule, storage : str
        The learning rule, and how what it learns is stored.
    form : str
        How the recurrent weights are held: ``"dense"``, ``"triangle"``, ``"blocks"`` or ``"sparse"``.
    feedback : str
        ``"random"``, ``"symmetric"``, ``"given"``, or ``""`` where the rule has none.
    precision : str
        Its name.
    update : str
        ``"online"`` or ``"episode"``.
    momentum : float
        μ.
    learn : tuple of str
        Groups that learn, out of A, W and B.
    sizes : Sizes
        How large it is.
    populations, connections, variables, messages, arithmetic
        What is asked for.
    locality : Locality
        What each synapse's update reads.
    """

    rule: str
    storage: str
    form: str
    feedback: str
    precision: str
    update: str
    momentum: float
    learn: tuple[str, ...]
    sizes: Sizes
    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    variables: tuple[Variable, ...]
    messages: tuple[Message, ...]
    arithmetic: Arithmetic
    locality: Locality

    def variable(self, name: str) -> Variable:
        """Return a variable by its name."""
        return named(self.variables, "name", name)  # type: ignore[no-any-return]

    def connection(self, name: str) -> Connection:
        """Return a connection by its name."""
        return named(self.connections, "name", name)  # type: ignore[no-any-return]

    def population(self, name: str) -> Population:
        """Return a population by its name."""
        return named(self.populations, "name", name)  # type: ignore[no-any-return]

    def has(self, name: str) -> bool:
        """Tell whether there is a variable, connection or population of this name."""
        return name in {x.name for group in (self.variables, self.connections, self.populations) for x in group}

    def select(
        self,
        *,
        role: str | Iterable[str] | None = None,
        place: str | Iterable[str] | None = None,
        life: str | Iterable[str] | None = ("fixed", "kept"),
        owner: str | Iterable[str] | None = None,
        plastic: bool | None = None,
    ) -> tuple[Variable, ...]:
        """Return the variables for which everything that is given holds; by default those that need memory.

        Parameters
        ----------
        role, place, life, owner : str or iterable of str, optional
            One of these; None for any.
        plastic : bool, optional
            Whether learning writes it.
        """
        asked = {"role": role, "place": place, "life": life, "owner": owner}
        sets = {k: {v} if isinstance(v, str) else set(v) for k, v in asked.items() if v is not None}
        return tuple(
            v
            for v in self.variables
            if all(getattr(v, k) in s for k, s in sets.items()) and (plastic is None or v.plastic is plastic)
        )

    def bits(self, **which: Unpack[Which]) -> int:
        """Return the bits of the variables that :meth:`select` finds: without conditions, all memory between steps."""
        return sum(v.bits for v in self.select(**which))

    def words(self, **which: Unpack[Which]) -> int:
        """Return the words of the variables that :meth:`select` finds."""
        return sum(v.words for v in self.select(**which))

    @property
    def units(self) -> int:
        """Units that the chip hosts."""
        return sum(p.units for p in self.populations if not p.outside)

    @property
    def synapses(self) -> int:
        """Synapses that the chip hosts; weights read against their direction are not counted twice."""
        return sum(c.synapses for c in self.connections if not c.transposed)

    def with_spikes(self, readout_trace: Number) -> Demand:
        """Return the demand of the same learner whose units send spikes.

        A spike tells a synapse of the read-out that it came, not the value behind it, so each sending unit keeps a
        trace of its spikes for these synapses. Source: Bellec et al., Nature Communications 2020, eq. 28 (the update
        of the output weights filters the spikes).
        """
        n, lanes = self.sizes.n_rec, self.sizes.lanes
        spike = Number("spike", 1, False)
        trace = Variable(
            "readout_trace", "trace", "pre-neuron", lanes * n, readout_trace, "kept", "recurrent",
            reads=(Access("trace", "recurrent", lanes * n), Access("update", "readout", lanes * n)),
            writes=(Access("trace", "recurrent", lanes * n),),
        )  # fmt: skip
        sent = tuple(replace(m, payload=spike) if m.source in ("input", "recurrent") else m for m in self.messages)
        return replace(self, variables=(*self.variables, trace), messages=sent)

    def to_dict(self) -> dict[str, object]:
        """Return plain data, as JSON holds it, with the totals."""
        out = asdict(self)
        for plain, v in zip(out["variables"], self.variables, strict=True):
            plain["bits"] = v.bits
        totals = {
            "memory_bits": self.bits(), "plastic_words": self.words(plastic=True, role="weight"),
            "units": self.units, "synapses": self.synapses,
            "random_bits_per_step": self.arithmetic.random_bits_per_step,
            "multiplications_per_step": self.arithmetic.multiplications_per_step,
            "messages_per_step": sum(m.per_step for m in self.messages),
        }  # fmt: skip
        return {**out, "locality": self.locality.to_dict(), "totals": totals}

    def rows(self) -> list[list[str]]:
        """Return the cells of the table of variables that need memory between steps."""
        return [
            [
                v.name, v.role + (", plastic" if v.plastic else ""), v.place, f"{v.words:,}", v.number.format,
                f"{v.bits:,}", f"{v.reads_per_step:,}", f"{v.writes_per_step:,}",
            ]
            for v in self.select()
            if v.words
        ]  # fmt: skip

    def markdown(self) -> str:
        """Return the table of variables in Markdown."""
        lines = ["| " + " | ".join(HEADER) + " |", "|" + " --- |" * 3 + " ---: |" * 5]
        return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in self.rows())]) + "\n"

    def text(self) -> str:
        """Return the demand for a terminal: variables, connections, messages, arithmetic, locality."""
        kib = self.bits() / 8192
        head = f"{self.rule} {self.storage}, {self.form} W, {self.precision}: {kib:,.1f} KiB between steps"
        lines = [head, "", *_columns([list(HEADER), *self.rows()], left=3), ""]
        table = [["connection", "from", "to", "synapses", "fan-in", "fan-out", "weights"]]
        table += [
            [
                c.name, c.pre, c.post, f"{c.synapses:,}", f"{c.fan_in:,}", f"{c.fan_out:,}",
                c.weight.format + (", plastic" if c.plastic else "") + (", transposed" if c.transposed else ""),
            ]
            for c in self.connections
        ]  # fmt: skip
        lines += [*_columns(table, left=3), ""]
        table = [["message", "from", "per step", "bits each"]]
        table += [[m.name, m.source, f"{m.per_step:,}", str(m.payload.bits)] for m in self.messages]
        lines += [*_columns(table, left=2), ""]
        a = self.arithmetic
        lines.append(
            f"{a.multiplications_per_step:,} multiplications and {a.random_bits_per_step:,} random bits a step"
        )
        return "\n".join([*lines, "", self.locality.text()])


HEADER = ("variable", "role", "place", "words", "format", "bits", "reads/step", "writes/step")


def _columns(rows: list[list[str]], left: int) -> list[str]:
    """Return lines with aligned columns, the first ``left`` of them and the last flush left."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(c.ljust(w) if k < left else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True)))
        .rstrip()
        for row in rows
    ]  # fmt: skip
