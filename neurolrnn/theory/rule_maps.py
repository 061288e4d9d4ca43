"""Numbers over the whole optimal manifold: stability over (s, w*), and speeds of several rules beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.tables import text_table
from neurolrnn.theory.mode_stability import classify, crossings, rate, slowest, trace_determinant
from neurolrnn.theory.rank import RankBound, rank_bound
from neurolrnn.theory.stationary_points import Array, PointOptions

KINDS = ("stable node", "stable focus", "saddle", "unstable node", "unstable focus", "marginal")
"""What a point of the optimal manifold can be, see :func:`classify`."""
RULE_LABELS = ("bptt", "tbptt", "rflo", "rflo-sym", "fa_bptt")
"""Rules as the pictures name them: ``"rflo"`` has fixed feedback, ``"rflo-sym"`` feedback that follows A."""


@dataclass(frozen=True, eq=False)
class StabilityMap:
    """How the optimum a = s, b = c/s, w = w* holds a mode, over a grid of s and w*."""

    rule: str
    c: float
    a_hat: float | None
    s: Array
    """(columns,); never 0."""
    w_star: Array
    """(rows,)"""
    kinds: NDArray[np.str_]
    """(rows, columns), of :data:`KINDS`."""

    @property
    def stable(self) -> NDArray[np.bool_]:
        """Where every start close enough settles, (rows, columns)."""
        return np.char.startswith(self.kinds, "stable")

    @property
    def wrong_sign(self) -> NDArray[np.bool_]:
        """Where feedback has the wrong sign, â s < 0, (rows, columns); nowhere if it follows A."""
        return np.broadcast_to(False if self.a_hat is None else self.a_hat * self.s < 0.0, self.kinds.shape)

    def shares(self, where: NDArray[np.bool_] | None = None) -> dict[str, float]:
        """Return the share of the points that is of each kind, of all of them or of those of a mask."""
        kinds = self.kinds if where is None else self.kinds[where]
        return {kind: float((kinds == kind).mean()) if kinds.size else 0.0 for kind in KINDS}


def stability_map(
    rule: str,
    *,
    c: float = 1.0,
    a_hat: float | None = None,
    decay: float | None = None,
    steps: int = 1,
    s: tuple[float, float] = (-4.0, 4.0),
    w_star: tuple[float, float] = (-0.95, 0.95),
    points: int = 240,
    rates: float | Mapping[str, float] = 1.0,
) -> StabilityMap:
    """Return the kind of every point of the optimal manifold over a grid of s and w* (T = inf).

    Parameters
    ----------
    rule : str
        ``"rflo"``, ``"tbptt"``, ``"eprop"``, ``"rtrl"``, ``"bptt"`` or ``"fa_bptt"``.
    c, a_hat, decay, steps, rates
        As in :func:`jacobian`.
    s, w_star : (float, float)
        Ranges, w* inside (-1, 1).
    points : int
        Along each axis; made even, so that a range that is symmetric about 0 misses s = 0.
    """
    n = positive_integer("points", points, 2)
    n += n % 2
    lines = []
    for name, (low, high), edge in (("s", s, np.inf), ("w_star", w_star, 1.0)):
        if not (-edge < real_number(name, low) < real_number(name, high) < edge):
            raise InputError(f"{name} = {(low, high)!r}; two rising numbers are needed" + " below 1" * (edge == 1.0))
        lines.append(np.linspace(low, high, n))
    lines[0] = np.where(lines[0] == 0.0, 1e-9, lines[0])
    gs, gw = np.meshgrid(*lines)
    found = trace_determinant(rule, gs, c=c, w_star=gw, a_hat=a_hat, decay=decay, steps=steps, rates=rates)
    return StabilityMap(rule, float(c), a_hat, lines[0], lines[1], classify(*found))


class RateRow(NamedTuple):
    """Speed of one rule for one teacher."""

    rule: str
    w_star: float
    slowest_s: float
    slowest_rate: float
    """λ_- there."""
    at_balance: float
    """λ_- at s = √|c|."""
    crossings: tuple[float, ...]
    """Values of s at which it is as fast as the first rule of the list."""
    at_an_end: bool
    """Whether the slowest s is an end of the range, so that there is no minimum inside."""


def labelled(label: str, a_hat: float = 1.0, decay: float | None = None, steps: int = 1) -> tuple[str, dict[str, Any]]:
    """Return the name of a rule of :data:`RULE_LABELS` and those of the options that it has."""
    choose("rule", label, RULE_LABELS)
    if label == "tbptt":
        return "tbptt", {"steps": steps}
    if label == "fa_bptt":
        return "fa_bptt", {"a_hat": a_hat}
    if label == "bptt":
        return "bptt", {}
    return "rflo", {"decay": decay} | ({"a_hat": a_hat} if label == "rflo" else {})


def rate_rows(
    rules: Sequence[str] = ("bptt", "tbptt", "rflo"),
    w_star: Sequence[float] = (0.3, 0.6, 0.9),
    *,
    c: float = 1.0,
    a_hat: float = 1.0,
    decay: float | None = 0.5,
    steps: int = 1,
    between: tuple[float, float] = (0.02, 50.0),
) -> list[RateRow]:
    """Return where each rule is slowest, and where it is as fast as the first one.

    Parameters
    ----------
    rules : sequence of str
        Of :data:`RULE_LABELS`.
    w_star : sequence of float
        Teachers.
    c, a_hat, decay, steps
        As in :func:`jacobian`, for the rules that have them.
    between : (float, float)
        Range of s, of the sign of â.
    """
    if not len(rules) or not len(w_star):
        raise InputError("rules and w_star must each name at least one")
    rows = []
    reference, theirs = labelled(rules[0], a_hat, decay, steps)
    for star in w_star:
        for label in rules:
            name, options = labelled(label, a_hat, decay, steps)
            s, value = slowest(name, w_star=star, c=c, between=between, **options)
            balance = float(rate(name, np.copysign(abs(c) ** 0.5, between[0]), c=c, w_star=star, **options))
            met = [] if label == rules[0] else crossings(
                name, reference, w_star=star, c=c, between=between, other_options=cast("PointOptions", theirs),
                **options
            )  # fmt: skip
            end = bool(np.isclose(s, between, rtol=1e-3).any())
            rows.append(RateRow(label, float(star), s, value, balance, tuple(met), end))
    return rows


def rate_curve(label: str, s: Array, w_star: float, *, c: float = 1.0, a_hat: float = 1.0, decay: float | None = 0.5,
               steps: int = 1) -> Array:  # fmt: skip
    """Return λ_- of a rule of :data:`RULE_LABELS` at every s."""
    name, options = labelled(label, a_hat, decay, steps)
    return rate(name, s, c=c, w_star=w_star, **options)


def rate_table(rows: Sequence[RateRow]) -> str:
    """Return the rows as text."""
    return text_table(
        [
            (r.rule, f"{r.w_star:g}", f"{r.slowest_s:.3g}" + (" (end of range)" if r.at_an_end else ""),
             f"{r.slowest_rate:.3g}", f"{r.at_balance:.3g}", ", ".join(f"{x:.3g}" for x in r.crossings) or "-")
            for r in rows
        ],
        ["rule", "w*", "slowest at s", "λ there", "λ at √|c|", f"as fast as {rows[0].rule} at s"],
        "lrlrr",
    )  # fmt: skip


RANKED = (
    ("rflo", "random"), ("rflo", "symmetric"), ("tbptt", "symmetric"), ("tbptt", "random"), ("eprop", "symmetric"),
    ("eprop", "random"), ("rtrl", "symmetric"), ("bptt", "symmetric"), ("fa_bptt", "random"),
)  # fmt: skip


def rank_bounds(
    n_rec: int, n_in: int, n_out: int, loss: str = "squared-error"
) -> dict[tuple[str, str], RankBound]:  # fmt: skip
    """Return the bound of every rule on the rank of [ΔW | ΔB], by rule and feedback; see :func:`rank_bound`."""
    return {
        (rule, feedback): rank_bound(rule, n_rec, n_in, n_out, feedback=feedback, loss=loss)
        for rule, feedback in RANKED
    }
