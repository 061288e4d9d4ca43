"""The integer oracle judged from outside: steps by hand, the float oracle in the limit, exact relations."""

from __future__ import annotations

from typing import Any

import integer_oracle
import numpy as np
import oracle
import pytest
from integer_oracle import (
    LFSR,
    VARIABLES,
    Landings,
    Lane,
    Matrix,
    Result,
    Spec,
    key_of,
    random_word,
    run_forward,
    train,
)

WEIGHTS = ("A", "W", "B", "M", "N")
LANDINGS = (
    *WEIGHTS, "state", "current", "readout", "error", "signal", "trace", "input_trace", "coupling", "step_A", "step_W",
    "step_B", "eligibility", "input_eligibility", "trace_decay", "back_current", "back_signal",
)  # fmt: skip


def make_spec(frac: int = 2, int_bits: int = 3, *, leak: float = 0.5, decay: float = 0.5, **changes: Any) -> Spec:
    """Return a spec with one format for everything; `rounding` and `formats` among the changes are merged."""
    bits = changes.get("decay_bits", 1)
    gain = round(leak * 2**bits)
    names = {*LANDINGS, "feedback", "input"} - {"back_signal"}
    spec: Spec = {
        "formats": {name: (True, int_bits, frac) for name in names} | changes.pop("formats", {}),
        "rounding": dict.fromkeys(LANDINGS, "nearest") | changes.pop("rounding", {}),
        "overflow": dict.fromkeys(LANDINGS, "saturate") | changes.pop("overflow", {}),
        "clamp": dict.fromkeys("AWB") | changes.pop("clamp", {}),
        "hidden": dict.fromkeys("AWB") | changes.pop("hidden", {}),
        "accumulator": None,
        "noise": "element",
        "random_bits": 16,
        "seed": 1,
        "variables": VARIABLES,
        "rates": dict.fromkeys("AWB", (1, 1)),
        "decay_bits": bits,
        "gain": gain,
        "keep": 2**bits - gain,
        "decay": round(decay * 2**bits),
    }
    return spec | changes


# --- landings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accumulator", "products", "total", "events"),
    [
        (None, (5, 5, -5), 5, 0),
        ((4, "wrap"), (5, 5, -5), 5, 2),
        ((4, "saturate"), (5, 5, -5), 2, 1),
        ((4, "saturate"), (-5, -5, 5), -3, 1),
        ((4, "saturate"), (5, -5, 5), 5, 0),
        ((4, "wrap"), (7, 1), -8, 1),
        ((4, "wrap"), (40,), -8, 1),
        ((4, "saturate"), (), 0, 0),
    ],
)
def test_an_accumulator_overflows_after_every_product(
    accumulator: tuple[int, str] | None, products: tuple[int, ...], total: int, events: int
) -> None:
    at = Landings(make_spec(accumulator=accumulator))
    assert at.accumulate("signal", products) == total
    assert at.accumulator_events["signal"] == events and sum(at.accumulator_events.values()) == events


def test_a_landing_rounds_then_overflows_then_counts() -> None:
    at = Landings(make_spec(2, 1))  # s1.2, -8 to 7
    assert at.land("state", 31, 4, 0) == 7 and at.overflows["state"] == 1  # 31/4 = 7.75 rounds out of the range
    assert at.land("state", 29, 4, 0) == 7 and at.overflows["state"] == 1
    assert at.land("step_W", -33, 4, 0) == -8 and at.land("step_W", -35, 4, 0) == -8
    assert at.overflows["rate_W"] == 1 and sum(at.overflows.values()) == 2


def test_noise_of_a_landing() -> None:
    rounding = dict.fromkeys(LANDINGS, "stochastic")
    for noise, element in (("element", 5), ("shared", 0)):
        at = Landings(make_spec(rounding=rounding, noise=noise, seed=9))
        at.t = 4
        word = random_word(9, 4, VARIABLES["trace"], element)
        assert at.land("trace", 1000, 9, 5) == (1000 + (word >> 25)) >> 7
    at = Landings(make_spec(rounding=rounding, noise="lfsr", seed=9))
    twin = LFSR(key_of(9, VARIABLES["B"]))
    at.land("N", 20, 2, 0)  # nothing to drop, no draw
    at.land("M", 20, 3, 0)  # another row
    assert at.rounded("N", 1000, 7, 3) == (1000 + (twin.draw() >> 25)) >> 7
    assert at.rounded("B", 1000, 7, 3) == (1000 + (twin.draw() >> 25)) >> 7


