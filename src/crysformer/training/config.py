"""Settings of a training run: network, examples, optimiser and budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from crysformer import settings
from crysformer.data.examples.data_augmentation import AugmentationRanges
from crysformer.errors import UsageError
from crysformer.models.crysformer import CrysFormerConfig
from crysformer.models.density_network import NetworkConfig
from crysformer.models.presets import PRESETS, preset
from crysformer.models.registry import KEY, config_to_dict, default_config, register, resolved
from crysformer.settings import check_ranges, read_toml, setting, table, updated


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one training run; in a TOML file, `model` and `measured` are tables.

    Raises
    ------
    UsageError
        If a value is out of its range, or settings contradict each other.
    """

    name: str = setting("custom", "Name of the weights.")
    model: NetworkConfig = table(
        CrysFormerConfig, "The network; `architecture` names another than CrysFormer."
    )
    examples: int = setting(
        1_000_000, "Length of the run, training examples.", min=1, max=1_000_000_000_000
    )
    schedule: Literal["examples", "time"] = setting(
        "examples",
        "Progress that the one-cycle learning rate follows: examples, or the fraction of the time "
        "limit that has passed (the cycle then ends on time at any speed, but a resumed run does "
        "not repeat the same losses); of the examples where there is no time limit.",
    )
    batch_size: int = setting(10, "Examples in a forward pass.", min=1, max=65536)
    accumulate: int = setting(4, "Passes in a step.", min=1, max=65536)
    learning_rate: float = setting(1.4e-3, "Peak of the cycle.", min=1e-12)
    warmup: int = setting(3200, "Examples of linear warm-up.", min=0)
    final_rate: float = setting(0.02, "End of the cycle as a fraction of the peak.", min=0, max=1)
    weight_decay: float = setting(3e-2, "Of AdamW; only matrices are decayed.", min=0, max=10)
    beta2: float = setting(0.999, "Of AdamW.", min=0, max=0.999999)
    clip: float = setting(1.0, "Largest norm of the gradient.", min=1e-6)
    ema: float = setting(
        0.0,
        "Decay per step of the averaged weights, which are validated and saved; 0 for none.",
        min=0,
        max=0.999999,
    )
    loss: Literal["correlation", "better-hand", "mse"] = setting(
        "mse",
        "mse: relative mean squared error, the paper's loss divided by the mean square of the true "
        "maps (1 for a flat map). correlation: 1 - PC. better-hand: the correlation with the truth "
        "or its inverse, whichever is higher, for examples whose estimate has no phases.",
    )
    blank: float = setting(
        0.3,
        "Recycling networks: fraction of the examples that start from nothing; the others start "
        "from the truth with phase errors.",
        min=0,
        max=1,
    )
    recycled: float = setting(
        0.5,
        "Recycling networks: fraction of the batches that start from the network's own prediction.",
        min=0,
        max=1,
    )
    measured: AugmentationRanges = table(
        AugmentationRanges, "Networks for imperfect data: ranges of the simulated imperfections."
    )
    rotate: bool = setting(True, "Rotate every fragment at random each time it is drawn.")
    static_grids: tuple[tuple[int, int, int], ...] = setting(
        (),
        "For compiled networks with positions in A: grids that all cells they are fine enough for "
        "are put on, such as [[16, 12, 12], [20, 16, 12]].",
        min=1,
        max=1024,
    )
    bf16: bool = setting(False, "On GPUs: bfloat16 autocast. CPUs train in single precision.")
    compile: bool = setting(False, "For GPUs: torch.compile of the transformer blocks.")
    checkpoint_layers: bool = setting(False, "For GPUs: recompute layers to save memory.")
    log_every: int = setting(
        50, "Steps between readings of the loss, each of which waits for the device.", min=1
    )
    write_every: float = setting(
        120.0,
        "Time between weights and checkpoints, beside those after every validation.",
        unit="s",
        min=0,
    )
    history_seconds: float = setting(
        60.0,
        "Longest time between lines of the history; those between validations have the loss only.",
        unit="s",
        min=1,
    )
    validate_every: int = setting(20_000, "Examples between validations (and checkpoints).", min=1)
    validate_seconds: float | None = setting(
        None, "Time between validations, if that is sooner.", unit="s", min=1
    )
    validation_examples: int = setting(
        512, "Validation examples, spread evenly over the split.", min=1, max=1_000_000
    )
    final_examples: int = setting(
        256,
        "Examples for the figures stored with the finished weights, predicted as averages over "
        "the four equivalent orientations.",
        min=0,
        max=1_000_000,
    )
    seed: int = setting(0, "Seed of the weights, the draws and the dropout.", min=0, max=2**62)

    def __post_init__(self) -> None:
        check_ranges(self)
        self._check_grids()
        if self.model.conditions and self.measured.d_min < self.model.d_min:
            raise UsageError(
                f"measured.d_min is {self.measured.d_min:g} A, expected a lower resolution than "
                f"model.d_min, {self.model.d_min:g} A"
            )

    def _check_grids(self) -> None:
        patch = self.model.patch
        if any(n % patch for shape in self.static_grids for n in shape):
            raise UsageError(
                f"static_grids {list(map(list, self.static_grids))}: expected multiples of the "
                f"patch, {patch}"
            )
        if self.static_grids and getattr(self.model, "positions", "") != "metric":
            raise UsageError(
                'static_grids need a network with model.positions = "metric": to others a finer '
                "grid is another crystal"
            )


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
    return updated_config(base, values, source)


def updated_config(base: TrainingConfig, values: Mapping[str, Any], source: str) -> TrainingConfig:
    """Replace settings, also of another architecture."""
    if isinstance(values.get("model"), Mapping):
        model, rest = resolved(values["model"], source, base.model)
        base, values = replace(base, model=model), {**values, "model": rest}
    return updated(base, values, source)


def with_architecture(config: TrainingConfig, name: str) -> TrainingConfig:
    """Take another architecture in its default settings, for the same examples.

    Raises
    ------
    UsageError
        If there is no such architecture; see `models.registry.register`.
    """
    register(name)
    if name == "refining":
        raise UsageError("a refining network needs weights to refine: give `refine` WEIGHTS")
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
