"""
How many bits does learning need?
=================================

A network of 16 units tells nine speakers apart by how they say two vowels. It learns with RFLO, in integers, exactly as
a chip with these formats would. Three questions: how few bits may the weights have, what goes wrong below that, and
what does theory say beforehand?

More on each step: :doc:`/profile`, :doc:`/profile_answers`, :doc:`/rounding`; the arithmetic: :doc:`/numerics`.
"""

import matplotlib.pyplot as plt
import numpy as np

import neurolrnn as nl
from neurolrnn.plots import BLUE, GREY, ORANGE, STYLE
from neurolrnn.profiles import floor_of

plt.rcParams.update(STYLE)
COLOURS = {"nearest": ORANGE, "stochastic": BLUE}
MARKERS = {"nearest": "s", "stochastic": "o"}

# %%
# A profile
# ---------
# Weights W and B of 16 down to 5 bits (s1.3 is a sign, one integer bit and three fraction bits), updates rounded to
# nearest or stochastically, three seeds each. All other variables, the read-out A too, keep the 16 bits of the preset
# ``int16``. A run takes a fraction of a second; ``store="bits.sqlite"`` would keep them all.

settings = ["rule.storage=dense", "training.epochs=4", "training.records=10", "precision.preset=int16"]
experiment = nl.Experiment.builtin(settings)
axes = {
    "precision.weight": ["s1.14", "s1.11", "s1.9", "s1.6", "s1.4", "s1.3"],
    "precision.update_rounding": ["nearest", "stochastic"],
}
profile = nl.profile(experiment, axes, seeds=3, threads=2, progress=False)
answers = profile.answers(progress=False)  # runs the same seeds in float32 beside them
print(answers.table())

# %%
# "Dead" are updates that were not zero and rounded to zero. With 8 bits hardly an update of W is as large as half a
# step of the grid. Rounded to nearest all are lost: W never moves, and what is learned is a read-out of a fixed
# network. Rounded stochastically as many are lost, but the few that survive make up for them on average.

figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
for rounding, colour in COLOURS.items():
    mine = [f for f in answers.fixed if f.case.precision.update_rounding == rounding]
    bits = np.array([f.case.bits("weight") for f in mine])
    accuracy = 100 * np.array([f.values for f in mine])
    style = {"color": colour, "marker": MARKERS[rounding], "markersize": 4.5}
    left.plot(bits, accuracy.mean(axis=1), label=f"updates {rounding}", **style)
    left.fill_between(bits, accuracy.min(axis=1), accuracy.max(axis=1), color=colour, alpha=0.15, linewidth=0)
    right.plot(bits, [100 * (1.0 - f.rates.dead["W"]) for f in mine], **style)
real = 100 * np.mean([f.mean for f in answers.findings if not f.case.precision.is_fixed])
left.axhline(real, color=GREY, linestyle="--", linewidth=1.2, label="float32")
left.set(xlabel="bits of the weights", ylabel="test accuracy (%)", title="Bands: worst to best of three seeds")
right.set_yscale("symlog", linthresh=0.01)  # 0 is on it
right.set(xlabel="bits of the weights", ylabel="share (%)", title="Updates of W that are not dead")
left.legend(loc="lower right")
plt.show()

# %%
# Which formats, then?
# --------------------
# Among the settings tried, the fewest bits that are within a tolerance of float32, here five points of accuracy with
# 95 % confidence, judged on seeds that had no part in the choice. Three seeds cannot tell much less than five points:
# take ten for a result. ``nl.suggest_formats(experiment)`` searches formats of all variables on its own, in minutes.

suggestion = profile.suggest(0.05, threads=2, progress=False)
print(suggestion.summary())

# %%
# What theory says beforehand
# ---------------------------
# For a network made of modes the loss that the grid leaves can be calculated: a bound for nearest, a mean for
# stochastic. One unit learns from a teacher of one mode, in batches large enough that updates are nearly the average
# ones. Lines are calculated (dotted where the formula says itself that it is not valid), markers are runs.

one_unit = nl.Experiment.from_dict({
    "task": {"name": "teacher-student", "a_star": [1.03], "b_star": [1.0], "w_star": [0.517], "sequences": 200},
    "network": {"n_rec": 1, "spectral_radius": 0.3, "output_scale": 1.0},
    "rule": {"name": "rflo", "storage": "dense", "feedback": "symmetric", "decay": 0.5},
    "training": {"learning_rate": 0.0005, "update": "episode", "batch": 8, "epochs": 80, "records": 20},
    "precision": {"weight": "s2.10", "feedback": "s2.14", "state": "s4.19", "error": "s4.19"},
})  # fmt: skip
fractions = [5, 6, 8, 10, 12, 13]
axes = {"precision.weight": [f"s2.{f}" for f in fractions], "precision.update_rounding": ["nearest", "stochastic"]}
floors = nl.profile(one_unit, axes, seeds=3, threads=2, progress=False)

figure, axis = plt.subplots(figsize=(7.6, 3.8), layout="constrained")
for rounding, colour in COLOURS.items():
    rows = [row for row in floors.rows if row.experiment["precision"]["update_rounding"] == rounding]
    bits = [int(row.experiment["precision"]["weight"].split(".")[1]) + 3 for row in rows]
    axis.plot(bits, [row.metrics["test_loss"] for row in rows], MARKERS[rounding], color=colour, markersize=4,
              markerfacecolor="white", label=f"{rounding}, runs")  # fmt: skip
    found = {b: floor_of(row) for b, row in zip(bits, rows, strict=True)}
    bits = sorted(found)
    loss, valid = (np.array([getattr(found[b], what) for b in bits]) for what in ("loss", "valid"))
    axis.plot(bits, loss, ":", color=colour, linewidth=1.2)
    kind = "bound" if rounding == "nearest" else "mean"
    axis.plot(bits, np.where(valid, loss, np.nan), color=colour, label=f"{rounding}, theory ({kind})")
    print(f"{rounding}, where not valid:", *(f"\n  {b} bits: {found[b].reason}" for b in bits if not found[b].valid))
axis.set(yscale="log", xlabel="bits of the weights", ylabel="loss per step, left after learning")
axis.legend(ncols=2)
plt.show()

# %%
# What this does not show
# -----------------------
# One network size, one rule, few seeds and short training; the study of four rules and two tasks is in
# :doc:`/quantisation_study`. Learning rates were those of float32: a larger one brings some updates back to life.
