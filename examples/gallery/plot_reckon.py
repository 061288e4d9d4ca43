"""
A chip the size of ReckOn
=========================

ReckOn is a digital chip with up to 256 recurrent units and weights of 8 bits that learns on-chip (Frenkel & Indiveri,
ISSCC 2022). Would our network of 16 units that tells nine speakers apart fit? What stands in the way, what has to
change, and what does it cost in accuracy?

The model knows what is published about the chip and nothing else; nothing here was run on one. More:
:doc:`/fit_my_chip`, :doc:`/chip_limits`, :doc:`/locality`, :doc:`/chips`.
"""

import matplotlib.pyplot as plt
import numpy as np

import neurolrnn as nl
from neurolrnn.plots import BLUE, GREY, ORANGE, STYLE
from neurolrnn.tables import text_table

plt.rcParams.update(STYLE)

# %%
# Ask
# ---
# The experiment as one would write it for a computer, before anything is run. Every finding also has the source of its
# figure and a way out; ``print(report)`` shows all of it.

experiment = nl.Experiment.builtin()
report = nl.check(experiment, "reckon")
print("fits:", report.fits, "\n")
rows = [[finding.limit, finding.asked.split(" that")[0], finding.allowed] for finding in report.findings]
print(text_table(rows, ["limit", "asked", "allowed"]))

# %%
# Change what can be changed
# --------------------------
# Two findings no change of an experiment can meet: units of our network send numbers where ReckOn sends spikes
# (``payload.bits``), and their traces have a sign, which those of ReckOn have not (``trace.signed``). To go on, both
# limits must be lifted by name; all that follows holds for a ReckOn with these two additions, not for ReckOn itself.

ASSUME = ("payload.bits", "trace.signed")
suggestion = nl.check(experiment, "reckon", assume=ASSUME).suggest()
print(suggestion)

# %%
# What it takes
# -------------
# The smaller network fits with room to spare. ReckOn sends errors to its units through the weights of the read-out, so
# feedback is symmetric. A synapse of W or B then reads more than its own neurons know; the chip has a circuit for it,
# but the report says plainly that the rule is not local.

fitting = suggestion.report
for synapse in fitting.locality.synapses:
    reads = ", ".join(f"{read.what} ({read.kind})" for read in synapse.reads)
    print(f"{synapse.group}: {synapse.update}; reads {reads}")

figure, axis = plt.subplots(figsize=(7.6, 2.9), layout="constrained")
used = fitting.resources[::-1]
shares = [100 * resource.used / resource.available for resource in used]
bars = axis.barh([resource.where for resource in used], shares, color=BLUE)
labels = [f"{resource.used:,} of {resource.available:,} {resource.unit}" for resource in used]
axis.bar_label(bars, labels, padding=4, fontsize=8.5)
axis.set(xlabel="share used (%)", xlim=(0, 100))
axis.grid(axis="y", visible=False)
plt.show()

# %%
# Run it under the chip's limits
# ------------------------------
# ``chip="reckon"`` takes formats, rounding and overflow from the chip's sheet: weights of 8 bits that change by one
# step at random or not at all, states of 16 bits, decays rounded down, learning rates that are powers of two. Beside it
# the same rule in float32, from the same networks, for two sets of learning rates.

RATES = {"A 1/32, W and B 1/512": (2.0**-5, 2.0**-9), "A 1/64, W and B 1/1024": (2.0**-6, 2.0**-10)}
found = {}
for name, (fast, slow) in RATES.items():
    training = nl.Training(learning_rate={"A": fast, "W": slow, "B": slow}, epochs=30, records=60)
    for seed in range(3):
        changed = nl.Experiment.from_dict({**suggestion.experiment.to_dict(), "seed": seed})
        net, task, rule, *_ = changed.build()
        options = {"training": training, "seed": seed, "progress": False}
        found[name, "float32", seed] = nl.simulate(net, task, rule, nl.Precision.float32(), **options)
        found[name, "reckon", seed] = nl.simulate(net, task, rule, chip="reckon", assume=ASSUME, **options)
formats = found[name, "reckon", 0].experiment["precision"]
keys = ("A", "W", "B", "state", "trace", "rounding", "update_rounding")
print("from the sheet:", {key: formats[key] for key in keys})
print(*found[name, "reckon", 0].warnings, sep="\n")
rows = []
for (name, where, seed), run in found.items():
    counts = [(key, run.saturation[key]["overflows"]) for key in ("state", "W", "B") if key in (run.saturation or {})]
    seen = ", ".join(f"{key} {count:,}" for key, count in counts if count)
    rows.append([name, where, str(seed), f"{run.metrics['test_accuracy']:.1%}", seen])
print(text_table(rows, ["rates", "numbers", "seed", "test accuracy", "overflows"], "lllrl"))

# %%
# With the larger rates the chip keeps up with float32 for a while, and then networks run away: the spectral radius of
# the transition climbs, activity leaves its 16 bits, and what was learned is lost. Half the rates are safe for these
# thirty passes, which is no promise for more. A short test would not have shown it: run as long as the device will.

# sphinx_gallery_thumbnail_number = 2
figure, axes = plt.subplots(2, 2, figsize=(7.6, 5.0), sharex=True, sharey="row", layout="constrained")
for column, name in zip(axes.T, RATES, strict=True):
    for where, colour, style in (("float32", GREY, "--"), ("reckon", ORANGE, "-")):
        for seed in range(3):
            records = found[name, where, seed].records
            label = f"{where}, three networks" if seed == 0 else None
            passes = np.asarray(records["step"]) / task.train.steps
            column[0].plot(passes, records["loss"], style, color=colour, linewidth=1.2, label=label)
            column[1].plot(passes, records["spectral_radius"], style, color=colour, linewidth=1.2)
    column[0].set(title=name, yscale="log")
    column[1].set_xlabel("passes over the recordings")
axes[0, 0].set_ylabel("loss (nats per step)")
axes[1, 0].set_ylabel("spectral radius")
axes[0, 0].legend(fontsize=8.5)
plt.show()

# %%
# What this does not show
# -----------------------
# Spikes, the chip's pseudo-derivative and its shared decays are not in the model, and nothing was measured on a chip.
# :doc:`/fit_my_chip` lists what the models of all chips leave out, :doc:`/chip_learning` compares rules in 8 bits.
