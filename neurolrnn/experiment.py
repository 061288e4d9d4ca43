"""An experiment: everything a run needs, read from TOML. The only reader of what users write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from neurolrnn import tasks, toml_text
from neurolrnn.errors import InputError, positive_integer
from neurolrnn.experiment_keys import TABLES, Drawing, check_names, chip_of, left_out, task_options, told
from neurolrnn.network import KINDS, Network, drawn_origin
from neurolrnn.plain_data import ExperimentTables, RunExperiment
from neurolrnn.precision import CHIP, FLOATS, Precision
from neurolrnn.rules import Rule, make_rule
from neurolrnn.tasks import TASKS, Task
from neurolrnn.training import Training, check_rule, choose_precision

if TYPE_CHECKING:
    from neurolrnn.run import Run

BUILTIN = "the built-in experiment"


@dataclass(frozen=True, eq=False)
class Experiment:
    """Task, network, rule, training, precision and seed of a run; checked when it is made.

    Parameters
    ----------
    task : dict
        ``name`` and the options of the task. Its data have a seed of their own, an option of the task.
    network : Drawing
        How the network is drawn.
    rule : Rule
        The learning rule.
    training : Training
        Step sizes and length.
    precision : Precision
        Numbers of the arithmetic.
    seed : int
        Seed of the network (unless it has its own), the feedback and the order of the sequences.
    where : str
        What errors call it: the file's name.
    notes : tuple of str
        What was decided while reading that the user should hear of.
    chip : str, optional
        Chip under whose limits it runs; see :func:`neurolrnn.simulate`. ``precision`` may then be
        ``Precision("chip")``, which the chip's sheet completes: :meth:`build` returns what comes of it.
    assume : tuple of str
        Limits of the chip that are lifted or set.
    spiking : dict, optional
        Deploy what was trained as spikes too, and measure it; options of :func:`neurolrnn.spiking.measure`.

    Raises
    ------
    InputError
        If something is not allowed; the text names the place, the value and what is.
    """

    task: dict[str, object]
    network: Drawing
    rule: Rule
    training: Training = field(default_factory=Training)
    precision: Precision = field(default_factory=Precision)
    seed: int = 0
    where: str = "experiment"
    notes: tuple[str, ...] = ()
    chip: str | None = None
    assume: tuple[str, ...] = ()
    spiking: dict[str, object] | None = None

    def __post_init__(self) -> None:
        with told(self.where):
            positive_integer("seed", self.seed, 0)
        with told(self.where, "training"):
            check_rule(self.rule, self.training)
        with told(self.where, "precision"):
            choose_precision(self.precision, self.training)
            if self.chip is None and self.precision.name == CHIP:
                raise InputError("preset = 'chip' takes formats from a chip's sheet; say which: chip = \"reckon\"")
        with told(self.where):
            object.__setattr__(self, "assume", chip_of(self.chip, self.assume)[1])

    @classmethod
    def load(cls, path: str | Path, overrides: Iterable[str] = ()) -> Experiment:
        """Read an experiment file.

        Parameters
        ----------
        path : path
            TOML file. A relative ``task.path``, or path of a chip's sheet, in it is meant from the file's folder.
        overrides : iterable of str
            Settings such as ``"rule.name=eprop"`` that replace or add to what the file says. Values are TOML; what is
            not TOML is a string. Setting the name of another rule or task leaves out the file's options that it does
            not have, setting a preset of the precision leaves out the file's formats; :attr:`notes` says so.
        """
        tables = toml_text.read(path)
        task = tables.get("task")
        if isinstance(task, dict) and isinstance(task.get("path"), str):
            task["path"] = str(Path(path).parent / task["path"])
        if isinstance(tables.get("chip"), str) and tables["chip"].endswith(".toml"):
            tables["chip"] = str(Path(path).parent / tables["chip"])
        return cls._overridden(tables, overrides, str(path))

    @classmethod
    def builtin(cls, overrides: Iterable[str] = ()) -> Experiment:
        """Return the experiment that comes with the package."""
        text = (resources.files("neurolrnn") / "data" / "builtin.toml").read_text(encoding="utf-8")
        return cls._overridden(toml_text.parse(text, BUILTIN), overrides, BUILTIN)

    @classmethod
    def from_run(cls, run: Run, overrides: Iterable[str] = (), where: str = "run file") -> Experiment:
        """Return the experiment that a run was made from.

        Raises
        ------
        InputError
            If the network or the task was not drawn by this package but given as arrays.
        """
        said = run.experiment
        task, network = dict(said["task"]), said["network"]
        if network.get("kind") not in KINDS or "seed" not in network:
            raise InputError(f"{where}: the network was given as arrays, so no experiment file can make it again")
        if task["name"] not in TASKS:
            raise InputError(f"{where}: task {task['name']!r} was given as arrays, so no experiment file can make it")
        known = {"name", *task_options(task["name"])}
        tables = {
            "seed": said["seed"],
            "task": {key: value for key, value in task.items() if key in known},
            "network": {f.name: network.get(f.name) for f in fields(Drawing)},
            "rule": said["rule"],
            "training": said["training"],
            "precision": said["precision"],
            "chip": said.get("chip"),
            "assume": said.get("assume"),
            **({"spiking": said["spiking"]} if "spiking" in said else {}),
        }
        return cls._overridden(tables, overrides, where)

    @classmethod
    def from_dict(
        cls, tables: Mapping[str, object], where: str = "experiment", overrides: Iterable[str] = ()
    ) -> Experiment:
        """Check plain data, shaped as the TOML file, and return the experiment.

        Parameters
        ----------
        tables : dict
            ``seed`` and the tables ``task``, ``network``, ``rule``, ``training``, ``precision``. A key whose value is
            None counts as left out.
        where : str
            What errors call it.
        overrides : iterable of str
            As in :meth:`load`.
        """
        return cls._overridden(tables, overrides, where)

    @classmethod
    def _overridden(cls, tables: Mapping[str, Any], overrides: Iterable[str], where: str) -> Experiment:
        merged, set_keys = toml_text.override(tables, overrides)
        given = {
            name: {k: v for k, v in table.items() if v is not None} if isinstance(table, Mapping) else table
            for name, table in merged.items()
        }
        notes = [note for table in ("task", "rule", "precision") for note in left_out(given, set_keys, table)]
        if "training.update" in set_keys and not any(key.startswith("precision.") for key in set_keys):
            training_table = given.get("training")
            expected = isinstance(training_table, dict) and training_table.get("update") == "expected"
            if expected and given.pop("precision", None):
                notes.append("[precision] left out: expected runs are calculated in float64")
        real = given.get("precision", {}) in ({"preset": name} for name in FLOATS)
        if "chip" in set_keys and real and not any(key.startswith("precision.") for key in set_keys):
            name = given.pop("precision")["preset"]
            notes.append(f"precision.preset = {name!r} left out: the chip's sheet says formats")

        def place(*parts: str) -> str:
            mine = [f"--set {key}" for key in set_keys if key.split(".")[0] in parts]
            return f"{where} with {' '.join(mine)}" if mine else where

        check_names(given, {name: place(name) for name in (*given, *TABLES)})
        options = {name: dict(given.get(name, {})) for name in TABLES}
        with told(place("network"), "network"):
            if "n_rec" not in options["network"]:
                raise InputError("n_rec is missing; give the number of recurrent units, such as n_rec = 16")
            network = Drawing(**options["network"])
        with told(place("rule"), "rule"):
            rule = make_rule(**options["rule"])
        with told(place("training"), "training"):
            training = Training(**options["training"])
        with told(place("precision"), "precision"):
            whole = {"weight", "state"} <= set(options["precision"]) or "preset" in options["precision"]
            if given.get("chip") is not None and not whole:
                options["precision"]["preset"] = CHIP
            given_precision = Precision.from_dict(options["precision"]) if options["precision"] else None
            precision = choose_precision(given_precision, training)
        with told(place("chip", "assume")):
            chip, assume = chip_of(given.get("chip"), given.get("assume") or ())
        with told(place("seed")):
            seed = positive_integer("seed", given.get("seed", 0), 0)
        with told(place("training", "rule"), "training"):
            check_rule(rule, training)
        if options["spiking"]:
            from neurolrnn.spiking.experiment_table import check_table

            with told(place("spiking"), "spiking"):
                check_table(options["spiking"], network.leak)
        spiking = options["spiking"] or None
        return cls(
            options["task"], network, rule, training, precision, seed, where, tuple(notes), chip, assume, spiking
        )

    def to_dict(self) -> ExperimentTables:
        """Return plain data that :meth:`from_dict` reads back; defaults are spelled out, what is unset is left out."""
        tables: dict[str, Any] = {
            "seed": self.seed,
            "task": dict(self.task),
            "network": asdict(self.network),
            "rule": {"name": self.rule.name, **self.rule.options()},
            "training": self.training.options(),
            "precision": self.precision.options(),
            "chip": self.chip,
            "assume": list(self.assume) or None,
            **({"spiking": self.spiking} if self.spiking else {}),
        }
        tables = {k: v for k, v in tables.items() if v is not None}
        said = {
            name: {k: v for k, v in part.items() if v is not None} if isinstance(part, dict) else part
            for name, part in tables.items()
        }
        return cast("ExperimentTables", said)

    def to_toml(self) -> str:
        """Return the text of an experiment file that :meth:`load` reads back."""
        return toml_text.dumps(self.to_dict())

    @cached_property
    def _data(self) -> Task:
        with told(self.where, "task"):
            said: dict[str, Any] = self.task
            return tasks.shared(**said)

    @property
    def longest_episode(self) -> int:
        """Steps of the longest sequence to learn from."""
        return int(self._data.train.lengths.max())

    @property
    def _drawing(self) -> dict[str, Any]:
        return {**asdict(self.network), "seed": self.seed if self.network.seed is None else self.network.seed}

    @cached_property
    def _net(self) -> Network:
        task = self._data
        with told(self.where, "network"):
            return Network.random(task.n_in, n_out=task.n_out, **self._drawing)

    @cached_property
    def numbers(self) -> Precision:
        """The precision, completed by the chip's sheet where it is ``Precision("chip")``."""
        if self.chip is None or self.precision.name != CHIP:
            return self.precision
        from neurolrnn.chips.limits import precision_on

        with told(self.where):
            return precision_on(self.chip, self._net, self.rule, self.precision, self.seed, self.assume)

    @cached_property
    def described(self) -> RunExperiment:
        """What :attr:`Run.experiment <neurolrnn.Run>` will say."""
        from neurolrnn.run import describe_drawn

        task, said = self._data, self._drawing
        sizes = {"n_in": task.n_in, "n_rec": said.pop("n_rec"), "n_out": task.n_out, "leak": said.pop("leak")}
        network = {**drawn_origin(**said), **sizes}
        found = describe_drawn(network, task, self.rule, self.numbers, self.training, self.seed)
        if self.spiking:
            found["spiking"] = dict(self.spiking)
        if self.chip is None:
            return found
        from neurolrnn.chips.limits import described

        return {**found, **described(self.chip, self.assume)}

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything that decides the numbers, data included; its run has the same digest."""
        from neurolrnn.run import canonical_digest

        return canonical_digest(self.described)

    def build(self) -> tuple[Network, Task, Rule, Precision, Training, int]:
        """Draw the network, make the task, and return network, task, rule, precision, training and seed."""
        return self._net, self._data, self.rule, self.numbers, self.training, self.seed

    def simulate(self, progress: bool = True, checkpoint: str | Path | None = None, resume: Run | None = None) -> Run:
        """Run it; see :func:`neurolrnn.simulate`.

        Parameters
        ----------
        progress : bool
            Whether to show progress on stderr.
        checkpoint : path, optional
            File that keeps the run so far while it is under way.
        resume : Run, optional
            An interrupted run of this very experiment, to be completed.

        Raises
        ------
        InputError
            If ``resume`` is not an interrupted run, or is one of another experiment.
        Divergence
            If learning diverged; the error carries the run so far.
        """
        from neurolrnn.simulation import simulate  # compiles kernels: only when they are needed

        if resume is not None:
            self._check_resume(resume)
        network, task, rule, precision, training, seed = self.build()
        run = simulate(
            network,
            task,
            rule,
            precision,
            training=training,
            seed=seed,
            progress=progress,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            resume=resume,
            chip=self.chip,
            assume=self.assume,
        )
        if self.spiking and run.status == "completed":
            from neurolrnn.spiking.experiment_table import with_spikes

            with told(self.where, "spiking"):
                return with_spikes(run, task, self.spiking)
        return run

    def _check_resume(self, run: Run) -> None:
        if run.status != "interrupted":
            way = "A longer run is a new one, with more training.epochs" if run.status == "completed" else "Start anew"
            raise InputError(f"{self.where}: the run to resume has {run.status}, so nothing is left to do. {way}")
        learned = {key: part for key, part in self.described.items() if key != "spiking"}  # measured at the end
        if run.experiment != learned:
            changes = ", ".join(_differences(run.experiment, learned))
            raise InputError(
                f"{self.where}: the run to resume is of another experiment ({changes}). Resume it with its own "
                f"settings, or start anew without resume"
            )


def _differences(a: Any, b: Any, name: str = "") -> list[str]:
    """Return where two descriptions differ, as ``key: there, here``; digests are named, not shown."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        keys = list(dict.fromkeys([*a, *b]))
        return [d for k in keys for d in _differences(a.get(k), b.get(k), f"{name}.{k}" if name else k)]
    if a == b:
        return []
    return [f"{name} differs" if name.endswith("digest") else f"{name} is {a!r} there, {b!r} here"]
