"""A model as a Brian2 script that stands alone: readable code, and its weights and inputs in an npz beside it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn import atomic
from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.savefile import RunFileError
from neurolrnn.spiking.blueprint import INTEGER, SLOTS, Blueprint, Connection, Group
from neurolrnn.spiking.modes import blueprint
from neurolrnn.spiking.plan import Mode, Plan, PlanOptions, make_plan
from neurolrnn.spiking.stream import make_stream
from neurolrnn.spiking.twin import run_twin
from neurolrnn.tasks.base import Sequences

SCRIPT, DATA = "run.py", "model.npz"
_HEAD = '''"""{title}.

Run it with Python, NumPy and Brian2: it needs nothing else but {data}, which holds weights, inputs and the outputs
that were recorded where this script was written. One step of Brian2 is {step}; its length in
milliseconds means nothing.

    python {script}

{summary}
"""

from pathlib import Path

import brian2 as b
import numpy as np

b.prefs.codegen.target = "numpy"
b.prefs.codegen.loop_invariant_optimisations = False  # calculate as written, so that sums are the same bits

data = np.load(Path(__file__).with_name("{data}"))
dt = 1 * b.ms
clock = b.Clock(dt, name="steps")
number = np.{dtype}

# constants and inputs that the equations name
names = {{
{constants}
{arrays}
}}
'''
_TAIL = """
network = b.Network({parts})
steps = len(data["x_in"])

