"""What a rule declares that an update reads is all that it reads, and it reads all of it: shown by poison."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import poisoning
import pytest
from hypothesis import given
from hypothesis import strategies as st
from poisoning import Learner, covered, declared, finite_poison, nan_poison, read_matters

from neurolrnn.chips.demands import demand_of, locality_rows
from neurolrnn.chips.rule_locality import DECLARED, declaration
from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.precision import Precision
from neurolrnn.rules import BPTT, RFLO, RTRL, RULES, EProp, Rule, TruncatedBPTT
from neurolrnn.tables import markdown_table
from neurolrnn_hardware.locality import KINDS, LOCAL, NONLOCAL, Cells, Read

N_IN, N, N_OUT = 3, 6, 2
DENSE = Network.random(N_IN, N, N_OUT, leak=0.5, seed=1)
BLOCKS = Network.random(N_IN, N, N_OUT, leak=0.5, seed=1, kind="block")
SPARSE = Network.random(N_IN, N, N_OUT, leak=0.5, seed=4, kind="sparse", density=0.5)
INT16 = Precision.preset("int16", update_rounding="stochastic")
HIDDEN = Precision.preset("int16", update_rounding="stochastic", hidden="s4.19")
WITH_R = {"feedback": "random"}

FLOAT = {
    "rflo dense": Learner(DENSE, RFLO(storage="dense")),
    "rflo dense symmetric": Learner(DENSE, RFLO(storage="dense", feedback="symmetric")),
    "rflo factored": Learner(DENSE, RFLO(basis="given")),
    "rflo factored, two lanes": Learner(DENSE, RFLO(basis="given"), lanes=2),
    "rflo factored, schur": Learner(DENSE, RFLO(basis="schur"), schur=True),
    "rflo factored, blocks": Learner(BLOCKS, RFLO()),
    "rflo factored, sparse": Learner(SPARSE, RFLO()),
    "rflo dense, sparse": Learner(SPARSE, RFLO(storage="dense")),
    "rflo dense, momentum": Learner(DENSE, RFLO(storage="dense"), momentum=0.5),
    "rflo dense, episode": Learner(DENSE, RFLO(storage="dense"), update="episode"),
    "rflo factored, episode": Learner(DENSE, RFLO(basis="given"), update="episode", momentum=0.5),
    "tbptt 1": Learner(DENSE, TruncatedBPTT()),
    "tbptt 3": Learner(DENSE, TruncatedBPTT(steps=3)),
    "tbptt 3 random": Learner(DENSE, TruncatedBPTT(steps=3, **WITH_R)),
    "eprop symmetric": Learner(DENSE, EProp()),
    "eprop random": Learner(DENSE, EProp(**WITH_R)),
    "eprop random, two lanes": Learner(DENSE, EProp(**WITH_R), lanes=2),
    "eprop random, sparse": Learner(SPARSE, EProp(**WITH_R)),
    "tbptt 3, sparse": Learner(SPARSE, TruncatedBPTT(steps=3)),
    "bptt, sparse": Learner(SPARSE, BPTT(), update="episode"),
    "rtrl": Learner(DENSE, RTRL()),
    "bptt": Learner(DENSE, BPTT(), update="episode"),
}  # fmt: skip
FIXED = {
    "rflo dense": Learner(DENSE, RFLO(storage="dense"), INT16),
    "rflo dense, hidden": Learner(DENSE, RFLO(storage="dense"), HIDDEN),
    "rflo factored": Learner(DENSE, RFLO(), INT16),
    "rflo factored, blocks": Learner(BLOCKS, RFLO(), INT16),
    "rflo factored, sparse": Learner(SPARSE, RFLO(), INT16),
    "rflo dense, sparse": Learner(SPARSE, RFLO(storage="dense"), INT16),
    "eprop random, sparse": Learner(SPARSE, EProp(**WITH_R), INT16),
    "tbptt 1 random": Learner(DENSE, TruncatedBPTT(**WITH_R), INT16),
    "tbptt 3": Learner(DENSE, TruncatedBPTT(steps=3), INT16),
    "eprop symmetric": Learner(DENSE, EProp(), INT16),
    "eprop random": Learner(DENSE, EProp(**WITH_R), INT16),
}
LEARNERS = {**{f"float: {k}": v for k, v in FLOAT.items()}, **{f"fixed: {k}": v for k, v in FIXED.items()}}
SYNAPSES = [
    pytest.param(learner, synapse, id=f"{name}: {synapse.group}")
    for name, learner in LEARNERS.items()
    for synapse in learner.demand.locality
]


def places(learner: Learner, synapse) -> list[tuple[int, int]]:
    """Synapses to look at: from unit j to unit i, one that a unit has onto itself among them."""
    if synapse.array == "weights.Wt" and learner.network.sparse is not None:
        W = learner.network.sparse
        own = set(W.receivers[W.receivers == W.sources].tolist())
        pairs = [(i, j) for i, j in zip(W.receivers.tolist(), W.sources.tolist(), strict=True) if i in own]
        return [next(p for p in pairs if p[0] != p[1]), next(p for p in pairs if p[0] == p[1])]
    return [(1, 0), (0, 2)] if synapse.group in "AMN" else [(4, 1), (2, 2)]


@pytest.mark.parametrize(("learner", "synapse"), SYNAPSES)
def test_what_is_not_declared_cannot_change_the_update(learner, synapse):
    rng = np.random.default_rng(5)
    for i, j in places(learner, synapse):
        before, after = finite_poison(learner, synapse, declared(synapse), i, j, rng)
        assert before.size == 1
        assert before.tobytes() == after.tobytes()
        if learner.precision.name == "float64":
            before, after, poisoned = nan_poison(learner, synapse, declared(synapse), i, j, rng)
            assert poisoned > 0
            assert np.isfinite(before).all()
            assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize(("learner", "synapse"), SYNAPSES)
def test_what_is_declared_is_read(learner, synapse):
    i, j = places(learner, synapse)[0]
    for read in synapse.reads:
        for cells in read.cells:
            assert read_matters(learner, synapse, cells, i, j, np.random.default_rng(6)), (read.what, cells)


@given(st.sampled_from(list(LEARNERS)), st.integers(0, 2**32), st.data())
def test_no_synapse_of_any_learner_reads_more(name, seed, data):
    """The same for synapses and numbers at random."""
    learner = LEARNERS[name]
    synapse = data.draw(st.sampled_from(learner.demand.locality.synapses))
    pairs = places(learner, synapse)
    if synapse.array != "weights.Wt" or learner.network.sparse is None:
        shape = dict(zip(synapse.axes, learner.arrays()[synapse.array].shape, strict=True))
        pairs = [(i, j) for i in range(shape["post"]) for j in range(shape["pre"])]
    i, j = data.draw(st.sampled_from(pairs))
    before, after = finite_poison(learner, synapse, declared(synapse), i, j, np.random.default_rng(seed))
    assert before.tobytes() == after.tobytes()


BITTEN = ("float: rflo dense", "float: eprop symmetric", "float: tbptt 3", "fixed: rflo factored")


@pytest.mark.parametrize("name", BITTEN)
def test_poison_bites(name):
    """A declaration that leaves out a read is found out, for every read: else the poison would show nothing."""
    learner = LEARNERS[name]
    for synapse in learner.demand.locality:
        i, j = places(learner, synapse)[0]
        for read in synapse.reads:
            rng = np.random.default_rng(7)
            cells = declared(synapse, without=read)
            if covered(learner, read.cells, cells, i, j):
                continue
            pairs = [finite_poison(learner, synapse, cells, i, j, rng) for _ in range(poisoning.DRAWS)]
            assert any(not np.array_equal(a, b) for a, b in pairs), (synapse.group, read.what)


def test_every_rule_declares():
    assert set(DECLARED) == set(RULES.values())

    class Undeclared(Rule):
        name = "undeclared"

    with pytest.raises(InputError, match=r"neurolrnn\.chips\.rule_locality\.DECLARED"):
        declaration(Undeclared())


@pytest.mark.parametrize("name", RULES)
def test_the_table_of_rules_says_the_same(name):
    """The words of docs/rules.md, "a synapse must also read", are there where the declaration has non-local reads."""
    rule = RULES[name]()
    assert bool(rule.local) != demand_of(DENSE, rule).locality.is_local


def local(name: str) -> bool:
    return LEARNERS[f"float: {name}"].demand.locality.is_local


def test_which_rules_are_local():
    """The table of Murray 2019, Bellec et al. 2020 and of the rules' own definitions."""
    assert local("rflo dense") and local("rflo factored") and local("eprop random")
    assert not any(map(local, ("rflo dense symmetric", "tbptt 1", "tbptt 3", "eprop symmetric", "rtrl", "bptt")))
    assert "own trace" not in FLOAT["rflo factored"].demand.locality.kinds
    assert "own trace" in FLOAT["eprop random"].demand.locality.kinds
    kinds = FLOAT["tbptt 3"].demand.locality.kinds
    assert "history" in kinds and "weight transport" in kinds
    assert "influence" in FLOAT["rtrl"].demand.locality.kinds


