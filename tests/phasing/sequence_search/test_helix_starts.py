"""Starts that are not left to chance, bulk solvent, and waters."""

from __future__ import annotations

import time
from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.rotations import superpose
from crysformer.peptide.secondary_structure import ideal_fragment
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.bulk_solvent import ResolutionScale
from crysformer.phasing.refinement.restrained import refine_restrained
from crysformer.phasing.refinement.waters import with_waters
from crysformer.phasing.sequence_search.helix_starts import helix_starts
from crysformer.phasing.sequence_search.random_poses import STRANDS, random_poses
from crysformer.phasing.sequence_search.sheet_starts import lay_strands_across, sheet_axes
from crysformer.phasing.sequence_search.side_chain_fit import fit_side_chains

P21 = gemmi.SpaceGroup("P 1 21 1")


def data_of(
    xyz: torch.Tensor, number: np.ndarray, cell: gemmi.UnitCell, d_min: float, b_iso: float = 10.0
) -> CrystalData:
    """Exact amplitudes of atoms, shape (n, 3), A, in P21."""
    hkl = gemmi.make_miller_array(cell, P21, d_min)
    data = CrystalData(cell, P21, hkl, np.ones(len(hkl)))
    F = AmplitudeTarget(data, number, b_iso, by_element=True).structure_factors(xyz[None].float())
    return replace(data, f=np.abs(F[0]), sigf=0.02 * np.abs(F[0]))


