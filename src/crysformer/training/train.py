"""Training run: from data set and configuration to weights in a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from crysformer.data.store import FragmentStore
from crysformer.errors import UsageError
from crysformer.files import locked_folder, write_json
from crysformer.models.density_network import NetworkConfig
from crysformer.models.refining import Refining, RefiningConfig, refining_config
from crysformer.models.weights import load_weights
from crysformer.training.checkpoint import CHECKPOINT, load_checkpoint
from crysformer.training.config import TrainingConfig, to_dict
from crysformer.training.data import check_fits
from crysformer.training.loop import Trainer
from crysformer.training.processes import Processes, joined_processes, local_device
from crysformer.training.progress import Progress
from crysformer.training.run_state import restore
from crysformer.training.trackers import Curves, Tracker
from crysformer.training.validation import ValidationResult
from crysformer.training.warm_start import starting_weights


def train(
    config: TrainingConfig,
    data: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    max_time: float | None = None,
    device: torch.device | str = "cpu",
    quiet: bool = True,
    start_from: str | Path | None = None,
    refine: str | Path | None = None,
    began: float | None = None,
    processor_time: bool = False,
    trackers: Sequence[Callable[[Path], Tracker]] = (),
) -> ValidationResult:
    """Train a network on synthetic crystals generated on the fly.

    The run ends after `config.examples`, or `max_time`, whichever comes first; it then leaves
    ``weights.safetensors`` with ``weights.json``, ``checkpoint.pt``, ``history.csv`` and
    ``config.json`` in `out`. Weights and checkpoint are also written every `config.write_every`
    seconds, so that a run that is killed loses little.

    Started by torchrun, the processes share every batch; see `training.processes`.

    The run goes on eagerly where the network cannot be compiled, halves its batches when memory is
    short, and returns to the last weights with half the learning rate when the loss is not finite.

    Parameters
    ----------
    config
        Network, optimiser, budget.
    data
        Folder made by `data.build`.
    out
        Output folder.
    resume
        Continue from the checkpoint in `out`; the network and the data must be the same.
    overwrite
        Start afresh in a folder that is not empty.
    max_time
        Time limit, s, over all resumed parts together, from the start to the last file: training
        ends as much earlier as validation and writing take.
    device
        Device of examples and network.
    quiet
        No progress bar.
    start_from
        Weights of the same network to start from (packaged name or file) instead of random ones;
        optimiser and learning rate begin anew.
    refine
        Weights of a first run (packaged name or file): train a second network of the same
        architecture that takes its predictions ("+R" of the paper, `models.refining`). The network
        in `config` is not used.
    began
        `time.monotonic` from which the time is counted; by default when this is called.
    processor_time
        Count processor time of this process instead, from its start or from `began` as given by
        `time.process_time`, so that runs beside other programs compare. For the CPU only.
    trackers
        Each makes a receiver of the run's curves when it is given the output folder
        (`training.trackers`).

    Raises
    ------
    InputError
        If the data set, the checkpoint or the weights do not fit.
    UsageError
        If both a checkpoint and weights are to be started from, the network to be refined takes an
        estimate already, or processor time is to limit a run on another device.
    CrysformerError
        If the loss is no longer finite, also with lower learning rates, or the memory is too small.
    """
    if processor_time and torch.device(device).type != "cpu":
        raise UsageError(f"`processor_time` limits runs on the CPU, not on {device}")
    if began is None:
        began = time.process_time() if processor_time else time.monotonic()
    if start_from is not None and (resume or refine is not None):
        other = "`refine` starts" if refine is not None else "`resume` goes on"
        raise UsageError(f"{other} from weights of its own; leave out `start_from`")
    first = None
    if refine is not None:
        first = load_weights(refine).model
        config = dataclasses.replace(config, model=_refining(first.config, refine))
    store = FragmentStore.open(data)
    check_fits(store, config)
    device = local_device(torch.device(device))
    with joined_processes(device) as processes:
        trainer = Trainer(
            config, store, Path(out), max_time, device, began, processor_time, processes
        )
        for model in (trainer.learner.model, trainer.learner.averaged):
            if start_from is not None:
                model.load_state_dict(starting_weights(start_from, model))
            if first is not None:
                assert isinstance(model, Refining)
                model.start_from(first.state_dict())
        with _folder(Path(out), overwrite, resume, processes) as folder:
            if resume:
                restore(trainer, load_checkpoint(folder / CHECKPOINT, device))
            if processes.is_first:
                write_json(folder / "config.json", to_dict(config))
                trainer.curves = Curves([make(folder) for make in trackers])
            with (
                contextlib.closing(trainer.curves),
                Progress(config.examples, max_time, quiet or not processes.is_first) as progress,
            ):
                return trainer.run(progress)


@contextlib.contextmanager
def _folder(path: Path, overwrite: bool, resume: bool, processes: Processes) -> Iterator[Path]:
    """Give the folder to the run: the first process holds it for all."""
    if not processes.is_first:
        processes.agree([0.0])
        yield path
        return
    with locked_folder(path, overwrite=overwrite, resume=resume) as folder:
        processes.agree([0.0])
        yield folder


def _refining(first: NetworkConfig, source: str | Path) -> RefiningConfig:
    """Settings of the network that refines the predictions of `first`."""
    try:
        return refining_config(first)
    except ValueError as error:
        raise UsageError(
            f"{source}: {error}; its own recycling is trained by the setting recycled"
        ) from error
