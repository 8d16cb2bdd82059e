"""Curves of a run in TensorBoard or Weights & Biases, beside its own history."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from crysformer.errors import UsageError
from crysformer.training.validation import ValidationResult

#: Folder of TensorBoard's files in that of the run.
TENSORBOARD = "tensorboard"


class Tracker(Protocol):
    """Receiver of the figures of a run."""

    def log(self, examples: int, values: Mapping[str, float]) -> None:
        """Take figures by name, after so many training examples."""

    def close(self) -> None:
        """Finish; nothing is logged afterwards."""


class Curves:
    """Figures of a run as they go to all trackers, named as these group them.

    Parameters
    ----------
    trackers
        Receivers; none by default.
    """

    def __init__(self, trackers: Sequence[Tracker] = ()) -> None:
        self._trackers = trackers

    def add_training(self, examples: int, loss: float, rate: float, seconds: float) -> None:
        """Add the mean loss of the last steps, the learning rate and the mean speed so far."""
        speed = examples / max(seconds, 1e-9)
        self._add(examples, "training", loss=loss, learning_rate=rate, examples_per_second=speed)

    def add_validation(self, examples: int, result: ValidationResult) -> None:
        """Add the figures of a validation."""
        self._add(
            examples, "validation", pc=result.pc, pc_better_hand=result.pc_better_hand,
            mean_phase_error=result.phase_error,
        )  # fmt: skip

    def close(self) -> None:
        """Close all trackers."""
        for tracker in self._trackers:
            tracker.close()

    def _add(self, examples: int, group: str, **figures: float) -> None:
        for tracker in self._trackers:
            tracker.log(examples, {f"{group}/{name}": value for name, value in figures.items()})


class TensorBoard:
    """Scalars in `RUN/tensorboard`, for TensorBoard; a resumed run adds to them.

    Parameters
    ----------
    folder
        Folder of the run.

    Raises
    ------
    UsageError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        require("tensorboard")
        module = importlib.import_module("torch.utils.tensorboard")
        self._writer: Any = module.SummaryWriter(str(folder / TENSORBOARD))

    def log(self, examples: int, values: Mapping[str, float]) -> None:
        """Write the figures, each a curve against training examples."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, examples)

    def close(self) -> None:
        """Write what is waiting, and close the file."""
        self._writer.close()


class WeightsAndBiases:
    """A run of a project at Weights & Biases; where it goes is set as usual for that service.

    Parameters
    ----------
    project
        Name of the project.
    folder
        Folder of the run, whose name the run takes; its files are under ``wandb`` in it.
    settings
        Settings of the training.

    Raises
    ------
    UsageError
        If wandb is not installed.
    """

    def __init__(self, project: str, folder: Path, settings: Mapping[str, Any]) -> None:
        require("wandb")
        module: Any = importlib.import_module("wandb")
        self._run = module.init(
            project=project, name=folder.name, dir=str(folder), config=dict(settings)
        )

    def log(self, examples: int, values: Mapping[str, float]) -> None:
        """Send the figures."""
        self._run.log({"examples": examples, **values})

    def close(self) -> None:
        """End the run at the service."""
        self._run.finish()


def require(module: str) -> None:
    """Check that a tracker's package is installed.

    Raises
    ------
    UsageError
        If it is not.
    """
    if importlib.util.find_spec(module) is None:
        raise UsageError(f"{module} is not installed; `pip install {module}`")
