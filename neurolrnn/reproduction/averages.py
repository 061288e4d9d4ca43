"""Claims about averages: sampled updates, and the loss of a whole sequence."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neurolrnn.network import Network
from neurolrnn.reproduction.claims import Check, Claim, Judgement, Measured, Setting
from neurolrnn.reproduction.setup import DECAY, WAYS, Array, learn, white
from neurolrnn.rules import RFLO, RTRL, EProp, Rule, TruncatedBPTT
from neurolrnn.theory import expected_update


def pair(seed: int, n: int = 6) -> tuple[Network, Network, Array]:
    """Return a student, a teacher and R that have nothing in common."""
    student, teacher = (
        Network.random(2, n, 2, spectral_radius=radius, seed=100 * seed + k, output_scale=0.7)
        for k, radius in ((0, 0.5), (1, 0.7))
    )
    R = np.random.default_rng(100 * seed + 2).normal(0.0, 1.0 / math.sqrt(n), (2, n))
    return student, teacher, R


# --- online updates are right on average

ONLINE: dict[str, tuple[str, dict[str, Any], bool]] = {
    "RTRL": ("bptt", {}, False),
    "truncated BPTT(1)": ("tbptt", {"steps": 1}, False),
    "truncated BPTT(3)": ("tbptt", {"steps": 3}, False),
    "RFLO": ("rflo", {"decay": DECAY}, True),
    "e-prop": ("eprop", {}, True),
}
FROZEN = 1e-9
"""Learning rate at which weights stand still while their updates are added up."""
BURN = 60
"""Steps after which the state has forgotten h_0 = 0."""


def _rule(title: str, R: Array) -> Rule:
    if title == "RTRL":
        return RTRL()
    if title.startswith("truncated"):
        return TruncatedBPTT(ONLINE[title][1]["steps"])
    return RFLO(decay=DECAY, feedback=R, storage="dense") if title == "RFLO" else EProp(feedback=R)


def _measure_online(setting: Setting) -> Measured:
    student, teacher, R = pair(setting.seed)
    steps, runs = setting.take(2000, 20_000), setting.take(20, 40)
    setting.tell("drawing inputs", 0.0)
    tasks = [white(teacher, steps + BURN, 1000 * setting.seed + k, BURN) for k in range(runs)]
    numbers: dict[str, Any] = {"steps": steps, "runs": runs}
    for k, (title, (name, options, random)) in enumerate(ONLINE.items()):
        setting.tell(title, k / len(ONLINE))
        want = expected_update(student, teacher, name, **(options | ({"R": R} if random else {})))
        target = np.concatenate([want.dA.ravel(), want.dW.ravel(), want.dB.ravel()])
        found = []
        for task in tasks:
            net = learn(student, task, _rule(title, R), FROZEN, records=1).network
            moved = [(getattr(student, g) - getattr(net, g)).ravel() / (FROZEN * steps) for g in "AWB"]
            found.append(np.concatenate(moved))
        updates = np.array(found)
        error = updates.std(axis=0, ddof=1) / math.sqrt(runs)
        z = (updates.mean(axis=0) - target) / error
        norm = float(np.linalg.norm(target))
        numbers[title] = {
            "largest_z": float(np.abs(z).max()),
            "error": float(np.linalg.norm(updates.mean(axis=0) - target)) / norm,
            "scatter": float(np.linalg.norm(error)) / norm,
        }
    return Measured(numbers)


def _judge_online(numbers: dict[str, Any]) -> Judgement:
    checks = []
    for title in ONLINE:
        found = numbers[title]
        checks += [
            Check(f"{title}: standard error of the mean, relative", found["scatter"], 0.0, 0.03),
            Check(f"{title}: error of the mean over it", found["error"] / found["scatter"], 0.0, 3.0),
            Check(f"{title}: the largest of all entries' errors over their own", found["largest_z"], 0.0, 5.5),
        ]
    worst = max(numbers[title]["error"] for title in ONLINE)
    ratios = [numbers[title]["error"] / numbers[title]["scatter"] for title in ONLINE]
    figure = (
        f"mean of {numbers['runs'] * numbers['steps']:,} sampled updates is off by at most {100 * worst:.1f} %, "
        f"{min(ratios):.2f} to {max(ratios):.2f} times its standard error"
    )
    return Judgement(figure, checks)


# --- sequence loss

LENGTHS = (25, 50, 100, 200, 400, 800, 1600)


def _measure_sequence(setting: Setting) -> Measured:
    lengths = LENGTHS[:5] if setting.quick else LENGTHS
    numbers: dict[str, Any] = {"lengths": lengths}
    for k, way in enumerate(WAYS):
        mean: list[list[float]] = []
        final: list[list[float]] = []
        for seed in range(setting.take(2, 5)):
            student, teacher, R = pair(setting.seed + seed)
            options = way.given(R)
            limit = expected_update(student, teacher, way.name, **options)
            size = math.sqrt(sum(float((part**2).sum()) for part in limit[:3]))
            for found, loss_steps in ((mean, "all"), (final, "final")):
                errors = []
                for T in lengths:
                    setting.tell(f"{way.title}, T = {T}", (k + seed / 5) / 3)
                    at = expected_update(student, teacher, way.name, T=T, loss_steps=loss_steps, **options)
                    squares = sum(float(((x - y) ** 2).sum()) for x, y in zip(at[:3], limit[:3], strict=True))
                    errors.append(math.sqrt(squares) / size)
                found.append(errors)
        numbers[way.name] = {"mean": mean, "final": final}
    return Measured(numbers)


def _judge_sequence(numbers: dict[str, Any]) -> Judgement:
    checks, constants = [], []
    lengths = np.array(numbers["lengths"])
    for way in WAYS:
        mean, final = (np.array(numbers[way.name][kind]) for kind in ("mean", "final"))
        constants.append(mean[:, -1] * lengths[-1])
        ratios = mean[:, 2:-1] / mean[:, 3:]
        checks += [
            Check(f"{way.title}: error of the mean over T over that over 2 T, smallest", float(ratios.min()), 1.98),
            Check(f"{way.title}: the same, largest", float(ratios.max()), high=2.02),
            Check(f"{way.title}: error of the final step at T = {lengths[2]}", float(final[:, 2].max()), 0.0, 1e-9),
        ]  # fmt: skip
    found = np.concatenate(constants)
    figure = (
        f"relative difference {found.min():.2g}/T to {found.max():.2g}/T for the mean over T steps; for the final step "
        f"{max(float(np.array(numbers[w.name]['final'])[:, 0].max()) for w in WAYS):.1g} at T = {lengths[0]}"
    )
    return Judgement(figure, checks)


CLAIMS = (
    Claim(
        "online-average",
        "Online updates from sampled inputs are the expected updates on average",
        "",
        "nl.theory.expected_update; docs/theory.md, Setting",
        _measure_online,
        _judge_online,
        source="here",
        cost=4.0,
    ),
    Claim(
        "sequence-loss",
        "Loss of the final step and mean loss of a sequence have the same limit for long sequences",
        "",
        "nl.theory.expected_update(loss_steps=...); docs/theory.md, Setting",
        _measure_sequence,
        _judge_sequence,
        cost=1.0,
    ),
)
