"""Scores of phase sets whose quality is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.grids import density_from_grid, hkl_to_grid
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.evaluation.scoring import N_SHELLS, Score, pooled_edges, score

D_MIN = 1.5


def moved(
    crystal: SyntheticCrystal, shift: tuple[float, float, float], inverted: bool
) -> NDArray[np.float64]:
    """The true phases with the model at another origin, and inverted first or not."""
    sign = -1 if inverted else 1
    return np.asarray(sign * crystal.phi_true + 360.0 * crystal.data.hkl @ np.array(shift))


def test_true_phases_score_perfectly(crystal: SyntheticCrystal) -> None:
    result = score(crystal, crystal.phi_true, D_MIN)
    assert result.pc == pytest.approx(1, abs=1e-6)
    assert result.mean_phase_error == pytest.approx(0, abs=1e-4)
    assert result.cosine_aligned == pytest.approx(1, abs=1e-6)
    assert result.solved
    assert not result.inverted
    assert result.shell_count.sum() == len(crystal.data)


@pytest.mark.parametrize("inverted", [False, True])
def test_alignment_undoes_origin_and_hand(crystal: SyntheticCrystal, inverted: bool) -> None:
    result = score(crystal, moved(crystal, (0.1234, -0.3217, 0.4111), inverted), D_MIN)
    assert result.mean_phase_error > 70
    assert result.pc < 0.6
    assert result.mean_phase_error_aligned < 0.5
    assert result.pc_aligned > 0.9999
    assert result.inverted == inverted
    assert result.solved


def test_aligned_correlation_is_the_weighted_cosine(crystal: SyntheticCrystal) -> None:
    """With exact, complete amplitudes, Parseval makes PC the F^2-weighted mean cosine."""
    rng = np.random.default_rng(1)
    result = score(crystal, crystal.phi_true + rng.normal(0, 40, len(crystal.data)), D_MIN)
    assert result.pc_aligned == pytest.approx(result.cosine_aligned, abs=1e-5)


def test_known_noise_gives_the_known_error(crystal: SyntheticCrystal) -> None:
    noise = np.where(np.arange(len(crystal.data)) % 2, 30.0, -30.0)
    result = score(crystal, crystal.phi_true + noise, D_MIN)
    assert result.mean_phase_error == pytest.approx(30, abs=1e-6)
    assert result.weighted_phase_error == pytest.approx(30, abs=1e-6)


def test_missing_phases_count_90_degrees(crystal: SyntheticCrystal) -> None:
    phi = crystal.phi_true.copy()
    phi[::4] = np.nan
    result = score(crystal, phi, D_MIN)
    share = np.isnan(phi).mean()
    assert result.mean_phase_error == pytest.approx(90 * share, abs=1e-4)


def test_shells_show_where_phases_are_missing(crystal: SyntheticCrystal) -> None:
    edges = pooled_edges(D_MIN)
    phi = np.where(crystal.data.d > edges[7], crystal.phi_true, np.nan)
    result = score(crystal, phi, D_MIN)
    assert result.shell_mean[7:] == pytest.approx(90)
    assert result.shell_weighted[7:] == pytest.approx(90)
    assert result.shell_mean[1:7] == pytest.approx(0, abs=0.01)


def test_unmeasured_reflections_do_not_count(crystal: SyntheticCrystal) -> None:
    hidden = np.zeros(len(crystal.data), dtype=bool)
    hidden[::3] = True
    f = np.where(hidden, np.nan, crystal.data.f)
    data = type(crystal.data)(**{**vars(crystal.data), "f": f})
    incomplete = SyntheticCrystal(**{**vars(crystal), "data": data})
    phi = np.where(hidden, crystal.phi_true + 180, crystal.phi_true)
    result = score(incomplete, phi, D_MIN)
    assert result.mean_phase_error == pytest.approx(0, abs=1e-4)
    assert result.shell_count.sum() == (~hidden).sum()
    assert result.pc < 0.99


def test_the_methods_own_map_is_what_is_correlated(crystal: SyntheticCrystal) -> None:
    rng = np.random.default_rng(0)
    F = crystal.f_true * np.exp(1j * np.radians(crystal.phi_true))
    noisy = F + rng.normal(0, F.std(), (2, len(F))).T.copy().view(complex)[:, 0]
    truth = crystal.density
    hkl = torch.from_numpy(crystal.data.hkl.astype(np.int64))
    correlation = []
    for shape in (truth.shape, (30, 30, 24)):
        grid = hkl_to_grid(hkl, torch.from_numpy(noisy), shape)[None]
        values = density_from_grid(grid, shape, truth.cell.volume)[0].numpy()
        density = DensityMap(values.astype(np.float32), truth.cell, truth.space_group)
        result = score(crystal, crystal.phi_true, D_MIN, density)
        assert result.mean_phase_error == pytest.approx(0, abs=1e-4)
        correlation.append(result.pc)
        if shape == truth.shape:
            expected = np.corrcoef(values.ravel(), truth.values.ravel())[0, 1]
    assert 0.3 < expected < 0.9
    assert correlation == pytest.approx([expected, expected], abs=1e-5)


def test_shells_have_equal_volume_and_end_at_d_min() -> None:
    edges = pooled_edges(1.5)
    assert edges.shape == (N_SHELLS + 1,)
    assert np.isinf(edges[0])
    assert edges[-1] == pytest.approx(1.5)
    assert np.diff(edges**-3.0) == pytest.approx(1.5**-3 / N_SHELLS)


def test_solved_is_the_cosine_threshold(crystal: SyntheticCrystal, tmp_path: Path) -> None:
    perfect = vars(score(crystal, crystal.phi_true, D_MIN))
    assert Score(**{**perfect, "cosine_aligned": 0.85}).solved
    assert not Score(**{**perfect, "cosine_aligned": 0.849}).solved


def test_the_better_hand_undoes_an_inversion_and_no_shift(crystal: SyntheticCrystal) -> None:
    mirrored = score(crystal, -crystal.phi_true, D_MIN)
    assert mirrored.pc < 0.9
    assert mirrored.pc_better_hand == pytest.approx(1, abs=1e-6)
    shifted = score(crystal, moved(crystal, (0.1234, -0.3217, 0.4111), False), D_MIN)
    assert shifted.pc_better_hand < 0.6
    true = score(crystal, crystal.phi_true, D_MIN)
    assert true.pc_better_hand == pytest.approx(true.pc, abs=1e-6)
