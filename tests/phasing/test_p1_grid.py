"""Amplitudes of a crystal on the grid of its phase problem."""

from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crysformer.crystal.fourier.grids import grid_to_hkl, half_grid_indices
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.p1_grid import P1Grid, p1_grid, replace_amplitude
from crysformer.phasing.problem import phasing_problem

P1 = gemmi.SpaceGroup("P 1")
# cell, d_min, and the grid: spacing of d_min / 2.4 or less, no prime factor above 7
CASES = {
    "even grid": ((8.0, 9.5, 13.3, 90, 90, 90), 1.6, (12, 15, 20)),
    "odd grid": ((9.2, 14.3, 13.1, 90, 90, 90), 1.5, (15, 24, 21)),
    "triclinic": ((9.1, 10.3, 11.7, 81, 97, 104), 1.5, (15, 18, 20)),
    "strongly oblique": ((10.0, 12.0, 14.0, 63, 118, 71), 2.0, (12, 15, 18)),
}


def random_data(cell: gemmi.UnitCell, d_min: float, completeness: float = 1.0) -> CrystalData:
    rng = np.random.default_rng(5)
    hkl = gemmi.make_miller_array(cell, P1, d_min).astype(np.int32)
    f = 100 * rng.rayleigh(size=len(hkl))
    f[rng.random(len(hkl)) > completeness] = np.nan
    return CrystalData(cell, P1, hkl, f)


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> tuple[CrystalData, P1Grid]:
    parameters, d_min, shape = CASES[request.param]
    data = random_data(gemmi.UnitCell(*parameters), d_min, completeness=0.8)
    problem = p1_grid(data)
    assert problem.shape == shape
    return data, problem


