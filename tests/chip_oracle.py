"""The arithmetic of chips on unbounded Python integers, written from their sheets' text; imports no kernel."""

from __future__ import annotations


def saturated(x: int, lo: int, hi: int) -> int:
    return min(max(x, lo), hi)


def wrapped(x: int, bits: int) -> int:
    return (x + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


# --- Loihi: "x * (4096 - d) >> 12, toward zero", current wraps at 24 bits, state saturates at +-(2^23 - 1)


def loihi_decayed(x: int, d: int) -> int:
    size = abs(x) * (4096 - d) >> 12
    return size if x >= 0 else -size


def loihi_current(u: int, arrived: int, d: int) -> int:
    """``arrived`` is shifted left by 6; the decay of a current has an offset of 1."""
    return wrapped(loihi_decayed(u, d + 1) + (arrived << 6), 24)


def loihi_state(v: int, u: int, d: int) -> int:
    return saturated(loihi_decayed(v, d) + u, -(2**23) + 1, 2**23 - 1)


def loihi_weight(total: int, draw: int) -> int:
    """A sum with 7 bits more than a weight, rounded up where the draw of 128 is below what is dropped."""
    return (total >> 7) + (draw < total % 128)


def loihi_trace(trace: int, whole: int, part: int, draw: int) -> int:
    """An impulse with 8 fraction bits added to a trace of 7 bits without a sign, which saturates."""
    return saturated(trace + whole + (draw < part), 0, 127)


def loihi_width(mantissa: int, bits: int) -> int:
    """A mantissa of both signs, -256 to 255, cut to a selectable width: its lowest 9 - bits bits are dropped."""
    return mantissa >> (9 - bits) << (9 - bits)


# --- ReckOn: u * alpha >> 15 (floor), saturating at 16 bits; +-1 LSB with P(|dw| << p >> r >= LFSR), within 8 bits


def reckon_update(dw: int, w: int, p: int, r: int, draw: int) -> int:
    likely = min(abs(dw) << p, 2**32 - 1) >> r
    moved = w + (0 if dw == 0 or likely < draw else 1 if dw > 0 else -1)
    return moved if -128 <= moved <= 127 else w


def reckon_state(u: int, alpha: int, arrived: int) -> int:
    return saturated((u * alpha >> 15) + arrived, -(2**15), 2**15 - 1)
