"""The range profiler: what values every variable of a learning network takes, and which formats hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.experiment import Experiment
from neurolrnn.precision import PARENTS, Precision
from neurolrnn.profiles.listening import Counted, count, listen
from neurolrnn.profiles.spread import Spread
from neurolrnn.profiles.storage import used_variables
from neurolrnn.rules import RFLO, EProp
from neurolrnn.tables import markdown_table, text_table
from neurolrnn.training import GROUPS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDEST = 30
"""Bits that a proposal takes at most; updates, traces and products then still fit the accumulators of most rules."""
LOST_MASS = 0.1
"""Share of the sum of |update| that may lie below half an LSB where updates are rounded to nearest."""
GAIN_OF_NEAREST = 2
"""Bits that rounding to nearest may cost more than stochastic rounding before the latter is proposed."""


class Proposal(NamedTuple):
    """A format for one variable, and why."""

    variable: str
    int_bits: int
    frac_bits: int
    reason: str

    @property
    def text(self) -> str:
        """The format as an experiment file has it."""
        return f"s{self.int_bits}.{self.frac_bits}"


@dataclass(frozen=True, eq=False)
class Ranges:
    """What one run looked like, variable by variable; result of :func:`ranges`.

    Attributes
    ----------
    experiment : Experiment
    spreads : dict of str to Spread
        By variable, named as in :data:`neurolrnn.precision.PARENTS`; ``step_A`` is η·ε, ``update_A`` what A changed by
        in one step.
    edges : (windows + 1,)
        Steps between which the windows of time lie.
    steps, sampled : int
        Steps of the run, and how many of them were looked at.
    diverged : bool
        Whether learning diverged; the ranges are those before.
    counted : Counted or None
        What happened in the experiment's own formats, every step counted; None in floating point.
    proposals : dict of str to Proposal
        A format for every variable that the rule uses.
    precision : Precision
        All proposals together, with the rounding of updates.
    rounding_reason : str
        Why updates are rounded in this way.
    checked : Counted or None
        What happened when the experiment was run with the proposals, every step counted; None if it could not be.
    notes : list of str
        What the reader should know.
    """

    experiment: Experiment
    spreads: Mapping[str, Spread]
    edges: NDArray[np.int64]
    steps: int
    sampled: int
    diverged: bool
    counted: Counted | None
    proposals: Mapping[str, Proposal]
    precision: Precision
    rounding_reason: str
    checked: Counted | None
    notes: list[str]

    def proposed(self) -> Experiment:
        """Return the experiment with the proposed formats."""
        tables = {**self.experiment.to_dict(), "precision": self.precision.options()}
        return Experiment.from_dict(tables, f"{self.experiment.where} with proposed formats")

    def dead_share(self, group: str, frac_bits: int) -> float:
        """Return the share of a group's nonzero updates that round to nearest as 0 with so many fraction bits."""
        name = f"update_{choose('group', group, GROUPS)}"
        if name not in self.spreads:
            raise InputError(f"group = {group!r} made no update that was looked at")
        return self.spreads[name].overall(-frac_bits - 1)[1]

    def overflow_share(self, variable: str, int_bits: int) -> float:
        """Return the share of a variable's values with |x| ≥ 2^int_bits."""
        return self.spreads[choose("variable", variable, self.spreads)].overall(int_bits)[0]

    def table(self, style: Literal["text", "markdown"] = "text") -> str:
        """Return one line per variable: range, quantiles, what the experiment's formats lose, and the proposal."""
        make = markdown_table if choose("style", style, ("text", "markdown")) == "markdown" else text_table
        own = self.experiment.precision
        rows = []
        for name, s in self.spreads.items():
            middle = np.nanmean(s.quantiles[:, 1:4], axis=0)
            proposal = self.proposals.get(name)
            now = str(own.landing(name).format) if own.is_fixed and name in PARENTS else ""
            rows.append(
                [name, _number(s.smallest), *(_number(x) for x in middle), _number(s.largest), _number(s.rms), now,
                 *self._lost(name), proposal.text if proposal else "", proposal.reason if proposal else ""]
            )  # fmt: skip
        header = ["variable", "min", "1 %", "median", "99 %", "max", "RMS", "format", "overflow", "dead", "proposed",
                  "why"]  # fmt: skip
        return make(rows, header, "lrrrrrrlrrll")

    def _lost(self, name: str) -> tuple[str, str]:
        """Return the shares of overflows and dead updates in the experiment's formats, or in the proposed ones."""
        from neurolrnn.profiles.answers import landings, percent

        counted = self.counted or self.checked
        if counted is None or not counted.steps:
            return "", ""
        group = name.removeprefix("update_")
        if name.startswith("update_"):
            updates = counted.updates.get(group)
            dead = counted.dead.get(group)
            return "", "" if updates is None else f"{percent(0 if dead is None else dead.sum() / updates.sum())} %"
        row = {"factor_W": "W", "factor_B": "B"}.get(name, name)
        if row in GROUPS and row == name and f"factor_{row}" in self.spreads:
            return "", ""  # at rest: the factors land in the rows of these weights
        events = counted.overflows.get(row)
        share = 0.0 if events is None else float(events.sum()) / (
            landings(self.experiment.to_dict()).get(row, 1) * counted.steps
        )  # fmt: skip
        return ("" if not share else f"{100 * share:.2g} %"), ""

    def summary(self) -> str:
        """Return what was looked at, the table, and how the proposals were found."""
        whole = "all" if self.sampled >= self.steps else f"{self.sampled:,} of"
        in_what = "in its own formats" if self.counted is not None else "in the proposed formats"
        lines = [
            f"{whole} {self.steps:,} steps looked at in float64; overflow and dead updates counted at every step "
            f"{in_what}",
            "", self.table(), "", f"rounding of updates: {self.precision.update_rounding}: {self.rounding_reason}",
            *self.notes,
        ]  # fmt: skip
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return all numbers as plain data."""
        return {
            "steps": self.steps, "sampled": self.sampled, "diverged": self.diverged, "edges": self.edges.tolist(),
            "variables": {name: s.to_dict() for name, s in self.spreads.items()},
            "proposals": {name: {"format": p.text, "reason": p.reason} for name, p in self.proposals.items()},
            "precision": self.precision.options(), "rounding_reason": self.rounding_reason, "notes": self.notes,
            "own_formats": _events(self.counted), "proposed_formats": _events(self.checked),
        }  # fmt: skip

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw sizes over time and what the formats hold; see :func:`neurolrnn.profiles.range_pictures.plot_ranges`."""
        from neurolrnn.profiles.range_pictures import plot_ranges

        return plot_ranges(self, path)


