"""PyTorch: online rules as a loop of in-place operations, and BPTT by autograd and by hand."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.work import Program, Work

VERSION = f"torch {torch.__version__}"
torch.set_num_threads(1)


def _tensors(work: Work) -> tuple[torch.Tensor, ...]:
    net = work.net
    arrays = (net.A, net.W, net.B, work.feedback, work.x, work.y)
    return tuple(torch.tensor(a, dtype=torch.float32) for a in arrays)


def _weights(A: torch.Tensor, W: torch.Tensor, B: torch.Tensor) -> Any:
    return lambda: [{"A": A.detach().numpy(), "W": W.detach().numpy(), "B": B.detach().numpy()}]


def rflo_dense(work: Work) -> Program:
    """One lane: vectors, and rank-one updates in place."""
    A, W, B, R, x, y = _tensors(work)
    x, y, Rt = x[:, 0], y[:, 0], R.T.contiguous()
    keep, gain, rate = 1.0 - work.leak, work.leak, work.rate

    @torch.inference_mode()
    def run() -> torch.Tensor:
        h, p, q = torch.zeros(work.n), torch.zeros(work.n), torch.zeros(work.n_in)
        loss = torch.zeros(work.steps)
        for t in range(work.steps):
            p.mul_(keep).add_(h, alpha=gain)
            q.mul_(keep).add_(x[t], alpha=gain)
            drive = torch.addmv(torch.mv(B, x[t]), W, h)
            h.mul_(keep).add_(drive, alpha=gain)
            e = torch.mv(A, h).sub_(y[t])
            loss[t] = 0.5 * torch.dot(e, e)
            L = torch.mv(Rt, e)
            A.addr_(e, h, alpha=-rate)
            W.addr_(L, p, alpha=-rate)
            B.addr_(L, q, alpha=-rate)
        return loss

    return Program(run, _weights(A, W, B))


def rflo_batch(work: Work) -> Program:
    """Lanes of one learner: matrices, one product per update."""
    A, W, B, R, x, y = _tensors(work)
    keep, gain, rate = 1.0 - work.leak, work.leak, work.rate

    @torch.inference_mode()
    def run() -> torch.Tensor:
        h, p = torch.zeros(work.lanes, work.n), torch.zeros(work.lanes, work.n)
        q = torch.zeros(work.lanes, work.n_in)
        loss = torch.zeros(work.steps)
        for t in range(work.steps):
            p.mul_(keep).add_(h, alpha=gain)
            q.mul_(keep).add_(x[t], alpha=gain)
            drive = torch.addmm(x[t] @ B.T, h, W.T)
            h.mul_(keep).add_(drive, alpha=gain)
            e = (h @ A.T).sub_(y[t])
            loss[t] = 0.5 * (e * e).sum()
            Lt = (e @ R).T
            A.addmm_(e.T, h, alpha=-rate)
            W.addmm_(Lt, p, alpha=-rate)
            B.addmm_(Lt, q, alpha=-rate)
        return loss

    return Program(run, _weights(A, W, B))


def bptt_autograd(work: Work) -> Program:
    """A loop over time, ``backward`` and a step of stochastic gradient descent."""
    A, W, B, _, x, y = _tensors(work)
    keep, gain, T = 1.0 - work.leak, work.leak, work.episode
    for weight in (A, W, B):
        weight.requires_grad_()
    optimiser = torch.optim.SGD((A, W, B), lr=work.rate)

    def run() -> None:
        for first in range(0, work.steps, T):
            h = torch.zeros(work.lanes, work.n)
            states = []
            drives = gain * (x[first : first + T] @ B.T)  # of all steps at once
            V = gain * W.T
            for t in range(T):
                h = torch.addmm(torch.add(drives[t], h, alpha=keep), h, V)
                states.append(h)
            e = torch.stack(states) @ A.T - y[first : first + T]
            loss = 0.5 * (e * e).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return Program(run, _weights(A, W, B))


def bptt_manual(work: Work) -> Program:
    """The adjoint written out: all sums over time in one matrix product each."""
    A, W, B, _, x, y = _tensors(work)
    keep, gain, rate, T = 1.0 - work.leak, work.leak, work.rate, work.episode
    n, lanes = work.n, work.lanes
    H, D = torch.zeros(T + 1, lanes, n), torch.zeros(T, lanes, n)

    @torch.inference_mode()
    def run() -> None:
        for first in range(0, work.steps, T):
            xs = x[first : first + T]
            drives = gain * (xs @ B.T)
            V = (gain * W).T
            H[0].zero_()
            for t in range(T):
                torch.addmm(torch.add(drives[t], H[t], alpha=keep), H[t], V, out=H[t + 1])
            e = H[1:] @ A.T - y[first : first + T]
            torch.matmul(e, A, out=D)
            back = V.T
            for t in range(T - 2, -1, -1):
                D[t].add_(D[t + 1], alpha=keep).addmm_(D[t + 1], back)
            flat = D.reshape(T * lanes, n).T
            A.addmm_(e.reshape(T * lanes, -1).T, H[1:].reshape(T * lanes, n), alpha=-rate)
            W.addmm_(flat, H[:-1].reshape(T * lanes, n), alpha=-rate * gain)
            B.addmm_(flat, xs.reshape(T * lanes, -1), alpha=-rate * gain)

    return Program(run, _weights(A, W, B))


PROGRAMS = {
    "rflo dense": rflo_dense,
    "rflo batch": rflo_batch,
    "bptt autograd": bptt_autograd,
    "bptt by hand": bptt_manual,
}
