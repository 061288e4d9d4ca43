"""What a profile keeps of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from neurolrnn.plain_data import ExperimentTables, Numerics

if TYPE_CHECKING:
    from neurolrnn.run import Curve

RowStatus = Literal["completed", "diverged", "failed"]
STATUSES: tuple[str, ...] = get_args(RowStatus)


@dataclass(frozen=True, eq=False)
class Row:
    """One run of a profile: what was set, and what came out.

    Parameters
    ----------
    digest : str
        :attr:`Experiment.digest <neurolrnn.Experiment.digest>`: names the run, wherever it was made.
    settings : dict
        The value, or the label, of each axis.
    seed : int
        Seed of the experiment.
    experiment : dict
        The whole experiment, as :meth:`Experiment.to_dict <neurolrnn.Experiment.to_dict>` gives it.
    status : str
        ``"completed"``, ``"diverged"`` (learning blew up: a result), or ``"failed"`` (these settings are not possible
        together, or the worker was lost).
    message : str
        Why, in words, where the run was not completed.
    metrics : dict of str to float
        As in :class:`neurolrnn.Run`; empty unless completed.
    records : dict of str to (points, ...)
        Curves over time: ``step``, ``loss`` and more, as in :class:`neurolrnn.Run`.
    saturation, numerics : dict, optional
        Counts of fixed-point events per variable, and the formats that were really used, as in :class:`neurolrnn.Run`.
    versions : dict of str to str
        Of the packages that took part.
    seconds : float
        Time that the run took; the one entry that is not the same each time.
    """

    digest: str
    settings: dict[str, object]
    seed: int
    experiment: ExperimentTables
    status: RowStatus
    message: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    records: dict[str, Curve] = field(default_factory=dict)
    saturation: dict[str, dict[str, int]] | None = None
    numerics: Numerics | None = None
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def key(self) -> str:
        """Settings as text, the same for runs that differ in their seed only."""
        return described(self.settings)


def described(settings: Mapping[str, Any]) -> str:
    """Return settings in one line, such as ``precision.weight = s1.6, rule.name = eprop``."""
    return ", ".join(f"{key} = {shown(value)}" for key, value in settings.items())


def shown(value: Any) -> str:
    """Return a value as people read it: text without quotes, other values as TOML."""
    from neurolrnn import toml_text

    if value is None:
        return "unset"
    return value if isinstance(value, str) else toml_text.inline(value)


def same(a: Row, b: Row) -> bool:
    """Tell whether two rows hold the same result, bit for bit; the time it took may differ."""
    plain_parts = ("digest", "settings", "seed", "experiment", "status", "message", "saturation", "numerics")
    if any(getattr(a, part) != getattr(b, part) for part in plain_parts):
        return False
    if list(a.metrics) != list(b.metrics) or list(a.records) != list(b.records):
        return False
    if any(repr(float(a.metrics[k])) != repr(float(b.metrics[k])) for k in a.metrics):  # all NaN are one
        return False
    pairs = [(a.records[k], b.records[k]) for k in a.records]
    return all(x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in pairs)
