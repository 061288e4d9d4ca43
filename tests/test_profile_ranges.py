"""The range profiler against a plain NumPy simulation of each rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import neurolrnn as nl
from neurolrnn.errors import InputError
from neurolrnn.profiles.range_profile import fraction_bits_for_updates
from neurolrnn.profiles.spread import Spread

RULES = {
    "dense": {"name": "rflo", "storage": "dense", "decay": 0.6},
    "factored": {"name": "rflo", "storage": "factored"},
    "tbptt": {"name": "tbptt", "steps": 3},
    "eprop": {"name": "eprop", "feedback": "random"},
}


def experiment(rule, **precision):
    tables = {
        "seed": 3,
        "task": {"name": "teacher-student", "sequences": 12, "steps": 9, "test_sequences": 2},
        "network": {"n_rec": 5, "leak": 0.7, "spectral_radius": 0.6, "output_scale": 0.5},
        "rule": rule,
        "training": {"learning_rate": {"A": 0.02, "W": 0.01, "B": 0.005}, "epochs": 2},
    }
    return nl.Experiment.from_dict({**tables, "precision": precision} if precision else tables)


def simulated(experiment):
    """Run the experiment's rule step by step in NumPy; return every value of every variable, step by step."""
    net, task, rule, _, training, seed = experiment.build()
    A, W, B = net.A.copy(), net.W.copy(), net.B.copy()
    alpha, rates, data = net.leak, training.rates, task.train
    R = rule.feedback_matrix(net.n_out, net.n_rec, seed)
    factored = getattr(rule, "storage", "") == "factored"
    W0, B0 = W.copy(), B.copy()
    M, N = np.zeros((net.n_out, net.n_rec)), np.zeros((net.n_out, net.n_in))
    found: dict[str, list[np.ndarray]] = {}

    def keep(**values):
        for name, value in values.items():
            found.setdefault(name, []).append(np.array(value, float).ravel())

    for epoch in range(training.epochs):
        order = np.random.default_rng([seed, 0x0D0E5, epoch]).permutation(len(data))
        for s in order:
            h, p, q = np.zeros(net.n_rec), np.zeros(net.n_rec), np.zeros(net.n_in)
            EW, EB, past = np.zeros((net.n_rec, net.n_rec)), np.zeros((net.n_rec, net.n_in)), []
            for t in range(int(data.starts[s]), int(data.starts[s + 1])):
                x, target = data.inputs[t], data.targets[t]
                d = 1 - alpha + alpha * np.diag(W)
                if rule.name == "rflo":
                    decay = 1 - alpha if rule.decay is None else rule.decay
                    p, q = decay * p + alpha * h, decay * q + alpha * x
                elif rule.name == "eprop":
                    EW, EB = d[:, None] * EW + alpha * h, d[:, None] * EB + alpha * x
                else:
                    past = [(alpha * h, alpha * x), *past][: rule.steps]
                u = W @ h + B @ x
                if factored:
                    keep(coupling=M @ h + N @ x)
                h = (1 - alpha) * h + alpha * u
                y = A @ h
                e = y - target
                L = (A if R is None else R).T @ e
                dA = np.outer(e, h)
                if factored:
                    dM, dN = np.outer(e, p), np.outer(e, q)
                elif rule.name == "eprop":
                    dW, dB = L[:, None] * EW, L[:, None] * EB
                elif rule.name == "rflo":
                    dW, dB = np.outer(L, p), np.outer(L, q)
                else:
                    delta, dW, dB = L, 0.0, 0.0
                    for i, (pre, inp) in enumerate(past):
                        dW, dB = dW + np.outer(delta, pre), dB + np.outer(delta, inp)
                        keep(signal_parts=delta)
                        if i + 1 < len(past):
                            back = W.T @ delta
                            delta = (1 - alpha) * delta + alpha * back
                A = A - rates["A"] * dA
                if factored:
                    M, N = M - rates["W"] * dM, N - rates["B"] * dN
                    W, B = W0 + R.T @ M, B0 + R.T @ N
                    keep(factor_W=M, factor_B=N, update_W=rates["W"] * dM, update_B=rates["B"] * dN)
                    keep(step_W=rates["W"] * e, W=W0, B=B0)
                else:
                    W, B = W - rates["W"] * dW, B - rates["B"] * dB
                    keep(W=W, B=B, update_W=rates["W"] * dW, update_B=rates["B"] * dB)
                    if rule.name != "tbptt":
                        keep(signal=L, step_W=rates["W"] * L)
                keep(input=x, current=u, state=h, readout=y, error=e, A=A, update_A=rates["A"] * dA)
                keep(step_A=rates["A"] * e)
                if rule.name == "rflo":
                    keep(trace=p, input_trace=q)
                elif rule.name == "eprop":
                    keep(eligibility=EW, input_eligibility=EB)
    if "signal_parts" in found:
        found["signal"] = found.pop("signal_parts")
    return {name: np.concatenate(parts) for name, parts in found.items()}