def _events(counted: Counted | None) -> dict[str, Any] | None:
    if counted is None:
        return None
    return {
        "overflows": {k: v.tolist() for k, v in counted.overflows.items()},
        "updates": {k: v.tolist() for k, v in counted.updates.items()},
        "dead_updates": {k: v.tolist() for k, v in counted.dead.items()}, "diverged": counted.diverged,
    }  # fmt: skip


def _number(x: float) -> str:
    return "-" if math.isnan(x) else f"{x:.2g}"


def ranges(
    experiment: Experiment, *, samples: int = 2000, windows: int = 20, signal_to_noise_db: float = 40.0
) -> Ranges:
    """Profile the ranges of all variables of one run, traces, signals and updates included, and propose formats.

    Parameters
    ----------
    experiment : Experiment
        With rule RFLO, truncated BPTT or e-prop. It is run in float64; if its precision is fixed point, in that too, to
        count what its formats lose.
    samples : int
        Steps at which values are looked at; all steps if there are not more.
    windows : int
        Parts of the run that are told apart.
    signal_to_noise_db : float
        Size of a variable over that of its rounding error, from which fraction bits are proposed; about 6 dB a bit.

    Returns
    -------
    Ranges

    Raises
    ------
    InputError
        If the rule has no fixed-point form, or training needs what fixed point has not.

    Notes
    -----
    Integer bits hold the largest value that was looked at; then the experiment is run with the proposals, and a
    variable that overflows in more than one result of 100 000 gets another bit. Fraction bits keep the rounding error
    d²/12 below the mean square by ``signal_to_noise_db``. Traces also follow decays down to an eighth of their RMS
    (dead band, docs/rounding.md). Weights that learn with updates to nearest get so many that at most a tenth of the
    sum of |update| is below half an LSB. Proposals are a start; :func:`neurolrnn.suggest_formats` tries them out.

    Examples
    --------
    >>> import neurolrnn as nl
    >>> found = nl.profiles.ranges(nl.Experiment.builtin(["training.epochs=1"]), samples=200)
    >>> found.proposals["state"].int_bits
    2
    """
    positive_integer("samples", samples)
    positive_integer("windows", windows)
    decibel = real_number("signal_to_noise_db", signal_to_noise_db, above=0.0, at_most=120.0)
    heard = listen(experiment, samples, windows)
    notes = []
    if heard.diverged:
        notes.append(f"learning diverged at step {heard.steps}; the ranges are those before")
    own = experiment.precision
    counted = count(experiment, own, heard.edges) if own.is_fixed else None
    wanted = own.update_rounding or own.rounding if own.is_fixed else None
    variables = used_variables(experiment.rule, experiment.training)
    extra = dict.fromkeys(variables, 0)
    for attempt in range(4):
        proposals, rounding, reason = propose(experiment, heard.spreads, decibel, wanted, extra)
        precision = Precision(
            "proposed", **{name: p.text for name, p in proposals.items()}, weight=proposals["W"].text,
            update_rounding=rounding,
        )  # fmt: skip
        try:
            checked = None if heard.diverged else count(experiment, precision, heard.edges)
        except InputError as error:
            checked = None
            notes.append(f"the proposals could not be tried: {error}")
        over = _overflowing(experiment, checked, variables)
        if not over or attempt == 3:
            break
        for name in over:
            extra[name] += 1
    if over:
        notes.append(f"with these proposals {', '.join(over)} still leave their range")
    spreads = {name: heard.spreads[name] for name in _ordered(heard.spreads)}
    return Ranges(experiment, spreads, heard.edges, heard.steps, heard.sampled, heard.diverged, counted, proposals,
                  precision, reason, checked, notes)  # fmt: skip


