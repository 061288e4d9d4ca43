"""What is counted is what a run allocates and reads: for every rule, storage, form and number system."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from poisoning import DATA, Learner

import neurolrnn as nl
from neurolrnn.chips.demands import demand_of
from neurolrnn.errors import InputError
from neurolrnn.held_weights import numbers_in
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RFLO, RTRL, EProp, TruncatedBPTT
from neurolrnn.training import Training
from neurolrnn_hardware.demand import Access, Number, Variable

INT16 = Precision.preset("int16", update_rounding="stochastic")
DENSE = Network.random(3, 6, 2, leak=0.5, seed=1)
RULES = {
    "rflo dense": RFLO(storage="dense"),
    "rflo dense symmetric": RFLO(storage="dense", feedback="symmetric"),
    "rflo factored": RFLO(),
    "tbptt 1": TruncatedBPTT(),
    "tbptt 4": TruncatedBPTT(steps=4, feedback="random"),
    "eprop symmetric": EProp(),
    "eprop random": EProp(feedback="random"),
    "rtrl": RTRL(),
    "bptt": BPTT(),
}
PRECISIONS = {
    "float32": Precision.float32(),
    "float64": Precision.float64(),
    "int8": Precision.preset("int8"),
    "int16": INT16,
    "int8-hidden16": Precision.preset("int8-hidden16"),
    "narrow traces": Precision.preset("int16", trace="u0.12", eligibility="s0.9", accumulator="s24 saturate"),
}


@st.composite
def learners(draw) -> Learner:
    n_in, n_rec, n_out = draw(st.integers(1, 5)), draw(st.integers(1, 9)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["gaussian", "symmetric", "block", "sparse"]))
    extra = {"density": draw(st.sampled_from([0.3, 0.7]))} if kind == "sparse" else {}
    name = draw(st.sampled_from(list(RULES)))
    net = Network.random(n_in, n_rec, n_out, leak=0.5, kind=kind, seed=draw(st.integers(0, 9)), **extra)
    rule = RULES[name]
    schur = name == "rflo factored" and draw(st.booleans()) and kind != "sparse"
    precision = PRECISIONS["float32" if schur else draw(st.sampled_from(list(PRECISIONS)))]
    update = "episode" if name == "bptt" else draw(st.sampled_from(["online", "episode"]))
    learn = tuple(draw(st.lists(st.sampled_from("AWB"), min_size=1, max_size=3, unique=True)))
    momentum = 0.0 if precision.is_fixed else draw(st.sampled_from([0.0, 0.5]))
    try:
        return Learner(net, rule, precision, update, momentum, draw(st.integers(1, 2)), learn, schur)
    except InputError:  # what no run would take either: RTRL of sparse weights, a reference in fixed point
        assume(False)
        raise


def sizes(learner: Learner) -> dict[str, int]:
    return {name: a.size for name, a in learner.arrays().items() if name not in DATA}


@given(learners())
def test_words_and_bits_are_those_of_the_arrays(learner):
    """Every variable has as many words as the array that holds it, and the bits of its format, or float's."""
    arrays = learner.arrays()
    for v in learner.demand.variables:
        if not v.arrays:
            continue
        assert sum(arrays[name].size for name in v.arrays) == v.words, v
        width = 8 * arrays[v.arrays[0]].dtype.itemsize
        if v.role == "index" or learner.precision.is_fixed:
            assert v.number.bits <= width, v
        else:
            assert v.number.bits == width, v
    if learner.precision.is_fixed:
        landings, numbers = learner.numbers.landings, learner.numbers
        for v in learner.demand.variables:
            if v.name in landings and v.role != "index":
                assert v.number.qformat == landings[v.name].format
        for group in learner.demand.learn:
            hidden = numbers.precision.hidden_format(group)
            if hidden is not None:
                assert learner.demand.variable(f"hidden_{numbers.plastic(group)}").number.qformat == hidden


@given(learners())
def test_arrays_are_declared_once_and_only_scratch_is_not(learner):
    declared = [name for v in learner.demand.variables for name in v.arrays]
    assert len(declared) == len(set(declared))
    missing = {k for k, size in sizes(learner).items() if size and k not in declared}
    scratch = {"lanes.work", "lanes.acc_out", "lanes.acc_rec", "lanes.z", "lanes.L", "lanes.g_out", "lanes.g_rec"}
    scratch.add("memory.g")  # the ring's steps, where updates wait for the end of an episode
    inner = {"W", "B"} & set(learner.demand.learn)
    if not inner:  # nothing but the read-out learns: the rule's memory is idle
        assert all(k in scratch or k.startswith(("memory.", "weights.R", "weights.hidden_")) for k in missing)
    elif learner.demand.learn == ("A", "W", "B"):
        assert missing <= scratch | {"weights.R"}
        if "weights.R" in missing:
            assert learner.demand.feedback in ("symmetric", "")


