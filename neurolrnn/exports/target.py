"""What is exported, what a target is, and the table of all targets.

A target is a module of this package with a function ``plan(source, **options) -> Plan`` and a row of :data:`TARGETS`.
The function makes the whole content in memory and names every loss; writing comes afterwards and is the same for all.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from numpy import float64
from numpy.typing import NDArray

from neurolrnn.errors import InputError, choose
from neurolrnn.exports.losses import Change, Loss
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import Rule, make_rule
from neurolrnn.run import Run
from neurolrnn.training import Training

DT_SECONDS = 1e-3
"""Duration of a step, s, where a target measures time and none is given."""


@dataclass(frozen=True, eq=False)
class Source:
    """What is exported.

    Parameters
    ----------
    network : Network
        The weights, after learning.
    run : Run, optional
        The run that made them, with its rule, formats and feedback.
    inference_only : bool
        Whether the user asked for the network alone, so that what it learned with is no loss.
    """

    network: Network
    run: Run | None = None
    inference_only: bool = False

    def provenance(self) -> dict[str, str]:
        """Return where the weights come from, as text for files that hold nothing else of it: JSON, and a digest."""
        said = {}
        if self.precision is not None:
            said["number_formats"] = json.dumps(self.precision.options(), sort_keys=True)
        if self.rule is not None and self.run is not None:
            said["learning_rule"] = json.dumps(self.run.experiment["rule"], sort_keys=True)
            said["training"] = json.dumps(self.run.experiment["training"], sort_keys=True)
        if self.run is not None:
            said["experiment_digest"] = self.run.digest
        return said

    @classmethod
    def of(cls, what: Run | Network, inference_only: bool = False) -> Source:
        """Return the source for a run or a network.

        Raises
        ------
        InputError
            If it is neither.
        """
        if isinstance(what, Run):
            return cls(what.network, what, inference_only)
        if isinstance(what, Network):
            return cls(what, None, inference_only)
        raise InputError(f"{type(what).__name__} cannot be exported; give a Run or a Network")

    @cached_property
    def precision(self) -> Precision | None:
        """Number formats of the run; None where only a network is exported."""
        return None if self.run is None else Precision.from_dict(self.run.experiment["precision"])

    @cached_property
    def rule(self) -> Rule | None:
        """The learning rule, or None if there is none to be held."""
        if self.run is None or self.inference_only:
            return None
        said: dict[str, Any] = self.run.experiment["rule"]
        return make_rule(**said)

    @cached_property
    def training(self) -> Training | None:
        """Settings of the learning, or None if there is none to be held."""
        if self.run is None or self.inference_only:
            return None
        said: Mapping[str, Any] = self.run.experiment["training"]
        return Training(**said)

    @property
    def feedback(self) -> NDArray[float64] | None:
        """R (n_out, n_rec), where the rule has a matrix of its own."""
        return None if self.run is None or self.inference_only else self.run.feedback

    @property
    def seed(self) -> int:
        """Seed of the run; 0 for a network."""
        return 0 if self.run is None else int(self.run.experiment["seed"])

    @property
    def is_fixed(self) -> bool:
        """Whether the run was in fixed point, so that its weights are codes of a format."""
        return self.precision is not None and self.precision.is_fixed

    def check_dense(self, limit: int = 2**31) -> None:
        """Refuse a network of so many units that all n² weights, as this target writes them, are no sensible file.

        Raises
        ------
        InputError
            If W in float64 has more bytes than ``limit``.
        """
        size = 8 * self.network.n_rec**2
        if size > limit:
            raise InputError(
                f"n_rec = {self.network.n_rec}: this target writes all n² weights, {size / 2**30:.1f} GiB. The run "
                f"file, npz and safetensors hold large networks in their own form"
            )

    def learning_loss(self, why: str, remedy: str = "") -> list[Loss]:
        """Return the loss of the learning rule, for a target that cannot hold it; empty if there is none."""
        if self.rule is None:
            return []
        return [Loss(f"learning rule {self.rule.name}", why, remedy or "inference_only leaves it out on purpose")]

    def format_loss(self, why: str, remedy: str = "") -> list[Loss]:
        """Return the loss of number formats, for a target that calculates in floating point; empty if there is none."""
        if not self.is_fixed or self.precision is None:
            return []
        used = ((self.run.numerics if self.run is not None else None) or {}).get("leak", self.network.leak)
        leak = "" if used == self.network.leak else f", leak rounded to {used:.6g}"
        return [Loss(f"number formats of {self.precision.name!r} (states, rounding, overflow{leak})", why, remedy)]


@dataclass(frozen=True, eq=False)
class Plan:
    """A whole export in memory, before it is written.

    Parameters
    ----------
    files : dict of str to bytes or str
        Content by file name. A target that is one file has one entry, whose name does not matter; in a folder, names
        may hold ``/``.
    losses, changes, notes
        See :class:`~neurolrnn.exports.losses.ExportReport`.
    """

    files: Mapping[str, bytes | str]
    losses: list[Loss] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


ASPECTS = {
    "weights": "weights",
    "leak": "leak α",
    "states": "states",
    "formats": "number formats",
    "rule": "learning rule",
    "back": "read back",
}
"""What may survive an export: keys of :attr:`Target.holds`, with their headings."""


@dataclass(frozen=True)
class Target:
    """A row of the table of targets.

    Parameters
    ----------
    name : str
        What users write.
    title : str
        What it is, in a few words.
    suffix : str
        Of the file; empty if the target is a folder.
    module : str
        Module of this package that has ``plan``, or ``module:function``.
    holds : dict of str to str
        What survives, for every key of :data:`ASPECTS`.
    loaded_by : str
        Toolchains that read it.
    """

    name: str
    title: str
    suffix: str
    module: str
    holds: Mapping[str, str]
    loaded_by: str

    @property
    def is_folder(self) -> bool:
        """Whether the target is several files in a folder."""
        return not self.suffix

    def load(self) -> Callable[..., Plan]:
        """Return the function that plans an export; its module is imported only now."""
        module, _, function = self.module.partition(":")
        plan: Callable[..., Plan] = getattr(importlib.import_module(f"neurolrnn.exports.{module}"), function or "plan")
        return plan

    def options(self) -> dict[str, object]:
        """Return the options of the target with their defaults."""
        parameters = list(inspect.signature(self.load()).parameters.values())[1:]
        return {p.name: p.default for p in parameters}

    def plan(self, source: Source, **options: object) -> Plan:
        """Make the export in memory.

        Raises
        ------
        InputError
            If an option is not known, or the target cannot hold the network at all.
        """
        for key in options:
            choose(f"option of target {self.name!r}", key, self.options())
        return self.load()(source, **options)


def _row(name: str, title: str, suffix: str, module: str, loaded_by: str, *holds: str) -> tuple[str, Target]:
    return name, Target(name, title, suffix, module, dict(zip(ASPECTS, holds, strict=True)), loaded_by)


TARGETS: dict[str, Target] = dict(
    (
        # name, what, suffix, module, loaded by; what survives of weights, leak, states, formats, rule; read back
        _row("nir", "neuromorphic intermediate representation", ".nir", "nir_graph", "norse, sinabs, rockpool, spyx",
             "float32 or float64", "yes", "start at 0", "named", "named", "exact"),
        _row("nest", "script of rate neurons, weights beside it", "", "nest", "NEST 3",
             "float64", "yes", "start at 0", "no", "no", "no"),
        _row("npz", "weights for NumPy", ".npz", "weights:plan_npz", "numpy.load",
             "float64, and codes", "yes", "no", "named", "named", "no"),
        _row("safetensors", "weights for deep-learning tools", ".safetensors", "weights:plan_safetensors",
             "safetensors", "float64, and codes", "yes", "no", "named", "named", "no"),
        _row("bundle", "integers with a golden trajectory", ".npz", "bundle", "examples/read_bundle.py",
             "codes", "as a code", "codes, golden", "exact", "RFLO, exact", "bit for bit"),
        _row("c", "C99 source, integers only", "", "c_code", "any C99 compiler",
             "codes", "as a code", "codes, golden", "exact", "RFLO, exact", "no"),
        _row("verilog", "synthesizable core with test bench", "", "verilog", "Icarus Verilog, Yosys",
             "codes", "as a code", "codes, golden", "exact", "factored RFLO, exact", "no"),
        _row("lava", "sigma-delta units for Lava", "", "lava", "lava-nc 0.10",
             "8 bits, one exponent a matrix", "folded into V and B", "start at 0", "8-bit weights", "no", "no"),
        _row("brian2", "Brian2 script that stands alone, graded or spiking", "", "brian2_script", "Brian2 2.9",
             "float64, or codes", "yes", "start at 0", "exact", "RFLO", "no"),
    )
)  # fmt: skip
"""All targets, by name."""
