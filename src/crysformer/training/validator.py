"""Validation during a run, within its time budget."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from crysformer.data.examples.stream import Batch
from crysformer.errors import CrysformerError
from crysformer.models.density_network import DensityNetwork
from crysformer.models.orientations import ORIENTATIONS
from crysformer.training.config import TrainingConfig
from crysformer.training.data import TrainingData
from crysformer.training.domain import trained_domain, wilson_scale
from crysformer.training.faults import raise_if_short_of_memory
from crysformer.training.memory import estimate_memory, memory_problem
from crysformer.training.processes import ALONE, Processes
from crysformer.training.progress import Progress
from crysformer.training.time_budget import TimeBudget
from crysformer.training.validation import ValidationResult, validate

#: Examples whose validation is timed at the start of a run with a time limit.
_TIMED = 8
#: Parts of the final validation of a run with a time limit, which may end after any of them.
_PARTS = 8


class Validator:
    """Validation examples of a run, and the figures of the last validation.

    Parameters
    ----------
    config
        Number of examples and resolution.
    data
        The data set.
    device
        Compute device.
    budget
        Learns how long validation takes.
    processes
        Processes that share every batch of the training.

    Attributes
    ----------
    result
        Result of the last validation, None before the first.
    details
        Number of training examples before it, orientations averaged, and the PC with imperfect
        data of networks trained on such.
    """

    def __init__(
        self,
        config: TrainingConfig,
        data: TrainingData,
        device: torch.device,
        budget: TimeBudget,
        processes: Processes = ALONE,
    ) -> None:
        self._config, self._data, self._budget = config, data, budget
        self._device, self._processes = device, processes
        self._since = 0.0
        self._wilson_scale: float | None = None
        self.plan(0)
        torch.zeros(1, device=device)  # so that the device is ready when the time is measured
        begin = budget.clock()
        self._exact = data.validation(config.validation_examples)
        self._making = (budget.clock() - begin) / max(1, sum(map(len, self._exact)))
        self._imperfect = data.all_measured(self._exact)
        self.result: ValidationResult | None = None
        self.details: dict[str, Any] = {}

    def domain(self) -> dict[str, Any]:
        """Range of crystals that the network is trained on."""
        model = self._config.model
        measured = self._config.measured if model.conditions else None
        return trained_domain(self._exact, model.d_min, measured)

    def wilson_scale(self) -> dict[str, float]:
        """Scale that predictions need of a network with constant scales, under its name."""
        model = self._config.model
        if model.scaling != "constant":
            return {}
        if self._wilson_scale is None:
            self._wilson_scale = round(wilson_scale(self._exact, model.d_min, model.b_iso), 4)
        return {"wilson_scale": self._wilson_scale}

    def check_memory(self, model: DensityNetwork, run: Path, progress: Progress) -> None:
        """Check that a training step on the largest of the examples fits into memory.

        Raises
        ------
        CrysformerError
            If it does not on a CPU, or a single example does not; on a GPU, where the batches are
            halved, a warning is given.
        """
        largest = max(self._exact, key=lambda batch: batch.patterson[0].numel())
        try:
            estimate = estimate_memory(model, _first(largest, 1), self._config.loss, self._device)
        except Exception as error:
            raise_if_short_of_memory(error, str(run))
            raise
        size = self._config.batch_size // self._processes.size
        problem = memory_problem(estimate, size, self._config.accumulate)
        if problem is None:
            return
        if self._device.type == "cpu":
            raise CrysformerError(f"{run}: {problem}")
        progress.warning(problem)

    def plan(self, examples: int) -> None:
        """Plan the next validation of a run that has trained on so many examples."""
        every = self._config.validate_every
        self._next = (examples // every + 1) * every

    def due(self, examples: int, seconds: float) -> bool:
        """Check if it is time to validate, by examples or seconds of the run."""
        interval = self._config.validate_seconds
        late = interval is not None and seconds - self._since >= interval
        return late or examples >= self._next

    def restart_interval(self, seconds: float) -> None:
        """Count the seconds to the next validation from here."""
        self._since = seconds

    def estimate_times(self, model: DensityNetwork) -> None:
        """Estimate what validation takes, from a few examples."""
        few = _first(self._exact[0], _TIMED)
        each = 0.0
        for _ in range(2):  # the first one is slower
            begin = self._budget.clock()
            validate(model, [few], self._config.model.d_min)
            each = (self._budget.clock() - begin) / len(few)
        self._budget.validation = each * sum(map(len, (*self._exact, *self._imperfect)))
        self._budget.final_example = each * len(ORIENTATIONS) + self._making

    def validate(self, model: DensityNetwork, examples: int) -> ValidationResult:
        """Validate, with imperfect data as well for a network trained on such.

        Parameters
        ----------
        model
            The averaged network.
        examples
            Number of training examples so far.
        """
        d_min = self._config.model.d_min
        with self._budget.measured("validation"):
            begin = self._budget.clock()
            self.result = validate(model, self._exact, d_min)
            each = (self._budget.clock() - begin) / max(1, self.result.n)
            self.details = {"orientations": 1}
            if self._imperfect:
                self.details["pc_imperfect"] = validate(model, self._imperfect, d_min).pc
            self.details["after_examples"] = examples
        self._budget.final_example = each * len(ORIENTATIONS) + self._making
        return self.result

    def summary(self) -> str:
        """Format the figures of the last validation for the log."""
        result, imperfect = self.result, self.details.get("pc_imperfect")
        assert result is not None
        return (
            f"PC {result.pc:.4f} (better hand {result.pc_better_hand:.4f}), phase error "
            f"{result.phase_error:.2f}, F-weighted {result.weighted_phase_error:.2f}"
            + (f", imperfect data PC {imperfect:.4f}" if imperfect is not None else "")
        )

    def validate_finally(self, model: DensityNetwork, limited: bool, progress: Progress) -> bool:
        """Validate on `final_examples`, predicted as by `predict`, as far as the time allows.

        Parameters
        ----------
        model
            The averaged network.
        limited
            Keep to the time limit.
        progress
            For a message when there is not enough time.

        Returns
        -------
        bool
            False if there was no time for it at all.
        """
        wanted = self._config.final_examples
        n = self._budget.affordable_examples(wanted) if limited else wanted
        if n < wanted:
            progress.message(f"final validation: time for {n} of {wanted} examples")
        if n == 0:
            return False
        parts = max(1, min(_PARTS, n // _TIMED)) if limited else 1
        examples = self._while_time_lasts(n, parts, progress)
        self.result = validate(model, examples, self._config.model.d_min, averaged=True)
        self.details["orientations"] = len(ORIENTATIONS)
        return True

    def _while_time_lasts(self, n: int, parts: int, progress: Progress) -> Iterator[Batch]:
        """Give `n` examples part by part; end early if what follows takes longer than planned."""
        done = 0
        for part in range(parts):
            begin = self._budget.clock()
            batches = self._data.validation(n, part, parts)
            size = sum(map(len, batches))
            if size == 0:
                return
            if part and self._budget.affordable_examples(size) < size:
                progress.message(f"final validation: no time for more than {done} of {n} examples")
                return
            yield from batches
            done += size
            if parts > 1:  # a busy machine is slower than it was
                self._budget.final_example = (self._budget.clock() - begin) / size


def _first(batch: Batch, n: int) -> Batch:
    """Take the first examples of a batch."""
    taken: dict[str, Any] = {
        name: None if value is None else value[:n] for name, value in vars(batch).items()
    }
    return Batch(**taken)
