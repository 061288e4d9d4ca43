"""Which variable's format costs how much: one at a time in its own format, and all but one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from neurolrnn.errors import InputError, choose
from neurolrnn.experiment import Experiment
from neurolrnn.precision import GROUPS, PARENTS, Precision
from neurolrnn.profiles.cases import Difference, Metric
from neurolrnn.profiles.range_profile import ranges
from neurolrnn.profiles.spread import Spread
from neurolrnn.profiles.storage import used_variables
from neurolrnn.profiles.trials import Trials, seeds_from
from neurolrnn.rules import RFLO
from neurolrnn.tables import markdown_table, text_table
from neurolrnn_kernels.formats import QFormat

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = (28, 26, 24, 22, 20)
"""Bits of a wide format, the first that the sums of the rule have room for."""
WIDE_RATE_BITS = 24


class Share(NamedTuple):
    """What the format of one variable does to the metric."""

    variable: str
    format: str
    alone: Difference
    """How much worse with this variable in its own format and all others wide, than with all wide."""
    spared: Difference
    """How much worse with every variable in its own format, than with this one wide."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """Costs of single formats; result of :func:`attribution`.

    Attributes
    ----------
    experiment : Experiment
    metric : Metric
    shares : list of Share
        The costliest first, by the larger of the two means.
    whole : Difference
        How much worse than float32 with every variable in its own format.
    wide : Difference
        How much worse than float32 with all formats wide: what is left at the most bits, and noise.
    wide_bits : int
        Width of the wide formats.
    seeds : list of int
    """

    experiment: Experiment
    metric: Metric
    shares: Sequence[Share]
    whole: Difference
    wide: Difference
    wide_bits: int
    seeds: Sequence[int]

    def table(self, style: Literal["text", "markdown"] = "text") -> str:
        """Return one line per variable, the costliest first, and the sums of all."""
        make = markdown_table if choose("style", style, ("text", "markdown")) == "markdown" else text_table
        rows = [[s.variable, s.format, str(s.alone), str(s.spared)] for s in self.shares]
        rows.append(["all of them", "", str(self.whole), ""])
        rows.append([f"none: all of {self.wide_bits} bits", "", str(self.wide), ""])
        header = ["variable", "format", f"alone costs ({self.metric.unit})", "widening it saves"]
        return make(rows, header, "llrr")

    def to_dict(self) -> dict[str, object]:
        """Return all numbers as plain data."""
        return {
            "metric": self.metric.name, "seeds": list(self.seeds), "wide_bits": self.wide_bits,
            "whole": self.whole._asdict(), "wide": self.wide._asdict(),
            "shares": [
                {"variable": s.variable, "format": s.format, "alone": s.alone._asdict(), "spared": s.spared._asdict()}
                for s in self.shares
            ],
        }  # fmt: skip

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the costs as bars; see :func:`neurolrnn.profiles.cost_pictures.plot_attribution`."""
        from neurolrnn.profiles.cost_pictures import plot_attribution

        return plot_attribution(self, path)


