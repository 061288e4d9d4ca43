"""Plain float64 twins of the learning rules, written from the formulas: clear, slow, and alone.

Nothing here imports the package, so nothing here can share a mistake with it. The model is

    h_t = (1-α) h_{t-1} + α (W h_{t-1} + B x_t),   y_t = A h_t,   h_0 = 0 at the start of each sequence

and step t runs: new h_t, y_t, error ε_t; traces; every update from the values before the update; θ ← θ - η Δθ.
`test_oracle.py` judges these twins by arbiters that share no code with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DEFAULTS: dict[str, dict[str, Any]] = {
    "rflo": {"decay": None, "feedback": "random", "storage": "factored"},
    "tbptt": {"steps": 1, "feedback": "symmetric"},
    "eprop": {"feedback": "symmetric"},
    "rtrl": {},
    "bptt": {},
}


@dataclass
class Result:
    """What a run of the oracle leaves behind."""

    A: Array
    W: Array
    B: Array
    M: Array | None
    """Factor of W - W₀ = Rᵀ M, (n_out, n_rec); None unless storage is factored."""
    N: Array | None
    """Factor of B - B₀ = Rᵀ N, (n_out, n_in); None unless storage is factored."""
    loss: list[float]
    """One entry per executed step: the loss at the weights before its update, summed over the lanes."""
    y: list[Array]
    """One (lanes, n_out) array per executed step; NaN in a lane whose sequence has ended."""


def outer(a: Array, b: Array) -> Array:
    return np.asarray(a[:, None] * b[None, :])


# --- error and loss -------------------------------------------------------------------------------------------------


def softmax(y: Array) -> Array:
    e = np.exp(y - y.max())
    return np.asarray(e / e.sum())


def error(y: Array, target: Array, weight: float, loss: str) -> Array:
    """ε_t, (n_out,)."""
    return np.asarray(weight * ((softmax(y) if loss == "cross-entropy" else y) - target))


def step_loss(y: Array, target: Array, weight: float, loss: str) -> float:
    if loss == "cross-entropy":
        # log softmax, not log of softmax: a class of probability 1e-400 has a finite loss.
        log_softmax = y - y.max() - np.log(np.exp(y - y.max()).sum())
        return float(-weight * (target * log_softmax).sum())
    return float(0.5 * weight * ((y - target) ** 2).sum())


def error_window(mask: Array, loss_steps: str) -> Array:
    """Return the weight of each step's error: the mask, or only its last entry that is not 0."""
    if loss_steps == "all":
        return mask
    if loss_steps != "final":
        raise ValueError(loss_steps)
    window = np.zeros_like(mask)
    nonzero = np.flatnonzero(mask)
    if len(nonzero):
        window[nonzero[-1]] = mask[nonzero[-1]]
    return window


# --- one rule, one lane ---------------------------------------------------------------------------------------------
# `remember` is called at every step with the W that made h_t out of h_{t-1}; `update` afterwards, at the same step,
# with the signal f = R or A, and returns (ΔW, ΔB). All arrays belong to one sequence.


class Rflo:
    """p_t = ŵ p_{t-1} + α h_{t-1}, q_t = ŵ q_{t-1} + α x_t; ΔW = fᵀε pᵀ, ΔB = fᵀε qᵀ."""

    def __init__(self, n: int, m: int, leak: float, options: dict[str, Any]) -> None:
        self.leak = leak
        self.decay = 1.0 - leak if options["decay"] is None else options["decay"]
        self.p, self.q = np.zeros(n), np.zeros(m)

    def remember(self, W: Array, h_before: Array, x: Array) -> None:
        self.p = self.decay * self.p + self.leak * h_before
        self.q = self.decay * self.q + self.leak * x

    def update(self, f: Array, A: Array, W: Array, eps: Array) -> tuple[Array, Array]:
        return outer(f.T @ eps, self.p), outer(f.T @ eps, self.q)


class RfloFactored(Rflo):
    """The same traces; returns (ΔM, ΔN) = (ε pᵀ, ε qᵀ), of which ΔW = RᵀΔM and ΔB = RᵀΔN."""

    def update(self, f: Array, A: Array, W: Array, eps: Array) -> tuple[Array, Array]:
        return outer(eps, self.p), outer(eps, self.q)


