"""One phase set on its way to becoming the solution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from crysformer.peptide.model import PeptideModel
from crysformer.phasing.atomic_model import EqualAtoms
from crysformer.phasing.merit.confidence import confidence
from crysformer.phasing.merit.figures import Figures


@dataclass(frozen=True, eq=False)
class Candidate:
    """One phase set in P1.

    Attributes
    ----------
    method
        Name of the method that found the phases.
    F
        Measured amplitudes with the phases found, half grid.
    model
        Structure factors of what the phases stand for (modified density or atoms), half grid, on
        the scale of the grid.
    figures
        Figures of merit; their type says what `model` is made of.
    positive_fraction
        Fraction of the voxels above the level in density modification.
    atoms
        Refined atoms, where there are any (a batch of one).
    peptide
        Peptide model that the phases are of, if they come from the sequence search.
    hand_log_odds
        Log odds that this hand is right, from the origin of the phases alone.
    symmetry
        Fraction of the confidence that the space group leaves (`symmetry_factor`), if that was
        looked at.
    """

    method: str
    F: Tensor
    model: Tensor
    figures: Figures
    positive_fraction: float
    atoms: EqualAtoms | None = None
    peptide: PeptideModel | None = None
    hand_log_odds: float = 0.0
    symmetry: float | None = None

    @cached_property
    def confidence(self) -> float:
        """Probability that the phases are right, 0 to 1; decided here and nowhere else."""
        return confidence(self.figures, self.symmetry)
