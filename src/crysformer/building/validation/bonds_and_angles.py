"""Bond lengths and bond angles of a model against their ideal values."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import combinations
from typing import Any

import gemmi
import numpy as np

from crysformer.building.validation.conformers import Conformer, Site
from crysformer.building.validation.residue_topology import parent
from crysformer.building.validation.settings import ValidationSettings
from crysformer.peptide import ideal_geometry as ideal

_TABLE = "ideal_values.json"
#: Ends of chains, which fragments from their middle do not have: (value, standard deviation).
_CARBOXYLATE = {
    ("C", "OXT"): (ideal.C_OXT, 0.02),
    ("CA", "C", "OXT"): (ideal.CA_C_OXT, 2.0),
    ("O", "C", "OXT"): (125.0, 2.0),
}
_ACETYL = {
    ("C", "O"): (ideal.C_O, 0.02),
    ("C", "CH3"): (ideal.ACETYL_C_CH3, 0.02),
    ("CH3", "C", "O"): (121.0, 2.0),
}
_ACETYL_LINK = {("CH3", "C", "N+"): (ideal.CA_C_N, 2.0)}

#: Disulphide bridges (Engh & Huber): the bond, and the angle CB-SG-SG.
_BRIDGE, _BRIDGE_ANGLE = (2.033, 0.016), (103.8, 1.8)
_LONGEST_BRIDGE = 2.5  # A

Values = dict[tuple[str, ...], tuple[float, float]]


@dataclass(frozen=True)
class Deviation:
    """Bond or bond angle far from its ideal value.

    Attributes
    ----------
    site, atoms
        Residue and names of the atoms; those of the next residue end in ``+``.
    value, ideal
        A or degrees.
    z
        Deviation in standard deviations.
    """

    site: Site
    atoms: tuple[str, ...]
    value: float
    ideal: float
    z: float

    def to_summary(self) -> dict[str, Any]:
        """Plain values for `summary.json`."""
        return self.site.to_summary() | {
            "atoms": "-".join(self.atoms),
            "value": round(self.value, 3),
            "ideal": round(self.ideal, 3),
            "z": round(self.z, 1),
        }


@dataclass(frozen=True)
class Deviations:
    """All bonds, or all bond angles, of a model.

    Attributes
    ----------
    n
        Their number; those of residues without ideal values are not counted.
    rms, rms_z
        Root mean square deviation in A or degrees, and in standard deviations; NaN without any.
    outliers
        Largest first.
    """

    n: int
    rms: float
    rms_z: float
    outliers: tuple[Deviation, ...]


def bond_and_angle_deviations(
    conformers: list[Conformer],
    settings: ValidationSettings,
    dictionary: gemmi.MonLib | None = None,
) -> tuple[Deviations, Deviations, tuple[str, ...]]:
    """Compare bonds and bond angles between atoms other than hydrogen with their ideal values.

    Ideal values of the twenty residues and their D forms are medians of deposited models
    (`ideal_values.json`); those of ends are of `crysformer.peptide.ideal_geometry`; other
    residues take those of the dictionary.

    Returns
    -------
    (bonds, angles, names)
        The names of the residues that have no ideal values.
    """
    found: list[Deviation] = []
    without = set()
    for conformer in conformers:
        values = _ideal_values(conformer, dictionary)
        if values is None:
            without.add(conformer.site.name)
            continue
        found += _deviations(conformer, values, settings)
    found += _disulphides(conformers, settings)
    bonds = [d for d in found if len(d.atoms) == 2]
    angles = [d for d in found if len(d.atoms) == 3]
    limit = settings.outlier_z
    return _summary(bonds, limit), _summary(angles, limit), tuple(sorted(without))


def ideal_bonds(name: str) -> dict[tuple[str, str], float]:
    """Ideal lengths of the bonds of one of the twenty residues, in both orders of its atoms, A."""
    found = {}
    for atoms, (value, _) in _tables()[name].items():
        if len(atoms) == 2:
            found[atoms[0], atoms[1]] = found[atoms[1], atoms[0]] = value
    return found


def _summary(found: list[Deviation], limit: float) -> Deviations:
    difference = np.array([d.value - d.ideal for d in found])
    z = np.array([d.z for d in found])
    outliers = sorted((d for d in found if abs(d.z) > limit), key=lambda d: -abs(d.z))
    return Deviations(len(found), _rms(difference), _rms(z), tuple(outliers))


def _rms(values: np.ndarray) -> float:
    return math.sqrt((values**2).mean()) if len(values) else math.nan


def _ideal_values(conformer: Conformer, dictionary: gemmi.MonLib | None) -> Values | None:
    """Ideal values of a residue and of its link to the next one; None for an unknown residue."""
    name = conformer.site.name
    standard = parent(name)
    if standard is not None:
        values = dict(_tables()[standard]) | _CARBOXYLATE
    elif name == "ACE":
        values = dict(_ACETYL)
    elif name == "NH2":
        return {}  # all of its geometry is that of the link
    elif dictionary is not None and name in dictionary.monomers:
        values = _of_component(dictionary.monomers[name])
    else:
        return None
    if conformer.after and {"C", "O"} <= conformer.xyz.keys():
        kind = "PRO" if parent(conformer.after_name) == "PRO" else "any"
        link = _tables()[f"link {kind}"]
        values |= link if name != "ACE" else link | _ACETYL_LINK
    return values


def _deviations(
    conformer: Conformer, values: Values, settings: ValidationSettings
) -> Iterator[Deviation]:
    xyz = conformer.xyz | {f"{name}+": x for name, x in conformer.after.items()}
    for atoms, (target, sigma) in values.items():
        if any(name not in xyz for name in atoms):
            continue
        points = [gemmi.Position(*xyz[name]) for name in atoms]
        if len(atoms) == 2:
            value, least = points[0].dist(points[1]), settings.least_bond_sigma
        else:
            value = math.degrees(gemmi.calculate_angle(*points))
            least = settings.least_angle_sigma
        yield Deviation(conformer.site, atoms, value, target, (value - target) / max(sigma, least))


def _disulphides(conformers: list[Conformer], settings: ValidationSettings) -> Iterator[Deviation]:
    """Bonds and angles of disulphide bridges inside the asymmetric unit."""
    halves = [
        c for c in conformers if parent(c.site.name) == "CYS" and {"SG", "CB"} <= c.xyz.keys()
    ]
    for first, second in combinations(halves, 2):
        if first.site.altloc and second.site.altloc and first.site.altloc != second.site.altloc:
            continue
        same_residue = first.site.place == second.site.place
        one, other = (gemmi.Position(*half.xyz["SG"]) for half in (first, second))
        value = one.dist(other)
        if same_residue or value > _LONGEST_BRIDGE:
            continue
        ideal_value, sigma = _BRIDGE
        z = (value - ideal_value) / max(sigma, settings.least_bond_sigma)
        yield Deviation(first.site, ("SG", "SG"), value, ideal_value, z)
        ideal_value, sigma = _BRIDGE_ANGLE
        for half, near, far in ((first, one, other), (second, other, one)):
            beta = gemmi.Position(*half.xyz["CB"])
            value = math.degrees(gemmi.calculate_angle(beta, near, far))
            z = (value - ideal_value) / max(sigma, settings.least_angle_sigma)
            yield Deviation(half.site, ("CB", "SG", "SG"), value, ideal_value, z)


def _of_component(component: gemmi.ChemComp) -> Values:
    """Ideal values of a monomer dictionary, without hydrogens."""
    heavy = {atom.id for atom in component.atoms if not atom.is_hydrogen()}
    values: Values = {}
    for bond in component.rt.bonds:
        values[bond.id1.atom, bond.id2.atom] = (bond.value, bond.esd)
    for angle in component.rt.angles:
        values[angle.id1.atom, angle.id2.atom, angle.id3.atom] = (angle.value, angle.esd)
    return {
        atoms: (value, sigma)
        for atoms, (value, sigma) in values.items()
        if heavy.issuperset(atoms) and math.isfinite(value) and sigma > 0
    }


def standard_values(name: str) -> Values:
    """Ideal values and standard deviations of a standard residue (``"ALA"``), or of a link.

    The keys are names of atoms, two of a bond (A) and three of an angle (degrees). Links to the
    next residue are ``"link any"`` and ``"link PRO"``; names of its atoms end in ``+``.
    """
    return _tables()[name]


@lru_cache(maxsize=1)
def _tables() -> dict[str, Values]:
    text = resources.files(__package__).joinpath(_TABLE).read_text("utf-8")
    return {
        residue: {tuple(atoms.split()): (value, sigma) for atoms, (value, sigma) in rows.items()}
        for residue, rows in json.loads(text)["values"].items()
    }
