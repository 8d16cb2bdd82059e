"""Crystals as if measured, against gemmi and the stated error model."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from crysformer.data import DIPEPTIDE, FIFTEEN, FragmentStore
from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal


def test_amplitudes_and_phases_equal_gemmis(dipeptides: FragmentStore) -> None:
    crystal = synthetic_crystal(dipeptides.table("test"), 3, DIPEPTIDE)
    calculator = gemmi.StructureFactorCalculatorX(crystal.data.cell)
    F = np.array(
        [calculator.calculate_sf_from_model(crystal.structure[0], h) for h in crystal.data.hkl]
    )
    rms = np.sqrt((np.abs(F) ** 2).mean())
    ours = crystal.f_true * np.exp(1j * np.deg2rad(crystal.phi_true))
    assert np.abs(ours - F).max() < 1e-5 * rms
    np.testing.assert_allclose(crystal.data.f, crystal.f_true)
    assert crystal.data.d_min >= 1.5
    expected = gemmi.make_miller_array(crystal.data.cell, gemmi.SpaceGroup("P 1"), 1.5)
    assert len(crystal.data) == len(expected)


def test_error_and_gaps_are_as_asked(fifteens: FragmentStore) -> None:
    crystal = synthetic_crystal(
        fifteens.table("test"), 0, FIFTEEN, d_min=2.0, amplitude_error=0.1, completeness=0.8, seed=4
    )
    data = crystal.data
    missing = np.isnan(data.f)
    assert missing.mean() == pytest.approx(0.2, abs=1 / len(data))
    assert data.sigf is not None
    assert np.array_equal(missing, np.isnan(data.sigf))
    pull = (data.f / crystal.f_true - 1)[~missing] / 0.1
    assert pull.std() == pytest.approx(1.0, abs=0.03)
    assert abs(pull.mean()) < 0.03
    f, sigf = data.f[~missing], data.sigf[~missing]
    floor = 0.1 * np.sqrt((f**2).mean())
    assert (f < floor).any()
    np.testing.assert_allclose(sigf, 0.1 * np.maximum(f, floor))
    assert data.d_min == pytest.approx(2.0, abs=0.01)


def test_draws_depend_on_seed_and_fragment_only(dipeptides: FragmentStore) -> None:
    table = dipeptides.table("test")
    f = [
        synthetic_crystal(table, i, DIPEPTIDE, amplitude_error=0.2, seed=s).data.f
        for i, s in ((1, 0), (1, 0), (1, 1))
    ]
    assert np.array_equal(f[0], f[1])
    assert not np.array_equal(f[0], f[2])


@pytest.mark.parametrize("wrong", [{"completeness": 0.0}, {"amplitude_error": -0.1}])
def test_impossible_regimes(dipeptides: FragmentStore, wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected a fraction"):
        synthetic_crystal(dipeptides.table("test"), 0, DIPEPTIDE, **wrong)  # type: ignore[arg-type]