RUNS = {
    **{name: Learner(DENSE, rule) for name, rule in RULES.items() if name != "bptt"},
    "bptt": Learner(DENSE, BPTT(), update="episode"),
    "rflo dense, A only": Learner(DENSE, RFLO(storage="dense"), learn=("A",)),
    "eprop, B only": Learner(DENSE, EProp(), learn=("B",)),
    "int16 rflo dense": Learner(DENSE, RFLO(storage="dense"), INT16),
    "int16 rflo factored": Learner(DENSE, RFLO(), INT16),
    "int16 eprop": Learner(DENSE, EProp(), INT16),
    "int16 tbptt": Learner(DENSE, TruncatedBPTT(steps=3), INT16),
}


@pytest.mark.parametrize("name", RUNS)
def test_what_is_not_kept_or_not_declared_may_be_lost_between_steps(name):
    """Arrays of no variable, and those that last one step, are poisoned before every step: nothing that is kept moves.

    So the memory counted between steps is enough to go on.
    """
    learner, rng = RUNS[name], np.random.default_rng(1)
    kept = {a for v in learner.demand.select() for a in v.arrays}
    values = learner.draw(rng)
    values["data.target"][...] = values["data.target"] // 4 if learner.precision.is_fixed else values["data.target"]
    clean = dirty = values
    for _ in range(6):
        spoilt = {}
        for k, v in dirty.items():
            if k in kept or k in DATA:
                spoilt[k] = v
            elif v.dtype.kind == "f":
                spoilt[k] = np.full_like(v, np.nan)
            else:
                spoilt[k] = learner.numbers_for(k, v, rng)
        if "memory.at" in values:  # a full ring
            clean["memory.at"][0] = spoilt["memory.at"][0] = min(getattr(learner.rule, "steps", 2), 4)
        clean, dirty = learner.step(clean), learner.step(spoilt)
        for k in kept:
            assert clean[k].tobytes() == dirty[k].tobytes(), k


def test_select_counts_what_is_asked():
    d = demand_of(DENSE, RFLO(storage="dense"), INT16)
    n, m, o = 6, 3, 2
    assert d.words(role="weight", plastic=True) == n * n + n * m + o * n
    assert d.words(role="weight", life="fixed") == o * n
    assert d.words(role="trace") == n + m
    assert d.bits(role="trace") == 16 * (n + m)
    assert d.bits() == sum(v.bits for v in d.variables if v.life != "step")
    assert d.bits(owner=["recurrent", "input"], role="weight") == 16 * (n * n + n * m)
    assert d.units == n + o and d.synapses == n * n + n * m + 2 * o * n


def test_factored_storage_is_a_second_readout():
    """z = M h + N x, read out by n_out units of their own and fed back through Rᵀ, which does not learn."""
    d = demand_of(DENSE, RFLO())
    assert d.population("learning").units == d.population("output").units
    M, N, back = d.connection("factor_recurrent"), d.connection("factor_input"), d.connection("coupling")
    assert (M.pre, M.post, M.plastic, M.synapses) == ("recurrent", "learning", True, 12)
    assert (N.pre, N.post, N.plastic, N.synapses) == ("input", "learning", True, 6)
    assert (back.pre, back.post, back.plastic, back.synapses) == ("learning", "recurrent", False, 12)
    assert not d.connection("recurrent").plastic and not d.connection("input").plastic
    assert not d.has("signal") and d.variable("W").life == "fixed"


@pytest.mark.parametrize("n", [8, 9, 32])
def test_blocks_and_sparse_weights_count_what_exists(n):
    blocks = demand_of(Network.random(3, n, 2, kind="block", seed=0), RFLO())
    W = Network.random(3, n, 2, kind="block", seed=0).W
    assert blocks.connection("recurrent").synapses == np.count_nonzero(W)
    assert blocks.variable("W").words == 3 * n
    net = Network.random(3, n, 2, kind="sparse", density=0.3, seed=0)
    sparse = demand_of(net, EProp())
    c = sparse.connection("recurrent")
    assert c.synapses == np.count_nonzero(net.W) == sparse.variable("eligibility").words
    assert (c.fan_in, c.fan_out) == ((net.W != 0).sum(axis=1).max(), (net.W != 0).sum(axis=0).max())
    assert sparse.variable("W_index").number.bits == (n - 1).bit_length()


def test_triangle_counts_synapses_of_the_schur_form():
    net = Network.random(3, 12, 2, seed=3)
    d = demand_of(net, RFLO(basis="schur"))
    from scipy.linalg import schur

    T, _ = schur(net.W, output="real")
    below = np.count_nonzero(np.diag(T, -1))
    assert d.form == "triangle"
    assert d.connection("recurrent").synapses == 12 * 13 // 2 + below


