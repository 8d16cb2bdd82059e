"""Train a network on crystals synthesised from a data set during training.

Leaves weights.safetensors with weights.json (usable by `predict --weights`), history.csv,
config.json and checkpoint.pt (for --resume) in the output folder. Weights of more than 16 MiB are
several files, weights-00001-of-00002.safetensors and so on, with the same name in commands.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from crysformer.cli._common import add_output_arguments, emit
from crysformer.errors import UsageError
from crysformer.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crysformer.training.config import TrainingConfig
    from crysformer.training.trackers import Tracker

#: Names of the presets, repeated here so that --help needs no torch.
PRESETS = (
    "dipeptide",
    "dipeptide-large",
    "dipeptide-robust",
    "dipeptide-small",
    "dipeptide-unet",
    "dipeptide-unet-ps",
    "fifteen",
    "fifteen-large",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--preset", choices=PRESETS, help="a known network and how to train it")
    what.add_argument(
        "--config", metavar="TOML", help="a file of settings, which may start from preset = NAME"
    )
    parser.add_argument("--data", metavar="DIR", help="folder made by `crysformer dataset build`")
    parser.add_argument(
        "--resume", action="store_true", help="continue from the checkpoint in the output folder"
    )
    parser.add_argument(
        "--start-from",
        metavar="NAME|FILE",
        help="weights of the same network to start from (default: random ones)",
    )
    parser.add_argument(
        "--refine",
        metavar="NAME|FILE",
        help="weights of a first run: train a second network that takes its predictions",
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="architecture instead of the preset's: crysformer, unet, or package.module:Class",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, such as model.width=384 (value as in TOML; repeatable)",
    )
    parser.add_argument(
        "--print-config",
        action="store_true",
        help="print all settings as TOML, and do nothing else",
    )
    parser.add_argument(
        "--max-time",
        type=seconds,
        metavar="HH:MM:SS",
        help="time from the start to the last file, summed over resumed runs; with "
        'schedule = "time" the learning rate schedule ends with it',
    )
    parser.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda|mps", help="compute device"
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)"
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="write curves for TensorBoard into the output"
    )
    parser.add_argument(
        "--wandb", metavar="PROJECT", help="send curves to a project at Weights & Biases"
    )
    add_output_arguments(parser, "weights, checkpoint and history", required=False)


def seconds(text: str) -> float:
    """Seconds from ``HH:MM:SS``, ``MM:SS`` or a number of seconds."""
    parts = text.split(":")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if not 1 <= len(values) <= 3 or any(v < 0 for v in values) or sum(values) == 0:
        raise argparse.ArgumentTypeError(f"expected HH:MM:SS such as 01:30:00, found {text!r}")
    total = 0.0
    for value in values:
        total = 60 * total + value
    return total


def run(args: argparse.Namespace) -> int:
    """Train until the budget is spent, or print the settings."""
    began = time.monotonic()
    from crysformer.training.config import to_dict, to_toml

    config = _config(args)
    if args.print_config:
        emit(args, to_dict(config), to_toml(config).rstrip("\n"))
        return 0
    missing = [f"--{name}" for name in ("data", "output") if getattr(args, name) is None]
    if missing:
        raise UsageError(f"missing {' and '.join(missing)} (see crysformer train --help)")
    import torch

    from crysformer.models.device import pick_device
    from crysformer.training.processes import is_first_process
    from crysformer.training.train import train

    if args.threads is not None:
        torch.set_num_threads(max(1, args.threads))
    result = train(
        config,
        args.data,
        args.output,
        resume=args.resume,
        overwrite=args.overwrite,
        max_time=args.max_time,
        device=pick_device(args.device),
        quiet=args.quiet,
        start_from=args.start_from,
        refine=args.refine,
        began=began,
        trackers=_trackers(args, config),
    )
    if not is_first_process():
        return 0
    verdict = (
        f"validation PC {result.pc:.4f}, mean phase error {result.phase_error:.1f} degrees, "
        f"F-weighted {result.weighted_phase_error:.1f} ({counted(result.n, 'crystal')}, maps as "
        "predicted)"
    )
    weights = f"{args.output}/weights.safetensors"
    emit(
        args,
        {
            "weights": weights,
            "pc": result.pc,
            "mean_phase_error": result.phase_error,
            "weighted_phase_error": result.weighted_phase_error,
            "n": result.n,
        },
        f"{verdict}\nwritten: {weights}",
        verdict=verdict,
    )
    return 0


def _trackers(args: argparse.Namespace, config: TrainingConfig) -> list[Callable[[Path], Tracker]]:
    from crysformer.training.config import to_dict
    from crysformer.training.trackers import TensorBoard, WeightsAndBiases, require

    made: list[Callable[[Path], Tracker]] = []
    if args.tensorboard:
        require("tensorboard")
        made.append(TensorBoard)
    if args.wandb is not None:
        require("wandb")
        made.append(lambda folder: WeightsAndBiases(args.wandb, folder, to_dict(config)))
    return made


def _config(args: argparse.Namespace) -> TrainingConfig:
    """Settings of the run: preset or file, then architecture, then single settings."""
    from crysformer.models.registry import register
    from crysformer.training.config import read_config, training_preset, with_architecture
    from crysformer.training.config_changes import with_changes

    if args.model is not None:
        register(args.model)  # before a file of settings may name it
    config = training_preset(args.preset) if args.preset else read_config(args.config)
    if args.model is not None:
        config = with_architecture(config, args.model)
    return with_changes(config, args.set)
