"""Teacher and student: white noise in, the outputs of a known linear network as targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolrnn.errors import InputError, choose, positive_integer, real_number
from neurolrnn.network import Network
from neurolrnn.tasks.base import Sequences, Task
from neurolrnn.tasks.common import flag, haar, real_list, stream

TEACHERS = ("modes", "gaussian", "orthogonal", "symmetric", "non-normal", "complex")


def make(
    *,
    teacher: str | None = None,
    n_in: int | None = None,
    n_rec: int | None = None,
    n_out: int | None = None,
    spectral_radius: float = 0.8,
    a_star: Sequence[float] | None = None,
    b_star: Sequence[float] | None = None,
    w_star: Sequence[float] | None = None,
    rotate: bool = False,
    leak: float = 1.0,
    sequences: int = 200,
    steps: int = 20,
    test_sequences: int = 50,
    noise: float = 0.0,
    seed: int = 0,
) -> Task:
    """Learn to answer white noise as a teacher network does.

    Parameters
    ----------
    teacher : str
        ``"modes"`` (data-aligned, given by ``a_star``, ``b_star``, ``w_star``), or a random one: ``"gaussian"``,
        ``"orthogonal"``, ``"symmetric"``, ``"non-normal"`` (triangular in a random basis, real eigenvalues) or
        ``"complex"`` (normal, conjugate pairs of eigenvalues). Default: ``"modes"`` if modes are given, else
        ``"gaussian"``.
    n_in, n_rec, n_out : int
        Sizes of the teacher; the student may have any ``n_rec``. Default: the number of modes, or 3, 8, 2.
    spectral_radius : float
        Largest absolute eigenvalue of the W of a random teacher, at least 0.
    a_star, b_star, w_star : list of float
        Modes of the teacher, as many in each: A* = U diag(a*) P*ᵀ, B* = P* diag(b*) Vᵀ, W* = P* diag(w*) P*ᵀ.
    rotate : bool
        Whether U, V, P* are random orthogonal matrices; otherwise they are identities.
    leak : float
        Leak α of the teacher, in (0, 1].
    sequences, steps : int
        Number of training sequences and their length.
    test_sequences : int
        Number of test sequences, of the same length; 0 for none.
    noise : float
        Standard deviation of Gaussian noise on the training targets. Test targets are the teacher's own.
    seed : int
        Seed of teacher, inputs and noise.

    Raises
    ------
    InputError
        If options contradict each other or the teacher's outputs overflow.

    Notes
    -----
    Inputs are independent, N(0, 1). Source: Williams, Payeur & Lajoie (arXiv 2606.00243); the non-normal and complex
    teachers are additions for what their mode equations leave out.
    """
    modes = {"a_star": a_star, "b_star": b_star, "w_star": w_star}
    given = [name for name, value in modes.items() if value is not None]
    kind = choose("teacher", teacher if teacher is not None else "modes" if given else "gaussian", TEACHERS)
    if kind == "modes":
        if len(given) < 3:
            missing = ", ".join(name for name in modes if name not in given)
            raise InputError(f"teacher = 'modes' needs a_star, b_star and w_star; {missing} is missing")
        net = aligned_teacher(
            a_star, b_star, w_star, n_in=n_in, n_rec=n_rec, n_out=n_out, rotate=rotate, leak=leak, seed=seed,
        )  # fmt: skip
    else:
        if given or flag("rotate", rotate):
            raise InputError(f"{(given or ['rotate'])[0]} is for teacher = 'modes', not for {kind!r}; leave it out")
        sizes = [n if n is not None else default for n, default in ((n_in, 3), (n_rec, 8), (n_out, 2))]
        net = random_teacher(kind, *sizes, spectral_radius=spectral_radius, leak=leak, seed=seed)
    shape = (positive_integer("steps", steps), net.n_in)
    sigma = real_number("noise", noise, at_least=0.0)
    x = stream(seed, "teacher-student/train").normal(size=(positive_integer("sequences", sequences), *shape))
    y = outputs(net, x) + sigma * stream(seed, "teacher-student/noise").normal(size=(*x.shape[:2], net.n_out))
    test = None
    if positive_integer("test_sequences", test_sequences, 0):
        x_test = stream(seed, "teacher-student/test").normal(size=(test_sequences, *shape))
        test = Sequences.from_arrays(x_test, outputs(net, x_test))
    resolved = {"teacher": kind, "n_in": net.n_in, "n_rec": net.n_rec, "n_out": net.n_out}
    return Task("teacher-student", Sequences.from_arrays(x, y), test, options=resolved, teacher=net)


def outputs(network: Network, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Run a network from h_0 = 0 in float64 and return y, (sequences, T, n_out), for inputs (sequences, T, n_in).

    Raises
    ------
    InputError
        If the outputs overflow.
    """
    h = np.zeros((len(inputs), network.n_rec))
    y = np.empty((*inputs.shape[:2], network.n_out))
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(inputs.shape[1]):
            h = (1.0 - network.leak) * h + network.leak * (h @ network.W.T + inputs[:, t] @ network.B.T)
            y[:, t] = h @ network.A.T
    if not np.isfinite(y).all():
        raise InputError(
            f"the teacher's outputs overflow within {inputs.shape[1]} steps (spectral radius of its transition "
            f"{network.spectral_radius():.3g}); give it a radius below 1, or fewer steps"
        )
    return y


