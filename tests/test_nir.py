"""NIR: what is written means the network in each tool's own arithmetic, and what is read is what was written."""

import json

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurolrnn as nl
from neurolrnn.exports.nir_dialects import DIALECTS, exact_quotient

LEAKS = (0.1, 0.5, 1.0)
STEPS = 60


def written(tmp_path, network, **options):
    path = tmp_path / "net.nir"
    nl.export(network, path, "nir", **options)
    return path


def trajectory(network, x):
    h, out = np.zeros(network.n_rec), []
    for row in x:
        h = (1 - network.leak) * h + network.leak * (network.W @ h + network.B @ row)
        out.append(h)
    return np.array(out), np.array(out) @ network.A.T


# --- each tool's own step, from its source


def euler(graph, x):
    """NIR's definition, forward Euler: norse's LIBoxCell."""
    n, dt = graph.nodes, float(graph.metadata["dt"])
    v, out = np.zeros_like(n["state"].tau), []
    for row in x.astype(v.dtype):
        current = n["B"].weight @ row + n["W"].weight @ v
        v = v + dt / n["state"].tau * ((n["state"].v_leak - v) + n["state"].r * current)
        out.append(v)
    return np.array(out)


def sinabs(graph, x):
    """sinabs.layers.ExpLeak with norm_input off; its importer takes Affine nodes only, and r = 1, v_leak = 0."""
    n = graph.nodes
    assert all(type(n[k]) is nir.Affine and not n[k].bias.any() for k in "AWB")
    assert (n["state"].r == 1).all() and not n["state"].v_leak.any()
    v, out = np.zeros_like(n["state"].tau), []
    for row in x.astype(v.dtype):
        v = np.exp(-1 / n["state"].tau) * v + (n["B"].weight @ row + n["W"].weight @ v)
        out.append(v)
    return np.array(out)


def rockpool(graph, x):
    """rockpool's ExpSynTorch as its importer builds it: tau cast to int, dt = tau/(1+r)."""
    n = graph.nodes
    tau = n["state"].tau.astype(int)
    assert (tau > 0).all()
    beta = np.exp(-(n["state"].tau / (1 + n["state"].r)).min() / tau).astype(n["state"].tau.dtype)
    v, out = np.zeros_like(n["state"].tau), []
    for row in x.astype(v.dtype):
        v = beta * (v + (n["B"].weight @ row + n["W"].weight @ v))
        out.append(v)
    return np.array(out)


def spyx(graph, x):
    """spyx's RLIF with the identity for its activation, beta = 1 - dt/tau; a subgraph of four nodes."""
    inner, dt = graph.nodes["state"].nodes, float(graph.metadata["dt"])
    assert len(inner) == 4
    (neuron,) = (node for node in inner.values() if isinstance(node, nir.LIF))
    (recurrent,) = (node for node in inner.values() if isinstance(node, nir.Linear))
    v, out = np.zeros_like(neuron.tau), []
    for row in x.astype(v.dtype):
        spikes = v - neuron.v_threshold
        v = (1 - dt / neuron.tau) * v + graph.nodes["B"].weight @ row + recurrent.weight @ spikes
        v = v - spikes * neuron.v_threshold
        out.append(v)
    return np.array(out)


ORACLES = {"standard": euler, "nir104": euler, "sinabs": sinabs, "rockpool": rockpool, "spyx": spyx}


