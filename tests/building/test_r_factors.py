from __future__ import annotations

import math
from dataclasses import replace

import gemmi
import numpy as np
import pytest

from crysformer.building.r_factors import k_fold_r_factors, r_factors
from crysformer.crystal.free_set import FreeSet, folds
from crysformer.crystal.reflections import CrystalData

CELL, GROUP = gemmi.UnitCell(12, 13, 14, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
HKL = gemmi.make_miller_array(CELL, GROUP, 1.5).astype(np.int32)
F = np.random.default_rng(0).uniform(10, 100, len(HKL))
DATA = CrystalData(CELL, GROUP, HKL, F)


def every(step: int) -> FreeSet:
    return replace(FreeSet.empty(len(HKL)), free=np.arange(len(HKL)) % step == 0)


def test_r_factors_of_a_known_misfit() -> None:
    free = every(10)
    model = np.where(free.free, 0.7, 1.2) * F * np.exp(1j * F)
    r = r_factors(DATA, free, model)
    assert r.r_work == pytest.approx(0.2)
    assert r.r_free == pytest.approx(0.3)
    assert r.n_free == free.free.sum()
    assert r.n_work + r.n_free == len(HKL)
    assert r.r_free_error == pytest.approx(0.3 / math.sqrt(2 * r.n_free))
    weight = F[free.free].sum() / F.sum()
    assert r.r_all == pytest.approx(0.3 * weight + 0.2 * (1 - weight))
    assert r.text().startswith("Rwork 0.200, Rfree 0.300 +- ")


def test_shells_divide_the_reflections() -> None:
    d_star_sq = DATA.d**-2.0
    model = F * (1 + d_star_sq)
    r = r_factors(DATA, every(10), model, n_shells=5)
    assert len(r.shells) == 5
    assert sum(s.n_work for s in r.shells) == r.n_work
    assert sum(s.n_free for s in r.shells) == r.n_free
    works = [s.r_work for s in r.shells]
    assert works == sorted(works)
    for shell in r.shells:
        assert 1 / shell.d_max**2 < shell.r_work < 1 / shell.d_min**2


def test_unmeasured_reflections_do_not_count() -> None:
    missing = replace(DATA, f=np.where(np.arange(len(F)) < 20, np.nan, F))
    r = r_factors(missing, every(10), 1.1 * F)
    assert r.n_work + r.n_free == len(F) - 20
    assert r.r_work == pytest.approx(0.1)


def test_without_free_reflections_there_is_no_r_free() -> None:
    r = r_factors(DATA, FreeSet.empty(len(HKL)), F)
    assert r.r_work == 0
    assert r.n_free == 0
    assert math.isnan(r.r_free)
    assert r.to_summary()["r_free"] is None
    assert r.to_summary()["r_free_error"] is None


def test_k_fold_takes_each_reflection_from_the_model_without_it() -> None:
    parts = folds(DATA, 5)
    models = [np.where(part.free, 1.4, 1.1) * F + 0j for part in parts]
    r = k_fold_r_factors(DATA, parts, models)
    assert r.folds == 5
    assert r.n_free == r.n_work == len(HKL)
    assert r.r_free == pytest.approx(0.4)
    assert r.r_work == pytest.approx(0.1)
    assert r.r_free_error == pytest.approx(0.4 / math.sqrt(2 * len(HKL)))
    with pytest.raises(ValueError, match="4 models for 5 free sets"):
        k_fold_r_factors(DATA, parts, models[:4])


def test_one_fold_is_the_ordinary_r_free() -> None:
    model = F * np.random.default_rng(1).uniform(0.8, 1.2, len(F))
    one, other = r_factors(DATA, every(7), model), k_fold_r_factors(DATA, [every(7)], [model + 0j])
    assert one == other