if __name__ == "__main__":
    network.run(steps * dt, namespace={{}})
    every = {every}  # micro-steps in a step of the network, of which the last counts
    y = np.asarray(output_monitor.y).T[every - 1 :: every]
    difference = np.abs(y - data["expected_y"]).max()
    print(f"{{steps}} steps, {{len(y)}} outputs; largest difference from the recorded ones: {{difference}}")
{events}"""


def _group(model: Blueprint, g: Group) -> str:
    equations = "\n".join(f"    {line}" for line in model.equations(g).splitlines())
    custom = {k: v for k, v in g.events.items() if k != "spike"}
    options = f', threshold="{g.events["spike"]}", reset=""' if "spike" in g.events else ""
    options += f", events={custom!r}" if custom else ""
    types = f"dtype=dict.fromkeys({list((*g.variables, *g.linked))!r}, number)"
    return (
        f'{g.name} = b.NeuronGroup({g.size}, """\n{equations}\n    """, name="{g.name}", clock=clock, '
        f"namespace=names,\n    {types}{options})\n"
    )


def _connection(model: Blueprint, c: Connection) -> str:
    equations = "\n".join(f"    {line}" for line in model.model(c).splitlines())
    options = ""
    if c.on_event:
        options += f",\n    on_pre={ {path: code for path, (_, code, _) in c.on_event.items()}!r}"
        options += f",\n    on_event={ {path: event for path, (event, _, _) in c.on_event.items()}!r}"
    types = "" if c.weights is None else ', dtype={"w": number}'
    lines = [
        f'{c.name} = b.Synapses({c.source}, {c.target}, """\n{equations}\n    """, name="{c.name}", clock=clock, '
        f"namespace=names{types}{options})",
        f'sources, targets = np.nonzero(data["{c.name}_exist"].T)',
        f"{c.name}.connect(i=sources, j=targets)",
    ]
    if c.weights is not None:
        lines.append(f'{c.name}.w[:] = data["{c.name}"][targets, sources]')
    for name, (_, slot) in c.summed.items():
        lines.append(f'{c.name}.summed_updaters["{name}"].when = "{slot.when}"')
        lines.append(f'{c.name}.summed_updaters["{name}"].order = {slot.order}')
    lines += [f"{c.name}.{path}.order = {order}" for path, (_, _, order) in c.on_event.items()]
    return "\n".join(lines) + "\n"


def _operation(model: Blueprint, owner: str, code: str, when: str, order: int, event: str | None) -> str:
    body = "\n".join(f"    {line}" for line in code.splitlines())
    if event is None:
        return f'{owner}.run_regularly("""\n{body}\n    """, clock=clock, when="{when}", order={order})\n'
    return f'{owner}.run_on_event("{event}", """\n{body}\n    """, when="{when}", order={order})\n'


def _lines(options: Mapping[str, Any], indent: str = "") -> list[str]:
    out = []
    for key, value in options.items():
        if isinstance(value, Mapping):
            out += [f"{indent}{key}:", *_lines(value, indent + "    ")]
        else:
            out.append(f"{indent}{key}: {'a matrix' if isinstance(value, list) else value}")
    return out


def script_text(model: Blueprint, plan: Plan) -> str:
    """Return the script of a model."""
    integer = model.number == INTEGER
    summary = "\n".join(_lines(plan.summary()))
    text = _HEAD.format(
        title=model.title[0].upper() + model.title[1:], data=DATA, script=SCRIPT, summary=summary,
        step="one step of the network" if plan.micro_steps == 1 else f"one of {plan.micro_steps} micro-steps of a step",
        dtype="int64" if integer else "float64",
        constants="\n".join(f'    "{name}": {value!r},' for name, value in model.constants.items()),
        arrays="\n".join(f'    "{name}": b.TimedArray(data["{name}"], dt=dt),' for name in model.arrays),
    )  # fmt: skip
    text += "\n# groups\n" + "".join(_group(model, g) for g in model.groups)
    for g in model.groups:
        text += "".join(f"{g.name}.{n} = b.linked_var({s}, {v!r})\n" for n, (s, v) in g.linked.items())
    text += "\n# synapses\n" + "".join(_connection(model, c) for c in model.connections)
    text += "\n# what happens at every step, in the order of slots: start, groups, thresholds, synapses, resets, end\n"
    for op in sorted(model.operations, key=lambda op: (SLOTS.index(op.slot.when), op.slot.order)):
        text += _operation(model, op.owner, op.code, op.slot.when, op.slot.order, op.event)
    slot = model.recorded["y"][2]
    text += (
        f'\n# records\noutput_monitor = b.StateMonitor(outputs, "y", record=True, clock=clock, when="{slot.when}", '
        f"order={slot.order})\n"
    )
    parts = [*(g.name for g in model.groups), *(c.name for c in model.connections), "output_monitor"]
    events = ""
    for name, (group, event, _) in model.events.items():
        text += f'{name}_monitor = b.EventMonitor({group}, "{event}")\n'
        parts.append(f"{name}_monitor")
    if model.events:
        total = " + ".join(f"{name}_monitor.num_events" for name in model.events)
        events = f"    print(f\"{{{total}}} events, recorded {{int(data['expected_events'])}}\")\n"
    return text + _TAIL.format(parts=", ".join(parts), every=plan.micro_steps, events=events)


def script_files(plan: Plan, data: Sequences | ArrayLike) -> dict[str, str | bytes]:
    """Return the files of a stand-alone script by name: the script, and its npz.

    The recorded outputs and events are the twin's, which are those of Brian2's NumPy target bit for bit.
    """
    stream = make_stream(plan, data)
    model = blueprint(plan, stream)
    found = run_twin(plan, data, ("y",))
    arrays: dict[str, Any] = dict(model.arrays)
    for c in model.connections:
        arrays[f"{c.name}_exist"] = c.exists
        if c.weights is not None:
            arrays[c.name] = c.weights
    arrays["expected_y"] = found.codes.get("y", found.y)
    arrays["expected_events"] = np.int64(found.counts.sum())
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return {SCRIPT: script_text(model, plan), DATA: buffer.getvalue()}


def write_script(
    net: Network,
    path: str | Path,
    mode: Mode = "sigma-delta",
    data: Sequences | ArrayLike | None = None,
    **options: Unpack[PlanOptions],
) -> Path:
    """Write a stand-alone Brian2 script with its weights beside it.

    Parameters
    ----------
    net : Network
        What is deployed.
    path : path
        A folder, made if there is none; gets ``run.py`` and ``model.npz``. An older one of a script or an export is
        replaced in one move.
    mode, data, **options
        As for :func:`to_brian2`. Without data the script is fed with :func:`example_input`.

    Returns
    -------
    Path
        Of the script. It needs Brian2 and NumPy only, and says how far its outputs are from the recorded ones.

    Raises
    ------
    InputError
        If choices do not go together.
    RunFileError
        If the folder cannot be written, or holds files that no export wrote; what was there is as it was.
    """
    folder = atomic.check_folder(path, RunFileError)
    plan = make_plan(net, mode, **options)
    files = script_files(plan, example_input(net) if data is None else data)
    encoded = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    return atomic.write_folder(folder, encoded, RunFileError) / SCRIPT


def example_input(net: Network, steps: int = 200, seed: int = 0) -> NDArray[np.float64]:
    """Return slowly varying noise, (steps, n_in): x_t = 0.9 x_{t-1} + √(1 - 0.81) ξ_t, of variance 1."""
    if steps < 1:
        raise InputError(f"steps = {steps}; at least 1 is needed")
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps, net.n_in))
    for t in range(1, steps):
        x[t] = 0.9 * x[t - 1] + np.sqrt(1.0 - 0.81) * x[t]
    return x
