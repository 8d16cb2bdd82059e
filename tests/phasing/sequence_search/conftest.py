"""Crystals of one conformation of a peptide, packed with little overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.sequence_search.random_poses import random_poses


@pytest.fixture
def packed_crystal(make_crystal: Callable[..., Any]) -> Callable[..., Any]:
    """Build a crystal to 2 A of a peptide in a cell and space group."""

    def build(cell: gemmi.UnitCell, group: str, sequence: str) -> Any:
        kinematics = Kinematics(build_peptides((sequence,)))
        orth = torch.tensor(cell.orth.mat.tolist(), dtype=torch.float32)
        poses = random_poses(kinematics.peptides, 3000, orth, torch.Generator().manual_seed(2))
        xyz = kinematics.coordinates(poses)[0]
        number = kinematics.peptides.number
        hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup(group), 2.0).astype(np.int32)
        blank = CrystalData(
            cell, gemmi.SpaceGroup(group), hkl, np.ones(len(hkl)), None, source="no data"
        )
        packing = AmplitudeTarget(blank, number, 20.0, overlap=1.0)
        best = int(packing.evaluate(xyz, gradient=False).overlap.argmin())
        frac = xyz[best].double().numpy() @ np.linalg.inv(orth.double().numpy()).T
        return make_crystal(cell, group, frac, number, b_iso=20.0, d_min=2.0)

    return build