def grid_indices(shape: tuple[int, int, int]) -> np.ndarray:
    """Miller indices of every point of the half grid, (n, 3), by their definition."""
    u, v, w = np.indices((shape[0], shape[1], shape[2] // 2 + 1)).reshape(3, -1)
    h = np.where(2 * u < shape[0], u, u - shape[0])
    k = np.where(2 * v < shape[1], v, v - shape[1])
    return np.stack([h, k, w], axis=1).astype(np.int32)


def test_measured_and_floating_share_the_sphere(case: tuple[CrystalData, P1Grid]) -> None:
    data, problem = case
    hkl = grid_indices(problem.shape)
    d_star_sq = data.cell.calculate_1_d2_array(hkl)
    measured = problem.measured.flatten().numpy()
    floating = problem.floating.flatten().numpy()
    assert not (measured & floating).any()
    np.testing.assert_array_equal(measured | floating, d_star_sq <= 1.00001 / data.d_min**2)
    np.testing.assert_allclose(problem.d_star_sq.flatten().numpy(), d_star_sq, atol=1e-5)
    listed = data.hkl[data.measured]
    sphere = {tuple(row) for row in np.concatenate([listed, -listed]).tolist()}
    assert {tuple(row) for row in hkl[measured].tolist()} == {hkl for hkl in sphere if hkl[2] >= 0}
    assert bool(problem.floating[0, 0, 0])


def test_every_reflection_counts_twice_in_the_sphere(
    case: tuple[CrystalData, P1Grid],
) -> None:
    data, problem = case
    assert float(problem.weight.sum()) == 2 * data.measured.sum()
    weighted = (problem.weight * problem.amplitude**2).sum() / problem.weight.sum()
    assert float(weighted) == pytest.approx(1, rel=1e-5)
    used = data.measured
    assert problem.scale == pytest.approx(np.sqrt((data.f[used] ** 2).mean()))


def test_amplitudes_come_back_from_the_grid(case: tuple[CrystalData, P1Grid]) -> None:
    data, problem = case
    for sign in (1, -1):
        back = grid_to_hkl(problem.amplitude, torch.from_numpy(sign * data.hkl)).numpy()
        np.testing.assert_allclose(back * problem.scale, np.nan_to_num(data.f), rtol=1e-5)
    assert (problem.amplitude[~problem.measured] == 0).all()


def test_listed_values_come_back_from_the_grid(case: tuple[CrystalData, P1Grid]) -> None:
    data, problem = case
    phases = np.exp(2j * np.pi * np.random.default_rng(0).random(len(data)))
    grid = problem.to_grid(data.f * phases)
    back = grid_to_hkl(grid, torch.from_numpy(data.hkl)).numpy()
    np.testing.assert_allclose(back, np.nan_to_num(data.f) * phases, rtol=1e-5, atol=1e-4)
    # a map of them is real: mates are conjugate on the plane l = 0, which holds both
    full = torch.fft.irfftn(grid.conj(), s=problem.shape)
    again = torch.fft.rfftn(full).conj()
    torch.testing.assert_close(again, grid, rtol=1e-4, atol=1e-2)


def test_nyquist_planes_are_left_out(case: tuple[CrystalData, P1Grid]) -> None:
    _, problem = case
    used = problem.measured | problem.floating
    even = [axis for axis, n in enumerate(problem.shape) if n % 2 == 0]
    assert even
    for axis in even:
        assert not used.select(axis, problem.shape[axis] // 2).any()
    assert used.any()


@settings(max_examples=60, deadline=None)
@given(
    edges=st.tuples(*[st.floats(1.0, 60.0)] * 3),
    angles=st.tuples(*[st.floats(60.0, 119.0)] * 3),
    d_min=st.floats(2.5, 5.0),
)
def test_no_reflection_reaches_the_nyquist_planes(
    edges: tuple[float, float, float], angles: tuple[float, float, float], d_min: float
) -> None:
    assume(sum(angles) < 355 and max(angles) < sum(angles) - max(angles) - 5)
    cell = gemmi.UnitCell(*edges, *angles)
    hkl = gemmi.make_miller_array(cell, P1, d_min).astype(np.int32)
    assume(len(hkl) > 0)
    problem = p1_grid(CrystalData(cell, P1, hkl, np.ones(len(hkl))))
    used = problem.measured | problem.floating
    for axis, n in enumerate(problem.shape):
        if n % 2 == 0:
            assert not used.select(axis, n // 2).any()
    # the listed limit is the last reflection's, so that no more than these are within it
    assert int(problem.weight.sum()) == 2 * len(hkl)


def test_phases_with_measured_amplitudes(case: tuple[CrystalData, P1Grid]) -> None:
    _, problem = case
    generator = torch.Generator().manual_seed(1)
    F = torch.randn((2, *problem.amplitude.shape), dtype=torch.complex64, generator=generator)
    F[1] = 0
    result = problem.with_amplitudes(F)
    torch.testing.assert_close(result[0].abs(), problem.amplitude)
    used = problem.measured
    torch.testing.assert_close(result[0][used].angle(), F[0][used].angle())
    # a vanishing structure factor has no phase, and does not get one
    assert (result[1] == 0).all()


def test_replaced_amplitudes_keep_the_phase() -> None:
    F = torch.tensor([3 + 4j, -2j, 0], dtype=torch.complex64)
    result = replace_amplitude(F, torch.tensor([10.0, 1.0, 7.0]))
    torch.testing.assert_close(result, torch.tensor([6 + 8j, -1j, 0], dtype=torch.complex64))


def test_scale_of_the_input_does_not_matter() -> None:
    data = random_data(gemmi.UnitCell(9, 10, 11, 90, 100, 90), 1.8)
    one, other = p1_grid(data), p1_grid(replace(data, f=1e-3 * data.f))
    torch.testing.assert_close(one.amplitude, other.amplitude)
    assert one.scale == pytest.approx(1e3 * other.scale)


def test_reflections_listed_beyond_the_measured_limit() -> None:
    """Files often list indices to a higher resolution than was measured."""
    data = random_data(gemmi.UnitCell(9, 10, 11, 80, 100, 95), 1.0)
    near = data.d > 2.0
    partly = replace(data, f=np.where(near, data.f, np.nan))
    problem, expected = p1_grid(partly), p1_grid(data.select(near))
    assert problem.shape == expected.shape
    assert torch.equal(problem.measured, expected.measured)
    assert torch.equal(problem.floating, expected.floating)
    values = np.where(near, 1.0, np.nan)
    assert torch.equal(problem.to_grid(values) > 0, problem.measured)


def test_f000_is_never_measured() -> None:
    data = random_data(gemmi.UnitCell(9, 10, 11, 90, 90, 90), 1.8)
    with_f000 = replace(
        data,
        hkl=np.concatenate([[[0, 0, 0]], data.hkl]).astype(np.int32),
        f=np.concatenate([[1e6], data.f]),
    )
    problem = p1_grid(with_f000)
    torch.testing.assert_close(problem.amplitude, p1_grid(data).amplitude)
    assert bool(problem.floating[0, 0, 0])


def test_absences_of_a_centred_lattice_stay_zero_and_do_not_float() -> None:
    cell, group = gemmi.UnitCell(9, 8, 7, 90, 100, 90), gemmi.SpaceGroup("C 1 2 1")
    hkl = np.asarray(gemmi.make_miller_array(cell, group, 1.2), dtype=np.int32)
    data = CrystalData(cell, group, hkl, np.full(len(hkl), 10.0)).select(
        np.arange(len(hkl)) % 5 > 0
    )
    grid = phasing_problem(data).grid
    h, k, _ = half_grid_indices(grid.shape)
    odd = ((h[:, None] + k) % 2 == 1)[:, :, None].expand(grid.measured.shape)
    assert not bool(grid.floating[odd].any())
    assert not bool(grid.measured[odd].any())
    assert bool(grid.floating[~odd].sum() > 20)  # those not measured
    primitive = p1_grid(grid.data)
    assert bool(primitive.floating[odd].any())
