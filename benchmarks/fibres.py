"""Solve simulated crystals of stacked strands, like those of amyloid peptides.

    python benchmarks/fibres.py --data DIR [-n 8] [--chains 2] [--time-limit S] [-o FOLDER]

DIR is a data set of the recipe fifteen. Stretches of 5 to 8 extended residues of its validation
split (another chain for each crystal) are laid across a cell edge of 4.8 or 9.6 A with their
carbonyls along it, and packed in one of the space groups such crystals are found in: orientation,
place and the other edges climb down overlaps and volume from a few random starts, and the densest
is taken. With `--chains 2` an asymmetric unit holds two of the same strand, each in a place and
direction of its own. Side chains have the conformations of the protein they come from, which do not
interlock, so that these cells hold more solvent than real ones, and some atoms overlap. B is 8 to
18 A^2; bulk solvent, errors (8 %) and missing reflections (5 %) as in `deposited.py`, which also
says how they are scored; `--radiation electron --wedge --error 0.2 --missing 0.2 --d-min 1.1` makes
microED of them. Prints one row of a Markdown table for each.
"""

from __future__ import annotations

import argparse
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.data.molecule import Molecule
from crysformer.data.store import FragmentStore, FragmentTable
from crysformer.peptide.rotations import rotate
from deposited import HEAD, Settings, line, simulate

# Space group, which edge the strands stack along, and its length (A).
KINDS = (
    ("P 1 21 1", 1, 4.8),
    ("P 1", 0, 4.8),
    ("P 21 21 21", 0, 9.6),
    ("C 1 2 1", 1, 4.8),
    ("P 21 21 2", 2, 4.8),
    ("P 1 21 1", 0, 4.8),
    ("P 21 21 21", 0, 4.8),
    ("P 1 21 1", 1, 9.6),
)
LENGTHS = (6, 7, 5, 8)
D_MIN = (1.5, 1.8)  # A
STARTS, STEPS = 4, 140
VOLUME = 18.0  # A^3 for each atom, to begin with
PRESSURE = (0.15, 0.02)  # A^2 for each A^3 an atom, and chain; the second when places are settled
SETTLED = 0.75
RADII = (1.68, 1.35)  # A, half the shortest contacts of carbon, and of N and O
REACH = 28.0  # A between centres beyond which strands do not touch
CLASH = 40.0  # A^3 for each atom that a squared overlap of 1 A^2 an atom is worth


@dataclass(frozen=True, eq=False)
class Packed:
    """Strands in a cell.

    Attributes
    ----------
    xyz
        Atoms of the chains in the asymmetric unit, shape (chains, n, 3), A.
    """

    cell: gemmi.UnitCell
    xyz: NDArray[np.float64]
    volume: float  # A^3 for each atom
    clash: float  # squared overlaps, A^2 for each atom

    @property
    def cost(self) -> float:
        """Quantity that the choice among starts minimises."""
        return self.volume + CLASH * self.clash


def stretches(table: FragmentTable, rng: np.random.Generator) -> list[Molecule]:
    """Extended stretches of one chain each, in random order, with the lengths taken in turn."""
    found: list[Molecule] = []
    seen: set[str] = set()
    lengths = itertools.cycle(LENGTHS)
    n = next(lengths)
    for index in rng.permutation(len(table)).tolist():
        molecule = table.molecule(index)
        entry = molecule.id.split("_")[0]
        if entry in seen:
            continue
        extended = [_is_extended(molecule, i) for i in range(len(molecule.sequence))]
        for start in range(len(extended) - n + 1):
            sequence = molecule.sequence[start : start + n]
            if all(extended[start : start + n]) and "P" not in sequence:
                kept = (molecule.residue >= start) & (molecule.residue < start + n)
                found.append(Molecule(f"{entry}:{start + 1}", sequence, molecule.xyz[kept]))
                seen.add(entry)
                n = next(lengths)
                break
    return found


def _is_extended(molecule: Molecule, i: int) -> bool:
    """True if phi and psi of a residue are those of a strand."""
    if not 0 < i < len(molecule.sequence) - 1:
        return False
    names = np.array(molecule.atom_names)

    def at(residue: int, name: str) -> gemmi.Position:
        return gemmi.Position(*molecule.xyz[(molecule.residue == residue) & (names == name)][0])

    n, ca, c = (at(i, name) for name in ("N", "CA", "C"))
    phi = math.degrees(gemmi.calculate_dihedral(at(i - 1, "C"), n, ca, c))
    psi = math.degrees(gemmi.calculate_dihedral(n, ca, c, at(i + 1, "N")))
    return -170 < phi < -50 and (psi > 90 or psi < -160)


