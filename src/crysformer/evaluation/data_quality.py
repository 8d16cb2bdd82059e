"""Quality of simulated data: resolution, errors and missing reflections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crysformer.data.recipe import Recipe
from crysformer.data.synthetic.measurement_model import ErrorModel, Missing
from crysformer.data.synthetic.p1_crystal import P1Crystal
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal, measured_crystal
from crysformer.errors import UsageError


@dataclass(frozen=True)
class DataQuality:
    """Quality of a crystal's data; by default exact and complete to 1.5 A.

    Attributes
    ----------
    d_min
        Resolution, A.
    amplitude_error
        x for amplitudes F (1 + x N(0, 1)).
    completeness
        Fraction of the reflections that are measured.
    missing
        Kind of missing reflections, ``"random"`` or a ``"wedge"``.

    Raises
    ------
    UsageError
        If a value is out of range.
    """

    d_min: float = 1.5
    amplitude_error: float = 0.0
    completeness: float = 1.0
    missing: Missing = "random"

    def __post_init__(self) -> None:
        if not 0.5 <= self.d_min <= 10:
            raise UsageError(f"`d_min` is {self.d_min:g} A: expected 0.5 to 10")
        if not 0 <= self.amplitude_error < 1:
            raise UsageError(f"`amplitude_error` is {self.amplitude_error:g}: expected 0 to 1")
        if not 0 < self.completeness <= 1:
            raise UsageError(
                f"`completeness` is {self.completeness:g}: expected above 0, at most 1"
            )

    def measure(
        self,
        crystal: P1Crystal,
        rng: np.random.Generator,
        sample_rate: float = Recipe.sample_rate,
    ) -> SyntheticCrystal:
        """Simulate the measurement of a crystal.

        Parameters
        ----------
        crystal
            Atoms in the unit cell.
        rng
            Source of the errors, drawn first, and of the choice of missing reflections.
        sample_rate
            Grid points of the true density per `d_min`.
        """
        errors = ErrorModel(self.amplitude_error, self.completeness, self.missing)
        return measured_crystal(crystal, self.d_min, errors, rng, sample_rate)
