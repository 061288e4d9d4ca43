"""Formats, roundings and random bits: by hand, against the outside library apytypes, and by counting."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numba
import numpy as np
import pytest
from apytypes import APyFixedArray, OverflowMode, QuantizationMode
from hypothesis import given
from hypothesis import strategies as st

from neurolrnn_kernels import grid as at
from neurolrnn_kernels import noise
from neurolrnn_kernels.formats import OVERFLOWS, ROUNDINGS, FormatError, Overflow, QFormat, Rounding
from neurolrnn_kernels.landing import round_row, store_row
from neurolrnn_kernels.noise import variable_key
from neurolrnn_kernels.plain import Plain
from neurolrnn_kernels.updates import update_row

OUTSIDE = {
    "floor": QuantizationMode.TRN,
    "nearest": QuantizationMode.RND,
    "nearest-even": QuantizationMode.RND_CONV,
    "toward-zero": QuantizationMode.TRN_ZERO,
}
"""The deterministic roundings, under the names that apytypes gives them."""
OUTSIDE_OVERFLOW = {"saturate": OverflowMode.SAT, "wrap": OverflowMode.WRAP}
Z = 5.0
"""Standard errors that a mean over many draws may be off: a correct source fails once in two million times."""

compiled_round = numba.njit(lambda v, row, t, base: round_row(v, row, t, base))
compiled_store = numba.njit(lambda v, out, row, lo, hi: store_row(v, out, row, lo, hi))
compiled_update = numba.njit(lambda v, W, H, row, t, base: update_row(v, W, H, row, t, base))
WAYS = {"python": (round_row, store_row), "compiled": (compiled_round, compiled_store)}
Way = tuple[Callable[..., None], Callable[..., None]]


PLAIN = Plain()


def mix(x: int) -> int:
    return int(noise.mix(PLAIN.cast(x, "uint32"))[0])


def stream(key: int, t: int) -> int:
    return int(noise.stream(PLAIN, key, t)[0])


def word(start: int, element: int) -> int:
    return int(noise.mix(noise.seed(PLAIN, PLAIN.cast(start, "uint32"), element))[0])


def shift_register(state: int) -> int:
    return int(noise.shift_register(PLAIN, PLAIN.cast(state, "uint32"))[0])


def grid_row(
    shift: int, rounding: str, form: QFormat | None = None, overflow: str = "saturate", **fields: int
) -> np.ndarray:
    """One row of the grid, as a run would fill it."""
    v: np.ndarray = at.real_grid()[0]
    v[at.SHIFT], v[at.ROUNDING], v[at.OVERFLOW] = shift, ROUNDINGS[rounding], OVERFLOWS[overflow]
    v[at.STRIDE], v[at.RANDOM_BITS] = 1, 16
    if form is not None:
        v[at.LO], v[at.HI], v[at.FRAC] = form.lo, form.hi, form.frac_bits
    for field, value in fields.items():
        v[at.FIELDS.index(field)] = value
    return v


# --- formats


@pytest.mark.parametrize(
    ("text", "width", "lo", "hi", "resolution"),
    [
        ("s1.6", 8, -128, 127, 2.0**-6),
        ("u0.8", 8, 0, 255, 2.0**-8),
        ("s0.0", 1, -1, 0, 1.0),
        ("u1.0", 1, 0, 1, 1.0),
        ("s-3.10", 8, -128, 127, 2.0**-10),
        ("s10.-3", 8, -128, 127, 8.0),
        ("s1.30", 32, -(2**31), 2**31 - 1, 2.0**-30),
        ("u0.32", 32, 0, 2**32 - 1, 2.0**-32),
    ],
)
def test_a_format_is_its_width_and_its_grid(text: str, width: int, lo: int, hi: int, resolution: float) -> None:
    form = QFormat.parse(f" {text} ")
    assert str(form) == text
    assert QFormat.parse(str(form)) == form
    assert (form.width, form.lo, form.hi, form.resolution) == (width, lo, hi, resolution)
    assert form.range == (lo * resolution, hi * resolution)
    assert form.decode([lo, hi]).tolist() == list(form.range)
    assert form.encode(form.range).tolist() == [lo, hi]


@pytest.mark.parametrize(
    "text", ["1.6", "s1", "s1,6", "q1.6", "s1.6.2", "S1.6", "", "s 1.6", "sx.6", "s1.6 floor", None, 7]
)
def test_what_is_no_format_is_refused_with_an_example(text: Any) -> None:
    with pytest.raises(FormatError, match=r"is not a format; .*'s1\.6' is sign, 1 integer bit and 6 fraction bits"):
        QFormat.parse(text)


@pytest.mark.parametrize(
    ("text", "bits"), [("s1.31", 33), ("u1.32", 33), ("s-2.1", 0), ("u0.0", 0), ("s3.-9", -5), ("u99.99", 198)]
)
def test_widths_of_less_than_1_and_more_than_32_are_refused(text: str, bits: int) -> None:
    with pytest.raises(FormatError, match=rf"{text} is {bits} bits wide; 1 to 32 are possible"):
        QFormat.parse(text)


def test_values_and_modes_without_a_code_are_refused() -> None:
    form = QFormat.parse("s1.6")
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(FormatError, match=rf"{bad} has no code in s1\.6"):
            form.encode([0.5, bad])
    with pytest.raises(FormatError, match="rounding 'round' is not known; allowed: floor, nearest"):
        form.encode(0.5, "round")
    with pytest.raises(FormatError, match="overflow 'clip' is not known; allowed: saturate, wrap"):
        form.encode(0.5, overflow="clip")
    with pytest.raises(FormatError, match="give rng"):
        form.encode(0.5, "stochastic")
    with pytest.raises(FormatError, match="rounds updates only"):
        form.encode(0.5, "lsb-stochastic")


# --- ties, signs and ends, by hand

# Eighths of a code, dropped to whole codes: s = 3.
EIGHTHS = (-20, -17, -16, -13, -12, -11, -8, -5, -4, -3, -1, 0, 1, 3, 4, 5, 8, 11, 12, 13, 16, 17, 20)
ROUNDED = {
    "floor":        (-3, -3, -2, -2, -2, -2, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2),
    "nearest":      (-2, -2, -2, -2, -1, -1, -1, -1,  0,  0,  0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3),
    "nearest-even": (-2, -2, -2, -2, -2, -1, -1, -1,  0,  0,  0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2),
    "toward-zero":  (-2, -2, -2, -1, -1, -1, -1,  0,  0,  0,  0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2),
}  # fmt: skip


@pytest.mark.parametrize("mode", ROUNDED)
def test_ties_and_signs_by_hand(mode: str) -> None:
    form = QFormat.parse("s7.0")
    assert form.encode(np.array(EIGHTHS) / 8, mode).tolist() == list(ROUNDED[mode])
    for dtype in (np.int32, np.int64):
        for rounding, _ in WAYS.values():
            row = np.array(EIGHTHS, dtype)
            rounding(grid_row(3, mode), row, 0, 0)
            assert row.tolist() == list(ROUNDED[mode])


@pytest.mark.parametrize("mode", ROUNDED)
def test_fewer_fraction_bits_than_there_are_is_exact(mode: str) -> None:
    for rounding, _ in WAYS.values():
        row = np.array([-3, 0, 5], np.int32)
        rounding(grid_row(-4, mode), row, 0, 0)
        assert row.tolist() == [-48, 0, 80]


@pytest.mark.parametrize(
    ("text", "overflow", "numbers", "codes", "events"),
    [
        ("s2.0", "saturate", (-9, -5, -4, 3, 4, 8), (-4, -4, -4, 3, 3, 3), 4),
        ("s2.0", "wrap", (-9, -5, -4, 3, 4, 8, 15), (-1, 3, -4, 3, -4, 0, -1), 5),
        ("u3.0", "saturate", (-9, -1, 0, 7, 8, 16), (0, 0, 0, 7, 7, 7), 4),
        ("u3.0", "wrap", (-9, -1, 0, 7, 8, 16), (7, 7, 0, 7, 0, 0), 4),
        ("s0.0", "saturate", (-2, -1, 0, 1), (-1, -1, 0, 0), 2),
        ("s0.0", "wrap", (-2, -1, 0, 1), (0, -1, 0, -1), 2),
    ],
)
def test_both_ends_by_hand(
    text: str, overflow: str, numbers: tuple[int, ...], codes: tuple[int, ...], events: int
) -> None:
    form = QFormat.parse(text)
    assert form.encode(numbers, overflow=overflow).tolist() == list(codes)
    assert int(form.overflows(numbers).sum()) == events
    for _, store in WAYS.values():
        v, out = grid_row(0, "nearest", form, overflow), np.zeros(len(numbers), np.int16)
        store(v, out, np.array(numbers, np.int32), form.lo, form.hi)
        assert out.tolist() == list(codes)
        assert v[at.EVENTS] == events


def test_overflow_is_judged_after_rounding() -> None:
    form = QFormat.parse("s1.6")  # up to 127/64
    assert form.encode([127.4 / 64, 127.5 / 64], overflow="wrap").tolist() == [127, -128]
    assert form.encode([127.5 / 64], "floor", "wrap").tolist() == [127]
    assert form.overflows([127.4 / 64, 127.5 / 64, -2.0, -2.01]).tolist() == [False, True, False, True]


# --- against apytypes


@st.composite
def landings(draw: Any, widest: int = 16) -> tuple[QFormat, str, str, int, list[int]]:
    """A signed format, its modes, and integers with ``frac`` fraction bits that are to land in it.

    Sources have at most 40 bits and are moved by at most 20: apytypes 0.5 saturates to the wrong end where its own
    left shift exceeds 64 bits.
    """
    width, frac = draw(st.integers(1, widest)), draw(st.integers(-4, 20))
    form = QFormat(True, width - 1 - frac, frac)
    moved = draw(st.integers(-4, 16))
    size = draw(st.integers(1, 39 if widest > 16 else 24))
    numbers = draw(st.lists(st.integers(-(2**size), 2**size - 1), min_size=1, max_size=8))
    if moved > 0:  # ties and neighbours of ties are what roundings differ in
        half = 1 << (moved - 1)
        ties = draw(st.lists(st.integers(-(2**6), 2**6), max_size=4))
        numbers += [(k << moved) + half + off for k in ties for off in (-1, 0, 1)]
    return form, draw(st.sampled_from(sorted(OUTSIDE))), draw(st.sampled_from(sorted(OVERFLOWS))), frac + moved, numbers


def outside(form: QFormat, mode: str, overflow: str, frac: int, numbers: list[int]) -> list[int]:
    """What apytypes makes of ``numbers`` · 2^-frac."""
    given = APyFixedArray([k & (2**44 - 1) for k in numbers], int_bits=44 - frac, frac_bits=frac)
    cast = given.cast(
        int_bits=form.int_bits + 1, frac_bits=form.frac_bits, quantization=OUTSIDE[mode],
        overflow=OUTSIDE_OVERFLOW[overflow],
    )  # fmt: skip
    return [code - (2**form.width if code > form.hi else 0) for code in cast.to_bits()]


@given(landings(32))
def test_encode_is_what_apytypes_casts(case: tuple[QFormat, str, str, int, list[int]]) -> None:
    form, mode, overflow, frac, numbers = case
    values = np.ldexp(np.array(numbers, float), -frac)
    codes = form.encode(values, mode, overflow)
    assert codes.tolist() == outside(*case)
    assert form.encode(form.decode(codes), mode, overflow).tolist() == codes.tolist()


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_landings_are_what_apytypes_casts(way: Way, dtype: type) -> None:
    @given(landings(16 if dtype == np.int32 else 32))
    def check(case: tuple[QFormat, str, str, int, list[int]]) -> None:
        form, mode, overflow, frac, numbers = case
        shift = frac - form.frac_bits
        v = grid_row(shift, mode, form, overflow)
        row: np.ndarray = np.array(numbers, dtype)
        out = np.zeros(len(numbers), np.int16 if form.width <= 16 else np.int32)
        way[0](v, row, 0, 0)
        exact = row.tolist()
        way[1](v, out, row, form.lo, form.hi)
        assert out.tolist() == outside(*case)
        assert v[at.EVENTS] == sum(not form.lo <= k <= form.hi for k in exact)

    check()


# --- random roundings

LANES = 200_000
REGISTER: dict[str, Any] = {"stride": -1, "lfsr": 0x2468ACE1, "random_bits": 32}
"""Fields of a row that draws from the shift register."""


def draw_rows(
    value: int, shift: int, mode: str = "stochastic", n: int = LANES, t: int = 3, **fields: int
) -> np.ndarray:
    row = np.full(n, value, np.int64)
    compiled_round(grid_row(shift, mode, None, "saturate", **{"key": 0x1234ABCD, **fields}), row, t, 0)
    return row


def far(found: np.ndarray, expected: float) -> float:
    """Standard errors between a mean of zeros and ones (plus a whole number) and what it should be."""
    p = expected - math.floor(expected)
    spread = math.sqrt(max(p * (1 - p), 1e-12) / len(found))
    return abs(float(found.mean()) - expected) / spread


@pytest.mark.parametrize("noise", ["element", "lfsr"])
@pytest.mark.parametrize("value", [-1000, -255, -129, -128, -1, 1, 64, 100, 128, 255, 300])
def test_stochastic_rounding_is_right_on_average(value: int, noise: str) -> None:
    row = draw_rows(value, 8, **(REGISTER if noise == "lfsr" else {}))
    assert set(row.tolist()) == {value >> 8, (value >> 8) + 1}
    # Neighbouring words of a shift register share bits, so its mean is judged less strictly.
    assert far(row, value / 256) < (Z if noise == "element" else 4 * Z)


def test_whole_numbers_are_never_moved() -> None:
    for value in (-512, 0, 256):
        assert set(draw_rows(value, 8).tolist()) == {value >> 8}


def test_encode_is_right_on_average() -> None:
    form, rng = QFormat.parse("s3.4"), np.random.default_rng(0)
    for value in (-1.7, 0.03, 2.51):
        assert far(form.encode(np.full(LANES, value), "stochastic", rng=rng).astype(float), value * 16) < Z


def test_the_half_step_removes_the_bias_of_few_bits() -> None:
    """With g = 1 of s = 8 bits r is 64 or 192: never up below 64, always from 192 on, half of the time between."""
    for value, share in ((0, 0.0), (63, 0.0), (64, 0.5), (191, 0.5), (192, 1.0), (255, 1.0)):
        row = draw_rows(value, 8, random_bits=1)
        assert abs(row.mean() - share) < Z * 0.5 / math.sqrt(LANES) if share == 0.5 else row.mean() == share
    # Over all values the bias is 2^-9 of a code; without the half step it would be a quarter of one.
    values = np.tile(np.arange(256), 2000)
    row = values.copy()
    compiled_round(grid_row(8, "stochastic", random_bits=1, key=99), row, 0, 0)
    assert abs(row.mean() - values.mean() / 256) < 2**-9 + Z * 0.5 / math.sqrt(len(values))


@pytest.mark.parametrize("value", [-300, -256, -255, -64, -1, 0, 1, 64, 200, 256, 5000])
def test_lsb_stochastic_moves_by_one_lsb_in_proportion(value: int) -> None:
    for fields in ({}, REGISTER):
        row = draw_rows(value, 8, "lsb-stochastic", **fields)
        sign = (value > 0) - (value < 0)
        share = min(1.0, abs(value) / 256)
        assert set(row.tolist()) <= {0, sign}
        if share in (0.0, 1.0):
            assert set(row.tolist()) == {sign * int(share)}
        else:
            assert far(abs(row), share) < (4 * Z if fields else Z)


def test_lsb_stochastic_of_whole_lsbs_is_certain() -> None:
    for shift in (0, -3):
        row = np.array([-7, -1, 0, 1, 9], np.int64)
        compiled_round(grid_row(shift, "lsb-stochastic"), row, 0, 0)
        assert row.tolist() == [-1, -1, 0, 1, 1]


def test_updates_count_the_dead() -> None:
    """-Δ lands on the weights; what rounds to 0 without being 0 is dead."""
    for rounding in (update_row, compiled_update):
        v = grid_row(4, "nearest", QFormat.parse("s1.6"))
        W = np.array([0, 10, 20, 127, -128], np.int16)
        rounding(v, W, np.zeros(0, np.int16), np.array([0, 7, 8, -16, 32], np.int32), 0, 0)
        assert W.tolist() == [0, 10, 19, 127, -128]
        assert (v[at.UPDATES], v[at.DEAD], v[at.EVENTS]) == (4, 1, 2)


def test_hidden_weights_keep_what_is_too_small_to_see() -> None:
    v = grid_row(0, "nearest", QFormat.parse("s1.14"), visible_shift=8, visible_lo=-128, visible_hi=127)
    W, H = np.array([10], np.int16), np.array([10 << 8], np.int16)
    for k in range(1, 129):  # 128 updates of 1/256 of a code
        update_row(v, W, H, np.array([-1], np.int32), k, 0)
        assert W[0] == (10 if k < 128 else 11)  # a tie goes up
    assert v[at.DEAD] == 0


# --- random bits


def plain_mix(x: int) -> int:
    """lowbias32 on Python's integers."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


