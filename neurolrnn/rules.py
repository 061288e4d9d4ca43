"""The one table of learning rules: what each is called, reads, stores and costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number

Feedback = Literal["random", "symmetric"] | NDArray[np.float64]
FEEDBACKS = ("random", "symmetric")


def _feedback(value: Any) -> Feedback:
    if isinstance(value, str):
        return choose("feedback", value, FEEDBACKS)  # type: ignore[return-value]
    try:
        array = np.array(value, dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"feedback = {value!r}; 'random', 'symmetric' or a matrix (n_out, n_rec) is needed") from None
    if array.ndim != 2 or not np.isfinite(array).all():
        raise InputError(f"feedback has shape {array.shape}; 'random', 'symmetric' or a finite (n_out, n_rec) matrix")
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Rule:
    """A learning rule with its options. The concrete rules are the rows of :data:`RULES`."""

    name: ClassVar[str]
    title: ClassVar[str]
    update: ClassVar[str]
    """ΔW at one step, in the paper's letters."""
    local: ClassVar[str]
    """What a recurrent synapse must read that it does not hold; empty if nothing."""
    words: ClassVar[str]
    """Words the rule stores for n units, m inputs, o outputs, beyond the weights it runs with."""
    work: ClassVar[str]
    """Multiply-accumulates of the rule per step beyond the forward pass, leading term."""
    source: ClassVar[str]
    online: ClassVar[bool] = True
    """Whether the rule can update at every step."""
    papers: ClassVar[Sequence[str]] = ()

    def options(self) -> dict[str, object]:
        """Return the options as plain data, as an experiment file holds them."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}

    def feedback_matrix(self, n_out: int, n_rec: int, seed: int) -> NDArray[np.float64] | None:
        """Return the R that a run with this seed uses, (n_out, n_rec), or None where feedback follows A."""
        return None

    def __repr__(self) -> str:
        shown = []
        for f in sorted(fields(self), key=lambda f: f.kw_only is True):  # in the order of the signature
            v = getattr(self, f.name)
            shown.append(f"{f.name}={'<array ' + str(v.shape) + '>' if isinstance(v, np.ndarray) else repr(v)}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, eq=False, repr=False)
class FeedbackRule(Rule):
    """A rule that sends the output error back to the units through a matrix, A or a fixed R."""

    feedback: Feedback = field(default="symmetric", kw_only=True)
    feedback_scale: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "feedback", _feedback(self.feedback))
        object.__setattr__(self, "feedback_scale", real_number("feedback_scale", self.feedback_scale, above=0.0))

    def feedback_matrix(self, n_out: int, n_rec: int, seed: int) -> NDArray[np.float64] | None:
        """Return the R that a run with this seed uses, (n_out, n_rec), or None where feedback follows A."""
        return feedback_matrix(self.feedback, self.feedback_scale, n_out, n_rec, seed)


@dataclass(frozen=True, eq=False, repr=False)
class RFLO(FeedbackRule):
    """Random-feedback local online learning: one trace per unit, one broadcast learning signal per unit.

    Parameters
    ----------
    decay : float, optional
        ŵ, decay of the traces ``p_t = ŵ p_{t-1} + α h_{t-1}``; default 1 - α.
    storage : str
        ``"factored"`` keeps ``W = W₀ + Rᵀ M`` and learns M (n_out, n_rec); ``"dense"`` learns W. The same weights
        in real arithmetic, different hardware in fixed point. Factored storage needs a fixed R.
    basis : str
        Of factored storage in floating point. ``"given"`` runs in the units as they are; ``"schur"`` in the real Schur
        basis of W₀, the same learner up to rounding, with half the multiplications a step, or O(n (n_in + n_out)) for a
        normal W₀; ``"auto"`` takes it where finding it pays. Results are always in the units as given.
    feedback : str or (n_out, n_rec)
        ``"random"`` (drawn by the run's seed), ``"symmetric"`` (the current A) or a matrix R.
    feedback_scale : float
        Random feedback is ``R ~ N(0, feedback_scale²/n_rec)``.

    Notes
    -----
    Source: Murray, "Local online learning in recurrent networks with random feedback", eLife 2019; for a linear
    network the eligibility of synapse (i, j) does not depend on i, so a trace per unit is exact.
    """

    decay: float | None = None
    storage: Literal["dense", "factored"] = "factored"
    basis: Literal["auto", "given", "schur"] = "auto"
    feedback: Feedback = field(default="random", kw_only=True)
    name: ClassVar[str] = "rflo"
    title: ClassVar[str] = "RFLO"
    update: ClassVar[str] = "ΔW = Rᵀε_t p_tᵀ,  p_t = ŵ p_{t-1} + α h_{t-1}"
    local: ClassVar[str] = ""
    words: ClassVar[str] = "n + m traces (factored: + o(n + m) factors)"
    work: ClassVar[str] = "n² dense, o·n factored"
    source: ClassVar[str] = "Murray, eLife 2019"
    papers: ClassVar[Sequence[str]] = ("murray2019",)

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("storage", self.storage, ("dense", "factored"))
        choose("basis", self.basis, ("auto", "given", "schur"))
        if self.decay is not None:
            object.__setattr__(self, "decay", real_number("decay", self.decay, above=-1.0, below=1.0))
        if self.storage == "factored" and isinstance(self.feedback, str) and self.feedback == "symmetric":
            raise InputError(
                "storage = 'factored' keeps W = W₀ + RᵀM and so needs a fixed R; feedback = 'symmetric' follows A. "
                "Take storage = 'dense', or feedback = 'random' or a matrix"
            )


@dataclass(frozen=True, eq=False, repr=False)
class TruncatedBPTT(FeedbackRule):
    """Back-propagation through the last τ steps only, at every step, from a ring buffer.

    Parameters
    ----------
    steps : int
        τ, at least 1. τ = 1 is RFLO with symmetric feedback and decay 0.
    feedback : str or (n_out, n_rec)
        ``"symmetric"`` (the current A), ``"random"`` or a matrix.
    feedback_scale : float
        Random feedback is ``R ~ N(0, feedback_scale²/n_rec)``.

    Notes
    -----
    Source: Williams & Peng, Neural Computation 1990 (the truncated method, one update a step).
    """

    steps: int = 1
    name: ClassVar[str] = "tbptt"
    title: ClassVar[str] = "truncated BPTT(τ)"
    update: ClassVar[str] = "ΔW = α Σ_{l=1..τ} (Vᵀ)^{l-1} Aᵀε_t h_{t-l}ᵀ,  V = (1-α) I + α W"
    local: ClassVar[str] = "τ past states; Aᵀ, and Wᵀ for τ > 1"
    words: ClassVar[str] = "τ(n + m) past states"
    work: ClassVar[str] = "(2τ - 1) n²"
    source: ClassVar[str] = "Williams & Peng, Neural Computation 1990"
    papers: ClassVar[Sequence[str]] = ("williams1990",)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "steps", positive_integer("steps", self.steps))


@dataclass(frozen=True, eq=False, repr=False)
class EProp(FeedbackRule):
    """e-prop, for this network the same as SnAp-1: an eligibility trace per synapse.

    Parameters
    ----------
    feedback : str or (n_out, n_rec)
        ``"symmetric"`` (the current A), ``"random"`` or a matrix.
    feedback_scale : float
        Random feedback is ``R ~ N(0, feedback_scale²/n_rec)``.

    Notes
    -----
    Trace ``E_t[i,j] = ((1-α) + α W_ii) E_{t-1}[i,j] + α h_{t-1,j}``. Source: Bellec et al., Nature Communications
    2020 (e-prop); Menick et al., ICLR 2021 (SnAp-1).
    """

    name: ClassVar[str] = "eprop"
    title: ClassVar[str] = "e-prop / SnAp-1"
    update: ClassVar[str] = "ΔW_ij = (Aᵀε_t)_i E_ij,  E_ij = (1-α+αW_ii) E_ij + α h_j"
    local: ClassVar[str] = "Aᵀ if feedback is symmetric"
    words: ClassVar[str] = "n² + n·m traces"
    work: ClassVar[str] = "2n²"
    source: ClassVar[str] = "Bellec et al., Nat. Commun. 2020; Menick et al., ICLR 2021"
    papers: ClassVar[Sequence[str]] = ("bellec2020", "menick2021")


@dataclass(frozen=True, eq=False, repr=False)
class RTRL(Rule):
    """Real-time recurrent learning: the exact gradient forward in time, as a reference.

    Notes
    -----
    Source: Williams & Zipser, Neural Computation 1989. With online updates the influence matrix mixes weights of
    different steps, as in the original.
    """

    name: ClassVar[str] = "rtrl"
    title: ClassVar[str] = "RTRL"
    update: ClassVar[str] = "ΔW_ij = ε_tᵀ A ∂h_t/∂W_ij"
    local: ClassVar[str] = "the whole influence tensor ∂h/∂W"
    words: ClassVar[str] = "n²(n + m) influences"
    work: ClassVar[str] = "n³(n + m)"
    source: ClassVar[str] = "Williams & Zipser, Neural Computation 1989"
    papers: ClassVar[Sequence[str]] = ("williams1989",)


@dataclass(frozen=True, eq=False, repr=False)
class BPTT(Rule):
    """Back-propagation through time: the exact gradient of an episode, as a reference.

    Notes
    -----
    Updates once per episode: there is no gradient before the last step. Source: Werbos, Proceedings of the IEEE 1990.
    """

    name: ClassVar[str] = "bptt"
    title: ClassVar[str] = "BPTT"
    update: ClassVar[str] = "ΔW = α Σ_t δ_t h_{t-1}ᵀ,  δ_t = Aᵀε_t + Vᵀδ_{t+1}"
    local: ClassVar[str] = "the whole history; Aᵀ and Wᵀ"
    words: ClassVar[str] = "T(n + m) past states"
    work: ClassVar[str] = "2n²"
    source: ClassVar[str] = "Werbos, Proc. IEEE 1990"
    online: ClassVar[bool] = False
    papers: ClassVar[Sequence[str]] = ("werbos1990",)


RULES: dict[str, type[Rule]] = {rule.name: rule for rule in (RFLO, TruncatedBPTT, EProp, RTRL, BPTT)}


def make_rule(name: str, **options: object) -> Rule:
    """Build a rule from its name in the table and its options.

    Raises
    ------
    InputError
        If the name or an option is unknown, or a value is not allowed.
    """
    kind = RULES[choose("rule.name", name, RULES)]
    known = [f.name for f in fields(kind)]
    for key in options:
        choose(f"option of rule {name!r}", key, known)
    return kind(**options)


def feedback_matrix(
    feedback: ArrayLike | str, scale: float, n_out: int, n_rec: int, seed: int
) -> NDArray[np.float64] | None:
    """Return R (n_out, n_rec), or None where feedback follows A."""
    if isinstance(feedback, str):
        if feedback == "symmetric":
            return None
        # A stream of its own, so that R does not change when anything else draws from the run's seed.
        rng = np.random.default_rng([seed, 0xFEEDBAC])
        return rng.normal(0.0, scale / np.sqrt(n_rec), (n_out, n_rec))
    R = np.array(feedback, dtype=np.float64)
    if R.shape != (n_out, n_rec):
        raise InputError(f"feedback has shape {R.shape}; this network needs ({n_out}, {n_rec})")
    return R
