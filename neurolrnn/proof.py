"""Before a fixed-point run: every sum is proved to fit the integers it is calculated in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError
from neurolrnn.fixed_grid import ROWS, FixedGrid
from neurolrnn.rules import EProp, TruncatedBPTT
from neurolrnn_kernels import grid as at

NARROW, WIDE = 31, 63
BLOCKS = (8, 16, 32, at.MOST_TERMS)
"""Terms of partial sums that are tried where the codes are known."""


@dataclass(frozen=True)
class Bound:
    """Largest magnitude that a calculation can reach before it is stored."""

    landing: str
    """Variable the result lands in."""
    product: str
    """What is calculated, in words."""
    largest: int
    shift: int
    """Bits dropped at the landing."""

    @property
    def bits(self) -> int:
        """Bits of the largest magnitude, without the sign."""
        return self.largest.bit_length()


WEIGHTS = ("A", "W", "B", "feedback", "factor_W", "factor_B")
"""Variables that are held in a type of their own, as narrow as all of them allow."""


Whole = np.dtype[np.int8 | np.int16 | np.int32 | np.int64]
"""What codes are held in."""


class Widths(NamedTuple):
    """Types of a run: of stored codes, of weights, of long sums, and of everything else before it lands."""

    storage: Whole
    weights: Whole
    accumulator: Whole
    work: Whole


def prove(numbers: FixedGrid) -> Widths:
    """Return the dtypes that hold every intermediate of the run, and mark in the grid which sums may be blocked.

    Raises
    ------
    InputError
        If one does not fit 63 bits; the text names the product.
    """
    numbers.encoded.clear()
    used = used_variables(numbers)
    widest = max((numbers.landings[v].format.width + (not numbers.landings[v].format.signed), v) for v in used)
    if numbers.parts:  # the negative of the lowest code is stored, too
        widest = max(widest, *((numbers.landings[v].format.width + 1, v) for v in (numbers.sent, "input")))
    hidden = [h.width for g in "AWB" if (h := numbers.precision.hidden_format(g)) is not None]
    if widest[0] > 32:
        name = widest[1]
        raise InputError(
            f"precision.{name} = {numbers.landings[name].format}: a stored variable without a sign, or one that is "
            f"filtered in two traces, may have 31 bits at most; take one bit less"
        )
    storage = np.dtype(np.int16 if max([widest[0], *hidden]) <= 16 else np.int32)
    formats = [numbers.landings[v].format for v in used if v in WEIGHTS]
    short = max(f.width + (not f.signed) for f in formats) <= 8
    weights = np.dtype(np.int8) if short and storage.itemsize == 2 else storage
    found = bounds(numbers)
    for bound in found:
        if bound.bits > WIDE or abs(bound.shift) >= WIDE:
            raise InputError(
                f"precision: {bound.product} lands in {bound.landing} and needs {bound.bits + 1} bits with its "
                f"{bound.shift} dropped ones; the kernel has 64. Give one of its factors fewer bits"
            )
    sums, small = numbers.sums(), storage.itemsize == 2

    def fits(chosen: list[Bound]) -> Whole:
        narrow = small and all(b.bits <= NARROW and abs(b.shift) < NARROW for b in chosen)
        return np.dtype(np.int32 if narrow else np.int64)

    accumulator = fits([b for b in found if b.landing in sums])
    work = fits([b for b in found if b.landing not in sums])
    if small and accumulator.itemsize == 8:
        _allow_blocks(numbers)
    numbers.encoded.clear()
    return Widths(cast("Whole", storage), cast("Whole", weights), accumulator, work)


def _allow_blocks(numbers: FixedGrid) -> None:
    """Say in the grid how many terms of each sum always fit 32 bits."""
    for name, pairs in numbers.sums().items():
        row = numbers.grid[ROWS[name]]
        for k, (a, b) in enumerate(pairs):
            largest = numbers.landings[b].format.largest << int(row[at.LIFT_0 + k])
            terms = min(((1 << NARROW) - 1) // max(_largest_entry(numbers, a) * largest, 1), at.MOST_TERMS) // 4 * 4
            values = _rows(numbers, a, name)
            if values is not None:  # what does not learn, by its actual sums
                codes = np.abs(_codes(numbers, a, values))
                terms = max([terms, *(t for t in BLOCKS if _largest_block(codes, t) * largest >> NARROW == 0)])
            row[at.BLOCK_0 + k] = terms if terms >= at.FEWEST_TERMS else 0


def _largest_block(codes: NDArray[np.int64], terms: int) -> int:
    """Return the largest sum of ``terms`` consecutive codes that begin at a multiple of it."""
    whole = np.pad(codes, ((0, 0), (0, -codes.shape[1] % terms)))
    return int(whole.reshape(len(whole), -1, terms).sum(axis=2).max(initial=0))


def used_variables(numbers: FixedGrid) -> list[str]:
    """Return the variables that this rule and storage store."""
    setting = numbers.setting
    out = ["current", "state", "readout", "error", "input", "A", "W", "B", "feedback", "step_A", "step_W", "step_B"]
    if numbers.sends:
        out.append("message")
    if setting.factored:
        out += ["coupling", "factor_W", "factor_B", "trace", "input_trace"]
    else:
        out.append("signal")
        if isinstance(setting.rule, EProp):
            out += ["trace_decay", "eligibility", "input_eligibility"]
        else:
            out += ["trace", "input_trace"]
    if isinstance(setting.rule, TruncatedBPTT) and setting.rule.steps > 1:
        out.append("back_current")
    return out


def bounds(numbers: FixedGrid) -> list[Bound]:
    """Return the bound of every calculation of a run."""
    setting, grid, used = numbers.setting, numbers.grid, used_variables(numbers)
    out: list[Bound] = []

    def largest(variable: str) -> int:
        return numbers.landings[variable].format.largest

    def add(landing: str, product: str, size: int, stored: int = 0) -> None:
        row = grid[ROWS[landing]]
        shift = int(row[at.SHIFT])
        before = size + (1 << shift) - 1 if shift > 0 else size << -shift
        rounded = (before >> shift) + 1 if shift > 0 else before
        # an update leaves the stored weight; the store compares with the range and, where it wraps, subtracts its end
        after = rounded + stored + int(max(-row[at.LO], row[at.HI]))
        out.append(Bound(landing, product, max(before, after), shift))

    declared = numbers.precision.accumulator_range()
    for name, pairs in numbers.sums().items():
        if name not in used:
            continue
        lifts = [int(grid[ROWS[name], at.LIFT_0 + k]) for k in range(len(pairs))]
        terms = [
            (_row_sum(numbers, a, name), largest(a), largest(b), lift)
            for (a, b), lift in zip(pairs, lifts, strict=True)
        ]
        words = " + ".join(f"{a}·{b}" for a, b in pairs)
        if declared is None:
            add(name, words, sum((rows * x) << lift for rows, _, x, lift in terms))
        else:
            one = max((w * x) << lift for _, w, x, lift in terms)
            add(name, words, (1 << declared[0]) + one)
    c = numbers.constants
    blends = [("state", "keep", "state", "gain", "current")]
    if "trace" in used:
        if isinstance(setting.rule, TruncatedBPTT):
            add("trace", f"gain·{numbers.sent}", c["gain"] * largest(numbers.sent))
            add("input_trace", "gain·input", c["gain"] * largest("input"))
        else:
            blends += [
                ("trace", "decay", "trace", "gain", numbers.sent),
                ("input_trace", "decay", "input_trace", "gain", "input"),
            ]
    if "back_current" in used:
        blends.append(("back_signal", "keep", "signal", "gain", "back_current"))
    for name, k1, x, k2, y in blends:
        row = grid[ROWS[name]]
        size = (abs(c[k1]) << int(row[at.LIFT_0])) * largest(x) + (c[k2] << int(row[at.LIFT_1])) * largest(y)
        add(name, f"{k1}·{x} + {k2}·{y}", size)
    if "trace_decay" in used:
        row = grid[at.TRACE_DECAY]
        add("trace_decay", "keep + gain·W", (c["keep"] << int(row[at.LIFT_0])) + c["gain"] * largest("W"))
        for name, y in (("eligibility", numbers.sent), ("input_eligibility", "input")):
            row = grid[ROWS[name]]
            size = ((largest("trace_decay") * largest(name)) << int(row[at.LIFT_0])) + (
                c["gain"] << int(row[at.LIFT_1])
            ) * largest(y)
            add(name, f"trace_decay·{name} + gain·{y}", size)
    if numbers.sends:
        add("message", "state", largest("state"))
    if setting.loss == "squared-error":
        add("error", "readout - target", 2 * largest("readout"))
    elif not 0 <= numbers.frac("error") <= 28:
        raise InputError(
            f"precision.error = {numbers.landings['error'].format}: softmax errors need 0 to 28 fraction bits"
        )
    for group in setting.training.learn:
        source, pre = numbers.scaled(group), numbers.presynaptic(group)
        rate = numbers.rates[group].mantissa
        terms_of = setting.lanes if group == "A" else setting.terms
        hidden = numbers.precision.hidden_format(group)
        stored = max(largest(numbers.plastic(group)), -hidden.lo if hidden else 0)
        if not setting.training.sums:
            add(f"step_{group}", f"rate_{group}·{source}", rate * largest(source))
            add(group, f"step_{group}·{pre}", terms_of * largest(f"step_{group}") * largest(pre), stored)
        else:
            steps = setting.longest if setting.training.update == "episode" else setting.training.update_every
            size = steps * terms_of * largest(source) * largest(pre)
            size *= max(rate, 1)  # the sum itself must fit too
            if size.bit_length() + 1 > WIDE:
                add(group, f"rate_{group}·Σ {source}·{pre} over {steps} steps", size, stored)
    return out


def _fixed_values(numbers: FixedGrid, matrix: str) -> NDArray[np.float64] | None:
    """Return a matrix of the network that does not learn in this run, or None."""
    setting = numbers.setting
    net = setting.network
    if matrix in setting.training.learn and not (setting.factored and matrix in "WB"):
        return None
    if matrix == "W" and net.sparse is not None and not len(net.sparse.left):
        return net.sparse.values[np.newaxis]
    parts = net.blocks
    if matrix == "W" and parts is not None and not len(parts.left):
        return np.stack([parts.before, parts.own, parts.after], axis=1)  # all that a unit hears, (n, 3)
    if matrix == "feedback":
        return setting.feedback
    return np.asarray(getattr(net, matrix)) if matrix in "AWB" else None


def _codes(numbers: FixedGrid, matrix: str, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the codes of a matrix that does not learn, or of its transpose; a large one is encoded once."""
    whole = _fixed_values(numbers, matrix)
    assert whole is not None
    if matrix not in numbers.encoded:
        numbers.encoded[matrix] = numbers.landings[matrix].format.encode(whole)
    codes = numbers.encoded[matrix]
    return codes if values.strides == whole.strides and values.shape == whole.shape else codes.T