# --- whole steps by hand --------------------------------------------------------------------------------------------
# One unit, everything s3.2, α = ŵ = η = 1/2, ties up; A = W = B = R = 1, x = 1, 1 and y* = 0, 0. By pencil, codes:
# step 0: q 2, p 0; u 4, h 2, y 2, ε 2, L 2, g 1; A 4-1, B 4-1, W 4.

ONE: dict[str, Any] = {"A": [[4]], "W": [[4]], "B": [[4]], "R": [[4]]}
PAIR: list[Lane] = [([[4], [4]], [[0], [0]], [1, 1])]


def finals(result: Result) -> dict[str, int]:
    """Return the weights of a network of one unit."""
    found = {k: getattr(result, k) for k in WEIGHTS}
    return {k: matrix[0][0] for k, matrix in found.items() if matrix is not None}


@pytest.mark.parametrize(
    ("rule", "update", "weights", "h", "y"),
    [
        # p 1, q 3, u (8+12)/4 = 5, h 7/2 = 4, y 3, L 3, g 2: A 3-2, W 4-⌊(2·1+2)/4⌋, B 3-2
        ("rflo-dense", "online", {"A": 1, "W": 3, "B": 1}, [2, 4], [2, 3]),
        # N = -1 after step 0; z ⌊(-4+2)/4⌋ = -1, u (8+16-4)/4 = 5: M 0-1, N -1-2
        ("rflo-factored", "online", {"A": 1, "W": 4, "B": 4, "M": -1, "N": -3}, [2, 4], [2, 3]),
        # q 2; v = 12/4 = 3, δ = 3, 3, g = 2, 2: W 4-⌊(2·1+2·0+2)/4⌋, B 3-(2·2+2·2)/4
        ("tbptt", "online", {"A": 1, "W": 3, "B": 1}, [2, 4], [2, 3]),
        # d = (4+4)/2 = 4; E ⌊(4+2)/4⌋ = 1, E_in (8+8)/4 = 4: W 4-1, B 3-8/4
        ("eprop", "online", {"A": 1, "W": 3, "B": 1}, [2, 4], [2, 3]),
        # u 6, h 4, y 4, L 4; G_A 4+16, G_W 0+4, G_B 4+12, dropping 3 bits
        ("rflo-dense", "episode", {"A": 1, "W": 3, "B": 2}, [2, 4], [2, 4]),
        # G_B = 2·2 + (4·2 + 4·2), δ = 4, 4; G_W = 4·1 + 4·0
        ("tbptt", "episode", {"A": 1, "W": 3, "B": 1}, [2, 4], [2, 4]),
        # E_in 2, 4: G_B 4+16
        ("eprop", "episode", {"A": 1, "W": 3, "B": 1}, [2, 4], [2, 4]),
        # M, N: ε 2, 4; G_M 4·1, G_N 2·2+4·3
        ("rflo-factored", "episode", {"A": 1, "W": 4, "B": 4, "M": -1, "N": -2}, [2, 4], [2, 4]),
    ],
)
def test_two_steps_by_pencil(rule: str, update: str, weights: dict[str, int], h: list[int], y: list[int]) -> None:
    run = train(make_spec(), ONE, PAIR, rule, tau=2, update=update)
    assert finals(run) == weights
    assert run.h == [[[code]] for code in h] and run.y == [[[code]] for code in y]
    assert sum(run.overflows.values()) == 0 and sum(run.dead_updates.values()) == 0


def test_dead_updates() -> None:
    run = train(make_spec(rounding=dict.fromkeys(WEIGHTS, "floor")), ONE, PAIR, "rflo-dense")
    # g·h = 1·2 and 1·q = 1·2 of step 0 are half an LSB and floor to 0; g·p of step 0 is 0 and not dead.
    # Step 1: A, W, B still 4; h 4, y 4, L 4, g 2: 2·4/4 = 2, 2·1/4 dead, ⌊2·3/4⌋ = 1.
    assert finals(run) == {"A": 2, "W": 4, "B": 3}
    assert run.dead_updates == {"A": 1, "W": 1, "B": 1}


def test_hidden_weights() -> None:
    hidden = {"A": (True, 3, 4), "W": (True, 3, 4), "B": (True, 3, 4)}
    run = train(make_spec(hidden=hidden), ONE, PAIR, "rflo-dense")
    # Step 0: hidden A, B 16-2 (s = 0), seen as ⌊(14+2)/4⌋ = 4. Step 1: h 4, y 4, L 4, g 2, p 1, q 3.
    assert {k: v[0][0] for k, v in run.hidden.items()} == {"A": 14 - 8, "W": 16 - 2, "B": 14 - 6}
    assert finals(run) == {"A": 2, "W": 4, "B": 2}
    assert sum(run.dead_updates.values()) == 0


