"""Phase portraits of one mode: flow in a plane, where it stands still, and where every start ends."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.theory.mode_equations import ModeEquations, ModeTrajectory
from neurolrnn.theory.mode_stability import classify, in_safe_region, trace_determinant
from neurolrnn.theory.runge_kutta import ERROR, STAGES
from neurolrnn.theory.stationary_points import Array, PointOptions, mode_setting, rates_of

PLANES = ("a-w", "a-b", "b-w", "u-w")
"""Two of a, b and w at a given third one; u = a b stands for a = ±b, the plane that BPTT does not leave."""
OUTCOMES = ("diverges", "learns, a > 0", "learns, a < 0", "on the way", "ends at a = b = 0")
"""What becomes of a start, by its number in :attr:`Portrait.basins`."""
SETTLED = 1e-8
"""Share of the loss at a = b = 0 below which a start has learned."""
LARGEST = 1e4
"""A mode has run away when a or b is larger, or w reaches 1 in size."""


@dataclass(frozen=True, eq=False)
class Portrait:
    """One mode under one rule, seen in a plane. x and y are the plane's two variables."""

    rule: str
    plane: str
    third: float
    """Value of the variable that is not in the plane, at every start. NaN in the plane u-w, which has none."""
    c: float
    w_star: float
    a_hat: float | None
    x: Array
    """(columns,) grid."""
    y: Array
    """(rows,) grid."""
    flow: Array
    """(rows, columns, 2): dx/dt and dy/dt there; NaN where a mode has no stationary state."""
    basins: NDArray[np.int8]
    """(rows, columns): what becomes of a start at this point, a number in :data:`OUTCOMES`."""
    t: float
    """Time up to which the starts were followed."""
    optimum: Array
    """(points, 2): the optimal manifold {a b = c, w = w*}, projected onto the plane, NaN between its branches."""
    s: Array
    """(points,): a along the optimal manifold, NaN between its branches."""
    kinds: NDArray[np.str_]
    """(points,): how each of its points holds the mode, see :func:`classify`; "" between the branches."""
    trajectories: ModeTrajectory
    """Some starts of the plane, (times, starts)."""
    exact: bool
    """Whether the flow stays in the plane, so that trajectories lie in it and are not just seen in it."""

    @property
    def saddles(self) -> bool:
        """Whether {a = b = 0} is a fixed point for every w: feedback follows A."""
        return self.a_hat is None

    def shares(self) -> dict[str, float]:
        """Return the share of the starts that ends in each of :data:`OUTCOMES`."""
        return {name: float((self.basins == k).mean()) for k, name in enumerate(OUTCOMES)}

    def pieces(self) -> list[tuple[str, float, float]]:
        """Return the pieces of the optimal manifold that hold the mode alike: kind, and a at both ends, rising."""
        ends = np.flatnonzero(self.kinds[1:] != self.kinds[:-1]) + 1
        parts = [part for part in np.split(np.arange(len(self.s)), ends) if self.kinds[part[0]]]
        pieces = [(str(self.kinds[part[0]]), float(self.s[part].min()), float(self.s[part].max())) for part in parts]
        return sorted(pieces, key=lambda piece: piece[1])

    def safe(self) -> NDArray[np.bool_]:
        """Return which points of the grid are in Q = {â a ≥ 0, â c b ≥ 0}, (rows, columns); all False without â."""
        a, b, _ = start_in(self.plane, *np.meshgrid(self.x, self.y), self.third, self.c)
        if self.a_hat is None:
            return np.zeros(a.shape, dtype=bool)
        return in_safe_region(a, b, self.c, self.a_hat)

    def project(self, a: Array, b: Array, w: Array) -> tuple[Array, Array]:
        """Return the two coordinates of modes in this plane."""
        values = {"a": a, "b": b, "w": w, "u": a * b}
        first, second = self.plane.split("-")
        return values[first], values[second]


def start_in(plane: str, x: Array, y: Array, third: float, c: float) -> tuple[Array, Array, Array]:
    """Return a, b and w of points of a plane."""
    other = np.full_like(x, third)
    if plane == "a-w":
        return x, other, y
    if plane == "a-b":
        return x, y, other
    if plane == "b-w":
        return other, x, y
    # u has the sign of c where the mode learns; a = sqrt|u| > 0 by choice, b takes the sign.
    size = np.sqrt(np.abs(x))
    return size, np.sign(x) * size, y