def aligned_teacher(
    a_star: ArrayLike | None,
    b_star: ArrayLike | None,
    w_star: ArrayLike | None,
    *,
    n_in: int | None = None,
    n_rec: int | None = None,
    n_out: int | None = None,
    rotate: bool = False,
    leak: float = 1.0,
    seed: int = 0,
) -> Network:
    """Return the data-aligned teacher A* = U diag(a*) P*ᵀ, B* = P* diag(b*) Vᵀ, W* = P* diag(w*) P*ᵀ.

    Mode k uses column k of U (n_out, n_out), V (n_in, n_in) and P* (n_rec, n_rec); what the modes do not fill is 0.
    ``origin`` of the network holds what :func:`bases` needs to find U, V and P* again.
    """
    a, b, w = _modes(("a_star", "b_star", "w_star"), (a_star, b_star, w_star))
    sizes = [positive_integer(k, n if n is not None else len(a)) for k, n in _named(n_in, n_rec, n_out)]
    _room(len(a), *sizes)
    origin = {
        "kind": "modes", "a": a.tolist(), "b": b.tolist(), "w": w.tolist(), "rotate": flag("rotate", rotate),
        "seed": positive_integer("seed", seed, 0),
    }  # fmt: skip
    U, P, V = _bases(*sizes, rotate=rotate, seed=seed)
    return Network(_spread(U, a, P), _spread(P, w, P), _spread(P, b, V), leak, origin)


