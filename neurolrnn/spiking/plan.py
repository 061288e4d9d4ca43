"""What a spiking network is to be: every choice checked, and the weights it runs with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypedDict, Unpack, get_args

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.fixed_grid import Setting
from neurolrnn.fixed_point import FixedNumbers
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import RFLO
from neurolrnn.spiking.micro import micro_network
from neurolrnn.training import Training
from neurolrnn_kernels import grid as at
from neurolrnn_kernels.formats import Rounding

Mode = Literal["graded", "sigma-delta", "lif-pair"]
MODES: tuple[str, ...] = get_args(Mode)
Payload = Literal["rounded", "unit", "residual"]
PAYLOADS: tuple[str, ...] = get_args(Payload)
Receivers = Literal["standing", "leaky"]
RECEIVERS: tuple[str, ...] = get_args(Receivers)
Reset = Literal["subtract", "to-value"]
RESETS: tuple[str, ...] = get_args(Reset)
Correction = Literal["exact", "none"]
CORRECTIONS: tuple[str, ...] = get_args(Correction)
RESET_VALUE = -0.49
"""Where a membrane that is reset to a value is put, in units of q: one spike then costs .99 q and the overshoot."""
LARGEST_SUM = 2**53
"""Brian2 adds what synapses bring in float64, which holds integers up to here exactly."""


@dataclass(frozen=True, eq=False)
class Learning:
    """RFLO as three-factor plasticity: pre-synaptic trace, learning signal of the receiver, weight.

    Parameters
    ----------
    rule : RFLO
        Dense or factored; its ``basis`` has no meaning here.
    learning_rate : float or dict
        η of A, W and B, or one for all; 0 leaves a group at rest.
    seed : int
        Seed of random feedback, as in :func:`neurolrnn.simulate`.
    correction : str
        What happens to the sums that receivers hold, W ĥ and A ĥ, when their weights move. ``"exact"`` moves them by
        the same rank-one update; ``"none"`` leaves the old weights in them, which makes standing receivers diverge.
    """

    rule: RFLO = field(default_factory=RFLO)
    learning_rate: float | Mapping[str, float] = 0.01
    seed: int = 0
    correction: Correction = "exact"

    def __post_init__(self) -> None:
        if not isinstance(self.rule, RFLO):
            raise InputError(f"rule = {self.rule!r}; spiking networks learn by RFLO, whose traces belong to units")
        choose("correction", self.correction, CORRECTIONS)
        Training(learning_rate=self.learning_rate)

    @property
    def rates(self) -> dict[str, float]:
        """η of A, W and B."""
        return Training(learning_rate=self.learning_rate).rates

    @property
    def factored(self) -> bool:
        """Whether M and N learn in W = W₀ + Rᵀ M and B = B₀ + Rᵀ N."""
        return self.rule.storage == "factored"


@dataclass(frozen=True, eq=False)
class Plan:
    """A network together with the way it is to spike.

    Parameters
    ----------
    network : Network
        What is deployed.
    mode : str
        ``"graded"`` (each unit sends its state at every step: the reference), ``"sigma-delta"`` (each unit sends
        whole multiples of q when its state has moved) or ``"lif-pair"`` (pairs of leaky integrate-and-fire neurons
        with binary spikes).
    q : float
        Quantum: what one event of payload 1 is worth, above 0.
    payload : str
        Of sigma-delta: ``"rounded"`` (m q, m any integer), ``"unit"`` (±q, one at most a step) or ``"residual"``
        (the whole difference, a real number, once it has grown to q/2).
    micro_steps : int
        Steps of the spiking network per step of the network; see :func:`neurolrnn.spiking.micro_network`.
    decay : float, optional
        λ, what a unit keeps of its own state in a micro-step, in [0, 1); default (1-α)^(1/micro_steps).
    receivers : str
        Of sigma-delta: ``"standing"`` accumulators hold W ĥ for ever; ``"leaky"`` ones decay by λ, and so does the
        sender's ĥ. A LIF pair is always leaky.
    reset : str
        Of lif-pair: ``"subtract"`` q from the membrane, or set it ``"to-value"``.
    reset_value : float
        Of ``reset="to-value"``: where to, in units of q, below 1/2.
    precision : Precision, optional
        Fixed-point formats: states, weights and sums are then integers. Default: float64.
    learning : Learning, optional
        Learn on-line; float only.

    Raises
    ------
    InputError
        If choices do not go together, or no such network exists.
    """

    network: Network
    mode: Mode = "sigma-delta"
    q: float = 0.1
    payload: Payload = "rounded"
    micro_steps: int = 1
    decay: float | None = None
    receivers: Receivers = "standing"
    reset: Reset = "subtract"
    reset_value: float = RESET_VALUE
    precision: Precision | None = None
    learning: Learning | None = None

    def __post_init__(self) -> None:
        choose("mode", self.mode, MODES)
        real_number("q", self.q, above=0.0)
        choose("payload", self.payload, PAYLOADS)
        choose("receivers", self.receivers, RECEIVERS)
        choose("reset", self.reset, RESETS)
        positive_integer("micro_steps", self.micro_steps)
        real_number("reset_value", self.reset_value, below=0.5)
        self._refuse_what_has_no_meaning()
        if self.mode == "graded" or not self.leaky:
            return
        if self.keep == 0.0:
            raise InputError(
                f"leak = {self.network.leak:g}: units keep nothing of their own state, so leaky receivers have no "
                f"memory; give decay between 0 and 1, or take mode = 'sigma-delta' with standing receivers"
            )

    def _refuse_what_has_no_meaning(self) -> None:
        graded, pair = self.mode == "graded", self.mode == "lif-pair"
        if self.payload != "rounded" and self.mode != "sigma-delta":
            raise InputError(f"payload = {self.payload!r} is of mode = 'sigma-delta', not of {self.mode!r}")
        if self.receivers == "leaky" and graded:
            raise InputError("receivers = 'leaky' is of spiking modes; a graded network sends its state at every step")
        if self.reset != "subtract" and not pair:
            raise InputError(f"reset = {self.reset!r} is of mode = 'lif-pair', not of {self.mode!r}")
        if self.precision is None:
            return
        if not self.precision.is_fixed:
            raise InputError(f"precision {self.precision.name!r}: give fixed-point formats, or none for float64")
        if self.learning is not None:
            raise InputError("learning in integers is not part of the spiking networks; leave precision out")
        if self.payload == "residual":
            raise InputError("payload = 'residual' is a real number; take 'rounded' or 'unit' with integers")
        if self.receivers == "leaky" and not pair:
            raise InputError("receivers = 'leaky' in integers is of mode = 'lif-pair'; sigma-delta has standing ones")

    @cached_property
    def micro(self) -> Network:
        """The network of one micro-step, whose leak is 1 - λ; the network itself where there is one of them."""
        return micro_network(self.network, self.micro_steps, self.decay)

    @property
    def keep(self) -> float:
        """λ, what a unit keeps of its own state in a micro-step."""
        return 1.0 - self.micro.leak

    @property
    def leaky(self) -> bool:
        """Whether what receivers hold decays."""
        return self.mode == "lif-pair" or self.receivers == "leaky"

    @property
    def events(self) -> bool:
        """Whether units send events, not states."""
        return self.mode != "graded"

    @cached_property
    def feedback(self) -> NDArray[np.float64] | None:
        """R of learning with a matrix of its own, (n_out, n_rec), or None."""
        if self.learning is None:
            return None
        return self.learning.rule.feedback_matrix(self.network.n_out, self.network.n_rec, self.learning.seed)

    @property
    def trace_decay(self) -> float:
        """ŵ of a micro-step: the rule's own, or what a unit keeps."""
        decay = self.learning.rule.decay if self.learning else None
        return self.keep if decay is None else decay

    @cached_property
    def fixed(self) -> FixedNumbers | None:
        """Formats, constants and landings of integers, or None in floating point."""
        if self.precision is None:
            return None
        setting = Setting(
            self.micro, RFLO(storage="dense"), Training(), np.zeros((self.network.n_out, self.network.n_rec)),
            "squared-error", lanes=1, longest=1, seed=0,
        )  # fmt: skip
        numbers = FixedNumbers(self.precision, setting)
        for name in ("current", "state", "readout"):
            row = numbers.grid[getattr(at, name.upper())]
            if row[at.ROUNDING] >= Rounding.STOCHASTIC:
                raise InputError(f"precision.{name} rounds by chance; spiking networks round floor, nearest or as such")
            if row[at.ACCUMULATOR] != at.EXACT:
                raise InputError("accumulator: spiking networks add exactly; leave it out")
        self._check_sums(numbers)
        return numbers

    def _check_sums(self, numbers: FixedNumbers) -> None:
        top = {"W": numbers.format_of("state").largest, "B": numbers.format_of("input").largest}
        top["A"] = top["W"]
        for name, largest in top.items():
            codes = numbers.encode(name, getattr(self.micro, name)).astype(np.int64)
            worst = int(np.abs(codes).sum(axis=1).max()) * largest * 4
            if worst > LARGEST_SUM:
                raise InputError(
                    f"precision: sums of {name} can need {worst.bit_length()} bits; Brian2 adds exactly up to 53. "
                    f"Take narrower formats of {name} or of what it multiplies"
                )

    @cached_property
    def quantum(self) -> int:
        """Code of q in the format of the state, at least 1; integers only."""
        assert self.fixed is not None
        return max(1, round(self.q * 2.0 ** self.fixed.frac("state")))

    def summary(self) -> dict[str, object]:
        """Return all choices as plain data."""
        out: dict[str, Any] = {"mode": self.mode}
        if self.events:
            out["q"] = self.q
        if self.mode == "sigma-delta":
            out |= {"payload": self.payload, "receivers": self.receivers}
        if self.mode == "lif-pair":
            out |= {"reset": self.reset, **({"reset_value": self.reset_value} if self.reset == "to-value" else {})}
        out |= {"micro_steps": self.micro_steps, "decay": self.keep}
        out["precision"] = "float64" if self.precision is None else self.precision.options()
        if self.learning is not None:
            out["learning"] = {
                "rule": self.learning.rule.options(), "learning_rate": self.learning.rates,
                "correction": self.learning.correction, "seed": self.learning.seed,
            }  # fmt: skip
        return out


class CodingOptions(TypedDict, total=False):
    """Keywords of a :class:`Plan` beside the mode, the threshold and the steps."""

    payload: Payload
    decay: float | None
    receivers: Receivers
    reset: Reset
    reset_value: float
    precision: Precision | None
    learning: Learning | None


class PlanOptions(CodingOptions, total=False):
    """Keywords of a :class:`Plan` beside the mode."""

    q: float
    micro_steps: int


class ModeOptions(PlanOptions, total=False):
    """Keywords of a :class:`Plan`, with the mode."""

    mode: Mode


def make_plan(net: Network, mode: Mode, **options: Unpack[PlanOptions]) -> Plan:
    """Return a plan from keywords, refusing those it does not know."""
    known = [name for name in Plan.__dataclass_fields__ if name not in ("network", "mode")]
    for key in options:
        choose("option", key, known)
    return Plan(net, mode, **options)
