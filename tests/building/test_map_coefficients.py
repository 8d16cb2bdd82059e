from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
import pytest

from crysformer.building.map_coefficients import MapCoefficients, map_coefficients
from crysformer.crystal.free_set import FreeSet, free_set
from crysformer.crystal.normalisation import epsilon_factors
from crysformer.crystal.reflections import CrystalData

D, RATIO = 0.8, 0.3  # S to the mean intensity at every resolution


def errors_of_a_model(d_min: float = 2.3) -> tuple[CrystalData, np.ndarray, np.ndarray]:
    """Data, structure factors of a model, and the true ones: D Fm and a Gaussian error."""
    cell, group = gemmi.UnitCell(32, 38, 44, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    hkl = gemmi.make_miller_array(cell, group, d_min).astype(np.int32)
    centric = np.array(group.operations().centric_flag_array(hkl), dtype=bool)
    rng = np.random.default_rng(0)
    d = np.asarray(cell.calculate_d_array(hkl))
    size = np.sqrt(1000 * np.exp(-0.5 * 20 / d**2) * epsilon_factors(hkl, group))

    def random(variance: float) -> np.ndarray:
        complex_part = rng.normal(size=(2, len(hkl))) / np.sqrt(2)
        phased = complex_part[0] + 1j * complex_part[1]
        real = rng.normal(size=len(hkl))
        return np.asarray(np.sqrt(variance) * size * np.where(centric, real, phased))

    model = random((1 - RATIO) / D**2)
    true = D * model + random(RATIO)
    return CrystalData(cell, group, hkl, np.abs(true)), model, true


@pytest.fixture(scope="module")
def crystal() -> tuple[CrystalData, np.ndarray, np.ndarray]:
    return errors_of_a_model()


def vector(amplitude: np.ndarray, phase: np.ndarray) -> np.ndarray:
    return np.asarray(amplitude * np.exp(1j * np.deg2rad(phase)))


@pytest.mark.parametrize("fraction", [None, 0.1])
def test_error_model_is_recovered(
    fraction: float | None, crystal: tuple[CrystalData, np.ndarray, np.ndarray]
) -> None:
    data, model, _ = crystal
    free = None if fraction is None else free_set(data, fraction=fraction)
    found = map_coefficients(data, free, model)
    assert found.from_free == (fraction is not None)
    intensity = 1000 * np.exp(-0.5 * 20 / data.d**2)
    assert found.d.mean() == pytest.approx(D, abs=0.03)
    assert np.median(found.variance / intensity) == pytest.approx(RATIO, rel=0.12)


def test_figure_of_merit_is_the_mean_cosine(
    crystal: tuple[CrystalData, np.ndarray, np.ndarray],
) -> None:
    data, model, true = crystal
    fom = map_coefficients(data, None, model).fom
    cosine = np.cos(np.angle(true) - np.angle(model))
    centric = np.array(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)
    for chosen in (centric, ~centric):
        for low, high in ((0.0, 0.4), (0.4, 0.8), (0.8, 1.0)):
            rows = chosen & (fom >= low) & (fom < high)
            if rows.sum() < 50:
                continue
            error = cosine[rows].std() / np.sqrt(rows.sum())
            assert cosine[rows].mean() == pytest.approx(fom[rows].mean(), abs=4 * error + 0.01)


def test_map_is_nearer_the_truth_than_observed_amplitudes(
    crystal: tuple[CrystalData, np.ndarray, np.ndarray],
) -> None:
    data, model, true = crystal
    found = map_coefficients(data, None, model)

    def correlation(F: np.ndarray) -> float:
        size = np.sqrt((np.abs(F) ** 2).sum() * (np.abs(true) ** 2).sum())
        return float((F * true.conj()).sum().real / size)

    best = correlation(vector(found.fom * data.f, found.phwt))
    observed = correlation(data.f * np.exp(1j * np.angle(model)))
    assert best > observed > 0.6
    # mFo-DFc shows half of what the model lacks in acentric reflections (Read, 1986)
    missing = true - D * model
    difference = vector(found.delfwt, found.phdelwt)
    slope = (difference * missing.conj()).sum().real / (np.abs(missing) ** 2).sum()
    assert 0.4 < slope < 0.8


def test_centric_and_acentric_coefficients(
    crystal: tuple[CrystalData, np.ndarray, np.ndarray],
) -> None:
    data, model, _ = crystal
    found = map_coefficients(data, None, model)
    centric = np.array(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)
    along = np.exp(-1j * np.angle(model))
    signed = (vector(found.fwt, found.phwt) * along).real
    difference = (vector(found.delfwt, found.phdelwt) * along).real
    best, weighted = found.fom * data.f, found.d * np.abs(model)
    assert difference == pytest.approx(best - weighted)
    assert signed[centric] == pytest.approx(best[centric])
    assert signed[~centric] == pytest.approx((2 * best - weighted)[~centric])
    assert found.fwt.min() >= 0
    assert found.delfwt.min() >= 0


def test_figure_of_merit_follows_from_the_hendrickson_lattman_coefficients(
    crystal: tuple[CrystalData, np.ndarray, np.ndarray],
) -> None:
    data, model, _ = crystal
    found = map_coefficients(data, None, model)
    centric = np.array(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)
    for row in [*np.flatnonzero(centric)[:20], *np.flatnonzero(~centric)[:20]]:
        phases = np.angle(model[row]) + (
            np.array([0, np.pi]) if centric[row] else np.linspace(0, 2 * np.pi, 361)[:-1]
        )
        p = np.exp(found.hla[row] * np.cos(phases) + found.hlb[row] * np.sin(phases))
        mean = (p * np.exp(1j * phases)).sum() / p.sum()
        assert abs(mean) == pytest.approx(found.fom[row], abs=1e-6)
    assert not found.hlc.any()
    assert not found.hld.any()


def columns(found: MapCoefficients) -> list[np.ndarray]:
    return [found.fwt, found.phwt, found.delfwt, found.phdelwt, found.fom, found.hla, found.hld]


def test_unmeasured_reflections_are_empty(
    crystal: tuple[CrystalData, np.ndarray, np.ndarray],
) -> None:
    data, model, _ = crystal
    missing = np.arange(len(data)) % 5 == 0
    partial = replace(data, f=np.where(missing, np.nan, data.f))
    for column in columns(map_coefficients(partial, None, model)):
        assert (np.isnan(column) == missing).all()


def test_free_reflections_can_be_left_out_of_the_map(
    crystal: tuple[CrystalData, np.ndarray, np.ndarray],
) -> None:
    data, model, _ = crystal
    free = free_set(data)
    found = map_coefficients(data, free, model, omit_free=True)
    assert (np.isnan(found.fwt) == free.free).all()


def test_uncertain_measurements_weigh_less(
    crystal: tuple[CrystalData, np.ndarray, np.ndarray],
) -> None:
    data, model, _ = crystal
    uncertain = np.arange(len(data)) % 4 == 0
    sigf = np.where(uncertain, data.f.mean(), 0.01 * data.f.mean())
    found = map_coefficients(replace(data, sigf=sigf), None, model)
    assert found.fom[uncertain].mean() < found.fom[~uncertain].mean() - 0.1


def test_a_perfect_model_has_no_difference_map() -> None:
    data, _, true = errors_of_a_model(3.0)
    found = map_coefficients(data, FreeSet.empty(len(data)), true)
    assert found.fom.mean() > 0.95
    assert found.delfwt.mean() < 0.02 * data.f.mean()