def attribution(
    experiment: Experiment,
    seeds: int | Sequence[int] = 8,
    *,
    metric: str | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> Attribution:
    """Tell which single variable's format costs how much.

    Parameters
    ----------
    experiment : Experiment
        In fixed point.
    seeds, metric, threads, progress
        As for :func:`neurolrnn.suggest_formats`: 8 seeds, counted from the experiment's; accuracy or NMSE; as many runs
        at a time as there are processors; counted on stderr.

    Returns
    -------
    Attribution

    Raises
    ------
    InputError
        If the experiment is in floating point, or wide formats are not possible with it.

    Notes
    -----
    Two questions per variable, both over the same seeds: what it costs *alone*, with all other variables wide, and what
    *widening it* saves, with all others as they are. Where errors add up the two agree. Alone large and saving small:
    others are as bad by themselves, and hide it. Alone small and saving large: it is harmless until something else is
    coarse too.

    A wide format has 28 bits, or fewer if sums would not fit, with one integer bit more than the largest value of a run
    in float64 needs, or those of its own format if these are more. Rounding and overflow modes stay those of the
    experiment; hidden weights belong to their weights. ``accumulator``, if declared, counts as a variable (wide:
    exact), and so do ``decays`` (``decay_bits``; wide: 24) and ``rates`` (``rate_bits``; wide: 24).
    """
    if not experiment.precision.is_fixed:
        raise InputError(
            f"precision {experiment.precision.name!r} has no formats whose cost could be told; give some, such as "
            f"precision.preset = 'int8'"
        )
    trials = Trials(experiment, seeds_from(seeds, experiment.seed), metric, threads, progress)
    try:
        return _attribution(trials)
    finally:
        trials.close()


def _attribution(trials: Trials) -> Attribution:
    experiment = trials.experiment
    spreads = ranges(_in_float(experiment), samples=1000).spreads
    width, mixes = _mixes(trials, spreads)
    everything = frozenset(mixes.names)
    none, whole = mixes.precision(frozenset()), mixes.precision(everything)
    shares = []
    for name in mixes.names:
        alone = trials.compare(mixes.precision(frozenset({name})), none)
        spared = trials.compare(whole, mixes.precision(everything - {name}))
        shares.append(Share(name, mixes.shown(name), alone, spared))
    shares.sort(key=lambda share: -max(share.alone.mean, share.spared.mean))
    return Attribution(experiment, trials.metric, shares, trials.compare(whole), trials.compare(none), width,
                       trials.seeds)  # fmt: skip


def _in_float(experiment: Experiment) -> Experiment:
    return replace(experiment, precision=Precision.float64())


class _Mixes:
    """Precisions in which some variables have their own formats and the others wide ones."""

    def __init__(self, experiment: Experiment, spreads: Mapping[str, Spread], width: int) -> None:
        self.own, self._width, self._spreads = experiment.precision, width, spreads
        self._variables = used_variables(experiment.rule, experiment.training)
        self.factored = isinstance(experiment.rule, RFLO) and experiment.rule.storage == "factored"
        self.names = [*self._variables, "decays", "rates"]
        if self.own.accumulator != "exact":
            self.names.append("accumulator")

    def shown(self, name: str) -> str:
        """Return the format of a variable in words, with what belongs to it."""
        if name == "accumulator":
            return self.own.accumulator
        if name in ("decays", "rates"):
            return f"{self.own.decay_bits if name == 'decays' else self.own.rate_bits} bits"
        landing, fine = self.own.landing(name), self._hidden(name)
        update = f" {landing.rounding.label}" if name in ("A", "W", "B", "factor_W", "factor_B") else ""
        return f"{landing.format}{update}" + (f", hidden {fine}" if fine is not None else "")

    def precision(self, own: frozenset[str]) -> Precision:
        """Return formats: the experiment's for the variables ``own``, wide ones for the others."""
        p = self.own
        formats, hidden = {}, {}
        for name in self._variables:
            landing = p.landing(name)
            form = landing.format if name in own else self._wide(name, landing.format)
            formats[name] = f"{form} {landing.rounding.label} {landing.overflow.label}"
            fine = self._hidden(name)
            if fine is not None and name in own:
                hidden[self._group(name)] = str(fine)
        settings = {
            "rounding": p.rounding, "update_rounding": p.update_rounding, "overflow": p.overflow, "noise": p.noise,
            "random_bits": p.random_bits, "hidden": hidden or None, "trace_signs": p.trace_signs,
            "state_decay": p.state_decay,
            "accumulator": p.accumulator if "accumulator" in own else "exact",
            "decay_bits": p.decay_bits if "decays" in own else max(p.decay_bits, 24),
            "rate_bits": p.rate_bits if "rates" in own else WIDE_RATE_BITS,
        }  # fmt: skip
        rest = {k: v for k, v in p.formats.items() if k not in PARENTS}  # steps: as the experiment has them
        rest["weight"] = formats["W"]
        if "message" in p.formats:
            rest["message"] = formats.pop("message", p.formats["message"])
        return Precision("mixed", **rest, **formats, **settings)

    def _wide(self, name: str, form: QFormat) -> QFormat:
        spread = self._spreads.get(name)
        whole = max(form.int_bits, spread.int_bits + 1 if spread is not None else form.int_bits)
        frac = max(self._width - 1 - whole, form.frac_bits)
        return QFormat(form.signed, whole, frac)

    def _group(self, name: str) -> str:
        return name.removeprefix("factor_")

    def _hidden(self, name: str) -> QFormat | None:
        learned = ("A", "factor_W", "factor_B") if self.factored else GROUPS
        return self.own.hidden_format(self._group(name)) if name in learned else None


def _mixes(trials: Trials, spreads: Mapping[str, Spread]) -> tuple[int, _Mixes]:
    """Return the widest formats that float32's equal can be made of."""
    last = ""
    for width in WIDTHS:
        mixes = _Mixes(trials.experiment, spreads, width)
        row = trials.rows(mixes.precision(frozenset()), trials.seeds[:1])[0]
        if row.status != "failed":
            return width, mixes
        last = row.message
    raise InputError(f"{trials.experiment.where}: not even formats of {WIDTHS[-1]} bits are possible: {last}")
