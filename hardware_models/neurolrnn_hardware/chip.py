"""A chip: what it limits, every figure with unit, grade and source.

The sheet of a chip is a TOML file whose sections and fields are those of the classes below; nothing else is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Literal, get_args

from neurolrnn_hardware import sheet_fields as sheet
from neurolrnn_hardware.locality import KINDS
from neurolrnn_hardware.sheet_fields import Fact, Spec

Placement = Literal["cores", "crossbar", "rows", "matrices", "layers", "memory"]
PLACEMENTS: tuple[str, ...] = get_args(Placement)
"""How synapses are laid out.

``cores``: lists of synapses per incoming axon, in each core's memory; ``crossbar``: a full matrix of axons by neurons
in each core; ``rows``: synapse rows beside columns of neurons, which may be merged; ``matrices``: one memory per weight
matrix; ``layers``: one hidden population between inputs and outputs, with limited fans; ``memory``: one memory for
everything.
"""
GROUPS = ("input", "recurrent", "readout")
"""Groups of synapses: B, W and A."""
SIGNALS = (
    *KINDS, "pre spike", "post spike", "post state", "post trace", "anything"
)  # fmt: skip
"""What the learning engine of a chip may read where it updates a synapse: the kinds of reads of
:mod:`neurolrnn_hardware.locality`, and what only chips have."""
ROUNDINGS = ("floor", "nearest", "nearest-even", "toward-zero", "stochastic", "lsb-stochastic")
"""As in :mod:`neurolrnn_kernels.formats`."""
OVERFLOWS = ("saturate", "wrap")


@dataclass(frozen=True)
class Topology:
    """How many neurons and connections there are room for."""

    cores: Fact[int] = sheet.count("cores", "cores on a chip")
    neurons_per_core: Fact[int] = sheet.count("neurons", "neurons a core can hold")
    neurons: Fact[int] = sheet.count("neurons", "neurons on a chip")
    inputs: Fact[int] = sheet.count("channels", "input channels")
    hidden: Fact[int] = sheet.count("neurons", "recurrent neurons")
    outputs: Fact[int] = sheet.count("neurons", "output neurons")
    recurrent: Fact[bool] = sheet.flag("whether neurons may be connected in a loop")
    fan_in: Fact[int] = sheet.count("synapses", "synapses onto one neuron")
    fan_out: Fact[int] = sheet.count("targets", "neurons or cores that one neuron can reach")
    fan_out_counts: Fact[str] = sheet.choice("what fan_out counts", "neurons", "cores")
    axons_in_per_core: Fact[int] = sheet.count("axons", "incoming axons of a core")
    axons_out_per_core: Fact[int] = sheet.count("axons", "outgoing axons of a core")
    rows_per_core: Fact[int] = sheet.count("rows", "rows of synapses of a core")
    columns_per_core: Fact[int] = sheet.count("columns", "columns of synapses of a core")
    synapses: Fact[int] = sheet.count("synapses", "synapses on a chip")
    recurrent_synapses: Fact[int] = sheet.count("synapses", "recurrent synapses on a chip")
    input_projection: Fact[int] = sheet.count("neurons", "recurrent neurons that inputs can reach")
    output_projection: Fact[int] = sheet.count("neurons", "recurrent neurons that outputs can hear")


@dataclass(frozen=True)
class Memory:
    """Bytes, and for what they are; 1 kB is 1024 bytes."""

    synapse_per_core: Fact[int] = sheet.count("bytes", "memory for synapses in a core")
    neuron_per_core: Fact[int] = sheet.count("bytes", "memory for states of neurons in a core")
    routing_per_core: Fact[int] = sheet.count("bytes", "memory for routing in a core")
    core: Fact[int] = sheet.count("bytes", "memory of a core for all data together")
    chip: Fact[int] = sheet.count("bytes", "memory all cores share, or the whole of a chip without cores")
    input_weights: Fact[int] = sheet.count("bytes", "memory of the input matrix")
    recurrent_weights: Fact[int] = sheet.count("bytes", "memory of the recurrent matrix")
    output_weights: Fact[int] = sheet.count("bytes", "memory of the read-out matrix")


@dataclass(frozen=True)
class Packing:
    """How the synapses of one axon in one core fill memory.

    ``ceil_to_word(n * (weight + delay + tag + index bits) + header)``, the tag only where synapses learn.
    """

    word: Fact[int] = sheet.bits("one memory word; lists of synapses end on its border")
    header: Fact[int] = sheet.bits("bits in front of each list of synapses")
    longest: Fact[int] = sheet.count("synapses", "synapses in one list; a longer one is cut, each part with its header")
    delay: Fact[int] = sheet.bits("delay bits stored per synapse")
    tag: Fact[int] = sheet.bits("tag bits per learning synapse")
    index_least: Fact[int] = sheet.bits("fewest index bits per synapse, where there are any")
    index: Fact[int] = sheet.bits("index bits per synapse, where not all neurons of a core are addressed in order")


@dataclass(frozen=True)
class WeightFormat:
    """What a weight can be: ``mantissa * 2^exponent``, with what is shared."""

    bits: Fact[int] = sheet.bits("bits of a stored mantissa, its sign included where it has one of its own", 64)
    signed: Fact[bool] = sheet.flag("whether each weight has a sign of its own")
    sign_scope: Fact[str] = sheet.choice(
        "what shares a sign", "weight", "connection", "row", "pre-neuron", "neuron", "core"
    )
    widths: Fact[tuple[int, ...]] = sheet.integers("bits", "widths to choose from", 64)
    low: Fact[int] = sheet.integer("", "smallest mantissa of a connection with both signs", -(2**31), 2**31)
    high: Fact[int] = sheet.integer("", "largest mantissa of a connection with both signs", -(2**31), 2**31)
    step: Fact[int] = sheet.integer("", "distance of neighbouring mantissas of a connection with both signs", 1, 2**31)
    exponent_low: Fact[int] = sheet.integer("", "smallest exponent of two", -64, 64)
    exponent_high: Fact[int] = sheet.integer("", "largest exponent of two", -64, 64)
    exponent_scope: Fact[str] = sheet.choice(
        "what shares an exponent", "weight", "connection", "matrix", "core", "none"
    )
    shared_values: Fact[int] = sheet.count("values", "values a synapse chooses from, shared by a neuron or a core")
    shared_bits: Fact[int] = sheet.bits("bits of such a value", 64)
    overflow: Fact[str] = sheet.choice("what an update beyond the range does", "saturate", "wrap", "dropped")


@dataclass(frozen=True)
class Register:
    """A state of a neuron, or what products are added up in."""

    analogue: Fact[bool] = sheet.flag("whether it is a voltage or current, and has no bits")
    bits: Fact[int] = sheet.bits("width, sign included", 128)
    signed: Fact[bool] = sheet.flag("whether it can be negative")
    symmetric: Fact[bool] = sheet.flag("whether saturation leaves out the lowest code, so that both ends are as far")
    overflow: Fact[str] = sheet.choice("what a result beyond the range does", *OVERFLOWS)


@dataclass(frozen=True)
class Trace(Register):
    """A low-pass filtered activity that learning reads."""

    fraction: Fact[int] = sheet.bits("fraction bits of what is added to it", 64)
    per_neuron: Fact[int] = sheet.count("traces", "traces of one neuron")
    rounding: Fact[str] = sheet.choice("how its decay rounds", *ROUNDINGS)


@dataclass(frozen=True)
class Decay:
    """How states are scaled down from step to step."""

    form: Fact[str] = sheet.choice("arithmetic", "multiply", "shift", "linear", "analogue", "program")
    bits: Fact[int] = sheet.bits("fraction bits of the factor", 64)
    rounding: Fact[str] = sheet.choice("how the product comes to rest", *ROUNDINGS)
    current_offset: Fact[int] = sheet.integer("", "added to the decay of a current, in units of its last bit", 0, 4096)
    state_offset: Fact[int] = sheet.integer("", "added to the decay of a state, in units of its last bit", 0, 4096)
    scope: Fact[str] = sheet.choice("what shares a decay", "neuron", "connection", "core", "chip")


@dataclass(frozen=True)
class Learning:
    """The learning engine."""

    available: Fact[bool] = sheet.flag("whether weights can change on the chip")
    plastic: Fact[tuple[str, ...]] = sheet.choices("synapses that can learn", *GROUPS)
    form: Fact[str] = sheet.choice(
        "form of the update", "sum-of-products", "lsb-stochastic", "lsb", "fixed-eprop", "program", "none"
    )
    reads: Fact[tuple[str, ...]] = sheet.choices("what an update may read beside constants", *SIGNALS)
    third_factor: Fact[str] = sheet.choice("reach of a learning signal", "none", "global", "post-neuron", "program")
    accumulator: Fact[int] = sheet.bits("width in which an update is added up, sign included", 128)
    overflow: Fact[str] = sheet.choice("what a sum beyond that does", *OVERFLOWS)
    rounding: Fact[str] = sheet.choice("how a sum lands on the weight", *ROUNDINGS)
    epoch_low: Fact[int] = sheet.count("steps", "shortest time between updates")
    epoch_high: Fact[int] = sheet.count("steps", "longest time between updates")
    constant: Fact[int] = sheet.bits("bits of a constant factor; rates are powers of two", 64)
    signal: Fact[int] = sheet.bits("width of a learning signal, sign included", 64)
    signal_through: Fact[str] = sheet.choice("weights through which errors reach neurons", "readout", "any")
    weight_bits: Fact[int] = sheet.bits("bits of a weight that learns, where fewer than of others", 64)


@dataclass(frozen=True)
class Payload:
    """What a message between neurons says."""

    form: Fact[str] = sheet.choice("kind of message", "binary", "count", "graded")
    bits: Fact[int] = sheet.bits("bits a message carries beside its address; 0 for binary spikes", 1024)
    highest: Fact[int] = sheet.count("spikes", "largest number of spikes in a step")


@dataclass(frozen=True)
class Rounding:
    """What the chip's arithmetic can do."""

    modes: Fact[tuple[str, ...]] = sheet.choices("roundings that exist", *ROUNDINGS)
    overflows: Fact[tuple[str, ...]] = sheet.choices("overflows that exist", *OVERFLOWS)
    floating_point: Fact[bool] = sheet.flag("whether floating point exists in hardware")
    multiply_bits: Fact[int] = sheet.bits("widest operand of a multiplication in hardware", 128)


