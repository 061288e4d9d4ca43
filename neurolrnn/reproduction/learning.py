"""Claims about students that are not aligned: what aligns, which rank is learned, how often learning succeeds."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolrnn.network import Network
from neurolrnn.reproduction.claims import Check, Claim, Judgement, Measured, Setting
from neurolrnn.reproduction.expected_path import expected_path
from neurolrnn.reproduction.setup import WAYS, Array, Way, cosine, diagonal_share, four_modes, painted
from neurolrnn.tasks.teacher_student import bases
from neurolrnn.theory import ExpectedLearning, participation_ratio

LEARNED = 1e-2
"""Share of the first loss below which a student has learned."""
N_IN = 4


class Start(NamedTuple):
    """How students and feedback are drawn: A, W ~ N(0, i²/n), B ~ N(0, i²/n_in), R ~ N(0, r²/n)."""

    n: int
    outer: float
    """i of A and B."""
    inner: float
    """i of W."""
    feedback: float = 1.0
    rate: float = 0.02
    updates: int = 8000
    n_out: int = 4

    def draw(self, seed: int) -> tuple[Network, Array]:
        """Return a student and R."""
        rng = np.random.default_rng(seed)
        A = rng.normal(0.0, self.outer / math.sqrt(self.n), (self.n_out, self.n))
        W = rng.normal(0.0, self.inner / math.sqrt(self.n), (self.n, self.n))
        B = rng.normal(0.0, self.outer / math.sqrt(N_IN), (self.n, N_IN))
        return Network(A, W, B), rng.normal(0.0, self.feedback / math.sqrt(self.n), (self.n_out, self.n))

    def __str__(self) -> str:
        own = f"n = {self.n}, A and B {self.outer:g}" + (
            f", W {self.inner:g}" if self.inner != self.outer else " and W"
        )
        return own + (f", R {self.feedback:g}" if self.feedback != 1.0 else "") + f", η = {self.rate:g}"


def learn_all(
    start: Start, teacher: Network, way: Way, seeds: list[int]
) -> tuple[list[Network], Array, ExpectedLearning, Array]:
    """Return students before learning, their R, the result, and the share of the first loss left (inf: diverged)."""
    drawn = [start.draw(seed) for seed in seeds]
    R = np.array([matrix for _, matrix in drawn])
    students = [student for student, _ in drawn]
    first, end = expected_path(students, teacher, way.name, start.rate, [1, start.updates], **way.given(R))
    share = np.where(end.diverged | first.diverged, math.inf, end.loss[-1] / first.loss[0])
    return students, R, end, share


# --- what aligns


def _measure_alignment(setting: Setting) -> Measured:
    teacher = four_modes(n_rec=8, seed=setting.seed)
    U, _, V = bases(teacher)
    seeds = [setting.seed + k for k in range(setting.take(3, 10))]
    start = Start(8, 0.5, 0.5, updates=4000 if setting.quick else 8000)
    numbers: dict[str, Any] = {"students": len(seeds)}
    for k, way in enumerate(WAYS):
        setting.tell(way.title, k / len(WAYS))
        students, R, end, share = learn_all(start, teacher, way, seeds)
        ok = np.flatnonzero(share < LEARNED)

        def mean(values: list[float]) -> float:
            return float(np.mean(values)) if values else math.nan

        def shares(networks: list[Network], ok: NDArray[np.intp] = ok) -> dict[str, float]:
            return {
                "AB": mean([diagonal_share(U.T @ networks[i].A @ networks[i].B @ V) for i in ok]),
                "AWB": mean([diagonal_share(U.T @ networks[i].A @ networks[i].W @ networks[i].B @ V) for i in ok]),
                "AA": mean([diagonal_share(U.T @ networks[i].A @ networks[i].A.T @ U) for i in ok]),
            }

        def cosines(networks: list[Network], ok: NDArray[np.intp] = ok, R: Array = R) -> float:
            return mean([cosine(networks[i].A, R[i]) for i in ok])

        product, ends = teacher.A @ teacher.B, [end.networks[i] for i in ok]
        numbers[way.name] = {
            "learned": len(ok),
            "before": shares(students),
            "after": shares(list(end.networks)),
            "product": mean([float(np.linalg.norm(net.A @ net.B - product) / np.linalg.norm(product)) for net in ends]),
            "cosine_before": cosines(students),
            "cosine_after": cosines(list(end.networks)),
        }  # fmt: skip
    return Measured(numbers)


def _judge_alignment(numbers: dict[str, Any]) -> Judgement:
    checks = []
    for way in WAYS:
        found = numbers[way.name]
        turn = found["cosine_after"] - found["cosine_before"]
        checks += [
            Check(f"{way.title}: students that learn", found["learned"], 2),
            Check(f"{way.title}: diagonal share of UᵀABV after", found["after"]["AB"], 0.98, 1.0),
            Check(f"{way.title}: the same before", found["before"]["AB"], 0.0, 0.8),
            Check(f"{way.title}: diagonal share of UᵀAWBV after", found["after"]["AWB"], 0.9, 1.0),
            # AB of the teacher is diagonal there, so that of any student that does as the teacher is too.
            Check(f"{way.title}: AB from the teacher's, relative", found["product"], 0.0, 0.15),
            Check(f"{way.title}: turn of A towards R (cosine)", turn, *((0.3, 1.0) if way.random else (-0.25, 0.25))),
        ]
    rflo, bptt, tbptt = (numbers[name] for name in ("rflo", "bptt", "tbptt"))
    figure = (
        f"UᵀABV: diagonal share {bptt['before']['AB']:.2f} before, {bptt['after']['AB']:.2f}, "
        f"{tbptt['after']['AB']:.2f}, {rflo['after']['AB']:.2f} after (BPTT, truncated, RFLO), as AB becomes the "
        f"teacher's; cosine of A and R {rflo['cosine_before']:.2f} to {rflo['cosine_after']:.2f} under RFLO, "
        f"{bptt['cosine_before']:.2f} to {bptt['cosine_after']:.2f} under BPTT, which has no R"
    )
    return Judgement(figure, checks)


# --- rank

UNITS = 32


def _measure_rank(setting: Setting) -> Measured:
    square = four_modes(seed=setting.seed)
    U, _, _ = bases(square)
    # One output that hears all four modes alike.
    single = Network((U @ np.full(4, 0.5))[np.newaxis] @ square.A, square.W, square.B)
    n, updates = setting.take(16, UNITS), setting.take(1500, 4000)
    numbers: dict[str, Any] = {"units": n}
    curves: dict[str, Any] = {}
    for k, (n_out, teacher) in enumerate(((1, single), (4, square))):
        drawn = [Start(n, 0.5, 0.5, n_out=n_out).draw(setting.seed + s) for s in range(setting.take(2, 4))]
        students, R = [student for student, _ in drawn], np.array([matrix for _, matrix in drawn])
        for i, way in enumerate(WAYS):
            setting.tell(f"{way.title}, n_out = {n_out}", (k + i / 3) / 2)
            (end,) = expected_path(students, teacher, way.name, 0.02, [updates], **way.given(R))
            changes = [
                np.hstack([b.W - a.W, b.B - a.B]) for a, b in zip(students, end.networks, strict=True)
            ]  # fmt: skip
            values = np.array([np.linalg.svd(change, compute_uv=False) for change in changes])
            values = values / values[:, :1]
            numbers[f"{way.name} {n_out}"] = {
                "beyond": float(values[:, n_out].max()),
                "last": float(values[:, n_out - 1].min()),
                "count": float((values > 1e-2).sum(axis=1).mean()),
                "participation": float(np.mean([participation_ratio(change) for change in changes])),
                "diverged": int(end.diverged.sum()),
            }
            curves[f"{way.name} {n_out}"] = values
    return Measured(numbers, curves)


def _judge_rank(numbers: dict[str, Any]) -> Judgement:
    checks, words = [], []
    for n_out in (1, 4):
        bptt, tbptt, rflo = (numbers[f"{way.name} {n_out}"] for way in WAYS)
        tell = f"n_out = {n_out}"
        checks += [
            Check(f"RFLO, {tell}: singular value n_out + 1 over the first", rflo["beyond"], 0.0, 1e-11),
            Check(f"RFLO, {tell}: singular value n_out over the first", rflo["last"], 1e-3),
            Check(f"{tell}: values above 1 %, truncated BPTT over RFLO", tbptt["count"] / rflo["count"], 1.2),
            Check(f"{tell}: values above 1 %, BPTT over truncated BPTT", bptt["count"] / tbptt["count"], 1.2),
            Check(
                f"truncated BPTT(1), {tell}: values above 1 % over n_out", tbptt["count"] / n_out, 0.0, 1.0, "as stated"
            ),
            Check(f"truncated BPTT(1), {tell}: value n_out + 1 over the first", tbptt["beyond"], 1e-3, part="refined"),
        ]
        words.append(f"{rflo['count']:.3g}, {tbptt['count']:.3g}, {bptt['count']:.3g} for {tell}")
    beyond = max(numbers[f"rflo {n_out}"]["beyond"] for n_out in (1, 4))
    figure = (
        f"singular values above 1 % of the first, n = {numbers['units']} (RFLO, truncated BPTT, BPTT): "
        + "; ".join(words) + f"; RFLO's next one is {beyond:.0e} of the first"
    )  # fmt: skip
    return Judgement(figure, checks)


def _draw_rank(figure: Any, measured: Measured) -> None:
    axes = figure.subplots(1, 2, sharey=True)
    for axis, n_out in zip(axes, (1, 4), strict=True):
        for way, colour, marker in zip(WAYS, ("#0072B2", "#009E73", "#D55E00"), ("s", "^", "o"), strict=True):
            values: Any = measured.curves[f"{way.name} {n_out}"]
            index = np.arange(1, values.shape[1] + 1)
            axis.plot(index, np.maximum(values, 1e-17).T, color=colour, lw=0.6, alpha=0.35)
            middle = np.exp(np.log(np.maximum(values, 1e-17)).mean(axis=0))
            axis.plot(index, middle, marker, ms=4, color=colour, label=way.title)
        axis.axvline(n_out + 0.5, color="0.5", lw=1.0, ls="--")
        axis.set(yscale="log", xlabel="index", title=f"n_out = {n_out}")
    axes[0].set_ylabel("singular value of [ΔW | ΔB] / first")
    axes[1].legend(fontsize=8.5)


# --- how often learning succeeds

PAPER_SHARE = 13 / 20
"""Share of RFLO's runs that the paper saw converge."""
STARTS = (
    Start(4, 0.1, 0.1), Start(8, 0.1, 0.1), Start(4, 0.5, 0.5), Start(8, 0.5, 0.5), Start(4, 1.0, 0.5, updates=6000),
    Start(4, 0.5, 0.5, 2.0, updates=6000), Start(4, 0.5, 0.5, rate=0.005, updates=32_000),
)  # fmt: skip


