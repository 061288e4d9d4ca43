"""Write reckon.json: runs the module stoch_update of ReckOn's released RTL in Icarus Verilog, not this package.

Usage: python make_reckon.py path/to/ReckOn/src/srnn.v reckon.json
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = """
module bench;
  reg signed [31:0] prob; reg signed [7:0] w_in; reg [4:0] lr_r, lr_p; reg [31:0] rnd;
  wire signed [7:0] w_out; wire [7:0] mask;
  integer file, code;
  stoch_update #(.WIDTH_IN(32), .LR_IN(5)) dut(
    .prob(prob), .w_in(w_in), .en(1'b1), .lr_r(lr_r), .lr_p(lr_p), .rnd(rnd), .w_out(w_out), .mask(mask));
  initial begin
    file = $fopen("cases.txt", "r");
    while (!$feof(file)) begin
      code = $fscanf(file, "%d %d %d %d %d\\n", prob, w_in, lr_p, lr_r, rnd);
      #1 $display("%0d", w_out);
    end
  end
endmodule
"""


def main(rtl: str, path: str) -> None:
    """Write the file."""
    text = Path(rtl).read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^module stoch_update.*?^endmodule", text, re.S | re.M)
    assert found, "no module stoch_update in this file"
    rng = random.Random(2022)
    cases = []
    for _ in range(400):
        p, r = rng.randrange(8), rng.randrange(32)
        prob = rng.choice((-1, 1)) * rng.getrandbits(rng.randrange(1, 31))
        w = rng.choice((-128, 127, 0, rng.randrange(-128, 128)))
        # as often as not near the border of the comparison
        near = min((abs(prob) << p), 2**32 - 1) >> r
        rnd = max(1, min(2**32 - 1, near + rng.randrange(-2, 3))) if rng.random() < 0.6 else rng.randrange(1, 2**32)
        cases.append((prob, w, p, r, rnd))
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "bench.v").write_text(found[0] + "\n" + BENCH, encoding="utf-8")
        (at / "cases.txt").write_text("".join(" ".join(map(str, c)) + "\n" for c in cases), encoding="utf-8")
        subprocess.run(["iverilog", "-g2012", "-o", "bench", "bench.v"], cwd=at, check=True)
        told = subprocess.run(["vvp", "bench"], cwd=at, check=True, capture_output=True, text=True).stdout.split()
    assert len(told) == len(cases)
    data = {
        "source": "ReckOn, C. Frenkel and G. Indiveri, Solderpad Hardware License v2.1, "
        "https://github.com/ChFrenkel/ReckOn, src/srnn.v module stoch_update (WIDTH_IN = 32, LR_IN = 5)",
        "version": "git 5e5c0be, in Icarus Verilog",
        "fields": ["prob", "w_in", "lr_p", "lr_r", "rnd", "w_out"],
        "cases": [[*case, int(w)] for case, w in zip(cases, told, strict=True)],
    }
    Path(path).write_text(json.dumps(data, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
