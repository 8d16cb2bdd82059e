"""Missing side-chain atoms, found and rebuilt by PDBFixer (the optional extra ``curate``).

Eastman et al., OpenMM 8, J. Phys. Chem. B 128, 109-116 (2024), for PDBFixer and its force field.
"""

from __future__ import annotations

import importlib
import io
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from crysformer.data.dataset.standardise import first_conformer, peptides
from crysformer.errors import UsageError
from crysformer.peptide import residues
from crysformer.peptide.conformers import template_coordinates
from crysformer.peptide.residue_shape import backbone_axes

#: Packages whose versions decide the rebuilt positions.
PACKAGES: Final = ("pdbfixer", "openmm")

_BACKBONE: Final = frozenset(residues.BACKBONE)
_TERMINAL: Final = "OXT"
#: Distance between atoms of two residues that only a bond explains, and side chains have no bonds
#: but disulphides (2.03 A).
_CLASH: Final = 2.0
#: Seed of the dynamics by which PDBFixer resolves clashes of new atoms.
_SEED: Final = 1


def require_pdbfixer() -> None:
    """Check that PDBFixer is installed.

    Raises
    ------
    UsageError
        If it is not.
    """
    _import("pdbfixer")


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            "`repair` needs PDBFixer, which is not installed: pip install 'crysformer[curate]'"
        ) from error


@dataclass
class _Incomplete:
    """A residue with a whole backbone, and the names of the side-chain atoms it lacks."""

    residue: gemmi.Residue
    missing: list[str]


def rebuild_side_chains(structure: gemmi.Structure, changes: Counter[str]) -> None:
    """Add the missing side-chain atoms of standard residues of the first model, in place.

    A missing CB is placed by the backbone, since PDBFixer alone often misplaces it (in
    1SHG, 13 of 55 residues cut to the backbone did not come back as L); PDBFixer builds the rest.
    Atoms that are there stay where they are. A residue whose new atoms come closer than 2 A to
    another residue stays incomplete. Residues without a whole backbone, and those that
    `standardize` cannot use for another reason, are left as they are, and so are gaps of the chain.
    Ligands and waters are not taken into account. New atoms have occupancy 1.

    Parameters
    ----------
    structure
        As `parse` gives it.
    changes
        Counts ``residue_side_chain_rebuilt`` and ``residue_side_chain_clashes_not_rebuilt``.

    Raises
    ------
    UsageError
        If PDBFixer is not installed.
    ValueError
        If it fails.
    """
    if len(structure) == 0:
        return
    clean = gemmi.Structure()
    clean.add_model(gemmi.Model(1))
    incomplete: dict[int, _Incomplete] = {}
    count = 0
    for number, (_, polymer) in enumerate(peptides(structure)):
        chain = gemmi.Chain(f"C{number}")
        for residue in polymer.first_conformer():
            copy, missing = _copied(residue, len(chain) + 1)
            if len(copy):
                chain.add_residue(copy)
                if missing:
                    incomplete[count] = _Incomplete(residue, missing)
                count += 1
        clean[0].add_chain(chain)
    if not incomplete:
        return
    clean.setup_entities()
    positions = _rebuilt(clean, incomplete)
    clashing = _clashing(clean, positions, incomplete)
    for number, item in incomplete.items():
        if number in clashing:
            changes["residue_side_chain_clashes_not_rebuilt"] += 1
            continue
        for name in item.missing:
            item.residue.add_atom(_atom(name, positions[number][name].tolist()))
        changes["residue_side_chain_rebuilt"] += 1


