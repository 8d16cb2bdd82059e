import math

import gemmi
import pytest
import torch

from crysformer.building.tracing.fitting import (
    FitSettings,
    atom_rows,
    backbone_rows,
    fit_coordinates,
    order_end_oxygens,
    pose_on_backbones,
)
from crysformer.building.tracing.search_map import SearchMap
from crysformer.building.tracing.threading import ThreadedChain
from crysformer.peptide.cis_bonds import cis_bonds
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.phasing.sequence_search.random_poses import random_torsions

CELL = gemmi.UnitCell(24, 24, 24, 90, 90, 90)
P1 = gemmi.SpaceGroup("P 1")


def chain(sequence: str, *, cis: bool = False) -> tuple[Kinematics, torch.Tensor]:
    """A chain in a random conformation, its first peptide bond cis if so asked."""
    p = build_peptides([sequence])
    torsions = random_torsions(p, 1, torch.Generator().manual_seed(4))
    for k, torsion in enumerate(p.torsions):
        if torsion.kind == "omega":
            torsions[0, k] = 0.0 if cis and torsion.residue == 0 else math.pi
    kinematics = Kinematics(p)
    pose = Pose(torsions, torch.eye(3)[None, None], torch.full((1, 1, 3), 12.0))
    return kinematics, kinematics.coordinates(pose)[0]


def map_of_atoms(xyz: torch.Tensor) -> SearchMap:
    axis = torch.arange(120) * 0.2
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)
    values = torch.zeros(len(points))
    for atom in xyz:
        values += torch.exp(-((points - atom) ** 2).sum(1) / 0.5)
    return SearchMap(values.view(120, 120, 120), CELL, P1)


@pytest.mark.parametrize("cis", [False, True])
def test_a_chain_is_closed_onto_its_own_backbone(cis: bool) -> None:
    kinematics, xyz = chain("APKA", cis=cis)
    rows = backbone_rows(kinematics.peptides)
    threaded = ThreadedChain(xyz[0, rows], torch.zeros(4, dtype=torch.long), 0.0)
    pose = pose_on_backbones(kinematics, [threaded], 40)
    closed = kinematics.coordinates(pose)[0][0, rows]
    assert float((closed - xyz[0, rows]).norm(dim=-1).max()) < 0.1


@pytest.mark.parametrize("cis", [False, True])
def test_shaken_coordinates_return_and_bonds_stay_cis_or_trans(cis: bool) -> None:
    kinematics, xyz = chain("APS", cis=cis)
    p = kinematics.peptides
    assert cis_bonds(p, xyz).any() == cis
    shaken = xyz + 0.25 * torch.randn(xyz.shape, generator=torch.Generator().manual_seed(1))
    density = map_of_atoms(xyz[0])
    fitted = fit_coordinates(kinematics, density, shaken, 150, FitSettings())
    assert float((fitted - xyz).norm(dim=2).square().mean().sqrt()) < 0.1  # half a step
    assert torch.equal(cis_bonds(p, fitted), cis_bonds(p, xyz))


def test_the_oxygen_in_density_is_called_o() -> None:
    kinematics, xyz = chain("AS")
    p = kinematics.peptides
    rows = atom_rows(p)
    o, oxt = rows[1, "O"], rows[1, "OXT"]
    without_o = torch.tensor([i for i in range(len(p.names)) if i != o])
    ordered = order_end_oxygens(p, map_of_atoms(xyz[0, without_o]), xyz)
    assert torch.equal(ordered[0, o], xyz[0, oxt])
    assert torch.equal(ordered[0, oxt], xyz[0, o])
    both = torch.tensor([o, oxt])
    rest = torch.tensor([i for i in range(len(p.names)) if i not in both])
    assert torch.equal(ordered[0, rest], xyz[0, rest])
