"""Tracing of bundled crystals, from the phases of their models with and without errors."""

import time

import gemmi
import numpy as np
import pytest
import torch

from crysformer.building.tracing.from_amplitudes import (
    has_either_hand,
    inverse_coefficients,
    map_of,
    trace_each_map,
    trace_with_amplitudes,
)
from crysformer.building.tracing.peptide_units import SeedSettings
from crysformer.building.tracing.settings import TracingSettings
from crysformer.building.tracing.trace import trace
from crysformer.building.tracing.traced_model import TracedModel
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.peptide.cis_bonds import cis_bonds
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.sequence_search.random_poses import random_torsions
from crysformer.testing import sample

QUICK = TracingSettings(seeds=SeedSettings(orientations=1000, refined=1000))  # enough for two
NOISE = 76.24  # degrees; the mean absolute error is 60 degrees when wrapped


def crystal(name: str, noise: float = 0.0, seed: int = 0) -> tuple[CrystalData, np.ndarray, str]:
    one = sample(name)
    data = read_crystal(one.data_path)
    structure = gemmi.read_structure(str(one.model_path))
    structure.cell = data.cell
    calculator = gemmi.StructureFactorCalculatorX(data.cell)
    F = np.array([calculator.calculate_sf_from_model(structure[0], hkl) for hkl in data.hkl])
    turn = np.radians(noise) * np.random.default_rng(seed).normal(size=len(F))
    return data, data.f * np.exp(1j * (np.angle(F) + turn)), one.sequence


def deviation(model: TracedModel, name: str) -> float:
    """RMSD of the backbone, A, at the nearest lattice image; O and OXT of the end left out."""
    truth = gemmi.read_structure(str(sample(name).model_path))
    ours, theirs = [], []
    for own, other in zip(model.structure[0][0], truth[0][0], strict=True):
        assert own.name == other.name
        for atom in ("N", "CA", "C"):
            ours.append(own.sole_atom(atom).pos.tolist())
            theirs.append(other.sole_atom(atom).pos.tolist())
    cell = model.structure.cell
    away = np.array(ours) - np.array(theirs)
    lengths = np.array(cell.parameters[:3])
    away -= lengths * np.round(away.mean(0) / lengths)
    return float(np.sqrt((away**2).sum(1).mean()))


@pytest.mark.slow
def test_fifteen_residues_with_phase_errors_of_sixty_degrees() -> None:
    data, F, sequence = crystal("fifteen", NOISE)
    model = trace(map_of(data, F), [sequence], data.d_min)
    assert model is not None
    assert deviation(model, "fifteen") < 0.3
    assert model.accepted
    assert model.amplitude_correlation > 0.7
    assert gemmi.one_letter_code([r.name for r in model.structure[0][0]]) == sequence
    assert model.structure.cell == data.cell


def test_a_dipeptide_in_the_inverse_of_its_map() -> None:
    data, F, sequence = crystal("yf")
    model = trace_with_amplitudes(data, F.conj(), [sequence], settings=QUICK, either_hand=True)
    assert model is not None
    assert model.inverted
    assert model.accepted
    assert deviation(model, "yf") < 0.15
    assert model.residue_correlations.min() > 0.9
    # the crystal lacks the second oxygen of its last residue
    assert "OXT" in model.peptides.names
    assert model.structure[0][0][-1].find_atom("OXT", "*") is None


@pytest.mark.parametrize("name", ["P 1", "P 21 21 21", "I 41"])
def test_coefficients_of_the_mirror_image(name: str) -> None:
    group = gemmi.SpaceGroup(name)
    cell = gemmi.UnitCell(20, 20, 17, 90, 90, 90)
    frac = np.random.default_rng(1).random((4, 3))
    hkl = gemmi.make_miller_array(cell, group, 3.0).astype(np.int32)
    mirrored = np.array([group.change_of_hand_op().apply_to_xyz(x) for x in frac.tolist()])

    def factors(sites: np.ndarray) -> np.ndarray:
        small = gemmi.SmallStructure()
        small.cell, small.spacegroup_hm = cell, group.xhm()
        for i, x in enumerate(sites.tolist()):
            site = gemmi.SmallStructure.Site()
            site.label, site.fract = f"C{i}", gemmi.Fractional(*x)
            site.element, site.occ, site.u_iso = gemmi.Element("C"), 1.0, 0.1
            small.add_site(site)
        small.setup_cell_images()
        calculator = gemmi.StructureFactorCalculatorX(small.cell)
        return np.array([calculator.calculate_sf_from_small_structure(small, h) for h in hkl])

    data = CrystalData(cell=cell, space_group=group, hkl=hkl, f=np.ones(len(hkl)))
    np.testing.assert_allclose(
        inverse_coefficients(data, factors(frac)), factors(mirrored), atol=1e-4
    )
    assert has_either_hand(group)