class Tbptt:
    """δ = fᵀε; for l = 1..min(τ, t): ΔW += α δ h_{t-l}ᵀ, ΔB += α δ x_{t-l+1}ᵀ, δ ← (1-α) δ + α Wᵀδ."""

    def __init__(self, n: int, m: int, leak: float, options: dict[str, Any]) -> None:
        self.leak, self.steps = leak, options["steps"]
        self.history: list[tuple[Array, Array]] = []  # (h_{s-1}, x_s) for s = 1..t

    def remember(self, W: Array, h_before: Array, x: Array) -> None:
        self.history.append((h_before, x))

    def update(self, f: Array, A: Array, W: Array, eps: Array) -> tuple[Array, Array]:
        n, m = len(W), len(self.history[0][1])
        dW, dB, delta = np.zeros((n, n)), np.zeros((n, m)), f.T @ eps
        t = len(self.history)
        for lag in range(1, min(self.steps, t) + 1):
            h_before, x = self.history[t - lag]
            dW += self.leak * outer(delta, h_before)
            dB += self.leak * outer(delta, x)
            delta = (1.0 - self.leak) * delta + self.leak * (W.T @ delta)
        return dW, dB


class Eprop:
    """E_t[i,j] = ((1-α) + α W_ii) E_{t-1}[i,j] + α h_{t-1,j}, likewise for x_t; ΔW_ij = (fᵀε)_i E_ij."""

    def __init__(self, n: int, m: int, leak: float, options: dict[str, Any]) -> None:
        self.leak = leak
        self.E, self.E_in = np.zeros((n, n)), np.zeros((n, m))

    def remember(self, W: Array, h_before: Array, x: Array) -> None:
        for i in range(len(W)):
            keep = (1.0 - self.leak) + self.leak * W[i, i]
            self.E[i] = keep * self.E[i] + self.leak * h_before
            self.E_in[i] = keep * self.E_in[i] + self.leak * x

    def update(self, f: Array, A: Array, W: Array, eps: Array) -> tuple[Array, Array]:
        signal = f.T @ eps
        return signal[:, None] * self.E, signal[:, None] * self.E_in


class Rtrl:
    """J_t = ((1-α) I + α W) J_{t-1} + the direct part, with J[k,i,j] = ∂h_k/∂W_ij; ΔW = Σ_k (Aᵀε)_k J[k]."""

    def __init__(self, n: int, m: int, leak: float, options: dict[str, Any]) -> None:
        self.leak = leak
        self.J, self.J_in = np.zeros((n, n, n)), np.zeros((n, n, m))

    def remember(self, W: Array, h_before: Array, x: Array) -> None:
        V = (1.0 - self.leak) * np.eye(len(W)) + self.leak * W
        self.J = np.einsum("kl,lij->kij", V, self.J)
        self.J_in = np.einsum("kl,lij->kij", V, self.J_in)
        for i in range(len(W)):  # W_ij and B_ij touch h_i directly
            self.J[i, i] += self.leak * h_before
            self.J_in[i, i] += self.leak * x

    def update(self, f: Array, A: Array, W: Array, eps: Array) -> tuple[Array, Array]:
        return np.einsum("k,kij->ij", A.T @ eps, self.J), np.einsum("k,kij->ij", A.T @ eps, self.J_in)


def bptt(A: Array, W: Array, B: Array, leak: float, x: Array, h: Array, eps: Array) -> tuple[Array, Array]:
    """Gradient of one episode: δ_t = Aᵀε_t + Vᵀδ_{t+1}, ΔW = α Σ δ_t h_{t-1}ᵀ, ΔB = α Σ δ_t x_tᵀ.

    `x` is (T, n_in), `h` (T + 1, n_rec) with h[0] = 0, `eps` (T, n_out).
    """
    V = (1.0 - leak) * np.eye(len(W)) + leak * W
    dW, dB, delta = np.zeros_like(W), np.zeros_like(B), np.zeros(len(W))
    for t in range(len(x), 0, -1):
        delta = A.T @ eps[t - 1] + V.T @ delta
        dW += leak * outer(delta, h[t - 1])
        dB += leak * outer(delta, x[t - 1])
    return dW, dB


