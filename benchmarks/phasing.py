"""Crystals solved per core-hour by this package's methods and by plain charge flipping.

The plain one is the textbook's loop (Oszlanyi & Suto, Acta Cryst. A60, 134, 2004) in numpy: flip
what lies below delta, put the measured amplitudes back, leave F(000) alone and reflections that
were not measured at zero, one random start after another. No one setting serves all crystals, so
each start draws its own: delta from 0.4 to 1.2 standard deviations of the density, amplitudes as
they are or with the Wilson B taken away. To its favour it needs no figure of merit: every 100
iterations it is told, free of charge, whether it has reached the solution, and stops; a start that
has not after 500 iterations gives way to the next. Ours have to find out by themselves; they are
given the sequence (how many atoms there are), as a user would. `solve` is all of them, `--method
auto`. All have the same crystals, time limit, and one thread.

Crystals are those of the benchmark grid: `crysformer benchmark regimes --list` lists them.

    python benchmarks/phasing.py --data DIR --output benchmarks/phasing.md
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.normalisation import sharpen, wilson_b
from crysformer.crystal.reflections import CrystalData
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.evaluation.methods import METHODS, Settings
from crysformer.evaluation.regimes.grid import GRID, select
from crysformer.evaluation.regimes.synthetic_crystals import grid_crystal
from crysformer.files import atomic_path
from crysformer.phasing.dual_space.charge_flipping import charge_flipping, random_phases
from crysformer.phasing.p1_grid import p1_grid
from crysformer.report.hardware import machine

DELTA = (0.4, 1.2)  # standard deviations of the density
ITERATIONS, ASK_EVERY = 500, 100
CONDITIONS = "2-tight,2-tight-err10,2-tight-comp80,2-tight-2.0A,8-tight,15-rich,15-rich-comp80"
OURS = ("charge-flipping", "raar", "solve")  # of `METHODS`
SPEED_STARTS, SPEED_ITERATIONS = 8, 100


def plain_start(
    shape: tuple[int, ...], hkl: np.ndarray, f: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Full grids of amplitudes and of the first density, from random phases."""
    amplitude = np.zeros(shape)
    amplitude[tuple(hkl.T)] = amplitude[tuple(-hkl.T)] = f
    phases = np.angle(np.fft.fftn(rng.standard_normal(shape)))  # those of a real map
    return amplitude, np.fft.ifftn(amplitude * np.exp(1j * phases)).real


def plain_iteration(
    amplitude: np.ndarray, measured: np.ndarray, rho: np.ndarray, delta: float
) -> np.ndarray:
    """One cycle of charge flipping, `delta` in standard deviations."""
    flipped = np.where(rho < delta * rho.std(), -rho, rho)
    transform = np.fft.fftn(flipped)
    back = np.where(measured, amplitude * np.exp(1j * np.angle(transform)), 0)
    back[0, 0, 0] = transform[0, 0, 0]
    return np.fft.ifftn(back).real


@dataclass
class Tally:
    """Results of one method."""

    solved: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def per_core_hour(self) -> float:
        """Crystals solved in an hour of one core."""
        return 3600 * sum(self.solved) / sum(self.seconds)

    def row(self, name: str) -> str:
        """A line of the table."""
        n = len(self.solved)
        return (
            f"| {name} | {n} | {sum(self.solved) / n:.0%} | {statistics.fmean(self.seconds):.1f} "
            f"| {self.per_core_hour():.0f} |"
        )


def cosine(crystal: SyntheticCrystal, phi: np.ndarray) -> float:
    data = crystal.data
    return compare_phases(
        data.hkl, data.f, phi, crystal.phi_true, data.cell, data.space_group
    ).cosine2_aligned


def solve_plainly(crystal: SyntheticCrystal, limit: float, seed: int) -> tuple[bool, float]:
    """Success of the plain loop, and its processor seconds without those of asking.

    The limit is in wall-clock seconds, as for this package's methods.
    """
    data, rng = crystal.data, np.random.default_rng(seed)
    shape = p1_grid(data).shape  # the grid of this package's methods
    hkl, f = data.hkl[data.measured], data.f[data.measured]
    sharp = sharpen(f, data.d[data.measured], max(wilson_b(data).b_iso, 0.0))
    seconds = wall = 0.0
    while True:
        begun, started = time.process_time(), time.perf_counter()
        delta, used = rng.uniform(*DELTA), sharp if rng.random() < 0.5 else f
        amplitude, rho = plain_start(shape, hkl, used, rng)
        measured = amplitude > 0
        for i in range(1, ITERATIONS + 1):
            rho = plain_iteration(amplitude, measured, rho, delta)
            if i % ASK_EVERY == 0:
                seconds += time.process_time() - begun
                wall += time.perf_counter() - started
                # F(h) = sum rho exp(+2 pi i h.x): the conjugate of numpy's transform
                phi = -np.degrees(np.angle(np.fft.fftn(rho)[tuple(data.hkl.T)]))
                if cosine(crystal, phi) >= SOLVED_COSINE:
                    return True, seconds
                if wall > limit:
                    return False, seconds
                begun, started = time.process_time(), time.perf_counter()


