"""Stationary Gaussian input that is not white: white noise behind a stable linear filter."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from neurolrnn.errors import InputError, positive_integer
from neurolrnn.theory.stein import Matrix, geometric_sum


@dataclass(frozen=True, eq=False)
class InputColour:
    """Input ``x_t = C s_t`` of a filter ``s_{t+1} = F s_t + G w_t``, w_t white, in its stationary state.

    Any process with a rational spectrum is of this form: AR, MA, oscillations, correlated channels (F = 0).

    Parameters
    ----------
    C : (n_in, q)
    F : (q, q)
        Spectral radius below 1.
    G : (q, k)

    Raises
    ------
    InputError
        If shapes disagree, a value is not finite or the filter is not stable.

    Examples
    --------
    >>> float(InputColour.ar1(0.7, 2).autocovariance(2)[0, 0].round(6))
    0.49
    """

    C: Matrix
    F: Matrix
    G: Matrix
    covariance: Matrix = field(init=False, repr=False)
    """E[s sᵀ], (q, q)."""

    def __post_init__(self) -> None:
        for name in ("C", "F", "G"):
            array = np.array(getattr(self, name), dtype=np.float64, order="C")
            if array.ndim != 2 or 0 in array.shape or not np.isfinite(array).all():
                raise InputError(f"{name} of the colour has shape {array.shape}; a matrix of finite numbers is needed")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        q = len(self.F)
        if self.F.shape != (q, q) or self.C.shape[1] != q or self.G.shape[0] != q:
            raise InputError(
                f"C {self.C.shape}, F {self.F.shape} and G {self.G.shape} do not fit; (n_in, q), (q, q) and (q, k) do"
            )
        radius = float(np.abs(np.linalg.eigvals(self.F)).max())
        if radius >= 1.0:
            raise InputError(
                f"the colour's F has spectral radius {radius:.6g}; below 1 is needed, or the input is not stationary"
            )
        object.__setattr__(self, "covariance", geometric_sum(self.F, self.G @ self.G.T, self.F.T))

    @classmethod
    def ar1(cls, coefficient: ArrayLike, n_in: int) -> InputColour:
        """Return ``x_t = φ x_{t-1} + √(1-φ²) w_t`` with variance 1, the same φ for all channels or one for each.

        Raises
        ------
        InputError
            If a coefficient is not between -1 and 1, or there are not n_in of them.
        """
        try:
            phi = np.array(coefficient, dtype=np.float64)
        except (TypeError, ValueError):
            phi = np.array([np.nan])
        if phi.shape not in ((), (n_in,)) or not (np.abs(phi) < 1.0).all():
            raise InputError(
                f"colour = {coefficient!r}; one number between -1 and 1, or n_in = {n_in} of them, is needed"
            )
        phi = np.broadcast_to(phi, (n_in,))
        return cls(np.eye(n_in), np.diag(phi), np.diag(np.sqrt(1.0 - phi * phi)))

    @property
    def n_in(self) -> int:
        """Number of input channels."""
        return len(self.C)

    def normalised(self) -> InputColour:
        """Return the same colour with variance 1 in every channel.

        Raises
        ------
        InputError
            If a channel is always 0.
        """
        variance = np.diag(self.autocovariance(0))
        if not (variance > 0.0).all():
            raise InputError(
                f"channel {int(np.argmin(variance))} of the colour is always 0 and has no variance to scale"
            )
        return InputColour(self.C / np.sqrt(variance)[:, np.newaxis], self.F, self.G)

    def autocovariance(self, lag: int) -> Matrix:
        """Return ``E[x_t x_{t-lag}ᵀ] = C F^lag E[s sᵀ] Cᵀ``, (n_in, n_in), for lag ≥ 0."""
        power = np.linalg.matrix_power(self.F, positive_integer("lag", lag, 0))
        return np.asarray(self.C @ power @ self.covariance @ self.C.T)

    def sample(self, sequences: int, steps: int, seed: int = 0) -> Matrix:
        """Draw inputs (sequences, steps, n_in), stationary from the first step on."""
        shape = positive_integer("sequences", sequences), positive_integer("steps", steps)
        rng = np.random.default_rng(positive_integer("seed", seed, 0))
        s = rng.normal(size=(shape[0], len(self.F))) @ _root(self.covariance).T
        x = np.empty((*shape, self.n_in))
        for t in range(shape[1]):
            x[:, t] = s @ self.C.T
            s = s @ self.F.T + rng.normal(size=(shape[0], self.G.shape[1])) @ self.G.T
        return x


Colour = float | ArrayLike | InputColour | None


class Driven(NamedTuple):
    """A network together with the filter of its input, driven by white noise: z_t = V z_{t-1} + N w_t, y = A z."""

    A: Matrix
    V: Matrix
    N: Matrix


class InputPath(NamedTuple):
    """How white noise becomes input: s_t = F s_{t-1} + G w_t, x_t = CF s_{t-1} + CG w_t. White: no s, x_t = w_t.

    A sequence begins with the stationary s. That is one more white source with factor E[s sᵀ]^½, which acts at the
    first step instead of w; so G has two halves, and each lag counts one or the other.
    """

    C: Matrix
    """(n_in, q)"""
    CF: Matrix
    CG: Matrix
    F: Matrix
    G: Matrix
    """(q, k)"""
    share: Matrix
    """(T, k) share of the loss in which a source has acted so many steps ago; (0, k) for T = inf."""

    @property
    def coloured(self) -> bool:
        """Whether the input has a state."""
        return len(self.F) > 0

    def attach(self, A: Matrix, V: Matrix, B: Matrix) -> Driven:
        """Put the filter in front of the plain network h_t = V h_{t-1} + B x_t."""
        q = len(self.F)
        return Driven(
            np.hstack([A, np.zeros((len(A), q))]),
            np.block([[V, B @ self.CF], [np.zeros((q, len(V))), self.F]]),
            np.vstack([B @ self.CG, self.G]),
        )


def input_path(colour: Colour, n_in: int, T: float, mean: bool) -> InputPath:
    """Return the path of white or coloured input for sequences of T steps, the last step's loss or the mean.

    Raises
    ------
    InputError
        If the colour is none or has another number of channels.
    """
    steps = 0 if T == math.inf else int(T)
    lag = np.arange(steps)
    if colour is None:
        share = (1.0 - lag / max(steps, 1)) if mean else np.ones(steps)
        none = np.zeros((n_in, 0))
        return InputPath(none, none, np.eye(n_in), np.zeros((0, 0)), none.T, np.tile(share[:, np.newaxis], n_in))
    if not isinstance(colour, InputColour):
        colour = InputColour.ar1(colour, n_in)
    if colour.n_in != n_in:
        raise InputError(f"the colour has {colour.n_in} channels, the networks {n_in} inputs; they must agree")
    G = colour.G
    share = np.zeros((steps, G.shape[1]))
    if steps:
        root = _root(colour.covariance)
        later = (steps - 1 - lag) / steps if mean else (lag < steps - 1) * 1.0
        start = np.full(steps, 1.0 / steps) if mean else (lag == steps - 1) * 1.0
        share = np.hstack([np.tile(part[:, np.newaxis], M.shape[1]) for part, M in ((later, G), (start, root))])
        G = np.hstack([G, root])
    return InputPath(colour.C, colour.C @ colour.F, colour.C @ G, colour.F, G, share)


def _root(covariance: Matrix) -> Matrix:
    """Return a matrix whose product with its transpose is the covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
