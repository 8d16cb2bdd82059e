"""Errors and gaps of synthetic data: as much as asked for, and of the shape asked for."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray

from crysformer.data.synthetic.measurement_model import ErrorModel, measure, tilt_angles

CELL = gemmi.UnitCell(31, 26, 23, 90, 90, 90)
HKL = gemmi.make_miller_array(CELL, gemmi.SpaceGroup("P 1"), 1.5)
F_TRUE = np.random.default_rng(0).rayleigh(10, len(HKL))


def missing(completeness: float, kind: str, seed: int) -> NDArray[np.bool_]:
    measurement = ErrorModel(0.0, completeness, kind)  # type: ignore[arg-type]
    return np.isnan(measure(F_TRUE, HKL, CELL, measurement, np.random.default_rng(seed))[0])


@pytest.mark.parametrize("error", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("completeness", [1.0, 0.6])
@pytest.mark.parametrize("kind", ["random", "wedge"])
def test_error_and_completeness_are_as_asked(error: float, completeness: float, kind: str) -> None:
    measurement = ErrorModel(error, completeness, kind)  # type: ignore[arg-type]
    f, sigf = measure(F_TRUE, HKL, CELL, measurement, np.random.default_rng(1))
    gone = np.isnan(f)
    assert gone.mean() == pytest.approx(1 - completeness, abs=0.5 / len(f) + 1e-12)
    assert np.array_equal(gone, np.isnan(sigf))
    relative = (f / F_TRUE - 1)[~gone]
    assert relative.std() == pytest.approx(error, rel=0.03)
    assert abs(relative.mean()) <= 4 * error / np.sqrt(len(relative))
    strong = f > np.sqrt(np.nanmean(f**2))
    np.testing.assert_allclose(sigf[strong], (error or 0.01) * f[strong])


@pytest.mark.parametrize(("completeness", "tilt"), [(0.8, 72.0), (0.6, 54.0)])
def test_a_wedge_is_a_wedge(completeness: float, tilt: float) -> None:
    """What is missing lies within 90 - tilt degrees of one plane, as seen along an axis in it."""
    gone = missing(completeness, "wedge", seed=3)
    s = HKL / np.array(CELL.parameters[:3])
    s /= np.linalg.norm(s, axis=1, keepdims=True)
    # Second moments of a double wedge: least across the plane, 1/3 along the axis, most along the
    # beam; so its frame is known from the gaps alone.
    _, frame = np.linalg.eigh(s[gone].T @ s[gone])
    across, axis, beam = frame.T
    turned = np.degrees(np.arctan2(np.abs(s @ beam), np.abs(s @ across)))
    assert ((turned > tilt) == gone).mean() > 0.97
    # the same in every direction along the axis, and none of it in a random choice
    assert np.abs(s[gone] @ axis).mean() == pytest.approx(0.5, abs=0.05)
    scattered = missing(completeness, "random", seed=3)
    assert ((turned > tilt) == scattered).mean() < 0.75


def test_wedges_point_anywhere() -> None:
    masks = [missing(0.8, "wedge", seed) for seed in (1, 1, 2, 3)]
    assert np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[1], masks[2])
    assert not np.array_equal(masks[2], masks[3])


@pytest.mark.parametrize("wrong", [{"completeness": 0.0}, {"amplitude_error": -0.1}])
def test_impossible_measurements(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected a fraction"):
        ErrorModel(**wrong)  # type: ignore[arg-type]


def test_a_mate_outside_the_wedge_is_enough() -> None:
    group = gemmi.SpaceGroup("P 21 21 21")
    hkl = gemmi.make_miller_array(CELL, group, 2.0)

    def tilt(h: NDArray[np.int32], of: gemmi.SpaceGroup | None = None) -> NDArray[np.float64]:
        return tilt_angles(h, CELL, np.random.default_rng(4), of)

    turns = [np.array(op.rot) // op.DEN for op in group.operations().sym_ops]
    every = np.array([tilt(hkl @ turn) for turn in turns])
    assert np.allclose(tilt(hkl, group), every.min(axis=0))
    assert (tilt(hkl, group) < tilt(hkl) - 1).any()
    how = ErrorModel(0.0, 0.8, "wedge")
    f, _ = measure(np.ones(len(hkl)), hkl, CELL, how, np.random.default_rng(4), group)
    assert np.isnan(f).mean() == pytest.approx(0.2, abs=0.01)