@pytest.mark.parametrize("dtype, bound", [("float32", 1e-6), ("float64", 1e-12)])
@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_tool_runs_the_network(tmp_path, dialect, leak, dtype, bound):
    network = nl.Network.random(3, 12, 2, leak, 0.8, seed=3, output_scale=1.0)
    path = written(tmp_path, network, dialect=dialect, dtype=dtype, dt_seconds=2e-3)
    graph = nir.read(path, type_check=dialect != "spyx")
    x = np.random.default_rng(0).normal(size=(STEPS, 3))
    h, _ = trajectory(network, x)
    got = ORACLES[dialect](graph, x)
    assert got.dtype == dtype
    assert np.abs(got - h).max() < bound * np.abs(h).max()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_parameters_are_full_vectors_and_the_loop_stands_before_the_readout(tmp_path, dialect):
    network = nl.Network.random(3, 5, 2, 0.25)
    graph = nir.read(written(tmp_path, network, dialect=dialect), type_check=dialect != "spyx")
    if dialect == "spyx":
        assert {type(node) for node in graph.nodes["state"].nodes.values()} == {
            nir.Input,
            nir.Output,
            nir.LIF,
            nir.Linear,
        }
        return
    node = graph.nodes["state"]
    assert node.tau.shape == node.r.shape == node.v_leak.shape == (5,)
    assert graph.edges.index(("W", "state")) < graph.edges.index(("state", "A"))
    assert [graph.nodes[k].weight.shape for k in "AWB"] == [(2, 5), (5, 5), (5, 3)]


def test_metadata_say_what_nir_cannot(tmp_path, trained):
    graph = nir.read(written(tmp_path, trained, dt_seconds=5e-3))
    meta = graph.metadata
    assert (float(meta["dt"]), float(meta["leak"])) == (5e-3, trained.network.leak)
    assert meta["integrator"].startswith("forward Euler")
    assert json.loads(meta["learning_rule"]) == trained.experiment["rule"]
    assert nl.Precision.from_dict(json.loads(meta["number_formats"])).options() == trained.experiment["precision"]
    assert meta["experiment_digest"] == trained.digest


@pytest.fixture(scope="module")
def trained():
    task = nl.tasks.load("periodic", period=5, frequencies=[1.0], amplitudes=[1.0])
    network = nl.Network.random(1, 4, 1, 0.5)
    return nl.simulate(network, task, nl.RFLO(), nl.Precision.preset("int8"), learning_rate=0.01, progress=False)


def test_quantised_weights_are_exact_in_single_precision(tmp_path, trained):
    graph = nir.read(written(tmp_path, trained.network))
    assert all(np.array_equal(graph.nodes[k].weight, getattr(trained.network, k)) for k in "AB")


def test_the_same_network_gives_the_same_bytes(tmp_path):
    network = nl.Network.random(2, 3, 1, 0.3)
    first = written(tmp_path, network).read_bytes()
    assert written(tmp_path, network).read_bytes() == first


# --- round trip

finite = st.floats(-1e30, 1e30, allow_nan=False)


@given(data=st.data(), n_in=st.integers(1, 3), n=st.integers(1, 5), n_out=st.integers(1, 3), wide=st.booleans(),
       leak=st.floats(1e-3, 1.0), dt=st.floats(1e-6, 1.0))  # fmt: skip
@settings(max_examples=15)
def test_round_trip_is_exact(tmp_path_factory, data, n_in, n, n_out, wide, leak, dt):
    values = finite if wide else st.floats(-(2.0**20), 2.0**20, width=32)

    def matrix(rows, columns):
        return np.array(data.draw(st.lists(values, min_size=rows * columns, max_size=rows * columns))).reshape(rows, -1)

    network = nl.Network(matrix(n_out, n), matrix(n, n), matrix(n, n_in), leak)
    path = written(
        tmp_path_factory.mktemp("nir"), network, dtype="float64" if wide else "float32", dt_seconds=dt
    )  # fmt: skip
    back = nl.Network.from_nir(path)
    assert back.digest() == network.digest()
    assert nl.Network.from_nir(nir.read(path)).digest() == network.digest()


@given(whole=st.floats(1e-6, 1.0), part=st.floats(1e-3, 1.0))
def test_quotient_is_the_nearest(whole, part):
    found = exact_quotient(whole, part, np.dtype("float32"))
    around = np.float32(whole / part) * (1 + np.arange(-5, 6) * 2.0**-24).astype(np.float32)
    assert all(abs(whole / found - part) <= abs(whole / float(t) - part) for t in around)


# --- graphs of others


