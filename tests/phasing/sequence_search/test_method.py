"""The known-sequence search: starts, climbing, refinement, and crystals with known answer."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import enantiomorph
from crysformer.errors import CrysformerError
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.restraints import restraints_of
from crysformer.phasing.cell_content import cell_content
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.restrained import refine_restrained
from crysformer.phasing.sequence_search.applicability import TooLarge, check_size
from crysformer.phasing.sequence_search.chain_placement import replace_one_chain
from crysformer.phasing.sequence_search.population import Effort, SequenceSearch
from crysformer.phasing.sequence_search.random_poses import random_poses, random_torsions
from crysformer.phasing.sequence_search.torsion_ascent import Steps, refine_torsions
from crysformer.phasing.sequence_search.trial_moves import propose
from crysformer.phasing.solver import solve

VALINE_ALANINE = 0
CELL = torch.diag(torch.tensor([10.0, 8.0, 7.0]))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_backbones_lie_in_the_allowed_regions() -> None:
    peptides = build_peptides(("AAAAA",))
    torsions = torch.rad2deg(random_torsions(peptides, 400, generator())).remainder(360)
    kinds = [t.kind for t in peptides.torsions]
    phi = torsions[:, [i for i, kind in enumerate(kinds) if kind == "phi"]]
    omega = torsions[:, [i for i, kind in enumerate(kinds) if kind == "omega"]]
    assert ((phi > 180) & (phi < 330)).float().mean() > 0.9  # L residues have negative phi
    assert (omega - 180).abs().max() < 30
    # strands and helices as wholes are among them
    helical = ((phi > 250) & (phi < 340)).all(1)
    assert helical.float().mean() > 0.05


def test_poses_are_reproducible_and_fill_the_cell() -> None:
    peptides = build_peptides(("AS", "G"))
    first, again = (random_poses(peptides, 200, CELL, generator(4)) for _ in range(2))
    for a, b in zip(first.parts, again.parts, strict=True):
        torch.testing.assert_close(a, b)
    place = first.translation / torch.tensor([10.0, 8.0, 7.0])
    assert place.min() >= 0
    assert place.max() < 1
    assert (place.mean((0, 1)) - 0.5).abs().max() < 0.1
    turned = first.rotation @ first.rotation.mT
    torch.testing.assert_close(turned, torch.eye(3).expand_as(turned), atol=1e-5, rtol=0)


def test_climbing_raises_the_score(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(VALINE_ALANINE)
    kinematics = Kinematics(build_peptides((crystal.sequence,)))
    target = AmplitudeTarget(crystal.data, kinematics.peptides.number, 20.0, 2.0, overlap=0.1)
    orth = torch.tensor(crystal.data.cell.orth.mat.tolist(), dtype=torch.float32)
    pose = random_poses(kinematics.peptides, 40, orth, generator())
    before = target.evaluate(kinematics.coordinates(pose)[0], gradient=False).score
    better, after = refine_torsions(kinematics, target, pose, Steps(25))
    assert (after > before).float().mean() > 0.95
    assert (after - before).median() > 0.1
    unchanged, _ = refine_torsions(
        kinematics, target, pose, Steps(25), deadline=time.monotonic() - 1
    )
    torch.testing.assert_close(unchanged.torsions, pose.torsions)
    assert better.torsions.shape == pose.torsions.shape


def test_moves_keep_shapes_and_change_something() -> None:
    kinematics = Kinematics(build_peptides(("GASW",)))
    pose = random_poses(kinematics.peptides, 60, CELL, generator())
    moved = propose(kinematics, pose, generator(1))
    before, after = (kinematics.coordinates(p)[0] for p in (pose, moved))
    rmsd = ((before - after) ** 2).sum(2).mean(1).sqrt()
    assert torch.isfinite(after).all()
    assert (rmsd > 0.01).all()
    assert rmsd.max() < 15
    assert rmsd.min() < 1.5 < rmsd.max()  # small steps and large ones


@pytest.mark.parametrize("chains", [("Ac-GA-NH2",) * 2, ("(DAL)A",) * 2, ("(DAL)A", "GA")])
def test_chains_with_odd_ends_and_residues_are_placed_anew(chains: tuple[str, ...]) -> None:
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


def test_a_chain_placed_anew_leaves_the_others_and_finds_its_place() -> None:
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


def test_standard_geometry_obeys_its_restraints() -> None:
    kinematics = Kinematics(build_peptides(("AWPG",)))
    restraints = restraints_of(kinematics)
    pose = random_poses(kinematics.peptides, 3, CELL, generator())
    omega = [i for i, t in enumerate(kinematics.peptides.torsions) if t.kind == "omega"]
    pose.torsions[:, omega] = math.pi
    xyz = kinematics.coordinates(pose)[0]
    assert restraints.chi_squared(xyz).max() < 1e-3 * len(restraints.first)
    assert (
        restraints.chi_squared(xyz + 0.1 * torch.randn(xyz.shape, generator=generator())).min()
        > 100
    )


def test_refinement_recovers_a_distorted_model(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(VALINE_ALANINE)
    kinematics = Kinematics(build_peptides((crystal.sequence,)))
    p = kinematics.peptides
    orth = np.array(crystal.data.cell.orth.mat.tolist())
    kept = [i for i, name in enumerate(p.names) if name != "OXT"]
    xyz = np.zeros((len(p.names), 3))
    xyz[kept] = crystal.frac @ orth.T
    # the fragment ends with a C that has no OXT: put it opposite of CA and O
    at = {name: xyz[i] for i, name in enumerate(p.names) if p.residue[i] == 1}
    xyz[p.names.index("OXT")] = 3 * at["C"] - at["CA"] - at["O"]
    start = torch.as_tensor(xyz, dtype=torch.float32)[None].repeat(2, 1, 1)
    start[1] += 0.15 * torch.randn(start[1].shape, generator=generator())
    start[0] += 0.6 * torch.randn(start[0].shape, generator=generator(1))
    polished = refine_restrained(crystal.data, kinematics, start, 20.0)
    assert polished.order.tolist() == [1, 0]  # the better start first
    assert polished.r[0] < 0.08
    compared = crystal.compare_phases(np.rad2deg(np.angle(polished.F[0])))
    assert compared.cosine2 > 0.97
    first, second = torch.tensor(p.bonds).T
    length = (polished.xyz[0][first] - polished.xyz[0][second]).norm(dim=1)
    ideal = np.linalg.norm(p.xyz[first] - p.xyz[second], axis=1)
    assert np.abs(length.numpy() - ideal).max() < 0.1


def test_a_noisy_dipeptide_is_solved_with_its_model(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(VALINE_ALANINE, amplitude_error=0.1, completeness=0.8)
    found = solve(crystal.data, crystal.sequence, method="sequence", time_limit=60.0, seed=1)
    assert found.solved
    assert found.method == "sequence"
    compared = crystal.compare_phases(found.phi)
    assert compared.cosine2_aligned > SOLVED_COSINE
    assert found.model is not None
    # the truth has its centre of mass at the cell centre, and its hand
    assert not compared.inverted
    assert np.abs(compared.shift * crystal.data.cell.parameters[:3]).max() < 0.5
    structure = found.model.to_structure()
    names = [(r.name, len(r)) for r in structure[0][0]]
    assert gemmi.one_letter_code([name for name, _ in names]) == crystal.sequence
    assert sum(n for _, n in names) == len(found.model.b_iso)


def packed(cell: gemmi.UnitCell, group: str, sequence: str, d_min: float) -> Any:
    """Fractional coordinates and numbers of a conformation that overlaps little in this cell."""
    kinematics = Kinematics(build_peptides((sequence,)))
    orth = torch.tensor(cell.orth.mat.tolist(), dtype=torch.float32)
    poses = random_poses(kinematics.peptides, 3000, orth, generator(2))
    xyz = kinematics.coordinates(poses)[0]
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup(group), d_min).astype(np.int32)
    blank = CrystalData(
        cell, gemmi.SpaceGroup(group), hkl, np.ones(len(hkl)), None, source="no data"
    )
    packing = AmplitudeTarget(blank, kinematics.peptides.number, 20.0, overlap=1.0)
    best = int(packing.evaluate(xyz, gradient=False).overlap.argmin())
    frac = xyz[best].double().numpy() @ np.linalg.inv(orth.double().numpy()).T
    return frac, kinematics.peptides.number


def test_a_crystal_with_a_screw_axis_is_solved(make_crystal: Callable[..., Any]) -> None:
    cell = gemmi.UnitCell(8.2, 7.6, 10.4, 90, 104, 90)
    crystal = make_crystal(
        cell, "P 1 21 1", *packed(cell, "P 1 21 1", "SG", 2.0), b_iso=20.0, d_min=2.0
    )
    search = SequenceSearch(crystal.data, ("SG",), 20.0, generator(), effort=Effort(4000, 400, 50))
    found = search.advance(4.0)
    number = search.kinematics.peptides.number
    exact = AmplitudeTarget(crystal.data, number, 20.0, by_element=True)
    F = exact.structure_factors(search.kinematics.coordinates(found.pose[:1])[0])[0]
    compared = crystal.compare_phases(np.rad2deg(np.angle(F)))
    assert compared.cosine2_aligned > SOLVED_COSINE


@pytest.mark.slow
def test_both_members_of_an_enantiomorphic_pair_are_searched(
    make_crystal: Callable[..., Any],
) -> None:
    cell = gemmi.UnitCell(10.5, 10.5, 12.5, 90, 90, 90)
    crystal = make_crystal(cell, "P 43", *packed(cell, "P 43", "TI", 2.0), b_iso=20.0, d_min=2.0)
    other = replace(crystal.data, space_group=gemmi.SpaceGroup("P 41"))
    found = solve(other, "TI", method="sequence", copies=1, time_limit=25.0)
    assert found.space_group.xhm() == "P 41"
    assert found.enantiomorph["P 43"] > found.enantiomorph["P 41"]
    # the phases written obey the group that was given: they are of the mirror image
    assert found.hand_probability < 0.5
    assert found.model is not None
    assert found.model.space_group.xhm() == "P 43"
    mirror = compare_phases(
        other.hkl, other.f, found.phi, -crystal.phi_true, cell, other.space_group
    )
    assert mirror.cosine2_aligned > SOLVED_COSINE
    assert not mirror.inverted
    own = crystal.compare_phases(np.rad2deg(np.angle(found.model.F)))
    assert own.cosine2_aligned > SOLVED_COSINE
    assert not own.inverted


@pytest.mark.parametrize(
    ("group", "partner"),
    [("P 41", "P 43"), ("P 32 2 1", "P 31 2 1"), ("P 1", None), ("P 21 21 21", None)],
)
def test_only_enantiomorphic_groups_have_a_partner(group: str, partner: str | None) -> None:
    found = enantiomorph(gemmi.SpaceGroup(group))
    assert (None if found is None else found.xhm()) == partner


def test_what_is_too_large_or_unknown_is_refused(dipeptide: Callable[..., Any]) -> None:
    data = dipeptide(VALINE_ALANINE).data
    with pytest.raises(TooLarge, match="sequence"):
        check_size(cell_content(data))
    with pytest.raises(CrysformerError, match="sequence"):
        solve(data, method="sequence", time_limit=5.0)
