"""Complex pairs: the equations against exact matrices, compiled rules and samples; stability against differences."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import neurolrnn as nl
from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.tasks.teacher_student import outputs
from neurolrnn.theory.complex_modes import ComplexModes, complex_network, pairs_of, rotation_blocks
from neurolrnn.theory.complex_stability import complex_jacobian, complex_saddle, complex_stability
from neurolrnn.theory.expected import expected_update
from neurolrnn.theory.expected_learning import expected_learning
from neurolrnn.theory.mode_equations import ModeEquations
from neurolrnn.theory.mode_stability import eigenvalues

Array = NDArray[np.float64]
# rule, options, whether feedback is fixed
RULES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "bptt": ("bptt", {}, False),
    "rtrl": ("rtrl", {}, False),
    "tbptt1": ("tbptt", {"steps": 1}, False),
    "tbptt3": ("tbptt", {"steps": 3}, False),
    "tbptt2-random": ("tbptt", {"steps": 2}, True),
    "rflo": ("rflo", {"decay": 0.4}, True),
    "rflo-default-decay": ("rflo", {}, True),
    "rflo-symmetric": ("rflo", {"decay": -0.5}, False),
    "eprop": ("eprop", {}, False),
    "eprop-random": ("eprop", {}, True),
    "fa_bptt": ("fa_bptt", {}, True),
}


def disc(rng: np.random.Generator, count: int, radius: float) -> NDArray[np.complex128]:
    angles = rng.uniform(-np.pi, np.pi, count)
    return np.asarray(radius * np.sqrt(rng.uniform(size=count)) * np.exp(1j * angles))


def reflection_block(q: complex) -> Array:
    return np.array([[q.real, q.imag], [q.imag, -q.real]])


def draw(seed: int, pairs: int = 2) -> dict[str, NDArray[np.complex128]]:
    rng = np.random.default_rng([seed, 7])
    return {k: disc(rng, pairs, 0.9 if k.startswith("w") else 1.5) for k in ("a", "b", "w", "a*", "b*", "w*", "hat")}


# --- equations


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(RULES)), st.integers(0, 2**32 - 1), st.integers(1, 3), st.floats(0.1, 1.0),
    st.floats(0.1, 1.0), st.one_of(st.just(math.inf), st.integers(1, 30)), st.sampled_from(["all", "final"]),
)  # fmt: skip
def test_updates_are_those_of_the_matrices(
    key: str, seed: int, pairs: int, leak: float, leak_star: float, T: float, loss_steps: str
) -> None:
    name, options, fixed = RULES[key]
    z = draw(seed, pairs)
    student, teacher = (
        complex_network(z["a"], z["b"], z["w"], leak),
        complex_network(z["a*"], z["b*"], z["w*"], leak_star),
    )
    want = expected_update(
        student, teacher, name, R=rotation_blocks(z["hat"]) if fixed else None, T=T, loss_steps=loss_steps, **options
    )  # fmt: skip
    equations = ComplexModes(
        name, z["a*"], z["b*"], z["w*"], a_hat=z["hat"] if fixed else None, T=T, loss_steps=loss_steps, leak=leak,
        leak_star=leak_star, **options,
    )  # fmt: skip
    got = equations.update(z["a"], z["b"], z["w"])
    for mine, theirs in ((got.da, want.dA), (got.db, want.dB), (got.dw, want.dW)):
        assert np.abs(rotation_blocks(mine) - theirs).max() <= 1e-12 * max(1.0, float(np.abs(theirs).max()))
    assert got.loss.sum() == pytest.approx(want.loss, rel=1e-12, abs=1e-12)
    # Any orthogonal basis of the units, and the same of outputs and inputs, gives the same numbers; e-prop's diagonal
    # belongs to the units.
    if name != "eprop":
        U, P, V = (np.linalg.qr(np.random.default_rng(k).normal(size=(2 * pairs, 2 * pairs)))[0] for k in range(3))
        turned = Network(U @ student.A @ P.T, P @ student.W @ P.T, P @ student.B @ V.T, leak)
        star = Network(U @ teacher.A, teacher.W, teacher.B @ V.T, leak_star)
        R = U @ rotation_blocks(z["hat"]) @ P.T if fixed else None
        dW = P.T @ expected_update(turned, star, name, R=R, T=T, loss_steps=loss_steps, **options).dW @ P
        assert np.abs(dW - want.dW).max() <= 1e-12 * max(1.0, float(np.abs(want.dW).max()))


@pytest.mark.parametrize("T", [5, math.inf])
@pytest.mark.parametrize("key", sorted(set(RULES) - {"rtrl"}))
def test_real_numbers_are_two_equal_real_modes(key: str, T: float) -> None:
    name, options, fixed = RULES[key]
    z = {k: v.real for k, v in draw(1).items()}
    hat = z["hat"] if fixed else None
    pair = ComplexModes(name, z["a*"], z["b*"], z["w*"], a_hat=hat, T=T, leak=0.7, **options)
    real = ModeEquations(name, z["a*"], z["b*"], z["w*"], a_hat=hat, T=T, leak=0.7, **options)
    got, want = pair.update(z["a"], z["b"], z["w"]), real.update(z["a"], z["b"], z["w"])
    for mine, theirs in zip(got[:3], want[:3], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(got.loss, 2.0 * want.loss, rtol=1e-12)


def test_bptt_is_the_conjugate_gradient() -> None:
    z = draw(3)
    for T in (6, math.inf):
        eq = ComplexModes("bptt", z["a*"], z["b*"], z["w*"], T=T)
        delta = eq.update(z["a"], z["b"], z["w"])
        for k, name in enumerate(("a", "b", "w")):
            slopes = []
            for step in (1e-5, 1e-5j):
                up, down = ({**z, name: z[name] + sign * step} for sign in (1, -1))
                losses = [eq.update(v["a"], v["b"], v["w"]).loss for v in (up, down)]
                slopes.append((losses[0] - losses[1]) / 2e-5)
            # dL/dx + i dL/dy = 2 ∂L/∂z̄
            np.testing.assert_allclose(0.5 * (slopes[0] + 1j * slopes[1]), delta[k], rtol=1e-7, atol=1e-8)


def test_the_reflected_student_is_closed_too_and_mixed_blocks_are_not() -> None:
    z = draw(4, 1)
    a, b, w = (complex(z[k][0]) for k in ("a", "b", "w"))
    teacher = complex_network(z["a*"], z["b*"], z["w*"])
    for name, options, fixed in RULES.values():
        R = reflection_block(complex(z["hat"][0])) if fixed else None
        student = Network(reflection_block(a), rotation_blocks([w]), reflection_block(b))
        got = expected_update(student, teacher, name, R=R, **options)
        for M, mirrored in ((got.dA, True), (got.dB, True), (got.dW, False)):
            flipped = M @ np.diag([1.0, -1.0]) if mirrored else M
            assert pairs_of(flipped)[1] < 1e-13 * max(1.0, np.abs(M).max())
    mixed = Network(reflection_block(a), rotation_blocks([w]), rotation_blocks([b]))
    got = expected_update(mixed, teacher, "bptt")
    assert pairs_of(got.dA)[1] > 0.01 and pairs_of(got.dA @ np.diag([1.0, -1.0]))[1] > 0.01


def test_where_the_loss_is_zero() -> None:
    z = draw(5, 1)
    s = z["a"]
    eq = ComplexModes("rflo", z["a*"], z["b*"], z["w*"], a_hat=z["hat"], decay=0.3)
    c = z["a*"] * z["b*"]
    assert eq.update(s, c / s, z["w*"]).loss[0] < 1e-30
    assert max(abs(part[0]) for part in eq.update(s, c / s, z["w*"])[:3]) < 1e-14
    # Not at the conjugate in this form; after a reflection of the units, there.
    assert eq.update(s, c / s, z["w*"].conj()).loss[0] > 0.05
    F, teacher = np.diag([1.0, -1.0]), complex_network(z["a*"], z["b*"], z["w*"])
    own = complex_network(s, c / s, z["w*"])
    reflected = Network(own.A @ F, F @ own.W @ F, F @ own.B)
    np.testing.assert_allclose(reflected.W, rotation_blocks(z["w*"].conj()), atol=1e-15)
    assert expected_update(reflected, teacher, "bptt").loss < 1e-15


# --- trajectories

START = {"a": [0.3 + 0.1j, 0.2], "b": [0.2j, 0.3 - 0.1j], "w": [0.1 + 0.2j, -0.1j]}
STAR = {"a_star": [1.0 + 0.3j, 0.8], "b_star": [0.9, -0.5 + 0.7j], "w_star": [0.5 + 0.5j, 0.2 - 0.6j]}
HAT = [1.0 + 0.2j, 0.7 - 0.2j]


def teacher_network() -> Network:
    return complex_network(STAR["a_star"], STAR["b_star"], STAR["w_star"])


def student_network() -> Network:
    return complex_network(START["a"], START["b"], START["w"])


@pytest.mark.parametrize("key", RULES)
@pytest.mark.parametrize("T", [7, math.inf])
def test_steps_are_those_of_expected_learning(key: str, T: float) -> None:
    name, options, fixed = RULES[key]
    eq = ComplexModes(name, **STAR, a_hat=HAT if fixed else None, T=T, **options)  # type: ignore[arg-type]
    path = eq.descend(**START, t=[0, 4, 10], learning_rate=0.02)  # type: ignore[arg-type]
    got = expected_learning(
        student_network(), teacher_network(), name, R=rotation_blocks(HAT) if fixed else None, T=T, updates=500,
        learning_rate=0.02, **options,
    )  # fmt: skip
    for mine, theirs in ((path.a, got.network.A), (path.b, got.network.B), (path.w, got.network.W)):
        z, off = pairs_of(theirs)
        assert off < 1e-12
        np.testing.assert_allclose(mine[-1], z, rtol=0, atol=1e-11)
    assert path.total_loss[0] == pytest.approx(got.loss[0, 0], rel=1e-12)
    assert path.total_loss[-1] == pytest.approx(got.loss[-1, 0], rel=1e-9, abs=1e-14)
    assert "pair" in str(path)


@pytest.mark.parametrize("key", ["bptt", "tbptt3", "rflo"])
def test_the_flow_is_the_limit_of_small_steps(key: str) -> None:
    name, options, fixed = RULES[key]
    eq = ComplexModes(name, **STAR, a_hat=HAT if fixed else None, **options)  # type: ignore[arg-type]
    t = np.linspace(0.0, 12.0, 7)
    flow = eq.flow(**START, t=t)  # type: ignore[arg-type]
    gaps = [
        np.abs(eq.descend(**START, t=t, learning_rate=eta).w - flow.w).max()  # type: ignore[arg-type]
        for eta in (0.02, 0.01, 0.005)
    ]
    assert gaps[0] < 0.05
    assert gaps[0] / gaps[1] == pytest.approx(2.0, rel=0.1) and gaps[1] / gaps[2] == pytest.approx(2.0, rel=0.1)
    assert np.abs(flow.w[-1] - np.array(STAR["w_star"])).max() < np.abs(flow.w[0] - np.array(STAR["w_star"])).max()


@pytest.mark.parametrize("key", ["bptt", "tbptt3", "rflo", "eprop"])
def test_compiled_rules_follow_the_equations_on_all_impulses(key: str) -> None:
    """A batch of all unit impulses makes the sum over them: the expectation, without sampling."""
    name, options, fixed = RULES[key]
    rules = {
        "bptt": nl.BPTT(), "tbptt": nl.TruncatedBPTT(3), "eprop": nl.EProp(),
        "rflo": nl.RFLO(0.4, "dense", feedback=rotation_blocks(HAT)),
    }  # fmt: skip
    T, updates, teacher = 6, 200, teacher_network()
    x = np.eye(T * 4).reshape(-1, T, 4)
    task = Task("impulses", Sequences.from_arrays(x, outputs(teacher, x)), teacher=teacher)
    run = nl.simulate(
        student_network(), task, rules[name], nl.Precision.float64(), 0.02, "episode", loss_steps="final",
        batch=len(x), epochs=updates, progress=False,
    )  # fmt: skip
    eq = ComplexModes(name, **STAR, a_hat=HAT if fixed else None, T=T, **options)  # type: ignore[arg-type]
    path = eq.descend(**START, t=[0.02 * updates], learning_rate=0.02)  # type: ignore[arg-type]
    for mine, theirs in ((path.a, run.network.A), (path.b, run.network.B), (path.w, run.network.W)):
        z, off = pairs_of(theirs)
        assert off < 1e-12
        np.testing.assert_allclose(mine[-1], z, rtol=0, atol=1e-11)


@pytest.mark.parametrize("key", ["rflo", "tbptt3"])
def test_online_learning_on_noise_stays_near_the_equations(key: str) -> None:
    """Eight runs of 10,000 online steps: their mean lies within 4 standard errors and the order of η."""
    name, options, fixed = RULES[key]
    rule = nl.RFLO(0.4, "dense", feedback=rotation_blocks(HAT)) if fixed else nl.TruncatedBPTT(3)
    eta, steps, teacher = 5e-4, 10_000, teacher_network()
    eq = ComplexModes(name, **STAR, a_hat=HAT if fixed else None, **options)  # type: ignore[arg-type]
    path = eq.descend(**START, t=[eta * steps], learning_rate=eta)  # type: ignore[arg-type]
    found: list[NDArray[np.complex128]] = []
    for seed in range(8):
        x = np.random.default_rng(seed).normal(size=(1, steps, 4))
        task = Task("noise", Sequences.from_arrays(x, outputs(teacher, x)), teacher=teacher)
        run = nl.simulate(student_network(), task, rule, nl.Precision.float64(), eta, progress=False)
        found.append(np.concatenate([pairs_of(M)[0] for M in (run.network.A, run.network.B, run.network.W)]))
    values = np.array(found)
    want = np.concatenate([path.a[-1], path.b[-1], path.w[-1]])
    for sampled, expected in ((values.real, want.real), (values.imag, want.imag)):
        error = sampled.std(axis=0, ddof=1) / math.sqrt(len(values))
        assert (np.abs(sampled.mean(axis=0) - expected) < 4.0 * error + 20.0 * eta).all()
        assert error.max() < 0.02


# --- stability


@pytest.mark.parametrize("T", [(math.inf, "final"), (4, "final"), (7, "all")], ids=str)
@pytest.mark.parametrize("key", RULES)
def test_jacobian_against_differences_of_the_matrices(key: str, T: tuple[float, str]) -> None:
    name, options, fixed = RULES[key]
    z = draw(6, 1)
    s, c, w, hat = (complex(z[k][0]) for k in ("a", "b", "w", "hat"))
    options = {**options, "T": T[0], "loss_steps": T[1]}
    J = complex_jacobian(name, s, c=c, w_star=w, a_hat=hat if fixed else None, **options)
    there, R = complex_network([s], [c / s], [w]), rotation_blocks([hat]) if fixed else None
    for block, matrix in ((lambda q: rotation_blocks([q]), J.rotating), (reflection_block, J.reflecting)):
        for k, group in enumerate("ABW"):
            for q in (1.0, 1.0j):
                sides = []
                for step in (1e-5, -1e-5):
                    moved = there.replace(**{group: getattr(there, group) + step * block(q)})
                    sides.append(expected_update(moved, there, name, R=R, **options))
                for row, field in enumerate(("dA", "dB", "dW")):
                    slope = (getattr(sides[0], field) - getattr(sides[1], field)) / 2e-5
                    np.testing.assert_allclose(slope, block(matrix[row, k] * q), rtol=0, atol=2e-7)


@settings(max_examples=40)
@given(st.sampled_from(sorted(RULES)), st.integers(0, 2**32 - 1), st.floats(0.1, 2.0), st.floats(0.1, 2.0))
def test_invariants_and_zero_modes(key: str, seed: int, r_a: float, r_w: float) -> None:
    name, options, fixed = RULES[key]
    z = draw(seed, 1)
    s, c, w, hat = (complex(z[k][0]) + 1e-3 for k in ("a", "b", "w", "hat"))
    rates = {"A": r_a, "B": 0.7, "W": r_w}
    call: dict[str, Any] = {"c": c, "w_star": w, "a_hat": hat if fixed else None, "rates": rates, **options}
    J, got = complex_jacobian(name, s, **call), complex_stability(name, s, **call)
    b, f = c / s, (hat if fixed else s).conjugate()
    scale = float(np.abs(J.rotating).max() + np.abs(J.reflecting).max())
    # A → A P, B → P⁻¹ B, W → P⁻¹ W P
    assert np.abs(J.rotating @ [s, -b, 0.0]).max() < 1e-11 * scale * max(1.0, abs(b))
    assert np.abs(J.reflecting @ [s, -b.conjugate(), w - w.conjugate()]).max() < 1e-11 * scale * max(1.0, abs(b))
    q, v = 1.0 - abs(w) ** 2, {"rflo": options.get("decay", 0.0), "eprop": w.real}.get(name, w)
    zz, tau = complex(v).conjugate() * w, options.get("steps", 5000) if name == "tbptt" else 5000
    B0, D = (complex(np.sum(k * zz ** np.arange(tau))) for k in (1.0, np.arange(1, tau + 1)))
    Y, eps = D / q + abs(w) ** 2 * B0 / q**2, f * s
    trace = r_a * abs(b) ** 2 / q + eps * (0.7 * B0 + r_w * abs(b) ** 2 * Y)
    det = r_w * eps * abs(b) ** 2 * (r_a * abs(b) ** 2 * D + 0.7 * eps * B0**2) / q**2
    first, second = got.rotating
    assert first + second == pytest.approx(trace, rel=1e-9)
    assert first * second == pytest.approx(det, rel=1e-7, abs=1e-9 * scale**2)
    assert got.signal == pytest.approx(eps, rel=1e-12)
    # The criterion for both real parts to be positive.
    positive = trace.real > 0 and trace.real * (trace.real * det.real + trace.imag * det.imag) > det.imag**2
    if min(abs(first.real), abs(second.real)) > 1e-6 * scale:
        assert positive == got.stable_in_form


@pytest.mark.parametrize("key", ["bptt", "tbptt1", "tbptt3"])
def test_without_fixed_feedback_pairs_settle_as_real_modes_do(key: str) -> None:
    name, options, _ = RULES[key]
    for seed in range(30):
        z = draw(seed, 1)
        s, c, w = (complex(z[k][0]) for k in ("a", "b", "w"))
        got = complex_stability(name, s, c=c, w_star=w, **options)
        want = eigenvalues(name, abs(s), c=abs(c), w_star=abs(w), **options)
        np.testing.assert_allclose(got.rotating, want, rtol=1e-8)
        assert got.stable and got.kind == "stable" and got.rate > 0.0


def slow_limits(eps: complex, w: complex, decay: float, b: complex) -> dict[str, dict[str, complex]]:
    """The slow eigenvalues of RFLO for large and small |s|, to leading order."""
    q, z = 1.0 - abs(w) ** 2, decay * w
    size = eps * abs(b) ** 2
    return {
        "large": {
            "rotating": size / (q * q * (1.0 - z)),
            "reflecting": size / (q * (1.0 - w * w) * (1.0 - z.conjugate())),
        },
        "small": {
            "rotating": size / (q * (1.0 - z) ** 2),
            "reflecting": size / ((1.0 - w * w) * abs(1.0 - z) ** 2),
        },
    }


def test_the_sign_of_fixed_feedback_becomes_half_planes() -> None:
    """Re conj(â) s > 0 is neither sufficient nor necessary; for large and small |s| other numbers decide."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        s, c, w, hat = (complex(x) for x in np.array([*disc(rng, 2, 1.0), *disc(rng, 1, 0.9), *disc(rng, 1, 1.0)]))
        decay = float(rng.uniform(-0.9, 0.9))
        for size, which in ((1e5, "large"), (1e-5, "small")):
            at, product = size * s / abs(s), c / abs(c)
            got = complex_stability("rflo", at, c=product, w_star=w, a_hat=hat / abs(hat), decay=decay)
            want = slow_limits(got.signal, w, decay, product / at)[which]
            pairs = {"rotating": got.rotating, "reflecting": got.reflecting}
            for kind, value in want.items():
                slow = min(pairs[kind], key=abs)
                assert slow == pytest.approx(value, rel=2e-3), (kind, which)
            margin = got.large_s if which == "large" else got.small_s
            if abs(margin) > 0.01 * abs(got.signal):
                assert (margin > 0.0) == got.stable_in_form
    right_sign = complex_stability("rflo", 30.0, c=1.0, w_star=0.6 + 0.7j, a_hat=cmath.exp(-1.2j), decay=0.9)
    wrong_sign = complex_stability("rflo", 30.0, c=1.0, w_star=0.9 - 0.3j, a_hat=cmath.exp(-1.75j), decay=0.5)
    assert right_sign.signal.real > 0.0 and not right_sign.stable_in_form and right_sign.large_s < 0.0
    assert wrong_sign.signal.real < 0.0 and wrong_sign.stable and wrong_sign.large_s > 0.0
    for got in (right_sign, wrong_sign):
        assert got.kind in str(got)


