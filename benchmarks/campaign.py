r"""Train on a GPU that is available for a limited time, with one command.

    python benchmarks/campaign.py --config campaign.toml --data fifteen -o campaign \
        --minutes 9 --batch-sizes 2048 --compile

The run is `crysformer train`: it leaves weights (half precision, in files of at most 16 MiB),
history.csv, config.json and checkpoint.pt in OUT/run, every two minutes as well as at the end, and
goes on from OUT/run if it is started again with --resume. Its messages go to OUT/log.txt too. The
minutes count from the start of this program to the last file.

A single batch size is used as given, and halved if it does not fit. Of several, each is tried for
some seconds and the fastest that fits is taken; if less than 30 % of the device's matrix rate is
reached, a profile of ten steps is written before the long run. The learning rate follows the square
root of the batch size. Without a GPU, --device cpu rehearses the same with a small network.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import math
import os
import sys
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from crysformer.data.store import FragmentStore
from crysformer.errors import CrysformerError
from crysformer.files import prepare_output_dir, write_json
from crysformer.models.device import pick_device
from crysformer.report.hardware import machine
from crysformer.training.config import (
    TrainingConfig,
    from_dict,
    read_config,
    to_dict,
    training_preset,
)
from crysformer.training.loop import Trainer
from crysformer.training.train import train
from training_speed import Speed, adapted, matrix_rate, measure

log = logging.getLogger("crysformer")

_ENOUGH = 0.3  # of the matrix products' rate
_LONGEST_START = 120.0  # s, from the start of the process to `main`


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--preset", help="a known network and how to train it")
    what.add_argument("--config", help="TOML file of settings, as for `crysformer train`")
    parser.add_argument("--data", required=True, help="folder of `crysformer dataset build`")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--minutes", type=float, default=9.0, help="from start to last file")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", help="default: that of the settings, as given"
    )
    parser.add_argument("--compile", action="store_true", help="compile the transformer blocks")
    parser.add_argument("--start-from", help="weights of the same network")
    parser.add_argument("--resume", action="store_true", help="go on with OUT/run")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each of the batch sizes")
    args = parser.parse_args()
    began = process_start()
    out = Path(args.output)
    device = pick_device(args.device)
    if not args.resume:
        prepare_output_dir(out)
    log_to(out / "log.txt")
    log.info("%s; %.1f s to start", machine(), time.monotonic() - began)
    try:
        if args.resume:
            config = from_dict(json.loads((out / "run" / "config.json").read_text()))
        else:
            config = choose(args, device, out)
        log.info("%s", json.dumps(to_dict(config)))
        result = train(
            config, args.data, out / "run", resume=args.resume, max_time=60 * args.minutes,
            device=device, quiet=False, start_from=args.start_from, began=began,
        )  # fmt: skip
    except CrysformerError as error:
        log.error("%s", error)
        return 1
    log.info(
        "validation PC %.4f (better hand %.4f), mean phase error %.1f, F-weighted %.1f "
        "(%d crystals); %.1f s in all",
        result.pc, result.pc_better_hand, result.phase_error, result.weighted_phase_error,
        result.n, time.monotonic() - began,
    )  # fmt: skip
    return 0


def process_start() -> float:
    """`time.monotonic` when this process began, or now where the system does not tell."""
    now = time.monotonic()
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, AttributeError, ValueError, IndexError):
        return now
    return now - age if 0 <= age <= _LONGEST_START else now


def log_to(path: Path) -> None:
    """Send messages to stderr and, line by line, to a file."""
    log.setLevel(logging.INFO)
    for handler in (logging.StreamHandler(sys.stderr), logging.FileHandler(path)):
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)


def choose(args: argparse.Namespace, device: torch.device, out: Path) -> TrainingConfig:
    """The settings with the batch size given, or with the fastest of several.

    Figures of several go to OUT/speed.json.
    """
    base = read_config(args.config) if args.config else training_preset(args.preset)
    sizes = args.batch_sizes or [base.batch_size]
    size = sizes[0] if len(sizes) == 1 else fastest(args, base, device, out)
    rate = base.learning_rate * math.sqrt(size / base.batch_size)
    return dataclasses.replace(adapted(base, device, size, args.compile), learning_rate=rate)


def fastest(args: argparse.Namespace, base: TrainingConfig, device: torch.device, out: Path) -> int:
    """The batch size with the most examples/s; the smallest if none fits."""
    dtype = torch.bfloat16 if base.bf16 and device.type == "cuda" else torch.float32
    peak = matrix_rate(device, dtype, 2.0)
    log.info("matrix products: %.4g TFLOP/s", peak / 1e12)
    found: list[Speed] = []
    for size in args.batch_sizes:
        config = adapted(base, device, size, args.compile)
        try:
            found.append(measure(config, args.data, device, peak, args.seconds))
        except torch.OutOfMemoryError:
            log.warning("batches of %d: too large for the memory", size)
            continue
        log.info("%s", found[-1].text())
    write_json(out / "speed.json", [dataclasses.asdict(speed) for speed in found])
    if not found:
        return min(args.batch_sizes)
    best = max(found, key=lambda speed: speed.examples)
    if best.fraction < _ENOUGH:
        log.info("below %.0f %%: profile in %s", 100 * _ENOUGH, out / "profile.txt")
        config = adapted(base, device, best.batch_size, args.compile)
        write_profile(config, args.data, device, out / "profile.txt")
    return best.batch_size


def write_profile(config: TrainingConfig, data: str, device: torch.device, path: Path) -> None:
    """A table of the operations of ten steps, the most expensive first."""
    short = dataclasses.replace(config, validation_examples=1)
    trainer = Trainer(short, FragmentStore.open(data), path.parent, None, device)
    trainer.train_step()
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as found:
        for _ in range(10):
            trainer.train_step()
    key = f"self_{device.type}_time_total"
    path.write_text(found.key_averages().table(sort_by=key, row_limit=40), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
