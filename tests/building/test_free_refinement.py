from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crysformer.building.free_refinement import (
    FreeRefinementSettings,
    refined_without_free,
    with_absolute_b,
)
from crysformer.building.r_factors import r_factors
from crysformer.building.scaling import scale_model
from crysformer.building.shaking import shaken
from crysformer.crystal.free_set import free_set
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.refinement.restrained import RestrainedSettings
from crysformer.testing import measured_peptide

QUICK = FreeRefinementSettings(folds=2, restrained=RestrainedSettings(steps=80), time_limit=100.0)


@pytest.fixture(scope="module")
def crystal() -> tuple[CrystalData, PeptideModel]:
    """5E5Z and its deposited model, B 20 A^2 too high."""
    data, model = measured_peptide()
    return data, replace(model, b_iso=model.b_iso + 20)


def test_shaken_structure_is_displaced_by_the_given_rms(
    crystal: tuple[CrystalData, PeptideModel],
) -> None:
    structure = crystal[1].to_structure()
    moved = shaken(structure, 0.3, seed=1)
    before, after = (
        np.array([cra.atom.pos.tolist() for cra in x[0].all()]) for x in (structure, moved)
    )
    assert np.sqrt(((after - before) ** 2).sum(axis=1).mean()) == pytest.approx(0.3)
    again = np.array([cra.atom.pos.tolist() for cra in shaken(structure, 0.3, seed=1)[0].all()])
    assert (again == after).all()
    assert [cra.atom.b_iso for cra in moved[0].all()] == [
        cra.atom.b_iso for cra in structure[0].all()
    ]


def test_b_factors_are_put_on_an_absolute_scale(crystal: tuple[CrystalData, PeptideModel]) -> None:
    data, model = crystal
    scaled = scale_model(model.to_structure(), data)
    absolute = with_absolute_b(model, scaled)
    assert absolute.b_iso.mean() == pytest.approx(scaled.mean_b)
    assert np.corrcoef(absolute.b_iso, model.b_iso)[0, 1] > 0.99
    assert (np.isnan(absolute.F) == ~data.measured).all()


def test_r_free_of_a_displaced_and_refined_model(
    crystal: tuple[CrystalData, PeptideModel],
) -> None:
    data, model = crystal
    free = free_set(data)
    refined = refined_without_free(model, data, free, settings=QUICK)
    assert refined is not None
    # it came back
    assert np.sqrt(((refined.model.xyz - model.xyz) ** 2).sum(axis=1).mean()) < 0.3
    assert refined.r == r_factors(data, free, refined.scaled.F_model)
    assert refined.r.n_free == 18
    assert refined.r.r_work < 0.3
    assert refined.k_fold is not None
    assert refined.k_fold.folds == 2
    assert refined.k_fold.n_free == 403
    assert refined.k_fold.r_free > refined.k_fold.r_work
    summary = refined.to_summary()
    assert summary["r_free_k_fold"]["r_free"] == pytest.approx(refined.k_fold.r_free, abs=1e-4)
    assert summary["free_set"] == free.note


def test_free_reflections_have_no_effect_on_the_model(
    crystal: tuple[CrystalData, PeptideModel],
) -> None:
    data, model = crystal
    free = free_set(data)
    rng = np.random.default_rng(0)
    spoiled = replace(data, f=np.where(free.free, rng.permutation(data.f), data.f))
    quick = replace(QUICK, time_limit=0.0, worse=1.0, restrained=RestrainedSettings(steps=20))
    one, other = (refined_without_free(model, d, free, settings=quick) for d in (data, spoiled))
    assert one is not None
    assert other is not None
    assert (one.model.xyz == other.model.xyz).all()
    assert one.r.r_work == other.r.r_work
    assert one.k_fold is None
    assert "does not fit into 0 s" in one.notes[-1]


def test_no_r_free_if_the_model_does_not_come_back(
    crystal: tuple[CrystalData, PeptideModel],
) -> None:
    data, model = crystal
    far = replace(QUICK, shake=2.0, attempts=1, worse=0.0, restrained=RestrainedSettings(steps=20))
    assert refined_without_free(model, data, free_set(data), settings=far) is None
