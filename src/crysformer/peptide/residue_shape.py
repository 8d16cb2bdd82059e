"""Shapes of residues from which chains are built: atoms on a backbone, and rotatable bonds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.peptide.component import Component
from crysformer.peptide.conformers import template_coordinates
from crysformer.peptide.modified_residues import definitions
from crysformer.peptide.residues import BACKBONE, D_NAME_OF, LETTER_OF, NAME_OF, atoms_of

#: Rotatable bonds of side chains, by residue: chi 1, chi 2, ...
_CHI: Final = {
    "ARG": "CA-CB CB-CG CG-CD CD-NE",
    "ASN": "CA-CB CB-CG",
    "ASP": "CA-CB CB-CG",
    "CYS": "CA-CB",
    "GLN": "CA-CB CB-CG CG-CD",
    "GLU": "CA-CB CB-CG CG-CD",
    "HIS": "CA-CB CB-CG",
    "ILE": "CA-CB CB-CG1",
    "LEU": "CA-CB CB-CG",
    "LYS": "CA-CB CB-CG CG-CD CD-CE",
    "MET": "CA-CB CB-CG CG-SD",
    "PHE": "CA-CB CB-CG",
    "SER": "CA-CB",
    "THR": "CA-CB",
    "TRP": "CA-CB CB-CG",
    "TYR": "CA-CB CB-CG",
    "VAL": "CA-CB",
}
_D_NAMES: Final = frozenset(D_NAME_OF.values())


@dataclass(frozen=True, eq=False)
class ResidueShape:
    """Heavy atoms of a residue inside a chain, and the bonds that rotate.

    Attributes
    ----------
    atoms
        Names; the first four are N, CA, C and O.
    number
        Atomic number of each.
    xyz
        CA at the origin, C along x, N in the xy plane, shape (n, 3), A. O is not in its place,
        which depends on the next residue.
    bonds
        Pairs of atoms; None where they are to be found from distances.
    chi
        Rotatable bonds of the side chain, atoms by name, the one nearer to CA first.
    ring
        Whether a ring holds N and CA and thus phi, as in proline.
    on_nitrogen
        Atoms bonded to N, but CA and those of such a ring: the methyl of N-methylated residues, in
        the plane of the peptide bond. Further atoms bonded to them are not known to occur.
    """

    atoms: tuple[str, ...]
    number: tuple[int, ...]
    xyz: NDArray[np.float64]
    bonds: tuple[tuple[str, str], ...] | None
    chi: tuple[tuple[str, str], ...]
    ring: bool = False
    on_nitrogen: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def residue_shape(name: str) -> ResidueShape:
    """Shape of a residue by its three-letter name.

    The twenty have the most common conformer of the data set, their D residues its mirror image,
    others the ideal coordinates of their definition.

    Raises
    ------
    KeyError
        If the residue is unknown or has no definition.
    """
    letter = LETTER_OF.get(name)
    if letter is None:
        return _of_component(definitions()[name])
    plain = NAME_OF[letter]
    atoms = atoms_of(letter)
    hand = (1, 1, -1) if name in _D_NAMES else (1, 1, 1)
    return ResidueShape(
        atoms=atoms,
        number=tuple(gemmi.Element(atom[0]).atomic_number for atom in atoms),
        xyz=np.array(hand) * template_coordinates()[plain],
        bonds=None,
        chi=tuple(_pair(bond) for bond in _CHI.get(plain, "").split()),
        ring=plain == "PRO",
    )


def _pair(bond: str) -> tuple[str, str]:
    first, second = bond.split("-")
    return first, second


def _of_component(component: Component) -> ResidueShape:
    """Shape from a definition: side-chain atoms by their distance in bonds from CA."""
    kept = {
        name: i
        for i, (name, element) in enumerate(zip(component.atoms, component.element, strict=True))
        if element not in ("H", "D") and name != "OXT"
    }
    element = dict(zip(component.atoms, component.element, strict=True))
    order: dict[frozenset[str], float] = {}
    linked = defaultdict[str, list[str]](list)
    for i, j, value in component.bonds:
        a, b = component.atoms[i], component.atoms[j]
        if a in kept and b in kept:
            order[frozenset((a, b))] = value
            linked[a].append(b)
            linked[b].append(a)
    steps = {"CA": 0}
    waiting = ["CA"]
    for atom in waiting:
        for other in linked[atom]:
            if other not in steps and not (atom == "CA" and other in ("N", "C")):
                steps[other] = steps[atom] + 1
                waiting.append(other)
    ring = "N" in steps  # reached through the side chain
    on_nitrogen = () if ring else tuple(x for x in linked["N"] if x != "CA")
    side = [x for x in kept if x not in BACKBONE and x not in on_nitrogen]
    side.sort(key=lambda x: steps.get(x, len(kept)))
    atoms = (*BACKBONE, *side, *on_nitrogen)
    rows = [kept[x] for x in atoms]
    xyz = component.xyz[rows]
    axes = backbone_axes(*xyz[:3])
    fixed = {frozenset(bond) for bond in order if _is_rigid(bond, order, linked, element)}
    chi = [
        (a, b)
        for a in ("CA", *side)
        for b in sorted(linked[a], key=atoms.index)
        if b in side
        and steps[b] == steps[a] + 1
        and len(linked[b]) > 1
        and frozenset((a, b)) not in fixed
        and _separates(linked, a, b)
    ]
    return ResidueShape(
        atoms=atoms,
        number=tuple(gemmi.Element(component.element[i]).atomic_number for i in rows),
        xyz=(xyz - xyz[1]) @ axes,
        bonds=tuple((a, b) for a, b in map(sorted, order)),
        chi=tuple(chi),
        ring=ring,
        on_nitrogen=on_nitrogen,
    )


def backbone_axes(
    n: NDArray[np.float64], ca: NDArray[np.float64], c: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Axes of a residue's backbone as columns: x from CA to C, N in the plane of x and y."""
    x = (c - ca) / np.linalg.norm(c - ca)
    y = (n - ca) - ((n - ca) @ x) * x
    y /= np.linalg.norm(y)
    return np.stack((x, y, np.cross(x, y)), axis=1)


def _is_rigid(
    bond: frozenset[str],
    order: dict[frozenset[str], float],
    linked: dict[str, list[str]],
    element: dict[str, str],
) -> bool:
    """Test for a double bond, or a single one between nitrogen and an unsaturated carbon."""
    if order[bond] > 1:
        return True
    for nitrogen, carbon in (tuple(bond), tuple(bond)[::-1]):
        others = [order[frozenset((carbon, x))] for x in linked[carbon]]
        if (element[nitrogen], element[carbon]) == ("N", "C") and max(others) > 1:
            return True
    return False


def _separates(linked: dict[str, list[str]], a: str, b: str) -> bool:
    """Test for a bond in no ring: without it, its atoms are not connected."""
    seen = {b}
    waiting = [b]
    for atom in waiting:
        for other in linked[atom]:
            if {atom, other} == {a, b} or other in seen:
                continue
            if other == a:
                return False
            seen.add(other)
            waiting.append(other)
    return True
