"""The public interface as mypy sees it from outside, walked for every ``Any``.

From the names of the reference (``API`` in docs/conf.py) the walk follows signatures, attributes and bases to every
class of the project that a user can come to hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mypy.nodes import Decorator, FuncDef, MypyFile, OverloadedFuncDef, SymbolNode, TypeAlias, TypeInfo, Var
from mypy.types import (
    AnyType,
    CallableType,
    Instance,
    LiteralType,
    NoneType,
    Overloaded,
    ParamSpecType,
    TupleType,
    Type,
    TypedDictType,
    TypeOfAny,
    TypeType,
    TypeVarTupleType,
    TypeVarType,
    UninhabitedType,
    UnionType,
    UnpackType,
    get_proper_type,
)

OURS = ("neurolrnn", "neurolrnn_kernels", "neurolrnn_hardware")
KINDS = {
    TypeOfAny.unannotated: "no annotation",
    TypeOfAny.explicit: "Any",
    TypeOfAny.from_unimported_type: "a library without types",
    TypeOfAny.from_omitted_generics: "generic without parameters",
    TypeOfAny.from_error: "error in an annotation",
    TypeOfAny.special_form: "special form",
    TypeOfAny.implementation_artifact: "limit of mypy",
}
# What the language or a decorator writes; their types are not the project's.
GENERATED = {"__match_args__", "__dataclass_fields__", "__mypy-replace", "__mypy-post_init", "__annotations__"}


def ours(full_name: str) -> bool:
    return full_name.split(".")[0] in OURS


def is_public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__") and name not in GENERATED)


@dataclass
class Walk:
    """Walks names and keeps what it found."""

    files: dict[str, MypyFile]
    found: dict[str, set[str]] = field(default_factory=dict)
    """Kinds of ``Any`` by place: ``module.Class.method: parameter``."""
    seen: set[str] = field(default_factory=set)
    _waiting: list[TypeInfo] = field(default_factory=list)

    def run(self, names: Iterable[str]) -> dict[str, set[str]]:
        for name in names:
            module, _, last = name.rpartition(".")
            symbol = self.files[module].names[last]
            assert symbol.node is not None, name
            self.symbol(symbol.node, name)
        while self._waiting:
            self.members(self._waiting.pop())
        return self.found

    def symbol(self, node: SymbolNode, place: str) -> None:
        if isinstance(node, TypeInfo):
            self.reach(node)
        elif isinstance(node, TypeAlias):
            self.look(node.target, place)
        elif isinstance(node, Decorator):
            self.typed(node.var.type, place, node.func if node.var.is_property else None)
        elif isinstance(node, OverloadedFuncDef):
            if isinstance(first := node.items[0], Decorator) and first.var.is_property:
                self.symbol(first, place)
            else:
                self.typed(node.type, place)
        elif isinstance(node, FuncDef):
            self.typed(node.type, place, node)
        elif isinstance(node, Var):
            self.typed(node.type, place)

    def typed(self, t: Type | None, place: str, function: FuncDef | None = None) -> None:
        if t is None and function is not None and not function.arg_names:
            t = function.type
        if t is None:
            self.found.setdefault(place, set()).add(KINDS[TypeOfAny.unannotated])
        else:
            self.look(t, place, top=True)

    def reach(self, info: TypeInfo) -> None:
        if ours(info.fullname) and info.fullname not in self.seen:
            self.seen.add(info.fullname)
            self._waiting.append(info)

    def members(self, info: TypeInfo) -> None:
        for base in info.bases:
            self.look(base, f"{info.fullname}: base")
        if info.tuple_type is not None:
            self.look(info.tuple_type, f"{info.fullname}: items")
        if info.typeddict_type is not None:
            self.look(info.typeddict_type, f"{info.fullname}: items")
            return
        for name, symbol in info.names.items():
            if is_public(name) and symbol.node is not None and not symbol.plugin_generated:
                self.symbol(symbol.node, f"{info.fullname}.{name}")

    def look(self, t: Type, place: str, top: bool = False) -> None:
        p = get_proper_type(t)
        if isinstance(p, AnyType):
            while p.type_of_any == TypeOfAny.from_another_any and p.source_any is not None:
                p = p.source_any
            # numpy's ArrayLike takes arrays of anything, which is right where it is given, and says nothing where read.
            if p.type_of_any != TypeOfAny.special_form or not place.endswith((")", ": items")):
                self.found.setdefault(place, set()).add(KINDS[p.type_of_any])
        elif isinstance(p, CallableType):
            self.callable(p, place, top)
        elif isinstance(p, Overloaded):
            for item in p.items:
                self.callable(item, place, top)
        else:
            for part in self.parts(p):
                self.look(part, place)

    def callable(self, t: CallableType, place: str, top: bool) -> None:
        if t.is_type_obj():
            self.reach(t.type_object())
            return
        if t.is_ellipsis_args:  # a function of any arguments, as ``Callable[..., Task]`` says on purpose
            self.look(t.ret_type, place)
            return
        bound = top and t.definition is not None and t.arg_names and t.arg_names[0] in ("self", "cls", "_cls")
        for k, (name, given) in enumerate(zip(t.arg_names, t.arg_types, strict=True)):
            if not (bound and k == 0):
                self.look(given, f"{place}({name})" if top and name else place)
        self.look(t.ret_type, f"{place} ->" if top else place)

    def parts(self, p: Type) -> Iterator[Type]:
        """Yield the types inside a type."""
        if isinstance(p, Instance):
            self.reach(p.type)
            if p.type.fullname == "numpy.ndarray":
                yield from p.args[1:]  # the shape in numpy's own alias NDArray is tuple[Any, ...]
            elif p.type.has_base("numpy.generic"):
                return  # numpy's abstract kinds of numbers leave their widths open by an Any of their own
            else:
                yield from p.args
        elif isinstance(p, TupleType):
            yield from p.items
            self.reach(p.partial_fallback.type)
        elif isinstance(p, UnionType):
            yield from p.items
        elif isinstance(p, TypedDictType):
            self.reach(p.fallback.type)
            yield from p.items.values()
        elif isinstance(p, TypeType):
            yield p.item
        elif isinstance(p, TypeVarType):
            yield p.upper_bound
            yield from p.values
        elif isinstance(p, UnpackType):
            yield p.type
        else:
            plain = (LiteralType, NoneType, UninhabitedType, ParamSpecType, TypeVarTupleType)
            assert isinstance(p, plain), f"{type(p).__name__} {p}"
