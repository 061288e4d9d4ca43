"""Target ``verilog``: memory images, a small synthesizable core that runs and learns, and its test bench."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurolrnn.errors import InputError
from neurolrnn.exports import verilog_softmax as softmax
from neurolrnn.exports import verilog_text as text
from neurolrnn.exports.c_text import template
from neurolrnn.exports.design import Codes, Design
from neurolrnn.exports.golden import STEPS, Golden, golden
from neurolrnn.exports.integers import resolve, version
from neurolrnn.exports.target import Plan, Source
from neurolrnn.exports.verilog_program import Part, program
from neurolrnn.exports.writing import identifier
from neurolrnn.rules import RFLO, Rule
from neurolrnn_kernels.fixed import EXP2

VECTORS = {
    "x": ("N_IN", "input"), "target": ("N_OUT", "target"), "h": ("N_REC", "state"), "u": ("N_REC", "current"),
    "y": ("N_OUT", "readout"), "z": ("N_OUT", "coupling"), "p": ("N_REC", "trace"), "q": ("N_IN", "input_trace"),
    "e": ("N_OUT", "error"),
}  # fmt: skip
"""Memories of activity: length, and variable whose format they have."""
MATRICES = {"A": ("N_OUT", "N_REC"), "W": ("N_REC", "N_REC"), "B": ("N_REC", "N_IN"), "R": ("N_OUT", "N_REC"),
            "M": ("N_OUT", "N_REC"), "N": ("N_OUT", "N_IN")}  # fmt: skip


def plan(
    source: Source, *, name: str = "network", precision: Any = None, rule: Rule | None = None,
    learning_rate: Any = None, noise: str | None = None, seed: int | None = None, loss: str | None = None,
    inputs: Any = None, targets: Any = None, mask: Any = None, steps: int = STEPS,
) -> Plan:  # fmt: skip
    """Make a core and its test bench.

    Parameters
    ----------
    source : Source
        What is exported.
    name : str
        Of the module and of the files; what Verilog does not allow in a name becomes ``_``.
    precision, rule, learning_rate, noise, seed, loss
        See :func:`neurolrnn.exports.integers.resolve`. Where something is rounded at random, ``noise`` must be
        ``"lfsr"``, in the run or here.
    inputs, targets, mask, steps
        Of the golden trajectory, see :func:`neurolrnn.exports.golden.golden`.

    Raises
    ------
    InputError
        If random bits are to come from anything but a shift register.
    """
    design = resolve(
        source, precision=precision, rule=rule, learning_rate=learning_rate, noise=noise, seed=seed, loss=loss,
        limits=limits,
    )  # fmt: skip
    random = [k for k in design.landings if design.spots[k].is_random]
    if random and design.precision.noise != "lfsr":
        raise InputError(
            f"noise = {design.precision.noise!r}: {', '.join(random)} are rounded at random, and the core draws with a "
            f"shift register for each of them; export with noise = 'lfsr' (other random bits than those of the run)"
        )
    gold = golden(design, inputs=inputs, targets=targets, mask=mask, steps=steps)
    return Plan(write(design, gold, identifier(name)), design.losses, design.changes, [*design.notes, *gold.notes])


def limits(rule: RFLO, _: str) -> str:
    """Say why the core cannot learn by a rule; empty if it can."""
    if rule.storage != "factored":
        return "the core learns factors only; take storage = 'factored'"
    return ""


def write(design: Design, gold: Golden, name: str) -> dict[str, str]:
    """Return the files, by name."""
    core = _Core(design, name)
    sizes = dict(zip(("n_in", "n_rec", "n_out"), design.sizes, strict=True))
    words: dict[str, Any] = {
        "name": name, **sizes, "version": version(),
        "title": "{n_in} inputs, {n_rec} recurrent units, {n_out} outputs".format(**sizes),
        "ib": core.index - 1, "xb": core.bits("x") - 1, "tb": core.bits("target") - 1, "yb": core.bits("y") - 1,
        "steps": gold.steps, "golden": f"{gold.steps} steps, compared code by code",
        "losses": "\n".join(f"- {x}" for x in (*design.losses, *design.changes)) or "Nothing was left out or rounded.",
    }  # fmt: skip
    files = {f"{name}.v": template("core.v", {**words, **core.words()})}
    files[f"{name}_bench.v"] = template("bench.v", {**words, **_bench(core, gold)})
    files["README.md"] = template("verilog_readme.md", words)
    for key, codes in design.codes.items():
        files[f"{name}_{key}.mem"] = text.image(codes, text.bits(design.form(key)))
    if core.softmax:
        files[f"{name}_exp2.mem"] = text.image(EXP2, 17)
    files[f"{name}_flags.mem"] = text.image(gold.first + 2 * gold.mask, 8)
    for key, (codes, width) in _golden_images(core, gold).items():
        files[f"{name}_{key}.mem"] = text.image(codes, width)
    return files


class _Core:
    """The text of the core, part by part."""

    def __init__(self, design: Design, name: str) -> None:
        self.d, self.name = design, name
        self.parts = program(design)
        used = [design.spots[k] for k in design.landings]
        self.softmax = softmax.Softmax(design) if design.learns and design.setting.loss == "cross-entropy" else None
        self.acc = max([spot.bits for spot in used] + ([self.softmax.bits] if self.softmax else [])) + 2
        counts = [*design.sizes, design.spots["error"].format.frac_bits + 1 if design.learns else 1]
        self.index = max(counts).bit_length()
        self.vectors = {k: v for k, v in VECTORS.items() if any(k in (p.b, p.out) for p in self.parts) or k == "target"}
        self.moving = [design.learned(g) for g in design.learns]
        self.landed = [k for k in design.landings if not (self.softmax and k == "error")]

    def bits(self, memory: str) -> int:
        """Return the width of a memory, or of the constant of that name."""
        matrix = memory.removeprefix("hidden_")
        if matrix in MATRICES:
            return text.bits(self.d.form(memory))
        if memory.startswith("step_"):
            return text.bits(self.d.spots[memory].format)
        variable = VECTORS[memory][1]
        form = self.d.numbers.format_of(variable) if variable in ("input", "target") else self.d.spots[variable].format
        return text.bits(form)

    def words(self) -> dict[str, Any]:
        """Return what the template asks for."""
        wide_a = max(self.bits(p.a) if isinstance(p.a, str) else int(p.a).bit_length() + 1 for p in self.parts if p.b)
        wide_b = max(self.bits(p.b) for p in self.parts if p.b)
        slot_bits = max(len(self.parts).bit_length() - 1, (len(self.parts) - 1).bit_length() - 1)
        last = [p.name for p in self.parts if p.lands][-1]
        finished = f"slot == {last}"
        if self.d.learns:
            finished += " || (slot == ERROR && !has_target)"
        return {
            "acc": self.acc, "accb": self.acc - 1, "ab": wide_a - 1, "bb": wide_b - 1, "pb": wide_a + wide_b - 1,
            "sb": slot_bits, "learn_comment": " and `learn` if there is a target" if self.d.learns else "",
            "slot_names": self._names(slot_bits + 1), "memories": self._memories(), "slots": self._slots(wide_a),
            "lifts": self._lifts(), "declared": self._declared(), "reads": self._reads(),
            "registers": self._registers(), "functions": self._functions(), "reset": self._reset(),
            "landings": self._landings(), "finished": finished,
            "softmax": self.softmax.logic() if self.softmax else "", "divide": softmax.DIVIDE if self.softmax else "",
        }  # fmt: skip

    def _names(self, width: int) -> str:
        names = [f"{p.name} = {width}'d{k}" for k, p in enumerate(self.parts)]
        lines = [f"    localparam {', '.join(names[k : k + 6])};" for k in range(0, len(names), 6)]
        return "\n".join([*lines, f"    localparam FIRST = {self.parts[1].name};"])

    def _memories(self) -> str:
        lines = []
        for k, (size, _) in self.vectors.items():
            lines.append(f"    reg signed [{self.bits(k) - 1}:0] {k} [0:{size} - 1], {k}_q;")
        for group in self.d.learns:
            lines.append(
                f"    reg signed [{self.bits(f'step_{group}') - 1}:0] step_{group} [0:N_OUT - 1], step_{group}_q;"
            )
        for k in self.d.codes:
            rows, columns = MATRICES[k.removeprefix("hidden_")]
            lines.append(f"    reg signed [{self.bits(k) - 1}:0] {k} [0:{rows} * {columns} - 1], {k}_q;")
        if self.softmax:
            lines.append(self.softmax.memories())
        lines.append("    integer start_k;\n    initial begin")
        if self.softmax:
            lines.append(f'        $readmemh("{self.name}_exp2.mem", exp2);')
        lines += [f'        $readmemh("{self.name}_{k}.mem", {k});' for k in self.d.codes]
        for k, (size, _) in self.vectors.items():
            lines.append(f"        for (start_k = 0; start_k < {size}; start_k = start_k + 1) {k}[start_k] = 0;")
        return "\n".join([*lines, "    end"])

    def _slots(self, wide_a: int) -> str:
        out = []
        for p in self.parts:
            say = [f"last_i = {p.outer} - 1;"]
            if p.b:
                say.append(f"a = {p.a + '_q' if isinstance(p.a, str) else text.constant(p.a, wide_a)};")
                say.append(f"b = {p.b}_q;")
            if p.inner != "1":
                say.append(f"last_j = {p.inner} - 1;")
            if p.each:
                say.append("each = 1'b1;")
            if p.by_i:
                say.append("by_i = 1'b1;")
            if not p.lands:
                say.append("lands = 1'b0;")
            if p.first != p.name:
                say.append(f"first = {p.first};")
            out.append(f"            {p.name}: begin {' '.join(say)} end\n")
        return "".join(out)

    def _lifts(self) -> str:
        lines = [f"            {p.name}: sum = acc + (product <<< {p.lift});\n" for p in self.parts if p.lift]
        if self.d.learns:
            names = {p.name for p in self.parts} & {"ERROR_Y", "ERROR"} if not self.softmax else set()
            lines += [f"            {n}: if (!has_target) sum = acc;\n" for n in sorted(names)]
        return "".join(lines)

    def _declared(self) -> str:
        declared = self.d.accumulator
        if declared is None:
            return ""
        how, width = declared
        names = [p.name for p in self.parts if p.is_sum]
        body = " ".join(text.fitting(-(1 << (width - 1)), (1 << (width - 1)) - 1, how, self.acc, "sum"))
        return (
            f"        case (slot)\n            {', '.join(names)}: begin {body} end\n            default: ;\n"
            f"        endcase\n"
        )

    def _reads(self) -> str:
        """Return the reads: a matrix at (i, j), its transpose at (j, i), a vector at ``at``."""
        lines = []
        for k in self.vectors:
            lines.append(f"        {k}_q <= {k}[at];\n")
        for group in self.d.learns:
            lines.append(f"        step_{group}_q <= step_{group}[i];\n")
        for k in self.d.codes:
            where = "j * N_REC + i" if k == "R" else f"i * {MATRICES[k.removeprefix('hidden_')][1]} + j"
            lines.append(f"        {k}_q <= {k}[{where}];\n")
        if self.softmax:
            lines.append("        share_q <= share[at];\n")
        return "".join(lines)

    def _random(self) -> list[str]:
        return [k for k in self.landed if self.d.spots[k].is_random]

    def _registers(self) -> str:
        if not self._random():
            return ""
        lines = ["\n    // One shift register for each variable that is rounded at random; a draw is the next state."]
        for k in self._random():
            lines.append(f"    reg [31:0] register_{k};")
            lines.append(f"    wire [31:0] word_{k} = (register_{k} >> 1) ^ (register_{k}[0] ? 32'ha3000000 : 32'd0);")
        return "\n".join(lines) + "\n"

    def _reset(self) -> str:
        return "".join(f"            register_{k} <= 32'd{self.d.spots[k].key or 1};\n" for k in self._random())

    def _functions(self) -> str:
        out = []
        for k in self.landed:
            spot = self.d.spots[k]
            out.append(text.move(self.d, spot, self.acc) if k in self.moving else text.landing(self.d, spot, self.acc))
        if self.softmax:
            out.append(self.softmax.functions(self.acc))
        return "\n".join(out)

    def _landings(self) -> str:
        out = []
        for p in self.parts:
            if not p.lands:
                continue
            out.append(f"                    {p.name}: begin\n{self._land(p)}                    end\n")
        return "".join(out)

    def _land(self, p: Part) -> str:
        pad = " " * 24
        if p.name == "CLEAR":
            lines = [f"if (i < {self.vectors[k][0]}) {k}[i] <= 0;" for k in ("h", "p", "q") if k in self.vectors]
            return "".join(f"{pad}{line}\n" for line in lines)
        if self.softmax and p.name in softmax.LANDINGS:
            return "".join(f"{pad}{line}\n" for line in softmax.LANDINGS[p.name])
        spot = self.d.spots[p.variable]
        word = f", word_{p.variable}" if spot.is_random else ""
        lines = []
        if p.each:
            where = f"i * {MATRICES[p.variable][1]} + j"
            held = f"hidden_{p.variable}" if spot.fine else p.variable
            moved = f"move_{p.variable}(acc, {held}_q{word})"
            lines.append(f"{held}[{where}] <= {moved};")
            if spot.fine:
                lines.append(f"{p.variable}[{where}] <= show_{p.variable}({moved});")
        else:
            lines.append(f"{p.out}[i] <= land_{p.variable}(acc{word});")
        if spot.is_random:
            lines.append(f"register_{p.variable} <= word_{p.variable};")
        return "".join(f"{pad}{line}\n" for line in lines)


def _golden_images(core: _Core, gold: Golden) -> dict[str, tuple[Codes, int]]:
    out = {"x": (gold.x, core.bits("x")), "target": (gold.target, core.bits("target"))}
    for k, codes in gold.inference.items():
        out[f"inference_{k}"] = codes, core.bits(k)
    if gold.learning:
        for k in ("h", "y", "e"):
            out[f"learning_{k}"] = gold.learning[k], core.bits(k)
        for k, codes in gold.after.items():
            out[f"after_{k}"] = codes[-1], core.bits(k)
    return out


def _bench(core: _Core, gold: Golden) -> dict[str, Any]:
    images = _golden_images(core, gold)
    _, n_rec, n_out = core.d.sizes
    memories, reads = [], []
    for k, (codes, width) in images.items():
        name = f"golden_{k}" if k in ("x", "target") else k
        memories.append(f"    reg signed [{width - 1}:0] {name} [0:{codes.size - 1}];\n")
        reads.append(f'        $readmemh("{core.name}_{k}.mem", {name});\n')
    learns = bool(core.d.learns)
    checks, after = [], []
    pad = " " * 16
    for k, size in (("h", n_rec), ("y", n_out), ("e", n_out)):
        if k == "e" and not learns:
            continue
        want = f"inference_{k}[t * {size} + k]"
        if learns and k != "e":
            want = f"learning ? learning_{k}[t * {size} + k] : {want}"
        elif learns:
            want = f"learning_e[t * {size} + k]"
        only = "if (learning) " if k == "e" else ""
        word = {"h": "state", "y": "output", "e": "error"}[k]
        checks.append(f'{pad}{only}for (k = 0; k < {size}; k = k + 1) check("{word}", core.{k}[k], {want});\n')
    for k, codes in gold.after.items():
        after.append(
            f"        for (k = 0; k < {int(np.prod(codes.shape[1:]))}; k = k + 1) "
            f'check("{k}", core.{k}[k], after_{k}[k]);\n'
        )
    return {
        "memories": "".join(memories), "reads": "".join(reads), "checks": "".join(checks),
        "learning": "        pass(1);\n" + "".join(after) if learns else "", "last": f"1'b{int(learns)}",
        "zero": f"{core.index}'d0",
    }  # fmt: skip
