"""Complete state of a run, as checkpoints hold it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from crysformer.errors import InputError
from crysformer.training.config import from_dict, to_dict

if TYPE_CHECKING:
    from crysformer.training.loop import Trainer


def state_of(trainer: Trainer) -> dict[str, Any]:
    """Collect the state of a run in plain tensors and values."""
    learner = trainer.learner
    return {
        "config": json.dumps(to_dict(trainer.config)),
        "data": trainer.data_hash,
        "model": learner.model.state_dict(),
        "averaged": learner.averaged.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "stream": trainer.stream.state_dict(),
        "random": torch.get_rng_state(),
        "random_estimates": learner.random.get_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "step": learner.step,
        "examples": trainer.examples,
        "seconds": trainer.budget.seconds,
        "halvings": trainer.halvings,
        "returns": trainer.returns,
        "history": trainer.files.history,
    }


def restore(trainer: Trainer, state: dict[str, Any]) -> None:
    """Continue from the state of a checkpoint.

    Raises
    ------
    InputError
        If it belongs to another network or other data.
    """
    learner = trainer.learner
    saved = from_dict(json.loads(state["config"]), "checkpoint")
    if saved.model != trainer.config.model:
        raise InputError(f"{trainer.folder}: the checkpoint holds another network than configured")
    if state["data"] != trainer.data_hash:
        raise InputError(f"{trainer.folder}: the checkpoint was trained on other data")
    for _ in range(int(state.get("halvings", 0))):
        trainer.halve()
    learner.model.load_state_dict(state["model"])
    learner.averaged.load_state_dict(state["averaged"])
    learner.optimizer.load_state_dict(state["optimizer"])
    trainer.stream.load_state_dict(state["stream"])
    torch.set_rng_state(state["random"].cpu())
    estimates = state["random_estimates"].cpu()
    if estimates.shape == learner.random.get_state().shape:  # else of another kind of device
        learner.random.set_state(estimates)
    if state["random_cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([s.cpu() for s in state["random_cuda"]])
    learner.step = int(state["step"])
    trainer.examples = int(state["examples"])
    trainer.budget.resume(float(state["seconds"]))
    trainer.seconds = trainer.budget.seconds
    trainer.returns = int(state.get("returns", 0))
    trainer.files.history = [tuple(row) for row in state["history"]]
