"""A network as the integers that a device holds: every format, shift, constant and code resolved, nothing left to do.

The targets ``bundle``, ``c`` and ``verilog`` are written from this and from nothing else, so they agree on every bit.
docs/numerics.md is the contract of the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, choose, positive_integer
from neurolrnn.exports.design import SHORT, Codes, Design, Spot
from neurolrnn.exports.losses import Change, Loss
from neurolrnn.exports.target import Source
from neurolrnn.fixed_grid import ROWS, Setting
from neurolrnn.fixed_point import FixedNumbers
from neurolrnn.network import Network
from neurolrnn.precision import NOISES, PRESETS, Precision
from neurolrnn.proof import bounds
from neurolrnn.rules import RFLO, Rule
from neurolrnn.tasks.base import LOSSES
from neurolrnn.training import Training
from neurolrnn_kernels import grid as at
from neurolrnn_kernels.formats import Overflow, Rounding


def version() -> str:
    """Return the version of this package."""
    try:
        return metadata.version("neurolrnn")
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return "unknown"


def resolve(
    source: Source, *, precision: Any = None, rule: Rule | None = None, learning_rate: Any = None,
    noise: str | None = None, seed: int | None = None, loss: str | None = None,
    limits: Callable[[RFLO, str], str] | None = None,
) -> Design:  # fmt: skip
    """Return what a device has to hold to be this run, or this network.

    Parameters
    ----------
    source : Source
        A run in fixed point brings everything with it. A network, or a run in floating point, needs ``precision``.
    precision : Precision, str or dict, optional
        Formats, the name of a preset, or options; not for runs in fixed point, which have theirs.
    rule : RFLO, optional
        How it learns on. Default: as the run did. A network learns only if ``rule`` or ``learning_rate`` is given, by
        factored RFLO if nothing else is said.
    learning_rate : float or dict, optional
        As in :class:`neurolrnn.Training`; default: that of the run, and 0.01 for a network.
    noise : str, optional
        ``"element"``, ``"shared"`` or ``"lfsr"``: other random bits than those of the run.
    seed : int, optional
        Of the random bits, and of random feedback; default: the run's, or 0.
    loss : str, optional
        ``"squared-error"`` or ``"cross-entropy"``; default: that of the run's task, and squared error for a network.
    limits : callable, optional
        What a target cannot learn by: given a rule and a loss it says why not, or returns an empty string.

    Raises
    ------
    InputError
        If there is no precision, or a sum is too large for 64 bits.
    """
    run = source.run
    training = source.training or Training()
    wanted = rule or source.rule or (None if run is not None or learning_rate is None else RFLO())
    if source.inference_only:
        wanted = None
    seed = source.seed if seed is None else positive_integer("seed", seed, 0)
    told = "squared-error" if run is None else str(run.experiment["task"]["loss"])
    loss = choose("loss", loss or told, LOSSES)
    given = _precision(source, precision)
    chosen = (
        given if noise is None else Precision.from_dict({**given.options(), "noise": choose("noise", noise, NOISES)})
    )
    if learning_rate is not None:
        training = replace(training, learning_rate=learning_rate)
    losses: list[Loss] = []
    notes: list[str] = []
    why = "" if wanted is None else _why_not(wanted, training, source.network)
    if not why and isinstance(wanted, RFLO) and limits is not None:
        why = limits(wanted, loss)
    if wanted is not None and why:
        losses.append(Loss(f"learning by {wanted.name}", why, "inference_only leaves it out on purpose"))
        wanted = None
    learns: tuple[str, ...] = ()
    network = source.network
    if wanted is None:
        wanted = RFLO(storage="dense", feedback="symmetric")
        training = Training(learning_rate=0.0, learn=("A",))
    else:
        learns = training.learn
        if training.batch > 1:
            why = f"the run added up {training.batch} sequences at a time, a device has one"
            losses.append(Loss(f"batch = {training.batch}", why, "learn on with a smaller learning_rate"))
        training = replace(training, batch=1, epochs=1, ranges=False)
        network = _start(source, wanted)
    if network.held is not None:
        notes.append(f"W, held as {type(network.held).__name__}, is written out in full with its zeros")
        network = Network(network.A, network.W, network.B, network.leak, dict(network.origin))
    R = _feedback(source, wanted, network, seed) if learns else None
    setting = Setting(network, wanted, training, R, loss, lanes=1, longest=1, seed=seed)
    for name in chosen.chip_settings:
        raise InputError(f"precision.{name} is of simulated chips, and the code that is written has none; leave it out")
    numbers = FixedNumbers(chosen, setting)
    codes, changes = _codes(source, numbers, learns)
    if not source.is_fixed:
        changes += _constants(numbers, learns)
    spots = _spots(numbers, learns)
    design = Design(numbers, spots, codes, tuple(learns), losses, changes, notes)
    other = [
        f"{k} = {a!r}" for k, a, b in (("noise", chosen.noise, given.noise), ("seed", seed, source.seed)) if a != b
    ]
    if other and source.is_fixed and any(spots[k].is_random for k in design.landings):
        why = f"it is exported with {' and '.join(other)}, which draws others"
        losses.append(Loss("random bits of the run", why, "leave that out"))
    return design


def _precision(source: Source, given: Any) -> Precision:
    ran = source.precision
    if ran is not None and ran.is_fixed:
        if given is not None:
            raise InputError(
                f"precision: the run was made in {ran.name} fixed point, and its codes are exported as they are; leave "
                f"precision out, or export run.network with another precision"
            )
        return ran
    why = "a network holds real numbers" if ran is None else f"the run was made in {ran.name}"
    if isinstance(given, str):
        given = Precision.preset(given)
    elif isinstance(given, Mapping):
        given = Precision.from_dict(given)
    if not isinstance(given, Precision) or not given.is_fixed:
        names = ", ".join(repr(name) for name in PRESETS if name not in ("float32", "float64"))
        raise InputError(
            f"precision = {given!r}: {why}, and integers are written; give the formats they are to be rounded to, a "
            f"neurolrnn.Precision or the name of a preset ({names}), such as --set precision=int8 of the command"
        )
    return given


def _why_not(rule: Rule, training: Training, network: Network) -> str:
    """Say why a device cannot learn as told; empty if it can."""
    if not isinstance(rule, RFLO):
        return f"of the learning rules a device holds RFLO only, not {rule.name!r}"
    if training.update != "online":
        return f"a device updates at every step (update = 'online'), not with update = {training.update!r}"
    if training.update_every > 1:
        return f"a device updates at every step, not every {training.update_every}"
    if training.momentum:
        return f"fixed point has no momentum ({training.momentum} in the run)"
    if rule.storage == "dense" and network.sparse is not None and "W" in training.learn:
        return "W is sparse and learns itself, and which synapses exist is not written; take storage = 'factored'"
    return ""


def _start(source: Source, rule: Rule) -> Network:
    """Return the network whose W and B the device holds: those that stay, where factors learn."""
    run, now = source.run, source.network
    assert isinstance(rule, RFLO)
    if rule.storage == "factored" and run is not None and run.factors is not None:
        start = run.initial
        W: Any = start.W if start.held is None else start.held
        return Network(now.A, W, start.B, start.leak, dict(start.origin))
    return now


def _feedback(source: Source, rule: Rule, network: Network, seed: int) -> NDArray[np.float64] | None:
    if source.run is not None and source.run.feedback is not None and source.rule is not None:
        return source.run.feedback
    return rule.feedback_matrix(network.n_out, network.n_rec, seed)


def _codes(source: Source, numbers: FixedNumbers, learns: Iterable[str]) -> tuple[dict[str, Codes], list[Change]]:
    """Return the codes of every matrix, and what their rounding changed."""
    net, R = numbers.setting.network, numbers.setting.feedback
    run = source.run
    given: dict[str, NDArray[np.float64]] = {"A": net.A, "W": net.W, "B": net.B}
    if R is not None:
        given["feedback"] = R
    if numbers.setting.factored:
        shapes = {"factor_W": (net.n_out, net.n_rec), "factor_B": (net.n_out, net.n_in)}
        factors = None if run is None else run.factors
        given |= dict(zip(shapes, factors or (np.zeros(s) for s in shapes.values()), strict=True))
    codes: dict[str, Codes] = {}
    changes: list[Change] = []
    for variable, values in given.items():
        form, name = numbers.landings[variable].format, SHORT.get(variable, variable)
        codes[name] = form.encode(values)
        clipped = int(form.overflows(values).sum())
        landed = form.decode(codes[name])
        # a run in fixed point multiplied with these codes all along
        if not source.is_fixed and not np.array_equal(landed, values):
            how = f"rounded to {form}" + (f", {clipped} of {values.size} values saturated" if clipped else "")
            changes.append(Change.between(name, how, "the device holds integers", values, landed))
    for group in learns:
        fine = numbers.precision.hidden_format(group)
        if fine is None:
            continue
        plastic = numbers.plastic(group)
        name = SHORT.get(plastic, plastic)
        kept = None if run is None or not source.is_fixed else run.state.get(f"weights.hidden_{group}")
        if kept is not None and kept.size:
            codes[f"hidden_{name}"] = np.ascontiguousarray(kept.T if name in ("W", "B") else kept).astype(np.int64)
        else:
            codes[f"hidden_{name}"] = codes[name] << (fine.frac_bits - numbers.landings[plastic].format.frac_bits)
    return codes, changes


def _constants(numbers: FixedNumbers, learns: Iterable[str]) -> list[Change]:
    """Return what rounding changed in the leak, in the decay of the traces and in the learning rates."""
    net, bits, why = numbers.setting.network, numbers.precision.decay_bits, "the device holds integers"
    held = {k: math.ldexp(numbers.constants[k], -bits) for k in ("gain", "decay")}
    pairs = [("leak α", f"rounded to {bits} fraction bits", net.leak, held["gain"])]
    if learns:
        rule = numbers.setting.rule
        own = rule.decay if isinstance(rule, RFLO) and rule.decay is not None else 1.0 - net.leak
        pairs.append(("decay of the traces", f"rounded to {bits} fraction bits", own, held["decay"]))
    for group in learns:
        rate = numbers.rates[group]
        how = f"{rate.mantissa} · 2^-{rate.frac_bits}"
        pairs.append((f"learning rate of {group}", how, numbers.setting.training.rates[group], rate.value))
    return [Change.between(what, how, why, [a], [b]) for what, how, a, b in pairs if a != b]


def _spots(numbers: FixedNumbers, learns: tuple[str, ...]) -> dict[str, Spot]:
    """Return every landing of the design."""
    proved: dict[str, int] = {}
    for bound in bounds(numbers):
        proved[bound.landing] = max(proved.get(bound.landing, 0), bound.bits)
    sums = numbers.sums()
    out: dict[str, Spot] = {}
    for name, number in ROWS.items():
        row = numbers.grid[number]
        group = name if name in ("A", "W", "B") else None
        variable = numbers.plastic(name) if group else name
        if variable not in numbers.landings:
            continue
        short = SHORT.get(variable, variable)
        terms = len(sums[name]) if name in sums else 2
        out[short] = Spot(
            short, numbers.landings[variable].format, int(row[at.SHIFT]), Rounding(int(row[at.ROUNDING])).label,
            Overflow(int(row[at.OVERFLOW])).label, int(row[at.LO]), int(row[at.HI]),
            tuple(int(row[at.LIFT_0 + k]) for k in range(terms)), number, int(row[at.KEY]), proved.get(name, 0),
            numbers.precision.hidden_format(group) if group in learns else None,
        )  # fmt: skip
    return out
