"""Brian2's C++ standalone device: compiled once, run again with other weights or inputs without compiling."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
from numpy.typing import ArrayLike

from neurolrnn.atomic import check_parent, look
from neurolrnn.errors import InputError
from neurolrnn.network import Network
from neurolrnn.spiking.blueprint import STEP_MS
from neurolrnn.spiking.brian import Brian2Network, preferences
from neurolrnn.spiking.modes import blueprint
from neurolrnn.spiking.plan import Mode, Plan, PlanOptions, make_plan
from neurolrnn.spiking.result import RECORDS, SpikingResult
from neurolrnn.spiking.stream import make_stream
from neurolrnn.tasks.base import Sequences

EXACT = ["-w", "-O2", "-ffp-contract=off"]
"""Options of the compiler under which floating point is calculated as written; Brian2's own reorder it."""


class Standalone(Brian2Network):
    """A spiking network as a compiled program.

    Made by :func:`to_standalone`. Brian2 holds one program at a time: making another one retires this one.

    Attributes
    ----------
    folder : Path
        The C++ project.
    """

    _latest: ClassVar[Standalone | None] = None

    def __init__(
        self, plan: Plan, data: Sequences | ArrayLike, folder: str | Path, record: Iterable[str] = RECORDS
    ) -> None:
        if not any(shutil.which(name) for name in ("g++", "clang++", "cl")):
            raise InputError("no C++ compiler was found; install one, or take to_brian2 or the twin instead")
        self.folder = Path(folder)
        self._check_folder()
        from brian2 import ms
        from brian2.devices.device import get_device, reset_device, set_device

        before = type(get_device()).__name__
        if before != "RuntimeDevice":
            raise InputError(f"Brian2 is on another device ({before}); go back with brian2.devices.device.reset_device")
        set_device("cpp_standalone", directory=None, build_on_run=False)
        device = get_device()
        try:
            device.reinit()
            device.activate(build_on_run=False, directory=None)
            with preferences(codegen__cpp__extra_compile_args_gcc=EXACT, codegen__loop_invariant_optimisations=False):
                super().__init__(plan, data, record)
                self.network.run(len(self.stream.x) * STEP_MS * ms, namespace={})
                self._build(device)
        finally:
            reset_device()
        self._device: Any = device
        Standalone._latest = self

    def _build(self, device: Any) -> None:
        """Write and compile the program."""
        try:
            device.build(directory=str(self.folder), compile=True, run=False, clean=False)
        except (OSError, RuntimeError) as error:  # RuntimeError: what Brian2 says where the compiler fails
            raise InputError(
                f"Brian2 could not make a program in {self.folder}: {error}. See whether the disk is full and the "
                f"compiler works; what was written so far may be deleted"
            ) from error

    def _check_folder(self) -> None:
        """Refuse a folder that cannot be written, or holds files that are not Brian2's."""
        found = self.folder
        there = look(found, InputError)
        check_parent(found, found.absolute().parent, InputError)
        if there is not None:
            if not found.is_dir():
                raise InputError(f"{found} is a file; a program is a folder, so give another name")
            check_parent(found / "main.cpp", found, InputError)
            if any(found.iterdir()) and not (found / "main.cpp").exists():
                raise InputError(f"{found} holds files that Brian2 did not write; give a new folder")

    def run(self, *, network: Network | None = None, data: Sequences | ArrayLike | None = None) -> SpikingResult:
        """Run the program and return what happened.

        Parameters
        ----------
        network : Network, optional
            Other weights, of the same sizes and leak and with the same synapses.
        data : Sequences or (T, n_in), optional
            Other inputs, in as many steps and with the same beginnings.

        Raises
        ------
        InputError
            If the program was compiled for something else, or another one has been made since.
        """
        if Standalone._latest is not self:
            raise InputError("another program has been made since, and Brian2 holds one; make this one again")
        plan, stream = self.plan, self.stream
        if network is not None:
            plan = make_plan(network, self.plan.mode, **_options(self.plan))
            if plan.micro.leak != self.plan.micro.leak or network.B.shape != self.plan.network.B.shape:
                raise InputError("the program was compiled for another leak or other sizes; make a new one")
        if data is not None:
            stream = make_stream(plan, data)
            if stream.x.shape != self.stream.x.shape or (stream.begin != self.stream.begin).any():
                raise InputError(
                    f"the program was compiled for {len(self.stream.x)} micro-steps; give data with as many and with "
                    f"the same beginnings of sequences"
                )
        model = blueprint(plan, stream)
        arguments: dict[Any, Any] = {self.arrays[name]: array for name, array in model.arrays.items()}
        for mine, other in zip(self.blueprint.connections, model.connections, strict=True):
            if mine.weights is None or other.weights is None:
                continue
            pre, post = mine.pairs()
            if (other.exists & ~mine.exists).any():
                raise InputError(f"{mine.name}: the program has no synapse for some of these weights; make a new one")
            if len(pre):
                arguments[self.objects[mine.name].w] = np.ascontiguousarray(other.weights[post, pre])
        self._device.run(run_args=arguments)
        self.plan, self.stream = plan, stream
        return self.collect()


def _options(plan: Plan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in Plan.__dataclass_fields__ if name not in ("network", "mode")}


def to_standalone(
    net: Network,
    mode: Mode,
    data: Sequences | ArrayLike,
    folder: str | Path,
    *,
    record: Iterable[str] = RECORDS,
    **options: Unpack[PlanOptions],
) -> Standalone:
    """Compile a network to a program with Brian2's C++ standalone device.

    Parameters
    ----------
    net, mode, data, record, **options
        As for :func:`to_brian2`.
    folder : path
        Where the C++ project is put: a new folder, or one of an older program.

    Returns
    -------
    Standalone
        Its ``run(network=..., data=...)`` runs it, with other weights or inputs if they are given.

    Raises
    ------
    InputError
        If there is no compiler, the folder holds something else, or Brian2 is on another device.

    Notes
    -----
    Compiling takes 15 to 60 seconds. Brian2 is on its runtime device before and after.
    """
    return Standalone(make_plan(net, mode, **options), data, folder, record)