@pytest.mark.parametrize("rule", RULES)
def test_every_variable_is_that_of_a_plain_simulation(rule):
    one = experiment(RULES[rule])
    heard = nl.profiles.ranges(one, samples=10_000, windows=1)
    values = simulated(one)
    assert heard.sampled == heard.steps == 2 * 12 * 9
    expected = set(values) - {"feedback"}
    assert expected <= set(heard.spreads), expected - set(heard.spreads)
    for name in expected:
        s, v = heard.spreads[name], values[name]
        assert s.smallest == pytest.approx(v.min() if not name.startswith("update") else (-v).min(), rel=1e-9), name
        assert s.largest == pytest.approx(v.max() if not name.startswith("update") else (-v).max(), rel=1e-9), name
        if name == "signal" and rule == "tbptt":
            continue  # slots not yet filled are looked at too, as zeros
        assert s.rms == pytest.approx(float(np.sqrt(np.mean(v**2))), rel=1e-9), name
        q = np.quantile(-v if name.startswith("update") else v, [0.01, 0.5, 0.99])
        np.testing.assert_allclose(s.quantiles[0, 1:4], q, rtol=1e-8, atol=1e-12, err_msg=name)


def test_dead_and_overflow_shares_are_counts():
    one = experiment(RULES["dense"])
    heard = nl.profiles.ranges(one, samples=10_000, windows=4)
    values = simulated(one)
    for bits in (4, 8, 12, 20):
        for group in "AWB":
            v = np.abs(values[f"update_{group}"])
            # the difference of two weights is a multiple of their last bit, which only the tiniest updates notice
            dead = float((v[v > 1e-16] < 2.0 ** -(bits + 1)).mean())
            assert heard.dead_share(group, bits) == pytest.approx(dead, abs=2e-3)
    for whole in (-2, 0, 1, 2):
        assert heard.overflow_share("state", whole) == np.mean(np.abs(values["state"]) >= 2.0**whole)
    assert len(heard.edges) == 5 and heard.edges[-1] == heard.steps


@pytest.mark.parametrize("rule", ["dense", "factored", "eprop"])
def test_counters_over_time_add_up_to_those_of_the_run(rule):
    one = experiment(RULES[rule], weight="s0.5", state="s0.6", error="s1.6", update_rounding="nearest")
    counted = nl.profiles.ranges(one, samples=100, windows=7).counted
    run = one.simulate(progress=False)
    assert sum(c["overflows"] for c in run.saturation.values()) > 0
    for name, counts in run.saturation.items():
        for kind, table in (
            ("overflows", counted.overflows),
            ("updates", counted.updates),
            ("dead_updates", counted.dead),
        ):
            assert counts[kind] == (table[name].sum() if name in table else 0), (name, kind)


@pytest.mark.parametrize("rule", RULES)
def test_proposals_hold_what_was_seen_and_resolve_it(rule):
    found = nl.profiles.ranges(experiment(RULES[rule]), samples=10_000)
    assert set(found.proposals) <= set(found.spreads)
    for name, p in found.proposals.items():
        s = found.spreads[name]
        assert -(2.0**p.int_bits) <= s.smallest and s.largest < 2.0**p.int_bits
        noise = 2.0 ** (-2 * p.frac_bits) / 12
        assert 10 * math.log10(s.rms**2 / noise) >= 40 or p.int_bits + p.frac_bits == 29
    steps = found.steps
    for name, events in found.checked.overflows.items():
        assert events.sum() < 1e-3 * steps * 25, name
    run = found.proposed().simulate(progress=False)
    assert run.status == "completed"
    if found.precision.update_rounding == "nearest":
        for group in "AWB":
            lost = found.spreads[f"update_{group}"].mass_below(-found.proposals[
                f"factor_{group}" if rule == "factored" and group in "WB" else group].frac_bits - 1)  # fmt: skip
            assert lost <= 0.1


