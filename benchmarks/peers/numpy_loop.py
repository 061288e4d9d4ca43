"""NumPy, one step at a time: what most people write first. In place, with the temporary arrays kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.work import Program, Work

VERSION = f"numpy {np.__version__}"


def _arrays(work: Work) -> tuple[Any, ...]:
    net = work.net
    return tuple(np.array(a, np.float32) for a in (net.A, net.W, net.B, work.feedback, work.x[:, 0], work.y[:, 0]))


def rflo_dense(work: Work) -> Program:
    A, W, B, R, x, y = _arrays(work)
    keep, gain, rate = (np.float32(v) for v in (1.0 - work.leak, work.leak, work.rate))
    dW, dB, dA = np.empty_like(W), np.empty_like(B), np.empty_like(A)
    loss = np.zeros(work.steps, np.float32)

    def run() -> None:
        h, p, q = np.zeros(work.n, np.float32), np.zeros(work.n, np.float32), np.zeros(work.n_in, np.float32)
        for t in range(work.steps):
            p *= keep
            p += gain * h
            q *= keep
            q += gain * x[t]
            h = keep * h + gain * (W @ h + B @ x[t])
            e = A @ h - y[t]
            loss[t] = 0.5 * (e @ e)
            step = rate * e
            L = step @ R
            np.subtract(A, np.outer(step, h, out=dA), out=A)
            np.subtract(W, np.outer(L, p, out=dW), out=W)
            np.subtract(B, np.outer(L, q, out=dB), out=B)

    return Program(run, lambda: [{"A": A, "W": W, "B": B}])


def rflo_factored(work: Work) -> Program:
    A, W, B, R, x, y = _arrays(work)
    keep, gain, rate = (np.float32(v) for v in (1.0 - work.leak, work.leak, work.rate))
    M, N = np.zeros_like(A), np.zeros((work.n_out, work.n_in), np.float32)
    loss = np.zeros(work.steps, np.float32)

    def run() -> None:
        h, p, q = np.zeros(work.n, np.float32), np.zeros(work.n, np.float32), np.zeros(work.n_in, np.float32)
        for t in range(work.steps):
            p *= keep
            p += gain * h
            q *= keep
            q += gain * x[t]
            z = M @ h + N @ x[t]
            h = keep * h + gain * (W @ h + B @ x[t] + z @ R)
            e = A @ h - y[t]
            loss[t] = 0.5 * (e @ e)
            step = (rate * e)[:, None]
            np.subtract(A, step * h, out=A)
            np.subtract(M, step * p, out=M)
            np.subtract(N, step * q, out=N)

    return Program(run, lambda: [{"A": A, "W": W + R.T @ M, "B": B + R.T @ N}])


def eprop(work: Work) -> Program:
    A, W, B, _, x, y = _arrays(work)
    keep, gain, rate = (np.float32(v) for v in (1.0 - work.leak, work.leak, work.rate))
    dW, dB, dA = np.empty_like(W), np.empty_like(B), np.empty_like(A)
    loss = np.zeros(work.steps, np.float32)

    def run() -> None:
        h, E, F = np.zeros(work.n, np.float32), np.zeros_like(W), np.zeros_like(B)
        for t in range(work.steps):
            decay = (keep + gain * W.diagonal())[:, None]
            E *= decay
            E += gain * h
            F *= decay
            F += gain * x[t]
            h = keep * h + gain * (W @ h + B @ x[t])
            e = A @ h - y[t]
            loss[t] = 0.5 * (e @ e)
            step = rate * e
            L = (step @ A)[:, None]
            np.subtract(A, np.outer(step, h, out=dA), out=A)
            np.subtract(W, np.multiply(L, E, out=dW), out=W)
            np.subtract(B, np.multiply(L, F, out=dB), out=B)

    return Program(run, lambda: [{"A": A, "W": W, "B": B}])


PROGRAMS = {"rflo dense": rflo_dense, "rflo factored": rflo_factored, "e-prop": eprop}
