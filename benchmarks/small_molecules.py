"""Solve simulated crystals of small organic molecules, and find their space groups.

    python benchmarks/small_molecules.py solve|special|groups|controls [--first N] [--count N]
        [--time-limit S] [--seed N] [-o ROWS.tsv]

Molecules of 20 to 60 atoms without the hydrogens, at 0.8 A with 5 % amplitude error, B 1 to 4 A^2
(`crysformer.data.synthetic.small_molecule_crystal`), in P-1, P21/c, Pbca, P212121 and C2 by turns.
`crysformer.solve` gets amplitudes alone, no sequence.

solve
    The space group is stated as it is. Solved: F^2-weighted mean cosine of the phase error at
    least 0.85 after alignment of origin and hand.
special
    The molecules lie on an inversion centre, a mirror plane or a two-fold axis: a sulphur on it
    between two halves of 10 to 30 atoms. Sites: those of the asymmetric unit, and how many of them
    the atoms of the solution have within 0.3 A, the one on the element among them.
groups
    The stated group is P1 or a proper subgroup (P2 2 2 for P212121 and P2 for P21/c have the
    right rotations with the wrong screw axis), of molecules of 20 to 30 atoms. Found: the true
    group is the first of `Solution.space_groups`.
controls
    Amplitudes are drawn at random with Wilson statistics, acentric and centric, about the mean
    intensity at their resolution: there is nothing to solve.

Prints a row of a Markdown table for each crystal. All seconds are of the processor, with one
thread: the clock of the solver is replaced by that of the process, so that other work on the same
machine does not count.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.peak_picking import PeakPicker
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.resolution import resolution_shells
from crysformer.data.synthetic.small_molecule_crystal import (
    COMMON_GROUPS,
    SmallMoleculeCrystal,
    small_molecule_crystal,
)
from crysformer.data.synthetic.special_sites import Element
from crysformer.phasing.origin.permissible_origins import permissible_origins
from crysformer.phasing.solution import Solution
from crysformer.phasing.solver import solve

NEAR = 0.3  # A
TOO_LOW = (
    ("P -1", "P 1"),
    ("P 1 21/c 1", "P 1"),
    ("P 1 21/c 1", "P -1"),
    ("P 1 21/c 1", "P 1 2 1"),
    ("P b c a", "P 1"),
    ("P b c a", "P 21 21 21"),
    ("P 21 21 21", "P 1"),
    ("P 21 21 21", "P 2 2 2"),
    ("P 21 21 21", "P 1 21 1"),
    ("C 1 2 1", "P 1"),
)
"""True and stated space groups."""
SPECIAL: tuple[tuple[str, Element], ...] = (
    ("P -1", "inversion"),
    ("P 1 21/c 1", "inversion"),
    ("P n m a", "mirror"),
    ("C 1 2/c 1", "twofold"),
    ("C 1 2/m 1", "mirror"),
)
"""Space groups and symmetry elements of molecules on special positions."""
HEAD = {
    "solve": "| seed | space group | atoms | heaviest | solved | claimed | confidence | cosine "
    "| found first | method | CPU s |\n|---|---|---:|---|---|---|---:|---:|---|---|---:|",
    "special": "| seed | space group | on | sites | solved | claimed | cosine | R | found "
    "| of them right | sulphur on it | CPU s |\n"
    "|---|---|---|---:|---|---|---:|---:|---:|---:|---|---:|",
    "groups": "| seed | true | stated | atoms | found first | right | agreement | claimed "
    "| CPU s |\n|---|---|---|---:|---|---|---:|---|---:|",
    "controls": "| seed | space group | atoms | claimed | confidence | method | starts | CPU s |\n"
    "|---|---|---:|---|---:|---|---:|---:|",
}


@dataclass(frozen=True)
class Run:
    """A solution with the processor time that it took."""

    solution: Solution
    seconds: float


def solved(data: CrystalData, time_limit: float) -> Run:
    """Solve with the default method."""
    begun = time.process_time()
    solution = solve(data, time_limit=time_limit)
    return Run(solution, time.process_time() - begun)


def solve_row(number: int, seed: int, time_limit: float) -> str:
    group = COMMON_GROUPS[number % len(COMMON_GROUPS)]
    crystal = small_molecule_crystal(group, seed)
    data, run = crystal.data, solved(crystal.data, time_limit)
    found = run.solution
    compared = compare_phases(
        data.hkl, data.f, found.phi, crystal.phi_true, data.cell, data.space_group
    )
    right = compared.cosine2_aligned >= SOLVED_COSINE
    first = found.space_groups[0].name if found.space_groups else ""
    return (
        f"| {seed} | {crystal.space_group.xhm()} | {crystal.molecule.n_heavy} "
        f"| {heaviest(crystal)} | {yes(right)} | {yes(found.solved)} | {found.confidence:.3f} "
        f"| {compared.cosine2_aligned:.3f} | {first} | {found.method} | {run.seconds:.1f} |"
    )


def special_row(number: int, seed: int, time_limit: float) -> str:
    group, element = SPECIAL[number % len(SPECIAL)]
    crystal = small_molecule_crystal(group, seed, element=element)
    data, run = crystal.data, solved(crystal.data, time_limit)
    found = run.solution
    compared = compare_phases(
        data.hkl, data.f, found.phi, crystal.phi_true, data.cell, data.space_group
    )
    sites = [site for site in crystal.structure.sites if site.element.atomic_number > 1]
    atoms, right, on_it = found.atoms, 0, False
    if atoms is not None:
        frac = np.array([site.fract.tolist() for site in sites])
        picker = PeakPicker(data, (2, 2, 2), 1.1)
        mates = picker.mates(frac).reshape(-1, len(frac), 3)
        for shift in permissible_origins(data.space_group).shifts:  # origins are equivalent
            nearest = picker.distance(mates[:, :, None] + shift - atoms.frac).min(axis=0)
            if (near := int((nearest.min(axis=1) < NEAR).sum())) > right:
                right = near
                sulphur = next(i for i, site in enumerate(sites) if site.label == "S1")
                i = int(nearest[sulphur].argmin())
                on_it = bool(nearest[sulphur, i] < NEAR and atoms.site_order[i] > 1)
    solved_it = compared.cosine2_aligned >= SOLVED_COSINE
    r, n = ("", "") if atoms is None else (f"{atoms.r:.3f}", str(len(atoms)))
    return (
        f"| {seed} | {crystal.space_group.xhm()} | {element} | {len(sites)} | {yes(solved_it)} "
        f"| {yes(found.solved)} | {compared.cosine2_aligned:.3f} | {r} | {n} | {right} "
        f"| {yes(on_it)} | {run.seconds:.1f} |"
    )


def groups_row(number: int, seed: int, time_limit: float) -> str:
    true, stated = TOO_LOW[number % len(TOO_LOW)]
    n_atoms = int(np.random.default_rng(seed).integers(20, 31))
    crystal = small_molecule_crystal(true, seed, n_atoms=n_atoms, stated_group=stated)
    run = solved(crystal.data, time_limit)
    ranking = run.solution.space_groups
    first = ranking[0].name if ranking else ""
    right = first == crystal.space_group.xhm()
    agreement = f"{ranking[0].agreement:.2f}" if ranking else ""
    return (
        f"| {seed} | {crystal.space_group.xhm()} | {crystal.data.space_group.xhm()} | {n_atoms} "
        f"| {first} | {yes(right)} | {agreement} | {yes(run.solution.solved)} "
        f"| {run.seconds:.1f} |"
    )


def controls_row(number: int, seed: int, time_limit: float) -> str:
    group = COMMON_GROUPS[number % len(COMMON_GROUPS)]
    crystal = small_molecule_crystal(group, seed)
    run = solved(random_amplitudes(crystal.data, np.random.default_rng(seed)), time_limit)
    found = run.solution
    return (
        f"| {seed} | {crystal.space_group.xhm()} | {crystal.molecule.n_heavy} "
        f"| {yes(found.solved)} | {found.confidence:.3f} | {found.method} | {found.starts} "
        f"| {run.seconds:.1f} |"
    )


def random_amplitudes(data: CrystalData, rng: np.random.Generator) -> CrystalData:
    """Independent amplitudes with the mean intensities of a crystal in shells of resolution."""
    centric = np.asarray(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)
    n = len(data)
    normalised = np.where(centric, rng.standard_normal(n) ** 2, rng.exponential(size=n))
    expected = np.empty(n)
    for shell in resolution_shells(data.d**-2.0, per_shell=100, most=50):
        expected[shell] = np.mean(data.f[shell] ** 2)
    f = np.sqrt(expected * normalised)
    return replace(data, f=f, sigf=0.05 * np.maximum(f, 0.1 * np.sqrt(np.mean(f**2))))


def heaviest(crystal: SmallMoleculeCrystal) -> str:
    return {8: "O", 16: "S", 17: "Cl"}.get(int(crystal.molecule.number.max()), "N")


def yes(value: bool) -> str:
    return "yes" if value else "no"


ROWS = {"solve": solve_row, "special": special_row, "groups": groups_row, "controls": controls_row}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=list(ROWS))
    parser.add_argument("--first", type=int, default=0, help="number of the first crystal")
    parser.add_argument("--count", type=int, default=20, help="how many crystals")
    parser.add_argument("--time-limit", type=float, default=60.0, metavar="S")
    parser.add_argument("--seed", type=int, default=9000, help="seed of crystal 0")
    parser.add_argument("-o", "--output", type=Path, help="append the rows to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    time.monotonic = time.process_time
    if args.first == 0:
        print(HEAD[args.what])
    for number in range(args.first, args.first + args.count):
        row = ROWS[args.what](number, args.seed + number, args.time_limit)
        print(row, flush=True)
        if args.output is not None:
            with args.output.open("a", encoding="utf-8") as stream:
                stream.write(row + "\n")


if __name__ == "__main__":
    main()