def _copied(residue: gemmi.Residue, number: int) -> tuple[gemmi.Residue, list[str]]:
    """Heavy atoms of the first conformer as a residue of its own, and side-chain atoms it lacks."""
    copy = gemmi.Residue()
    copy.name, atoms, _ = first_conformer(residue)
    copy.seqid = gemmi.SeqId(number, " ")
    for name, atom in atoms:
        copy.add_atom(_atom(name, atom.pos.tolist(), atom.element))
    index = residues.INDEX.get(copy.name)
    names = {name for name, atom in atoms if atom.occ > 0}
    expected = () if index is None else residues.ATOMS[index]
    whole_backbone = names >= _BACKBONE
    if not whole_backbone or len(names) < len(atoms) or names - {*expected, _TERMINAL}:
        return copy, []
    missing = [name for name in expected if name not in names]
    if "CB" in missing:
        copy.add_atom(_atom("CB", _beta_carbon(dict(atoms), copy.name).tolist()))
    return copy, missing


def _beta_carbon(atoms: dict[str, gemmi.Atom], name: str) -> NDArray[np.float64]:
    """CB where the most common conformer of the residue has it, on this backbone."""
    n, ca, c = (np.array(atoms[atom].pos.tolist()) for atom in ("N", "CA", "C"))
    template = template_coordinates()[name][residues.ATOMS[residues.INDEX[name]].index("CB")]
    return np.asarray(ca + backbone_axes(n, ca, c) @ template)


def _clashing(
    structure: gemmi.Structure,
    positions: dict[int, dict[str, NDArray[np.float64]]],
    incomplete: dict[int, _Incomplete],
) -> set[int]:
    """Numbers of the residues whose new atoms are too close to atoms of another residue."""
    atoms, owners, new = [], [], []
    for number, residue in enumerate(r for chain in structure[0] for r in chain):
        there = {atom.name: np.array(atom.pos.tolist()) for atom in residue}
        missing = incomplete[number].missing if number in incomplete else []
        for name, xyz in positions.get(number, there).items():
            atoms.append(xyz)
            owners.append(number)
            new.append(name in missing)
    pairs = cKDTree(np.array(atoms)).query_pairs(_CLASH, output_type="ndarray")
    owner, is_new = np.array(owners), np.array(new)
    apart = pairs[owner[pairs[:, 0]] != owner[pairs[:, 1]]]
    return {int(owner[i]) for pair in apart for i in pair if is_new[i]}


def _atom(name: str, position: list[float], element: gemmi.Element | None = None) -> gemmi.Atom:
    atom = gemmi.Atom()
    atom.name, atom.pos = name, gemmi.Position(*position)
    atom.element = element or gemmi.Element(name[0])  # C, N, O and S only
    atom.occ, atom.b_iso = 1.0, 20.0
    return atom


def _rebuilt(
    structure: gemmi.Structure, incomplete: dict[int, _Incomplete]
) -> dict[int, dict[str, NDArray[np.float64]]]:
    """Positions (A) of all atoms of the incomplete residues after rebuilding, by residue number."""
    pdbfixer, openmm = _import("pdbfixer"), _import("openmm")
    text = io.StringIO(structure.make_mmcif_document().as_string())
    try:
        # the reference platform gives the same positions on every machine
        platform = openmm.Platform.getPlatformByName("Reference")
        fixer = pdbfixer.PDBFixer(pdbxfile=text, platform=platform)
        fixer.missingResidues = {}
        fixer.findMissingAtoms()
        fixer.missingAtoms = {
            residue: atoms
            for residue, atoms in fixer.missingAtoms.items()
            if residue.index in incomplete
        }
        fixer.missingTerminals = {}
        fixer.addMissingAtoms(seed=_SEED)
        found = {
            residue.index: {
                atom.name: np.array(fixer.positions[atom.index].value_in_unit(openmm.unit.angstrom))
                for atom in residue.atoms()
            }
            for residue in fixer.topology.residues()
            if residue.index in incomplete
        }
    except Exception as error:  # whatever a force field makes of a strange structure
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"PDBFixer fails ({reason[:200]})") from error
    for number, item in incomplete.items():
        if not set(item.missing) <= found.get(number, {}).keys():
            raise ValueError(f"PDBFixer left {item.residue.name} {item.residue.seqid} incomplete")
    return found