def graph(**changes):
    """A graph that somebody else wrote; changes replace nodes, and ``edges``, ``metadata`` those."""
    one = np.ones(2)
    nodes = {
        "in": nir.Input({"input": np.array([3])}), "w_in": nir.Affine(np.full((2, 3), 2.0), np.zeros(2)),
        "li": nir.LI(tau=0.01 * one, r=one, v_leak=0 * one), "rec": nir.Linear(np.array([[0.5, 1.0], [0.0, 0.25]])),
        "w_out": nir.Linear(np.array([[1.0, -1.0]])), "out": nir.Output({"output": np.array([1])}),
    }  # fmt: skip
    edges = [("in", "w_in"), ("w_in", "li"), ("li", "rec"), ("rec", "li"), ("li", "w_out"), ("w_out", "out")]
    metadata = changes.pop("metadata", {"dt": 0.001})
    edges = changes.pop("edges", edges)
    edges = [e for e in edges if all(changes.get(k, 1) is not None for k in e)] + changes.pop("more", [])
    nodes = {k: v for k, v in {**nodes, **changes}.items() if v is not None}
    return nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False)


def test_a_graph_of_another_writer():
    network = nl.Network.from_nir(graph())
    assert network.leak == pytest.approx(0.1, rel=1e-12)
    assert np.array_equal(network.W, [[0.5, 1.0], [0.0, 0.25]]) and (network.B == 2.0).all()
    assert np.array_equal(network.A, [[1.0, -1.0]])
    assert nl.Network.from_nir(graph(), dt_seconds=0.01).leak == 1.0


def test_resistance_is_folded_into_what_it_multiplies():
    one = np.ones(2)
    network = nl.Network.from_nir(graph(li=nir.LI(tau=0.01 * one, r=np.array([1.0, 3.0]), v_leak=0 * one)))
    assert np.array_equal(network.W, [[0.5, 1.0], [0.0, 0.75]]) and np.array_equal(network.B[:, 0], [2.0, 6.0])


def test_what_is_not_there_is_the_identity_or_nothing():
    assert not nl.Network.from_nir(graph(rec=None)).W.any()
    direct = [("in", "li"), ("li", "rec"), ("rec", "li"), ("li", "out")]
    two = {"in": nir.Input({"input": np.array([2])}), "out": nir.Output({"output": np.array([2])})}
    network = nl.Network.from_nir(graph(w_in=None, w_out=None, edges=direct, **two))
    assert np.array_equal(network.B, np.eye(2)) and np.array_equal(network.A, np.eye(2))


def li(**changes):
    one = np.ones(2)
    return nir.LI(**{"tau": 0.01 * one, "r": one, "v_leak": 0 * one, **changes})


