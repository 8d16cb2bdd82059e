from __future__ import annotations

from collections.abc import Callable

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.fourier import orthogonal_cells
from crysformer.crystal.fourier import structure_factors as module
from crysformer.crystal.fourier.grids import d_star_sq_grid, grid_shape, grid_to_hkl
from crysformer.crystal.fourier.orthogonal_cells import index_limits, orthogonal_grid
from crysformer.crystal.fourier.structure_factors import (
    AtomBatch,
    reciprocal_metric,
    structure_factor_grid,
    structure_factors,
)
from crysformer.errors import InputError

Maker = Callable[..., gemmi.Structure]
Contents = Callable[[gemmi.Structure], AtomBatch]
Orth = Callable[[gemmi.UnitCell], torch.Tensor]

SPACE_GROUPS = ["P 1", "P 1 21 1", "P 21 21 21", "C 1 2 1"]


def gemmi_sum(structure: gemmi.Structure, hkl: np.ndarray, radiation: str) -> np.ndarray:
    calculators = {
        "xray": gemmi.StructureFactorCalculatorX,
        "electron": gemmi.StructureFactorCalculatorE,
    }
    calculator = calculators[radiation](structure.cell)
    return np.array([calculator.calculate_sf_from_model(structure[0], h) for h in hkl.tolist()])


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))


@pytest.mark.parametrize("radiation", ["xray", "electron"])
@pytest.mark.parametrize("space_group", SPACE_GROUPS)
def test_direct_sum_equals_gemmi(
    space_group: str, radiation: str, random_structure: Maker, contents: Contents, orth_of: Orth
) -> None:
    structure = random_structure(space_group)
    hkl = gemmi.make_miller_array(structure.cell, structure.find_spacegroup(), 1.2)
    expected = gemmi_sum(structure, hkl, radiation)
    found = structure_factors(
        contents(structure), orth_of(structure.cell), torch.from_numpy(hkl), radiation
    )
    difference = found[0].numpy() - expected
    # gemmi evaluates form factors in single precision, which shows in the few strongest
    assert rms(difference) < 1e-6 * rms(expected)
    assert np.abs(difference).max() < 5e-6 * rms(expected)


@pytest.mark.parametrize("space_group", SPACE_GROUPS)
def test_grid_equals_list(
    space_group: str, random_structure: Maker, contents: Contents, orth_of: Orth
) -> None:
    structure = random_structure(space_group)
    cell, d_min = structure.cell, 1.3
    shape = grid_shape(cell, d_min, sample_rate=2.2)
    atoms, orth = contents(structure), orth_of(cell)
    grid = structure_factor_grid(atoms, orth, shape, d_min)
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), d_min)
    hkl = torch.from_numpy(hkl[hkl.any(1)])
    torch.testing.assert_close(
        grid_to_hkl(grid, hkl), structure_factors(atoms, orth, hkl), rtol=1e-10, atol=1e-9
    )
    assert grid[0, 0, 0, 0] == 0
    beyond = d_star_sq_grid(orth, shape) > (1 + 1e-4) / d_min**2
    assert beyond.any()
    assert not grid[beyond].any()


def test_limit_is_inclusive_and_the_same_in_single_precision() -> None:
    atoms = AtomBatch(
        torch.tensor([[[0.1, 0.2, 0.3]]], dtype=torch.float64),
        torch.tensor([[6]]),
        torch.tensor([[20.0]], dtype=torch.float64),
        torch.ones(1, 1, dtype=torch.float64),
    )
    for dtype in (torch.float32, torch.float64):
        orth = torch.diag(torch.tensor([41.0, 30.0, 24.0], dtype=dtype))
        grid = structure_factor_grid(atoms.to(dtype=dtype), orth, (84, 60, 48), 1.5)
        assert grid[0, 0, 20, 0] != 0  # d = 30 / 20 = 1.5 exactly
        assert grid[0, 0, 21, 0] == 0


