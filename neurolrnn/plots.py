"""Pictures of runs. Matplotlib is imported when the first one is drawn, and no window is ever opened."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolrnn import atomic
from neurolrnn.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neurolrnn.run import Run

# Okabe & Ito's colours, told apart with every kind of colour vision.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
LARGEST_SPECTRUM = 1500
"""Units up to which eigenvalues and singular values are drawn: a second or two, not minutes."""
STYLE = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "neurolrnn",
}


def plot_run(run: Run, path: str | Path | None = None) -> Figure:
    """Draw one run as four panels: loss, eigenvalues, singular values of the change, alignment of the feedback.

    Parameters
    ----------
    run : Run
        A finished, interrupted or diverged run.
    path : path, optional
        Where to save the figure; the suffix chooses the format (``.png`` if there is none).

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the path cannot be written or matplotlib does not know its suffix.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 7.2), dpi=120, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
        axes = figure.subplots(2, 2)
        _loss(axes[0, 0], run)
        _eigenvalues(axes[0, 1], run)
        _change(axes[1, 0], run)
        _alignment(axes[1, 1], run)
        figure.suptitle(_title(run), fontsize=12, x=0.015, ha="left")
        if path is not None:
            save(figure, path, f"neurolrnn run {run.digest}")
    return figure


def save(figure: Figure, path: str | Path, stamp: str, **options: Any) -> Path:
    """Save a figure in one move, with ``stamp`` as its title, and return where.

    The suffix chooses the format, ``.png`` if there is none; further options are those of ``Figure.savefig``.

    Raises
    ------
    InputError
        If the path cannot be written or matplotlib does not know its suffix.
    """
    target = atomic.check_target(path, ".png", InputError, "picture")
    suffix = target.suffix.lower()
    # Without the date, so that the same figure gives the same bytes.
    metadata: dict[str, dict[str, Any]] = {
        ".png": {"Title": stamp},
        ".svg": {"Title": stamp, "Date": None},
        ".pdf": {"Title": stamp, "CreationDate": None},
    }
    try:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix[1:], **{"metadata": metadata.get(suffix), **options})
    except ValueError as error:
        raise InputError(f"cannot draw {target}: {error}") from error
    return atomic.write_bytes(target, buffer.getvalue(), InputError)


def _title(run: Run) -> str:
    e = run.experiment
    precision = e.get("precision", {})
    parts = [
        e.get("task", {}).get("name"),
        e.get("rule", {}).get("name"),
        precision.get("preset", precision.get("name")),
    ]
    shown = "  ·  ".join(str(part) for part in parts if part)
    return f"{shown or 'run'}  ·  {run.status}" if run.status != "completed" else shown or "run"


def _note(axes: Any, text: str) -> None:
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=GREY, wrap=True)


def _thousands() -> Any:
    from matplotlib.ticker import EngFormatter

    return EngFormatter(sep="")


def _loss(axes: Any, run: Run) -> None:
    unit = {"cross-entropy": "cross-entropy (nats per step)", "squared-error": "½‖ε‖² (per step)"}
    steps, loss = np.asarray(run.records["step"], float), np.asarray(run.loss, float)
    keep = np.isfinite(loss)
    for name, text in (("test_accuracy", "test accuracy {:.1%}"), ("test_nmse", "test NMSE {:.3g}"),
                       ("test_loss", "test loss {:.3g}"), ("train_loss", "training loss {:.3g}")):  # fmt: skip
        if name in run.metrics:
            axes.set_title(f"Loss;  {text.format(run.metrics[name])}")
            break
    else:
        axes.set_title("Loss")
    if not keep.any():
        _note(axes, "no finite loss was recorded")
        return
    axes.plot(steps[keep], loss[keep], color=BLUE, marker="o" if keep.sum() < 12 else None, markersize=3)
    if (loss[keep] > 0).all():
        axes.set_yscale("log")
    axes.xaxis.set_major_formatter(_thousands())
    axes.set(xlabel="time steps seen", ylabel=unit.get(str(run.experiment.get("task", {}).get("loss")), "loss"))


def _eigenvalues(axes: Any, run: Run) -> None:
    axes.set_title("Eigenvalues of (1-α) I + α W, and the unit circle")
    if run.network.n_rec > LARGEST_SPECTRUM:
        _note(axes, f"not drawn: {run.network.n_rec} units,\neigenvalues are drawn up to {LARGEST_SPECTRUM}")
        return
    circle = np.exp(1j * np.linspace(0.0, 2.0 * np.pi, 361))
    axes.plot(circle.real, circle.imag, color=GREY, linewidth=1.0)
    before, after = (np.linalg.eigvals(network.transition) for network in (run.initial, run.network))
    axes.scatter(before.real, before.imag, s=26, facecolors="none", edgecolors=ORANGE, linewidths=1.1, label="before")
    axes.scatter(after.real, after.imag, s=14, color=BLUE, linewidths=0, label="after")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel="real part", ylabel="imaginary part")
    axes.legend(loc="upper left", handletextpad=0.1, borderaxespad=0.0, borderpad=0.1)


def _change(axes: Any, run: Run) -> None:
    axes.set_title("Singular values of the learned change of W")
    n, n_out = run.network.n_rec, run.network.n_out
    if n > LARGEST_SPECTRUM:
        _note(axes, f"not drawn: {n} units,\nsingular values are drawn up to {LARGEST_SPECTRUM}")
        return
    change = run.network.W - run.initial.W
    if not change.any():
        _note(axes, "W did not change")
        return
    values = np.linalg.svd(change, compute_uv=False)
    floor = float(values[0]) * np.finfo(np.float64).eps  # below it a value is rounding of the decomposition
    axes.plot(np.arange(1, n + 1), np.maximum(values, floor), "o", color=BLUE, markersize=3.5)
    axes.axvline(n_out + 0.5, color=ORANGE, linewidth=1.2, linestyle="--", label=f"n_out = {n_out}")
    axes.set_yscale("log")
    axes.set_ylim(bottom=floor / 3)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="index", ylabel="singular value of W - W₀", xlim=(0, max(n, n_out) + 1))
    axes.legend(loc="upper right")


def _alignment(axes: Any, run: Run) -> None:
    axes.set_title("Alignment of read-out and feedback")
    if run.feedback is None:
        _note(axes, "feedback follows A:\nthe error is carried back by the read-out itself")
        return
    steps = np.asarray(run.records["step"], float)
    if "feedback_cosine" in run.records:
        curve = np.asarray(run.records["feedback_cosine"], float)
        axes.plot(steps, curve, color=GREEN, marker="o" if len(steps) < 12 else None, markersize=3)
    else:
        curve = np.array([_cosine(network.A, run.feedback) for network in (run.initial, run.network)])
        axes.plot([0, steps[-1] if len(steps) else 1], curve, "o:", color=GREEN)
    axes.axhline(0.0, color=GREY, linewidth=1.0)
    axes.xaxis.set_major_formatter(_thousands())
    axes.set(xlabel="time steps seen", ylabel="cosine of A and R", ylim=(min(-0.25, curve.min() - 0.1), 1.05))


def _cosine(A: Any, R: Any) -> float:
    size = np.linalg.norm(A) * np.linalg.norm(R)
    return float((A * R).sum() / size) if size > 0 else 0.0
