"""Files of a training run: history, checkpoint and weights, each written atomically."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from crysformer.files import atomic_path
from crysformer.models.density_network import DensityNetwork
from crysformer.models.weights import save_weights
from crysformer.training.checkpoint import CHECKPOINT, save_checkpoint
from crysformer.training.validation import ValidationResult

HISTORY = "history.csv"
COLUMNS = (
    "step", "examples", "seconds", "learning_rate", "train_loss",
    "pc", "phase_error", "weighted_phase_error", "pc_better_hand", "epochs",
)  # fmt: skip
WEIGHTS = "weights.safetensors"

#: Largest file of weights, bytes; larger networks are written as shards.
SHARD_SIZE = 16 * 2**20


class RunFolder:
    """Folder of a run and the lines of its history."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.history: list[tuple[str, ...]] = []

    def add_to_history(
        self, step: int, examples: int, epochs: float, seconds: float, rate: float, loss: float,
        result: ValidationResult | None,
    ) -> None:  # fmt: skip
        """Add a line to the history, and write it; without a validation its figures are empty.

        The loss is the mean over the steps since the line before, and an epoch as many examples as
        the training split has fragments.
        """
        figures = ("",) * 4
        if result is not None:
            figures = (
                f"{result.pc:.5f}", f"{result.phase_error:.3f}",
                f"{result.weighted_phase_error:.3f}", f"{result.pc_better_hand:.5f}",
            )  # fmt: skip
        row = (
            step, examples, round(seconds, 1), f"{rate:.3e}", f"{loss:.5f}", *figures,
            f"{epochs:.4f}",
        )  # fmt: skip
        self.history.append(tuple(str(value) for value in row))
        with atomic_path(self.folder / HISTORY) as path, open(path, "w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *self.history])

    def write_checkpoint(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint."""
        save_checkpoint(self.folder / CHECKPOINT, state)

    def write_weights(self, model: DensityNetwork, info: dict[str, Any]) -> None:
        """Replace the weights, in files of at most `SHARD_SIZE`."""
        save_weights(self.folder / WEIGHTS, model, info, SHARD_SIZE)
