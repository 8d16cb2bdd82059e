"""Translation scan of one chain with the others fixed."""

from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.sequence_search.chain_placement import replace_one_chain, scan_translations
from crysformer.phasing.sequence_search.random_poses import random_poses
from crysformer.phasing.sequence_search.torsion_ascent import Steps, refine_torsions

B_ISO = 12.0
CELLS = {
    "P 1": (9, 11, 13, 80, 95, 103),
    "P 1 21 1": (9, 11, 13, 90, 102, 90),
    "P 21 21 21": (9, 11, 13, 90, 90, 90),
    "P 43": (14, 14, 17, 90, 90, 90),
    "C 1 2 1": (9, 11, 13, 90, 102, 90),
    "P 1 21/c 1": (9, 11, 13, 90, 102, 90),
    "R 3:H": (14, 14, 17, 90, 90, 120),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("chains", [("Ac-GA-NH2",) * 2, ("(DAL)A",) * 2, ("(DAL)A", "GA")])
def test_chains_with_odd_ends_and_residues_are_placed_again(chains: tuple[str, ...]) -> None:
    cell = gemmi.UnitCell(11.0, 10.0, 9.0, 90, 90, 90)
    peptides = build_peptides(chains)
    kinematics = Kinematics(peptides)
    orth = torch.tensor(cell.orth.mat.tolist(), dtype=torch.float32)
    pose = random_poses(peptides, 16, orth, generator(3))
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), 3.0).astype(np.int32)
    data = CrystalData(cell, gemmi.SpaceGroup("P 1"), hkl, 1.0 + np.arange(len(hkl)) % 7, None)
    target = AmplitudeTarget(data, peptides.number, 20.0)
    places = torch.cartesian_prod(*[torch.arange(4) / 4] * 3) @ orth.mT
    found = replace_one_chain(kinematics, pose, target, places, 4, generator(1))
    # of each pose one chain keeps its torsions, its turn and its place
    chain_of = torch.tensor([0] * len(peptides.chains[0].letters) + [1] * 2)
    of_torsion = chain_of[torch.tensor([t.residue for t in peptides.torsions])]
    same = torch.stack(
        [(found.torsions == pose.torsions)[:, of_torsion == c].all(1) for c in (0, 1)], dim=1
    )
    still = (found.translation == pose.translation).all(2)
    assert ((same & still).sum(1) == 1).all()


def test_a_chain_placed_again_leaves_the_others_and_finds_its_place() -> None:
    """Amplitudes of two chains, one of which is taken from its place: it is put back near it."""
    cell = gemmi.UnitCell(11.0, 10.0, 9.0, 90, 90, 90)
    peptides = build_peptides(("AS", "AS"))
    kinematics = Kinematics(peptides)
    orth = torch.tensor(cell.orth.mat.tolist(), dtype=torch.float32)
    true = random_poses(peptides, 1, orth, generator(3))
    half = true.torsions.shape[1] // 2
    true.torsions[:, half:] = true.torsions[:, :half]  # the same conformation twice
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), 2.5).astype(np.int32)
    blank = CrystalData(cell, gemmi.SpaceGroup("P 1"), hkl, np.ones(len(hkl)), None, source="none")
    number = peptides.number
    xyz = kinematics.coordinates(true)[0]
    f = np.abs(AmplitudeTarget(blank, number, 20.0).structure_factors(xyz)[0])
    target = AmplitudeTarget(replace(blank, f=f), number, 20.0)
    # one of the chains anywhere else
    lost = random_poses(peptides, 1, orth, generator(5))
    start = true.clone()
    start.rotation[:, 1], start.translation[:, 1] = lost.rotation[:, 1], lost.translation[:, 1]
    many = start[[0] * 12]
    places = torch.cartesian_prod(*[torch.arange(9) / 9] * 3) @ orth.mT
    found = replace_one_chain(kinematics, many, target, places, 40, generator(6))
    moved = (found.translation - many.translation).norm(dim=-1) > 0.1
    assert (moved.sum(1) <= 1).all()
    assert moved[:, 0].any()
    assert moved[:, 1].any()
    score = target.evaluate(kinematics.coordinates(found)[0], gradient=False).score
    before = target.evaluate(kinematics.coordinates(start)[0], gradient=False).score
    assert score.max() > before + 0.08
    improved, final = refine_torsions(kinematics, target, found, Steps(80))
    assert final.max() > 0.97
    assert len(improved) == 12


@pytest.mark.parametrize("group", CELLS)
def test_scanning_places_is_evaluating_at_each(group: str) -> None:
    cell, space_group = gemmi.UnitCell(*CELLS[group]), gemmi.SpaceGroup(group)
    hkl = gemmi.make_miller_array(cell, space_group, 2.2).astype(np.int32)
    f = np.random.default_rng(1).uniform(1, 9, len(hkl))
    f[::7] = np.nan
    data = CrystalData(cell, space_group, hkl, f, 0.1 * f, source="test")
    peptides = build_peptides(("GA", "S"))
    target = AmplitudeTarget(data, peptides.number, B_ISO)
    noise = torch.randn(2, len(peptides.names), 3, generator=torch.Generator().manual_seed(3))
    xyz = torch.as_tensor(peptides.xyz, dtype=torch.float32) + 0.4 * noise
    second = torch.as_tensor(peptides.chain == 1)
    moving = torch.stack((second, ~second))
    shifts = 5 * torch.randn(6, 3, generator=torch.Generator().manual_seed(8))
    found = scan_translations(target, xyz, moving, shifts)
    for one, which, scores in zip(xyz, moving, found, strict=True):
        moved = one + shifts[:, None] * which[:, None]
        expected = target.evaluate(moved, gradient=False).score
        torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)
        assert expected.std() > 0.01
