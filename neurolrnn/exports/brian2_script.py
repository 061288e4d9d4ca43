"""Brian2: a script that stands alone, with its weights, inputs and recorded outputs beside it."""

from __future__ import annotations

from neurolrnn.errors import InputError
from neurolrnn.exports.losses import Change
from neurolrnn.exports.target import Plan, Source
from neurolrnn.precision import Precision
from neurolrnn.rules import RFLO
from neurolrnn.spiking.plan import Learning, Mode, PlanOptions, make_plan
from neurolrnn.spiking.plan import Plan as Deployed
from neurolrnn.spiking.script import example_input, script_files
from neurolrnn.spiking.twin import run_twin
from neurolrnn.tasks.base import Sequences


def plan(
    source: Source,
    *,
    mode: Mode = "graded",
    q: float = 0.1,
    micro_steps: int = 1,
    integers: bool | None = None,
    learning: bool | None = None,
    steps: int = 200,
) -> Plan:
    """Plan a Brian2 script.

    Parameters
    ----------
    source : Source
        What is exported.
    mode : str
        ``"graded"``, ``"sigma-delta"`` or ``"lif-pair"``; see :func:`neurolrnn.spiking.to_brian2`.
    q : float
        Quantum of the spiking modes.
    micro_steps : int
        Steps of the spiking network per step of the network.
    integers : bool, optional
        States, sums and weights as integers; default: where the run had fixed-point formats and the script does not
        learn.
    learning : bool, optional
        Learn on, by the run's rule, with a target of 0 that the user replaces; default: no.
    steps : int
        Steps of example input, slowly varying noise.

    Raises
    ------
    InputError
        If the network or its rule has no such form.
    """
    net, precision, rule = source.network, source.precision, source.rule
    learns = bool(learning)
    fixed = source.is_fixed and not learns if integers is None else integers
    if fixed and not source.is_fixed:
        raise InputError("integers = True: the run was in floating point; give a run with formats, or leave it out")
    losses = []
    chosen = None
    if learns:
        if not isinstance(rule, RFLO) or source.training is None:
            raise InputError("learning = True: the script learns by RFLO; export a run that did, or leave it out")
        R = source.feedback
        own = RFLO(rule.decay, rule.storage, feedback=rule.feedback if R is None else R)
        chosen = Learning(own, source.training.rates, source.seed)
    else:
        losses += source.learning_loss("the script runs the network alone", "learning = True, for RFLO")
    if not fixed:
        losses += source.format_loss("the script calculates in float64", "integers = True, without learning")
    formats: Precision | None = precision if fixed else None
    options: PlanOptions = {"micro_steps": micro_steps, "precision": formats, "learning": chosen}
    if mode != "graded":
        options["q"] = q
    made = make_plan(net, mode, **options)
    x = example_input(net, steps)
    data = Sequences.from_arrays(x, 0.0 * x[:, :1].repeat(net.n_out, axis=1)) if learns else x
    changes = []
    if made.events and not learns:
        graded, sent = run_twin(Deployed(net, "graded", precision=formats), x, ("y",)), run_twin(made, x, ("y",))
        changes.append(
            Change.between("y", f"from events of q = {q:g}", f"mode {mode}", graded.need("y"), sent.need("y"))
        )
    notes = [f"inputs are {steps} steps of slowly varying noise; replace x_in in model.npz by your own"]
    if micro_steps > 1:
        notes.append(f"W and B are those of {micro_steps} micro-steps a step: the root of the transition")
    return Plan(script_files(made, data), losses, changes, notes)
