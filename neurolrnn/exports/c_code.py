"""Target ``c``: portable C99 that runs the network, and goes on learning by RFLO, in integers alone."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from neurolrnn.exports import c_step
from neurolrnn.exports.c_text import comment, integer, move, stored, table, template
from neurolrnn.exports.c_text import landing as landing_text
from neurolrnn.exports.design import Design
from neurolrnn.exports.golden import STEPS, Golden, golden
from neurolrnn.exports.integers import resolve, version
from neurolrnn.exports.target import Plan, Source
from neurolrnn.exports.writing import identifier
from neurolrnn.rules import Rule
from neurolrnn_kernels.formats import QFormat

FLAGS = ("-std=c99", "-ffreestanding", "-Os", "-Wall", "-Wextra", "-Werror", "-pedantic")


def plan(
    source: Source, *, name: str = "network", precision: Any = None, rule: Rule | None = None,
    learning_rate: Any = None, noise: str | None = None, seed: int | None = None, loss: str | None = None,
    inputs: Any = None, targets: Any = None, mask: Any = None, steps: int = STEPS, compiler: str | None = "gcc",
) -> Plan:  # fmt: skip
    """Make C source.

    Parameters
    ----------
    source : Source
        What is exported.
    name : str
        Prefix of files, types and functions; what C does not allow in a name becomes ``_``.
    precision, rule, learning_rate, noise, seed, loss
        See :func:`neurolrnn.exports.integers.resolve`.
    inputs, targets, mask, steps
        Of the golden test, see :func:`neurolrnn.exports.golden.golden`.
    compiler : str or None
        Command of the compiler with which sizes are measured and reported, such as ``"arm-none-eabi-gcc
        -mcpu=cortex-m4 -mthumb"``; nothing is measured where it, or its ``size``, is not found.
    """
    design = resolve(
        source, precision=precision, rule=rule, learning_rate=learning_rate, noise=noise, seed=seed, loss=loss
    )
    gold = golden(design, inputs=inputs, targets=targets, mask=mask, steps=steps)
    files = write(design, gold, identifier(name))
    notes = [*design.notes, *gold.notes, *_sizes(files, identifier(name), compiler)]
    return Plan(files, design.losses, design.changes, notes)


def write(design: Design, gold: Golden, name: str) -> dict[str, str]:
    """Return the files, by name."""
    n_in, n_rec, n_out = design.sizes
    guard, numbers = name.upper(), design.numbers
    forms = {"input": numbers.format_of("input"), "output": design.spots["readout"].format,
             "target": numbers.format_of("target")}  # fmt: skip
    words: dict[str, Any] = {
        "name": name, "guard": guard, "n_in": n_in, "n_rec": n_rec, "n_out": n_out, "version": version(),
        "title": comment(f"{n_in} inputs, {n_rec} recurrent units, {n_out} outputs"),
        "coupled": " + R'z" if design.factored else "",
        "learning": _learning_words(design),
        "bounded": "" if design.accumulator is None else ", but for the declared accumulator",
    }  # fmt: skip
    for what, form in forms.items():
        words |= {f"f_{what}": form.frac_bits, f"q_{what}": form, f"t_{what}": _type(form),
                  f"r_{what}": f"{form.lo} to {form.hi}"}  # fmt: skip
    parts = c_step.Steps(design, name)
    words |= {
        "fields": parts.fields(), "start": parts.start(), "step": parts.step(), "clear_rec": parts.clear_rec(),
        "clear_in": parts.clear_in(), "learn": parts.learn(), "learn_declared": parts.learn_declared(),
        "landings": "\n".join(_landings(design)),
    }  # fmt: skip
    words["helpers"] = parts.helpers("".join(str(words[k]) for k in ("landings", "step", "learn", "start")))
    words |= {
        "idle": f"        {name}_learn(&device, 0);\n" if design.learns else "",
        "learning": words["learning"], "golden": f"{gold.steps} steps, compared code by code",
        "ram": "weights that learn, state and traces" if design.learns else "the state",
        "usage": f"{name}_learn(&device, target);         /* where there is a target; 0 where there is none */\n"
                 if design.learns else "",
        "target": f", targets with {forms['target'].frac_bits} ({forms['target']})" if design.learns else "",
        "losses": "\n".join(f"- {x}" for x in (*design.losses, *design.changes)) or "Nothing was left out or rounded.",
    }  # fmt: skip
    main = {**words, "learning": _golden_learning(design, name, guard)}
    return {
        f"{name}.h": template("device.h", words),
        f"{name}.c": template("device.c", words),
        f"{name}_data.h": _data(design, name, guard),
        f"{name}_golden.h": _golden_data(design, gold, forms, guard),
        f"test_{name}.c": template("golden_main.c", main),
        "README.md": template("c_readme.md", words),
    }


def _type(form: QFormat) -> str:
    return integer(form.lo, form.hi)


def _learning_words(design: Design) -> str:
    if not design.learns:
        return "no learning."
    kept = "M and N of W + R'M and B + R'N" if design.factored else "W and B"
    return f"RFLO learns {', '.join(design.learns)}" + (f" ({kept})." if set(design.learns) & {"W", "B"} else ".")


def _landings(design: Design) -> list[str]:
    out = []
    for name in design.landings:
        spot = design.spots[name]
        if name == "error" and design.setting.loss == "cross-entropy":
            continue  # a softmax is rounded by its division
        out.append(landing_text(design, spot, name))
        if name in ("A", "W", "B", "M", "N"):
            out.append(move(spot, name))
    return out


SHAPES = {"A": ("N_OUT", "N_REC"), "R": ("N_OUT", "N_REC"), "M": ("N_OUT", "N_REC"), "N": ("N_OUT", "N_IN"),
          "W": ("N_REC", "N_REC"), "B": ("N_REC", "N_IN")}  # fmt: skip


def _data(design: Design, name: str, guard: str) -> str:
    """Return the constants: weights that stay, and initial values of those that learn."""
    parts = [f"/* Constants of {name}; part of {name}.c. */\n#ifndef {guard}_DATA_H\n#define {guard}_DATA_H\n"]
    moving = c_step.moving(design)
    for key, codes in design.codes.items():
        matrix = key.removeprefix("hidden_")
        if matrix in ("M", "N") and not codes.any():
            continue
        form = design.form(key)
        label = f"{key}_start" if matrix in moving else key
        sizes = [f"{guard}_{size}" for size in SHAPES[matrix]]
        parts.append(table(label, _type(form), codes, sizes, f"{label}, {form}"))
    if design.learns and design.setting.loss == "cross-entropy":
        parts.append(c_step.exponential())
    return "\n".join([*parts, "#endif\n"])


def _golden_data(design: Design, gold: Golden, forms: dict[str, QFormat], guard: str) -> str:
    spots = design.spots
    n_in, n_rec, n_out = (f"{guard}_{s}" for s in ("N_IN", "N_REC", "N_OUT"))
    state, output = stored(spots["state"]), _type(forms["output"])
    parts = [
        f"/* Golden trajectory, {gold.steps} steps. */\n#ifndef {guard}_GOLDEN_H\n#define {guard}_GOLDEN_H\n\n"
        f"#define STEPS {gold.steps}\n",
        table("golden_first", "int8_t", gold.first, ["STEPS"], "1 where a sequence begins"),
        table("golden_x", _type(forms["input"]), gold.x, ["STEPS", n_in]),
        table("inference_h", state, gold.inference["h"], ["STEPS", n_rec]),
        table("inference_y", output, gold.inference["y"], ["STEPS", n_out]),
    ]
    if design.learns:
        parts += [
            table("golden_mask", "int8_t", gold.mask, ["STEPS"], "1 where there is a target"),
            table("golden_target", _type(forms["target"]), gold.target, ["STEPS", n_out]),
            table("learning_h", state, gold.learning["h"], ["STEPS", n_rec]),
            table("learning_y", output, gold.learning["y"], ["STEPS", n_out]),
            table("learning_e", stored(spots["error"]), gold.learning["e"], ["STEPS", n_out]),
        ]
        for key, codes in gold.after.items():
            sizes = [f"{guard}_{size}" for size in SHAPES[key.removeprefix("hidden_")]]
            parts.append(table(f"after_{key}", _type(design.form(key)), codes[-1], sizes))
    return "\n".join([*parts, "#endif\n"])


def _golden_learning(design: Design, name: str, guard: str) -> str:
    if not design.learns:
        return ""
    lines = f"""    {name}_start(&device);
    for (t = 0; t < STEPS; t++) {{
        if (golden_first[t])
            {name}_restart(&device);
        {name}_step(&device, golden_x[t]);
        {name}_learn(&device, golden_mask[t] ? golden_target[t] : 0);
        for (i = 0; i < {guard}_N_REC; i++)
            check("learning: state", t, i, device.h[i], learning_h[t][i]);
        for (i = 0; i < {guard}_N_OUT; i++) {{
            check("learning: output", t, i, device.y[i], learning_y[t][i]);
            check("learning: error", t, i, device.e[i], learning_e[t][i]);
        }}
    }}
