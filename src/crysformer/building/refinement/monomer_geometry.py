"""Restraints of monomer dictionaries for our own refinement, and of peptide bonds between them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Final

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.peptide import ideal_geometry as ideal
from crysformer.peptide.ideal_geometry import distance_across
from crysformer.peptide.restraints import Restraints

_BOND, _ACROSS, _FLAT = 0.02, 0.04, 0.06  # standard deviations of distances of a peptide bond, A
_LEAST_SIGMA: Final = 0.01  # A
_TRANS: Final = 90.0  # degrees, omega beyond which a peptide bond is trans
#: Distance of two CA across a trans and a cis peptide bond, A.
_CA_CA: Final = (3.80, 2.95)


class MonomerGeometry:
    """Distances and chiral volumes of residues with dictionaries.

    Angles become distances of their ends; atoms of a plane keep the distances of the dictionary's
    coordinates, if it has any, and its centres stay flat. Hydrogens are left out.

    Parameters
    ----------
    xyz
        Positions of all atoms of the model, shape (n, 3), A.
    """

    def __init__(self, xyz: NDArray[np.float64]) -> None:
        self.xyz = xyz
        self._distance: dict[tuple[int, int], tuple[float, float]] = {}
        self._bonds: list[tuple[int, int]] = []
        self._volume: dict[tuple[int, ...], float] = {}

    @property
    def used(self) -> bool:
        """Whether there are any restraints."""
        return bool(self._distance)

    def add(self, monomer: gemmi.ChemComp, rows: Mapping[str, int]) -> None:
        """Restrain a residue.

        Parameters
        ----------
        monomer
            Restraints of its kind.
        rows
            Row of each of its atoms.
        """
        hydrogens = {atom.id for atom in monomer.atoms if atom.is_hydrogen()}
        present = {name: row for name, row in rows.items() if name not in hydrogens}
        length: dict[frozenset[str], float] = {}
        for bond in monomer.rt.bonds:
            names = (bond.id1.atom, bond.id2.atom)
            length[frozenset(names)] = bond.value
            if present.keys() >= set(names):
                self._bond(present[names[0]], present[names[1]], bond.value, bond.esd)
        for angle in monomer.rt.angles:
            first, vertex, second = angle.id1.atom, angle.id2.atom, angle.id3.atom
            one = length.get(frozenset((first, vertex)), math.nan)
            other = length.get(frozenset((second, vertex)), math.nan)
            if present.keys() >= {first, second} and not math.isnan(one + other):
                distance = distance_across(one, other, angle.value)
                sine = math.sin(math.radians(angle.value))
                sigma = math.radians(angle.esd) * one * other * sine / distance
                self._pair(present[first], present[second], distance, sigma)
        for centre in monomer.rt.chirs:
            ids = (centre.id_ctr, centre.id1, centre.id2, centre.id3)
            if all(i.atom in present for i in ids):
                self._centre(monomer, centre, tuple(present[i.atom] for i in ids))
        for plane in monomer.rt.planes:
            self._plane(monomer, [i.atom for i in plane.ids if i.atom in present], present)

    def add_peptide_bond(self, before: Mapping[str, int], after: Mapping[str, int]) -> None:
        """Join C of one residue to N of the next: length, angles, and flat, as it lies.

        Parameters
        ----------
        before, after
            Row of each atom of the two residues; CH3 of an acetyl group counts as CA.
        """
        c, n = before["C"], after["N"]
        self._bond(c, n, ideal.C_N, _BOND)
        alpha, oxygen = before.get("CA", before.get("CH3")), before.get("O")
        beyond = after.get("CA")
        if alpha is not None:
            self._pair(alpha, n, distance_across(ideal.CA_C, ideal.C_N, ideal.CA_C_N), _ACROSS)
        if oxygen is not None:
            around = 360.0 - ideal.CA_C_N - ideal.CA_C_O
            self._pair(oxygen, n, distance_across(ideal.C_O, ideal.C_N, around), _ACROSS)
        if beyond is not None:
            self._pair(c, beyond, distance_across(ideal.C_N, ideal.N_CA, ideal.C_N_CA), _ACROSS)
        if alpha is not None and oxygen is not None:
            self._volume[c, alpha, oxygen, n] = 0.0
        if alpha is not None and beyond is not None:
            ends = [gemmi.Position(*self.xyz[i].tolist()) for i in (alpha, c, n, beyond)]
            omega = abs(math.degrees(gemmi.calculate_dihedral(*ends)))
            self._pair(alpha, beyond, _CA_CA[0 if omega > _TRANS else 1], _FLAT)

    def restraints(self) -> Restraints:
        """All of them."""
        pairs = torch.tensor(list(self._distance), dtype=torch.int64).reshape(-1, 2)
        values = torch.tensor(list(self._distance.values()), dtype=torch.float32).reshape(-1, 2)
        return Restraints(
            pairs[:, 0],
            pairs[:, 1],
            values[:, 0],
            values[:, 1],
            torch.tensor(self._bonds, dtype=torch.int64).reshape(-1, 2),
            torch.tensor(list(self._volume), dtype=torch.int64).reshape(-1, 4),
            torch.tensor(list(self._volume.values()), dtype=torch.float32),
        )

    def _bond(self, a: int, b: int, distance: float, sigma: float) -> None:
        self._bonds.append((min(a, b), max(a, b)))
        self._pair(a, b, distance, sigma)

    def _pair(self, a: int, b: int, distance: float, sigma: float) -> None:
        if math.isfinite(distance) and math.isfinite(sigma):
            pair = (min(a, b), max(a, b))
            self._distance.setdefault(pair, (distance, max(sigma, _LEAST_SIGMA)))

    def _centre(
        self, monomer: gemmi.ChemComp, centre: gemmi.Restraints.Chirality, rows: tuple[int, ...]
    ) -> None:
        """Add a chiral centre; one of either hand keeps that which it has."""
        volume = monomer.rt.chiral_abs_volume(centre)
        arms = self.xyz[list(rows[1:])] - self.xyz[rows[0]]
        negative = centre.sign == gemmi.ChiralityType.Negative
        if centre.sign == gemmi.ChiralityType.Both:
            negative = float(np.linalg.det(arms)) < 0
        if math.isfinite(volume):
            self._volume[rows] = -volume if negative else volume

    def _plane(self, monomer: gemmi.ChemComp, names: list[str], rows: Mapping[str, int]) -> None:
        for vertex in names:
            near = [
                other
                for bond in monomer.rt.bonds
                for one, other in itertools.permutations((bond.id1.atom, bond.id2.atom))
                if one == vertex and other in names
            ]
            if len(near) == 3:
                self._volume[tuple(rows[name] for name in (vertex, *near))] = 0.0
        if not monomer.has_coordinates:
            return
        place = {atom.id: np.array(atom.xyz.tolist()) for atom in monomer.atoms}
        for a, b in itertools.combinations(names, 2):
            self._pair(rows[a], rows[b], float(np.linalg.norm(place[a] - place[b])), _FLAT)
