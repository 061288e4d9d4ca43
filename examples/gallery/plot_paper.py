"""
The paper's claims, beside runs
===============================

Williams, Payeur & Lajoie (ICML 2026, arXiv 2606.00243) ask what a recurrent network learns if its rule only
approximates the gradient, as rules that fit on a chip do. Their networks are linear, so the answers are formulas. Here
are four of them, each beside networks that really learn: how modes move, where learning stands still, when the
solution is stable and how fast it is reached, and what rank the learned change has.

Formulas, and what became of each claim: :doc:`/theory`, :doc:`/rank`, :doc:`/reproduce`.
"""

import matplotlib.pyplot as plt
import numpy as np

import neurolrnn as nl
from neurolrnn.plots import BLUE, GREEN, GREY, ORANGE, STYLE

plt.rcParams.update(STYLE)
COLOURS = {"BPTT": BLUE, "truncated BPTT(1)": GREEN, "RFLO": ORANGE}
DECAY = 0.5  # ŵ, the forgetting of RFLO's traces

# %%
# Modes learn by themselves
# -------------------------
# The teacher is a network made of two modes, A* = U diag(a*) Pᵀ and so on. A student that starts in the same form keeps
# it, so each of its modes obeys three scalar equations, for a, b and w. They are averages over white noise; the runs
# learn from 1500 sampled sequences, five at a time. Lines are the equations, markers the runs, dots the teacher.

task = nl.tasks.load(
    "teacher-student", a_star=[1.2, 0.9], b_star=[1.0, -1.1], w_star=[0.7, -0.5], steps=20, sequences=1500, seed=3
)
student, R = nl.tasks.aligned_student(task, a=[0.2, 0.2], b=[0.2, -0.2], w=[0.1, 0.1], a_hat=[1.0, 1.0])
training = nl.Training(learning_rate=0.00025, update="episode", batch=5, records=30)


def rules(feedback):
    """Return the paper's three rules; only RFLO has feedback of its own."""
    rflo = nl.RFLO(feedback=feedback, decay=DECAY, storage="dense")
    return {"BPTT": nl.BPTT(), "truncated BPTT(1)": nl.TruncatedBPTT(1), "RFLO": rflo}


figure, axes = plt.subplots(2, 3, figsize=(7.6, 4.6), sharex=True, sharey="row", layout="constrained")
for column, (name, rule) in zip(axes.T, rules(R).items(), strict=True):
    run = nl.simulate(student, task, rule, nl.Precision.float64(), training=training, progress=False)
    found = nl.theory.predict_modes(run)  # solved with the run's own start, rate and length
    print(f"{name}: {nl.theory.mode_deviation(run)}\n")
    updates, product = found.step / 20, found.simulated["a"] * found.simulated["b"]
    for mode, (colour, marker) in enumerate(((BLUE, "o"), (ORANGE, "s"))):
        dots = {"color": colour, "marker": marker, "linestyle": "", "markersize": 3.5, "markerfacecolor": "white"}
        column[0].plot(found.path.t, (found.path.a * found.path.b)[:, mode], color=colour)
        column[1].plot(found.path.t, found.path.w[:, mode], color=colour, label=f"mode {mode}, theory")
        column[0].plot(updates, product[:, mode], **dots)
        column[1].plot(updates, found.simulated["w"][:, mode], **dots, label=f"mode {mode}, run")
        for axis, star in zip(column, (task.teacher.A @ task.teacher.B, task.teacher.W), strict=True):
            axis.axhline(star[mode, mode], color=GREY, linewidth=1.0, linestyle=":")
    column[0].set_title(name)
    column[1].set_xlabel("updates")
axes[0, 0].set_ylabel("u = a b")
axes[1, 0].set_ylabel("w")
figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %%
# Where learning stands still
# ---------------------------
# Every rule rests where the student does as the teacher. Rules that send the error back through the read-out A also
# rest at a = b = 0, a saddle: the smaller the start, the longer they stay. RFLO's fixed feedback pushes at once.
# One impulse in place of noise makes every update the average one, so that theory can be met exactly.


def impulse(w_star, steps=60):
    """Return the task of answering an impulse as one mode with a* b* = 1 does."""
    x = np.eye(steps)[:1].reshape(1, steps, 1)
    return nl.tasks.from_arrays(x, (w_star ** np.arange(steps)).reshape(1, steps, 1))


def learn(rule, start, w_star, updates, rate=0.01):
    """Return the loss of a single unit after each update, started from a, b, w."""
    a, b, w = (np.array([[value]]) for value in start)
    options = {"update": "episode", "epochs": updates, "records": updates, "progress": False}
    run = nl.simulate(nl.Network(a, w, b), impulse(w_star), rule, nl.Precision.float64(), rate, **options)
    return np.asarray(run.loss) * 60  # a run reports the mean over steps


THEORY = {"BPTT": ("bptt", {}), "truncated BPTT(1)": ("tbptt", {"steps": 1}),
          "RFLO": ("rflo", {"a_hat": 1.0, "decay": DECAY})}  # fmt: skip
for name, options in THEORY.values():
    print(nl.theory.stationary(name, c=1.0, w_star=0.5, w=0.2, **options), "\n")