def portrait(
    rule: str,
    plane: str = "a-w",
    *,
    a_star: float = 1.0,
    b_star: float = 1.0,
    w_star: float = 0.6,
    third: float | None = None,
    a_hat: float | None = None,
    decay: float | None = None,
    steps: int = 1,
    rates: float | Mapping[str, float] = 1.0,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    points: int = 101,
    t: float = 200.0,
) -> Portrait:
    """Return the phase portrait of one mode of a stationary network (T = inf).

    Parameters
    ----------
    rule : str
        ``"rflo"``, ``"tbptt"``, ``"eprop"``, ``"rtrl"``, ``"bptt"`` or ``"fa_bptt"``.
    plane : str
        ``"a-w"``, ``"a-b"``, ``"b-w"``: two variables at a given start of the third, which moves too, so that
        trajectories are seen in projection. ``"u-w"``: u = a b with a = ±b, which BPTT with equal rates of A and B does
        not leave, so that the picture is exact.
    a_star, b_star, w_star : float
        The teacher's mode.
    third : float, optional
        Where the third variable starts. Default: 0.5 for a and b, 0 for w.
    a_hat, decay, steps
        As in :func:`modes`; for ``"fa_bptt"`` â is 1 if not given.
    rates : float or dict
        Rates of A, W and B.
    x, y : (float, float), optional
        Ranges of the plane. Default: 2.5 times the optimum's size, ±0.95 for w.
    points : int
        Starts along each axis.
    t : float
        Time for which starts are followed; 1/η learning steps are one unit.

    Raises
    ------
    InputError
        If a value is not allowed, or the plane u-w does not exist for this rule.

    Notes
    -----
    BPTT conserves a² - b² at equal rates, since a Δa = b Δb; so a = ±b stays, and so does u = 0, to which every start
    with u c < 0 is drawn: there it ends at the saddle a = b = 0, and only a disturbance out of the plane would help. No
    other rule has such a plane. Every start has a step size of its own (Dormand-Prince 5(4)), so one that runs away
    does not slow the others.

    Source: Williams, Payeur & Lajoie (arXiv 2606.00243) for manifolds and stability; basins by integration, here.
    """
    choose("plane", plane, PLANES)
    n = positive_integer("points", points, 2)
    time = real_number("t", t, above=0.0)
    c = real_number("a_star", a_star) * real_number("b_star", b_star)
    if c == 0.0:
        raise InputError(f"a_star = {a_star!r}, b_star = {b_star!r}: a mode with product 0 has nothing to learn")
    if rule == "fa_bptt" and a_hat is None:
        a_hat = 1.0
    mode_setting(rule, a_hat, decay, steps, math.inf, rates)
    r = rates_of(rates)
    if plane == "u-w":
        if rule not in ("bptt", "rtrl") or r[0] != r[1]:
            raise InputError(
                f"plane = 'u-w' is left by {rule} at once: only BPTT with equal rates of A and B keeps a = ±b; "
                "take plane = 'a-w' or 'a-b'"
            )
        if third is not None:
            raise InputError(f"third = {third!r}: the plane u-w has no third variable; leave it out")
    at = math.nan if plane == "u-w" else real_number("third", _third(plane) if third is None else third)
    if plane == "a-b" and abs(at) >= 1.0:
        raise InputError(f"third = {at!r}: |w| must be below 1, or the network has no stationary state")
    equations = ModeEquations(
        rule, [a_star], [b_star], [w_star], a_hat=None if a_hat is None else [a_hat], decay=decay, steps=steps
    )
    wide = 2.5 * math.sqrt(abs(c))
    span = {"a": (-wide, wide), "b": (-wide, wide), "w": (-0.95, 0.95), "u": (-1.5 * abs(c), 2.5 * abs(c))}
    if c < 0.0:
        span["u"] = (-2.5 * abs(c), 1.5 * abs(c))
    names = plane.split("-")
    lines = [np.linspace(*_range(k, span[k] if given is None else given), n)
             for k, given in zip(names, (x, y), strict=True)]  # fmt: skip
    gx, gy = np.meshgrid(*lines)
    a, b, w = start_in(plane, gx, gy, at, c)
    slope = -r[:, :, np.newaxis] * np.array(equations.evaluate(a, b, w)[:3])
    speed = {"a": slope[0], "b": slope[1], "w": slope[2], "u": a * slope[1] + b * slope[0]}
    basins = outcomes(
        equations, a.ravel(), b.ravel(), w.ravel(), rates=rates, t=time, loss=0.5 * c * c / (1.0 - w_star * w_star)
    )
    if plane == "u-w":
        basins[gx.ravel() * c <= 0.0] = OUTCOMES.index("ends at a = b = 0")  # integration would only find its rounding
    options: PointOptions = {"a_hat": a_hat, "decay": decay, "steps": steps, "rates": rates}
    s, optimum = _optimum(plane, lines[0], c, w_star)
    kinds = np.full(s.shape, "", dtype="<U14")
    on = np.isfinite(s)
    kinds[on] = classify(*trace_determinant(rule, s[on], c=c, w_star=w_star, **options))
    return Portrait(
        rule, plane, at, c, float(w_star), a_hat, lines[0], lines[1], np.stack([speed[k] for k in names], axis=-1),
        basins.reshape(gx.shape), time, optimum, s, kinds, _some(equations, plane, lines, at, c, rates, time),
        plane == "u-w",
    )  # fmt: skip


