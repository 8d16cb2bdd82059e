"""Training speed of a preset, and the fraction of the device's rate that it reaches.

    python benchmarks/training_speed.py --preset dipeptide-large --data fifteen --device cuda

Prints the device's measured rate of matrix products (bfloat16 on a GPU, float32 on a CPU), then
examples/s of whole training steps, the floating-point operations in them (matrix products,
convolutions and attention, forward and backward; Fourier transforms are not counted), their
fraction of the measured rate, and the cost of making the examples.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from crysformer.data.store import FragmentStore
from crysformer.models.device import pick_device
from crysformer.report.hardware import machine
from crysformer.training.config import TrainingConfig, training_preset
from crysformer.training.loop import Trainer

_WARM_UP = 3
_COUNTED = 8  # steps whose operations are counted: some have a pass more


@dataclass(frozen=True)
class Speed:
    """Result of `measure`.

    Attributes
    ----------
    batch_size
        Examples a forward pass.
    examples
        Examples/s of whole training steps.
    operations
        Floating-point operations an example.
    fraction
        Fraction of the measured rate of matrix products.
    synthesis, preparation
        Fraction of a step spent on making examples, alone and with imperfections and estimates.
    host
        Time that the host needs to launch a step on a GPU, us an example; None on a CPU.
    """

    batch_size: int
    examples: float
    operations: float
    fraction: float
    synthesis: float
    preparation: float
    host: float | None = None

    def text(self) -> str:
        """Text of three lines, or four for a GPU."""
        rate = self.operations * self.examples / 1e12
        return (
            f"batches of {self.batch_size}: {self.examples:.4g} examples/s\n"
            f"{self.operations / 1e9:.3g} GFLOP an example, {rate:.3g} TFLOP/s: "
            f"{100 * self.fraction:.0f} % of the matrix products' rate\n"
            f"of a step, synthesis takes {100 * self.synthesis:.0f} %, and with imperfections and "
            f"estimates {100 * self.preparation:.0f} %"
            + (f"\nthe host launches in {self.host:.3g} us an example" if self.host else "")
        )


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
    config = adapted(training_preset(args.preset), device, args.batch_size, args.compile)
    dtype = torch.bfloat16 if config.bf16 else torch.float32
    peak = matrix_rate(device, dtype, args.seconds / 4)
    print(machine())
    print(f"matrix products, {str(dtype).removeprefix('torch.')}: {peak / 1e12:.3g} TFLOP/s")
    print(f"{config.name}, {measure(config, args.data, device, peak, args.seconds).text()}")


def adapted(
    config: TrainingConfig, device: torch.device, batch_size: int | None, compiled: bool
) -> TrainingConfig:
    """Change the batch size of a preset, and use bfloat16 on GPUs only."""
    return dataclasses.replace(
        config,
        batch_size=batch_size or config.batch_size,
        compile=compiled,
        bf16=config.bf16 and device.type == "cuda",
    )


def measure(
    config: TrainingConfig, data: str, device: torch.device, peak: float, seconds: float
) -> Speed:
    """Time training steps and their parts.

    Parameters
    ----------
    config
        Network and training settings.
    data
        Folder of the data set.
    device
        Compute device.
    peak
        `matrix_rate` of the device.
    seconds
        Time for the steps; the parts take half as long.
    """
    with tempfile.TemporaryDirectory() as folder:
        short = dataclasses.replace(config, validation_examples=1)
        trainer = Trainer(short, FragmentStore.open(data), Path(folder), None, device)
        return _measure(trainer, peak, seconds)


def _measure(trainer: Trainer, peak: float, seconds: float) -> Speed:
    device, config, learner = trainer.device, trainer.config, trainer.learner
    batches, step = trainer.batches, trainer.train_step

    def prepare() -> None:
        learner.prepare(trainer.data.measured(next(batches), learner.random))

    size = config.batch_size * config.accumulate
    for _ in range(_WARM_UP):
        step()
    with FlopCounterMode(display=False) as counter:
        for _ in range(_COUNTED):
            step()
    operations = counter.get_total_flops() / (_COUNTED * size)
    step_time = seconds_each(step, seconds, device)
    made = seconds_each(lambda: next(batches), seconds / 4, device) * config.accumulate
    prepared = seconds_each(prepare, seconds / 4, device) * config.accumulate
    return Speed(
        batch_size=config.batch_size,
        examples=size / step_time,
        operations=operations,
        fraction=operations * size / step_time / peak,
        synthesis=made / step_time,
        preparation=prepared / step_time,
        host=1e6 * launch_time(step) / size if device.type == "cuda" else None,
    )


def launch_time(step: Callable[[], object], n: int = 3) -> float:
    """Seconds until the calls of a few steps return, on an idle GPU: more would fill its queue."""
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(n):
        step()
    seconds = (time.perf_counter() - begin) / n
    torch.cuda.synchronize()
    return seconds


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
