"""What a training run is: the network, the data on the fly, the optimiser, the budget."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from crysformer.data.examples.data_augmentation import Conditions
from crysformer.errors import InputError, UsageError
from crysformer.models.crysformer import CrysFormerConfig
from crysformer.models.presets import PRESETS, preset
from crysformer.training.losses import LOSSES


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one training run; in a TOML file, `model` and `measured` are tables.

    Attributes
    ----------
    name
        What the weights are called.
    model
        The network.
    examples
        Length of the run, training examples.
    schedule
        What the one-cycle learning rate follows: "examples", or "time", the share of the time
        limit that has passed (a machine of unknown speed then ends its cycle on time; a resumed
        run does not repeat the same losses), or of the examples where there is no time limit.
    batch_size, accumulate
        Examples a forward pass, and passes a step.
    learning_rate, warmup, final_rate
        Peak of the cycle, examples of linear warm-up, and the end as a share of the peak.
    weight_decay, beta2, clip
        AdamW (matrices only are decayed) and the largest norm of the gradient.
    ema
        Decay a step of the averaged weights that are validated and shipped; 0 for none.
    loss
        "correlation" or "mse".
    blank
        Of a recycling network: share of the examples that start from nothing; the others start
        from the truth with phase errors.
    recycled
        Of a recycling network: share of the batches that start from its own prediction.
    measured
        Of a network for conditions: how imperfectly its examples are measured.
    rotate
        Rotate every fragment at random each time it is drawn.
    bf16, compile, checkpoint_layers
        For GPUs: bfloat16 autocast, torch.compile, and recomputing layers to save memory.
    validate_every
        Examples between validations (and checkpoints).
    validation_examples
        How many, spread evenly over the split.
    final_examples
        The same for the figures that stand with the finished weights, which are of predictions
        averaged over the four equivalent orientations.
    seed
        Of the weights, the draws and the dropout.
    """

    name: str = "custom"
    model: CrysFormerConfig = field(default_factory=CrysFormerConfig)
    examples: int = 1_000_000
    schedule: Literal["examples", "time"] = "examples"
    batch_size: int = 10
    accumulate: int = 4
    learning_rate: float = 1.4e-3
    warmup: int = 3200
    final_rate: float = 0.02
    weight_decay: float = 3e-2
    beta2: float = 0.999
    clip: float = 1.0
    ema: float = 0.0
    loss: str = "mse"
    blank: float = 0.3
    recycled: float = 0.5
    measured: Conditions = field(default_factory=Conditions)
    rotate: bool = True
    bf16: bool = False
    compile: bool = False
    checkpoint_layers: bool = False
    validate_every: int = 20_000
    validation_examples: int = 512
    final_examples: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise UsageError(f"unknown loss {self.loss!r}; expected one of: {', '.join(LOSSES)}")
        for name in ("examples", "batch_size", "accumulate", "validate_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.model.conditions and self.model.scaling != "amplitudes":
            raise UsageError("a network for conditions needs scaling = 'amplitudes'")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}, expected a whole number from 0")


_SMALL = TrainingConfig(
    name="dipeptide-small",
    model=PRESETS["dipeptide-small"],
    examples=200_000,
    schedule="time",
    batch_size=16,
    accumulate=1,
    learning_rate=1.5e-3,
    weight_decay=0.01,
    beta2=0.98,
    ema=0.998,
    loss="correlation",
    validate_every=8_000,
)

# Not trained yet: learning rate and batch are those of the small network, scaled.
_LARGE = TrainingConfig(
    name="dipeptide-large",
    model=PRESETS["dipeptide-large"],
    examples=100_000_000,
    schedule="time",
    batch_size=1024,
    accumulate=1,
    learning_rate=1e-3,
    warmup=200_000,
    weight_decay=0.01,
    beta2=0.98,
    ema=0.999,
    loss="correlation",
    bf16=True,
    validate_every=2_000_000,
    final_examples=1024,
)

#: How each preset is trained. The paper's two: its settings, one-cycle over its 80 epochs.
TRAINING_PRESETS = {
    "dipeptide": TrainingConfig(
        name="dipeptide", model=PRESETS["dipeptide"], examples=80 * 1_894_984, bf16=True, ema=0.999
    ),
    "fifteen": TrainingConfig(
        name="fifteen",
        model=PRESETS["fifteen"],
        examples=80 * 165_858,
        bf16=True,
        checkpoint_layers=True,
    ),
    "dipeptide-small": _SMALL,
    "dipeptide-robust": dataclasses.replace(
        _SMALL,
        name="dipeptide-robust",
        model=PRESETS["dipeptide-robust"],
        learning_rate=1e-3,
    ),
    "dipeptide-large": _LARGE,
    "fifteen-large": dataclasses.replace(
        _LARGE,
        name="fifteen-large",
        model=PRESETS["fifteen-large"],
        batch_size=64,
        warmup=20_000,
        validate_every=100_000,
        validation_examples=256,
        final_examples=256,
    ),
}


_Config = TypeVar("_Config", TrainingConfig, CrysFormerConfig, Conditions)


def training_preset(name: str) -> TrainingConfig:
    """How a preset of `models.presets` is trained.

    Raises
    ------
    UsageError
        If there is no such preset.
    """
    preset(name)
    return TRAINING_PRESETS[name]


def to_dict(config: TrainingConfig) -> dict[str, Any]:
    """Plain dictionaries, for JSON and checkpoints."""
    return dataclasses.asdict(config)


def from_dict(values: dict[str, Any], source: str = "config") -> TrainingConfig:
    """The inverse of `to_dict`; fields left out take their defaults, unknown ones are refused.

    A "preset" key starts from that preset instead of from the defaults.

    Raises
    ------
    InputError
        If a key is unknown or a value has the wrong type.
    """
    values = dict(values)
    base = training_preset(values.pop("preset")) if "preset" in values else TrainingConfig()
    tables: dict[str, Any] = {}
    for name in ("model", "measured"):
        table = values.pop(name, {})
        if not isinstance(table, dict):
            raise InputError(f"{source}: {name!r} is not a table")
        tables[name] = _replace(getattr(base, name), table, source)
    return _replace(base, {**values, **tables}, source)


def read_config(path: str | Path) -> TrainingConfig:
    """Read a TOML file.

    Raises
    ------
    InputError
        If the file is missing or wrong.
    """
    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML ({error})") from error
    return from_dict(values, str(path))


def _replace(base: _Config, values: dict[str, Any], source: str) -> _Config:
    known = {f.name: getattr(base, f.name) for f in dataclasses.fields(base)}
    for name, value in values.items():
        if name not in known:
            raise InputError(
                f"{source}: unknown setting {name!r}; expected one of: {', '.join(known)}"
            )
        old = known[name]
        wrong = isinstance(value, bool) != isinstance(old, bool) or not isinstance(
            value, (int, float) if isinstance(old, float) else type(old)
        )
        if old is not None and value is not None and wrong:
            raise InputError(
                f"{source}: {name} is {value!r}, expected {type(old).__name__} like {old!r}"
            )
    return dataclasses.replace(base, **values)
