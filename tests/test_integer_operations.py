"""The operations of the integer oracle judged from outside: tables by hand, apytypes, mpmath, a C program."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import apytypes
import integer_oracle
import mpmath  # type: ignore[import-untyped]
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from integer_oracle import (
    LFSR,
    MASK32,
    TABLE,
    Format,
    key_of,
    mix,
    overflow,
    random_below,
    random_word,
    shift_round,
    softmax,
    softmax_error,
)

S16 = Format(True, 1, 6)
U08 = Format(False, 0, 8)

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
