"""Types of the plain data that runs, experiments and profiles hold: what a type checker knows of their keys."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class Origin(TypedDict, total=False):
    """How the weights of a network were made, as far as this package made them."""

    kind: str
    spectral_radius: float
    seed: int
    input_scale: float
    output_scale: float
    density: float
    a: list[float]
    b: list[float]
    w: list[float]
    rotate: bool
    basis_seed: int | None


class TrainingData(TypedDict):
    """Settings of the learning; see :class:`neurolrnn.Training`."""

    learning_rate: dict[str, float]
    update: Literal["online", "episode", "expected"]
    epochs: int
    batch: int
    loss_steps: Literal["all", "final"]
    momentum: float
    clamp: dict[str, float] | None
    learn: list[str]
    shuffle: bool
    records: int
    ranges: bool
    horizon: NotRequired[int | Literal["inf"] | None]
    update_every: NotRequired[int]


class RunExperiment(TypedDict):
    """Everything that decides a run's numbers. Options of a task, network, rule or precision differ with its name."""

    schema: int
    seed: int
    task: dict[str, object]
    network: dict[str, object]
    rule: dict[str, object]
    training: TrainingData
    precision: dict[str, object]
    chip: NotRequired[str]
    assume: NotRequired[list[str]]
    spiking: NotRequired[dict[str, object]]


class ExperimentTables(TypedDict, total=False):
    """An experiment, shaped as the TOML file; what is unset is left out."""

    seed: int
    task: dict[str, object]
    network: dict[str, object]
    rule: dict[str, object]
    training: dict[str, object]
    precision: dict[str, object]
    chip: str
    assume: list[str]
    spiking: dict[str, object]


class ProfileData(TypedDict):
    """What a profile runs."""

    experiment: ExperimentTables
    axes: list[list[object]]
    seeds: list[int]
    mode: str
    samples: int | None
    sampling_seed: int


class ChipKeys(TypedDict, total=False):
    """What the description of an experiment says of a chip."""

    chip: str
    assume: list[str]


class ChipNumerics(TypedDict):
    """What a chip decided."""

    chip: str
    name: str
    assume: list[str]
    exponents: dict[str, int]
    findings: list[dict[str, str]]
    notes: list[str]
    not_modelled: list[str]


class Numerics(TypedDict, total=False):
    """Every format, rate and width that a fixed-point run really used."""

    formats: dict[str, str]
    hidden: dict[str, str]
    accumulator: str
    rates: dict[str, float]
    rate_codes: dict[str, list[int]]
    leak: float
    decay: float
    storage_bits: int
    weight_storage_bits: int
    accumulator_bits: int
    chip: ChipNumerics


class BasisData(TypedDict):
    """How the recurrent weights were held."""

    held_as: str
    rotated: bool
    seconds: float
    why: str