@dataclass(frozen=True)
class Energy:
    """Energy of one operation."""

    synaptic_operation: Fact[tuple[float, float]] = sheet.interval("pJ", "one synapse that passes on a message")
    learning_operation: Fact[tuple[float, float]] = sheet.interval("pJ", "one update of one synapse")
    neuron_update: Fact[tuple[float, float]] = sheet.interval("pJ", "one step of one neuron")
    multiply: Fact[tuple[float, float]] = sheet.interval("pJ", "one multiply and add")
    message: Fact[tuple[float, float]] = sheet.interval("pJ", "one message inside a tile or core")
    hop: Fact[tuple[float, float]] = sheet.interval("pJ", "one message over one hop between cores")
    static: Fact[tuple[float, float]] = sheet.interval("mW", "power of a chip that does nothing")


@dataclass(frozen=True)
class Time:
    """How long things take."""

    step: Fact[tuple[float, float]] = sheet.interval("us", "one time step")
    barrier: Fact[tuple[float, float]] = sheet.interval("ns", "synchronisation of all cores at the end of a step")
    clock: Fact[tuple[float, float]] = sheet.interval("MHz", "clock of a core")


@dataclass(frozen=True)
class Chip:
    """A chip's sheet, read and checked; see :mod:`neurolrnn_hardware.catalogue`.

    Attributes
    ----------
    key : str
        Name in the catalogue, or of the file.
    name : str
        Name for people.
    placement : str
        How synapses are laid out, one of :data:`PLACEMENTS`.
    sources : dict
        Full text of every source, by the key that references use.
    notes : dict of Fact
        What is known in words only, by topic.
    not_modelled : tuple of str
        What the chip does and this model does not capture.
    path : str
        File it was read from.
    """

    key: str
    name: str
    placement: Placement
    topology: Topology = field(default_factory=Topology)
    memory: Memory = field(default_factory=Memory)
    packing: Packing = field(default_factory=Packing)
    weight: WeightFormat = field(default_factory=WeightFormat)
    current: Register = field(default_factory=Register)
    state: Register = field(default_factory=Register)
    accumulator: Register = field(default_factory=Register)
    trace: Trace = field(default_factory=Trace)
    output_trace: Trace = field(default_factory=Trace)
    synapse_trace: Trace = field(default_factory=Trace)
    decay: Decay = field(default_factory=Decay)
    learning: Learning = field(default_factory=Learning)
    payload: Payload = field(default_factory=Payload)
    rounding: Rounding = field(default_factory=Rounding)
    energy: Energy = field(default_factory=Energy)
    time: Time = field(default_factory=Time)
    notes: Mapping[str, Fact[str]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    not_modelled: tuple[str, ...] = ()
    path: str = ""

    def __post_init__(self) -> None:
        for name in ("notes", "sources"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def fact(self, limit: str) -> Fact[object]:
        """Return the figure called ``section.field``, or a note called ``notes.topic``."""
        section, _, name = limit.partition(".")
        if section == "notes":
            return self.notes[name]
        fact: Fact[object] = getattr(getattr(self, section), name)
        return fact

    def figures(self) -> Iterator[tuple[str, Spec, Fact[object]]]:
        """Yield name, meaning and figure of every typed field, known or not."""
        for section in SECTIONS:
            part = getattr(self, section)
            for f in fields(part):
                yield f"{section}.{f.name}", f.metadata["spec"], getattr(part, f.name)


SECTIONS: dict[str, type] = {
    "topology": Topology, "memory": Memory, "packing": Packing, "weight": WeightFormat, "current": Register,
    "state": Register, "accumulator": Register, "trace": Trace, "output_trace": Trace, "synapse_trace": Trace,
    "decay": Decay, "learning": Learning, "payload": Payload, "rounding": Rounding, "energy": Energy, "time": Time,
}  # fmt: skip
"""Sections of a sheet, with the class whose fields they hold."""
LIMITS: frozenset[str] = frozenset(f"{section}.{f.name}" for section, part in SECTIONS.items() for f in fields(part))
"""Names of all typed figures, ``section.field``."""
