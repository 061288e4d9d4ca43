"""The search for few bits: ranges give integer bits, trials over seeds the fraction bits, fresh seeds the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.experiment import Experiment
from neurolrnn.precision import Precision
from neurolrnn.profiles.cases import Difference
from neurolrnn.profiles.range_profile import WIDEST, Ranges, ranges
from neurolrnn.profiles.reasons import reasons_of, rounding_notes
from neurolrnn.profiles.search import Found, Knob, search
from neurolrnn.profiles.storage import storage_of
from neurolrnn.profiles.suggestion import Suggestion, Verification, refuse_noise
from neurolrnn.profiles.trials import Trials, seeds_from
from neurolrnn.rules import RFLO
from neurolrnn_kernels.formats import ROUNDINGS

Objective = Literal["bits", "bytes"]
OBJECTIVES = ("bits", "bytes")
MORE, FEWER = 8, 8
"""Fraction bits above and below those of the range profiler between which is searched."""
BYTE_WIDTHS = (8, 16, 28)
"""Widths of one, two and four bytes; four leave room for sums."""
RETRIES = 2
"""Times that fresh seeds may refuse a choice, which then gets a bit more everywhere."""


@dataclass(frozen=True, eq=False)
class Space:
    """The formats among which is searched: integer bits are given, fraction bits or bytes are knobs."""

    profiled: Ranges
    objective: str
    learned: tuple[str, ...]
    """Variables that updates land in."""

    @property
    def variables(self) -> list[str]:
        """All that have a format."""
        return list(self.profiled.proposals)

    def limits(self, variable: str) -> tuple[int, int]:
        """Return the fewest and the most bits of a knob: fraction bits, or places in :data:`BYTE_WIDTHS`."""
        if self.objective == "bytes":
            return 0, len(BYTE_WIDTHS) - 1
        p = self.profiled.proposals[variable]
        most = min(p.frac_bits + MORE + (6 if variable in self.learned else 0), WIDEST - 2 - p.int_bits)
        return min(max(p.frac_bits - FEWER, 2 - p.int_bits), most), most  # an integer bit may still go: 2 bits are left

    def precision(self, bits: Mapping[str, int], rounding: str, integers: Mapping[str, int] | None = None) -> Precision:
        """Return the formats of some knobs; variables that are not named have the most."""
        own = self.profiled.experiment.precision
        formats = {}
        for name, p in self.profiled.proposals.items():
            value = bits.get(name, self.limits(name)[1])
            whole = p.int_bits - (integers or {}).get(name, 0)
            frac = value if self.objective == "bits" else BYTE_WIDTHS[value] - 1 - whole
            formats[name] = f"s{whole}.{frac}"
        settings = (
            {"rounding": own.rounding, "noise": own.noise, "random_bits": own.random_bits} if own.is_fixed else {}
        )
        return Precision("suggested", weight=formats["W"], **formats, update_rounding=rounding, **settings)


def suggest_formats(
    experiment: Experiment,
    tolerance: float = 0.02,
    seeds: int | Sequence[int] = 8,
    objective: Objective = "bits",
    *,
    metric: str | None = None,
    roundings: Sequence[str] = ("nearest", "stochastic"),
    tests: int = 150,
    fresh_seeds: int | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> Suggestion:
    """Find formats of few bits with which an experiment is as good as in floating point, within a tolerance.

    Parameters
    ----------
    experiment : Experiment
        What is learned, and how; of its precision only rounding, noise and random bits are taken.
    tolerance : float
        Largest loss against float32: 0.02 is two points of accuracy, or two per cent of a loss or an NMSE.
    seeds : int or sequence of int
        How many seeds the search compares, counted from the experiment's, or which.
    objective : str
        ``"bits"``: Σ words · width; ``"bytes"``: the same in whole bytes of 1, 2 or 4.
    metric : str, optional
        What is compared; default the first of :data:`neurolrnn.profiles.cases.METRICS` that the runs have.
    roundings : sequence of str
        Roundings of updates that the device has, the preferred one first. One further down is taken if it saves memory.
    tests : int
        Largest number of formats that are tried in the search, each on all seeds or, if it is hopeless, on three.
    fresh_seeds : int, optional
        Seeds of the verification; default one and a half times those of the search, at least 8.
    threads : int, optional
        Runs at a time; default the number of processors.
    progress : bool
        Count runs on stderr.

    Returns
    -------
    Suggestion
        Its :attr:`~Suggestion.passed` says whether fresh seeds confirmed it.

    Raises
    ------
    InputError
        If so few seeds cannot tell whether anything is within the tolerance, or float32 itself does not learn.

    Notes
    -----
    A format passes if the mean of the differences to float32, seed by seed, is within the tolerance with its whole 95 %
    interval (Student's t). The steps are: ranges of one run in float64 (:func:`neurolrnn.profiles.ranges`) give
    integer bits; for each rounding of updates the fraction bits of the weights are bisected with all else wide, and the
    rounding that takes the least memory wins; then each variable is bisected alone, all together get as many bits more
    as they need, and single bits are taken away again (:func:`neurolrnn.profiles.search.search`). Choosing among many
    favours luck, so the result is run on seeds that were not used; if these refuse it, every variable gets a bit more,
    at most twice, each time with other seeds.
    """
    limit = real_number("tolerance", tolerance, above=0.0)
    choose("objective", objective, OBJECTIVES)
    known = [choose("rounding of updates", r, ROUNDINGS) for r in roundings]
    if not known:
        raise InputError("roundings is empty; name at least one, such as ['nearest']")
    positive_integer("tests", tests)
    trials = Trials(experiment, seeds_from(seeds, experiment.seed), metric, threads, progress)
    try:
        return _suggest(trials, ranges(experiment), limit, objective, known, tests, fresh_seeds)
    finally:
        trials.close()


def _suggest(
    trials: Trials, profiled: Ranges, tolerance: float, objective: str, roundings: Sequence[str], tests: int,
    fresh_seeds: int | None,
) -> Suggestion:  # fmt: skip
    rule, training = trials.experiment.rule, trials.experiment.training
    factored = isinstance(rule, RFLO) and rule.storage == "factored"
    learned = tuple(f"factor_{g}" if factored and g in "WB" else g for g in training.learn)
    space = Space(profiled, objective, learned)
    last: Difference | None = None
    found_at: dict[str, Found] = {}
    for rounding in roundings:
        found = _weights_alone(trials, space, rounding, tolerance)
        if found is not None:
            found_at[rounding] = found
        else:
            last = trials.within(space.precision({}, rounding), tolerance)[1]
    if not found_at:
        assert last is not None
        raise refuse_noise(last, tolerance, trials.metric, len(trials.seeds))

    def memory(precision: Precision) -> int:
        return int(getattr(storage_of({**trials.tables, "precision": precision.options()}), objective))

    def alone(rounding: str) -> int:
        return memory(space.precision(_all_weights(space, found_at[rounding].bits["weights"]), rounding))

    rounding = min(found_at, key=lambda r: (alone(r), roundings.index(r)))
    words = storage_of({**trials.tables, "precision": space.precision({}, rounding).options()}).words
    knobs = _knobs(space, words, _all_weights(space, found_at[rounding].bits["weights"]))
    refused: dict[frozenset[tuple[str, int]], Difference] = {}

    def passes(bits: Mapping[str, int]) -> bool:
        fractions = {name: value for name, value in bits.items() if not name.startswith("int:")}
        spared = {k.name[4:]: k.most - bits[k.name] for k in knobs if k.name.startswith("int:")}
        verdict, difference = trials.within(space.precision(fractions, rounding, spared), tolerance)
        if not verdict:
            refused[frozenset(bits.items())] = difference
        return verdict

    found = search(knobs, passes, tests)
    if found is None:
        raise refuse_noise(next(iter(refused.values())), tolerance, trials.metric, len(trials.seeds))
    bits = {name: value for name, value in found.bits.items() if not name.startswith("int:")}
    spared = {k.name[4:]: k.most - found.bits[k.name] for k in knobs if k.name.startswith("int:")}
    precision, verifications = _verify(trials, space, bits, spared, rounding, tolerance, fresh_seeds)
    tables = {**trials.tables, "precision": precision.options()}
    suggested = Experiment.from_dict(tables, f"{trials.experiment.where} with suggested formats")
    notes = rounding_notes(trials, space, found_at, rounding, precision)
    if len(verifications) > 1:
        notes.append(f"fresh seeds refused fewer bits: every format has {len(verifications) - 1} more than the search "
                     f"found")  # fmt: skip
    if found.exhausted:
        notes.append(f"the search ended after {tests} tests; more may find fewer bits")
    return Suggestion(
        suggested, trials.metric, tolerance, objective, reasons_of(space, precision, found, refused, words, rounding),
        storage_of(tables), storage_of({**trials.tables, "precision": {"preset": "float32"}}),
        trials.compare(precision), verifications, len(trials.made), notes,
    )  # fmt: skip


def _weights_alone(trials: Trials, space: Space, rounding: str, tolerance: float) -> Found | None:
    """Return how many bits all weights together may lose with a rounding of updates, with everything else wide."""
    least = 0
    most = max(space.limits(v)[1] - space.limits(v)[0] for v in space.learned)
    knob = Knob("weights", least, most)
    return search([knob], lambda b: trials.within(space.precision(_all_weights(space, b["weights"]), rounding),
                                                  tolerance)[0])  # fmt: skip


def _all_weights(space: Space, level: int) -> dict[str, int]:
    """Return bits of every learned weight, so many above the fewest."""
    return {v: min(space.limits(v)[0] + level, space.limits(v)[1]) for v in space.learned}


def _knobs(space: Space, words: Mapping[str, int], weights: Mapping[str, int]) -> list[Knob]:
    """Return a knob for each variable, learned weights with two bits to spare, and late ones for integer bits."""
    knobs = []
    for name in space.variables:
        least, most = space.limits(name)
        if name in weights:
            most = min(weights[name] + (2 if space.objective == "bits" else 0), most)
        knobs.append(Knob(name, least, most, float(words.get(name, 0))))
    if space.objective == "bits":
        for name in space.variables:
            whole = space.profiled.proposals[name].int_bits
            knobs.append(Knob(f"int:{name}", whole - 1, whole, float(words.get(name, 0)), late=True))
    return sorted(knobs, key=lambda knob: -knob.cost)


def _verify(
    trials: Trials, space: Space, bits: dict[str, int], spared: dict[str, int], rounding: str, tolerance: float,
    fresh_seeds: int | None,
) -> tuple[Precision, list[Verification]]:  # fmt: skip
    count = (
        max(8, (3 * len(trials.seeds) + 1) // 2) if fresh_seeds is None else positive_integer("fresh", fresh_seeds, 2)
    )
    first = max(trials.seeds) + 1
    made: list[Verification] = []
    while True:
        precision = space.precision(bits, rounding, spared)
        seeds = tuple(range(first, first + count))
        difference = trials.compare(precision, seeds=seeds)
        made.append(Verification(seeds, difference, difference.high <= tolerance))
        if made[-1].passed or len(made) > RETRIES:
            return precision, made
        first += count
        bits = {name: min(value + 1, space.limits(name)[1]) for name, value in bits.items()}