def test_random_draws() -> None:
    """Numerical: what was found for symmetric feedback, and how far the sign of Re conj(â) s goes."""
    rng = np.random.default_rng(1)
    unstable = {"tbptt": 0, "rflo": 0, "eprop": 0}
    by_sign = {True: [0, 0], False: [0, 0]}
    for _ in range(300):
        s, c, w, hat = (complex(x) for x in np.array([*disc(rng, 2, 1.5), *disc(rng, 1, 0.95), *disc(rng, 1, 1.5)]))
        decay = float(rng.uniform(-0.95, 0.95))
        options: dict[str, dict[str, Any]] = {
            "tbptt": {"steps": int(rng.integers(1, 6))}, "rflo": {"decay": decay}, "eprop": {},
        }  # fmt: skip
        for rule, own in options.items():
            found = complex_stability(rule, s, c=c, w_star=w, **own)
            assert min(value.real for value in found.reflecting) > 0.0
            unstable[rule] += not found.stable_in_form
        random = complex_stability("rflo", s, c=c, w_star=w, a_hat=hat, decay=decay)
        by_sign[random.signal.real > 0.0][0] += 1
        by_sign[random.signal.real > 0.0][1] += random.stable
    assert unstable["tbptt"] == 0
    assert max(unstable["rflo"], unstable["eprop"]) < 0.05 * 300
    assert 0.8 < by_sign[True][1] / by_sign[True][0] < 1.0
    assert 0.0 < by_sign[False][1] / by_sign[False][0] < 0.2


