"""Settings of a training run: network, examples, optimiser and budget."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from crysformer import settings
from crysformer.data.examples.data_augmentation import AugmentationRanges
from crysformer.errors import UsageError
from crysformer.models.crysformer import CrysFormerConfig
from crysformer.models.density_network import NetworkConfig
from crysformer.models.presets import PRESETS, preset
from crysformer.models.registry import KEY, config_to_dict, default_config, register, resolved
from crysformer.settings import check_ranges, read_toml, updated
from crysformer.training.losses import LOSSES

_AT_LEAST_ONE = {"min": 1}


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one training run; in a TOML file, `model` and `measured` are tables.

    Attributes
    ----------
    name
        Name of the weights.
    model
        The network; `architecture` in its table names another than CrysFormer.
    examples
        Length of the run, training examples.
    schedule
        Progress that the one-cycle learning rate follows: "examples", or "time", the fraction of
        the time limit that has passed (the cycle then ends on time at any speed, but a resumed run
        does not repeat the same losses), or of the examples where there is no time limit.
    batch_size, accumulate
        Examples per forward pass, and passes per step.
    learning_rate, warmup, final_rate
        Peak of the cycle, examples of linear warm-up, and the end as a fraction of the peak.
    weight_decay, beta2, clip
        AdamW (matrices only are decayed) and the largest norm of the gradient.
    ema
        Decay per step of the averaged weights, which are validated and saved; 0 for none.
    loss
        "correlation", "better-hand" (the correlation with the truth or its inverse, whichever is
        higher, for examples whose estimate has no phases) or "mse".
    blank
        Recycling networks: fraction of the examples that start from nothing; the others start from
        the truth with phase errors.
    recycled
        Recycling networks: fraction of the batches that start from the network's own prediction.
    measured
        Networks for imperfect data: ranges of the simulated imperfections.
    rotate
        Rotate every fragment at random each time it is drawn.
    bf16, compile, checkpoint_layers
        For GPUs: bfloat16 autocast, torch.compile of the transformer blocks, and recomputing layers
        to save memory.
    log_every
        Steps between readings of the loss, each of which waits for the device.
    write_every
        Seconds between weights and checkpoints, beside those after every validation.
    validate_every
        Examples between validations (and checkpoints).
    validate_seconds
        Seconds between validations, if that is sooner; None: examples alone count.
    validation_examples
        Number of validation examples, spread evenly over the split.
    final_examples
        Number of examples for the figures stored with the finished weights, predicted as averages
        over the four equivalent orientations.
    seed
        Seed of the weights, the draws and the dropout.
    """

    name: str = "custom"
    model: NetworkConfig = field(default_factory=CrysFormerConfig)
    examples: int = field(default=1_000_000, metadata=_AT_LEAST_ONE)
    schedule: Literal["examples", "time"] = "examples"
    batch_size: int = field(default=10, metadata=_AT_LEAST_ONE)
    accumulate: int = field(default=4, metadata=_AT_LEAST_ONE)
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
    measured: AugmentationRanges = field(default_factory=AugmentationRanges)
    rotate: bool = True
    bf16: bool = False
    compile: bool = False
    checkpoint_layers: bool = False
    log_every: int = field(default=50, metadata=_AT_LEAST_ONE)
    write_every: float = field(default=120.0, metadata={"min": 0, "unit": "s"})
    validate_every: int = field(default=20_000, metadata=_AT_LEAST_ONE)
    validate_seconds: float | None = field(default=None, metadata={"min": 1, "unit": "s"})
    validation_examples: int = 512
    final_examples: int = 256
    seed: int = field(default=0, metadata={"min": 0})

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise UsageError(f"unknown loss {self.loss!r}; expected one of: {', '.join(LOSSES)}")
        check_ranges(self)
        if self.model.conditions and self.model.scaling != "amplitudes":
            raise UsageError("a network for conditions needs scaling = 'amplitudes'")


def _preset(name: str, base: TrainingConfig, **changes: Any) -> TrainingConfig:
    return replace(base, name=name, model=PRESETS[name], **changes)


_PAPER = TrainingConfig(bf16=True)

#: What this package's own networks have in common.
_OWN = TrainingConfig(
    schedule="time", accumulate=1, weight_decay=0.01, beta2=0.98, loss="correlation"
)

_SMALL = replace(_OWN, examples=200_000, batch_size=16, ema=0.998, validate_every=8_000)

# Not trained yet: learning rate and batch are those of the small network, scaled.
_LARGE = replace(_OWN, examples=100_000_000, learning_rate=1e-3, ema=0.999, bf16=True)