def _measure_counts(setting: Setting) -> Measured:
    teacher = four_modes(seed=0)
    starts = [start._replace(updates=2500) for start in (STARTS[0], STARTS[2], STARTS[5])] if setting.quick else STARTS
    seeds = [100 * setting.seed + k for k in range(setting.take(8, 20))]
    rows: list[dict[str, Any]] = []
    for k, start in enumerate(starts):
        row: dict[str, Any] = {"start": str(start)}
        for i, way in enumerate(WAYS):
            setting.tell(f"{start}: {way.title}", (k + i / 3) / len(starts))
            _, _, end, share = learn_all(start, teacher, way, seeds)
            row[way.name] = int((share < LEARNED).sum())
            row[f"{way.name} diverged"] = int(end.diverged.sum())
        rows.append(row)
    return Measured({"seeds": len(seeds), "rows": rows})


def _judge_counts(numbers: dict[str, Any]) -> Judgement:
    seeds, rows = numbers["seeds"], numbers["rows"]
    share = {way.name: [row[way.name] / seeds for row in rows] for way in WAYS}
    rflo = share["rflo"]
    checks = [
        Check("BPTT: share that converges, smallest", min(share["bptt"]), 0.9),
        Check("truncated BPTT(1): share that converges, smallest", min(share["tbptt"]), 0.9),
        Check("RFLO: share that converges, smallest", min(rflo), 0.0, min(share["bptt"]) - 0.1),
        Check("RFLO: largest difference from 13/20", max(abs(x - PAPER_SHARE) for x in rflo), 0.0, 0.1, "as stated"),
        Check("RFLO: smallest share", min(rflo), high=PAPER_SHARE, part="refined"),
        Check("RFLO: largest share", max(rflo), PAPER_SHARE, part="refined"),
    ]
    counts = [row["rflo"] for row in rows]
    figure = (
        f"of {seeds}, BPTT {min(row['bptt'] for row in rows)} to {max(row['bptt'] for row in rows)}, truncated BPTT "
        f"{min(row['tbptt'] for row in rows)} to {max(row['tbptt'] for row in rows)}, RFLO {min(counts)} to "
        f"{max(counts)}: " + "; ".join(f"{row['start']}: {row['rflo']}" for row in rows)
    )
    return Judgement(figure, checks)


CLAIMS = (
    Claim(
        "what-aligns",
        "Students that are not aligned learn, and align with the teacher's modes; A turns towards R under RFLO only",
        "",
        "nl.theory.expected_learning; docs/reproduce.md",
        _measure_alignment,
        _judge_alignment,
        cost=2.0,
    ),
    Claim(
        "rank",
        "What is learned in W and B has rank n_out under RFLO and under truncated BPTT, and a higher one under BPTT",
        "Rank n_out exactly under RFLO; under truncated BPTT(1) only singular values that fall faster than BPTT's",
        "nl.theory.rank_bound, rank_report; docs/theory.md, Rank",
        _measure_rank,
        _judge_rank,
        painted(_draw_rank, "rank"),
        cost=5.0,
    ),
    Claim(
        "convergence",
        "BPTT and truncated BPTT converge from every start, RFLO from 13 of 20",
        "BPTT and truncated BPTT do; RFLO's count depends on the scales of init and R and on the learning rate; 13 is "
        "in its range",
        "nl.theory.expected_learning, advise_start; docs/theory.md, Safe starts",
        _measure_counts,
        _judge_counts,
        cost=12.0,
    ),
)
