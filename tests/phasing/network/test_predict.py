"""Prediction from measured amplitudes: what must not matter, what must be refused."""

from __future__ import annotations

import dataclasses
from importlib.resources import files
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.data.examples.residue_densities import residue_templates
from crysformer.errors import NotApplicable, UsageError
from crysformer.models.crysformer import CrysFormer, CrysFormerConfig
from crysformer.models.weights import load_weights, save_weights, shared_weights
from crysformer.phasing.network.predict import Prediction, predict, predict_once
from crysformer.phasing.network.trajectory import NetworkRunner

TINY = CrysFormerConfig(
    width=24, depth=2, heads=2, head_width=12, feedforward=32, partial_patch=12, channels=2,
    partial_channels=1, kernel=3, final_channels=2, final_blocks=1, final_kernel=3, dropout=0.0,
    recycling=True, steps=1, step_channels=4, scaling="amplitudes", positions="metric",
    sample_rate=2.0,
)  # fmt: skip
DOMAIN = {
    "min_edges": [8.0, 6.0, 5.0],
    "max_edges": [15.0, 11.0, 9.0],
    "volume_per_atom": [15.0, 80.0],
    "max_d_min": 2.5,
}
P1 = gemmi.SpaceGroup("P 1")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network: enough to see what its answers depend on."""
    torch.manual_seed(0)
    model = CrysFormer(TINY, residue_templates())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    calibration = {"ratio": [0.1, 1.0], "cosine": [0.0, 0.8]}
    save_weights(path, model, {"domain": DOMAIN, "calibration": calibration})
    return path


def crystal(
    edges: tuple[float, float, float] = (11.3, 8.6, 6.4), d_min: float = 1.5
) -> CrystalData:
    """Amplitudes of random points."""
    cell = gemmi.UnitCell(*edges, 90, 90, 90)
    frac = np.random.default_rng(4).uniform(0.3, 0.7, (9, 3))
    hkl = gemmi.make_miller_array(cell, P1, d_min)
    d = cell.calculate_d_array(hkl)
    F = np.exp(2j * np.pi * hkl @ frac.T).sum(1) * 6 * np.exp(-25 / (4 * d**2))
    return CrystalData(cell, P1, hkl.astype(np.int32), np.abs(F))


@pytest.fixture(scope="module")
def reference(weights: Path) -> Prediction:
    return predict(crystal(), "GG", weights, device="cpu")


def resampled_coefficients(density: DensityMap, hkl: np.ndarray) -> np.ndarray:
    """Structure factors of a map by gemmi."""
    grid = gemmi.FloatGrid(density.values)
    grid.set_unit_cell(density.cell)
    grid.spacegroup = density.space_group
    half = gemmi.transform_map_to_f_phi(grid, half_l=True)
    return np.array([half.get_value(*(int(i) for i in index)) for index in hkl])


def test_coefficients_are_the_transform_of_the_map(reference: Prediction) -> None:
    data, prediction = crystal(), reference
    expected = resampled_coefficients(prediction.density, data.hkl)
    found = prediction.f * np.exp(1j * np.radians(prediction.phi))
    np.testing.assert_allclose(found, expected, atol=2e-4 * prediction.f.max())
    assert prediction.preset == "random"
    assert prediction.d_min == 1.5
    assert min(prediction.grid) >= 3 * 6.4 / 1.5
    assert np.all((prediction.fom >= 0) & (prediction.fom <= 0.8))


def test_scale_and_row_order_and_hemisphere_do_not_matter(
    weights: Path, reference: Prediction
) -> None:
    data = crystal()
    order = np.random.default_rng(0).permutation(len(data))
    sign = np.where(np.arange(len(data)) % 2, 1, -1)[:, None]
    other = CrystalData(data.cell, P1, (data.hkl[order] * sign).astype(np.int32), 7 * data.f[order])
    prediction = predict(other, "GG", weights, device="cpu")
    np.testing.assert_allclose(
        prediction.density.values, 7 * reference.density.values, atol=1e-3 * reference.f.max()
    )
    np.testing.assert_allclose(prediction.f, 7 * reference.f[order], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(prediction.fom, reference.fom[order], atol=1e-3)


def test_the_four_orientations_a_cell_cannot_tell_get_one_answer(
    weights: Path, reference: Prediction
) -> None:
    data = crystal()
    # rotated by 180 degrees about c: the same list, indexed (-h, -k, l)
    hkl = (data.hkl * [-1, -1, 1]).astype(np.int32)
    turned = predict(CrystalData(data.cell, P1, hkl, data.f), "GG", weights, device="cpu")
    back = np.roll(np.flip(turned.density.values, (0, 1)), 1, (0, 1))
    np.testing.assert_allclose(back, reference.density.values, atol=1e-3)


def test_missing_reflections_are_filled_and_said(weights: Path, reference: Prediction) -> None:
    data = crystal()
    f = data.f.copy()
    f[::4] = np.nan
    prediction = predict(dataclasses.replace(data, f=f), "GG", weights, device="cpu")
    assert prediction.notes[0].startswith(("24 %", "25 %"))
    assert np.isfinite(prediction.f).all()
    assert (prediction.f[::4] > 0).any()
    assert (prediction.fom[::4] == 0).all()
    assert len(reference.notes) == 1


def test_data_to_higher_resolution_are_cut_and_to_lower_run(
    weights: Path, reference: Prediction
) -> None:
    fine = crystal(d_min=1.2)
    prediction = predict(fine, "GG", weights, device="cpu")
    np.testing.assert_allclose(prediction.density.values, reference.density.values, atol=1e-3)
    assert (prediction.f[fine.d < 1.5] == 0).all()
    coarse = crystal(d_min=1.9)
    assert "1.9" in predict(coarse, "GG", weights, device="cpu").notes[0]


@pytest.mark.parametrize(
    ("change", "sequence", "message"),
    [
        ({"space_group": gemmi.SpaceGroup("P 21 21 21")}, "GG", "P 1 crystals only"),
        ({"radiation": "electron"}, "GG", "electrons"),
        ({}, "GGG", "2 residues, the sequence has 3"),
        ({}, "GG,GG", "one chain, 2"),
        ({"cell": gemmi.UnitCell(11.3, 8.6, 6.4, 90, 95, 90)}, "GG", "right angles"),
        ({"cell": gemmi.UnitCell(41, 30, 24, 90, 90, 90)}, "GG", "edge 41.0 A"),
        ({"cell": gemmi.UnitCell(15, 11, 9, 90, 90, 90)}, "GG", "for each atom"),
        ({"f": np.full(len(crystal()), np.nan)}, "GG", "reach nothing"),
    ],
)
def test_other_crystals_are_not_applicable(
    weights: Path, change: dict[str, object], sequence: str, message: str
) -> None:
    data = dataclasses.replace(crystal(), **change)  # type: ignore[arg-type]
    with pytest.raises(NotApplicable, match=message):
        predict(data, sequence, weights, device="cpu")


def test_too_few_or_too_coarse_reflections_are_not_applicable(weights: Path) -> None:
    data = crystal()
    f = np.where(np.random.default_rng(1).uniform(size=len(data)) < 0.8, np.nan, data.f)
    with pytest.raises(NotApplicable, match="are measured"):
        predict(dataclasses.replace(data, f=f), "GG", weights, device="cpu")
    with pytest.raises(NotApplicable, match="A or better"):
        predict(crystal(d_min=2.8), "GG", weights, device="cpu")


def test_unknown_weights_and_devices_are_refused(weights: Path) -> None:
    with pytest.raises(UsageError, match="no such weights"):
        predict(crystal(), "GG", "nonesuch", device="cpu")
    with pytest.raises(UsageError, match="not available"):
        predict(crystal(), "GG", weights, device="cuda:99")


def test_the_packaged_network_is_chosen_and_beats_chance() -> None:
    samples = Path(str(files("crysformer") / "samples"))
    data = read_crystal(samples / "gf.mtz.gz")
    prediction = predict(data, "GF", device="cpu")
    assert prediction.preset == prediction.weights == "dipeptide-robust"
    model = gemmi.read_pdb(str(samples / "gf.pdb"))
    model.setup_entities()
    calculator = gemmi.DensityCalculatorX()
    calculator.d_min, calculator.rate = 1.5, 3.0
    calculator.set_grid_cell_and_spacegroup(model)
    calculator.put_model_density_on_grid(model[0])
    half = gemmi.transform_map_to_f_phi(calculator.grid, half_l=True)
    F = np.array([half.get_value(*(int(i) for i in index)) for index in data.hkl])
    predicted = prediction.f * np.exp(1j * np.radians(prediction.phi))
    kept = data.d >= 1.5
    pc = (predicted * F.conj()).real[kept].sum() / (
        np.linalg.norm(predicted[kept]) * np.linalg.norm(F[kept])
    )
    assert pc > 0.5
    with pytest.raises(NotApplicable, match="the sequence has 15"):
        predict(data, "ACDEFGHIKLMNPQR", device="cpu")


def test_a_single_pass_is_one_evaluation_of_the_network(weights: Path) -> None:
    data = crystal()
    found = predict(data, "GA", weights=weights, passes=1)
    runner = NetworkRunner(data, ("GA",), weights)
    with torch.no_grad():
        expected = runner.model(runner.patterson, runner.codes, runner.lengths)[0, 0]
    coefficients = runner.coefficients(expected)
    np.testing.assert_allclose(found.f, np.abs(coefficients), rtol=1e-4, atol=1e-4)
    assert not found.converged
    assert found.agreement == 0
    assert found.notes[-1] == "a single prediction"
    with pytest.raises(UsageError, match="`passes` is 2"):
        predict(data, "GA", weights=weights, passes=2)


def test_many_crystals_at_once_are_predicted_like_one_at_a_time(weights: Path) -> None:
    sequences = ["GG", "GA", "GGG", "AS", "GG"]
    edges = [
        (11.3, 8.6, 6.4),
        (6.4, 11.3, 8.6),
        (11.3, 8.6, 6.4),
        (9.1, 8.9, 6.1),
        (11.4, 8.6, 6.4),
    ]
    crystals = [crystal(e) for e in edges]
    scaled = dataclasses.replace(crystals[1], f=7.0 * crystals[1].f)
    pairs = list(zip([crystals[0], scaled, *crystals[2:]], sequences, strict=True))
    found = predict_once(pairs, weights, "cpu", batch_size=2)
    assert isinstance(found[2], NotApplicable)
    assert "2 residues, the sequence has 3" in str(found[2])
    for i in (0, 1, 3, 4):
        alone, together = predict(*pairs[i], weights, device="cpu", passes=1), found[i]
        assert not isinstance(together, NotApplicable)
        scale = np.abs(alone.density.values).max()
        np.testing.assert_allclose(together.density.values, alone.density.values, atol=1e-5 * scale)
        np.testing.assert_allclose(together.f, alone.f, atol=1e-5 * alone.f.max())
        np.testing.assert_allclose(together.fom, alone.fom, atol=1e-4)
        assert together.notes == alone.notes
        assert together.weights == alone.weights
        assert together.seconds > 0


def test_weights_are_loaded_once_and_again_when_their_file_changes(
    weights: Path, tmp_path: Path
) -> None:
    own = load_weights(weights)
    path = tmp_path / "own.safetensors"
    save_weights(path, own.model, {"domain": DOMAIN})
    first = shared_weights(path)
    assert shared_weights(path).model is first.model
    assert load_weights(path).model is not first.model
    with torch.no_grad():
        next(own.model.parameters()).add_(1.0)
    save_weights(path, own.model, {"domain": DOMAIN})
    second = shared_weights(path)
    assert second.sha256 != first.sha256