def test_hidden_weights_overflow_twice() -> None:
    """An update past the top of s3.4 counts, and so does the 127 left there, which is 32 in s3.2."""
    hidden, data = {"A": (True, 3, 4)}, [([[4]], [[31]], [1])]
    run = train(make_spec(hidden=hidden), {**ONE, "A": [[31]]}, data, "rflo-dense", learn=("A",))
    # u 4, h 2, y ⌊62/4 + 1/2⌋ = 16, ε -15, g ⌊(-15+1)/2⌋ = -7, g·h = -14: 124 + 14 → 127, seen as 32 → 31
    assert run.hidden["A"] == [[127]] and run.A == [[31]] and run.overflows["A"] == 2
    run = train(make_spec(hidden=hidden), {**ONE, "A": [[30]]}, data, "rflo-dense", learn=("A",))
    # y 15, ε -16, g -8, g·h = -16: 120 + 16 → 127
    assert run.hidden["A"] == [[127]] and run.overflows["A"] == 2
    run = train(make_spec(hidden=hidden), {**ONE, "A": [[20]]}, data, "rflo-dense", learn=("A",))
    # y 10, ε -21, g -10, g·h = -20: 80 + 20 = 100, seen as 25
    assert run.hidden["A"] == [[100]] and run.A == [[25]] and run.overflows["A"] == 0


@pytest.mark.parametrize("how", ["saturate", "wrap"])
def test_a_clamp_is_a_range(how: str) -> None:
    spec = make_spec(clamp={"A": 3, "B": 4}, overflow=dict.fromkeys(WEIGHTS, how))
    run = train(spec, {**ONE, "A": [[3]], "B": [[4]]}, [([[4]], [[31]], [1])], "rflo-dense")
    # h 2, y ⌊6/4 + 1/2⌋ = 2, ε -29, g -14, L -29, q 2: A 3 + 7 → 3, B 4 + 7 → 4
    assert finals(run) == {"A": 3, "W": 4, "B": 4}
    assert run.overflows["A"] == run.overflows["B"] == 1


@pytest.mark.parametrize(
    ("how", "clamp", "start", "hidden", "seen", "events"),
    [
        # The steps are those of test_hidden_weights_overflow_twice: -14 from 31, -20 from 20.
        ("wrap", None, 31, 138 - 256, -29, 1),  # ⌊(-118+2)/4⌋ fits
        ("wrap", 127, 31, 127, 31, 2),  # the clamp is the format's own top, and what is seen, 32, saturates too
        ("saturate", 127, 31, 127, 31, 2),
        ("wrap", 90, 20, 90, 23, 1),  # 80 + 20 → 90, seen as ⌊92/4⌋
        ("saturate", 90, 20, 90, 23, 1),
        ("wrap", 100, 20, 100, 25, 0),
    ],
)
def test_a_clamped_hidden_weight_and_what_is_seen_of_it_saturate(
    how: str, clamp: int | None, start: int, hidden: int, seen: int, events: int
) -> None:
    spec = make_spec(hidden={"A": (True, 3, 4)}, clamp={"A": clamp}, overflow=dict.fromkeys(WEIGHTS, how))
    run = train(spec, {**ONE, "A": [[start]]}, [([[4]], [[31]], [1])], "rflo-dense", learn=("A",))
    assert run.hidden["A"] == [[hidden]] and run.A == [[seen]] and run.overflows["A"] == events


@pytest.mark.parametrize("update", ["online", "episode"])
@pytest.mark.parametrize("rule", integer_oracle.RULES)
def test_steps_without_a_mask_make_no_update(rule: str, update: str) -> None:
    spec = make_spec(rounding=dict.fromkeys(LANDINGS, "stochastic"), noise="lfsr")
    masked: list[Lane] = [([[4], [4]], [[9], [9]], [0, 0])]
    run = train(spec, ONE, masked, rule, tau=2, update=update)
    nothing = {"M": 0, "N": 0} if rule == "rflo-factored" else {}
    assert finals(run) == {"A": 4, "W": 4, "B": 4} | nothing
    assert sum(run.dead_updates.values()) == 0


@pytest.mark.parametrize(("update", "y"), [("online", 3), ("episode", 4)])
@pytest.mark.parametrize("rule", integer_oracle.RULES)
def test_a_step_without_a_mask_learns_nothing_of_the_step_before(rule: str, update: str, y: int) -> None:
    """Of PAIR only step 0 counts: online g·h = g·q = 1·2, per episode G_A = G_B = 2·2, each one LSB; p is 0."""
    x, goal, _ = PAIR[0]
    run = train(make_spec(), ONE, [(x, goal, [1, 0])], rule, tau=2, update=update)
    expected = {"A": 3, "W": 4, "B": 4, "M": 0, "N": -1} if rule == "rflo-factored" else {"A": 3, "W": 4, "B": 3}
    assert finals(run) == expected
    assert run.h == [[[2]], [[4]]] and run.y == [[[2]], [[y]]]


