"""Correlations of amplitudes of right and of wrong models."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from crysformer.data.recipe import FIFTEEN
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal, synthetic_crystal
from crysformer.evaluation.building.amplitudes import amplitude_correlations, model_amplitudes


@pytest.fixture(scope="module")
def fifteen(fifteens: str) -> SyntheticCrystal:
    return synthetic_crystal(FragmentStore.open(fifteens).table("test"), 0, FIFTEEN)


def poly_alanine(structure: gemmi.Structure) -> gemmi.Structure:
    copy = structure.clone()
    copy.setup_entities()
    for chain in copy[0]:
        for residue in chain:
            residue.trim_to_alanine()
    return copy


def test_a_right_model_correlates_and_a_wrong_one_only_by_its_fall_off(
    fifteen: SyntheticCrystal,
) -> None:
    right = model_amplitudes(fifteen.structure, fifteen.data)
    assert amplitude_correlations(fifteen.data, right) == pytest.approx((1, 1), abs=1e-3)
    turned = fifteen.structure.clone()
    for site in turned[0].all():
        x, y, z = site.atom.pos.tolist()
        site.atom.pos = gemmi.Position(y, z, x)
    cc_f, cc_e = amplitude_correlations(fifteen.data, model_amplitudes(turned, fifteen.data))
    assert cc_f > 0.25  # what the paper counts as right
    assert abs(cc_e) < 0.2


def test_a_right_poly_alanine_has_a_high_correlation_of_e(fifteen: SyntheticCrystal) -> None:
    trace = model_amplitudes(poly_alanine(fifteen.structure), fifteen.data)
    cc_f, cc_e = amplitude_correlations(fifteen.data, trace)
    assert cc_f > cc_e > 0.5


def test_the_scale_does_not_count(fifteen: SyntheticCrystal) -> None:
    amplitudes = np.random.default_rng(0).uniform(1, 2, len(fifteen.data))
    once, scaled = (amplitude_correlations(fifteen.data, k * amplitudes) for k in (1.0, 40.0))
    assert scaled == pytest.approx(once)
