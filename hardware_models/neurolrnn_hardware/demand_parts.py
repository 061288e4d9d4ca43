"""The parts of a demand: variables, populations, connections, messages and arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from neurolrnn_kernels.formats import QFormat

Role = Literal["weight", "state", "trace", "signal", "constant", "history", "influence", "sum", "index"]
Place = Literal["synapse", "pre-neuron", "post-neuron", "core", "global"]
Life = Literal["fixed", "kept", "step"]
Phase = Literal["forward", "trace", "error", "signal", "update", "episode"]
ROLES: tuple[str, ...] = get_args(Role)
PLACES: tuple[str, ...] = get_args(Place)
LIVES: tuple[str, ...] = get_args(Life)
PHASES: tuple[str, ...] = get_args(Phase)


@dataclass(frozen=True)
class Number:
    """A number format, and how results come to rest on it.

    Parameters
    ----------
    format : str
        ``"s1.6"``, ``"float32"``, ``"i10"`` (an index).
    bits : int
        Width.
    signed : bool
        Whether it holds negative values.
    rounding, overflow : str
        Names as in a precision; ``""`` for floating point and indices.
    """

    format: str
    bits: int
    signed: bool = True
    rounding: str = ""
    overflow: str = ""

    @property
    def is_fixed(self) -> bool:
        """Whether this is a fixed-point format."""
        return self.format[:1] in ("s", "u")

    @property
    def qformat(self) -> QFormat:
        """The fixed-point format.

        Raises
        ------
        FormatError
            If this is none.
        """
        return QFormat.parse(self.format)


@dataclass(frozen=True)
class Access:
    """Numbers of one variable that are read or written in one step.

    Parameters
    ----------
    phase : str
        When: ``"forward"``, ``"trace"``, ``"error"``, ``"signal"``, ``"update"`` (steps with an error), ``"episode"``
        (once, at the end of an episode).
    by : str
        Who: a population or a connection.
    words : int
        How many.
    """

    phase: Phase
    by: str
    words: int


@dataclass(frozen=True)
class Variable:
    """A variable of the learner.

    Parameters
    ----------
    name : str
        Unique in a demand.
    role : str
        ``"weight"``, ``"state"``, ``"trace"``, ``"signal"``, ``"constant"``, ``"history"`` (of earlier steps),
        ``"influence"``, ``"sum"`` (updates not yet made, momentum) or ``"index"`` (which synapses exist).
    place : str
        Where it belongs: ``"synapse"``, ``"pre-neuron"``, ``"post-neuron"``, ``"core"`` or ``"global"``.
    words : int
        How many numbers, all sequences that run side by side included.
    number : Number
        Format of each.
    life : str
        ``"fixed"`` is never written, ``"kept"`` from step to step, ``"step"`` is gone when the step is.
    owner : str
        Population or connection it belongs to; ``""`` if none.
    plastic : bool
        Whether learning writes it.
    reads, writes : tuple of Access
        Per step.
    arrays : tuple of str
        Names of the arrays that hold it in a run's state.
    """

    name: str
    role: Role
    place: Place
    words: int
    number: Number
    life: Life
    owner: str = ""
    plastic: bool = False
    reads: tuple[Access, ...] = ()
    writes: tuple[Access, ...] = ()
    arrays: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key, allowed in (("role", ROLES), ("place", PLACES), ("life", LIVES)):
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key} = {getattr(self, key)!r} is not known; allowed: {', '.join(allowed)}")
        if self.words < 0:
            raise ValueError(f"words = {self.words}; a count is needed")

    @property
    def bits(self) -> int:
        """All its words together."""
        return self.words * self.number.bits

    @property
    def reads_per_step(self) -> int:
        """Numbers read in a step that has an error to learn from."""
        return sum(a.words for a in self.reads if a.phase != "episode")

    @property
    def writes_per_step(self) -> int:
        """Numbers written in a step that has an error to learn from."""
        return sum(a.words for a in self.writes if a.phase != "episode")


@dataclass(frozen=True)
class Population:
    """Units that a chip must host, or that send from outside.

    Parameters
    ----------
    name : str
        ``"input"``, ``"recurrent"``, ``"output"`` or ``"learning"`` (of factored storage, z = M h + N x).
    units : int
        How many.
    number : Number
        Format of what each of them sends.
    outside : bool
        Whether they are no units of the chip: inputs that arrive.
    """

    name: str
    units: int
    number: Number
    outside: bool = False


@dataclass(frozen=True)
class Connection:
    """Synapses from one population to another.

    Parameters
    ----------
    name : str
        ``"recurrent"``, ``"input"``, ``"readout"``, ``"feedback"`` (a learning signal), ``"factor_recurrent"``,
        ``"factor_input"`` or ``"coupling"`` (of factored storage: activity, z through Rᵀ).
    pre, post : str
        Populations.
    synapses : int
        How many exist.
    fan_in, fan_out : int
        Most synapses onto one unit of ``post``, and from one unit of ``pre``.
    weight : Number
        Format of the weights.
    variable : str
        Name of the variable that holds them.
    plastic : bool
        Whether learning changes them.
    carries : str
        ``"activity"`` or ``"learning signal"``.
    transposed : bool
        Whether these are weights of another connection, read against its direction.
    dense : bool
        Whether every pair of units has a synapse.
    """

    name: str
    pre: str
    post: str
    synapses: int
    fan_in: int
    fan_out: int
    weight: Number
    variable: str
    plastic: bool = False
    carries: Literal["activity", "learning signal"] = "activity"
    transposed: bool = False
    dense: bool = True


@dataclass(frozen=True)
class Message:
    """Numbers that travel between units in every step.

    Parameters
    ----------
    name : str
        What is sent.
    source : str
        Population that sends, or ``"outside"``.
    connections : tuple of str
        Where it goes.
    per_step : int
        How many, one per sending unit and sequence.
    payload : Number
        What each carries.
    kind : str
        ``"activity"``, ``"learning signal"`` or ``"target"``.
    """

    name: str
    source: str
    connections: tuple[str, ...]
    per_step: int
    payload: Number
    kind: Literal["activity", "learning signal", "target"] = "activity"

    @property
    def bits_per_step(self) -> int:
        """Payload bits of a step."""
        return self.per_step * self.payload.bits


@dataclass(frozen=True)
class Landing:
    """Results that come to rest on a format in every step.

    Parameters
    ----------
    variable : str
        Name of the variable, as in a precision.
    number : Number
        Format, rounding and overflow.
    per_step : int
        How many results land in a step that has an error to learn from.
    terms : int
        Most products summed in one of them.
    sum_bits : int
        Bits, with sign, that hold every sum before it lands; 0 where unknown or floating point.
    random_bits : int
        Random bits of each; 0 unless rounding is stochastic.
    draws_per_step : int
        Random numbers drawn; fewer than results where they share one.
    phase : str
        When they land; in ``"episode"`` once at its end instead of in every step.
    """

    variable: str
    number: Number
    per_step: int
    terms: int = 1
    sum_bits: int = 0
    random_bits: int = 0
    draws_per_step: int = 0
    phase: Phase = "forward"


@dataclass(frozen=True)
class Arithmetic:
    """How results are calculated.

    Parameters
    ----------
    system : str
        ``"fixed"`` or ``"float"``.
    accumulator : str
        ``"exact"``, or a width with what happens beyond it.
    landings : tuple of Landing
        Every variable that results land in.
    multiplications : dict of str to int
        Multiply-accumulates per step, by phase.
    decay_bits, rate_bits : int
        Fraction bits of leak and decays, and bits of the mantissa of learning rates; 0 in floating point.
    rates : dict of str to tuple
        Mantissa and shift of each group's learning rate; empty in floating point.
    """

    system: Literal["fixed", "float"]
    accumulator: str
    landings: tuple[Landing, ...]
    multiplications: dict[str, int]
    decay_bits: int = 0
    rate_bits: int = 0
    rates: dict[str, tuple[int, int]] | None = None

    @property
    def random_bits_per_step(self) -> int:
        """Random bits drawn in a step that has an error to learn from."""
        return sum(x.draws_per_step * x.random_bits for x in self.landings if x.phase != "episode")

    @property
    def multiplications_per_step(self) -> int:
        """Multiply-accumulates of a step that has an error to learn from."""
        return sum(count for phase, count in self.multiplications.items() if phase != "episode")

    def landing(self, variable: str) -> Landing:
        """Return the landing of a variable.

        Raises
        ------
        KeyError
            If nothing lands there.
        """
        return named(self.landings, "variable", variable)  # type: ignore[no-any-return]


def named(items: Iterable[Any], key: str, name: str) -> Any:
    """Return the item whose ``key`` is ``name``.

    Raises
    ------
    KeyError
        If there is none; the text says which there are.
    """
    found = {getattr(x, key): x for x in items}
    if name not in found:
        raise KeyError(f"{name!r} is not here; there are: {', '.join(found)}")
    return found[name]