def solve_ours(name: str, crystal: SyntheticCrystal, limit: float, seed: int) -> tuple[bool, float]:
    """Success of one of this package's methods, and its processor seconds."""
    begun = time.process_time()
    found = METHODS[name](crystal.data, crystal.sequence, Settings(limit, seed, device="cpu"))
    seconds = time.process_time() - begun
    return cosine(crystal, found.phi) >= SOLVED_COSINE, seconds


def speed(data: CrystalData) -> tuple[float, float]:
    """Iterations a second of one start, plain and ours (of a batch), on the same grid."""
    grid, rng = p1_grid(data), np.random.default_rng(0)
    amplitude, rho = plain_start(grid.shape, data.hkl[data.measured], data.f[data.measured], rng)
    measured, n = amplitude > 0, SPEED_ITERATIONS
    rho = plain_iteration(amplitude, measured, rho, DELTA[1])
    begun = time.process_time()
    for _ in range(n):
        rho = plain_iteration(amplitude, measured, rho, DELTA[1])
    plain = n / (time.process_time() - begun)
    generator = torch.Generator().manual_seed(0)
    F = random_phases(grid, SPEED_STARTS, generator)
    fraction, sharpening = torch.full((SPEED_STARTS,), 0.2), torch.zeros(SPEED_STARTS)
    charge_flipping(grid, F, 10, fraction, sharpening)
    begun = time.process_time()
    charge_flipping(grid, F, n, fraction, sharpening)
    return plain, n * SPEED_STARTS / (time.process_time() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a data set of recipe fifteen")
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--conditions", default=CONDITIONS, help=f"patterns of names ({CONDITIONS})"
    )
    parser.add_argument("-n", type=int, default=3, help="crystals of each condition (3)")
    parser.add_argument("--time-limit", type=float, default=10.0, help="seconds each (10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="also write the report here (Markdown)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = FragmentStore.open(args.data).table(args.split)
    methods = {"plain": solve_plainly} | {m: functools.partial(solve_ours, m) for m in OURS}
    lines = [
        "# Solved per core-hour, beside a plain charge flipping",
        "",
        f"{time.strftime('%Y-%m-%d')}. {machine()}. One thread. {args.split} split, seed "
        f"{args.seed}, {args.time_limit:g} s for each crystal and method. Solved, and mean s:",
        "",
        f"| condition | n | {' | '.join(methods)} |",
        f"|---|---:|{'---:|' * len(methods)}",
    ]
    print(*lines, sep="\n", flush=True)
    total = {name: Tally() for name in methods}
    speeds = []
    for condition in select(GRID, args.conditions):
        tallies = {name: Tally() for name in methods}
        for number in range(args.n):
            crystal = grid_crystal(table, condition, number, args.seed)
            for name, solve in methods.items():
                solved, seconds = solve(crystal, args.time_limit, args.seed + number)
                for tally in (tallies[name], total[name]):
                    tally.solved.append(solved)
                    tally.seconds.append(seconds)
        speeds.append((condition.name, *speed(crystal.data)))
        shown = [
            f"{sum(t.solved) / len(t.solved):.0%}, {statistics.fmean(t.seconds):.1f}"
            for t in tallies.values()
        ]
        lines.append(f"| {condition.name} | {args.n} | {' | '.join(shown)} |")
        print(lines[-1], flush=True)
    plain = total["plain"].per_core_hour()
    more = ["", "| method | n | solved | seconds each | solved per core-hour | over plain |"]
    more += ["|---|---:|---:|---:|---:|---:|"]
    for name, tally in total.items():
        ratio = f"{tally.per_core_hour() / plain:.1f}" if plain else "-"
        more.append(f"{tally.row(name)} {ratio} |")
    more += ["", f"Iterations a second of one start, ours among a batch of {SPEED_STARTS}:", ""]
    more += ["| condition | plain | ours | ours over plain |", "|---|---:|---:|---:|"]
    more += [f"| {c} | {slow:.0f} | {fast:.0f} | {fast / slow:.1f} |" for c, slow, fast in speeds]
    more += [
        "",
        "Processor seconds (the limit is in wall-clock seconds). The plain loop is told by the",
        "truth when to stop, ours decide by themselves; see the script's head. Made by",
        "`python benchmarks/phasing.py`.",
    ]
    print(*more, sep="\n")
    lines += more
    report = "\n".join(lines) + "\n"
    if args.output:
        with atomic_path(args.output) as temporary:
            temporary.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
