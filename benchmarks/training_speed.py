"""How fast a preset trains here, and how much of the device that is.

    python benchmarks/training_speed.py --preset dipeptide-large --data fifteen --device cuda

Prints the device's measured rate of matrix products (bfloat16 on a GPU, float32 on a CPU), then
examples/s of whole training steps, the floating-point operations in them (matrix products,
convolutions and attention, forward and backward; Fourier transforms are not counted), their share
of the measured rate, and what making the examples costs by itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from crysformer.data.store import FragmentStore
from crysformer.models.device import pick_device
from crysformer.report.hardware import machine
from crysformer.training.config import training_preset
from crysformer.training.estimates import starting_estimate
from crysformer.training.loop import Trainer

_WARM_UP = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", required=True)
    parser.add_argument("--data", required=True, help="folder of `crysformer dataset build`")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=1, help="on a CPU")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = pick_device(args.device)
    config = training_preset(args.preset)
    config = dataclasses.replace(
        config,
        batch_size=args.batch_size or config.batch_size,
        compile=args.compile,
        bf16=config.bf16 and device.type == "cuda",
        validation_examples=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, FragmentStore.open(args.data), Path(folder), None, device)
        print(machine())
        report(trainer, args.seconds)


def report(trainer: Trainer, seconds: float) -> None:
    """Measure, and print a line each."""
    device, config = trainer.device, trainer.config
    dtype = torch.bfloat16 if config.bf16 else torch.float32
    peak = matrix_rate(device, dtype, seconds / 4)
    print(f"matrix products, {str(dtype).removeprefix('torch.')}: {peak / 1e12:.3g} TFLOP/s")

    batches = iter(trainer.stream)

    def prepare() -> None:
        batch = trainer.data.measured(next(batches), trainer.random)
        if config.model.recycling:
            starting_estimate(trainer.model, batch, config, trainer.random)

    def examples() -> None:
        next(batches)

    def step() -> None:
        trainer._train_step(batches)

    size = config.batch_size * config.accumulate
    for _ in range(_WARM_UP):
        step()
    with FlopCounterMode(display=False) as counter:
        step()
    operations = counter.get_total_flops()
    step_time = seconds_each(step, seconds, device)
    made = seconds_each(examples, seconds / 4, device) * config.accumulate
    prepared = seconds_each(prepare, seconds / 4, device) * config.accumulate
    print(f"{config.name}, batches of {config.batch_size}: {size / step_time:.4g} examples/s")
    print(
        f"{operations / size / 1e9:.3g} GFLOP an example, {operations / step_time / 1e12:.3g} "
        f"TFLOP/s: {100 * operations / step_time / peak:.0f} % of the matrix products' rate"
    )
    print(
        f"of a step, synthesis takes {100 * made / step_time:.0f} %, and with imperfections and "
        f"estimates {100 * prepared / step_time:.0f} %"
    )


def matrix_rate(device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    """Operations a second of large square matrix products."""
    n = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 / seconds_each(lambda: a @ b, seconds, device)


def seconds_each(work: Callable[[], object], seconds: float, device: torch.device) -> float:
    """Mean time of a repeated piece of work."""

    def synchronised() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    work()
    begin, n = synchronised(), 0
    while (now := synchronised()) - begin < seconds or n == 0:
        work()
        n += 1
    return (now - begin) / n


if __name__ == "__main__":
    main()
