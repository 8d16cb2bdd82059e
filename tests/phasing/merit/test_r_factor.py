"""R factor and scale against least squares and values by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crysformer.phasing.merit.r_factor import amplitude_scale, r_factor

OBSERVED = np.array([3.0, 1.0, 4.0, 1.5])
CALCULATED = np.random.default_rng(0).uniform(0.5, 3.0, (3, 4))
WEIGHTS = np.array([1.0, 2.0, 2.0, 0.0])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_scale_is_that_of_least_squares(weights: np.ndarray | None) -> None:
    root = np.ones(4) if weights is None else np.sqrt(weights)
    found = amplitude_scale(OBSERVED, CALCULATED, weights)
    for k, calculated in zip(found, CALCULATED, strict=True):
        expected = np.linalg.lstsq((root * calculated)[:, None], root * OBSERVED, rcond=None)
        assert k == pytest.approx(expected[0][0])


def test_r_by_hand() -> None:
    calculated = np.array([2.0, 2.0, 4.0, 1.0])
    assert r_factor(OBSERVED, calculated, scale=np.array(1.0)) == pytest.approx(2.5 / 9.5)
    assert r_factor(OBSERVED, calculated, WEIGHTS, np.array(1.0)) == pytest.approx(3.0 / 13.0)
    assert r_factor(OBSERVED, 7 * OBSERVED) == pytest.approx(0.0, abs=1e-12)
    assert r_factor(OBSERVED, 0 * OBSERVED) == pytest.approx(1.0)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_tensors_and_arrays_agree(weights: np.ndarray | None) -> None:
    arrays = OBSERVED, CALCULATED, weights
    observed, calculated, w = (None if x is None else torch.tensor(x) for x in arrays)
    assert observed is not None
    assert calculated is not None
    found = r_factor(observed, calculated, w)
    assert found.shape == (3,)
    np.testing.assert_allclose(found.numpy(), r_factor(*arrays))


def test_reflections_of_no_weight_do_not_count() -> None:
    some = r_factor(OBSERVED[:3], CALCULATED[:, :3], WEIGHTS[:3])
    np.testing.assert_allclose(r_factor(OBSERVED, CALCULATED, WEIGHTS), some)


def test_the_scale_is_differentiable() -> None:
    calculated = torch.tensor(CALCULATED, requires_grad=True)
    amplitude_scale(torch.tensor(OBSERVED), calculated).sum().backward()
    assert calculated.grad is not None
    assert (calculated.grad != 0).all()