def packed(
    molecule: Molecule,
    n_chains: int,
    group: str,
    axis: int,
    repeat: float,
    rng: np.random.Generator,
) -> Packed:
    """Pack the strands from a random start."""
    space_group = gemmi.SpaceGroup(group)
    operators = [
        (torch.tensor(op.rot) / op.DEN, torch.tensor(op.tran) / op.DEN)
        for op in space_group.operations()
    ]
    n = n_chains * len(molecule.xyz)
    centred = torch.as_tensor(molecule.xyz - molecule.xyz.mean(0), dtype=torch.float32)
    xyz = torch.stack([centred @ _laid(molecule, axis, rng).T for _ in range(n_chains)])
    polar = torch.tensor([name[0] in "NO" for name in molecule.atom_names])
    radius = torch.where(polar, RADII[1], RADII[0])
    contact = radius[:, None] + radius
    images = torch.cartesian_prod(*[torch.arange(-1.0, 2.0)] * 3)

    others = [i for i in range(3) if i != axis]
    edge = math.sqrt(VOLUME * n * len(operators) / repeat)
    shape = math.sqrt(rng.uniform(0.6, 1.7))
    free = torch.tensor([math.log(1.15 * edge * shape), math.log(1.15 * edge / shape)])
    monoclinic = space_group.crystal_system_str() in ("monoclinic", "triclinic")
    beta = torch.tensor(rng.uniform(90, 115) if monoclinic else 90.0)
    place = torch.as_tensor(rng.uniform(size=(n_chains, 1, 3)), dtype=torch.float32)
    tilt = torch.zeros(n_chains, 3)
    moved = [tilt, free, place, *([beta] if monoclinic else [])]
    rates = (0.02, 0.01, 0.02, 0.3)
    optimizer = torch.optim.Adam(
        [
            {"params": [x.requires_grad_()], "lr": rate}
            for x, rate in zip(moved, rates, strict=False)
        ]
    )
    for step in range(STEPS):
        lengths = torch.full((3,), repeat)
        lengths = lengths.index_put((torch.tensor(others),), free.exp())
        orth = _orthogonal(lengths, beta)
        frac = xyz @ rotate(torch.eye(3), tilt).mT @ torch.linalg.inv(orth).T + place
        clash = _overlaps(frac, orth, operators, images, contact)
        volume = torch.linalg.det(orth) / (n * len(operators))
        optimizer.zero_grad()
        (clash + n_chains * PRESSURE[step >= SETTLED * STEPS] * volume).backward()
        optimizer.step()
    a, b, c = lengths.tolist()
    cell = gemmi.UnitCell(a, b, c, 90, float(beta.detach()), 90)
    placed = (frac @ orth.T).detach().double().numpy()
    return Packed(cell, placed, float(volume.detach()), float(clash.detach()) / n)


def _laid(molecule: Molecule, axis: int, rng: np.random.Generator) -> Tensor:
    """A rotation that lays carbonyls along an axis; the strand's direction across it is random."""
    names = np.array(molecule.atom_names)
    ca, c, o = (molecule.xyz[names == name] for name in ("CA", "C", "O"))
    sign = np.array([(-1.0) ** i for i in range(len(c))])
    own = _frame(((o - c) * sign[:, None]).mean(0), ca[-1] - ca[0])
    wanted = _frame(rng.choice([-1.0, 1.0]) * np.eye(3)[axis], rng.standard_normal(3))
    return torch.as_tensor(wanted @ own.T, dtype=torch.float32)