# Lanes of a batch that have ended, or never began.


@pytest.mark.parametrize("rule", integer_oracle.RULES)
def test_a_lane_that_has_ended_rests(rule: str) -> None:
    x, goal, mask = PAIR[0]
    data: list[Lane] = [PAIR[0], (x[:1], goal[:1], mask[:1]), PAIR[0]]
    run = train(make_spec(), ONE, data, rule, tau=2, learn=(), batch=2)
    # u 4, h 2, y 2, then u (8+16)/4 = 6, h 4, y 4; the third sequence has an empty lane beside it.
    assert run.h == run.y == [[[2], [2]], [[4], [0]], [[2], [0]], [[4], [0]]]


@pytest.mark.parametrize(("how", "events"), [("saturate", 2), ("wrap", 3)])
def test_a_lane_put_to_rest_counts_its_last_sum(how: str, events: int) -> None:
    weights = {"A": [[0, 0]], "W": [[5, 4], [-6, 1]], "B": [[0], [0]], "R": [[0, 0]]}
    spec = make_spec(formats={"input": (True, 3, 3)}, accumulator=(6, how))
    net = integer_oracle.Learner(spec, weights, "eprop", 1, "squared-error", "online", "AWB")
    net.start(2)
    net.h, net.E, net.E_in = [[3, 4], [3, 4]], [[[1, 2], [3, 4]]] * 2, [[[5], [6]]] * 2
    net.put_to_rest(1)
    # B x has one more bit: 30, 30 + 32 → 31 or -2; -36 → -32, -24 or 28, 36 → -28.
    assert net.at.accumulator_events["current"] == events == sum(net.at.accumulator_events.values())
    assert net.h == [[3, 4], [0, 0]]
    assert net.E == [[[1, 2], [3, 4]], [[0, 0], [0, 0]]] and net.E_in == [[[5], [6]], [[0], [0]]]


def test_accumulator_events_of_lanes_that_rest() -> None:
    data: list[Lane] = [([[4]] * T, [[0]] * T, [1] * T) for T in (3, 1, 2)]
    run = train(make_spec(accumulator=(5, "saturate")), {**ONE, "W": [[8]]}, data, "rflo-dense", learn=(), batch=2)
    # Step 0: 16 → 15 in both lanes, u 4, h 2. Step 1: lane 1 rests, its 8·2 → 15; in lane 0 8·2 → 15, 15 + 16 → 15,
    # u 4, h 3. Step 2: 8·0 of lane 1; lane 0 twice again, h 4. The last batch: 1, then 2, and none of its empty lane.
    assert run.h == [[[2], [2]], [[3], [0]], [[4], [0]], [[2], [0]], [[3], [0]]]
    assert run.accumulator_events["current"] == 2 + (1 + 2) + (0 + 2) + 1 + 2
    # A h = 8, 8; 12; 16 → 15; 8; 12 and L as y = 2, 2; 3; 4; 2; 3
    assert run.accumulator_events["readout"] == run.accumulator_events["signal"] == 1
    assert sum(run.accumulator_events.values()) == 10 + 2


def test_lfsr_draws_in_storage_order() -> None:
    """Two lanes of two units: four draws of `current` a step, lane by lane, in steps of the whole run."""
    A, W, B = [[4, 4]], [[1, 2], [3, 1]], [[1], [3]]
    data: list[Lane] = [([[x] for x in xs], [[0] for _ in xs], [1 for _ in xs]) for xs in ((3, 1), (1,), (2, 3))]
    spec = make_spec(2, 6, rounding={"current": "stochastic"}, noise="lfsr")
    run = train(spec, {"A": A, "W": W, "B": B, "R": None}, data, "eprop", learn=(), batch=2)
    lfsr = LFSR(key_of(1, VARIABLES["current"]))
    rest = None  # lane 1 after its only step, and beside the third sequence: it draws all the same
    found = iter(run.h)
    for steps in (((3, 1), (1, rest)), ((2, rest), (3, rest))):
        h = [[0, 0], [0, 0]]
        for xs in steps:
            for b, x in enumerate(xs):
                before = [0, 0] if x is rest else h[b]
                sums = [W[i][0] * before[0] + W[i][1] * before[1] + B[i][0] * (x or 0) for i in (0, 1)]
                u = [(v + (lfsr.draw() >> 30)) >> 2 for v in sums]
                h[b] = [(before[i] + u[i] + 1) >> 1 for i in (0, 1)]
            assert next(found) == h
    assert next(found, None) is None


