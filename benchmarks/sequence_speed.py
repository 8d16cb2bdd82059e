"""Speed of a pose step of the sequence search: compiled functions beside PyTorch.

    python benchmarks/sequence_speed.py DATA SEQUENCE [--poses 100] [--rounds 5]

A pose step is one step of one pose uphill: coordinates from torsions, structure factors, target,
gradient and Adam. Both ways take the same steps from the same random poses, in turns, on one
thread; processor seconds, median of the rounds. The time that compiled functions take to load, or
to compile where no earlier process has done so, is given apart.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch

from crysformer.crystal.io.read import read_crystal
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.phasing.problem import phasing_problem
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.compiled_target import CompiledTarget
from crysformer.phasing.sequence_search.population import Population
from crysformer.phasing.sequence_search.random_poses import random_poses
from crysformer.phasing.sequence_search.settings import SequenceSettings
from crysformer.phasing.sequence_search.torsion_ascent import Steps, refine_torsions

STEPS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("sequence")
    parser.add_argument("--poses", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    problem = phasing_problem(read_crystal(args.data), (args.sequence,))
    content = problem.content
    plain, quick = (
        Population(
            problem.data,
            content.sequences * content.copies,
            content.b_iso,
            torch.Generator().manual_seed(0),
            settings=SequenceSettings(compiled=compiled),
        )
        for compiled in (False, True)
    )
    k = plain.kinematics
    if not isinstance(quick.target, CompiledTarget):
        raise SystemExit("numba is not installed")
    pose = random_poses(k.peptides, args.poses, plain.cell, plain.generator)
    began = time.process_time()
    refine_torsions(k, quick.target, pose[:1], Steps(1))
    print(f"loaded or compiled in {time.process_time() - began:.1f} s")
    print(f"{len(k.peptides.number)} atoms, {len(k.peptides.torsions)} torsions")
    print("| d_min (Å) | reflections | PyTorch (µs) | compiled (µs) | ratio | scores differ by |")
    print("|---:|---:|---:|---:|---:|---:|")
    for d in sorted(plain.targets):
        pairs = []
        for _ in range(args.rounds):
            pairs.append([_microseconds(k, t, pose) for t in (plain.targets[d], quick.targets[d])])
        slow, fast = (statistics.median(x) for x in zip(*pairs, strict=True))
        apart = _difference(plain.targets[d], quick.targets[d], k.coordinates(pose)[0])
        print(
            f"| {max(d, problem.data.d_min):.2f} | {plain.targets[d].n_reflections} | {slow:.0f} "
            f"| {fast:.0f} | {slow / fast:.1f} | {apart:.0e} |"
        )


def _microseconds(k: Kinematics, target: AmplitudeTarget, pose: Pose) -> float:
    """Processor time of a pose step, microseconds."""
    began = time.process_time()
    refine_torsions(k, target, pose, Steps(STEPS))
    return (time.process_time() - began) / (STEPS * len(pose)) * 1e6


def _difference(one: AmplitudeTarget, other: AmplitudeTarget, xyz: torch.Tensor) -> float:
    """Largest difference between scores of the same poses."""
    scores = [target.evaluate(xyz, gradient=False).score for target in (one, other)]
    return float((scores[0] - scores[1]).abs().max())


if __name__ == "__main__":
    main()
