"""Measurements that were cut off, lost, mixed up, or lack uncertainties."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.quality.outliers import wilson_outliers

WriteMtz = Callable[..., Path]


@pytest.fixture(scope="module")
def intensities(unique_hkl: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).exponential(100, len(unique_hkl)) + 1


@pytest.fixture
def written(write_mtz: WriteMtz, tmp_path: Path) -> Callable[..., Path]:
    def write(hkl: np.ndarray, i: np.ndarray, sigma: np.ndarray, label: str = "I") -> Path:
        type_ = "J" if label == "I" else "F"
        columns = [(label, type_, i), (f"SIG{label}", "Q", sigma)]
        return write_mtz(tmp_path / "x.mtz", hkl, columns)

    return write


@pytest.mark.parametrize("limit", [99999.99, 9999.99, 65535.0, 1234.5])
@pytest.mark.parametrize("label", ["I", "F"])
def test_saturation(
    written: Callable[..., Path],
    unique_hkl: np.ndarray,
    intensities: np.ndarray,
    limit: float,
    label: str,
) -> None:
    scaled = intensities * limit / np.sort(intensities)[-5]
    cut = np.minimum(scaled, limit)
    warnings = read_crystal(written(unique_hkl, cut, cut / 10, label)).warnings
    assert warnings == (
        f"5 of the strongest reflections have the same {label} of {limit:g}".replace(
            f"{limit:g}", f"{limit:.7g}"
        )
        + ": they were cut off there; write the file again on a smaller scale",
    )
    assert read_crystal(written(unique_hkl, scaled, scaled / 10, label)).warnings == ()


def test_a_row_of_nines_below_stronger_ones(
    written: Callable[..., Path], unique_hkl: np.ndarray, intensities: np.ndarray
) -> None:
    i = intensities.copy()
    i[np.argsort(i)[-8:]] = 9999.99
    i[np.argsort(intensities)[-2:]] = [10000.5, 20000.5]
    assert "same I of 9999.99" in read_crystal(written(unique_hkl, i, i / 10)).warnings[0]


def test_equivalents_of_one_strong_reflection_are_not_saturation(
    written: Callable[..., Path], unique_hkl: np.ndarray, intensities: np.ndarray
) -> None:
    signs = np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]])
    hkl = (unique_hkl[None] * signs[:, None]).reshape(-1, 3)
    i = np.tile(intensities, 4)
    assert read_crystal(written(hkl, i, i / 10)).warnings == ()


@pytest.mark.parametrize(("share", "warned"), [(0.3, True), (0.02, False)])
def test_measurements_lost_for_their_uncertainty(
    written: Callable[..., Path],
    unique_hkl: np.ndarray,
    intensities: np.ndarray,
    share: float,
    warned: bool,
) -> None:
    lost = np.random.default_rng(1).random(len(intensities)) < share
    data = read_crystal(written(unique_hkl, intensities, np.where(lost, 0, intensities / 10)))
    said = f"{lost.sum()} I without a positive uncertainty are not used"
    assert any(w.startswith(said + ", ") for w in data.warnings) == warned
    assert (said in data.notes) != warned
    assert int(data.measured.sum()) == int((~lost).sum())


@pytest.mark.parametrize("sigma", [0.0, np.nan, -1.0])
def test_intensities_whose_uncertainties_are_none(
    written: Callable[..., Path], unique_hkl: np.ndarray, intensities: np.ndarray, sigma: float
) -> None:
    i = intensities.copy()
    i[:3] = -2.0
    data = read_crystal(written(unique_hkl, i, np.full(len(i), sigma)))
    np.testing.assert_allclose(data.f, np.sqrt(np.maximum(i, 0)), rtol=1e-6)
    assert data.sigf is None
    assert data.notes == (
        "no I has a positive uncertainty, so uncertainties are not used",
        "intensities without uncertainties became amplitudes by their square root; 3 negative "
        "ones count as 0",
    )


def test_intensities_alone_when_asked_for(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray, intensities: np.ndarray
) -> None:
    path = write_mtz(tmp_path / "x.mtz", unique_hkl, [("IMEAN", "J", intensities)])
    with pytest.raises(Exception, match=r"intensities without uncertainties are meant, .*IMEAN"):
        read_crystal(path)
    np.testing.assert_allclose(read_crystal(path, labin="IMEAN").f, np.sqrt(intensities), rtol=1e-6)


@pytest.mark.parametrize(("noise", "warned"), [(1.0, True), (0.05, False)])
def test_equivalents_that_differ(
    written: Callable[..., Path],
    unique_hkl: np.ndarray,
    intensities: np.ndarray,
    noise: float,
    warned: bool,
) -> None:
    """Frames on different scales, or unrelated reflections of a lower symmetry."""
    hkl = np.vstack([unique_hkl, unique_hkl * [-1, -1, 1], unique_hkl * [-1, 1, -1]])
    i = np.tile(intensities, 3) * np.exp(np.random.default_rng(2).normal(0, noise, len(hkl)))
    warnings = read_crystal(written(hkl, i, i / 10)).warnings
    assert any("equivalent reflections of P 21 21 21 differ" in w for w in warnings) == warned


@pytest.mark.parametrize(("noise", "warned"), [(1.0, True), (0.1, False)])
@pytest.mark.parametrize("kind", ["I", "F"])
def test_equivalents_that_differ_in_a_very_small_file(
    written: Callable[..., Path], unique_hkl: np.ndarray, kind: str, noise: float, warned: bool
) -> None:
    few = unique_hkl[unique_hkl.all(axis=1)][:24]
    hkl = np.vstack([few, few * [-1, -1, 1], few * [-1, 1, -1]])
    rng = np.random.default_rng(8)
    i = np.tile(rng.exponential(100, len(few)) + 5, 3) * np.exp(rng.normal(0, noise, len(hkl)))
    warnings = read_crystal(written(hkl, i, i / 10, kind)).warnings
    assert any("equivalent reflections of P 21 21 21 differ" in w for w in warnings) == warned


def test_a_few_weak_equivalents_differ_by_their_uncertainties(
    written: Callable[..., Path], unique_hkl: np.ndarray
) -> None:
    few = unique_hkl[unique_hkl.all(axis=1)][:24]
    hkl = np.vstack([few, few * [-1, -1, 1]])
    rng = np.random.default_rng(9)
    i = np.tile(np.full(len(few), 50.0), 2) + rng.normal(0, 50, len(hkl))
    assert read_crystal(written(hkl, i, np.full(len(i), 50.0))).warnings == ()


def test_one_measurement_of_huge_uncertainty(
    written: Callable[..., Path], unique_hkl: np.ndarray
) -> None:
    """It says nothing, and moves neither itself nor its shell."""
    rng = np.random.default_rng(3)
    true = rng.exponential(100, len(unique_hkl))
    i, sigma = true + rng.normal(0, 20, len(true)), np.full(len(true), 20.0)
    before = read_crystal(written(unique_hkl, i, sigma))
    row = int(np.flatnonzero(unique_hkl.all(axis=1))[200])  # acentric
    for value in (-3e5, 3e5):
        i[row], sigma[row] = value, 1e6
        after = read_crystal(written(unique_hkl, i, sigma))
        others = np.arange(len(i)) != row
        np.testing.assert_allclose(after.f[others], before.f[others], rtol=0.01)
        # the mean of Wilson's distribution, and its spread
        assert after.f[row] == pytest.approx(np.sqrt(np.pi * 100) / 2, rel=0.2)
        assert after.sigf is not None
        assert after.sigf[row] == pytest.approx(np.sqrt((1 - np.pi / 4) * 100), rel=0.2)


@pytest.mark.parametrize("relative", [0.01, 0.1, 0.25])
def test_one_impossible_intensity_stays_as_measured(
    written: Callable[..., Path], unique_hkl: np.ndarray, relative: float
) -> None:
    """The prior neither hides it nor hangs on it."""
    rng = np.random.default_rng(3)
    true = rng.exponential(100, len(unique_hkl))
    i, sigma = true + rng.normal(0, 20, len(true)), np.full(len(true), 20.0)
    before = read_crystal(written(unique_hkl, i, sigma))
    row = int(np.flatnonzero(unique_hkl.all(axis=1))[200])
    i[row], sigma[row] = 2e5, relative * 2e5
    after = read_crystal(written(unique_hkl, i, sigma))
    assert after.f[row] == pytest.approx(np.sqrt(2e5), rel=1e-4)
    assert after.sigf is not None
    assert after.sigf[row] == pytest.approx(relative * np.sqrt(2e5) / 2, rel=1e-4)
    others = np.arange(len(i)) != row
    np.testing.assert_allclose(after.f[others], before.f[others], rtol=0.02)
    assert wilson_outliers(after).rows.tolist() == [row]
