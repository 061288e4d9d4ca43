"""The fixed-point learning rules on unbounded Python integers, written from docs/numerics.md: clear, slow, and alone.

Nothing here imports the package, its kernels or numpy, so nothing here can share a mistake or a word length with them.
Every array is a list of lists of codes; matrices are written (to, from): ``W[i][j]`` leads from j to i.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Vector = list[int]
Matrix = list[list[int]]
Lane = tuple[Matrix, Matrix, Vector]
"""One sequence: codes of x (T, n_in), codes of y* (T, n_out), mask (T,) of 0 and 1."""
Spec = dict[str, Any]

ROWS = (
    "current", "state", "readout", "error", "signal", "trace", "input_trace", "rate_A", "rate_W", "rate_B",
    "A", "W", "B", "coupling", "eligibility", "input_eligibility", "trace_decay", "back_current", "back_signal",
    "message",
)  # fmt: skip
VARIABLES = {name: number for number, name in enumerate(ROWS)}
ROW_OF = {"step_A": "rate_A", "step_W": "rate_W", "step_B": "rate_B", "M": "W", "N": "B"}
"""The row of a landing that does not bear its row's name."""
RANDOM = ("stochastic", "lsb-stochastic")
RULES = ("rflo-dense", "rflo-factored", "tbptt", "eprop")
LOG2_E = 23637
"""log2 e with 14 fraction bits."""


# --- formats --------------------------------------------------------------------------------------------------------


