"""Analytic cases: known shift, known hand, known noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import gemmi
import numpy as np
import pytest
import torch
from scipy.special import i0, i1

from crysformer.crystal.comparison.compare import (
    Alignment,
    align,
    apply_alignment,
    compare_phases,
    pearson,
    phase_errors,
    shell_edges,
)
from crysformer.crystal.fourier.grids import (
    d_star_sq_grid,
    density_from_grid,
    grid_to_hkl,
    hkl_to_grid,
)
from crysformer.crystal.fourier.structure_factors import (
    AtomBatch,
    structure_factor_grid,
    structure_factors,
)

Maker = Callable[..., gemmi.Structure]
Contents = Callable[[gemmi.Structure], AtomBatch]
Orth = Callable[[gemmi.UnitCell], torch.Tensor]

SHAPE = (84, 60, 48)


@pytest.fixture(scope="module")
def truth(fifteen: gemmi.Structure, contents: Contents, orth_of: Orth) -> torch.Tensor:
    return structure_factor_grid(contents(fifteen), orth_of(fifteen.cell), SHAPE, 1.5)


@pytest.fixture(scope="module")
def listed(
    fifteen: gemmi.Structure, truth: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hkl, amplitudes, phases in degrees) of the fragment."""
    # four reflections lie a ten-millionth beyond 1.5 A, which the engine counts as on the limit
    hkl = gemmi.make_miller_array(fifteen.cell, gemmi.SpaceGroup("P 1"), 1.49999)
    hkl = hkl[hkl.any(1)]
    values = grid_to_hkl(truth, torch.from_numpy(hkl))[0].numpy()
    return hkl, np.abs(values), np.degrees(np.angle(values))


def moved_atoms(atoms: AtomBatch, shift: torch.Tensor, inverted: bool) -> AtomBatch:
    frac = (-atoms.frac if inverted else atoms.frac) + shift
    return AtomBatch(frac, atoms.number, atoms.b_iso, atoms.occupancy)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(
    "voxels", [(0.0, 0.0, 0.0), (3.0, -7.0, 20.0), (0.37, -0.5, 0.81), (41.9, 29.5, -23.4)]
)
def test_known_shift_and_hand(
    voxels: tuple[float, float, float],
    inverted: bool,
    truth: torch.Tensor,
    fifteen: gemmi.Structure,
    contents: Contents,
    orth_of: Orth,
) -> None:
    """Atoms moved off the grid and inverted come back to within a thousandth of a voxel."""
    shift = torch.tensor(voxels).double() / torch.tensor(SHAPE)
    atoms = moved_atoms(contents(fifteen), shift, inverted)
    model = structure_factor_grid(atoms, orth_of(fifteen.cell), SHAPE, 1.5)
    for dtype, voxel_limit in ((torch.complex128, 1e-9), (torch.complex64, 1e-3)):
        found = align(model.to(dtype), truth.to(dtype))
        assert bool(found.inverted[0]) is inverted
        expected = shift if inverted else -shift
        error = torch.remainder(found.shift[0].double() - expected + 0.5, 1) - 0.5
        assert float((error * torch.tensor(SHAPE)).abs().max()) < voxel_limit
        assert float(found.cosine) == pytest.approx(1, abs=1e-5)
        errors = phase_errors(apply_alignment(model.to(dtype), found), truth.to(dtype))
        assert float(errors.mean) < 0.02
    rho = density_from_grid(apply_alignment(model, align(model, truth)), SHAPE, 1.0)
    assert float(pearson(rho, density_from_grid(truth, SHAPE, 1.0))) == pytest.approx(1, abs=1e-9)


def test_whole_voxels_would_leave_a_false_error(truth: torch.Tensor) -> None:
    half_voxel = torch.tensor([[0.5, 0.5, 0.5]]).double() / torch.tensor(SHAPE)
    off = Alignment(half_voxel, torch.tensor([False]), torch.zeros(1))
    assert float(phase_errors(apply_alignment(truth, off), truth).mean) > 15


def test_hand_is_left_alone_on_request(truth: torch.Tensor) -> None:
    found = align(truth.conj(), truth, try_hand=False)
    assert not bool(found.inverted[0])
    assert float(found.cosine) < 0.6
    assert bool(align(truth.conj(), truth).inverted[0])