def test_messages_and_ways_back():
    """One broadcast of the error per step; truncated BPTT sends signals through W against its direction."""
    rflo = demand_of(DENSE, RFLO(storage="dense"), INT16)
    sent = {m.name: m for m in rflo.messages}
    assert sent["error"].connections == ("feedback",) and sent["error"].per_step == 2
    assert sent["state"].bits_per_step == 6 * 16
    assert not any(c.transposed for c in rflo.connections)
    symmetric = demand_of(DENSE, EProp()).connection("feedback")
    assert symmetric.transposed and symmetric.variable == "A"
    tbptt = demand_of(DENSE, TruncatedBPTT(steps=4))
    assert tbptt.connection("backward").transposed
    assert {m.name: m.per_step for m in tbptt.messages}["backward"] == 3 * 6
    idle = demand_of(DENSE, RFLO(storage="dense"), training=Training(learn=("A",)))
    assert not idle.has("feedback") and not idle.has("trace")


@pytest.mark.parametrize(("noise", "draws"), [("element", 36), ("shared", 1), ("lfsr", 36)])
def test_random_bits(noise, draws):
    precision = Precision.preset("int16", update_rounding="stochastic", noise=noise, random_bits=9)
    d = demand_of(DENSE, RFLO(storage="dense"), precision, Training(learn=("W",)))
    landing = d.arithmetic.landing("W")
    assert (landing.draws_per_step, landing.random_bits) == (draws, 9)
    assert d.arithmetic.random_bits_per_step == 9 * draws
    assert d.has("noise") == (noise == "lfsr")
    nearest = demand_of(DENSE, RFLO(storage="dense"), Precision.preset("int16"))
    assert nearest.arithmetic.random_bits_per_step == 0


def test_sum_bits_hold_the_largest_sum():
    d = demand_of(DENSE, RFLO(storage="dense"), INT16)
    f = {v: d.arithmetic.landing(v).number.qformat for v in ("state", "readout")}
    worst = 6 * Precision.preset("int16").landing("A").format.largest * f["state"].largest
    assert d.arithmetic.landing("readout").sum_bits >= worst.bit_length() + 1
    assert d.arithmetic.landing("readout").terms == 6
    assert d.variable("drive").number.bits == d.arithmetic.landing("current").sum_bits


@given(learners())
def test_multiplications_follow_the_leading_terms_of_the_rules(learner):
    """The bound of the rules' table: never less than the outer products that are made."""
    d, s = learner.demand, learner.demand.sizes
    inner = {"W", "B"} & set(d.learn)
    work = d.arithmetic.multiplications
    assert work["forward"] >= s.lanes * (d.connection("recurrent").synapses + s.n_in * s.n_rec + s.n_out * s.n_rec)
    if d.rule == "eprop" and "W" in d.learn:
        assert work["trace"] >= 2 * s.lanes * d.variable("eligibility").words / s.lanes
    if d.storage == "factored" and inner:
        assert work["update"] <= s.lanes * s.n_out * (2 * s.n_rec + s.n_in)
        assert "signal" not in work
    assert all(count > 0 for count in work.values())
    assert d.arithmetic.multiplications_per_step == sum(v for k, v in work.items() if k != "episode")


def test_reads_and_writes_of_a_step():
    """Forward reads every weight; learning reads and writes what learns; traces are read, moved, and read again."""
    n, m, o = 6, 3, 2

    def traffic(d, name):
        v = d.variable(name)
        return v.reads_per_step, v.writes_per_step

    dense = demand_of(DENSE, RFLO(storage="dense"), INT16)
    assert traffic(dense, "W") == (2 * n * n, n * n)
    assert traffic(dense, "B") == (2 * n * m, n * m)
    assert traffic(dense, "A") == (2 * o * n, o * n)
    assert traffic(dense, "feedback") == (o * n, 0)
    assert traffic(dense, "trace") == (2 * n, n)
    factored = demand_of(DENSE, RFLO(), INT16)
    assert traffic(factored, "W") == (n * n, 0)
    assert traffic(factored, "factor_W") == (2 * o * n, o * n)
    assert traffic(factored, "feedback") == (o * n, 0)
    eprop = demand_of(DENSE, EProp(), INT16)
    assert traffic(eprop, "eligibility") == (2 * n * n, n * n)
    assert traffic(eprop, "W") == (2 * n * n + n, n * n)
    assert traffic(eprop, "A") == (3 * o * n, o * n)
    tbptt = demand_of(DENSE, TruncatedBPTT(steps=4), INT16)
    assert traffic(tbptt, "W") == ((2 + 3) * n * n, n * n)
    hidden = demand_of(DENSE, RFLO(storage="dense"), PRECISIONS["int8-hidden16"])
    assert traffic(hidden, "W") == (n * n, n * n) and traffic(hidden, "hidden_W") == (n * n, n * n)
    episode = demand_of(DENSE, RFLO(storage="dense"), INT16, Training(update="episode"), longest=4)
    assert traffic(episode, "W") == (n * n, 0) and traffic(episode, "sum_W") == (n * n, n * n)


