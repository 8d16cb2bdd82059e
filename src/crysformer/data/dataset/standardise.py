"""Protein chains with standard residues only: heavy atoms C N O S in one fixed order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.data.dataset.sources import StructureFile
from crysformer.peptide import residues

#: A real peptide bond: C-N distance within this much of the ideal one, A.
PEPTIDE_BOND = 1.33
PEPTIDE_TOLERANCE = 0.2

#: Reasons why a residue cannot be used; a residue's `fault` is an index into this, 0 for none.
FAULTS = (
    "",
    "residue_nonstandard",
    "residue_unexpected_atom",
    "residue_missing_atom",
    "residue_zero_occupancy",
    "residue_not_l",
    "residue_impossible_coordinates",
)

_SELENOMETHIONINE = {"SE": "SD"}


@dataclass(frozen=True, eq=False)
class Chain:
    """The polypeptide of one chain after standardising.

    Attributes
    ----------
    name
        Chain name as in the file.
    code
        Residue indices into `residues.CODES`, shape (n,), uint8; 0 where `fault` is set.
    seqid
        Author residue numbers with insertion codes, n strings.
    xyz
        Heavy atoms in the order of `residues.ATOMS`, shape (n, 14, 3), A; zero beyond the last.
    fault
        Reason why a residue cannot be used, shape (n,), uint8: an index into `FAULTS`.
    bonded
        True where residue i is peptide-bonded to residue i + 1, shape (n - 1,).
    length
        Residues in the chain's full sequence where the file records it, else those observed.
    """

    name: str
    code: NDArray[np.uint8]
    seqid: tuple[str, ...]
    xyz: NDArray[np.float64]
    fault: NDArray[np.uint8]
    bonded: NDArray[np.bool_]
    length: int


#: Extent of a residue that no real one reaches, A; an extended arginine has 9.
_LARGEST_RESIDUE = 15.0


def parse(file: StructureFile) -> gemmi.Structure:
    """Parse a structure file's bytes.

    Raises
    ------
    ValueError
        If the content is not a structure in the format of the file name.
    """
    if file.content is None:
        raise ValueError(file.error)
    try:
        if file.is_cif:
            structure = gemmi.make_structure_from_block(_coordinate_block(file.content))
        else:
            # one character for each byte, so that the columns stay in place
            text = file.content.decode("ascii", errors="replace").replace("\ufffd", "?")
            structure = gemmi.read_pdb_string(text)
    except (RuntimeError, ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"not a readable structure ({' '.join(str(error).split())})") from error
    structure.setup_entities()
    return structure


def _coordinate_block(content: bytes) -> gemmi.cif.Block:
    blocks = list(gemmi.cif.read_string(content.decode("utf-8", errors="replace")))
    with_atoms = [
        b for b in blocks if b.find_loop("_atom_site.Cartn_x") or b.find_value("_atom_site.Cartn_x")
    ]
    return (with_atoms or blocks or [gemmi.cif.Block("empty")])[0]


def standardize(structure: gemmi.Structure, changes: Counter[str]) -> list[Chain]:
    """Standardise every polypeptide chain of the first model.

    Hydrogens and OXT are left out, the first alternative location is taken, selenomethionine
    becomes methionine, and of several residues at one position (microheterogeneity) the first is
    taken. `changes` counts what was altered.
    """
    if len(structure) > 1:
        changes["model_first_of_several"] += 1
    if len(structure) == 0:
        return []
    return [
        _standardize_chain(name, polymer, structure, changes)
        for name, polymer in peptides(structure)
    ]


def peptides(structure: gemmi.Structure) -> list[tuple[str, gemmi.ResidueSpan]]:
    """Name and residues of each polypeptide chain of the first model."""
    polymers = [(chain.name, chain.get_polymer()) for chain in structure[0]]
    kinds = (gemmi.PolymerType.PeptideL, gemmi.PolymerType.PeptideD)
    return [(name, polymer) for name, polymer in polymers if polymer.check_polymer_type() in kinds]


def _standardize_chain(
    name: str, polymer: gemmi.ResidueSpan, structure: gemmi.Structure, changes: Counter[str]
) -> Chain:
    n = polymer.length()
    changes["residue_microheterogeneity_first_taken"] += len(polymer) - n
    code = np.zeros(n, dtype=np.uint8)
    fault = np.zeros(n, dtype=np.uint8)
    xyz = np.zeros((n, residues.MAX_ATOMS, 3))
    seqid = []
    for i, residue in enumerate(polymer.first_conformer()):
        seqid.append(str(residue.seqid))
        code[i], fault[i] = _standardize_residue(residue, xyz[i], changes)
    _flag_not_l(xyz, code, fault)
    entity = structure.get_entity_of(polymer)
    return Chain(
        name=name,
        code=code,
        seqid=tuple(seqid),
        xyz=xyz,
        fault=fault,
        bonded=_peptide_bonds(xyz, fault),
        length=max(n, len(entity.full_sequence) if entity else 0),
    )


def _standardize_residue(
    residue: gemmi.Residue, xyz: NDArray[np.float64], changes: Counter[str]
) -> tuple[int, int]:
    """Write the residue's coordinates into `xyz` (14, 3); return its code and fault."""
    name, atoms, alternatives = first_conformer(residue)
    if residue.name == "MSE":
        changes["residue_selenomethionine_to_methionine"] += 1
    index = residues.INDEX.get(name)
    if index is None:
        return 0, FAULTS.index("residue_nonstandard")
    expected = residues.ATOMS[index]
    place = {atom: i for i, atom in enumerate(expected)}
    fault = 0
    found = 0
    for atom_name, atom in atoms:
        position = place.pop(atom_name, None)
        if position is None:
            if atom_name == "OXT":
                changes["atom_oxt_removed"] += 1
                continue
            fault = fault or FAULTS.index("residue_unexpected_atom")
            continue
        if atom.occ <= 0:
            fault = fault or FAULTS.index("residue_zero_occupancy")
        xyz[position] = atom.pos.tolist()
        found += 1
    if alternatives:
        changes["residue_first_altloc_taken"] += 1
    if not fault and found < len(expected):
        fault = FAULTS.index("residue_missing_atom")
    if not _compact(xyz):
        fault = FAULTS.index("residue_impossible_coordinates")
        xyz[:] = 0.0
    return (index, 0) if not fault else (0, fault)


