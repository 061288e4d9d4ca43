"""Functions that are written once, for kernels and for Python, see :mod:`neurolrnn_kernels.vectors`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from neurolrnn_kernels.plain import Plain
from neurolrnn_kernels.vectors import Array, Value, Writer


def traced(function: Callable[..., None]) -> Any:
    """Let kernels call ``function(m, *arrays and numbers)``, which returns nothing, without ``m``.

    It becomes a function of its own in the machine code, once for each set of types, and is called, not built in:
    arrays are passed as their address and shape. Called from Python, it runs on NumPy's arrays.
    """
    parameters = list(inspect.signature(function).parameters.values())[1:]

    def define(typingctx: Any, *args: Any) -> Any:
        if any(isinstance(a, types.Array) and a.layout != "C" for a in args):
            return None
        shown = [a if isinstance(a, types.Array) else types.int64 for a in args]

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            _call(function, context, builder, signature.args, values)
            return context.get_dummy_value()

        return types.void(*shown), codegen

    define.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("typingctx", inspect.Parameter.POSITIONAL_OR_KEYWORD), *parameters]
    )
    define.__name__ = function.__name__
    call = intrinsic(define)

    @wraps(function)
    def interpreted(*args: Any) -> None:
        function(Plain(), *args)

    names = ", ".join(p.name for p in parameters)
    compiled = eval(f"lambda {names}: call({names})", {"call": call})
    interpreted.__signature__ = inspect.signature(compiled)  # type: ignore[attr-defined]
    overload(interpreted)(eval(f"lambda {names}: compiled", {"compiled": compiled}))
    return interpreted


def _call(function: Callable[..., None], context: Any, builder: Any, kinds: Any, values: Any) -> None:
    """Call the machine code of a traced function, which is written if this module does not hold it yet."""
    given = []
    for kind, value in zip(kinds, values, strict=True):
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, value)
            given += [array.data, *cgutils.unpack_tuple(builder, array.shape)]
        else:
            given.append(value)
    tags = [f"{k.dtype}x{k.ndim}" if isinstance(k, types.Array) else "" for k in kinds]
    name = ".".join(["neurolrnn", function.__module__.rpartition(".")[2], function.__name__, *tags])
    module = builder.module
    if name not in module.globals:
        written = ir.Function(module, ir.FunctionType(ir.VoidType(), [g.type for g in given]), name)
        written.linkage = "linkonce_odr"
        for attribute in ("noinline", "nounwind", "optsize"):  # the loops are vectors already: nothing to unroll
            written.attributes.add(attribute)
        inside = ir.IRBuilder(written.append_basic_block("entry"))
        m, left = Writer(inside), list(written.args)
        args: list[Any] = []
        for kind in kinds:
            if isinstance(kind, types.Array):
                data, *shape = (left.pop(0) for _ in range(1 + kind.ndim))
                args.append(Array(data, str(kind.dtype), [Value(m, s, "int64") for s in shape]))
            else:
                args.append(Value(m, left.pop(0), "int64"))
        function(m, *args)
        inside.ret_void()
    builder.call(module.globals[name], given)
