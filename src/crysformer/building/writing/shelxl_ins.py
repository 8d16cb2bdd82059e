"""Model as an .ins file for refinement with SHELXL."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.validation.conformers import linked
from crysformer.building.validation.residue_topology import parent
from crysformer.building.writing.finished_model import FinishedModel
from crysformer.building.writing.shelxl_restraints import (
    hydrogen_instructions,
    link_restraints,
    residue_restraints,
    wrapped,
)
from crysformer.crystal.io.shelx_res import lattice_and_symmetry
from crysformer.crystal.unit_cell import frac_matrix
from crysformer.version import __version__

_FIXED = 10.0  # added to a value that is not to be refined
_U_PER_B = 1 / (8 * math.pi**2)
_WAVELENGTH = 0.71073  # A, where that of the data is not known
_SPECIAL = 0.3  # A to the nearest image: closer, and the atom is on a special position
_CHAIN_STEP = 1000  # between the residue numbers of chains, as is usual for SHELXL
_MOST_RESIDUES = 9999
_SAME_SUM = 0.02  # of the occupancies of two conformers and one


@dataclass(frozen=True, eq=False)
class _Residue:
    chain: str
    residue: gemmi.Residue
    number: int


def shelxl_ins(model: FinishedModel, title: str = "model") -> str:
    """Text of an .ins file.

    Residues are numbered without chains: 1000 is added for each chain where their own numbers
    permit, and remarks give the correspondence. Two alternative conformers whose occupancies add
    up to one are refined with one free variable. Hydrogens are given by HFIX, active if the model
    has hydrogens and as remarks otherwise. The free set is left out of the refinement
    (``L.S. 10 -1``).

    Parameters
    ----------
    model
        Its first model is written.
    title
        For TITL.
    """
    structure, data = model.scaled.structure.clone(), model.data
    structure.cell = data.cell
    structure.spacegroup_hm = data.space_group.xhm()
    structure.setup_cell_images()
    residues = list(_numbered(structure[0]))
    heavy = [a for r in residues for a in r.residue if not a.is_hydrogen()]
    kinds = sorted({a.element.name for a in heavy} | {"H"}, key=lambda name: (name != "C", name))
    n_ops = len(list(data.space_group.operations()))
    counts = Counter(a.element.name for r in residues for a in r.residue)
    hydrogens = bool(counts["H"])
    names = [r.residue.name for r in residues]
    links, first = _links(residues)
    constants = " ".join(f"{x:.4f}" for x in data.cell.parameters)
    free = model.free.free.any()
    lines = [
        f"TITL {title}"[:76],
        f"REM written by crysformer {__version__}",
        *([] if data.wavelength else ["REM set the wavelength in CELL: it is not known"]),
        *(["REM electron diffraction: give scattering factors with SFAC"]
          if data.radiation == "electron" else []),
        f"CELL {data.wavelength or _WAVELENGTH:.5f} {constants}",
        f"ZERR {n_ops} 0 0 0 0 0 0",
        *lattice_and_symmetry(data.space_group),
        "SFAC " + " ".join(kinds),
        "UNIT " + " ".join(str(counts[name] * n_ops) for name in kinds),
        f"L.S. 10{' -1' if free else ''}",
        "BOND",
        "FMAP 2",
        "PLAN 20",
        *(["SWAT"] if model.scaled.k_sol > 0 else []),
        *residue_restraints(names),
        *link_restraints(links),
        *(["RIGU"] if any(a.aniso.nonzero() for a in heavy) else []),
        *(f"{'' if hydrogens else 'REM '}{line}" for line in hydrogen_instructions(names, first)),
        *_correspondence(residues),
    ]  # fmt: skip
    variables, atoms = [model.scaled.k_overall], []
    for residue in residues:
        atoms += _residue_lines(residue, structure.cell, kinds, variables)
    lines += ["FVAR " + " ".join(f"{value:.5f}" for value in variables), *atoms]
    lines.append(f"HKLF {4 if data.kind == 'intensities' else 3}")
    return "\n".join(part for line in [*lines, "END", ""] for part in wrapped(line))


def _numbered(model: gemmi.Model) -> Iterator[_Residue]:
    """Residues with numbers that are different in all of the model."""
    every = [(i, chain, residue) for i, chain in enumerate(model) for residue in chain]
    own = [residue.seqid.num or 0 for _, _, residue in every]
    kept = [_CHAIN_STEP * i + number for (i, _, _), number in zip(every, own, strict=True)]
    usable = all(0 < number < _CHAIN_STEP for number in own)
    if not usable or len(set(kept)) < len(kept) or max(kept, default=0) > _MOST_RESIDUES:
        kept = list(range(1, len(every) + 1))
    for number, (_, chain, residue) in zip(kept, every, strict=True):
        yield _Residue(chain.name, residue, number)


def _correspondence(residues: list[_Residue]) -> list[str]:
    """Remarks with the numbers of the residues of each chain."""
    lines = []
    for chain in dict.fromkeys(r.chain for r in residues):
        of = [r for r in residues if r.chain == chain]
        lines.append(
            f"REM chain {chain}: residues {of[0].residue.seqid} to {of[-1].residue.seqid} are "
            f"{of[0].number} to {of[-1].number}"
        )
    return lines


def _links(
    residues: list[_Residue],
) -> tuple[list[tuple[int, int, bool]], list[tuple[int, bool]]]:
    """Peptide bonds, and the residues that begin a chain."""
    links, first = [], []
    for before, r in zip([None, *residues], residues, strict=False):
        kind = parent(r.residue.name)
        if before is not None and before.chain == r.chain and linked(before.residue, r.residue):
            if {"CA", "N"} <= {a.name for a in r.residue} and parent(before.residue.name):
                links.append((before.number, r.number, kind == "PRO"))
        elif kind is not None:
            first.append((r.number, kind == "PRO"))
    return links, first


def _residue_lines(
    r: _Residue, cell: gemmi.UnitCell, kinds: list[str], variables: list[float]
) -> list[str]:
    """RESI, PART and atoms; free variables of occupancies are appended to `variables`."""
    atoms = [a for a in r.residue if not a.is_hydrogen()]
    altlocs = sorted({a.altloc for a in atoms} - {"\0"})
    shared = _shared_occupancy(atoms, altlocs)
    if shared is not None:
        variables.append(shared)
    lines = [f"RESI {r.number} {r.residue.name}"]
    for part, altloc in enumerate(["\0", *altlocs]):
        of = [a for a in atoms if a.altloc == altloc]
        if part:
            lines.append(f"PART {part}")
        for atom in of:
            images = 1 + cell.is_special_position(atom.pos, _SPECIAL)
            if part and shared is not None:
                occupancy = (10 * len(variables) + 1 / images) * (1 if part == 1 else -1)
            else:
                occupancy = _FIXED + atom.occ / images
            lines.append(_atom_line(atom, cell, kinds, occupancy))
    return [*lines, "PART 0"] if altlocs else lines


def _shared_occupancy(atoms: list[gemmi.Atom], altlocs: list[str]) -> float | None:
    """Occupancy of the first of two conformers that make up one; None for any other case."""
    if len(altlocs) != 2:
        return None
    first, second = (
        float(np.mean([a.occ for a in atoms if a.altloc == altloc])) for altloc in altlocs
    )
    return first if abs(first + second - 1) < _SAME_SUM else None


def _atom_line(atom: gemmi.Atom, cell: gemmi.UnitCell, kinds: list[str], occupancy: float) -> str:
    name = atom.name.replace("'", "").replace("*", "")[:4]
    place = " ".join(f"{x:.6f}" for x in cell.fractionalize(atom.pos).tolist())
    if atom.aniso.nonzero():
        displacement = " ".join(f"{u:.5f}" for u in u_cif(atom, cell))
    else:
        displacement = f"{atom.b_iso * _U_PER_B:.5f}"
    kind = kinds.index(atom.element.name) + 1
    return f"{name} {kind} {place} {occupancy:.5f} {displacement}"


def u_cif(atom: gemmi.Atom, cell: gemmi.UnitCell) -> NDArray[np.float64]:
    """U11 U22 U33 U23 U13 U12 of an atom with respect to the axes of the cell, A^2."""
    to_frac = frac_matrix(cell)
    cartesian = np.array(atom.aniso.as_mat33().tolist())
    lengths = np.linalg.norm(to_frac, axis=1)  # of the reciprocal axes
    u = to_frac @ cartesian @ to_frac.T / np.outer(lengths, lengths)
    return np.array([u[0, 0], u[1, 1], u[2, 2], u[1, 2], u[0, 2], u[0, 1]])