Twin = Rflo | Tbptt | Eprop | Rtrl
TWINS: dict[str, type[Twin]] = {
    "rflo": Rflo,
    "rflo-factored": RfloFactored,
    "tbptt": Tbptt,
    "eprop": Eprop,
    "rtrl": Rtrl,
}


# --- weights --------------------------------------------------------------------------------------------------------


class Weights:
    """A, W, B, what of them is stored, and how they move: v ← μ v + Δ, θ ← θ - η v, θ into [-c, c]."""

    def __init__(
        self, A: Array, W: Array, B: Array, R: Array | None, factored: bool,
        rates: Mapping[str, float], momentum: float, clamp: Mapping[str, float], learn: Sequence[str],
        exists: Array | None,
    ) -> None:  # fmt: skip
        self.W0, self.B0, self.R, self.factored = W, B, R, factored
        self.stored = {"A": A.copy(), "W": W.copy(), "B": B.copy()}
        if factored:
            assert R is not None
            # What is stored, moved and clamped are M and N; they take the places of W and B.
            self.stored |= {"W": np.zeros((len(R), W.shape[1])), "B": np.zeros((len(R), B.shape[1]))}
        self.velocity = {k: np.zeros_like(v) for k, v in self.stored.items()}
        self.rates, self.momentum, self.clamp, self.learn = rates, momentum, clamp, learn
        self.exists = {} if exists is None or factored else {"W": exists}

    def now(self) -> tuple[Array, Array, Array]:
        A, W, B = self.stored["A"], self.stored["W"], self.stored["B"]
        if self.factored:
            assert self.R is not None
            W, B = self.W0 + self.R.T @ W, self.B0 + self.R.T @ B
        return A, W, B

    def move(self, delta: dict[str, Array]) -> None:
        for k in self.learn:
            self.velocity[k] = self.momentum * self.velocity[k] + delta[k] * self.exists.get(k, 1.0)
            bound = self.clamp.get(k, np.inf)
            self.stored[k] = np.clip(self.stored[k] - self.rates[k] * self.velocity[k], -bound, bound)

    def zeros(self) -> dict[str, Array]:
        return {k: np.zeros_like(v) for k, v in self.stored.items()}


# --- a run ----------------------------------------------------------------------------------------------------------


def options_of(rule: Any) -> tuple[str, dict[str, Any]]:
    """Return name and options of a rule given as ``{"name": ..., option: ...}`` or as an object that has both."""
    if isinstance(rule, Mapping):
        given = dict(rule)
        name = str(given.pop("name"))
    else:
        name, given = str(rule.name), dict(rule.options())
    return name, {**DEFAULTS[name], **given}


