"""Solve simulated crystals with the packing of deposited peptides, one to eight chains in P1.

    python benchmarks/packed.py --data FOLDER [--d-min A] [--only NAMES] [--method NAME]

FOLDER holds deposited chains with hydrogens and without B factors (NAME.pdb.gz). Each residue gets
a B of 8 to 25 A^2 at random; waters fill what room there is, hydrogen-bonded to the peptides or to
each other, with B of 20 to 35 A^2. The measurement is simulated as in `deposited.py`, which also
says how phases are scored: bulk solvent, an error of 8 % of each amplitude, 5 % not measured.
`crysformer.solve` gets the sequences and no number of waters. `--control shuffled` shuffles
amplitudes within shells of resolution, so that there is nothing to solve. Prints one row of a
Markdown table for each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.evaluation.deposited_models import read_model
from deposited import HEAD, Settings, line, simulate, water_chain

B_PEPTIDE, B_WATER = (8.0, 25.0), (20.0, 35.0)  # A^2
POLAR, APOLAR, BOND = 2.7, 3.4, 3.1  # A: shortest to N and O, to carbon; longest to one N or O
TRIES = 40_000  # random places for waters


def packed(path: Path, rng: np.random.Generator) -> gemmi.Structure:
    """Chains of a file in P1, with B factors and waters."""
    structure = read_model(path)
    structure.spacegroup_hm = "P 1"
    for chain in structure[0]:
        for residue in chain:
            b_iso = rng.uniform(*B_PEPTIDE)
            for atom in residue:
                atom.b_iso = b_iso
    places = water_positions(structure, rng)
    waters = water_chain(places, lambda: rng.uniform(*B_WATER))
    structure[0].add_chain(waters)
    structure.setup_cell_images()
    return structure


def water_positions(
    structure: gemmi.Structure, rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Places of waters (3,), A, one after the other at random."""
    cell = structure.cell
    sites = [site for site in structure[0].all() if not site.atom.is_hydrogen()]
    frac = [cell.fractionalize(site.atom.pos).tolist() for site in sites]
    polar = [site.atom.element.name in ("N", "O") for site in sites]
    orth = np.array(cell.orth.mat.tolist())
    found: list[NDArray[np.float64]] = []
    for place in rng.random((TRIES, 3)):
        difference = np.array(frac) - place
        distance = np.linalg.norm((difference - np.round(difference)) @ orth.T, axis=1)
        near = np.array(polar)
        if distance[near].min() < POLAR or distance[near].min() > BOND:
            continue
        if distance[~near].min() < APOLAR:
            continue
        frac.append(place.tolist())
        polar.append(True)
        found.append(orth @ place)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of deposited chains")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these, such as 2omq")
    parser.add_argument("--d-min", type=float, default=1.0, help="resolution, A (1.0)")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--time-limit", type=float, default=600.0, help="seconds for each (600)")
    parser.add_argument("--control", choices=("shuffled",), help="see the head")
    parser.add_argument("--seed", type=int, default=0, help="seed of crystals and search")
    args = parser.parse_args()
    settings = Settings(
        0.08, 0.05, args.d_min, args.method, args.time_limit, args.seed, args.control
    )
    print(HEAD)
    for path in sorted(args.data.glob("*.pdb.gz")):
        name = path.name.split(".")[0]
        if args.only is None or name in args.only:
            structure = packed(path, np.random.default_rng(args.seed))
            data = simulate(structure, name, settings)
            print(line(name, data, structure, settings), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