def test_groups_of_one_hand() -> None:
    for name in ("P 41", "P 61 2 2", "P -1", "P n a 21"):
        assert not has_either_hand(gemmi.SpaceGroup(name))


def test_a_cis_bond_without_proline() -> None:
    p = build_peptides(["SF"])
    kinematics = Kinematics(p)
    torsions = random_torsions(p, 1, torch.Generator().manual_seed(3))
    for k, torsion in enumerate(p.torsions):
        if torsion.kind == "omega":
            torsions[0, k] = 0.0
    pose = Pose(torsions, torch.eye(3)[None, None], torch.zeros(1, 1, 3))
    xyz = kinematics.coordinates(pose)[0][0].double().numpy()
    assert cis_bonds(p, torch.as_tensor(xyz)[None]).any()
    cell = gemmi.UnitCell(13, 12, 11, 90, 90, 90)
    P1 = gemmi.SpaceGroup("P 1")
    truth = PeptideModel(p, xyz, np.full(len(xyz), 15.0), cell, P1, np.zeros(0, complex))
    structure = truth.to_structure()
    hkl = gemmi.make_miller_array(cell, P1, 1.5)
    calculator = gemmi.StructureFactorCalculatorX(cell)
    F = np.array([calculator.calculate_sf_from_model(structure[0], h) for h in hkl])
    data = CrystalData(cell=cell, space_group=P1, hkl=hkl, f=np.abs(F))
    *trans, cis = trace_each_map(data, F, ["SF"], settings=QUICK)
    assert [model.accepted for model in trans] == [False, False]
    assert cis.accepted
    ca = p.names.index("CA", p.names.index("CA") + 1)
    away = (cis.xyz - xyz)[[p.names.index("CA"), ca]]
    away -= np.array(cell.parameters[:3]) * np.round(away.mean(0) / cell.parameters[:3])
    assert np.abs(away).max() < 0.2


def test_random_phases_give_no_accepted_model() -> None:
    data, F, sequence = crystal("gf")
    random = np.random.default_rng(2).uniform(0, 2 * np.pi, len(F))
    density = map_of(data, np.abs(F) * np.exp(1j * random))
    model = trace(density, [sequence], data.d_min, settings=QUICK)
    assert model is not None
    assert not model.accepted
    assert deviation(model, "gf") > 0.5


def test_what_cannot_be_traced() -> None:
    data, F, _ = crystal("gf")
    density = map_of(data, F)
    assert trace(density, ["A"], data.d_min) is None
    assert trace(density, ["AXA"], data.d_min) is None
    with pytest.raises(InputError, match="no sequence"):
        trace(density, [], data.d_min)
    flat = DensityMap(np.zeros_like(density.values), density.cell, density.space_group)
    with pytest.raises(InputError, match="constant"):
        trace(flat, ["GF"], data.d_min)


def test_the_deadline_is_kept() -> None:
    data, F, sequence = crystal("fifteen")
    began = time.monotonic()
    trace(map_of(data, F), [sequence], data.d_min, deadline=began)
    assert time.monotonic() - began < 30  # far less alone; the machine may be busy


@pytest.mark.slow
def test_density_modification_completes_side_chains() -> None:
    data, F, sequence = crystal("fifteen", NOISE, seed=3)
    model = trace_with_amplitudes(data, F, [sequence])
    assert model is not None
    assert deviation(model, "fifteen") < 0.3
    assert model.accepted
