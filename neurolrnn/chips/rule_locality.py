"""What each rule declares of itself to a chip: which numbers an update reads, and which numbers the rule keeps.

One row of :data:`DECLARED` per rule. The tests take every row at its word: they poison whatever it does not name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from neurolrnn.errors import InputError
from neurolrnn.rule_kernels import BLOCK
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn_hardware.demand import Access, Life, Number, Sizes, Variable
from neurolrnn_hardware.locality import Axis, Cells, Locality, Read, SynapseReads


class Facts(NamedTuple):
    """What a declaration depends on."""

    rule: Rule
    sizes: Sizes
    longest: int
    """Steps of the longest episode."""
    synapses: int
    """Recurrent synapses that exist."""
    sparse: bool
    """Whether only they are held, in a list."""
    factored: bool
    symmetric: bool
    """Whether feedback follows A."""
    direct: bool
    """Whether updates go straight into the weights."""
    momentum: bool
    hidden: tuple[str, ...]
    """Groups with finer weights behind them."""
    learn: tuple[str, ...]
    number: Callable[[str], Number]
    """Format of a variable."""


WHOLE: dict[str, tuple[Axis, ...]] = {"pre": ("all", "pre"), "post": ("all", "post"), "all": ("all", "all")}
ERROR = Cells("error", ("all", "all"))


class Declared(NamedTuple):
    """The row of one rule."""

    reads: Callable[[Facts, str], tuple[str, tuple[Read, ...]]]
    """Of facts and a group, W or B (in factored storage the factor in its place): the update in words, and its reads
    beside the weight itself and its own sums."""
    memory: Callable[[Facts], list[Variable]]
    """The variables of the rule beside weights, activity and learning signal."""


def locality_of(f: Facts) -> Locality:
    """Return the locality of a rule.

    Raises
    ------
    InputError
        If the rule has no row in :data:`DECLARED`.
    """
    declared = declaration(f.rule)
    synapses = []
    for group in f.learn:
        found: tuple[str, tuple[Read, ...]]
        if group == "A":
            found = "Δ = ε_k h_j", (_state(), _own_error())
        else:
            found = declared.reads(f, group)
        name = {"W": "M", "B": "N"}.get(group, "A") if f.factored else group
        array, axes = _weights(f, group)
        update, reads = found
        synapses.append(
            SynapseReads(name, CONNECTIONS[name], array, axes, update, (*_own(f, group, array, axes), *reads))
        )
    return Locality(f.rule.name, "factored" if f.factored else "dense", tuple(synapses))


def declaration(rule: Rule) -> Declared:
    """Return the row of a rule.

    Raises
    ------
    InputError
        If it has none.
    """
    found = DECLARED.get(type(rule))
    if found is None:
        raise InputError(
            f"{type(rule).__name__} declares neither what it reads nor what it keeps; give it a row in "
            f"neurolrnn.chips.rule_locality.DECLARED"
        )
    return found


CONNECTIONS = {"A": "readout", "W": "recurrent", "B": "input", "M": "factor_recurrent", "N": "factor_input"}


def _weights(f: Facts, group: str) -> tuple[str, tuple[Axis, ...]]:
    """Return the array that learns for a group, and where synapse (i, j) is in it."""
    if group == "A":
        return "weights.A", ("post", "pre")
    if f.factored:
        return ("weights.M" if group == "W" else "weights.N"), ("post", "pre")
    if group == "W":
        return "weights.Wt", ("all", "synapse") if f.sparse else ("pre", "post")
    return "weights.Bt", ("pre", "post")


def _own(f: Facts, group: str, array: str, axes: tuple[Axis, ...]) -> tuple[Read, ...]:
    """Return what every update reads at its own synapse."""
    cells = [Cells(array, axes)]
    if group in f.hidden:
        cells = [Cells(f"weights.hidden_{group}", axes)]  # the visible weight is written, and read by the forward pass
    reads = [Read("own weight", "own weight", tuple(cells))]
    sums = [] if f.direct else [Cells(f"gradients.{group}", axes)]
    if f.momentum:
        sums.append(Cells(f"gradients.velocity_{group}", axes))
    return (*reads, Read("own sum", "own sum", tuple(sums), len(sums))) if sums else tuple(reads)


# --- reads that several rules share


def _state() -> Read:
    """Return h_t of the sending unit, as it is after this step."""
    return Read("h_j", "pre state", (Cells("state", WHOLE["pre"]),))


def _before(group: str) -> Read:
    """Return what the sending unit sent in this step: h_{t-1}, or x_t of an input."""
    where = Cells("lanes.h" if group == "W" else "input", WHOLE["pre"])
    return Read("h_j" if group == "W" else "x_j", "pre state", (where,))


def _trace(f: Facts, group: str) -> Read:
    held = "memory.p" if group == "W" else "memory.q"
    sent = Cells("lanes.h" if group == "W" else "input", WHOLE["pre"])
    return Read("p_j" if group == "W" else "q_j", "pre trace", (Cells(held, WHOLE["pre"]), sent))


def _own_error() -> Read:
    return Read("ε_k", "post signal", (Cells("error", WHOLE["post"]),))


def _signal(f: Facts) -> Read:
    """Return the learning signal of the receiving unit."""
    if f.symmetric:
        return Read("(Aᵀε)_i", "weight transport", (Cells("weights.A", ("all", "post")), ERROR), f.sizes.n_out)
    return Read("(Rᵀε)_i", "post signal", (Cells("weights.R", ("all", "post")), ERROR))


# --- memory that several rules share


def _held(
    f: Facts, name: str, role: str, place: str, words: int, variable: str, life: Life, owner: str, array: str,
    *, read: str = "update", written: str = "trace",
) -> Variable:  # fmt: skip
    """Return a variable that is written once a step and read once in ``read``; a kept one is read when written too."""
    reads = [Access(read, owner, words)]  # type: ignore[arg-type]
    if life == "kept" and written != read and role != "history":
        reads.insert(0, Access(written, owner, words))  # type: ignore[arg-type]
    writes = (Access(written, owner, words),)  # type: ignore[arg-type]
    return Variable(
        name, role, place, words, f.number(variable), life, owner, False, tuple(reads), writes, (array,)  # type: ignore[arg-type]
    )  # fmt: skip


def _counter(name: str, largest: int, words: int, array: str) -> Variable:
    bits = max(largest.bit_length(), 1)
    return Variable(name, "index", "global", words, Number(f"i{bits}", bits, False), "kept", arrays=(array,))


# --- RFLO


def _rflo_reads(f: Facts, group: str) -> tuple[str, tuple[Read, ...]]:
    letter = "p" if group == "W" else "q"
    if f.factored:
        return f"Δ = ε_k {letter}_j", (_trace(f, group), _own_error())
    back = "Aᵀ" if f.symmetric else "Rᵀ"
    return f"Δ = ({back}ε)_i {letter}_j", (_trace(f, group), _signal(f))


def _rflo_memory(f: Facts) -> list[Variable]:
    b, n, m = f.sizes.lanes, f.sizes.n_rec, f.sizes.n_in
    out = []
    if "W" in f.learn:
        out.append(_held(f, "trace", "trace", "pre-neuron", b * n, "trace", "kept", "recurrent", "memory.p"))
    if "B" in f.learn:
        out.append(_held(f, "input_trace", "trace", "pre-neuron", b * m, "input_trace", "kept", "input", "memory.q"))
    return out


# --- truncated BPTT


def _tbptt_reads(f: Facts, group: str) -> tuple[str, tuple[Read, ...]]:
    assert isinstance(f.rule, TruncatedBPTT)
    tau, letter = f.rule.steps, "h" if group == "W" else "x"
    back = "Aᵀ" if f.symmetric else "Rᵀ"
    if tau == 1:
        return f"Δ = α ({back}ε)_i {letter}_j", (_before(group), _signal(f))
    held = "memory.p" if group == "W" else "memory.q"
    feedback = "weights.A" if f.symmetric else "weights.R"
    n, o = f.sizes.n_rec, f.sizes.n_out
    return f"Δ = α Σ_l ((Vᵀ)^(l-1) {back}ε)_i {letter}_j(t-l)", (
        _before(group),
        Read(
            f"{letter}_j of {tau - 1} steps before", "history",
            (Cells(held, WHOLE["pre"]), Cells("memory.at", ("all",))), tau - 1,
        ),
        Read(
            f"(Vᵀ)^l {back}ε", "weight transport",
            (Cells("weights.Wt", WHOLE["all"]), Cells(feedback, WHOLE["all"]), ERROR), n * n + n * o,
        ),
    )  # fmt: skip


def _tbptt_memory(f: Facts) -> list[Variable]:
    assert isinstance(f.rule, TruncatedBPTT)
    tau, b, n, m = f.rule.steps, f.sizes.lanes, f.sizes.n_rec, f.sizes.n_in
    life: Life = "kept" if tau > 1 else "step"
    role = "history" if tau > 1 else "trace"
    out = []
    if "W" in f.learn:
        out.append(_held(f, "past_state", role, "pre-neuron", tau * b * n, "trace", life, "recurrent", "memory.p"))
    if "B" in f.learn:
        out.append(_held(f, "past_input", role, "pre-neuron", tau * b * m, "input_trace", life, "input", "memory.q"))
    if {"W", "B"} & set(f.learn):
        out += [
            _held(f, "delta", "signal", "post-neuron", b * n, "signal", "step", "recurrent", "memory.delta",
                  written="signal"),
            _held(f, "past_signal", "signal", "post-neuron", tau * b * n, "signal", "step", "recurrent", "memory.L",
                  written="signal"),
        ]  # fmt: skip
        if f.direct:
            out.append(_held(f, "past_step", "signal", "post-neuron", tau * b * n, "step_W", "step", "recurrent",
                             "memory.g", written="update"))  # fmt: skip
        if tau > 1:
            out.append(_held(f, "back_current", "signal", "post-neuron", b * n, "back_current", "step", "recurrent",
                             "lanes.g_rec", read="signal", written="signal"))  # fmt: skip
        out.append(_counter("slot", tau, 2, "memory.at"))
    return out


# --- e-prop


def _eprop_reads(f: Facts, group: str) -> tuple[str, tuple[Read, ...]]:
    own: tuple[Axis, ...] = ("all", "self") if f.sparse else ("post", "post")
    if group == "W":
        where, letter = Cells("memory.W", ("all", "synapse") if f.sparse else ("all", "pre", "post")), "h"
    else:
        where, letter = Cells("memory.B", ("all", "pre", "post")), "x"
    back = "Aᵀ" if f.symmetric else "Rᵀ"
    return f"Δ = ({back}ε)_i E_ij, E_ij = (1-α+αW_ii) E_ij + α {letter}_j", (
        Read("E_ij", "own trace", (where,)),
        _before(group),
        Read("W_ii", "post weight", (Cells("weights.Wt", own),)),
        _signal(f),
    )


def _eprop_memory(f: Facts) -> list[Variable]:
    b, n, m = f.sizes.lanes, f.sizes.n_rec, f.sizes.n_in
    out = []
    if "W" in f.learn:
        out += [
            _held(f, "eligibility", "trace", "synapse", b * f.synapses, "eligibility", "kept", "recurrent", "memory.W"),
            _held(f, "state_before", "state", "pre-neuron", b * n, "state", "step", "recurrent", "memory.h",
                  read="trace", written="forward"),
        ]  # fmt: skip
    if "B" in f.learn:
        out.append(
            _held(f, "input_eligibility", "trace", "synapse", b * m * n, "input_eligibility", "kept", "input",
                  "memory.B")
        )  # fmt: skip
    if out:
        out.append(_held(f, "trace_decay", "state", "post-neuron", n, "trace_decay", "step", "recurrent", "memory.d",
                         read="trace"))  # fmt: skip
    return out


# --- RTRL


def _rtrl_reads(f: Facts, group: str) -> tuple[str, tuple[Read, ...]]:
    s = f.sizes
    sources = s.n_rec + s.n_in
    J = Cells(
        "memory.J", ("all", "pre", "post", "all"), (s.lanes, sources, s.n_rec, s.n_rec), s.n_rec if group == "B" else 0
    )
    letter = "h" if group == "W" else "x"
    return f"Δ = Σ_k (Aᵀε)_k J_k,ij, J_ij = V J_ij + α e_i {letter}_j", (
        _before(group),
        Read("J_ij", "influence", (J, Cells("weights.Wt", WHOLE["all"])), s.n_rec + s.n_rec**2),
        Read("Aᵀε", "weight transport", (Cells("weights.A", WHOLE["all"]), ERROR), s.n_rec * s.n_out),
    )


def _rtrl_memory(f: Facts) -> list[Variable]:
    s = f.sizes
    words = s.lanes * (s.n_rec + s.n_in) * s.n_rec**2
    return [
        _held(f, "influence", "influence", "synapse", words, "state", "kept", "recurrent", "memory.J"),
        _held(f, "influence_next", "influence", "synapse", words, "accumulator", "step", "recurrent", "memory.next",
              read="trace"),
    ]  # fmt: skip


# --- BPTT


def _bptt_reads(f: Facts, group: str) -> tuple[str, tuple[Read, ...]]:
    s, held = f.sizes, "memory.h" if group == "W" else "memory.x"
    letter = "h" if group == "W" else "x"
    return f"Δ = α Σ_t δ_i(t) {letter}_j(t), δ_t = Aᵀε_t + Vᵀδ_(t+1)", (
        _before(group),
        Read(
            f"{letter}_j and ε of all steps", "history",
            (Cells(held, WHOLE["pre"]), Cells("memory.e", WHOLE["all"]), Cells("memory.at", ("all",))),
            f.longest * (1 + s.n_out),
        ),
        Read(
            "Aᵀ and Vᵀ", "weight transport",
            (Cells("weights.A", WHOLE["all"]), Cells("weights.Wt", WHOLE["all"]), ERROR),
            s.n_rec**2 + s.n_rec * s.n_out,
        ),
    )  # fmt: skip


def _bptt_memory(f: Facts) -> list[Variable]:
    s = f.sizes
    steps, n = f.longest * s.lanes, s.n_rec
    block = min(BLOCK, f.longest) * s.lanes
    out = []
    if "W" in f.learn:
        out.append(_held(f, "past_state", "history", "pre-neuron", steps * n, "state", "kept", "recurrent", "memory.h",
                         read="episode", written="forward"))  # fmt: skip
    if "B" in f.learn:
        out.append(_held(f, "past_input", "history", "pre-neuron", steps * s.n_in, "input", "kept", "input",
                         "memory.x", read="episode", written="forward"))  # fmt: skip
    if out:
        for name, role, words, array in (
            ("delta", "signal", s.lanes * n, "memory.delta"), ("past_signal", "signal", block * n, "memory.g"),
            ("transposed", "weight", n * n, "memory.W"),
        ):  # fmt: skip
            out.append(_held(f, name, role, "core", words, "state", "step", "recurrent", array, read="episode",
                             written="episode"))  # fmt: skip
        out.append(_held(f, "past_error", "history", "post-neuron", steps * s.n_out, "error", "kept", "output",
                         "memory.e", read="episode", written="error"))  # fmt: skip
        out.append(_counter("slot", f.longest, 1, "memory.at"))
    return out


DECLARED: dict[type[Rule], Declared] = {
    RFLO: Declared(_rflo_reads, _rflo_memory),
    TruncatedBPTT: Declared(_tbptt_reads, _tbptt_memory),
    EProp: Declared(_eprop_reads, _eprop_memory),
    RTRL: Declared(_rtrl_reads, _rtrl_memory),
    BPTT: Declared(_bptt_reads, _bptt_memory),
}
"""What each rule declares: its reads and its memory."""
