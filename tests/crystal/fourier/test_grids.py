from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crysformer.crystal.comparison.compare import pearson
from crysformer.crystal.fourier.grids import (
    d_star_sq_grid,
    density_from_grid,
    grid_from_density,
    grid_shape,
    grid_to_hkl,
    hkl_to_grid,
    patterson_from_grid,
    smooth_size,
)
from crysformer.crystal.fourier.structure_factors import (
    AtomBatch,
    structure_factor_grid,
    structure_factors,
)

Maker = Callable[..., gemmi.Structure]
Contents = Callable[[gemmi.Structure], AtomBatch]
Orth = Callable[[gemmi.UnitCell], torch.Tensor]

# gemmi's own FFT has no odd last axis
GEMMI_SHAPES = [(24, 30, 36), (25, 31, 36), (24, 31, 36), (25, 30, 36)]


def gemmi_map(data: gemmi.ComplexAsuData, shape: tuple[int, int, int]) -> np.ndarray:
    return np.array(data.transform_f_phi_to_map(exact_size=shape))


@pytest.mark.parametrize("shape", GEMMI_SHAPES)
def test_density_and_patterson_equal_gemmi_fft(
    shape: tuple[int, int, int], random_structure: Maker, contents: Contents, orth_of: Orth
) -> None:
    structure = random_structure("P 1")
    cell, p1, d_min = structure.cell, gemmi.SpaceGroup("P 1"), 1.2
    hkl = gemmi.make_miller_array(cell, p1, d_min)
    hkl = hkl[hkl.any(1)]
    atoms, orth = contents(structure), orth_of(cell)
    F = structure_factors(atoms, orth, torch.from_numpy(hkl))[0]
    grid = hkl_to_grid(torch.from_numpy(hkl), F, shape)[None]
    torch.testing.assert_close(grid, structure_factor_grid(atoms, orth, shape, d_min))

    values = F.numpy().astype(np.complex64)
    expected = gemmi_map(gemmi.ComplexAsuData(cell, p1, hkl, values), shape)
    found = density_from_grid(grid, shape, cell.volume)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5 * expected.std())

    squares = (np.abs(values) ** 2).astype(np.complex64)
    expected = gemmi_map(gemmi.ComplexAsuData(cell, p1, hkl, squares), shape)
    found = patterson_from_grid(grid, shape, cell.volume)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5 * expected.std())
    amplitudes = patterson_from_grid(grid.abs(), shape, cell.volume)[0].numpy()
    np.testing.assert_allclose(amplitudes, found, atol=1e-9 * expected.std())


@pytest.mark.parametrize("shape", [(24, 30, 36), (25, 31, 37), (24, 31, 37)])
def test_density_equals_fourier_sum(
    shape: tuple[int, int, int], random_structure: Maker, contents: Contents, orth_of: Orth
) -> None:
    structure = random_structure("P 1")
    cell = structure.cell
    half = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), 1.2)
    hkl = torch.from_numpy(half[half.any(1)])
    atoms, orth = contents(structure), orth_of(cell)
    F = structure_factors(atoms, orth, hkl)[0]
    rho = density_from_grid(structure_factor_grid(atoms, orth, shape, 1.2), shape, cell.volume)[0]
    voxels = torch.cartesian_prod(*(torch.arange(0, n, 9) for n in shape))
    waves = torch.exp(-2j * torch.pi * ((voxels.double() / torch.tensor(shape)) @ hkl.double().T))
    expected = 2 * (waves @ F).real / cell.volume
    found = rho[voxels[:, 0], voxels[:, 1], voxels[:, 2]]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_density_of_a_fragment_equals_gemmi_real_space_density(
    fifteen: gemmi.Structure, contents: Contents, orth_of: Orth
) -> None:
    """An independent road: atoms as Gaussians on a fine grid, then FFT and cut at d_min."""
    calculator = gemmi.DensityCalculatorX()
    calculator.d_min, calculator.rate, calculator.cutoff = 1.5, 3.0, 1e-7
    calculator.set_refmac_compatible_blur(fifteen[0])
    calculator.grid.setup_from(fifteen)
    calculator.put_model_density_on_grid(fifteen[0])
    reciprocal = gemmi.transform_map_to_f_phi(calculator.grid, half_l=True)
    data = reciprocal.prepare_asu_data(dmin=1.5, unblur=calculator.blur)
    hkl = data.miller_array
    grid = structure_factor_grid(contents(fifteen), orth_of(fifteen.cell), (84, 60, 48), 1.5)
    found = grid_to_hkl(grid, torch.from_numpy(hkl))[0].numpy()
    used = hkl.any(1)
    difference = np.abs(found - data.value_array)[used]
    assert difference.max() < 2e-3 * np.sqrt((np.abs(found[used]) ** 2).mean())


