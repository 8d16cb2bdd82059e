"""Strands near their places, and elsewhere, completed by density modification.

    python benchmarks/strand_completion.py --shared DIR [--only NAMES] [--cut A] [--pieces N]

DIR is that of `measured_rows.py`, whose crystals are taken: 5AWL and 2OL9 as measured, the others
simulated to 1.2 A from their packing, or all cut to a resolution. A piece is the backbone of up to
six residues of one chain, poly-alanine, bent in the middle such that its shape is off by `--error`
(rms, A), then displaced by 0.3 A and 5 degrees; wrong pieces are turned and moved at random. Each
is refined flexibly and completed; the last columns are of the same piece without refinement.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.peptide.secondary_structure import Fragment
from crysformer.phasing.dual_space.starting_parameters import positive_fractions
from crysformer.phasing.fragments.completion import complete_structure, weighted_start
from crysformer.phasing.fragments.placement import PlacedFragment, structure_factors
from crysformer.phasing.fragments.rescoring import refine_poses
from crysformer.phasing.problem import PhasingProblem, phasing_problem
from measured_rows import Entry, entry_of

CRYSTALS = ("5awl", "2ol9", "4onk", "3pzz", "5e5v", "2omq", "4uby", "4w5y")
BACKBONE = {"N": 7, "CA": 6, "C": 6, "O": 8, "CB": 6}
RESIDUES, ROUNDS = 6, ((1, 60),)
SHIFT, ANGLE = 0.3, 5.0  # A, degrees
COLUMNS = (
    "crystal", "d_min (A)", "place", "fraction", "gain", "start (deg)", "end (deg)", "free",
    "CPU s", "end, not refined", "free",
)  # fmt: skip


def stretches(structure: gemmi.Structure) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Coordinates (n, 3), A, and atomic numbers of the first six residues of each chain."""
    found = []
    for chain in structure[0]:
        residues = [r for r in chain.first_conformer() if r.find_atom("CA", "*")][:RESIDUES]
        atoms = [
            (residue.find_atom(name, "*").pos.tolist(), number)
            for residue in residues
            for name, number in BACKBONE.items()
            if residue.find_atom(name, "*")
        ]
        if len(residues) >= RESIDUES - 1:
            found.append((np.array([a[0] for a in atoms]), np.array([a[1] for a in atoms])))
    return found


def bent(xyz: NDArray[np.float64], error: float, axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Second half turned about an axis through the middle, superposed: rms distance `error`, A."""
    middle = len(xyz) // 2

    def shape(angle: float) -> NDArray[np.float64]:
        turn = Rotation.from_rotvec(angle * axis).as_matrix()
        half = (xyz[middle:] - xyz[middle]) @ turn.T + xyz[middle]
        moved = np.concatenate((xyz[:middle], half))
        centred = moved - moved.mean(axis=0)
        back, _ = Rotation.align_vectors(xyz - xyz.mean(axis=0), centred)
        return np.asarray(back.apply(centred) + xyz.mean(axis=0))

    angle = brentq(lambda a: rms(shape(a), xyz) - error, 0.0, 1.5)
    return shape(angle)


def displaced(xyz: NDArray[np.float64], rotation: Rotation, shift: object) -> NDArray[np.float64]:
    """A piece turned about its centroid and moved."""
    centre = xyz.mean(axis=0)
    return np.asarray(rotation.apply(xyz - centre) + centre + shift)


def rms(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Rms distance of atoms, A."""
    return float(np.sqrt(((a - b) ** 2).sum(axis=1).mean()))


def unit(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random direction."""
    v = rng.standard_normal(3)
    return np.asarray(v / np.linalg.norm(v))


def completed(
    entry: Entry, problem: PhasingProblem, pose: PlacedFragment, fraction: float
) -> tuple[float, float, float]:
    """F-weighted phase errors of a pose and of what it becomes, degrees; free correlation."""
    data, b_iso = entry.data, problem.content.b_iso
    generator = torch.Generator().manual_seed(1)
    F = structure_factors(data, [pose], b_iso)[0]
    start = weighted_start(problem, data, F, fraction)
    positive = float(positive_fractions(problem, 8, generator).median())
    found, free = complete_structure(
        problem.grid, start[None], positive, b_iso, ROUNDS, generator, math.inf
    )
    errors = [
        compare_phases(
            data.hkl, data.f, np.rad2deg(np.angle(G)), entry.phi, data.cell, data.space_group
        ).weighted_aligned
        for G in (F, problem.average(found[0]))
    ]
    return errors[0], errors[1], float(free[0])


def print_rows(entry: Entry, error: float, n: int) -> None:
    """Lines of the table for one crystal."""
    assert entry.structure is not None
    data = entry.data
    problem = phasing_problem(data, entry.sequences, entry.copies)
    content, rng = problem.content, np.random.default_rng(0)
    whole = stretches(entry.structure)
    for right in (True, False):
        for i in range(n):
            xyz, number = whole[i % len(whole)]
            fraction = min(0.9, len(xyz) * problem.n_operators / (content.n_atoms or 1))
            piece = bent(xyz, error, unit(rng))
            turn, shift = Rotation.from_rotvec(math.radians(ANGLE) * unit(rng)), SHIFT * unit(rng)
            if not right:
                turn, shift = Rotation.random(random_state=i), data.orth @ rng.random(3)
            piece = displaced(piece, turn, shift)
            fragment = Fragment("strand", RESIDUES, number, piece - piece.mean(axis=0))
            rigid = PlacedFragment(fragment, torch.as_tensor(piece[None]).float(), 0.0)
            begun = time.process_time()
            (pose, *_), _ = refine_poses(data, [rigid], content.b_iso, fraction, 1)
            start, end, free = completed(entry, problem, pose, fraction)
            seconds = time.process_time() - begun
            _, unrefined, unrefined_free = completed(entry, problem, rigid, fraction)
            print(
                f"| {entry.name} | {data.d_min:.2f} | {'right' if right else 'wrong'} "
                f"| {fraction:.2f} | {pose.gain:.0f} | {start:.0f} | {end:.0f} | {free:.2f} "
                f"| {seconds:.1f} | {unrefined:.0f} | {unrefined_free:.2f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=CRYSTALS, metavar="NAME")
    parser.add_argument("--cut", type=float, default=0.0, help="resolution limit, A")
    parser.add_argument("--error", type=float, default=0.6, help="of the shape, rms, A (0.6)")
    parser.add_argument("--pieces", type=int, default=3, help="right ones, and wrong ones (3)")
    args = parser.parse_args()
    print(
        "| crystal | d_min (A) | place | fraction | gain | start (deg) | end (deg) | free", end=""
    )
    print(" | CPU s | end, not refined | free |")
    print("|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in args.only:
        entry = entry_of(args.shared, name)
        kept = entry.data.d >= args.cut
        entry = replace(entry, data=entry.data.select(kept), phi=entry.phi[kept])
        print_rows(entry, args.error, args.pieces)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
