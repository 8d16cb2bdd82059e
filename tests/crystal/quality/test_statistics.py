"""Completeness, fall-off, moments, L-test, twin laws and Patterson peaks against known answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import gemmi
import numpy as np
import pytest

from crysformer.crystal.matthews import chain_mass, solvent_content
from crysformer.crystal.quality.anisotropy import fit_anisotropy
from crysformer.crystal.quality.completeness import completeness
from crysformer.crystal.quality.moments import moments
from crysformer.crystal.quality.resolution_limits import directional_limits, signal_limit
from crysformer.crystal.quality.translational_ncs import PattersonPeak, patterson_peak
from crysformer.crystal.quality.twin_laws import twin_laws
from crysformer.crystal.quality.twinning import (
    expected_mean_abs,
    l_test,
    neighbours,
    twin_fraction,
)
from crysformer.crystal.reflections import CrystalData

Maker = Callable[..., CrystalData]


def acentric(data: CrystalData) -> np.ndarray:
    return ~np.array(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)


@pytest.mark.parametrize("group", ["P 1", "P 21 21 21", "C 1 2 1", "P 43 21 2", "F 2 3", "R 3:H"])
def test_complete_data_are_complete(wilson: Maker, group: str) -> None:
    cells = {"P": (31, 31, 43, 90, 90, 90), "C": (31, 37, 43, 90, 100, 90)}
    cells |= {"F": (40, 40, 40, 90, 90, 90), "R": (31, 31, 43, 90, 90, 120)}
    data = wilson(group, cells[group[0]], 3.0)
    found = completeness(data)
    assert found.measured == found.possible == len(data)
    assert all(shell.completeness == 1 for shell in found.shells)


def test_gaps_are_counted_where_they_are(wilson: Maker) -> None:
    data = wilson()
    low = data.d > 6
    found = completeness(replace(data, f=np.where(low, np.nan, data.f)))
    assert found.possible - found.measured == low.sum()
    assert found.overall == pytest.approx(1 - low.mean())
    assert found.shells[0].completeness < 1 == found.shells[1].completeness
    assert sum(s.measured for s in found.shells) == found.measured
    assert sum(s.possible for s in found.shells) == found.possible
    # reflections listed by their Friedel mates are the same reflections
    assert completeness(replace(data, hkl=-data.hkl)).overall == 1


def test_an_anisotropic_tensor_is_recovered(wilson: Maker) -> None:
    fit = fit_anisotropy(wilson(b=np.diag([10.0, 20.0, 45.0])))
    assert fit.deviations == pytest.approx([-15, -5, 20], abs=2)
    assert np.abs(fit.axes) == pytest.approx(np.eye(3), abs=0.1)
    assert fit.spread == pytest.approx(35, abs=4 * fit.uncertainty)
    assert 0.2 < fit.uncertainty < 2


def test_principal_axes_need_not_be_cell_axes(wilson: Maker) -> None:
    turn = np.deg2rad(30)
    axes = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    tensor = axes.T @ np.diag([10.0, 25.0, 40.0]) @ axes
    fit = fit_anisotropy(wilson("P 1 21 1", (31, 37, 43, 90, 105, 90), b=tensor))
    assert fit.deviations == pytest.approx([-15, 0, 15], abs=2)
    assert np.abs(np.sum(fit.axes * axes, axis=1)) == pytest.approx(np.ones(3), abs=0.02)


def test_symmetry_leaves_no_room_for_anisotropy(wilson: Maker) -> None:
    cubic = fit_anisotropy(wilson("F 2 3", (60, 60, 60, 90, 90, 90)))
    assert cubic.spread == pytest.approx(0, abs=1e-6)
    tetragonal = fit_anisotropy(wilson("P 43", (40, 40, 60, 90, 90, 90)))
    middle = sorted(tetragonal.deviations, key=abs)
    assert middle[0] == pytest.approx(middle[1], abs=1e-6)


def test_isotropic_data_are_within_their_uncertainty(wilson: Maker) -> None:
    spreads = []
    for seed in range(8):
        fit = fit_anisotropy(wilson(seed=seed, d_min=2.5))
        spreads.append(fit.spread / fit.uncertainty)
        assert np.nanmean(fit.e_squared) == pytest.approx(1, abs=0.1)
    assert 0.5 < np.median(spreads) < 3
    assert max(spreads) < 5


@pytest.mark.parametrize(("twin", "second", "deviation"), [(0, 2, 0.736), (0.5, 1.5, 0.541)])
def test_moments_of_wilson_and_twinned_intensities(
    wilson: Maker, twin: float, second: float, deviation: float
) -> None:
    data = wilson(twin=twin)
    e2 = fit_anisotropy(data).e_squared
    found = moments(e2[acentric(data)])
    assert found is not None
    assert found.second == pytest.approx(second, abs=4 * found.second_error)
    assert found.deviation == pytest.approx(deviation, abs=4 * found.deviation_error)
    assert found.second_error < 0.1
    centric = moments(e2[~acentric(data)])
    assert centric is not None
    assert centric.second == pytest.approx(2 if twin else 3, abs=4 * centric.second_error)


def test_errors_of_moments_are_the_scatter_of_repetitions() -> None:
    rng = np.random.default_rng(1)
    many = [moments(rng.exponential(size=300)) for _ in range(400)]
    for name in ("second", "deviation"):
        scatter = np.std([getattr(m, name) for m in many])
        stated = np.mean([getattr(m, f"{name}_error") for m in many])
        assert stated == pytest.approx(scatter, rel=0.2)
    assert moments(np.ones(9)) is None


def test_expected_l_of_twins() -> None:
    assert expected_mean_abs(0.0) == pytest.approx(1 / 2, abs=1e-4)
    assert expected_mean_abs(0.5) == pytest.approx(3 / 8, abs=1e-4)
    rng = np.random.default_rng(2)
    one, other = (0.8 * rng.exponential(size=200_000) + 0.2 * rng.exponential(size=200_000)
                  for _ in range(2))  # fmt: skip
    simulated = np.mean(np.abs(one - other) / (one + other))
    assert expected_mean_abs(0.2) == pytest.approx(simulated, abs=2e-3)
    for fraction in (0.05, 0.2, 0.4):
        assert twin_fraction(expected_mean_abs(fraction)) == pytest.approx(fraction, abs=0.01)


@pytest.mark.parametrize("twin", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("group", ["P 1", "P 21 21 21"])
def test_l_test_finds_the_twin_fraction(wilson: Maker, group: str, twin: float) -> None:
    data = wilson(group, twin=twin, d_min=2.5)
    found = l_test(data, fit_anisotropy(data).e_squared, data.measured)
    assert found is not None
    assert found.mean_abs == pytest.approx(expected_mean_abs(twin), abs=4 * found.error)
    assert found.error < 0.01
    if twin in (0.0, 0.5):
        assert found.mean_square == pytest.approx(0.2 if twin else 1 / 3, abs=0.02)


def test_error_of_l_is_the_scatter_of_repetitions(wilson: Maker) -> None:
    small = (9.0, 8.0, 7.0, 90.0, 90.0, 90.0)
    many = []
    for seed in range(60):
        data = wilson("P 1", small, 1.5, seed)
        many.append(l_test(data, fit_anisotropy(data).e_squared, data.measured))
    means, errors = np.array([(m.mean_abs, m.error) for m in many if m]).T
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.35)
    assert means.mean() == pytest.approx(0.5, abs=4 * means.std() / np.sqrt(60))


def test_half_a_lattice_vector_of_pseudo_translation_does_not_touch_l(wilson: Maker) -> None:
    data = wilson("P 1", d_min=3.0)
    weak = data.hkl.sum(axis=1) % 2 != 0
    data = replace(data, f=np.where(weak, 0.2 * data.f, data.f))
    e2 = fit_anisotropy(data).e_squared
    found = l_test(data, e2, data.measured)
    raised = moments(e2)
    assert found is not None
    assert raised is not None
    assert found.mean_abs == pytest.approx(0.5, abs=4 * found.error)
    assert raised.second > 3


def test_neighbours_differ_by_even_indices_and_are_not_equivalent(wilson: Maker) -> None:
    data = wilson("P 1 21 1", (11, 12, 13, 90, 100, 90), 2.5)
    first, second = neighbours(data, data.measured)
    operations = [np.array(op.rot) // op.DEN for op in data.space_group.operations().sym_ops]
    for a, b in zip(data.hkl[first], data.hkl[second], strict=True):
        mates = np.array([sign * (b @ rotation) for rotation in operations for sign in (1, -1)])
        step = np.abs(mates - a)
        assert step.sum(axis=1).min() > 0
        assert any(total in (2, 4) and (row % 2 == 0).all() for row in step
                   for total in [row.sum()])  # fmt: skip
    assert len({(int(a), int(b)) for a, b in zip(first, second, strict=True)}) == len(first)


def test_missed_symmetry_and_twins_show_in_the_lattice_operators(wilson: Maker) -> None:
    tetragonal = (30.0, 30.0, 40.0, 90.0, 90.0, 90.0)
    plain = wilson("P 43", tetragonal)
    e2 = fit_anisotropy(plain).e_squared
    (law,) = twin_laws(plain, e2, plain.measured)
    assert law.correlation == pytest.approx(0, abs=4 / np.sqrt(law.pairs))
    # every intensity with a share of what the two-fold axis along a + b relates to it
    row = {tuple(hkl): i for i, hkl in enumerate(plain.hkl.tolist())}
    asu = gemmi.ReciprocalAsu(plain.space_group)
    operations = plain.space_group.operations()
    mates = [asu.to_asu([k, h, -l], operations)[0] for h, k, l in plain.hkl.tolist()]  # noqa: E741
    mate = np.array([row[tuple(hkl)] for hkl in mates])
    for share, expected in ((0.5, 1.0), (0.3, 2 * 0.3 * 0.7 / (0.3**2 + 0.7**2))):
        f = np.sqrt((1 - share) * plain.f**2 + share * plain.f[mate] ** 2)
        twin = replace(plain, f=f)
        (law,) = twin_laws(twin, fit_anisotropy(twin).e_squared, twin.measured)
        assert law.correlation == pytest.approx(expected, abs=0.05)
    assert twin_laws(wilson(), fit_anisotropy(wilson()).e_squared, wilson().measured) == ()


def test_a_translated_copy_gives_a_patterson_peak() -> None:
    cell, group = gemmi.UnitCell(40, 45, 50, 90, 100, 90), gemmi.SpaceGroup("P 1")
    rng = np.random.default_rng(0)
    shift = np.array([0.48, 0.1, 0.3])
    hkl = gemmi.make_miller_array(cell, group, 4.0).astype(np.int32)
    one = np.exp(2j * np.pi * hkl @ rng.random((3, 150))).sum(axis=1)
    both = one * (1 + np.exp(2j * np.pi * hkl @ shift))
    for F, expected in ((one, None), (both, shift)):
        found = patterson_peak(CrystalData(cell, group, hkl, np.abs(F)))
        assert isinstance(found, PattersonPeak)
        if expected is None:
            assert found.height < 0.2
            continue
        away = min(np.abs(found.vector - sign * expected).max() for sign in (1, -1))
        assert away < 0.03
        assert found.height == pytest.approx(0.5, abs=0.1)
        assert found.height > 5 * found.error
        nearest = cell.find_nearest_image(
            gemmi.Position(0, 0, 0),
            cell.orthogonalize(gemmi.Fractional(*found.vector)),
            gemmi.Asu.Any,
        )
        assert found.distance == pytest.approx(nearest.dist(), abs=1e-3)


def test_lattice_points_of_a_centred_cell_are_no_pseudo_translation(wilson: Maker) -> None:
    found = patterson_peak(wilson("F 2 3", (80, 80, 80, 90, 90, 90), 4.0))
    assert isinstance(found, PattersonPeak)
    assert found.height < 0.2
    assert found.distance > 15


def test_small_cells_have_no_far_vectors(wilson: Maker) -> None:
    tight = wilson("P 1", (17, 17, 17, 90, 90, 90), 1.5)
    assert patterson_peak(tight) == "the cell is too small: no vector is longer than 15 A"
    long = wilson("P 1", (6, 8, 40, 90, 90, 90), 2.0)
    assert "too few" in str(patterson_peak(long))


def test_signal_ends_where_it_was_made_to_end(wilson: Maker) -> None:
    data = wilson("P 1", d_min=2.5)
    assert data.sigf is not None
    weak = data.d < 3.5
    noisy = replace(data, sigf=np.where(weak, data.f, 0.05 * data.f))
    assert signal_limit(noisy, data.measured, 3.0) == pytest.approx(3.5, abs=0.1)
    s = np.abs(data.hkl @ np.array(data.cell.frac.mat.tolist()))
    along_c = s[:, 2] > 0.8 * np.linalg.norm(s, axis=1)
    lame = replace(data, sigf=np.where(weak & along_c, data.f, 0.05 * data.f))
    limits = directional_limits(lame, np.eye(3))
    for strong in limits[:2]:
        assert strong is not None
        assert strong.signal == strong.measured == pytest.approx(2.5, abs=0.1)
    assert limits[2] is not None
    assert limits[2].signal == pytest.approx(3.5, abs=0.2)
    assert limits[2].measured == pytest.approx(2.5, abs=0.1)
    assert signal_limit(replace(data, sigf=None), data.measured, 3.0) is None
    assert signal_limit(replace(data, sigf=data.f), data.measured, 3.0) == np.inf


def test_masses_and_matthews_coefficient() -> None:
    assert chain_mass("GNNQQNY") == pytest.approx(836.8, abs=0.1)  # its published mass
    assert chain_mass("G") == pytest.approx(75.07, abs=0.01)
    assert chain_mass("Ac-G-NH2") == pytest.approx(116.12, abs=0.01)  # N-acetylglycinamide
    assert chain_mass("(DAL)G") == chain_mass("AG")
    lysozyme = (
        "KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSALLSSD"
        "ITASVNCAKKIVSDGNGMNAWVAWRNRCKGTDVQAWIRGCRL"
    )
    cell, group = gemmi.UnitCell(79.1, 79.1, 37.9, 90, 90, 90), gemmi.SpaceGroup("P 43 21 2")
    found = solvent_content(cell, group, (lysozyme,), 1)
    # tetragonal lysozyme: 14.3 kDa, about 2.1 A^3/Da, 40 % solvent
    assert chain_mass(lysozyme) == pytest.approx(14313, rel=2e-3)
    assert found.matthews == pytest.approx(79.1 * 79.1 * 37.9 / 8 / 14313, rel=2e-3)
    assert found.solvent == pytest.approx(0.41, abs=0.02)
    assert solvent_content(cell, group, (lysozyme,), 4).solvent == 0
