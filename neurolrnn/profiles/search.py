"""Fewest bits that pass a test: bisection one knob at a time, then all together, then what can go again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Knob(NamedTuple):
    """A number of bits to be chosen."""

    name: str
    least: int
    most: int
    """Bits with which the test passes as far as this knob is concerned."""
    cost: float = 1.0
    """What a bit of it takes."""
    late: bool = False
    """Whether it stays at ``most`` until the others are found."""


Bits = dict[str, int]


@dataclass
class Found:
    """Result of :func:`search`.

    Attributes
    ----------
    bits : dict of str to int
        The choice; it has passed.
    alone : dict of str to int
        Fewest bits of each knob with all others at their most.
    tried : list of (bits, passed)
        Every test, in order.
    exhausted : bool
        Whether the budget ended the search.
    """

    bits: Bits
    alone: Bits = field(default_factory=dict)
    tried: list[tuple[Bits, bool]] = field(default_factory=list)
    exhausted: bool = False


class _Exhausted(Exception):
    pass


def search(knobs: Sequence[Knob], passes: Callable[[Mapping[str, int]], bool], tests: int = 1000) -> Found | None:
    """Return few bits that pass.

    Parameters
    ----------
    knobs : sequence of Knob
    passes : callable
        Of the bits of all knobs; more bits are taken to be no worse.
    tests : int
        Largest number of tests; then the best so far is returned.

    Returns
    -------
    Found or None
        None if not even the most bits pass.

    Notes
    -----
    Knobs are bisected one at a time with all others at their most, which gives a lower bound for each. If all at their
    bounds fail together (errors add up), the same number of bits is added to all, as few as pass, and taken away again
    one by one where that passes, the dearest first. The result is a local optimum: no single bit can be left out. It
    is the best one where the errors of the knobs do not add up. About Σ log2(most - least) tests.
    """
    top = {knob.name: knob.most for knob in knobs}
    found = Found(dict(top))

    def test(bits: Bits) -> bool:
        for seen, verdict in found.tried:
            if seen == bits:
                return verdict
        if len(found.tried) >= tests:
            raise _Exhausted
        verdict = bool(passes(dict(bits)))
        found.tried.append((dict(bits), verdict))
        if verdict and _cost(knobs, bits) < _cost(knobs, found.bits):
            found.bits = dict(bits)
        return verdict

    if not test(top):
        return None
    try:
        for knob in knobs:
            if not knob.late:
                found.alone[knob.name] = _bisect(lambda b, k=knob: test({**top, k.name: b}), knob.least, knob.most)  # type: ignore[misc]
        early = [knob for knob in knobs if not knob.late]
        room = max((knob.most - found.alone[knob.name] for knob in early), default=0)

        def more(extra: int) -> Bits:
            return {**top, **{k.name: min(found.alone[k.name] + extra, k.most) for k in early}}

        now = more(_bisect(lambda extra: test(more(extra)), 0, room))
        now = _take_away(knobs, now, {**{k.name: k.least for k in knobs}, **found.alone}, test)
        found.bits = now
    except _Exhausted:
        found.exhausted = True
    return found


def _bisect(passes: Callable[[int], bool], least: int, most: int) -> int:
    """Return the fewest that pass, where ``most`` does."""
    low, high = least - 1, most  # low fails, or is below what is allowed
    while high - low > 1:
        middle = (low + high) // 2
        if passes(middle):
            high = middle
        else:
            low = middle
    return high


def _take_away(knobs: Sequence[Knob], bits: Bits, floor: Mapping[str, int], test: Callable[[Bits], bool]) -> Bits:
    """Take single bits away, the dearest first, as long as that passes; what failed once stays."""
    open_knobs = sorted((k for k in knobs if bits[k.name] > floor[k.name]), key=lambda k: -k.cost)
    while open_knobs:
        for knob in list(open_knobs):
            fewer = {**bits, knob.name: bits[knob.name] - 1}
            if test(fewer):
                bits = fewer
                if bits[knob.name] <= floor[knob.name]:
                    open_knobs.remove(knob)
            else:
                open_knobs.remove(knob)
    return bits


def _cost(knobs: Sequence[Knob], bits: Mapping[str, int]) -> float:
    return sum(knob.cost * bits[knob.name] for knob in knobs)