def outcomes(
    equations: ModeEquations, a: Array, b: Array, w: Array, *, rates: float | Mapping[str, float] = 1.0,
    t: float = 200.0, loss: float = 1.0, tolerance: float = 1e-5,
) -> NDArray[np.int8]:  # fmt: skip
    """Follow many starts of one mode and return what becomes of each, numbers in :data:`OUTCOMES`, (starts,).

    Parameters
    ----------
    equations : ModeEquations
        Of one mode.
    a, b, w : (starts,)
    rates : float or dict
        Rates of A, W and B.
    t : float
        Time after which a start is "on the way".
    loss : float
        Loss to which :data:`SETTLED` is relative.
    tolerance : float
        Error per step, relative to the values and to 1e-3.
    """
    r = rates_of(rates)
    y = np.array([a, b, w], dtype=np.float64)
    found = np.full(y.shape[1], 3, dtype=np.int8)
    who = np.arange(y.shape[1])
    now, h = np.zeros(len(who)), np.full(len(who), 1e-2)

    def slope(y: Array) -> tuple[Array, Array]:
        found = equations.evaluate(y[0], y[1], y[2])
        return -r * np.array(found[:3]), found.loss

    k0, left = slope(y)
    while who.size:
        step = np.minimum(h, t - now)
        K = [k0]
        with np.errstate(all="ignore"):
            for row in STAGES:
                new = y + step * sum(q * k for q, k in zip(row, K, strict=True))
                k, ahead = slope(new)
                K.append(k)
            off = np.abs(step * sum(e * k for e, k in zip(ERROR, K, strict=True)))
            scale = tolerance * np.maximum(1e-3, np.maximum(np.abs(y), np.abs(new)))
            error = np.where(np.isfinite(new) & np.isfinite(K[-1]), off / scale, np.inf).max(axis=0)
            good = error <= 1.0
            y, k0, left = np.where(good, new, y), np.where(good, K[-1], k0), np.where(good, ahead, left)
            now = np.where(good, np.where(step == t - now, t, now + step), now)
            h = step * np.clip(0.9 * np.maximum(error, 1e-10) ** -0.2, 0.1, 5.0)
            lost = ~np.isfinite(k0).all(axis=0) | (np.abs(y) > LARGEST).any(axis=0) | (h < 1e-9)
            settled = left <= SETTLED * loss
        ended = lost | settled | (now >= t)
        if ended.any():
            found[who[ended & settled]] = np.where(y[0] > 0.0, 1, 2)[ended & settled]
            found[who[ended & lost & ~settled]] = 0
            keep = ~ended
            who, y, k0, left, now, h = who[keep], y[:, keep], k0[:, keep], left[keep], now[keep], h[keep]
    return found


def _third(plane: str) -> float:
    return 0.0 if plane == "a-b" else 0.5


def _range(name: str, given: tuple[float, float]) -> tuple[float, float]:
    low, high = (real_number(f"range of {name}", v) for v in given)
    inside = name != "w" or (low > -1.0 and high < 1.0)
    if low >= high or not inside:
        raise InputError(
            f"range of {name} = {given!r}; two rising numbers are needed" + (" between -1 and 1" if name == "w" else "")
        )
    return low, high


def _optimum(plane: str, x: Array, c: float, w_star: float) -> tuple[Array, Array]:
    """Return s = a along the optimal manifold and its place in the plane, the branch a < 0 first."""
    if plane == "u-w":
        return np.array([math.sqrt(abs(c))]), np.array([[c, w_star]])
    high = float(np.abs(x).max())
    # b runs through the range where the plane shows b: dense in a where b is steep.
    near = np.geomspace(abs(c) / high, high, 200) if plane == "b-w" else np.geomspace(1e-3 * high, high, 400)
    a = abs(c) / near if plane == "b-w" else near
    s = np.concatenate([-a[::-1], [np.nan], a])
    b = c / s
    star = np.where(np.isnan(s), np.nan, w_star)
    where = {"a-w": (s, star), "a-b": (s, b), "b-w": (b, star)}[plane]
    return s, np.stack(where, axis=-1)


def _some(
    equations: ModeEquations, plane: str, lines: list[Array], third: float, c: float, rates: Any, t: float
) -> ModeTrajectory:
    """Follow 16 starts spread over the plane, as columns of one mode each."""
    x, y = (line[0] + (line[-1] - line[0]) * np.array([0.1, 0.37, 0.63, 0.9]) for line in lines)
    if plane == "u-w":
        x = x[x * c > 0.0]
    gx, gy = (g.ravel() for g in np.meshgrid(x, y))
    a, b, w = start_in(plane, gx, gy, third, c)
    same: dict[str, Any] = {
        k: np.full(len(a), np.asarray(getattr(equations, k))[0]) for k in ("a_star", "b_star", "w_star")
    }
    many = replace(equations, **same)
    times = np.concatenate([[0.0], np.geomspace(1e-3, min(t, 60.0), 160)])
    return many.flow(a, b, w, times, rates, tolerance=1e-6)
