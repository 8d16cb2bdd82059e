"""The probability that a candidate is solved, as a function of its figures of merit."""

import itertools
import json
import math
from dataclasses import asdict, replace
from importlib.resources import files
from typing import get_args

import pytest

from crysformer.phasing.candidate_pool import PoolSettings
from crysformer.phasing.merit.confidence import (
    Kind,
    confidence,
    features,
    kind_of,
    symmetry_factor,
)
from crysformer.phasing.merit.figures import (
    AtomFigures,
    DensityFigures,
    Figures,
    SequenceFigures,
)

KINDS: tuple[Kind, ...] = get_args(Kind)


def figures(kind: Kind, r: float, free: float, **changed: float) -> Figures:
    """Figures of a candidate with this R and this correlation, of whatever kind."""
    density = DensityFigures(r=r, free_correlation=free, noise=0.008, reflections_per_volume=0.6)
    made: Figures = density
    if kind == "atoms":
        made = AtomFigures(**asdict(density), reflections_per_atom=14.0)
    if kind == "sequence":
        made = SequenceFigures(
            r=r,
            correlation=0.9,
            overlap=0.0,
            log_likelihood_gain=free - 0.2,  # right models have 0.2 to 2, wrong ones seldom 0.1
            z_free_correlation=10.0 * free,  # and 4 to 15, wrong ones -2 to 3
            reflections_per_parameter=12.0,
            noise=0.008,
        )
    return replace(made, **changed)  # type: ignore[type-var]


def test_features_of_density_and_atoms_are_those_named() -> None:
    z = math.log(1.6 / 0.4) / 2
    found = features(figures("density", 0.2, 0.6))
    assert found == pytest.approx((math.log(0.2), z, math.log(0.6)))
    found = features(figures("atoms", 0.2, 0.6))
    assert found == pytest.approx((0.2, z, math.log(14), 0.008))


def test_few_reflections_lower_confidence() -> None:
    """They are easily explained."""
    several = [figures("density", 0.1, 0.6, reflections_per_volume=x) for x in (0.1, 0.6, 2.0)]
    values = [confidence(one) for one in several]
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_features_of_a_peptide_model_are_those_named() -> None:
    found = features(figures("sequence", 0.2, 0.6))
    r = 0.8 * math.log(0.2 / math.sqrt(0.8))
    assert found == pytest.approx((r, 0.8 * 0.4, 6.0, 0.0, 0.8))
    alone = features(figures("sequence", 0.2, 0.6, log_likelihood_gain=0.0))
    assert alone[1:] == pytest.approx((0.0, 6.0, 1.0, 0.8))


@pytest.mark.parametrize("kind", KINDS)
def test_confidence_falls_with_r_and_rises_with_the_free_correlation(kind: Kind) -> None:
    values = [0.001, 0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6]
    free = [-0.2, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]
    table = [[confidence(figures(kind, r, one)) for one in free] for r in values]
    for row in table:
        assert row == sorted(row)
    for column in zip(*table, strict=True):
        assert list(column) == sorted(column, reverse=True)
    # and not for want of change
    assert max(row[-1] - row[0] for row in table) > 0.5
    assert max(column[0] - column[-1] for column in zip(*table, strict=True)) > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_clear_cases_are_clear(kind: Kind) -> None:
    assert confidence(figures(kind, 0.02, 0.9)) > 0.98
    assert confidence(figures(kind, 0.35, 0.1)) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_extremes_stay_probabilities(kind: Kind) -> None:
    for r, free in itertools.product([0.0, 1e-9, 1.0, 50.0], [-1.0, 0.0, 1.0]):
        assert all(map(math.isfinite, features(figures(kind, r, free))))
        assert 0 <= confidence(figures(kind, r, free)) <= 1
    assert confidence(figures(kind, 0.0, 1.0)) == pytest.approx(1)
    assert confidence(figures(kind, 50.0, -1.0)) == pytest.approx(0, abs=1e-9)


def test_a_good_fit_of_few_amplitudes_is_worth_little() -> None:
    fitted = figures(
        "sequence", 0.02, 0.9, log_likelihood_gain=2.0, z_free_correlation=0.0, noise=0.16
    )
    assert confidence(fitted) > 0.98
    assert confidence(replace(fitted, reflections_per_parameter=2.5)) < 0.5  # type: ignore[call-arg]
    # a wrong model, of another crystal's sequence, that fits 20 % errors and is far ahead: no
    # search may end with it
    wrong = figures(
        "sequence", 0.116, 0.9, log_likelihood_gain=0.374, z_free_correlation=0.0,
        reflections_per_parameter=3.69, noise=0.16,
    )  # fmt: skip
    assert confidence(wrong) < PoolSettings().convinced


@pytest.mark.parametrize("kind", KINDS)
def test_symmetry_multiplies_the_confidence(kind: Kind) -> None:
    one = figures(kind, 0.05, 0.8)
    assert kind_of(one) == kind
    assert confidence(one, 0.25) == pytest.approx(0.25 * confidence(one))
    assert confidence(one, None) == confidence(one, 1.0)


def test_coefficients_say_what_they_were_fitted_to() -> None:
    text = files("crysformer.phasing.merit").joinpath("confidence.json").read_text(encoding="utf-8")
    fitted = json.loads(text)
    assert set(fitted) == set(KINDS)
    for kind, one in fitted.items():
        log_r, correlation, *others = one["coefficients"]
        assert log_r < 0 < correlation
        assert len(others) == len(features(figures(kind, 0.2, 0.6))) - 2
        assert one["candidates"] >= 100
        assert one["crystals"] >= 10


def test_symmetry_takes_confidence_away() -> None:
    agreement = [-1.0, 0.0, 0.2, 0.4, 0.45, 0.6, 1.0]
    factors = [symmetry_factor(one, random_agreement=0.05) for one in agreement]
    assert factors == sorted(factors)
    assert factors[:3] == [0, 0, 0]
    assert 0 < factors[3] < factors[4] < 1
    assert factors[5:] == [1, 1]


def test_few_reflections_make_symmetry_cheap_and_the_limit_rises() -> None:
    assert symmetry_factor(0.45, random_agreement=0.35) == 0
    assert symmetry_factor(0.45, random_agreement=0.05) > 0.5
    assert symmetry_factor(0.7, random_agreement=0.35) == 1