LIF = nir.LIF(tau=np.ones(2), r=np.ones(2), v_leak=np.zeros(2), v_threshold=np.ones(2))
BAD = {
    "bias": ({"w_in": nir.Affine(np.ones((2, 3)), np.array([0.0, 1.0]))}, "'w_in' .*bias of up to 1"),
    "rest": ({"li": li(v_leak=np.array([0.0, 0.5]))}, "'li' .*v_leak = 0.5"),
    "two taus": ({"li": li(tau=np.array([0.01, 0.02]))}, "'li' .*tau from 0.01 to 0.02"),
    "tau below dt": ({"li": li(tau=np.full(2, 1e-4))}, "'li' .*shorter than dt"),
    "tau 0": ({"li": li(tau=np.zeros(2))}, "'li' .*above 0"),
    "scalar": ({"li": li(tau=np.array(0.01), r=np.array(1.0), v_leak=np.array(0.0))}, "'li' .*each unit"),
    "spiking": ({"li": LIF}, "'li' .*spikes"),
    "unknown": ({"extra": nir.Threshold(np.ones(2))}, "'extra' .*no counterpart"),
    "nested": ({"extra": graph()}, "'extra' .*flat"),
    "no dt": ({"metadata": {}}, "give dt_seconds"),
    "dt is text": ({"metadata": {"dt": "fast"}}, "dt in its metadata = nan"),
    "no neuron": ({"li": None}, "0 LI nodes"),
    "two neurons": ({"second": li()}, "2 LI nodes"),
    "no output": ({"w_out": None}, "'li' .*no output"),
    "shape": ({"w_in": nir.Linear(np.ones((3, 3)))}, r"'w_in' .*\(3, 3\)"),
    "not square": ({"rec": nir.Linear(np.ones((2, 3)))}, r"'rec' .*\(2, 3\)"),
    "not finite": ({"w_out": nir.Linear(np.array([[1.0, np.inf]]))}, "'w_out' .*not finite"),
    "self": ({"more": [("li", "li")]}, "'li' .*without weights"),
    "two recurrences": ({"b": nir.Linear(np.eye(2)), "more": [("li", "b"), ("b", "li")]}, "'b' .*second recurrence"),
    "two inputs": ({"b": nir.Linear(np.ones((2, 3))), "more": [("in", "b"), ("b", "li")]}, "'b' .*second input"),
    "past": ({"more": [("in", "w_out")]}, "'in' .*past 'li'"),
    "lost": ({"b": nir.Linear(np.eye(2))}, "'b' .*not between"),
    "chain": ({"b": nir.Linear(np.eye(3)), "edges": [
        ("in", "b"), ("b", "w_in"), ("w_in", "li"), ("li", "rec"), ("rec", "li"), ("li", "w_out"), ("w_out", "out"),
    ]}, "'w_in' .*not connected from 'in'"),
    "ghost": ({"more": [("ghost", "li")]}, "'ghost' .*does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_graph_of_another_shape_is_refused_by_node_and_reason(name):
    changes, words = BAD[name]
    with pytest.raises(nl.InputError, match=words):
        nl.Network.from_nir(graph(**dict(changes)))


def test_files_that_are_none(tmp_path):
    with pytest.raises(nl.InputError, match="no file"):
        nl.Network.from_nir(tmp_path / "none.nir")
    (tmp_path / "text.nir").write_text("no")
    with pytest.raises(nl.InputError, match="not HDF5"):
        nl.Network.from_nir(tmp_path / "text.nir")
    nir.write(tmp_path / "single.nir", nir.Linear(np.eye(2)))
    with pytest.raises(nl.InputError, match="single Linear"):
        nl.Network.from_nir(tmp_path / "single.nir")
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["data"] = 1.0
    with pytest.raises(nl.InputError, match="not a NIR file"):
        nl.Network.from_nir(tmp_path / "other.nir")


@pytest.mark.parametrize("dialect", ["sinabs", "rockpool", "spyx"])
def test_folded_files_are_not_taken_for_networks(tmp_path, dialect):
    with pytest.raises(nl.InputError, match=f"written for {dialect}"):
        nl.Network.from_nir(written(tmp_path, nl.Network.random(1, 2, 1, 0.5), dialect=dialect))


# --- what is said


def test_report_compares_in_the_same_units(tmp_path):
    network = nl.Network.random(2, 6, 1, 0.3, output_scale=1.0)
    for dialect in DIALECTS:
        report = nl.export(network, tmp_path / "n.nir", "nir", dialect=dialect)
        change = {c.what: c for c in report.changes}
        assert change["leak α"].before == (0.3, 0.3) and change["leak α"].error < 1e-7
        for name in "AWB":
            assert change[name].before == (getattr(network, name).min(), getattr(network, name).max())
            assert 0 < change[name].error < 1e-6 * np.abs(network.W).max()


def test_weights_beyond_single_precision_are_refused(tmp_path):
    network = nl.Network([[1e39]], [[0.5]], [[1.0]])
    with pytest.raises(nl.InputError, match=r"A holds 1e\+39.*float64"):
        written(tmp_path, network)
    assert list(tmp_path.iterdir()) == []
    assert nl.Network.from_nir(written(tmp_path, network, dtype="float64")).A[0, 0] == 1e39