def train(
    A: Array,
    W: Array,
    B: Array,
    leak: float,
    rule: Any,
    sequences: Sequence[tuple[Array, Array, Array]],
    *,
    R: Array | None = None,
    loss: str = "squared-error",
    loss_steps: str = "all",
    update: str = "online",
    rates: Mapping[str, float] | float = 0.01,
    momentum: float = 0.0,
    clamp: Mapping[str, float] | None = None,
    learn: Sequence[str] = ("A", "W", "B"),
    batch: int = 1,
    epochs: int = 1,
    exists: Array | None = None,
) -> Result:
    """Train on (x (T, n_in), y* (T, n_out), mask (T,)) in the order given, `batch` sequences at a time.

    The lanes of a batch start together; Δ is the sum over the lanes; the batch lasts as long as its longest sequence
    and a lane that has ended contributes nothing. Online, every executed step updates once (also where every error
    is 0: momentum moves on). Momentum is never reset. `R` is needed where feedback is random. Where `exists` is 0
    there is no synapse: W is 0 there and its update is masked.
    """
    A, W, B = (np.array(v, dtype=np.float64) for v in (A, W, B))
    name, options = options_of(rule)
    feedback = options.get("feedback", "symmetric")
    if not isinstance(feedback, str):
        R = np.array(feedback, dtype=np.float64)
    elif feedback == "random" and R is None:
        raise ValueError("random feedback needs R")
    symmetric = isinstance(feedback, str) and feedback == "symmetric"
    factored = name == "rflo" and options["storage"] == "factored"
    if factored and symmetric:
        raise ValueError("factored storage needs a fixed R")
    if update not in ("online", "episode") or (name == "bptt" and update == "online"):
        raise ValueError(f"{name} cannot update {update}")
    rates = {k: float(rates) for k in "AWB"} if isinstance(rates, int | float) else rates
    weights = Weights(A, W, B, R, factored, rates, momentum, clamp or {}, learn, exists)
    losses: list[float] = []
    outputs: list[Array] = []
    n, m, o = W.shape[0], B.shape[1], A.shape[0]

    for _ in range(epochs):
        for first in range(0, len(sequences), batch):
            lanes = sequences[first : first + batch]
            windows = [error_window(np.asarray(mask, dtype=np.float64), loss_steps) for _, _, mask in lanes]
            h = [np.zeros((len(x) + 1, n)) for x, _, _ in lanes]
            eps = [np.zeros((len(x), o)) for x, _, _ in lanes]
            twin = TWINS.get("rflo-factored" if factored else name)
            twins: list[Twin] = [twin(n, m, leak, options) for _ in lanes] if twin else []
            total = weights.zeros()
            for t in range(1, max(len(x) for x, _, _ in lanes) + 1):
                A, W, B = weights.now()
                f = A if symmetric else R
                total = weights.zeros() if update == "online" else total
                losses.append(0.0)
                outputs.append(np.full((len(lanes), o), np.nan))
                for s, (x, target, _) in enumerate(lanes):
                    if t > len(x):
                        continue
                    h[s][t] = (1.0 - leak) * h[s][t - 1] + leak * (W @ h[s][t - 1] + B @ x[t - 1])
                    y = A @ h[s][t]
                    eps[s][t - 1] = error(y, target[t - 1], windows[s][t - 1], loss)
                    losses[-1] += step_loss(y, target[t - 1], windows[s][t - 1], loss)
                    outputs[-1][s] = y
                    total["A"] += outer(eps[s][t - 1], h[s][t])
                    if twins:
                        assert f is not None
                        twins[s].remember(W, h[s][t - 1], x[t - 1])
                        dW, dB = twins[s].update(f, A, W, eps[s][t - 1])
                        total["W"] += dW
                        total["B"] += dB
                if update == "online":
                    weights.move(total)
            if update == "episode":
                if name == "bptt":
                    for s, (x, _, _) in enumerate(lanes):
                        dW, dB = bptt(A, W, B, leak, x, h[s], eps[s])
                        total["W"] += dW
                        total["B"] += dB
                weights.move(total)

    A, W, B = weights.now()
    M, N = (weights.stored["W"], weights.stored["B"]) if factored else (None, None)
    return Result(A, W, B, M, N, losses, outputs)


# --- an arbiter that shares no code with the twins ------------------------------------------------------------------


def gradient(
    A: Array, W: Array, B: Array, leak: float, x: Array, y: Array, mask: Array, loss: str = "squared-error",
    loss_steps: str = "all",
) -> dict[str, Array]:  # fmt: skip
    """Gradient of one episode's loss with respect to A, W and B, by complex step: Im L(θ + i s) / s.

    There is no difference of near numbers in it, so s = 1e-40 costs no digits (Squire & Trapp, SIAM Review 1998).
    """
    if loss_steps == "final":
        last = max((t for t in range(len(mask)) if mask[t] != 0), default=-1)
        mask = np.array([mask[t] if t == last else 0.0 for t in range(len(mask))])
    theta = {"A": np.asarray(A), "W": np.asarray(W), "B": np.asarray(B)}
    step = 1e-40

    def episode_loss(p: dict[str, NDArray[Any]]) -> complex:
        h, total = np.zeros(len(p["W"]), dtype=complex), 0.0 + 0.0j
        for t in range(len(x)):
            h = h - leak * h + leak * (p["W"] @ h + p["B"] @ x[t])
            out = p["A"] @ h
            if loss == "cross-entropy":
                top = out.real.max()
                total += mask[t] * (y[t].sum() * (top + np.log(np.sum(np.exp(out - top)))) - np.sum(y[t] * out))
            else:
                total += mask[t] * np.sum((out - y[t]) * (out - y[t])) / 2.0
        return complex(total)

    result = {}
    for k, value in theta.items():
        result[k] = np.zeros(value.shape)
        for index in np.ndindex(*value.shape):
            moved = {key: v.astype(complex) for key, v in theta.items()}
            moved[k][index] += 1j * step
            result[k][index] = episode_loss(moved).imag / step
    return result