"""
    for group in design.learns:
        key = design.learned(group)
        rows, columns = (f"{guard}_{size}" for size in SHAPES[key])
        for what in (key, f"hidden_{key}"):
            if what in design.codes:
                lines += f"    for (i = 0; i < {rows} * {columns}; i++)\n"
                lines += (f'        check("{what} after learning", STEPS, i, device.{what}[i / {columns}]'
                          f"[i % {columns}], after_{what}[i / {columns}][i % {columns}]);\n")  # fmt: skip
    return lines


def _sizes(files: dict[str, str], name: str, compiler: str | None) -> list[str]:
    """Return what the compiled network takes, in words; empty where it cannot be measured."""
    words = shlex.split(compiler or "")
    size = shutil.which(words[0].removesuffix("gcc") + "size") if words else None
    if size is None or shutil.which(words[0]) is None:
        return []
    files = {**files, "device.c": f'#include "{name}.h"\n{name}_device device;\n'}
    try:
        return _compiled_sizes(files, name, words, size)
    except OSError:  # no room for temporary files: the export itself needs none
        return []


def _compiled_sizes(files: dict[str, str], name: str, words: list[str], size: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        for file, text in files.items():
            (Path(folder) / file).write_text(text, encoding="utf-8")
        found = []
        for part in (name, "device"):
            done = subprocess.run(
                [*words, *FLAGS, "-c", f"{part}.c", "-o", f"{part}.o"], cwd=folder, capture_output=True, text=True
            )
            if done.returncode:
                return [f"{shlex.join(words)} could not compile it: {done.stderr.strip().splitlines()[0]}"]
            told = subprocess.run([size, f"{part}.o"], cwd=folder, capture_output=True, text=True, check=True)
            found.append([int(field) for field in told.stdout.splitlines()[1].split()[:3]])
    (code, data, bss), (_, _, device) = found
    sizes = f"{code} bytes .text with tables, {data} .data, {bss} .bss; {device} bytes RAM per device"
    return [f"{shlex.join(words)} -Os: {sizes}"]
