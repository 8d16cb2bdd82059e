"""A population of poses in the space group of the crystal."""

import time
from collections.abc import Callable
from typing import Any

import gemmi
import numpy as np
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.sequence_search.population import Population
from crysformer.phasing.sequence_search.random_poses import random_poses
from crysformer.phasing.sequence_search.settings import SequenceSettings


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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
    settings = SequenceSettings(small_screened=4000, small_starts=400, population=50)
    search = Population(crystal.data, ("SG",), 20.0, generator(), settings=settings)
    found = search.advance(time.monotonic() + 4.0)
    number = search.kinematics.peptides.number
    exact = AmplitudeTarget(crystal.data, number, 20.0, by_element=True)
    F = exact.structure_factors(search.kinematics.coordinates(found.pose[:1])[0])[0]
    compared = crystal.compare_phases(np.rad2deg(np.angle(F)))
    assert compared.cosine2_aligned > SOLVED_COSINE
