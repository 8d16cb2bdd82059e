"""One row of a table: a network trained under a budget and tested, in a process of its own."""

from __future__ import annotations

import csv
import dataclasses
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from crysformer.data.examples.stream import fixed_batches
from crysformer.data.store import FragmentStore, Split
from crysformer.errors import CrysformerError
from crysformer.evaluation.experiments.cost import peak_memory, training_flop
from crysformer.evaluation.experiments.network_scores import (
    pc_of_cycles,
    score_network,
    with_wrong_residues,
)
from crysformer.evaluation.experiments.rows import Row
from crysformer.evaluation.runner import choose
from crysformer.files import write_json
from crysformer.models.density_network import n_parameters
from crysformer.models.refining import Refining
from crysformer.models.weights import load_weights
from crysformer.signals import end_processes, prepare_worker
from crysformer.training.checkpoint import CHECKPOINT
from crysformer.training.config import TrainingConfig, training_preset
from crysformer.training.config_changes import with_changes
from crysformer.training.run_folder import HISTORY, WEIGHTS
from crysformer.training.train import train
from crysformer.training.validation import select

RESULT = "row.json"

#: Validations in a run, and the fraction of its examples in the warm-up of the learning rate.
_VALIDATIONS, _WARMUP = 8, 0.1
#: Examples of warm-up for each minute, about a twentieth of what a CPU core trains on.
_WARMUP_A_MINUTE = 20
#: Steps of warm-up at least: with fewer, the first steps at the full rate throw CrysFormer off.
_WARMUP_STEPS = 10
#: Seconds that a process may take to end after its result.
_LAST_SECONDS = 30.0
#: Predictions of refining networks, each from the one before.
_CYCLES = 4


@dataclass(frozen=True)
class Budget:
    """What every row of a table gets: examples, or minutes from start to last file.

    Attributes
    ----------
    minutes, examples
        One of them.
    test_limit, split, seed
        Test crystals drawn at random from a split.
    validation_examples
        Examples of each validation during training; by default so many that validations take a
        small part of a short run, at most 64.
    device
        Of training and test.
    changes
        Settings of all rows that differ from their presets, as for `with_changes`.
    processor_time
        Minutes are of processor time, for a machine that does other work at the same time.
    """

    minutes: float | None = None
    examples: int | None = None
    test_limit: int = 64
    split: Split = "test"
    seed: int = 0
    validation_examples: int | None = None
    device: str = "cpu"
    changes: tuple[str, ...] = ()
    processor_time: bool = False


def row_config(row: Row, budget: Budget) -> TrainingConfig:
    """Training settings of a row: those of its preset, with one schedule that fits the budget.

    The learning rate runs through one cycle within the budget. Warm-up and accumulated batches of
    the paper are meant for millions of examples, and would leave a short run without steps.
    """
    config = with_changes(training_preset(row.preset), [*row.changes, *budget.changes])
    least = _WARMUP_STEPS * config.batch_size
    changes: dict[str, Any] = {
        "schedule": "examples" if budget.examples is not None else "time",
        "accumulate": 1,
        "validation_examples": _validation_examples(budget),
        "final_examples": _validation_examples(budget),
        "seed": budget.seed,
    }
    if budget.examples is not None:
        changes["examples"] = budget.examples
        changes["warmup"] = max(least, round(_WARMUP * budget.examples))
        changes["validate_every"] = max(1, budget.examples // _VALIDATIONS)
    else:
        assert budget.minutes is not None
        changes["examples"] = 10**12
        changes["warmup"] = max(least, min(400, round(_WARMUP_A_MINUTE * budget.minutes)))
        changes["validate_every"] = 10**12
        changes["validate_seconds"] = max(1.0, 60 * budget.minutes / _VALIDATIONS)
    return with_changes(dataclasses.replace(config, **changes), [*row.changes, *budget.changes])


def _validation_examples(budget: Budget) -> int:
    if budget.validation_examples is not None:
        return budget.validation_examples
    training = budget.examples / 32 if budget.examples is not None else 4 * (budget.minutes or 0)
    return min(64, max(4, round(training)))


def run_row(row: Row, rows: Path, data: Path, budget: Budget) -> None:
    """Train and test a row in a process of its own, so that its memory is its own.

    A run that was interrupted goes on from its checkpoint.

    Parameters
    ----------
    row
        The row.
    rows
        Folder of the rows' folders; those that it needs are complete.
    data
        Data set.
    budget
        The budget of the table.

    Raises
    ------
    CrysformerError
        If the process failed.
    """
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(row, rows, data, budget, send))
    process.start()
    send.close()
    try:
        problem: str | None = receive.recv()
    except EOFError:  # the process ended without a word
        process.join()
        problem = f"its process ended with status {process.exitcode}; the same command goes on"
    except KeyboardInterrupt:
        end_processes([process], _LAST_SECONDS)
        raise
    process.join(timeout=_LAST_SECONDS)
    end_processes([process], _LAST_SECONDS)
    if problem is not None:
        raise CrysformerError(f"{row.label}: {problem}")


