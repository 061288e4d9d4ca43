"""Why a suggested format is what it is, in words: what was seen, what was tried, and which formula says so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from neurolrnn.errors import InputError
from neurolrnn.precision import Precision
from neurolrnn.profiles.answers import percent
from neurolrnn.profiles.cases import Difference
from neurolrnn.profiles.search import Found
from neurolrnn.profiles.suggestion import Reason
from neurolrnn.rules import RFLO
from neurolrnn.theory.rounding import dead_band, weight_bits_for_stability

Refused = Mapping[frozenset[tuple[str, int]], Difference]

if TYPE_CHECKING:
    from neurolrnn.profiles.suggest import Space
    from neurolrnn.profiles.trials import Trials


def reasons_of(
    space: Space, precision: Precision, found: Found, refused: Refused, words: Mapping[str, int],
    rounding: str,
) -> list[Reason]:  # fmt: skip
    """Return format and reasons of every variable.

    Parameters
    ----------
    space : Space
        What was searched.
    precision : Precision
        What was found.
    found : Found
        How.
    refused : dict of frozenset to Difference
        What settings cost that did not pass, by the bits of all knobs.
    words : dict of str to int
        Numbers kept of each variable.
    rounding : str
        Of updates.
    """
    reasons = []
    for name in space.variables:
        form = precision.landing(name).format
        spread = space.profiled.spreads.get(name)
        if spread is None or not spread.nonzero:
            reasons.append(Reason(name, str(form), words.get(name, 0), "always 0 where looked at", "-"))
            continue
        held = f"|x| ≤ {spread.peak:.3g}"
        if form.int_bits < spread.int_bits:
            share = spread.overall(form.int_bits)[0]
            held += f"; the {percent(share)} % beyond ±{2.0**form.int_bits:g} are not missed"
        resolution = [_one_fewer(space, name, found, refused)]
        if name in space.learned:
            resolution.append(_updates(space, name, form.frac_bits, rounding))
        resolution += [_decay(space, name, form.frac_bits), _stability(space, name, form.frac_bits)]
        reasons.append(Reason(name, str(form), words.get(name, 0), held, "; ".join(r for r in resolution if r)))
    return reasons


def _one_fewer(space: Space, name: str, found: Found, refused: Refused) -> str:
    """Say what a bit less costs, by the refused setting closest to what was found; others have no fewer bits there."""
    fewer = found.bits[name] - 1
    closest: tuple[int, str] | None = None
    for key, difference in refused.items():
        bits = dict(key)
        others = [bits[k] - found.bits[k] for k in found.bits if k != name]
        if bits[name] == fewer and min(others, default=0) >= 0 and (closest is None or sum(others) < closest[0]):
            closest = sum(others), str(difference)
    less = "less" if space.objective == "bytes" else "one less"
    if closest is not None:
        return f"{less} costs {closest[1]}" + (f", others {closest[0]} more in sum" if closest[0] else "")
    return "one byte" if space.objective == "bytes" else "the fewest tried"


def _updates(space: Space, name: str, frac_bits: int, rounding: str) -> str:
    group = name.removeprefix("factor_")
    update = space.profiled.spreads.get(f"update_{group}")
    if update is None or not update.nonzero:
        return ""
    dead = percent(update.overall(-frac_bits - 1)[1])
    small = f"{dead} % of updates of {group} are below LSB/2"
    return f"{small} and die" if rounding in ("nearest", "nearest-even") else f"{small}, and move it at random"


def _decay(space: Space, name: str, frac_bits: int) -> str:
    rule = space.profiled.experiment.rule
    if not isinstance(rule, RFLO) or name not in ("trace", "input_trace"):
        return ""
    decay = rule.decay if rule.decay is not None else 1.0 - space.profiled.experiment.network.leak
    return "" if decay == 0.0 else f"dead band {dead_band(decay, frac_bits):.2g}"


def _stability(space: Space, name: str, frac_bits: int) -> str:
    """Say what keeps W stable for sure, for networks whose W is normal."""
    net = space.profiled.experiment.network
    if name != "W" or net.kind not in ("symmetric", "orthogonal", "block"):
        return ""
    radius = 1.0 - net.leak + net.leak * net.spectral_radius
    try:
        needed = weight_bits_for_stability(net.n_rec, radius, net.leak)
    except InputError:  # at 1 or above no rounding is what makes it unstable
        return ""
    return f"{needed} bits surely keep its radius below 1" + ("" if frac_bits >= needed else ", here it was tried")


def rounding_notes(
    trials: Trials, space: Space, found_at: Mapping[str, Found], rounding: str, precision: Precision
) -> list[str]:
    """Say which rounding of updates was taken and why, and what the alternatives would be."""
    weights = ", ".join(space.learned)

    def bits(name: str) -> str:
        from neurolrnn.profiles.suggest import _all_weights

        level = _all_weights(space, found_at[name].bits["weights"])
        shown = space.precision(level, name)
        return " / ".join(str(shown.landing(v).format) for v in space.learned)

    if len(found_at) == 1:
        notes = [f"updates rounded {rounding}, the only choice that passes"]
    else:
        listed = "; ".join(f"{name}: {bits(name)}" for name in found_at)
        notes = [f"updates rounded {rounding}; {weights} need, with all else wide, {listed}"]
    updates = [u for v in space.learned if (u := space.profiled.spreads.get(f"update_{v.removeprefix('factor_')}"))]
    if rounding != "nearest" and updates:
        dead = [
            percent(u.overall(-precision.landing(v).format.frac_bits - 1)[1])
            for v, u in zip(space.learned, updates, strict=False)
        ]
        notes.append(f"to nearest, {' / '.join(dead)} % of the updates of {weights} would die: |η Δ| < LSB/2; rounded "
                     f"at random they are right on average")  # fmt: skip
    if rounding == "stochastic":
        other = trials.compare(_with(precision, update_rounding="lsb-stochastic"))
        notes.append(f"lsb-stochastic in its place: worse than float32 by {other}")
    hidden = max(precision.landing(v).format.int_bits for v in space.learned)
    nearest = found_at.get("nearest")
    if nearest is not None and rounding != "nearest":
        deepest = max(space.precision(_bits_of(space, nearest), "nearest").landing(v).format.frac_bits
                      for v in space.learned)  # fmt: skip
        fine = f"s{hidden}.{min(deepest, 30 - hidden)}"
        try:
            other = trials.compare(_with(precision, update_rounding="nearest", hidden=fine))
        except InputError:
            return notes
        if math.isfinite(other.mean):
            notes.append(f"without random numbers, hidden weights {fine} behind these: worse than float32 by {other}")
    return notes


def _bits_of(space: Space, found: Found) -> dict[str, int]:
    from neurolrnn.profiles.suggest import _all_weights

    return _all_weights(space, found.bits["weights"])


def _with(precision: Precision, **changes: object) -> Precision:
    return Precision.from_dict({**precision.options(), **changes})