def bases(teacher: Network | Task) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return U (n_out, n_out), P* (n_rec, n_rec) and V (n_in, n_in) of a teacher made of modes.

    Raises
    ------
    InputError
        If the teacher was not made of modes.
    """
    net = teacher.teacher if isinstance(teacher, Task) else teacher
    if net is None or net.origin.get("kind") != "modes":
        raise InputError("only a teacher made of modes has bases; load the task with a_star, b_star and w_star")
    return _bases(net.n_in, net.n_rec, net.n_out, rotate=net.origin["rotate"], seed=net.origin["seed"])


def aligned_student(
    teacher: Network | Task,
    a: ArrayLike,
    b: ArrayLike,
    w: ArrayLike,
    a_hat: ArrayLike,
    *,
    n_rec: int | None = None,
    seed: int | None = None,
) -> tuple[Network, NDArray[np.float64]]:
    """Return a data-aligned student of a teacher made of modes, and its feedback R.

    A = U diag(a) Pᵀ, B = P diag(b) Vᵀ, W = P diag(w) Pᵀ and R = U diag(â) Pᵀ (n_out, n_rec), with the teacher's U, V
    and leak and a P of its own. Under every rule that respects modes the student keeps this form, so that learning
    follows scalar equations per mode.

    Parameters
    ----------
    teacher : Network or Task
        Made of modes.
    a, b, w, a_hat : list of float
        Modes, as many in each; mode k learns from mode k of the teacher.
    n_rec : int, optional
        Units of the student. Default: as many as the teacher has.
    seed : int, optional
        Seed of a random orthogonal P. Default: P is the identity.

    Returns
    -------
    student : Network
    R : (n_out, n_rec)
    """
    U, _, V = bases(teacher)
    net = teacher.teacher if isinstance(teacher, Task) else teacher
    assert net is not None  # bases() has refused it
    a, b, w, hat = _modes(("a", "b", "w", "a_hat"), (a, b, w, a_hat))
    n = positive_integer("n_rec", net.n_rec if n_rec is None else n_rec)
    _room(len(a), net.n_in, n, net.n_out)
    P = student_bases(n, seed)
    origin = {"kind": "aligned", "basis_seed": seed}
    return Network(_spread(U, a, P), _spread(P, w, P), _spread(P, b, V), net.leak, origin), _spread(U, hat, P)


def student_bases(n_rec: int, seed: int | None) -> NDArray[np.float64]:
    """Return P (n_rec, n_rec) of an aligned student: random orthogonal, or the identity without a seed."""
    return np.eye(n_rec) if seed is None else haar(stream(seed, "teacher-student/student"), n_rec)


def random_teacher(
    kind: str, n_in: int, n_rec: int, n_out: int, *, spectral_radius: float = 0.8, leak: float = 1.0, seed: int = 0
) -> Network:
    """Draw a teacher of one of the random kinds; B ~ N(0, 1/n_in) and A ~ N(0, 1/n_rec)."""
    rng = stream(seed, "teacher-student/teacher")
    base = {"gaussian", "orthogonal", "symmetric"} & {kind}
    net = Network.random(
        n_in, n_rec, n_out, leak, spectral_radius, kind if base else "block",  # type: ignore[arg-type]
        int(rng.integers(2**32)), output_scale=1.0,
    )  # fmt: skip
    if base:
        return net
    Q = haar(rng, n_rec)
    if kind == "complex":
        W = Q @ net.W @ Q.T
    else:
        eigenvalues = rng.uniform(-1.0, 1.0, n_rec)
        eigenvalues /= np.abs(eigenvalues).max()
        feedforward = np.triu(rng.normal(0.0, 1.0 / np.sqrt(n_rec), (n_rec, n_rec)), 1)
        W = Q @ (spectral_radius * np.diag(eigenvalues) + feedforward) @ Q.T
    return Network(net.A, W, net.B, leak, {**net.origin, "kind": kind})


def _named(n_in: int | None, n_rec: int | None, n_out: int | None) -> tuple[tuple[str, int | None], ...]:
    return ("n_in", n_in), ("n_rec", n_rec), ("n_out", n_out)


def _modes(names: Sequence[str], values: Sequence[ArrayLike | None]) -> list[NDArray[np.float64]]:
    vectors = [real_list(name, value) for name, value in zip(names, values, strict=True)]
    if len({len(v) for v in vectors}) > 1:
        counts = ", ".join(f"{name} {len(v)}" for name, v in zip(names, vectors, strict=True))
        raise InputError(f"every list of modes must be equally long; got {counts}")
    return vectors


def _room(modes: int, n_in: int, n_rec: int, n_out: int) -> None:
    for name, n in _named(n_in, n_rec, n_out):
        if n is not None and n < modes:
            raise InputError(f"{name} = {n}; {modes} modes need at least {modes}")


def _bases(
    n_in: int, n_rec: int, n_out: int, *, rotate: bool, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    if not rotate:
        return np.eye(n_out), np.eye(n_rec), np.eye(n_in)
    rng = stream(seed, "teacher-student/bases")
    return haar(rng, n_out), haar(rng, n_rec), haar(rng, n_in)


def _spread(left: NDArray[np.float64], d: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return left diag(d) rightᵀ with the first len(d) columns of both."""
    return (left[:, : len(d)] * d) @ right[:, : len(d)].T