@pytest.mark.parametrize("kappa", [0.5, 2.0, 8.0])
def test_von_mises_errors(
    kappa: float, listed: tuple[np.ndarray, np.ndarray, np.ndarray], fifteen: gemmi.Structure
) -> None:
    """Independent errors of density exp(kappa cos) have the mean cosine I1 / I0."""
    hkl, f, phi = listed
    rng = np.random.default_rng(0)
    model = phi + np.degrees(rng.vonmises(0, kappa, len(phi)))
    found = compare_phases(hkl, f, model, phi, fifteen.cell, gemmi.SpaceGroup("P 1"))
    x = np.linspace(0, math.pi, 20001)
    density = np.exp(kappa * np.cos(x))
    mean = math.degrees(np.trapezoid(x * density, x) / np.trapezoid(density, x))
    cosine = i1(kappa) / i0(kappa)
    assert found.mean == pytest.approx(mean, abs=1.5)
    assert found.weighted == pytest.approx(mean, abs=2.5)
    # a few strong reflections carry the F^2-weighted mean: four of its standard deviations
    variance = np.average(np.cos(x) ** 2, weights=density) - cosine**2
    tolerance = 4 * math.sqrt(variance * (f**4).sum()) / (f**2).sum()
    assert tolerance < 0.2
    assert found.cosine2 == pytest.approx(cosine, abs=tolerance)
    # the best shift of noisy phases is not exactly zero, but nearly, and never worse
    assert found.cosine2 <= found.cosine2_aligned + 1e-9
    assert found.cosine2_aligned == pytest.approx(cosine, abs=tolerance)
    assert np.abs(found.shift * SHAPE).max() < 0.2
    assert not found.inverted
    assert found.n == len(hkl)


@pytest.mark.parametrize("x", [0.1, 0.3])
def test_amplitude_errors_alone_do_not_touch_phases(
    x: float, listed: tuple[np.ndarray, np.ndarray, np.ndarray], fifteen: gemmi.Structure
) -> None:
    hkl, f, phi = listed
    noisy = f * (1 + x * np.random.default_rng(1).standard_normal(len(f)))
    shift = np.array([0.1234, -0.321, 0.05])
    found = compare_phases(
        hkl, np.abs(noisy), phi + 360 * hkl @ shift, phi, fifteen.cell, gemmi.SpaceGroup("P 1")
    )
    np.testing.assert_allclose(found.shift, -shift, atol=1e-9)
    assert found.mean_aligned < 1e-6
    assert found.mean > 60


def test_missing_phases_count_90_degrees(
    listed: tuple[np.ndarray, np.ndarray, np.ndarray],
    fifteen: gemmi.Structure,
    truth: torch.Tensor,
) -> None:
    hkl, f, phi = listed
    missing = np.random.default_rng(2).random(len(f)) < 0.25
    model = np.where(missing, np.nan, phi)
    p1 = gemmi.SpaceGroup("P 1")
    found = compare_phases(hkl, f, model, phi, fifteen.cell, p1)
    assert found.mean == pytest.approx(90 * missing.mean())
    assert found.weighted == pytest.approx(90 * f[missing].sum() / f.sum())
    assert found.cosine2 == pytest.approx((f[~missing] ** 2).sum() / (f**2).sum())
    assert found.mean_aligned == pytest.approx(found.mean, abs=1e-3)

    known = hkl_to_grid(torch.from_numpy(hkl), torch.from_numpy(~missing), SHAPE)
    on_grid = phase_errors(truth * known, truth)
    assert float(on_grid.mean) == pytest.approx(found.mean)
    assert float(on_grid.weighted) == pytest.approx(found.weighted)
    assert float(on_grid.cosine2) == pytest.approx(found.cosine2)
    assert int(on_grid.n) == found.n

    # not measured, or without a reference: not counted
    unmeasured = np.where(missing, np.nan, f)
    found = compare_phases(hkl, unmeasured, model, phi, fifteen.cell, p1)
    assert (found.mean, found.n) == (pytest.approx(0, abs=1e-9), int((~missing).sum()))
    found = compare_phases(hkl, f, phi, model, fifteen.cell, p1)
    assert (found.mean, found.n) == (pytest.approx(0, abs=1e-9), int((~missing).sum()))
    assert int(phase_errors(truth, truth, measured=known[None]).n) == found.n


def test_random_phases(
    listed: tuple[np.ndarray, np.ndarray, np.ndarray], fifteen: gemmi.Structure
) -> None:
    hkl, f, phi = listed
    model = np.random.default_rng(4).uniform(0, 360, len(phi))
    found = compare_phases(hkl, f, model, phi, fifteen.cell, gemmi.SpaceGroup("P 1"), align=False)
    assert found.mean == pytest.approx(90, abs=1.5)
    assert found.mean_aligned == found.mean
    assert abs(found.cosine2) < 0.2