@pytest.mark.parametrize(
    ("group", "name", "shape", "order"),
    [
        ("A", "A", (2, 3), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]),
        ("W", "M", (2, 3), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]),
        ("B", "N", (2, 2), [(0, 0), (0, 1), (1, 0), (1, 1)]),
        ("W", "W", (3, 3), [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2)]),
        ("B", "B", (3, 2), [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]),
    ],
)
@pytest.mark.parametrize("noise", ["element", "lfsr"])
def test_updates_draw_in_storage_order(
    group: str, name: str, shape: tuple[int, int], order: list[tuple[int, int]], noise: str
) -> None:
    weights = {"A": [[0] * 3] * 2, "W": [[0] * 3] * 3, "B": [[0] * 2] * 3, "R": [[0] * 3] * 2}
    spec = make_spec(0, 10, rounding=dict.fromkeys(WEIGHTS, "stochastic"), noise=noise)
    net = integer_oracle.Learner(
        spec, weights, "rflo-factored" if name in "MN" else "rflo-dense", 1, "squared-error", "online", "AWB"
    )
    net.at.t = 3
    net.apply(group, [[1] * shape[1]] * shape[0], 1)
    lfsr = LFSR(key_of(1, VARIABLES[group]))
    for element, (i, j) in enumerate(order):
        word = lfsr.draw() if noise == "lfsr" else random_word(1, 3, VARIABLES[group], element)
        assert net.w[name][i][j] == -((1 + (word >> 31)) >> 1)


ACTIVITY = {"current": 6, "state": 6, "readout": 4, "error": 4}  # two lanes of n = 3, n_in = 1, n_out = 2
UPDATES = {"A": 6, "W": 9, "B": 3, "step_A": 4}
LANDED: dict[str, dict[str, int]] = {
    "rflo-dense": ACTIVITY | UPDATES | {"signal": 6, "trace": 6, "input_trace": 2, "step_W": 6, "step_B": 6},
    "rflo-factored": ACTIVITY
    | {"trace": 6, "input_trace": 2, "coupling": 4, "A": 6, "M": 6, "N": 2, "step_A": 4, "step_W": 4, "step_B": 4},
    "tbptt": ACTIVITY
    | UPDATES
    # four slots of two lanes of 3
    | {"signal": 6, "trace": 6, "input_trace": 2, "step_W": 24, "step_B": 24},
    "eprop": ACTIVITY
    | UPDATES
    | {"signal": 6, "trace_decay": 3, "eligibility": 18, "input_eligibility": 6, "step_W": 6, "step_B": 6},
}


OF_GROUP = {
    "A": {"A", "step_A"},
    "W": {"W", "M", "step_W", "eligibility"},
    "B": {"B", "N", "step_B", "input_eligibility"},
}
UNMASKED = {*WEIGHTS, "signal", "step_A", "step_W", "step_B"}
"""What lands only where a lane has mask 1."""