@given(st.integers(0, 2**64 - 1), st.integers(0, 30), st.integers(0, 2**63 - 1), st.integers(0, 2**31))
def test_words_are_those_of_the_contract(seed: int, variable: int, t: int, element: int) -> None:
    inner = plain_mix(plain_mix(seed % 2**32) ^ (seed >> 32))
    key = plain_mix((inner + variable * 0x9E3779B9) % 2**32)
    start = plain_mix(key ^ plain_mix((t % 2**32) ^ plain_mix(t >> 32)))
    assert variable_key(seed, variable) == key
    assert stream(key, t) == start
    assert word(stream(key, t), element) == plain_mix((start + element * 0x9E3779B9) % 2**32)


def test_pinned_words() -> None:
    """Written down once: a change of the random bits is a change of every published result."""
    assert [mix(x) for x in (0, 1, 2, 2**32 - 1)] == [0, 0x688990C0, 0xD1132181, 0x6768824A]
    assert [variable_key(*k) for k in ((7, 11), (2**40 + 3, 18))] == [0xD40EF84C, 0x7CB7F285]
    key = 0xD40EF84C
    assert [stream(key, t) for t in (0, 5, 2**33 + 5)] == [0x98C052C, 0x48C4DE32, 0x4F9898CC]
    assert [word(stream(key, 5), e) for e in (0, 1, 1000)] == [0xB4AEDFFA, 0x7ED3F2AB, 0xE9CEA12C]


