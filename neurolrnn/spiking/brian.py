"""A model, built and run in Brian2. Brian2 is imported here, and only when something is built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose
from neurolrnn.network import Network
from neurolrnn.spiking.blueprint import INTEGER, STEP_MS, Blueprint, Connection
from neurolrnn.spiking.modes import blueprint
from neurolrnn.spiking.plan import Mode, Plan, PlanOptions, make_plan
from neurolrnn.spiking.result import RECORDS, Events, SpikingResult
from neurolrnn.spiking.stream import make_stream
from neurolrnn.spiking.twin import decode
from neurolrnn.tasks.base import Sequences

if TYPE_CHECKING:
    import brian2


@contextmanager
def preferences(**changes: Any) -> Iterator[None]:
    """Change preferences of Brian2 for a while; names have ``__`` for a point."""
    from brian2 import prefs

    names = {name.replace("__", "."): value for name, value in changes.items()}
    before = {name: prefs[name] for name in names}
    try:
        for name, value in names.items():
            prefs[name] = value
        yield
    finally:
        for name, value in before.items():
            prefs[name] = value


def exact(target: str) -> Any:
    """Return the preferences under which sums and products are calculated as written."""
    return preferences(codegen__target=target, codegen__loop_invariant_optimisations=False)


class Brian2Network:
    """A spiking network in Brian2, ready to run.

    Attributes
    ----------
    plan : Plan
    blueprint : Blueprint
        What was built, as plain data.
    network : brian2.Network
        The Brian2 network. It has a clock of its own and touches no other network.
    objects : dict
        Its parts by name: groups, synapses and monitors.
    arrays : dict
        The TimedArrays that feed it, by the name equations use.
    """

    network: brian2.Network
    objects: dict[str, brian2.BrianObject]
    arrays: dict[str, brian2.TimedArray]

    def __init__(self, plan: Plan, data: Sequences | ArrayLike, record: Iterable[str] = RECORDS) -> None:
        self.plan = plan
        self.record = frozenset(choose("record", name, RECORDS) for name in record)
        self.stream = make_stream(plan, data)
        self.blueprint = blueprint(plan, self.stream)
        with exact("numpy"):
            self.objects, self.arrays = build(self.blueprint, self._monitors(), record_events="events" in self.record)
            from brian2 import Network as Brian

            self.network = Brian(*self.objects.values())
        self._done = 0

    def _monitors(self) -> dict[str, list[str]]:
        """Return which variables of which groups are recorded."""
        wanted: dict[str, list[str]] = {}
        names = set(self.record) - {"events"}
        if self.plan.mode == "lif-pair" and "h" in names:
            names |= {"v_on", "v_off", "hat"}
        for name in sorted(names):
            if name in self.blueprint.recorded:
                group, variable, _ = self.blueprint.recorded[name]
                wanted.setdefault(group, [])
                if variable not in wanted[group]:
                    wanted[group].append(variable)
        return wanted

    def describe(self) -> str:
        """Return equations, slots, constants and synapse counts as text."""
        return self.blueprint.describe()

    def run(self) -> SpikingResult:
        """Run all steps on Brian2's NumPy target and return what happened.

        Raises
        ------
        InputError
            If it has run already: build it again, which takes no longer than going back.
        """
        if self._done:
            raise InputError("this network has run; build another one with to_brian2")
        steps = len(self.stream.x)
        from brian2 import ms

        with exact("numpy"), np.errstate(all="ignore"):
            self.network.run(steps * STEP_MS * ms, namespace={})
        self._done = steps
        return self.collect()

    def collect(self) -> SpikingResult:
        """Return what the monitors hold, and the weights as they are now."""
        plan, k, steps = self.plan, self.plan.micro_steps, len(self.stream.x)
        raw = {name: self._recorded(name) for name in ("h", "hat", "y") if name in self.record}
        values = {name: None if codes is None else decode(plan, name, codes[k - 1 :: k]) for name, codes in raw.items()}
        events, counts = self._events(steps)
        codes: dict[str, NDArray[np.int64]] = {}
        if plan.fixed is not None:
            codes = {name: np.asarray(r[k - 1 :: k], np.int64) for name, r in raw.items() if r is not None}
        return SpikingResult(
            plan, values.get("h"), values.get("hat"), values.get("y"), events, counts, steps, steps, self.weights(),
            codes,
        )  # fmt: skip

    def _recorded(self, name: str) -> NDArray[Any] | None:
        found = self.blueprint.recorded
        if name == "h" and "h" not in found:
            units = self.objects["monitor_units"]
            on, off, hat = (np.asarray(getattr(units, v)) for v in ("v_on", "v_off", "hat"))
            return np.ascontiguousarray((on + hat if self.plan.fixed is not None else (on - off) / 2.0 + hat).T)
        group, variable, _ = found[name]
        return np.ascontiguousarray(np.asarray(getattr(self.objects[f"monitor_{group}"], variable)).T)

    def _events(self, steps: int) -> tuple[Events | None, NDArray[np.int64]]:
        n = self.plan.network.n_rec
        if not self.plan.events:
            return None, np.full(n, steps, np.int64)
        parts = []
        counts = np.zeros(n, np.int64)
        for name in self.blueprint.events:
            monitor = self.objects[f"monitor_{name}"]
            counts += np.asarray(monitor.count, np.int64)
            if "events" not in self.record:
                continue
            step = np.rint(np.asarray(monitor.t) / (STEP_MS * 1e-3)).astype(np.int64)
            unit = np.asarray(monitor.i, np.int64)
            sign = {"on": 1.0, "off": -1.0}.get(name)
            value = np.asarray(monitor.m, np.float64) if sign is None else np.full(len(step), sign)
            parts.append((step, unit, value))
        if "events" not in self.record:
            return None, counts
        step, unit, value = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.lexsort((unit, step))
        return Events(step[order], unit[order], value[order]), counts

    def weights(self) -> Network:
        """Return the weights of the micro-step network as they are now."""
        from neurolrnn.spiking.back import micro_weights

        if self.plan.learning is None or not self._finite():
            return self.plan.micro  # as the twin does where learning has made weights infinite
        return micro_weights(self.objects, self.plan.micro.leak)

    def _finite(self) -> bool:
        weights = [self.objects[c.name].w[:] for c in self.blueprint.connections if c.weights is not None]
        return all(np.isfinite(np.asarray(w)).all() for w in weights)


def build(model: Blueprint, monitors: dict[str, list[str]], *, record_events: bool) -> tuple[dict[str, Any], Any]:
    """Make the Brian2 objects of a model; return them by name, and the arrays that feed them."""
    import brian2 as b

    clock = b.Clock(STEP_MS * b.ms, name="neurolrnn_clock*")
    namespace: dict[str, Any] = dict(model.constants)
    arrays = {n: b.TimedArray(a, dt=STEP_MS * b.ms, name=f"{n}_array*") for n, a in model.arrays.items()}
    namespace |= arrays
    objects: dict[str, Any] = {}
    integer = np.int64 if model.number == INTEGER else np.float64
    for g in model.groups:
        dtypes = dict.fromkeys((*g.variables, *g.linked), integer)
        custom = {k: v for k, v in g.events.items() if k != "spike"}
        threshold = {"threshold": g.events["spike"], "reset": ""} if "spike" in g.events else {}
        objects[g.name] = b.NeuronGroup(
            g.size, model.equations(g), name=g.name, clock=clock, namespace=namespace, dtype=dtypes, events=custom,
            **threshold,
        )  # fmt: skip
    for g in model.groups:
        for name, (source, variable) in g.linked.items():
            setattr(objects[g.name], name, b.linked_var(objects[source], variable))
    for c in model.connections:
        objects[c.name] = _synapses(model, c, objects, clock, namespace, integer)
    for op in model.operations:
        owner = objects[op.owner]
        if op.event is None:
            owner.run_regularly(op.code, clock=clock, when=op.slot.when, order=op.slot.order)
        else:
            owner.run_on_event(op.event, op.code, when=op.slot.when, order=op.slot.order)
    for group, variables in monitors.items():
        slot = next(s for g, _, s in model.recorded.values() if g == group)
        objects[f"monitor_{group}"] = b.StateMonitor(
            objects[group], variables, record=True, clock=clock, when=slot.when, order=slot.order,
            name=f"monitor_{group}",
        )  # fmt: skip
    for name, (group, event, read) in model.events.items():
        objects[f"monitor_{name}"] = b.EventMonitor(
            objects[group], event, variables=[read] if read else None, record=record_events, when="end",
            order=100, name=f"monitor_{name}",
        )  # fmt: skip
    return objects, arrays


def _synapses(
    model: Blueprint, c: Connection, objects: dict[str, Any], clock: Any, namespace: dict[str, Any], dtype: Any
) -> Any:
    import brian2 as b

    synapses = b.Synapses(
        objects[c.source], objects[c.target], model.model(c), name=c.name, clock=clock, namespace=namespace,
        on_pre={path: code for path, (_, code, _) in c.on_event.items()} or None,
        on_event={path: event for path, (event, _, _) in c.on_event.items()} or "spike",
        dtype={} if c.weights is None else {"w": dtype},
    )  # fmt: skip
    pre, post = c.pairs()
    if len(pre):
        synapses.connect(i=pre, j=post)
        if c.weights is not None:
            synapses.w[:] = c.weights[post, pre]
    else:
        synapses.active = False
    for name, (_, slot) in c.summed.items():
        updater = synapses.summed_updaters[name]
        updater.when, updater.order = slot.when, slot.order
    for path, (_, _, order) in c.on_event.items():
        getattr(synapses, path).order = order
    return synapses


def to_brian2(
    net: Network,
    mode: Mode = "sigma-delta",
    data: Sequences | ArrayLike | None = None,
    *,
    record: Iterable[str] = RECORDS,
    **options: Unpack[PlanOptions],
) -> Brian2Network:
    """Build a network in Brian2.

    Parameters
    ----------
    net : Network
        What is deployed.
    mode : str
        ``"graded"``, ``"sigma-delta"`` or ``"lif-pair"``.
    data : Sequences or (T, n_in)
        What it is fed.
    record : iterable of str
        Any of ``"h"``, ``"hat"``, ``"y"``, ``"events"``; all by default.
    **options
        Everything else of :class:`Plan`: ``q``, ``payload``, ``micro_steps``, ``decay``, ``receivers``, ``reset``,
        ``reset_value``, ``precision``, ``learning``.

    Returns
    -------
    Brian2Network
        Its ``run()`` gives a :class:`SpikingResult`; for C++ see :func:`run_standalone`.

    Raises
    ------
    InputError
        If choices do not go together.

    Examples
    --------
    >>> result = nl.spiking.to_brian2(net, "sigma-delta", x, q=0.1).run()
    """
    if data is None:
        raise InputError("data is missing; give the inputs the network is fed with, (T, n_in) or Sequences")
    return Brian2Network(make_plan(net, mode, **options), data, record)
