"""The C of one device: its memory, a step of the network, and a step of learning."""

from __future__ import annotations

from neurolrnn.exports.c_text import exact, fit, integer, number, stored, table
from neurolrnn.exports.design import Design, Spot
from neurolrnn_kernels.fixed import EXP2, LOG2_E

MIX = """/* Chris Wellons' lowbias32. */
static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= UINT32_C(0x7feb352d);
    x ^= x >> 15;
    x *= UINT32_C(0x846ca68b);
    return x ^ (x >> 16);
}
"""
STREAM = """/* Random numbers of one variable at this step. */
static uint32_t stream(const {name}_device *d, uint32_t key)
{{
    return mix(key ^ mix(d->step_low ^ mix(d->step_high)));
}}
"""
DRAW = """/* 32-bit Galois register with a maximal period. */
static uint32_t draw(uint32_t *state)
{
    return *state = (*state >> 1) ^ (*state & 1u ? UINT32_C(0xa3000000) : 0u);
}
"""
DOWN = """/* floor(v / 2^s); C leaves the right shift of a negative number to the compiler. */
static int{bits}_t down{bits}(int{bits}_t v, int s)
{{
    return v < 0 ? -(((-(v + 1)) >> s) + 1) : v >> s;
}}
"""
FIT = """static int{bits}_t fit{bits}(int{bits}_t v, int{bits}_t lo, int{bits}_t hi)
{{
    return v < lo ? lo : v > hi ? hi : v;
}}
"""
ADD = """/* One product more in an accumulator of {width} bits, which {does}. */
static int{bits}_t add{bits}(int{bits}_t sum, int{bits}_t product)
{{
    sum += product;
    return {fitted};
}}
"""
SOFTMAX = """/* 2^16 e^-d for a difference d of two outputs. */
static int32_t exponential(int32_t d)
{{
    int64_t z = (int64_t)d * {log2_e};
    int64_t whole;
    {shifted}
    whole = z >> 8;
    return exp2_table[z & 255] >> (whole > 31 ? 31 : whole);
}}
"""


def exponential() -> str:
    """Return the table of 2^(16 - i/256)."""
    return table("exp2_table", "int32_t", EXP2, ["256"], "2^(16 - i/256)")


def moving(design: Design) -> set[str]:
    """Return the matrices that a device holds in RAM: all that learn, and both factors."""
    return {design.learned(group) for group in design.learns} | ({"M", "N"} if design.factored else set())


