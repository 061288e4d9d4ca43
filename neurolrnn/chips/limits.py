"""A run under a chip's limits: formats and arithmetic from the sheet; what the chip cannot host is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from neurolrnn.chips.counting.learner import learner_demand
from neurolrnn.chips.formats import LIMITED_FORMS, complete
from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.plain_data import ChipKeys, ChipNumerics
from neurolrnn.precision import CHIP, Precision
from neurolrnn.rules import RFLO, Rule
from neurolrnn.tasks.base import Task
from neurolrnn.training import Training, check_rule
from neurolrnn_hardware import catalogue, limits
from neurolrnn_hardware.findings import Finding, Findings
from neurolrnn_hardware.limits import Limits
from neurolrnn_hardware.verdict import judge

FORMATLESS = ("learning.available", "learning.form", "learning.plastic", "learning.third", "topology.recurrent")
"""Limits on which no choice of formats has any bearing."""
WEIGHTS = ("A", "W", "B", "feedback", "factor_W", "factor_B")


@dataclass(frozen=True, eq=False)
class Applied:
    """What a chip makes of a run.

    Attributes
    ----------
    chip : str
        As it was given.
    limits : Limits
        Its sheet, with what was assumed.
    assume : tuple of str
        As it was given.
    precision : Precision
        The formats and modes of the run.
    findings : tuple of Finding
        Limits that were lifted, or about which texts disagree.
    notes : tuple of str
        What else should be said.
    """

    chip: str
    limits: Limits
    assume: tuple[str, ...]
    precision: Precision
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def warnings(self) -> list[str]:
        """What the reader of a run's results should know, in sentences."""
        name = self.limits.chip.name
        said = []
        for f in self.findings:
            how = {"assumed": "was lifted", "disputed": "holds by one text and not by another"}[f.status]
            said.append(
                f"{name}: limit {f.limit} {how}: {f.what}: asked {f.asked}, allowed {f.allowed} (source: {f.source}, "
                f"grade {f.grade})"
            )
        given = [f"{limit} = {value}" for limit, value in self.limits.given if value != "lifted"]
        if given:
            said.append(f"{name}: assumed, and not in its sheet: {', '.join(given)}")
        return said + [f"{name}: {note}" for note in self.notes]

    def report(self) -> ChipNumerics:
        """Return what the chip decided, as plain data: what :attr:`Run.numerics <neurolrnn.Run>` says of it."""
        exponents = {v: -self.precision.landing(v).format.frac_bits for v in WEIGHTS} if self.precision.is_fixed else {}
        return {
            "chip": self.limits.chip.key, "name": self.limits.chip.name, "assume": list(self.assume),
            "exponents": exponents, "findings": [f.to_dict() for f in self.findings], "notes": list(self.notes),
            "not_modelled": list(self.limits.chip.not_modelled),
        }  # fmt: skip

    def keys(self) -> ChipKeys:
        """Return what the description of an experiment says besides."""
        return described(self.chip, self.assume)


def described(chip: str, assume: Iterable[str] = ()) -> ChipKeys:
    """Return the keys that the description of an experiment has for a chip."""
    given = sorted({str(a) for a in assume})
    return {"chip": chip, "assume": given} if given else {"chip": chip}


def known_limits(chip: str, assume: Iterable[str] = ()) -> Limits:
    """Return a chip's limits under assumptions.

    Raises
    ------
    InputError
        If there is no such chip, its sheet is not in order, or an assumption names no limit.
    """
    try:
        return limits.assume(catalogue.load(chip), assume)
    except catalogue.ChipError as error:
        raise InputError(str(error)) from error


def precision_on(
    chip: str, network: Network, rule: Rule, precision: Precision | None = None, seed: int = 0,
    assume: Iterable[str] = (),
) -> Precision:  # fmt: skip
    """Return the formats and modes that a run on a chip has.

    Parameters
    ----------
    chip : str
        Name or path of a sheet.
    network, rule, seed
        As for :func:`neurolrnn.simulate`; initial weights decide the exponents.
    precision : Precision, optional
        ``Precision("chip", ...)`` with options of one's own, or a precision that says everything, which is returned.
    assume : iterable of str
        Limits that are lifted or set.

    Raises
    ------
    InputError
        If the sheet does not say all that is needed.
    """
    R = rule.feedback_matrix(network.n_out, network.n_rec, seed)
    return complete(known_limits(chip, assume), network, rule, R, precision or Precision(CHIP))


