"""A refined model with its scale, maps and R factors, and the choice between two of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.map_coefficients import MapCoefficients, map_coefficients
from crysformer.building.map_values import MapValues
from crysformer.building.model_atoms import count_parameters
from crysformer.building.r_factors import RFactors, r_factors
from crysformer.building.scaling import ScaledModel, ScalingSettings, scale_model
from crysformer.crystal.free_set import FreeSet
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.resolution import resolution_shells

_PER_SHELL, _MOST_SHELLS = 100, 10
#: What each parameter costs in -2 log L (Akaike, IEEE Trans. Automat. Contr. 19, 716, 1974).
_AKAIKE: Final = 2.0


@dataclass(frozen=True, eq=False)
class RefinedState:
    """A refined model beside the data.

    Attributes
    ----------
    data, free
        The crystal and its free set.
    scaled
        The model on the scale of the data; its structure is the model.
    r
        R factors.
    program, cycles, figures
        Name and version of the program that refined it, cycles that led to it, and the program's
        own figures of the last of them; empty of a model that was only scaled.
    """

    data: CrystalData
    free: FreeSet
    scaled: ScaledModel
    r: RFactors
    program: str = ""
    cycles: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of(
        structure: gemmi.Structure, data: CrystalData, free: FreeSet, settings: ScalingSettings
    ) -> RefinedState:
        """Scale a model to the data."""
        scaled = scale_model(structure, data, free, settings=settings)
        return RefinedState(data, free, scaled, r_factors(data, free, scaled.F_model))

    @property
    def structure(self) -> gemmi.Structure:
        """The model."""
        return self.scaled.structure

    @cached_property
    def coefficients(self) -> MapCoefficients:
        """Map coefficients of all reflections, for the files."""
        return map_coefficients(self.data, self.free, self.scaled.F_model)

    @cached_property
    def _for_building(self) -> MapCoefficients:
        return map_coefficients(self.data, self.free, self.scaled.F_model, omit_free=True)

    @cached_property
    def density(self) -> MapValues:
        """2mFo-DFc without the free reflections."""
        c = self._for_building
        return self._map(c.fwt, c.phwt)

    @cached_property
    def difference(self) -> MapValues:
        """mFo-DFc, likewise."""
        c = self._for_building
        return self._map(c.delfwt, c.phdelwt)

    def _map(self, amplitude: NDArray[np.float64], phase: NDArray[np.float64]) -> MapValues:
        coefficients = np.asarray(amplitude * np.exp(1j * np.radians(phase)), dtype=np.complex128)
        return MapValues.of_coefficients(self.data, coefficients)

    @cached_property
    def criterion(self) -> float:
        """Figure that the better of two models of the same data has less of.

        With enough free reflections R-free. With fewer, whose R-free says little, Akaike's
        criterion: -2 log likelihood of the working amplitudes, as Gaussian errors of one size in
        each shell of resolution, and twice the number of parameters.
        """
        if not self.free.few(self.data):
            return self.r.r_free
        used = self.data.measured & ~self.free.free
        deviation = np.where(used, self.data.f, 0.0) - np.abs(self.scaled.F_model)
        cost = _AKAIKE * count_parameters(self.structure)
        shells = resolution_shells(
            self.data.d**-2.0, per_shell=_PER_SHELL, most=_MOST_SHELLS, used=used
        )
        for rows in shells:
            if len(rows):
                variance = max(float((deviation[rows] ** 2).mean()), 1e-12)
                cost += len(rows) * math.log(variance)
        return cost


def better(new: RefinedState, old: RefinedState) -> bool:
    """Whether a change of the model is kept."""
    return math.isfinite(new.criterion) and new.criterion < old.criterion
