"""Draw the pictures of docs/numerics.md: how a number lands, and each rounding with its error.

    python examples/draw_numerics.py                    # writes into docs/pictures
    python examples/draw_numerics.py --folder elsewhere

What is drawn is calculated by the kernels' own functions.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from neurolrnn.plots import BLUE, GREEN, GREY, ORANGE, STYLE
from neurolrnn_kernels import grid as at
from neurolrnn_kernels.formats import ROUNDINGS, QFormat
from neurolrnn_kernels.landing import round_row, store_row

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
PALE = {BLUE: "#DCEAF5", ORANGE: "#FBE3D3", GREEN: "#D9F0E8", GREY: "#F1F1F1"}
DROPPED = 3
"""Bits dropped in the pictures of roundings: eighths of a code, so that ties are seen."""
DRAWS = 4000
"""How often each number is rounded where rounding is random."""


def rounded(mode: str, numbers: np.ndarray, dropped: int, seed: int = 1) -> np.ndarray:
    """Return integers rounded by the kernel."""
    v = at.real_grid()[0]
    v[at.SHIFT], v[at.ROUNDING], v[at.STRIDE], v[at.RANDOM_BITS], v[at.KEY] = dropped, ROUNDINGS[mode], 1, 16, seed
    row = np.array(numbers, np.int64)
    round_row(v, row, 0, 0)
    return row


# --- one number lands


class Bits:
    """Rows of bits in two's complement, one below the other, with the binary points in one line.

    Parameters
    ----------
    axes : matplotlib axes
    top, bottom : int
        Powers of two of the first and the last column.
    """

    def __init__(self, axes: Any, top: int, bottom: int) -> None:
        self.axes, self.top, self.bottom = axes, top, bottom

    def column(self, power: int) -> int:
        """Return where the bit of this weight stands."""
        return self.top - power

    def row(
        self, y: float, code: int, frac: int, first: int, colour: dict[int, str], words: str, note: str, lifted: int = 0
    ) -> None:
        """Draw ``code`` · 2^-frac from the bit of weight 2^first on; the last ``lifted`` bits are zeros of a shift."""
        for power in range(first, -frac - 1, -1):
            bit = (code >> (power + frac)) & 1
            edge = colour.get(power, GREY)
            empty = power < -frac + lifted
            face = "white" if empty else PALE[edge]
            x = self.column(power)
            self.axes.add_patch(
                Rectangle((x, y), 1, 1, facecolor=face, edgecolor=edge, linewidth=1.0, linestyle=":" if empty else "-")
            )
            self.axes.text(x + 0.5, y + 0.47, str(bit), ha="center", va="center", family="monospace", fontsize=9.5,
                           color=GREY if empty else "black")  # fmt: skip
        self.axes.text(-0.5, y + 0.5, words, ha="right", va="center", fontsize=9.5)
        self.axes.text(
            self.column(self.bottom) + 1.5, y + 0.5, note, ha="left", va="center", fontsize=9.5, color="#333333"
        )


def landing_picture() -> Figure:
    """Draw one sum on its way into a variable."""
    recurrent, inputs = 209, 207  # sums of products, with 6 and with 8 fraction bits
    form, frac = QFormat.parse("s2.3"), 8
    total = (recurrent << 2) + inputs
    shift = frac - form.frac_bits
    unit = 1 << shift
    near = int(rounded("nearest", np.array([total]), shift)[0])
    ends = {}
    for overflow in (0, 1):
        v, out = at.real_grid()[0], np.zeros(1, np.int64)
        v[at.OVERFLOW] = overflow
        store_row(v, out, np.array([near]), form.lo, form.hi)
        ends[overflow] = int(out[0])
    top = 4
    figure = Figure(figsize=(9.6, 5.0), dpi=100)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(-8.4, 25.4), ylim=(-14.9, 2.2))
    axes.axis("off")
    bits = Bits(axes, top, -frac)
    point = bits.column(0) + 1
    for power in range(top, -frac - 1, -1):
        label = "sign" if power == top else f"$2^{{{power}}}$"
        axes.text(bits.column(power) + 0.5, 1.25, label, ha="center", va="bottom", fontsize=7.5, color=GREY)
    axes.plot([point, point], [-14.0, 1.15], color="black", linewidth=0.8, linestyle=(0, (2, 2)))
    axes.text(point, -14.1, "binary point", ha="center", va="top", fontsize=7.5)

    bits.row(0, recurrent, 6, top, {}, "Σ W·h   exact", f"code {recurrent}, f = 3 + 3 = 6")
    bits.row(-1.7, inputs, 8, top, {}, "Σ B·x   exact", f"code {inputs}, f = 3 + 5 = 8")
    bits.row(-4.1, recurrent << 2, 8, top, {}, "aligned: Σ W·h << 2", f"code {recurrent << 2}, f = 8", lifted=2)
    kept = dict.fromkeys(range(top, -form.frac_bits - 1, -1), BLUE)
    lost = dict.fromkeys(range(-form.frac_bits - 1, -frac - 1, -1), ORANGE)
    bits.row(-5.8, total, 8, top, {**kept, **lost}, "accumulator: their sum", f"code {total}: {total / 2**frac:.4f}")
    bits.row(-8.2, near, form.frac_bits, top, kept, f"rounded: {shift} bits dropped",
             f"⌊({total} + {unit // 2}) / {unit}⌋ = {near}: {near / 2**form.frac_bits:g}   (nearest)")  # fmt: skip
    width = dict.fromkeys(range(form.int_bits, -form.frac_bits - 1, -1), GREEN)
    for y, overflow, words in ((-10.6, 0, "saturate"), (-12.9, 1, "wrap")):
        code = ends[overflow]
        bits.row(y, code, form.frac_bits, form.int_bits, width, f"{words}: format {form}",
                 f"code {code}: {code / 2**form.frac_bits:g}   ({near} > {form.hi}: counted)")  # fmt: skip
    brace_left, brace_right = bits.column(-form.frac_bits - 1), bits.column(-frac) + 1
    axes.plot([brace_left + 0.1, brace_right - 0.1], [-6.15, -6.15], color=ORANGE, linewidth=1.5)
    axes.text((brace_left + brace_right) / 2, -6.3, "what rounding decides on", ha="center", va="top", fontsize=8,
              color=ORANGE)  # fmt: skip
    return figure


# --- the roundings


def staircase(axes: Any, mode: str) -> None:
    """Draw results over the numbers they come from; ties have a colour of their own."""
    unit = 1 << DROPPED
    numbers = np.arange(-2 * unit - 3, 2 * unit + 4)
    ties = numbers % unit == unit // 2
    axes.plot([-2.5, 2.5], [-2.5, 2.5], color="#BBBBBB", linewidth=1.0, zorder=1)
    if mode in ("stochastic", "lsb-stochastic"):
        draws = rounded(mode, np.repeat(numbers, DRAWS), DROPPED).reshape(len(numbers), DRAWS)
        for x, found, tie in zip(numbers / unit, draws, ties, strict=True):
            for result, count in zip(*np.unique(found, return_counts=True), strict=True):
                axes.scatter(x, result, s=16 * count / DRAWS, color=ORANGE if tie else BLUE, linewidths=0, zorder=3)
    else:
        results = rounded(mode, numbers, DROPPED)
        fine = np.linspace(-2.4, 2.4, 4801)  # never on a tie
        steps = rounded(mode, np.floor(fine * 4096).astype(int), 12)
        for result in np.unique(steps):
            on = fine[steps == result]
            axes.plot([on[0], on[-1]], [result, result], color=BLUE, linewidth=1.4, zorder=2)
        axes.scatter(numbers[~ties] / unit, results[~ties], s=9, color=BLUE, linewidths=0, zorder=3)
        axes.scatter(numbers[ties] / unit, results[ties], s=22, color=ORANGE, linewidths=0, zorder=4, label="ties")
    axes.set(xlim=(-2.5, 2.5), ylim=(-2.7, 2.7), xticks=range(-2, 3), yticks=range(-2, 3),
             xlabel="before, in codes", ylabel="code", aspect="equal")  # fmt: skip


def errors(axes: Any, mode: str) -> None:
    """Draw how often each error is made by numbers of all fractions, and say what remains on average."""
    unit = 1 << DROPPED
    # Even and odd, negative and positive numbers equally often; what lsb-stochastic can move is below one LSB.
    numbers = np.arange(-4 * unit, 4 * unit) if mode != "lsb-stochastic" else np.arange(-unit + 1, unit)
    many = np.repeat(numbers, DRAWS)
    error = (rounded(mode, many, DROPPED) * unit - many) / unit
    tie = many % unit == unit // 2
    places = np.unique(error)
    of_ties, of_others = (np.array([100 * np.mean((error == e) & w) for e in places]) for w in (tie, ~tie))
    axes.bar(places, of_others, width=0.8 / unit, color=BLUE, label="others")
    axes.bar(places, of_ties, width=0.8 / unit, bottom=of_others, color=ORANGE, label="ties")
    axes.set_ylim(0, 1.35 * max(of_ties + of_others))
    axes.axvline(0.0, color=GREY, linewidth=0.8)
    mean = float(error.mean())
    text = f"bias {mean:+.3f} LSB" if abs(mean) > 5e-3 else "bias 0"
    if mode == "lsb-stochastic":
        text += " below one LSB"
    if mode == "toward-zero":
        up, down = float(error[many < 0].mean()), float(error[many >= 0].mean())
        text = f"bias {down:+.2f} LSB above 0, {up:+.2f} below"
    if abs(mean) > 5e-3:
        axes.axvline(mean, color="black", linewidth=1.3, linestyle=(0, (3, 2)))
    axes.set_title(text, fontsize=9)
    axes.set(xlim=(-1.05, 1.05), xticks=(-1, -0.5, 0, 0.5, 1), xlabel="error, in LSB", ylabel="share, %")
    axes.legend(fontsize=7.5, handlelength=1.0, borderaxespad=0.1, ncols=2, loc="upper right")


def rounding_picture(mode: str) -> Figure:
    """Draw one rounding: what becomes of a number, and the error."""
    figure = Figure(figsize=(5.8, 2.75), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.15))
    staircase(left, mode)
    left.set_title(mode, fontsize=10.5, fontweight="bold")
    errors(right, mode)
    return figure


def main(argv: Sequence[str] | None = None) -> list[Path]:
    """Draw everything and return the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures are written")
    folder: Path = parser.parse_args(argv).folder
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context(STYLE):
        for name, figure in (
            ("landing", landing_picture()),
            *((f"rounding-{mode}", rounding_picture(mode)) for mode in ROUNDINGS),
        ):
            path = folder / f"{name}.png"
            figure.savefig(path, metadata={"Software": None})  # without versions, so that the bytes stay
            written.append(path)
    return written


if __name__ == "__main__":
    for file in main():
        print(file)
