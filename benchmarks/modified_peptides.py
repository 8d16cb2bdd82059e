"""Solve simulated crystals of rings, N-methylated and other modified peptides.

    python benchmarks/modified_peptides.py [SEQUENCE ...] [--method NAME] [--d-min A]
        [--space-group HM] [--crystals N] [--seeds N] [--time-limit S]

A random conformation of each sequence in standard geometry, without hydrogens, is packed in its
space group (`crysformer.data.synthetic.molecular_packing`) and measured with the errors of
`small_molecule_crystal`, B 6 to 14 A^2, no solvent. Solved: F^2-weighted mean cosine of the phase
error at least 0.85 after alignment of origin and hand. Prints a row of a Markdown table for each
run; all seconds are of the processor, with one thread.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.data.synthetic.small_molecule_crystal import small_molecule_crystal
from crysformer.data.synthetic.small_molecules import SmallMolecule
from crysformer.peptide.cis_bonds import cis_bonds, geometry_with_cis
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.restraints import Restraints, restraints_of
from crysformer.phasing.sequence_search.random_poses import random_poses
from crysformer.phasing.solver import solve

SEQUENCES = ("cyclo-(L(MLE)FGPA)", "A(MVA)(AIB)F(MLE)G", "G(NLE)(HYP)(ORN)(D-Ala)W")
HEAD = (
    "| sequence | crystal | atoms | seed | method | solved | claimed | confidence | phase error "
    "| CPU s |\n|---|---:|---:|---:|---|---|---|---:|---:|---:|"
)
_DRAWN, _STEPS, _STEP = 64, 600, 0.02  # conformations, and gradient steps of size A
_NEAREST = 3.3  # A, least distance of atoms more than three bonds apart
_OVERLAP = 0.1  # A, expected error of that distance
_RESTRAINED = 2.0  # chi-squared of a restraint that is fulfilled, on average


def random_peptide(sequence: str, rng: np.random.Generator) -> SmallMolecule:
    """One peptide without hydrogens in standard geometry, its conformation at random.

    Of 64 conformations from Ramachandran regions and rotamers, closed to a ring where the
    sequence is one, the one is returned that fits restraints and least distances best.

    Parameters
    ----------
    sequence
        In the notation of `crysformer.peptide.chain.parse_chain`.
    rng
        Source of the torsions.

    Raises
    ------
    RuntimeError
        If none of the conformations has sensible geometry.
    """
    peptides = build_peptides([sequence])
    kinematics = Kinematics(peptides)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    pose = random_poses(peptides, _DRAWN, torch.eye(3), generator)
    xyz = kinematics.coordinates(pose)[0]
    best, least = xyz[0], float("inf")
    patterns, group = cis_bonds(peptides, xyz).unique(dim=0, return_inverse=True)
    for g, pattern in enumerate(patterns):
        restraints = restraints_of(kinematics, geometry_with_cis(kinematics, pattern))
        relaxed, strain = _relaxed(restraints, xyz[group == g])
        if float(strain.min()) < least:
            best, least = relaxed[int(strain.argmin())], float(strain.min())
    if least > _RESTRAINED:
        raise RuntimeError(f"{sequence}: no conformation of sensible geometry was found")
    coordinates = best.double().numpy()
    bonds = np.array([*peptides.bonds, *peptides.ring_bonds], dtype=np.int64)
    return SmallMolecule(peptides.number, coordinates - coordinates.mean(0), bonds)


def _relaxed(restraints: Restraints, xyz: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (B, n, 3) after descent, and chi-squared for each restraint, (B,)."""
    n = xyz.shape[1]
    steps = torch.eye(n, dtype=torch.bool)
    linked = torch.eye(n)
    linked[restraints.bonds[:, 0], restraints.bonds[:, 1]] = 1
    linked = linked + linked.T
    for _ in range(3):
        steps = steps | ((steps.float() @ linked) > 0)
    first, second = (~steps).triu(1).nonzero().T
    x = xyz.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=_STEP)

    def cost() -> Tensor:
        near = _NEAREST - torch.linalg.vector_norm(x[:, first] - x[:, second], dim=2)
        return restraints.chi_squared(x) + ((near.clamp(min=0) / _OVERLAP) ** 2).sum(1)

    for _ in range(_STEPS):
        optimiser.zero_grad()
        cost().sum().backward()
        optimiser.step()
    with torch.no_grad():
        return x.detach(), cost() / (len(restraints.distance) + len(restraints.volume))


def row(sequence: str, number: int, seed: int, options: argparse.Namespace) -> str:
    molecule = random_peptide(sequence, np.random.default_rng(number))
    crystal = small_molecule_crystal(
        options.space_group,
        number,
        molecule=molecule,
        d_min=options.d_min,
        b_range=(6.0, 14.0),
    )
    data = crystal.data
    begun = time.process_time()
    found = solve(
        data,
        sequence=sequence,
        method=options.method,
        time_limit=options.time_limit,
        seed=seed,
    )
    seconds = time.process_time() - begun
    compared = compare_phases(
        data.hkl, data.f, found.phi, crystal.phi_true, data.cell, data.space_group
    )
    right = compared.cosine2_aligned >= SOLVED_COSINE
    return (
        f"| {sequence} | {number} | {molecule.n_heavy} | {seed} | {found.method} | {yes(right)} "
        f"| {yes(found.solved)} | {found.confidence:.3f} | {compared.mean_aligned:.1f} "
        f"| {seconds:.1f} |"
    )


def yes(flag: bool) -> str:
    return "yes" if flag else "no"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sequences", nargs="*", default=SEQUENCES)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--d-min", type=float, default=1.5)
    parser.add_argument("--space-group", default="P 21 21 21")
    parser.add_argument("--crystals", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--time-limit", type=float, default=60.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(HEAD, flush=True)
    for sequence in options.sequences:
        for number in range(options.crystals):
            for seed in range(options.seeds):
                print(row(sequence, number, seed, options), flush=True)


if __name__ == "__main__":
    main()
