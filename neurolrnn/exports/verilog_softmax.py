"""The softmax of the Verilog core: a table of powers of two, and a divider that finds a probability bit by bit."""

from __future__ import annotations

from neurolrnn.exports import verilog_text as text
from neurolrnn.exports.design import Design
from neurolrnn_kernels.fixed import LOG2_E

DIVIDE = """                if (slot == ERROR) begin
                    remainder <= fits ? rest - part : rest;
                    divisor <= part >> 1;
                    quotient <= (j == 0 ? 0 : quotient << 1) | fits;
                end
"""
"""What happens beside a product."""
LANDINGS = {
    "TOP": ["if (i == 0 || y_q > top) top <= y_q;"],
    "SHARE": ["share[i] <= exponential;", "total <= (i == 0 ? 0 : total) + exponential;"],
    "ERROR": ["e[i] <= has_target ? fit_error($signed({1'b0, quotient}) - target_q) : 0;"],
}
"""What lands in each part of it."""


class Softmax:
    """Its text for one design.

    Attributes
    ----------
    bits : int
        Bits of the difference of a probability and its target, without the sign.
    """

    def __init__(self, design: Design) -> None:
        self.error, self.readout = design.spots["error"], design.spots["readout"]
        self.frac = self.error.format.frac_bits
        self.bits = max(self.error.format.width, self.frac + 2) + 1
        self.sum_bits = 17 + design.sizes[2].bit_length()

    def memories(self) -> str:
        """Return its memories and registers."""
        y, wide = text.bits(self.readout.format) - 1, self.sum_bits + self.frac + 1
        return (
            f"    reg [16:0] exp2 [0:255];  // 2^(16 - k/256)\n"
            f"    reg [16:0] share [0:N_OUT - 1], share_q;\n"
            f"    reg signed [{y}:0] top;\n"
            f"    reg [{self.sum_bits - 1}:0] total;\n"
            f"    reg [{wide}:0] remainder, divisor;\n"
            f"    reg [{self.frac + 1}:0] quotient;"
        )

    def logic(self) -> str:
        """Return what is computed between the registers."""
        y, wide, s = text.bits(self.readout.format), self.sum_bits + self.frac + 1, self.readout.format.frac_bits + 6
        bits = y + 16 + max(-s, 0)
        scaled = f"below * {bits}'d{LOG2_E}"
        shifted = f"({scaled}) >> {s}" if s >= 0 else f"({scaled}) << {-s}"
        return f"""
    // Softmax: 2^16 e^(y - top) from a table, then a division that finds one bit of the probability at a time.
    wire signed [{y}:0] difference = top - y_q;
    wire [{bits - 1}:0] below = difference;
    wire [{bits - 1}:0] power = {shifted};
    wire [16:0] exponential = exp2[power[7:0]] >> (power[{bits - 1}:8] > 31 ? 5'd31 : power[12:8]);
    wire [{wide}:0] part = j == 0 ? total << {self.frac + 1} : divisor;
    wire [{wide}:0] rest = j == 0 ? (share_q << {self.frac + 1}) + total : remainder;
    wire fits = rest >= part;
"""

    def functions(self, acc: int) -> str:
        """Return the function that brings an error into its range."""
        spot = self.error
        lines = text.fitting(spot.lo, spot.hi, spot.overflow, acc)
        return text.function("fit_error", acc, text.bits(spot.format), lines, "")