def test_rounding_follows_the_experiment_or_the_updates():
    tiny = experiment(RULES["dense"]).to_dict()
    tiny["training"]["learning_rate"] = {"A": 1e-5, "W": 1e-6, "B": 1e-6}
    found = nl.profiles.ranges(nl.Experiment.from_dict(tiny))
    assert found.precision.update_rounding == "stochastic" and "die" in found.rounding_reason
    fixed = {**tiny, "precision": {"weight": "s1.14", "state": "s3.12", "update_rounding": "nearest"}}
    found = nl.profiles.ranges(nl.Experiment.from_dict(fixed))
    assert found.precision.update_rounding == "nearest"
    updates = found.spreads["update_W"]
    assert found.proposals["W"].frac_bits == min(fraction_bits_for_updates(updates), 29 - found.proposals["W"].int_bits)


def test_only_learning_steps_count_for_updates():
    """An update per episode: one step in nine learns, and all of these are found by few samples."""
    tables = experiment(RULES["dense"]).to_dict()
    tables["training"]["update"] = "episode"
    found = nl.profiles.ranges(nl.Experiment.from_dict(tables), samples=48, windows=2)
    assert found.spreads["update_A"].total == 24 * 2 * 5
    assert found.spreads["update_A"].nonzero > 0.9 * found.spreads["update_A"].total


def test_pictures_and_plain_data(tmp_path):
    one = experiment(RULES["factored"], weight="s1.6", state="s3.10")
    found = nl.profiles.ranges(one, samples=50, windows=3)
    figure = found.plot(tmp_path / "ranges.png")
    assert (tmp_path / "ranges.png").stat().st_size > 10_000
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == list(found.spreads)
    said = found.to_dict()
    assert said["proposals"]["state"]["format"] == found.proposals["state"].text
    assert "looked at in float64" in found.summary() and "factor_W" in found.table("markdown")


def test_refusals():
    with pytest.raises(InputError, match="no fixed-point form"):
        nl.profiles.ranges(experiment({"name": "rtrl"}))
    tables = experiment(RULES["dense"]).to_dict()
    tables["training"]["momentum"] = 0.5
    with pytest.raises(InputError, match="momentum"):
        nl.profiles.ranges(nl.Experiment.from_dict(tables))
    with pytest.raises(InputError, match="samples"):
        nl.profiles.ranges(experiment(RULES["dense"]), samples=0)
    found = nl.profiles.ranges(experiment(RULES["dense"]), samples=20)
    with pytest.raises(InputError, match="variable"):
        found.overflow_share("speed", 2)


values = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-300, 300, width=32))


@given(values, st.integers(-12, 10))
@settings(max_examples=80)
def test_spread_is_exact_at_powers_of_two(x, exponent):
    cut = len(x) // 2
    ends = np.array([[x[:cut].min(initial=np.inf), x[:cut].max(initial=-np.inf)], [x[cut:].min(), x[cut:].max()]])
    s = Spread.of([[x[:cut]] if cut else [], [x[cut:]]], ends)
    size, limit = np.abs(x), 2.0**exponent
    above, below = s.overall(exponent)
    assert above == np.mean(size >= limit)
    assert below == (np.mean(size[size > 0] < limit) if size.any() else 0.0)
    assert s.mass_below(exponent) == pytest.approx(size[size < limit].sum() / size.sum() if size.any() else 0.0)
    assert (s.smallest, s.largest) == (x.min(), x.max())
    # the fewest integer bits that hold everything
    assert (-(2.0**s.int_bits) <= x.min() and x.max() < 2.0**s.int_bits) or not size.any()
    if size.any():
        assert not (-(2.0 ** (s.int_bits - 1)) <= x.min() and x.max() < 2.0 ** (s.int_bits - 1))
