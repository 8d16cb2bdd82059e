"""Agreement of a model with a map: correlation of densities, of amplitudes, and by residue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.building.tracing.chain_ends import shown_atoms
from crysformer.building.tracing.search_map import MapCoefficients, SearchMap
from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factors
from crysformer.crystal.normalisation import normalized_amplitudes
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import Radiation
from crysformer.crystal.unit_cell import frac_matrix, orth_matrix
from crysformer.peptide.geometry import Peptides

_RESIDUE_SPACING = 0.35  # A, of the grid for correlations of residues
# Points at which the densities of a residue are compared: its atoms, and around them.
_AROUND = 0.8  # A


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement of one model with a map.

    Attributes
    ----------
    map_correlation
        Correlation of the model's density and the map over the whole cell.
    amplitude_correlation
        Correlation of |E| of model and map: independent of the map's phases.
    residue_correlations
        Correlation of the densities at the atoms of each residue and around them, (residues,).
    """

    map_correlation: float
    amplitude_correlation: float
    residue_correlations: NDArray[np.float64]


class ModelAgreement:
    """Agreement of models of some chains with a map, without second oxygens it does not show.

    Parameters
    ----------
    coefficients
        The map's structure factors.
    search_map
        The map.
    peptides
        The chains of the asymmetric unit.
    b_iso
        B of all atoms, A^2.
    radiation
        Which scattering factors apply.
    """

    def __init__(
        self,
        coefficients: MapCoefficients,
        search_map: SearchMap,
        peptides: Peptides,
        b_iso: float,
        radiation: Radiation = "xray",
    ) -> None:
        self.coefficients, self.search_map, self.peptides = coefficients, search_map, peptides
        self.b_iso, self.radiation = b_iso, radiation
        self._to_frac = torch.as_tensor(frac_matrix(coefficients.cell), dtype=torch.float32)
        self._orth = torch.as_tensor(orth_matrix(coefficients.cell), dtype=torch.float32)
        self._d = coefficients.d_star_sq.double().numpy() ** -0.5
        self._e = normalized_amplitudes(coefficients.F.abs().double().numpy(), self._d)
        self._number = torch.as_tensor(peptides.number)

    def structure_factors(self, xyz: Tensor) -> Tensor:
        """F of the map's reflections, shape (n_reflections,), of one model (n, 3), A."""
        shown = shown_atoms(self.search_map, self.peptides, xyz[None])[0]
        frac = xyz @ self._to_frac.mT
        ops = [
            (torch.as_tensor(r).float(), torch.as_tensor(t).float())
            for r, t in operators(self.coefficients.space_group, centred=True)
        ]
        mates = torch.cat([frac @ r.mT + t for r, t in ops])[None]
        batch = AtomBatch(
            frac=mates,
            number=self._number.repeat(len(ops))[None],
            b_iso=torch.full(mates.shape[:2], self.b_iso),
            occupancy=shown.float().repeat(len(ops))[None],
        )
        hkl = self.coefficients.hkl.float()
        return structure_factors(batch, self._orth, hkl, self.radiation)[0]

    def correlations(self, xyz: Tensor) -> tuple[float, float]:
        """Correlations of maps and of |E|, of one model (n, 3), A."""
        F = self.structure_factors(xyz)
        return self._correlations(F)

    def _correlations(self, F: Tensor) -> tuple[float, float]:
        of_map = self.coefficients.F
        norm = torch.linalg.vector_norm(F) * torch.linalg.vector_norm(of_map)
        of_density = float((of_map.conj() * F).real.sum() / norm.clamp(min=1e-30))
        e = normalized_amplitudes(F.abs().double().numpy(), self._d)
        return of_density, float(np.corrcoef(e, self._e)[0, 1])

    def full(self, xyz: Tensor) -> Agreement:
        """All figures of one model (n, 3), A."""
        F = self.structure_factors(xyz)
        maps = []
        for values in (F, self.coefficients.F):
            on_grid = self.coefficients.with_values(values).map_on(_RESIDUE_SPACING)
            cell, group = self.coefficients.cell, self.coefficients.space_group
            maps.append(SearchMap(on_grid, cell, group))
        shown = shown_atoms(self.search_map, self.peptides, xyz[None])[0]
        offsets = _AROUND * torch.cat((torch.zeros(1, 3), torch.eye(3), -torch.eye(3)))
        model, observed = (m.at(xyz[:, None] + offsets) for m in maps)
        residues = []
        for i in range(len(self.peptides.codes)):
            own = torch.as_tensor(self.peptides.residue == i) & shown
            pair = torch.stack((model[own].flatten(), observed[own].flatten()))
            residues.append(float(torch.corrcoef(pair)[0, 1]))
        return Agreement(*self._correlations(F), np.array(residues))
