"""A run that is interrupted keeps all it has done."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from crysformer.errors import InputError, UsageError
from crysformer.files import locked_folder
from crysformer.signals import Terminated, sigterm_as_exception
from crysformer.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from crysformer.training.config import TrainingConfig
from crysformer.training.learner import Learner
from crysformer.training.progress import Progress
from crysformer.training.train import train
from crysformer.training.validator import Validator

#: Where the signal comes: between steps, inside one, inside a validation.
PLACES = {"between": Progress.update, "inside": Learner.update, "validating": Validator.validate}


def averaged(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_checkpoint(folder / CHECKPOINT)["averaged"]
    return found


def interrupt(
    monkeypatch: pytest.MonkeyPatch, place: str, number: signal.Signals, call: int
) -> None:
    """Send a signal in one call of a function, before it does anything."""
    function, calls = PLACES[place], []
    owner = {"between": Progress, "inside": Learner, "validating": Validator}[place]

    def interrupted(*args: object, **options: object) -> object:
        calls.append(place)
        if len(calls) == call:
            signal.raise_signal(number)
        return function(*args, **options)  # type: ignore[operator]

    monkeypatch.setattr(owner, function.__name__, interrupted)


@pytest.fixture(scope="module")
def whole(
    tiny: TrainingConfig, dipeptides: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, torch.Tensor]:
    """Weights of the run without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    train(tiny, dipeptides, folder)
    return averaged(folder)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_as_an_unbroken_one(
    tiny: TrainingConfig,
    dipeptides: Path,
    tmp_path: Path,
    place: str,
    number: signal.Signals,
    whole: dict[str, torch.Tensor],
) -> None:
    broken = tmp_path / "broken"
    call = 1 if place == "validating" else int(np.random.default_rng(number).integers(2, 7))
    with pytest.MonkeyPatch.context() as patched:
        interrupt(patched, place, number, call)
        expected = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        with sigterm_as_exception(), pytest.raises(expected, match=r"kept; pass `resume`"):
            train(tiny, dipeptides, broken)
    assert 0 < load_checkpoint(broken / CHECKPOINT)["examples"] < tiny.examples
    assert not [path for path in broken.iterdir() if path.name.startswith(".")]
    train(tiny, dipeptides, broken, resume=True)
    for name, value in whole.items():
        assert torch.equal(value, averaged(broken)[name]), name


def test_a_step_cut_in_two_is_not_kept(
    tiny: TrainingConfig, dipeptides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second signal does not wait for the end of the step."""
    backward = Learner.backward

    def twice(*args: object) -> object:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return backward(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "backward", twice)
    with pytest.raises(KeyboardInterrupt, match="nothing is kept yet"):
        train(tiny, dipeptides, tmp_path / "run")
    assert not (tmp_path / "run" / CHECKPOINT).exists()


def test_two_runs_cannot_share_a_folder(
    tiny: TrainingConfig, dipeptides: Path, tmp_path: Path
) -> None:
    with (
        locked_folder(tmp_path / "run"),
        pytest.raises(UsageError, match="another process writes into this folder"),
    ):
        train(tiny, dipeptides, tmp_path / "run")


def test_a_checkpoint_of_another_kind_of_device_is_refused(
    tiny: TrainingConfig, dipeptides: Path, tmp_path: Path
) -> None:
    short = dataclasses.replace(tiny, examples=8)
    train(short, dipeptides, tmp_path)
    state = load_checkpoint(tmp_path / CHECKPOINT)
    state["random_estimates"] = state["random_estimates"][:16]  # as CUDA's are
    save_checkpoint(tmp_path / CHECKPOINT, state)
    with pytest.raises(InputError, match="another kind of device"):
        train(tiny, dipeptides, tmp_path, resume=True)
