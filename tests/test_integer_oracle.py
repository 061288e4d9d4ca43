"""The integer oracle judged from outside: tables by hand, apytypes, mpmath, and the float oracle in the limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import apytypes
import integer_oracle
import mpmath  # type: ignore[import-untyped]
import numpy as np
import oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from integer_oracle import (
    LFSR,
    MASK32,
    TABLE,
    VARIABLES,
    Format,
    Landings,
    Lane,
    Matrix,
    Result,
    Spec,
    key_of,
    mix,
    overflow,
    random_below,
    random_word,
    run_forward,
    shift_round,
    softmax,
    softmax_error,
    train,
)

S16 = Format(True, 1, 6)
U08 = Format(False, 0, 8)
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


# --- formats --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fmt", "width", "lo", "hi"),
    [
        (S16, 8, -128, 127),
        (U08, 8, 0, 255),
        (Format(True, -3, 10), 8, -128, 127),
        (Format(True, 10, -3), 8, -128, 127),
        (Format(True, 0, 0), 1, -1, 0),
        (Format(False, 1, 0), 1, 0, 1),
        (Format(True, 8, 23), 32, -(2**31), 2**31 - 1),
        (Format(False, 8, 23), 31, 0, 2**31 - 1),
    ],
)
def test_a_format_has_its_width_and_range(fmt: Format, width: int, lo: int, hi: int) -> None:
    assert (fmt.width, fmt.lo, fmt.hi) == (width, lo, hi)


QUARTERS = range(-7, 8)  # -1.75, -1.5, … 1.75 with s = 2
ROUNDED = {
    "floor": (-2, -2, -2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1),
    "nearest": (-2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2),
    "nearest-even": (-2, -2, -1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2),
    "toward-zero": (-1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1),
}
RANDOMLY_ROUNDED = {
    ("stochastic", 0): ROUNDED["floor"],
    ("stochastic", 1): (-2, -2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2),
    ("stochastic", 2): (-2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2),
    ("stochastic", 3): (-1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2),
    ("lsb-stochastic", 0): (-1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1),
    ("lsb-stochastic", 1): (-1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1),
    ("lsb-stochastic", 2): (-1, -1, -1, -1, -1, -1, 0, 0, 0, 1, 1, 1, 1, 1, 1),
    ("lsb-stochastic", 3): (-1, -1, -1, -1, -1, -1, -1, 0, 1, 1, 1, 1, 1, 1, 1),
}


@pytest.mark.parametrize("mode", ROUNDED)
def test_ties_and_signs(mode: str) -> None:
    assert tuple(shift_round(v, 2, mode) for v in QUARTERS) == ROUNDED[mode]


@pytest.mark.parametrize(("mode", "r"), RANDOMLY_ROUNDED)
def test_random_modes_at_every_r(mode: str, r: int) -> None:
    assert tuple(shift_round(v, 2, mode, r) for v in QUARTERS) == RANDOMLY_ROUNDED[mode, r]


HALVES = (-5, -3, -1, 1, 3, 5)  # with s = 1 every one is a tie
TIES = {
    "floor": (-3, -2, -1, 0, 1, 2),
    "nearest": (-2, -1, 0, 1, 2, 3),
    "nearest-even": (-2, -2, 0, 0, 2, 2),
    "toward-zero": (-2, -1, 0, 0, 1, 2),
}


@pytest.mark.parametrize("mode", TIES)
def test_ties_where_one_bit_is_dropped(mode: str) -> None:
    assert tuple(shift_round(v, 1, mode) for v in HALVES) == TIES[mode]


@pytest.mark.parametrize("mode", [*ROUNDED, "stochastic"])
@pytest.mark.parametrize(("v", "s", "result"), [(5, 0, 5), (-5, 0, -5), (5, -3, 40), (-5, -3, -40), (0, -3, 0)])
def test_nothing_to_drop_is_exact(mode: str, v: int, s: int, result: int) -> None:
    assert shift_round(v, s, mode) == result


@pytest.mark.parametrize(("v", "s", "result"), [(5, 0, 1), (-5, 0, -1), (1, -3, 1), (-1, -3, -1), (0, -3, 0)])
def test_a_whole_lsb_moves_one_lsb(v: int, s: int, result: int) -> None:
    assert shift_round(v, s, "lsb-stochastic") == result


EXACTLY: dict[str, Callable[[Fraction], int]] = {
    "floor": math.floor,
    "nearest": lambda x: math.floor(x + Fraction(1, 2)),
    "nearest-even": round,
    "toward-zero": math.trunc,
}


@pytest.mark.parametrize("mode", EXACTLY)
@given(v=st.integers(-(2**70), 2**70), s=st.integers(-5, 80))
def test_rounding_is_that_of_fractions(mode: str, v: int, s: int) -> None:
    assert shift_round(v, s, mode) == EXACTLY[mode](v / Fraction(2) ** s)


@given(v=st.integers(-300, 300), s=st.integers(1, 8))
def test_random_modes_have_the_right_mean(v: int, s: int) -> None:
    assert sum(shift_round(v, s, "stochastic", r) for r in range(2**s)) == v
    moved = sum(shift_round(v, s, "lsb-stochastic", r) for r in range(2**s))
    assert moved == max(-(2**s), min(2**s, v))


@pytest.mark.parametrize("call", [lambda: shift_round(1, 1, "up"), lambda: overflow(300, S16, "trap")])
def test_an_unknown_mode_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize(
    ("fmt", "code", "saturated", "wrapped", "event"),
    [
        (S16, 0, 0, 0, False),
        (S16, 127, 127, 127, False),
        (S16, -128, -128, -128, False),
        (S16, 128, 127, -128, True),
        (S16, -129, -128, 127, True),
        (S16, 255, 127, -1, True),
        (S16, 256, 127, 0, True),
        (S16, -256, -128, 0, True),
        (S16, 1000, 127, -24, True),
        (S16, -1000, -128, 24, True),
        (U08, 0, 0, 0, False),
        (U08, 255, 255, 255, False),
        (U08, 256, 255, 0, True),
        (U08, -1, 0, 255, True),
        (U08, -256, 0, 0, True),
        (U08, 1000, 255, 232, True),
    ],
)
def test_overflow(fmt: Format, code: int, saturated: int, wrapped: int, event: bool) -> None:
    assert overflow(code, fmt, "saturate") == (saturated, event)
    assert overflow(code, fmt, "wrap") == (wrapped, event)


SHARED = {
    "floor": apytypes.QuantizationMode.TRN,
    "nearest": apytypes.QuantizationMode.RND,
    "nearest-even": apytypes.QuantizationMode.RND_CONV,
    "toward-zero": apytypes.QuantizationMode.TRN_ZERO,
}
REST = {"saturate": apytypes.OverflowMode.SAT, "wrap": apytypes.OverflowMode.WRAP}


@pytest.mark.parametrize("how", REST)
@pytest.mark.parametrize("mode", SHARED)
@given(
    code=st.integers(-(2**39), 2**39 - 1),
    f=st.integers(-4, 44),
    int_bits=st.integers(-3, 12),
    width=st.integers(1, 32),
)
def test_apytypes_agrees(mode: str, how: str, code: int, f: int, int_bits: int, width: int) -> None:
    fmt = Format(True, int_bits, width - 1 - int_bits)
    # apytypes 0.5.1 saturates to the wrong end where its left shift leaves 64 bits.
    assume(abs(code) << max(0, fmt.frac_bits - f) < 2**63)
    source = apytypes.APyFixed(code, int_bits=40 - f, frac_bits=f)
    # apytypes counts the sign among the integer bits.
    theirs = source.cast(
        int_bits=int_bits + 1, frac_bits=fmt.frac_bits, quantization=SHARED[mode], overflow=REST[how]
    ).to_bits()
    ours, _ = overflow(shift_round(code, f - fmt.frac_bits, mode), fmt, how)
    assert ours % 2**width == theirs


# --- random bits ----------------------------------------------------------------------------------------------------
# The pinned numbers come from a C program with uint32_t and uint64_t arithmetic.


@pytest.mark.parametrize(
    ("x", "y"),
    [(0, 0), (1, 0x688990C0), (2, 0xD1132181), (MASK32, 0x6768824A), (0x12345678, 0xF5E71C96)],
)
def test_mix(x: int, y: int) -> None:
    assert mix(x) == y


@given(x=st.integers(0, MASK32))
def test_mix_is_undone_by_the_published_inverse(x: int) -> None:
    y = mix(x)
    y ^= y >> 16
    y = (y * 0x43021123) & MASK32
    y ^= (y >> 15) ^ (y >> 30)
    y = (y * 0x1D69E2A5) & MASK32
    assert y ^ (y >> 16) == x


@pytest.mark.parametrize(
    ("seed", "t", "variable", "element", "word"),
    [
        (0, 0, 0, 0, 0x00000000),
        (1, 0, 0, 0, 0x663092EC),
        (1, 2, 3, 4, 0xEF40C3E1),
        (1, 2**32 + 2, 3, 4, 0xECE5EDB7),
        (0x0123456789ABCDEF, 1234567890123, 18, 99999, 0x82F35594),
    ],
)
def test_word(seed: int, t: int, variable: int, element: int, word: int) -> None:
    assert random_word(seed, t, variable, element) == word


@pytest.mark.parametrize(
    ("s", "g", "r"),
    [
        (1, 16, 0b1),
        (4, 16, 0b1010),
        (16, 16, 0xABCD),
        (17, 16, 0xABCD * 2 + 1),
        (20, 16, 0xABCD * 16 + 8),
        (40, 16, (0xABCD << 24) + (1 << 23)),
        (32, 32, 0xABCDEF12),
        (33, 32, 0xABCDEF12 * 2 + 1),
        (1, 1, 1),
        (2, 1, 0b11),
    ],
)
def test_the_top_bits_of_a_word(s: int, g: int, r: int) -> None:
    assert random_below(0xABCDEF12, s, g) == r


@given(s=st.integers(1, 12), g=st.integers(1, 8))
def test_few_random_bits_have_no_bias(s: int, g: int) -> None:
    """Over all words the mean of r is (2^s - 1)/2 where enough bits are drawn, and 2^s/2 where they are not."""
    total = sum(random_below(top << 20, s, g) for top in range(2**12))
    assert 2 * total == 2**12 * (2**s - 1 if s <= g else 2**s)


def test_lfsr_is_pinned() -> None:
    lfsr = LFSR(key_of(1, 0))
    assert [lfsr.draw() for _ in range(3)] == [0xB1004E36, 0x5880271B, 0x8F40138D]
    assert LFSR(0).state == 1 and LFSR(0).draw() == 0xA3000000


def test_lfsr_does_not_come_back() -> None:
    lfsr = LFSR(key_of(7, 3))
    states = {lfsr.draw() for _ in range(100_000)}
    assert len(states) == 100_000 and 0 not in states


def test_lfsr_has_the_longest_period() -> None:
    """A step is linear over bits: its order divides 2^32 - 1 and no 2^32 - 1 over a prime factor."""

    def applied(columns: Sequence[int], x: int) -> int:
        result = 0
        for bit, image in enumerate(columns):
            if x >> bit & 1:
                result ^= image
        return result

    def power(columns: list[int], exponent: int) -> list[int]:
        result = identity
        while exponent:
            if exponent & 1:
                result = [applied(columns, x) for x in result]
            columns, exponent = [applied(columns, x) for x in columns], exponent >> 1
        return result

    identity = [1 << bit for bit in range(32)]
    step = [LFSR(1 << bit).draw() for bit in range(32)]
    assert power(step, 2**32 - 1) == identity
    for prime in (3, 5, 17, 257, 65537):
        assert power(step, (2**32 - 1) // prime) != identity


# --- cross-entropy --------------------------------------------------------------------------------------------------


def test_table_is_that_of_mpmath() -> None:
    with mpmath.workdps(40):
        assert [int(mpmath.nint(mpmath.power(2, 16 - mpmath.mpf(i) / 256))) for i in range(256)] == TABLE
        assert int(mpmath.nint(mpmath.log(mpmath.e, 2) * 2**14)) == integer_oracle.LOG2_E
    assert TABLE[0] == 65536 and TABLE[128] == 46341 and TABLE[255] == 32857


@given(
    y=st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=8),
    f_readout=st.integers(-16, 20),
    f_error=st.integers(0, 20),
)
def test_softmax(y: list[int], f_readout: int, f_error: int) -> None:
    P = softmax(y, f_readout, f_error)
    # Each probability is off by half a unit at most.
    assert 2 * abs(sum(P) - 2**f_error) <= len(y)
    with mpmath.workdps(30):
        E = [mpmath.exp(mpmath.ldexp(y_k - max(y), -f_readout)) for y_k in y]
        for P_k, E_k in zip(P, E, strict=True):
            # The table's step of 2^(-1/256) is 0.27 %; log2 e with 14 bits matters only where E is small.
            assert abs(P_k - mpmath.ldexp(E_k / sum(E), f_error)) <= 0.5 + 0.003 * 2**f_error


def test_softmax_error_by_hand() -> None:
    assert softmax([5, 5], 0, 8) == [128, 128]
    assert softmax([3], 2, 4) == [16]
    # d = 1.0 with 4 fraction bits: z = 16 · 23637 = 378192, w = z >> 18 = 1, i = (z >> 10) & 255 = 369 - 256 = 113;
    # T[113] = round(2^(16 - 113/256)) = 48262, E = 65536 and 24131, S = 89667:
    # P = ⌊(2 · 65536 · 256 + S) / 2S⌋ = 187, ⌊(2 · 24131 · 256 + S) / 2S⌋ = 69.
    assert TABLE[113] == 48262
    assert softmax([16, 0], 4, 8) == [187, 69]
    assert softmax_error([16, 0], [0, 256], 4, 8) == [187, -187]
    with pytest.raises(ValueError):
        softmax([1, 2], 4, -1)


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


def test_steps_without_a_mask_make_no_update() -> None:
    spec = make_spec(rounding=dict.fromkeys(LANDINGS, "stochastic"), noise="lfsr")
    masked: list[Lane] = [([[4], [4]], [[9], [9]], [0, 0])]
    for rule in integer_oracle.RULES:
        run = train(spec, ONE, masked, rule, tau=2)
        assert {k: v for k, v in finals(run).items() if k in "AWB"} == {"A": 4, "W": 4, "B": 4}
        assert sum(run.dead_updates.values()) == 0


def test_lfsr_draws_in_storage_order() -> None:
    """Two lanes of two units: four draws of `current` a step, lane by lane, in steps of the whole run."""
    A, W, B = [[4, 4]], [[1, 2], [3, 1]], [[1], [3]]
    data: list[Lane] = [([[3], [1]], [[0], [0]], [1, 1]), ([[1]], [[0]], [1])]
    spec = make_spec(2, 6, rounding={"current": "stochastic"}, noise="lfsr")
    run = train(spec, {"A": A, "W": W, "B": B, "R": None}, data, "eprop", learn=(), batch=2)
    lfsr, h = LFSR(key_of(1, VARIABLES["current"])), [[0, 0], [0, 0]]
    for x, found in zip(((3, 1), (1, 0)), run.h, strict=True):
        for b in range(2):
            sums = [W[i][0] * h[b][0] + W[i][1] * h[b][1] + B[i][0] * x[b] for i in (0, 1)]
            u = [(v + (lfsr.draw() >> 30)) >> 2 for v in sums]
            h[b] = [(h[b][i] + u[i] + 1) >> 1 for i in (0, 1)]
        assert found == h


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


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rule", LANDED)
def test_every_landing_counts_through_its_elements(rule: str, masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each step each variable lands once, its elements 0, 1, 2, … in order; t counts the steps of the run."""
    found: dict[tuple[str, int], list[int]] = {}
    rounded = Landings.rounded

    def spy(self: Landings, name: str, v: int, s: int, element: int, t: int | None = None) -> int:
        found.setdefault((name, self.t if t is None else t), []).append(element)
        return rounded(self, name, v, s, element, t)

    monkeypatch.setattr(Landings, "rounded", spy)
    weights = {"A": [[1] * 3] * 2, "W": [[1] * 3] * 3, "B": [[1]] * 3, "R": [[1] * 3] * 2}
    data: list[Lane] = [([[1]] * T, [[0, 0]] * T, [int(not masked)] * T) for T in (3, 2, 1, 3)]
    tau = 4
    train(make_spec(), weights, data, rule, tau=tau, batch=2)
    expected = {}
    for t in range(6):
        for name, size in LANDED[rule].items():
            if not (masked and (name in WEIGHTS or name.startswith("step"))):
                expected[name, t] = list(range(size))
        if rule == "tbptt":
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
        y = np.concatenate([np.array(lanes, dtype=float) for lanes in ours.y]) / 2.0 ** bits["readout"]
        expected_y = np.concatenate(theirs.y)
        present = ~np.isnan(expected_y)
        return max(worst, float(np.abs(y - expected_y)[present].max())), moved


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
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_inference_is_learning_that_does_not_learn(noise: str, batch: int) -> None:
    real, spec = Real(4, "squared-error"), coarse(noise=noise)
    weights = real.weights(CASES["rflo-factored"][1], SIX)
    weights |= {"M": real.codes(real.A, 6), "N": real.codes(real.B[:3], 6)}
    for name in ("rflo-dense", "rflo-factored"):
        given = weights if name == "rflo-factored" else {**weights, "M": None}
        run = train(spec, given, real.lanes(6), name, learn=(), batch=batch)
        outputs, first, at = run_forward(spec, given, real.lanes(6), batch=batch), 0, 0
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
