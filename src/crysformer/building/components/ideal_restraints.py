"""Restraints of a component from its ideal coordinates: bonds, angles, planes, chirality.

They replace a monomer dictionary where there is none. Ideal values are those of one ideal
conformation, not of a survey of structures, and the standard deviations depend on element and
bond order alone. Torsions stay free.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.peptide import ideal_geometry
from crysformer.peptide.component import Component

#: Standard deviations of bonds, A: by order, of heavy elements, and to hydrogens.
_SINGLE, _MULTIPLE, _HEAVY, _TO_HYDROGEN = 0.020, 0.015, 0.025, 0.020
_SECOND_ROW: Final = 10  # atomic number of the last element of it
#: Standard deviations of angles, degrees: at flat atoms, at others, and to hydrogens.
_AT_FLAT, _AT_OTHERS, _OF_HYDROGEN = 2.0, 2.5, 3.0
_PLANE: Final = 0.02  # standard deviation from a plane, A
_FLAT: Final = 0.06  # A, largest distance of an atom from the plane that it is in
_ACID_OXYGENS: Final = 126.0  # degrees, between the oxygens of a carboxylate
#: Angle C-C-C at the CH2 of an open chain, degrees: ideal coordinates are tetrahedral there.
_OPEN_CHAIN: Final = 113.5
#: Distances of hydrogens that X-rays see, A, by the atom that carries them (that of electrons,
#: not of the nucleus; as in SHELXL).
_HYDROGEN: Final = {"C": 0.97, "N": 0.87, "O": 0.84, "S": 1.20}
_FLAT_CARBON_HYDROGEN: Final = 0.94
_CARBON, _NITROGEN, _OXYGEN, _H = "C", "N", "O", "H"
_TYPES: Final = {"N": "N", "O": "O", "S": "S", "P": "P", "H": "H"}


def ideal_restraints(component: Component) -> gemmi.ChemComp:
    """Restraints of a component as a monomer dictionary holds them.

    Carboxylic acids are taken as carboxylates, with both bonds alike and without their hydrogen,
    as amino acids and their chains are in crystals.

    Parameters
    ----------
    component
        With coordinates.

    Returns
    -------
    gemmi.ChemComp
        Bonds, angles, planes and chiral centres; hydrogens with both distances, that of X-rays and
        that of the nucleus.
    """
    return _Writer(component).chem_comp()


@dataclass(frozen=True)
class _Acid:
    """A carboxylic acid: its carbon and its oxygens, and the hydrogen that is left out."""

    carbon: int
    oxygens: tuple[int, int]
    hydrogen: int | None


class _Writer:
    def __init__(self, component: Component) -> None:
        self.component, self.xyz = component, component.xyz
        self.near: list[list[int]] = [[] for _ in component.atoms]
        for a, b, _ in component.bonds:
            self.near[a].append(b)
            self.near[b].append(a)
        self.acids = [acid for i in range(len(self.near)) if (acid := self._acid(i)) is not None]
        self.left_out = {acid.hydrogen for acid in self.acids}
        self.of_acid = {acid.carbon: acid.oxygens for acid in self.acids}
        self.flat = [self._is_flat(i) for i in range(len(self.near))]

    def chem_comp(self) -> gemmi.ChemComp:
        """The filled dictionary entry."""
        component, filled = self.component, gemmi.ChemComp()
        filled.name = component.name
        filled.set_group("peptide" if "PEPTIDE LINKING" in component.kind else "NON-POLYMER")
        for i, name in enumerate(component.atoms):
            if i not in self.left_out:
                filled.atoms.append(self._atom(i, name))
        kept = [bond for bond in component.bonds if not self.left_out & set(bond[:2])]
        for a, b, order in kept:
            filled.rt.bonds.append(self._bond(a, b, order))
        for i, near in enumerate(self.near):
            ends = sorted(set(near) - self.left_out) if i not in self.left_out else []
            for a, b in itertools.combinations(ends, 2):
                filled.rt.angles.append(self._angle(a, i, b))
        for i, chiral in enumerate(component.chiral):
            centre = self._chirality(i, chiral)
            if centre is not None:
                filled.rt.chirs.append(centre)
        for number, rows in enumerate(self._planes(), start=1):
            plane = gemmi.Restraints.Plane()
            plane.label, plane.esd = f"plan-{number}", _PLANE
            plane.ids = [self._id(i) for i in rows]
            filled.rt.planes.append(plane)
        return filled

    def _id(self, i: int) -> gemmi.Restraints.AtomId:
        return gemmi.Restraints.AtomId(1, self.component.atoms[i])

    def _is_hydrogen(self, i: int) -> bool:
        return self.component.element[i] in ("H", "D")

    def _acid(self, carbon: int) -> _Acid | None:
        """The carboxylic acid that a carbon is part of."""
        element = self.component.element
        if element[carbon] != _CARBON:
            return None
        oxygens = [i for i in self.near[carbon] if element[i] == _OXYGEN]
        rest = [[k for k in self.near[i] if k != carbon] for i in oxygens]
        if len(oxygens) != 2 or any(not self._is_hydrogen(k) for row in rest for k in row):
            return None
        hydrogen = next((row[0] for row in rest if row), None)
        return _Acid(carbon, (oxygens[0], oxygens[1]), hydrogen)

    def _is_flat(self, i: int) -> bool:
        """Whether an atom with three neighbours is in their plane, or is part of a double bond."""
        rows = [i, *self.near[i]]
        orders = [order for a, b, order in self.component.bonds if i in (a, b)]
        multiple = any(order > 1 for order in orders)
        return (len(rows) == 4 and self._deviation(rows) < _FLAT) or (len(rows) < 4 and multiple)

    def _deviation(self, rows: list[int]) -> float:
        """Largest distance of some atoms from their best plane, A."""
        return largest_deviation(self.xyz[rows])

    def _atom(self, i: int, name: str) -> gemmi.ChemComp.Atom:
        atom = gemmi.ChemComp.Atom()
        element = self.component.element[i]
        atom.id, atom.el = name, gemmi.Element(element)
        charged = any(i in acid.oxygens and acid.hydrogen in self.near[i] for acid in self.acids)
        atom.charge = -1 if charged else self.component.charge[i]
        atom.xyz = gemmi.Position(*self.xyz[i].tolist())
        hydrogens = sum(self._is_hydrogen(k) for k in self.near[i])
        if element == _CARBON:
            kind = "C" if self.flat[i] else f"CH{hydrogens}" if hydrogens else "CT"
            atom.chem_type = "C1" if kind == "C" and hydrogens else kind
        elif element == _NITROGEN and hydrogens:
            atom.chem_type = f"NH{min(hydrogens, 2)}" if self.flat[i] else f"NT{hydrogens}"
        elif element == _OXYGEN and hydrogens and i not in self._acid_oxygens():
            atom.chem_type = "OH1"
        else:
            atom.chem_type = _TYPES.get(element, element.upper())
        return atom

    def _acid_oxygens(self) -> set[int]:
        return {i for acid in self.acids for i in acid.oxygens}

    def _bond(self, a: int, b: int, order: float) -> gemmi.Restraints.Bond:
        bond = gemmi.Restraints.Bond()
        bond.id1, bond.id2 = self._id(a), self._id(b)
        bond.type = {
            1.0: gemmi.BondType.Single, 2.0: gemmi.BondType.Double, 3.0: gemmi.BondType.Triple,
        }.get(order, gemmi.BondType.Aromatic)  # fmt: skip
        bond.aromatic = order == 1.5
        length = float(np.linalg.norm(self.xyz[a] - self.xyz[b]))
        heavy = max(gemmi.Element(self.component.element[i]).atomic_number for i in (a, b))
        esd = _HEAVY if heavy > _SECOND_ROW else _MULTIPLE if order > 1 else _SINGLE
        for carbon, oxygens in self.of_acid.items():
            if carbon in (a, b) and {a, b} & set(oxygens):
                length, esd, bond.type = ideal_geometry.C_OXT, _MULTIPLE, gemmi.BondType.Deloc
            elif carbon in (a, b) and not self.flat[a + b - carbon]:
                length = ideal_geometry.CA_C
        bond.value, bond.esd = length, esd
        bond.value_nucleus, bond.esd_nucleus = length, esd
        if self._is_hydrogen(a) or self._is_hydrogen(b):
            carrier = b if self._is_hydrogen(a) else a
            of = _HYDROGEN.get(self.component.element[carrier], length)
            if self.component.element[carrier] == _CARBON and self.flat[carrier]:
                of = _FLAT_CARBON_HYDROGEN
            bond.value, bond.esd, bond.esd_nucleus = of, _TO_HYDROGEN, _TO_HYDROGEN
        return bond

    def _angle(self, a: int, vertex: int, b: int) -> gemmi.Restraints.Angle:
        angle = gemmi.Restraints.Angle()
        angle.id1, angle.id2, angle.id3 = self._id(a), self._id(vertex), self._id(b)
        angle.value = self._angle_value(a, vertex, b)
        hydrogen = self._is_hydrogen(a) or self._is_hydrogen(b)
        angle.esd = _OF_HYDROGEN if hydrogen else _AT_FLAT if self.flat[vertex] else _AT_OTHERS
        return angle

    def _angle_value(self, a: int, vertex: int, b: int) -> float:
        """Angle of the ideal coordinates, degrees, but for carboxylates and open chains."""
        oxygens = self.of_acid.get(vertex)
        if oxygens is not None:
            if {a, b} == set(oxygens):
                return _ACID_OXYGENS
            return 180.0 - _ACID_OXYGENS / 2
        if self._in_open_chain(a, vertex, b):
            return _OPEN_CHAIN
        first, second = self.xyz[a] - self.xyz[vertex], self.xyz[b] - self.xyz[vertex]
        cosine = first @ second / (np.linalg.norm(first) * np.linalg.norm(second))
        return math.degrees(math.acos(float(np.clip(cosine, -1.0, 1.0))))

    def _in_open_chain(self, a: int, vertex: int, b: int) -> bool:
        """Whether three carbons follow each other, the middle one a CH2 that is in no ring."""
        heavy = {k for k in self.near[vertex] if not self._is_hydrogen(k)}
        carbons = all(self.component.element[i] == _CARBON for i in (a, vertex, b))
        if self.flat[vertex] or heavy != {a, b} or not carbons:
            return False
        reached = edge = {a}
        while edge:
            edge = {k for i in edge for k in self.near[i]} - reached - {vertex}
            reached = reached | edge
        return b not in reached

    def _chirality(self, i: int, stated: bool) -> gemmi.Restraints.Chirality | None:
        """A centre with three neighbours but hydrogens; its hand only if the definition has one."""
        heavy = [k for k in self.near[i] if not self._is_hydrogen(k)]
        if self.flat[i] or len(heavy) < 3 or (len(heavy) > 3 and not stated):
            return None
        centre = gemmi.Restraints.Chirality()
        centre.id_ctr = self._id(i)
        centre.id1, centre.id2, centre.id3 = (self._id(k) for k in heavy[:3])
        arms = self.xyz[heavy[:3]] - self.xyz[i]
        positive = float(np.linalg.det(arms)) > 0
        kinds = gemmi.ChiralityType
        centre.sign = (kinds.Positive if positive else kinds.Negative) if stated else kinds.Both
        return centre

    def _planes(self) -> list[list[int]]:
        """Groups of atoms in one plane: about multiple bonds, amides and rings, merged."""
        groups = []
        for a, b, order in self.component.bonds:
            conjugated = order > 1 or {self.component.element[i] for i in (a, b)} == {"C", "N"}
            if conjugated and self.flat[a] and self.flat[b]:
                groups.append({a, b, *self.near[a], *self.near[b]} - self.left_out)
        groups += [
            {i, *self.near[i]} - self.left_out
            for i, flat in enumerate(self.flat)
            if flat and len(self.near[i]) > 2
        ]
        flat_groups = [g for g in groups if len(g) > 3 and self._deviation(sorted(g)) < _FLAT]
        merged: list[set[int]] = []
        for group in sorted(flat_groups, key=len, reverse=True):
            rest, own = [], set(group)
            for other in merged:
                both = own | other
                shared = len(own & other) > 2
                if shared and self._deviation(sorted(both)) < _FLAT:
                    own = both
                else:
                    rest.append(other)
            merged = [*rest, own]
        return [sorted(group) for group in merged if not any(group < other for other in merged)]


def largest_deviation(xyz: NDArray[np.float64]) -> float:
    """Largest distance of positions, shape (n, 3), A, from their best plane."""
    centred = xyz - xyz.mean(axis=0)
    normal = np.linalg.svd(centred)[2][2]
    return float(np.abs(centred @ normal).max())