def first_conformer(
    residue: gemmi.Residue,
) -> tuple[str, list[tuple[str, gemmi.Atom]], bool]:
    """Heavy atoms of a residue's first alternative location.

    Returns
    -------
    The residue's name and the atoms with their names, of methionine for selenomethionine; and True
    if there are other locations.
    """
    name, renamed = residue.name, {}
    if name == "MSE":
        name, renamed = "MET", _SELENOMETHIONINE
    first = ""
    atoms = []
    for atom in residue:
        if atom.is_hydrogen():
            continue
        if atom.has_altloc():
            first = first or atom.altloc
            if atom.altloc != first:
                continue
        atoms.append((renamed.get(atom.name, atom.name), atom))
    return name, atoms, bool(first)


def _compact(xyz: NDArray[np.float64]) -> bool:
    """Check that coordinates (14, 3), zero where unknown, are finite and near one another."""
    if not np.isfinite(xyz).all():
        return False
    known = xyz[xyz.any(axis=1)]
    return len(known) == 0 or bool((np.abs(known - known[0]) < _LARGEST_RESIDUE).all())


def _flag_not_l(
    xyz: NDArray[np.float64], code: NDArray[np.uint8], fault: NDArray[np.uint8]
) -> None:
    n, ca, c, cb = xyz[:, 0], xyz[:, 1], xyz[:, 2], xyz[:, 4]
    volume = np.einsum("ij,ij->i", np.cross(n - ca, c - ca), cb - ca)
    has_cb = code != residues.INDEX["GLY"]
    fault[(fault == 0) & has_cb & (volume <= 0)] = FAULTS.index("residue_not_l")


def _peptide_bonds(xyz: NDArray[np.float64], fault: NDArray[np.uint8]) -> NDArray[np.bool_]:
    c, n = xyz[:-1, 2], xyz[1:, 0]
    distance = np.linalg.norm(n - c, axis=1)
    bonded = np.abs(distance - PEPTIDE_BOND) <= PEPTIDE_TOLERANCE
    # Where a residue is unusable its own fault is the reason to report, not a broken chain.
    return bonded | (fault[:-1] > 0) | (fault[1:] > 0)