def _ordered(spreads: Mapping[str, Spread]) -> list[str]:
    order = ["A", "W", "B", "factor_W", "factor_B", "feedback", "input", "current", "state", "readout", "error"]
    return [*(n for n in order if n in spreads), *(n for n in spreads if n not in order)]


def _overflowing(experiment: Experiment, checked: Counted | None, variables: list[str]) -> list[str]:
    from neurolrnn.profiles.answers import landings

    if checked is None or not checked.steps:
        return []
    landed = landings(experiment.to_dict())
    found = []
    for row, events in checked.overflows.items():
        name = f"factor_{row}" if f"factor_{row}" in variables else row
        if name in variables and float(events.sum()) > 1e-5 * landed.get(row, 1) * checked.steps:
            found.append(name)
    return found


def propose(
    experiment: Experiment,
    spreads: Mapping[str, Spread],
    decibel: float,
    rounding: str | None,
    extra_int_bits: Mapping[str, int],
) -> tuple[dict[str, Proposal], str, str]:
    """Return a format for every variable the rule uses, the rounding of updates, and why it is that.

    Parameters
    ----------
    experiment : Experiment
    spreads : dict of str to Spread
    decibel : float
        Signal to noise.
    rounding : str or None
        Rounding of updates if it is given; otherwise nearest where that costs few bits, else stochastic.
    extra_int_bits : dict of str to int
        Integer bits on top of what was seen.
    """
    rule, training = experiment.rule, experiment.training
    factored = isinstance(rule, RFLO) and rule.storage == "factored"
    learned = {g: f"factor_{g}" if factored and g in "WB" else g for g in training.learn}
    nearest = {}
    for group in learned:
        update = spreads.get(f"update_{group}")
        if update is not None and update.nonzero:
            nearest[group] = fraction_bits_for_updates(update)
    quiet = {n: _fraction_bits(spreads[n], decibel) for n in used_variables(rule, training) if n in spreads}
    beyond = max((nearest[g] - quiet.get(learned[g], 0) for g in nearest), default=0)
    if rounding is not None:
        chosen, why = rounding, "that of the experiment"
    elif beyond <= GAIN_OF_NEAREST:
        chosen, why = "nearest", f"it needs no random numbers, and {max(beyond, 0)} bits more than values need"
    else:
        chosen = "stochastic"
        why = (f"to nearest, updates |ηΔ| < LSB/2 die, and {beyond} bits more would be needed to keep "
               f"{100 * (1 - LOST_MASS):.0f} % of them")  # fmt: skip
    proposals = {}
    for name in used_variables(rule, training):
        spread = spreads.get(name)
        if spread is None or not spread.nonzero:
            frac, reason, whole = 8, "always 0 where it was looked at", 0
        else:
            whole = spread.int_bits + extra_int_bits.get(name, 0)
            frac, reason = quiet[name], f"|x| ≤ {spread.peak:.3g}; {decibel:g} dB over rounding"
        of = next((g for g, v in learned.items() if v == name), "")
        if chosen in ("nearest", "nearest-even") and nearest.get(of, frac) > frac:
            frac = nearest[of]
            reason = f"|x| ≤ {spread.peak if spread else 0:.3g}; updates of {of} above LSB/2"
        decay = _decay_of(experiment, name, spreads)
        if decay is not None and spread is not None and spread.rms > 0.0 and decay < 1.0:
            band = math.ceil(math.log2(8.0 / (2.0 * (1.0 - decay) * spread.rms)))
            if band > frac:
                frac, reason = band, f"|x| ≤ {spread.peak:.3g}; dead band at decay {decay:.3g}"
        whole = max(whole, -frac)  # at least the sign
        if whole + frac + 1 > WIDEST:
            frac, reason = WIDEST - 1 - whole, f"{reason}; cut to {WIDEST} bits"
        if name in ("trace_decay", "W", "B", "A"):
            frac = max(frac, 1)
        proposals[name] = Proposal(name, whole, frac, reason)
    return proposals, chosen, why