def test_shells_partition_the_reflections(
    listed: tuple[np.ndarray, np.ndarray, np.ndarray],
    fifteen: gemmi.Structure,
    truth: torch.Tensor,
    orth_of: Orth,
) -> None:
    """Errors put into one resolution range show up in the shells of that range only."""
    hkl, f, phi = listed
    d = np.asarray(fifteen.cell.calculate_d_array(hkl))
    edges = shell_edges(d.max(), d.min(), 8)
    middle = (d <= edges[3]) & (d > edges[4])
    model = phi + np.where(middle, 50.0, 0.0)
    found = compare_phases(
        hkl, f, model, phi, fifteen.cell, gemmi.SpaceGroup("P 1"), align=False, n_shells=8
    )
    assert sum(shell[2] for shell in found.shells) == found.n == len(hkl)
    means = [shell[3] for shell in found.shells]
    np.testing.assert_allclose(means, [0, 0, 0, 50, 0, 0, 0, 0], atol=1e-6)
    assert found.shells[3][5] == pytest.approx(math.cos(math.radians(50)))

    wrong = hkl_to_grid(torch.from_numpy(hkl), torch.from_numpy(middle), SHAPE)
    turned = torch.polar(torch.ones(1), torch.tensor(math.radians(50))).to(truth.dtype)
    index = torch.arange(25)  # l = 0 holds both mates, which turn opposite ways: leave it out
    grid = torch.where(wrong & (index > 0), truth * turned, truth)
    errors = phase_errors(
        grid, truth, d_star_sq=d_star_sq_grid(orth_of(fifteen.cell), SHAPE), edges=edges
    )
    assert errors.shells is not None
    assert errors.shells.mean.shape == (1, 8)
    assert int(errors.shells.n.sum()) == int(errors.n) == len(hkl)
    assert float(errors.shells.weighted[0, 3]) > 45
    assert float(errors.shells.mean[0, [0, 1, 2, 4, 5, 6, 7]].max()) < 1e-5


@pytest.mark.parametrize("space_group", ["P 1 21 1", "P 21 21 21", "C 1 2 1"])
def test_other_space_groups_align_at_any_origin(
    space_group: str, random_structure: Maker, contents: Contents, orth_of: Orth
) -> None:
    """A permitted origin shift and the other hand leave no error once aligned."""
    structure = random_structure(space_group)
    cell, group = structure.cell, structure.find_spacegroup()
    hkl = gemmi.make_miller_array(cell, group, 1.3)
    atoms = contents(structure)
    shift = torch.tensor([0.5, 0.2345 if group.crystal_system_str() == "monoclinic" else 0.5, 0.5])
    reference, model = (
        structure_factors(a, orth_of(cell), torch.from_numpy(hkl))[0].numpy()
        for a in (atoms, moved_atoms(atoms, shift.double(), inverted=True))
    )
    phi, phi_model = (np.degrees(np.angle(F)) for F in (reference, model))
    found = compare_phases(hkl, np.abs(reference), phi_model, phi, cell, group)
    assert found.mean > 30
    assert found.mean_aligned < 1e-4
    assert found.cosine2_aligned == pytest.approx(1)
    assert found.inverted
    assert found.n == int(hkl.any(1).sum())


def test_pearson() -> None:
    a = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0)).double()
    b = torch.stack([2 * a[0] + 3, -a[1], torch.ones(4, 5, 6).double()])
    torch.testing.assert_close(pearson(a, b), torch.tensor([1.0, -1.0, 0.0]).double())
    c = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1)).double()
    expected = [np.corrcoef(x.flatten(), y.flatten())[0, 1] for x, y in zip(a, c, strict=True)]
    np.testing.assert_allclose(pearson(a, c), expected, atol=1e-12)


def test_nothing_to_compare_is_refused(fifteen: gemmi.Structure) -> None:
    hkl = np.array([[0, 0, 0], [1, 0, 0]], dtype=np.int32)
    f, phi = np.array([10.0, np.nan]), np.zeros(2)
    with pytest.raises(ValueError, match="no measured reflection"):
        compare_phases(hkl, f, phi, phi, fifteen.cell, gemmi.SpaceGroup("P 1"))
