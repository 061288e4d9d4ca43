"""
Export to C, compile, run
=========================

A network learns in fixed point. Then it is written as portable C that runs it and goes on learning, compiled with this
machine's compiler, and fed with recordings it has never seen. Every number of the program must be the number that was
simulated, bit for bit.

Without a C compiler the page still trains and exports, says so, and leaves out what the program would have said.
More: :doc:`/deploy_c`, :doc:`/bundle`, :doc:`/numerics`.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import neurolrnn as nl
from neurolrnn.plots import BLUE, GREY, ORANGE, STYLE
from neurolrnn.tables import text_table

plt.rcParams.update(STYLE)
compiler = next((name for name in ("gcc", "cc", "clang") if shutil.which(name)), None)
print("compiler:", compiler or "none was found, so nothing is compiled below")

# %%
# Train with 8-bit weights
# ------------------------
# RFLO on recordings of nine speakers, 16 units, weights of 8 bits and activity of 16 (``int8``). A proof before the run
# says how wide every sum gets; the C code has sums of that width.

settings = ["precision.preset=int8", "rule.storage=dense", "training.epochs=10"]
experiment = nl.Experiment.builtin(settings)
run, task = experiment.simulate(progress=False), experiment.build()[1]
test = task.test
print(f"test accuracy in simulation: {run.metrics['test_accuracy']:.2%}")

# %%
# Export
# ------
# The report says what C cannot hold. The folder has a golden test of its own, here over the first 20 test utterances:
# the program runs them, then learns from them, and compares every state, output, error and weight.


def utterances(values, count):
    """Return the first sequences of an array that has all of them end to end."""
    return [values[a:b] for a, b in zip(test.starts[:count], test.starts[1 : count + 1], strict=True)]


folder = Path(tempfile.mkdtemp()) / "speaker"
inputs, targets = utterances(test.inputs, 20), utterances(test.targets, 20)
report = nl.export(run, folder, "c", name="speaker", inputs=inputs, targets=targets, compiler=compiler)
print(text_table([[name, str(size)] for name, size in report.files.items()], ["file", "bytes"], "lr"))
print("left out:", *(report.losses or ["nothing"]), sep="\n  ")


def build(program, *sources):
    """Compile sources in the folder with all warnings as errors."""
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([compiler, *flags, *sources, "-o", program], cwd=folder, check=True)
    return folder / program


if compiler:
    golden = build("golden", "speaker.c", "test_speaker.c")
    print("golden test:", subprocess.run([golden], capture_output=True, text=True, check=True).stdout)

# %%
# A program of one's own
# ----------------------
# Integers come in on standard input, a step a line, and outputs leave on standard output; on a device they would come
# from a sensor. All 370 test utterances go through it. The simulation is the one of the trained network in the same
# integers; codes are compared as they are.

MAIN = """
#include <stdio.h>
#include "speaker.h"

static speaker_device device;

int main(void)
{
    int begins, value, i;
    speaker_input x[SPEAKER_N_IN];
    speaker_start(&device);
    while (scanf("%d", &begins) == 1) {
        const speaker_output *y;
        for (i = 0; i < SPEAKER_N_IN && scanf("%d", &value) == 1; i++)
            x[i] = (speaker_input)value;
        if (begins)
            speaker_restart(&device);
        y = speaker_step(&device, x);
        for (i = 0; i < SPEAKER_N_OUT; i++)
            printf("%ld ", (long)y[i]);
        printf("\\n");
    }
    return 0;
}
"""
header = (folder / "speaker.h").read_text(encoding="utf-8")
fraction = {name: int(bits) for name, bits in re.findall(r"SPEAKER_(\w+)_FRAC \((-?\d+)\)", header)}
codes = np.rint(np.ldexp(test.inputs, fraction["INPUT"])).astype(int)
begins = np.isin(np.arange(test.steps), test.starts[:-1]).astype(int)
simulated = nl.spiking.twin(run.network, test, mode="graded", precision=experiment.precision).codes["y"]
computed = None
if compiler:
    (folder / "main.c").write_text(MAIN, encoding="utf-8")
    program = build("speaker", "speaker.c", "main.c")
    lines = "\n".join(" ".join(map(str, row)) for row in np.column_stack([begins, codes]))
    said = subprocess.run([program], input=lines, capture_output=True, text=True, check=True).stdout
    computed = np.array(said.split(), dtype=int).reshape(test.steps, -1)
    print(f"{computed.size} output codes, {np.count_nonzero(computed != simulated)} differ from the simulation")
    scores = [y.sum(axis=0) for y in utterances(computed, len(test))]
    print(f"test accuracy of the program: {np.mean(np.argmax(scores, axis=1) == test.labels):.2%}")
    print(f"size of the program: {program.stat().st_size} bytes for this computer")
print("size of the device's own part:", *(report.notes or ["not measured: no gcc"]))

# %%
# Left: what the program says to one utterance; its speaker's output wins. Right: how the exported part grows with the
# network, compiled for this machine (:doc:`/deploy_c` has two microcontrollers).

figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.5), layout="constrained")
one, speaker = slice(test.starts[0], test.starts[1]), int(test.labels[0])
for k in range(task.n_out):
    style = {"color": BLUE, "label": "its speaker"} if k == speaker else {"color": GREY, "linewidth": 0.8}
    left.plot(np.ldexp(simulated[one, k].astype(float), -fraction["OUTPUT"]), **style)
    if computed is not None:
        dots = {"color": style["color"], "markersize": 3.5, "markerfacecolor": "white"}
        label = "C program" if k == speaker else None
        left.plot(np.ldexp(computed[one, k].astype(float), -fraction["OUTPUT"]), "o", label=label, **dots)
left.set(xlabel="time step", ylabel="output", title="Lines: simulation")
left.xaxis.get_major_locator().set_params(integer=True)
left.legend(fontsize=8.5)
sizes, found = (8, 16, 32, 64), []
for n in sizes if compiler else ():
    net = nl.Network.random(task.n_in, n, task.n_out, leak=0.1)
    options = {"precision": "int8", "rule": nl.RFLO(storage="dense"), "learning_rate": 0.01, "loss": "cross-entropy"}
    notes = " ".join(nl.export(net, None, "c", dry_run=True, compiler=compiler, **options).notes)
    numbers = re.search(r"(\d+) bytes .text.*?(\d+) bytes RAM", notes)
    found.append([int(number) for number in numbers.groups()] if numbers else [np.nan, np.nan])
if found:
    for name, values, colour, shift in (
        ("code and tables", 0, BLUE, -0.2),
        ("RAM of a device that learns", 1, ORANGE, 0.2),
    ):
        right.bar(np.arange(len(sizes)) + shift, [row[values] / 1024 for row in found], 0.38, color=colour, label=name)
    right.legend(fontsize=8.5)
else:
    right.text(0.5, 0.5, "no compiler here", ha="center", transform=right.transAxes, color=GREY)
right.set_xticks(range(len(sizes)), labels=[str(n) for n in sizes])
right.set(xlabel="recurrent units", ylabel="KiB", title="Memory, int8, dense RFLO")
plt.show()
shutil.rmtree(folder.parent)

# %%
# What this does not show
# -----------------------
# The program ran on this computer, not on a microcontroller. Counts of overflows and dead updates are not exported.
# Inputs must already be codes of the range that the header names: the device does not check them.