class Steps:
    """Text of the functions of one design, named after ``name``."""

    def __init__(self, design: Design, name: str) -> None:
        self.d, self.name, self.guard = design, name, name.upper()
        self.moving = moving(design)
        self.noise = design.precision.noise
        self.softmax = bool(design.learns) and design.setting.loss == "cross-entropy"
        self.landings = [
            s for s in (design.spots[k] for k in design.landings) if not (self.softmax and s.name == "error")
        ]
        self.random = [spot for spot in self.landings if spot.is_random]

    # --- memory

    def fields(self) -> str:
        """Return the members of the device."""
        spots, g = self.d.spots, self.guard
        rows = []
        if self.random and self.noise != "lfsr":
            rows.append(("uint32_t", "step_low, step_high", "number of this step, counted since power-up"))
        if self.noise == "lfsr":
            rows += [("uint32_t", f"register_{spot.name}", f"random bits of {spot.name}") for spot in self.random]
        rows += [
            (stored(spots["state"]), f"h[{g}_N_REC]", "state"),
            (stored(spots["current"]), f"u[{g}_N_REC]", "current into the units"),
            (stored(spots["readout"]), f"y[{g}_N_OUT]", "outputs"),
        ]
        if self.d.factored:
            rows.append((stored(spots["coupling"]), f"z[{g}_N_OUT]", "what the factors send back"))
        if self.d.learns:
            rows += [
                (stored(spots["trace"]), f"p[{g}_N_REC]", "traces of the units"),
                (stored(spots["input_trace"]), f"q[{g}_N_IN]", "traces of the inputs"),
                (stored(spots["error"]), f"e[{g}_N_OUT]", "errors"),
            ]
            if not self.d.factored:
                rows.append((stored(spots["signal"]), f"l[{g}_N_REC]", "learning signals"))
                rows += [(stored(spots[f"step_{k}"]), f"g_{k}[{g}_N_REC]", "signals times learning rate")
                         for k in self.d.learns if k != "A"]  # fmt: skip
            if self.softmax:
                rows.append(("int32_t", f"share[{g}_N_OUT]", "of the softmax"))
        for key in self.d.codes:
            matrix = key.removeprefix("hidden_")
            if matrix in self.moving:
                form = self.d.form(key)
                rows.append((integer(form.lo, form.hi), f"{key}{self._shape(matrix)}", f"weights, {form}"))
        return "".join(f"    {kind} {what}; /* {why} */\n" for kind, what, why in rows)

    def _shape(self, matrix: str) -> str:
        rows, columns = {"A": ("OUT", "REC"), "M": ("OUT", "REC"), "N": ("OUT", "IN"), "W": ("REC", "REC"),
                         "B": ("REC", "IN")}[matrix]  # fmt: skip
        return f"[{self.guard}_N_{rows}][{self.guard}_N_{columns}]"

    def _weight(self, matrix: str) -> str:
        return f"d->{matrix}" if matrix in self.moving else matrix

    def clear_rec(self) -> str:
        """Return what a new sequence clears beside h."""
        return "        d->p[i] = 0;\n" if self.d.learns else ""

    def clear_in(self) -> str:
        """Return the loop that clears the traces of the inputs."""
        return "    for (i = 0; i < N_IN; i++)\n        d->q[i] = 0;\n" if self.d.learns else ""

    def start(self) -> str:
        """Return the body of power-up, with declarations first."""
        matrices = [key for key in self.d.codes if key.removeprefix("hidden_") in self.moving]
        lines = ["    int i, j;\n"] if matrices else ["    int i;\n"] if self.d.learns else []
        if self.random and self.noise != "lfsr":
            lines.append("    d->step_low = UINT32_C(0xffffffff); /* the first step is number 0 */\n")
            lines.append("    d->step_high = UINT32_C(0xffffffff);\n")
        if self.noise == "lfsr":
            lines += [f"    d->register_{s.name} = {number(s.key or 1, 'uint32_t')};\n" for s in self.random]
        for key in matrices:
            rows, columns = self._shape(key.removeprefix("hidden_")).replace("[", " ").replace("]", " ").split()
            first = f"{key}_start[i][j]" if self.d.codes[key].any() or not key.endswith(("M", "N")) else "0"
            lines.append(
                f"    for (i = 0; i < {rows}; i++)\n        for (j = 0; j < {columns}; j++)\n"
                f"            d->{key}[i][j] = {first};\n"
            )
        if self.d.learns:
            lines.append("    for (i = 0; i < N_OUT; i++)\n        d->e[i] = 0;\n")
        return "".join(lines)

    # --- helpers

    def helpers(self, text: str) -> str:
        """Return the functions that ``text`` calls."""
        found = []
        if "mix(" in text or "stream(" in text:
            found += [MIX, STREAM.format(name=self.name)]
        if "draw(" in text:
            found.append(DRAW)
        found += [DOWN.format(bits=bits) for bits in (32, 64) if f"down{bits}(" in text]
        found += [FIT.format(bits=bits) for bits in (32, 64) if f"fit{bits}(" in text]
        declared = self.d.accumulator
        for bits in (32, 64):
            if declared is not None and f"add{bits}(" in text:
                how, width = declared
                kind, low, high = f"int{bits}_t", -(1 << (width - 1)), (1 << (width - 1)) - 1
                found.append(
                    ADD.format(bits=bits, width=width, does=f"{how}s", fitted=fit("sum", low, high, how, kind))
                )
        if self.softmax:
            s = self.d.spots["readout"].format.frac_bits + 6
            shifted = f"z >>= {s};" if s > 0 else f"z *= INT64_C({1 << -s});"
            found.append(SOFTMAX.format(log2_e=LOG2_E, shifted=shifted))
        return "\n".join(found)

    def _stream(self, spot: Spot) -> str:
        """Return the line before a loop of random landings."""
        if not spot.is_random or self.noise == "lfsr":
            return ""
        return f"    s = stream(d, {number(spot.key, 'uint32_t')});\n"

    def _word(self, spot: Spot, element: str) -> str:
        """Return the last argument of a random landing."""
        if not spot.is_random:
            return ""
        if self.noise == "lfsr":
            return f", draw(&d->register_{spot.name})"
        return ", mix(s)" if self.noise == "shared" else f", mix(s + ({element}) * UINT32_C(0x9e3779b9))"

    def _declare(self, body: str, variables: str) -> str:
        """Return declarations of what a body uses."""
        lines = [f"    int {variables};\n"]
        if " s = stream(" in body:
            lines.append("    uint32_t s;\n")
        return "".join(lines) + body

    # --- a step

    def step(self) -> str:
        """Return the body of a step of the network."""
        d, c = self.d, self.d.constants
        body = ""
        if self.random and self.noise != "lfsr":
            body += "    if (++d->step_low == 0)\n        ++d->step_high;\n"
        if d.learns:
            body += self._blend("trace", "p", c["decay"], "d->p", c["gain"], "d->h", "N_REC")
            body += self._blend("input_trace", "q", c["decay"], "d->q", c["gain"], "x", "N_IN")
        terms = [("W", "i", "j", "d->h", "N_REC"), ("B", "i", "j", "x", "N_IN")]
        if d.factored:
            body += self._sums(
                "coupling", "z", [("M", "i", "j", "d->h", "N_REC"), ("N", "i", "j", "x", "N_IN")], "N_OUT"
            )
            terms.append(("R", "j", "i", "d->z", "N_OUT"))
        body += self._sums("current", "u", terms, "N_REC")
        body += self._blend("state", "h", c["keep"], "d->h", c["gain"], "d->u", "N_REC")
        body += self._sums("readout", "y", [("A", "i", "j", "d->h", "N_REC")], "N_OUT")
        return self._declare(body, "i, j")

    def _blend(self, name: str, out: str, a: int, x: str, b: int, y: str, size: str) -> str:
        spot = self.d.spots[name]
        kind = exact(spot)
        one, two = (number(k << lift, kind) for k, lift in zip((a, b), spot.lifts, strict=True))
        value = f"{one} * {x}[i] + {two} * {y}[i]"
        return (
            f"{self._stream(spot)}    for (i = 0; i < {size}; i++)\n"
            f"        d->{out}[i] = land_{name}({value}{self._word(spot, '(uint32_t)i')});\n"
        )

    def _sums(self, name: str, out: str, terms: list[tuple[str, str, str, str, str]], size: str) -> str:
        spot = self.d.spots[name]
        kind, bits = exact(spot), 64 if exact(spot) == "int64_t" else 32
        lines = [self._stream(spot), f"    for (i = 0; i < {size}; i++) {{\n        {kind} sum = 0;\n"]
        exactly = self.d.accumulator is None
        for (matrix, row, column, x, count), lift in zip(terms, spot.lifts, strict=True):
            product = f"({kind}){self._weight(matrix)}[{row}][{column}] * {x}[j]"
            lines.append(f"        for (j = 0; j < {count}; j++)\n")
            if lift:
                product += f" * {number(1 << lift, kind)}"
            lines.append(
                f"            sum += {product};\n" if exactly else f"            sum = add{bits}(sum, {product});\n"
            )
        lines.append(f"        d->{out}[i] = land_{name}(sum{self._word(spot, '(uint32_t)i')});\n    }}\n")
        return "".join(lines)

    # --- learning

    def learn_declared(self) -> str:
        """Return the declaration of the learning step."""
        if not self.d.learns:
            return ""
        return (
            f"\n/* Learn from the outputs of the last step. Call it once after every step, with target 0 where there\n"
            f"   is none: shift registers then stay in step. */\n"
            f"void {self.name}_learn({self.name}_device *d, const {self.name}_target *target);\n"
        )

    def learn(self) -> str:
        """Return the learning step."""
        if not self.d.learns:
            return ""
        body = self._error() + "    if (!target)\n        return;\n"
        if not self.d.factored:
            back = "A" if self.d.setting.feedback is None else "R"
            body += self._sums("signal", "l", [(back, "j", "i", "d->e", "N_OUT")], "N_REC")
        for group in ("A", "B", "W"):
            if group not in self.d.learns:
                continue
            pre, size = {"A": ("h", "N_REC"), "W": ("p", "N_REC"), "B": ("q", "N_IN")}[group]
            if group == "A" or self.d.factored:
                body += self._outer(group, pre, size)
            else:
                body += self._outer_by_sender(group, pre, size)
        variables = "i, j" if "j <" in body else "i"
        head = f"\nvoid {self.name}_learn({self.name}_device *d, const {self.name}_target *target)\n{{\n"
        text = self._declare(body, variables)
        if " w = stream(" in body:
            text = "    uint32_t w;\n" + text
        return head + text + "}\n"

    def _error(self) -> str:
        spot = self.d.spots["error"]
        kind, out = exact(spot), stored(spot)
        if not self.softmax:
            value = f"target ? ({kind})d->y[i] - target[i] : 0"
            return (
                f"{self._stream(spot)}    for (i = 0; i < N_OUT; i++)\n"
                f"        d->e[i] = land_error({value}{self._word(spot, '(uint32_t)i')});\n"
            )
        f, v = spot.format.frac_bits, fit("v", spot.lo, spot.hi, spot.overflow, "int64_t")
        return f"""    if (target) {{
        int32_t top = d->y[0];
        int64_t whole = 0;
        for (i = 1; i < N_OUT; i++)
            top = d->y[i] > top ? d->y[i] : top;
        for (i = 0; i < N_OUT; i++) {{
            d->share[i] = exponential(top - d->y[i]);
            whole += d->share[i];
        }}
        for (i = 0; i < N_OUT; i++) {{
            int64_t v = (d->share[i] * INT64_C({2 << f}) + whole) / (2 * whole) - target[i];
            d->e[i] = ({out}){v};
        }}
    }} else {{
        for (i = 0; i < N_OUT; i++)
            d->e[i] = 0;
    }}
"""

    def _rate(self, group: str, source: str) -> str:
        """Return the landing of source[i] times the learning rate."""
        step = self.d.spots[f"step_{group}"]
        rate = number(self.d.constants[f"rate_{group}"], exact(step))
        return f"land_step_{group}({rate} * d->{source}[i]{self._word(step, '(uint32_t)i')})"

    def _move(self, group: str, i: str, j: str, product: str, element: str) -> str:
        name = self.d.learned(group)
        spot = self.d.spots[name]
        fine = f", &d->hidden_{name}[{i}][{j}]" if spot.fine is not None else ""
        word = self._word(spot, element).replace("mix(s", "mix(w")
        return f"move_{name}(&d->{name}[{i}][{j}]{fine}, {product}{word});\n"

    def _streams(self, group: str) -> str:
        step, spot = self.d.spots[f"step_{group}"], self.d.spots[self.d.learned(group)]
        return self._stream(step) + self._stream(spot).replace(" s = ", " w = ")

    def _outer(self, group: str, pre: str, size: str) -> str:
        """Return an update of a matrix that is numbered by output, A, M or N."""
        kind = exact(self.d.spots[self.d.learned(group)])
        element = f"(uint32_t)i * {size} + (uint32_t)j"
        return (
            f"{self._streams(group)}    for (i = 0; i < N_OUT; i++) {{\n"
            f"        {kind} g = {self._rate(group, 'e')};\n        for (j = 0; j < {size}; j++)\n"
            f"            {self._move(group, 'i', 'j', f'g * d->{pre}[j]', element)}    }}\n"
        )

    def _outer_by_sender(self, group: str, pre: str, size: str) -> str:
        """Return an update of a matrix that is numbered by the unit that sends, W or B."""
        kind = exact(self.d.spots[group])
        element = "(uint32_t)j * N_REC + (uint32_t)i"
        return (
            f"{self._streams(group)}    for (i = 0; i < N_REC; i++)\n"
            f"        d->g_{group}[i] = {self._rate(group, 'l')};\n"
            f"    for (j = 0; j < {size}; j++)\n        for (i = 0; i < N_REC; i++)\n"
            f"            {self._move(group, 'i', 'j', f'({kind})d->g_{group}[i] * d->{pre}[j]', element)}"
        )
