"""Traces of chains in crystals as they are measured: with errors, solvent and incomplete data.

    python benchmarks/tracing_crystals.py measured --shared DIR --only NAMES --cut 1.5 \
        --error 10 45 random --output rows.tsv
    python benchmarks/tracing_crystals.py made --data DIR -n 20 --error 10 45 60 75 random \
        --output rows.tsv

Rows are those of `tracing.py`, with which they are fitted. The amplitudes are

- `measured`: the crystals of `measured_rows.py` (measured ones, and deposited packings with the
  simulated measurement described there), cut to a resolution, or
- `made`: 4 to 9 residues of a data set's fragments, packed into P1, P 21 or P 21 21 21 with a
  quarter of the cell for solvent. Ordered waters fill most of it, 2.7 A from all other atoms at
  least, with B of twice to four times those of the peptide (5 to 25 A^2); bulk solvent,
  errors of 3 to 10 %, 2 to 10 % of missing reflections and a resolution of 1.1 to 2.0 A follow.
  A trace has none of the waters.

Phases are those of the model, or of all that the crystal holds, with normal errors of a mean when
wrapped, or random. A trace is right by the same limit as there, each backbone atom being
compared with the nearest like atom of any chain or symmetry mate.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import tracing
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.data.store import FragmentStore, FragmentTable
from crysformer.data.synthetic.measurement_model import ErrorModel, measure
from crysformer.data.synthetic.molecular_packing import pack_molecule
from crysformer.data.synthetic.small_molecules import SmallMolecule
from crysformer.data.synthetic.subfragments import subfragments
from crysformer.peptide import residues
from deposited import structure_factors, water_chain
from measured_building import distances
from measured_rows import FAMILIES, entry_of

GROUPS = ("P 1", "P 1 21 1", "P 1 21 1", "P 21 21 21")
LENGTHS = (4, 5, 6, 7, 9)
SOLVENT = 1.1  # growth of the edges after packing
WATER_DISTANCE, FILLED = 2.7, 0.7  # A; fraction of the waters that fit
BACKBONE = ("N", "CA", "C", "O")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    measured = commands.add_parser("measured", help="measured crystals and deposited packings")
    measured.add_argument("--shared", type=Path, required=True)
    measured.add_argument("--only", nargs="+", required=True)
    measured.add_argument("--cut", type=float, default=0.0, help="resolution, A")
    measured.set_defaults(crystals=_measured)
    made = commands.add_parser("made", help="packed fragments")
    made.add_argument("--data", type=Path, required=True, help="a data set of fragments")
    made.add_argument("--split", default="train")
    made.add_argument("-n", type=int, default=20)
    made.add_argument("--skip", type=int, default=0)
    made.set_defaults(crystals=_made)
    for command in (measured, made):
        command.add_argument("--error", nargs="+", required=True, help='degrees, or "random"')
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--raw-only", action="store_true", help="no density modification")
        command.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    for name, split, sequences, data, phi, structure in arguments.crystals(arguments):
        for error in arguments.error:
            label = (split, f"{name}-{data.d_min:.2f}", error)
            known = {(r["split"], r["id"], r["error"]) for r in tracing._read([arguments.output])}
            if label in known:
                continue
            rng = np.random.default_rng((arguments.seed, *name.encode()))
            phases = np.radians(tracing.with_error(np.nan_to_num(phi), error, rng))
            F = np.asarray(np.nan_to_num(data.f) * np.exp(1j * phases), dtype=np.complex128)
            rows = tracing.traced(
                (arguments.command_name, *label), data, F, phi, sequences, structure,
                arguments.seed, raw_only=arguments.raw_only, compared=_compared,
            )  # fmt: skip
            tracing._append(arguments.output, rows)


Crystal = tuple[str, str, list[str], CrystalData, NDArray[np.float64], gemmi.Structure]


def _measured(arguments: argparse.Namespace) -> Iterator[Crystal]:
    arguments.command_name = "measured"
    for name in arguments.only:
        entry = entry_of(arguments.shared, name)
        assert entry.structure is not None, f"{name} has no model"
        kept = entry.data.d >= arguments.cut
        sequences = entry.sequences * entry.copies
        data = entry.data.select(kept)
        yield name, FAMILIES[name], sequences, data, entry.phi[kept], entry.structure


def _made(arguments: argparse.Namespace) -> Iterator[Crystal]:
    arguments.command_name = "made"
    store = FragmentStore.open(arguments.data)
    table = store.table(arguments.split)
    order = np.random.default_rng(0).permutation(len(table))
    for number in range(arguments.skip, arguments.skip + arguments.n):
        rng = np.random.default_rng((arguments.seed, number))
        length = int(rng.choice(LENGTHS))
        short = subfragments(table.take(order[number : number + 1]), length)
        yield _made_crystal(short, int(rng.integers(len(short))), arguments.split, rng)


def _made_crystal(
    table: FragmentTable, index: int, split: str, rng: np.random.Generator
) -> Crystal:
    molecule = table.molecule(index)
    centred = molecule.xyz - molecule.xyz.mean(0)
    group = gemmi.SpaceGroup(str(rng.choice(GROUPS)))
    small = SmallMolecule(molecule.number, centred, np.zeros((0, 2), dtype=np.int64))
    crystal = pack_molecule(small, group, rng)
    structure = _structure(molecule.sequence, crystal.cell, group, crystal.frac, rng)
    d_min = float(rng.uniform(1.1, 2.0))
    hkl = gemmi.make_miller_array(structure.cell, group, d_min).astype(np.int32)
    F = structure_factors(structure, hkl, d_min)
    errors = ErrorModel(float(rng.uniform(0.03, 0.1)), float(rng.uniform(0.9, 0.98)))
    f, sigf = measure(np.abs(F), hkl, structure.cell, errors, rng, group)
    data = CrystalData(structure.cell, group, hkl, f, sigf, source=molecule.id)
    phi = np.degrees(np.angle(F))
    return molecule.id, split, [molecule.sequence], data, phi, structure


def _structure(
    sequence: str,
    cell: gemmi.UnitCell,
    group: gemmi.SpaceGroup,
    frac: NDArray[np.float64],
    rng: np.random.Generator,
) -> gemmi.Structure:
    """The peptide in a cell with room for solvent, and waters."""
    structure = gemmi.Structure()
    a, b, c = (SOLVENT * edge for edge in (cell.a, cell.b, cell.c))
    structure.cell = gemmi.UnitCell(a, b, c, cell.alpha, cell.beta, cell.gamma)
    structure.spacegroup_hm = group.xhm()
    orth = np.array(structure.cell.orth.mat.tolist())
    old = np.array(cell.orth.mat.tolist())
    middle = frac.mean(0)
    xyz = (frac - middle) @ old.T + middle @ orth.T
    b_mean = float(rng.uniform(5, 25))
    chain = gemmi.Chain("A")
    row = 0
    for place, letter in enumerate(sequence, start=1):
        residue = gemmi.Residue()
        residue.name, residue.seqid = residues.NAME_OF[letter], gemmi.SeqId(str(place))
        residue.entity_type = gemmi.EntityType.Polymer
        for name in residues.ATOMS[residues.CODES.index(letter)]:
            beyond = 1.0 if name in BACKBONE else float(rng.uniform(1.0, 1.8))
            residue.add_atom(_atom(name, xyz[row], b_mean * beyond))
            row += 1
        chain.add_residue(residue)
    places = _waters(structure.cell, group, xyz, rng)
    waters = water_chain(places, lambda: b_mean * float(rng.uniform(2, 4)))
    model = gemmi.Model(1)
    model.add_chain(chain)
    if len(waters):
        model.add_chain(waters)
    structure.add_model(model)
    structure.setup_entities()
    structure.setup_cell_images()
    return structure


def _atom(name: str, position: NDArray[np.float64], b_iso: float) -> gemmi.Atom:
    atom = gemmi.Atom()
    atom.name, atom.element = name, gemmi.Element(name[0])
    atom.pos, atom.b_iso = gemmi.Position(*position), b_iso
    return atom


def _waters(
    cell: gemmi.UnitCell,
    group: gemmi.SpaceGroup,
    xyz: NDArray[np.float64],
    rng: np.random.Generator,
) -> list[NDArray[np.float64]]:
    """Random places that keep their distance from all atoms, waters and mates, A."""
    orth = np.array(cell.orth.mat.tolist())
    cells = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), -1).reshape(-1, 3)
    mates = list(operators(group, centred=True))

    def images(frac: NDArray[np.float64]) -> NDArray[np.float64]:
        all_mates = np.concatenate([frac @ r.T + t for r, t in mates])
        return np.asarray(((all_mates % 1)[:, None] + cells).reshape(-1, 3) @ orth.T)

    peptide = cKDTree(images(xyz @ np.linalg.inv(orth).T))
    tried = rng.random((4000, 3))
    far = peptide.query(tried @ orth.T)[0] >= WATER_DISTANCE
    found: list[NDArray[np.float64]] = []
    taken = np.zeros((0, 3))
    for frac in tried[far]:
        place, own = frac @ orth.T, images(frac[None])
        to_own = np.sort(np.linalg.norm(own - place, axis=1))[1]  # the first is the water itself
        to_others = np.linalg.norm(taken - place, axis=1).min(initial=np.inf)
        if min(to_own, to_others) >= WATER_DISTANCE:
            taken = np.concatenate((taken, own))
            found.append(place)
    return [place for place in found if rng.random() < FILLED]


def _compared(model: gemmi.Structure, truth: gemmi.Structure) -> tuple[float, float]:
    """RMSD of the backbone and of all atoms that both have, A."""
    names, away = distances(model, truth)
    backbone = np.isin(names, BACKBONE) & np.isfinite(away)
    rms = [np.sqrt((away[rows] ** 2).mean()) for rows in (backbone, np.isfinite(away))]
    return float(rms[0]), float(rms[1])


if __name__ == "__main__":
    main()
