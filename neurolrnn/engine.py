"""Between experiments and kernels: lays out the arrays of a run, calls the rule's kernel, reads the results back."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.basis import Basis, own_basis
from neurolrnn.errors import InputError
from neurolrnn.fixed_point import FixedNumbers
from neurolrnn.held_weights import HeldWeights, leaves, numbers_in
from neurolrnn.layout import make_constants, make_gradients, make_lanes
from neurolrnn.low_rank import LowRankPlus
from neurolrnn.network import Network
from neurolrnn.number_system import NumberSystem
from neurolrnn.rule_kernels import Sizes, kernel_of
from neurolrnn.rules import RFLO, EProp, Rule
from neurolrnn.schedule import Piece
from neurolrnn.tasks.base import Sequences
from neurolrnn.training import GROUPS, Training
from neurolrnn_kernels.forward import run_forward
from neurolrnn_kernels.rflo_many import Learners, rflo_many
from neurolrnn_kernels.structs import START, Data, Weights

Array = NDArray[Any]


class Engine:
    """One learner: its weights, its activity and traces, and the kernel that moves them.

    Parameters
    ----------
    network : Network
        Initial weights.
    rule : Rule
        How it learns.
    training : Training
        Step sizes, momentum, clamps.
    numbers : NumberSystem
        How values become what the kernels hold, and back.
    feedback : (n_out, n_rec) or None
        R, or None where feedback follows A.
    data : Sequences
        What ``rows`` of a piece refer to.
    weights : (rows,)
        Weight of the error at each row.
    loss : str
        ``"squared-error"`` or ``"cross-entropy"``.
    lanes : int
        Sequences side by side.
    longest : int
        Steps of the longest episode; only BPTT stores them.
    limit : float
        Largest output in absolute value before the run counts as diverged.
    basis : Basis, optional
        How the recurrent weights are held; default as in ``network``. Everything that goes in or out is in the units
        of ``network``, but for :meth:`ranges` and :meth:`state`.
    """

    least = 1000
    """Fewest steps in one call that are worth the call."""

    def __init__(
        self,
        network: Network,
        rule: Rule,
        training: Training,
        numbers: NumberSystem,
        *,
        feedback: Array | None,
        data: Sequences,
        weights: Array,
        loss: str,
        lanes: int = 1,
        longest: int = 1,
        limit: float = np.inf,
        basis: Basis | None = None,
    ) -> None:
        if data.inputs.shape[1] != network.n_in or data.targets.shape[1] != network.n_out:
            raise InputError(
                f"the task has {data.inputs.shape[1]} inputs and {data.targets.shape[1]} outputs, the network "
                f"{network.n_in} and {network.n_out}; make the network with the task's sizes"
            )
        self.initial, self._rule, self._numbers = network, rule, numbers
        n, m, o = network.n_rec, network.n_in, network.n_out
        factored = isinstance(rule, RFLO) and rule.storage == "factored"
        num = numbers
        self.basis = own_basis(network, rule) if basis is None else basis
        if factored:
            M, N = num.zeros("factor_W", (o, n)), num.zeros("factor_B", (o, m))
        else:
            M, N = num.zeros("factor_W", (0, n)), num.zeros("factor_B", (0, m))
        self._symmetric = feedback is None
        self._R = np.zeros((o, n)) if feedback is None else np.asarray(feedback, dtype=np.float64)
        A, B, R = self.basis.into(network.A), self.basis.into(network.B.T), self.basis.into(self._R)
        self._held = HeldWeights(self.basis, num)
        plastic = (("A", A), ("W", M if factored else self._held.plastic()), ("B", N if factored else B))
        self._weights = Weights(
            num.encode("A", A),
            self._held.for_kernels(),
            num.encode("B", np.ascontiguousarray(B)),
            num.encode("feedback", R),
            M,
            N,
            *(num.hidden(group, values) for group, values in plastic),
        )
        self.factored = factored
        self._constants = make_constants(
            num, network.leak, rule, training, symmetric=self._symmetric, loss=loss, limit=limit
        )
        self._look_ahead = not isinstance(num, FixedNumbers)  # a sum of a declared width depends on its order
        self._lanes = make_lanes(num, network, lanes, self._look_ahead and factored)
        self._memory: Any
        sizes = Sizes(m, n, o, lanes, longest, self._held.layout, num.parts)
        self._kernel, self._memory = kernel_of(rule, num.zeros, sizes)
        sums = make_gradients(num, self._constants, self._plastic())
        self._gradients = sums if factored else self._held.shaped(sums)
        self._data = self._make_data(data, weights)
        self._start = {g: _digest(array) for g, array in self._plastic().items()}

    def _make_data(self, data: Sequences, weights: Array) -> tuple[Array, Array, Array]:
        num = self._numbers
        return num.encode("input", data.inputs), num.encode("target", data.targets), num.encode("mask", weights)

    def zeros(self, variable: str, shape: tuple[int, ...]) -> Array:
        """Return an array of this learner's number system, at 0."""
        return self._numbers.zeros(variable, shape)

    def join(self, many: Learners, b: int, first: Engine) -> None:
        """Live in row ``b`` of the arrays of many learners, with the fixed weights of the first of them."""
        own = slice(b, b + 1)
        w, lane, trace = self._weights, self._lanes, self._memory
        mine = {
            "A": (w.A, many.A[b]), "R": (w.R, many.R[b]), "M": (w.M, many.M[b]), "N": (w.N, many.N[b]),
            "h": (lane.h, many.h[own]), "drive": (lane.drive, many.drive[own]), "y": (lane.y, many.y[own]),
            "p": (trace.p, many.p[own]), "q": (trace.q, many.q[own]),
        }  # fmt: skip
        for old, new in mine.values():
            new[...] = old
        place = {name: new for name, (_, new) in mine.items()}
        self._weights = w._replace(**{k: place[k] for k in "ARMN"}, Wt=first._weights.Wt, Bt=first._weights.Bt)
        self._lanes = lane._replace(**{k: place[k] for k in ("h", "drive", "y")}, own=place["h"])
        self._memory = trace._replace(p=place["p"], q=place["q"])

    def run_many(self, many: Learners, rows: Array, flags: Array, first: int) -> NDArray[np.float64]:
        """Let all that have joined learn from the steps of ``rows`` (steps, learners); return their losses, alike."""
        loss = np.zeros(rows.shape)
        c = self._constants._replace(first=first)
        rflo_many(
            Data(*self._data, rows, flags), self._weights.Wt, self._weights.Bt, many, c, self._numbers.grid,
            self._lanes.work, loss,
        )  # fmt: skip
        return loss

    def run(self, piece: Piece) -> tuple[int, NDArray[np.float64]]:
        """Learn from the steps of ``piece``; return how many were made, and the loss of each."""
        loss = np.zeros(len(piece.flags))
        c = self._constants._replace(first=piece.first)
        data = Data(*self._data, piece.rows, piece.flags)
        done = self._kernel(
            data, self._weights, c, self._numbers.grid, self._lanes, self._memory, self._gradients, loss
        )
        return int(done), loss[:done]

    def evaluate(self, data: Sequences, piece: Piece) -> tuple[NDArray[np.float64], float]:
        """Run other sequences without learning or touching this learner's activity.

        Returns
        -------
        outputs : (rows, n_out)
        loss : float
            Sum of ``mask · loss`` over all rows.
        """
        arrays = self._make_data(data, data.mask)
        y = self._numbers.zeros("readout", (data.steps, self.initial.n_out))
        loss = np.zeros(len(piece.flags))
        grid = self._numbers.grid.copy()  # so that its counters count learning only
        done = run_forward(
            Data(*arrays, piece.rows, piece.flags), self._weights, self._constants._replace(first=0), grid,
            make_lanes(self._numbers, self.initial, piece.rows.shape[1], self._look_ahead), y, loss,
        )  # fmt: skip
        outputs = self._numbers.decode("readout", y)
        if done < len(piece.flags):
            outputs[:] = np.nan
            return outputs, float("inf")
        return outputs, float(loss.sum())

    def network(self) -> Network:
        """Return the weights as they are now; in factored storage W = W₀ + Rᵀ M and B = B₀ + Rᵀ N are formed.

        A network given as blocks, or sparse, stays one: its factors are added to what it holds. In another basis than
        the user's, W₀ and B₀ are those given, not rounded to the number system.
        """
        w, num = self._weights, self._numbers
        A = self.readout()
        W: Any
        if not self.factored:
            W, B = self._held.now(w.Wt), num.decode("B", w.Bt).T
        else:
            M, N = self.factors() or (np.zeros(0), np.zeros(0))
            R = self._R if self.basis.Q is not None else num.decode("feedback", w.R)
            W, B = self._initial_weights()
            if not np.isfinite(M).all():
                raise FloatingPointError("weights are not finite")
            W = W.plus(R, M) if isinstance(W, LowRankPlus) else W + R.T @ M
            B = B + R.T @ N
        if not all(np.isfinite(part).all() for part in (A, B, *((W,) if isinstance(W, np.ndarray) else ()))):
            raise FloatingPointError("weights are not finite")
        return Network(A, W, B, self.initial.leak)

    def _initial_weights(self) -> tuple[Any, Array]:
        """Return W₀ and B₀ of factored storage as they landed in the number system, in the user's basis."""
        w, num, net = self._weights, self._numbers, self.initial
        if self.basis.Q is not None:
            return net.W, net.B
        B = num.decode("B", w.Bt).T
        W = self._held.now(w.Wt)
        return (W if net.held is not None or isinstance(W, np.ndarray) else W.dense()), B  # blocks that were found

    def factors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return M (n_out, n_rec) and N (n_out, n_in) of factored storage, or None."""
        if not self.factored:
            return None
        M = self.basis.back(self._numbers.decode("factor_W", self._weights.M))
        return M, self._numbers.decode("factor_B", self._weights.N)

    def feedback(self) -> NDArray[np.float64]:
        """Return what carries the error back now, (n_out, n_rec): R, or A."""
        w = self._weights
        if self._symmetric:
            return self.readout()
        return self._R if self.basis.Q is not None else self._numbers.decode("feedback", w.R)

    def readout(self) -> NDArray[np.float64]:
        """Return A as it is now, (n_out, n_rec)."""
        return self.basis.back(self._numbers.decode("A", self._weights.A))

    def _plastic(self) -> dict[str, Array]:
        """Return the arrays that learn, as the kernels hold them: weights or factors."""
        w = self._weights
        return {"A": w.A, "W": w.M if self.factored else numbers_in(w.Wt), "B": w.N if self.factored else w.Bt}

    def moved(self, group: str) -> bool:
        """Tell whether a group, ``"A"``, ``"W"`` or ``"B"``, is other than at first."""
        return _digest(self._plastic()[group]) != self._start[group]

    def sum_updates(self, piece: Piece) -> tuple[int, dict[str, NDArray[np.float64]]]:
        """Go through ``piece`` with the weights at rest.

        For a training with ``update = "episode"`` and learning rates of 0 only.

        Returns
        -------
        int
            Steps made; fewer than asked if an output was not finite.
        dict
            The sum of all updates per group, in the layout of the network's A, W and B (or A, M, N).
        """
        c, flags = self._constants._replace(first=piece.first), piece.flags
        if c.momentum:
            c = c._replace(momentum=self._numbers.constant("momentum", 1.0))  # what is applied adds up as velocity
        else:
            flags = (flags & START).astype(np.uint8)  # no episode ends, so nothing is applied
        data = Data(*self._data, piece.rows, flags)
        loss = np.zeros(len(flags))
        done = self._kernel(
            data, self._weights, c, self._numbers.grid, self._lanes, self._memory, self._gradients, loss
        )
        g = self._gradients
        sums = (g.velocity_A, g.velocity_W, g.velocity_B) if c.momentum else (g.A, g.W, g.B)
        found = {k: self._numbers.decode_update(k, numbers_in(s)) for k, s in zip(GROUPS, sums, strict=True)}
        if not self.factored:
            return int(done), {"A": found["A"], "W": self._held.matrix(found["W"]), "B": found["B"].T}
        return int(done), {k: v if k == "B" else self.basis.back(v) for k, v in found.items()}  # A and M are over units

    def outputs(self) -> NDArray[np.float64]:
        """Return the outputs of the last step, (lanes, n_out)."""
        return self._numbers.decode("readout", self._lanes.y)

    def ranges(self) -> dict[str, NDArray[np.float64]]:
        """Return minimum, 1st percentile, median, 99th percentile and maximum of every variable at this step."""
        lane, w, num = self._lanes, self._weights, self._numbers
        found = {
            "input": lane.x, "state": lane.own, "current": lane.u, "readout": lane.y, "error": lane.e, "A": w.A,
        }  # fmt: skip
        if num.sends:
            found["message"] = lane.h
        if self.factored:
            found |= {"coupling": lane.z, "factor_W": w.M, "factor_B": w.N}
        else:
            found |= {"signal": lane.L, "W": numbers_in(w.Wt), "B": w.Bt}
        memory = self._memory._asdict()
        for name, key in (("trace", "p"), ("input_trace", "q")):
            if key in memory:
                found[name] = memory[key]
        if isinstance(self._rule, EProp):
            found |= {"eligibility": numbers_in(memory["W"]), "input_eligibility": memory["B"]}
            found["trace_decay"] = memory["d"]
        return {
            name: np.asarray(np.percentile(num.decode(name, array), (0, 1, 50, 99, 100)), np.float64)
            for name, array in found.items()
            if array.size
        }

    def state_rms(self) -> float:
        """Root mean square of the state as it is now."""
        with np.errstate(over="ignore", invalid="ignore"):  # infinite is an answer
            return float(np.sqrt(np.mean(self._numbers.decode("state", self._lanes.own) ** 2)))

    def _arrays(self) -> dict[str, Array]:
        """Return every array that the next step depends on, by name, not copied."""
        parts = {
            "weights": self._weights, "lanes": self._lanes, "memory": self._memory, "gradients": self._gradients,
        }  # fmt: skip
        found = {name: array for part, held in parts.items() for name, array in leaves(part, held)}
        found["grid"] = self._numbers.grid
        again = ("lanes.ahead", *(() if self._numbers.sends else ("lanes.own",)))  # made anew, or the same array
        return {k: v for k, v in found.items() if not k.startswith(again)}

    def state(self) -> dict[str, Array]:
        """Return copies of every array that the next step depends on, and of the basis if it is not the user's."""
        out = {name: array.copy() for name, array in self._arrays().items()}
        if self.basis.Q is not None:
            out["basis.Q"] = self.basis.Q.copy()
        return out

    def restore(self, state: dict[str, Array]) -> None:
        """Put back what :meth:`state` returned; the next step then gives the same bits.

        Raises
        ------
        InputError
            If the arrays are not those of this learner.
        """
        mine = self._arrays()
        if self.basis.Q is not None:
            mine["basis.Q"] = self.basis.Q
        for name, array in mine.items():
            given = state.get(name)
            if given is None or given.shape != array.shape or given.dtype != array.dtype:
                raise InputError(
                    f"the saved state does not belong to this experiment: {name} is "
                    f"{'missing' if given is None else f'{given.dtype} {given.shape}'}, not {array.dtype} {array.shape}"
                )
        if self.basis.Q is not None:  # another machine's LAPACK may have found another one
            self.basis = replace(self.basis, Q=state["basis.Q"].copy())
        for name, array in mine.items():
            if name != "basis.Q":
                array[...] = state[name]


def _digest(array: Array) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()
