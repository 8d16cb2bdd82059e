"""Validation of a model: geometry, contacts, and its fit to the maps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.map_coefficients import MapCoefficients
from crysformer.building.r_factors import RFactors
from crysformer.building.scaling import ScaledModel
from crysformer.building.validation.bonds_and_angles import (
    Deviations,
    bond_and_angle_deviations,
)
from crysformer.building.validation.chirality import wrong_hands
from crysformer.building.validation.clashes import Clash, clashes, has_hydrogens, heavy_atoms
from crysformer.building.validation.conformers import Site, conformers
from crysformer.building.validation.density_fit import (
    DifferencePeak,
    ResidueFit,
    difference_peaks,
    residue_fits,
)
from crysformer.building.validation.settings import ValidationSettings
from crysformer.building.validation.torsion_angles import (
    PeptideBond,
    TorsionScore,
    peptide_bonds,
    ramachandran,
    rotamers,
)
from crysformer.crystal.reflections import CrystalData
from crysformer.wording import counted


@dataclass(frozen=True, eq=False)
class Validation:
    """Validation of a model.

    Attributes
    ----------
    bonds, angles
        Bond lengths and bond angles against ideal values.
    without_ideal_values
        Names of residues whose bonds and angles are not compared, waters left out.
    wrong_hands
        Chiral centres of another hand than the residue's name says: places and atoms.
    peptide_bonds, ramachandran, rotamers
        All of them, in the order of the model.
    clashes
        Largest overlap first.
    n_heavy_atoms
        Atoms other than hydrogen.
    hydrogens
        Whether the model has hydrogens.
    residues
        Map correlation of each residue, waters included; empty without data.
    peaks
        Peaks and holes of the difference map, highest first; empty without data.
    r
        R factors; None without data.
    settings
        The limits.
    """

    bonds: Deviations
    angles: Deviations
    without_ideal_values: tuple[str, ...]
    wrong_hands: tuple[tuple[Site, str], ...]
    peptide_bonds: tuple[PeptideBond, ...]
    ramachandran: tuple[TorsionScore, ...]
    rotamers: tuple[TorsionScore, ...]
    clashes: tuple[Clash, ...]
    n_heavy_atoms: int
    hydrogens: bool
    residues: tuple[ResidueFit, ...]
    peaks: tuple[DifferencePeak, ...]
    r: RFactors | None
    settings: ValidationSettings

    def to_summary(self) -> dict[str, Any]:
        """The entry ``validation`` of summary.json, as docs/validation.md describes its keys."""
        summary: dict[str, Any] = {
            "bonds": _deviations(self.bonds, 4),
            "angles": _deviations(self.angles, 2),
            "without_ideal_values": list(self.without_ideal_values),
            "wrong_hands": [site.to_summary() | {"atom": a} for site, a in self.wrong_hands],
            "omega": self._omega(),
            "ramachandran": _torsions(self.ramachandran),
            "rotamers": _torsions(self.rotamers),
            "clashes": {
                "n": len(self.clashes),
                "per_1000_atoms": _rounded(
                    1000 * len(self.clashes) / self.n_heavy_atoms if self.n_heavy_atoms else None,
                    1,
                ),
                "hydrogens": self.hydrogens,
                "list": [clash.to_summary() for clash in self.clashes],
            },
        }
        if self.residues:
            summary["map_correlation"] = self._correlations()
        if self.r is not None:
            summary["difference_peaks"] = {
                "above_sigma": self.settings.peak_sigma,
                "n": len(self.peaks),
                "list": [peak.to_summary() for peak in self.peaks],
            }
            summary["shells"] = self.r.to_summary()["shells"]
        return summary

    def text(self) -> str:
        """The figures in one line."""
        verdicts = Counter(score.verdict for score in self.ramachandran)
        parts = [
            f"bonds {self.bonds.rms:.3f} A" if self.bonds.n else "",
            f"angles {self.angles.rms:.1f} degrees" if self.angles.n else "",
            f"Ramachandran {verdicts['favoured']} favoured, {verdicts['allowed']} allowed, "
            f"{verdicts['outlier']} outliers"
            if self.ramachandran
            else "",
            f"rotamer outliers {sum(s.verdict == 'outlier' for s in self.rotamers)} of "
            f"{counted(len(self.rotamers), 'conformer')}"
            if self.rotamers
            else "",
            f"clashes {len(self.clashes)}",
            f"wrong hands {len(self.wrong_hands)}" if self.wrong_hands else "",
        ]
        return "; ".join(part for part in parts if part)

    def _omega(self) -> dict[str, Any]:
        bonds = self.peptide_bonds
        square = np.mean([bond.deviation**2 for bond in bonds]) if bonds else math.nan
        return {
            "n": len(bonds),
            "rms_deviation": _rounded(math.sqrt(square), 1),
            "twisted": [bond.to_summary() for bond in bonds if bond.twisted],
            "cis": [bond.to_summary() for bond in bonds if bond.cis and not bond.before_proline],
            "cis_proline": [
                bond.to_summary() for bond in bonds if bond.cis and bond.before_proline
            ],
        }

    def _correlations(self) -> dict[str, Any]:
        waters = [
            fit for fit in self.residues if gemmi.find_tabulated_residue(fit.site.name).is_water()
        ]
        others = [fit for fit in self.residues if fit not in waters]
        return {
            **self._correlations_of(others),
            "waters": self._correlations_of(waters),
            "residues": [fit.to_summary() for fit in self.residues],
        }

    def _correlations_of(self, fits: Sequence[ResidueFit]) -> dict[str, Any]:
        values = [fit.correlation for fit in fits if math.isfinite(fit.correlation)]
        low = self.settings.low_correlation
        return {
            "n": len(fits),
            "mean": _rounded(float(np.mean(values)) if values else None, 3),
            "least": _rounded(min(values, default=None), 3),
            "low": [fit.to_summary() for fit in fits if fit.correlation < low],
        }


def validate(
    structure: gemmi.Structure,
    data: CrystalData | None = None,
    scaled: ScaledModel | None = None,
    maps: MapCoefficients | None = None,
    r: RFactors | None = None,
    *,
    dictionary: gemmi.MonLib | None = None,
    settings: ValidationSettings | None = None,
) -> Validation:
    """Validate the first model of a structure.

    Parameters
    ----------
    structure
        With cell and space group, if it is a crystal.
    data, scaled, maps, r
        The reflections, the model on their scale, map coefficients and R factors. Without any of
        these only the coordinates are validated.
    dictionary
        Ideal values of residues other than the twenty.
    settings
        Limits.
    """
    settings = settings or ValidationSettings()
    found = list(conformers(structure[0]))
    bonds, angles, without = bond_and_angle_deviations(found, settings, dictionary)
    fits: Sequence[ResidueFit] = ()
    peaks: Sequence[DifferencePeak] = ()
    if data is not None and scaled is not None and maps is not None:
        two_fo_fc = _complex(maps.fwt, maps.phwt)
        fits = residue_fits(structure, data, two_fo_fc, _anisotropic(scaled, data))
        difference = _complex(maps.delfwt, maps.phdelwt)
        peaks = difference_peaks(structure, data, difference, settings)
    return Validation(
        bonds=bonds,
        angles=angles,
        without_ideal_values=without,
        wrong_hands=tuple(wrong_hands(found)),
        peptide_bonds=tuple(peptide_bonds(found, settings)),
        ramachandran=tuple(ramachandran(found, settings)),
        rotamers=tuple(rotamers(found, settings)),
        clashes=tuple(clashes(structure, settings)),
        n_heavy_atoms=heavy_atoms(structure[0]),
        hydrogens=has_hydrogens(structure[0]),
        residues=tuple(fits),
        peaks=tuple(peaks),
        r=r,
        settings=settings,
    )


def _complex(amplitude: NDArray[np.float64], phase: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.asarray(amplitude * np.exp(1j * np.radians(phase)))


def _anisotropic(scaled: ScaledModel, data: CrystalData) -> NDArray[np.complex128]:
    """Structure factors of the atoms with the anisotropy of the crystal, shape (n_data,)."""
    s = data.scattering_vectors
    u = np.array(scaled.u_aniso.as_mat33().tolist())
    return np.asarray(scaled.F_calc * np.exp(-2 * np.pi**2 * np.einsum("ni,ij,nj->n", s, u, s)))


def _deviations(found: Deviations, digits: int) -> dict[str, Any]:
    return {
        "n": found.n,
        "rms": _rounded(found.rms, digits),
        "rms_z": _rounded(found.rms_z, 2),
        "outliers": [outlier.to_summary() for outlier in found.outliers],
    }


def _torsions(scores: Sequence[TorsionScore]) -> dict[str, Any]:
    n = len(scores)
    counts = Counter(score.verdict for score in scores)
    return {
        "n": n,
        **{verdict: counts[verdict] for verdict in ("favoured", "allowed", "outlier")},
        "favoured_fraction": _rounded(counts["favoured"] / n if n else None, 4),
        "outliers": [score.to_summary() for score in scores if score.verdict == "outlier"],
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)