def fraction_bits_for_updates(update: Spread) -> int:
    """Return the fewest fraction bits with which rounding to nearest loses at most a tenth of the sum of |update|."""
    frac = 0
    while update.mass_below(-frac - 1) <= LOST_MASS and frac > -30:
        frac -= 1
    while update.mass_below(-frac - 1) > LOST_MASS and frac < 60:
        frac += 1
    return frac


def _fraction_bits(spread: Spread, decibel: float) -> int:
    """Return F with d²/12 at most the mean square less ``decibel``: F ≥ ½ log2(10^(dB/10) / (12 RMS²))."""
    if spread.rms == 0.0:
        return 0
    return math.ceil(0.5 * math.log2(10.0 ** (decibel / 10.0) / (12.0 * spread.rms**2)))


def _decay_of(experiment: Experiment, name: str, spreads: Mapping[str, Spread]) -> float | None:
    """Return |ŵ| of a trace that decays, None for any other variable."""
    rule = experiment.rule
    if isinstance(rule, RFLO) and name in ("trace", "input_trace"):
        return abs(rule.decay if rule.decay is not None else 1.0 - experiment.network.leak)
    if isinstance(rule, EProp) and name in ("eligibility", "input_eligibility") and "trace_decay" in spreads:
        return float(np.nanmedian(np.abs(spreads["trace_decay"].quantiles[:, 2])))
    return None
