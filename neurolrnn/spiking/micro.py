"""Networks that are the same after some steps: finer steps, and fewer units."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, positive_integer, real_number
from neurolrnn.network import Network

ROOT_TOLERANCE = 1e-9
"""Largest relative difference between the transition and its root taken to its power."""


def micro_network(net: Network, steps: int, decay: float | None = None) -> Network:
    """Return the network that does in ``steps`` steps, with its input held, what ``net`` does in one.

    Parameters
    ----------
    net : Network
        With M = (1-α) I + α W.
    steps : int
        k, at least 1.
    decay : float, optional
        λ in [0, 1), what a unit keeps of its own state in a micro-step; default (1-α)^(1/k).

    Returns
    -------
    Network
        Of leak 1 - λ and the transition M_k = M^(1/k), with (Σ_{j<k} M_k^j) G = α B for its input; the same states
        at every k-th step.

    Raises
    ------
    InputError
        If M has no real root, or the root cannot be fed.
    """
    k = positive_integer("micro_steps", steps)
    if decay is not None:
        decay = real_number("decay", decay, at_least=0.0, below=1.0)
    if k == 1 and decay in (None, 1.0 - net.leak):
        return net
    return _micro_network(net, k, float((1.0 - net.leak) ** (1.0 / k)) if decay is None else decay)


@lru_cache(maxsize=32)  # LAPACK may give other last bits the next time: one network has one network of micro-steps
def _micro_network(net: Network, k: int, keep: float) -> Network:
    M: NDArray[np.float64] = net.transition
    drive: Any = net.leak * net.B
    if k > 1:
        M = _root(M, k)
        powers = _power_sum(M, k)
        if np.linalg.cond(powers) > 1.0 / ROOT_TOLERANCE:
            raise InputError(f"micro_steps = {k}: the input cannot be spread over so many steps; take fewer")
        drive = np.linalg.solve(powers, drive)
    gain = 1.0 - keep
    return Network(net.A, (M - keep * np.eye(net.n_rec)) / gain, drive / gain, gain)


def macro_network(micro: Network, steps: int, leak: float) -> Network:
    """Return the network of leak ``leak`` that does in one step what ``micro`` does in ``steps``."""
    if steps == 1 and leak == micro.leak:
        return micro
    M = np.linalg.matrix_power(micro.transition, steps)
    B = _power_sum(micro.transition, steps) @ (micro.leak * micro.B) / leak
    return Network(micro.A, (M - (1.0 - leak) * np.eye(micro.n_rec)) / leak, B, leak)


def _power_sum(M: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    total = np.eye(len(M))
    for _ in range(count - 1):
        total = np.eye(len(M)) + M @ total
    return total


def _root(M: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return the real principal k-th root, expm(logm(M) / k)."""
    from scipy.linalg import expm, logm  # takes a while to import

    eigenvalues = np.linalg.eigvals(M)
    bad = eigenvalues[(np.abs(eigenvalues.imag) < 1e-12) & (eigenvalues.real <= 0.0)]
    if bad.size:
        raise InputError(
            f"micro_steps = {k}: (1-α) I + αW has the eigenvalue {float(bad[0].real):.3g}, so it has no real root and "
            f"no finer steps; take micro_steps = 1 (and sigma-delta with a rounded payload), or a smaller leak"
        )
    root: Any = expm(logm(M) / k)
    result = np.ascontiguousarray(np.real(root))
    error = float(np.abs(np.linalg.matrix_power(result, k) - M).max() / max(np.abs(M).max(), 1e-300))
    if not error < ROOT_TOLERANCE:
        raise InputError(f"micro_steps = {k}: the root of (1-α) I + αW was found to {error:.1g} only; take fewer steps")
    return result


def pod_network(net: Network, states: ArrayLike, size: int) -> tuple[Network, NDArray[np.float64]]:
    """Return the network in the directions its states use most (proper orthogonal decomposition).

    Parameters
    ----------
    net : Network
        With W (n, n).
    states : (steps, n)
        States of a calibration run, such as ``nl.spiking.twin(net, x, "graded").h``.
    size : int
        Number of directions, 1 to n.

    Returns
    -------
    network : Network
        A V, Vᵀ W V, Vᵀ B and the same leak, for the state z = Vᵀ h.
    V : (n, size)
        Orthonormal directions; h ≈ V z.

    Notes
    -----
    The projection leaves an error of its own wherever V does not span an invariant subspace of the states. Source:
    Sirovich, Quarterly of Applied Mathematics 1987 (POD).
    """
    h = np.asarray(states, float)
    if h.ndim != 2 or h.shape[1] != net.n_rec:
        raise InputError(f"states have shape {h.shape}; (steps, {net.n_rec}) is needed")
    r = positive_integer("size", size)
    if r > min(h.shape):
        raise InputError(f"size = {r}; at most {min(h.shape)} directions can be found in {len(h)} states")
    V = np.linalg.svd(h, full_matrices=False)[2][:r].T
    V = V * np.where(V[np.abs(V).argmax(axis=0), np.arange(r)] < 0, -1.0, 1.0)  # the sign is free: make it ours
    return Network(net.A @ V, V.T @ net.W @ V, V.T @ net.B, net.leak), np.ascontiguousarray(V)
