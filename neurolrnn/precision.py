"""The numbers a run calculates with: floating point, or a fixed-point format for every variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np

from neurolrnn.errors import InputError, choose, positive_integer
from neurolrnn_kernels.formats import OVERFLOWS, ROUNDINGS, FormatError, Overflow, QFormat, Rounding

FLOATS = ("float32", "float64")

PARENTS: dict[str, str | None] = {
    "weight": None, "state": None,
    "A": "weight", "W": "weight", "B": "weight", "feedback": "weight", "factor": "weight",
    "factor_W": "factor", "factor_B": "factor",
    "current": "state", "readout": "state", "input": "state", "trace": "state", "input_trace": "trace",
    "eligibility": "trace", "input_eligibility": "eligibility", "trace_decay": "weight",
    "error": "readout", "signal": "error", "coupling": "error", "back_current": "signal", "message": "state",
}  # fmt: skip
"""Variables that have a format, each with the variable whose format it takes if it is given none of its own."""

STEPS = ("step_A", "step_W", "step_B")
"""Error or learning signal times learning rate; their formats follow from the rate if none is given."""

_SIXTEEN = {
    "state": "s4.11", "current": "s5.10", "input": "s4.11", "readout": "s7.8", "error": "s3.12", "signal": "s3.12",
    "coupling": "s6.9", "trace_decay": "s1.14",
}  # fmt: skip
"""States of 16 bits, for standardised inputs and outputs or logits of moderate size."""

PRESETS: dict[str, dict[str, Any]] = {
    "float32": {},
    "float64": {},
    "int16": {"weight": "s2.13", "A": "s3.12", **_SIXTEEN},
    "int8": {"weight": "s1.6", "A": "s3.4", **_SIXTEEN, "update_rounding": "stochastic"},
    "int8-hidden16": {
        "weight": "s1.6", "A": "s3.4", "hidden": "s3.12", **_SIXTEEN, "update_rounding": "stochastic",
    },
    "int24": {
        "weight": "s3.20", "state": "s6.17", "current": "s7.16", "input": "s4.19", "readout": "s8.15",
        "error": "s3.20", "signal": "s5.18", "coupling": "s7.16", "trace_decay": "s1.22",
    },
}  # fmt: skip
"""Named precisions. int8 has 8-bit weights beside 16-bit states; hidden16 accumulates updates behind them."""

CHIP = "chip"
"""Name of a precision that a chip's sheet completes; see :mod:`neurolrnn.chips.limits`."""
RoundingName = Literal["floor", "nearest", "nearest-even", "toward-zero", "stochastic"]
UpdateRounding = RoundingName | Literal["lsb-stochastic"]
OverflowName = Literal["saturate", "wrap"]
Noise = Literal["element", "shared", "lfsr"]
NOISES: tuple[str, ...] = get_args(Noise)
GROUPS = ("A", "W", "B")
Option = str | int | Mapping[str, str] | None
"""A format, a mode, a number of bits, or formats by group; which an option may be is checked when it is given."""


TraceSigns = Literal["signed", "pair"]
TRACE_SIGNS: tuple[str, ...] = get_args(TraceSigns)
StateDecay = Literal["together", "apart"]
STATE_DECAYS: tuple[str, ...] = get_args(StateDecay)
SYMMETRIC = "symmetric"


class Landing(NamedTuple):
    """A format together with how results come to rest on it."""

    format: QFormat
    rounding: Rounding
    overflow: Overflow
    symmetric: bool = False
    """Whether the range of a signed format leaves out its lowest code, so that it ends at the same value both ways."""

    @property
    def lo(self) -> int:
        """Lowest code that is stored."""
        return -self.format.hi if self.symmetric else self.format.lo


