"""Around the spiking networks: isolation, the way back, scripts, C++, pictures and the command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import python_process

import neurolrnn as nl
from neurolrnn.atomic import MARK
from neurolrnn.cli import main
from neurolrnn.spiking import Learning, example_input, from_brian2, to_brian2, to_standalone, twin, write_script
from neurolrnn.spiking.brian import preferences

INT16 = nl.Precision.preset("int16")


def network(n: int = 10, leak: float = 0.2, seed: int = 0) -> nl.Network:
    return nl.Network.random(2, n, 3, leak=leak, spectral_radius=0.9, output_scale=1.0, seed=seed)


@pytest.fixture(scope="module")
def run_file(tmp_path_factory):
    experiment = nl.Experiment.from_dict(
        {
            "task": {"name": "periodic", "period": 40, "frequencies": [1.0, 2.0], "amplitudes": [1.0, 0.5]},
            "network": {"n_rec": 12, "leak": 0.2},
            "rule": {"name": "rflo"},
            "training": {"learning_rate": 0.005},
        }
    )
    return experiment.simulate(progress=False).save(tmp_path_factory.mktemp("runs") / "run.npz")


# --- isolation


def test_brian2_is_imported_when_something_is_built():
    use = "nl.spiking.twin(nl.Network.random(1, 2, 1), [[0.5]])"
    code = f"import sys, neurolrnn as nl\n{use}\nprint('brian2' in sys.modules)"
    assert python_process(code).strip() == "False"


def test_networks_in_one_process_leave_each_other_and_brian2_alone():
    import brian2 as b

    state = (b.prefs["codegen.target"], b.prefs["codegen.loop_invariant_optimisations"], float(b.defaultclock.dt))
    net = network()
    x = example_input(net, 40)
    first, second = to_brian2(net, "sigma-delta", x, q=0.1), to_brian2(net, "lif-pair", x[::-1], q=0.2, micro_steps=3)
    foreign = b.NeuronGroup(1, "v : 1")
    foreign.run_regularly("v += 1", dt=0.1 * b.ms)
    magic = b.Network(foreign)
    found = [second.run(), first.run()]
    with preferences(codegen__target="numpy"):  # quicker to compile, and no different
        magic.run(1 * b.ms)
    assert foreign.v[0] == 10.0
    assert np.array_equal(found[1].y, twin(net, x, q=0.1).y)
    assert np.array_equal(found[0].y, twin(net, x[::-1], "lif-pair", q=0.2, micro_steps=3).y)
    assert (
        b.prefs["codegen.target"], b.prefs["codegen.loop_invariant_optimisations"], float(b.defaultclock.dt)
    ) == state  # fmt: skip
    with pytest.raises(nl.InputError, match="has run"):
        first.run()


def test_same_network_again_is_the_same_numbers():
    net = network()
    x = example_input(net, 30)
    a, b = (to_brian2(net, "sigma-delta", x, q=0.1).run() for _ in range(2))
    assert np.array_equal(a.y, b.y)


# --- back, and in words


@pytest.mark.parametrize("options", [{"mode": "graded"}, {"q": 0.1}, {"mode": "lif-pair", "micro_steps": 4}])
def test_a_network_comes_back(options):
    net = network()
    sim = to_brian2(net, data=example_input(net, 3), **options)
    for found in (from_brian2(sim), from_brian2(sim.network, micro_steps=options.get("micro_steps", 1), leak=net.leak)):
        assert max(np.abs(getattr(found, g) - getattr(net, g)).max() for g in "AWB") < 1e-9
        assert found.leak == pytest.approx(net.leak)


def test_a_network_of_somebody_else():
    import brian2 as b

    names = {"gain": 0.25}
    inputs = b.NeuronGroup(1, "x : 1", name="inputs")
    units = b.NeuronGroup(2, "h : 1", name="units", namespace=names)
    outputs = b.NeuronGroup(1, "y : 1", name="outputs")
    parts = [inputs, units, outputs]
    for name, source, target in (
        ("input_weights", inputs, units), ("recurrent_weights", units, units), ("output_weights", units, outputs),
    ):  # fmt: skip
        synapses = b.Synapses(source, target, "w : 1", name=name)
        synapses.connect()
        synapses.w[:] = np.asarray(synapses.i[:]) + 10 * np.asarray(synapses.j[:]) + 1.0
        parts.append(synapses)
    found = from_brian2(b.Network(*parts))
    assert found.leak == 0.25
    assert found.W.tolist() == [[1.0, 2.0], [11.0, 12.0]]
    assert found.B.tolist() == [[1.0], [11.0]] and found.A.tolist() == [[1.0, 2.0]]
    with pytest.raises(nl.InputError, match="no part named 'output_weights'"):
        from_brian2(b.Network(*parts[:-1]))
    del names["gain"]
    with pytest.raises(nl.InputError, match="no constant gain"):
        from_brian2(b.Network(*parts))


def test_description_names_everything():
    net = network()
    text = to_brian2(net, "lif-pair", example_input(net, 3), q=0.2, learning=None).describe()
    for words in ("event on: v_on >= theta", "recurrent_weights: units -> units, 100 synapses", "theta = 0.1",
                  "units at on: v_on = v_on - q"):  # fmt: skip
        assert words in text
    slots = [line.split()[0] for line in text[text.index("one step") :].splitlines()[1:]]
    order = ["start", "groups", "thresholds", "synapses", "resets", "end"]
    assert [order.index(s) for s in slots] == sorted(order.index(s) for s in slots)


# --- scripts


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("sigma-delta", {"q": 0.1, "learning": Learning(nl.RFLO(storage="dense"), 0.003)}),
        ("lif-pair", {"q": 0.2, "micro_steps": 3, "learning": Learning(nl.RFLO(), 0.003)}),
        ("lif-pair", {"q": 0.2, "micro_steps": 3, "precision": INT16}),
    ],
    ids=["dense", "factored-pair", "integers"],
)
def test_a_script_stands_alone(tmp_path, mode, options):
    net = network()
    x = example_input(net, 40)
    data = nl.Sequences.from_arrays([x[:15], x[15:]], [np.ones((15, 3)), np.ones((25, 3))])
    script = write_script(net, tmp_path / "model", mode, data, **options)
    assert sorted(path.name for path in script.parent.iterdir()) == [MARK, "model.npz", "run.py"]
    text = script.read_text(encoding="utf-8")
    assert "neurolrnn" not in text.replace("neurolrnn_", "")
    code = "import runpy, sys\nsys.modules['neurolrnn'] = None\nrunpy.run_path(sys.argv[1], run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-c", code, script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].split(": ")[1] in ("0", "0.0")
    found, recorded = done.stdout.splitlines()[1].split(" events, recorded ")
    assert found == recorded and int(found) > 20


def test_a_script_needs_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(nl.RunFileError, match="is a file"):
        write_script(network(), tmp_path / "file")
    with pytest.raises(nl.RunFileError, match="cannot write"):
        write_script(network(), tmp_path / "none" / "folder")


# --- C++


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.parametrize(
    ("mode", "options"),
    [("sigma-delta", {"q": 0.1}), ("lif-pair", {"q": 0.2, "micro_steps": 4, "precision": INT16})],
    ids=["float", "integers"],
)
def test_cpp_is_compiled_once_and_run_with_other_weights_and_inputs(tmp_path, mode, options):
    from brian2.devices.device import get_device

    nets = network(16, 0.1), network(16, 0.1, seed=1)
    inputs = example_input(nets[0], 100), example_input(nets[0], 100, 1)
    program = to_standalone(nets[0], mode, inputs[0], tmp_path / "cpp", **options)
    for net in nets:
        for x in inputs:
            found, expected = program.run(network=net, data=x), twin(net, x, mode, **options)
            for name in ("h", "hat", "y"):
                assert np.array_equal(getattr(found, name), getattr(expected, name))
            assert all(np.array_equal(a, b) for a, b in zip(found.events, expected.events, strict=True))
    assert type(get_device()).__name__ == "RuntimeDevice"
    at_runtime = to_brian2(nets[0], mode, inputs[0], **options).run()
    assert np.array_equal(at_runtime.y, twin(nets[0], inputs[0], mode, **options).y)
    with pytest.raises(nl.InputError, match="compiled for"):
        program.run(data=inputs[0][:50])
    with pytest.raises(nl.InputError, match="another leak"):
        program.run(network=network(16, 0.2))


def test_cpp_is_not_put_among_other_files(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(nl.InputError, match=r"compiler|did not write"):
        to_standalone(network(), "graded", np.zeros((3, 2)), tmp_path)


# --- the page


def test_tables_of_the_page_are_those_of_its_json(tmp_path):
    folder = Path(__file__).parents[1]
    sys.path.insert(0, str(folder / "examples"))
    try:
        import spiking_vowels
    finally:
        sys.path.pop(0)
    page = tmp_path / "spiking.md"
    shutil.copy(spiking_vowels.DOCS, page)
    found = json.loads(spiking_vowels.RESULTS.read_text(encoding="utf-8"))
    spiking_vowels.write_docs(found, page)
    assert page.read_text(encoding="utf-8") == spiking_vowels.DOCS.read_text(encoding="utf-8")
    for run in found["runs"]:  # what the page says of the figures
        rows = run["rows"]
        assert rows["sigma-delta, q = 0.1"]["accuracy"] > rows["graded"]["accuracy"] - 0.01
        assert rows["sigma-delta, q = 0.1"]["events_per_unit"] < 0.5


# --- the command


def test_command_compares_modes_and_brian2(run_file, tmp_path, capsys):
    picture, folder = tmp_path / "spikes.png", tmp_path / "script"
    call = ["spike", str(run_file), "--error", "0.05", "--compare", "--brian2", "--json", "--plot", str(picture)]
    assert main([*call, "-o", str(folder)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["same_as_brian2"] is True
    assert [row["mode"] for row in said["rows"]] == ["graded", "sigma-delta", "lif-pair"]
    assert said["rows"][0]["error"] == 0.0
    assert said["rows"][1]["error"] == pytest.approx(0.05, rel=0.3)
    assert picture.stat().st_size > 10_000 and (folder / "run.py").is_file()


def test_command_in_words(run_file, capsys):
    assert main(["spike", str(run_file), "--mode", "lif-pair", "--q", "0.2", "--describe"]) == 0
    out = capsys.readouterr().out
    assert "events per unit and step" in out and "one step (Brian2 slots" in out and "expected: error of y" in out
    assert main(["spike", str(run_file), "--q", "0.2", "--precision", "int16"]) == 0
    assert "no error budget: the error budget is of real states" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--q", "-1"], "above 0"),
        (["--mode", "spikes"], "allowed: graded, sigma-delta, lif-pair"),
        (["--q", "0.1", "--error", "0.1"], "give one of them"),
        (["--mode", "graded", "--payload", "unit"], "sigma-delta"),
    ],
)
def test_command_refuses(run_file, capsys, options, words):
    assert main(["spike", str(run_file), *options]) == 2
    assert words in capsys.readouterr().err


def test_run_of_given_data_is_measured_on_noise(tmp_path, capsys):
    net = network()
    data = nl.Sequences.from_arrays(np.ones((20, 2)), np.zeros((20, 3)))
    run = nl.simulate(net, nl.Task("mine", data), nl.RFLO(), learning_rate=0.001, progress=False)
    assert main(["spike", str(run.save(tmp_path / "run.npz")), "--q", "0.1"]) == 0
    assert "slowly varying noise" in capsys.readouterr().out


def test_picture_of_a_graded_network_is_refused():
    with pytest.raises(nl.InputError, match="no events to draw"):
        nl.spiking.plot_deployment(network(), example_input(network(), 20), mode="graded")
