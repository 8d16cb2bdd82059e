"""Sample crystals of the demonstration, with their models for scoring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Sample:
    """One bundled crystal.

    Attributes
    ----------
    name
        Short name, for folders.
    title
        Description.
    sequence
        One-letter codes.
    data_file, model_file
        Measured amplitudes, and the true or deposited model.
    synthetic
        True if the amplitudes were calculated.
    time_limit
        Time limit of the solver in the demonstration, s.
    expectation
        Expected result, for the user.
    """

    name: str
    title: str
    sequence: str
    data_file: str
    model_file: str
    synthetic: bool
    time_limit: float
    expectation: str

    @property
    def data_path(self) -> Path:
        """Path of the reflections."""
        return FOLDER / self.data_file

    @property
    def model_path(self) -> Path:
        """Path of the model."""
        return FOLDER / self.model_file


_DIPEPTIDE = "solved within seconds, mean phase error below 25 degrees"

SAMPLES = (
    Sample(
        "fifteen", "15 residues, synthetic, P1 cell 41 x 30 x 24 A, 1.5 A", "ALDQVDLYLVHWPTP",
        "fifteen.mtz.gz", "fifteen.pdb", True, 20.0,
        "solved, mean phase error below 15 degrees",
    ),
    Sample(
        "wk", "dipeptide Trp-Lys, synthetic, tight P1 cell, 1.5 A", "WK",
        "wk.mtz.gz", "wk.pdb", True, 10.0, _DIPEPTIDE,
    ),
    Sample(
        "yf", "dipeptide Tyr-Phe, synthetic, tight P1 cell, 1.5 A", "YF",
        "yf.mtz.gz", "yf.pdb", True, 10.0, _DIPEPTIDE,
    ),
    Sample(
        "gf", "dipeptide Gly-Phe, synthetic, tight P1 cell, 1.5 A", "GF",
        "gf.mtz.gz", "gf.pdb", True, 10.0, _DIPEPTIDE,
    ),
    Sample(
        "5e5z", "PDB 5E5Z, peptide LVHSSN, measured, P21, 1.66 A", "LVHSSN",
        "5e5z.mtz", "5e5z.pdb.gz", False, 5.0,
        "real data at 1.66 A in so short a time: most likely not solved, and it should say so",
    ),
)  # fmt: skip