def _work(row: Row, rows: Path, data: Path, budget: Budget, problem: Any) -> None:
    prepare_worker(_LAST_SECONDS)
    try:
        write_json(rows / row.name / RESULT, result_of(row, rows, data, budget))
        problem.send(None)
    except KeyboardInterrupt:  # training has written its state
        raise SystemExit(143) from None
    except CrysformerError as error:
        problem.send(str(error))


def result_of(row: Row, rows: Path, data: Path, budget: Budget) -> dict[str, Any]:
    """Train a row, unless it tests another's network, and return its line of the table."""
    folder = rows / row.name
    store = FragmentStore.open(data)
    began = time.process_time() if budget.processor_time else time.monotonic()
    if not row.tests:
        resume = (folder / CHECKPOINT).is_file()
        train(
            row_config(row, budget), data, folder,
            resume=resume, overwrite=not resume, device=budget.device,
            max_time=None if budget.minutes is None else 60 * budget.minutes,
            refine=rows / row.refines / WEIGHTS if row.refines else None,
            began=began, processor_time=budget.processor_time,
        )  # fmt: skip
    device = torch.device(budget.device)
    weights = load_weights(rows / (row.tests or row.name) / WEIGHTS, device)
    model, training = weights.model, weights.info["training"]
    config = model.config
    table = store.table(budget.split)
    chosen = choose(table, budget.test_limit, budget.seed, data)
    recipe = dataclasses.replace(store.recipe, sample_rate=config.sample_rate)
    batches = list(
        fixed_batches(
            select(table, chosen.tolist()), recipe, 8, device,
            d_min=config.d_min, multiple_of=config.patch,
        )
    )  # fmt: skip
    tested = with_wrong_residues(batches, budget.seed) if row.wrong_residues else batches
    result = {
        "name": row.name,
        "label": row.label,
        **score_network(model, tested, config.d_min).means(),
        "examples": training["examples"],
        "minutes": training["seconds"] / 60,
        "epochs": training["examples"] / len(store.table("train")),
        "examples_per_second": training["examples"] / max(1, training["seconds"]),
        "parameters": n_parameters(model),
        "peak_memory": peak_memory(device),
        "training_flop": training_flop(model, batches[0]),
        "threads": torch.get_num_threads(),
        "validation": _history(rows / (row.tests or row.name)),
    }
    if isinstance(model, Refining):
        result["pc_of_cycles"] = pc_of_cycles(model, tested, _CYCLES)
    return result


def _history(folder: Path) -> list[dict[str, float]]:
    """Validation PC against examples and minutes."""
    with open(folder / HISTORY, newline="") as file:
        return [
            {
                "examples": int(line["examples"]),
                "minutes": float(line["seconds"]) / 60,
                "pc": float(line["pc"]),
            }
            for line in csv.DictReader(file)
            if line["pc"]  # not one between validations
        ]
