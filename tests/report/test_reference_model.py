"""True structure factors of the bundled crystals, and maps brought onto the truth."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.io.read import read_crystal
from crysformer.peptide.sequence_file import read_sequences
from crysformer.report.reference_model import align_map, model_density, model_structure_factors
from crysformer.samples import SAMPLES, Sample

SYNTHETIC = [sample for sample in SAMPLES if sample.synthetic]


def correlation(a: DensityMap, b: DensityMap) -> float:
    return float(np.corrcoef(a.values.ravel(), b.values.ravel())[0, 1])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_samples_are_what_they_say(sample: Sample) -> None:
    structure = gemmi.read_structure(str(sample.model_path))
    residues = [r for r in structure[0][0] if gemmi.find_tabulated_residue(r.name).is_amino_acid()]
    letters = gemmi.one_letter_code([r.name for r in residues])
    assert letters == sample.sequence
    assert read_sequences(sample.sequence) == (sample.sequence,)
    data = read_crystal(sample.data_path)
    assert data.cell.parameters == pytest.approx(structure.cell.parameters, abs=0.01)
    assert data.space_group.hm == structure.find_spacegroup().hm


@pytest.mark.parametrize("sample", SYNTHETIC, ids=lambda sample: sample.name)
def test_synthetic_amplitudes_belong_to_their_models(sample: Sample) -> None:
    data = read_crystal(sample.data_path)
    chosen = slice(None, None, 1 + len(data) // 500)
    structure = gemmi.read_structure(str(sample.model_path))
    calculated = np.abs(model_structure_factors(structure, data.hkl[chosen]))
    measured = data.f[chosen]
    assert np.abs(calculated - measured).sum() / measured.sum() < 0.002


def test_real_amplitudes_belong_to_the_deposited_model() -> None:
    sample = next(sample for sample in SAMPLES if not sample.synthetic)
    data = read_crystal(sample.data_path)
    structure = gemmi.read_structure(str(sample.model_path))
    calculated = np.abs(model_structure_factors(structure, data.hkl))
    used = data.measured
    assert np.corrcoef(calculated[used], data.f[used])[0, 1] > 0.8


def test_structure_factors_obey_the_space_group() -> None:
    """The screw axis of P21 makes F(-h, k, -l) = (-1)^k F(h, k, l)."""
    sample = next(sample for sample in SAMPLES if not sample.synthetic)
    structure = gemmi.read_structure(str(sample.model_path))
    hkl = np.array([[1, 2, 3], [2, 3, -1], [0, 4, 2]], dtype=np.int32)
    mates = hkl * [-1, 1, -1]
    expected = model_structure_factors(structure, hkl) * (-1.0) ** hkl[:, 1]
    assert model_structure_factors(structure, mates) == pytest.approx(expected, rel=1e-6)


def test_model_density_is_gemmis_map() -> None:
    structure = gemmi.read_structure(str(SYNTHETIC[1].model_path))
    density = model_density(structure, 1.5)
    assert density.shape[2] % 2 == 0  # gemmi's transform of half grids gives even maps only
    hkl = gemmi.make_miller_array(structure.cell, gemmi.SpaceGroup("P1"), 1.5)
    values = model_structure_factors(structure, hkl).astype(np.complex64)
    asu = gemmi.ComplexAsuData(structure.cell, gemmi.SpaceGroup("P1"), hkl, values)
    reference = asu.transform_f_phi_to_map(exact_size=density.shape)
    assert density.values == pytest.approx(reference.array, abs=2e-4)


@pytest.mark.parametrize("inverted", [False, True])
def test_align_map_undoes_origin_hand_and_grid(inverted: bool) -> None:
    structure = gemmi.read_structure(str(SYNTHETIC[0].model_path))
    reference = model_density(structure, 1.5)
    moved = structure.clone()
    for site in moved[0].all():
        x, y, z = site.atom.pos.tolist()
        sign = -1 if inverted else 1
        site.atom.pos = gemmi.Position(sign * x + 1.234, sign * y - 0.777, sign * z + 2.5)
    # A finer sampling: another grid than the reference's.
    other = model_density(moved, 1.2)
    assert other.shape != reference.shape
    assert correlation(align_map(other, reference, 1.5), reference) > 0.9999