def test_rflo_with_symmetric_feedback_can_leave_the_optimum_of_a_pair() -> None:
    s, c, w, decay = 0.15, 2.5, 0.52 - 0.75j, 0.94
    got = complex_stability("rflo", s, c=c, w_star=w, decay=decay)
    assert not got.stable_in_form and got.small_s < 0.0 < got.large_s and got.kind == "saddle"
    # The real mode of the same size is stable, as every one is.
    assert (eigenvalues("rflo", s, c=c, w_star=abs(w), decay=decay).real > 0.0).all()
    # Exact learning of the full matrices from nearby goes away; BPTT comes back.
    there = complex_network([s], [c / s], [w])
    near = there.replace(W=there.W + rotation_blocks([1e-5 + 1e-5j]))
    rate = 1e-5
    away = expected_learning(near, there, "rflo", decay=decay, learning_rate=rate, updates=20_000, records=4)
    back = expected_learning(near, there, "bptt", learning_rate=rate, updates=20_000, records=4)
    grown = np.log(away.loss[2, 0] / away.loss[1, 0]) / (2.0 * rate * (away.updates[2] - away.updates[1]))
    assert grown == pytest.approx(-got.rotating[0].real, rel=0.05)
    assert back.loss[-1, 0] < 0.5 * back.loss[0, 0]