@given(st.tuples(*[st.integers(5, 13)] * 3), st.integers(0, 2**31))
@settings(deadline=None, max_examples=40)
def test_density_round_trip(shape: tuple[int, int, int], seed: int) -> None:
    rho = torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed)).double()
    volume = torch.tensor([100.0, 321.0]).double()
    back = density_from_grid(grid_from_density(rho, volume), shape, volume)
    torch.testing.assert_close(back, rho)


@given(st.tuples(*[st.integers(5, 13)] * 3), st.integers(0, 2**31))
@settings(deadline=None, max_examples=40)
def test_list_round_trip_in_both_hemispheres(shape: tuple[int, int, int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    hkl = torch.cartesian_prod(*(torch.arange(-((n - 1) // 2), (n - 1) // 2 + 1) for n in shape))
    hemisphere = (hkl * torch.tensor([1, 100, 10000])).sum(1) > 0
    sign = torch.where(torch.rand(len(hkl), generator=generator) < 0.5, -1, 1)[:, None]
    hkl = (hkl * sign)[hemisphere]
    values = torch.randn(2, len(hkl), dtype=torch.complex128, generator=generator)
    grid = hkl_to_grid(hkl, values, shape)
    torch.testing.assert_close(grid_to_hkl(grid, hkl), values)
    torch.testing.assert_close(grid_to_hkl(grid, -hkl), values.conj())
    # a grid with both Friedel mates in place is the transform of a real map
    rho = density_from_grid(grid, shape, 1.0)
    torch.testing.assert_close(grid_from_density(rho, 1.0), grid)


def test_nyquist_rows() -> None:
    """At even n, h = n/2 and -n/2 are one: the value and its mate land in both k rows."""
    hkl = torch.tensor([[4, 1, 0], [1, 1, 4]])
    values = torch.tensor([2.0, 3.0])
    grid = hkl_to_grid(hkl, values, (8, 8, 8))
    assert grid[4, 1, 0] == grid[4, 7, 0] == 2
    assert grid[1, 1, 4] == grid[7, 7, 4] == 3
    assert int((grid != 0).sum()) == 4
    with pytest.raises(ValueError, match="too coarse"):
        hkl_to_grid(torch.tensor([[5, 0, 0]]), torch.ones(1), (8, 8, 8))


def test_grid_shape_of_the_recipes() -> None:
    assert grid_shape((41.0, 30.0, 24.0), 1.5, multiple_of=4) == (84, 60, 48)
    assert grid_shape(gemmi.UnitCell(11.9, 9.8, 7.7, 90, 90, 90), 1.5, multiple_of=4) == (
        24,
        20,
        16,
    )


@given(
    st.tuples(*[st.floats(4, 120)] * 3),
    st.floats(0.8, 4),
    st.floats(2, 4),
    st.sampled_from([1, 2, 4, 8]),
)
def test_grid_shape_bounds(
    lengths: tuple[float, float, float], d_min: float, sample_rate: float, multiple_of: int
) -> None:
    for n, length in zip(
        grid_shape(lengths, d_min, sample_rate, multiple_of), lengths, strict=True
    ):
        assert n % multiple_of == 0
        assert length / n <= d_min / sample_rate * (1 + 1e-6)
        assert n > 2 * math.floor(length / d_min)
        assert smooth_size(n // multiple_of) == n // multiple_of


def test_d_star_sq_grid_equals_gemmi(orth_of: Orth) -> None:
    cell = gemmi.UnitCell(9.1, 11.3, 12.7, 77.0, 83.5, 101.2)
    grid = d_star_sq_grid(orth_of(cell), (11, 12, 9))[0]
    for hkl in [(1, 2, 3), (-5, 4, 0), (5, -5, 4), (0, 0, 1), (-1, -3, 2)]:
        assert float(grid[hkl]) == pytest.approx(cell.calculate_1_d2(list(hkl)), rel=1e-12)


def test_patterson_is_the_autocorrelation_of_the_density() -> None:
    rho = torch.rand(1, 6, 7, 8, dtype=torch.float64)
    volume = 336.0  # one A^3 a voxel
    patterson = patterson_from_grid(grid_from_density(rho, volume), (6, 7, 8), volume)[0]
    for u in [(0, 0, 0), (1, 0, 0), (2, 3, 5)]:
        shifted = torch.roll(rho[0], [-i for i in u], dims=(0, 1, 2))
        assert float(patterson[u]) == pytest.approx(float((rho[0] * shifted).sum()))


def test_patterson_of_published_densities(shared_dir: Path) -> None:
    """The CrysFormer authors' own pairs of density and Patterson tensors."""
    files = sorted((shared_dir / "reference").glob("maps_*.npz"))
    assert len(files) == 10
    for path in files:
        with np.load(path) as tensors:
            density = torch.from_numpy(tensors["density"])[None].double()
            expected = torch.from_numpy(tensors["patterson"])[None].double()
        F = grid_from_density(density - density.mean(), 1.0)
        shape = (density.shape[1], density.shape[2], density.shape[3])
        found = patterson_from_grid(F, shape, 1.0)
        assert float(pearson(found, expected)) > 0.9999, path.name
