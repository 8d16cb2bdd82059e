import math

import gemmi
import numpy as np
import pytest
import torch

from crysformer.building.tracing.search_map import MapCoefficients, SearchMap
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.operators import operators
from crysformer.crystal.unit_cell import orth_matrix

CELL = gemmi.UnitCell(11, 9, 13, 90, 105, 90)
P21 = gemmi.SpaceGroup("P 1 21 1")


def wave(shape: tuple[int, int, int], hkl: tuple[int, int, int]) -> np.ndarray:
    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    return np.cos(2 * math.pi * (grid @ np.array(hkl)) + 0.4).astype(np.float32)


def test_a_wave_is_found_on_any_grid_and_between_its_points() -> None:
    density = DensityMap(wave((16, 14, 18), (2, -1, 3)), CELL, P21)
    coefficients = MapCoefficients(density, 2.5)
    at = SearchMap(coefficients.map_on(0.2), CELL, P21)
    generator = torch.Generator().manual_seed(1)
    frac = 4 * torch.rand(50, 3, generator=generator) - 2
    xyz = frac @ torch.as_tensor(orth_matrix(CELL), dtype=torch.float32).mT
    angle = 2 * math.pi * frac @ torch.tensor([2.0, -1.0, 3.0]) + 0.4
    expected = math.sqrt(2) * torch.cos(angle)  # of standard deviation one
    assert at.at(xyz).numpy() == pytest.approx(expected.numpy(), abs=0.03)


def test_the_gradient_is_that_of_the_interpolated_density() -> None:
    density = DensityMap(wave((16, 14, 18), (2, -1, 3)), CELL, P21)
    at = SearchMap(MapCoefficients(density, 2.5).map_on(0.5), CELL, P21)
    xyz = torch.tensor([[1.03, 2.21, 3.37], [-4.1, 0.7, 8.9]], dtype=torch.float32)
    gradient = at.with_gradient(xyz)[1]
    step = 1e-2
    for axis in range(3):
        moved = torch.zeros(3)
        moved[axis] = step
        slope = (at.at(xyz + moved) - at.at(xyz - moved)) / (2 * step)
        assert gradient[:, axis].numpy() == pytest.approx(slope.numpy(), abs=5e-3)


def test_density_is_removed_about_atoms_and_their_mates_only() -> None:
    at = SearchMap(torch.ones(22, 18, 26), CELL, P21)
    at.values = torch.ones_like(at.values)
    atom = torch.tensor([[1.0, 2.0, 3.0]])
    masked = at.without(atom, 1.0)
    frac = atom @ at.to_frac.mT
    for rotation, translation in operators(P21):
        mate = frac @ torch.as_tensor(rotation).float().mT + torch.as_tensor(translation).float()
        assert float(masked.at(mate @ at.orth.mT)) == 0.0
    removed = float((masked.values == 0).float().mean()) * CELL.volume
    assert removed == pytest.approx(2 * 4 / 3 * math.pi, rel=0.2)