@given(learners())
def test_reads_and_writes_name_who_is_there(learner):
    d = learner.demand
    there = {x.name for x in (*d.populations, *d.connections)}
    for v in d.variables:
        assert not v.owner or v.owner in there, v
        for access in (*v.reads, *v.writes):
            assert access.by in there, (v.name, access)
        assert v.plastic <= bool(v.writes), v.name
    assert all(c.variable in {v.name for v in d.variables} for c in d.connections)
    assert all(name in there for m in d.messages for name in m.connections)


def test_an_experiment_says_everything():
    experiment = nl.Experiment.builtin()
    d = demand_of(experiment)
    net, task, rule, precision, training, seed = experiment.build()
    assert d == demand_of(net, rule, precision, training, task=task, seed=seed)
    with pytest.raises(InputError, match="an experiment says"):
        demand_of(experiment, rule)


def test_refusals():
    with pytest.raises(InputError, match="rule is missing"):
        demand_of(DENSE)
    with pytest.raises(InputError, match="averages"):
        demand_of(DENSE, RFLO(), training=Training(update="expected"))
    with pytest.raises(InputError, match="floating-point reference"):
        demand_of(DENSE, RTRL(), INT16)
    with pytest.raises(InputError, match="loss = 'hinge'"):
        demand_of(DENSE, RFLO(), loss="hinge")
    with pytest.raises(InputError, match="longest = 0"):
        demand_of(DENSE, RFLO(), longest=0)
    d = demand_of(DENSE, RFLO())
    with pytest.raises(KeyError, match="there are: A, W, B"):
        d.variable("Q")
    number = Number("s1.6", 8)
    with pytest.raises(ValueError, match="role = 'magic'"):
        Variable("x", "magic", "core", 1, number, "kept")
    with pytest.raises(ValueError, match="a count is needed"):
        Variable("x", "state", "core", -1, number, "kept")


def test_tables_and_plain_data():
    import json

    d = demand_of(DENSE, RFLO(), INT16)
    plain = json.loads(json.dumps(d.to_dict()))
    assert (
        plain["totals"]["memory_bits"] == d.bits() == sum(v["bits"] for v in plain["variables"] if v["life"] != "step")
    )
    assert plain["locality"]["is_local"] is True
    text = d.text()
    assert all(v.name in text for v in d.select()) and "factor_recurrent" in text
    lines = d.markdown().splitlines()
    assert len(lines) == 2 + len(d.rows()) and len({line.count("|") for line in lines}) == 1


def test_spikes_add_a_trace_for_the_readout():
    d = demand_of(DENSE, RFLO(storage="dense"), INT16)
    spikes = d.with_spikes(Number("u0.10", 10, False))
    assert spikes.bits() - d.bits() == 10 * 6
    assert {m.name: m.payload.bits for m in spikes.messages}["state"] == 1
    assert spikes.variable("readout_trace").writes == (Access("trace", "recurrent", 6),)
    assert replace(spikes, variables=d.variables, messages=d.messages) == d


def test_words_of_the_table_of_rules():
    """The column "words stored beyond the weights" of docs/rules.md, at n = 6, m = 3, o = 2, T = 5."""
    n, m, o, T = 6, 3, 2, 5

    def beyond(rule, **more):
        d = demand_of(DENSE, rule, longest=T, **more)
        kinds = ("trace", "history", "influence")
        return sum(v.words for v in d.select(role=kinds) if v.name != "past_error")

    assert beyond(RFLO(storage="dense")) == n + m
    assert beyond(RFLO()) == n + m
    factored = demand_of(DENSE, RFLO())
    assert factored.words(owner=["factor_recurrent", "factor_input"]) == o * (n + m)
    assert beyond(TruncatedBPTT(steps=4)) == 4 * (n + m)
    assert beyond(EProp()) == n * n + n * m
    assert beyond(RTRL()) == n * n * (n + m)
    assert beyond(BPTT()) == T * (n + m)


def test_sparse_patterns_are_not_state():
    learner = Learner(Network.random(3, 8, 2, kind="sparse", density=0.4, seed=1), RFLO(storage="dense"))
    held = numbers_in(learner.engine._weights.Wt)
    assert held.size == learner.demand.variable("W").words == learner.demand.variable("W_index").words