def test_superposition_undoes_a_motion() -> None:
    generator = torch.Generator().manual_seed(0)
    xyz = torch.randn(7, 3, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    turn = turn * torch.sign(torch.linalg.det(turn))
    moved = xyz @ turn.mT + torch.tensor([1.0, -2.0, 3.0])
    found, shift = superpose(xyz, moved)
    torch.testing.assert_close(found, turn, atol=1e-5, rtol=0)
    torch.testing.assert_close(xyz @ found.mT + shift, moved, atol=1e-5, rtol=0)


def test_edges_of_sheets() -> None:
    def axes(*lengths: float) -> int:
        return len(sheet_axes(torch.diag(torch.tensor(lengths))))

    assert axes(21.9, 4.87, 23.5) == 1
    assert axes(9.6, 9.6, 19.0) == 2
    assert axes(15.0, 19.8, 16.5) == 0
    monoclinic = gemmi.UnitCell(41.4, 4.8, 18.6, 90, 115.9, 90)
    cell = torch.tensor(monoclinic.orth.mat.tolist(), dtype=torch.float32)
    torch.testing.assert_close(sheet_axes(cell), torch.tensor([[0.0, 1.0, 0.0]]))


def test_strands_lie_across_the_axis_with_carbonyls_along_it() -> None:
    kinematics = Kinematics(build_peptides(("GNNQQNY",)))
    generator = torch.Generator().manual_seed(0)
    cell = torch.diag(torch.tensor([21.9, 4.87, 23.5]))
    pose = random_poses(kinematics.peptides, 300, cell, generator, STRANDS)

    def angles(of: Pose) -> tuple[torch.Tensor, torch.Tensor]:
        xyz = kinematics.coordinates(of)[0]
        rows = {name: [i for i, x in enumerate(kinematics.peptides.names) if x == name]
                for name in ("CA", "C", "O")}  # fmt: skip
        chain = torch.nn.functional.normalize(xyz[:, rows["CA"][-1]] - xyz[:, rows["CA"][0]], dim=1)
        bonds = xyz[:, rows["O"]] - xyz[:, rows["C"]]
        return chain[:, 1].abs(), (bonds[:, :, 1].abs() / 1.231).median(1).values

    before, after = angles(pose), angles(
        lay_strands_across(kinematics, pose, sheet_axes(cell), generator)
    )  # fmt: skip
    assert float(after[0].median()) < 0.25 < float(before[0].median())
    assert float(after[1].median()) > 0.65 > 0.55 > float(before[1].median())


def test_a_chain_is_laid_along_its_helix() -> None:
    """Of a crystal that is one ideal helix, a seed has its backbone."""
    helix = ideal_fragment("helix", 14)
    cell = gemmi.UnitCell(14, 17, 25, 90, 100, 90)
    xyz = torch.as_tensor(helix.xyz)
    data = data_of(xyz, helix.number, cell, 1.8)
    kinematics = Kinematics(build_peptides(("A" * 14,)))
    generator = torch.Generator().manual_seed(0)
    seeds = helix_starts(data, kinematics, 10.0, generator, time.monotonic() + 60)
    assert seeds is not None
    target = AmplitudeTarget(data, kinematics.peptides.number, 10.0)
    best = target.evaluate(kinematics.coordinates(seeds)[0], gradient=False).correlation.max()
    chance = random_poses(
        kinematics.peptides, 200, torch.tensor(cell.orth.mat.tolist()).float(), generator
    )
    random = target.evaluate(kinematics.coordinates(chance)[0], gradient=False).correlation.max()
    assert float(best) > 0.8
    assert float(best) > float(random) + 0.2
    mirrored = Kinematics(build_peptides(("(DAL)" * 14,)))
    assert helix_starts(data, mirrored, 10.0, generator, time.monotonic() + 60) is None


def test_side_chains_are_fitted_as_far_as_time_allows() -> None:
    kinematics = Kinematics(build_peptides(["LKVF"]))
    generator = torch.Generator().manual_seed(0)
    pose = random_poses(kinematics.peptides, 3, 20.0 * torch.eye(3), generator)
    true = kinematics.coordinates(pose)[0][0]
    data = data_of(
        true, kinematics.peptides.number, gemmi.UnitCell(20, 20, 20, 90, 90, 90), d_min=2.0
    )
    target = AmplitudeTarget(data, kinematics.peptides.number, 15.0)

    def score(one: Pose) -> torch.Tensor:
        return target.evaluate(kinematics.coordinates(one)[0], gradient=False).score

    start = pose[1:]
    late = fit_side_chains(kinematics, target, start, generator, deadline=0.0)
    assert torch.equal(late.torsions, start.torsions)
    found = fit_side_chains(kinematics, target, start, generator)
    assert (score(found) >= score(start)).all()
    assert (score(found) > score(start)).any()
    chi = torch.tensor([t.kind.startswith("chi") for t in kinematics.peptides.torsions])
    assert torch.equal(found.torsions[:, ~chi], start.torsions[:, ~chi])


def test_scale_is_one_where_reflections_are_few_and_symmetric_where_not() -> None:
    cell = gemmi.UnitCell(12, 14, 15, 90, 100, 90)
    hkl = gemmi.make_miller_array(cell, P21, 1.5)
    data = CrystalData(cell, P21, hkl, np.ones(len(hkl)))
    scaling = ResolutionScale(data)
    curve = scaling.start(1)
    curve[:, 2:] = 1.0
    few = ResolutionScale(data.select(np.arange(len(hkl)) < 50))
    assert few.n_parameters == 0
    assert float(few.factor(curve)) == 1.0
    mates = hkl @ np.diag([-1, 1, -1]).astype(np.int32)
    other = ResolutionScale(replace(data, hkl=mates))
    torch.testing.assert_close(scaling.factor(curve), other.factor(curve))
    # as Babinet says: nothing much is left at low resolution, all at high
    strong = scaling.start(1)
    strong[:, 0], strong[:, 2:] = 3.0, 0.0
    factor = scaling.factor(strong)[0]
    d = data.d
    assert float(factor[d > 8].max()) < 0.4 < 0.95 < float(factor[d < 1.7].min())


@pytest.fixture(scope="module")
def watered() -> tuple[CrystalData, Kinematics, torch.Tensor, np.ndarray]:
    cell = gemmi.UnitCell(13, 11, 15, 90, 101, 90)
    kinematics = Kinematics(build_peptides(("ANS",)))
    torsions = torch.tensor([[t.reference for t in kinematics.peptides.torsions]])
    middle = cell.orthogonalize(gemmi.Fractional(0.25, 0.0, 0.25)).tolist()  # away from its mates
    pose = Pose(torsions, torch.eye(3)[None, None], torch.tensor(middle).float().view(1, 1, 3))
    xyz = kinematics.coordinates(pose)[0][0]
    oxygen = xyz[kinematics.peptides.names.index("O")]
    carbon = xyz[kinematics.peptides.names.index("C")]
    nitrogen = xyz[kinematics.peptides.names.index("N")]
    alpha = xyz[kinematics.peptides.names.index("CA")]
    waters = torch.stack(
        [
            oxygen + 2.8 * torch.nn.functional.normalize(oxygen - carbon, dim=0),
            nitrogen + 2.9 * torch.nn.functional.normalize(nitrogen - alpha, dim=0),
        ]
    )
    number = np.concatenate((kinematics.peptides.number, [8, 8]))
    return data_of(torch.cat((xyz, waters)), number, cell, 1.5), kinematics, xyz, waters.numpy()


def test_waters_are_found_and_explain_amplitudes(
    watered: tuple[CrystalData, Kinematics, torch.Tensor, np.ndarray],
) -> None:
    data, kinematics, xyz, waters = watered
    dry = refine_restrained(data, kinematics, xyz[None], 10.0)
    assert dry.parameters == 8
    found = with_waters(data, kinematics, dry, 10.0)
    assert found is not None
    assert found.n_waters >= 2
    assert float(found.refined.r[0]) < 0.6 * float(dry.r[0])
    placed = found.refined.xyz[0, len(kinematics.peptides.names) :].numpy()
    to_frac = np.array(data.cell.frac.mat.tolist())
    orth = np.array(data.cell.orth.mat.tolist())
    shift = (found.refined.xyz[0, : len(xyz)] - xyz).mean(0).numpy()  # the origin is free along b
    for water in waters:
        step = np.concatenate(
            [
                (placed - shift) @ to_frac.T @ (np.array(op.rot) / op.DEN).T
                + np.array(op.tran) / op.DEN
                - to_frac @ water
                for op in P21.operations()
            ]
        )
        distance = np.linalg.norm((step - np.round(step)) @ orth.T, axis=1)
        assert distance.min() < 0.4