@pytest.mark.parametrize("learn", ["AWB", "A", "W", "B", ""])
@pytest.mark.parametrize("masks", [(1, 1, 1), (0, 0, 0), (1, 0, 1), (0, 1, 0)])
@pytest.mark.parametrize("rule", LANDED)
def test_every_landing_counts_through_its_elements(
    rule: str, masks: tuple[int, ...], learn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each step each variable lands once, its elements 0, 1, 2, … in order; t counts the steps of the run."""
    found: dict[tuple[str, int], list[int]] = {}
    rounded = Landings.rounded

    def spy(self: Landings, name: str, v: int, s: int, element: int, t: int | None = None) -> int:
        found.setdefault((name, self.t if t is None else t), []).append(element)
        return rounded(self, name, v, s, element, t)

    monkeypatch.setattr(Landings, "rounded", spy)
    weights = {"A": [[1] * 3] * 2, "W": [[1] * 3] * 3, "B": [[1]] * 3, "R": [[1] * 3] * 2}
    # three batches, of 3, 3 and 2 steps; the last has an empty lane
    data: list[Lane] = [([[1]] * T, [[0, 0]] * T, list(masks[:T])) for T in (3, 2, 1, 3, 2)]
    tau = 4
    train(make_spec(), weights, data, rule, tau=tau, batch=2, learn=tuple(learn))
    frozen = {name for group, names in OF_GROUP.items() if group not in learn for name in names}
    expected = {}
    for t in range(8):
        for name, size in LANDED[rule].items():
            if name not in frozen and (masks[t % 3] or name not in UNMASKED):
                expected[name, t] = list(range(size))
        if rule == "tbptt" and masks[t % 3]:
            for back in range(t % 3):  # 0, 1, 2 steps back in steps 0, 1, 2 of a batch
                expected["back_current", t * tau + back] = expected["back_signal", t * tau + back] = list(range(6))
    assert found == expected


def test_the_ring_keeps_a_step_in_its_slot() -> None:
    """τ = 3: in step k = 4 slot 0 holds k = 4 again, slot 2 k = 3 and slot 1 k = 2."""
    net = integer_oracle.Learner(make_spec(6, 6), ONE, "tbptt", 3, "squared-error", "online", ())
    net.start(1)
    inputs = [64, 32, 16, 8]
    for x in inputs:
        net.step([[x]], [[0]], [1])
    assert net.q == [[4], [16], [8]]
    # W = 4/64: δ = L, ⌊(L + v + 1)/2⌋ with v the landing of W·L
    L = net.L[0][0]
    deltas = [L]
    for _ in range(2):
        v = (4 * deltas[-1] + 32) >> 6
        deltas.append((deltas[-1] + v + 1) >> 1)
    assert net.delta == [[deltas[0]], [deltas[2]], [deltas[1]]]


# --- the whole: float is the limit of fine formats ------------------------------------------------------------------

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "rflo-dense-random": ("rflo-dense", {"name": "rflo", "storage": "dense", "feedback": "random", "decay": 0.8125}),
    "rflo-dense-symmetric": (
        "rflo-dense",
        {"name": "rflo", "storage": "dense", "feedback": "symmetric", "decay": 0.8125},
    ),
    "rflo-factored": ("rflo-factored", {"name": "rflo", "storage": "factored", "decay": 0.8125}),
    "tbptt-1": ("tbptt", {"name": "tbptt", "steps": 1}),
    "tbptt-3": ("tbptt", {"name": "tbptt", "steps": 3}),
    "tbptt-3-random": ("tbptt", {"name": "tbptt", "steps": 3, "feedback": "random"}),
    "eprop-symmetric": ("eprop", {"name": "eprop"}),
    "eprop-random": ("eprop", {"name": "eprop", "feedback": "random"}),
}


class Real:
    """A case in real numbers that are exact at 6 fraction bits, and the same in codes of finer formats."""

    def __init__(self, seed: int, loss: str) -> None:
        rng = np.random.default_rng(seed)
        n, m, o = 4, 2, 3

        def draw(*shape: int, scale: float = 0.4) -> Any:
            return np.round(scale * rng.normal(size=shape) * 64) / 64

        self.A, self.W, self.B, self.R = draw(o, n), draw(n, n, scale=0.3), draw(n, m), draw(o, n)
        self.sequences = []
        for length in (6, 3, 5):
            target = draw(length, o, scale=1.0) if loss == "squared-error" else np.eye(o)[rng.integers(o, size=length)]
            mask = rng.integers(0, 2, size=length).astype(float)
            mask[1] = 1.0
            self.sequences.append((draw(length, m, scale=1.0), target, mask))

    def codes(self, values: Any, f: int) -> Matrix:
        return [[int(v * 2**f) for v in row] for row in values]

    def lanes(self, f: int, f_target: int | None = None) -> list[Lane]:
        f_target = f if f_target is None else f_target
        return [
            (self.codes(x, f), self.codes(goal, f_target), [int(v) for v in mask]) for x, goal, mask in self.sequences
        ]

    def weights(self, rule: dict[str, Any], f: dict[str, int]) -> dict[str, Any]:
        feedback = rule.get("feedback", "random" if rule["name"] == "rflo" else "symmetric")
        found: dict[str, Any] = {k: self.codes(getattr(self, k), f[k]) for k in "AWB"}
        return found | {"R": None if feedback == "symmetric" else self.codes(self.R, f["feedback"])}

    def distance(
        self, case: str, f: int, loss: str, update: str, learn: tuple[str, ...], **changes: Any
    ) -> tuple[float, float]:
        """Return how far codes end from the reals, and how far the reals moved; formats have f to f + 22 bits."""
        name, rule = CASES[case]
        leak = 0.375
        options: dict[str, Any] = {"loss": loss, "update": update, "learn": learn, "batch": 2, "epochs": 2}
        theirs = oracle.train(
            self.A, self.W, self.B, leak, rule, self.sequences, R=self.R,
            rates={"A": 1 / 16, "W": 3 / 32, "B": 5 / 64}, **options,
        )  # fmt: skip
        # Every variable has its own number of fraction bits, so that no alignment passes by chance.
        bits = {k: f + 7 * i % 23 for i, k in enumerate((*LANDINGS, "feedback", "input")) if k != "back_signal"}
        formats = {k: (True, 12, b) for k, b in bits.items()}
        rates = {"A": (1, 4), "W": (3, 5), "B": (5, 6)}
        spec = make_spec(leak=leak, decay=0.8125, decay_bits=6, formats=formats, rates=rates, **changes)
        lanes = self.lanes(bits["input"], bits["error" if loss == "cross-entropy" else "readout"])
        ours = train(spec, self.weights(rule, bits), lanes, name, tau=rule.get("steps", 1), **options)
        worst, moved = 0.0, 0.0
        for k in WEIGHTS:
            expected = getattr(theirs, k)
            if expected is None or (name == "rflo-factored" and k in "WB"):
                continue  # W and B of the codes are W₀ and B₀ there
            start = getattr(self, k, np.zeros_like(expected))
            found = np.array(getattr(ours, k), dtype=float) / 2.0 ** bits[k]
            worst = max(worst, float(np.abs(found - expected).max()))
            if {"M": "W", "N": "B"}.get(k, k) in learn:
                moved = max(moved, float(np.abs(expected - start).max()))
            else:
                assert np.array_equal(found, start)
        assert sum(ours.overflows.values()) == 0
        for h, y, expected_y in zip(ours.h, ours.y, theirs.y, strict=True):
            present = ~np.isnan(expected_y).any(axis=1)  # their last batch has no empty lane
            assert len(h) == len(y) == 2
            for b in range(2):
                if b < len(present) and present[b]:
                    apart = np.array(y[b], dtype=float) / 2.0 ** bits["readout"] - expected_y[b]
                    worst = max(worst, float(np.abs(apart).max()))
                else:
                    assert not any(h[b]) and not any(y[b])
        return worst, moved


@pytest.mark.parametrize("update", ["online", "episode"])
@pytest.mark.parametrize("case", CASES)
def test_float_is_the_limit_of_fine_formats(case: str, update: str) -> None:
    for seed in range(3):
        for f in (12, 18, 23, 40):
            worst, moved = Real(seed, "squared-error").distance(case, f, "squared-error", update, ("A", "W", "B"))
            # A few dozen roundings, each half an LSB, through a contracting network.
            assert worst < 30 * 2.0**-f
            assert moved > 0.03


@pytest.mark.parametrize("rounding", ["floor", "nearest-even", "toward-zero", "stochastic"])
@pytest.mark.parametrize("noise", ["element", "shared", "lfsr"])
@pytest.mark.parametrize("case", CASES)
def test_float_is_the_limit_in_every_rounding(case: str, rounding: str, noise: str) -> None:
    changes = {"rounding": dict.fromkeys(LANDINGS, rounding), "noise": noise, "accumulator": (96, "wrap")}
    worst, _ = Real(5, "squared-error").distance(case, 30, "squared-error", "online", ("A", "W", "B"), **changes)
    assert worst < 100 * 2.0**-30


@pytest.mark.parametrize("update", ["online", "episode"])
@pytest.mark.parametrize("case", CASES)
def test_cross_entropy_is_near_to_real_arithmetic(case: str, update: str) -> None:
    worst, moved = Real(1, "cross-entropy").distance(case, 30, "cross-entropy", update, ("A", "W", "B"))
    # The table's step of 0.27 % moves a probability by 0.0014 at most.
    assert worst < 0.002 and moved > 20 * worst


@pytest.mark.parametrize("learn", [("A",), ("W",), ("B",), ("W", "B"), ()])
@pytest.mark.parametrize("case", CASES)
def test_only_what_learns_moves(case: str, learn: tuple[str, ...]) -> None:
    worst, _ = Real(2, "squared-error").distance(case, 30, "squared-error", "online", learn)
    assert worst < 30 * 2.0**-30


@pytest.mark.parametrize("case", CASES)
def test_hidden_weights_are_followed(case: str) -> None:
    hidden = dict.fromkeys("AWB", (True, 12, 50))
    worst, _ = Real(2, "squared-error").distance(case, 24, "squared-error", "online", ("A", "W", "B"), hidden=hidden)
    assert worst < 30 * 2.0**-24


# --- exact relations ------------------------------------------------------------------------------------------------


SIX = dict.fromkeys((*LANDINGS, "feedback"), 6)


def coarse(**changes: Any) -> Spec:
    """Return a spec of 6 fraction bits, random rounding everywhere."""
    return make_spec(6, 3, decay_bits=4, rounding=dict.fromkeys(LANDINGS, "stochastic"), **changes)


@pytest.mark.parametrize("case", CASES)
def test_noise_does_not_depend_on_the_batch(case: str) -> None:
    """Frozen weights: a first lane is what it is alone, in its own steps."""
    name, rule = CASES[case]
    real = Real(3, "squared-error")
    alone = train(coarse(), real.weights(rule, SIX), real.lanes(6)[:1], name, learn=())
    beside = train(coarse(), real.weights(rule, SIX), real.lanes(6), name, learn=(), batch=3)
    assert [lanes[0] for lanes in alone.h] == [lanes[0] for lanes in beside.h]
    assert [lanes[0] for lanes in alone.y] == [lanes[0] for lanes in beside.y]


@pytest.mark.parametrize("noise", ["element", "shared", "lfsr"])
@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_inference_is_learning_that_does_not_learn(noise: str, batch: int) -> None:
    real, spec = Real(4, "squared-error"), coarse(noise=noise)
    weights = real.weights(CASES["rflo-factored"][1], SIX)
    weights |= {"M": real.codes(real.A, 6), "N": real.codes(real.B[:3], 6)}
    for name in ("rflo-dense", "rflo-factored"):
        given = weights if name == "rflo-factored" else {**weights, "M": None}
        run = train(spec, given, real.lanes(6), name, learn=(), batch=batch)
        side_by_side = min(batch, 3)
        assert {len(lanes) for lanes in (*run.h, *run.y)} == {side_by_side}
        # Learning fills its last batch with empty lanes, which draw too; inference is given them.
        empty: list[Lane] = [([], [], [])] * (-3 % side_by_side)
        outputs, first, at = run_forward(spec, given, real.lanes(6) + empty, batch=batch), 0, 0
        while first < 3:
            group = outputs[first : first + batch]
            for s in range(max(map(len, group))):
                for b, found in enumerate(group):
                    assert s >= len(found) or found[s] == run.y[at][b]
                at += 1
            first += batch
        assert at == len(run.y)


def test_truncated_bptt_of_one_step_is_rflo_without_memory() -> None:
    real = Real(6, "squared-error")
    weights = real.weights(CASES["rflo-dense-random"][1], SIX)
    forgetful = coarse() | {"decay": 0}
    a = train(forgetful, weights, real.lanes(6), "rflo-dense", batch=2)
    b = train(forgetful, weights, real.lanes(6), "tbptt", batch=2, tau=1)
    assert (a.A, a.W, a.B, a.h, a.overflows) == (b.A, b.W, b.B, b.h, b.overflows)


def test_padding_changes_nothing_without_noise() -> None:
    """A sequence that goes on with x = 0 and mask 0 ends with the same weights."""
    real = Real(7, "squared-error")
    for case, (name, rule) in CASES.items():
        weights, lanes = real.weights(rule, SIX), real.lanes(6)
        spec, tau = make_spec(6, 3, decay_bits=4), rule.get("steps", 1)
        x, goal, mask = lanes[1]
        longer: Lane = (x + [[0, 0]] * 3, goal + [[0, 0, 0]] * 3, mask + [0] * 3)
        a = train(spec, weights, lanes[:2], name, batch=2, tau=tau)
        b = train(spec, weights, [lanes[0], longer], name, batch=2, tau=tau)
        assert (a.A, a.W, a.B, a.M, a.N) == (b.A, b.W, b.B, b.M, b.N), case


@pytest.mark.parametrize("noise", ["element", "shared", "lfsr"])
@pytest.mark.parametrize("update", ["online", "episode"])
@pytest.mark.parametrize("case", CASES)
def test_an_empty_lane_is_a_sequence_of_nothing(case: str, update: str, noise: str) -> None:
    """Three sequences two by two are those and a fourth with x = 0 and mask 0, in every code and count."""
    real, (name, rule) = Real(9, "squared-error"), CASES[case]
    weights, lanes = real.weights(rule, SIX), real.lanes(6)
    nothing: Lane = ([[0, 0]] * 5, [[0, 0, 0]] * 5, [0] * 5)
    spec = coarse(noise=noise, accumulator=(9, "wrap"))
    options: dict[str, Any] = {"tau": rule.get("steps", 1), "update": update, "batch": 2}
    a = train(spec, weights, lanes, name, **options)
    assert a == train(spec, weights, [*lanes, nothing], name, **options)
    assert sum(a.accumulator_events.values()) > 0


def test_nothing_given_is_written() -> None:
    real = Real(8, "squared-error")
    weights, lanes = real.weights(CASES["rflo-factored"][1], SIX), real.lanes(6)
    train(coarse(), weights, lanes, "rflo-factored")
    assert weights == real.weights(CASES["rflo-factored"][1], SIX) and lanes == real.lanes(6)


def test_what_is_unknown_is_refused() -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [("rtrl", {}), ("eprop", {"loss": "l1"}), ("eprop", {"update": "never"})]
    for rule, options in wrong:
        with pytest.raises(ValueError):
            train(make_spec(), ONE, PAIR, rule, **options)
