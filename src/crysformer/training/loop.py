"""The training loop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import torch

from crysformer.data.examples.stream import Batch
from crysformer.data.store import FragmentStore
from crysformer.errors import InputError
from crysformer.models.density_network import n_parameters
from crysformer.signals import uninterrupted
from crysformer.training.checkpoint import CHECKPOINT
from crysformer.training.config import TrainingConfig
from crysformer.training.data import TrainingData
from crysformer.training.faults import all_finite, first_line, halved, is_short_of_memory
from crysformer.training.last_weights import LastWeights
from crysformer.training.learner import Learner
from crysformer.training.optimiser import learning_rate
from crysformer.training.processes import ALONE, Processes
from crysformer.training.progress import Progress
from crysformer.training.run_folder import HISTORY, RunFolder
from crysformer.training.run_state import random_state, state_of, weights_info
from crysformer.training.running_loss import RunningLoss
from crysformer.training.time_budget import TimeBudget
from crysformer.training.trackers import Curves
from crysformer.training.validation import ValidationResult
from crysformer.training.validator import Validator

__all__ = ["HISTORY", "Trainer"]

#: Bytes of a checkpoint for each parameter: weights, their average and two moments.
_CHECKPOINT_BYTES = 16


class Trainer:
    """Data, learner, counters and files of one run; see `train.train`."""

    def __init__(
        self, config: TrainingConfig, store: FragmentStore, folder: Path,
        max_time: float | None, device: torch.device, began: float | None = None,
        processor_time: bool = False, processes: Processes = ALONE,
    ) -> None:  # fmt: skip
        torch.manual_seed(config.seed)
        self.config = config
        self.folder = folder
        self.device = device
        self.processes = processes
        self.curves = Curves()
        self.budget = TimeBudget(max_time, config.write_every, began, processor_time)
        self.files = RunFolder(folder)
        self._store = store
        self.data_hash = store.fragments_hash
        self.halvings = 0
        self._open_data(config)
        self.validator = Validator(config, self.data, device, self.budget, processes)
        model = config.model
        if model.scaling == "constant":
            model = model.with_scales(store.scale("patterson"), store.scale("density"))
        self.learner = Learner(config, model, device, processes)
        self.last = LastWeights(self.learner)
        self.losses = RunningLoss(processes)
        self.examples = 0
        self.seconds = 0.0
        self._ends = math.inf
        self._write_due = False
        self._line_at = 0.0
        self._stepping = False
        self._mark()
        if not processes.is_first:  # the first weights are the same, later numbers are not
            torch.manual_seed(processes.own_seed(config.seed))

    def _open_data(self, config: TrainingConfig) -> None:
        self.data = TrainingData(config, self._store, self.device, self.processes)
        self.stream = self.data.stream()
        self.batches: Iterator[Batch] = iter(self.stream)

    @property
    def epochs(self) -> float:
        """Training examples so far, as a multiple of the fragments in the training split."""
        return self.examples / self.data.epoch

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
        self.validator.check_memory(self.learner.model, self.folder, progress)
        self._read_clock()
        self._line_at = self.seconds
        self._mark()
        begin = self.learner.step
        while not self._done() or not self._sound(progress):
            if self._done():
                break  # back to the last weights, and no time to go on from there
            if not self._step_or_adapt(progress):
                continue
            self._read_clock()
            # The first step is read at once: it shows whether the run works at all.
            if math.isnan(self.losses.latest) or self.losses.waiting >= self.config.log_every:
                with self.budget.measured("waiting"):
                    finite = self.losses.read()
                if not finite:
                    self._go_back(progress)
                    continue
                self.curves.add_training(
                    self.examples, self.losses.latest, self._learning_rate(), self.seconds
                )
            progress.update(self.examples, self.seconds, self.losses.latest)
            due = self.validator.due(self.examples, self.seconds)
            late = self.seconds - self._line_at >= self.config.history_seconds
            if late and not due and not self._done() and self._sound(progress):
                self._add_line(None)
            if (due or self._write_due) and not self._done() and self._sound(progress):
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
        if self.learner.step == 0:
            raise InputError(f"{self.folder}: {self.budget.too_short()}")
        return self._finish(progress, trained=self.learner.step > begin)

    def train_step(self) -> None:
        """Train on `accumulate` batches; the loss is not read."""
        batches = [next(self.batches) for _ in range(self.config.accumulate)]
        self.losses.add(self.learner.train(batches, self.data.measured, rate=self._learning_rate()))
        self.examples += sum(map(len, batches)) * self.processes.size

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
            reason = first_line(error)
            short = is_short_of_memory(
                error, str(self.folder), self.config.batch_size,
                self.learner.blocks.active, self.processes,
            )  # fmt: skip
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
        self.config = halved(self.config)
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
        """Return to the weights written last, with half the learning rate."""
        what = f"the loss is {self.losses.latest} after {self.examples} examples"
        self.examples = self.last.restore(str(self.folder), what)
        self.losses = RunningLoss(self.processes)
        self.validator.plan(self.examples)
        progress.warning(
            f"{what}: back to the weights after {self.examples} examples, with half the learning "
            "rate"
        )

    def _mark(self) -> None:
        """Remember this state as the one to go back to."""
        self.last.mark(self.examples)
        self.validator.plan(self.examples)

    def _learning_rate(self) -> float:
        ends = None if self.budget.limit is None else self._ends
        return 0.5**self.last.returns * learning_rate(
            self.config, self.examples, self.seconds, ends
        )

    def _read_clock(self) -> None:
        """Read the time, by which all processes decide alike."""
        ends = self.budget.training_ends(self.config.final_examples)
        now = (self.budget.seconds, math.inf if ends is None else ends, self.budget.write_due())
        self.seconds, self._ends, due = self.processes.agree(now)
        self._write_due = bool(due)

    def _done(self) -> bool:
        return self.seconds >= self._ends or self.examples >= self.config.examples

    def _record(self, progress: Progress) -> None:
        """Validate; write weights, checkpoint and a line of history."""
        result = None
        if self.processes.is_first:
            result = self.validator.validate(self.learner.averaged, self.examples)
            self.curves.add_validation(self.examples, result)
            progress.message(
                f"{self.examples} examples, epoch {self.epochs:.2f}, {self.seconds:.0f} s: "
                f"training loss {self.losses.mean():.4f}, validation {self.validator.summary()}"
            )
        self._add_line(result)
        self.validator.restart_interval(self.seconds)
        self._write()

    def _add_line(self, result: ValidationResult | None) -> None:
        """Add a line to the history, of a validation or between two."""
        if self.processes.is_first:
            self.files.add_to_history(
                self.learner.step, self.examples, self.epochs, self.seconds, self._learning_rate(),
                self.losses.mean(), result,
            )  # fmt: skip
        # Before a checkpoint, which a resumed run continues with a new mean.
        self.losses.restart()
        self._line_at = self.seconds

    def _write(self) -> None:
        """Write checkpoint and weights, with the figures of the last validation."""
        random = self.processes.collect(random_state(self.learner))
        if self.processes.is_first:
            if self.validator.result is None:  # weights are not usable without a calibration
                self.validator.validate(self.learner.averaged, self.examples)
            with self.budget.measured("writing"):
                self.files.write_checkpoint(state_of(self, random))
                self._write_weights()
        self._mark()
        self.budget.wrote()
        self._read_clock()

    def _keep(self) -> str:
        """Write the state of an interrupted run, if it is sound; say what is kept."""
        with uninterrupted():
            path, learner = self.folder / CHECKPOINT, self.learner
            broken = self._stepping or not (
                self.losses.read(together=False) and all_finite(learner.model)
            )
            if self.processes.is_first and not broken and learner.step > self.last.step:
                self.files.write_checkpoint(state_of(self))
                if self.validator.result is not None:
                    self._write_weights()
                self.last.written(self.examples)
        if not path.is_file():
            return "nothing is kept yet; start again with `overwrite`"
        return f"the state after {self.last.examples} examples is kept; pass `resume` to go on"

    def _finish(self, progress: Progress, trained: bool) -> ValidationResult:
        """Save the final figures: more examples, predicted as by `predict`."""
        validator, model = self.validator, self.learner.averaged
        if self.processes.is_first:
            if validator.details.get("after_examples") != self.examples:
                validator.validate(model, self.examples)
            validator.validate_finally(model, trained, progress)
            self._write_weights()
        result = self.processes.share(validator.result)
        assert isinstance(result, ValidationResult)
        return result

    def _write_weights(self) -> None:
        self.files.write_weights(self.learner.averaged, weights_info(self))
