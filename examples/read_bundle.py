"""Replay a neurolrnn bundle, bit for bit, with nothing but Python's standard library.

    python examples/read_bundle.py net.npz           # exit code 0 if every code is the expected one

A second implementation of docs/numerics.md and docs/bundle.md: it imports no neurolrnn and no numpy, and every number in
it is one of Python's unbounded integers. Matrices are lists of rows, (to, from).
"""

import ast
import hashlib
import json
import math
import struct
import sys
import zipfile

MASK, GOLDEN, LOG2_E = 0xFFFFFFFF, 0x9E3779B9, 23637


def load(path):
    """Return meta data and arrays of a bundle, with its seal and its digests checked."""
    data = open(path, "rb").read()
    if hashlib.sha256(data[:-64]).hexdigest().encode() != data[-64:]:
        raise ValueError(f"{path} is damaged: its seal does not fit its bytes")
    arrays, raw = {}, {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            member = archive.read(name)
            size = struct.unpack_from("<H", member, 8)[0]  # npy version 1: magic, version, length of the header
            header, body = ast.literal_eval(member[10 : 10 + size].decode()), member[10 + size :]
            name = name.removesuffix(".npy")
            raw[name] = body
            if name != "neurolrnn":
                assert header["descr"] == "<i8" and (not header["fortran_order"] or len(header["shape"]) < 2)
                arrays[name] = shaped(struct.unpack(f"<{len(body) // 8}q", body), header["shape"])
    head = json.loads(raw["neurolrnn"])
    if head["kind"] != "bundle" or head["schema"] != 1:
        raise ValueError(f"{path} holds a {head['kind']} of layout {head['schema']}; this reads bundles of layout 1")
    for name, digest in head["meta"]["sha256"].items():
        assert hashlib.sha256(raw[name]).hexdigest() == digest, f"{name} does not have the digest that is noted"
    return head["meta"], arrays


def shaped(flat, shape):
    if len(shape) == 1:
        return list(flat)
    size = math.prod(shape[1:])
    return [shaped(flat[k * size :][:size], shape[1:]) for k in range(shape[0])]


def mix(x):
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & MASK
    return x ^ (x >> 16)


def sender(pair):
    return pair[::-1]


def fit(v, lo, hi, overflow):
    return (v - lo) % (hi - lo + 1) + lo if overflow == "wrap" else max(lo, min(hi, v))


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
        noise, spot = self.meta["noise"], self.at[name]
        if noise["mode"] == "lfsr":
            state = self.registers[name]
            word = self.registers[name] = (state >> 1) ^ (0xA3000000 if state & 1 else 0)
        else:
            stream = mix(spot["key"] ^ mix((self.t & MASK) ^ mix(self.t >> 32)))
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
        spot = self.at[name]
        return fit(self.round(name, v, element), spot["lo"], spot["hi"], spot["overflow"])

    def sums(self, name, terms, count):
        """Land ``count`` sums; each term is (matrix, whether its columns are meant, vector)."""
        declared, out = self.meta["accumulator"], []
        for i in range(count):
            total = 0
            for (matrix, by_column, x), lift in zip(terms, self.at[name]["lifts"]):
                for j, x_j in enumerate(x):
                    total += ((matrix[j][i] if by_column else matrix[i][j]) * x_j) << lift
                    if declared:
                        half = 1 << (declared["width"] - 1)
                        total = fit(total, -half, half - 1, declared["overflow"])
            out.append(self.land(name, total, i))
        return out

    def blend(self, name, a, x, b, y):
        one, two = self.at[name]["lifts"]
        return [self.land(name, (a * p << one) + (b * q << two), i) for i, (p, q) in enumerate(zip(x, y))]

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
        if rule["loss"] == "cross-entropy":
            exact = [(p - goal) * mask for p, goal in zip(softmax(self.y, self.meta), target)]
            self.e = [fit(v, spot["lo"], spot["hi"], spot["overflow"]) for v in exact]
        else:
            self.e = [self.land("error", (y - goal) * mask, k) for k, (y, goal) in enumerate(zip(self.y, target))]
        if not mask:
            return
        factored = rule["storage"] == "factored"
        back = self.e if factored else self.sums("signal", [(w[rule["feedback"]], True, self.e)], self.n)
        parts = {"A": ("A", self.e, self.h), "B": ("N" if factored else "B", back, self.q)}
        parts["W"] = ("M" if factored else "W", back, self.p)
        for group in ("A", "W", "B"):
            if group in rule["learn"]:
                name, post, pre = parts[group]
                rate = self.meta["rates"][group]["mantissa"]
                g = [self.land(f"step_{group}", rate * v, i) for i, v in enumerate(post)]
                self.update(name, g, pre)

    def update(self, name, g, pre):
        """Subtract g preᵀ, in the order in which the weights are numbered: W and B by the unit that sends."""
        spot, visible = self.at[name], self.at[name]["hidden"]
        stored = self.w[f"hidden_{name}"] if visible else self.w[name]
        order = sorted(((i, j) for i in range(len(g)) for j in range(len(pre))), key=sender if name in "WB" else None)
        for element, (i, j) in enumerate(order):
            moved = stored[i][j] - self.round(name, g[i] * pre[j], element)
            stored[i][j] = fit(moved, spot["lo"], spot["hi"], spot["overflow"])
            if visible:
                code = (stored[i][j] + ((1 << visible["shift"]) >> 1)) >> visible["shift"]
                self.w[name][i][j] = fit(code, visible["lo"], visible["hi"], spot["overflow"])


def softmax(y, meta):
    f, fe = (int(form.rpartition(".")[2]) for form in (meta["landings"]["readout"]["format"], meta["formats"]["target"]))
    E = []
    for y_k in y:
        z, s = (max(y) - y_k) * LOG2_E, f + 6
        z = z >> s if s >= 0 else z << -s
        E.append(math.floor(2.0 ** (16 - (z & 255) / 256) + 0.5) >> min(z >> 8, 31))
    return [((2 * E_k << fe) + sum(E)) // (2 * sum(E)) for E_k in E]


def replay(path):
    """Return how many codes of a bundle were compared; a code that differs is an error."""
    meta, arrays = load(path)
    weights = {name.split("/")[1]: a for name, a in arrays.items() if name.startswith("weights/")}
    gold = {name.removeprefix("golden/"): a for name, a in arrays.items() if name.startswith("golden/")}
    compared = 0

    def same(what, got, want):
        nonlocal compared
        assert got == want, f"{what}: {got} found, {want} expected"
        compared += sum(map(len, got)) if isinstance(got[0], list) else len(got)

    for phase in ("inference", "learning") if meta["rule"] else ("inference",):
        device = Device(meta, weights)
        for t, x in enumerate(gold["x"]):
            if gold["first"][t]:
                device.restart()
            device.step(x)
            if meta["rule"]:
                device.learn(gold["target"][t], gold["mask"][t] if phase == "learning" else 0)
            device.t += 1
            for name in "hyepq" if phase == "learning" else "hy":
                same(f"{phase}, step {t}, {name}", getattr(device, name), gold[f"{phase}/{name}"][t])
            if phase == "learning" and t + 1 in meta["golden"]["checkpoints"]:
                k = meta["golden"]["checkpoints"].index(t + 1)
                for name in (n.split("/")[1] for n in gold if n.startswith("after/")):
                    same(f"{name} after step {t}", device.w[name], gold[f"after/{name}"][k])
    return compared


if __name__ == "__main__":
    print(f"{replay(sys.argv[1])} codes compared, all as expected")
