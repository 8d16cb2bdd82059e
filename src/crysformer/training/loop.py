"""The training loop."""

from __future__ import annotations

import copy
import csv
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crysformer.data.examples.residue_densities import residue_templates
from crysformer.data.examples.stream import Batch
from crysformer.data.store import FragmentStore
from crysformer.errors import CrysformerError, InputError
from crysformer.files import atomic_path
from crysformer.models.crysformer import CrysFormer
from crysformer.models.orientations import ORIENTATIONS
from crysformer.models.weights import save_weights
from crysformer.training.checkpoint import CHECKPOINT, save_checkpoint
from crysformer.training.config import TrainingConfig, from_dict, to_dict
from crysformer.training.data import TrainingData
from crysformer.training.domain import trained_domain
from crysformer.training.losses import LOSSES
from crysformer.training.optimiser import learning_rate, make_optimizer
from crysformer.training.progress import Progress
from crysformer.training.recycling_inputs import starting_estimate
from crysformer.training.validation import ValidationResult, validate

HISTORY = "history.csv"
COLUMNS = (
    "step", "examples", "seconds", "learning_rate", "train_loss",
    "pc", "phase_error", "weighted_phase_error", "pc_better_hand",
)  # fmt: skip


class Trainer:
    """Network, optimiser, data and counters of one run; see `train.train`."""

    def __init__(
        self, config: TrainingConfig, store: FragmentStore, folder: Path,
        max_time: float | None, device: torch.device,
    ) -> None:  # fmt: skip
        torch.manual_seed(config.seed)
        self.config = config
        self.folder = folder
        self.max_time = max_time
        self.device = device
        self.data_hash = str(store.manifest.get("hashes", {}).get("fragments.parquet", ""))
        self.data = TrainingData(config, store, device)
        self.stream = self.data.stream()
        self.validation = self.data.validation(config.validation_examples)
        self.imperfect = self.data.all_measured(self.validation)
        if config.model.scaling == "constant":
            scales = store.manifest["scales"]
            config = dataclasses.replace(
                config,
                model=dataclasses.replace(
                    config.model,
                    patterson_scale=scales["patterson"]["scale"],
                    density_scale=scales["density"]["scale"],
                ),
            )
        self.model = CrysFormer(config.model, residue_templates()).to(device)
        self.model.checkpointing = config.checkpoint_layers
        self.averaged = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.network: Callable[..., Tensor] = (
            torch.compile(self.model) if config.compile else self.model
        )
        self.optimizer = make_optimizer(self.model, config)
        self.loss = LOSSES[config.loss]
        self.random = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.examples = 0
        self.seconds = 0.0
        self.history: list[tuple[str, ...]] = []

    def run(self, progress: Progress) -> ValidationResult:
        """Train until the budget is spent; validate, and write checkpoints and history."""
        config, batches = self.config, iter(self.stream)
        due = (self.examples // config.validate_every + 1) * config.validate_every
        recent: list[float] = []
        before = time.monotonic() - self.seconds
        while not self._done():
            recent.append(self._train_step(batches))
            self.seconds = time.monotonic() - before
            progress.update(self.examples, self.seconds, recent[-1])
            if self.examples >= due and not self._done():
                progress.message(self._record(recent))
                recent.clear()
                due += config.validate_every
        if recent:
            progress.message(self._record(recent))
        return self._finish()

    def _train_step(self, batches: Iterator[Batch]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        total = 0.0
        for _ in range(self.config.accumulate):
            batch = self.data.measured(next(batches), self.random)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bf16):
                estimate, blank = (
                    starting_estimate(self.model, batch, self.config, self.random)
                    if self.config.model.recycling
                    else (None, None)
                )
                predicted = self.network(
                    batch.patterson, batch.residues, batch.lengths, estimate, batch.measured
                )
            loss = self.loss(predicted.float(), batch.density, blank) / self.config.accumulate
            loss.backward()
            total += float(loss.detach())
            self.examples += len(batch)
        if not math.isfinite(total):
            raise CrysformerError(
                f"{self.folder}: the loss is {total} after {self.examples} examples; resume with "
                "a lower learning_rate"
            )
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self._average()
        return total

    @torch.no_grad()
    def _average(self) -> None:
        # The first weights are random: the average forgets them faster than later ones.
        decay = min(self.config.ema, self.step / (self.step + 10))
        torch._foreach_lerp_(
            list(self.averaged.parameters()), list(self.model.parameters()), 1 - decay
        )

    def _learning_rate(self) -> float:
        return learning_rate(self.config, self.examples, self.seconds, self.max_time)

    def _done(self) -> bool:
        out_of_time = self.max_time is not None and self.seconds >= self.max_time
        return out_of_time or self.examples >= self.config.examples

    def _record(self, recent: list[float]) -> str:
        """Validate the averaged weights; write weights, checkpoint and a line of history."""
        config = self.config
        result = validate(self.averaged, self.validation, config.model.d_min)
        how = {"orientations": 1, **self._imperfect_metrics()}
        train_loss = sum(recent) / len(recent)
        row = (
            self.step, self.examples, round(self.seconds, 1),
            f"{self._learning_rate():.3e}", f"{train_loss:.5f}",
            f"{result.pc:.5f}", f"{result.phase_error:.3f}", f"{result.weighted_phase_error:.3f}",
            f"{result.pc_better_hand:.5f}",
        )  # fmt: skip
        self.history.append(tuple(str(value) for value in row))
        with atomic_path(self.folder / HISTORY) as path, open(path, "w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *self.history])
        save_checkpoint(self.folder / CHECKPOINT, self.state())
        self._save(result, how)
        return (
            f"{self.examples} examples, {self.seconds:.0f} s: training loss {train_loss:.4f}, "
            f"validation PC {result.pc:.4f} (better hand {result.pc_better_hand:.4f}), phase error "
            f"{result.phase_error:.2f}, F-weighted {result.weighted_phase_error:.2f}"
            + (f", imperfect data PC {how['pc_imperfect']:.4f}" if self.imperfect else "")
        )

    def _imperfect_metrics(self) -> dict[str, float]:
        """PC of the same examples with imperfect data, for networks trained on such data."""
        if not self.imperfect:
            return {}
        pc = validate(self.averaged, self.imperfect, self.config.model.d_min).pc
        return {"pc_imperfect": pc}

    def _finish(self) -> ValidationResult:
        """Save the final figures: more examples, predicted as by `predict`."""
        config = self.config
        examples = self.data.validation(config.final_examples)
        result = validate(self.averaged, examples, config.model.d_min, averaged=True)
        self._save(result, {"orientations": len(ORIENTATIONS), **self._imperfect_metrics()})
        return result

    def _save(self, result: ValidationResult, how: dict[str, float]) -> None:
        save_weights(
            self.folder / "weights.safetensors",
            self.averaged,
            {
                "preset": self.config.name,
                "data_sha256": self.data_hash,
                "domain": trained_domain(
                    self.validation,
                    self.config.model.d_min,
                    self.config.measured if self.config.model.conditions else None,
                ),
                "calibration": result.calibration,
                "metrics": {**result.metrics(), **how},
                "training": {
                    "examples": self.examples,
                    "steps": self.step,
                    "seconds": round(self.seconds),
                    "device": str(self.device),
                    "config": to_dict(self.config),
                },
            },
        )

    def state(self) -> dict[str, Any]:
        """Complete state of the run, in plain tensors and values."""
        return {
            "config": json.dumps(to_dict(self.config)),
            "data": self.data_hash,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "stream": self.stream.state_dict(),
            "random": torch.get_rng_state(),
            "random_estimates": self.random.get_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "step": self.step,
            "examples": self.examples,
            "seconds": self.seconds,
            "history": self.history,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint.

        Raises
        ------
        InputError
            If it belongs to another network or other data.
        """
        saved = from_dict(json.loads(state["config"]), "checkpoint")
        if saved.model != self.config.model:
            raise InputError(f"{self.folder}: the checkpoint holds another network than configured")
        if state["data"] != self.data_hash:
            raise InputError(f"{self.folder}: the checkpoint was trained on other data")
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.stream.load_state_dict(state["stream"])
        torch.set_rng_state(state["random"].cpu())
        self.random.set_state(state["random_estimates"].cpu())
        if state["random_cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([s.cpu() for s in state["random_cuda"]])
        self.step = int(state["step"])
        self.examples = int(state["examples"])
        self.seconds = float(state["seconds"])
        self.history = [tuple(row) for row in state["history"]]