def test_batch_of_different_cells_equals_one_by_one() -> None:
    generator = torch.Generator().manual_seed(1)
    numbers = torch.tensor([[6, 7, 8, 16, 6], [8, 6, 34, 0, 0], [6, 6, 6, 7, 0]])
    atoms = AtomBatch(
        torch.rand(3, 5, 3, generator=generator, dtype=torch.float64),
        numbers,
        20 + 10 * torch.rand(3, 5, generator=generator, dtype=torch.float64),
        (numbers > 0).double(),
    )
    lengths = torch.tensor([[9.0, 8.0, 7.0], [9.4, 7.7, 7.1], [8.8, 8.1, 6.6]]).double()
    orth, shape = torch.diag_embed(lengths), (20, 18, 15)
    together = structure_factor_grid(atoms, orth, shape, 1.5)
    for i in range(3):
        n = int((numbers[i] > 0).sum())
        alone = AtomBatch(
            atoms.frac[i : i + 1, :n],
            numbers[i : i + 1, :n],
            atoms.b_iso[i : i + 1, :n],
            atoms.occupancy[i : i + 1, :n],
        )
        torch.testing.assert_close(
            structure_factor_grid(alone, orth[i], shape, 1.5)[0], together[i]
        )


@pytest.mark.parametrize("most", [1, 2**18])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_unchecked_sum_equals_the_direct_one(
    dtype: torch.dtype, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orthogonal_cells, "_MAX_CACHED", most)
    generator = torch.Generator().manual_seed(4)
    number = torch.tensor([6, 7, 8, 16, 0])[torch.randint(5, (6, 30), generator=generator)]
    atoms = AtomBatch(
        torch.rand(6, 30, 3, generator=generator, dtype=torch.float64),
        number,
        10 + 20 * torch.rand(6, 30, generator=generator, dtype=torch.float64),
        (number > 0).double() * torch.rand(6, 30, generator=generator, dtype=torch.float64),
    )
    lengths = torch.tensor([10.0, 8.0, 6.0]) + torch.rand(6, 3, generator=generator)
    lengths, shape = lengths.double(), (24, 20, 15)
    # limits and composition need not be tight
    limits = index_limits((11.3, 9.4, 7.6), 1.5)
    composition = ((6, 30), (7, 17), (8, 22), (16, 40), (34, 3))
    found = orthogonal_grid(
        atoms.to(dtype=dtype), lengths.to(dtype), shape, 1.5, limits, composition
    )
    for i in range(6):
        orth = torch.diag(lengths[i])
        inside = d_star_sq_grid(orth, shape)[0]
        inside = (inside > 0) & (inside <= (1 + 1e-5) / 1.5**2)
        u, v, w = inside.nonzero(as_tuple=True)
        hkl = torch.stack(((u + 12) % 24 - 12, (v + 10) % 20 - 10, w), dim=1)
        one = AtomBatch(*(x[i : i + 1] for x in vars(atoms).values()))
        expected = structure_factors(one, orth, hkl)[0]
        tolerance = float(expected.abs().max()) * (1e-10 if dtype == torch.float64 else 1e-5)
        assert (found[i][u, v, w] - expected).abs().max() < tolerance
        assert not found[i][~inside].any()