@dataclass(frozen=True)
class Precision:
    """Number formats of a run.

    Parameters
    ----------
    weight, state, ... : str, optional
        A format per variable, such as ``"s1.6"``, ``"s3.12 floor"`` or ``"s3.12 stochastic wrap"``; ``symmetric``
        leaves out the lowest code of one that saturates. Only ``weight`` and ``state`` must be given; the others follow
        (see :data:`PARENTS`). With none at all the run is in floating point. ``message`` is what units send of their
        state; without a format of its own they send the state.
    rounding : str
        ``"floor"``, ``"nearest"``, ``"nearest-even"``, ``"toward-zero"`` or ``"stochastic"``; a format may name
        its own.
    update_rounding : str, optional
        The same for updates of weights, and ``"lsb-stochastic"``; default: ``rounding``.
    overflow : str
        ``"saturate"`` or ``"wrap"``, where a format names none.
    accumulator : str
        ``"exact"``, proved before the run to fit, or a width with what happens beyond it, after every multiply and
        add: ``"s24 saturate"``, ``"s16 wrap"``.
    hidden : str or dict, optional
        A finer format in which updates are accumulated behind the weights, for all groups or per group.
    decay_bits : int
        Fraction bits of leak and decays.
    rate_bits : int
        Bits of the mantissa of learning rates; 1 makes them powers of two.
    noise : str
        Random bits of stochastic rounding: ``"element"`` (independent), ``"shared"`` (one number per step and
        variable) or ``"lfsr"`` (a shift register).
    random_bits : int
        Random bits per rounding, 1 to 32.
    trace_signs : str
        ``"signed"``, or ``"pair"``: traces have no sign, and positive and negative activity are filtered in two of
        them. Of RFLO.
    state_decay : str
        How a state comes to rest: ``"together"``, kept part and current in one sum that is rounded once, or
        ``"apart"``: the kept part is rounded by itself, and the current, floored, is added.
    name : str
        ``"float32"``, ``"float64"``, any name for fixed point, or ``"chip"``: what is not given is taken from the sheet
        of the chip that the run is made for.

    Raises
    ------
    InputError
        If a variable, format or mode is not known.

    Notes
    -----
    docs/numerics.md says what lands where.
    """

    formats: Mapping[str, str] = field(default_factory=dict)
    rounding: RoundingName = "nearest"
    update_rounding: UpdateRounding | None = None
    overflow: OverflowName = "saturate"
    accumulator: str = "exact"
    hidden: str | Mapping[str, str] | None = None
    decay_bits: int = 14
    rate_bits: int = 8
    noise: Noise = "element"
    random_bits: int = 16
    trace_signs: TraceSigns = "signed"
    state_decay: StateDecay = "together"
    name: str = "float32"
    given: tuple[str, ...] = ()

    def __init__(self, name: str | None = None, **options: Option) -> None:
        def put(key: str, value: Any) -> None:
            object.__setattr__(self, key, value)

        known = [*PARENTS, *STEPS]
        settings = {k: v for k, v in options.items() if k in _SETTINGS}
        formats = {k: v for k, v in options.items() if k not in _SETTINGS}
        for key in formats:
            if key not in known:
                raise InputError(f"{key} is not known; allowed: {', '.join([*known, *_SETTINGS])}")
        put("formats", {k: formats[k] for k in known if formats.get(k) is not None})
        for key, default in _SETTINGS.items():
            put(key, settings.get(key, default))
        put("name", name or ("fixed" if self.formats else "float32"))
        put("given", tuple(key for key in _SETTINGS if key in settings) if name == CHIP else ())
        if name == CHIP:
            return  # to be completed, and judged then
        if not self.formats:
            choose("precision", self.name, FLOATS)
            extra = [key for key, default in _SETTINGS.items() if getattr(self, key) != default]
            if extra:
                raise InputError(
                    f"{extra[0]} = {getattr(self, extra[0])!r} belongs to fixed point, and no format is given; give "
                    f"weight and state formats, or a preset such as 'int16'"
                )
            return
        if self.name in FLOATS:
            raise InputError(
                f"precision {self.name!r} takes no formats; leave the name or {next(iter(self.formats))} out"
            )
        choose("rounding", self.rounding, [r for r in ROUNDINGS if r != "lsb-stochastic"])
        if self.update_rounding is not None:
            choose("update_rounding", self.update_rounding, ROUNDINGS)
        choose("overflow", self.overflow, OVERFLOWS)
        choose("noise", self.noise, NOISES)
        choose("trace_signs", self.trace_signs, TRACE_SIGNS)
        choose("state_decay", self.state_decay, STATE_DECAYS)
        for key, low, high in (("decay_bits", 1, 30), ("rate_bits", 1, 24), ("random_bits", 1, 32)):
            if positive_integer(key, getattr(self, key), low) > high:
                raise InputError(f"{key} = {getattr(self, key)}; {low} to {high} are possible")
        for variable in PARENTS:
            self.landing(variable)
        for variable in STEPS:
            if variable in self.formats:
                self._parse(variable, self.formats[variable])
        if self.trace_signs == "pair":
            for variable in ("trace", "input_trace"):
                if self.landing(variable).format.signed:
                    raise InputError(
                        f"trace_signs = 'pair' filters in traces without a sign, and {variable} is "
                        f"{self.landing(variable).format}; give it a format such as 'u0.7'"
                    )
        self.accumulator_range()
        for group in GROUPS:
            self.hidden_format(group)

    @classmethod
    def preset(cls, name: str, **overrides: Option) -> Precision:
        """Return a precision of :data:`PRESETS`, with some of its options changed."""
        options = {**({} if name == CHIP else PRESETS[choose("preset", name, [*PRESETS, CHIP])]), **overrides}
        return cls(name if name not in FLOATS or not overrides else None, **options)

    @classmethod
    def float32(cls) -> Precision:
        """Single precision, 24 bits of significand."""
        return cls("float32")

    @classmethod
    def float64(cls) -> Precision:
        """Double precision, 53 bits of significand."""
        return cls("float64")

    @property
    def is_fixed(self) -> bool:
        """Whether this is fixed point."""
        return bool(self.formats) and self.name != CHIP

    @property
    def dtype(self) -> np.dtype[np.float32 | np.float64]:
        """NumPy type of states and weights in floating point."""
        if self.name == CHIP:
            raise InputError("precision 'chip' takes its formats from a chip's sheet; say which: chip = 'reckon'")
        if self.is_fixed:
            raise InputError(f"precision {self.name!r} is fixed point, which has no one dtype")
        return np.dtype(self.name)

    @property
    def chip_settings(self) -> tuple[str, ...]:
        """What of docs/chip_limits.md is used here, beyond formats, rounding and overflow."""
        used = {
            "message": "message" in self.formats, "trace_signs = 'pair'": self.trace_signs == "pair",
            "state_decay = 'apart'": self.state_decay == "apart",
            SYMMETRIC: any(SYMMETRIC in form.split() for form in self.formats.values()),
        }  # fmt: skip
        return tuple(name for name, is_used in used.items() if is_used)

    def landing(self, variable: str) -> Landing:
        """Return the format of a variable, its own or the one it follows, and how results come to rest on it."""
        key: str | None = choose("variable", variable, PARENTS)
        while key is not None and key not in self.formats:
            key = PARENTS[key]
        if key is None:
            raise InputError(f"precision: {variable} has no format; fixed point needs at least weight and state")
        update = variable in ("A", "W", "B", "factor_W", "factor_B")
        return self._parse(variable, self.formats[key], update=update)

    def step_landing(self, variable: str, fallback: QFormat) -> Landing:
        """Return the format of ``step_A``, ``step_W`` or ``step_B``, or ``fallback`` if it was not given."""
        return self._parse(variable, self.formats.get(variable, str(fallback)))

    def hidden_format(self, group: str) -> QFormat | None:
        """Return the format in which updates of a group accumulate behind its weights, or None."""
        text = self.hidden.get(group) if isinstance(self.hidden, Mapping) else self.hidden
        if isinstance(self.hidden, Mapping):
            for key in self.hidden:
                choose("group of hidden", key, GROUPS)
        if text is None:
            return None
        return _format("hidden", text)

    def accumulator_range(self) -> tuple[int, Overflow] | None:
        """Return width and overflow of a declared accumulator, or None for an exact one."""
        if self.accumulator == "exact":
            return None
        words = self.accumulator.split() if isinstance(self.accumulator, str) else []
        if len(words) == 2 and words[0][:1] == "s" and words[0][1:].isdigit() and words[1] in OVERFLOWS:
            width = int(words[0][1:])
            if 2 <= width <= 62:
                return width, OVERFLOWS[words[1]]
        raise InputError(
            f"accumulator = {self.accumulator!r}; 'exact', or a width of 2 to 62 bits and what happens beyond it, "
            f"such as 's24 saturate' or 's16 wrap', is needed"
        )

    def _parse(self, variable: str, text: str, *, update: bool = False) -> Landing:
        words = text.split() if isinstance(text, str) else []
        if not words:
            raise InputError(
                f"precision.{variable} = {text!r}; a format such as 's1.6' or 's3.12 floor wrap' is needed"
            )
        rounding: str = self.update_rounding or self.rounding if update else self.rounding
        overflow: str = self.overflow
        symmetric = SYMMETRIC in words[1:]
        for word in words[1:]:
            if word == SYMMETRIC:
                pass
            elif word in ROUNDINGS and (update or word != "lsb-stochastic"):
                rounding = word
            elif word in OVERFLOWS:
                overflow = word
            else:
                choose(f"precision.{variable}", word, [*ROUNDINGS, *OVERFLOWS, SYMMETRIC])
                raise InputError(f"precision.{variable} = {text!r}: lsb-stochastic rounds updates of weights only")
        form = _format(variable, words[0])
        if symmetric and (overflow == "wrap" or not form.signed):
            raise InputError(f"precision.{variable} = {text!r}: only a signed range that saturates can be symmetric")
        return Landing(form, ROUNDINGS[rounding], OVERFLOWS[overflow], symmetric)

    @classmethod
    def from_dict(cls, options: Mapping[str, object]) -> Precision:
        """Build from plain data, as the table ``[precision]`` of an experiment file holds it."""
        rest: dict[str, Any] = {k: v for k, v in options.items() if k not in ("preset", "name")}
        if "preset" in options:
            return cls.preset(cast("str", options["preset"]), **rest)
        return cls(cast("str | None", options.get("name")), **rest)

    def options(self) -> dict[str, object]:
        """Return the settings as plain data; :meth:`from_dict` reads them back."""
        if self.name == CHIP:
            return {"preset": CHIP, **self.formats, **{key: getattr(self, key) for key in self.given}}
        if not self.is_fixed:
            return {"preset": self.name}
        hidden = dict(self.hidden) if isinstance(self.hidden, Mapping) else self.hidden
        plain = {key: getattr(self, key) for key in _SETTINGS if key != "hidden"}
        settings = {k: v for k, v in plain.items() if k not in _LATER or v != _SETTINGS[k]}
        settings["update_rounding"] = self.update_rounding or self.rounding
        out: dict[str, Any] = {"name": self.name, **self.formats, **settings}
        return out if hidden is None else {**out, "hidden": hidden}


_SETTINGS: dict[str, Any] = {
    "rounding": "nearest", "update_rounding": None, "overflow": "saturate", "accumulator": "exact", "hidden": None,
    "decay_bits": 14, "rate_bits": 8, "noise": "element", "random_bits": 16, "trace_signs": "signed",
    "state_decay": "together",
}  # fmt: skip
_LATER = ("trace_signs", "state_decay")
"""Settings that descriptions name only where they are used, so that those of older runs stay what they were."""


def _format(variable: str, text: str) -> QFormat:
    try:
        return QFormat.parse(text)
    except FormatError as error:
        raise InputError(f"precision.{variable}: {error}") from None