class Format(NamedTuple):
    """``s1.6`` is Format(True, 1, 6)."""

    signed: bool
    int_bits: int
    frac_bits: int

    @property
    def width(self) -> int:
        return int(self.signed) + self.int_bits + self.frac_bits

    @property
    def lo(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        return self.lo + (1 << self.width) - 1


def shift_round(v: int, s: int, mode: str, r: int = 0) -> int:
    """Round v · 2^-s to an integer; r in [0, 2^s) is the random number of the random modes."""
    if mode == "lsb-stochastic":
        # for s ≤ 0 too it is one LSB at most, and as |v| · 2^-s ≥ 1 it is then certain.
        whole = (abs(v) + r) >> s if s > 0 else abs(v) << -s
        return (1 if v > 0 else -1) * min(1, whole)
    if s <= 0:
        return v << -s
    if mode == "floor":
        return v >> s
    if mode == "nearest":
        return (v + (1 << (s - 1))) >> s
    if mode == "nearest-even":
        whole, rest, half = v >> s, v & ((1 << s) - 1), 1 << (s - 1)
        return whole + int(rest > half or (rest == half and whole % 2 == 1))
    if mode == "toward-zero":
        return v >> s if v >= 0 else -(-v >> s)
    if mode == "stochastic":
        return (v + r) >> s
    raise ValueError(mode)


def into_range(code: int, lo: int, hi: int, how: str) -> tuple[int, bool]:
    """Return the code brought into lo..hi, and whether it lay outside."""
    if lo <= code <= hi:
        return code, False
    if how == "saturate":
        return (lo if code < lo else hi), True
    if how == "wrap":
        return (code - lo) % (hi - lo + 1) + lo, True
    raise ValueError(how)


def overflow(code: int, fmt: Format, how: str) -> tuple[int, bool]:
    return into_range(code, fmt.lo, fmt.hi, how)


# --- random bits ----------------------------------------------------------------------------------------------------

MASK32 = (1 << 32) - 1
GOLDEN = 0x9E3779B9


def mix(x: int) -> int:
    x ^= x >> 16
    x = (x * 0x7FEB352D) & MASK32
    x ^= x >> 15
    x = (x * 0x846CA68B) & MASK32
    x ^= x >> 16
    return x


def key_of(seed: int, variable: int) -> int:
    return mix((mix(mix(seed & MASK32) ^ (seed >> 32)) + variable * GOLDEN) & MASK32)


def random_word(seed: int, t: int, variable: int, element: int) -> int:
    stream = mix(key_of(seed, variable) ^ mix((t & MASK32) ^ mix(t >> 32)))
    return mix((stream + element * GOLDEN) & MASK32)


def random_below(word: int, s: int, g: int) -> int:
    """Return r in [0, 2^s) out of the top min(s, g) bits of a 32-bit word."""
    if s <= g:
        return word >> (32 - s)
    return ((word >> (32 - g)) << (s - g)) + (1 << (s - g - 1))


class LFSR:
    """A 32-bit Galois register; a draw steps once and is the new state."""

    def __init__(self, key: int) -> None:
        self.state = key or 1

    def draw(self) -> int:
        self.state = (self.state >> 1) ^ (0xA3000000 if self.state & 1 else 0)
        return self.state


# --- cross-entropy --------------------------------------------------------------------------------------------------


def power_of_two_table() -> Vector:
    """Return round(2^(16 - i/256)), i = 0..255, exactly: the largest T with (T - 1/2)^256 ≤ 2^(4096 - i)."""
    table, T = [], 1 << 16
    for i in range(256):
        while (2 * T - 1) ** 256 > 1 << (256 + 4096 - i):
            T -= 1
        table.append(T)
    return table


TABLE = power_of_two_table()


def shifted_right(v: int, s: int) -> int:
    return v >> s if s >= 0 else v << -s


def softmax(y: Sequence[int], f_readout: int, f_error: int) -> Vector:
    """Return the probabilities with f_error fraction bits, out of the codes of the readout."""
    if f_error < 0:
        raise ValueError("cross-entropy needs an error of at least 0 fraction bits")
    E = []
    for y_k in y:
        z = (max(y) - y_k) * LOG2_E
        whole, index = shifted_right(z, f_readout + 14), shifted_right(z, f_readout + 6) & 255
        E.append(TABLE[index] >> min(whole, 31))
    S = sum(E)
    return [(2 * (E_k << f_error) + S) // (2 * S) for E_k in E]


def softmax_error(y: Sequence[int], target: Sequence[int], f_readout: int, f_error: int) -> Vector:
    """Return P - y* before its overflow; y* has f_error fraction bits."""
    return [P - goal for P, goal in zip(softmax(y, f_readout, f_error), target, strict=True)]


# --- where results land ---------------------------------------------------------------------------------------------


class Landings:
    """Formats, roundings, noise and counters of a run: all that a result meets on its way to rest."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.formats = {name: Format(*given) for name, given in spec["formats"].items()}
        if "signal" in self.formats:
            self.formats["back_signal"] = self.formats["signal"]
        self.t = 0
        self.lfsr = {name: LFSR(key_of(spec["seed"], number)) for name, number in spec["variables"].items()}
        self.overflows = dict.fromkeys(spec["variables"], 0)
        self.accumulator_events = dict.fromkeys(spec["variables"], 0)

    def f(self, name: str) -> int:
        """Return the fraction bits of a variable; "decay" is the constants gain, keep and decay."""
        return int(self.spec["decay_bits"]) if name == "decay" else self.formats[name].frac_bits

    def word(self, row: str, element: int, t: int) -> int:
        if self.spec["noise"] == "lfsr":
            return self.lfsr[row].draw()
        if self.spec["noise"] == "shared":
            element = 0
        return random_word(self.spec["seed"], t, self.spec["variables"][row], element)

    def rounded(self, name: str, v: int, s: int, element: int, t: int | None = None) -> int:
        mode, r = self.spec["rounding"][name], 0
        if mode in RANDOM and s > 0:
            word = self.word(ROW_OF.get(name, name), element, self.t if t is None else t)
            r = random_below(word, s, self.spec["random_bits"])
        return shift_round(v, s, mode, r)

    def rest(self, name: str, code: int, lo: int, hi: int, how: str) -> int:
        code, event = into_range(code, lo, hi, how)
        self.overflows[ROW_OF.get(name, name)] += event
        return code

    def land(self, name: str, v: int, f: int, element: int, t: int | None = None) -> int:
        """Round v · 2^-f once and let it rest in the variable."""
        fmt = self.formats[name]
        code = self.rounded(name, v, f - fmt.frac_bits, element, t)
        return self.rest(name, code, self.lowest(name), fmt.hi, self.spec["overflow"][name])

    def lowest(self, name: str) -> int:
        """Return the lowest code that is stored: a symmetric range leaves out the lowest of its format."""
        fmt = self.formats[name]
        return -fmt.hi if name in self.spec.get("symmetric", ()) else fmt.lo

    def land_apart(self, name: str, kept: int, f_kept: int, added: int, f_added: int, element: int) -> int:
        """Round the kept part by itself, and add the other, floored."""
        fmt = self.formats[name]
        code = self.rounded(name, kept, f_kept - fmt.frac_bits, element) + shift_round(
            added, f_added - fmt.frac_bits, "floor"
        )
        return self.rest(name, code, self.lowest(name), fmt.hi, self.spec["overflow"][name])

    def accumulate(self, name: str, products: Iterable[int]) -> int:
        """Return the sum of aligned products, which a declared width bounds after every one."""
        total = 0
        for product in products:
            total += product
            if self.spec["accumulator"] is not None:
                width, how = self.spec["accumulator"]
                total, event = overflow(total, Format(True, width - 1, 0), how)
                self.accumulator_events[ROW_OF.get(name, name)] += event
        return total


def two_terms(a: int, f_a: int, b: int, f_b: int) -> tuple[int, int]:
    """Return the exact sum of a · 2^-f_a and b · 2^-f_b, and its fraction bits."""
    f = max(f_a, f_b)
    return (a << (f - f_a)) + (b << (f - f_b)), f


def dot(a: Sequence[int], b: Sequence[int], shift: int = 0) -> Vector:
    """Return the products of a sum, in index order, aligned."""
    return [(p * q) << shift for p, q in zip(a, b, strict=True)]


def column(matrix: Matrix, j: int) -> Vector:
    return [row[j] for row in matrix]


def unbounded(matrix: Iterable[Iterable[int]]) -> Matrix:
    """Return a copy in Python's integers, whatever integers were given."""
    return [[int(code) for code in row] for row in matrix]


def zeros(rows: int, columns: int) -> Matrix:
    return [[0] * columns for _ in range(rows)]


# --- the network ----------------------------------------------------------------------------------------------------


class Network:
    """Weights, and h, y of the lanes that run side by side."""

    def __init__(self, spec: Spec, weights: dict[str, Any], factored: bool) -> None:
        self.spec, self.at, self.factored = spec, Landings(spec), factored
        self.sent = "message" if spec.get("sends") else "state"
        self.w: dict[str, Matrix] = {k: unbounded(weights[k]) for k in "AWB"}
        self.R = None if weights.get("R") is None else unbounded(weights["R"])
        self.n, self.n_in, self.n_out = len(self.w["W"]), len(self.w["B"][0]), len(self.w["A"])
        if factored:
            assert self.R is not None, "factored storage needs R"
            for k, columns in (("M", self.n), ("N", self.n_in)):
                given = weights.get(k)
                self.w[k] = zeros(self.n_out, columns) if given is None else unbounded(given)
        self.h: Matrix = []  # what units send
        self.own: Matrix = []  # the state they keep
        self.y: Matrix = []

    def start(self, lanes: int) -> None:
        self.lanes = lanes
        self.h, self.y = zeros(lanes, self.n), zeros(lanes, self.n_out)
        self.own = zeros(lanes, self.n)

    def fractions_of_current(self) -> tuple[int, int]:
        """Return the fraction bits of the sum that lands in `current`, and those of W h before it is aligned."""
        f = self.at.f
        f_W = f("W") + f(self.sent)
        f_R = f("feedback") + f("coupling") if self.factored else f_W
        return max(f_W, f("B") + f("input"), f_R), f_W

    def forward(self, x: Matrix) -> None:
        """Land z, u, h, y of one step; x is (lanes, n_in)."""
        at, f, w, n = self.at, self.at.f, self.w, self.n
        gain, keep = self.spec["gain"], self.spec["keep"]
        for b in range(self.lanes):
            z: Vector = []
            if self.factored:
                f_M, f_N = f("M") + f(self.sent), f("N") + f("input")
                f_z = max(f_M, f_N)
                for k in range(self.n_out):
                    products = dot(w["M"][k], self.h[b], f_z - f_M) + dot(w["N"][k], x[b], f_z - f_N)
                    z.append(at.land("coupling", at.accumulate("coupling", products), f_z, b * self.n_out + k))
            f_u, f_W = self.fractions_of_current()
            f_B = f("B") + f("input")
            f_R = f("feedback") + f("coupling") if self.factored else f_u
            u: Vector = []
            for i in range(n):
                products = dot(w["W"][i], self.h[b], f_u - f_W) + dot(w["B"][i], x[b], f_u - f_B)
                if self.factored:
                    assert self.R is not None
                    products += dot(column(self.R, i), z, f_u - f_R)
                u.append(at.land("current", at.accumulate("current", products), f_u, b * n + i))
            h = []
            for i in range(n):
                f_kept, f_new = f("decay") + f("state"), f("decay") + f("current")
                if self.spec.get("state_decay") == "apart":
                    h.append(at.land_apart("state", keep * self.own[b][i], f_kept, gain * u[i], f_new, b * n + i))
                    continue
                v, f_v = two_terms(keep * self.own[b][i], f_kept, gain * u[i], f_new)
                h.append(at.land("state", v, f_v, b * n + i))
            self.own[b] = h
            if self.sent == "message":
                h = [at.land("message", a, f("state"), b * n + i) for i, a in enumerate(h)]
            self.h[b] = h
            for k in range(self.n_out):
                total = at.accumulate("readout", dot(w["A"][k], h))
                self.y[b][k] = at.land("readout", total, f("A") + f(self.sent), b * self.n_out + k)


def run_forward(spec: Spec, weights: dict[str, Any], data: Sequence[Lane], batch: int = 1) -> list[Matrix]:
    """Return the codes of y of each sequence, (T, n_out); storage is factored where the weights hold M."""
    net = Network(spec, weights, weights.get("M") is not None)
    data = [(unbounded(x), goal, mask) for x, goal, mask in data]
    outputs: list[Matrix] = []
    for first in range(0, len(data), batch):
        lanes = data[first : first + batch]
        net.start(len(lanes))
        outputs += [[] for _ in lanes]
        for s in range(max(len(x) for x, _, _ in lanes)):
            net.forward([x[s] if s < len(x) else [0] * net.n_in for x, _, _ in lanes])
            for b, (x, _, _) in enumerate(lanes):
                if s < len(x):
                    outputs[first + b].append(list(net.y[b]))
            net.at.t += 1
    return outputs


# --- learning -------------------------------------------------------------------------------------------------------


@dataclass
class Result:
    """What a run leaves behind; all numbers are codes."""

    A: Matrix
    W: Matrix
    B: Matrix
    M: Matrix | None
    N: Matrix | None
    hidden: dict[str, Matrix]
    """By group A, W, B; in factored storage W and B are the hidden M and N."""
    h: list[Matrix] = field(default_factory=list)
    """One (lanes, n) entry per step of the run, padded steps among them."""
    y: list[Matrix] = field(default_factory=list)
    overflows: dict[str, int] = field(default_factory=dict)
    """By row: the steps are rate_A, rate_W, rate_B; M and N count as W and B."""
    accumulator_events: dict[str, int] = field(default_factory=dict)
    dead_updates: dict[str, int] = field(default_factory=dict)


class Learner(Network):
    """A network, its traces, and the updates of one rule."""

    def __init__(
        self, spec: Spec, weights: dict[str, Any], rule: str, tau: int, loss: str, update: str, learn: Sequence[str],
        exists: Sequence[Sequence[bool]] | None = None, every: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(spec, weights, rule == "rflo-factored")
        self.exists = exists
        self.rule, self.loss, self.update, self.learn = rule, loss, update, learn
        # The ring of truncated BPTT holds τ steps; every other rule is a ring of the one step that is now.
        self.slots = tau if rule == "tbptt" else 1
        self.stored = {"A": "A", "W": "M", "B": "N"} if self.factored else {"A": "A", "W": "W", "B": "B"}
        self.hidden_format = {k: Format(*fmt) for k, fmt in spec["hidden"].items() if fmt is not None}
        self.hidden: dict[str, Matrix] = {}
        for k, fmt in self.hidden_format.items():
            shift = fmt.frac_bits - self.at.f(self.stored[k])
            self.hidden[k] = [[code << shift for code in row] for row in self.w[self.stored[k]]]
        self.dead_updates = dict.fromkeys("AWB", 0)
        self.every = every
        self.clear_sums()

    def start(self, lanes: int) -> None:
        super().start(lanes)
        self.k = 0  # steps of this batch so far
        # Entry slot · lanes + lane of each list.
        self.p, self.q = zeros(self.slots * lanes, self.n), zeros(self.slots * lanes, self.n_in)
        self.delta = zeros(self.slots * lanes, self.n)
        self.L = zeros(lanes, self.n)
        self.E = [zeros(self.n, self.n) for _ in range(lanes)]
        self.E_in = [zeros(self.n, self.n_in) for _ in range(lanes)]
        self.parts = {"trace": zeros(2 * lanes, self.n), "input_trace": zeros(2 * lanes, self.n_in)}
        if self.every == 1:  # an epoch of several steps goes on over the ends of sequences
            self.clear_sums()

    def clear_sums(self) -> None:
        self.G = {k: zeros(len(self.w[s]), len(self.w[s][0])) for k, s in self.stored.items()}

    def put_to_rest(self, b: int) -> None:
        """Clear what a lane whose sequence has ended would go on with; its W h was made before, and counts."""
        f_u, f_W = self.fractions_of_current()
        for i in range(self.n):
            self.at.accumulate("current", dot(self.w["W"][i], self.h[b], f_u - f_W))
        self.h[b], self.own[b] = [0] * self.n, [0] * self.n
        self.E[b], self.E_in[b] = zeros(self.n, self.n), zeros(self.n, self.n_in)

    def step(self, x: Matrix, target: Matrix, mask: Vector) -> None:
        self.k += 1
        if self.rule == "eprop":
            self.eligibilities(x)
        else:
            self.traces(x)
        self.forward(x)
        self.errors(target, mask)
        if not any(mask):
            return  # no L lands and nothing is learned
        if self.rule != "rflo-factored":
            self.signals()
        if self.rule == "tbptt":
            self.carry_back()
        for group in self.learn:
            if self.update == "online" and self.every == 1:
                self.online(group)
            else:
                self.gather(group)

    def synapse(self, i: int, j: int) -> bool:
        """Whether unit i hears unit j; where it does not, W is 0, and nothing lands or is drawn."""
        return self.exists is None or bool(self.exists[i][j])

    # --- traces

    def traces(self, x: Matrix) -> None:
        at, f, gain = self.at, self.at.f, self.spec["gain"]
        if self.spec.get("trace_signs") == "pair":
            self.paired_traces(x)
            return
        slot = (self.k - 1) % self.slots
        for b in range(self.lanes):
            for name, trace, now, f_now in (
                ("trace", self.p[slot * self.lanes + b], self.h[b], f(self.sent)),
                ("input_trace", self.q[slot * self.lanes + b], x[b], f("input")),
            ):
                for j, a in enumerate(now):
                    if self.rule == "tbptt":
                        v, f_v = gain * a, f("decay") + f_now
                    else:
                        kept = self.spec["decay"] * trace[j]
                        v, f_v = two_terms(kept, f("decay") + f(name), gain * a, f("decay") + f_now)
                    # a trace is an activity, lane · n + j, in the ring of truncated BPTT too.
                    trace[j] = at.land(name, v, f_v, b * len(now) + j)

    def paired_traces(self, x: Matrix) -> None:
        """Filter positive and negative activity apart, elements of lanes b and lanes + b; a trace is the difference."""
        at, f, lanes = self.at, self.at.f, self.lanes
        for name, trace, now, f_now in (
            ("trace", self.p, self.h, f(self.sent)),
            ("input_trace", self.q, x, f("input")),
        ):
            parts = self.parts[name]
            for row, sign in ((b + side * lanes, 1 - 2 * side) for side in (0, 1) for b in range(lanes)):
                for j, a in enumerate(now[row % lanes]):
                    kept, new = self.spec["decay"] * parts[row][j], self.spec["gain"] * max(0, sign * a)
                    v, f_v = two_terms(kept, f("decay") + f(name), new, f("decay") + f_now)
                    parts[row][j] = at.land(name, v, f_v, row * len(now[0]) + j)
            for b in range(lanes):
                trace[b] = [plus - minus for plus, minus in zip(parts[b], parts[lanes + b], strict=True)]

    def eligibilities(self, x: Matrix) -> None:
        at, f, gain, f_decay = self.at, self.at.f, self.spec["gain"], self.at.f("decay")
        d = []
        for i in range(self.n):
            # with f(W) < 0 the sum has the bits of keep, which cannot be dropped exactly.
            v, f_v = two_terms(self.spec["keep"], f_decay, gain * self.w["W"][i][i], f_decay + f("W"))
            d.append(at.land("trace_decay", v, f_v, i))
        for b in range(self.lanes):
            for group, name, E, now, f_now in (
                ("W", "eligibility", self.E[b], self.h[b], f(self.sent)),
                ("B", "input_eligibility", self.E_in[b], x[b], f("input")),
            ):
                if group not in self.learn:
                    continue
                for j, a in enumerate(now):
                    for i in range(self.n):
                        if group == "W" and not self.synapse(i, j):
                            continue
                        f_kept, f_new = f("trace_decay") + f(name), f_decay + f_now
                        v, f_v = two_terms(d[i] * E[i][j], f_kept, gain * a, f_new)
                        E[i][j] = at.land(name, v, f_v, (b * len(now) + j) * self.n + i)

    # --- errors and signals

    def errors(self, target: Matrix, mask: Vector) -> None:
        at, f, fmt = self.at, self.at.f, self.at.formats["error"]
        self.eps: Matrix = []
        for b in range(self.lanes):
            if self.loss == "cross-entropy":
                raw = softmax_error(self.y[b], target[b], f("readout"), f("error"))
                how = self.spec["overflow"]["error"]
                self.eps.append([at.rest("error", mask[b] * e, fmt.lo, fmt.hi, how) for e in raw])
            else:
                # where the mask is 0 the error is an exact 0 that lands (and draws) like any other.
                raw = [mask[b] * (y - goal) for y, goal in zip(self.y[b], target[b], strict=True)]
                self.eps.append([at.land("error", e, f("readout"), b * self.n_out + k) for k, e in enumerate(raw)])

    def signals(self) -> None:
        at, f = self.at, self.at.f
        F, f_F = (self.w["A"], f("A")) if self.R is None else (self.R, f("feedback"))
        self.L = []
        for b in range(self.lanes):
            totals = [at.accumulate("signal", dot(column(F, i), self.eps[b])) for i in range(self.n)]
            self.L.append([at.land("signal", v, f_F + f("error"), b * self.n + i) for i, v in enumerate(totals)])
        for b in range(self.lanes):
            self.delta[(self.k - 1) % self.slots * self.lanes + b] = list(self.L[b])

    def carry_back(self) -> None:
        """Fill the ring: δ of this step and of the min(τ, k) - 1 steps before it."""
        at, f, n, f_decay = self.at, self.at.f, self.n, self.at.f("decay")
        delta = deepcopy(self.L)
        # the first step back is l = 0, and no step is carried that is not used.
        for back in range(min(self.slots, self.k) - 1):
            t = self.at.t * self.slots + back
            for b in range(self.lanes):
                v = []
                for j in range(n):
                    total = at.accumulate("back_current", dot(column(self.w["W"], j), delta[b]))
                    v.append(at.land("back_current", total, f("W") + f("signal"), b * n + j, t))
                for j in range(n):
                    f_kept, f_new = f_decay + f("signal"), f_decay + f("back_current")
                    a, f_a = two_terms(self.spec["keep"] * delta[b][j], f_kept, self.spec["gain"] * v[j], f_new)
                    delta[b][j] = at.land("back_signal", a, f_a, b * n + j, t)
                self.delta[(self.k - 2 - back) % self.slots * self.lanes + b] = list(delta[b])

    # --- updates

    def factors(self, group: str) -> tuple[Matrix, str, Callable[[int, int, int], int], str]:
        """Return the two factors of a group's update, and their variables' names.

        The first is a list of vectors over the post side, the second a function of (position in that list, post,
        pre).
        """
        if group == "A":
            return self.eps, "error", lambda b, k, i: self.h[b][i], self.sent
        if self.rule == "eprop":
            if group == "W":
                return self.L, "signal", lambda b, i, j: self.E[b][i][j], "eligibility"
            return self.L, "signal", lambda b, i, j: self.E_in[b][i][j], "input_eligibility"
        post, name = (self.eps, "error") if self.factored else (self.delta, "signal")
        if group == "W":
            return post, name, lambda b, i, j: self.p[b][j], "trace"
        return post, name, lambda b, i, j: self.q[b][j], "input_trace"

    def online(self, group: str) -> None:
        post, post_name, pre, pre_name = self.factors(group)
        step, (m, f_rate), f = f"step_{group}", self.spec["rates"][group], self.at.f
        # in truncated BPTT all τ slots land in their order, also those a young sequence has not filled.
        g = [
            [self.at.land(step, m * e, f_rate + f(post_name), b * len(row) + i) for i, e in enumerate(row)]
            for b, row in enumerate(post)
        ]
        v = self.sums(group, g, pre)
        self.apply(group, v, f(step) + f(pre_name))

    def gather(self, group: str) -> None:
        post, _, pre, _ = self.factors(group)
        self.G[group] = [
            [a + b for a, b in zip(old, new, strict=True)]
            for old, new in zip(self.G[group], self.sums(group, post, pre), strict=True)
        ]

    def end_episode(self) -> None:
        # the update belongs to the last step of the episode (its t), whatever that step's masks.
        for group in self.learn:
            _, post_name, _, pre_name = self.factors(group)
            (m, f_rate), f = self.spec["rates"][group], self.at.f
            v = [[m * total for total in row] for row in self.G[group]]
            self.apply(group, v, f_rate + f(post_name) + f(pre_name))

    def sums(self, group: str, post: Matrix, pre: Callable[[int, int, int], int]) -> Matrix:
        w = self.w[self.stored[group]]
        return [
            [sum(row[i] * pre(b, i, j) for b, row in enumerate(post)) for j in range(len(w[0]))] for i in range(len(w))
        ]

    def apply(self, group: str, v: Matrix, f_v: int) -> None:
        """Move a group's weights by v · 2^-f_v, in the order in which they are stored."""
        name = self.stored[group]
        w, fmt, how, clamp = self.w[name], self.at.formats[name], self.spec["overflow"][name], self.spec["clamp"][group]
        landed, landed_fmt = (self.hidden[group], self.hidden_format[group]) if group in self.hidden else (w, fmt)
        posts, pres = range(len(w)), range(len(w[0]))
        if name in ("W", "B"):  # input-major
            order = [(i, j, j * len(w) + i) for j in pres for i in posts if name == "B" or self.synapse(i, j)]
        else:
            order = [(i, j, i * len(w[0]) + j) for i in posts for j in pres]
        lo, hi = landed_fmt.lo, landed_fmt.hi  # symmetric weights are not part of this oracle
        if clamp is not None:
            # A clamp is in codes of what it bounds: the hidden weight where there is one.
            lo, hi, how = max(lo, -clamp), min(hi, clamp), "saturate"
        for i, j, element in order:
            delta = self.at.rounded(name, v[i][j], f_v - landed_fmt.frac_bits, element)
            self.dead_updates[group] += v[i][j] != 0 and delta == 0
            landed[i][j] = self.at.rest(name, landed[i][j] - delta, lo, hi, how)
            if landed is not w:
                code = shift_round(landed[i][j], landed_fmt.frac_bits - fmt.frac_bits, "nearest")
                w[i][j] = self.at.rest(name, code, fmt.lo, fmt.hi, how)


def train(
    spec: Spec, weights: dict[str, Any], data: Sequence[Lane], rule: str, *, tau: int = 1,
    loss: str = "squared-error", update: str = "online", learn: Sequence[str] = ("A", "W", "B"), batch: int = 1,
    epochs: int = 1, exists: Sequence[Sequence[bool]] | None = None, every: int = 1,
) -> Result:  # fmt: skip
    """Train on the sequences in the order given, `batch` at a time; feedback is symmetric where weights["R"] is None.

    A batch lasts as long as its longest sequence; a lane that has ended is put to rest, and has x = 0 and mask 0. Where
    ``exists`` (n, n) is given and false, W has no synapse.
    """
    if rule not in RULES or loss not in ("squared-error", "cross-entropy") or update not in ("online", "episode"):
        raise ValueError((rule, loss, update))
    net = Learner(spec, weights, rule, tau, loss, update, learn, exists, every)
    result = Result(net.w["A"], net.w["W"], net.w["B"], net.w.get("M"), net.w.get("N"), net.hidden)
    data = [(unbounded(x), unbounded(goal), [int(m) for m in mask]) for x, goal, mask in data]
    for _ in range(epochs):
        for first in range(0, len(data), batch):
            lanes = data[first : first + batch]
            lanes += [([], [], [])] * (min(batch, len(data)) - len(lanes))  # a batch that is not full
            net.start(len(lanes))
            longest = max(len(x) for x, _, _ in lanes)
            for s in range(longest):
                x = [x[s] if s < len(x) else [0] * net.n_in for x, _, _ in lanes]
                target = [goal[s] if s < len(goal) else [0] * net.n_out for _, goal, _ in lanes]
                mask = [m[s] if s < len(m) else 0 for _, _, m in lanes]
                for b, (given, _, _) in enumerate(lanes):
                    if s >= len(given):
                        net.put_to_rest(b)
                net.step(x, target, mask)
                if update == "episode" and s == longest - 1:
                    net.end_episode()
                if every > 1 and (net.at.t + 1) % every == 0:
                    net.end_episode()
                    net.clear_sums()
                result.h.append(deepcopy(net.h))
                result.y.append(deepcopy(net.y))
                net.at.t += 1
    result.overflows, result.accumulator_events = net.at.overflows, net.at.accumulator_events
    result.dead_updates = net.dead_updates
    return result