figure, axes = plt.subplots(1, 3, figsize=(7.6, 3.1), sharey=True, layout="constrained")
time = 0.01 * np.arange(1500)
for axis, (name, rule) in zip(axes, rules([[1.0]]).items(), strict=True):
    for size, shade in ((1e-1, 0.35), (1e-2, 0.55), (1e-3, 0.75), (1e-4, 1.0)):
        theory, options = THEORY[name]
        given = {k: [v] if k == "a_hat" else v for k, v in options.items()}
        path = nl.theory.modes(theory, [size], [size], [0.2], a_star=[1.0], b_star=[1.0], w_star=[0.5], t=time, **given)
        loss = learn(rule, (size, size, 0.2), 0.5, len(time))
        axis.plot(time, path.total_loss, color=COLOURS[name], alpha=shade, label=f"{size:g}")
        axis.plot(time[::75], loss[::75], "o", color=COLOURS[name], alpha=shade, markersize=3, markerfacecolor="white")
    axis.set(title=name, xlabel="time (updates × η)", ylim=(0, None))
    axis.legend(title="start a = b", fontsize=8, title_fontsize=8)
axes[0].set_ylabel("loss")
plt.show()

# %%
# Stability, and speed
# --------------------
# All a = s, b = 1/s, w = w* solve the task. Near such a point the loss falls as exp(-2 λ t). BPTT is slowest at s = 1,
# RFLO gets slow for large s. Feedback must agree with s in sign: otherwise the point repels (but for a small window,
# see :doc:`/theory`).

figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
s = np.geomspace(0.3, 4.0, 200)
for name, rule in rules([[1.0]]).items():
    theory, options = THEORY[name]
    left.plot(s, nl.theory.rate(theory, s, w_star=0.6, **options), color=COLOURS[name], label=name)
    for at in (0.5, 1.0, 2.0):
        expected = float(nl.theory.rate(theory, at, w_star=0.6, **options))
        loss = learn(rule, (1.001 * at, 1.003 / at, 0.598), 0.6, round(900 / expected))
        slope = np.polyfit(np.arange(len(loss) // 2), np.log(loss[-(len(loss) // 2) :]), 1)[0]
        measured = (1.0 - np.exp(slope / 2.0)) / 0.01  # an update shrinks the distance by 1 - η λ
        left.plot(at, measured, "o", color=COLOURS[name], markerfacecolor="white")
        print(f"{name}, s = {at}: λ = {expected:.4f}, measured {measured:.4f}")
left.set(xscale="log", xlabel="s (a at the solution)", ylabel="rate λ", title="Lines: theory, dots: runs")
left.set_xticks([0.3, 0.5, 1, 2, 4], labels=["0.3", "0.5", "1", "2", "4"])
left.set_xticks([], minor=True)
left.set_ylim(0, None)
left.legend(fontsize=8.5)
for a_hat, colour, style in ((1.0, BLUE, "-"), (-1.0, ORANGE, "--")):
    loss = learn(rules([[a_hat]])["RFLO"], (1.00001, 1.00003, 0.59998), 0.6, 400)
    held = nl.theory.stability("rflo", 1.0, w_star=0.6, a_hat=a_hat, decay=DECAY)
    right.semilogy(0.01 * np.arange(400), loss, style, color=colour, label=f"â = {a_hat:g}: {held.kind}")
    early, slow = 0.01 * np.arange(200), float(nl.theory.rate("rflo", 1.0, w_star=0.6, a_hat=a_hat, decay=DECAY))
    right.semilogy(early, loss[0] * np.exp(-2.0 * slow * early), ":", color=GREY)
right.set(xlabel="time (updates × η)", ylabel="loss", title="RFLO near s = 1; dotted: exp(-2 λ t)")
right.legend(fontsize=8.5)
plt.show()

# %%
# RFLO reaches only perturbations of low rank
# -------------------------------------------
# Each of RFLO's updates is Rᵀ times something, so the whole change of W and B is: its rank is at most the number of
# outputs, here 2, in a network of 32 units. The others have no such edge, though their singular values fall as well.

task = nl.tasks.load("teacher-student", n_in=3, n_rec=8, n_out=2, sequences=1500, steps=20)
net = nl.Network.random(task.n_in, 32, task.n_out, spectral_radius=0.5, seed=1)
figure, axis = plt.subplots(figsize=(7.6, 3.4), layout="constrained")
for (name, rule), marker in zip(rules("random").items(), "os^", strict=True):
    run = nl.simulate(net, task, rule, nl.Precision.float64(), training=training, progress=False)
    report = run.rank_report()
    print(f"{name}: {report}\n")
    values = report.spectrum.values / report.spectrum.values[0]
    axis.semilogy(np.arange(1, 33), values, marker, color=COLOURS[name], markersize=4, label=name)
axis.axvline(task.n_out + 0.5, color=GREY, linestyle="--", linewidth=1.2, label="number of outputs")
axis.set(xlabel="index", ylabel="singular value over the first", title="Singular values of the change of W and B")
axis.legend(loc="center right")
plt.show()

# %%
# What this does not show
# -----------------------
# The paper's text was not at hand beyond its abstract, so teachers, sizes and rates are ours: pictures are not to be
# compared number by number. Units are linear; the scalar equations need a student that starts aligned. All claims at
# once, with verdicts and the intervals they are judged by: ``neurolrnn reproduce``, :doc:`/reproduce`.
