"""The result of tracing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.peptide.geometry import Peptides


@dataclass(frozen=True, eq=False)
class TracedModel:
    """An all-atom model traced in a map.

    Attributes
    ----------
    structure
        Chains A, B, ... in the order of the sequences, in the crystal's cell and space group,
        without second oxygens of last residues that the map does not show.
    peptides, xyz
        All atoms, these included: names, and Cartesian coordinates, shape (n, 3), A.
    b_iso
        B of all atoms, from the Wilson plot of the map's amplitudes, A^2.
    score
        Probability that the model is right, 0 to 1 (`acceptance.probability`).
    accepted
        Whether the probability reaches the setting `accepted`.
    map_correlation
        Correlation of the model's density and the map over the whole cell.
    amplitude_correlation
        Correlation of |E| of model and map.
    residue_correlations
        Correlation of the densities about each residue, shape (residues,).
    inverted
        Whether the model lies in the inverse of the map that was given.
    modified
        Whether the map was improved by density modification first.
    seconds
        Wall-clock time.
    """

    structure: gemmi.Structure
    peptides: Peptides
    xyz: NDArray[np.float64]
    b_iso: float
    score: float
    accepted: bool
    map_correlation: float
    amplitude_correlation: float
    residue_correlations: NDArray[np.float64]
    inverted: bool = False
    modified: bool = False
    seconds: float = 0.0

    def to_summary(self) -> dict[str, Any]:
        """Figures for summary.json."""
        return {
            "score": round(self.score, 4),
            "accepted": self.accepted,
            "map_correlation": round(self.map_correlation, 4),
            "amplitude_correlation": round(self.amplitude_correlation, 4),
            "residue_correlations": [round(float(x), 3) for x in self.residue_correlations],
            "inverted": self.inverted,
            "density_modified": self.modified,
            "seconds": round(self.seconds, 2),
        }