def test_elements_have_bits_of_their_own_and_shared_noise_has_one_number() -> None:
    row = draw_rows(128, 8, n=1000)
    tail = np.full(600, 128, np.int64)
    compiled_round(grid_row(8, "stochastic", key=0x1234ABCD), tail, 3, 400)
    assert tail.tolist() == row[400:].tolist()  # a function of the element, not of where a row begins
    assert 350 < row.sum() < 650
    assert draw_rows(128, 8, n=1000, t=4).tolist() != row.tolist()
    assert draw_rows(128, 8, n=1000, key=5).tolist() != row.tolist()
    shared = [set(draw_rows(128, 8, n=100, t=t, stride=0).tolist()) for t in range(50)]
    assert all(len(found) == 1 for found in shared)
    assert set.union(*shared) == {0, 1}


def test_the_shift_register_steps_once_a_draw() -> None:
    v = grid_row(8, "stochastic", stride=-1, lfsr=1, random_bits=8)
    row = np.full(5, 128, np.int64)
    compiled_round(v, row, 0, 0)
    states = [0xA3000000, 0x51800000, 0x28C00000, 0x14600000, 0x0A300000]
    assert row.tolist() == [(128 + (state >> 24)) >> 8 for state in states]
    assert v[at.LFSR] == states[-1]
    compiled_round(grid_row(0, "stochastic", stride=-1, lfsr=1), row, 0, 0)  # nothing to drop, nothing drawn
    assert shift_register(0xFFFFFFFF) == 0x7FFFFFFF ^ 0xA3000000