@pytest.mark.parametrize("T", [5, math.inf])
@pytest.mark.parametrize("key", ["bptt", "tbptt1", "tbptt3", "rflo-symmetric", "eprop"])
def test_leaving_zero(key: str, T: float) -> None:
    name, options, _ = RULES[key]
    c, star, w = 1.2 - 0.5j, 0.5 + 0.6j, 0.3 + 0.5j
    got = complex_saddle(name, c=c, w_star=star, w=w, T=T, rates={"A": 1.0, "B": 0.6}, **options)
    teacher, h = complex_network([1.0], [c], [star]), 1e-6
    assert got.fixed and got.loss == pytest.approx(
        expected_update(complex_network([0.0], [0.0], [w]), teacher, "bptt", T=T).loss, rel=1e-12
    )
    for block, sigma in ((lambda q: rotation_blocks([q]), got.rotating), (reflection_block, got.reflecting)):
        # The linear map of (A, B) by differences, on the four real dimensions of this kind.
        columns = []
        for which in "AB":
            for q in (1.0, 1.0j):
                at = {"A": np.zeros((2, 2)), "B": np.zeros((2, 2))}
                at[which] = h * block(q)
                update = expected_update(Network(at["A"], rotation_blocks([w]), at["B"]), teacher, name, T=T, **options)
                columns.append(np.concatenate([-update.dA[:, 0], -0.6 * update.dB[:, 0]]) / h)
        found = np.linalg.eigvals(np.array(columns).T)
        want = [sigma, -sigma, sigma.conjugate(), -sigma.conjugate()]
        for value in want:
            assert np.abs(found - value).min() < 1e-5
    if name == "bptt" and T == math.inf:
        assert got.rotating == pytest.approx(math.sqrt(0.6) * abs(c) / abs(1.0 - w.conjugate() * star))
        assert got.reflecting == pytest.approx(math.sqrt(0.6) * abs(c) / abs(1.0 - w * star))
        assert got.rotating.real > got.reflecting.real  # W turns in the teacher's sense


