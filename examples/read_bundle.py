"""Replay a neurolrnn bundle, bit for bit, with nothing but Python's standard library.

    python examples/read_bundle.py net.npz           # exit code 0 if every code is the expected one

A second implementation of docs/numerics.md and docs/bundle.md: it imports no neurolrnn and no numpy, and every number
in it is one of Python's unbounded integers. Matrices are lists of rows, (to, from).
"""

import ast
import hashlib
import json
import math
import struct
import sys
import zipfile
import zlib
from pathlib import Path

MASK, GOLDEN, LOG2_E = 0xFFFFFFFF, 0x9E3779B9, 23637
LARGEST = 2**30


def load(path):
    """Return meta data and arrays of a bundle; a ValueError says what is wrong with one that cannot be replayed."""
    data = Path(path).read_bytes()
    if hashlib.sha256(data[:-64]).hexdigest().encode() != data[-64:]:
        raise ValueError(f"{path} is damaged, or no bundle: its seal does not fit its bytes")
    try:
        return contents(path)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError, SyntaxError,
            MemoryError, RuntimeError, NotImplementedError, struct.error, zipfile.BadZipFile, OSError,
            zlib.error) as error:  # fmt: skip
        why = "".join(c if c.isprintable() else "?" for c in str(error) or type(error).__name__)[:300]
        raise ValueError(f"{path} is sealed, but no bundle that can be replayed: {why}") from error


def contents(path):
    arrays, raw = {}, {}
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > LARGEST:
            raise ValueError(f"it unpacks to more than {LARGEST} bytes")
        for info in archive.infolist():
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.filename[:-4] in raw:
                raise ValueError(f"{info.filename} stands there twice, or is packed in another way")
            member, key = archive.read(info), info.filename.removesuffix(".npy")
            size = struct.unpack_from("<H", member, 8)[0]  # npy version 1: magic, version, length of the header
            header, raw[key] = ast.literal_eval(member[10 : 10 + size].decode()), member[10 + size :]
            if header["descr"] == "<i8":
                if math.prod(header["shape"]) * 8 != len(raw[key]) or not raw[key] or header["fortran_order"]:
                    raise ValueError(f"{key} has not the size that it says, or another order")
                arrays[key] = shaped(struct.unpack(f"<{len(raw[key]) // 8}q", raw[key]), header["shape"])
    head = json.loads(raw["neurolrnn"])
    if head["kind"] != "bundle" or head["schema"] != 1:
        raise ValueError(f"it holds a {head['kind']} of layout {head['schema']}; this reads bundles of layout 1")
    if set(head["meta"]["sha256"]) != set(arrays):
        raise ValueError("its arrays are not those that have digests")
    for key, digest in head["meta"]["sha256"].items():
        if hashlib.sha256(raw[key]).hexdigest() != digest:
            raise ValueError(f"{key} does not have the digest that is noted")
    small(head["meta"])
    sizes, A, B = head["meta"]["sizes"], arrays["weights/A"], arrays["weights/B"]
    if [sizes[k] for k in ("n_in", "n_rec", "n_out")] != [len(B[0]), len(B), len(A)]:
        raise ValueError(f"its sizes {sizes} are not those of its weights")
    return head["meta"], arrays