#: Training settings of each preset. The paper's: its settings, one-cycle over its 80 epochs, and 50
#: of the baseline.
TRAINING_PRESETS = {
    config.name: config
    for config in (
        _preset("dipeptide", _PAPER, examples=80 * 1_894_984, ema=0.999),
        _preset("fifteen", _PAPER, examples=80 * 165_858, checkpoint_layers=True),
        _preset("dipeptide-unet", _PAPER, examples=50 * 1_894_984, ema=0.999),
        _preset("dipeptide-unet-ps", _PAPER, examples=50 * 1_894_984, ema=0.999),
        _preset("dipeptide-small", _SMALL, learning_rate=1.5e-3),
        _preset("dipeptide-robust", _SMALL, learning_rate=1e-3),
        _preset(
            "dipeptide-large",
            _LARGE,
            batch_size=1024,
            warmup=200_000,
            validate_every=2_000_000,
            final_examples=1024,
        ),
        _preset(
            "fifteen-large",
            _LARGE,
            batch_size=64,
            warmup=20_000,
            validate_every=100_000,
            validation_examples=256,
        ),
    )
}


def training_preset(name: str) -> TrainingConfig:
    """Look up the training settings of a preset of `models.presets`.

    Raises
    ------
    UsageError
        If there is no such preset.
    """
    preset(name)
    return TRAINING_PRESETS[name]


def to_dict(config: TrainingConfig) -> dict[str, Any]:
    """Convert to plain dictionaries, for JSON and checkpoints."""
    return {**dataclasses.asdict(config), "model": config_to_dict(config.model)}


def from_dict(values: dict[str, Any], source: str = "config") -> TrainingConfig:
    """Make a configuration of plain dictionaries, the inverse of `to_dict`.

    Fields left out take their defaults, or the values of the preset that a "preset" key names.

    Raises
    ------
    InputError
        If a key is unknown, or a value has the wrong type or is out of its range.
    UsageError
        If there is no such preset, or settings contradict each other.
    """
    values = dict(values)
    base = training_preset(str(values.pop("preset"))) if "preset" in values else TrainingConfig()
    return _updated(base, values, source)


def _updated(base: TrainingConfig, values: Mapping[str, Any], source: str) -> TrainingConfig:
    """Replace settings, also of another architecture."""
    if isinstance(values.get("model"), Mapping):
        model, rest = resolved(values["model"], source, base.model)
        base, values = replace(base, model=model), {**values, "model": rest}
    return updated(base, values, source)


def with_changes(config: TrainingConfig, changes: Sequence[str]) -> TrainingConfig:
    """Change settings given as text, such as ``model.width=384`` or ``loss=mse``.

    Values are written as in TOML; quotes around a word may be left out, and ``none`` unsets an
    optional value.

    Raises
    ------
    InputError
        If a key is unknown, or a value has the wrong type or is out of its range.
    UsageError
        If a change is not of the form KEY=VALUE, or settings contradict each other.
    """
    for change in changes:
        key, equals, text = change.partition("=")
        key, text = key.strip(), text.strip()
        if not equals or not key or not text:
            raise UsageError(f"{change!r} is no change of a setting; expected KEY=VALUE")
        *tables, name = key.split(".")
        values: dict[str, Any] = {name: None if text == "none" else _toml_value(text, change)}
        for table in reversed(tables):
            values = {table: values}
        config = _updated(config, values, change)
    return config


def _toml_value(text: str, change: str) -> Any:
    """Read a value of TOML, or a word without quotes."""
    for spelling in (text, json.dumps(text)):
        try:
            read = tomllib.loads(f"value = {spelling}")
        except tomllib.TOMLDecodeError:
            continue
        if len(read) == 1:
            return read["value"]
    raise UsageError(f"{change!r} is no change of a setting; expected a value as in TOML")


def with_architecture(config: TrainingConfig, name: str) -> TrainingConfig:
    """Take another architecture in its default settings, for the same examples.

    Raises
    ------
    UsageError
        If there is no such architecture; see `models.registry.register`.
    """
    register(name)
    return replace(config, model=default_config(name, config.model))


def to_toml(config: TrainingConfig) -> str:
    """Write all settings as TOML that `read_config` reads."""
    name = config_to_dict(config.model)[KEY]
    return settings.to_toml(config).replace("[model]\n", f'[model]\n{KEY} = "{name}"\n', 1)


def read_config(path: str | Path) -> TrainingConfig:
    """Read a TOML file.

    Raises
    ------
    InputError, UsageError
        If the file is missing or wrong, as for `from_dict`.
    """
    return from_dict(read_toml(path), str(path))
