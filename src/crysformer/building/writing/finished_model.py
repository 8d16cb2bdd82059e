"""Contents of the files of a model."""

from __future__ import annotations

from typing import Protocol

from crysformer.building.map_coefficients import MapCoefficients
from crysformer.building.r_factors import RFactors
from crysformer.building.scaling import ScaledModel
from crysformer.crystal.free_set import FreeSet
from crysformer.crystal.reflections import CrystalData


class FinishedModel(Protocol):
    """Refined model with all that its files tell, such as `crysformer.building.build` returns."""

    @property
    def data(self) -> CrystalData:
        """The crystal that the model was refined against."""

    @property
    def free(self) -> FreeSet:
        """Reflections that refinement left out."""

    @property
    def scaled(self) -> ScaledModel:
        """The model on the scale of the data."""

    @property
    def coefficients(self) -> MapCoefficients:
        """Map coefficients of all reflections."""

    @property
    def r(self) -> RFactors:
        """R factors; R-free is that of the free set."""

    @property
    def k_fold(self) -> RFactors | None:
        """R factors pooled over parts of the data, or None."""

    @property
    def program(self) -> str:
        """Name and version of the program that refined it."""

    @property
    def ab_initio(self) -> bool:
        """True if its phases were found from the amplitudes alone, by this package."""