def _largest_entry(numbers: FixedGrid, matrix: str) -> int:
    form, values = numbers.landings[matrix].format, _fixed_values(numbers, matrix)
    return form.largest if values is None else int(np.abs(_codes(numbers, matrix, values)).max(initial=0))


def _rows(numbers: FixedGrid, matrix: str, landing: str) -> NDArray[np.float64] | None:
    """Return what each result of a landing is summed with, (results, terms), if it does not learn and is not sparse."""
    values, sparse = _fixed_values(numbers, matrix), numbers.setting.network.sparse
    if values is None or (matrix == "W" and sparse is not None and not len(sparse.left)):
        return None
    transposed = {("feedback", "current"), ("feedback", "signal"), ("A", "signal"), ("W", "back_current")}
    return values.T if (matrix, landing) in transposed else values


def _row_sum(numbers: FixedGrid, matrix: str, landing: str) -> int:
    """Return the largest Σ|code| over the terms of one result: of the actual rows where the matrix does not learn."""
    net, form, values = numbers.setting.network, numbers.landings[matrix].format, _rows(numbers, matrix, landing)
    sparse = net.sparse
    if matrix == "W" and sparse is not None and not len(sparse.left):
        fixed = _fixed_values(numbers, matrix) is not None
        units = sparse.sources if landing == "back_current" else sparse.receivers
        one = np.abs(form.encode(sparse.values)) if fixed else np.full(sparse.synapses, form.largest)
        return int(np.bincount(units, one, net.n_rec).max())
    if values is not None:
        return int(np.abs(_codes(numbers, matrix, values)).sum(axis=1).max())
    counts = {"B": net.n_in, "factor_B": net.n_in, "feedback": net.n_out}
    count = net.n_out if landing == "signal" else counts.get(matrix, net.n_rec)
    return count * form.largest