def apply(
    chip: str, network: Network, task: Task, rule: Rule, precision: Precision | None, training: Training, seed: int = 0,
    assume: Iterable[str] = (),
) -> Applied:  # fmt: skip
    """Return what a chip makes of a run, or refuse it.

    Parameters
    ----------
    chip : str
        Name such as ``"reckon"``, or path of a sheet of one's own.
    network, task, rule, precision, training, seed
        As for :func:`neurolrnn.simulate`.
    assume : iterable of str
        ``"payload.bits"`` lifts a limit, ``"state.bits=16"`` sets one, ``"unknown"`` lifts all that are not known.

    Raises
    ------
    InputError
        If the chip cannot host the run, with every finding, or its sheet does not say what is needed.
    """
    given = (assume,) if isinstance(assume, str) else tuple(assume)
    known = known_limits(chip, given)
    if training.update == "expected":
        raise InputError(f"chip = {chip!r}: update = 'expected' calculates averages, which no chip does; take 'online'")
    check_rule(rule, training)
    by_sheet = precision is None or precision.name == CHIP
    R = rule.feedback_matrix(network.n_out, network.n_rec, seed)
    try:
        made = complete(known, network, rule, R, precision or Precision(CHIP))
    except InputError as error:  # what no format would help comes first
        anyhow = judge(learner_demand(network, rule, Precision.preset("int16"), training, task=task, seed=seed), known)
        against = [f for f in anyhow.of("exceeded") if f.limit.startswith(FORMATLESS)]
        raise InputError(f"{_refusal(known, against, by_sheet)}\n{error}" if against else str(error)) from error
    demand = learner_demand(network, rule, made, training, task=task, seed=seed)
    verdict = judge(demand, known, network.leak)
    more = judge_run(known, made, rule, training, int(task.train.lengths.max()))
    found = [*verdict.findings, *more.found]
    against = [f for f in found if f.status in ("exceeded", "not known")]
    if against:
        raise InputError(_refusal(known, against, by_sheet))
    notes = [*verdict.notes, *more.notes, *_exact_gain(known, made, network.leak)]
    return Applied(str(chip), known, given, made, tuple(found), tuple(dict.fromkeys(notes)))


def judge_run(known: Limits, precision: Precision, rule: Rule, training: Training, longest: int) -> Findings:
    """Judge what a demand does not say of a run: when it updates, and how its arithmetic goes beyond its formats.

    ``longest`` is the number of steps of the longest episode.
    """
    findings = Findings(known)
    _check_timing(findings, training, longest)
    _check_arithmetic(findings, precision, rule)
    return findings


def _refusal(known: Limits, against: list[Finding], by_sheet: bool) -> str:
    names = ", ".join(dict.fromkeys(f'"{f.limit}"' for f in against))
    texts = "\n".join(f.text() for f in against)
    way = "" if by_sheet else "\nFormats that fit are in the chip's sheet: precision.preset = 'chip' takes them."
    return (
        f"{known.chip.name} cannot host this run:\n{texts}{way}\nTo run it all the same, name what you assume: "
        f"assume = [{names}]; the run records it"
    )


def _check_timing(findings: Findings, training: Training, longest: int) -> None:
    named = findings.named
    every = longest if training.update == "episode" else training.update_every
    what = "steps between updates"
    way = "training.update = 'online', and training.update_every within the limits"
    if named("learning.epoch_high"):
        findings.check("learning.epoch_high", lambda v: every <= v, f"{every} steps", what, way)
    if named("learning.epoch_low"):
        findings.check("learning.epoch_low", lambda v: every >= v, f"{every} steps", what, way)
    form = findings.limits.value("learning.form")
    if training.batch > 1 and form in LIMITED_FORMS:
        findings.check(
            "learning.form", lambda v: v not in LIMITED_FORMS, f"one update of {training.batch} sequences side by side",
            "form of the update", "training.batch = 1",
        )  # fmt: skip


def _check_arithmetic(findings: Findings, precision: Precision, rule: Rule) -> None:
    """Judge what a demand does not say of a precision."""
    value = findings.limits.value
    if not precision.is_fixed:
        return
    if value("learning.form") in LIMITED_FORMS and precision.rate_bits > 1:
        findings.check(
            "learning.form", lambda v: v not in LIMITED_FORMS, f"rates with a mantissa of {precision.rate_bits} bits",
            "learning rates, of which the chip has powers of two", "precision.rate_bits = 1",
        )  # fmt: skip
    pairs = value("trace.signed") is False and (value("trace.per_neuron") or 1) >= 2
    if pairs and isinstance(rule, RFLO) and precision.trace_signs != "pair":
        findings.check(
            "trace.signed", lambda v: v is not False, "traces of both signs", "traces of activity",
            "precision.trace_signs = 'pair', and a trace such as 'u2.5'",
        )  # fmt: skip
    if precision.trace_signs == "pair" and isinstance(rule, RFLO) and value("trace.signed") is False:
        findings.check(
            "trace.per_neuron", lambda v: v >= 2, "2 traces, of positive and of negative activity",
            "traces without a sign", "activity of one sign, or assume trace.signed to run with signed traces",
        )  # fmt: skip
    apart = value("decay.form") == "multiply" and value("decay.rounding") == "toward-zero"
    if apart and precision.state_decay != "apart":
        findings.check(
            "decay.rounding", lambda v: v != "toward-zero", "kept part and current rounded together", "decay of states",
            "precision.state_decay = 'apart'",
        )  # fmt: skip


def _exact_gain(known: Limits, precision: Precision, leak: float) -> list[str]:
    """Say where the model multiplies a current that the chip adds as it is."""
    if known.value("decay.form") != "multiply" or leak == 1.0 or not precision.is_fixed:
        return []
    return [
        f"currents are multiplied by α = {leak:g} as they reach the state; the chip adds them as they are, so its "
        f"weights would hold α·W and α·B"
    ]