def test_the_shift_register_has_the_longest_period() -> None:
    """A step is a matrix over bits; its order is 2^32 - 1 and no divisor of that."""

    def after(columns: list[int], x: int) -> int:
        out = 0
        for bit, column in enumerate(columns):
            if x >> bit & 1:
                out ^= column
        return out

    step = [shift_register(1 << bit) for bit in range(32)]
    identity = [1 << bit for bit in range(32)]

    def power(exponent: int) -> list[int]:
        result, square = identity, step
        while exponent:
            if exponent & 1:
                result = [after(square, c) for c in result]
            square = [after(square, c) for c in square]
            exponent >>= 1
        return result

    assert power(2**32 - 1) == identity
    for prime in (3, 5, 17, 257, 65537):
        assert power((2**32 - 1) // prime) != identity


@given(
    st.integers(-(2**20), 2**20), st.integers(1, 12), st.integers(1, 32), st.integers(0, 2**32 - 1), st.booleans()
)  # fmt: skip
def test_one_random_rounding_is_the_formula(value: int, s: int, g: int, key: int, lsb: bool) -> None:
    drawn = word(stream(key, 2), 9)
    r = drawn >> (32 - s) if s <= g else (drawn >> (32 - g)) * 2 ** (s - g) + 2 ** (s - g - 1)
    if lsb:
        want = min(1, math.floor(Fraction(abs(value) + r, 2**s))) * (-1 if value < 0 else 1)
    else:
        want = math.floor(Fraction(value + r, 2**s))
    for dtype in (np.int32, np.int64):
        for rounding, _ in WAYS.values():
            row = np.array([value], dtype)
            rounding(grid_row(s, "lsb-stochastic" if lsb else "stochastic", key=key, random_bits=g), row, 2, 9)
            assert row[0] == want


def exactly_rounded(mode: str, value: int, s: int, r: int) -> int:
    """The contract's formulas on Python's integers, for s > 0."""
    exact = Fraction(value, 2**s)
    if mode == "nearest-even":
        return round(exact)
    if mode == "toward-zero":
        return math.trunc(exact)
    if mode == "lsb-stochastic":
        return min(1, (abs(value) + r) >> s) * (-1 if value < 0 else 1)
    added = {"floor": 0, "nearest": 1 << (s - 1), "stochastic": r}
    return (value + added[mode]) >> s


@pytest.mark.parametrize("way", [update_row, compiled_update], ids=list(WAYS))
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_an_update_is_the_formula_in_every_mode(way: Callable[..., None], dtype: type) -> None:
    @given(
        st.sampled_from(sorted(ROUNDINGS)), st.sampled_from(sorted(OVERFLOWS)), st.integers(1, 12),
        st.integers(0, 1), st.integers(1, 32), st.booleans(), st.data(),
    )  # fmt: skip
    def check(mode: str, overflow: str, s: int, stride: int, g: int, hidden: bool, data: st.DataObject) -> None:
        n, base, key = (
            data.draw(st.integers(1, 9)),
            data.draw(st.integers(0, 10_000)),
            data.draw(st.integers(0, 2**32 - 1)),
        )
        fine, form = QFormat.parse("s1.10"), QFormat.parse("s1.6")
        at_end = fine if hidden else form
        old = data.draw(st.lists(st.integers(at_end.lo, at_end.hi), min_size=n, max_size=n))
        updates = data.draw(st.lists(st.integers(-(2**18), 2**18), min_size=n, max_size=n))
        v = grid_row(s, mode, at_end, overflow, key=key, stride=stride, random_bits=g, visible_shift=4,
                     visible_lo=form.lo, visible_hi=form.hi)  # fmt: skip
        W: np.ndarray = np.array([0] * n if hidden else old, np.int16)
        H: np.ndarray = np.array(old if hidden else [], np.int16)
        way(v, W, H, np.array(updates, dtype), 6, base)

        def rest(x: int, where: QFormat) -> int:
            if overflow == "saturate":
                return min(max(x, where.lo), where.hi)
            return (x - where.lo) % (1 << where.width) + where.lo

        events = dead = 0
        for i, (before, u) in enumerate(zip(old, updates, strict=True)):
            drawn = word(stream(key, 6), (base + i) * stride)
            r = drawn >> (32 - s) if s <= g else (drawn >> (32 - g)) * 2 ** (s - g) + 2 ** (s - g - 1)
            change = exactly_rounded(mode, u, s, r)
            dead += u != 0 and change == 0
            after = rest(before - change, at_end)
            events += after != before - change
            if hidden:
                assert H[i] == after
                seen = (after + 8) >> 4
                after = rest(seen, form)
                events += after != seen
            assert W[i] == after
        assert (v[at.UPDATES], v[at.DEAD], v[at.EVENTS]) == (sum(u != 0 for u in updates), dead, events)

    check()


def test_labels_are_the_words_users_write() -> None:
    assert [r.label for r in Rounding] == list(ROUNDINGS)
    assert [o.label for o in Overflow] == list(OVERFLOWS)
    assert [int(r) for r in Rounding] == list(range(6))