def test_factored_storage_learns_at_readouts_only():
    """Every plastic synapse ends at an output or a learning unit, and reads its unit's own error."""
    demand = FLOAT["rflo factored"].demand
    plastic = [c for c in demand.connections if c.plastic]
    assert {c.post for c in plastic} == {"output", "learning"}
    assert demand.locality.kinds == ("own weight", "pre state", "pre trace", "post signal")
    assert demand.locality.kinds_of("recurrent") == ()
    dense = FLOAT["rflo dense"].demand
    assert {c.post for c in dense.connections if c.plastic} == {"output", "recurrent"}


def test_tables():
    locality = FLOAT["tbptt 3"].demand.locality
    text, table = locality.text(), locality.markdown()
    assert text.startswith("tbptt, dense: not local\n")
    assert text.count("NOT LOCAL") == 4
    assert table.count("\n") == 2 + len(locality.synapses)
    plain = locality.to_dict()
    assert plain["is_local"] is False
    assert plain["synapses"][1]["reads"][2]["kind"] == "history"
    assert set(KINDS) == {*LOCAL, *NONLOCAL}


def test_a_declaration_names_kind_and_cells():
    with pytest.raises(ValueError, match="allowed: own weight"):
        Read("p_j", "by magic", (Cells("memory.p", ("all", "pre")),))
    with pytest.raises(ValueError, match="names no cells"):
        Read("p_j", "pre trace", ())
    read = Read("p_j", "pre trace", (Cells("memory.p", ("all", "pre")),))
    assert read.local and not replace(read, kind="history").local


def test_table_of_the_page():
    text = (Path(__file__).parents[1] / "docs" / "locality.md").read_text(encoding="utf-8")
    shown = text.split("<!-- locality: begin -->\n")[1].split("\n<!-- locality: end -->")[0]
    header = ["learner", "synapse", "update", "reads, local", "reads, not local"]
    assert shown == markdown_table(locality_rows(), header)
    for kind in KINDS:
        assert f"| {kind} |" in text or f"| **{kind}** |" in text
