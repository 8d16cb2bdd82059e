"""The training loop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from crysformer.data.examples.stream import Batch
from crysformer.data.store import FragmentStore
from crysformer.errors import CrysformerError
from crysformer.models.density_network import n_parameters
from crysformer.signals import uninterrupted
from crysformer.training.checkpoint import CHECKPOINT
from crysformer.training.config import TrainingConfig, to_dict
from crysformer.training.data import TrainingData
from crysformer.training.faults import Snapshot, all_finite, first_line, out_of_memory
from crysformer.training.learner import Learner
from crysformer.training.optimiser import learning_rate
from crysformer.training.progress import Progress
from crysformer.training.run_folder import HISTORY, RunFolder
from crysformer.training.run_state import state_of
from crysformer.training.running_loss import RunningLoss
from crysformer.training.time_budget import TimeBudget
from crysformer.training.validation import ValidationResult
from crysformer.training.validator import Validator

__all__ = ["HISTORY", "Trainer"]

#: Returns to the last weights written, when the loss is not finite, before the run is given up.
_MAX_RETURNS = 3
#: Bytes of a checkpoint for each parameter: weights, their average and two moments.
_CHECKPOINT_BYTES = 16


class Trainer:
    """Data, learner, counters and files of one run; see `train.train`."""

    def __init__(
        self, config: TrainingConfig, store: FragmentStore, folder: Path,
        max_time: float | None, device: torch.device, began: float | None = None,
        processor_time: bool = False,
    ) -> None:  # fmt: skip
        torch.manual_seed(config.seed)
        self.config = config
        self.folder = folder
        self.device = device
        self.budget = TimeBudget(max_time, config.write_every, began, processor_time)
        self.files = RunFolder(folder)
        self._store = store
        self.data_hash = store.fragments_hash
        self.halvings = 0
        self._open_data(config)
        self.validator = Validator(config, self.data, device, self.budget)
        model = config.model
        if model.scaling == "constant":
            model = model.with_scales(store.scale("patterson"), store.scale("density"))
        self.learner = Learner(config, model, device)
        self.losses = RunningLoss()
        self.examples = 0
        self.seconds = 0.0
        self._validated = 0.0
        self.returns = 0
        self._stepping = False
        self._mark()

    def _open_data(self, config: TrainingConfig) -> None:
        self.data = TrainingData(config, self._store, self.device)
        self.stream = self.data.stream()
        self.batches: Iterator[Batch] = iter(self.stream)

    def run(self, progress: Progress) -> ValidationResult:
        """Train until the budget is spent or Ctrl-C; validate, write checkpoints and history."""
        try:
            return self._run(progress)
        except KeyboardInterrupt as stop:
            raise type(stop)(f"{self.folder}: {self._keep()}") from stop

    def _run(self, progress: Progress) -> ValidationResult:
        if self.budget.limit is not None:
            self.budget.expect_bytes(_CHECKPOINT_BYTES * n_parameters(self.learner.model))
            self.validator.estimate_times(self.learner.averaged)
        self._mark()
        begin = self.learner.step
        while not self._done() or not self._sound(progress):
            if self._done():
                break  # back to the last weights, and no time to go on from there
            if not self._step_or_adapt(progress):
                continue
            self.seconds = self.budget.seconds
            # The first step is read at once: it shows whether the run works at all.
            if math.isnan(self.losses.latest) or self.losses.waiting >= self.config.log_every:
                with self.budget.measured("waiting"):
                    finite = self.losses.read()
                if not finite:
                    self._go_back(progress)
                    continue
            progress.update(self.examples, self.seconds, self.losses.latest)
            due = self._validation_due()
            if (due or self.budget.write_due()) and not self._done() and self._sound(progress):
                if due:
                    self._record(progress)
                else:
                    self._write()
                    progress.message(
                        f"{self.examples} examples, {self.seconds:.0f} s: training loss "
                        f"{self.losses.latest:.4f}, weights written"
                    )
        if self.losses:
            self._record(progress)
        return self._finish(progress, trained=self.learner.step > begin)

    def train_step(self) -> None:
        """Train on `accumulate` batches; the loss is not read."""
        accumulate, rate = self.config.accumulate, self._learning_rate()
        total: Tensor | None = None
        examples = 0
        for _ in range(accumulate):
            inputs = self.learner.prepare(
                self.data.measured(next(self.batches), self.learner.random)
            )
            loss = self.learner.backward(inputs, accumulate)
            total = loss if total is None else total + loss
            examples += len(inputs.batch)
        self.learner.update(rate)
        assert total is not None
        self.losses.add(total)
        self.examples += examples

    def _step_or_adapt(self, progress: Progress) -> bool:
        """Train one step; if it fails in a way that can be avoided, avoid it and return False."""
        # What is done about an error comes after its traceback, which keeps tensors alive.
        try:
            with uninterrupted():
                self._stepping = True
                self.train_step()
                self._stepping = False
            return True
        except Exception as error:
            short, reason = out_of_memory(error), first_line(error)
            if short and self.config.batch_size == 1:
                raise CrysformerError(
                    f"{self.folder}: not enough memory for a single example ({reason})"
                ) from error
            if not short and not self.learner.blocks.active:
                raise
        self.learner.forget_gradients()
        self._stepping = False
        if short:
            with uninterrupted():
                self.halve()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            progress.warning(
                f"out of memory: batches of {self.config.batch_size}, "
                f"{self.config.accumulate} in each step"
            )
        else:
            self.learner.blocks.give_up()
            progress.warning(f"not compiled ({reason}); running the network as it is")
        return False

    def halve(self) -> None:
        """Halve the batches, with more of them in each step."""
        c = self.config
        size = max(1, c.batch_size // 2)
        accumulate = math.ceil(c.batch_size * c.accumulate / size)
        self.config = dataclasses.replace(c, batch_size=size, accumulate=accumulate)
        self.halvings += 1
        # The stream begins anew: with the same seed it would repeat its first examples.
        self._open_data(
            dataclasses.replace(self.config, seed=self.config.seed + 1_000_003 * self.halvings)
        )

    def _sound(self, progress: Progress) -> bool:
        """Read the loss and check that it and the weights are finite; go back if not."""
        finite = self.losses.read() and all_finite(self.learner.averaged)
        if not finite:
            self._go_back(progress)
        return finite

    def _go_back(self, progress: Progress) -> None:
        """Return to the weights written last, with half the learning rate.

        Raises
        ------
        CrysformerError
            If that has not helped before.
        """
        what = f"the loss is {self.losses.latest} after {self.examples} examples"
        if self.returns == _MAX_RETURNS:
            raise CrysformerError(f"{self.folder}: {what}; resume with a lower learning_rate")
        with uninterrupted():
            self.returns += 1
            self._snapshot.restore()
            self.learner.step, self.examples = self._marked
        self.losses = RunningLoss()
        self._plan_validation()
        progress.warning(
            f"{what}: back to the weights after {self.examples} examples, with half the learning "
            "rate"
        )

    def _mark(self) -> None:
        """Remember this state as the one to go back to."""
        learner = self.learner
        self._snapshot = Snapshot(learner.model, learner.averaged, learner.optimizer)
        self._marked = learner.step, self.examples
        self._plan_validation()

    def _plan_validation(self) -> None:
        every = self.config.validate_every
        self._next_validation = (self.examples // every + 1) * every

    def _validation_due(self) -> bool:
        seconds = self.config.validate_seconds
        late = seconds is not None and self.budget.seconds - self._validated >= seconds
        return late or self.examples >= self._next_validation

    def _learning_rate(self) -> float:
        ends = self.budget.training_ends(self.config.final_examples)
        return 0.5**self.returns * learning_rate(self.config, self.examples, self.seconds, ends)

    def _done(self) -> bool:
        ends = self.budget.training_ends(self.config.final_examples)
        out_of_time = ends is not None and self.budget.seconds >= ends
        return out_of_time or self.examples >= self.config.examples

    def _record(self, progress: Progress) -> None:
        """Validate; write weights, checkpoint and a line of history."""
        result = self.validator.validate(self.learner.averaged, self.examples)
        self._validated = self.budget.seconds
        loss = self.losses.mean()
        self.files.add_to_history(
            self.learner.step, self.examples, self.seconds, self._learning_rate(), loss, result
        )
        # Before the checkpoint, which a resumed run continues with a new mean.
        self.losses.restart()
        self._write()
        imperfect = self.validator.details.get("pc_imperfect")
        progress.message(
            f"{self.examples} examples, {self.seconds:.0f} s: training loss {loss:.4f}, "
            f"validation PC {result.pc:.4f} (better hand {result.pc_better_hand:.4f}), phase error "
            f"{result.phase_error:.2f}, F-weighted {result.weighted_phase_error:.2f}"
            + (f", imperfect data PC {imperfect:.4f}" if imperfect is not None else "")
        )

    def _write(self) -> None:
        """Write checkpoint and weights, with the figures of the last validation."""
        if self.validator.result is None:  # weights are not usable without a calibration
            self.validator.validate(self.learner.averaged, self.examples)
        with self.budget.measured("writing"):
            self.files.write_checkpoint(state_of(self))
            self._write_weights()
            self._mark()
        self.budget.wrote()

    def _keep(self) -> str:
        """Write the state of an interrupted run, if it is sound; say what is kept."""
        with uninterrupted():
            path = self.folder / CHECKPOINT
            broken = self._stepping or not (self.losses.read() and all_finite(self.learner.model))
            if not broken and self.learner.step > self._marked[0]:
                self.files.write_checkpoint(state_of(self))
                if self.validator.result is not None:
                    self._write_weights()
                self._marked = self.learner.step, self.examples
        if not path.is_file():
            return "nothing is kept yet; start again with `overwrite`"
        return f"the state after {self._marked[1]} examples is kept; pass `resume` to go on"

    def _finish(self, progress: Progress, trained: bool) -> ValidationResult:
        """Save the final figures: more examples, predicted as by `predict`."""
        validator, model = self.validator, self.learner.averaged
        if validator.details.get("after_examples") != self.examples:
            validator.validate(model, self.examples)
        validator.validate_finally(model, trained, progress)
        self._write_weights()
        assert validator.result is not None
        return validator.result

    def _write_weights(self) -> None:
        result = self.validator.result
        assert result is not None
        self.files.write_weights(
            self.learner.averaged,
            {
                "preset": self.config.name,
                "data_sha256": self.data_hash,
                "domain": self.validator.domain(),
                "calibration": result.calibration,
                "metrics": {**result.metrics(), **self.validator.details},
                "training": {
                    "examples": self.examples,
                    "steps": self.learner.step,
                    "seconds": round(self.budget.seconds),
                    "device": str(self.device),
                    "config": to_dict(self.config),
                },
            },
        )
