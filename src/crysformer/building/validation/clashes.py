"""Atoms of a model that are too close, also those of symmetry mates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import gemmi

from crysformer.building.validation.bonded_atoms import BondGraph
from crysformer.building.validation.conformers import Site, site_of
from crysformer.building.validation.settings import ValidationSettings

_FARTHEST: Final = 4.0  # A: more than twice any radius
#: Van der Waals radii, A (Word et al., J. Mol. Biol. 285, 1711, 1999; C as in MolProbity), which
#: suit contacts in proteins; other elements have Bondi's.
_RADII: Final = {"C": 1.70, "N": 1.55, "O": 1.40, "S": 1.80, "P": 1.80, "H": 1.17, "D": 1.17}
_POLAR_HYDROGEN: Final = 1.0
_BONDS_APART: Final = 3  # atoms no farther apart along bonds do not clash; 4 with a hydrogen
_ELECTRONEGATIVE: Final = ("N", "O", "S", "F")


@dataclass(frozen=True)
class Clash:
    """Two atoms whose van der Waals spheres overlap.

    Attributes
    ----------
    first, second
        Their residues.
    atoms
        Their names.
    distance, overlap
        A.
    mate
        Whether the second one is a symmetry mate.
    """

    first: Site
    second: Site
    atoms: tuple[str, str]
    distance: float
    overlap: float
    mate: bool

    def to_summary(self) -> dict[str, Any]:
        """Plain values for `summary.json`."""
        return {
            "first": self.first.to_summary() | {"atom": self.atoms[0]},
            "second": self.second.to_summary() | {"atom": self.atoms[1]},
            "distance": round(self.distance, 2),
            "overlap": round(self.overlap, 2),
            "mate": self.mate,
        }


def clashes(structure: gemmi.Structure, settings: ValidationSettings) -> list[Clash]:
    """Find overlaps of van der Waals radii beyond the limit, largest first.

    Left out are atoms three bonds apart or less (four with a hydrogen), listed links, different
    alternative conformers, atoms whose occupancies leave room for one another, and metals beside
    other elements than carbon. Hydrogens count where the model has them; one on N, O, S or F may
    overlap more with another of these, in a hydrogen bond.

    Parameters
    ----------
    structure
        Its first model, with cell and space group where it has them.
    settings
        Limits.
    """
    structure = structure.clone()
    structure.setup_cell_images()
    structure.assign_serial_numbers()
    model = structure[0]
    graph = BondGraph(structure)
    search = gemmi.ContactSearch(_FARTHEST)
    search.ignore = gemmi.ContactSearch.Ignore.Nothing
    neighbours = gemmi.NeighborSearch(model, structure.cell, _FARTHEST).populate(include_h=True)
    found = []
    for contact in search.find_contacts(neighbours):
        first, second = contact.partner1, contact.partner2
        mate = contact.image_idx != 0
        overlap = _overlap(first.atom, second.atom, contact.dist, graph, settings)
        if overlap < settings.clash_overlap or _exempt(first.atom, second.atom, graph, mate):
            continue
        found.append(
            Clash(
                site_of(first.chain.name, first.residue, first.atom.altloc),
                site_of(second.chain.name, second.residue, second.atom.altloc),
                (first.atom.name, second.atom.name),
                contact.dist,
                overlap,
                mate,
            )
        )
    return sorted(found, key=lambda clash: -clash.overlap)


def _overlap(
    first: gemmi.Atom,
    second: gemmi.Atom,
    distance: float,
    graph: BondGraph,
    settings: ValidationSettings,
) -> float:
    """Overlap of two atoms in A, less what a hydrogen bond is allowed."""
    overlap = _radius(first, graph) + _radius(second, graph) - distance
    one_hydrogen = first.is_hydrogen() != second.is_hydrogen()
    if one_hydrogen and all(_polar(atom, graph) for atom in (first, second)):
        overlap -= settings.hydrogen_bond_overlap
    return float(overlap)


def _radius(atom: gemmi.Atom, graph: BondGraph) -> float:
    if atom.is_hydrogen() and _polar(atom, graph):
        return _POLAR_HYDROGEN
    return _RADII.get(atom.element.name, float(atom.element.vdw_r))


def _polar(atom: gemmi.Atom, graph: BondGraph) -> bool:
    """Test for an atom that may take part in a hydrogen bond."""
    if atom.is_hydrogen():
        return any(element in _ELECTRONEGATIVE for element in graph.elements_beside(atom.serial))
    return atom.element.name in _ELECTRONEGATIVE


def _exempt(first: gemmi.Atom, second: gemmi.Atom, graph: BondGraph, mate: bool) -> bool:
    """Test for a contact that is none, or is wanted."""
    if first.occ + second.occ <= 1.0:
        return True
    metals = first.element.is_metal, second.element.is_metal
    if any(metals) and "C" not in (first.element.name, second.element.name):
        return True
    if mate:
        return (first.serial, second.serial) in graph.links_to_mates
    farthest = _BONDS_APART + (first.is_hydrogen() or second.is_hydrogen())
    return second.serial in graph.within(first.serial, farthest)


def heavy_atoms(model: gemmi.Model) -> int:
    """Number of atoms other than hydrogen, alternative conformers each."""
    return sum(not atom.is_hydrogen() for atom in _atoms(model))


def has_hydrogens(model: gemmi.Model) -> bool:
    """Test for a model with hydrogens."""
    return any(atom.is_hydrogen() for atom in _atoms(model))


def _atoms(model: gemmi.Model) -> Iterator[gemmi.Atom]:
    return (site.atom for site in model.all())
