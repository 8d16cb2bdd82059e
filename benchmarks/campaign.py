"""Train a preset on an accelerator with one command: find the batch size, profile, train, export.

    python benchmarks/campaign.py --preset dipeptide-large --data fifteen -o campaign --minutes 25

Batch sizes are tried for some seconds each and the fastest that fits is taken; the learning rate
follows the square root of the batch. If less than 30 % of the device's matrix rate is reached, a
profile of ten steps is written before the long run. The run is `crysformer train`: it leaves
weights.safetensors (half precision, a few tens of MB), weights.json, history.csv and config.json in
OUT/run, and goes on from OUT/run if it is started again with --resume.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from crysformer.data.store import FragmentStore
from crysformer.files import prepare_output_dir, write_json
from crysformer.models.device import pick_device
from crysformer.report.hardware import machine
from crysformer.training.config import TrainingConfig, from_dict, to_dict, training_preset
from crysformer.training.loop import Trainer
from crysformer.training.train import train
from training_speed import Speed, adapted, matrix_rate, measure

_ENOUGH = 0.3  # of the matrix products' rate


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="dipeptide-large")
    parser.add_argument("--data", required=True, help="folder of `crysformer dataset build`")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", help="default: 1/4 to 4 of the preset"
    )
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--start-from", help="weights of the same network")
    parser.add_argument("--resume", action="store_true", help="go on with OUT/run")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each batch size")
    args = parser.parse_args()
    device = pick_device(args.device)
    out = Path(args.output)
    print(machine(), flush=True)
    if args.resume:
        config = from_dict(json.loads((out / "run" / "config.json").read_text()))
    else:
        prepare_output_dir(out)
        config = choose(args, device, out)
    result = train(
        config, args.data, out / "run", resume=args.resume, max_time=60 * args.minutes,
        device=device, quiet=False, start_from=args.start_from,
    )  # fmt: skip
    print(
        f"validation PC {result.pc:.4f}, mean phase error {result.phase_error:.1f}, F-weighted "
        f"{result.weighted_phase_error:.1f} ({result.n} crystals)"
    )


def choose(args: argparse.Namespace, device: torch.device, out: Path) -> TrainingConfig:
    """The preset with the batch size that is fastest here; figures go to OUT/speed.json."""
    base = training_preset(args.preset)
    dtype = torch.bfloat16 if base.bf16 and device.type == "cuda" else torch.float32
    peak = matrix_rate(device, dtype, 2.0)
    print(f"matrix products: {peak / 1e12:.4g} TFLOP/s", flush=True)
    found: list[Speed] = []
    for size in args.batch_sizes or [int(base.batch_size * 4**k) or 1 for k in (-1, 0, 1)]:
        config = adapted(base, device, size, args.compile)
        try:
            found.append(measure(config, args.data, device, peak, args.seconds))
        except torch.cuda.OutOfMemoryError:
            print(f"batches of {size}: too large for the memory", flush=True)
            continue
        print(found[-1].text(), flush=True)
    best = max(found, key=lambda speed: speed.examples)
    write_json(out / "speed.json", [dataclasses.asdict(speed) for speed in found])
    config = adapted(base, device, best.batch_size, args.compile)
    if best.fraction < _ENOUGH:
        print(f"below {100 * _ENOUGH:.0f} %: {out / 'profile.txt'} tells where time goes")
        write_profile(config, args.data, device, out / "profile.txt")
    rate = base.learning_rate * math.sqrt(best.batch_size / base.batch_size)
    config = dataclasses.replace(config, learning_rate=rate)
    print(json.dumps(to_dict(config)), flush=True)
    return config


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
    main()
