"""Complete state of a run, as checkpoints hold it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from crysformer.errors import InputError, UsageError
from crysformer.schema import parse_json, record
from crysformer.training.checkpoint import CHECKPOINT
from crysformer.training.config import from_dict, to_dict
from crysformer.training.faults import all_finite, first_line
from crysformer.training.run_folder import COLUMNS

if TYPE_CHECKING:
    from crysformer.training.learner import Learner
    from crysformer.training.loop import Trainer


def random_state(learner: Learner) -> dict[str, Any]:
    """Collect the random states of this process."""
    return {
        "random": torch.get_rng_state(),
        "random_estimates": learner.random.get_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def state_of(trainer: Trainer, random: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Collect the state of a run in plain tensors and values.

    Parameters
    ----------
    trainer
        The run.
    random
        `random_state` of all processes, the first one's first; by default of this one alone.
    """
    random = random or [random_state(trainer.learner)]
    learner = trainer.learner
    return {
        "config": json.dumps(to_dict(trainer.config)),
        "data": trainer.data_hash,
        "model": learner.model.state_dict(),
        "averaged": learner.averaged.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "stream": trainer.stream.state_dict(),
        **random[0],
        "random_others": [dict(state) for state in random[1:]],
        "step": learner.step,
        "examples": trainer.examples,
        "seconds": trainer.budget.seconds,
        "halvings": trainer.halvings,
        "returns": trainer.last.returns,
        "history": trainer.files.history,
    }


def weights_info(trainer: Trainer) -> dict[str, Any]:
    """Collect what the weights' JSON says of the run, after a validation."""
    result, validator = trainer.validator.result, trainer.validator
    assert result is not None
    return {
        "preset": trainer.config.name,
        "data_sha256": trainer.data_hash,
        "domain": validator.domain(),
        **validator.wilson_scale(),
        "calibration": result.calibration,
        "metrics": {**result.metrics(), **validator.details},
        "training": {
            "examples": trainer.examples,
            "steps": trainer.learner.step,
            "epochs": round(trainer.epochs, 4),
            "seconds": round(trainer.budget.seconds),
            "device": str(trainer.device),
            "processes": trainer.processes.size,
            "config": to_dict(trainer.config),
        },
    }


@dataclass(frozen=True)
class _Counters:
    """Plain values of a checkpoint."""

    step: int
    examples: int
    seconds: float
    history: list[list[str]]
    halvings: int = 0
    returns: int = 0


def restore(trainer: Trainer, state: dict[str, Any]) -> None:
    """Continue from the state of a checkpoint.

    Raises
    ------
    InputError
        If it is damaged, or belongs to another network, other data or another kind of device.
    """
    learner, source = trainer.learner, f"{trainer.folder / CHECKPOINT}"
    try:
        saved = from_dict(parse_json(state["config"]), source)
        counters = _counters(state)
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise InputError(f"{source}: not a checkpoint of a training run ({error})") from error
    if saved.model != trainer.config.model:
        raise InputError(f"{trainer.folder}: the checkpoint holds another network than configured")
    if state.get("data") != trainer.data_hash:
        raise InputError(f"{trainer.folder}: the checkpoint was trained on other data")
    for _ in range(counters.halvings):
        trainer.halve()
    try:
        _restore_tensors(trainer, state)
    except InputError:
        raise
    except Exception as error:  # what torch's loading of other content raises is not documented
        raise InputError(f"{source}: does not fit this run ({first_line(error)})") from error
    learner.step, trainer.examples = counters.step, counters.examples
    trainer.budget.resume(counters.seconds)
    trainer.seconds = trainer.budget.seconds
    trainer.last.returns = counters.returns
    trainer.files.history = [tuple(row) for row in counters.history]


def _counters(state: dict[str, Any]) -> _Counters:
    names = {field.name for field in fields(_Counters)}
    found = record(_Counters, {name: state[name] for name in names & state.keys()})
    limits = {"step": 2**62, "examples": 2**62, "seconds": 1e12, "halvings": 32, "returns": 32}
    for name, most in limits.items():
        if not 0 <= getattr(found, name) <= most:
            raise ValueError(f"{name} is {getattr(found, name)}")
    for row in found.history:
        if len(row) == len(COLUMNS) - 1:
            row.append("")  # written before epochs were counted
        if len(row) != len(COLUMNS):
            raise ValueError("a line of the history has another length")
    return found


def _restore_tensors(trainer: Trainer, state: dict[str, Any]) -> None:
    learner = trainer.learner
    learner.model.load_state_dict(state["model"])
    learner.averaged.load_state_dict(state["averaged"])
    learner.optimizer.load_state_dict(state["optimizer"])
    if not (all_finite(learner.model) and all_finite(learner.averaged)):
        raise ValueError("weights that are no numbers")
    for parameter, moments in learner.optimizer.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            if moments[name].shape != parameter.shape or not moments[name].isfinite().all():
                raise ValueError(f"{name} of the optimiser")
    trainer.stream.load_state_dict(state["stream"])
    _restore_random(trainer, state)


def _restore_random(trainer: Trainer, state: dict[str, Any]) -> None:
    """Continue with the random numbers of this process.

    One that was not there when the checkpoint was written has begun numbers of its own already.
    """
    rank, others = trainer.processes.rank, state.get("random_others", [])
    if rank > len(others):
        return
    learner = trainer.learner
    if rank:
        state = others[rank - 1]
    torch.set_rng_state(state["random"].cpu())
    estimates = state["random_estimates"].cpu()
    if estimates.shape != learner.random.get_state().shape:
        raise InputError(
            f"{trainer.folder}: the checkpoint was written on another kind of device, whose random "
            "numbers differ; resume on that kind, or start anew from the weights with `start_from`"
        )
    learner.random.set_state(estimates)
    if state["random_cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([s.cpu() for s in state["random_cuda"]])
