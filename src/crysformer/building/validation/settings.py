"""Limits of the validation of models."""

from __future__ import annotations

from dataclasses import dataclass

from crysformer.settings import check_ranges, setting


@dataclass(frozen=True)
class ValidationSettings:
    """Validation of a model: limits beyond which something is an outlier."""

    outlier_z: float = setting(
        4.0, "Deviation of a bond or bond angle, in standard deviations.", min=1.0
    )
    least_bond_sigma: float = setting(
        0.012, "Least standard deviation of a bond length.", unit="A", min=0.001
    )
    least_angle_sigma: float = setting(
        1.5, "Least standard deviation of a bond angle.", unit="degrees", min=0.1
    )
    omega_deviation: float = setting(
        30.0, "Deviation of omega from 0 or 180 degrees.", unit="degrees", min=1.0, max=90.0
    )
    ramachandran_favoured: float = setting(
        0.02, "Fraction of residues of deposited models outside the favoured region.", min=0, max=1
    )
    ramachandran_allowed: float = setting(
        0.002, "Fraction of the same outside the allowed region: outliers.", min=0, max=1
    )
    rotamer_favoured: float = setting(
        0.02, "Fraction of side chains of deposited models that are not favoured.", min=0, max=1
    )
    rotamer_allowed: float = setting(
        0.005, "Fraction of the same that are not allowed: outliers.", min=0, max=1
    )
    clash_overlap: float = setting(
        0.4, "Overlap of the van der Waals radii of a clash.", unit="A", min=0.0
    )
    hydrogen_bond_overlap: float = setting(
        0.4,
        "Overlap that the hydrogen of a hydrogen bond is allowed in addition.",
        unit="A",
        min=0.0,
    )
    low_correlation: float = setting(
        0.7, "Map correlation of a residue that is worth a look.", min=-1.0, max=1.0
    )
    peak_sigma: float = setting(
        4.0, "Least height of a peak of the difference map.", unit="rms", min=1.0
    )
    most_peaks: int = setting(100, "Peaks of either sign that are listed.", min=1)

    def __post_init__(self) -> None:
        check_ranges(self)