def test_fixed_feedback_does_not_stand_still_at_zero() -> None:
    c, star, w, hat = 1.2 - 0.5j, 0.5 + 0.6j, 0.3 + 0.5j, 0.7 - 0.4j
    got = complex_saddle("rflo", c=c, w_star=star, w=w, a_hat=hat, decay=0.5)
    update = ComplexModes("rflo", [1.0], [c], [star], a_hat=[hat], decay=0.5).update([0.0], [0.0], [w])
    assert not got.fixed and got.push == pytest.approx(complex(update.db[0]))
    assert abs(update.da[0]) == abs(update.dw[0]) == 0.0


def test_refusals() -> None:
    one: dict[str, Any] = {"a_star": [1.0], "b_star": [1.0], "w_star": [0.5j]}
    with pytest.raises(InputError, match="did you mean 'rflo'"):
        ComplexModes("rflow", **one)
    with pytest.raises(InputError, match="has no a_hat"):
        ComplexModes("bptt", **one, a_hat=[1.0])
    with pytest.raises(InputError, match="give a_hat"):
        ComplexModes("fa_bptt", **one)
    with pytest.raises(InputError, match="option of rflo"):
        ComplexModes("tbptt", **one, decay=0.5)
    with pytest.raises(InputError, match=r"below 1; give a finite T"):
        ComplexModes("bptt", [1.0], [1.0], [0.8 + 0.8j])
    assert ComplexModes("bptt", [1.0], [1.0], [0.8 + 0.8j], T=9).update([0.1], [0.1], [1.2j]).loss > 0.0
    with pytest.raises(InputError, match="no finite update"):
        ComplexModes("bptt", **one).update([1.0], [1.0], [0.8 + 0.8j])
    with pytest.raises(InputError, match="one per pair"):
        rotation_blocks([np.nan])
    with pytest.raises(InputError, match="even number of rows"):
        pairs_of(np.eye(3))
    with pytest.raises(InputError, match="t must rise"):
        ComplexModes("bptt", **one).flow([0.1], [0.1], [0.1], t=[2.0, 1.0])
    for call in ({"s": 0.0}, {"s": complex("nan")}, {"c": 0.0}):
        with pytest.raises(InputError, match="other than 0 is needed"):
            complex_stability("bptt", **{"s": 1.0, "w_star": 0.5j, **call})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a_hat = 0"):
        complex_stability("rflo", 1.0, w_star=0.5j, a_hat=0.0)
    with pytest.raises(InputError, match="too near 1"):
        complex_stability("bptt", 1.0, w_star=(1.0 - 1e-9) * 1j)
