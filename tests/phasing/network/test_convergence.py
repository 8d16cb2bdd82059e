"""When a chain of predictions counts as arrived."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.models.recycling import CONVERGED_CORRELATION
from crysformer.phasing.network.convergence import (
    Convergence,
    highest_agreement,
    relative_error,
    terms,
)

CHAINS = ("GF",)


@pytest.fixture(scope="module")
def exact() -> CrystalData:
    data = read_crystal(str(files("crysformer") / "samples" / "gf.mtz.gz"))
    return replace(data, sigf=None)


def noisy(data: CrystalData, x: float) -> CrystalData:
    return replace(data, sigf=x * data.f)


def test_the_highest_agreement_is_what_noise_leaves_of_the_truth(exact: CrystalData) -> None:
    assert highest_agreement(exact) == 1.0
    rng = np.random.default_rng(0)
    for x in (0.1, 0.3):
        data = noisy(exact, x)
        assert relative_error(data) == pytest.approx(x)
        drawn = [exact.f * (1 + x * rng.standard_normal(len(exact.f))) for _ in range(50)]
        norm = np.linalg.norm
        agreement = np.mean([f @ exact.f / norm(f) / norm(exact.f) for f in drawn])
        assert highest_agreement(data) == pytest.approx(agreement, abs=0.01)


def test_without_coefficients_a_threshold_decides(exact: CrystalData) -> None:
    arrival = Convergence.of({"format": 1})
    assert arrival.probability(CONVERGED_CORRELATION + 1e-4, exact, CHAINS) == 1.0
    assert arrival.probability(CONVERGED_CORRELATION - 1e-4, exact, CHAINS) == 0.0
    assert arrival.enough(0.5, exact, CHAINS) == pytest.approx(CONVERGED_CORRELATION, abs=1e-3)
    assert arrival.enough(0.5, noisy(exact, 0.2), CHAINS) < CONVERGED_CORRELATION - 0.01


def test_more_agreement_and_more_reflections_prove_more(exact: CrystalData) -> None:
    arrival = Convergence((-10.0, 2.5, -5.0, 1.0))
    chances = [arrival.probability(a, exact, CHAINS) for a in (0.95, 0.98, 0.99, 1.0)]
    assert chances == sorted(chances)
    half = replace(exact, f=np.where(np.arange(len(exact.f)) % 2 == 0, exact.f, np.nan))
    assert terms(0.98, half, CHAINS)[3] == pytest.approx(
        terms(0.98, exact, CHAINS)[3] - math.log(2), abs=0.01
    )
    assert arrival.probability(0.98, half, CHAINS) < chances[1]
    least = arrival.enough(0.8, exact, CHAINS)
    assert arrival.probability(least, exact, CHAINS) >= 0.8
    assert arrival.probability(least - 0.001, exact, CHAINS) < 0.8
    # no agreement proves it where the data are too bad
    assert Convergence((-30.0, 2.5, 0.0, 0.0)).enough(0.5, exact, CHAINS) == math.inf