def _frame(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    x = first / np.linalg.norm(first)
    y = second - (second @ x) * x
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _orthogonal(lengths: Tensor, beta: Tensor) -> Tensor:
    """Columns are the cell's edges; alpha and gamma are 90 degrees."""
    angle = torch.deg2rad(beta)
    a, b, c = lengths
    zero = torch.zeros(())
    rows = ((a, zero, c * angle.cos()), (zero, b, zero), (zero, zero, c * angle.sin()))
    return torch.stack([torch.stack(row) for row in rows])


def _overlaps(
    frac: Tensor,
    orth: Tensor,
    operators: list[tuple[Tensor, Tensor]],
    images: Tensor,
    contact: Tensor,
) -> Tensor:
    """Sum of squared overlaps of chains (k, n, 3) with each other, mates and lattice images."""
    total = torch.zeros(())
    numbered = itertools.product(enumerate(frac), enumerate(frac), enumerate(operators))
    for (i, one), (j, other), (number, (turn, shift)) in numbered:
        mate = other @ turn.T + shift
        gap = (mate.mean(0) - one.mean(0)).detach()
        centres = gap - gap.round() + images
        near = torch.linalg.vector_norm(centres @ orth.detach().T, dim=1) < REACH
        itself = (images == 0).all(1) if number == 0 and i == j else torch.zeros_like(near)
        for image in images[near & ~itself]:
            away = (one[:, None] - mate + gap.round() - image) @ orth.T
            distance = (away.square().sum(-1) + 1e-6).sqrt()
            total = total + (contact - distance).clamp(min=0).square().sum()
    return total


def structure(molecule: Molecule, found: Packed, group: str, d_min: float) -> gemmi.Structure:
    """Structure as gemmi would read it from a file."""
    rng = np.random.default_rng(0)
    model, names = gemmi.Model(1), molecule.atom_names
    for number, xyz in enumerate(found.xyz):
        chain = gemmi.Chain("ABCD"[number])
        for i, letter in enumerate(molecule.sequence):
            residue = gemmi.Residue()
            residue.name = gemmi.expand_one_letter(letter, gemmi.ResidueKind.AA)
            residue.seqid = gemmi.SeqId(i + 1, " ")
            for j in np.flatnonzero(molecule.residue == i).tolist():
                atom = gemmi.Atom()
                atom.name, atom.element = names[j], gemmi.Element(int(molecule.number[j]))
                atom.pos, atom.occ = gemmi.Position(*xyz[j]), 1.0
                side = names[j] not in ("N", "CA", "C", "O", "CB")
                atom.b_iso = rng.uniform(8, 12) + 6.0 * side
                residue.add_atom(atom)
            chain.add_residue(residue)
        model.add_chain(chain)
    made = gemmi.Structure()
    made.cell, made.spacegroup_hm, made.resolution = found.cell, group, d_min
    made.add_model(model)
    made.setup_entities()
    entity = made.entities[0]
    entity.full_sequence = [residue.name for residue in made[0][0]]
    entity.subchains = [name for one in made.entities for name in one.subchains]
    del made.entities[1:]
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a data set of the recipe fifteen")
    parser.add_argument("-n", type=int, default=len(KINDS), help="crystals (default: one a kind)")
    parser.add_argument("--chains", type=int, choices=(1, 2, 3, 4), default=1, help="in each")
    parser.add_argument(
        "--error", type=float, default=0.08, help="relative error of amplitudes (default 0.08)"
    )
    parser.add_argument("--missing", type=float, default=0.05, help="fraction (default 0.05)")
    parser.add_argument("--wedge", action="store_true", help="a wedge of them, as in microED")
    parser.add_argument("--radiation", choices=("xray", "electron"), default="xray")
    parser.add_argument("--d-min", type=float, help="A (default: 1.5 and 1.8 in turns)")
    parser.add_argument("--time-limit", type=float, default=300.0, help="seconds for each (300)")
    parser.add_argument("--seed", type=int, default=0, help="seed for crystals and search")
    parser.add_argument("--control", choices=("shuffled", "sequence"), help="see deposited.py")
    parser.add_argument("-o", "--output", type=Path, help="folder for the crystals as PDB files")
    args = parser.parse_args()
    settings = Settings(
        args.error,
        args.missing,
        args.d_min,
        "auto",
        args.time_limit,
        args.seed,
        args.control,
        args.radiation,
        args.wedge,
    )
    rng = np.random.default_rng(args.seed)
    chains = stretches(FragmentStore.open(args.data).table("validation"), rng)
    print(HEAD)
    for number, molecule in enumerate(chains[: args.n]):
        group, axis, repeat = KINDS[number % len(KINDS)]
        tries = (
            packed(molecule, args.chains, group, axis, repeat, rng)
            for _ in range(STARTS * args.chains)
        )
        found = min(tries, key=lambda one: one.cost)
        made = structure(molecule, found, group, D_MIN[number % len(D_MIN)])
        name = f"{molecule.id} {molecule.sequence}"
        if args.output is not None:
            args.output.mkdir(parents=True, exist_ok=True)
            made.write_pdb(str(args.output / f"{number}.pdb"))
        print(line(name, simulate(made, name, settings), made, settings), flush=True)


if __name__ == "__main__":
    main()