def test_autocast_changes_no_geometry() -> None:
    orth = torch.diag_embed(torch.tensor([[9.1, 8.3, 7.7], [11.9, 8.2, 6.4]]))
    number = torch.tensor([[6, 8]]).expand(2, -1)
    atoms = AtomBatch(torch.full((2, 2, 3), 0.3), number, torch.full((2, 2), 20.0), number / 8)
    metric, grid = reciprocal_metric(orth), structure_factor_grid(atoms, orth, (28, 20, 16), 1.5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(reciprocal_metric(orth), metric)
        assert torch.equal(structure_factor_grid(atoms, orth, (28, 20, 16), 1.5), grid)


def test_single_precision(fifteen: gemmi.Structure, contents: Contents, orth_of: Orth) -> None:
    atoms, orth = contents(fifteen), orth_of(fifteen.cell)
    double = structure_factor_grid(atoms, orth, (84, 60, 48), 1.5)
    single = structure_factor_grid(atoms.to(dtype=torch.float32), orth, (84, 60, 48), 1.5)
    assert single.dtype == torch.complex64
    scale = double[double != 0].abs().square().mean().sqrt()
    assert float((single - double).abs().max() / scale) < 3e-5


def test_pieces_do_not_change_the_sum(
    monkeypatch: pytest.MonkeyPatch, random_structure: Maker, contents: Contents, orth_of: Orth
) -> None:
    structure = random_structure("P 1")
    hkl = torch.from_numpy(
        gemmi.make_miller_array(structure.cell, structure.find_spacegroup(), 1.5)
    )
    atoms = contents(structure)
    atoms.frac.requires_grad_()

    def sum_and_gradient() -> tuple[torch.Tensor, torch.Tensor]:
        values = structure_factors(atoms, orth_of(structure.cell), hkl)
        (gradient,) = torch.autograd.grad(values.abs().sum(), atoms.frac)
        return values.detach(), gradient

    whole = sum_and_gradient()
    monkeypatch.setattr(module, "_MAX_PAIRS", 600)
    pieces = sum_and_gradient()
    for a, b in zip(whole, pieces, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize("variable", ["frac", "b_iso", "occupancy"])
def test_gradients_against_finite_differences(variable: str, orthogonal: bool) -> None:
    generator = torch.Generator().manual_seed(2)
    values = {
        "frac": torch.rand(2, 4, 3, generator=generator, dtype=torch.float64),
        "b_iso": 10 + 20 * torch.rand(2, 4, generator=generator, dtype=torch.float64),
        "occupancy": 0.5 + 0.5 * torch.rand(2, 4, generator=generator, dtype=torch.float64),
    }
    number = torch.tensor([[6, 7, 8, 16], [8, 8, 6, 7]])
    angles = (90, 90, 90) if orthogonal else (80, 95, 103)
    orth = torch.tensor(gemmi.UnitCell(5, 4.5, 4, *angles).orth.mat.tolist()).double()
    hkl = torch.tensor([[1, 0, 0], [-1, 2, 1], [0, 0, 2], [2, -1, 1]])

    def listed(x: torch.Tensor) -> torch.Tensor:
        return structure_factors(AtomBatch(number=number, **(values | {variable: x})), orth, hkl)

    def gridded(x: torch.Tensor) -> torch.Tensor:
        atoms = AtomBatch(number=number, **(values | {variable: x}))
        return structure_factor_grid(atoms, orth, (6, 5, 4), 2.1)

    x = values[variable].clone().requires_grad_()
    assert torch.autograd.gradcheck(listed, (x,))
    assert torch.autograd.gradcheck(gridded, (x,))


def test_translation_multiplies_phases(
    random_structure: Maker, contents: Contents, orth_of: Orth
) -> None:
    structure = random_structure("P 1")
    atoms, orth = contents(structure), orth_of(structure.cell)
    hkl = torch.tensor([[1, 2, 3], [-2, 1, 4], [3, 0, 0]])
    t = torch.tensor([0.123, -0.31, 0.77], dtype=torch.float64)
    before = structure_factors(atoms, orth, hkl)
    atoms.frac = atoms.frac + t
    after = structure_factors(atoms, orth, hkl)
    wave = torch.exp(2j * torch.pi * (hkl.double() @ t))
    torch.testing.assert_close(after, before * wave)


def test_unknown_element_and_coarse_grid_are_refused() -> None:
    one = torch.ones(1, 1)
    atoms = AtomBatch(torch.zeros(1, 1, 3), torch.tensor([[110]]), one, one)
    with pytest.raises(InputError, match="Ds"):
        structure_factor_grid(atoms, 8 * torch.eye(3), (24, 24, 24), 1.5)
    with pytest.raises(InputError, match="Ds"):
        structure_factors(atoms, 8 * torch.eye(3), torch.tensor([[1, 0, 0]]))
    with pytest.raises(ValueError, match="too coarse"):
        structure_factor_grid(atoms, 8 * torch.eye(3), (10, 24, 24), 1.5)


@pytest.mark.gpu
def test_gpu_equals_cpu(fifteen: gemmi.Structure, contents: Contents, orth_of: Orth) -> None:
    atoms, orth = contents(fifteen), orth_of(fifteen.cell)
    on_cpu = structure_factor_grid(atoms, orth, (84, 60, 48), 1.5)
    on_gpu = structure_factor_grid(atoms.to("cuda"), orth.to("cuda"), (84, 60, 48), 1.5)
    torch.testing.assert_close(on_gpu.cpu(), on_cpu)
