"""Peptide bonds, Ramachandran plot and side-chain rotamers of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from crysformer.building.validation.conformers import Conformer, Site, torsion
from crysformer.building.validation.residue_topology import chi_atoms, is_d, parent
from crysformer.building.validation.settings import ValidationSettings
from crysformer.building.validation.torsion_density import (
    ramachandran_densities,
    rotamer_densities,
)

Verdict = Literal["favoured", "allowed", "outlier"]

_CIS = 90.0  # degrees: smaller omega is nearer to cis than to trans


@dataclass(frozen=True)
class PeptideBond:
    """Peptide bond after a residue.

    Attributes
    ----------
    site
        The residue whose C it is.
    omega
        CA-C-N-CA, degrees.
    before_proline
        Whether the next residue is proline.
    deviation
        From planar cis or trans, whichever is nearer, degrees.
    twisted
        Whether the deviation is beyond the limit.
    """

    site: Site
    omega: float
    before_proline: bool
    deviation: float
    twisted: bool

    @property
    def cis(self) -> bool:
        """Whether the bond is nearer to cis than to trans."""
        return abs(self.omega) < _CIS

    def to_summary(self) -> dict[str, Any]:
        """Plain values for `summary.json`."""
        return self.site.to_summary() | {"omega": round(self.omega, 1)}


@dataclass(frozen=True)
class TorsionScore:
    """Torsion angles of a residue beside those of deposited models.

    Attributes
    ----------
    site
        The residue.
    kind
        Class of the Ramachandran plot, or name of the standard residue.
    angles
        phi and psi, or chi 1, chi 2, ..., degrees; of D residues those of the model itself.
    score
        Fraction of residues of deposited models with less likely angles.
    verdict
        By the limits of the settings.
    """

    site: Site
    kind: str
    angles: tuple[float, ...]
    score: float
    verdict: Verdict

    def to_summary(self) -> dict[str, Any]:
        """Plain values for `summary.json`."""
        return self.site.to_summary() | {
            "angles": [round(angle, 1) for angle in self.angles],
            "score": round(self.score, 4),
        }


def peptide_bonds(conformers: list[Conformer], settings: ValidationSettings) -> list[PeptideBond]:
    """Omega of every peptide bond between amino acids."""
    found = []
    for c in conformers:
        atoms = [c.xyz.get("CA"), c.xyz.get("C"), c.after.get("N"), c.after.get("CA")]
        points = [x for x in atoms if x is not None]
        if len(points) == 4:
            omega = torsion(points)
            deviation = min(abs(omega), 180.0 - abs(omega))
            twisted = deviation > settings.omega_deviation
            before_proline = parent(c.after_name) == "PRO"
            found.append(PeptideBond(c.site, omega, before_proline, deviation, twisted))
    return found


def ramachandran(conformers: list[Conformer], settings: ValidationSettings) -> list[TorsionScore]:
    """Phi and psi of the residues that have both, scored by the class of residue.

    D residues are scored as their mirror images, modified residues as general ones.
    """
    densities = ramachandran_densities()
    limits = settings.ramachandran_favoured, settings.ramachandran_allowed
    found = []
    for c in conformers:
        if not c.has_backbone or "C" not in c.before or "N" not in c.after:
            continue
        n, ca, carbon = (c.xyz[name] for name in ("N", "CA", "C"))
        phi = torsion((c.before["C"], n, ca, carbon))
        psi = torsion((n, ca, carbon, c.after["N"]))
        kind = ramachandran_class(c)
        sign = -1.0 if is_d(c.site.name) else 1.0
        score = float(densities[kind].score(sign * np.array([[phi, psi]]))[0])
        found.append(TorsionScore(c.site, kind, (phi, psi), score, _verdict(score, *limits)))
    return found


def ramachandran_class(c: Conformer) -> str:
    """Class of the Ramachandran plot: those of Lovell et al. (2003) and Read et al. (2011)."""
    name = parent(c.site.name)
    if name == "PRO":
        around = [c.before.get("CA"), c.before.get("C"), c.xyz["N"], c.xyz["CA"]]
        points = [x for x in around if x is not None]
        cis = len(points) == 4 and abs(torsion(points)) < _CIS
        return "cis proline" if cis else "trans proline"
    if name == "GLY":
        return "glycine"
    if parent(c.after_name) == "PRO":
        return "before proline"
    return "isoleucine or valine" if name in ("ILE", "VAL") else "general"


def rotamers(conformers: list[Conformer], settings: ValidationSettings) -> list[TorsionScore]:
    """Torsions of the complete side chains of standard residues and their D forms."""
    densities = rotamer_densities()
    limits = settings.rotamer_favoured, settings.rotamer_allowed
    found = []
    for c in conformers:
        name = parent(c.site.name)
        if name not in densities:
            continue
        quads = chi_atoms(name)
        if any(atom not in c.xyz for quad in quads for atom in quad):
            continue
        angles = tuple(torsion([c.xyz[atom] for atom in quad]) for quad in quads)
        sign = -1.0 if is_d(c.site.name) else 1.0
        score = float(densities[name].score(sign * np.array([angles]))[0])
        found.append(TorsionScore(c.site, name, angles, score, _verdict(score, *limits)))
    return found


def _verdict(score: float, favoured: float, allowed: float) -> Verdict:
    if score >= favoured:
        return "favoured"
    return "allowed" if score >= allowed else "outlier"
