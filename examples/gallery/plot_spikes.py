"""
Deploy as sigma-delta spikes
============================

A trained network sends a number from every unit at every step. Chips want events. In sigma-delta mode a unit sends one
only when its state has moved by more than half a quantum q from what receivers know. How many events does that save,
what does it do to the output, and how is q chosen?

More: :doc:`/spiking`, :doc:`/spiking_modes`.
"""

import matplotlib.pyplot as plt
import numpy as np

import neurolrnn as nl
from neurolrnn.plots import BLUE, GREEN, GREY, ORANGE, STYLE

plt.rcParams.update(STYLE)

# %%
# Train
# -----
# RFLO in float32 on recordings of nine speakers. Nothing is trained or tuned for spikes.

experiment = nl.Experiment.builtin()
run, task = experiment.simulate(progress=False), experiment.build()[1]
net = run.network
print(f"trained in {run.timing['kernel']:.2f} s; test accuracy {run.metrics['test_accuracy']:.1%}")

# %%
# Choose q
# --------
# ``design_q`` calculates, from the training recordings, the q at which the output should be off by 5 % (RMS).
# ``budget`` sets expected beside measured figures, here on the test recordings.

q = nl.spiking.design_q(net, task.train, 0.05, horizon="sequences")
print(f"q = {q:.4f}")
print(nl.spiking.budget(net, task.test, q=q, horizon="sequences"))

# %%
# Run it in Brian2
# ----------------
# The first 40 test utterances in Brian2, and in the twin, compiled code that gives the same numbers. Brian2 runs them
# in its NumPy target, without a C++ compiler.

some = nl.tasks.from_arrays(
    [task.test.inputs[a:b] for a, b in zip(task.test.starts[:40], task.test.starts[1:41], strict=True)],
    [task.test.targets[a:b] for a, b in zip(task.test.starts[:40], task.test.starts[1:41], strict=True)],
).train
brian = nl.spiking.to_brian2(net, "sigma-delta", some, q=q).run()
twin = nl.spiking.twin(net, some, q=q)
graded = nl.spiking.twin(net, some, mode="graded")
events = twin.events
same = all(np.array_equal(x, y) for x, y in zip(brian.events, events, strict=True))
print(f"{len(events.step)} events in {twin.steps} steps: {twin.events_per_step:.3f} per unit and step")
print("Brian2 sent the same events:", same)
print(f"largest difference of an output: {np.abs(brian.y - twin.y).max():.1e}")

# %%
# Above, a state and what receivers know of it; below, all events. The states start from 0 with each utterance, whose
# beginnings are the dotted lines.

shown, unit = 90, int(np.argmax(graded.h[:90].std(axis=0)))
figure, (upper, lower) = plt.subplots(2, 1, figsize=(7.6, 5.0), sharex=True, layout="constrained")
upper.plot(graded.h[:shown, unit], color=GREY, linewidth=3, alpha=0.5, label="graded network")
upper.plot(twin.h[:shown, unit], color=BLUE, linewidth=1.2, label="state of the unit")
upper.step(range(shown), twin.hat[:shown, unit], where="post", color=ORANGE, linewidth=1.2, label="what receivers know")
upper.set(ylabel=f"state of unit {unit}")
upper.legend(loc="best", fontsize=8.5)
early = events.step < shown
for sign, colour, marker, label in ((1, BLUE, "^", "up"), (-1, ORANGE, "v", "down")):
    mine = early & (np.sign(events.value) == sign)
    size = 16 * np.sqrt(np.abs(events.value[mine]))  # an event carries an integer
    lower.scatter(events.step[mine], events.unit[mine], s=size, color=colour, marker=marker, linewidths=0, label=label)
lower.set(xlabel="time step", ylabel="unit", ylim=(-1, net.n_rec + 3), yticks=range(0, net.n_rec, 5))
lower.legend(loc="upper right", ncols=2, fontsize=8.5)
for axis in (upper, lower):
    for start in some.starts[some.starts < shown]:
        axis.axvline(start, color=GREY, linewidth=0.9, linestyle=":")
plt.show()

# %%
# Events against error
# --------------------
# The whole test set in the twin, over a range of q. Coarser quanta send fewer events and give a larger error; accuracy
# holds for long. Lines are calculated before anything is run.

quanta = np.geomspace(0.02, 1.0, 9)
rows = nl.spiking.sweep(net, task, [{"q": value} for value in quanta])
budgets = [nl.spiking.budget(net, task.test, q=value, horizon="sequences", measure=False) for value in quanta]
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(7.6, 3.1), layout="constrained")
left.loglog(quanta, [100 * b.relative_y for b in budgets], color=GREY, label="expected")
left.loglog(quanta, [100 * row["error"] for row in rows], "o", color=BLUE, markersize=4.5, label="measured")
left.set(xlabel="quantum q", ylabel="RMS error of the output (%)")
left.set_yticks([1, 2, 5, 10, 20, 50], labels=["1", "2", "5", "10", "20", "50"])
left.set_yticks([], minor=True)
middle.semilogx(quanta, [b.events for b in budgets], color=GREY, label="expected")
middle.semilogx(quanta, [row["events_per_unit"] for row in rows], "s", color=ORANGE, markersize=4.5, label="measured")
middle.set(xlabel="quantum q", ylabel="events per unit and step", ylim=(0, None))
right.plot(
    [row["events_per_unit"] for row in rows], [100 * row["accuracy"] for row in rows], "D-", color=GREEN, markersize=4.5
)
right.axhline(100 * run.metrics["test_accuracy"], color=GREY, linestyle="--", linewidth=1.2, label="graded network")
right.set(xlabel="events per unit and step", ylabel="test accuracy (%)")
for axis in (left, middle):
    axis.axvline(q, color=GREY, linewidth=1.0, linestyle=":", label="designed q")
for axis in (left, middle, right):
    axis.legend(fontsize=8.5)
plt.show()

# %%
# What this does not show
# -----------------------
# Inputs are multiplied at every step and are not counted as events. An event here carries an integer, as on Loihi 2;
# for chips with binary spikes take ``mode="lif-pair"``, which costs more. States are real numbers: with
# ``precision=nl.Precision.preset("int16")`` they are integers too. The expected error takes what is left of a state as
# white noise, which fails for large q, and errors only fade for ever if the spectral radius is below 1:
print(f"spectral radius of the transition: {net.spectral_radius():.4f}")