def small(part, name="meta", depth=0):
    """Refuse numbers that no device has: shifts beyond 128 bits, other integers beyond 64, fractions."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        shifts = key in ("shift", "lifts", "decay_bits", "frac_bits", "random_bits", "accumulator_bits")
        most = 128 if shifts or name in ("lifts", "shift") else 2**63
        if isinstance(value, int) and not -most <= value <= most:
            raise ValueError(f"{name}.{key} = {str(value)[:40]} is beyond what a device has")
        if isinstance(value, dict | list) and key not in ("origin", "losses"):
            if depth > 8:
                raise ValueError(f"{name}.{key} is nested too deep")
            small(value, str(key), depth + 1)


def shaped(flat, shape):
    size = math.prod(shape[1:])
    return list(flat) if len(shape) == 1 else [shaped(flat[k * size :][:size], shape[1:]) for k in range(shape[0])]


def mix(x):
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & MASK
    return x ^ (x >> 16)


def fit(v, spot, overflow):
    lo, hi = spot["lo"], spot["hi"]
    return (v - lo) % (hi - lo + 1) + lo if overflow == "wrap" else max(lo, min(hi, v))


def softmax(y, meta):
    f, fe = (int(meta["formats"][k].rpartition(".")[2]) for k in ("readout", "target"))
    E = []
    for y_k in y:
        z, s = (max(y) - y_k) * LOG2_E, f + 6
        z = z >> s if s >= 0 else z << -s
        E.append(math.floor(2.0 ** (16 - (z & 255) / 256) + 0.5) >> min(z >> 8, 31))
    return [((2 * E_k << fe) + sum(E)) // (2 * sum(E)) for E_k in E]


class Device:
    """The network of a bundle, from power-up on; one step at a time."""

    def __init__(self, meta, weights):
        self.meta, self.at, self.c, self.t = meta, meta["landings"], meta["constants"], 0
        self.w = {name: [list(row) for row in rows] for name, rows in weights.items()}
        self.n_in, self.n, self.n_out = (meta["sizes"][k] for k in ("n_in", "n_rec", "n_out"))
        self.registers = {name: spot["key"] or 1 for name, spot in self.at.items()}
        self.restart()

    def restart(self):
        self.h, self.p, self.q = [0] * self.n, [0] * self.n, [0] * self.n_in

    def random(self, name, element, s):
        noise, key = self.meta["noise"], self.at[name]["key"]
        if noise["mode"] == "lfsr":
            state = self.registers[name]
            word = self.registers[name] = (state >> 1) ^ (0xA3000000 if state & 1 else 0)
        else:
            stream = mix(key ^ mix((self.t & MASK) ^ mix(self.t >> 32)))
            word = mix((stream + (element if noise["mode"] == "element" else 0) * GOLDEN) & MASK)
        g = noise["random_bits"]
        return word >> (32 - s) if s <= g else ((word >> (32 - g)) << (s - g)) + (1 << (s - g - 1))

    def round(self, name, v, element):
        s, mode = self.at[name]["shift"], self.at[name]["rounding"]
        if mode == "lsb-stochastic":
            size = (abs(v) + self.random(name, element, s)) >> s if s > 0 else abs(v) << -s
            return min(size, 1) if v > 0 else -min(size, 1)
        if s <= 0:
            return v << -s
        if mode == "stochastic":
            return (v + self.random(name, element, s)) >> s
        if mode == "toward-zero":
            return v >> s if v >= 0 else -(-v >> s)
        half = 1 << (s - 1)
        return (v + {"floor": 0, "nearest": half, "nearest-even": half - 1 + ((v >> s) & 1)}[mode]) >> s

    def land(self, name, v, element):
        return fit(self.round(name, v, element), self.at[name], self.at[name]["overflow"])

    def sums(self, name, terms, count):
        """Land ``count`` sums; each term is (matrix, whether its columns are meant, vector)."""
        out, bound = [], self.meta["accumulator"]
        for i in range(count):
            total = 0
            for (matrix, by_column, x), lift in zip(terms, self.at[name]["lifts"], strict=True):
                for j, x_j in enumerate(x):
                    total += ((matrix[j][i] if by_column else matrix[i][j]) * x_j) << lift
                    total = fit(total, bound, bound["overflow"]) if bound else total
            out.append(self.land(name, total, i))
        return out

    def blend(self, name, a, x, b, y):
        one, two = self.at[name]["lifts"]
        return [self.land(name, (a * p << one) + (b * q << two), i) for i, (p, q) in enumerate(zip(x, y, strict=True))]

    def step(self, x):
        """Run one step and return the outputs."""
        w, c = self.w, self.c
        if self.meta["rule"]:
            self.p = self.blend("trace", c["decay"], self.p, c["gain"], self.h)  # of the state before
            self.q = self.blend("input_trace", c["decay"], self.q, c["gain"], x)
        terms = [(w["W"], False, self.h), (w["B"], False, x)]
        if "M" in w:
            z = self.sums("coupling", [(w["M"], False, self.h), (w["N"], False, x)], self.n_out)
            terms.append((w["R"], True, z))
        u = self.sums("current", terms, self.n)
        self.h = self.blend("state", c["keep"], self.h, c["gain"], u)
        self.y = self.sums("readout", [(w["A"], False, self.h)], self.n_out)
        return self.y

    def learn(self, target, mask):
        """Compare the last outputs with their targets, and learn; where the mask is 0 nothing is learned."""
        rule, w, spot = self.meta["rule"], self.w, self.at["error"]
        y = softmax(self.y, self.meta) if rule["loss"] == "cross-entropy" else self.y
        exact = [(y_k - goal) * mask for y_k, goal in zip(y, target, strict=True)]
        land = y is self.y  # a softmax is rounded by its division
        self.e = [self.land("error", v, k) if land else fit(v, spot, spot["overflow"]) for k, v in enumerate(exact)]
        if not mask:
            return
        dense = rule["storage"] == "dense"
        back = self.sums("signal", [(w[rule["feedback"]], True, self.e)], self.n) if dense else self.e
        parts = {"A": ("A", self.e, self.h), "B": ("NB"[dense], back, self.q), "W": ("MW"[dense], back, self.p)}
        for group in rule["learn"]:
            name, post, pre = parts[group]
            rate = self.meta["rates"][group]["mantissa"]
            self.update(name, [self.land(f"step_{group}", rate * v, i) for i, v in enumerate(post)], pre)

    def update(self, name, g, pre):
        """Subtract g preᵀ, in the order in which the weights are numbered: W and B by the unit that sends."""
        spot, visible = self.at[name], self.at[name]["hidden"]
        stored = self.w[f"hidden_{name}"] if visible else self.w[name]
        order = [(i, j) for i in range(len(g)) for j in range(len(pre))]
        if name in "WB":
            order.sort(key=lambda pair: pair[::-1])
        for element, (i, j) in enumerate(order):
            stored[i][j] = fit(stored[i][j] - self.round(name, g[i] * pre[j], element), spot, spot["overflow"])
            if visible:
                code = (stored[i][j] + ((1 << visible["shift"]) >> 1)) >> visible["shift"]
                self.w[name][i][j] = fit(code, visible, spot["overflow"])


def replay(path):
    """Return how many codes of a bundle were compared; one that differs is an error."""
    meta, arrays = load(path)
    try:
        return compared(meta, arrays)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, MemoryError) as error:
        why = "".join(c if c.isprintable() else "?" for c in str(error))[:300]
        raise ValueError(f"{path}: {type(error).__name__}: {why}") from error


def compared(meta, arrays):
    weights = {name.split("/")[1]: a for name, a in arrays.items() if name.startswith("weights/")}
    gold = {name.removeprefix("golden/"): a for name, a in arrays.items() if name.startswith("golden/")}
    count = 0
    for phase in ("inference", "learning") if meta["rule"] else ("inference",):
        device = Device(meta, weights)
        for t, x in enumerate(gold["x"]):
            if gold["first"][t]:
                device.restart()
            device.step(x)
            if meta["rule"]:
                device.learn(gold["target"][t], gold["mask"][t] if phase == "learning" else 0)
            device.t += 1
            pairs = [(k, getattr(device, k), gold[f"{phase}/{k}"][t]) for k in "hyepq" if f"{phase}/{k}" in gold]
            marks = meta["golden"]["checkpoints"]
            for n in (n for n in gold if n.startswith("after/") and phase == "learning" and t + 1 in marks):
                pairs += [(n, *rows) for rows in zip(device.w[n[6:]], gold[n][marks.index(t + 1)], strict=True)]
            for name, got, want in pairs:
                if got != want:
                    raise ValueError(f"{phase}, step {t}, {name}: {got} found, {want} expected")
                count += len(got)
    return count


if __name__ == "__main__":
    try:
        print(f"{replay(sys.argv[1])} codes compared, all as expected")
    except (OSError, ValueError) as error:
        sys.exit(str(error))
