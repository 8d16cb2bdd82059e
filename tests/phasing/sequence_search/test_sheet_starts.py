"""Strands laid across the axis of a sheet."""

from __future__ import annotations

import gemmi
import torch

from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.phasing.sequence_search.random_poses import STRANDS, random_poses
from crysformer.phasing.sequence_search.sheet_starts import lay_strands_across, sheet_axes


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
