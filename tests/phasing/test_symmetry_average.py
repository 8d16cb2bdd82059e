"""Averaging half grids over a space group placed anywhere."""

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.maps import density_from_grid, grid_to_hkl
from crysformer.crystal.symmetry import p1_mapping
from crysformer.phasing.symmetry_average import SymmetryAverage, symmetry_average_p1

SHAPE = (24, 24, 20)


def random_grid(seed: int) -> torch.Tensor:
    density = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(seed)).double()
    F = torch.fft.rfftn(density, dim=(-3, -2, -1)).conj()
    F[:, 0, 0, 0] = 0
    F[:, SHAPE[0] // 2] = 0
    F[:, :, SHAPE[1] // 2] = 0
    F[:, :, :, SHAPE[2] // 2] = 0
    return F


@pytest.mark.parametrize("name", ["P 1 21 1", "P 21 21 21", "P 41 21 2", "I 41", "C 2 2 21", "P 3"])
def test_the_average_obeys_the_group_and_is_kept_by_it(name: str) -> None:
    sg = gemmi.SpaceGroup(name)
    shift = np.array([0.1234, 0.031, -0.27])
    average = SymmetryAverage(sg, shift, SHAPE, dtype=torch.complex128)
    F = random_grid(0)
    G = average(F)
    torch.testing.assert_close(average(G), G)
    cell = gemmi.UnitCell(10, 10, 10, 90, 90, 120 if name == "P 3" else 90)
    unique = gemmi.make_miller_array(cell, sg, 1.7).astype(np.int32)
    mapping = p1_mapping(unique, sg)

    def at_origin(hkl: np.ndarray) -> np.ndarray:
        return grid_to_hkl(G, torch.as_tensor(hkl)).numpy() * np.exp(-2j * np.pi * hkl @ shift)

    values, parents = at_origin(mapping.hkl), at_origin(unique)[:, mapping.parent]
    expected = np.where(mapping.conjugate, parents.conj(), parents) * np.exp(1j * mapping.shift)
    np.testing.assert_allclose(values, expected, atol=1e-9)
    assert np.abs(values).mean() > 1


def test_it_is_the_average_of_the_density() -> None:
    """P2 about an axis on grid points: the map and its turned copy, added by hand."""
    sg = gemmi.SpaceGroup("P 1 2 1")
    F = random_grid(1)
    shift = np.array([3 / SHAPE[0], 0.0, 4 / SHAPE[2]])
    averaged = density_from_grid(symmetry_average_p1(F, sg, shift, SHAPE), SHAPE, 1.0)
    rho = density_from_grid(F, SHAPE, 1.0)
    u = (2 * 3 - torch.arange(SHAPE[0])) % SHAPE[0]
    w = (2 * 4 - torch.arange(SHAPE[2])) % SHAPE[2]
    turned = rho[:, u][:, :, :, w]
    torch.testing.assert_close(averaged, (rho + turned) / 2)


def test_centring_leaves_only_reflections_of_the_lattice() -> None:
    G = symmetry_average_p1(random_grid(2), gemmi.SpaceGroup("I 1 2 1"), np.zeros(3), SHAPE)
    h, k, l = np.meshgrid(  # noqa: E741
        *[np.fft.fftfreq(n, 1 / n) for n in SHAPE[:2]], np.arange(SHAPE[2] // 2 + 1), indexing="ij"
    )
    odd = torch.as_tensor((h + k + l) % 2 != 0)
    assert (G[:, odd] == 0).all()
    assert (G[:, ~odd].abs() > 0).double().mean() > 0.7
